"""Views of stored embeddings that are read a slice at a time. Private: sources are already validated."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["BFloat16Rows", "JoinedRows", "Rows"]


@runtime_checkable
class Rows(Protocol):
    """What the measurements need of an (n, d) array: its shape, its dtype, and rows by slice or by integer array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class JoinedRows:
    """Arrays of shapes (n_1, d), (n_2, d), … seen as one of shape (n_1 + n_2 + …, d)."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = tuple(parts)
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self.shape = (int(self._starts[-1]), parts[0].shape[1])
        self.dtype = np.result_type(*parts)

    def __getitem__(self, rows: slice | np.ndarray, /) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.shape[0])
            rows = np.arange(start, stop, step)
        rows = np.where(rows < 0, rows + self.shape[0], rows)
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(owner):
            here = owner == index
            out[here] = self._parts[index][rows[here] - self._starts[index]]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


class BFloat16Rows:
    """bfloat16 numbers stored as uint16, seen as float32: the stored bits are its upper half."""

    dtype = np.dtype(np.float32)

    def __init__(self, bits: np.ndarray) -> None:
        self._bits = bits
        self.shape = bits.shape

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return (self._bits[rows].astype(np.uint32) << 16).view(np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)
