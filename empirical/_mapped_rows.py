"""Views of stored embeddings that are moved, or chosen, as they are read. Private: sources are already validated."""

from typing import Any

import numpy as np

from ._rows import Rows

__all__ = ["MappedRows", "SelectedRows"]

_LEAST = 1e-300  # a zero row stays zero, and is refused by name where rows are read


class MappedRows:
    """Unit rows u of `rows`, seen as (u − before) matrix + after, in float64; the matrix may be left out."""

    dtype = np.dtype(np.float64)

    def __init__(self, rows: Rows, before: np.ndarray, matrix: np.ndarray | None, after: np.ndarray) -> None:
        self._rows, self._before, self._matrix, self._after = rows, before, matrix, after
        self.shape = rows.shape

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        block = np.asarray(self._rows[rows], dtype=np.float64)
        scale = np.maximum(np.abs(block).max(axis=-1, keepdims=True), _LEAST)  # squares neither overflow nor underflow
        block = block / scale
        block = block / np.maximum(np.linalg.norm(block, axis=-1, keepdims=True), _LEAST) - self._before
        return (block if self._matrix is None else block @ self._matrix) + self._after

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


class SelectedRows:
    """The rows of `rows` numbered `index`, in that order."""

    def __init__(self, rows: Rows, index: np.ndarray) -> None:
        self._rows, self._index = rows, index
        self.shape = (len(index), rows.shape[1])
        self.dtype = rows.dtype

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return np.asarray(self._rows[self._index[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)
