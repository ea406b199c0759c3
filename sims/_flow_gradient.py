r"""The CLIP loss of unit rows and its gradient, in two passes over panels of rows: what the flow asks for each step.

With :math:`E_{ij} = e^{\beta(x_i\cdot y_j - m)}` for :math:`j \ne i`, row sums N, column sums M and
:math:`D_i = N_i + e^{o_i}`, :math:`o_i = \beta(x_i\cdot y_i - m)`, likewise C of the columns,

.. math:: 2nL = \sum_i \ln(1 + N_ie^{-o_i}) + \ln(1 + M_ie^{-o_i}), \quad
          W_{ij} = E_{ij}\Bigl(\frac1{D_i} + \frac1{C_j}\Bigr), \quad W_{ii} = -\frac{N_i}{D_i} - \frac{M_i}{C_i},

.. math:: 2n\nabla_xL = \beta WY, \quad 2n\nabla_yL = \beta W^\top X, \quad 2n\,\partial_\beta L = \sum_ix_i\cdot(WY)_i.

One level m serves all rows, so an exponential is computed once; all are kept where they fit 128 MB, and computed again
in the second pass where they do not. `sims._flow_tiles` does it in float32, `sims._flow_panels` in float64; the result
does not depend on the number of threads.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from conetheory.errors import ConvergenceError
from sims._flow_gather import Gather
from sims._flow_panels import Panels
from sims._layer_trials import KERNELS

_tiles: Any = None if KERNELS == "plain" else import_module("sims._flow_tiles")

__all__ = ["FlowGradient", "Gradient", "clip_gradient", "in_order"]


class FlowGradient(NamedTuple):
    """Loss, 2n times its gradients by the rows of x and of y, and its derivative by the logit scale."""

    loss: float
    x: np.ndarray
    y: np.ndarray
    slope: float


Gradient = Callable[[np.ndarray, np.ndarray, float], FlowGradient]


def clip_gradient(x: np.ndarray, y: np.ndarray, beta: float, *, single: bool, gather: Gather) -> FlowGradient:
    """Return the loss of unit rows and what the flow needs of its gradient; see the head of this file.

    Where float32 cannot hold a row's exponentials all is done in float64. Raises ConvergenceError where that cannot.
    """
    found = (_tiles.Tiles if single and _tiles is not None else Panels)(x, y, beta, gather)
    pair = np.exp(found.own)
    rows, columns = found.rows + pair, found.columns + pair
    least = found.n * np.exp(15.0 - found.top)  # below it a row or column lost exponentials to the range of the level
    if not min(rows.min(), columns.min()) >= least:
        if found.kind == np.float64:
            raise ConvergenceError(f"Exponentials at the logit scale {beta!r} underflow.", value=beta, error=np.inf)
        return clip_gradient(x, y, beta, single=False, gather=gather)
    with np.errstate(divide="ignore"):  # sums of 0: all negatives underflow
        excess = np.log([found.rows, found.columns]) - found.own
    loss = np.sum(np.logaddexp(0.0, excess)) / (2 * found.n)
    grad_x, grad_y = found.weighed(1 / rows, 1 / columns, -found.rows / rows - found.columns / columns)
    slope = float(np.vdot(x, grad_x)) / (2 * found.n)
    return FlowGradient(float(loss), beta * grad_x, beta * grad_y, slope)


def in_order(workers: int) -> Gather:
    """Return, for a `with` block, what applies a function to parts by `workers` threads and lists the results."""
    return Gather(workers)
