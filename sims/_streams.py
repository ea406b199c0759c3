"""Reproducible random streams: a sample is a fixed number of blocks, one stream each, whatever the threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["block_streams", "map_blocks"]

BLOCKS = 32  # changing it changes every sampled number


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
) -> list[Any]:
    """Return ``kernel(stream, trials)`` for each block of the trials 0..n-1, in order.

    `workers` threads run the blocks, which helps a kernel that releases the GIL; the result does not depend on it.
    """
    edges = np.linspace(0, n, min(n, BLOCKS) + 1).astype(int).tolist()
    trials = [slice(start, stop) for start, stop in pairwise(edges)]
    streams = block_streams(rng, len(trials))
    if workers == 1:
        return [kernel(stream, block) for stream, block in zip(streams, trials, strict=True)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(kernel, streams, trials))
