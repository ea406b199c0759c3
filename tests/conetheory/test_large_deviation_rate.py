import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory._relu_tilt import log_mgf, tilt, tilt_range, tilted_mean, tilted_moments
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_rate
from tests import naive_large_deviation as naive

EPS = np.finfo(float).eps
RATES = {
    (0.1, 1, 1): 0.208990878532,
    (0.5, 1, 1): 0.0833930106684,
    (0.9, 1, 1): 0.0402591419619,
    (0.99, 1, 1): 0.0315821276831,
    (0.5, 2, 1): 0.0362803175602,
    (0.9, 10, 10): 0.00092082774393,
}
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


@pytest.fixture(autouse=True)
def forty_digits():
    with mp.workdps(40):
        yield


def angle(c, a, b, bias=1.0):
    return float(preactivation_angle(c, a, b, sigma_b2=bias))


@pytest.mark.parametrize(("layer", "expected"), RATES.items())
def test_rates_of_the_table(layer, expected):
    assert_allclose(failure_rate(*layer), expected, rtol=2e-12)  # the table has 12 digits


def test_rates_outside_the_open_interval():
    assert failure_rate(-0.3, 2, 1) == math.log(2)
    assert_allclose(failure_rate(0.0, 1, 1), math.log(1.5), rtol=4 * EPS)
    assert failure_rate(0.95, 2, 1) == failure_rate(1.0, 1, 1) == 0.0
    assert failure_rate(0.3, 2, 1, sigma_w2=0.0) == math.log(2)
    assert_allclose(failure_rate(1e-14, 1, 1), math.log(1.5), rtol=1e-6)  # approached like the root of the cosine


@pytest.mark.parametrize(
    "layer",
    [LAYERS[5], (1e-8, 1.0, 1.0, 1.0), (0.95, 2.0, 1.0, 1.0), (0.9999999, 2.0, 1.0, 1.0)],
)
def test_rate_matches_40_digits(layer):
    c, theta = layer[0], angle(*layer)
    found = tilt(c, theta)
    expected = naive.rate(c, theta, found.t)
    assert abs(found.rate / float(expected) - 1) <= 64 * EPS * (1 + 1 / math.sqrt(float(expected)))


@settings(max_examples=10)
@given(raised, norms, norms, st.floats(-0.95, 0.95))
def test_log_mgf_matches_quadrature(c, a, b, share):
    theta = angle(c, a, b)
    low, high = tilt_range(c, theta)
    t = share * float(high if share > 0 else -low)
    assert_allclose(log_mgf(t, c, theta), float(naive.log_mgf(t, c, theta)), rtol=1e-12, atol=8 * EPS)


@given(raised, norms, norms, st.floats(-0.6, 0.6))
def test_tilted_mean_is_the_derivative(c, a, b, share):
    theta = angle(c, a, b)
    low, high = map(float, tilt_range(c, theta))
    t, step = share * (high if share > 0 else -low), 1e-4 * min(high, -low)
    stencil = np.array([1.0, -8.0, 8.0, -1.0]) / (12 * step)
    slope = stencil @ log_mgf(t + step * np.array([-2, -1, 1, 2]), c, theta)
    scale = math.sqrt(tilted_moments(0.0, c, theta).variance)
    assert_allclose(tilted_mean(t, c, theta), -slope, rtol=1e-8, atol=1e-8 * scale)


@pytest.mark.parametrize("layer", LAYERS[::5])
def test_tilted_moments_match_the_definition(layer):
    c, theta = layer[0], angle(*layer)
    t = tilt(c, theta).t
    found = tilted_moments(t, c, theta)

    def mean(function, order):
        return float(naive.moment(t, c, theta, function, order))

    def x(p, q):
        return p * q - mp.mpf(c) / 2 * (p * p + q * q)

    variance = mean(lambda p, q: x(p, q) ** 2, 2)
    assert_allclose(found.variance, variance, rtol=1e-12)
    assert_allclose(found.third, mean(lambda p, q: x(p, q) ** 3, 3), rtol=1e-11, atol=1e-11 * variance**1.5)
    assert_allclose(found.fourth, mean(lambda p, q: x(p, q) ** 4, 4) - 3 * variance**2, rtol=1e-11)
    assert_allclose(found.square, mean(lambda p, q: (p * p + q * q) / 2, 1), rtol=1e-12)
    assert_allclose(found.spread, mean(lambda p, q: (p * p - q * q) ** 2, 2), rtol=1e-12)
    assert abs(tilted_mean(t, c, theta)) <= 1e-13 * math.sqrt(variance)
