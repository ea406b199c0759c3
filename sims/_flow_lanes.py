"""Exponentials of cosines and their sums, and the weights of the CLIP gradient: sixteen columns at a time, in float32.

What `sims._flow_kernels` does, with rows padded to a multiple of sixteen; the padding is zero in the end.
"""

import math

import numpy as np
from numba import njit

from sims._lane_functions import power_of_two
from sims._simd import LANES, floats, load, maximum, minimum, store

__all__ = ["TOP", "WIDTH", "fill_exponentials", "fill_weights"]

_f = np.float32
TOP = 85.0
"""Largest exponent that a sum of exponentials can hold, in nats."""

WIDTH = LANES
"""The columns of a panel are a multiple of this."""

_LEAST = -125  # an exponential below 2^LEAST is taken for that
_PER_LN_2 = 1 / math.log(2)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_exponentials(panel, first, n, beta, level, own, row_sums, column_sums):
    """Replace cosines c of a panel by exp(β(c - level)), 0 at the pairs, whose cosines go to `own`.

    Fills `row_sums` and adds to `column_sums`.
    """
    scale = _f(beta * _PER_LN_2)
    factor, shift = floats(scale), floats(_f(level))
    low, high = floats(_f(_LEAST) / scale), floats(_f(-_LEAST) / scale)
    lanes = np.empty(LANES, dtype=np.float32)
    for r in range(panel.shape[0]):
        line = panel[r]
        own[r] = line[first + r]
        for j in range(0, line.size, LANES):
            store(line, j, power_of_two(minimum(maximum(load(line, j) - shift, low), high), factor))
        line[first + r] = _f(0)
        line[n:] = _f(0)
        total = floats(_f(0))
        for j in range(0, line.size, LANES):
            value = load(line, j)
            total = total + value
            store(column_sums, j, load(column_sums, j) + value)
        store(lanes, 0, total)
        row_sums[r] = np.sum(lanes)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_weights(panel, first, n, row_factors, column_factors, diagonal):
    """Replace exponentials e of a panel by e (a + b), a of the row and b of the column; pairs get `diagonal`."""
    for r in range(panel.shape[0]):
        line = panel[r]
        a = floats(row_factors[r])
        for j in range(0, line.size, LANES):
            store(line, j, load(line, j) * (a + load(column_factors, j)))
        line[first + r] = diagonal[r]
