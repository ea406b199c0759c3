"""One task of a sweep: one block of trials at one point, drawn in whatever process this is."""

import hashlib
import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from conetheory import __version__
from sims._sweep_points import Point, block_stream
from sims.moments import Moments
from sims.sweep_samplers import load_sampler

__all__ = ["Block", "Task", "identity", "run_block"]


class Task(NamedTuple):
    """The number of a point in its sweep, and the number of a block."""

    point: int
    block: int


class Block(NamedTuple):
    """What a task brings back: which code drew it, and quantity, n, total, spread of each quantity."""

    code: dict[str, str]
    rows: tuple[tuple[str, int, float, float], ...]


@lru_cache(maxsize=8)
def _source(path: str) -> str:
    try:
        source = inspect.getsource(load_sampler(path))
    except OSError as error:
        raise ValueError(f"`sampler` {path!r} must have a source that can be read: {error}.") from error
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def identity(path: str) -> dict[str, str]:
    """Return what the numbers of a block depend on beside seed, point and block: version, kernels, the sampler.

    Blocks that differ in it must not be in one table.
    """
    from sims._layer_trials import KERNELS

    return {"conetheory": __version__, "kernels": KERNELS, "source of the sampler": _source(path)}


def run_block(path: str, seed: int, point: Point, block: int, trials: int) -> Block:
    """Draw one block with the sampler named `path`."""
    sums = load_sampler(path)(block_stream(seed, point, block), trials, **point)
    if not (isinstance(sums, Mapping) and sums):
        raise TypeError(f"`sampler` {path!r} must return Moments by quantity, got {sums!r}.")
    for quantity, part in sums.items():
        if not (isinstance(quantity, str) and isinstance(part, Moments)):
            raise TypeError(f"`sampler` {path!r} must return Moments by quantity, got {part!r} for {quantity!r}.")
    rows = tuple((quantity, int(p.n), float(p.total), float(p.spread)) for quantity, p in sums.items())
    return Block(identity(path), rows)
