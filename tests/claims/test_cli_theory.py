"""`conetheory certify` and `conetheory simulate failure`, as a person and as a program see them."""

import json
import math

import pytest

import claims.certify
from claims import SCHEMA
from conetheory.large_deviation import failure_probability
from conetheory.proofs import certified_threshold


def test_certify_says_what_is_proven_where_and_how(conetheory):
    done = conetheory("certify", "chebyshev_at_unit_norms", "theorem_4*")
    assert done.code == 0
    assert done.out.count("proven") == 2
    assert "boxes" in done.out
    assert "bits" in done.out
    assert "K < 21" in done.out


def test_certify_as_json(conetheory):
    done = conetheory("certify", "chebyshev_at_unit_norms", "--json")
    (found,) = [json.loads(line) for line in done.out.splitlines()]
    assert (found["schema"], found["proven"], found["open_share"]) == (SCHEMA, True, 0)


def test_a_certificate_that_fails_ends_with_1_and_shows_where(conetheory, monkeypatch):
    false = {"chebyshev_at_unit_norms": lambda: certified_threshold.chebyshev_at_unit_norms("20.99")}
    monkeypatch.setattr(claims.certify, "CERTIFICATES", false)
    done = conetheory("certify", "chebyshev_at_unit_norms")
    assert done.code == 1
    assert "NOT PROVEN" in done.out
    assert "false on" in done.out or "open" in done.out


@pytest.mark.parametrize(("cosine", "width"), [(0.9, 64), (0.9, 20_000), (0.0, 30), (-0.5, 12)])
def test_simulated_failures_agree_with_theory(conetheory, cosine, width):
    done = conetheory("simulate", "failure", "--cosine", cosine, "--width", width, "--trials", 2000, "--json")
    found = json.loads(done.out)
    assert found["predicted_log_probability"] == failure_probability(cosine, 1.0, 1.0, width).log_value
    deviation = math.expm1(found["log_probability"] - found["predicted_log_probability"])
    assert abs(deviation) < 4.5 * found["relative_stderr"] + 1e-4
    assert found["relative_stderr"] < 0.05
