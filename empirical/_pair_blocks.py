r"""Pairwise losses a chunk of rows at a time: products :math:`s_{ij}`, and the sums of rows that weights of them need.

What the contrastive losses share: their arguments are checked and brought to one type here, and nothing of shape (n, n)
is held. With W the derivative of a loss by the products, :math:`\nabla_{x_i} = \sum_jW_{ij}y_j` and
:math:`\nabla_{y_j} = \sum_iW_{ij}x_i`. Each process of a `World` has the rows of its own pairs and all the columns.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float

from conetheory._arrays import as_count

__all__ = [
    "as_scalar",
    "checked_chunk",
    "chunk_buffer",
    "first_derivative_only",
    "product_blocks",
    "underflow_margin",
    "weighted_row_sums",
    "weighted_sums",
    "working_pairs",
]

_ENTRIES = {"cpu": 3 << 20, "cuda": 1 << 26}  # of a chunk: 12 MB in float32 stay in the last cache, 256 MB fill a GPU

Products = Float[torch.Tensor, "rows n"]


def working_pairs(x: torch.Tensor, y: torch.Tensor) -> tuple[Float[torch.Tensor, "n d"], Float[torch.Tensor, "n d"]]:
    """Return two tensors of rows in the type that a loss is computed in: float64 if either is, else float32."""
    for name, rows in (("x", x), ("y", y)):
        if not isinstance(rows, torch.Tensor) or not rows.is_floating_point():
            raise TypeError(f"`{name}` must be a tensor of floats, got {getattr(rows, 'dtype', type(rows).__name__)}.")
        if rows.ndim != 2 or min(rows.shape) < 1:
            raise ValueError(f"`{name}` must have shape (n, d) with n, d >= 1, got {tuple(rows.shape)}.")
    if x.shape != y.shape:
        raise ValueError(f"`y` must have the shape of `x`, got {tuple(x.shape)} and {tuple(y.shape)}.")
    if x.device != y.device:
        raise ValueError(f"`y` must be on the device of `x`, got {x.device} and {y.device}.")
    real = torch.float64 if torch.float64 in (x.dtype, y.dtype) else torch.float32
    return x.to(real), y.to(real)


def as_scalar(name: str, value: torch.Tensor | float, like: torch.Tensor) -> Float[torch.Tensor, ""]:
    """Return one number as a tensor of the type and on the device of `like`; a tensor keeps its graph."""
    found = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if found.numel() != 1:
        raise ValueError(f"`{name}` must be one number, got shape {tuple(found.shape)}.")
    return found.reshape(())


def checked_chunk(chunk: int | None, columns: int, device: torch.device) -> int:
    """Return the rows of a chunk: as given, or by default what fits the cache of a processor or fills a GPU."""
    if chunk is not None:
        return as_count("chunk", chunk)
    return max(1, _ENTRIES.get(device.type, _ENTRIES["cuda"]) // columns)


def underflow_margin(real: torch.dtype) -> float:
    """Return how far below its shift a log may lie while what has underflowed is under eps² of it a term."""
    found = torch.finfo(real)
    return 2 * math.log(found.eps) - math.log(found.tiny)


def first_derivative_only(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a backward pass refuse to be recorded: torch's own mark does so only where the incoming gradient has a graph,
    and would pass over a second derivative by the rows in silence."""

    @functools.wraps(backward)
    def once(ctx: Any, *grads: torch.Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("a loss in chunks has no second derivative: differentiate without create_graph=True.")
        return backward(ctx, *grads)

    return once


def product_blocks(
    x: Float[torch.Tensor, "m d"], columns: Float[torch.Tensor, "n d"], scale: torch.Tensor | float, chunk: int
) -> Iterator[tuple[slice, Products]]:
    """Yield the rows of a chunk and `scale` times their products with all columns, in one buffer that is used again.

    The buffer holds a chunk column by column: so all products here run at the full rate of a processor's libraries,
    which are a fifth slower where the few rows of a chunk are multiplied by the many columns.
    """
    buffer = chunk_buffer(x, len(columns), chunk)
    for start in range(0, len(x), chunk):
        own = slice(start, min(start + chunk, len(x)))
        block = buffer(own)
        yield own, torch.mm(columns, (x[own] * scale).T, out=block.T).T


def chunk_buffer(like: Float[torch.Tensor, "m ..."], columns: int, chunk: int) -> Callable[[slice], Products]:
    """Return what gives the array of a chunk of the rows of `like`, column by column in the same memory each time."""
    entries = like.new_empty(columns * min(chunk, len(like)))
    return lambda own: entries[: columns * (own.stop - own.start)].view(columns, -1).T


def weighted_sums(
    x: Float[torch.Tensor, "m d"],
    columns: Float[torch.Tensor, "n d"],
    scale: torch.Tensor | float,
    chunk: int,
    weigh: Callable[[slice, Products], None],
) -> tuple[Float[torch.Tensor, "m d"], Float[torch.Tensor, "n d"]]:
    """Return the sums of columns at each row and of rows at each column, by the weights that `weigh` makes in place of
    the scaled products of a chunk."""
    at_columns = torch.zeros_like(columns)

    def weigh_and_add(own: slice, block: Products) -> None:
        weigh(own, block)
        at_columns.addmm_(block.T, x[own])

    return weighted_row_sums(x, columns, scale, chunk, weigh_and_add), at_columns


def weighted_row_sums(
    x: Float[torch.Tensor, "m d"],
    columns: Float[torch.Tensor, "n d"],
    scale: torch.Tensor | float,
    chunk: int,
    weigh: Callable[[slice, Products], None],
) -> Float[torch.Tensor, "m d"]:
    """Return the sums of columns at each row alone, as `weighted_sums` does: a product less."""
    at_rows = torch.empty_like(x)
    for own, block in product_blocks(x, columns, scale, chunk):
        weigh(own, block)
        torch.mm(block, columns, out=at_rows[own])
    return at_rows
