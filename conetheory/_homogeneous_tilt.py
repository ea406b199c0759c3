r"""A pair of leaky ReLU units, exponentially tilted, in closed form. Private: arguments are validated.

:math:`\phi(x) = x` for :math:`x > 0` and :math:`\lambda x` for :math:`x \le 0`, at standard normals of angle
:math:`\theta`. On each of the four sectors where neither pre-activation changes its sign
:math:`X_s = \phi\phi' - \tfrac{c}{2}(s\phi^2 + \phi'^2/s)` is a quadratic form, and so is :math:`|x|^2 + 2tX_s`. With
its values :math:`p, q, r` on the unit vectors along the two edges (mixed: q), which meet at an angle :math:`\delta`,

.. math:: \int \frac{d\varphi}{1 + 2th} = \sin\delta \int_0^\infty \frac{d\tau}{p + 2q\tau + r\tau^2}
          = \sin\delta\,\frac{\operatorname{atan2}(\sqrt D, q)}{\sqrt D},\qquad D = pr - q^2,

and :math:`M_s(t) = E e^{-tX_s}` is the sum over the sectors by :math:`2\pi` (`docs/theory.md`, 14.3). As
:math:`\theta \to 0` the difference :math:`D` loses all its digits: with the gains :math:`\ell, m` of the sector

.. math:: D/\sin^2\theta = 1 + t\,[2\ell m(\cos\theta - c) - c(\ell\sqrt s - m/\sqrt s)^2]
          - t^2\sin^2\theta\,\ell^2m^2(1 - c^2),

where :math:`\cos\theta - c` comes from the layer as a sum that does not cancel.
"""

import math
from typing import NamedTuple

from scipy.optimize import minimize_scalar, root_scalar

from ._quadrature import _unit_legendre
from .errors import ConvergenceError

__all__ = ["LeakyPair", "balanced_tilt", "dominating_tilt", "log_mgf_and_mean"]

_FLAT = 0.01  # of D/q^2: below, nine terms of the series leave 1e-18; above, the difference keeps 13 digits
_TERMS = 9
_STEP = 0.25  # of ln s, in the search for the balance
_DOUBLINGS = 200
_ORDER = 16  # Gauss points on [0, t], with the singularities of ln M at least t away: error 1e-24


class LeakyPair(NamedTuple):
    """Cosine c, angle of the pre-activations, cos(angle) - c without cancellation, and the slope on the left."""

    cosine: float
    theta: float
    lift: float
    slope: float


def _sector(p: float, q: float, r: float, sin: float, e: float) -> tuple[float, float]:
    r"""Return :math:`\sigma F` and :math:`\sigma^3(q/(pr) - F)/(2D)`.

    :math:`F` is the integral over :math:`\tau`; `e` is :math:`D/\sigma^2`, `sin` :math:`\sigma = \sin\theta`.
    """
    if q > 0 and abs(e) * sin**2 < _FLAT * q * q:
        x = sin / q
        powers = [(-e * x * x) ** k for k in range(_TERMS)]
        return x * sum(y / (2 * k + 1) for k, y in enumerate(powers)), -(x**3) * sum(
            y * (k + 1) / (2 * k + 3) for k, y in enumerate(powers)
        )
    root = math.sqrt(abs(e))
    value = (math.atan2(root * sin, q) if e > 0 else math.asinh(root * sin / math.sqrt(p * r))) / root
    return value, (sin * q / (p * r) - value) / (2 * e)


