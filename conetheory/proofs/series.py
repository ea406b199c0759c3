r"""Functions divided by a power that they contain: what is left of an inequality where both sides meet.

At a degenerate end both sides of an inequality are equal, and no ball separates them. If their difference is
:math:`f(x) = x^m q(x)` with a power series of rational coefficients, the sign of f for x > 0 is the sign of q, and q
has balls away from 0.
"""

from collections.abc import Callable
from typing import Any

from flint import arb, arb_poly, arb_series, fmpq_poly, fmpq_series

from conetheory._arrays import as_count
from conetheory.proofs.balls import ball, power, working_precision

__all__ = ["Quotient"]

_TERMS = 40
_SPARE = 4  # a derivative in the function shortens the series by one term
_REACH = ball("-22/7", "22/7")  # the remainder is bounded there once and for all: angles up to pi
_TABLE_BITS = 192


class Quotient:
    r"""The entire function :math:`q(x) = f(x)/x^m`, evaluated in balls by Taylor's formula with Lagrange's remainder.

    .. math:: q(x) \in \sum_{j=m}^{N-1} c_j x^{j-m} + \frac{f^{(N)}([-22/7, 22/7])}{N!}\,x^{N-m},\qquad N = m + 40

    The :math:`c_j` are exact fractions, so that :math:`c_0 = \dots = c_{m-1} = 0` is checked, not assumed.

    Parameters
    ----------
    function : callable
        f, built from its argument (a power series of flint) with integer or `fmpq` constants, ``+ - *``, ``sin``,
        ``cos``, ``derivative``.
    order : int
        m, at least 0: f must vanish at 0 to this order.

    Raises
    ------
    ValueError
        If f does not vanish to the order m, or (on evaluation) the argument does not lie in [-22/7, 22/7].

    Examples
    --------
    >>> sinc = Quotient(lambda x: x.sin(), 1)
    >>> with working_precision(64):
    ...     print(sinc(ball(0)), sinc(ball(1)).overlaps(ball(1).sin()))
    1.00000000000000000 True
    >>> Quotient(lambda x: x.cos(), 1)
    Traceback (most recent call last):
    ...
    ValueError: `function` must vanish at 0 to the order 1, but its coefficient of x^0 is 1.
    """

    __slots__ = ("_head", "_rest", "order")

    def __init__(self, function: Callable[[Any], Any], order: int) -> None:
        self.order = as_count("order", order, minimum=0)
        length = self.order + _TERMS
        with working_precision(_TABLE_BITS):
            head = function(fmpq_series([0, 1], 1, length + _SPARE))
            tail = function(arb_series([_REACH, 1], length + _SPARE))
        if min(head.prec, tail.prec) <= length:  # coefficients beyond the end of a series read as 0
            raise ValueError(f"`function` must keep {length} terms of its argument, got {min(head.prec, tail.prec)}.")
        exact, rest = head.coeffs(), tail[length]
        for place, coefficient in enumerate(exact[: self.order]):
            if coefficient != 0:
                raise ValueError(
                    f"`function` must vanish at 0 to the order {order}, but its coefficient of x^{place} is "
                    f"{coefficient}."
                )
        self._head = fmpq_poly(exact[self.order : length])  # a longer head would not go with this remainder
        self._rest = rest

    def __call__(self, x: arb) -> arb:
        """Enclose q(x) for a ball `x`; nan for an infinite one."""
        if not x.is_finite():
            return arb.nan()
        if not _REACH.contains(x):
            raise ValueError(f"`x` must lie in [-22/7, 22/7], got {x}.")
        return arb_poly(self._head)(x) + self._rest * power(x, _TERMS)
