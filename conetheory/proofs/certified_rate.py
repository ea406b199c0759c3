r"""Certificates about the exponential rate of Theorem 1: P(failure) is at most :math:`e^{-dI}` for every width d.

:math:`I = -\min_t \ln M(t)`, M of `conetheory.proofs.rate_balls`. Any t >= 0 with M(t) < 1 proves a rate: upper
bounds of M on boxes need no minimiser. M is convex, so three of its values enclose its minimum (``docs/theory.md``,
20.5).
"""

from fractions import Fraction

from flint import arb

from conetheory._arrays import as_count
from conetheory.proofs.balls import Enclosure, Exact, ball, enclosure, end_point, rational, working_precision
from conetheory.proofs.domains import as_constant, as_cosines, as_norms, as_positive
from conetheory.proofs.rate_balls import contrast_mgf, unit_norm_gap
from conetheory.proofs.relu_balls import correlation, versine_over_square
from conetheory.proofs.subdivision import Certificate, Chart, prove_positive

__all__ = ["enclose_rate", "mgf_below_one", "rate_at_unit_norms", "rate_on_box", "rate_within"]

_PIECES = 64  # intervals of c₀ with a t of their own


def mgf_below_one(t: Exact, cosine: Exact, norm_u: Exact, norm_v: Exact) -> Certificate:
    r"""Certify M(t) < 1 at one point: P(failure) falls exponentially in the width. False above the sharp threshold.

    Parameters
    ----------
    t : int, str, Fraction or Decimal
        Positive.
    cosine, norm_u, norm_v : int, str, Fraction or Decimal
        :math:`c_0 \in (0, 1)` and the norms, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not exact or out of its range.

    Examples
    --------
    >>> mgf_below_one(1, "0.5", 1, 1).proven, mgf_below_one("0.1", "0.95", 2, 1).proven
    (True, False)
    """
    contrast, at = _Contrast(cosine, norm_u, norm_v), as_positive("t", t)
    return prove_positive(
        "mgf_below_one",
        f"M({t}) < 1",
        f"c₀ = {cosine}, norms {norm_u}, {norm_v}",
        Chart(expression=lambda: 1 - contrast.mgf(at)),
    )


def rate_at_unit_norms(constant: Exact = "0.021") -> Certificate:
    r"""Certify :math:`M(t) < \frac12 + \frac{\sqrt2}3 - C\sqrt{1 - c_0}` at unit norms for :math:`c_0 \in [0, 1)`.

    M is evaluated at :math:`t = 1/(4(1 - c_0))`; the base, .9714, is the limit of :math:`\min_t M` as
    :math:`c_0 \to 1`: the exponential bound is uniform in :math:`c_0`, with the best rate (``docs/theory.md``, 20.6).

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`0.02166\dots`.

    Raises
    ------
    ValueError, TypeError
        If the constant is not exact or below 0.

    Examples
    --------
    >>> rate_at_unit_norms().proven, rate_at_unit_norms("0.022").proven
    (True, False)
    """
    least = as_constant(constant)

    def gap(x: arb) -> arb:
        theta = arb.pi() * x
        return unit_norm_gap(theta) - ball(least) * (2 * versine_over_square(theta)).sqrt()  # √(1 − c₀)/θ

    with working_precision(120):
        limit = enclosure(-(arb(2).sqrt() / 3 + ball("1/2")).log(), 25)
    return prove_positive(
        "rate_at_unit_norms",
        f"M(1/(4(1 − c₀))) < 1/2 + √2/3 − {constant} √(1 − c₀), hence P(failure) < (1/2 + √2/3)^d",
        "c₀ in [0, 1), norms 1, every width d",
        Chart(expression=gap, box={"x": (0, "1/3")}),
        values={"−ln(1/2 + √2/3), a lower bound of I": limit},
    )


def rate_on_box(
    rate: Exact = "0.015",
    cosines: tuple[Exact, Exact] = ("0.1", "0.9"),
    norms: tuple[Exact, Exact] = ("0.9", "1.1"),
) -> Certificate:
    r"""Certify :math:`P(\text{failure}) < e^{-rd}` for every width on a box of cosines and norms.

    The cosines are cut into 64 pieces; on each t is the constant :math:`1/(4(1 - c))`, c its upper end. X falls with
    :math:`c_0`, so M increases with it, and the upper end stands for the piece.

    Parameters
    ----------
    rate : int, str, Fraction or Decimal
        r, positive; it can be at most the infimum of I on the box.
    cosines, norms : pair of int, str, Fraction or Decimal
        Ranges of :math:`c_0`, in (0, 1), and of both norms, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not exact or out of its range.

    Examples
    --------
    >>> rate_on_box("0.04", cosines=("0.45", "0.5"), norms=("0.99", "1.01")).proven
    True
    """
    least, (first, last), lengths = as_positive("rate", rate), as_cosines(cosines), as_norms(norms)

    def piece(k: int) -> Chart:
        low, high = (first + (last - first) * Fraction(j, _PIECES) for j in (k, k + 1))

        def below(cosine: arb, a: arb, b: arb) -> arb:
            theta = correlation(cosine, a, b).acos()
            return (-ball(least)).exp() - contrast_mgf(ball(1 / (4 * (1 - high))), ball(high), theta)

        return Chart(expression=below, box={"c": (low, high), "a": lengths, "b": lengths})

    return prove_positive(
        "rate_on_box",
        f"M(t) < exp(−{rate}), hence P(failure) < exp(−{rate} d)",
        f"c₀ in [{cosines[0]}, {cosines[1]}], norms in [{norms[0]}, {norms[1]}], t = 1/(4(1 − c₀)) on a grid",
        *(piece(k) for k in reversed(range(_PIECES))),  # the largest cosines, where I is least, come first
        max_boxes=1_000,
    )