def log_mgf_and_mean(t: float, s: float, pair: LeakyPair) -> tuple[float, float] | None:
    r"""Return :math:`\ln M_s(t)` and the mean of :math:`X_s` under the tilt, or None where M is infinite."""
    cosine, slope, sin = pair.cosine, pair.slope, math.sin(pair.theta)
    scaled = t * sin**2
    total = derivative = 0.0
    for left, right, sign in ((1.0, 1.0, 1), (slope, slope, 1), (1.0, slope, -1), (slope, 1.0, -1)):
        gain_p, gain_q, gain_r = -cosine / s * right**2, sign * left * right, -cosine * s * left**2
        p, q, r = 1 + scaled * gain_p, scaled * gain_q - sign * math.cos(pair.theta), 1 + scaled * gain_r
        linear = 2 * left * right * pair.lift - cosine * (left * math.sqrt(s) - right / math.sqrt(s)) ** 2
        bend = (left * right) ** 2 * (1 - cosine) * (1 + cosine)
        e = 1 + t * (linear - scaled * bend)
        if not (p > 0 and r > 0 and (q > 0 or e > 0)):
            return None
        value, ratio = _sector(p, q, r, sin, e)
        total += value
        if t * scaled * bend < 1:
            derivative += ratio * (linear - 2 * scaled * bend) - sin**3 * gain_q / (p * r)
        else:  # the same: two terms that nearly cancel are put together
            cosine_term = sign * sin * math.cos(pair.theta) / (p * r)
            derivative -= (value + ratio * (2 + t * linear) + cosine_term) / t
    return math.log(total / (2 * math.pi)), -derivative / total


def _mean(t: float, s: float, pair: LeakyPair) -> float:
    found = log_mgf_and_mean(t, s, pair)
    return -math.inf if found is None else found[1]  # beyond the t where M becomes infinite


def balanced_tilt(s: float, pair: LeakyPair) -> tuple[float, float]:
    r"""Return the t at which :math:`X_s` has mean 0 under the tilt, and :math:`-\ln M_s(t) \ge 0`.

    Both are 0 where :math:`X_s` has no positive mean without tilt.
    """
    if not _mean(0.0, s, pair) > 0:
        return 0.0, 0.0
    inside, outside, t = 0.0, math.inf, 1.0
    for _ in range(_DOUBLINGS):
        found = log_mgf_and_mean(t, s, pair)
        if found is not None and found[1] <= 0:
            break
        inside, outside = (t, outside) if found is not None else (inside, t)
        t = 2 * t if outside == math.inf else (inside + outside) / 2
    else:
        raise ConvergenceError(f"No tilt found for {pair}.", value=t, error=t)
    inside = inside or t
    while _mean(inside, s, pair) <= 0:  # the tilt may be orders of magnitude below
        inside, t = inside / 8, inside
    t = float(root_scalar(_mean, args=(s, pair), bracket=(inside, t), xtol=1e-15 * inside, rtol=1e-15).root)
    return t, _rate(t, s, pair)


def _rate(t: float, s: float, pair: LeakyPair) -> float:
    """Return -ln M: where t is far from where M is infinite, as it is for a small rate, the integral of the mean."""
    if log_mgf_and_mean(2 * t, s, pair) is not None and log_mgf_and_mean(-t, s, pair) is not None:
        nodes, weights = _unit_legendre(_ORDER)
        return t * sum(w * _mean(t * float(x), s, pair) for x, w in zip(nodes, weights.tolist(), strict=True))
    found = log_mgf_and_mean(t, s, pair)
    assert found is not None  # t is the root of the mean, which is finite there
    return -found[0]


def dominating_tilt(pair: LeakyPair) -> tuple[float, float, float]:
    r"""Return t, s and the rate: s = 1 for :math:`c \ge 0`, else (:math:`\lambda > 0`) the s >= 1 of the least rate.

    That is searched on a grid of :math:`\ln s` in [0, 8 + 2 ln(1/:math:`\lambda`)] and then refined; 1/s is as good.
    """
    if pair.cosine >= 0:
        t, rate = balanced_tilt(1.0, pair)
        return t, 1.0, rate
    steps = math.ceil((8 - 2 * math.log(pair.slope)) / _STEP)
    rates = [balanced_tilt(math.exp(_STEP * k), pair)[1] for k in range(steps + 1)]
    best = min(range(len(rates)), key=rates.__getitem__)
    found = minimize_scalar(
        lambda log_s: balanced_tilt(math.exp(log_s), pair)[1],
        bounds=(_STEP * max(best - 1, 0), _STEP * (best + 1)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    s = math.exp(found.x) if found.fun < rates[0] else 1.0
    t, rate = balanced_tilt(s, pair)
    return t, s, rate
