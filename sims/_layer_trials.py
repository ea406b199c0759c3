"""Trials of one ReLU layer by the fastest kernel that is right for them.

From `LANES_FROM` units on a trial is a lane of sixteen in float32 (`sims._lane_kernels`), which is some forty times
as fast; narrower layers, whose cosines have atoms and whose sums may differ by orders, stay in float64. So do all
layers where numba's interface to vectors is missing, its compiler is off, or ``CONETHEORY_KERNELS`` is ``plain``.
"""

import math
import os
from importlib import import_module
from typing import Any

import numpy as np
from numba import config

from conetheory._arrays import as_count
from sims import _kernels

_lane_kernels: Any
try:
    _lane_kernels = import_module("sims._lane_kernels")
except Exception:  # whatever the compiler's interface has become: the plain kernels need none of it
    _lane_kernels = None

__all__ = ["BLOCK", "KERNELS", "LANES_FROM", "MOST_UNITS", "as_width", "layer_sums"]

LANES_FROM = 32
MOST_UNITS = (1 << 32) - 1  # that a word of a lane can count
BLOCK = 4096  # trials that share a stream: as many hide what it costs to spawn one
_no_lanes = _lane_kernels is None or getattr(config, "DISABLE_JIT", False)  # Python itself has no vectors
KERNELS = "plain" if _no_lanes or os.environ.get("CONETHEORY_KERNELS") == "plain" else "16 lanes"
"""Which kernels run: chosen once, when this module is imported."""


def as_width(value: Any) -> int:
    """Return the number of units of a layer, `value`, as an int that the kernels can count."""
    width = as_count("width", value)
    if width > MOST_UNITS:
        raise ValueError(f"`width` must be at most 2**32 - 1, got {width}.")
    return width


def layer_sums(stream: np.random.Generator, n: int, width: int, law: tuple[float, float, float]) -> np.ndarray:
    """Return the five sums of `sims._kernels.fill_layer_sums` for `n` trials, shape (5, n).

    `law` is half the active arc, cos(θ/2) and sin(θ/2). The first trials do not depend on `n`.
    """
    if KERNELS == "plain" or width < LANES_FROM:
        out = np.empty((5, n))
        _kernels.fill_layer_sums(stream, out, width, *law)
        return out
    return _lane_sums(stream, n, width, law)


def _lane_sums(stream: np.random.Generator, n: int, width: int, law: tuple[float, float, float]) -> np.ndarray:
    state = stream.integers(0, 1 << 32, _lane_kernels.SEEDS, dtype=np.uint32)
    _, cos_half, sin_half = law
    drawn = -(-n // _lane_kernels.TEAM) * _lane_kernels.TEAM
    shares = np.full(drawn, 2 / np.pi * math.atan2(sin_half, cos_half))
    out = np.empty((5, n))
    _lane_kernels.fill_layer_sums(state, width, shares, np.full(drawn, cos_half), np.full(drawn, sin_half), out)
    return out
