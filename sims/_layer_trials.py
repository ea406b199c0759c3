"""Trials of one ReLU layer by the fastest kernel that is right for them.

From `LANES_FROM` units on a trial is a lane of sixteen in float32 (`sims._lane_kernels`), which is some twenty times
as fast; narrower layers, whose cosines have atoms and whose sums may differ by orders, stay in float64. So do all
layers where numba's interface to vectors is missing, or ``CONETHEORY_KERNELS`` is ``plain``.
"""

import os
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from sims import _kernels
from sims._binomial import binomial_table, draw_binomials
from sims._streams import BLOCK

_lane_kernels: Any
try:
    _lane_kernels = import_module("sims._lane_kernels")
except Exception:  # whatever the compiler's interface has become: the plain kernels need none of it
    _lane_kernels = None

__all__ = ["KERNELS", "LANES_FROM", "layer_sums"]

LANES_FROM = 32
KERNELS = "plain" if _lane_kernels is None or os.environ.get("CONETHEORY_KERNELS") == "plain" else "16 lanes"
"""Which kernels run: chosen once, when this module is imported."""


def layer_sums(stream: np.random.Generator, n: int, width: int, law: tuple[float, float, float]) -> np.ndarray:
    """Return the five sums of `sims._kernels.fill_layer_sums` for `n` trials, at most `BLOCK`, shape (5, n).

    `law` is half the active arc, cos(θ/2) and sin(θ/2). The first trials do not depend on `n`.
    """
    if KERNELS == "plain" or width < LANES_FROM:
        out = np.empty((5, n))
        _kernels.fill_layer_sums(stream, out, width, *law)
        return out
    return _lane_sums(stream, n, width, law)


def _lane_sums(stream: np.random.Generator, n: int, width: int, law: tuple[float, float, float]) -> np.ndarray:
    seeds = stream.integers(0, 1 << 32, _lane_kernels.SEEDS, dtype=np.uint32)
    whole = -(-n // _lane_kernels.LANES) * _lane_kernels.LANES
    counts = np.empty(whole, dtype=np.uint32)
    draw_binomials(stream.random(BLOCK), *_active_units(width, law[0]), counts)
    out = np.empty((5, whole), dtype=np.float32)
    _lane_kernels.fill_layer_sums(seeds, counts, out, *map(np.float32, law[1:]), law[0])
    return out[:, :n]


@lru_cache(maxsize=16)
def _active_units(width: int, active: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the table of the number of units that are active for one of the inputs at least."""
    return binomial_table(width, active / np.pi)
