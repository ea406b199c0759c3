"""Gradient caching: a batch whose activations do not fit, with the gradient of the whole batch.

The embeddings of all chunks are made without a graph; the loss gives their gradient; then each chunk is encoded again,
with the random numbers that it had, and its part of the gradient is passed on [1]_. One more forward pass buys
activations of one chunk instead of all.

References
----------
.. [1] L. Gao, Y. Zhang, J. Han and J. Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
   Setup", RepL4NLP 2021, arXiv:2101.06983.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float

__all__ = ["cached_step"]

Chunk = TypeVar("Chunk")
Rows = Float[torch.Tensor, "n d"]


def cached_step(
    encode: Callable[[Chunk], tuple[Rows, Rows]],
    inputs_chunks: Sequence[Chunk],
    loss_fn: Callable[[Rows, Rows], torch.Tensor],
) -> Float[torch.Tensor, ""]:
    """Add the gradient of a loss of all chunks together to the parameters, as ``loss.backward()`` does.

    Parameters
    ----------
    encode : callable
        From a chunk to the rows of x and of y, with a graph to the parameters. It is called twice a chunk, with the
        same random numbers of torch, so that dropout is the same; what else it changes, such as the statistics of batch
        normalisation, it changes twice.
    inputs_chunks : sequence
        The chunks; their rows, in this order, are the batch.
    loss_fn : callable
        From the rows of all chunks, shape (n, d) each, to a loss of one number; it may depend on parameters of its own,
        such as the logit scale, which get their gradient too.

    Returns
    -------
    Tensor
        The loss, without a graph. The generators of random numbers are where one pass over the chunks leaves them.

    Raises
    ------
    ValueError
        If there is no chunk.
    """
    if not len(inputs_chunks):
        raise ValueError("`inputs_chunks` must hold at least one chunk, got none.")
    states, found = [], []
    with torch.no_grad():
        for chunk in inputs_chunks:
            states.append(_random_states())
            found.append(encode(chunk))
    batch = [torch.cat(rows).requires_grad_() for rows in zip(*found, strict=True)]
    sizes = [len(rows) for rows, _ in found]
    loss = loss_fn(*batch)
    loss.backward()
    slopes = zip(*((rows * 0 if rows.grad is None else rows.grad).split(sizes) for rows in batch), strict=True)
    with torch.random.fork_rng(devices=list(states[0][1])):
        for chunk, state, slope in zip(inputs_chunks, states, slopes, strict=True):
            _restore(state)
            trained = [pair for pair in zip(encode(chunk), slope, strict=True) if pair[0].requires_grad]
            torch.autograd.backward([rows for rows, _ in trained], [part for _, part in trained])
    return loss.detach()


def _random_states() -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Return the state of the generator of the processor and of that of each GPU in use."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() and torch.cuda.is_initialized() else ()
    return torch.get_rng_state(), {device: torch.cuda.get_rng_state(device) for device in devices}


def _restore(state: tuple[torch.Tensor, dict[int, torch.Tensor]]) -> None:
    processor, devices = state
    torch.set_rng_state(processor)
    for device, found in devices.items():
        torch.cuda.set_rng_state(found, device)
