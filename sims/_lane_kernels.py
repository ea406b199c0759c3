"""The one-layer trial in sixteen lanes, a trial in each: float32, one pass over the units, no branches."""

import math

import numpy as np
from numba import njit

from sims._lane_functions import SEEDS, minus_log, next_words, sine_and_cosine
from sims._simd import (
    LANES,
    as_floats,
    as_words,
    floats,
    fma,
    load,
    maximum,
    minimum,
    select_less,
    store,
    to_floats,
    words,
)

__all__ = ["LANES", "SEEDS", "fill_layer_sums"]

_f = np.float32


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
