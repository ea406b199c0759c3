r"""Arrays of standard normals in sixteen lanes: the Box–Muller transform in float32, without branches.

Two words a lane make two normals, :math:`\sqrt{2E}\,(\cos\pi t, \sin\pi t)`, E exponential and t uniform on [-1, 1].
Against the exact law: U of :math:`E = -\ln U` takes 2³⁰ values and ends at 2⁻³¹, so no normal is larger than 6.56; the
mass beyond, which is the total variation that is lost, is 2⁻³¹ = 5e-10 a pair. Rounding moves a normal by about 1e-7
times its pair's radius, or over it where the radius is below 1.
"""

import numpy as np
from numba import njit

from sims._lane_functions import SEEDS, minus_log, next_words, sine_and_cosine
from sims._simd import LANES, floats, load, square_root, store, to_floats

__all__ = ["draw_states", "fill_normals", "fill_uniforms"]

_f = np.float32
_PAIR = 2 * LANES  # normals of one step


def draw_states(stream: np.random.Generator, n: int) -> np.ndarray:
    """Return the states of `n` generators of sixteen lanes, shape (n, `SEEDS`); the i-th does not depend on `n`."""
    return stream.integers(0, 1 << 32, (n, SEEDS), dtype=np.uint32)


@njit(cache=True)
def _fill_steps(a, b, c, d, twice, out, start, stop):
    """Write the steps that fill ``out[start:stop]`` and return the state after them."""
    turn = floats(_f(2.0**-31))
    for i in range(start, stop, _PAIR):
        bits, a, b, c, d = next_words(a, b, c, d)
        radius = square_root(minus_log(bits) * twice)
        bits, a, b, c, d = next_words(a, b, c, d)
        sine, cosine = sine_and_cosine(to_floats(bits) * turn)
        store(out, i, radius * cosine)
        store(out, i + LANES, radius * sine)
    return a, b, c, d


@njit(nogil=True, error_model="numpy", cache=True)
def fill_normals(states, variance, out):
    """Fill row i of `out`, shape (n, m), with normals of a variance from the generator i, whose state moves on.

    Every 32 normals take two words a lane; a rest takes them too, and wastes what is over.
    """
    twice = floats(_f(2 * variance))
    rest = np.empty(_PAIR, dtype=np.float32)
    whole = out.shape[1] // _PAIR * _PAIR
    for i in range(states.shape[0]):
        state, row = states[i], out[i]
        a, b, c, d = load(state, 0), load(state, LANES), load(state, 2 * LANES), load(state, 3 * LANES)
        a, b, c, d = _fill_steps(a, b, c, d, twice, row, 0, whole)
        if whole < row.size:
            a, b, c, d = _fill_steps(a, b, c, d, twice, rest, 0, _PAIR)
            for j in range(whole, row.size):
                row[j] = rest[j - whole]
        store(state, 0, a)
        store(state, LANES, b)
        store(state, 2 * LANES, c)
        store(state, 3 * LANES, d)


@njit(nogil=True, error_model="numpy", cache=True)
def fill_uniforms(states, bound, out):
    """Fill row i of `out`, shape (n, m), with uniform variates on [-bound, bound] from the generator i."""
    scale = floats(_f(bound * 2.0**-31))
    rest = np.empty(LANES, dtype=np.float32)
    for i in range(states.shape[0]):
        state, row = states[i], out[i]
        a, b, c, d = load(state, 0), load(state, LANES), load(state, 2 * LANES), load(state, 3 * LANES)
        for start in range(0, row.size, LANES):
            bits, a, b, c, d = next_words(a, b, c, d)
            store(rest, 0, to_floats(bits) * scale)
            for j in range(start, min(start + LANES, row.size)):
                row[j] = rest[j - start]
        store(state, 0, a)
        store(state, LANES, b)
        store(state, 2 * LANES, c)
        store(state, 3 * LANES, d)