class _Contrast:
    """M at one layer, at exact t."""

    def __init__(self, cosine: Exact, norm_u: Exact, norm_v: Exact) -> None:
        self.cosine, self.norm_u, self.norm_v = rational(cosine), rational(norm_u), rational(norm_v)
        if not (0 < self.cosine < 1 and self.norm_u > 0 and self.norm_v > 0):
            raise ValueError(
                f"`cosine` must lie in (0, 1) and the norms be positive, got {cosine!r}, {norm_u!r} and {norm_v!r}."
            )

    def _angle(self) -> arb:
        return correlation(ball(self.cosine), ball(self.norm_u), ball(self.norm_v)).acos()

    def mgf(self, t: Fraction) -> arb:
        return contrast_mgf(ball(t), ball(self.cosine), self._angle())

    def minimiser(self, bits: int) -> Fraction:
        """Return t near the minimum of M, to about `bits` / 8 bits, by ternary search and parabolas; not a proof."""
        sine = self._angle().sin()
        low, high = Fraction(0), end_point((1 / (ball(self.cosine) * sine * sine)).lower())
        for _ in range(60):
            third = (high - low) / 3
            left, right = low + third, high - third
            low, high = (low, right) if self.mgf(left).mid() < self.mgf(right).mid() else (left, high)
        t, step = (low + high) / 2, (high - low) * 2**24
        for _ in range(3):
            below, middle, above = (self.mgf(t + k * step).mid() for k in (-1, 0, 1))
            ratio = (above - below) / (2 * (above - 2 * middle + below))
            t, step = end_point((ball(t) - ball(step) * ratio).mid()), step / 2 ** (bits // 12)
        return t


def _minimum(contrast: _Contrast, t: Fraction, step: Fraction) -> arb:
    r"""Enclose :math:`\min M` from M at t - step, t, t + step; nan if they do not show that the minimum is between.

    A convex M lies above the continuation of each of the two chords, so it falls below its value at t by at most the
    larger of the two rises.
    """
    if not t > step:
        return arb.nan()
    below, middle, above = (contrast.mgf(t + k * step) for k in (-1, 0, 1))
    if not (below > middle and above > middle):
        return arb.nan()
    return middle.union(middle - (below - middle).union(above - middle))


def enclose_rate(cosine: Exact, norm_u: Exact, norm_v: Exact, *, digits: int = 24) -> Enclosure:
    r"""Enclose the rate I at one layer, for :math:`0 < c_0 < c^*`.

    Parameters
    ----------
    cosine, norm_u, norm_v : int, str, Fraction or Decimal
        :math:`c_0 \in (0, 1)` and the norms, positive.
    digits : int
        Decimal places of the ends; the interval is then at most a few units of the last place wide.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or M has no minimum at a positive t (:math:`c_0 \ge c^*`).

    Examples
    --------
    >>> print(enclose_rate("0.5", 1, 1, digits=12))
    [0.083393010668, 0.083393010669]
    """
    digits = as_count("digits", digits)
    contrast, bits = _Contrast(cosine, norm_u, norm_v), 16 * digits + 200
    with working_precision(bits):
        t = contrast.minimiser(bits)
        least = _minimum(contrast, t, abs(t) / 10 ** (digits // 2 + 4))
        if not least.is_finite():
            raise ValueError(f"`cosine` must lie in (0, c*), where M has its minimum at a positive t, got {cosine!r}.")
        return enclosure(-least.log(), digits)


def rate_within(cosine: Exact, norm_u: Exact, norm_v: Exact, within: Enclosure) -> Certificate:
    r"""Certify :math:`low < I < high`: :math:`e^{-high} < \min M < e^{-low}`.

    Parameters
    ----------
    cosine, norm_u, norm_v : int, str, Fraction or Decimal
        :math:`c_0 \in (0, c^*)` and the norms, positive.
    within : Enclosure
        The ends.

    Examples
    --------
    >>> rate_within("0.5", 1, 1, enclose_rate("0.5", 1, 1)).proven
    True
    """
    digits = max(20, -int(within.low.as_tuple().exponent))
    contrast, bits = _Contrast(cosine, norm_u, norm_v), 16 * digits + 200
    with working_precision(bits):
        t = contrast.minimiser(bits)
    step = abs(t) / 10 ** (digits // 2 + 4)

    def least() -> arb:
        return _minimum(contrast, t, step)

    return prove_positive(
        "rate",
        f"{within.low} < I < {within.high}",
        f"c₀ = {cosine}, norms {norm_u}, {norm_v}",
        Chart(expression=lambda: (-ball(within.low)).exp() - least()),
        Chart(expression=lambda: least() - (-ball(within.high)).exp()),
        precision_bits=bits,
        values={"I": within},
    )
