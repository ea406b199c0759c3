"""Kernels of tokens, shape (n, T, n, T): what `conetheory.attention` and `conetheory.transformer` accept.

Private: the argument is always called `kernel`.
"""

import numpy as np
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_positive

__all__ = ["as_kernel", "as_token_matrix"]

_ASYMMETRY = 1e-12  # of the largest entry
_EXCESS = 1e-10  # of a cosine over 1: rounding, and what sampled or integrated kernels add to it


def as_kernel(kernel: ArrayLike) -> np.ndarray:
    """Return the kernel as a float64 array, of that shape and symmetric."""
    array = as_array("kernel", kernel)
    if array.ndim != 4 or array.shape[:2] != array.shape[2:] or array.size == 0:
        raise ValueError(f"`kernel` must have shape (n, T, n, T), got shape {array.shape}.")
    scale = float(np.max(np.abs(array)))
    if not np.max(np.abs(array - array.transpose(2, 3, 0, 1))) <= _ASYMMETRY * scale:
        raise ValueError("`kernel` must be symmetric, got one that differs from its transpose.")
    return array


def as_token_matrix(kernel: ArrayLike) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the kernel as a matrix of all tokens, and its shape; diagonal positive, cosines in [-1, 1]."""
    array = as_kernel(kernel)
    matrix = array.reshape(array.shape[0] * array.shape[1], -1)
    root = np.sqrt(as_positive("kernel (its diagonal)", np.diagonal(matrix)))
    cosines = matrix / root[:, None] / root
    if not np.max(np.abs(cosines)) <= 1 + _EXCESS:
        worst = float(cosines.flat[np.argmax(np.abs(cosines))])
        raise ValueError(f"`kernel` must be positive semidefinite, got two tokens of cosine {worst:.6g}.")
    return matrix, array.shape
