"""Sums over the units of a layer with slopes above and below 0, in sixteen lanes: see `sims._lane_kernels`.

No unit is inactive. Where the pre-activations have one sign the unit adds what a ReLU unit would, times the square of a
slope; where they have two, both of them count.
"""

import numpy as np
from numba import njit

from sims._lane_functions import minus_log, next_high_words, sine
from sims._lane_kernels import (
    LEAST_SHARE,
    RUN,
    TURN,
    _fill_counts,
    _load_state,
    _sort,
    _store_state,
    sum_both,
)
from sims._simd import (
    LANES,
    as_floats,
    as_words,
    floats,
    fma,
    largest,
    load,
    minimum,
    select_less,
    store,
    to_floats,
    words,
)

__all__ = ["fill_shaped_sums", "sum_split"]

_f = np.float32


@njit(cache=True)
def _split_added(energy, bits, turn, span, near, near_signed, far, far_signed, inner):
    """Return the sums of E sin²α, E sin²(θ - α), both with the sign of the word too, and E sin α sin(θ - α)."""
    x = as_floats(as_words(to_floats(bits)) & words(0x7FFFFFFF)) * turn
    y = span - x
    x = minimum(x, floats(_f(2)) - x)
    y = minimum(y, floats(_f(2)) - y)
    sin_near, sin_far = sine(x, x * x), sine(y, y * y)
    sign = bits & words(0x80000000)
    near_square, far_square = energy * sin_near * sin_near, energy * sin_far * sin_far
    return (
        near + near_square,
        near_signed + as_floats(as_words(near_square) ^ sign),
        far + far_square,
        far_signed + as_floats(as_words(far_square) ^ sign),
        fma(energy * sin_near, sin_far, inner),
    )


@njit(nogil=True, error_model="numpy", cache=True)
def sum_split(state, counts, turns, out):
    """Fill `out`, shape (5, trials), with the sums of `_split_added` over units whose pre-activations differ in sign.

    α is uniform up to π/2 · 2³¹ · `turns`, which is θ; the first input is the positive one where the sign is plus.
    """
    a, b, c, d = _load_state(state)
    zero = floats(_f(0))
    for i in range(0, counts.size, LANES):
        count, turn = load(counts, i), load(turns, i)
        span = turn * floats(_f(1 / TURN))
        near = near_signed = far = far_signed = inner = zero
        for first in range(0, largest(count), RUN):
            some_near = some_near_signed = some_far = some_far_signed = some_inner = zero
            for step in range(first, min(largest(count), first + RUN)):
                bits, a, b, c, d = next_high_words(a, b, c, d)
                energy = select_less(words(step), count, minus_log(bits), zero)
                bits, a, b, c, d = next_high_words(a, b, c, d)
                some_near, some_near_signed, some_far, some_far_signed, some_inner = _split_added(
                    energy, bits, turn, span, some_near, some_near_signed, some_far, some_far_signed, some_inner
                )
            near = near + some_near
            near_signed = near_signed + some_near_signed
            far = far + some_far
            far_signed = far_signed + some_far_signed
            inner = inner + some_inner
        store(out[0], i, near)
        store(out[1], i, near_signed)
        store(out[2], i, far)
        store(out[3], i, far_signed)
        store(out[4], i, inner)
    _store_state(state, a, b, c, d)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_shaped_sums(state, width, shares, cos_half, sin_half, slope_plus, slope_minus, out):
    """Fill `out`, shape (5, trials), as `sims._chain_kernels._shaped_sums` does; each trial has an angle of its own.

    Arguments are those of `sims._lane_kernels.fill_layer_sums` for one team.
    """
    n = shares.size
    chances, split = np.empty(n, np.uint32), np.empty(n, np.uint32)
    above, below, counts = np.empty(n, np.uint32), np.empty(n, np.uint32), np.empty(n, np.uint32)
    turns_split, turns_both, turns = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    places_above, places_below, places = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    sums_above, sums_below, sums = (
        np.empty((3, n), np.float32),
        np.empty((3, n), np.float32),
        np.empty((5, n), np.float32),
    )
    for i in range(n):
        chances[i] = min(int(shares[i] * 2.0**32 + 0.5), 2**32 - 1)
        turns_split[i] = 2.0 * max(shares[i], LEAST_SHARE) * TURN
        turns_both[i] = (1.0 - shares[i]) * TURN
    _fill_counts(state, width, chances, split, above)
    for i in range(n):
        below[i] = width - split[i] - above[i]
    _sort(above, turns_both, places_above, counts, turns)
    sum_both(state, counts, turns, sums_above)
    _sort(below, turns_both, places_below, counts, turns)
    sum_both(state, counts, turns, sums_below)
    _sort(split, turns_split, places, counts, turns)
    sum_split(state, counts, turns, sums)
    plus, minus = slope_plus**2, slope_minus**2
    for i in range(n):
        j, k, m = places_above[i], places_below[i], places[i]
        energies = plus * sums_above[0, j] + minus * sums_below[0, k]
        odd = plus * sums_above[1, j] + minus * sums_below[1, k]
        cross = 2.0 * cos_half[i] * sin_half[i] * (plus * sums_above[2, j] + minus * sums_below[2, k])
        even = cos_half[i] ** 2 * (energies - odd)
        odd *= sin_half[i] ** 2
        scale = min(shares[i] / LEAST_SHARE, 1.0) ** 2
        near, near_signed = scale * sums[0, m], scale * sums[1, m]
        far, far_signed = scale * sums[2, m], scale * sums[3, m]
        split_u = 0.5 * (plus * (near + near_signed) + minus * (far - far_signed))
        split_v = 0.5 * (plus * (near - near_signed) + minus * (far + far_signed))
        split_inner = -slope_plus * slope_minus * scale * sums[4, m]
        out[0, i] = even - odd + split_inner
        out[1, i] = max(even + odd - cross + split_u, 0.0)  # only rounding can make it negative
        out[2, i] = max(even + odd + cross + split_v, 0.0)
        out[3, i] = 4.0 * odd + max(split_u + split_v - 2.0 * split_inner, 0.0)
        out[4, i] = split_u - split_v - 2.0 * cross
