"""Exponentials of cosines and their sums, and the weights of the CLIP gradient, in float64: the plain kernels.

A panel holds some rows of X Yᵀ; row r is paired with column `first` + r. What is summed leaves the pair out: tiny
losses keep their digits, as nothing is ever subtracted from 1.
"""

import math

from numba import njit

__all__ = ["TOP", "fill_exponentials", "fill_weights"]

TOP = 700.0
"""Largest exponent that a sum of exponentials can hold, in nats."""


@njit(nogil=True, error_model="numpy", cache=True)
def fill_exponentials(panel, first, n, beta, level, own, row_sums, column_sums):
    """Replace cosines c of a panel by exp(β(c - level)), 0 at the pairs, whose cosines go to `own`.

    Fills `row_sums` and adds to `column_sums`.
    """
    for r in range(panel.shape[0]):
        own[r] = panel[r, first + r]
        total = 0.0
        for j in range(n):
            value = math.exp(beta * (panel[r, j] - level)) if j != first + r else 0.0
            panel[r, j] = value
            total += value
            column_sums[j] += value
        row_sums[r] = total


@njit(nogil=True, error_model="numpy", cache=True)
def fill_weights(panel, first, n, row_factors, column_factors, diagonal):
    """Replace exponentials e of a panel by e (a + b), a of the row and b of the column; pairs get `diagonal`."""
    for r in range(panel.shape[0]):
        a = row_factors[r]
        for j in range(n):
            panel[r, j] *= a + column_factors[j]
        panel[r, first + r] = diagonal[r]
