r"""Gaussian expectations by composite Gauss-Legendre rules, with an error estimate.

A function with a kink at 0 ruins Gauss-Hermite and product rules in one or two dimensions. In polar coordinates
:math:`u = R\cos(\alpha + \theta/2)`, :math:`v = R\cos(\alpha - \theta/2)` the kinks of :math:`f(u)` and :math:`f(v)`
lie on four rays; between two of them the integrand is as smooth as `f` away from 0, whatever the correlation
(`docs/theory.md`, 1.9). Many expectations at once: those that need the same resolution share its nodes, a block at a
time. Private: arguments are already validated, and are arrays of one dimension.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import leggauss

from conetheory.errors import ConvergenceError

__all__ = ["difference_ratio", "exact", "line_mean", "product_mean", "radius", "sine_convolution", "square_mean"]

_Function = Callable[[np.ndarray], np.ndarray]

_ORDER = 16  # Gauss points a panel
_LEVELS = 5  # panels double from level to level, and the range grows: truncation is part of the estimate
_RADIUS = 12.0  # standard deviations at level 0; the Gaussian weight there is 5e-32
_TARGET = 1e-13  # two levels that agree so well end the refinement
_ACCEPTED = 1e-10  # worse than this after the last level is an error
_ROUNDING = 4 * float(np.finfo(np.float64).eps)
_MIRROR = np.array([0, 3, 2, 1])  # the sectors after a change of sign of the angle
_BLOCK = 1 << 17  # nodes held at once; a single expectation has more of them from level 2 on


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


_Rule = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def _refine(rule: _Rule, count: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return values and error estimates of `count` integrals, `rule(level, which) -> (value, scale, noise)`.

    Tolerances are relative to `scale`; `noise` is a rounding error that no refinement takes away. An integral whose
    last two levels agree is refined no further.
    """
    open_ = np.arange(count)
    value, scale, noise = rule(0, open_)
    error = np.full(count, np.inf)
    for level in range(1, _LEVELS):
        previous = value[open_]
        value[open_], scale[open_], noise[open_] = rule(level, open_)
        error[open_] = np.abs(value[open_] - previous)
        open_ = open_[~(error[open_] <= _TARGET * scale[open_] + noise[open_])]
        if open_.size == 0:
            return value, error
    bad = open_[~(error[open_] <= _ACCEPTED * scale[open_] + noise[open_])]
    if bad.size:
        raise ConvergenceError(
            f"The integral of {what} is known to {error[bad[0]]:.1e} only, more than {_ACCEPTED:.0e} of its scale "
            f"{scale[bad[0]]:.3g}: the function has a kink or a jump away from 0, varies too fast, or grows too fast.",
            value=float(value[bad[0]]),
            error=float(error[bad[0]]),
        )
    return value, error


def radius(level: int = _LEVELS - 1) -> float:
    """Return the number of standard deviations beyond which the Gaussian is cut off at `level`."""
    return _RADIUS + level / 2


def exact(scale: np.ndarray) -> np.ndarray:
    """Return the root mean square error of function(scale z), z standard normal, of a function right to rounding."""
    return np.zeros(scale.shape)


