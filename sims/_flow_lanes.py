"""What the CLIP gradient needs of its exponentials, in float32, sixteen lanes at a time: for `sims._flow_tiles`.

A tile is 48 rows by 48 columns of exponentials. It stays in the first-level cache from the product that makes its
cosines to its sums, and from its weights to the two products that they enter. A product keeps six rows of sixteen lanes
in registers, what AVX2 has room for. A strip is 48 rows, tile after tile; `n` rows and columns are pairs, and what lies
beyond is 0.
"""

import math

import numpy as np
from numba import njit

from sims._lane_functions import power_of_two
from sims._simd import LANES, floats, fma, load, maximum, minimum, store

__all__ = ["TILE", "TOP", "fill_strip", "weigh_strip"]

_f, _place = np.float32, np.uint64
TOP = 85.0
"""Largest exponent that a sum of exponentials can hold, in nats."""

TILE = 48
"""Rows and columns of a tile."""

_LEAST = -125  # an exponential below 2^LEAST is taken for that
_PER_LN_2 = 1 / math.log(2)
_ROWS = 6  # of a product in registers


@njit(nogil=True, error_model="numpy", cache=True, forceinline=True)
def _product(left, at, row, step, right, place, lane_step, count):
    """Return the six vectors Σₖ left[at + r row + k step] right[place + k lane_step : + 16], k < count."""
    c0, c1, c2 = floats(_f(0)), floats(_f(0)), floats(_f(0))
    c3, c4, c5 = floats(_f(0)), floats(_f(0)), floats(_f(0))
    for _ in range(count):
        v = load(right, place)
        c0 = fma(floats(left[_place(at)]), v, c0)
        c1 = fma(floats(left[_place(at + row)]), v, c1)
        c2 = fma(floats(left[_place(at + 2 * row)]), v, c2)
        c3 = fma(floats(left[_place(at + 3 * row)]), v, c3)
        c4 = fma(floats(left[_place(at + 4 * row)]), v, c4)
        c5 = fma(floats(left[_place(at + 5 * row)]), v, c5)
        at += step
        place += lane_step
    return c0, c1, c2, c3, c4, c5


@njit(nogil=True, error_model="numpy", cache=True, forceinline=True)
def _put(vectors, out, to, row):
    """Write six vectors to six rows of `out`."""
    for r in range(_ROWS):
        store(out, to + r * row, vectors[r])


@njit(nogil=True, error_model="numpy", cache=True, forceinline=True)
def _add(vectors, out, to, row):
    """Add six vectors to six rows of `out`."""
    for r in range(_ROWS):
        store(out, to + r * row, load(out, to + r * row) + vectors[r])


@njit(nogil=True, error_model="numpy", cache=True)
def _exponentiate(tile, beta, level):
    """Replace the cosines c of a tile by exp(β(c - level))."""
    scale = _f(beta * _PER_LN_2)
    factor, shift = floats(scale), floats(_f(level))
    low, high = floats(_f(_LEAST) / scale), floats(_f(-_LEAST) / scale)
    for place in range(0, TILE * TILE, LANES):
        store(tile, place, power_of_two(minimum(maximum(load(tile, place) - shift, low), high), factor))


@njit(nogil=True, error_model="numpy", cache=True)
def _clear(tile, rows, columns):
    """Set what lies beyond the first `rows` and `columns` of a tile to 0."""
    if columns < TILE:
        for r in range(TILE):
            tile[r * TILE + columns : (r + 1) * TILE] = _f(0)
    if rows < TILE:
        tile[rows * TILE :] = _f(0)


@njit(nogil=True, error_model="numpy", cache=True)
def _add_sums(tile, row_lanes, column_sums):
    """Add the sums of a tile's columns, and those of its rows lane by lane."""
    for r in range(TILE):
        total = load(row_lanes, r * LANES)
        for j in range(0, TILE, LANES):
            value = load(tile, r * TILE + j)
            total = total + value
            store(column_sums, j, load(column_sums, j) + value)
        store(row_lanes, r * LANES, total)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_strip(x, y_lanes, index, n, beta, level, strip, own, row_sums, column_sums):
    """Fill strip number `index` with exp(β(xᵢ·yⱼ - level)), 0 at the pairs, whose cosines go to `own`.

    `x` holds the strip's rows, shape (48, d); `y_lanes` all columns, sixteen together, shape (padded / 16, d, 16).
    Fills `row_sums`, shape (48,), and adds to `column_sums`, shape (padded,). `strip` has shape (padded / 48, 48²).
    """
    dim = x.shape[1]
    left, right, row_lanes = x.ravel(), y_lanes.ravel(), np.zeros(TILE * LANES, dtype=np.float32)
    for t in range(strip.shape[0]):
        tile = strip[t]
        for j in range(0, TILE, LANES):
            for i in range(0, TILE, _ROWS):
                cosines = _product(left, i * dim, dim, 1, right, (t * TILE + j) * dim, LANES, dim)
                _put(cosines, tile, i * TILE + j, TILE)
        if t == index:
            for r in range(TILE):
                own[r] = tile[r * TILE + r]
        _exponentiate(tile, beta, level)
        if t == index:
            for r in range(TILE):
                tile[r * TILE + r] = _f(0)
        _clear(tile, n - index * TILE, n - t * TILE)
        _add_sums(tile, row_lanes, column_sums[t * TILE : (t + 1) * TILE])
    for r in range(TILE):
        row_sums[r] = np.sum(row_lanes[r * LANES : (r + 1) * LANES])


@njit(nogil=True, error_model="numpy", cache=True)
def weigh_strip(strip, index, x, y, row_factors, column_factors, diagonal, grad_x, grad_y):
    """Replace a strip's exponentials e by W = e (a + b), `diagonal` at the pairs; add WY and WᵀX.

    `x` and `grad_x` hold the strip's rows, shape (48, d), `y` and `grad_y` all columns, shape (padded, d); d is a
    multiple of sixteen.
    """
    dim = x.shape[1]
    of_x, of_y, to_x, to_y = x.ravel(), y.ravel(), grad_x.ravel(), grad_y.ravel()
    for t in range(strip.shape[0]):
        tile, start = strip[t], t * TILE * dim
        for r in range(TILE):
            a = floats(row_factors[r])
            for j in range(0, TILE, LANES):
                place = r * TILE + j
                store(tile, place, load(tile, place) * (a + load(column_factors, t * TILE + j)))
            if t == index:
                tile[r * TILE + r] = diagonal[r]
        for v in range(0, dim, LANES):
            for i in range(0, TILE, _ROWS):
                _add(_product(tile, i * TILE, TILE, 1, of_y, start + v, dim, TILE), to_x, i * dim + v, dim)
        for v in range(0, dim, LANES):
            for j in range(0, TILE, _ROWS):
                _add(_product(tile, j, 1, TILE, of_x, v, dim, TILE), to_y, start + j * dim + v, dim)
