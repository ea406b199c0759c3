import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.gap import uniformity
from conetheory.sphere import (
    bessel_ratio,
    cap_fraction,
    jung_half_angle,
    log_cap_fraction,
    mean_pairwise_cosine,
    mean_resultant_length,
    sample_uniformity_floor,
    uniformity_floor,
)
from tests import naive_sphere as naive

EPS = np.finfo(float).eps
half_angles = st.floats(0, np.pi)
dims = st.integers(2, 3000)


def random_points(seed, n, dim, pull=0.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) + pull


def test_cap_fraction_known_values():
    angle = np.linspace(0, np.pi, 13)
    assert_allclose(cap_fraction(angle, 2), angle / np.pi, rtol=4 * EPS)
    assert_allclose(cap_fraction(angle, 3), np.sin(angle / 2) ** 2, rtol=8 * EPS)
    assert_allclose(cap_fraction(angle, 4), (angle - np.sin(angle) * np.cos(angle)) / np.pi, rtol=0, atol=4 * EPS)
    assert_allclose(cap_fraction(np.pi / 2, 7), 0.5, rtol=EPS)


def test_the_papers_caps():
    half = np.arccos(0.56) / 2
    assert_allclose(np.degrees(half), 27.97, atol=0.005)
    assert_allclose(cap_fraction(half, 2), 0.1554, atol=5e-5)
    assert_allclose(cap_fraction(half, 3), 0.0584, atol=5e-5)
    assert_allclose(log_cap_fraction(np.radians([27.97, 55.94]), 512) / np.log(2), [-563.8, -143.7], atol=0.05)
    jung = jung_half_angle(0.56, 3), jung_half_angle(0.56, 512)
    assert_allclose(np.degrees(jung), [32.79, 41.50], atol=0.005)
    assert_allclose(cap_fraction(jung[0], 3), 0.0797, atol=5e-5)
    assert_allclose(log_cap_fraction(jung[1], 512) / np.log(2), -308.8, atol=0.05)


@settings(max_examples=60)
@given(half_angles, dims)
def test_cap_fraction_matches_40_digits(angle, dim):
    expected = float(naive.cap_fraction(angle, dim))
    assert_allclose(cap_fraction(angle, dim), expected, rtol=4 * EPS * (8 + dim), atol=1e-300)


@settings(max_examples=60)
@given(half_angles.filter(lambda angle: angle > 1e-100), dims)
def test_log_cap_fraction_matches_40_digits(angle, dim):
    expected = naive.cap_fraction(angle, dim)
    with mp.workdps(naive.DIGITS):
        log = float(mp.log(expected))
    # absolute where the fraction is a double near 1 or 1/2: it carries the error of cap_fraction
    assert_allclose(log_cap_fraction(angle, dim), log, rtol=1e-12, atol=4 * EPS)


def test_log_cap_fraction_at_the_ends_and_across_the_switch():
    assert log_cap_fraction(0.0, 5) == -np.inf
    assert_allclose(log_cap_fraction([np.pi / 2, np.pi], 5), [np.log(0.5), 0.0], rtol=2 * EPS, atol=1e-60)
    angle = np.geomspace(0.9e-290, 1.1e-290, 41)
    fractions = np.exp(log_cap_fraction(np.pi * angle, 2) - np.log(angle))  # dimension 2: the fraction is angle / pi
    assert_allclose(fractions, 1, rtol=0, atol=1000 * EPS)  # exp of a log near -667 multiplies eps by 667


@given(half_angles, half_angles, dims)
def test_cap_fraction_grows_and_has_a_complement(a, b, dim):
    low, high = sorted((a, b))
    assert cap_fraction(low, dim) <= cap_fraction(high, dim) + 1e-13 * dim * cap_fraction(high, dim)
    assert_allclose(cap_fraction(a, dim) + cap_fraction(np.pi - a, dim), 1, rtol=0, atol=4 * EPS * np.sqrt(dim))


def test_cap_fraction_agrees_with_simulation():
    points, n = random_points(3, 100_000, 5), 100_000
    share = np.mean(points[:, 0] / np.linalg.norm(points, axis=1) >= np.cos(1.2))
    expected = cap_fraction(1.2, 5)
    assert abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)


@given(st.floats(0, 1), dims)
def test_jung_matches_the_formula_in_the_sine(fraction, dim):
    cosine = 1 - fraction  # in [0, 1]; at -1/dim the arc sine has no digits to compare
    expected = np.arcsin(np.sqrt(2 * (dim - 1) / dim) * np.sin(np.arccos(cosine) / 2))
    assert_allclose(jung_half_angle(cosine, dim), expected, rtol=0, atol=1e-14 * dim)
    assert_allclose(jung_half_angle(cosine, 2), np.arccos(cosine) / 2, rtol=8 * EPS, atol=0)


