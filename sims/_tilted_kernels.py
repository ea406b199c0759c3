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

__all__ = ["TiltedLaw", "fill_log_weights", "fill_unit_sums"]

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
def _unit_sums(rng, width, law):
    """Return the numbers of units of a layer that both inputs activate, and that one does, and the ten sums over them.

    Of the first with X > 0: their number, ΣE, ΣE o², ΣE e o; of the first with X <= 0: the same three sums; of the
    others ΣE, ΣE o², and ΣE o² where the second input is the active one less where the first is. e and o are cos w and
    sin w, or cosh w and sinh w.
    """
    n_both = n_one = n_above = 0
    above = above_m = above_k = below = below_m = below_k = alone = square = skew = 0.0
    for _ in range(rng.binomial(width, law.active)):
        energy = rng.standard_exponential()
        x = 2.0 * rng.random() - 1.0
        if abs(x) < law.both:
            n_both += 1
            w = law.turn_both * x / law.both
            if law.hyperbolic_both:
                grown = math.exp(w)
                e, o = 0.5 * (grown + 1.0 / grown), math.sinh(w)
            else:
                e, o = math.cos(w), math.sin(w)
            if abs(w) < law.turn_zero:
                n_above += 1
                above += energy
                above_m += energy * o * o
                above_k += energy * e * o
            else:
                below += energy
                below_m += energy * o * o
                below_k += energy * e * o
        else:
            n_one += 1
            w = law.turn_one * (abs(x) - law.both) / (1.0 - law.both)
            o = math.sinh(w) if law.hyperbolic_one else math.sin(w)
            alone += energy
            square += energy * o * o
            skew += math.copysign(energy * o * o, x)
    sums = (float(n_above), above, above_m, above_k, below, below_m, below_k, alone, square, skew)
    return n_both, n_one, sums


@njit(nogil=True, error_model="numpy", cache=True)
def fill_unit_sums(rng, counts, out, width, law):
    """Fill `counts`, shape (2, trials), and `out`, shape (10, trials), with what `_unit_sums` returns."""
    for i in range(out.shape[1]):
        counts[0, i], counts[1, i], sums = _unit_sums(rng, width, law)
        for j, value in enumerate(sums):
            out[j, i] = value


@njit(nogil=True, error_model="numpy", cache=True)
def _groups(counts, sums, law):
    """Return two groups of the units of a layer, X > 0 and X <= 0, from the counts and sums of `_unit_sums`.

    Of each the number n, the sums P of e², K of eo and M of o² of its pairs (e - o, e + o), of R²/2, and of E.
    """
    n_above, above, above_m, above_k, below, below_m, below_k, alone, square, skew = sums
    sign_both, sign_one = 1.0 if law.hyperbolic_both else -1.0, 1.0 if law.hyperbolic_one else -1.0
    above_p, below_p = above + sign_both * above_m, below + sign_both * below_m
    p, k, m = law.even * law.even, law.even * law.odd, law.odd * law.odd
    one, turned = law.one * law.one * square, law.one * law.one * skew
    above_ray = law.even_ray**2 * above_p + law.odd_ray**2 * above_m
    below_ray = law.even_ray**2 * below_p + law.odd_ray**2 * below_m + (alone + sign_one * square) + one
    first = (int(n_above), p * above_p, k * above_k, m * above_m, above_ray, above)
    number = counts[0] + counts[1] - int(n_above)
    second = (number, p * below_p + one / 4, k * below_k + turned / 4, m * below_m + one / 4, below_ray, below + alone)
    return first, second


@njit(nogil=True, error_model="numpy", cache=True)
def _continued_fraction(a, b, x):
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), b whole, x <= a/(a+b).

    Its even part, which takes half as many terms and divisions, by Lentz's method; it ends at the term b or before.
    """
    y = 1.0 - x
    value = c = a * (a * y - b * x + 1.0) / (a + 1.0)
    d = 0.0
    for m in range(1, _MOST_TERMS):
        odd = a + 2 * m - 1
        step = m * (b - m) * x / odd
        top = step * (a + m - 1) * (a + b + m - 1) * x / odd
        low = m + step + (a + m) * (a * y - b * x + 1.0 + m * (1.0 + y)) / (odd + 2.0)
        d, c = 1.0 / (low + top * d), low + top / c
        value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return a / value


@njit(nogil=True, error_model="numpy", cache=True)
def _log_gamma_ratio_tail(n_below, n_above, ratio):
    """Return ln P(G > `ratio` H) for independent gamma variables G, H of shapes `n_below`, `n_above`, at least 1.

    It is the incomplete beta function at 1/(1 + ratio), in logarithms: it may be far below the least double. Absolute
    error about 1e-15 times the sum of the shapes.
    """
    if ratio <= 0.0:
        return 0.0
    a, b = float(n_above), float(n_below)
    log_x = -math.log1p(ratio)
    log_y = math.log(ratio) + log_x
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
def fill_log_weights(counts, sums, out, law, cosine):
    """Fill `out` with the logarithms of the weights over M(t)^width, at most 0; `cosine` is c in (0, 1).

    `counts` and `sums` are those of `fill_unit_sums`. A weight is the likelihood ratio of the directions of the units,
    the scales of the groups integrated out, times the probability of failure given these directions.
    """
    for i in range(out.size):
        n_both, n_one = int(counts[0, i]), int(counts[1, i])
        s = sums[:, i]
        above, below = _groups((n_both, n_one), (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9]), law)
        value = _log_failure(above, below, cosine)
        for n, _, _, _, ray, drawn in (above, below):
            if n > 0:
                value += n * math.log(drawn / ray)
        out[i] = min(value, 0.0)  # above 0 by rounding only
