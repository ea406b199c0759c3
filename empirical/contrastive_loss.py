r"""The CLIP loss of a batch of any size: exact, with exact gradients, and nothing of shape (n, n) is ever held.

With logits :math:`\ell_{ij} = \beta\,x_i\cdot y_j`, and :math:`r_i, c_j` the log-sum-exp of row i and of column j,

.. math:: L = \frac1{2n}\sum_i\bigl[(r_i - \ell_{ii}) + (c_i - \ell_{ii})\bigr], \qquad
          \frac{\partial L}{\partial\ell_{ij}} = \frac1{2n}\bigl[e^{\ell_{ij}-r_i} + e^{\ell_{ij}-c_j}
          - 2\delta_{ij}\bigr] .

A chunk of rows at a time, one pass finds r and c, and in the backward pass another makes the logits again, forms the
weights, and adds their products with the rows: 8n²d operations instead of 6n²d, and no traffic of n² numbers with
memory. One exponential serves rows and columns: in the first pass both have the shift of the chunk, and in the second
:math:`e^{\ell_{ij}-c_j} = e^{\ell_{ij}-r_i}\,e^{r_i-c_j}`. Where that could underflow, rows and columns have shifts or
exponentials of their own. The pair's own logit is kept out of the sums, :math:`r_i - \ell_{ii} = \ln(1 +
\sum_{j\ne i}e^{\ell_{ij}-\ell_{ii}})`, so that small losses and their gradients keep their digits.

References
----------
.. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch.nn.functional import logsigmoid

from conetheory._arrays import as_choice
from conetheory.contrastive import DIRECTIONS

from ._pair_blocks import (
    as_scalar,
    checked_chunk,
    chunk_buffer,
    first_derivative_only,
    product_blocks,
    underflow_margin,
    weighted_sums,
    working_pairs,
)
from .distributed import World

__all__ = ["clip_loss"]

_INF = float("inf")

Weigh = Callable[[slice, torch.Tensor], None]


def clip_loss(
    x: torch.Tensor,
    y: torch.Tensor,
    scale: torch.Tensor | float,
    *,
    direction: str = "symmetric",
    chunk: int | None = None,
    processes: World | None = None,
) -> Float[torch.Tensor, ""]:
    r"""CLIP loss of paired rows at logit scale β, differentiable by the rows and by β.

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i; unit rows, which are not normalised here. Types below float32 are computed in float32,
        also under autocast; float64 stays.
    scale : Tensor or float
        β = 1/τ.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        See `conetheory.contrastive.contrastive_loss`.
    chunk : int, optional
        Rows of a chunk; memory is that of two arrays of shape (chunk, n) besides the rows. By default 12 MB each on a
        processor, 256 MB on a GPU. It changes the result by rounding alone.
    processes : World, optional
        If given, x and y are this process's share of a global batch, of equal size in all: the loss is that of the
        global batch, the same in all processes, and each computes its rows of the logits. Gradients: see
        `empirical.distributed`.

    Returns
    -------
    Tensor
        In nats, float32 or float64.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; a second derivative is refused with RuntimeError.

    Notes
    -----
    Source: [1]_; the algorithm: ours. Float32 has an error of about β times 1e-7 in each logit.

    Examples
    --------
    >>> print(round(float(clip_loss(torch.eye(3), torch.eye(3), 2.0)), 6))  # ln(1 + 2 exp(-2))
    0.239545
    """
    as_choice("direction", direction, DIRECTIONS)
    x, y = working_pairs(x, y)
    scale = as_scalar("scale", scale, x)
    processes = processes or World()
    chunk = checked_chunk(chunk, processes.size * len(x), x.device)
    if direction == "y-to-x":
        x, y = y, x
    loss: torch.Tensor = _ClipLoss.apply(x, y, scale, direction == "symmetric", chunk, processes)  # type: ignore[assignment]
    return loss


class _ClipLoss(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: torch.Tensor, y: torch.Tensor, scale: torch.Tensor, both: bool, chunk: int, processes: World
    ) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            columns = processes.gather(y)
            matched = scale * (x * y).sum(dim=1)
            rest, rest_of_columns = _log_sums(x, columns, scale, chunk, processes)
            terms, pair, of_columns = -logsigmoid(matched - rest), torch.sigmoid(rest - matched), None
            if both:
                own = processes.own(rest_of_columns)
                terms, pair = terms - logsigmoid(matched - own), pair + torch.sigmoid(own - matched)
                of_columns = torch.logaddexp(rest_of_columns, processes.gather(matched))
            ctx.share = 1 / ((1 + both) * len(columns))
            loss = ctx.share * processes.sum(terms.sum())
        ctx.save_for_backward(x, columns, scale, pair, torch.logaddexp(rest, matched), of_columns)
        ctx.chunk, ctx.processes = chunk, processes
        return loss

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, columns, scale, pair, of_rows, of_columns = ctx.saved_tensors
        first = ctx.processes.rank * len(x)
        with torch.autocast(x.device.type, enabled=False):
            softmax = _softmax(of_rows) if of_columns is None else _sum_of_softmaxes(of_rows, of_columns, ctx.chunk)

            def weigh(own: slice, logits: torch.Tensor) -> None:
                softmax(own, logits)
                logits.diagonal(first + own.start).copy_(-pair[own])

            at_rows, at_columns = weighted_sums(x, columns, scale, ctx.chunk, weigh)
            share = ctx.share * ctx.processes.sum(grad)
            slope = share * torch.vdot(x.reshape(-1), at_rows.reshape(-1))
            at_y = ctx.processes.own(ctx.processes.sum(at_columns))
        return at_rows.mul_(share * scale), at_y.mul_(share * scale), slope, None, None, None


def _log_sums(
    x: Float[torch.Tensor, "m d"],
    columns: Float[torch.Tensor, "n d"],
    scale: torch.Tensor,
    chunk: int,
    processes: World,
) -> tuple[Float[torch.Tensor, "m"], Float[torch.Tensor, "n"]]:
    """Return the log-sum-exp of the logits of each row of this process and of each column, without the pair's own."""
    first = processes.rank * len(x)
    rows, shifts, sums = x.new_empty(len(x)), x.new_empty(len(x)), x.new_zeros(len(columns))
    shift = x.new_tensor(-_INF)
    for own, logits in product_blocks(x, columns, scale, chunk):
        logits.diagonal(first + own.start).fill_(-_INF)
        top = logits.amax()
        higher = torch.maximum(shift, top)
        logits.sub_(top).exp_()
        rows[own], shifts[own] = logits.sum(dim=1).log_(), top
        sums = sums * (shift - higher).exp() + logits.sum(dim=0) * (top - higher).exp()
        shift = higher
    highest = processes.max(shift)
    of_columns = processes.sum(sums * (shift - highest).exp()).log_()
    margin = underflow_margin(x.dtype)
    lost, lost_columns = ~(rows > -margin), ~(of_columns > -margin)  # NaN, of a batch of one pair, is lost too
    rows, of_columns = rows + shifts, of_columns + highest
    if lost.any():
        which = lost.nonzero()[:, 0]
        rows[which] = _log_sums_apart(x[which], columns, which + first, scale, chunk)
    if lost_columns.any():
        which = lost_columns.nonzero()[:, 0]
        apart = _log_sums_apart(columns[which], x, which - first, scale, chunk)
        of_columns[which] = processes.logsumexp(apart)
    return rows, of_columns