@pytest.mark.parametrize("dim", [2, 3, 7, 64])
@pytest.mark.parametrize("cosine", [-0.9, 0.0, 0.56, 0.999])
def test_jung_is_attained_by_the_regular_simplex(dim, cosine):
    cosine = cosine if cosine >= 0 else cosine / dim
    simplex = np.linalg.cholesky((1 - cosine) * np.eye(dim) + cosine)  # rows: unit, pairwise cosine as asked
    assert_allclose(naive.enclosing_half_angle(simplex), jung_half_angle(cosine, dim), rtol=0, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(2, 8), st.floats(0.2, 3))
def test_jung_cap_holds_random_sets(seed, dim, n, pull):
    points = random_points(seed, n, dim, pull)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    least = float((points @ points.T).min())
    if least > -1 / dim:
        assert naive.enclosing_half_angle(points) <= jung_half_angle(least, dim) + 1e-9


@pytest.mark.parametrize("dim", [2, 3, 8])
def test_below_minus_1_over_dim_no_cap_is_guaranteed(dim):
    simplex = np.eye(dim + 1) - 1 / (dim + 1)  # dim + 1 points that surround 0 in their dim-dimensional span
    simplex /= np.linalg.norm(simplex, axis=1, keepdims=True)
    assert_allclose(simplex @ simplex.T, (1 + 1 / dim) * np.eye(dim + 1) - 1 / dim, atol=4 * EPS)
    for cosine in (-1 / dim, -1.0):
        with pytest.raises(ValueError, match=r"`min_cosine` must lie in \(-1/dim, 1\]"):
            jung_half_angle(cosine, dim)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 9), st.floats(0, 10))
def test_mean_pairwise_cosine_is_the_double_loop(seed, n, dim, pull):
    points = random_points(seed, n, dim, pull)
    assert_allclose(mean_pairwise_cosine(points), naive.mean_pairwise_cosine(points), rtol=0, atol=16 * EPS)
    assert 0 <= mean_resultant_length(points) <= 1 + 4 * EPS
    scales = np.random.default_rng(seed).uniform(0.1, 10, (n, 1))
    assert_allclose(mean_pairwise_cosine(points * scales), mean_pairwise_cosine(points), rtol=0, atol=16 * EPS)


def test_means_known_values():
    assert_allclose(mean_pairwise_cosine(np.eye(4)), 0, atol=EPS)
    assert_allclose(mean_resultant_length(np.eye(4)), 0.5, rtol=2 * EPS)
    assert mean_resultant_length([[0.0, -7.0]]) == 1.0
    assert mean_pairwise_cosine([[1.0, 0.0], [-1.0, 0.0]]) == -1.0


def test_uniformity_floor_known_values():
    values = [uniformity_floor(dim) for dim in (3, 16, 32, 64, 128, 512)]
    assert_allclose(values, [-2.0798, -3.5130, -3.7518, -3.8752, -3.9375, -3.9844], rtol=0, atol=5e-5)
    assert_allclose(uniformity_floor(1), np.log(np.cosh(4)) - 4, rtol=8 * EPS)


@pytest.mark.parametrize("dim", [2, 3, 10, 64, 1000])
def test_uniformity_floor_matches_quadrature(dim):
    assert_allclose(uniformity_floor(dim), float(naive.uniformity(dim)), rtol=4 * EPS)


def test_uniformity_floor_is_the_simulated_value_and_a_floor_of_cones():
    points = random_points(5, 60_000, 8)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    kernel = np.exp(-4 + 4 * np.einsum("nd,nd->n", points[::2], points[1::2]))
    z = (kernel.mean() - np.exp(uniformity_floor(8))) / (kernel.std() / np.sqrt(len(kernel)))
    assert abs(z) <= 4.5
    few = points[:50]
    assert np.log(np.exp(-4 + 4 * few @ few.T).mean()) > uniformity_floor(8)  # a law of 50 atoms, diagonal included


def test_bessel_ratio_known_values():
    s = np.array([1e-300, 1e-9, 0.01, 1.0, 4.0, 30.0, 1e3])
    with mp.workdps(60):
        langevin = [float(mp.coth(x) - 1 / mp.mpf(x)) for x in s[1:]]
    assert_allclose(bessel_ratio(3, s[1:]), langevin, rtol=1e-14)
    assert_allclose(bessel_ratio(1, s), np.tanh(s), rtol=1e-14)
    assert_allclose(bessel_ratio(10**6, [0.0, 1e-5]), [0.0, 1e-11], rtol=2 * EPS, atol=0)
    assert_allclose(bessel_ratio(3, 1e9), 1 - 1e-9, rtol=1e-13)


