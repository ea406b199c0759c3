"""Jobs on many inputs in random networks, and on the normals they are made of: ours, NumPy, torch."""

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from claims.bench.hot_loop import hot_loop
from claims.bench.job import Job, Limit, Route
from claims.bench.layers import DEPTH, WIDTH, plain
from claims.bench.limits import gemm_rate, least_seconds

__all__ = ["FIGURE_2B", "NORMALS", "WIDE_NETWORK"]


# --- normals --------------------------------------------------------------------------------------------------------

_NORMALS = 1 << 16  # 256 KiB, in the second-level cache


def _normal_z(values: Any) -> dict[str, Any]:
    """The z-score of the mean square."""
    squares = np.square(np.asarray(values, dtype=np.float64))
    return {"z": float((squares.mean() - 1) * math.sqrt(squares.size / 2))}


def _normal_limit() -> Callable[[], Limit] | None:
    from sims._layer_trials import KERNELS

    if KERNELS == "plain":
        return None

    def limit() -> Limit:
        from sims import _normal_lanes

        return Limit(
            seconds=least_seconds(hot_loop(_normal_lanes.fill_normals), _NORMALS / 32),
            of="instructions of the loop over 32 normals",
        )

    return limit


def _normals() -> dict[str, Route]:
    from sims.normals import standard_normals

    rng = np.random.default_rng(0)

    def route(call: Callable[[], Any], **more: Any) -> Route:
        return Route(call=call, work=_NORMALS, accuracy=_normal_z, **more)

    routes = {
        "ours": route(lambda: standard_normals(_NORMALS, rng=rng), limit=_normal_limit()),
        "naive": route(lambda: rng.standard_normal(_NORMALS)),
        "naive-float32": route(lambda: rng.standard_normal(_NORMALS, dtype=np.float32)),
    }
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        routes["peer-torch"] = route(lambda: torch.randn(_NORMALS))
    return routes


NORMALS = Job(
    name="standard normals, 65536 in an array",
    unit="normal",
    methods=("ours", "naive", "naive-float32", "peer-torch"),
    routes=_normals,
)


# --- networks -------------------------------------------------------------------------------------------------------


def _far_from_mean_field(curves: np.ndarray) -> dict[str, Any]:
    from conetheory.meanfield import cone_curve

    expected = float(cone_curve("relu", DEPTH, sigma_w2=1.0, sigma_b2=1 / WIDTH).rho[-1])
    error = abs(float(np.mean(curves[..., -1])) - expected)
    return {"error": error, "error_of": "mean cosine after 25 layers, from the limit of infinite width"}


def _mean_cosine(h: Any) -> float:
    norms = (h * h).sum(1) ** 0.5
    total = (h / norms[:, None]).sum(0)
    return float((total @ total - len(h)) / (len(h) * (len(h) - 1)))


def _drawn(n_inputs: int, dtype: Any) -> Callable[[], np.ndarray]:
    rng, sd = np.random.default_rng(1), dtype(math.sqrt(1 / WIDTH))

    def sample() -> np.ndarray:
        h = rng.standard_normal((n_inputs, WIDTH), dtype)
        curve = [_mean_cosine(h)]
        for _ in range(DEPTH):
            weights, bias = rng.standard_normal((WIDTH, WIDTH), dtype), rng.standard_normal(WIDTH, dtype)
            h = np.maximum(h @ (sd * weights) + sd * bias, 0)
            curve.append(_mean_cosine(h))
        return np.array(curve)

    return sample


def _by_torch(n_inputs: int) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(1)
    sd = math.sqrt(1 / WIDTH)

    @torch.no_grad()
    def sample() -> np.ndarray:
        h = torch.randn(n_inputs, WIDTH)
        curve = [_mean_cosine(h)]
        for _ in range(DEPTH):
            h = torch.relu(torch.addmm(sd * torch.randn(WIDTH), h, sd * torch.randn(WIDTH, WIDTH)))
            curve.append(_mean_cosine(h))
        return np.array(curve)

    return sample


def _product_limit(n_inputs: int) -> Limit:
    flops = 2.0 * n_inputs * WIDTH**2 * DEPTH
    return Limit(seconds=flops / gemm_rate(np.float32), of="the matrix products alone, by NumPy in float32")


def _network(n_inputs: int, n_networks: int) -> Callable[[], dict[str, Route]]:
    def routes() -> dict[str, Route]:
        from sims.deep_mlp import cone_curves

        def ours(n: int) -> Callable[[], np.ndarray]:
            return lambda: cone_curves("relu", n, width=WIDTH, n_inputs=n_inputs, depth=DEPTH, rng=0)

        def route(call: Callable[[], np.ndarray], n: int = 1, **more: Any) -> Route:
            return Route(call=call, work=n, accuracy=_far_from_mean_field, **more)

        drawn = n_inputs > WIDTH // 4  # weights: there is a product that nothing avoids
        found = {
            "ours": route(ours(n_networks), n_networks, limit=(lambda: _product_limit(n_inputs)) if drawn else None),
            "plain": route(plain(ours(1))),
            "naive": route(_drawn(n_inputs, np.float64)),
            "naive-float32": route(_drawn(n_inputs, np.float32)),
        }
        return found | ({"peer-torch": route(_by_torch(n_inputs))} if find_spec("torch") else {})

    return routes


_METHODS = ("ours", "plain", "naive", "naive-float32", "peer-torch")
WIDE_NETWORK = Job(name="16 inputs, 25 layers of 512 units", unit="network", methods=_METHODS, routes=_network(16, 16))
FIGURE_2B = Job(
    name="1000 inputs, 25 layers of 512 units (Fig. 2b)", unit="network", methods=_METHODS, routes=_network(1000, 1)
)
