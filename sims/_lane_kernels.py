"""Sums over the units of a layer in sixteen lanes, a trial in each: float32, one pass, no branches.

A unit is active for both inputs, for one, or for none. How many are is drawn first, from fair bits; then only the
active ones are, each kind by a loop of its own, which needs fewer instructions than one loop for all
(`docs/theory.md`, 1.11). Trials are sorted by their numbers, so that sixteen that run together end together.
"""

import numpy as np
from numba import njit

from sims._lane_functions import SEEDS, cosine, minus_log, next_high_words, next_words, sine
from sims._simd import (
    LANES,
    as_floats,
    as_words,
    bits_per_byte,
    floats,
    fma,
    largest,
    load,
    minimum,
    minimum_words,
    select_less,
    shift_left,
    shift_right,
    shift_right_each,
    sign_shift_right,
    smallest,
    store,
    to_floats,
    words,
)

__all__ = ["LANES", "LEAST_SHARE", "RUN", "SEEDS", "TEAM", "TURN", "fill_layer_sums", "sum_both", "sum_one"]

TEAM = 256  # trials that are sorted together, and always drawn together
_f = np.float32
TURN = 2.0**-31  # from a signed word to [-1, 1)
LEAST_SHARE = 2.0**-20  # of an angle drawn as such; a smaller one is this one's multiple, to 1e-12
RUN = 1024  # units added up before they are added to the rest, which keeps the rounding errors of wide layers small
_BYTES = 31  # words whose bits a byte can count


@njit(cache=True)
def _load_state(state):
    return load(state, 0), load(state, LANES), load(state, 2 * LANES), load(state, 3 * LANES)


@njit(cache=True)
def _store_state(state, a, b, c, d):
    store(state, 0, a)
    store(state, LANES, b)
    store(state, 2 * LANES, c)
    store(state, 3 * LANES, d)


@njit(cache=True)
def _bytes_summed(counted):
    """Return the sum of the four bytes of each word."""
    pairs = (counted & words(0x00FF00FF)) + (shift_right(counted, 8) & words(0x00FF00FF))
    return (pairs & words(0xFFFF)) + shift_right(pairs, 16)


