"""Validation at the public edge: convert once to float64, or name the argument and show the value."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "as_array",
    "as_choice",
    "as_complement",
    "as_cosine",
    "as_count",
    "as_nonnegative",
    "as_points",
    "as_positive",
    "unit_rows",
]


def _shown(value: Any) -> str:
    """Return `value` as one short line, for an error message."""
    if isinstance(value, np.generic):
        value = value.item()
    text = np.array2string(value, threshold=6, precision=6) if isinstance(value, np.ndarray) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:117] + "..."


def as_array(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as a float64 array of any shape; reject what is not real, or not finite."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}: {_shown(value)}.")
    array = np.asarray(array, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` must be finite, got {_shown(array[~np.isfinite(array)].flat[0])}.")
    return array


def _reject(name: str, allowed: str, array: np.ndarray, good: np.ndarray) -> None:
    if not np.all(good):
        raise ValueError(f"`{name}` must {allowed}, got {_shown(float(array[~good].flat[0]))}.")


def as_cosine(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as float64, every entry in [-1, 1]."""
    array = as_array(name, value)
    _reject(name, "lie in [-1, 1]", array, np.asarray(np.abs(array) <= 1))
    return array


def as_complement(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as float64, every entry 1 minus a cosine: in [0, 2]."""
    array = as_nonnegative(name, value)
    _reject(name, "lie in [0, 2]", array, np.asarray(array <= 2))
    return array


def as_positive(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as float64, every entry > 0."""
    array = as_array(name, value)
    _reject(name, "be positive", array, np.asarray(array > 0))
    return array


def as_nonnegative(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as float64, every entry >= 0."""
    array = as_array(name, value)
    _reject(name, "be at least 0", array, np.asarray(array >= 0))
    return array


def as_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`; floats and booleans are rejected."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"`{name}` must be an integer, got {_shown(value)}.")
    if not value >= minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {int(value)}.")
    return int(value)


def as_choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, got {_shown(value)}.")
    return value


def as_points(name: str, value: ArrayLike, *, minimum: int = 1) -> np.ndarray:
    """Return `value` as a float64 array of shape (n, d) with n >= `minimum` rows and d >= 1."""
    array = as_array(name, value)
    if array.ndim != 2 or array.shape[1] < 1:
        raise ValueError(f"`{name}` must have shape (n, d) with d >= 1, got shape {array.shape}.")
    if array.shape[0] < minimum:
        raise ValueError(f"`{name}` must have at least {minimum} rows, got {array.shape[0]}.")
    return array


def unit_rows(name: str, value: ArrayLike, *, minimum: int = 1) -> np.ndarray:
    """Return `value` of shape (n, d) with every row divided by its norm; a zero row is an error that names it."""
    array = as_points(name, value, minimum=minimum)
    largest = np.max(np.abs(array), axis=1, keepdims=True)  # scaled first: squares neither overflow nor underflow
    zero = np.flatnonzero(largest[:, 0] == 0)
    if zero.size:
        raise ValueError(f"`{name}` has a zero row, which has no direction: row {zero[0]} of {array.shape[0]}.")
    scaled = array / largest
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
