"""The two passes of the CLIP gradient in float32: strips of 48 rows, in four tasks whatever the number of threads."""

from functools import partial

import numpy as np

from sims._flow_gather import Gather
from sims._flow_lanes import TILE, TOP, fill_strip, weigh_strip
from sims._simd import LANES

__all__ = ["Tiles"]

_TASKS = 4


class Tiles:
    """Exponentials with one level for all, their sums, and what weights make of them.

    `own`, `rows` and `columns` are as in `sims._flow_gradient`, shape (n,), float64.
    """

    kind = np.float32

    def __init__(self, x: np.ndarray, y: np.ndarray, beta: float, gather: Gather) -> None:
        self.n, self._dim = x.shape
        strips, lanes = -(-self.n // TILE), -(-self._dim // LANES)
        self._x, self._y = (_padded(rows, strips * TILE, lanes * LANES) for rows in (x, y))
        self._y_lanes = np.ascontiguousarray(self._y.reshape(-1, LANES, lanes * LANES).transpose(0, 2, 1))
        self.top, self._beta, self._gather = TOP - np.log(self.n), beta, gather
        self.level = 1.0 - self.top / beta if beta > self.top else 0.0
        self._tasks = np.array_split(np.arange(strips), min(_TASKS, strips))
        self._shape = strips, TILE * TILE
        self._strips = gather.lend((strips, *self._shape), np.float32)
        self._own, self._totals = np.empty((2, strips, TILE), dtype=np.float32)
        columns = np.stack(gather(self._sum, range(len(self._tasks)))).sum(axis=0, dtype=np.float64)
        self.own = beta * (self._own.ravel()[: self.n].astype(np.float64) - self.level)
        self.rows, self.columns = self._totals.ravel()[: self.n].astype(np.float64), columns[: self.n]

    def _room(self) -> list[np.ndarray]:
        """Return the strips that are kept, or one strip in all their places, to be filled again and again."""
        if self._strips is not None:
            return list(self._strips)
        return len(self._own) * [np.empty(self._shape, dtype=np.float32)]

    def _fill(self, index: int, strip: np.ndarray, columns: np.ndarray) -> None:
        x, own, rows = self._x[index * TILE : (index + 1) * TILE], self._own[index], self._totals[index]
        fill_strip(x, self._y_lanes, index, self.n, self._beta, self.level, strip, own, rows, columns)

    def _sum(self, task: int) -> np.ndarray:
        """Fill the strips of a task; return its share of the sums of the columns."""
        columns, strips = np.zeros(len(self._y), dtype=np.float32), self._room()
        for index in self._tasks[task]:
            self._fill(index, strips[index], columns)
        return columns

    def weighed(self, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return WY and WᵀX in float64, shape (n, d), where W is E (a + b) with that diagonal; E is spent."""
        size = len(self._y)
        factors = [_padded(column[:, None], size, 1)[:, 0] for column in (a, b, diagonal)]
        grad_x = np.zeros_like(self._x)
        shares = self._gather(partial(self._weigh, *factors, grad_x), range(len(self._tasks)))
        kept = slice(self.n), slice(self._dim)
        grad_y = np.zeros((self.n, self._dim))
        for share in shares:
            grad_y += share[kept]
        return grad_x[kept].astype(np.float64), grad_y

    def _weigh(self, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray, grad_x: np.ndarray, task: int) -> np.ndarray:
        """Fill the rows of a task of WY; return its share of WᵀX."""
        share, strips = np.zeros_like(self._y), self._room()
        for index in self._tasks[task]:
            if self._strips is None:
                self._fill(index, strips[index], np.zeros(len(self._y), dtype=np.float32))
            rows = slice(index * TILE, (index + 1) * TILE)
            weigh_strip(strips[index], index, self._x[rows], self._y, a[rows], b, diagonal[rows], grad_x[rows], share)
        return share


def _padded(rows: np.ndarray, size: int, dim: int) -> np.ndarray:
    """Return rows in float32 with zeros beyond, shape (size, dim)."""
    out = np.zeros((size, dim), dtype=np.float32)
    out[: rows.shape[0], : rows.shape[1]] = rows
    return out