@njit(cache=True)
def _fair_counts(n, a, b, c, d):
    """Return how many of n fair bits are set, n the lane's own number, and the state: Binomial(n, 1/2)."""
    whole = smallest(n) // 32
    total = words(0)
    for first in range(0, whole, _BYTES):
        counted = words(0)
        for _ in range(min(whole - first, _BYTES)):
            bits, a, b, c, d = next_words(a, b, c, d)
            counted = counted + bits_per_byte(bits)
        total = total + _bytes_summed(counted)
    left = n - words(32 * whole)
    for _ in range((largest(left) + 31) // 32):
        bits, a, b, c, d = next_words(a, b, c, d)
        kept = minimum_words(left, words(32))
        half = shift_right(words(32) - kept, 1)  # in two steps: a shift by 32 is undefined
        bits = shift_right_each(shift_right_each(bits, half), words(32) - kept - half)
        total = total + _bytes_summed(bits_per_byte(bits))
        left = left - kept
    return total, a, b, c, d


@njit(nogil=True, error_model="numpy", cache=True)
def _fill_counts(state, width, chances, one, both):
    """Fill `one` with Binomial(width, chance/2³²) and `both` with Binomial(width - one, 1/2), one of each a lane.

    The digits of as many uniform numbers as there are units are compared with those of the chance, the highest first:
    a number that differs is below the chance or above it, and only the others, half of them, have to go on.
    """
    a, b, c, d = _load_state(state)
    for i in range(0, one.size, LANES):
        digits = load(chances, i)
        undecided = words(width)
        found = words(0)
        for _ in range(32):
            if largest(undecided) == 0:
                break
            heads, a, b, c, d = _fair_counts(undecided, a, b, c, d)
            digit = sign_shift_right(digits, 31)  # all bits of it
            found = found + (heads & digit)
            undecided = heads ^ ((heads ^ (undecided - heads)) & digit)
            digits = shift_left(digits, 1)
        store(one, i, found)
        heads, a, b, c, d = _fair_counts(words(width) - found, a, b, c, d)
        store(both, i, heads)
    _store_state(state, a, b, c, d)


@njit(cache=True)
def _both_added(energy, bits, turn, energies, odd, cross):
    """Return the sums of E, E sin²φ and E sin φ cos φ with one more unit, φ from a word."""
    x = to_floats(bits) * turn
    y = x * x
    sin = sine(x, y)
    lifted = energy * sin
    return energies + energy, fma(lifted, sin, odd), fma(lifted, cosine(y), cross)


@njit(nogil=True, error_model="numpy", cache=True)
def sum_both(state, counts, turns, out):
    """Fill `out`, shape (3, trials), with the sums of E, E sin²φ and E sin φ cos φ over units active for both inputs.

    φ is uniform up to π/2 · 2³¹ · `turns` on either side, `counts` holds the numbers of units.
    """
    a, b, c, d = _load_state(state)
    zero = floats(_f(0))
    for i in range(0, counts.size, LANES):
        count, turn = load(counts, i), load(turns, i)
        full = smallest(count)
        energies = odd = cross = zero
        for first in range(0, full, RUN):
            some_energies = some_odd = some_cross = zero
            for _ in range(min(full - first, RUN)):
                bits, a, b, c, d = next_high_words(a, b, c, d)
                energy = minus_log(bits)
                bits, a, b, c, d = next_high_words(a, b, c, d)
                some_energies, some_odd, some_cross = _both_added(
                    energy, bits, turn, some_energies, some_odd, some_cross
                )
            energies = energies + some_energies
            odd = odd + some_odd
            cross = cross + some_cross
        step = words(full)
        for _ in range(full, largest(count)):  # a lane that has ended adds zeros
            bits, a, b, c, d = next_high_words(a, b, c, d)
            energy = select_less(step, count, minus_log(bits), zero)
            bits, a, b, c, d = next_high_words(a, b, c, d)
            energies, odd, cross = _both_added(energy, bits, turn, energies, odd, cross)
            step = step + words(1)
        store(out[0], i, energies)
        store(out[1], i, odd)
        store(out[2], i, cross)
    _store_state(state, a, b, c, d)


@njit(cache=True)
def _one_added(energy, bits, turn, squares, signed):
    """Return the sums of E sin²α and ± E sin²α with one more unit, α and its sign from a word."""
    x = as_floats(as_words(to_floats(bits)) & words(0x7FFFFFFF)) * turn
    x = minimum(x, floats(_f(2)) - x)
    sin = sine(x, x * x)
    square = energy * sin * sin
    return squares + square, signed + as_floats(as_words(square) ^ (bits & words(0x80000000)))


@njit(nogil=True, error_model="numpy", cache=True)
def sum_one(state, counts, turns, out):
    """Fill `out`, shape (2, trials), with the sum of E sin²α over units active for one input, and the difference.

    Plus where the first input is it, minus where the second is. α is uniform up to π/2 · 2³¹ · `turns`.
    """
    a, b, c, d = _load_state(state)
    zero = floats(_f(0))
    for i in range(0, counts.size, LANES):
        count, turn = load(counts, i), load(turns, i)
        full = smallest(count)
        squares = signed = zero
        for first in range(0, full, RUN):
            some_squares = some_signed = zero
            for _ in range(min(full - first, RUN)):
                bits, a, b, c, d = next_high_words(a, b, c, d)
                energy = minus_log(bits)
                bits, a, b, c, d = next_high_words(a, b, c, d)
                some_squares, some_signed = _one_added(energy, bits, turn, some_squares, some_signed)
            squares = squares + some_squares
            signed = signed + some_signed
        step = words(full)
        for _ in range(full, largest(count)):
            bits, a, b, c, d = next_high_words(a, b, c, d)
            energy = select_less(step, count, minus_log(bits), zero)
            bits, a, b, c, d = next_high_words(a, b, c, d)
            squares, signed = _one_added(energy, bits, turn, squares, signed)
            step = step + words(1)
        store(out[0], i, squares)
        store(out[1], i, signed)
    _store_state(state, a, b, c, d)


@njit(nogil=True, error_model="numpy", cache=True)
def _sort(counts, turns, places, sorted_counts, sorted_turns):
    """Put trials in the order of their counts, equal ones in their own; `places` says where each of them is."""
    least = most = counts[0]
    for i in range(counts.size):
        least, most = min(least, counts[i]), max(most, counts[i])
    starts = np.zeros(most - least + 2, np.int64)
    for i in range(counts.size):
        starts[counts[i] - least + 1] += 1
    for k in range(1, starts.size):
        starts[k] += starts[k - 1]
    for i in range(counts.size):
        place = starts[counts[i] - least]
        starts[counts[i] - least] += 1
        places[i] = place
        sorted_counts[place] = counts[i]
        sorted_turns[place] = turns[i]


@njit(nogil=True, error_model="numpy", cache=True)
def fill_layer_sums(state, width, shares, cos_half, sin_half, out):
    """Fill `out`, shape (5, trials), as `sims._kernels.fill_layer_sums` does; each trial has an angle θ of its own.

    `shares` are θ/π, `cos_half` and `sin_half` cos(θ/2) and sin(θ/2): arrays of float64, a multiple of sixteen up to
    `TEAM`, or of `TEAM`. What has no place in `out` is drawn but not kept. `state` is four words a lane; the generators
    go on from it.
    """
    team = min(shares.size, TEAM)
    chances, one, both = np.empty(team, np.uint32), np.empty(team, np.uint32), np.empty(team, np.uint32)
    turns_one, turns_both = np.empty(team, np.float32), np.empty(team, np.float32)
    counts, turns = np.empty(team, np.uint32), np.empty(team, np.float32)
    places_one, places_both = np.empty(team, np.int64), np.empty(team, np.int64)
    sums_one, sums_both = np.empty((2, team), np.float32), np.empty((3, team), np.float32)
    for first in range(0, shares.size, team):
        for i in range(team):
            share = shares[first + i]
            chances[i] = min(int(share * 2.0**32 + 0.5), 2**32 - 1)
            turns_one[i] = 2.0 * max(share, LEAST_SHARE) * TURN
            turns_both[i] = (1.0 - share) * TURN
        _fill_counts(state, width, chances, one, both)
        _sort(both, turns_both, places_both, counts, turns)
        sum_both(state, counts, turns, sums_both)
        _sort(one, turns_one, places_one, counts, turns)
        sum_one(state, counts, turns, sums_one)
        for i in range(min(team, out.shape[1] - first)):
            j, k, trial = places_both[i], places_one[i], first + i
            scale = min(shares[trial] / LEAST_SHARE, 1.0) ** 2
            alone, signed = scale * sums_one[0, k], scale * sums_one[1, k]
            even = cos_half[trial] ** 2 * (float(sums_both[0, j]) - float(sums_both[1, j]))
            odd = sin_half[trial] ** 2 * sums_both[1, j]
            cross = 2.0 * cos_half[trial] * sin_half[trial] * sums_both[2, j]
            out[0, trial] = max(even - odd, 0.0)  # only rounding can make it negative, and the next two
            out[1, trial] = max(even + odd - cross + 0.5 * (alone + signed), 0.0)
            out[2, trial] = max(even + odd + cross + 0.5 * (alone - signed), 0.0)
            out[3, trial] = 4.0 * odd + alone
            out[4, trial] = signed - 2.0 * cross
