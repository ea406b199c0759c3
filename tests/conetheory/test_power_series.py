"""Truncated series in three variables against sums over all pairs of monomials."""

import numpy as np
import pytest

from conetheory._power_series import DEGREE, EXPONENTS, exponential, logarithm, multiply, power


def naive_product(p, q):
    index = {exponent: i for i, exponent in enumerate(EXPONENTS)}
    out = np.zeros(p.shape)
    for i, e in enumerate(EXPONENTS):
        for j, f in enumerate(EXPONENTS):
            total = tuple(a + b for a, b in zip(e, f, strict=True))
            if sum(total) <= DEGREE:
                out[index[total]] += p[i] * q[j]
    return out


@pytest.mark.parametrize("share", [1.0, 0.1, 0.0])
def test_product(share):
    rng = np.random.default_rng(0)
    p, q = rng.standard_normal((2, len(EXPONENTS), 3))
    p[rng.random(len(p)) >= share] = 0.0
    np.testing.assert_allclose(multiply(p, q), naive_product(p, q), atol=1e-13)
    np.testing.assert_allclose(multiply(q, p), naive_product(p, q), atol=1e-13)


def test_functions_undo_one_another():
    p = 0.3 * np.random.default_rng(1).standard_normal((len(EXPONENTS), 2))
    p[0] = 2.0, 0.5
    np.testing.assert_allclose(multiply(power(p, 0.5), power(p, 0.5)), p, atol=1e-10)
    np.testing.assert_allclose(logarithm(power(p, 3.0)), 3 * logarithm(p), atol=1e-9)
    p[np.array([sum(e) < 2 for e in EXPONENTS])] = 0.0
    grown = np.sum(exponential(p), axis=0)
    np.testing.assert_allclose(logarithm(grown), p, atol=1e-12)
