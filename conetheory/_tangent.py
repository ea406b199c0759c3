"""The tangent part of vectors at points of the unit sphere. Private: arguments are validated."""

import numpy as np

__all__ = ["tangent"]


def tangent(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return each of `vectors` less its component along the unit row of the same index."""
    return vectors - np.sum(rows * vectors, axis=1, keepdims=True) * rows
