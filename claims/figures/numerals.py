"""A number as a reader wants it: few digits, a true minus, powers of ten as superscripts."""

from decimal import Decimal
from math import floor, isfinite, log10

__all__ = ["numeral", "power_of_ten", "with_error"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MISSING = "–"


def power_of_ten(exponent: int) -> str:
    """Return ``10`` with `exponent` as a superscript.

    >>> power_of_ten(-12)
    '10⁻¹²'
    """
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def numeral(value: float | None, digits: int = 6) -> str:
    """Return `value` with `digits` significant digits; an en dash where there is none.

    >>> numeral(0.30000001), numeral(-1.25e-7), numeral(1e-9), numeral(125000), numeral(None)
    ('0.3', '−1.25×10⁻⁷', '10⁻⁹', '125000', '–')
    """
    if value is None or not isfinite(value):
        return _MISSING
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    text = mantissa.replace("-", "−")
    if not exponent:
        return text
    power = power_of_ten(int(exponent))
    return {"1": power, "−1": f"−{power}"}.get(text, f"{text}×{power}")


def with_error(value: float | None, stderr: float | None) -> str:
    """Return ``value ± stderr``, the error with two significant digits and the value with as many decimals.

    >>> with_error(0.5103342, 0.00123), with_error(2.5e-6, 3e-8), with_error(0.5, 0.0)
    ('0.5103 ± 0.0012', '(2.500 ± 0.030)×10⁻⁶', '0.5')
    """
    if value is None or not stderr or not isfinite(stderr) or not isfinite(value):
        return numeral(value)
    order = floor(log10(max(abs(value), stderr)))
    scale = order if order < -3 or order > 6 else 0
    mantissa, error = Decimal(value).scaleb(-scale), Decimal(stderr).scaleb(-scale)
    decimals = max(0, 1 - error.adjusted())
    text = f"{mantissa:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
    return f"({text})×{power_of_ten(scale)}" if scale else text
