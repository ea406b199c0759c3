"""Failures of Theorem 1 sampled: seconds for equal accuracy, a rare failure and one that plain sampling sees."""

import math

import numpy as np
import pytest

from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_probability
from sims.rare_event import sample_failure_probability
from sims.relu_layer import count_failures
from tests.naive_rare_event import tilted_log_weights


def _report(benchmark, value: float, stderr: float, trials: int, exact: float) -> None:
    benchmark.extra_info["relative_stderr"] = stderr / value
    benchmark.extra_info["trials_for_two_per_cent"] = math.ceil(trials * (stderr / value / 0.02) ** 2)
    benchmark.extra_info["z"] = (value - exact) / stderr


@pytest.mark.benchmark(group="P(failure) = 1e-2 at cosine 0.9, width 64, to 2 %")
@pytest.mark.parametrize("method", ["ours", "naive"])
def test_seen_failure(benchmark, method):
    exact = failure_probability(0.9, 1.0, 1.0, 64).value
    trials = {"ours": 1_000, "naive": 250_000}[method]

    def sample() -> tuple[float, float]:
        if method == "ours":
            estimate = sample_failure_probability(0.9, 1.0, 1.0, 64, n_trials=trials, rng=0)
            return estimate.value, estimate.stderr
        share = count_failures(0.9, 1.0, 1.0, 64, n_trials=trials, rng=0) / trials
        return share, math.sqrt(share * (1 - share) / trials)

    found = sample()  # compiled before it is timed
    benchmark(sample)
    _report(benchmark, *found, trials, exact)


@pytest.mark.benchmark(group="P(failure) = 2e-11 at cosine 0.9, width 512, a thousand trials")
@pytest.mark.parametrize("method", ["ours", "naive"])
def test_rare_failure(benchmark, method):
    exact, theta = failure_probability(0.9, 1.0, 1.0, 512).value, float(preactivation_angle(0.9, 1.0, 1.0))
    tilt = dominating_tilt(0.9, theta).t

    def sample() -> tuple[float, float]:
        if method == "ours":
            estimate = sample_failure_probability(0.9, 1.0, 1.0, 512, n_trials=1_000, rng=0)
            return estimate.value, estimate.stderr
        weights = np.exp(tilted_log_weights(0.9, theta, 512, tilt, 1_000, rng=0))  # NumPy, nothing integrated out
        return float(weights.mean()), float(weights.std(ddof=1)) / math.sqrt(weights.size)

    found = sample()
    benchmark(sample)
    _report(benchmark, *found, 1_000, exact)
