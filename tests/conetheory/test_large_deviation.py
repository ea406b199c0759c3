import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory._failure_inversion import inverted, unit_transform
from conetheory._relu_tilt import tilt, tilted_moments
from conetheory._saddlepoint import curvature, log_tails
from conetheory.contraction import (
    chebyshev_constant,
    failure_probability_nonpositive,
    preactivation_angle,
    sharp_threshold,
)
from conetheory.large_deviation import chernoff_bound, failure_probability, failure_rate
from tests import naive_large_deviation as naive

# (cosine, norm_u, norm_v, sigma_b2): wide and narrow angles, near 0, near 1, near and beyond the threshold
LAYERS = [
    (0.5, 1.0, 1.0, 1.0),
    (0.9, 1.0, 1.0, 1.0),
    (0.9, 10.0, 10.0, 1.0),
    (0.05, 1.0, 1.0, 1.0),
    (0.5, 1.0, 1.0, 0.0),
    (0.999999, 1.0, 1.0, 1.0),
    (0.88, 2.0, 1.0, 1.0),
    (0.9, 2.0, 1.0, 1.0),
    (0.8, 1.0, 0.1, 1.0),
    (0.999, 100.0, 100.0, 1.0),
]
raised = st.floats(0.02, 0.999)
norms = st.floats(0.05, 50)


def angle(c, a, b, bias=1.0):
    return float(preactivation_angle(c, a, b, sigma_b2=bias))


@given(st.floats(-1, 0), norms, norms, st.integers(1, 500))
def test_exact_up_to_cosine_zero(c, a, b, width):
    found = failure_probability(c, a, b, width)
    assert found.method == "exact"
    assert_allclose(found.value, failure_probability_nonpositive(c, a, b, width), rtol=1e-12)
    assert_allclose(math.exp(found.log_value), found.value)


def test_exact_elsewhere():
    assert failure_probability(1.0, 2, 1, 7).value == 1.0
    assert_allclose(failure_probability(0.4, 2, 1, 7, sigma_w2=0.0).value, 2.0**-7)
    theta = angle(0.5, 1, 1)
    assert_allclose(failure_probability(0.5, 1, 1, 1).value, 1 - (math.pi - theta) / (2 * math.pi))
    assert_allclose(failure_probability(1e-200, 1, 1, 64).value, (2 / 3) ** 64, rtol=1e-12)
    deep = failure_probability(0.0, 1, 1, 10**7)
    assert deep.value == 0.0
    assert_allclose(deep.log_value, -(10**7) * math.log(1.5), rtol=1e-14)


@pytest.mark.parametrize(
    ("layer", "expected", "error"),
    [
        ((0.5, 1, 1, 16), 0.0482, 5e-4),
        ((0.9, 1, 1, 64), 0.0101, 1e-4),
        ((0.9, 1, 1, 256), 2.50e-6, 3e-8),
        ((0.9, 1, 1, 2048), 4.1e-38, 2e-39),
    ],
)
def test_values_measured_by_simulation(layer, expected, error):
    found = failure_probability(*layer)
    assert abs(found.value - expected) <= error
    assert found.error < 1e-3


@pytest.mark.parametrize("layer", LAYERS[1:])
@pytest.mark.parametrize("width", [2, 12])
def test_agrees_with_sampling(layer, width):
    c, a, b, bias = layer
    n = 100_000
    failures = naive.sampled_failures(c, angle(*layer), width, n, seed=width)
    found = failure_probability(c, a, b, width, sigma_b2=bias)
    assert found.error < 5e-3
    stderr = math.sqrt(found.value * (1 - found.value) / n)
    assert abs(failures / n - found.value) <= 4.5 * stderr + found.error * found.value


@pytest.mark.parametrize("layer", [*LAYERS, (0.01, 1.0, 1.0, 1.0), (0.95, 2.0, 1.0, 1.0)])
@pytest.mark.parametrize("width", [64, 200, 600])
def test_formula_agrees_with_inversion_within_the_error_it_claims(layer, width):
    c, theta = layer[0], angle(*layer)
    dominating = tilt(c, theta)
    tails = log_tails(dominating, tilted_moments(dominating.t, c, theta), c, width)
    rest, error, scale = inverted(c, theta, width, dominating.t)
    exact = math.exp(scale) * rest + ((math.pi + theta) / (2 * math.pi)) ** width
    slack = math.exp(scale) * error
    if dominating.t < 0:
        assert abs(math.exp(tails.success) - (1 - exact)) <= tails.error * math.exp(tails.success) + slack
    else:
        assert abs(math.exp(tails.failure) / exact - 1) <= tails.error + slack / exact
        if width * dominating.rate >= 3 and c > 0.04:
            assert abs(math.exp(tails.failure) / exact - 1) <= 0.03


def test_prefactor_is_the_limit_of_the_formula_and_fails_near_the_threshold():
    for layer, width, low, high in (((0.9, 1, 1), 20_000, 0.0, 0.002), ((0.9, 10, 10), 64, 2.0, 2.4)):
        c, theta = layer[0], angle(*layer)
        dominating = tilt(c, theta)
        moments = tilted_moments(dominating.t, c, theta)
        v = dominating.t * math.sqrt(width * moments.variance * (1 + curvature(dominating, moments, c)))
        log_prefactor = -width * dominating.rate - math.log(v * math.sqrt(2 * math.pi))
        assert low <= math.exp(log_prefactor - failure_probability(*layer, width).log_value) - 1 <= high


