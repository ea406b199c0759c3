"""Failure of Theorem 1: its rate against mpmath, and what its probability costs by width, with each row's accuracy."""

import math

import mpmath as mp
import pytest

from conetheory._relu_tilt import tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_probability, failure_rate
from tests import naive_large_deviation as naive

_RATE = 0.0402591419619  # of c0 = .9 and unit norms, 12 digits


@pytest.mark.benchmark(group="rate of failure, c0 = 0.9")
@pytest.mark.parametrize("method", ["ours", "naive-mpmath"])
def test_rate(benchmark, method):
    def slow() -> float:
        theta = float(preactivation_angle(0.9, 1, 1))
        with mp.workdps(25):
            return float(naive.rate(0.9, theta, tilt(0.9, theta).t))

    rate = benchmark({"ours": lambda: failure_rate(0.9, 1, 1), "naive-mpmath": slow}[method])
    benchmark.extra_info |= {"unit": "rate", "error": abs(rate / _RATE - 1), "error_of": "relative"}


@pytest.mark.benchmark(group="probability of failure, c0 = 0.9, by width")
@pytest.mark.parametrize("width", [8, 256, 4096])
def test_width(benchmark, width):
    found = benchmark(lambda: failure_probability(0.9, 1, 1, width))
    benchmark.extra_info |= {
        "route": found.method,
        "log10": found.log_value / math.log(10),
        "error": found.error,
        "error_of": "relative, as stated",
    }
