r"""The sigmoid loss of SigLIP for a batch of any size: nothing of shape (n, n) is ever held.

With :math:`z_{ij} = 1` on the diagonal and -1 off it,

.. math:: L = -\frac1n\sum_i\sum_j\ln\sigma\bigl(z_{ij}(\beta\,x_i\cdot y_j + b)\bigr) .

No sum normalises another, so that one pass gives the loss and, where they are wanted, its gradients.

References
----------
.. [1] X. Zhai, B. Mustafa, A. Kolesnikov and L. Beyer, "Sigmoid Loss for Language Image Pre-Training", ICCV 2023,
   arXiv:2303.15343.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch.nn.functional import logsigmoid

from ._pair_blocks import as_scalar, checked_chunk, first_derivative_only, product_blocks, weighted_sums, working_pairs
from .distributed import World

__all__ = ["sigmoid_loss"]


def sigmoid_loss(
    x: torch.Tensor,
    y: torch.Tensor,
    scale: torch.Tensor | float,
    bias: torch.Tensor | float,
    *,
    chunk: int | None = None,
    processes: World | None = None,
) -> Float[torch.Tensor, ""]:
    r"""Sigmoid loss of paired rows, differentiable by the rows, the logit scale and the bias.

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i; unit rows, which are not normalised here.
    scale, bias : Tensor or float
        β and b; SigLIP starts at 10 and -10.
    chunk : int, optional
        Rows of a chunk, as for `empirical.contrastive_loss.clip_loss`.
    processes : World, optional
        As for `empirical.contrastive_loss.clip_loss`.

    Returns
    -------
    Tensor
        In nats, summed over the n candidates of a pair and averaged over pairs; float32 or float64.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; a second derivative is refused with RuntimeError.

    Notes
    -----
    Source: [1]_, (1); in float64 it agrees with `conetheory.sigmoid_loss.sigmoid_gradient`.

    Examples
    --------
    >>> print(round(float(sigmoid_loss(torch.ones(1, 1), torch.ones(1, 1), 1.0, 0.0)), 6))  # ln(1 + exp(-1))
    0.313262
    """
    x, y = working_pairs(x, y)
    scale, bias = as_scalar("scale", scale, x), as_scalar("bias", bias, x)
    processes = processes or World()
    chunk = checked_chunk(chunk, processes.size * len(x), x.device)
    loss: torch.Tensor = _SigmoidLoss.apply(x, y, scale, bias, chunk, processes)  # type: ignore[assignment]
    return loss


class _SigmoidLoss(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: torch.Tensor,
        y: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor,
        chunk: int,
        processes: World,
    ) -> torch.Tensor:
        first, total, shift = processes.rank * len(x), x.new_zeros(()), x.new_zeros(())

        def lose(own: slice, logits: torch.Tensor) -> torch.Tensor:
            logits.add_(bias)
            logits.diagonal(first + own.start).neg_()
            total.sub_(logsigmoid(logits.neg_()).sum())
            return logits.neg_()

        def weigh(own: slice, logits: torch.Tensor) -> None:
            lose(own, logits).sigmoid_()
            logits.diagonal(first + own.start).neg_()
            shift.add_(logits.sum())

        with torch.autocast(x.device.type, enabled=False):
            columns = processes.gather(y)
            if any(ctx.needs_input_grad):
                at_rows, at_columns = weighted_sums(x, columns, scale, chunk, weigh)
                at_y = processes.own(processes.sum(at_columns)).mul_(scale / len(columns))
                slope = torch.vdot(x.reshape(-1), at_rows.reshape(-1)) / len(columns)
                ctx.save_for_backward(at_rows.mul_(scale / len(columns)), at_y, slope, shift / len(columns))
            else:
                for own, logits in product_blocks(x, columns, scale, chunk):
                    lose(own, logits)
        ctx.processes = processes
        return processes.sum(total) / len(columns)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        total = ctx.processes.sum(grad)
        return *(total * found for found in ctx.saved_tensors), None, None
