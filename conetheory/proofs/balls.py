r"""Ball arithmetic without its traps: a real number enters exactly, and an integrand cannot hide a branch cut.

An `arb` is a midpoint and a radius; every operation returns a ball that contains the true result, so that
``x > 0`` is true only if it is true of every number in the ball. Three things would break the proof silently, and this
module is the way round them: a decimal written as a float (0.1 is not 1/10), the working precision (one number for the
whole process), and `acb.integral`, which returns a wrong ball for functions with branch cuts unless the integrand
forwards a flag.

References
----------
.. [1] F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput. 66,
   2017, arXiv:1611.02831.
.. [2] F. Johansson, "Numerical integration in arbitrary-precision ball arithmetic", ICMS 2018, arXiv:1802.07942.
"""

import decimal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from threading import RLock

from flint import acb, arb, ctx, fmpq

from conetheory._arrays import as_count
from conetheory.errors import ConvergenceError

__all__ = [
    "Enclosure",
    "Exact",
    "Integrand",
    "ball",
    "enclosure",
    "end_point",
    "integrate",
    "power",
    "rational",
    "working_precision",
]

Exact = int | str | Fraction | Decimal
Scalar = int | Fraction | arb

_SERIES_LENGTH = 64  # flint cuts power series at a length that is global too
_ONE_AT_A_TIME = RLock()  # flint's precision belongs to the process: threads would change it under each other


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Compute with `bits` bits inside the ``with``; other threads that ask for a precision wait.

    Parameters
    ----------
    bits : int
        Precision of the midpoints, at least 2. It changes how wide the balls are, never whether they are right.

    Raises
    ------
    ValueError, TypeError
        If `bits` is no integer of at least 2.

    Examples
    --------
    >>> with working_precision(64):
    ...     print(arb(2).sqrt().str(12))
    [1.41421356237 +/- 3.10e-12]
    """
    bits = as_count("bits", bits, minimum=2)
    with _ONE_AT_A_TIME:
        before = ctx.prec, ctx.cap
        ctx.prec, ctx.cap = bits, _SERIES_LENGTH
        try:
            yield
        finally:
            ctx.prec, ctx.cap = before


def rational(value: Exact) -> Fraction:
    """Return `value` as an exact fraction: an integer, a fraction, or a decimal written as text.

    Parameters
    ----------
    value : int, str, Fraction or Decimal
        Such as ``3``, ``"0.1"``, ``"2/3"``.

    Raises
    ------
    TypeError
        For a float: 0.1 is 3602879701896397/2**55, not 1/10.
    ValueError
        If the text is no number.

    Examples
    --------
    >>> rational("0.1")
    Fraction(1, 10)
    """
    if isinstance(value, bool) or not isinstance(value, (int, str, Fraction, Decimal)):
        raise TypeError(f"`value` must be exact, an integer, a fraction or a decimal as text, got {value!r}.")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(f"`value` must be a finite number, got {value!r}.") from None


def ball(low: Exact, high: Exact | None = None) -> arb:
    """Return a ball that contains the number `low`, or the interval from `low` to `high`.

    Parameters
    ----------
    low, high : int, str, Fraction or Decimal
        Exact ends; `high` is at least `low`.

    Raises
    ------
    ValueError, TypeError
        If an end is not exact or no number, or `high` is below `low`.

    Examples
    --------
    >>> fmpq(1, 3) in ball("0.3", "0.4")
    True
    """
    first = rational(low)
    if high is None:
        return _arb(first)
    last = rational(high)
    if not last >= first:
        raise ValueError(f"`high` must be at least `low`, got {high!r} and {low!r}.")
    return _arb(first).union(_arb(last))


def _arb(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """An interval that contains a number for certain; its ends are exact decimals.

    Attributes
    ----------
    low, high : Decimal
        Ends.
    """

    low: Decimal
    high: Decimal

    def distance(self, value: float) -> float:
        """Return the largest distance of the double `value` to a number of the interval."""
        exact = Fraction(value)
        return float(max(abs(exact - Fraction(self.low)), abs(exact - Fraction(self.high))))

    def __str__(self) -> str:
        return f"[{self.low}, {self.high}]"


def enclosure(x: arb, digits: int) -> Enclosure:
    """Return the decimals of `digits` places that enclose the ball `x`, rounded outwards.

    Parameters
    ----------
    x : arb
        A finite ball.
    digits : int
        Decimal places, at least 1.

    Raises
    ------
    ValueError
        If `x` is not finite.

    Examples
    --------
    >>> with working_precision(64):
    ...     print(enclosure(arb.pi(), 4))
    [3.1415, 3.1416]
    """
    digits = as_count("digits", digits)
    if not x.is_finite():
        raise ValueError(f"`x` must be a finite ball, got {x}.")
    low, high = end_point(x.lower()), end_point(x.upper())
    unit = 10**digits
    down, up = (low.numerator * unit) // low.denominator, -((-high.numerator * unit) // high.denominator)
    return Enclosure(low=_places(down, digits), high=_places(up, digits))


def end_point(exact: arb) -> Fraction:
    """Return a ball of radius 0, such as an end or the midpoint of another, as the fraction that it is.

    Examples
    --------
    >>> end_point(arb(0.75))
    Fraction(3, 4)
    """
    mantissa, exponent = (int(part) for part in exact.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def _places(units: int, digits: int) -> Decimal:
    with decimal.localcontext(prec=len(str(abs(units))) + digits):
        return Decimal(units).scaleb(-digits)


def power(x: arb, exponent: int) -> arb:
    """Return `x` to an integer power of at least 0, by products: flint's ``**`` has no number where x is about 0.

    Examples
    --------
    >>> power(arb(0, 1), 2).is_finite(), (arb(0, 1) ** 2).is_finite()
    (True, False)
    """
    result = arb(1)
    for _ in range(as_count("exponent", exponent, minimum=0)):
        result = result * x
    return result


class Integrand:
    """The complex argument of an integrand: it forwards the flag that says whether it must be analytic.

    It has arithmetic, integer powers, ``sin``, ``cos``, ``exp``, and ``sqrt``, ``log``, ``acos``, which return no
    finite ball where they are not analytic and have to be. What it does not have (``abs``, comparisons, other
    functions of flint) is not known to be safe, and an integrand that uses it fails.
    """

    __slots__ = ("_analytic", "_value")

    def __init__(self, value: acb, analytic: bool) -> None:
        self._value = value
        self._analytic = analytic

    @property
    def value(self) -> acb:
        """The ball itself."""
        return self._value

    def _with(self, value: acb) -> "Integrand":
        return Integrand(value, self._analytic)

    @staticmethod
    def _acb(other: "Integrand | Scalar") -> acb:
        if isinstance(other, Integrand):
            return other._value
        if isinstance(other, Fraction):
            return acb(_arb(other))
        if isinstance(other, (int, arb)) and not isinstance(other, bool):
            return acb(other)
        raise TypeError(f"`other` must be an integrand, an integer, a fraction or a ball, got {other!r}.")

    def __add__(self, other: "Integrand | Scalar") -> "Integrand":
        return self._with(self._value + self._acb(other))

    def __sub__(self, other: "Integrand | Scalar") -> "Integrand":
        return self._with(self._value - self._acb(other))

    def __mul__(self, other: "Integrand | Scalar") -> "Integrand":
        return self._with(self._value * self._acb(other))

    def __truediv__(self, other: "Integrand | Scalar") -> "Integrand":
        return self._with(self._value / self._acb(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Scalar) -> "Integrand":
        return self._with(self._acb(other) - self._value)

    def __rtruediv__(self, other: Scalar) -> "Integrand":
        return self._with(self._acb(other) / self._value)

    def __neg__(self) -> "Integrand":
        return self._with(-self._value)

    def __pow__(self, power: int) -> "Integrand":
        return self._with(self._value ** as_count("power", power, minimum=0))

    def sin(self) -> "Integrand":
        """Sine."""
        return self._with(self._value.sin())

    def cos(self) -> "Integrand":
        """Cosine."""
        return self._with(self._value.cos())

    def exp(self) -> "Integrand":
        """Exponential."""
        return self._with(self._value.exp())

    def sqrt(self) -> "Integrand":
        """Principal square root, cut along the negative axis."""
        return self._with(self._value.sqrt(analytic=self._analytic))

    def log(self) -> "Integrand":
        """Principal logarithm, cut along the negative axis."""
        return self._with(self._value.log(analytic=self._analytic))

    def acos(self) -> "Integrand":
        """Principal arc cosine, cut along the real axis outside (-1, 1)."""
        on_axis, inside = self._value.imag.contains(0), abs(self._value.real) < 1
        if self._analytic and on_axis and not inside:
            return self._with(acb(arb.nan(), arb.nan()))
        return self._with(self._value.acos())


def integrate(function: Callable[[Integrand], Integrand], low: Scalar, high: Scalar) -> arb:
    r"""Enclose :math:`\int f` over a real interval by rigorous quadrature [2]_.

    Parameters
    ----------
    function : callable
        The integrand f, made of what an `Integrand` offers; analytic on the open interval.
    low, high : int, Fraction or arb
        Ends.

    Returns
    -------
    arb
        A ball that contains the integral, at the working precision.

    Raises
    ------
    ConvergenceError
        If no finite ball was reached: f is not analytic inside, or not bounded at an end.

    Examples
    --------
    >>> with working_precision(64):
    ...     fmpq(14, 3) in integrate(lambda x: x.sqrt(), 1, 4)
    True
    """

    raised: list[Exception] = []

    def forwarded(z: acb, analytic: bool) -> acb:
        try:
            return function(Integrand(z, bool(analytic))).value
        except Exception as error:  # flint's routine cannot pass it on: end the integral, then raise
            raised.append(error)
            return acb(0)

    found = acb.integral(forwarded, Integrand._acb(low), Integrand._acb(high))
    if raised:
        raise raised[0]
    if not (found.is_finite() and found.imag.contains(0)):
        raise ConvergenceError(
            f"The integral has no finite real enclosure: {found}.", value=float(found.real), error=float(found.rad())
        )
    return found.real
