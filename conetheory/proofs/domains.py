"""Domains of the certificates: what lies outside is refused, for a bound "proven" there would mean nothing."""

from fractions import Fraction

from conetheory.proofs.balls import Exact, rational

__all__ = ["as_constant", "as_cosines", "as_norms", "as_positive"]


def as_constant(constant: Exact) -> Fraction:
    """Return the `constant` of a strengthened inequality; below 0 it would assert less than the statement says.

    Raises
    ------
    ValueError, TypeError
        If it is not exact or below 0.

    Examples
    --------
    >>> as_constant("0.25")
    Fraction(1, 4)
    """
    exact = rational(constant)
    if not exact >= 0:
        raise ValueError(f"`constant` must be at least 0, got {constant!r}.")
    return exact


def as_positive(name: str, value: Exact) -> Fraction:
    """Return the positive number `value`.

    Raises
    ------
    ValueError, TypeError
        If it is not exact or not positive; the message calls it `name`.

    Examples
    --------
    >>> as_positive("t", "1/3")
    Fraction(1, 3)
    """
    exact = rational(value)
    if not exact > 0:
        raise ValueError(f"`{name}` must be positive, got {value!r}.")
    return exact


def as_cosines(cosines: tuple[Exact, Exact]) -> tuple[Fraction, Fraction]:
    r"""Return a range of input cosines inside (0, 1): P(failure) :math:`\le M^d` and K ask for :math:`c_0 > 0`.

    Raises
    ------
    ValueError, TypeError
        If an end is not exact or not in (0, 1), or they are reversed.

    Examples
    --------
    >>> as_cosines(("0.5", "0.75"))
    (Fraction(1, 2), Fraction(3, 4))
    """
    low, high = rational(cosines[0]), rational(cosines[1])
    if not 0 < low <= high < 1:
        raise ValueError(f"`cosines` must be an interval inside (0, 1), got {cosines!r}.")
    return low, high


def as_norms(norms: tuple[Exact, Exact]) -> tuple[Fraction, Fraction]:
    """Return a range of positive norms.

    Raises
    ------
    ValueError, TypeError
        If an end is not exact or not positive, or they are reversed.

    Examples
    --------
    >>> as_norms((1, "1.5"))
    (Fraction(1, 1), Fraction(3, 2))
    """
    low, high = rational(norms[0]), rational(norms[1])
    if not 0 < low <= high:
        raise ValueError(f"`norms` must be an interval of positive numbers, got {norms!r}.")
    return low, high
