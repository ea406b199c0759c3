"""Batches of resampled pairs, and the slope of their loss along the shift, in float64. Private: inputs are validated.

A block is one batch: `rows` pairs by `columns` pairs, of which the last may be padding. At λ = 0 the cosine c_ij turns
at the rate c'_ij = (1 + c_ij)(p_i - q_j) (``docs/theory.md``, 7.4).
"""

import math

import numpy as np
from numba import njit

__all__ = ["ABSENT", "add_slopes", "fill_blocks"]

ABSENT = np.float32(-3e38)
"""Cosine of what is no pair of two: its exponential is 0."""


@njit(nogil=True, error_model="numpy", cache=True)
def fill_blocks(products, p, q, places, sizes, cosines, turns, own):
    """Gather the blocks of one resample.

    Parameters
    ----------
    products : float32, shape (n, n)
        S = XYᵀ.
    p, q : float32, shape (n,)
        XΔ and YΔ, with Δ the gap of the resample.
    places : uint32, shape (sum of sizes,)
        Which pair stands where, block after block.
    sizes : int64, shape (blocks,)
    cosines, turns : float32, shape (blocks, rows, columns)
        Filled: c_ij and c'_ij, `ABSENT` and 0 for a pair with itself, with a copy of itself, and for padding.
    own : float32, shape (2, blocks, rows)
        Filled: c_ii and c'_ii.
    """
    start = 0
    zero, one = np.float32(0), np.float32(1)
    columns = np.empty(cosines.shape[2], dtype=np.float32)
    for k in range(sizes.size):
        size = sizes[k]
        here = places[start : start + size]
        for s in range(size):
            columns[s] = q[here[s]]
        for r in range(cosines.shape[1]):
            line, turn = cosines[k, r], turns[k, r]
            if r < size:
                i = here[r]
                row, product = products[i], p[i]
                own[0, k, r], own[1, k, r] = row[i], (one + row[i]) * (product - q[i])
                for s in range(size):
                    line[s] = row[here[s]]
                for s in range(size):
                    turn[s] = (one + line[s]) * (product - columns[s])
                for s in range(size):
                    if here[s] == i:
                        line[s], turn[s] = ABSENT, zero
            line[size if r < size else 0 :], turn[size if r < size else 0 :] = ABSENT, zero
        start += size


@njit(nogil=True, error_model="numpy", cache=True)
def add_slopes(cosines, turns, own, sizes, beta, level, row_part, column_part):
    """Return the sum over rows, and over columns, of Σ_j P_ij (c'_ij - c'_ii), each times its part.

    Parameters
    ----------
    cosines, turns, own, sizes
        As `fill_blocks` leaves them.
    beta, level : float
        1/τ, and a cosine that is subtracted from all.
    row_part, column_part : float
    """
    total = 0.0
    sums = np.empty((4, cosines.shape[1]))
    for k in range(sizes.size):
        size = sizes[k]
        sums[:] = 0
        for r in range(size):
            for s in range(size):
                weight = math.exp(beta * (cosines[k, r, s] - level))
                sums[0, r] += weight
                sums[1, r] += weight * turns[k, r, s]
                sums[2, s] += weight
                sums[3, s] += weight * turns[k, r, s]
        for r in range(size):
            inverse = math.exp(beta * (level - own[0, k, r]))
            row = (sums[1, r] - own[1, k, r] * sums[0, r]) * inverse / (1 + sums[0, r] * inverse)
            column = (sums[3, r] - own[1, k, r] * sums[2, r]) * inverse / (1 + sums[2, r] * inverse)
            total += row_part * row + column_part * column
    return total
