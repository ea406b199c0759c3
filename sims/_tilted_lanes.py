"""The units of a tilted layer in sixteen lanes, a trial in each: float32, no branches, sums to twice its digits."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from sims._lane_functions import SEEDS, minus_log, next_words
from sims._simd import (
    LANES,
    as_floats,
    as_words,
    floats,
    fma,
    load,
    select_less,
    store,
    to_floats,
    words,
)
from sims._tilted_kernels import TiltedLaw

__all__ = ["LANES", "MOST_TURN", "SEEDS", "LaneLaw", "cosine_of", "fill_unit_sums", "lane_law", "sine_ratio_of"]

MOST_TURN = math.pi / 2  # of a hyperbolic angle; the others are no larger
_CHUNK = 32  # units between two transfers to the long sums

_f = np.float32
# sinh(√y) / √y and cosh(√y) on |y| <= π²/4: for y = -w² they are sin(w) / w and cos(w)
_S0, _S1, _S2, _S3, _S4, _S5 = (
    _f(1),
    _f(0.16666667),
    _f(0.00833333),
    _f(0.00019841266),
    _f(2.7571987e-6),
    _f(2.506142e-8),
)
_C0, _C1, _C2, _C3, _C4, _C5 = _f(1), _f(0.5), _f(0.041666623), _f(0.0013888883), _f(2.4820656e-5), _f(2.7571286e-7)


class LaneLaw(NamedTuple):
    """The law of a unit in float32: w is `both` x or `one` x, x a random word as a signed float, and |x| < 2³¹.

    e and o are cosh w and sinh w where the sign is 1, cos w and sin w where it is -1; X > 0 where w² < `edge`.
    """

    both: np.float32
    sign_both: np.float32
    edge: np.float32
    one: np.float32
    sign_one: np.float32


def lane_law(law: TiltedLaw) -> LaneLaw:
    """Return `law` for the lanes."""
    return LaneLaw(
        both=_f(law.turn_both * 2.0**-31),
        sign_both=_f(1 if law.hyperbolic_both else -1),
        edge=_f(law.turn_zero) * _f(law.turn_zero),
        one=_f(law.turn_one * 2.0**-31),
        sign_one=_f(1 if law.hyperbolic_one else -1),
    )


@njit(cache=True)
def cosine_of(y):
    """Return cosh √y, or cos √-y, for |y| <= π²/4; error below 2e-7."""
    c = fma(floats(_C5), y, floats(_C4))
    c = fma(c, y, floats(_C3))
    c = fma(c, y, floats(_C2))
    c = fma(c, y, floats(_C1))
    return fma(c, y, floats(_C0))


@njit(cache=True)
def sine_ratio_of(y):
    """Return sinh √y / √y, or sin √-y / √-y, for |y| <= π²/4; error below 2e-7."""
    s = fma(floats(_S5), y, floats(_S4))
    s = fma(s, y, floats(_S3))
    s = fma(s, y, floats(_S2))
    s = fma(s, y, floats(_S1))
    return fma(s, y, floats(_S0))


@njit(cache=True)
def _both(a, b, c, d, step, steps, count, law):
    """Return the state of the generator, and the sums over `steps` units that both inputs activate."""
    zero, one = floats(_f(0)), floats(_f(1))
    number = above = above_m = above_k = below = below_m = below_k = zero
    for _ in range(steps):
        bits, a, b, c, d = next_words(a, b, c, d)
        alive = select_less(step, count, one, zero)
        energy = minus_log(bits) * alive
        bits, a, b, c, d = next_words(a, b, c, d)
        w = to_floats(bits) * floats(law.both)
        square = w * w
        y = square * floats(law.sign_both)
        o = w * sine_ratio_of(y)
        m, k = o * o, o * cosine_of(y)
        edge = as_words(floats(law.edge))
        number = number + select_less(as_words(square), edge, alive, zero)
        of_above = select_less(as_words(square), edge, energy, zero)
        of_below = energy - of_above
        above = above + of_above
        above_m = fma(of_above, m, above_m)
        above_k = fma(of_above, k, above_k)
        below = below + of_below
        below_m = fma(of_below, m, below_m)
        below_k = fma(of_below, k, below_k)
        step = step + words(1)
    return a, b, c, d, step, (number, above, above_m, above_k, below, below_m, below_k)


@njit(cache=True)
def _one(a, b, c, d, step, steps, count, law):
    """Return the state of the generator, and the sums over `steps` units that one of the inputs activates."""
    zero = floats(_f(0))
    alone = square = skew = zero
    for _ in range(steps):
        bits, a, b, c, d = next_words(a, b, c, d)
        energy = select_less(step, count, minus_log(bits), zero)
        bits, a, b, c, d = next_words(a, b, c, d)
        w = to_floats(bits) * floats(law.one)
        o = w * sine_ratio_of(w * w * floats(law.sign_one))
        m = o * o
        alone = alone + energy
        square = fma(energy, m, square)
        skew = fma(energy, as_floats(as_words(m) ^ (bits & words(0x80000000))), skew)
        step = step + words(1)
    return a, b, c, d, step, (alone, square, skew)


@njit(cache=True)
def _transfer(out, i, x):
    """Add `x` to the unevaluated sums out[0] + out[1], exactly but for the rounding of the second."""
    high = load(out[0], i)
    total = high + x
    part = total - high
    store(out[0], i, total)
    store(out[1], i, load(out[1], i) + ((high - (total - part)) + (x - part)))


@njit(nogil=True, error_model="numpy", cache=True)
def fill_unit_sums(seeds, counts, out, law):
    """Add to `out`, shape (10, 2, trials), the sums of `sims._tilted_kernels.fill_unit_sums` as pairs of float32.

    `seeds` are `SEEDS` random words, `counts`, shape (2, trials), the numbers of units of each trial that both inputs
    and that one input activates; the number of trials is a multiple of sixteen. The longest of sixteen trials sets the
    number of steps; a lane that has ended adds zeros.
    """
    a, b, c, d = load(seeds, 0), load(seeds, LANES), load(seeds, 2 * LANES), load(seeds, 3 * LANES)
    for i in range(0, counts.shape[1], LANES):
        steps_both = steps_one = 0
        for j in range(i, i + LANES):
            steps_both, steps_one = max(steps_both, counts[0, j]), max(steps_one, counts[1, j])
        count, step = load(counts[0], i), words(0)
        for first in range(0, steps_both, _CHUNK):
            a, b, c, d, step, sums = _both(a, b, c, d, step, min(_CHUNK, steps_both - first), count, law)
            _transfer(out[0], i, sums[0])
            _transfer(out[1], i, sums[1])
            _transfer(out[2], i, sums[2])
            _transfer(out[3], i, sums[3])
            _transfer(out[4], i, sums[4])
            _transfer(out[5], i, sums[5])
            _transfer(out[6], i, sums[6])
        count, step = load(counts[1], i), words(0)
        for first in range(0, steps_one, _CHUNK):
            a, b, c, d, step, sums = _one(a, b, c, d, step, min(_CHUNK, steps_one - first), count, law)
            _transfer(out[7], i, sums[0])
            _transfer(out[8], i, sums[1])
            _transfer(out[9], i, sums[2])
