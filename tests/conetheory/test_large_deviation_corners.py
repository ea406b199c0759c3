"""Corners of `large_deviation`: two units, cosines near 1 beyond the threshold, cosines near 0, absurd widths."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory._active_pairs import pair_failure, pair_success, success_of_few
from conetheory._relu_tilt import tilt
from conetheory.contraction import preactivation_angle
from conetheory.errors import ConvergenceError
from conetheory.large_deviation import chernoff_bound, failure_probability, failure_rate
from tests import naive_large_deviation as naive


def angle(c, a, b):
    return float(preactivation_angle(c, a, b))


@pytest.mark.parametrize(
    ("layer", "error"),
    [
        ((0.5, 1, 1), 2e-6),  # of the oracle, whose integrand has kinks
        ((0.05, 1, 1), 2e-6),
        ((0.9, 100, 100), 1e-5),
        ((0.8939, 2, 1), 1e-5),
        ((0.999, 2, 1), 5e-5),
        ((1 - 1e-6, 2, 1), 5e-4),
    ],
)
def test_two_units_match_the_quadrature_of_the_definition(layer, error):
    found = failure_probability(*layer, 2)
    assert found.method == "quadrature"
    assert_allclose(found.value, naive.failure_of_two(layer[0], angle(*layer)), rtol=error)
    assert_allclose(math.exp(found.log_success), 1 - found.value, rtol=1e-12)


def test_pairs_that_fail_and_succeed_are_all_active_pairs():
    for c, theta in ((0.5, 0.7), (0.999, 1e-3), (1e-6, 1.5), (1 - 1e-15, 1e-9)):
        both, one = (math.pi - theta) / (2 * math.pi), theta / math.pi
        assert_allclose(pair_failure(c, theta) + pair_success(c, theta), both**2 + 2 * both * one, rtol=1e-14)
        assert pair_success(c, theta) > 0
    values = [pair_failure(c, 0.4) for c in np.linspace(0.01, 0.999999, 60)]
    assert np.all(np.diff(values) > 0)


# sampled from the weights themselves, 4e5 layers
@pytest.mark.parametrize(
    ("layer", "measured", "stderr"),
    [
        ((1 - 1e-6, 2, 1, 3), 0.7275, 7e-4),
        ((1 - 1e-6, 2, 1, 4), 0.8352, 6e-4),
        ((1 - 1e-6, 2, 1, 8), 0.98610, 2e-4),
        ((1 - 1e-6, 1000, 1, 5), 0.96222, 3e-4),
        ((1 - 1e-4, 10, 1, 4), 0.8983, 5e-4),
        ((1 - 1e-4, 2, 1, 4), 0.8185, 6e-4),
    ],
)
def test_beyond_the_threshold_near_cosine_one(layer, measured, stderr):
    found = failure_probability(*layer)
    assert abs(found.value - measured) <= 3.5 * stderr + found.error * found.value
    assert found.error <= 2e-3


# 2e7 sampled layers: very different norms, where the integral over eta is cut
@pytest.mark.parametrize(
    ("layer", "measured", "stderr"),
    [
        ((0.444, 0.189, 2.33, 5), 0.331752, 1.1e-4),
        ((0.737, 1.1, 0.277, 4), 0.300224, 1.0e-4),
        ((0.3, 0.05, 20, 3), 0.517266, 1.0e-4),
        ((0.5, 3, 0.1, 8), 0.425082, 1.1e-4),
        ((0.05, 0.1, 20, 5), 0.267381, 1.1e-4),
        ((0.7, 0.3, 5, 12), 0.734596, 1.3e-4),
        ((0.999, 2, 1, 4), 0.772288, 1.0e-4),
        ((1 - 1e-4, 2, 1, 4), 0.818654, 0.9e-4),
    ],
)
def test_error_covers_the_true_one(layer, measured, stderr):
    found = failure_probability(*layer)
    assert abs(found.value - measured) <= found.error * found.value + stderr
    assert found.error <= 7e-3


@pytest.mark.parametrize("layer", [(1 - 1e-9, 2, 1, 64), (1 - 1e-6, 2, 1, 64), (1 - 1e-6, 2, 1, 16)])
def test_log_success_is_above_its_lower_bound_and_near_it(layer):
    width, theta = layer[3], angle(*layer[:3])
    few = success_of_few(layer[0], theta, width)
    one_unit = math.log(width) + width * math.log((math.pi - theta) / (2 * math.pi))
    found = failure_probability(*layer)
    assert found.method == "few units"
    assert one_unit < few.log_success <= found.log_success <= one_unit + 0.5
    assert found.success_error <= 0.05


@pytest.mark.parametrize(("layer", "n"), [((0.99, 2, 1, 12), 200_000), ((0.999, 2, 1, 6), 200_000)])
def test_log_success_matches_sampling(layer, n):
    c, width = layer[0], layer[3]
    successes = n - naive.sampled_failures(c, angle(*layer[:3]), width, n, seed=3)
    found = failure_probability(*layer)
    expected = math.exp(found.log_success)
    assert abs(successes / n - expected) <= 4.5 * math.sqrt(expected / n) + found.success_error * expected


def test_saddlepoint_beyond_the_threshold_does_not_claim_what_it_lacks():
    for width in (16, 64, 256, 1024):
        found = failure_probability(1 - 1e-9, 2, 1, width)
        assert found.method == "few units"


def test_log_success_elsewhere():
    found = failure_probability(0.5, 1, 1, 64)
    assert_allclose(found.log_success, math.log1p(-found.value), rtol=1e-14)
    certain = failure_probability(1.0, 1, 1, 4)
    assert (certain.log_success, certain.success_error) == (-math.inf, 0.0)
    deep = failure_probability(0.95, 2, 1, 10**5)
    assert deep.value == 1.0
    assert deep.log_success < -1000
    assert deep.success_error < 1e-3


def test_tiny_cosines_end():
    assert_allclose(failure_rate(1e-300, 1e-6, 1e-6), math.log(2), rtol=1e-5)
    found = failure_probability(1e-300, 1e-6, 1e-6, 8)
    assert_allclose(found.value, ((math.pi + angle(1e-300, 1e-6, 1e-6)) / (2 * math.pi)) ** 8, rtol=1e-9)
    with pytest.raises(ConvergenceError, match="cosine 1e-300"):
        tilt(1e-300, 1e-12)


def test_error_covers_rounding_of_the_logarithm():
    for layer in ((0.5, 1, 1, 500), (0.9, 1, 1, 2048), (0.0, 1, 1, 300)):
        found = failure_probability(*layer)
        assert found.error >= 4e-16 * (1 + abs(found.log_value))


@pytest.mark.parametrize("function", [failure_probability, chernoff_bound])
def test_absurd_widths_are_rejected(function):
    with pytest.raises(ValueError, match="`width` must be at most 1000000000000000"):
        function(0.5, 1, 1, 10**309)
