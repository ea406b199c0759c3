"""Roots of a function of the logit scale, found on a scan even in its logarithm. Private: functions are given."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

__all__ = ["first_fall", "sign_changes"]

_SCALES = 121  # points of a scan


def _grid(bounds: tuple[float, float]) -> np.ndarray:
    low, high = bounds
    if not 0 < low < high < np.inf:
        raise ValueError(f"`bounds` must be two positive scales, the lower first, got {bounds}.")
    return np.geomspace(low, high, _SCALES)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(function, low, high, xtol=1e-300, rtol=1e-12))  # pyright: ignore[reportArgumentType]


def sign_changes(function: Callable[[float], float], bounds: tuple[float, float]) -> tuple[float, ...]:
    """Return the scales in `bounds` at which `function` changes its sign, increasing, to 1e-12 relative."""
    grid = _grid(bounds)
    positive = np.array([function(float(scale)) > 0 for scale in grid])
    return tuple(_root(function, grid[k], grid[k + 1]) for k in np.flatnonzero(positive[1:] != positive[:-1]))


def first_fall(function: Callable[[float], float], bounds: tuple[float, float]) -> float:
    """Return the least scale in `bounds` from which `function` is negative, to 1e-12 relative; inf if it never is."""
    grid = _grid(bounds)
    for k, scale in enumerate(grid):
        if function(float(scale)) < 0:
            return float(scale) if k == 0 else _root(function, grid[k - 1], scale)
    return float("inf")