def line_mean(
    function: _Function, scale: np.ndarray, what: str, *, noise: _Function = exact
) -> tuple[np.ndarray, np.ndarray]:
    """Return E[function(scale z)], z standard normal, and its error estimate, relative to the root mean square.

    Here and below `noise(scale)` is the root mean square error of function(scale z) itself.
    """

    def rule(level: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, weights = _half_lines(function, scale[which], level)
        return values @ weights, np.sqrt(values**2 @ weights), noise(scale[which])

    return _refine(rule, scale.size, what)


def square_mean(
    function: _Function, scale: np.ndarray, what: str, *, noise: _Function = exact
) -> tuple[np.ndarray, np.ndarray]:
    """Return E[function(scale z)^2], z standard normal, and its error estimate."""

    def rule(level: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, weights = _half_lines(function, scale[which], level)
        value, off = values**2 @ weights, noise(scale[which])
        return value, value.copy(), off * (2 * np.sqrt(value) + off)

    return _refine(rule, scale.size, what)


def _half_lines(function: _Function, scale: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return function(scale z), a row for each scale, on the nodes of both half-lines, and the Gaussian weights."""
    t, weights = _half_line_panels(4 << level)
    z = radius(level) * t
    weights = radius(level) * weights * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return function(np.outer(scale, np.concatenate([z, -z]))), np.concatenate([weights, weights])


def product_mean(
    function: _Function,
    theta: np.ndarray,
    scale_u: np.ndarray,
    scale_v: np.ndarray,
    what: str,
    *,
    noise: _Function = exact,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`E[f(s_u u) f(s_v v)]`, u, v standard normal of correlation cos(theta), and an error estimate."""
    rms_u, rms_v = (np.sqrt(_square_means(function, scale, what, noise)) for scale in (scale_u, scale_v))
    off_u, off_v = noise(scale_u), noise(scale_v)
    size, off = rms_u * rms_v, off_u * rms_v + rms_u * off_v + off_u * off_v

    def rule(level: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        value = np.empty(which.size)
        for block, f, g, mean in _polar_pairs(function, theta[which], scale_u[which], scale_v[which], level):
            value[block] = mean(f * g)
        return value, size[which], off[which]

    return _refine(rule, theta.size, what)


def _square_means(function: _Function, scale: np.ndarray, what: str, noise: _Function) -> np.ndarray:
    different, where = np.unique(scale, return_inverse=True)
    return square_mean(function, different, what, noise=noise)[0][where]


def difference_ratio(
    function: _Function, theta: np.ndarray, scale: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return :math:`E(f - g)^2 / E(f^2 + g^2)`, f = f(s u), g = f(s v), u and v as above, and its error estimate."""

    def rule(level: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ratio = np.empty(which.size)
        for block, f, g, mean in _polar_pairs(function, theta[which], scale[which], scale[which], level):
            ratio[block] = mean((f - g) ** 2) / (mean(f * f) + mean(g * g))
        return ratio, ratio.copy(), _ROUNDING * (np.sqrt(ratio) + _ROUNDING)

    return _refine(rule, theta.size, what)


def _polar_pairs(function: _Function, theta: np.ndarray, scale_u: np.ndarray, scale_v: np.ndarray, level: int):
    """Yield, a block of expectations at a time, its slice, f(s_u u) and f(s_v v) on the polar grid of `level`, and the
    function that averages over the grid.
    """
    t, weights = _half_line_panels(3 << level)
    r = radius(level) * t
    radial = radius(level) * weights * r * np.exp(-r * r / 2)
    panels = 2 << level
    step = max(1, _BLOCK // (4 * panels * _ORDER * r.size))
    for start in range(0, theta.size, step):
        block = slice(start, start + step)
        half = theta[block, None, None] / 2
        alpha, angular = _sectors(theta[block], panels)

        def on_grid(scale: np.ndarray, angle: np.ndarray) -> np.ndarray:
            return function(np.outer(scale[:, None, None] * np.cos(angle), r)).reshape(*angle.shape, r.size)

        f = on_grid(scale_u[block], alpha + half)
        if np.array_equal(scale_u[block], scale_v[block]):
            g = f[:, _MIRROR, ::-1]  # the grid is its own mirror image, and a mirror exchanges u and v
        else:
            g = on_grid(scale_v[block], alpha - half)

        def mean(values: np.ndarray, angular: np.ndarray = angular) -> np.ndarray:
            return np.sum(angular * (values @ radial), axis=(1, 2))

        yield block, f, g, mean


def _sectors(theta: np.ndarray, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return angles and weights (of sum 1) on the circle, broken at the four rays where u = 0 or v = 0: an array of
    shape (angles theta, sectors, nodes) each.
    """
    t, weights = _sector_panels(panels)
    starts = np.stack([theta - np.pi, np.pi - theta, theta + np.pi, 3 * np.pi - theta], axis=1) / 2
    widths = np.stack([np.pi - theta, theta, np.pi - theta, theta], axis=1)
    return starts[..., None] + widths[..., None] * t, widths[..., None] * weights / (2 * np.pi)
