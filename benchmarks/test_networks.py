"""Layers of wide networks by the number of inputs: ours, weights drawn in NumPy, and in torch; a layer is the unit.

Up to a quarter as many inputs as units ours draws the pre-activations from the inputs' Gram matrix, beyond that the
weights, in float32: there the matrix product is the limit, which NumPy runs twice as fast as that of float64.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Limit, Route, Row, measure
from claims.bench.limits import gemm_rate
from conetheory.meanfield import cone_curve
from sims.deep_mlp import cone_curves, mean_offdiagonal_cosine

CASES = {  # width, inputs: layers, networks of one call of ours
    (512, 2): (8, 64),
    (512, 16): (8, 16),
    (512, 64): (8, 4),
    (512, 128): (8, 2),
    (512, 256): (4, 1),
    (512, 512): (4, 1),
    (512, 1000): (4, 1),
    (4096, 64): (2, 1),
}
METHODS = ("ours", "naive", "naive-float32", "peer-torch")


def drawn(width: int, n_inputs: int, layers: int, dtype: Any) -> np.ndarray:
    """Return the curve of one network from its weights and biases, in NumPy."""
    rng, sd = np.random.default_rng(1), dtype(math.sqrt(1 / width))
    h = rng.standard_normal((n_inputs, width), dtype)
    curve = [mean_offdiagonal_cosine(h)]
    for _ in range(layers):
        weights, bias = rng.standard_normal((width, width), dtype), rng.standard_normal(width, dtype)
        h = np.maximum(h @ (sd * weights) + sd * bias, 0)
        curve.append(mean_offdiagonal_cosine(h))
    return np.array([curve])


def by_torch(width: int, n_inputs: int, layers: int) -> np.ndarray:
    """Return the same curve, in torch."""
    import torch

    torch.set_num_threads(1)
    sd, curve = math.sqrt(1 / width), []
    with torch.no_grad():
        h = torch.randn(n_inputs, width)
        for layer in range(layers + 1):
            if layer:
                h = torch.relu(torch.addmm(sd * torch.randn(width), h, sd * torch.randn(width, width)))
            total = (h / h.norm(dim=1, keepdim=True)).sum(0)
            curve.append(float((total @ total - n_inputs) / (n_inputs * (n_inputs - 1))))
    return np.array([curve])


def routes(width: int, n_inputs: int) -> dict[str, Route]:
    layers, networks = CASES[width, n_inputs]
    expected = float(cone_curve("relu", layers, sigma_b2=1 / width).rho[-1])

    def accuracy(curves: np.ndarray) -> dict[str, Any]:
        error = abs(float(np.mean(curves[:, -1])) - expected)
        return {"error": error, "error_of": "mean cosine after the last layer, from the limit of infinite width"}

    def product() -> Limit:
        seconds = networks * layers * 2.0 * n_inputs * width**2 / gemm_rate(np.float32)
        return Limit(seconds=seconds, of="the matrix products alone, by NumPy in float32")

    def route(call: Callable[[], np.ndarray], n: int = 1, **more: Any) -> Route:
        return Route(call=call, work=n * layers, accuracy=accuracy, **more)

    ours = partial(cone_curves, "relu", networks, width=width, n_inputs=n_inputs, depth=layers, rng=0)
    found = {
        "ours": route(ours, networks, limit=product if 4 * n_inputs > width else None),
        "naive": route(partial(drawn, width, n_inputs, layers, np.float64)),
        "naive-float32": route(partial(drawn, width, n_inputs, layers, np.float32)),
    }
    return found | ({"peer-torch": route(partial(by_torch, width, n_inputs, layers))} if find_spec("torch") else {})


@cache
def rows_of(width: int, n_inputs: int) -> dict[str, Row]:
    name = f"a layer of {width} units, {n_inputs} inputs"
    job = Job(name=name, unit="layer", methods=METHODS, routes=partial(routes, width, n_inputs))
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("width", "n_inputs"), CASES)
def test_layer(benchmark, width, n_inputs, method):
    rows = rows_of(width, n_inputs)
    if method not in rows:
        pytest.skip("torch is not installed")
    replay_row(benchmark, rows[method])
