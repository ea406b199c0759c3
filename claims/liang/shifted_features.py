"""What several claims on the loss of the shifted features read off them, computed once a process."""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from claims.liang.features import load_published
from conetheory.contrastive import contrastive_loss
from conetheory.gap import gap_norm
from conetheory.shift import shift_pairs, shift_slope
from conetheory.shift_minimum import ShiftMinimum, minimise_shift

__all__ = ["SCALES", "Features", "brute_minimum", "count_minima", "load_features", "slope_minimum"]

SCALES = (100, 50, 30, 20, 10, 1)
"""Inverse temperatures of the figure."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The trained features, the same object for all claims of a process, and so the key of what several of them need."""

    x: np.ndarray
    y: np.ndarray


@lru_cache(maxsize=2)
def load_features(folder: Path, changed: int) -> Features:
    """Return the trained features below `folder`, read again where the time `changed` of the files differs."""
    x, y = load_published(folder, "clip")
    return Features(x, y)


@cache
def _moved_losses(features: Features, lam: float) -> dict[str, np.ndarray]:
    """Return the losses of the shifted features themselves at all temperatures, without the algebra of one product."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features.x, features.y))
    gap = x.mean(axis=0) - y.mean(axis=0)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x - lam * gap, y + lam * gap))
    cosines = x.reshape(10, 50, -1) @ y.reshape(10, 50, -1).transpose(0, 2, 1)
    logits = np.multiply.outer(SCALES, cosines)
    losses = {name: contrastive_loss(logits, direction=name).mean(axis=1) for name in ("x-to-y", "y-to-x")}
    return losses | {"symmetric": (losses["x-to-y"] + losses["y-to-x"]) / 2}


def brute_minimum(features: Features, scale: int, direction: str) -> tuple[float, float]:
    """Return λ and gap of the least loss of shifted features on a grid over [−.5, 1], refined by a bounded search."""

    def loss(lam: float) -> float:
        return float(_moved_losses(features, float(lam))[direction][SCALES.index(scale)])

    grid = np.arange(-0.5, 1.001, 0.05)
    best = grid[int(np.argmin([loss(lam) for lam in grid]))]
    found = minimize_scalar(loss, bounds=(best - 0.05, best + 0.05), method="bounded", options={"xatol": 1e-6})
    lam = float(found["x"])  # pyright: ignore[reportIndexIssue] (scipy has no types here)
    moved = shift_pairs(features.x, features.y, lam)
    return lam, gap_norm(moved.x, moved.y)


@cache
def _slopes(features: Features, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts in [−1, 3], .01 apart, and the slope of the loss there at each scale, shape (6, 401)."""
    grid = np.linspace(-1, 3, 401)
    temperatures = 1 / np.array(SCALES)
    return grid, shift_slope(features.x, features.y, grid, temperatures, batch=50, direction=direction)


@cache
def slope_minimum(features: Features, scale: int, direction: str) -> ShiftMinimum:
    """Return the least local minimum in [−.5, 1]: the slope rises through zero between two shifts of the grid."""
    grid, found = _slopes(features, direction)
    inside = (grid >= -0.5 - 1e-9) & (grid <= 1 + 1e-9)
    grid, slope = grid[inside], found[SCALES.index(scale), inside]
    cells = [(grid[k], grid[k + 1]) for k in np.flatnonzero((slope[:-1] < 0) & (slope[1:] >= 0))]
    ends = [(grid[0], grid[1])] * bool(slope[0] >= 0) + [(grid[-2], grid[-1])] * bool(slope[-1] < 0)
    minima = [
        minimise_shift(features.x, features.y, 1 / scale, batch=50, direction=direction, bounds=cell)
        for cell in cells + ends
    ]
    return min(minima, key=lambda minimum: minimum.loss)


def count_minima(features: Features) -> list[float]:
    """Return the number of local minima in [−1, 3] at each scale; an end from which the slope points out is one."""
    _, slope = _slopes(features, "symmetric")
    rises = np.sum((slope[:, :-1] < 0) & (slope[:, 1:] >= 0), axis=1)
    return [float(n) for n in rises + (slope[:, 0] >= 0) + (slope[:, -1] < 0)]
