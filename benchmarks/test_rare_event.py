"""Failures of Theorem 1 sampled: seconds for equal accuracy, at a failure that plain sampling sees and at rare ones."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numba import types

from claims.bench.hot_loop import loops
from claims.bench.layers import plain_kernels
from claims.bench.limits import least_seconds
from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_probability
from sims._tilted_lanes import LaneLaw, _both, _one
from sims.rare_event import _tilted_law, sample_tilted_failures
from sims.relu_layer import count_failures
from tests.naive_rare_event import tilted_log_weights

COSINE = 0.9
ANGLE = float(preactivation_angle(COSINE, 1.0, 1.0))
TILT = dominating_tilt(COSINE, ANGLE).t


def _tilted(width: int, trials: int) -> tuple[float, float]:
    sample = sample_tilted_failures(COSINE, 1.0, 1.0, width, n_trials=trials, rng=0)
    return sample.log_value, sample.relative_stderr


def _plain(width: int, trials: int) -> tuple[float, float]:
    with plain_kernels():
        return _tilted(width, trials)


def _counted(width: int, trials: int) -> tuple[float, float]:
    share = count_failures(COSINE, 1.0, 1.0, width, n_trials=trials, rng=0) / trials
    return math.log(share), math.sqrt((1 - share) / share / trials)


def _drawn(width: int, trials: int) -> tuple[float, float]:
    """Draw in NumPy, with nothing integrated out."""
    weights = np.exp(tilted_log_weights(COSINE, ANGLE, width, TILT, trials, rng=0))
    return math.log(weights.mean()), float(weights.std(ddof=1) / weights.mean()) / math.sqrt(trials)


def _measured(benchmark, sample: Callable[[int, int], tuple[float, float]], width: int, trials: int) -> None:
    """Time `sample`; its work is the share of an estimate to two per cent that it does."""
    log_value, relative = sample(width, trials)  # compiled before it is timed
    benchmark(lambda: sample(width, trials))
    exact = failure_probability(COSINE, 1.0, 1.0, width).log_value
    benchmark.extra_info |= {
        "work": (0.02 / relative) ** 2,
        "unit": "estimate to 2 %",
        "trials": trials,
        "z": math.expm1(log_value - exact) / relative,
    }


@pytest.mark.benchmark(group="P(failure) = 1e-2 at cosine 0.9, width 64, to 2 %")
@pytest.mark.parametrize("method", ["ours", "plain", "counted", "naive"])
def test_seen_failure(benchmark, method):
    sample = {"ours": _tilted, "plain": _plain, "counted": _counted, "naive": _drawn}[method]
    _measured(benchmark, sample, 64, {"ours": 65_536, "plain": 16_384, "counted": 250_000, "naive": 4_000}[method])


@pytest.mark.benchmark(group="P(failure) = 6e-11 at cosine 0.9, width 512, to 2 %")
@pytest.mark.parametrize("method", ["ours", "plain", "naive"])
def test_rare_failure(benchmark, method):
    sample = {"ours": _tilted, "plain": _plain, "naive": _drawn}[method]
    trials = {"ours": 32_768, "plain": 4_096, "naive": 1_000}[method]
    _measured(benchmark, sample, 512, trials)
    if method == "ours":
        benchmark.extra_info |= {"limit_seconds": _least_seconds(512, trials), "limit_of": "instructions a unit"}


@pytest.mark.benchmark(group="P(failure) = 5e-74 at cosine 0.9, width 4096, to 2 %")
@pytest.mark.parametrize("method", ["ours", "plain"])
def test_very_rare_failure(benchmark, method):
    sample, trials = {"ours": (_tilted, 4_096), "plain": (_plain, 1_024)}[method]
    _measured(benchmark, sample, 4096, trials)
    if method == "ours":
        benchmark.extra_info |= {"limit_seconds": _least_seconds(4096, trials), "limit_of": "instructions a unit"}


def _least_seconds(width: int, trials: int) -> float:
    """Return the least time of drawing every active unit once."""
    law, _ = _tilted_law(COSINE, ANGLE, TILT)
    signature = _loop_signature()
    seconds = 0.0
    for kernel, share in ((_both, law.both), (_one, 1 - law.both)):
        loop = max(loops(kernel, signature), key=lambda loop: loop.vector)
        seconds += least_seconds(loop, width * law.active * share / 16 * trials)
    return seconds


def _loop_signature():
    from sims._simd import _U

    return (_U, _U, _U, _U, _U, types.int64, _U, types.NamedUniTuple(types.float32, 5, LaneLaw))
