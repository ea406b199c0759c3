r"""Data parallel training: each process has some of the pairs, and the loss is that of all of them.

Collectives and losses follow one rule, that of `torch.distributed`: what is differentiated is the *sum* of the losses
on which the processes call ``backward``. Every process holds the same global loss L, so what it gets for its rows and
parameters is the number of processes times its share of the gradient of L, and the *average* over the processes is the
gradient of L: that is what ``DistributedDataParallel`` takes, and `average_gradients` without it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float

__all__ = ["World", "average_gradients", "gather_rows", "with_common_statistics", "world"]

# The second is its name in older releases; there is neither where torch was built without torch.distributed.
_gather: Any = getattr(dist, "all_gather_single", None) or getattr(dist, "all_gather_into_tensor", None)
Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True, slots=True)
class World:
    """The processes of a run, and what they do together; every one must take part, with tensors of equal shape.

    Attributes
    ----------
    rank, size : int
        Number of this process, from 0, and how many there are.
    group : ProcessGroup, optional
        Group of `torch.distributed`; by default all processes.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tensors of all processes one below the other, in the order of rank; no gradient passes."""
        if self.size == 1:
            return x
        out = x.new_empty((self.size * len(x), *x.shape[1:]))
        _gather(out, x.detach().contiguous(), group=self.group)
        return out

    def sum(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of the tensors of all processes; no gradient passes."""
        return self._reduce(x, dist.ReduceOp.SUM)

    def max(self, x: torch.Tensor) -> torch.Tensor:
        """Return the entrywise maximum of the tensors of all processes; no gradient passes."""
        return self._reduce(x, dist.ReduceOp.MAX)

    def logsumexp(self, x: torch.Tensor) -> torch.Tensor:
        """Return the entrywise log of the sum of the exponentials of all processes; -inf is the log of 0."""
        if self.size == 1:
            return x
        top = self.max(x)
        shift = torch.where(top.isinf(), 0.0, top)
        return shift + self.sum((x - shift).exp()).log()

    def own(self, rows: torch.Tensor) -> torch.Tensor:
        """Return this process's part of rows that were gathered."""
        count = len(rows) // self.size
        return rows[self.rank * count : (self.rank + 1) * count]

    def _reduce(self, x: torch.Tensor, operation: Any) -> torch.Tensor:
        if self.size == 1:
            return x
        out = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(out, op=operation, group=self.group)
        return out


def world(group: Any = None) -> World:
    """Return the processes of `torch.distributed`, or the one process that there is if it was not set up.

    Examples
    --------
    >>> world()
    World(rank=0, size=1, group=None)
    """
    if not (dist.is_available() and dist.is_initialized()):
        return World()
    return World(dist.get_rank(group), dist.get_world_size(group), group)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, processes: World) -> torch.Tensor:
        ctx.processes = processes
        return processes.gather(x).view_as(x) if processes.size == 1 else processes.gather(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return ctx.processes.own(ctx.processes.sum(grads[0])), None


def gather_rows(x: Float[torch.Tensor, "m d"], processes: World | None = None) -> Float[torch.Tensor, "n d"]:
    """Gather the rows of all processes, with a gradient.

    Parameters
    ----------
    x : Tensor, shape (m, d)
        Rows of this process; m must be the same in all.
    processes : World, optional
        By default `world()`.

    Returns
    -------
    Tensor, shape (n, d)
        n = m times the number of processes, in the order of rank. Its gradient is the sum over the processes, as all of
        their losses may depend on these rows.

    Notes
    -----
    The losses of `empirical` take a `World` themselves, and then compute only this process's share of the products.
    """
    found: torch.Tensor = _GatherRows.apply(x, world() if processes is None else processes)  # type: ignore[assignment]
    return found


def with_common_statistics(model: Module, processes: World, device: torch.device) -> Module:
    """Return the model with batch normalisation over the batch of all processes, where they have GPUs.

    torch has this for CUDA alone: elsewhere each process normalises by its own part of the batch.
    """
    if processes.size == 1 or device.type != "cuda":
        return model
    found: Module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model, processes.group)  # type: ignore[assignment]
    return found


def average_gradients(parameters: Iterable[torch.nn.Parameter], processes: World) -> None:
    """Replace each gradient by its average over the processes: of the global loss of this module, its exact gradient.

    A parameter without a gradient counts as one whose gradient is 0. One collective a type and device of parameters.
    """
    if processes.size == 1:
        return
    kinds: dict[tuple[torch.dtype, torch.device], list[torch.nn.Parameter]] = {}
    for parameter in parameters:
        kinds.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    for group in kinds.values():
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in group]
        flat = processes.sum(torch.cat([grad.reshape(-1) for grad in grads])) / processes.size
        for parameter, grad in zip(group, flat.split([p.numel() for p in group]), strict=True):
            parameter.grad = grad.view_as(parameter).clone()