def _log_sums_apart(
    x: Float[torch.Tensor, "k d"],
    columns: Float[torch.Tensor, "n d"],
    own: torch.Tensor,
    scale: torch.Tensor,
    chunk: int,
) -> Float[torch.Tensor, "k"]:
    """Return the log-sum-exp of the logits of each row with its own shift, without column `own` where there is one."""
    found = x.new_empty(len(x))
    for rows, logits in product_blocks(x, columns, scale, chunk):
        here = own[rows]
        inside = ((here >= 0) & (here < len(columns))).nonzero()[:, 0]
        logits[inside, here[inside]] = -_INF
        found[rows] = logits.logsumexp(dim=1)
    return found


def _softmax(rows: Float[torch.Tensor, "m"]) -> Weigh:
    """Return what makes of the logits of a chunk, in place, their softmax over the row; `rows` are the log-sum-exps."""

    def weigh(own: slice, logits: torch.Tensor) -> None:
        logits.sub_(rows[own, None]).exp_()

    return weigh


def _sum_of_softmaxes(rows: Float[torch.Tensor, "m"], columns: Float[torch.Tensor, "n"], chunk: int) -> Weigh:
    """Return what makes of the logits of a chunk, in place, the sum of their softmaxes over the row and the column."""
    spare = chunk_buffer(rows, len(columns), chunk)
    highest, lowest = rows.max(), columns.min()
    if highest - lowest < underflow_margin(rows.dtype):
        middle = (highest + lowest) / 2
        up, down = (rows - middle).exp(), (middle - columns).exp()

        def weigh(own: slice, logits: torch.Tensor) -> None:
            ratio = torch.mul(up[own, None], down, out=spare(own))
            logits.sub_(rows[own, None]).exp_().mul_(ratio.add_(1.0))

    else:

        def weigh(own: slice, logits: torch.Tensor) -> None:
            of_columns = torch.sub(logits, columns, out=spare(own))
            logits.sub_(rows[own, None]).exp_().add_(of_columns.exp_())

    return weigh
