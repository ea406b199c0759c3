r"""The CLIP loss of unit rows and its gradient, in two passes over panels of rows: what the flow asks for each step.

With :math:`E_{ij} = e^{\beta(x_i\cdot y_j - m)}` for :math:`j \ne i`, row sums N, column sums M and
:math:`D_i = N_i + e^{o_i}`, :math:`o_i = \beta(x_i\cdot y_i - m)`, likewise C of the columns,

.. math:: 2nL = \sum_i \ln(1 + N_ie^{-o_i}) + \ln(1 + M_ie^{-o_i}), \quad
          W_{ij} = E_{ij}\Bigl(\frac1{D_i} + \frac1{C_j}\Bigr), \quad W_{ii} = -\frac{N_i}{D_i} - \frac{M_i}{C_i},

.. math:: 2n\nabla_xL = \beta WY, \quad 2n\nabla_yL = \beta W^\top X, \quad 2n\,\partial_\beta L = \sum_ix_i\cdot(WY)_i.

One level m serves all rows, so an exponential is computed once. A panel is 512 rows; all are kept where they fit 64 MB,
and computed again in the second pass where they do not. The result does not depend on the number of threads.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from conetheory.errors import ConvergenceError
from sims import _flow_kernels
from sims._layer_trials import KERNELS

_lanes: Any = None if KERNELS == "plain" else import_module("sims._flow_lanes")

__all__ = ["FlowGradient", "Gradient", "clip_gradient", "in_order"]

_PANEL = 512  # rows
_KEPT = 1 << 26  # bytes of exponentials that are kept between the passes

Gather = Callable[[Callable[[int], Any], Iterable[int]], list[Any]]


class FlowGradient(NamedTuple):
    """Loss, 2n times its gradients by the rows of x and of y, and its derivative by the logit scale."""

    loss: float
    x: np.ndarray
    y: np.ndarray
    slope: float


Gradient = Callable[[np.ndarray, np.ndarray, float], FlowGradient]


class _Exponentials:
    """Panels of E and their sums: the first pass."""

    def __init__(self, x: np.ndarray, y: np.ndarray, beta: float, *, single: bool, gather: Gather) -> None:
        self._kernels = _lanes if single else _flow_kernels
        kind = np.float32 if single else np.float64
        self.n = len(x)
        padded = -(-self.n // self._kernels.WIDTH) * self._kernels.WIDTH
        self.x, self.y = np.ascontiguousarray(x, dtype=kind), np.zeros((padded, x.shape[1]), dtype=kind)
        self.y[: self.n] = y
        self.beta, self.top = beta, self._kernels.TOP - np.log(self.n)
        self.level = max(0.0, 1.0 - self.top / beta)
        self.starts = range(0, self.n, _PANEL)
        self._panels: dict[int, np.ndarray] = {}
        self._kept = self.n * padded * self.x.itemsize <= _KEPT
        own, rows, columns = zip(*gather(self._first, self.starts), strict=True)
        self.own = beta * (np.concatenate(own).astype(np.float64) - self.level)
        self.rows = np.concatenate(rows).astype(np.float64)
        self.columns = np.stack(columns).sum(axis=0, dtype=np.float64)[: self.n]

    def _made(self, start: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        panel = self.x[start : start + _PANEL] @ self.y.T
        own, rows = np.empty((2, len(panel)), dtype=panel.dtype)
        columns = np.zeros(panel.shape[1], dtype=panel.dtype)
        self._kernels.fill_exponentials(panel, start, self.n, self.beta, self.level, own, rows, columns)
        return panel, (own, rows, columns)

    def _first(self, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        panel, sums = self._made(start)
        if self._kept:
            self._panels[start] = panel
        return sums

    def weigh(self, start: int, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the panel's rows of WY, and its share of WᵀX."""
        panel = self._panels.pop(start) if self._kept else self._made(start)[0]
        rows = slice(start, start + len(panel))
        self._kernels.fill_weights(panel, start, self.n, a[rows], b, diagonal[rows])
        return panel @ self.y, (panel.T @ self.x[rows])[: self.n]

    def padded(self, column: np.ndarray) -> np.ndarray:
        """Return one number a column in the type of the panels."""
        out = np.zeros(len(self.y), dtype=self.x.dtype)
        out[: self.n] = column
        return out


def _trusted(found: _Exponentials, totals: np.ndarray) -> bool:
    """Return whether no row or column lost its exponentials below the range of the level."""
    return bool(np.min(totals) >= found.n * np.exp(15.0 - found.top))


def clip_gradient(x: np.ndarray, y: np.ndarray, beta: float, *, single: bool, gather: Gather) -> FlowGradient:
    """Return the loss of unit rows and what the flow needs of its gradient; see the head of this file.

    Where float32 cannot hold a row's exponentials all is done in float64. Raises ConvergenceError where that cannot.
    """
    found = _Exponentials(x, y, beta, single=single and _lanes is not None, gather=gather)
    pair = np.exp(found.own)
    rows, columns = found.rows + pair, found.columns + pair
    if not _trusted(found, np.minimum(rows, columns)):
        if found.x.dtype == np.float64:
            raise ConvergenceError(f"Exponentials at the logit scale {beta!r} underflow.", value=beta, error=np.inf)
        return clip_gradient(x, y, beta, single=False, gather=gather)
    with np.errstate(divide="ignore"):  # sums of 0: all negatives underflow
        excess = np.log([found.rows, found.columns]) - found.own
    loss = np.sum(np.logaddexp(0.0, excess)) / (2 * found.n)
    diagonal = (-found.rows / rows - found.columns / columns).astype(found.x.dtype)
    factors = (1 / rows).astype(found.x.dtype), found.padded(1 / columns)
    parts = gather(partial(_weigh, found, *factors, diagonal), found.starts)
    grad_x = np.concatenate([part[0] for part in parts], dtype=np.float64)
    grad_y = np.stack([part[1] for part in parts]).sum(axis=0, dtype=np.float64)
    slope = float(np.vdot(x, grad_x)) / (2 * found.n)
    return FlowGradient(float(loss), beta * grad_x, beta * grad_y, slope)


def _weigh(found: _Exponentials, a: np.ndarray, b: np.ndarray, diagonal: np.ndarray, start: int) -> Any:
    return found.weigh(start, a, b, diagonal)


def in_order(workers: int) -> AbstractContextManager[Gather]:
    """Return, for a `with` block, what applies a function to panels by `workers` threads and lists the results."""
    if workers == 1:
        return nullcontext(lambda function, starts: [function(start) for start in starts])
    return _Threads(workers)


class _Threads:
    """Threads that end with the block."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers)

    def __enter__(self) -> Gather:
        return lambda function, starts: list(self._pool.map(function, starts))

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
