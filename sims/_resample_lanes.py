"""The slope of `sims._resample_kernels`, sixteen columns at a time in float32."""

import math

import numpy as np
from numba import njit

from sims._lane_functions import power_of_two
from sims._simd import LANES, floats, load, maximum, minimum, store

__all__ = ["TOP", "WIDTH", "add_slopes"]

TOP = 60.0
"""Largest distance from the level, in nats, of a cosine above it or of a matched one below it."""

WIDTH = LANES
"""The columns of a block are a multiple of this."""

_f = np.float32
_LEAST = -125  # an exponential below 2^LEAST is taken for that
_PER_LN_2 = 1 / math.log(2)


@njit(cache=True)
def _total(vector, lanes):
    """Return the sum of the lanes of `vector`."""
    store(lanes, 0, vector)
    return np.sum(lanes)


@njit(nogil=True, error_model="numpy", cache=True)
def add_slopes(cosines, turns, own, sizes, beta, level, row_part, column_part):
    """Return what `sims._resample_kernels.add_slopes` does, same arguments, for cosines within `TOP`/β of `level`."""
    width = cosines.shape[2]
    scale = _f(beta * _PER_LN_2)
    factor, shift = floats(scale), floats(_f(level))
    low, high = floats(_f(_LEAST) / scale), floats(_f(-_LEAST) / scale)
    column_mass, column_moved = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    row_mass, row_moved = np.empty(width), np.empty(width)
    lanes = np.empty(LANES, dtype=np.float32)
    zero = floats(_f(0))
    total = 0.0
    for k in range(sizes.size):
        column_mass[:] = 0
        column_moved[:] = 0
        for r in range(sizes[k]):
            line, turn = cosines[k, r], turns[k, r]
            mass, moved = zero, zero
            for s in range(0, width, LANES):
                weight = power_of_two(minimum(maximum(load(line, s) - shift, low), high), factor)
                product = weight * load(turn, s)
                mass, moved = mass + weight, moved + product
                store(column_mass, s, load(column_mass, s) + weight)
                store(column_moved, s, load(column_moved, s) + product)
            row_mass[r], row_moved[r] = _total(mass, lanes), _total(moved, lanes)
        for r in range(sizes[k]):
            inverse = math.exp(beta * (level - own[0, k, r]))
            row = (row_moved[r] - own[1, k, r] * row_mass[r]) * inverse / (1 + row_mass[r] * inverse)
            column = (column_moved[r] - own[1, k, r] * column_mass[r]) * inverse / (1 + column_mass[r] * inverse)
            total += row_part * row + column_part * column
    return total
