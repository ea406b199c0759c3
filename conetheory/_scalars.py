"""Validation of single numbers at the public edge, on top of `conetheory._arrays`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._arrays import as_array, as_nonnegative, as_positive

__all__ = ["as_fraction", "nonnegative_number", "number", "positive_number"]


def _one(name: str, value: Any, check: Callable[[str, Any], np.ndarray]) -> float:
    array = check(name, value)
    if array.ndim:
        raise ValueError(f"`{name}` must be one number, got shape {array.shape}.")
    return float(array)


def number(name: str, value: Any) -> float:
    """Return `value` as a finite float."""
    return _one(name, value, as_array)


def positive_number(name: str, value: Any) -> float:
    """Return `value` as a float > 0."""
    return _one(name, value, as_positive)


def nonnegative_number(name: str, value: Any) -> float:
    """Return `value` as a float >= 0."""
    return _one(name, value, as_nonnegative)


def as_fraction(name: str, value: Any) -> float:
    """Return `value` as a float in (0, 1)."""
    fraction = number(name, value)
    if not 0 < fraction < 1:
        raise ValueError(f"`{name}` must lie in (0, 1), got {fraction!r}.")
    return fraction
