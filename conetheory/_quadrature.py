r"""Gaussian expectations by composite Gauss-Legendre rules, with an error estimate.

A function with a kink at 0 ruins Gauss-Hermite and product rules in one or two dimensions. In polar coordinates
:math:`u = R\cos(\alpha + \theta/2)`, :math:`v = R\cos(\alpha - \theta/2)` the kinks of :math:`f(u)` and :math:`f(v)`
lie on four rays; between two of them the integrand is as smooth as `f` away from 0, whatever the correlation
(`docs/theory.md`, 1.9). Private: arguments are already validated.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss

from conetheory.errors import ConvergenceError

__all__ = ["difference_ratio", "product_mean", "sine_convolution", "square_mean"]

_Function = Callable[[np.ndarray], np.ndarray]

_ORDER = 16  # Gauss points a panel
_LEVELS = 5  # panels double from level to level, and the range grows: truncation is part of the estimate
_RADIUS = 12.0  # standard deviations at level 0; the Gaussian weight there is 5e-32
_TARGET = 1e-13  # two levels that agree so well end the refinement
_ACCEPTED = 1e-10  # worse than this after the last level is an error
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


@lru_cache
def _unit_legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of the Gauss-Legendre rule on [0, 1].

    The weights of `leggauss` are wrong by 7e-15 at order 16 and 7e-13 at order 40, so its nodes are polished by a
    Newton step and the weights computed anew in extended precision (where the machine has none, to about 1e-14).
    """
    x = leggauss(order)[0].astype(np.longdouble)
    value, slope = _legendre(order, x)
    x = x - value / slope
    _, slope = _legendre(order, x)
    nodes, weights = (x + 1) / 2, 1 / ((1 - x) * (1 + x) * slope**2)
    nodes, weights = nodes.astype(np.float64), weights.astype(np.float64)
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights


def _legendre(order: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Legendre polynomial and its derivative at `x`, by the three-term recurrence."""
    previous, value = np.ones_like(x), x
    for n in range(1, order):
        previous, value = value, ((2 * n + 1) * x * value - n * previous) / (n + 1)
    return value, order * (previous - x * value) / ((1 - x) * (1 + x))


def sine_convolution(a: int, b: int, angle: np.ndarray | np.float64) -> np.ndarray:
    r"""Return :math:`\int_0^x \sin^a t\,\sin^b(x - t)\,dt` at x = `angle` in [0, pi], to a relative error of a few eps.

    The integrand is positive and a trigonometric polynomial, so 16 + a + b Gauss points lose nothing, not even where
    the closed form, :math:`(\sin x - x \cos x)/2` for a = b = 1, is a difference of near-equal terms.
    """
    nodes, weights = _unit_legendre(16 + a + b)
    t = np.multiply.outer(angle, nodes)
    return np.multiply(angle, (np.sin(t) ** a * np.sin(t[..., ::-1]) ** b) @ weights, out=np.empty(np.shape(angle)))


@lru_cache
def _unit_panels(panels: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _unit_legendre(_ORDER)
    return ((np.arange(panels)[:, None] + nodes) / panels).ravel(), np.tile(weights / panels, panels)


@lru_cache
def _half_line_panels(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_unit_panels`, denser towards 0, where a function of a large argument changes fastest."""
    t, weights = _unit_panels(panels)
    return t**3, 3 * t * t * weights


@lru_cache
def _sector_panels(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_unit_panels`, denser towards both ends, for the same reason."""
    t, weights = _unit_panels(panels)
    return t * t * (3 - 2 * t), 6 * t * (1 - t) * weights


def _refine(rule: Callable[[int], tuple[float, float, float]], what: str) -> tuple[float, float]:
    """Return value and error estimate of `rule(level) -> (value, scale, noise)`.

    Tolerances are relative to `scale`; `noise` is a rounding error that no refinement takes away.
    """
    value, scale, noise = rule(0)
    error = np.inf
    for level in range(1, _LEVELS):
        previous = value
        value, scale, noise = rule(level)
        error = abs(value - previous)
        if error <= _TARGET * scale + noise:
            return value, error
    if error <= _ACCEPTED * scale + noise:
        return value, error
    raise ConvergenceError(
        f"The integral of {what} is known to {error:.1e} only, more than {_ACCEPTED:.0e} of its scale {scale:.3g}: "
        "the function has a kink or a jump away from 0, varies too fast, or grows too fast.",
        value=value,
        error=error,
    )


def square_mean(function: _Function, scale: float, what: str) -> tuple[float, float]:
    """Return E[function(scale z)^2], z standard normal, and its error estimate."""

    def rule(level: int) -> tuple[float, float, float]:
        radius = _RADIUS + level / 2
        t, weights = _half_line_panels(4 << level)
        z = radius * t
        both = np.stack([function(scale * z), function(-scale * z)])
        value = float(np.sum(both**2 @ (radius * weights * np.exp(-z * z / 2)))) / np.sqrt(2 * np.pi)
        return value, value, 0.0

    return _refine(rule, what)


def product_mean(function: _Function, theta: float, scale_u: float, scale_v: float, what: str) -> tuple[float, float]:
    r"""Return :math:`E[f(s_u u) f(s_v v)]`, u, v standard normal of correlation cos(theta), and an error estimate."""
    size = np.sqrt(square_mean(function, scale_u, what)[0] * square_mean(function, scale_v, what)[0])

    def rule(level: int) -> tuple[float, float, float]:
        f, g, mean = _polar_pair(function, theta, scale_u, scale_v, level)
        return mean(f * g), size, 0.0

    return _refine(rule, what)


def difference_ratio(function: _Function, theta: float, scale: float, what: str) -> tuple[float, float]:
    r"""Return :math:`E(f - g)^2 / E(f^2 + g^2)`, f = f(s u), g = f(s v), u and v as above, and its error estimate."""

    def rule(level: int) -> tuple[float, float, float]:
        f, g, mean = _polar_pair(function, theta, scale, scale, level)
        ratio = mean((f - g) ** 2) / (mean(f * f) + mean(g * g))
        return ratio, ratio, _ROUNDING * (np.sqrt(ratio) + _ROUNDING)

    return _refine(rule, what)


def _polar_pair(
    function: _Function, theta: float, scale_u: float, scale_v: float, level: int
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], float]]:
    """Return f(s_u u) and f(s_v v) on the polar grid of `level`, and the function that averages over the grid."""
    radius = _RADIUS + level / 2
    t, weights = _half_line_panels(3 << level)
    r = radius * t
    radial = radius * weights * r * np.exp(-r * r / 2)
    alpha, angular = _sectors(theta, 2 << level)
    f = function(scale_u * np.outer(r, np.cos(alpha + theta / 2)))
    g = function(scale_v * np.outer(r, np.cos(alpha - theta / 2)))
    return f, g, lambda values: float(radial @ values @ angular)


def _sectors(theta: float, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return angles and weights (of sum 1) on the circle, broken at the four rays where u = 0 or v = 0."""
    t, weights = _sector_panels(panels)
    starts = np.array([theta - np.pi, np.pi - theta, theta + np.pi, 3 * np.pi - theta]) / 2
    widths = np.array([np.pi - theta, theta, np.pi - theta, theta])
    alpha = starts[:, None] + widths[:, None] * t
    return alpha.ravel(), (widths[:, None] * weights).ravel() / (2 * np.pi)
