"""Points of a sweep: one way to write each, its digest, and the random stream of each of its blocks."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

__all__ = ["Point", "block_stream", "canonical_point", "expand", "point_digest", "point_json"]

Point = dict[str, int | float | str | bool]

_RESERVED = ("point", "block", "quantity", "n", "total", "spread", "value", "stderr", "rng")
_EXACT = 1 << 53  # whole numbers up to here are the same as int and as double


def canonical_point(point: Mapping[str, Any]) -> Point:
    """Return `point` with sorted names, and a whole number as an int however it was written: 1, 1.0 and -0.0 for 0.

    A sampler sees this point, so that the numbers cannot depend on how it was written.
    """
    if not isinstance(point, Mapping):
        raise TypeError(f"`grid` must hold mappings from parameters to values, got {point!r}.")
    for name in point:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"`grid` must name parameters as Python does, got {name!r}.")
        if name in _RESERVED:
            raise ValueError(f"`grid` must not name a parameter {name!r}: the table has a column of that name.")
    return {name: _canonical_value(name, point[name]) for name in sorted(point)}


def _canonical_value(name: str, value: Any) -> int | float | str | bool:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) <= _EXACT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value == int(value) and abs(value) <= _EXACT else value
    raise ValueError(
        f"`grid` must give {name!r} finite numbers (whole ones up to 2^53), strings or booleans, got {value!r}."
    )


def point_json(point: Point) -> str:
    """Return the canonical JSON of a canonical point.

    Examples
    --------
    >>> point_json(canonical_point({"width": 64.0, "cosine": 0.5}))
    '{"cosine":0.5,"width":64}'
    """
    return json.dumps(point, sort_keys=True, separators=(",", ":"), allow_nan=False)


def point_digest(point: Point) -> str:
    """Return the name of a canonical point: p, and 64 bits of the SHA-256 of its JSON.

    The letter is there for readers that would take a partition of digits alone for a number.
    """
    return "p" + hashlib.sha256(point_json(point).encode()).hexdigest()[:16]


def block_stream(seed: int, point: Point, block: int) -> np.random.Generator:
    """Return the generator of one block, which depends on `seed`, the point and the number of the block alone."""
    entropy = hashlib.sha256(f"{seed} {point_json(point)}".encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(entropy), spawn_key=(block,)))


def expand(grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
    """Return the points of `grid`, canonical: the product of its lists, the last one fastest, or the points listed."""
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)) or not len(values):
                raise ValueError(f"`grid` must give {name!r} a list of at least one value, got {values!r}.")
        listed = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    elif isinstance(grid, Sequence) and not isinstance(grid, (str, bytes)):
        listed = list(grid)
    else:
        raise TypeError(f"`grid` must be a mapping from parameters to lists, or a list of points, got {grid!r}.")
    if not listed:
        raise ValueError("`grid` must have at least one point, got none.")
    points = tuple(canonical_point(point) for point in listed)
    seen: set[str] = set()
    for point in points:
        if (digest := point_digest(point)) in seen:
            raise ValueError(f"`grid` must hold every point once, got {point_json(point)} again.")
        seen.add(digest)
    return points
