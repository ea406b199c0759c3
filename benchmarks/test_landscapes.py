"""Landscapes beyond those of ``conetheory bench``: temperatures without a common unit, all pairs at once, the sphere.

Rows of one group differ in how many pairs and shifts they do; `work` counts what is compared: cosines times shifts.
"""

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Route, Row, measure
from claims.bench.landscapes import TEMPERATURES, naive_landscape
from claims.bench.layers import plain
from conetheory.shift import critical_temperature
from sims.displaced_pairs import displaced_landscape, latitude
from sims.mismatched_sphere import directional_landscape, sphere_points
from sims.shift_bootstrap import bootstrap_critical_temperature
from sims.shift_clouds import sample_parallel_clouds
from sims.shift_landscape import shift_landscape
from sims.shuffled_pairs import shuffled_pairing

GENERIC = 1 / np.array([1.3, 11.0, 23.0, 37.0, 53.0, 97.0])
SCALES = np.array([1.0, 5.0, 20.0, 35.0, 50.0, 100.0])
DIM = 512
ERROR = "loss, against float64 by definition"


def cones(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shared, one, other = rng.standard_normal((3, n, DIM))
    x, y = shared + 0.7 * one, shared + 0.7 * other
    x[:, 0] += 25
    y[:, 1] += 25
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


def torch_loss(x: np.ndarray, y: np.ndarray, lam: float, batch: int, temperatures: np.ndarray) -> np.ndarray:
    """Return the losses of one shift by torch in float32: shift, normalise, multiply, log-sum-exp both ways."""
    import torch

    torch.set_num_threads(1)
    with torch.no_grad():
        u, v = torch.from_numpy(x).float(), torch.from_numpy(y).float()
        gap = u.mean(0) - v.mean(0)
        u, v = (torch.nn.functional.normalize(rows, dim=1) for rows in (u - lam * gap, v + lam * gap))
        cosines = torch.bmm(u.view(-1, batch, DIM), v.view(-1, batch, DIM).transpose(1, 2))
        losses = []
        for temperature in temperatures:
            logits = cosines / float(temperature)
            right = logits.diagonal(dim1=1, dim2=2)
            losses.append(float((logits.logsumexp(2) + logits.logsumexp(1) - 2 * right).mean() / 2))
    return np.array(losses)[:, None]


def shift_routes(n: int, batch: int, n_small: int, lambdas: np.ndarray, temperatures: np.ndarray) -> dict[str, Route]:
    """Return our route and torch's on `n` pairs, the slow ones on `n_small` of them and one shift."""
    x, y = cones(n)
    few, small = slice(0, n_small), min(batch, n_small)
    one = lambdas[:1]
    exact = naive_landscape(x[few], y[few], one, small, temperatures)

    def ours(rows: slice, shifts: np.ndarray, size: int) -> np.ndarray:
        return shift_landscape(x[rows], y[rows], shifts, temperatures, batch=size).loss

    def accuracy(loss: np.ndarray) -> dict[str, Any]:
        return {"error": float(np.max(np.abs(loss[:, :1] - exact))), "error_of": ERROR}

    mine = accuracy(ours(few, one, small))  # of the same pairs
    routes = {
        "ours": Route(
            call=lambda: ours(slice(0, n), lambdas, batch), work=n * batch * lambdas.size, accuracy=lambda _: mine
        ),
        "plain": Route(call=plain(lambda: ours(few, one, small)), work=n_small * small, accuracy=accuracy),
        "naive": Route(
            call=lambda: naive_landscape(x[few], y[few], one, small, temperatures),
            work=n_small * small,
            accuracy=accuracy,
        ),
    }
    if find_spec("torch"):
        theirs = accuracy(torch_loss(x[few], y[few], float(one[0]), small, temperatures))
        routes["peer-torch"] = Route(
            call=lambda: torch_loss(x, y, float(one[0]), batch, temperatures),
            work=n * batch,
            accuracy=lambda _: theirs,
        )
    return routes


def naive_losses(images: np.ndarray, paths: Iterable[np.ndarray]) -> np.ndarray:
    """Return the symmetric losses (scales, steps) of texts given at every step, by the formula in NumPy."""
    losses = []
    for texts in paths:
        cosines = images @ texts.T
        for scale in SCALES:
            logits = scale * cosines
            both = [np.log(np.exp(logits - logits.max()).sum(axis)) + logits.max() for axis in (0, 1)]
            losses.append(np.mean(sum(both) / 2 - np.diagonal(logits)))
    return np.reshape(losses, (-1, SCALES.size)).T


def sphere_routes() -> dict[str, Route]:
    """Return ours and the formula in NumPy: six pairs, half a degree a step, six scales."""
    images = np.arange(6) * 20.0 - 20.0
    texts = images[[1, 0, 2, 3, 4, 5]]
    steps = np.linspace(-90, 90, 361)

    def ours() -> np.ndarray:
        curves = directional_landscape(images, texts, steps, SCALES)
        return (curves.image_to_text + curves.text_to_image) / 2

    def naive() -> np.ndarray:
        return naive_losses(sphere_points(images, 90), (sphere_points(texts, 90 + step) for step in steps))

    def accuracy(loss: np.ndarray) -> dict[str, Any]:
        return {"error": float(np.max(np.abs(loss - naive()))), "error_of": "loss, against NumPy"}

    return {"ours": Route(call=ours, accuracy=accuracy), "naive": Route(call=naive, accuracy=accuracy)}


def displaced_routes() -> dict[str, Route]:
    """Return ours and the formula in NumPy: 64 pairs in 16 dimensions, 61 latitudes, six scales."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((64, 16))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    path, steps = latitude(images[shuffled_pairing(64, 16, rng=rng)]), np.linspace(-1.5, 1.5, 61)

    def ours() -> np.ndarray:
        return displaced_landscape(images, path.at(steps), SCALES).symmetric

    def naive() -> np.ndarray:
        return naive_losses(np.pad(images, ((0, 0), (0, 1))), path.at(steps))

    def accuracy(loss: np.ndarray) -> dict[str, Any]:
        return {"error": float(np.max(np.abs(loss - naive()))), "error_of": "loss, against NumPy"}

    return {"ours": Route(call=ours, accuracy=accuracy), "naive": Route(call=naive, accuracy=accuracy)}


def bootstrap_routes() -> dict[str, Route]:
    """Return ours, and the root of the closed-form slope of resampled rows, one replicate over one order at a time."""
    clouds = sample_parallel_clouds(16, 0.5, 0.4, 250, rng=0)
    x, y, replicates = clouds.x, clouds.y, 64
    exact = critical_temperature(x, y, batch=None)

    def ours() -> float:
        return float(
            np.mean(bootstrap_critical_temperature(x, y, n_bootstrap=replicates, n_orders=1, rng=0).replicates)
        )

    def naive() -> float:
        places = np.random.default_rng(0).integers(len(x), size=len(x))
        return critical_temperature(x[places], y[places])

    error = abs(bootstrap_critical_temperature(x, y, batch=None, n_bootstrap=1, rng=0).value - exact)
    accuracy = {"error": error, "error_of": "temperature of the given pairs in one batch, against float64"}
    return {
        "ours": Route(call=ours, work=replicates, accuracy=lambda _: accuracy),
        "naive": Route(call=naive, accuracy=lambda _: {"error": 0.0, "error_of": "float64 itself"}),
    }


METHODS = ("ours", "plain", "naive", "peer-torch")
JOBS = {
    job.name: job
    for job in (
        Job(
            name="shift landscape, batches of 50, six temperatures without a common unit",
            unit="cosine and shift",
            methods=METHODS,
            routes=lambda: shift_routes(5000, 50, 5000, np.linspace(-0.5, 1.5, 200), GENERIC),
        ),
        Job(
            name="shift landscape, 4992 pairs in one batch (NumPy 1536), six temperatures",
            unit="cosine and shift",
            methods=METHODS,
            routes=lambda: shift_routes(4992, 4992, 1536, np.linspace(-0.5, 1.5, 48), TEMPERATURES),
        ),
        Job(
            name="bootstrap of the critical temperature, 500 pairs in batches of 50",
            unit="replicate",
            methods=("ours", "naive"),
            routes=bootstrap_routes,
        ),
        Job(name="sphere landscape, six pairs", unit="landscape", methods=("ours", "naive"), routes=sphere_routes),
        Job(
            name="displaced pairs, 64 in 16 dimensions, 61 latitudes, six scales",
            unit="landscape",
            methods=("ours", "naive"),
            routes=displaced_routes,
        ),
    )
}


@cache
def rows_of(job: Job) -> dict[str, Row]:
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize(("job", "method"), [(name, method) for name, job in JOBS.items() for method in job.methods])
def test_landscape(benchmark, job, method):
    rows = rows_of(JOBS[job])
    if method not in rows:
        pytest.skip("torch is not installed")
    replay_row(benchmark, rows[method])
