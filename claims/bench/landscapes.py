"""Jobs on the loss of paired embeddings while both clouds move along their gap: ours, the definition, torch."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from claims.bench.job import Job, Route
from claims.bench.layers import plain

__all__ = ["BATCHED", "FULL", "TEMPERATURES", "naive_landscape"]

TEMPERATURES = np.array([1.0, 1 / 10, 1 / 20, 1 / 30, 1 / 50, 1 / 100])  # as in Fig. 3 of Liang et al.
_DIM, _BATCH = 512, 50


def _pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two cones of unit rows, row i of the one near row i of the other."""
    rng = np.random.default_rng(0)
    shared, one, other = rng.standard_normal((3, n, _DIM))
    x, y = shared + 0.7 * one, shared + 0.7 * other
    x[:, 0] += 25
    y[:, 1] += 25
    return tuple(rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))


def _lambdas(n: int) -> np.ndarray:
    return np.linspace(-0.5, 1.5, n)


def _log_sum_exp(logits: np.ndarray, axis: int) -> np.ndarray:
    top = logits.max(axis=axis, keepdims=True)
    return np.log(np.exp(logits - top).sum(axis=axis)) + top.squeeze(axis)


def naive_landscape(
    x: np.ndarray, y: np.ndarray, lambdas: np.ndarray, batch: int, temperatures: np.ndarray = TEMPERATURES
) -> np.ndarray:
    """Shift, normalise, multiply and take the loss, batch by batch: shape (temperatures, shifts)."""
    gap = x.mean(0) - y.mean(0)
    losses = np.zeros((len(temperatures), len(lambdas)))
    for j, lam in enumerate(lambdas):
        u, v = x - lam * gap, y + lam * gap
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        for start in range(0, len(x), batch):
            cosines = u[start : start + batch] @ v[start : start + batch].T
            for t, temperature in enumerate(temperatures):
                logits = cosines / temperature
                both = _log_sum_exp(logits, 1) + _log_sum_exp(logits, 0) - 2 * np.diagonal(logits)
                losses[t, j] += both.sum() / 2
    return losses / len(x)


def _torch_batched(x: np.ndarray, y: np.ndarray, lambdas: np.ndarray, batch: int) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(1)
    first, second = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    gap, normalise = first.mean(0) - second.mean(0), torch.nn.functional.normalize

    def loss(cosines: Any, temperature: float) -> Any:
        logits = cosines / temperature
        right = logits.diagonal(dim1=1, dim2=2)
        return (logits.logsumexp(2) + logits.logsumexp(1) - 2 * right).mean() / 2

    @torch.no_grad()
    def run() -> np.ndarray:
        losses = np.empty((len(TEMPERATURES), len(lambdas)))
        for j, lam in enumerate(lambdas):
            u, v = normalise(first - lam * gap, dim=1), normalise(second + lam * gap, dim=1)
            cosines = torch.bmm(u.view(-1, batch, _DIM), v.view(-1, batch, _DIM).transpose(1, 2))
            losses[:, j] = [float(loss(cosines, float(temperature))) for temperature in TEMPERATURES]
        return losses

    return run


def _routes(n: int, batch: int, ours_lambdas: int, naive_lambdas: int) -> dict[str, Route]:
    from sims.shift_landscape import shift_landscape

    x, y = _pairs(n)
    many, few = _lambdas(ours_lambdas), _lambdas(naive_lambdas)
    exact = naive_landscape(x, y, few, batch)
    shared = np.flatnonzero(np.isclose(many[:, None], few).any(axis=1))  # the ends, at least

    def accuracy(loss: np.ndarray) -> dict[str, Any]:
        columns = loss[:, shared] if loss.shape[1] == many.size else loss
        return {"error": float(np.max(np.abs(columns - exact))), "error_of": "loss, against float64 by definition"}

    def ours(lambdas: np.ndarray) -> np.ndarray:
        return shift_landscape(x, y, lambdas, TEMPERATURES, batch=batch if batch < n else None).loss

    routes = {
        "ours": Route(call=lambda: ours(many), work=many.size, accuracy=accuracy),
        "plain": Route(call=plain(lambda: ours(few)), work=few.size, accuracy=accuracy),
        "naive": Route(call=lambda: naive_landscape(x, y, few, batch), work=few.size, accuracy=accuracy),
    }
    if find_spec("torch"):
        routes["peer-torch"] = Route(call=_torch_batched(x, y, few, batch), work=few.size, accuracy=accuracy)
    return routes


BATCHED = Job(
    name="shift landscape, 5000 pairs, batches of 50, six temperatures",
    unit="shift",
    methods=("ours", "plain", "naive", "peer-torch"),
    routes=lambda: _routes(5000, _BATCH, 200, 2),
)
FULL = Job(
    name="shift landscape, 2000 pairs in one batch, six temperatures",
    unit="shift",
    methods=("ours", "plain", "naive", "peer-torch"),
    routes=lambda: _routes(2000, 2000, 40, 1),
)
