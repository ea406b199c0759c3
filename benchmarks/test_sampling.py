"""Random layers and networks: the exact reduced law against drawing the weights, with the accuracy of each row."""

import numpy as np
import pytest

from conetheory.contraction import limiting_cosine
from conetheory.finite_width import cosine_mean_correction
from sims._kernels import fill_cosines, fill_layer_sums
from sims.deep_mlp import cone_curves
from sims.relu_layer import sample_cosines, sample_cosines_direct

WIDTH = 512
RHO = 0.5  # of orthogonal inputs of norm 1 with biases


def _z(cosines: np.ndarray) -> float:
    expected = limiting_cosine(RHO, 1.0, 1.0, sigma_b2=0.0) + cosine_mean_correction(RHO) / WIDTH
    return float((cosines.mean() - expected) / (cosines.std(ddof=1) / np.sqrt(cosines.size)))


@pytest.mark.benchmark(group="one layer, width 512, a hundred trials")
@pytest.mark.parametrize("method", ["ours", "naive"])
def test_one_layer(benchmark, method):
    trials = 100
    inputs = np.eye(2, WIDTH)
    sample = {
        "ours": lambda: sample_cosines(RHO, WIDTH, trials, rng=0),
        "naive": lambda: sample_cosines_direct(inputs[0], inputs[1], WIDTH, trials, rng=0),
    }[method]
    cosines = sample()  # compiled before it is timed
    benchmark(sample)
    benchmark.extra_info["z_of_mean"] = _z(cosines)


def reduced(trials: int) -> np.ndarray:
    """The reduced law in NumPy: two correlated normals a unit."""
    first, second = np.random.default_rng(0).standard_normal((2, trials, WIDTH))
    u, v = np.maximum(first, 0), np.maximum(RHO * first + np.sqrt(1 - RHO * RHO) * second, 0)
    return np.sum(u * v, axis=1) / np.sqrt(np.sum(u * u, axis=1) * np.sum(v * v, axis=1))


def plain(trials: int) -> np.ndarray:
    """The float64 kernel that stands beside the one in lanes."""
    half = np.arccos(RHO) / 2
    sums, out = np.empty((5, trials)), np.empty(trials)
    fill_layer_sums(np.random.default_rng(0), sums, WIDTH, np.pi / 2 + half, np.cos(half), np.sin(half))
    fill_cosines(sums, out)
    return out


@pytest.mark.benchmark(group="one layer, width 512, four thousand trials")
@pytest.mark.parametrize("method", ["ours", "plain", "naive"])
def test_reduced_law(benchmark, method):
    trials = 4096
    sample = {"ours": lambda: sample_cosines(RHO, WIDTH, trials, rng=0), "plain": lambda: plain(trials)}.get(
        method, lambda: reduced(trials)
    )
    cosines = sample()
    benchmark(sample)
    benchmark.extra_info["z_of_mean"] = _z(cosines)


@pytest.mark.benchmark(group="network of 25 layers, width 512, 16 inputs")
@pytest.mark.parametrize("method", ["ours", "naive"])
def test_deep_network(benchmark, method):
    route = {"ours": "gram", "naive": "weights"}[method]
    curve = benchmark(lambda: cone_curves("relu", 1, n_inputs=16, route=route, rng=0))
    benchmark.extra_info["last_cosine"] = float(curve[0, -1])
