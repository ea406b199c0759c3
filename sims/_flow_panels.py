"""The two passes of the CLIP gradient in float64: panels of 512 rows, NumPy's matrix products and the plain kernels."""

from functools import partial

import numpy as np

from sims._flow_gather import Gather
from sims._flow_kernels import TOP, fill_exponentials, fill_weights

__all__ = ["Panels"]

_PANEL = 512  # rows


class Panels:
    """Exponentials with one level for all, their sums, and what weights make of them.

    `own`, `rows` and `columns` are as in `sims._flow_gradient`, shape (n,), float64.
    """

    kind = np.float64

    def __init__(self, x: np.ndarray, y: np.ndarray, beta: float, gather: Gather) -> None:
        self.n, self._x, self._y, self._beta, self._gather = len(x), x, y, beta, gather
        self.top = TOP - np.log(self.n)
        self.level = 1.0 - self.top / beta if beta > self.top else 0.0
        self._starts = range(0, self.n, _PANEL)
        self._panels = gather.lend((self.n, self.n), np.float64)
        self._own, self.rows = np.empty((2, self.n))
        self.columns = np.sum(gather(self._sum, self._starts), axis=0)
        self.own = beta * (self._own - self.level)

    def _rows(self, start: int) -> slice:
        return slice(start, min(start + _PANEL, self.n))

    def _filled(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the panel's exponentials and the sums of its columns."""
        rows, columns = self._rows(start), np.zeros(self.n)
        panel = np.matmul(self._x[rows], self._y.T, out=None if self._panels is None else self._panels[rows])
        fill_exponentials(panel, start, self.n, self._beta, self.level, self._own[rows], self.rows[rows], columns)
        return panel, columns

    def _sum(self, start: int) -> np.ndarray:
        return self._filled(start)[1]

    def weighed(self, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return WY and WᵀX, shape (n, d), where W is E (a + b) with that diagonal; E is spent."""
        parts = self._gather(partial(self._weigh, a, b, diagonal), self._starts)
        return np.concatenate([part[0] for part in parts]), np.sum([part[1] for part in parts], axis=0)

    def _weigh(self, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the panel's rows of WY, and its share of WᵀX."""
        rows = self._rows(start)
        panel = self._filled(start)[0] if self._panels is None else self._panels[rows]
        fill_weights(panel, start, self.n, a[rows], b, diagonal[rows])
        return panel @ self._y, panel.T @ self._x[rows]
