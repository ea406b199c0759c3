r"""Certificates about Theorem 1's numbers: the sharp threshold and the constant K of the explicit O(1/d).

``docs/theory.md``, 2.5 and 2.7; how the certificates work is told in 20.3.
"""

from fractions import Fraction

from flint import arb

from conetheory._arrays import as_count
from conetheory.proofs.balls import Enclosure, Exact, ball, enclosure, power, rational, working_precision
from conetheory.proofs.domains import as_constant, as_cosines, as_norms, as_positive
from conetheory.proofs.relu_balls import (
    CROSS_SINES,
    FOURTH_SINES,
    correlation,
    cross_over_square,
    fourth_over_fourth,
    j22,
    lift_over_cube,
    margin,
    versine_over_square,
)
from conetheory.proofs.series import Quotient
from conetheory.proofs.subdivision import Certificate, Chart, prove_positive

__all__ = ["chebyshev_at_unit_norms", "chebyshev_on_box", "enclose_sharp_threshold", "sharp_threshold_within"]

_NEIGHBOURHOOD = "1/64"


def _newton_step(cosine: arb, a: arb, b: arb) -> arb:
    """Return one Newton step for g(c) = kappa(rho_1(c)) - c from the midpoint of `cosine`."""
    middle = cosine.mid()
    return middle - margin(middle, a, b) / _margin_slope(middle, a, b)


def _margin_slope(cosine: arb, a: arb, b: arb) -> arb:
    r"""Enclose :math:`g'(c) = \lambda(1 - \theta_1/\pi) - 1`."""
    weight = a * b / ((1 + a * a) * (1 + b * b)).sqrt()
    return weight * (1 - correlation(cosine, a, b).acos() / arb.pi()) - 1


def _as_different(norm_u: Exact, norm_v: Exact) -> tuple[Fraction, Fraction]:
    a, b = rational(norm_u), rational(norm_v)
    if not (a > 0 and b > 0 and a != b):
        raise ValueError(f"`norm_u` and `norm_v` must be positive and different, got {norm_u!r} and {norm_v!r}.")
    return a, b


def enclose_sharp_threshold(norm_u: Exact, norm_v: Exact, *, digits: int = 32) -> Enclosure:
    r"""Enclose the root :math:`c^*` of :math:`\kappa(\rho_1(c)) = c` for different norms; not yet a proof.

    Newton's method in high precision finds the digits; `sharp_threshold_within` certifies them.

    Parameters
    ----------
    norm_u, norm_v : int, str, Fraction or Decimal
        Norms, positive and different (for equal norms the threshold is 1).
    digits : int
        Decimal places of the ends.

    Raises
    ------
    ValueError, TypeError
        If the norms are not exact, not positive, or equal.

    Examples
    --------
    >>> print(enclose_sharp_threshold(2, 1, digits=12))
    [0.893864006935, 0.893864006937]
    """
    digits = as_count("digits", digits)
    _as_different(norm_u, norm_v)
    with working_precision(4 * digits + 80):
        a, b = ball(norm_u), ball(norm_v)
        cosine = 2 * a * b / (a * a + b * b)  # the paper's threshold, below c*
        for _ in range(digits.bit_length() + 8):
            cosine = _newton_step(cosine, a, b)
        return enclosure(cosine.mid() + arb(0, arb(10) ** -digits / 2), digits)


def sharp_threshold_within(
    norm_u: Exact, norm_v: Exact, within: Enclosure, *, precision_bits: int = 200
) -> Certificate:
    r"""Certify :math:`low < c^* < high`: that :math:`\kappa(\rho_1(c)) > c` up to `low` and < c from `high` on.

    Parameters
    ----------
    norm_u, norm_v : int, str, Fraction or Decimal
        Norms, positive and different.
    within : Enclosure
        The ends.
    precision_bits : int
        Working precision; it must resolve the ends.

    Raises
    ------
    ValueError, TypeError
        If the norms are not exact, not positive, or equal.

    Notes
    -----
    The signs of g(c) = kappa(rho_1(c)) - c at the ends, g' < 0 within 1/64 of them, and the sign of g on what is left
    of [-1, 1] on either side.

    Examples
    --------
    >>> sharp_threshold_within(2, 1, enclose_sharp_threshold(2, 1)).proven
    True
    """
    a_exact, b_exact = _as_different(norm_u, norm_v)
    low, high = rational(within.low), rational(within.high)
    reach = rational(_NEIGHBOURHOOD)
    left, right = max(rational(-1), low - reach), min(rational(1), high + reach)

    def g(cosine: arb) -> arb:
        return margin(cosine, ball(a_exact), ball(b_exact))

    def falls(cosine: arb) -> arb:
        return -_margin_slope(cosine, ball(a_exact), ball(b_exact))

    return prove_positive(
        "sharp_threshold",
        f"{within.low} < c*({a_exact}, {b_exact}) < {within.high}",
        "c in [−1, 1]",
        Chart(expression=lambda: g(ball(low))),
        Chart(expression=lambda: -g(ball(high))),
        Chart(expression=falls, box={"c": (left, right)}),
        Chart(expression=g, box={"c": (-1, left)}),
        Chart(expression=lambda cosine: -g(cosine), box={"c": (right, 1)}),
        precision_bits=precision_bits,
        values={"c*": within},
    )


_SQUARES_SINES = Quotient(lambda x: -3 * ((2 * x).sin() - 2 * x), 3)  # as CROSS_SINES, of the third moment of 1b.4


