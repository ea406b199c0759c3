r"""Derivative of a dual activation in the correlation, for an activation of which only values are known.

By Price's theorem it is :math:`\sqrt{s_u s_v}\,E[\phi'(u)\phi'(v)]`. The values on each side of 0 are interpolated
by Chebyshev polynomials on panels that are halved until the interpolation is exact to rounding, and these are
differentiated; a jump of :math:`\phi` at 0 adds its own terms (`docs/theory.md`, 8.8). What rounding of the values
leaves of the derivative is carried along, so that no quadrature tries to refine it away. Unlike the score of the
Gaussian density, whose weights grow like :math:`1/(1 - \rho^2)^2`, this loses nothing near :math:`|\rho| = 1`.
Private: arguments are already validated, and are arrays of one dimension.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy.fft import dct
from scipy.special import ndtr

from conetheory._dual_interpolation import product_means
from conetheory._quadrature import exact, line_mean, radius, square_mean
from conetheory.errors import ConvergenceError

__all__ = ["derivative_from_slope", "derivative_from_values"]

_ORDER = 24  # Chebyshev points a panel; of the first kind, so that 0 itself, where the function may jump, is none
_START = np.array([0.0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0])  # edges of the first panels of a half-line
_HALVINGS = 14
_TARGET = 1e-14  # last coefficients, relative to the largest value on the panel
_ACCEPTED = 1e-10
_NEGLIGIBLE = 1e-20  # a value so small, relative to the root mean square, need not be resolved
_ROUNDING = float(np.finfo(np.float64).eps)  # of a value, relative to the largest on the panel
_JUMP = 1e-12  # a smaller difference of the two limits at 0, relative to the values around, is rounding


class _Slope(NamedTuple):
    """Derivative away from 0, as a function of arrays; its root mean square error at scales; the jump at 0."""

    function: Callable
    noise: Callable
    jump: float


def derivative_from_slope(
    slope: Callable,
    rho: np.ndarray,
    scale_u: np.ndarray,
    scale_v: np.ndarray,
    what: str,
    *,
    noise: Callable = exact,
) -> np.ndarray:
    """Return scale_u scale_v E[slope(u) slope(v)], for a function without a jump."""
    return scale_u * scale_v * product_means(slope, np.arccos(rho), scale_u, scale_v, what, noise=noise)[0]


def derivative_from_values(
    function: Callable, rho: np.ndarray, scale_u: np.ndarray, scale_v: np.ndarray, what: str
) -> np.ndarray:
    """Return the derivative of E[function(u) function(v)] in `rho`, infinite where two jumps meet."""
    value = np.zeros(rho.shape)
    live = np.flatnonzero(scale_u * scale_v > 0)  # a variance of 0 makes the dual activation constant
    if live.size == 0:
        return value
    rho, scale_u, scale_v = rho[live], scale_u[live], scale_v[live]
    scales = np.concatenate([scale_u, scale_v])
    least = float(np.sqrt(square_mean(function, scales.min()[None], what)[0][0]))
    slope, noise, jump = _differentiate(function, radius() * float(scales.max()), _NEGLIGIBLE * least, what)
    value[live] = derivative_from_slope(slope, rho, scale_u, scale_v, what, noise=noise)
    if jump != 0:
        sine = np.sqrt((1 - rho) * (1 + rho))
        beside = [scale * line_mean(slope, scale * sine, what, noise=noise)[0] for scale in (scale_u, scale_v)]
        with np.errstate(divide="ignore"):
            value[live] += jump * (beside[0] + beside[1]) / np.sqrt(2 * np.pi) + jump**2 / (2 * np.pi * sine)
    return value


def _differentiate(function: Callable, reach: float, floor: float, what: str) -> _Slope:
    """Return the derivative of `function` on [-reach, reach]."""
    left, left_series = _panels(function, -reach, floor, what)
    right, right_series = _panels(function, reach, floor, what)
    edges = np.concatenate([left, right[1:]])
    series = np.concatenate([left_series, right_series])
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    series, kept = _chopped(series)
    slopes = chebyshev.chebder(series, axis=1).T / half
    errors = _ROUNDING * np.abs(series).max(axis=1) * kept**1.5 / half

    def noise(scale: np.ndarray) -> np.ndarray:
        lively = np.where(scale > 0, scale, np.inf)  # a scale of 0 sees 0 alone
        return np.sqrt(np.diff(ndtr(edges / lively[:, None]), axis=1) @ errors**2)

    def slope(x: np.ndarray) -> np.ndarray:
        panel = np.searchsorted(edges[1:-1], x, side="right")
        t = 2 * (x - middle[panel]) / half[panel]
        value, after = slopes[-1][panel], np.zeros(x.shape)
        for row in slopes[-2:0:-1]:
            value, after = row[panel] + t * value - after, value
        return slopes[0][panel] + t / 2 * value - after

    jump = float(chebyshev.chebval(-1.0, right_series[0]) - chebyshev.chebval(1.0, left_series[-1]))
    around = np.abs(left_series[-1]).sum() + np.abs(right_series[0]).sum()
    return _Slope(slope, noise, jump if abs(jump) > _JUMP * around else 0.0)


def _chopped(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the series without the last coefficients that are rounding, which a derivative would multiply by the
    square of their degree, and the degrees kept, at least 1.
    """
    size = np.abs(series)
    significant = size > _ROUNDING * size.max(axis=1, keepdims=True)
    last = _ORDER - 1 - np.argmax(significant[:, ::-1], axis=1)
    return np.where(np.arange(_ORDER) <= last[:, None], series, 0.0), np.maximum(last, 1)


def _panels(function: Callable, reach: float, floor: float, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending edges of panels between 0 and `reach`, of either sign, and the Chebyshev series on them; values
    below `floor` count as rounding.
    """
    edges = np.sort(reach * _START)
    points = np.cos(np.pi * (np.arange(_ORDER) + 0.5) / _ORDER)
    for _ in range(_HALVINGS):
        series, tail, size = _series(function, edges, points)
        rough = tail > _TARGET * np.maximum(size, floor)
        if not np.any(rough):
            return edges, series
        edges = np.sort(np.concatenate([edges, (edges[1:][rough] + edges[:-1][rough]) / 2]))
    series, tail, size = _series(function, edges, points)
    rough = np.flatnonzero(tail > _ACCEPTED * np.maximum(size, floor))
    if rough.size:
        raise ConvergenceError(
            f"The derivative in {what} is not resolved between {edges[rough[0]]:.6g} and {edges[rough[0] + 1]:.6g}: "
            "the function has a kink or a jump away from 0, or varies too fast.",
            value=float(series[rough[0], 0]),
            error=float(tail[rough[0]]),
        )
    return edges, series


def _series(function: Callable, edges: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the Chebyshev series of each panel, its last coefficients' size and its size."""
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    series = np.asarray(dct(function(middle[:, None] + half[:, None] * points), type=2, axis=1)) / _ORDER
    series[:, 0] /= 2
    size = np.abs(series)
    return series, size[:, -3:].max(axis=1), size.max(axis=1)
