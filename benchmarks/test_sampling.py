"""Other weights and other counts: what the kernels of one layer give beside drawing the weights."""

import numpy as np
import pytest

from claims.bench.layers import one_layer_z, plain_kernels
from conetheory.large_deviation import failure_probability
from sims.relu_layer import count_failures, sample_cosines

RHO, WIDTH = 0.5, 512


@pytest.mark.benchmark(group="one ReLU layer by width: trials of 32, 512 and 4096 units")
@pytest.mark.parametrize("width", [32, 512, 4096])
def test_one_layer_by_width(benchmark, width):
    trials = 2**21 // width
    cosines = sample_cosines(RHO, width, trials, rng=0)
    benchmark(lambda: sample_cosines(RHO, width, trials, rng=0))
    benchmark.extra_info |= {"work": trials, **(one_layer_z(cosines) if width == WIDTH else {})}


@pytest.mark.benchmark(group="counted failures at cosine 0.9, 64 units")
@pytest.mark.parametrize("method", ["ours", "plain"])
def test_counted_failures(benchmark, method):
    trials = {"ours": 65536, "plain": 8192}[method]
    exact = failure_probability(0.9, 1.0, 1.0, 64).value

    def count() -> int:
        return count_failures(0.9, 1.0, 1.0, 64, n_trials=trials, rng=0)

    def plain() -> int:
        with plain_kernels():
            return count()

    call = {"ours": count, "plain": plain}[method]
    share = call() / trials
    benchmark(call)
    benchmark.extra_info |= {
        "work": trials,
        "unit": "trial",
        "z": float((share - exact) / np.sqrt(exact * (1 - exact) / trials)),
    }
