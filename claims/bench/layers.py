"""Jobs on two inputs in random layers: one layer, a chain of them; ours, the definition in NumPy, and in torch."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np

from claims.bench.hot_loop import HotLoop, loops
from claims.bench.job import Job, Limit, Route
from claims.bench.limits import least_seconds

__all__ = ["CHAIN", "DEPTH", "ONE_LAYER", "RHO", "WIDTH", "one_layer_z", "plain", "plain_kernels"]

WIDTH, RHO, DEPTH = 512, 0.5, 25


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Let the plain kernels run, as ``CONETHEORY_KERNELS=plain`` does; undone on leaving."""
    modules: list[Any] = [module for name, module in list(sys.modules.items()) if name.startswith("sims.")]
    rooms = [room for room in modules if hasattr(room, "KERNELS")]
    chosen = [room.KERNELS for room in rooms]
    try:
        for room in rooms:
            room.KERNELS = "plain"
        yield
    finally:
        for room, kernels in zip(rooms, chosen, strict=True):
            room.KERNELS = kernels


def plain(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return `call` with the plain kernels."""

    def with_plain_kernels() -> Any:
        with plain_kernels():
            return call()

    return with_plain_kernels


def _inputs(rho: float, dim: int) -> np.ndarray:
    """Return two unit columns of cosine `rho`, shape (dim, 2), no coordinate of which is 0."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, 2)))[0]
    return basis @ np.array([[1, rho], [0, math.sqrt(1 - rho * rho)]])


def _cosine(h: Any) -> float:
    """Return the cosine of the columns of `h`, shape (d, 2)."""
    inner = h.T @ h
    return float(inner[0, 1]) / math.sqrt(float(inner[0, 0]) * float(inner[1, 1]))


# --- one layer ------------------------------------------------------------------------------------------------------


def one_layer_z(cosines: np.ndarray) -> dict[str, float]:
    """Return the z-score of the mean cosine of layers of `WIDTH` units at `RHO`, with the known mean and variance."""
    from conetheory.finite_width import cosine_expansion

    law = cosine_expansion(RHO)
    powers = float(WIDTH) ** -np.arange(4)
    mean, variance = float(law.mean @ powers), float(law.variance @ powers)
    return {"z": (float(np.mean(cosines)) - mean) / math.sqrt(variance / len(cosines))}


def _drawn_layers(trials: int, dtype: Any = np.float64) -> Callable[[], np.ndarray]:
    rng, inputs = np.random.default_rng(1), _inputs(RHO, WIDTH).astype(dtype)

    def sample() -> np.ndarray:
        weights = (rng.standard_normal((WIDTH, WIDTH), dtype) for _ in range(trials))
        return np.array([_cosine(np.maximum(w @ inputs, 0)) for w in weights])

    return sample


def _reduced_layers(trials: int) -> Callable[[], np.ndarray]:
    """Two correlated normals a unit, in NumPy."""
    rng = np.random.default_rng(1)

    def sample() -> np.ndarray:
        first, second = rng.standard_normal((2, trials, WIDTH))
        u, v = np.maximum(first, 0), np.maximum(RHO * first + math.sqrt(1 - RHO * RHO) * second, 0)
        inner, norm_u, norm_v = (np.einsum("ij,ij->i", a, b) for a, b in ((u, v), (u, u), (v, v)))
        return inner / np.sqrt(norm_u * norm_v)

    return sample


def _torch_layers(trials: int) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(1)
    inputs = torch.from_numpy(_inputs(RHO, WIDTH)).float()

    @torch.no_grad()
    def sample() -> np.ndarray:
        return np.array([_cosine(torch.relu(torch.randn(WIDTH, WIDTH) @ inputs)) for _ in range(trials)])

    return sample


def _layer_limit(trials: int) -> Callable[[], Limit] | None:
    """Return the limit of drawing every active unit once: as many are active for both inputs as the angle leaves."""
    from sims._layer_trials import KERNELS

    if KERNELS == "plain":
        return None
    one = math.acos(RHO) / math.pi
    units = {"sum_one": one * WIDTH, "sum_both": (1 - one) / 2 * WIDTH}

    def limit() -> Limit:
        from numba import types

        from sims import _lane_kernels

        row, words = types.Array(types.float32, 1, "C"), types.Array(types.uint32, 1, "C")
        signature = (words, words, row, types.Array(types.float32, 2, "C"))
        seconds = sum(
            least_seconds(_common_case(loops(getattr(_lane_kernels, name), signature)), count / 16 * trials)
            for name, count in units.items()
        )
        return Limit(seconds=seconds, of="instructions of the two loops over active units")

    return limit


def _common_case(found: tuple[HotLoop, ...]) -> HotLoop:
    """Return the shorter one of the loops that do arithmetic: the other one is for lanes of which some have ended."""
    return min((loop for loop in found if loop.multiplies), key=lambda loop: loop.vector)


def _one_layer() -> dict[str, Route]:
    from sims.relu_layer import sample_cosines

    def route(sample: Callable[[], np.ndarray], trials: int, **more: Any) -> Route:
        return Route(call=sample, work=trials, accuracy=one_layer_z, **more)

    def ours(trials: int) -> Callable[[], np.ndarray]:
        return lambda: sample_cosines(RHO, WIDTH, trials, rng=0)

    routes = {
        "ours": route(ours(16384), 16384, limit=_layer_limit(16384)),
        "plain": route(plain(ours(512)), 512),
        "reduced": route(_reduced_layers(64), 64),
        "naive": route(_drawn_layers(4), 4),
        "naive-float32": route(_drawn_layers(4, np.float32), 4),
    }
    return routes | ({"peer-torch": route(_torch_layers(8), 8)} if find_spec("torch") else {})


ONE_LAYER = Job(
    name="one ReLU layer, 512 inputs and units, cosine 0.5",
    unit="trial",
    methods=("ours", "plain", "reduced", "naive", "naive-float32", "peer-torch"),
    routes=_one_layer,
)


# --- two inputs, many layers ----------------------------------------------------------------------------------------


def _chain_z(cosines: np.ndarray) -> dict[str, float]:
    """Return the z-score of the mean of ln tan²(θ/2) after the last layer, against its computed law."""
    from conetheory.angle_law import angle_law

    law, x = angle_law(math.acos(RHO), WIDTH, DEPTH), np.log((1 - cosines) / (1 + cosines))
    return {"z": float((np.mean(x) - law.mean) / math.sqrt(law.variance / x.size))}


def _drawn_chains(networks: int, dtype: Any = np.float64) -> Callable[[], np.ndarray]:
    rng, inputs, sd = np.random.default_rng(1), _inputs(RHO, WIDTH).astype(dtype), math.sqrt(2 / WIDTH)

    def one() -> float:
        h = inputs
        for _ in range(DEPTH):
            h = np.maximum(rng.standard_normal((WIDTH, WIDTH), dtype) @ (dtype(sd) * h), 0)
        return _cosine(h)

    return lambda: np.array([one() for _ in range(networks)])


def _chain() -> dict[str, Route]:
    from sims.angle_chain import sample_angle_chains

    def ours(n: int) -> Callable[[], np.ndarray]:
        return lambda: sample_angle_chains(math.acos(RHO), WIDTH, DEPTH, n, rng=0).cosine[:, -1]

    return {
        "ours": Route(call=ours(512), work=512, accuracy=_chain_z),
        "plain": Route(call=plain(ours(16)), work=16, accuracy=_chain_z),
        "naive": Route(call=_drawn_chains(1), work=1, accuracy=_chain_z),
    }


CHAIN = Job(
    name="two inputs, 25 layers of 512 units", unit="network", methods=("ours", "plain", "naive"), routes=_chain
)
