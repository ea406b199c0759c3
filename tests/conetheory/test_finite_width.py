import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from conetheory.contraction import limiting_cosine
from conetheory.finite_width import cosine_expansion, cosine_mean_correction, cosine_variance
from tests import naive_contraction as naive
from tests import naive_depth
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


@pytest.mark.parametrize("rho", [-0.5, 0.2, 0.97])
def test_expansion_matches_tensors_at_40_digits(rho):
    with mp.workdps(40):
        mean, variance, third = naive_depth.second_order(mp.mpf(rho), naive_depth.cosine)
    found = cosine_expansion(rho)
    assert_allclose(found.mean[:3], [float(x) for x in mean], rtol=1e-10)
    assert_allclose(found.variance[:3], [float(x) for x in variance], rtol=1e-10)
    assert_allclose(found.third[2], float(third), rtol=1e-10)


@settings(max_examples=25)
@given(st.floats(-0.99, 1))
def test_expansion_starts_with_the_delta_method(rho):
    found = cosine_expansion(rho)
    assert_allclose(found.mean[0], limiting_cosine(rho, 1, 1, sigma_b2=0.0), rtol=0, atol=4 * EPS)
    assert_allclose(found.mean[1], cosine_mean_correction(rho), rtol=1e-12, atol=1e-14)
    assert_allclose(found.variance[1], cosine_variance(rho), rtol=1e-10, atol=1e-14)
    orders = [found.variance[:1], found.third[:2], found.fourth[:3]]
    assert all(np.max(np.abs(zeros)) <= 1e-12 for zeros in orders)  # the n-th cumulant starts at d^-(n-1)


def test_expansion_keeps_its_digits_near_1_and_vanishes_there():
    drop = np.array([1e-6, 1e-8])
    found = cosine_expansion(1 - drop)
    # of ln(chi2_(N-1)/chi2_N) to small angles, exponentiated: 1 - c' ~ drop (1 + 2/d + 10/d^2 + 62/d^3)
    assert_allclose(found.mean[1:] / drop, [[-2, -2], [-10, -10], [-62, -62]], rtol=3e-3)
    assert_allclose(found.variance[1:3] / drop**2, [[8, 8], [96, 96]], rtol=3e-3)
    assert_array_equal(cosine_expansion(1.0).mean, [1, 0, 0, 0])
    assert_array_equal(cosine_expansion(1.0).fourth, 0)


def test_moments_of_a_ratio_of_chi_squares_are_the_limit_at_1():
    # E chi2_(N-1)/chi2_N = (N-1)/(N-2) given N: the mean of (1 - c')/(1 - c) at small angles
    for d in (100, 200):
        n = np.arange(3, d + 1)
        weights = stats.binom.pmf(n, d, 0.5)
        exact = weights @ ((n - 1) / (n - 2)) / weights.sum()
        series = 1 + np.polyval([62, 10, 2, 0], 1 / d)
        assert abs(exact - series) < 700 / d**4


@settings(max_examples=20)
@given(cosines, st.integers(1, 5000))
def test_cumulants_at_a_width_are_the_sums(rho, width):
    found = cosine_expansion(np.array([rho, 0.5]))
    at = found.at(width)
    for name in ("mean", "variance", "third", "fourth"):
        coefficients = getattr(found, name)
        expected = sum(coefficients[k] / width**k for k in range(4))
        assert_allclose(getattr(at, name), expected, rtol=1e-9, atol=1e-15)


def test_simulated_cumulants_at_a_small_width():
    n, width, rho = 40_000, 32, 0.3
    c = sampled_cosines(rho, width, n, np.random.default_rng(3))
    expected, centred = cosine_expansion(rho).at(width), c - c.mean()
    assert abs(c.mean() - expected.mean) <= 4.5 * c.std() / np.sqrt(n)
    for power, value in ((2, expected.variance), (3, expected.third)):
        assert abs((centred**power).mean() - value) <= 4.5 * (centred**power).std() / np.sqrt(n)


def test_expansion_rejects_bad_input():
    for rho in (1.5, np.nan):
        with pytest.raises(ValueError, match="`rho`"):
            cosine_expansion(rho)
    with pytest.raises(ValueError, match=r"`width` must be positive, got 0.0"):
        cosine_expansion(0.5).at(0)
