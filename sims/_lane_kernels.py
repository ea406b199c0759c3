"""The one-layer trial in sixteen lanes, a trial in each: float32, one pass over the units, no branches.

Coefficients are minimax fits in the relative error, rounded to float32; a test fits them anew.
"""

import math

import numpy as np
from numba import njit

from sims._simd import (
    LANES,
    as_floats,
    as_words,
    floats,
    fma,
    load,
    maximum,
    minimum,
    rotate_left,
    select_less,
    shift_left,
    shift_right,
    sign_shift_right,
    store,
    to_floats,
    words,
)

__all__ = ["LANES", "SEEDS", "fill_layer_sums", "minus_log", "next_words", "sine_and_cosine"]

SEEDS = 4 * LANES  # words that start the generators of all lanes

_f = np.float32
_LN_2 = _f(math.log(2))
# ln(1 + x) / x on [-1/4, 1/2)
_G0, _G1, _G2, _G3, _G4 = _f(1.0), _f(-0.5000006), _f(0.33333695), _f(-0.24993676), _f(0.19972317)
_G5, _G6, _G7, _G8 = _f(-0.16809192), _f(0.15017824), _f(-0.12225707), _f(0.05560095)
# sin(πx/2) / x and cos(πx/2) on [-1, 1], in x²
_S0, _S1, _S2, _S3, _S4 = _f(1.5707964), _f(-0.6459638), _f(0.07968993), _f(-0.0046741576), _f(0.00015167853)
_C0, _C1, _C2, _C3, _C4, _C5 = (
    _f(1.0),
    _f(-1.2337005),
    _f(0.25366932),
    _f(-0.02086269),
    _f(0.00091772486),
    _f(-2.3824918e-05),
)


@njit(cache=True)
def next_words(a, b, c, d):
    """Return 32 random bits a lane and the next state: xoshiro128++ of Blackman and Vigna (2021)."""
    found = rotate_left(a + d, 7) + a
    shifted = shift_left(b, 9)
    c = c ^ a
    d = d ^ b
    b = b ^ c
    a = a ^ d
    c = c ^ shifted
    return found, a, b, c, rotate_left(d, 11)


@njit(cache=True)
def minus_log(bits):
    """Return −ln U, U = (bits with the last one set) / 2³²: exponential variates from random words, at most 21.5.

    U is split into a power of 2 and a factor in [3/4, 3/2). Error below 3e-7 of max(1, value).
    """
    pattern = as_words(to_floats(shift_right(bits, 1) | words(1)))
    exponent = sign_shift_right(pattern - words(0x3F400000), 23)
    x = as_floats(pattern - shift_left(exponent, 23)) - floats(_f(1))
    g = fma(floats(_G8), x, floats(_G7))
    g = fma(g, x, floats(_G6))
    g = fma(g, x, floats(_G5))
    g = fma(g, x, floats(_G4))
    g = fma(g, x, floats(_G3))
    g = fma(g, x, floats(_G2))
    g = fma(g, x, floats(_G1))
    g = fma(g, x, floats(_G0))
    return fma(to_floats(words(31) - exponent), floats(_LN_2), (floats(_f(0)) - x) * g)


@njit(cache=True)
def sine_and_cosine(x):
    """Return sin πx and cos πx for x in [-1, 1], from the half angle.

    Errors below 4e-7 and 7e-7: the cosine 1 - 2s² has four times the rounding error of s.
    """
    y = x * x
    s = fma(floats(_S4), y, floats(_S3))
    s = fma(s, y, floats(_S2))
    s = fma(s, y, floats(_S1))
    s = x * fma(s, y, floats(_S0))
    c = fma(floats(_C5), y, floats(_C4))
    c = fma(c, y, floats(_C3))
    c = fma(c, y, floats(_C2))
    c = fma(c, y, floats(_C1))
    c = fma(c, y, floats(_C0))
    half_sine = s * c
    return half_sine + half_sine, fma(s * floats(_f(-2)), s, floats(_f(1)))


@njit(nogil=True, error_model="numpy", cache=True)
def fill_layer_sums(seeds, counts, out, cos_half, sin_half, active):
    """Fill `out`, shape (5, trials), as `sims._kernels.fill_layer_sums` does, from float32 arithmetic.

    `seeds` are `SEEDS` random words, `counts` the numbers of active units of each trial; the number of trials is a
    multiple of sixteen. The longest of sixteen trials sets the number of steps; a lane that has ended adds zeros.
    """
    a, b, c, d = load(seeds, 0), load(seeds, LANES), load(seeds, 2 * LANES), load(seeds, 3 * LANES)
    zero = floats(_f(0))
    cos_half, sin_half = floats(cos_half), floats(sin_half)
    turn = floats(active / math.pi * 2.0**-31)  # from a signed word to φ/π
    for i in range(0, counts.size, LANES):
        steps = 0
        for j in range(i, i + LANES):
            steps = max(steps, counts[j])
        count = load(counts, i)
        inner = norm_u = norm_v = distance = excess = zero
        step = words(0)
        for _ in range(steps):
            bits, a, b, c, d = next_words(a, b, c, d)
            energy = select_less(step, count, minus_log(bits), zero)
            bits, a, b, c, d = next_words(a, b, c, d)
            sine, cosine = sine_and_cosine(to_floats(bits) * turn)
            centre = cosine * cos_half
            offset = sine * sin_half
            u = maximum(centre - offset, zero)
            v = maximum(centre + offset, zero)
            size = as_floats(as_words(offset) & words(0x7FFFFFFF))
            gap = minimum(size + size, centre + size)  # |u - v|, exact where both are active
            energy_u = energy * u
            energy_gap = energy * gap
            inner = fma(energy_u, v, inner)
            norm_u = fma(energy_u, u, norm_u)
            norm_v = fma(energy * v, v, norm_v)
            distance = fma(energy_gap, gap, distance)
            signed = as_floats(as_words(energy_gap) ^ (as_words(zero - offset) & words(0x80000000)))  # energy (u - v)
            excess = fma(signed, u + v, excess)
            step = step + words(1)
        store(out[0], i, inner)
        store(out[1], i, norm_u)
        store(out[2], i, norm_v)
        store(out[3], i, distance)
        store(out[4], i, excess)
