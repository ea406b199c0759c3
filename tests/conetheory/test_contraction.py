import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory import contraction as con
from tests import naive_contraction as naive
from tests.strategies import cosines, norms, widths

EPS = np.finfo(float).eps
variances = st.floats(0.01, 100)
wide_norms = st.floats(1e-100, 1e100)


@pytest.fixture(autouse=True)
def forty_digits():
    with mp.workdps(naive.DIGITS):
        yield


@given(cosines, norms, norms, variances, variances)
def test_correlation_and_angle_match_the_definition(c, a, b, sigma_w2, sigma_b2):
    expected = naive.correlation(c, a, b, sigma_w2, sigma_b2)
    options = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    assert_allclose(con.preactivation_correlation(c, a, b, **options), float(expected), rtol=0, atol=4 * EPS)
    assert_allclose(con.preactivation_angle(c, a, b, **options), float(mp.acos(expected)), rtol=8 * EPS, atol=0)


@given(st.floats(0, 1e-3), norms, st.floats(-1e-9, 1e-9))
def test_the_complement_of_the_correlation_survives_near_1(drop, a, offset):
    c, b = 1 - drop, a * (1 + offset)
    with mp.workdps(80):  # the difference from 1 may be 1e-35
        expected = 1 - naive.correlation(c, a, b)
    assert_allclose(2 * np.sin(con.preactivation_angle(c, a, b) / 2) ** 2, float(expected), rtol=16 * EPS, atol=0)


@given(cosines, wide_norms, wide_norms, st.sampled_from([0.0, 1e-300, 1.0, 1e100]))
def test_correlation_never_leaves_its_range(c, a, b, sigma_b2):
    assert abs(con.preactivation_correlation(c, a, b, sigma_b2=sigma_b2)) <= 1
    assert 0 <= con.preactivation_angle(c, a, b, sigma_b2=sigma_b2) <= np.pi
    assert 0 <= con.limiting_cosine(c, a, b, sigma_b2=sigma_b2) <= 1


def test_without_weights_or_bias_the_correlation_is_known():
    assert_array_equal(con.preactivation_correlation([-1, 0, 0.3], 2.0, 0.5, sigma_w2=0.0), 1.0)
    assert_allclose(
        con.preactivation_correlation([-1, 0, 0.3, 1], 2.0, 0.5, sigma_b2=0.0), [-1, 0, 0.3, 1], rtol=2 * EPS
    )
    assert_allclose(con.preactivation_correlation([-1, 0, 1], 1.0, 1.0), [0, 0.5, 1], rtol=2 * EPS)
    assert con.preactivation_correlation(0.2, 0.0, 0.0) == 1.0