def _chebyshev_rest(theta: arb) -> arb:
    r"""Return :math:`[22(EX)^2 - EX^2]/\theta^5` at unit norms, for 2X; both terms begin with :math:`22V^2\theta^4`.

    :math:`V = (1-\cos\theta)/\theta^2`, :math:`1 - c_0 = 2V\theta^2`; the terms of order 4 are taken out.
    """
    pi, v, lift = arb.pi(), versine_over_square(theta), lift_over_cube(theta)
    squares = 2 * (pi - theta) / pi * theta.sinc() ** 2 + theta * _SQUARES_SINES(theta) / (2 * pi)
    cross = 2 * theta * v * v + (CROSS_SINES(theta) - 4 * v * (1 + theta * theta * v)) / (2 * pi)
    fourth = (FOURTH_SINES(theta) - 12 * v * v) / (2 * pi)
    return 44 * v * lift + 22 * theta * lift * lift - fourth + 4 * v * cross + 4 * theta * v * v * squares


def _unit_moments(theta: arb) -> tuple[arb, arb]:
    r"""Return :math:`E(2X)/\theta^2` and :math:`E(2X)^2/\theta^4` at unit norms; 2.7."""
    v = versine_over_square(theta)
    square = 4 * v * v * (3 + 2 * j22(theta)) - 4 * v * cross_over_square(theta) + fourth_over_fourth(theta)
    return v + theta * lift_over_cube(theta), square


def chebyshev_at_unit_norms(constant: Exact = 12) -> Certificate:
    r"""Certify :math:`K < 21 - C\sqrt{1 - c_0}` for every :math:`c_0 \in (0, 1)` at unit norms; enclose the limit 21.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`12.39\dots`.

    Raises
    ------
    ValueError, TypeError
        If the constant is not exact or below 0.

    Examples
    --------
    >>> found = chebyshev_at_unit_norms()
    >>> found.proven, found.values["K as c₀ → 1"].distance(21.0) < 1e-12
    (True, True)
    >>> chebyshev_at_unit_norms("12.4").proven
    False
    """
    least = as_constant(constant)

    def rest(x: arb) -> arb:
        theta = arb.pi() * x
        mean, _ = _unit_moments(theta)
        root = (2 * versine_over_square(theta)).sqrt()  # √(1 − c₀)/θ
        return _chebyshev_rest(theta) - ball(least) * root * mean * mean

    with working_precision(80):
        mean, square = _unit_moments(arb(0))
        limit = enclosure(square / (mean * mean) - 1, 20)
    return prove_positive(
        "chebyshev_at_unit_norms",
        f"K < 21 − {constant} √(1 − c₀), hence P(failure) < 21/d",
        "c₀ in (0, 1), norms 1",
        Chart(expression=rest, box={"x": (0, "1/3")}),
        values={"K as c₀ → 1": limit},
    )


def _moments_over_drop(cosine: arb, a: arb, b: arb) -> tuple[arb, arb]:
    r"""Return :math:`E(2X)/t` and :math:`E(2X)^2/t^2`, :math:`t = 1 - c_0`, in terms of :math:`y = \theta_1^2/t`; 2.7.

    :math:`1 - \rho_1 = \lambda t + 2\sin^2\frac{\alpha_u-\alpha_v}2` makes y smooth where t is small.
    """
    theta, drop = correlation(cosine, a, b).acos(), 1 - cosine
    alpha_u, alpha_v = (1 / a).atan(), (1 / b).atan()
    apart = 2 * power(((alpha_u - alpha_v) / 2).sin(), 2) / drop
    y = (apart + alpha_u.cos() * alpha_v.cos()) / versine_over_square(theta)
    mean = alpha_u.sin() * alpha_v.sin() - cosine * apart + theta * y * lift_over_cube(theta)
    square = 3 + 2 * j22(theta) - 2 * y * cross_over_square(theta) + y * y * fourth_over_fourth(theta)
    return mean, square


def chebyshev_on_box(
    bound: Exact = 22,
    cosines: tuple[Exact, Exact] = ("0.1", "0.9"),
    norms: tuple[Exact, Exact] = ("0.9", "1.1"),
) -> Certificate:
    r"""Certify that K is finite and below `bound` on a box of cosines and norms: P(failure) < bound/d for every d; 2.7.

    Parameters
    ----------
    bound : int, str, Fraction or Decimal
        Upper bound of K, positive.
    cosines, norms : pair of int, str, Fraction or Decimal
        Ranges of :math:`c_0`, in (0, 1), and of both norms, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not exact or out of its range.

    Examples
    --------
    >>> chebyshev_on_box(12, cosines=("0.45", "0.5"), norms=("0.99", "1.01")).proven
    True
    """

    largest, inputs, lengths = as_positive("bound", bound), as_cosines(cosines), as_norms(norms)

    def rest(cosine: arb, a: arb, b: arb) -> arb:
        mean, square = _moments_over_drop(cosine, a, b)
        if not mean > 0:  # K is finite where the mean is positive, and only there does the inequality bound it
            return mean if mean <= 0 else arb.nan()
        return (1 + ball(largest)) * mean * mean - square

    return prove_positive(
        "chebyshev_on_box",
        f"K < {bound}, hence P(failure) < {bound}/d",
        f"c₀ in [{cosines[0]}, {cosines[1]}], norms in [{norms[0]}, {norms[1]}]",
        Chart(expression=rest, box={"c": inputs, "a": lengths, "b": lengths}),
    )
