import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.contraction import limiting_cosine
from conetheory.finite_width import cosine_mean_correction, cosine_variance
from tests import naive_contraction as naive
from tests.strategies import cosines

EPS = np.finfo(float).eps


@pytest.fixture(autouse=True)
def forty_digits():
    with mp.workdps(naive.DIGITS):
        yield


def closed_forms(rho):
    """Return (m, v) from J_ab in closed form, at 80 digits so that nothing is lost at the ends."""
    with mp.workdps(80):
        theta = mp.acos(mp.mpf(rho))
        j11, j22, j31 = (
            mp.quad(lambda t, a=a, b=b: mp.cos(t) ** a * mp.cos(t - theta) ** b, [theta - mp.pi / 2, mp.pi / 2])
            * (2 if a + b == 2 else 8)
            / (2 * mp.pi)
            for a, b in ((1, 1), (2, 2), (3, 1))
        )
        k = 2 * j11
        return k * (j22 + mp.mpf(9) / 2) - 4 * j31, 4 * j22 + k**2 * (3 + 2 * j22) - 8 * k * j31


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_both_are_the_delta_method(rho):
    m, v = naive.delta_method(mp.mpf(rho))
    assert_allclose(cosine_mean_correction(rho), float(m), rtol=1e-13)
    assert_allclose(cosine_variance(rho), float(v), rtol=1e-13)


@settings(max_examples=15)
@given(cosines | st.floats(1e-14, 1e-3).map(lambda drop: 1 - drop))
def test_both_match_40_digits_up_to_the_end_at_1(rho):
    m, v = closed_forms(rho)
    assert_allclose(cosine_mean_correction(rho), float(m), rtol=1e-13, atol=4 * EPS)
    away = (
        max(1e-13, 8 * EPS / (np.pi - np.arccos(rho) + EPS)) if rho < 0 else 1e-13
    )  # pi - theta has lost digits near -1
    assert_allclose(cosine_variance(rho), float(v), rtol=away, atol=1e-60)


def test_both_vanish_at_the_ends():
    assert_array_equal(cosine_mean_correction([-1.0, 1.0]), 0.0)
    assert_array_equal(cosine_variance([-1.0, 1.0]), 0.0)


def test_known_values():
    k = 1 / np.pi  # kappa at 0, where J22 = 1/4 and J31 = 1/pi
    assert_allclose(cosine_mean_correction(0.0), 0.75 * k, rtol=0, atol=4 * EPS)
    assert_allclose(cosine_variance(0.0), 1 - 4.5 * k * k, rtol=8 * EPS)
    drop = 1e-10
    assert_allclose(cosine_mean_correction(1 - drop), -2 * drop, rtol=1e-4)
    assert_allclose(cosine_variance(1 - drop), 8 * drop**2, rtol=1e-4)


@given(cosines)
def test_variance_is_nonnegative(rho):
    assert cosine_variance(rho) >= 0


def sampled_cosines(rho, width, n, rng):
    z = rng.standard_normal((2, n, width))
    x, y = np.maximum(z[0], 0), np.maximum(rho * z[0] + np.sqrt(1 - rho * rho) * z[1], 0)
    return np.einsum("nd,nd->n", x, y) / np.sqrt(np.einsum("nd,nd->n", x, x) * np.einsum("nd,nd->n", y, y))


@pytest.mark.parametrize("rho", [-0.3, 0.5, 0.95])
def test_simulated_mean_and_variance_at_two_widths(rho):
    # d (E c' - kappa) = m + A/d + ...: twice the value at 2d minus that at d is m up to O(d^-2), far below the noise
    rng, n, widths = np.random.default_rng(7), 25_000, (64, 128)
    mean, variance, mean_error, variance_error = [], [], [], []
    for width in widths:
        c = sampled_cosines(rho, width, n, rng)
        centred = (c - c.mean()) ** 2
        mean.append(width * (c.mean() - limiting_cosine(rho, 1, 1, sigma_b2=0.0)))
        variance.append(width * c.var(ddof=1))
        mean_error.append(width * c.std() / np.sqrt(n))
        variance_error.append(width * centred.std() / np.sqrt(n))
    z_mean = (2 * mean[1] - mean[0] - cosine_mean_correction(rho)) / np.hypot(2 * mean_error[1], mean_error[0])
    z_variance = (2 * variance[1] - variance[0] - cosine_variance(rho)) / np.hypot(
        2 * variance_error[1], variance_error[0]
    )
    assert abs(z_mean) <= 4.5
    assert abs(z_variance) <= 4.5


@pytest.mark.parametrize("rho", [1.5, -2.0, np.nan])
def test_bad_correlations_are_rejected(rho):
    for function in (cosine_mean_correction, cosine_variance):
        with pytest.raises(ValueError, match="`rho`"):
            function(rho)
