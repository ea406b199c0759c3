"""Threads for the parts of a gradient, and the memory that its two passes share."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import numpy as np

__all__ = ["Gather"]

_KEPT = 1 << 27  # bytes of exponentials that are kept between the passes


class Gather:
    """Applies a function to parts, by threads that end with the `with` block, and lists the results in order.

    It also lends the memory of the exponentials: fresh pages for each gradient would cost as much as a sixth of it.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None
        self._room = np.empty(0, dtype=np.uint8)

    def __enter__(self) -> "Gather":
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def __call__(self, function: Callable[[int], Any], parts: Iterable[int]) -> list[Any]:
        """Return what `function` returns for each of `parts`."""
        return list(map(function, parts) if self._pool is None else self._pool.map(function, parts))

    def lend(self, shape: tuple[int, ...], kind: type) -> np.ndarray | None:
        """Return an array, not set, whose memory is lent until the next call; None where it would be beyond 128 MB."""
        size = prod(shape) * np.dtype(kind).itemsize
        if size > _KEPT:
            return None
        if self._room.size < size:
            self._room = np.empty(size, dtype=np.uint8)
        return self._room[:size].view(kind).reshape(shape)