@pytest.mark.parametrize("width", [64, 5000])
def test_formula_is_continuous_through_the_threshold(width):
    star = float(sharp_threshold(2, 1))
    steps = np.concatenate([-np.geomspace(1e-3, 1e-15, 13), [0.0], np.geomspace(1e-15, 1e-3, 13)])
    logs = []
    for c in star + steps:
        dominating = tilt(c, angle(c, 2, 1))
        moments = tilted_moments(dominating.t, c, angle(c, 2, 1))
        logs.append(log_tails(dominating, moments, c, width).failure)
    assert np.all(np.diff(logs) >= -1e-6)  # rounding of 1/v - 1/r, and its series below r/sqrt(d) = 1e-4
    assert np.ptp(logs[3:-3]) <= 1e-4 * math.sqrt(width)
    assert abs(math.exp(logs[13]) - 0.5) <= 1 / math.sqrt(width)


@pytest.mark.parametrize(
    "point", [(1.5, 0.0, 0.0), (1.5 + 0.3j, 0.2j, 0.1), (1.5 + 30j, -20j, 0.3), (0.4 + 90j, 60j, -0.7)]
)
@pytest.mark.parametrize("layer", [(0.5, 0.8), (0.9, 0.3), (0.05, 1.5)])
def test_unit_transform_matches_quadrature(point, layer):
    t, s, eta = point
    c, theta = layer
    found = unit_transform(np.array(t + 0j), np.array(s + 0j), np.array(eta), c, theta)
    mgf, weighted = naive.transform(t, s, eta, c, theta)
    assert_allclose(found.both + found.rest, mgf, rtol=1e-11)
    assert_allclose(found.both_g + found.rest_g, weighted, rtol=1e-9, atol=1e-13)


@settings(max_examples=15)
@given(raised, norms, norms, st.integers(50, 4000))
def test_bounds_and_symmetry(c, a, b, width):
    found = failure_probability(c, a, b, width)
    assert found.log_value <= -width * failure_rate(c, a, b) + 2 * found.error + 1e-12 * width
    assert found.log_value >= width * math.log((math.pi + angle(c, a, b)) / (2 * math.pi)) * (1 + 1e-12) - found.error
    swapped = failure_probability(c, b, a, width)
    assert abs(swapped.log_value - found.log_value) <= 2 * (found.error + swapped.error) + 1e-10
    assert 0 <= found.value <= 1


def test_chernoff_bounds_at_every_small_width_and_beats_chebyshev_where_wide():
    for c, a, b, bias in LAYERS[:3]:
        for width in (1, 2, 3, 5):
            found = failure_probability(c, a, b, width, sigma_b2=bias)
            assert found.value * (1 - found.error) <= chernoff_bound(c, a, b, width, sigma_b2=bias)
    assert chernoff_bound(0.0, 1, 1, 9) == pytest.approx(failure_probability(0.0, 1, 1, 9).value, rel=1e-13)
    assert chernoff_bound(0.95, 2, 1, 9) == 1.0
    assert chernoff_bound(0.5, 1, 1, 64) < chebyshev_constant(0.5, 1, 1) / 64 / 30


def test_probability_decays_at_the_rate():
    logs = [failure_probability(0.9, 1, 1, d).log_value for d in (100_000, 200_000)]
    assert_allclose(logs[0] - logs[1] - math.log(2) / 2, 100_000 * 0.0402591419619, rtol=1e-7)  # up to 1/(dI)


# beyond the threshold


def test_mirror_of_chernoffs_bound_is_false_beyond_the_threshold():
    c, width = 0.9999999, 8
    theta = angle(c, 2, 1)
    one_unit = width * ((math.pi - theta) / (2 * math.pi)) ** width  # one active unit, on both inputs: c' = 1
    found = failure_probability(c, 2, 1, width)
    assert 1 - found.value >= one_unit - found.error
    assert one_unit > 5 * math.exp(-width * tilt(c, theta).rate)


@pytest.mark.parametrize("layer", [(0.95, 2, 1), (0.99, 2, 1), (0.95, 4, 1), (0.9999, 10, 9)])
def test_symmetric_saddle_dominates_beyond_the_threshold(layer):
    c, theta = layer[0], angle(*layer)
    dominating = tilt(c, theta)
    assert dominating.t < 0
    assert curvature(dominating, tilted_moments(dominating.t, c, theta), c) > -1
    rates = [naive.joint_rate(eta, c, theta, dominating.t) for eta in (0.0, 0.02, 0.1, 0.3, 0.6, 1.0)]
    assert_allclose(rates[0], dominating.rate, rtol=1e-8)
    assert min(rates[1:]) > rates[0] * (1 + 1e-3)


# bad input


def test_bad_input_is_rejected():
    with pytest.raises(ValueError, match=r"`cosine` must lie in \[-1, 1\], got 1\.5"):
        failure_rate(1.5, 1, 1)
    with pytest.raises(ValueError, match=r"`cosine`.*nan"):
        failure_probability(np.nan, 1, 1, 4)
    with pytest.raises(ValueError, match="`norm_u` must be positive, got 0"):
        failure_probability(0.5, 0.0, 1, 4)
    with pytest.raises(ValueError, match="`norm_v` must be positive, got -1"):
        failure_rate(0.5, 1.0, -1.0)
    with pytest.raises(ValueError, match="`width` must be at least 1, got 0"):
        failure_probability(0.5, 1, 1, 0)
    with pytest.raises(TypeError, match=r"width[\s\S]*3\.0"):
        chernoff_bound(0.5, 1, 1, 3.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`cosine` must lie in \[0, 1\], got -0\.5"):
        chernoff_bound(-0.5, 1, 1, 3)
    with pytest.raises((ValueError, TypeError), match=r"single numbers|cosine"):
        failure_rate([0.1, 0.2], 1, 1)  # type: ignore[arg-type]
