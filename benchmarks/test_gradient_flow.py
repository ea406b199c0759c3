"""The CLIP loss and its gradient, what each stage of a flow of free features asks for; torch by autograd beside it."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Limit, Route, Row, measure
from claims.bench.limits import gemm_rate
from conetheory.contrastive_gradient import contrastive_gradient
from sims._flow_gather import Gather
from sims._flow_gradient import clip_gradient, in_order
from sims.flow_starts import uniform_start

BETA = 1 / 0.07
DIM = 64


def torch_gradient(x: np.ndarray, y: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return 2n times the gradients of `torch.nn.functional.cross_entropy` in both directions."""
    import torch

    torch.set_num_threads(1)
    u, v = (torch.from_numpy(rows).to(getattr(torch, kind)).requires_grad_() for rows in (x, y))
    log_beta = torch.tensor(float(np.log(BETA)), dtype=u.dtype, requires_grad=True)
    logits = log_beta.exp() * (u @ v.T)
    labels = torch.arange(len(x))
    loss = (torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.T, labels)) / 2
    loss.backward()
    assert u.grad is not None
    assert v.grad is not None
    return 2 * len(x) * u.grad.numpy(), 2 * len(x) * v.grad.numpy()


def our_gradient(x: np.ndarray, y: np.ndarray, *, single: bool, gather: Gather) -> tuple[np.ndarray, np.ndarray]:
    found = clip_gradient(x, y, BETA, single=single, gather=gather)
    return found.x, found.y


def naive_gradient(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = contrastive_gradient(x, y, 1 / BETA)
    return 2 * len(x) * found.gradient_x, 2 * len(x) * found.gradient_y


def gradient_routes(n: int) -> dict[str, Route]:
    start = uniform_start(n, DIM, rng=0)
    x, y, gather = start.x, start.y, in_order(1)  # its memory serves all gradients of a flow
    exact = naive_gradient(x, y)

    def accuracy(found: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
        worst = max(np.max(np.abs(mine - true)) / np.max(np.abs(true)) for mine, true in zip(found, exact, strict=True))
        return {"error": float(worst), "error_of": "gradient, relative to its largest entry"}

    def limit() -> Limit:
        return Limit(seconds=3 * 2 * n**2 * DIM / gemm_rate(np.float32), of="three matrix products in float32")

    routes = {
        "ours": Route(call=lambda: our_gradient(x, y, single=True, gather=gather), accuracy=accuracy, limit=limit),
        "plain": Route(call=lambda: our_gradient(x, y, single=False, gather=gather), accuracy=accuracy),
        "naive": Route(call=lambda: naive_gradient(x, y), accuracy=accuracy),
    }
    if find_spec("torch"):
        routes["peer-torch"] = Route(call=lambda: torch_gradient(x, y, "float32"), accuracy=accuracy)
        routes["peer-torch-double"] = Route(call=lambda: torch_gradient(x, y, "float64"), accuracy=accuracy)
    return routes


METHODS = ("ours", "plain", "naive", "peer-torch", "peer-torch-double")
JOBS = {
    job.name: job
    for job in (
        Job(name=f"CLIP gradient, {n} pairs", unit="gradient", methods=METHODS, routes=lambda n=n: gradient_routes(n))
        for n in (512, 2048, 4096)
    )
}


@cache
def rows_of(job: Job) -> dict[str, Row]:
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize(("job", "method"), [(name, method) for name, job in JOBS.items() for method in job.methods])
def test_gradient(benchmark, job, method):
    rows = rows_of(JOBS[job])
    if method not in rows:
        pytest.skip("torch is not installed")
    replay_row(benchmark, rows[method])
