"""Measures of paired embeddings beside their definitions, in loops or all pairs at once, and beside torch."""

import math
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.closed_forms import against, job
from claims.bench.job import Job, Route
from claims.bench.landscapes import naive_landscape
from conetheory.contrastive import clip_loss
from conetheory.gap import mean_cosine, uniformity, unmatched_cosine
from conetheory.retrieval import recall
from conetheory.shift import minimise_shift

__all__ = ["JOBS"]

_N, _DIM = 2000, 256
_TEMPERATURE = 0.05
_BY_DEFINITION = "relative, against the definition"


def _pairs(n: int = _N, dim: int = _DIM) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows, each near its partner."""
    x = np.random.default_rng(0).standard_normal((n, dim)) + 0.5
    y = x + np.random.default_rng(1).standard_normal((n, dim)) - 0.2
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


@job("mean cosine of 2000 points", "value", ("ours", "naive"))
def _mean_cosine() -> dict[str, Route]:
    x, _ = _pairs()

    def all_pairs() -> float:
        cosines = x @ x.T
        return float((cosines.sum() - np.trace(cosines)) / (_N * (_N - 1)))

    accuracy = against(all_pairs(), _BY_DEFINITION)
    return {
        "ours": Route(call=lambda: mean_cosine(x), accuracy=accuracy),
        "naive": Route(call=all_pairs, accuracy=accuracy),
    }


@job("mean cosine of unmatched pairs, 2000 pairs", "value", ("ours", "naive"))
def _unmatched_cosine() -> dict[str, Route]:
    x, y = _pairs()

    def all_pairs() -> float:
        cosines = x @ y.T
        return float((cosines.sum() - np.trace(cosines)) / (_N * (_N - 1)))

    accuracy = against(all_pairs(), _BY_DEFINITION)
    return {
        "ours": Route(call=lambda: unmatched_cosine(x, y), accuracy=accuracy),
        "naive": Route(call=all_pairs, accuracy=accuracy),
    }


@job("uniformity of 2000 points", "value", ("ours", "naive", "peer-torch"))
def _uniformity() -> dict[str, Route]:
    x, _ = _pairs()

    def row_by_row() -> float:
        total = sum(np.exp(-2 * np.sum((x[i + 1 :] - x[i]) ** 2, axis=1)).sum() for i in range(_N - 1))
        return math.log(total / (_N * (_N - 1) / 2))

    accuracy = against(row_by_row(), _BY_DEFINITION)
    routes = {
        "ours": Route(call=lambda: uniformity(x), accuracy=accuracy),
        "naive": Route(call=row_by_row, accuracy=accuracy),
    }
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        rows = torch.from_numpy(x)

        def by_torch() -> float:  # as Wang and Isola print it
            return float(torch.pdist(rows, p=2).pow(2).mul(-2).exp().mean().log())

        routes["peer-torch"] = Route(call=by_torch, accuracy=accuracy)
    return routes


@job("CLIP loss of 2000 pairs", "loss", ("ours", "naive", "peer-torch"))
def _clip_loss() -> dict[str, Route]:
    x, y = _pairs()

    def by_definition() -> float:
        logits = x @ y.T / _TEMPERATURE
        total = 0.0
        for side in (logits, logits.T):
            for i, row in enumerate(side):
                total += np.log(np.sum(np.exp(row - row.max()))) + row.max() - row[i]
        return total / (2 * _N)

    accuracy = against(by_definition(), _BY_DEFINITION)
    routes = {
        "ours": Route(call=lambda: clip_loss(x, y, _TEMPERATURE), accuracy=accuracy),
        "naive": Route(call=by_definition, accuracy=accuracy),
    }
    if find_spec("torch"):
        import torch
        from torch.nn.functional import cross_entropy

        torch.set_num_threads(1)
        first, second, labels = torch.from_numpy(x), torch.from_numpy(y), torch.arange(_N)

        def by_torch() -> float:
            logits = first @ second.T / _TEMPERATURE
            return float((cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2)

        routes["peer-torch"] = Route(call=by_torch, accuracy=accuracy)
    return routes


@job("recall at 1, 5 and 10 of 2000 pairs", "value", ("ours", "naive", "peer-torch"))
def _recall() -> dict[str, Route]:
    x, y = _pairs()

    def by_sorting() -> list[float]:
        order = np.argsort(-(x @ y.T), axis=1)
        rank = np.argmax(order == np.arange(_N)[:, None], axis=1)
        return [float(np.mean(rank < k)) for k in (1, 5, 10)]

    accuracy = against(by_sorting(), _BY_DEFINITION)
    routes = {
        "ours": Route(call=lambda: recall(x, y), accuracy=accuracy),
        "naive": Route(call=by_sorting, accuracy=accuracy),
    }
    if find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        first, second, labels = torch.from_numpy(x), torch.from_numpy(y), torch.arange(_N)[:, None]

        def by_torch() -> list[float]:
            hits = (first @ second.T).topk(10, dim=1).indices == labels
            return [float(hits[:, :k].any(dim=1).double().mean()) for k in (1, 5, 10)]

        routes["peer-torch"] = Route(call=by_torch, accuracy=accuracy)
    return routes


@job("shift that minimises the loss of 500 pairs", "minimum", ("ours", "naive"))
def _best_shift() -> dict[str, Route]:
    x, y = _pairs(500, 64)
    temperatures = np.array([_TEMPERATURE])

    def by_search() -> float:
        def loss(lam: float) -> float:
            return float(naive_landscape(x, y, np.array([lam]), 50, temperatures)[0, 0])

        grid = np.linspace(-0.5, 1.5, 41)
        best = grid[np.argmin([loss(lam) for lam in grid])]
        found: Any = minimize_scalar(loss, bounds=(best - 0.05, best + 0.05), method="bounded")
        return float(found.x)

    def ours() -> float:
        return float(minimise_shift(x, y, _TEMPERATURE).lam)

    accuracy = _distance(ours())
    return {"ours": Route(call=ours, accuracy=accuracy), "naive": Route(call=by_search, accuracy=accuracy)}


def _distance(exact: float) -> Any:
    return lambda found: {"error": abs(found - exact), "error_of": "shift, from ours, whose slope is 0"}


JOBS: tuple[Job, ...] = (_mean_cosine, _unmatched_cosine, _uniformity, _clip_loss, _recall, _best_shift)
