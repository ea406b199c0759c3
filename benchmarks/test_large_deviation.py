"""Failure of Theorem 1: its rate and its probability, against mpmath and counting, with each row's accuracy."""

import math

import mpmath as mp
import pytest

from conetheory._relu_tilt import tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_probability, failure_rate
from sims.relu_layer import count_failures
from tests import naive_large_deviation as naive

_RATE = 0.0402591419619  # of c0 = .9 and unit norms, 12 digits
_FAILURE = 0.010113264479  # at 64 units, by inversion with two grids


@pytest.mark.benchmark(group="rate of failure, c0 = 0.9")
@pytest.mark.parametrize("method", ["ours", "mpmath"])
def test_rate(benchmark, method):
    def slow() -> float:
        theta = float(preactivation_angle(0.9, 1, 1))
        with mp.workdps(25):
            return float(naive.rate(0.9, theta, tilt(0.9, theta).t))

    rate = benchmark({"ours": lambda: failure_rate(0.9, 1, 1), "mpmath": slow}[method])
    benchmark.extra_info["relative_error"] = abs(rate / _RATE - 1)


@pytest.mark.benchmark(group="probability of failure, c0 = 0.9, 64 units")
@pytest.mark.parametrize("method", ["ours", "naive"])
def test_probability(benchmark, method):
    trials = 100_000
    route = {
        "ours": lambda: failure_probability(0.9, 1, 1, 64).value,
        "naive": lambda: count_failures(0.9, 1, 1, 64, n_trials=trials, rng=0) / trials,
    }[method]
    route()  # compiled before it is timed
    benchmark.extra_info["relative_error"] = abs(benchmark(route) / _FAILURE - 1)


@pytest.mark.benchmark(group="probability of failure, c0 = 0.9, by width")
@pytest.mark.parametrize("width", [8, 256, 4096])
def test_width(benchmark, width):
    found = benchmark(lambda: failure_probability(0.9, 1, 1, width))
    benchmark.extra_info |= {"method": found.method, "log10": found.log_value / math.log(10), "error": found.error}