@settings(max_examples=40)
@given(st.integers(1, 5000), st.floats(-6, 3.3).map(lambda x: 10.0**x))
def test_bessel_ratio_matches_40_digits(dim, s):
    assert_allclose(bessel_ratio(dim, s), float(naive.bessel_ratio(dim, s)), rtol=1e-12)


@pytest.mark.parametrize(("dim", "s"), [(10_000, 10_100.0), (100_000, 3e5), (2_000_000, 1e7), (50, 3e4)])
def test_bessel_ratio_at_large_arguments(dim, s):
    assert_allclose(bessel_ratio(dim, s), float(naive.bessel_ratio(dim, s)), rtol=1e-12)
    assert_allclose(bessel_ratio(dim, [0.5, s])[1], bessel_ratio(dim, s), rtol=4 * EPS)


@given(st.integers(1, 1000), st.floats(0, 1e4), st.floats(0, 1e4))
def test_bessel_ratio_grows_in_s_and_falls_in_dim(dim, a, b):
    low, high = sorted((a, b))
    assert bessel_ratio(dim, low) <= bessel_ratio(dim, high) * (1 + 1e-13) <= 1 + 2e-13
    assert bessel_ratio(dim + 1, high) <= bessel_ratio(dim, high) * (1 + 1e-13)


@pytest.mark.parametrize(("dim", "s"), [(3, 1e12), (512, 2.0**31), (512, 1e300), (100_000, 1e10)])
def test_bessel_ratio_beyond_the_reach_of_the_bessel_functions(dim, s):
    with mp.workdps(40):
        s_ = mp.mpf(s)
        expected = 1 - (dim - 1) / (2 * s_) + mp.mpf(dim - 1) * (dim - 3) / (8 * s_**2)  # next term below 1e-14
    assert_allclose(bessel_ratio(dim, s), float(expected), rtol=4 * EPS)


@pytest.mark.parametrize("angle", [1.2, 1.5, 1.57, 1.6])
def test_log_cap_fraction_in_a_hundred_thousand_dimensions(angle):
    dim = 100_000
    with mp.workdps(30):
        log_weight = lambda t: (dim - 2) * mp.log(mp.sin(t))  # noqa: E731
        end = mp.mpf(min(angle, np.pi - angle))
        scale = 40 / (dim * mp.cos(end) + mp.sqrt(dim))
        panels = [end - scale * k / 12 for k in range(12, -1, -1)]
        tail = mp.quad(lambda t: mp.exp(log_weight(t) - log_weight(end)), panels)
        log = mp.log(tail) + log_weight(end) - mp.log(mp.beta(mp.mpf(dim - 1) / 2, mp.mpf(1) / 2))
        expected = log if angle < np.pi / 2 else mp.log1p(-mp.exp(log))
    assert_allclose(log_cap_fraction(angle, dim), float(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("t", [0.1, 2.0, 30.0, 1e6])
def test_uniformity_floor_at_any_sharpness(t):
    with mp.workdps(30):
        x = mp.mpf(t)
        expected = -2 * x + mp.log(mp.sinh(2 * x) / (2 * x))
    assert_allclose(uniformity_floor(3, t=t), float(expected), rtol=32 * EPS)


def test_sample_uniformity_floor():
    for dim, n in ((3, 2), (3, 4), (64, 65)):  # attained by the regular simplex
        simplex = np.eye(n) - 1 / n
        assert_allclose(sample_uniformity_floor(dim, n), uniformity(simplex), rtol=1e-13)
    assert_allclose(sample_uniformity_floor(3, 10**8), uniformity_floor(3), rtol=1e-6)
    for n in (2, 5, 50, 500):
        assert uniformity(random_points(n, n, 4)) >= sample_uniformity_floor(4, n)
    assert_allclose(sample_uniformity_floor(3, 2, t=5.0), -20)


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match="`t` must be positive"):
        uniformity_floor(3, t=0.0)
    with pytest.raises(ValueError, match="`n` must be at least 2"):
        sample_uniformity_floor(3, 1)
    for function in (cap_fraction, log_cap_fraction):
        for angle in (-0.1, 3.2, np.nan):
            with pytest.raises(ValueError, match="`half_angle`"):
                function(angle, 3)
        with pytest.raises(ValueError, match="`dim` must be at least 2, got 1"):
            function(1.0, 1)
    with pytest.raises(ValueError, match="`min_cosine`"):
        jung_half_angle(np.nan, 3)
    with pytest.raises(TypeError, match=r"[`']dim[`']"):
        uniformity_floor(3.0)
    with pytest.raises(ValueError, match="`s` must be at least 0"):
        bessel_ratio(3, -1.0)
    with pytest.raises(ValueError, match="zero row"):
        mean_resultant_length([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="at least 2 rows"):
        mean_pairwise_cosine([[1.0, 0.0]])
