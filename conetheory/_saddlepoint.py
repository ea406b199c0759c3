r"""Tail of a smooth function of means by one formula of Lugannani and Rice's kind. Private: arguments are validated.

With :math:`r = \pm\sqrt{2dI}` and :math:`v = t^*\sigma\sqrt d\,(1 + t^*c_0s^2/(4\bar B))^{1/2}` (signs of
:math:`t^*`)

.. math:: P(\text{failure}) = \Phi(-r) + \varphi(r)\Bigl(\frac1v - \frac1r\Bigr)\quad\text{up to a factor } 1 + O(1/d),

uniformly in :math:`t^*`, through 0 too, where it is :math:`\tfrac12` in the limit (`docs/theory.md`, 12.6). For
large :math:`dI` it is Cramer's bound times the refined prefactor, :math:`e^{-dI}/(v\sqrt{2\pi})`.
"""

import math
from typing import NamedTuple

from scipy.special import erfcx

from ._relu_tilt import Tilt, TiltedMoments

__all__ = ["Tails", "curvature", "log_tails"]

_LOG_ROOT_TAU = 0.5 * math.log(2.0 * math.pi)
_ROUNDING = 1e-15
_LARGEST = -1e-3  # of the logarithm of the smaller tail, which the formula may miss at small widths
_SERIES_BELOW = 1e-4  # of r/sqrt(d): below it 1/v - 1/r is taken from its value at t* = 0


class Tails(NamedTuple):
    r""":math:`\ln P(\text{failure})`, :math:`\ln P(\text{success})` and the relative error of the rarer.

    The error is an estimate. Beyond the threshold it says nothing where it is above 1: as :math:`c_0 \to 1` the factor
    :math:`1 + t^*c_0s^2/(4\bar B)` tends to 0, and the formula is not uniform in it.
    """

    failure: float
    success: float
    error: float


def curvature(tilt: Tilt, moments: TiltedMoments, cosine: float) -> float:
    r""":math:`t^*c_0s^2/(4\bar B)`: what the curvature of the failure set adds to 1."""
    return tilt.t * cosine * moments.spread / (4.0 * moments.square)


def _log_small_tail(tilt: Tilt, moments: TiltedMoments, cosine: float, width: int) -> float:
    """Logarithm of the probability of the rarer of failure and success."""
    sigma, root = math.sqrt(moments.variance), math.sqrt(2.0 * tilt.rate)
    if root < _SERIES_BELOW:
        skew = moments.third / (6.0 * moments.variance) - cosine * moments.spread / (8.0 * moments.square)
        difference = math.copysign(1.0, tilt.t) * skew / sigma
    else:
        difference = 1.0 / (abs(tilt.t) * sigma * math.sqrt(1.0 + curvature(tilt, moments, cosine))) - 1.0 / root
    r = root * math.sqrt(width)
    mills = math.sqrt(0.5 * math.pi) * float(erfcx(r / math.sqrt(2.0)))
    return -width * tilt.rate - _LOG_ROOT_TAU + math.log(mills + difference / math.sqrt(width))


def log_tails(tilt: Tilt, moments: TiltedMoments, cosine: float, width: int) -> Tails:
    r"""Both probabilities at width d, and the size of the next term, :math:`O(1/d)`, more where curvature cancels."""
    small = min(_log_small_tail(tilt, moments, cosine, width), _LARGEST)
    large = math.log1p(-math.exp(small))
    skewness, excess = moments.third / moments.variance**1.5, moments.fourth / moments.variance**2
    error = (1.0 + 2.0 * abs(excess / 8.0 - 5.0 * skewness**2 / 24.0)) / width
    error = error / math.sqrt(min(1.0, width * (1.0 + curvature(tilt, moments, cosine)))) + _ROUNDING * width
    return Tails(*((small, large) if tilt.t >= 0 else (large, small)), error)
