r"""Uniformity, alignment and the regularised losses CUA and CUAXU of Fahim et al., for batches of any size.

Means are over distinct indices, as in `conetheory.contrastive_uniformity`, whose formulas these are:

.. math:: U(x, y) = \ln\operatorname{mean}_{j\ne k}e^{-t\|x_j-y_k\|^2}, \qquad U(x) = U(x, x), \qquad
          A = \tfrac1n\textstyle\sum_j\|x_j-y_j\|^2 ,

.. math:: L_{\mathrm{CUA}} = L_{\mathrm{CLIP}} + \tfrac12\bigl(U(x) + U(y)\bigr) + A, \qquad
          L_{\mathrm{CUAXU}} = L_{\mathrm{CUA}} + U(x, y) .

The rows are unit rows: in the potentials :math:`\|x-y\|^2` is read as :math:`2 - 2x\cdot y`. Chunks of rows and
two passes, as in `empirical.contrastive_loss`.

References
----------
.. [1] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
.. [2] T. Wang and P. Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on
   the Hypersphere", ICML 2020, arXiv:2005.10242.
"""

import math
from typing import Any

import torch
from jaxtyping import Float

from conetheory._scalars import number, positive_number

from ._pair_blocks import (
    checked_chunk,
    first_derivative_only,
    product_blocks,
    weighted_row_sums,
    weighted_sums,
    working_pairs,
)
from .contrastive_loss import clip_loss
from .distributed import World, gather_rows

__all__ = ["alignment", "cross_uniformity", "regularised_loss", "uniformity"]

Scalar = Float[torch.Tensor, ""]


def cross_uniformity(
    x: torch.Tensor, y: torch.Tensor, *, t: float = 2.0, chunk: int | None = None, processes: World | None = None
) -> Scalar:
    """Uniformity between two modalities U(x, y) ([1]_), differentiable by the rows.

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i; unit rows, which are not normalised here; at least two pairs in all.
    t : float
        Sharpness, positive.
    chunk : int, optional
        Rows of a chunk, as for `empirical.contrastive_loss.clip_loss`.
    processes : World, optional
        As for `empirical.contrastive_loss.clip_loss`.

    Returns
    -------
    Tensor
        In [-4t, 0] for unit rows; float32 or float64.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; a second derivative is refused with RuntimeError.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> float(cross_uniformity(x, -x))
    -8.0
    """
    same = x is y
    x, y = working_pairs(x, y)
    processes = processes or World()
    if not processes.size * len(x) >= 2:
        raise ValueError(f"`x` must have at least 2 rows, got {len(x)}.")
    chunk = checked_chunk(chunk, processes.size * len(x), x.device)
    found: torch.Tensor = _LogPotential.apply(x, y, positive_number("t", t), chunk, processes, same)  # type: ignore[assignment]
    return found


def uniformity(x: torch.Tensor, *, t: float = 2.0, chunk: int | None = None, processes: World | None = None) -> Scalar:
    """Uniformity U(x) of one modality ([2]_), differentiable; parameters and errors are those of `cross_uniformity`.

    Examples
    --------
    >>> float(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])))
    -8.0
    """
    return cross_uniformity(x, x, t=t, chunk=chunk, processes=processes)


def alignment(x: torch.Tensor, y: torch.Tensor, *, processes: World | None = None) -> Scalar:
    """Alignment A, the mean squared distance of the pairs ([2]_), differentiable; parameters as in `cross_uniformity`.

    Examples
    --------
    >>> float(alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])))
    2.0
    """
    x, y = working_pairs(x, y)
    mine = (x - y).square().sum(dim=1).mean().reshape(1, 1)
    return gather_rows(mine, processes or World()).mean()


def regularised_loss(
    x: torch.Tensor,
    y: torch.Tensor,
    scale: torch.Tensor | float,
    *,
    uniformity: float = 1.0,
    alignment: float = 1.0,
    cross: float = 0.0,
    t: float = 2.0,
    chunk: int | None = None,
    processes: World | None = None,
) -> Scalar:
    r"""CLIP loss with weighted uniformity and alignment: CUA by default, CUAXU with `cross` 1 ([1]_).

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i; unit rows, which are not normalised here; at least two pairs in all.
    scale : Tensor or float
        β = 1/τ; 100 in [1]_.
    uniformity, alignment, cross : float
        Weights of :math:`\tfrac12(U(x) + U(y))`, of A and of U(x, y); a term of weight 0 is not computed.
    t : float
        Sharpness of the potentials, positive.
    chunk : int, optional
        Rows of a chunk, as for `empirical.contrastive_loss.clip_loss`.
    processes : World, optional
        As for `empirical.contrastive_loss.clip_loss`.

    Returns
    -------
    Tensor
        The loss, differentiable by the rows and by β.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> x = torch.eye(3)
    >>> print(round(float(regularised_loss(x, x, 2.0) - clip_loss(x, x, 2.0)), 6))
    -4.0
    """
    weights = {"uniformity": uniformity, "alignment": alignment, "cross": cross}
    weights = {name: number(name, value) for name, value in weights.items()}
    loss = clip_loss(x, y, scale, chunk=chunk, processes=processes)
    if weights["uniformity"]:
        for rows in (x, y):
            within = cross_uniformity(rows, rows, t=t, chunk=chunk, processes=processes)
            loss = loss + 0.5 * weights["uniformity"] * within
    if weights["alignment"]:
        loss = loss + weights["alignment"] * _alignment(x, y, processes=processes)
    if weights["cross"]:
        loss = loss + weights["cross"] * cross_uniformity(x, y, t=t, chunk=chunk, processes=processes)
    return loss


_alignment = alignment  # where an argument has its name


class _LogPotential(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: torch.Tensor, y: torch.Tensor, t: float, chunk: int, processes: World, same: bool
    ) -> torch.Tensor:
        first, log_total = processes.rank * len(x), x.new_tensor(-math.inf)
        with torch.autocast(x.device.type, enabled=False):
            columns = processes.gather(y)
            for own, logs in product_blocks(x, columns, 2 * t, chunk):
                logs.diagonal(first + own.start).fill_(-math.inf)
                top = logs.amax()
                log_total = torch.logaddexp(log_total, top + logs.sub_(top).exp_().sum().log())
            log_total = processes.logsumexp(log_total)
        ctx.save_for_backward(x, columns, log_total)
        ctx.t, ctx.chunk, ctx.processes, ctx.same = t, chunk, processes, same
        return log_total - 2 * t - math.log(len(columns) * (len(columns) - 1))

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, columns, log_total = ctx.saved_tensors
        first = ctx.processes.rank * len(x)

        def weigh(own: slice, logs: torch.Tensor) -> None:
            logs.sub_(log_total).exp_()
            logs.diagonal(first + own.start).zero_()

        with torch.autocast(x.device.type, enabled=False):
            slope = 2 * ctx.t * ctx.processes.sum(grad)
            if ctx.same:  # the weights are symmetric: the sums at the columns are those at the rows
                at_rows = weighted_row_sums(x, columns, 2 * ctx.t, ctx.chunk, weigh)
                return at_rows.mul_(2 * slope), None, None, None, None, None
            at_rows, at_columns = weighted_sums(x, columns, 2 * ctx.t, ctx.chunk, weigh)
            at_y = ctx.processes.own(ctx.processes.sum(at_columns))
        return at_rows.mul_(slope), at_y.mul_(slope), None, None, None, None
