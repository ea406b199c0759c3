r"""A pair of units of any activation, exponentially tilted, by quadrature. Private: arguments are validated.

With :math:`(A, B, C) = (\phi\phi', \phi^2, \phi'^2)` the law is tilted by :math:`e^{-tX_s}`, :math:`X_s = A -
\tfrac{c}{2}(sB + C/s)`. The dominating tilt has :math:`E_t X_s = 0` and :math:`s^2 = E_t C/E_t B` (`docs/theory.md`,
14.5). Expectations are sums over a polar grid, broken at the rays where a pre-activation is 0; the grid is extended
until the tilted density has died out at its rim, so that an infinite moment generating function is not overlooked.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import root, root_scalar

from ._quadrature import _half_line_panels, _sector_panels
from .errors import ConvergenceError

__all__ = ["Dominating", "Pair", "dominating_tilt"]

_RADIUS = 10.0  # standard deviations, of the first grid
_FARTHEST = 400.0
_DEAD = -42.0  # logarithm of the tilted density at the rim, relative to its greatest value
_LEVELS = 4
_AGREE = 1e-11  # two grids whose rates agree so well end the refinement
_ACCEPTED = 1e-8
_DOUBLINGS = 60
_ROUNDS = 100
_ROUNDING = 1e-12  # of a difference of two rates on one grid
_FEW = 32  # values on a grid: a function of no more is a step, not a saturating one


class Pair(NamedTuple):
    """A pair of pre-activations, standard deviations and angle, and what is done to them."""

    function: Callable[[np.ndarray], np.ndarray]
    scale_u: float
    scale_v: float
    theta: float


class Dominating(NamedTuple):
    """The dominating tilt; see `conetheory.activation_rate.ActivationRate`."""

    rate: float
    tilt: float
    balance: float
    prefactor: float
    gap: float
    error: float


class _Grid(NamedTuple):
    """A B C at the points of a grid, the logarithms of the weights of the points, and which of them are on the rim."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    log_weight: np.ndarray
    rim: np.ndarray


def _grid(pair: Pair, radius: float, level: int) -> _Grid:
    panels = math.ceil(radius / _RADIUS * (3 << level))
    t, weights = _half_line_panels(panels)
    r = radius * t
    turn, turn_weights = _sector_panels(2 << level)
    widths = np.array([math.pi - pair.theta, pair.theta, math.pi - pair.theta, pair.theta])
    starts = np.cumsum(widths) - widths + (pair.theta - math.pi) / 2
    alpha = (starts[:, None] + widths[:, None] * turn).ravel()
    angular = (widths[:, None] * turn_weights).ravel() / (2 * math.pi)
    f = pair.function(pair.scale_u * np.outer(r, np.cos(alpha + pair.theta / 2)))
    g = pair.function(pair.scale_v * np.outer(r, np.cos(alpha - pair.theta / 2)))
    with np.errstate(divide="ignore"):
        log_weight = (np.log(radius * weights * r) - r * r / 2)[:, None] + np.log(angular)
    rim = np.zeros(log_weight.shape, dtype=bool)
    rim[-1] = True
    return _Grid(*(x.ravel() for x in (f * g, f * f, g * g, log_weight, rim)))


def _tilted(grid: _Grid, t: float, s: float, cosine: float) -> tuple[float, np.ndarray, float]:
    """Return ln M_s(t), the tilted means of A, B and C, and the relative logarithm of the density at the rim."""
    logs = grid.log_weight - t * (grid.a - 0.5 * cosine * (s * grid.b + grid.c / s))
    peak = float(logs.max())
    density = np.exp(logs - peak)
    total = float(density.sum())
    means = np.array([grid.a @ density, grid.b @ density, grid.c @ density]) / total
    return peak + math.log(total), means, float(logs[grid.rim].max()) - peak


def _mean(means: np.ndarray, s: float, cosine: float) -> float:
    return float(means[0] - 0.5 * cosine * (s * means[1] + means[2] / s))


def _balanced(grid: _Grid, s: float, cosine: float) -> float:
    """Return the t at which X_s, of positive mean, has mean 0 under the tilt."""

    def mean(t: float) -> float:
        return _mean(_tilted(grid, t, s, cosine)[1], s, cosine)

    low, high = 0.0, 1.0
    for _ in range(_DOUBLINGS):
        if mean(high) <= 0:
            return float(root_scalar(mean, bracket=(low, high), xtol=1e-13 * high, rtol=1e-13).root)
        low, high = high, 2 * high
    raise ConvergenceError("No tilt makes the failure typical: X may never be negative.", value=high, error=mean(high))


def _start(grid: _Grid, cosine: float) -> tuple[float, float]:
    """Return t and s near the dominating ones: each in turn is set right for the other."""
    free = _tilted(grid, 0.0, 1.0, cosine)[1]
    s = math.sqrt(free[2] / free[1])  # the mean of X_s is positive here
    t = step = math.inf
    for _ in range(_ROUNDS):
        t = _balanced(grid, s, cosine)
        means = _tilted(grid, t, s, cosine)[1]
        step = math.sqrt(means[2] / means[1]) / s
        if abs(step - 1) < 1e-3:
            return t, s
        while not _mean(free, s * step, cosine) > 0:
            step = math.sqrt(step)
        s *= step
    raise ConvergenceError("The dominating tilt was not found.", value=t, error=abs(step - 1))


