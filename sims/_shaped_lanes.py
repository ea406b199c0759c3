"""Sums over the units of a layer with slopes above and below 0, in sixteen lanes: see `sims._lane_kernels`.

No unit is inactive. Where the pre-activations have one sign the unit adds what a ReLU unit would, times the square of a
slope; where they have two, both of them count.
"""

import numpy as np
from numba import njit

from sims._lane_functions import cosine, minus_log, next_high_words, sine
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
    largest,
    load,
    select_less,
    store,
    to_floats,
    words,
)

__all__ = ["fill_shaped_sums", "sum_split"]

_f = np.float32


@njit(cache=True)
def _split_added(energy, bits, turn, half, energies, odd, cross, signed_energies, signed_odd, signed_cross):
    """Return the sums of E, E sin²δ and E sin δ cos δ with one more unit, then those with the sign of the word."""
    x = as_floats(as_words(to_floats(bits)) & words(0x7FFFFFFF)) * turn - half
    y = x * x
    sin, sign = sine(x, y), bits & words(0x80000000)
    lifted = energy * sin
    square, product = lifted * sin, lifted * cosine(y)
    return (
        energies + energy,
        odd + square,
        cross + product,
        signed_energies + as_floats(as_words(energy) ^ sign),
        signed_odd + as_floats(as_words(square) ^ sign),
        signed_cross + as_floats(as_words(product) ^ sign),
    )


@njit(nogil=True, error_model="numpy", cache=True)
def sum_split(state, counts, turns, out):
    """Fill `out`, shape (6, trials), with the sums of `_split_added` over units whose pre-activations differ in sign.

    The positive one has the angle θ/2 + δ to its zero, δ uniform up to θ/2 = π/4 · 2³¹ · `turns` on either side; it is
    that of the first input where the sign is plus.
    """
    a, b, c, d = _load_state(state)
    zero = floats(_f(0))
    for i in range(0, counts.size, LANES):
        count, turn = load(counts, i), load(turns, i)
        half = turn * floats(_f(0.5 / TURN))
        energies = odd = cross = signed_energies = signed_odd = signed_cross = zero
        for first in range(0, largest(count), RUN):
            some = (zero, zero, zero, zero, zero, zero)
            for step in range(first, min(largest(count), first + RUN)):
                bits, a, b, c, d = next_high_words(a, b, c, d)
                energy = select_less(words(step), count, minus_log(bits), zero)
                bits, a, b, c, d = next_high_words(a, b, c, d)
                some = _split_added(energy, bits, turn, half, some[0], some[1], some[2], some[3], some[4], some[5])
            energies = energies + some[0]
            odd = odd + some[1]
            cross = cross + some[2]
            signed_energies = signed_energies + some[3]
            signed_odd = signed_odd + some[4]
            signed_cross = signed_cross + some[5]
        store(out[0], i, energies)
        store(out[1], i, odd)
        store(out[2], i, cross)
        store(out[3], i, signed_energies)
        store(out[4], i, signed_odd)
        store(out[5], i, signed_cross)
    _store_state(state, a, b, c, d)


@njit(error_model="numpy", cache=True)
def _split_sums(sums, m, ratio, cos_half, sin_half, slope_plus, slope_minus):
    """Return what units that differ in sign add to the five sums of a layer, from column m of `sum_split`.

    With a and b the slopes, S sin(θ/2), C cos(θ/2): a unit is (aQ, -bR), or (-bR, aQ), Q = S cos δ + C sin δ and R =
    S cos δ - C sin δ times √2E. Differences are formed before any sum, so none cancels where θ is near π and b is -a.
    """
    a, b = slope_plus, slope_minus
    even = sin_half**2 * (float(sums[0, m]) - float(sums[1, m]))
    signed_even = sin_half**2 * (float(sums[3, m]) - float(sums[4, m]))
    odd, signed_odd = (cos_half * ratio) ** 2 * sums[1, m], (cos_half * ratio) ** 2 * sums[4, m]
    cross, signed_cross = sin_half * cos_half * ratio * sums[2, m], sin_half * cos_half * ratio * sums[5, m]
    total = (a * a + b * b) * (even + odd) + 2.0 * (a * a - b * b) * cross
    excess = (a * a - b * b) * (signed_even + signed_odd) + 2.0 * (a * a + b * b) * signed_cross
    distance = (a + b) ** 2 * even + (a - b) ** 2 * odd + 2.0 * (a + b) * (a - b) * cross
    return a * b * (odd - even), 0.5 * (total + excess), 0.5 * (total - excess), max(distance, 0.0), excess


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
        np.empty((6, n), np.float32),
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
        ratio = min(shares[i] / LEAST_SHARE, 1.0)
        inner, split_u, split_v, distance, excess = _split_sums(
            sums, m, ratio, cos_half[i], sin_half[i], slope_plus, slope_minus
        )
        out[0, i] = even - odd + inner
        out[1, i] = max(even + odd - cross + split_u, 0.0)  # only rounding can make it negative
        out[2, i] = max(even + odd + cross + split_v, 0.0)
        out[3, i] = 4.0 * odd + distance
        out[4, i] = excess - 2.0 * cross
