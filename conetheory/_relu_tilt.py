r"""The unit of a ReLU layer, exponentially tilted towards failure of Theorem 1. Private: arguments are validated.

A unit is :math:`(\phi, \phi') = R\,(\cos_+(\beta - \theta/2), \cos_+(\beta + \theta/2))`, :math:`\beta` uniform and
:math:`R^2/2` standard exponential. Layers fail where the mean of
:math:`X = \phi\phi' - \tfrac{c_0}{2}(\phi^2 + \phi'^2) = R^2 h(\beta)` is low, so the law is tilted by
:math:`e^{-tX}`: with :math:`D = 1 + 2th`, :math:`M(t) = E e^{-tX} = \frac1{2\pi}\oint d\beta/D`, the angle gets the
density :math:`1/(2\pi M D)` and, given the angle, :math:`R^2/2` is exponential of rate :math:`D`.

On each sector of the circle the tilted angle is uniform in another variable, :math:`w`, an arctangent, in which
:math:`\phi/\sqrt D` and :math:`\phi'/\sqrt D` at :math:`R = 1` are trigonometric polynomials (`docs/theory.md`, 12.2):
both active,

.. math:: \phi = e + f,\; \phi' = e - f,\quad e = \cos\tfrac\theta2\,\frac{\cos(\sqrt x w)}{\sqrt y},\;
          f = \sin\tfrac\theta2\,\frac{\sin(\sqrt x w)}{\sqrt x},\quad |w| \le W,

:math:`x = 1 - 2t(1+c_0)\sin^2\tfrac\theta2`, :math:`y = 1 + 2t(1-c_0)\cos^2\tfrac\theta2`; one active,
:math:`\sin(\sqrt x w)/\sqrt x` with :math:`x = 1 - tc_0`, :math:`0 \le w \le W'`. Nothing cancels as :math:`\theta`
and :math:`1 - c_0` tend to 0.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import root_scalar

from ._preactivation import Reals
from ._quadrature import _unit_legendre
from .errors import ConvergenceError

__all__ = [
    "Tilt",
    "TiltedMoments",
    "TiltedUnit",
    "log_mgf",
    "tilt",
    "tilt_range",
    "tilted_mean",
    "tilted_moments",
    "tilted_unit",
]

_ORDER = 24  # Gauss points on half a sector; the integrands are polynomials in sin and cos of at most pi/2


class Tilt(NamedTuple):
    r"""The dominating tilt: :math:`t^*`, the minimiser of :math:`M`, and the rate :math:`I = -\ln M(t^*)`."""

    t: float
    rate: float


class TiltedUnit(NamedTuple):
    r"""The law of a unit under a tilt, shapes (...) and (..., points).

    Attributes
    ----------
    mgf
        :math:`M(t)`.
    both, one, none
        Probabilities that both inputs activate the unit, that a given one alone does (each of two), that none does.
    even, odd, contrast, alone
        :math:`e`, :math:`f`, :math:`h/D` and the lone :math:`\phi` on the points of the rule, :math:`w \ge 0`, all over
        :math:`\sqrt D`: there :math:`\phi^2 = 2E(e + f)^2` with :math:`E` standard exponential; for :math:`w < 0`
        :math:`f` has the other sign.
    weights
        Of the rule, sum 1.
    """

    mgf: Reals
    both: Reals
    one: Reals
    none: Reals
    even: np.ndarray
    odd: np.ndarray
    contrast: np.ndarray
    alone: np.ndarray
    weights: np.ndarray


class TiltedMoments(NamedTuple):
    r"""Cumulants of X of order 2 to 4 where its mean is 0, :math:`E\phi^2`, and :math:`E(\phi^2 - \phi'^2)^2`."""

    variance: float
    third: float
    fourth: float
    square: float
    spread: float


def tilt_range(cosine: Reals | float, theta: Reals | float) -> tuple[Reals, Reals]:
    r"""The open interval of t where :math:`M` is finite, for :math:`0 < c_0 < 1`, :math:`0 < \theta < \pi`."""
    low = -1.0 / (2.0 * (1.0 - cosine) * np.cos(0.5 * theta) ** 2)
    return low, 1.0 / (cosine * np.sin(np.minimum(theta, 0.5 * np.pi)) ** 2)


def _arc(x, opposite, adjacent, edge):
    r""":math:`\arctan(\sqrt x\,o/a)/\sqrt x`, continued through :math:`x = 0` to the inverse hyperbolic tangent.

    `edge` is :math:`a^2 + xo^2 > 0`.
    """
    root = np.sqrt(np.abs(x))
    circular = np.arctan2(root * opposite, adjacent)
    hyperbolic = np.arcsinh(root * opposite / np.sqrt(edge))
    safe = np.where(root > 0, root, 1.0)
    return np.where(root > 0, np.where(x > 0, circular, hyperbolic) / safe, opposite / np.sqrt(edge))


def _waves(x, w):
    r""":math:`\cos(\sqrt x w)` and :math:`\sin(\sqrt x w)/\sqrt x`, for either sign of :math:`x`."""
    root = np.sqrt(np.abs(x))[..., None]
    phase, trigonometric, safe = root * w, (x > 0)[..., None], np.where(root > 0, root, 1.0)
    hyperbolic = np.where(trigonometric, 0.0, phase)
    cosine = np.where(trigonometric, np.cos(phase), np.cosh(hyperbolic))
    sine = np.where(trigonometric, np.sin(phase), np.sinh(hyperbolic))
    return cosine, np.where(root > 0, sine / safe, w)


def tilted_unit(t: Reals | float, cosine: Reals | float, theta: Reals | float) -> TiltedUnit:
    r"""The unit under the tilt `t`, inside `tilt_range`; :math:`0 \le c_0 \le 1`, :math:`0 \le \theta < \pi`."""
    t, cosine, theta = np.broadcast_arrays(np.float64(t), np.float64(cosine), np.float64(theta))
    nodes, weights = _unit_legendre(_ORDER)
    cos_half, sin_half = np.cos(0.5 * theta), np.sin(0.5 * theta)
    x, y = 1.0 - 2.0 * t * (1.0 + cosine) * sin_half**2, 1.0 + 2.0 * t * (1.0 - cosine) * cos_half**2
    root_y, x_one, edge = np.sqrt(y), 1.0 - t * cosine, 1.0 - t * cosine * np.sin(theta) ** 2
    wide, narrow = _arc(x, cos_half, root_y * sin_half, edge), _arc(x_one, np.sin(theta), np.cos(theta), edge)
    even, odd = _waves(x, wide[..., None] * nodes)
    even, odd = (cos_half / root_y)[..., None] * even, sin_half[..., None] * odd
    alone = _waves(x_one, narrow[..., None] * nodes)[1]
    flat = (1.0 - cosine)[..., None] * even**2 - (1.0 + cosine)[..., None] * odd**2
    wave = (even / cos_half[..., None]) ** 2 + (odd / sin_half[..., None]) ** 2  # 1/D
    steep = (x < 0)[..., None]  # even and odd are both large there, and t is above 1/4
    contrast = np.where(steep, 0.5 * (1.0 - wave) / np.where(steep, t[..., None], 1.0), flat)
    both = 2.0 * wide / root_y
    total = both + 2.0 * narrow + (np.pi - theta)
    return TiltedUnit(
        mgf=(total / (2.0 * np.pi))[()],
        both=(both / total)[()],
        one=(narrow / total)[()],
        none=((np.pi - theta) / total)[()],
        even=even,
        odd=odd,
        contrast=contrast,
        alone=alone,
        weights=weights,
    )


def tilted_mean(t: Reals | float, cosine: Reals | float, theta: Reals | float) -> Reals:
    r"""Mean of X under the tilt `t`, :math:`-(\ln M)'`: decreasing in t, 0 at the dominating tilt."""
    unit, cosine = tilted_unit(t, cosine, theta), np.float64(cosine)
    together, alone = unit.contrast @ unit.weights, cosine * (unit.alone**2 @ unit.weights)  # alone, h = -c0 phi^2/2
    return 2.0 * (unit.both * together - unit.one * alone)


def tilted_moments(t: float, cosine: float, theta: float) -> TiltedMoments:
    r"""Moments of a unit under the dominating tilt `t`."""
    unit, half = tilted_unit(t, cosine, theta), 0.5 * cosine

    def mean(together: np.ndarray, alone: np.ndarray) -> float:
        return float(unit.both * (together @ unit.weights) + 2.0 * unit.one * (alone @ unit.weights))

    contrast, alone = unit.contrast, -half * unit.alone**2  # h/D: X is 2E h/D, E standard exponential
    variance, third, fourth = (2.0**k * math.factorial(k) * mean(contrast**k, alone**k) for k in (2, 3, 4))
    return TiltedMoments(
        variance=variance,
        third=third,
        fourth=fourth - 3.0 * variance**2,
        square=2.0 * mean(unit.even**2 + unit.odd**2, 0.5 * unit.alone**2),
        spread=8.0 * mean((4.0 * unit.even * unit.odd) ** 2, unit.alone**4),
    )


def log_mgf(t: Reals | float, cosine: Reals | float, theta: Reals | float) -> Reals:
    r""":math:`\ln M(t)`, :math:`0 < c_0 < 1`, :math:`0 < \theta < \pi`; broadcasts.

    Absolute error a few eps, and where t is small, as it is for a small rate, :math:`|t|\sqrt{E X^2}` times that:
    there :math:`\ln M` is the integral of its derivative, elsewhere a sum of arctangents.
    """
    t, cosine, theta = np.broadcast_arrays(np.float64(t), np.float64(cosine), np.float64(theta))
    low, high = tilt_range(cosine, theta)
    near = 2.0 * np.abs(t) <= np.minimum(-low, high)
    nodes, weights = _unit_legendre(_ORDER)
    path = np.where(near, t, 0.0)[..., None] * nodes
    small = -t * (tilted_mean(path, cosine[..., None], theta[..., None]) @ weights)
    return np.where(near, small, np.log(tilted_unit(t, cosine, theta).mgf))[()]


def tilt(cosine: float, theta: float) -> Tilt:
    r"""The dominating tilt, :math:`0 < c_0 < 1`, :math:`0 < \theta < \pi`.

    :math:`t^* > 0` where the layer raises the cosine in the mean (failure is rare), :math:`t^* < 0` beyond the
    threshold (success is rare), 0 at it. `rate` is :math:`-\ln M(t^*) \ge 0`.
    """
    with np.errstate(divide="ignore", over="ignore"):
        edges = tilt_range(cosine, theta)
    mean = float(tilted_mean(0.0, cosine, theta))
    if mean == 0.0:
        return Tilt(0.0, 0.0)
    edge = float(edges[1] if mean > 0 else edges[0])  # M is infinite there: the tilted mean changes sign before it
    if not math.isfinite(edge):
        raise ConvergenceError(
            f"No tilt is representable for cosine {cosine!r}, angle {theta!r}.", value=0.0, error=edge
        )
    far = edge
    for k in range(1, 50):
        far = edge * (1.0 - 2.0**-k)
        if (tilted_mean(far, cosine, theta) > 0) != (mean > 0):
            break
    else:
        raise ConvergenceError(f"No tilt found for cosine {cosine!r}, angle {theta!r}.", value=far, error=abs(edge))
    near = far
    while (tilted_mean(near, cosine, theta) > 0) != (mean > 0):  # t* may be orders of magnitude below the edge
        far, near = near, near / 8.0
    solution = root_scalar(tilted_mean, args=(cosine, theta), bracket=(near, far), xtol=abs(near) * 1e-15, rtol=1e-15)
    t = float(solution.root)
    return Tilt(t, -float(log_mgf(t, cosine, theta)))
