"""What a flow does to rows between two gradients, one pass each: their tangential part, a move, the error of a step.

Rows are float64, shape (n, d). `free` says which coordinates move, shape (d,); a row keeps the length of its free part.
"""

import math

from numba import njit

__all__ = ["fill_descent", "fill_moved", "summed_square"]


@njit(nogil=True, error_model="numpy", cache=True)
def fill_descent(rows, gradients, free, out):
    """Fill `out` with minus the part of each gradient that keeps the row's frozen coordinates and its length."""
    for i in range(rows.shape[0]):
        along, square = 0.0, 0.0
        for j in range(rows.shape[1]):
            if free[j]:
                along += rows[i, j] * gradients[i, j]
                square += rows[i, j] * rows[i, j]
        share = along / square
        for j in range(rows.shape[1]):
            out[i, j] = share * rows[i, j] - gradients[i, j] if free[j] else 0.0


@njit(nogil=True, error_model="numpy", cache=True)
def fill_moved(rows, weights, velocities, lengths, free, out):
    """Fill `out` with rows + Σ weight · velocity, free parts scaled to `lengths`, shape (n,).

    `weights` is a tuple of numbers, `velocities` a tuple of as many arrays (n, d), 0 in frozen coordinates.
    """
    for i in range(rows.shape[0]):
        square = 0.0
        for j in range(rows.shape[1]):
            value = rows[i, j]
            for k in range(len(weights)):
                value += weights[k] * velocities[k][i, j]
            out[i, j] = value
            if free[j]:
                square += value * value
        scale = lengths[i] / math.sqrt(square)
        for j in range(rows.shape[1]):
            if free[j]:
                out[i, j] *= scale


@njit(nogil=True, error_model="numpy", cache=True)
def summed_square(weights, velocities):
    """Return the sum over all entries of (Σ weight · velocity)²."""
    total = 0.0
    for i in range(velocities[0].shape[0]):
        for j in range(velocities[0].shape[1]):
            value = 0.0
            for k in range(len(weights)):
                value += weights[k] * velocities[k][i, j]
            total += value * value
    return total
