"""Loops over wide layers in float32: activations of points and of their differences, and the angles between points.

`z` and `out` have shape (networks, points, units): of a network, row 0 is a point, the others are the differences to it
of the other points. So what is small stays accurate: where φ(a + s) − φ(a) would cancel it is not what is computed.
"""

import math

import numpy as np
from numba import njit

from sims._simd import (
    LANES,
    as_floats,
    as_words,
    divide,
    floats,
    fma,
    load,
    minimum,
    shift_left,
    store,
    words,
)

__all__ = ["fill_piecewise_linear", "fill_products", "fill_quadratic_forms", "fill_tanh", "fill_unit_weights"]

_f = np.float32
_ROUND = _f(1.5 * 2**23)  # added and taken away it leaves the nearest whole number
_LN_2_HIGH = _f(math.log(2))
_LN_2_LOW = _f(math.log(2) - float(_f(math.log(2))))
# (exp(x) - 1) / x for |x| <= ln(2) / 2
_E0, _E1, _E2, _E3, _E4, _E5 = _f(1.0), _f(0.5), _f(0.16666505), _f(0.04166624), _f(0.00836915), _f(0.0013948584)
_DEAD = 1e-12  # a point whose square is less than this part of that of row 0 is 0, but for rounding


@njit(nogil=True, error_model="numpy", cache=True)
def fill_piecewise_linear(z, slope, out):
    """Apply φ(x) = x for x > 0, else ``slope`` x.

    Where both points of a difference lie on one side of 0 nothing cancels; where they do not, their sum is no larger
    than the difference.
    """
    zero, slope = _f(0), _f(slope)
    for i in range(z.shape[0]):
        base = z[i, 0]
        for k in range(base.size):
            out[i, 0, k] = base[k] if base[k] > zero else slope * base[k]
        for j in range(1, z.shape[1]):
            step, row = z[i, j], out[i, j]
            for k in range(base.size):
                other = base[k] + step[k]
                from_above = step[k] if other > zero else slope * other - base[k]
                from_below = other - slope * base[k] if other > zero else slope * step[k]
                row[k] = from_above if base[k] > zero else from_below


@njit(cache=True)
def _tanh(x):
    """Return tanh x with a small relative error, from expm1(-2|x|)."""
    sign = as_words(x) & words(0x80000000)
    y = floats(_f(-2)) * minimum(as_floats(as_words(x) ^ sign), floats(_f(15)))
    shifted = fma(y, floats(_f(1 / math.log(2))), floats(_ROUND))
    whole = shifted - floats(_ROUND)
    y = fma(whole, floats(-_LN_2_LOW), fma(whole, floats(-_LN_2_HIGH), y))
    e = fma(floats(_E5), y, floats(_E4))
    e = fma(e, y, floats(_E3))
    e = fma(e, y, floats(_E2))
    e = fma(e, y, floats(_E1))
    e = y * fma(e, y, floats(_E0))
    power = as_floats(shift_left(as_words(shifted) + words(127), 23))
    e = fma(power, e, power - floats(_f(1)))
    return as_floats(as_words(divide(floats(_f(0)) - e, floats(_f(2)) + e)) ^ sign)


@njit(cache=True)
def _tanh_rows(z, k, scale, middle, out, start):
    """Write ``out[:, start:]``, sixteen units of the points of one network after the activation, from ``z[:, k:]``."""
    base = scale * load(z[0], k)
    first = _tanh(base)
    store(out[0], start, fma(scale, first, middle))
    for j in range(1, z.shape[0]):
        step = scale * load(z[j], k)
        slope = fma(floats(_f(0)) - first, _tanh(base + step), floats(_f(1)))
        store(out[j], start, scale * _tanh(step) * slope)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_tanh(z, stretch, centre, out):
    """Apply φ(x) = centre + stretch tanh(stretch x): tanh, and with halves the logistic function.

    tanh(a + s) − tanh(a) = tanh(s) (1 − tanh(a) tanh(a + s)).
    """
    scale, middle = floats(_f(stretch)), floats(_f(centre))
    points, units = z.shape[1:]
    whole = units // LANES * LANES
    rest = np.zeros((points, LANES), dtype=np.float32)
    for i in range(z.shape[0]):
        for k in range(0, whole, LANES):
            _tanh_rows(z[i], k, scale, middle, out[i], k)
        if whole < units:
            rest[:, : units - whole] = z[i, :, whole:]
            _tanh_rows(rest, 0, scale, middle, rest, 0)
            out[i, :, whole:] = rest[:, : units - whole]


@njit(nogil=True, error_model="numpy", cache=True)
def fill_products(x, first, square):
    """Fill the products of row 0 with every row and the squares of the rows, shape (networks, points)."""
    whole = x.shape[2] // LANES * LANES
    parts = np.empty((2, LANES), dtype=np.float32)
    for i in range(x.shape[0]):
        base = x[i, 0]
        for j in range(x.shape[1]):
            row = x[i, j]
            inner = norm = floats(_f(0))
            for k in range(0, whole, LANES):
                here = load(row, k)
                inner = fma(load(base, k), here, inner)
                norm = fma(here, here, norm)
            store(parts[0], 0, inner)
            store(parts[1], 0, norm)
            total_inner = total_norm = 0.0
            for k in range(LANES):
                total_inner += parts[0, k]
                total_norm += parts[1, k]
            for k in range(whole, row.size):
                total_inner += np.float64(base[k]) * row[k]
                total_norm += np.float64(row[k]) * row[k]
            first[i, j], square[i, j] = total_inner, total_norm


@njit(nogil=True, error_model="numpy", cache=True)
def fill_unit_weights(first, square, weights, total):
    """Fill the weights of the rows that make the sum of the unit vectors' differences to that of row 0.

    `total` becomes the sum of the squares of these differences, or NaN where a point is 0.
    """
    for i in range(first.shape[0]):
        norm_0 = math.sqrt(first[i, 0])
        weights[i, 0] = 0.0
        total[i] = 0.0 if norm_0 > 0 else np.nan
        for j in range(1, first.shape[1]):
            change = 2 * first[i, j] + square[i, j]
            norm_square = first[i, 0] + change
            if norm_0 > 0 and norm_square > _DEAD * first[i, 0]:
                norm = math.sqrt(norm_square)
                step = change / (norm + norm_0)
                weights[i, j] = 1 / norm
                weights[i, 0] -= step / (norm * norm_0)
                total[i] += (square[i, j] - step * step) / (norm * norm_0)
            else:
                weights[i, j] = 0.0
                total[i] = np.nan


@njit(nogil=True, error_model="numpy", cache=True)
def fill_quadratic_forms(gram, weights, out):
    """Fill the quadratic forms of symmetric matrices, shape (networks, n, n), at the rows of `weights`."""
    n = gram.shape[1]
    for i in range(gram.shape[0]):
        total = 0.0
        for j in range(n):
            row = 0.5 * gram[i, j, j] * weights[i, j]
            for k in range(j):
                row += gram[i, j, k] * weights[i, k]
            total += 2 * row * weights[i, j]
        out[i] = total
