"""What kernels in sixteen lanes share: random words, logarithm, sine and cosine, in float32 and without branches.

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
    rotate_left,
    shift_left,
    shift_right,
    to_floats,
    words,
)

__all__ = ["SEEDS", "cosine", "minus_log", "next_high_words", "next_words", "power_of_two", "sine", "sine_and_cosine"]

SEEDS = 4 * LANES  # words that start the generators of all lanes

_f = np.float32
_LN_2 = _f(math.log(2))
# -ln(1 - w/2) / w on [0, 1]
_G0, _G1, _G2, _G3 = _f(0.49999991), _f(0.12501054), _f(0.04146045), _f(0.01714991)
_G4, _G5, _G6, _G7 = _f(0.00080457), _f(0.0128347), _f(-0.00885843), _f(0.00474545)
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
def next_high_words(a, b, c, d):
    """As `next_words`, a third cheaper: xoshiro128+, for floats, as the lowest bits are too regular to be counted."""
    found = a + d
    shifted = shift_left(b, 9)
    c = c ^ a
    d = d ^ b
    b = b ^ c
    a = a ^ d
    c = c ^ shifted
    return found, a, b, c, rotate_left(d, 11)


@njit(cache=True)
def minus_log(bits):
    """Return −ln U, U half of `bits`, made odd, over 2³¹: exponential variates from random words, at most 21.5.

    U = 2⁻ᵏ (1 - w/2) with w in [0, 1), which subtracting its pattern from that of 1 leaves as exponent and fraction. No
    terms cancel, so the value is never negative. Error below 2.5e-7 of max(1, value).
    """
    below = words(0x4F000000) - as_words(to_floats(shift_right(bits, 1) | words(1)))
    w = as_floats((below & words(0x007FFFFF)) | words(0x3F800000)) - floats(_f(1))
    y = w * w  # even and odd powers apart: two short chains
    even = fma(floats(_G6), y, floats(_G4))
    odd = fma(floats(_G7), y, floats(_G5))
    even = fma(even, y, floats(_G2))
    odd = fma(odd, y, floats(_G3))
    even = fma(even, y, floats(_G0))
    odd = fma(odd, y, floats(_G1))
    return fma(w, fma(odd, w, even), to_floats(shift_right(below, 23)) * floats(_LN_2))


@njit(cache=True)
def sine(x, y):
    """Return sin πx/2 for x in [-1, 1] and y = x²; relative error below 3e-7."""
    s = fma(floats(_S4), y, floats(_S3))
    s = fma(s, y, floats(_S2))
    s = fma(s, y, floats(_S1))
    return x * fma(s, y, floats(_S0))


@njit(cache=True)
def cosine(y):
    """Return cos πx/2 for x in [-1, 1] and y = x²; error below 2e-7."""
    c = fma(floats(_C5), y, floats(_C4))
    c = fma(c, y, floats(_C3))
    c = fma(c, y, floats(_C2))
    c = fma(c, y, floats(_C1))
    return fma(c, y, floats(_C0))


@njit(cache=True)
def sine_and_cosine(x):
    """Return sin πx and cos πx for x in [-1, 1], from the half angle.

    Errors below 4e-7 and 7e-7: the cosine 1 - 2s² has four times the rounding error of s.
    """
    y = x * x
    s, c = sine(x, y), cosine(y)
    half_sine = s * c
    return half_sine + half_sine, fma(s * floats(_f(-2)), s, floats(_f(1)))


# 2ˣ on [-1/2, 1/2]
_E0, _E1, _E2, _E3 = _f(1.0), _f(0.6931472), _f(0.24022652), _f(0.05550327)
_E4, _E5, _E6 = _f(0.009617995), _f(0.0013400431), _f(0.00015478022)
_TO_INTEGER = _f(1.5 * 2**23)  # added to a float, it rounds it to an integer, which it keeps in its last bits


@njit(cache=True)
def power_of_two(x, factor):
    """Return 2^(x factor) for x factor in [-125, 125]: the product is not rounded. Relative error below 1e-7."""
    rounded = fma(x, factor, floats(_TO_INTEGER))
    f = fma(x, factor, floats(_TO_INTEGER) - rounded)
    g = fma(floats(_E6), f, floats(_E5))
    g = fma(g, f, floats(_E4))
    g = fma(g, f, floats(_E3))
    g = fma(g, f, floats(_E2))
    g = fma(g, f, floats(_E1))
    g = fma(g, f, floats(_E0))
    return as_floats(as_words(g) + shift_left(as_words(rounded), 23))
