"""Theorem 1 is measured without the theory it is held against: a wrong correlation in `conetheory` is noticed."""

import pytest

import conetheory.contraction
from claims.decide import decide
from claims.ledger import all_claims

LEDGER = all_claims()
PLAIN = conetheory.contraction.layer_of


def wrong_bias(norm_u, norm_v, sigma_w2, sigma_b2):
    return PLAIN(norm_u, norm_v, sigma_w2, 0.5 * sigma_b2)


@pytest.mark.parametrize(
    "name",
    [
        "conetheory.theorem1.zero_cosine",
        "conetheory.theorem1.negative_cosine",
        "conetheory.theorem1.sharp_threshold",
        "conetheory.theorem1.summand_variance",
        "conetheory.finite_width.input_dimension",
    ],
)
def test_a_wrong_bias_variance_in_the_theory_is_refuted(name, monkeypatch):
    assert decide(LEDGER[name], seed=1).verdict == "supported"
    monkeypatch.setattr(conetheory.contraction, "layer_of", wrong_bias)
    assert decide(LEDGER[name], seed=1).verdict == "refuted"
