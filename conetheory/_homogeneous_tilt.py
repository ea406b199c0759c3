r"""A pair of leaky ReLU units, exponentially tilted, in closed form. Private: arguments are validated.

:math:`\phi(x) = x` for :math:`x > 0` and :math:`\lambda x` for :math:`x \le 0`, at standard normals of angle
:math:`\theta`. On each of the four sectors where neither pre-activation changes its sign
:math:`X_s = \phi\phi' - \tfrac{c}{2}(s\phi^2 + \phi'^2/s)` is a quadratic form, and so is :math:`|x|^2 + 2tX_s`. With
its values :math:`p, q, r` on the unit vectors along the two edges (mixed: q), which meet at an angle :math:`\delta`,

.. math:: \int \frac{d\varphi}{1 + 2th} = \sin\delta \int_0^\infty \frac{d\tau}{p + 2q\tau + r\tau^2}
          = \sin\delta\,\frac{\operatorname{atan2}(\sqrt D, q)}{\sqrt D},\qquad D = pr - q^2,

and :math:`M_s(t) = E e^{-tX_s}` is the sum over the sectors by :math:`2\pi` (`docs/theory.md`, 14.3).
"""

import math

from scipy.optimize import minimize_scalar, root_scalar

from .errors import ConvergenceError

__all__ = ["balanced_tilt", "dominating_tilt", "log_mgf_and_mean"]

_FLAT = 0.01  # of D/q^2: below, nine terms of the series leave 1e-18; above, the difference keeps 13 digits
_TERMS = 9
_STEP = 0.25  # of ln s, in the search for the balance
_DOUBLINGS = 200


def _sector(p: float, q: float, r: float) -> tuple[float, float]:
    r"""Return :math:`F = \int_0^\infty d\tau/(p + 2q\tau + r\tau^2)` and :math:`(q/(pr) - F)/(2D)`."""
    d = p * r - q * q
    if q > 0 and abs(d) < _FLAT * q * q:
        powers = [(-d / (q * q)) ** k for k in range(_TERMS)]
        value = sum(x / (2 * k + 1) for k, x in enumerate(powers)) / q
        return value, -sum(x * (k + 1) / (2 * k + 3) for k, x in enumerate(powers)) / q**3
    root = math.sqrt(abs(d))
    value = (math.atan2(root, q) if d > 0 else math.atanh(root / q)) / root
    return value, (q / (p * r) - value) / (2 * d)


def log_mgf_and_mean(t: float, s: float, cosine: float, theta: float, slope: float) -> tuple[float, float] | None:
    r"""Return :math:`\ln M_s(t)` and the mean of :math:`X_s` under the tilt, or None where M is infinite."""
    sin, cos = math.sin(theta), math.cos(theta)
    total = derivative = 0.0
    for left, right, sign in ((1.0, 1.0, 1), (slope, slope, 1), (1.0, slope, -1), (slope, 1.0, -1)):
        gain_p, gain_q, gain_r = -cosine / s * right**2, sign * left * right, -cosine * s * left**2
        p, q, r = 1 + t * sin**2 * gain_p, t * sin**2 * gain_q - sign * cos, 1 + t * sin**2 * gain_r
        if not (p > 0 and r > 0 and q > -math.sqrt(p * r)):
            return None
        value, ratio = _sector(p, q, r)
        total += value
        derivative += ratio * (gain_p * r + p * gain_r - 2 * q * gain_q) - gain_q / (p * r)
    return math.log(sin * total / (2 * math.pi)), -(sin**2) * derivative / total


def balanced_tilt(s: float, cosine: float, theta: float, slope: float) -> tuple[float, float]:
    r"""Return the t at which :math:`X_s`, of positive mean, has mean 0 under the tilt, and :math:`-\ln M_s(t)`."""
    inside, outside, t = 0.0, math.inf, 1.0
    for _ in range(_DOUBLINGS):
        found = log_mgf_and_mean(t, s, cosine, theta, slope)
        if found is not None and found[1] <= 0:
            break
        inside, outside = (t, outside) if found is not None else (inside, t)
        t = 2 * t if outside == math.inf else (inside + outside) / 2
    else:
        raise ConvergenceError(
            f"No tilt found for cosine {cosine!r}, angle {theta!r}, slope {slope!r}.", value=t, error=t
        )

    def mean(tilt: float) -> float:
        found = log_mgf_and_mean(tilt, s, cosine, theta, slope)
        assert found is not None  # M is convex: finite between 0 and t
        return found[1]

    t = float(root_scalar(mean, bracket=(inside, t), xtol=1e-14 * t, rtol=1e-14).root)
    found = log_mgf_and_mean(t, s, cosine, theta, slope)
    assert found is not None
    return t, -found[0]


def dominating_tilt(cosine: float, theta: float, slope: float) -> tuple[float, float, float]:
    r"""Return t, s and the rate: s = 1 for :math:`c \ge 0`, else (:math:`\lambda > 0`) the s >= 1 of the least rate.

    That is searched on a grid of :math:`\ln s` in [0, 8 + 2 ln(1/:math:`\lambda`)] and then refined; 1/s is as good.
    """
    if cosine >= 0:
        t, rate = balanced_tilt(1.0, cosine, theta, slope)
        return t, 1.0, rate
    steps = math.ceil((8 - 2 * math.log(slope)) / _STEP)
    rates = [balanced_tilt(math.exp(_STEP * k), cosine, theta, slope)[1] for k in range(steps + 1)]
    best = min(range(len(rates)), key=rates.__getitem__)
    found = minimize_scalar(
        lambda log_s: balanced_tilt(math.exp(log_s), cosine, theta, slope)[1],
        bounds=(_STEP * max(best - 1, 0), _STEP * (best + 1)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    s = math.exp(found.x) if found.fun < rates[0] else 1.0
    t, rate = balanced_tilt(s, cosine, theta, slope)
    return t, s, rate
