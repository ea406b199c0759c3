"""Epochs of stochastic descent of free features; the same steps by torch's autograd beside it."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Route, Row, measure
from conetheory.temperature_laws import fixed_law
from sims.feature_descent import DescentPlan, feature_descent
from sims.flow_starts import cone_start

PAIRS, DIM, BETA, RATE, EPOCHS = 64, 32, 20.0, 1e-3, 20


def ours(x: np.ndarray, y: np.ndarray, batch: int) -> np.ndarray:
    plan = DescentPlan(law=fixed_law(), beta0=BETA, batch=batch, learning_rate=RATE)
    return feature_descent(x, y, plan, [EPOCHS], rng=0).x


def by_torch(x: np.ndarray, y: np.ndarray, batch: int) -> np.ndarray:
    """Return the rows after the same steps, with `torch.nn.functional.cross_entropy` and its gradient."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    torch.set_num_threads(1)
    rows, labels = torch.from_numpy(np.stack([x, y])).clone(), torch.arange(batch)
    rng, order = np.random.default_rng(0), np.arange(len(x))
    for _ in range(EPOCHS):
        if batch < len(x):
            rng.shuffle(order)
        for chosen in torch.from_numpy(order.copy()).reshape(-1, batch):
            at = rows[:, chosen].requires_grad_()
            logits = BETA * at[0] @ at[1].T
            (batch * (cross_entropy(logits, labels) + cross_entropy(logits.T, labels))).backward()
            assert at.grad is not None
            with torch.no_grad():
                force = at.grad - (at.grad * at).sum(dim=-1, keepdim=True) * at
                rows[:, chosen] = normalize(at - RATE * force, dim=-1)
    return rows[0].numpy()


def routes(batch: int) -> dict[str, Route]:
    start = cone_start(PAIRS, DIM, 0.3, 1.2, rng=0)
    exact = by_torch(start.x, start.y, batch) if find_spec("torch") else None

    def accuracy(found: np.ndarray) -> dict[str, Any]:
        if exact is None:
            return {}
        return {"error": float(np.max(np.abs(found - exact))), "error_of": "entries of the rows, against torch"}

    found = {"ours": Route(call=lambda: ours(start.x, start.y, batch), accuracy=accuracy)}
    if exact is not None:
        found["peer-torch"] = Route(call=lambda: by_torch(start.x, start.y, batch), accuracy=accuracy)
    return found


JOBS = {
    job.name: job
    for job in (
        Job(
            name=f"feature descent, batches of {batch}",
            unit="20 epochs",
            methods=("ours", "peer-torch"),
            routes=lambda batch=batch: routes(batch),
        )
        for batch in (8, 64)
    )
}


@cache
def rows_of(job: Job) -> dict[str, Row]:
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize(("job", "method"), [(name, method) for name, job in JOBS.items() for method in job.methods])
def test_descent(benchmark, job, method):
    rows = rows_of(JOBS[job])
    if method not in rows:
        pytest.skip("torch is not installed")
    replay_row(benchmark, rows[method])
