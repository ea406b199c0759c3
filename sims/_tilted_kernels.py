"""Loops of the tilted sampler: numba kernels and the law they draw from. Private: arguments are already validated.

Where both inputs activate a unit, or one of them, the tilt e^(-tX) multiplies the density of (z, z') by the
exponential of a quadratic form: what is left is a Gaussian on a sector of the plane, whose direction has a tangent (a
hyperbolic one where the form is indefinite) as its inverse distribution function. So a tilted unit costs what an
untilted one does, and its law is exact (`docs/theory.md`, 13.2).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = ["TiltedLaw", "fill_log_weights"]

_MOST_TERMS = 100_000  # of the continued fraction, which takes about sqrt(a + b)


class TiltedLaw(NamedTuple):
    """One unit under the tilt, in the angle w that is uniform; sinh and cosh where a form is indefinite.

    (φ, φ')/√(2E) = (e - o, e + o), E standard exponential, where both inputs activate it, with e = even·cos w and
    o = odd·sin w; φ/√(2E) = one·sin w where it is alone.
    """

    active: float  # probability that one of the inputs activates the unit
    both: float  # probability that both do, given that one does
    turn_both: float  # w is uniform on (-turn_both, turn_both) where both do,
    turn_one: float  # and on (0, turn_one) where one does
    turn_zero: float  # X > 0 where both do and |w| is below this
    even: float
    odd: float
    one: float
    even_ray: float  # even over its value without tilt: R²/2 is E (even_ray² cos² w + odd_ray² sin² w) where both do,
    odd_ray: float  # and E (cos² w + one² sin² w) where one does
    hyperbolic_both: bool
    hyperbolic_one: bool


@njit(nogil=True, error_model="numpy", cache=True)
def _draw_units(rng, width, law):
    """Return what the units of a layer under the tilt add up to: those with X > 0, and the others.

    Of each group the number n, the sums P of Ee², K of Eeo and M of Eo², the sum of R²/2, and that of E.
    """
    n_above = n_below = 0
    above_p = above_k = above_m = above_drawn = below_p = below_k = below_m = below_drawn = 0.0
    first = second = ray = 0.0
    for _ in range(rng.binomial(width, law.active)):
        energy = rng.standard_exponential()
        x = 2.0 * rng.random() - 1.0
        if abs(x) < law.both:
            w = law.turn_both * x / law.both
            if law.hyperbolic_both:
                grown = math.exp(w)
                e, o = 0.5 * (grown + 1.0 / grown), math.sinh(w)
            else:
                e, o = math.cos(w), math.sin(w)
            if abs(w) < law.turn_zero:
                n_above += 1
                above_drawn += energy
                above_p += energy * e * e
                above_k += energy * e * o
                above_m += energy * o * o
            else:
                n_below += 1
                below_drawn += energy
                below_p += energy * e * e
                below_k += energy * e * o
                below_m += energy * o * o
        else:
            n_below += 1
            below_drawn += energy
            w = law.turn_one * (abs(x) - law.both) / (1.0 - law.both)
            sine = math.sinh(w) if law.hyperbolic_one else math.sin(w)
            square = energy * sine * sine
            ray += energy + square if law.hyperbolic_one else energy - square
            if x > 0.0:
                second += square
            else:
                first += square
    p, k, m = law.even * law.even, law.even * law.odd, law.odd * law.odd
    alone = law.one * law.one * (first + second)
    skew = law.one * law.one * (second - first)
    above_ray = law.even_ray**2 * above_p + law.odd_ray**2 * above_m
    below_ray = law.even_ray**2 * below_p + law.odd_ray**2 * below_m + ray + alone
    above = (n_above, p * above_p, k * above_k, m * above_m, above_ray, above_drawn)
    below = (n_below, p * below_p + alone / 4, k * below_k + skew / 4, m * below_m + alone / 4, below_ray, below_drawn)
    return above, below


@njit(nogil=True, error_model="numpy", cache=True)
def _continued_fraction(a, b, x):
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method, x <= a/(a+b)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, _MOST_TERMS):
        step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1.0 / (1.0 + step * d), 1.0 + step / c
        value *= d * c
        step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1.0 / (1.0 + step * d), 1.0 + step / c
        value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return value


@njit(nogil=True, error_model="numpy", cache=True)
def _log_gamma_ratio_tail(n_below, n_above, ratio):
    """Return ln P(G > `ratio` H) for independent gamma variables G, H of shapes `n_below`, `n_above`, at least 1.

    It is the incomplete beta function at 1/(1 + ratio), in logarithms: it may be far below the least double. Absolute
    error about 1e-15 times the sum of the shapes.
    """
    if ratio <= 0.0:
        return 0.0
    a, b = float(n_above), float(n_below)
    log_x, log_y = -math.log1p(ratio), math.log(ratio) - math.log1p(ratio)
    prefactor = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * log_x + b * log_y
    x, y = 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)
    if x <= (a + 1.0) / (a + b + 2.0):
        return min(prefactor + math.log(_continued_fraction(a, b, x) / a), 0.0)
    rest = math.exp(prefactor) * _continued_fraction(b, a, y) / b
    return math.log1p(-min(rest, 1.0))


@njit(nogil=True, error_model="numpy", cache=True)
def _polar_form(first, second, cosine):
    """Return the polar form of A² - c²BC at two groups, negative where the cosine of their sum is at most c.

    A = P - M, B = P + M - 2K and C = P + M + 2K; near c = 1 it is written (1 - c²) BC - 4 (PM - K²).
    """
    _, p, k, m, _, _ = first
    _, q, j, n, _, _ = second
    norms = 0.5 * ((p + m - 2.0 * k) * (q + n + 2.0 * j) + (p + m + 2.0 * k) * (q + n - 2.0 * j))
    if cosine < 0.5:
        return (p - m) * (q - n) - cosine * cosine * norms
    return (1.0 - cosine) * (1.0 + cosine) * norms - 2.0 * (p * n + q * m - 2.0 * k * j)  # 1 - c is exact here


@njit(nogil=True, error_model="numpy", cache=True)
def _log_failure(above, below, cosine):
    """Return ln P(failure) when the groups `above` and `below` are multiplied by independent gamma variables.

    With f the ratio of the two factors the cosine is at most c where a f² + 2 b f + g <= 0: for f in an interval, as
    the failures form a convex cone.
    """
    if above[0] == 0:
        return 0.0 if below[0] == 0 or _polar_form(below, below, cosine) <= 0.0 else -np.inf
    if below[0] == 0:
        return -np.inf
    a, b, g = _polar_form(below, below, cosine), _polar_form(above, below, cosine), _polar_form(above, above, cosine)
    square = b * b - a * g
    if a >= 0.0 and (b >= 0.0 or square <= 0.0):
        return -np.inf
    root = math.sqrt(square)
    unit = below[4] / above[4]
    start = unit * (g / (root - b) if b <= 0.0 else (root + b) / -a)
    value = _log_gamma_ratio_tail(below[0], above[0], start)
    if a > 0.0:
        value += math.log1p(-math.exp(_log_gamma_ratio_tail(below[0], above[0], unit * (root - b) / a) - value))
    return value


@njit(nogil=True, error_model="numpy", cache=True)
def fill_log_weights(rng, out, width, law, cosine):
    """Fill `out` with the logarithms of the weights over M(t)^width, at most 0; `cosine` is c in (0, 1).

    A weight is the likelihood ratio of the directions of the units, the scales of the groups integrated out, times the
    probability of failure given these directions.
    """
    for i in range(out.size):
        above, below = _draw_units(rng, width, law)
        value = _log_failure(above, below, cosine)
        for n, _, _, _, ray, drawn in (above, below):
            if n > 0:
                value += n * math.log(drawn / ray)
        out[i] = min(value, 0.0)  # above 0 by rounding only
