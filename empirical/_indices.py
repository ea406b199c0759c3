"""Integers that number rows: classes, images, words. Private."""

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

__all__ = ["as_indices"]


def as_indices(name: str, values: ArrayLike, n: int, count: int) -> Int[np.ndarray, "n"]:
    """Return `values` as integers, shape (n,), each in 0 … count − 1."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`{name}` must hold integers, got dtype {array.dtype}.")
    if array.shape != (n,):
        raise ValueError(f"`{name}` must have shape ({n},), got {array.shape}.")
    outside = array[(array < 0) | (array >= count)]
    if outside.size:
        raise ValueError(f"`{name}` must lie in 0 … {count - 1}, got {outside[0]}.")
    return array.astype(np.int64)
