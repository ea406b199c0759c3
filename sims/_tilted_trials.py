"""Trials of a layer under the tilt by the fastest kernel that is right for them.

From `LANES_FROM` units on the directions are drawn in sixteen lanes of float32 (`sims._tilted_lanes`), whose sums are
kept to twice its digits: a log weight is right to some 1e-5. Narrower layers are drawn in float64, and so is a law with
a hyperbolic angle beyond the polynomials of the lanes, which takes a cosine below .03 or a tilt near its end. What
follows from the sums is float64 everywhere.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from sims import _tilted_kernels
from sims._binomial import binomial_table, draw_binomials
from sims._layer_trials import KERNELS, LANES_FROM
from sims._streams import BLOCK
from sims._tilted_kernels import TiltedLaw

_lanes: Any = import_module("sims._tilted_lanes") if KERNELS == "16 lanes" else None

__all__ = ["log_weights"]


def log_weights(stream: np.random.Generator, n: int, width: int, law: TiltedLaw, cosine: float) -> np.ndarray:
    """Return `sims._tilted_kernels.fill_log_weights` of `n` trials, at most `BLOCK`.

    The first trials do not depend on `n`.
    """
    if KERNELS == "plain" or width < LANES_FROM or max(law.turn_both, law.turn_one) > _lanes.MOST_TURN:
        counts, sums = np.empty((2, n), dtype=np.uint32), np.empty((10, n))
        _tilted_kernels.fill_unit_sums(stream, counts, sums, width, law)
    else:
        counts, sums = _lane_sums(stream, n, width, law)
    out = np.empty(n)
    _tilted_kernels.fill_log_weights(counts, sums, out, law, cosine)
    return out


def _lane_sums(stream: np.random.Generator, n: int, width: int, law: TiltedLaw) -> tuple[np.ndarray, np.ndarray]:
    seeds = stream.integers(0, 1 << 32, _lanes.SEEDS, dtype=np.uint32)
    active = np.empty(BLOCK, dtype=np.uint32)
    draw_binomials(stream.random(BLOCK), *_active_units(width, law.active), active)
    both = stream.binomial(active, law.both).astype(np.uint32)
    whole = -(-n // _lanes.LANES) * _lanes.LANES
    counts = np.array([both[:whole], (active - both)[:whole]])
    pairs = np.zeros((10, 2, whole), dtype=np.float32)
    _lanes.fill_unit_sums(seeds, counts, pairs, _lanes.lane_law(law))
    return counts[:, :n], (pairs[:, 0] + pairs[:, 1].astype(np.float64))[:, :n]


@lru_cache(maxsize=16)
def _active_units(width: int, active: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the table of the number of units that are active for one of the inputs at least."""
    return binomial_table(width, active)
