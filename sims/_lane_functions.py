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
    sign_shift_right,
    to_floats,
    words,
)

__all__ = ["SEEDS", "minus_log", "next_words", "sine_and_cosine"]

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