@given(cosines, norms, norms, variances, variances)
def test_limiting_cosine_matches_the_definition(c, a, b, sigma_w2, sigma_b2):
    expected = naive.kappa(naive.correlation(c, a, b, sigma_w2, sigma_b2))
    value = con.limiting_cosine(c, a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert_allclose(value, float(expected), rtol=0, atol=4 * EPS)


@given(cosines, cosines, norms, norms)
def test_limiting_cosine_is_nondecreasing(c, d, a, b):
    low, high = sorted((c, d))
    assert con.limiting_cosine(low, a, b) <= con.limiting_cosine(high, a, b) + 4 * EPS


def test_sharp_threshold_known_values():
    a, b = np.array([[1, 1], [2, 1], [4, 1], [1, 0.5], [10, 5], [1, 0.1]]).T
    expected = [1, 0.893864006936, 0.729100449504, 0.933521149159, 0.951371789121, 0.795385427135]
    assert_allclose(con.sharp_threshold(a, b), expected, rtol=0, atol=6e-13)
    assert_allclose(con.paper_threshold(a, b), [1, 0.8, 8 / 17, 0.8, 0.8, 20 / 101], rtol=2 * EPS)


@settings(max_examples=40)
@given(norms, st.floats(1e-12, 100), variances, variances)
def test_sharp_threshold_matches_bisection_at_40_digits(a, excess, sigma_w2, sigma_b2):
    b = a * (1 + excess)
    expected = float(naive.threshold(a, b, sigma_w2, sigma_b2))
    assert_allclose(con.sharp_threshold(a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "sigma_b2"),
    [
        (1.0, 1 + EPS, 1.0),
        (1e8, 1.1e8, 1.0),
        (1e-8, 2e-8, 1.0),
        (1.0, 1e-6, 1e-20),
        (1e6, 1.0, 1e-12),
        (1.0, 1e100, 1.0),
    ],
)
def test_sharp_threshold_at_extreme_scales(a, b, sigma_b2):
    assert_allclose(
        con.sharp_threshold(a, b, sigma_b2=sigma_b2), float(naive.threshold(a, b, 1, sigma_b2)), rtol=0, atol=1e-15
    )


@given(wide_norms, wide_norms, variances, variances)
def test_sharp_threshold_is_symmetric_scales_and_is_at_least_the_papers(a, b, sigma_w2, sigma_b2):
    value = con.sharp_threshold(a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert_allclose(value, con.sharp_threshold(b, a, sigma_w2=sigma_w2, sigma_b2=sigma_b2), rtol=0, atol=4 * EPS)
    assert con.paper_threshold(a, b) - 4 * EPS <= value <= 1
    scaled = con.sharp_threshold(a, b, sigma_w2=16 * sigma_w2, sigma_b2=16 * sigma_b2)
    assert_allclose(value, scaled, rtol=0, atol=4 * EPS)


@given(norms, norms, variances)
def test_the_cosine_rises_below_the_sharp_threshold_and_falls_above(a, b, sigma_b2):
    star = con.sharp_threshold(a, b, sigma_b2=sigma_b2)
    below = np.linspace(-1, star - 1e-6, 50)
    assert np.all(con.limiting_cosine(below, a, b, sigma_b2=sigma_b2) > below)
    if star < 1 - 1e-6:
        above = np.linspace(star + 1e-6, 1, 50)
        assert np.all(con.limiting_cosine(above, a, b, sigma_b2=sigma_b2) < above)


def test_sharp_threshold_is_1_for_equal_norms_without_bias_and_without_weights():
    assert_array_equal(con.sharp_threshold([0.1, 1, 1e9], [0.1, 1, 1e9]), 1.0)
    assert_array_equal(con.sharp_threshold([1.0, 3.0], [2.0, 1e-5], sigma_b2=0.0), 1.0)
    assert_array_equal(con.sharp_threshold([1.0, 3.0], [2.0, 1e-5], sigma_w2=0.0), 1.0)
    assert_array_equal(con.sharp_threshold([1.0, 3.0], [2.0, 1e-5], sigma_b2=1e-300), 1.0)


def test_chebyshev_constant_known_values():
    assert_allclose(con.chebyshev_constant(0.5, 1, 1), 10.49419638, rtol=0, atol=6e-9)
    assert_allclose(con.chebyshev_constant(1 - 1e-14, 1, 1), 21, rtol=0, atol=1e-5)  # docs/theory.md, 2.7


@settings(max_examples=15)
@given(st.floats(0.001, 0.999), norms, norms)
def test_chebyshev_constant_matches_the_definition(fraction, a, b):
    c = fraction * con.sharp_threshold(a, b)
    rho = naive.correlation(c, a, b)
    first, second = naive.scaled_margin(c, rho, 1), naive.scaled_margin(c, rho, 2)
    margin = float(first)
    assert_allclose(
        con.chebyshev_constant(c, a, b), float(second / first**2 - 1), rtol=1e-13 + 8 * EPS / margin, atol=0
    )


@pytest.mark.parametrize("drop", [1e-3, 1e-6, 1e-10, 1e-14])
@pytest.mark.parametrize(("norm", "sigma_b2"), [(1.0, 1.0), (1.0, 0.0), (1000.0, 1.0)])
def test_chebyshev_constant_stays_accurate_near_1(drop, norm, sigma_b2):
    c = 1 - drop
    rho = naive.correlation(c, norm, norm, 1, sigma_b2)
    expected = naive.scaled_margin(c, rho, 2) / naive.scaled_margin(c, rho, 1) ** 2 - 1
    assert_allclose(con.chebyshev_constant(c, norm, norm, sigma_b2=sigma_b2), float(expected), rtol=1e-13)


def test_undefined_and_nonpositive_laws_known_values():
    assert_allclose(
        con.failure_probability_nonpositive(0, 1, 1, [1, 5, 1000]), (2 / 3) ** np.array([1, 5, 1000]), rtol=1e-12
    )
    assert_array_equal(con.undefined_probability(1, 3, 3, [1, 2, 10]), 0.5 ** np.array([1, 2, 10]))
    assert_array_equal(con.undefined_probability(-1, 3, 3, [1, 2, 10], sigma_b2=0.0), [1, 0.5, 2 * 0.5**10])
    assert con.undefined_probability(0.0, 1, 1, 2000) == 0.0


@given(st.floats(-1, 0), norms, norms, widths)
def test_failure_probability_matches_40_digits(c, a, b, width):
    theta = mp.acos(naive.correlation(c, a, b))
    undefined = 2 * mp.mpf(2) ** -width - ((mp.pi - theta) / (2 * mp.pi)) ** width
    expected = undefined if c < 0 else ((mp.pi + theta) / (2 * mp.pi)) ** width
    rtol = 8 * EPS * (1 + abs(float(mp.log(expected))))
    assert_allclose(con.failure_probability_nonpositive(c, a, b, width), float(expected), rtol=rtol, atol=1e-307)
    assert_allclose(con.undefined_probability(c, a, b, width), float(undefined), rtol=8 * EPS, atol=1e-307)


@pytest.mark.parametrize("c", [0.0, -0.4])
@pytest.mark.parametrize(("a", "b", "width"), [(1.0, 1.0, 3), (3.0, 0.5, 4)])
def test_failure_probability_agrees_with_simulation(c, a, b, width):
    rng, n = np.random.default_rng(20), 200_000
    u, v = a * np.array([1.0, 0.0]), b * np.array([c, np.sqrt(1 - c * c)])
    weights, bias = rng.standard_normal((2, n, width)), rng.standard_normal((n, width))
    x, y = (np.maximum(h[0] * weights[0] + h[1] * weights[1] + bias, 0) for h in (u, v))
    products, norms2 = (x * y).sum(axis=1), (x * x).sum(axis=1) * (y * y).sum(axis=1)
    failed = (norms2 == 0) | (products <= c * np.sqrt(norms2))
    expected = con.failure_probability_nonpositive(c, a, b, width)
    assert abs(failed.mean() - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)


@settings(max_examples=30)
@given(cosines, norms, norms, variances, variances)
def test_lemma_3(c, a, b, sigma_w2, sigma_b2):
    inner = con.relu_inner_product(c, a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    scale = np.hypot(a * np.sqrt(sigma_w2), np.sqrt(sigma_b2)) * np.hypot(b * np.sqrt(sigma_w2), np.sqrt(sigma_b2))
    assert 2 * inner >= sigma_w2 * a * b * c + sigma_b2 - 4 * EPS * scale
    rho = naive.correlation(c, a, b, sigma_w2, sigma_b2)
    assert_allclose(inner, scale * float(naive.moment(rho, lambda p, q: p * q, 2)), rtol=0, atol=8 * EPS * scale)


@given(norms)
def test_lemma_3_is_an_equality_for_equal_inputs(a):
    assert_allclose(2 * con.relu_inner_product(1.0, a, a), 1 + a * a, rtol=4 * EPS)


@settings(max_examples=20)
@given(cosines, norms, norms)
def test_summand_variance_matches_the_definition_and_is_at_most_5_4(c, a, b):
    rho = naive.correlation(c, a, b)
    second, first = naive.moment(rho, lambda p, q: (p * q) ** 2, 4), naive.moment(rho, lambda p, q: p * q, 2)
    value = con.summand_variance(c, a, b)
    assert_allclose(value, float(second - first**2), rtol=0, atol=8 * EPS)
    assert 0 <= value <= 1.25 + 4 * EPS


@given(cosines, cosines, norms, norms)
def test_summand_variance_is_nondecreasing(c, d, a, b):
    low, high = sorted((c, d))
    assert con.summand_variance(low, a, b) <= con.summand_variance(high, a, b) + 8 * EPS


def test_everything_broadcasts():
    c, a, b = np.full((3, 1), -0.5), np.array([1.0, 2.0]), np.array([1.0, 0.5])
    for function in (con.preactivation_angle, con.limiting_cosine, con.relu_inner_product, con.summand_variance):
        value = function(c, a, b)
        assert value.shape == (3, 2)
        assert_array_equal(value[2, 1], function(-0.5, 2.0, 0.5))
    assert con.sharp_threshold(a, 1.0, sigma_b2=[[0.5], [1.0], [2.0]]).shape == (3, 2)
    assert con.undefined_probability(c, a, b, np.array([4, 5])).shape == (3, 2)
    assert con.chebyshev_constant(-c, a, b).shape == (3, 2)
    assert isinstance(con.limiting_cosine(0.5, 1, 1), np.float64)
    assert isinstance(con.failure_probability_nonpositive(-0.5, 1, 1, 3), np.float64)


@pytest.mark.parametrize("c", [1.5, np.nan])
def test_bad_cosines_are_rejected(c):
    for function in (
        con.preactivation_angle,
        con.preactivation_correlation,
        con.limiting_cosine,
        con.chebyshev_constant,
    ):
        with pytest.raises(ValueError, match="`cosine`"):
            function(c, 1.0, 1.0)


@pytest.mark.parametrize("c", [-0.1, 0.0, 0.9, 1.0])
def test_chebyshev_constant_rejects_cosines_outside_its_domain(c):
    with pytest.raises(ValueError, match=r"`cosine` must lie in \(0, c\*\).*got"):
        con.chebyshev_constant(c, 2.0, 1.0)


def test_bad_norms_variances_and_widths_are_rejected():
    with pytest.raises(ValueError, match="`norm_u` must be positive where `sigma_b2` is 0"):
        con.preactivation_correlation(0.5, 0.0, 1.0, sigma_b2=0.0)
    with pytest.raises(ValueError, match="`norm_v` must be positive where `sigma_b2` is 0"):
        con.limiting_cosine(0.5, [1.0, 1.0], [1.0, 0.0], sigma_b2=0.0)
    with pytest.raises(ValueError, match="`norm_v` must be at least 0"):
        con.preactivation_angle(0.5, 1.0, -1.0)
    with pytest.raises(ValueError, match="`norm_u` must be positive"):
        con.sharp_threshold(0.0, 1.0)
    with pytest.raises(ValueError, match="`norm_v` must be positive"):
        con.paper_threshold(1.0, 0.0)
    with pytest.raises(ValueError, match="`sigma_w2` and `sigma_b2` must not both be 0"):
        con.preactivation_angle(0.5, 1.0, 1.0, sigma_w2=0.0, sigma_b2=0.0)
    with pytest.raises(ValueError, match="`sigma_b2`"):
        con.sharp_threshold(1.0, 1.0, sigma_b2=np.nan)
    with pytest.raises(ValueError, match="`width` must be at least 1, got 0"):
        con.undefined_probability(0.5, 1.0, 1.0, [3, 0])
    with pytest.raises(TypeError, match="`width` must hold integers"):
        con.undefined_probability(0.5, 1.0, 1.0, 3.0)
    with pytest.raises(ValueError, match=r"`cosine` must lie in \[-1, 0\], got 0.5"):
        con.failure_probability_nonpositive([-0.5, 0.5], 1.0, 1.0, 3)