def _solve(grid: _Grid, cosine: float, t: float, s: float) -> tuple[float, float]:
    """Return t and s at which both conditions hold on `grid`, from close by."""
    if cosine == 0:  # X does not depend on s
        return _balanced(grid, 1.0, cosine), 1.0

    def conditions(x: np.ndarray) -> list[float]:
        tilt, balance = math.exp(x[0]), math.exp(x[1])
        means = _tilted(grid, tilt, balance, cosine)[1]
        norm = math.sqrt(means[1] * means[2])
        return [_mean(means, balance, cosine) / norm, math.log(means[2] / means[1]) / 2 - x[1]]

    found = root(conditions, [math.log(t), math.log(s)], tol=1e-14)
    residual = max(abs(x) for x in conditions(found.x))
    if not residual < 1e-9:
        raise ConvergenceError("The dominating tilt was not found.", value=t, error=residual)
    return math.exp(found.x[0]), math.exp(found.x[1])


def _prefactor(grid: _Grid, t: float, s: float, cosine: float) -> float:
    """Return K of P(failure) ~ K e^(-dI)/sqrt(d): a boundary crossed along X_s, and bent along sB - C/s.

    It is nan where X_s takes few values: the expansion needs a law that is not on a lattice.
    """
    if np.unique(grid.b).size <= _FEW:
        return math.nan
    density = np.exp(grid.log_weight - t * (grid.a - 0.5 * cosine * (s * grid.b + grid.c / s)))
    density /= density.sum()
    x, bend = grid.a - 0.5 * cosine * (s * grid.b + grid.c / s), s * grid.b - grid.c / s
    variance, mixed = density @ x**2, density @ (x * bend)  # both means are 0
    rest = density @ bend**2 - mixed**2 / variance
    curvature = 1 + t * cosine * rest / (4 * (density @ (s * grid.b))) if cosine > 0 else 1.0
    return float(1 / (t * math.sqrt(2 * math.pi * variance * curvature)))


def _gap(grid: _Grid, t: float, s: float, cosine: float) -> float:
    """Return how far a point that fails lies above the dual value: but for rounding, the two enclose the rate.

    The point is the mean under a tilt larger by so little that it lies inside the cone; its own rate is known.
    """
    dual = -_tilted(grid, t, s, cosine)[0]
    for power in range(-13, -3):
        more = t * (1 + 10.0**power)
        log_mgf, means, _ = _tilted(grid, more, s, cosine)
        if means[0] < cosine * math.sqrt(means[1] * means[2]):
            gap = -more * _mean(means, s, cosine) - log_mgf - dual
            if not gap >= -_ROUNDING:
                raise ConvergenceError(f"The bounds of the rate cross by {-gap:.1e}.", value=dual, error=-gap)
            return gap
    raise ConvergenceError("The tilted mean does not fail: the tilt is not dominating.", value=t, error=math.inf)


class _Solution(NamedTuple):
    """A dominating tilt on a grid that reaches far enough for it."""

    grid: _Grid
    radius: float
    tilt: float
    balance: float
    rate: float


def _solution(pair: Pair, cosine: float, level: int, radius: float, tilt: float, balance: float) -> _Solution:
    rim = math.inf
    while radius < _FARTHEST:
        grid = _grid(pair, radius, level)
        tilt, balance = _solve(grid, cosine, tilt, balance)
        log_mgf, _, rim = _tilted(grid, tilt, balance, cosine)
        if rim <= _DEAD:
            return _Solution(grid, radius, tilt, balance, -log_mgf)
        radius *= 1.5
    raise ConvergenceError("No dominating tilt: E exp(-tX) is infinite before X has mean 0.", value=tilt, error=rim)


def dominating_tilt(pair: Pair, cosine: float) -> Dominating:
    """Return the dominating tilt and the check of it; 0 <= cosine below the limiting cosine of `pair`."""
    tilt, balance = _start(_grid(pair, _RADIUS, 0), cosine)
    found, error = _solution(pair, cosine, 0, _RADIUS, tilt, balance), math.inf
    for level in range(1, _LEVELS):
        rate = found.rate
        found = _solution(pair, cosine, level, found.radius, found.tilt, found.balance)
        error = abs(found.rate - rate)
        if error <= _AGREE:
            break
    if not error <= _ACCEPTED:
        raise ConvergenceError(f"The rate is known to {error:.1e} only.", value=found.rate, error=error)
    t, s = found.tilt, found.balance
    return Dominating(
        rate=found.rate,
        tilt=t,
        balance=s,
        prefactor=_prefactor(found.grid, t, s, cosine),
        gap=_gap(found.grid, t, s, cosine),
        error=error,
    )
