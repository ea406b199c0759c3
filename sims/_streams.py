"""Reproducible random streams: trials come in blocks of fixed size, one stream each, whatever the threads.

So the first trials of a sample are the same however many there are: a sample can be extended without doing them anew.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["BLOCK", "block_streams", "map_blocks"]

BLOCK = 1024  # trials a block; changing it changes every sampled number


def block_streams(rng: np.random.Generator | int | None, n_blocks: int) -> list[np.random.Generator]:
    """Return `n_blocks` independent generators; the i-th does not depend on how many are asked for.

    They are spawned from `rng`, so a second call with the same Generator object gives new streams, and with the same
    seed the same ones.

    Examples
    --------
    >>> [int(stream.integers(100)) for stream in block_streams(0, 3)]
    [80, 66, 65]
    """
    return np.random.default_rng(rng).spawn(n_blocks)


def map_blocks(
    kernel: Callable[[np.random.Generator, slice], Any],
    n: int,
    *,
    rng: np.random.Generator | int | None,
    workers: int = 1,
    block: int = BLOCK,
) -> list[Any]:
    """Return ``kernel(stream, trials)`` for each block of the trials 0..n-1, in order.

    `block` is the number of trials in a block, fewer where a trial takes long. `workers` threads run the blocks, which
    helps a kernel that releases the GIL; the result does not depend on it.
    """
    trials = [slice(start, min(start + block, n)) for start in range(0, n, block)]
    streams = block_streams(rng, len(trials))
    if workers == 1:
        return [kernel(stream, part) for stream, part in zip(streams, trials, strict=True)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(kernel, streams, trials))
