r"""One layer seen by exchangeable Gaussian points: conditional moments, sampling covariances and derivatives.

A unit sees :math:`z_i = \sqrt{p}\,g + \sqrt{v}\,e_i`, variance k = p + v, with g common to all points and :math:`e_i`
their own. Given g the values :math:`\phi(z_i)` are iid of mean M, variance :math:`\mu_2` and central moments
:math:`\mu_3, \mu_4`, so every mixed moment of several points is an integral over g of a polynomial in them, and nothing
cancels as v/k goes to 0 (``docs/theory.md``, 17.2 and 17.3). Derivatives of φ are never taken: those of expectations
come from the Gaussian weight. Private: arguments are already validated.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np

from conetheory._quadrature import _half_line_panels, _unit_panels
from conetheory.errors import ConvergenceError

__all__ = ["LayerExpansion", "expand_layer"]

_Function = Callable[[np.ndarray], np.ndarray]

_RADIUS = 9.0  # standard deviations at level 0; the Gaussian weight there is 3e-18
_LEVELS = 4  # panels double from level to level
_TARGET = 1e-6  # of a coefficient, which multiplies a first-order correction
_ACCEPTED = 1e-4  # worse than this after the last level is an error
_THIN = 1e-12  # v/k at which ratios have reached their limits, but for a part of its root; below it rounding eats them


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerExpansion:
    """Coefficients of f = E φ², a function of k, and of h = E μ₂, a function of k and v, all relative to f and h.

    ``square_k`` is k f'/f, ``spread_kv`` is kv ∂²h/∂k∂v / h, and so on. ``common_*`` are covariances over g of
    E[φ² | g] (square) and μ₂ (spread); ``own_*`` means over g of those of φ² and (φ - M)² given g.
    """

    square_k: float
    square_kk: float
    spread_k: float
    spread_v: float
    spread_kk: float
    spread_kv: float
    spread_vv: float
    common_square: float
    common_cross: float
    common_spread: float
    own_square: float
    own_cross: float
    own_spread: float
    pair_spread: float  # 2 E μ₂², twice the variance of a product of two centred values
    bend_square: float  # ½ E B², B = v ∂² E[φ² | g]/∂z²
    bend_cross: float  # ½ E B C, C = v ∂² E[(φ - M)² | g]/∂z²
    bend_spread: float  # ½ E C²

    def noise(self, n: int, *, scatter: float = 0.0) -> np.ndarray:
        """Return the covariance, over one unit, of the mean square and the sample variance of n points.

        `scatter` is the mean square of the points' own covariances, 0 in mean field, over v²: it correlates the squares
        of points that are independent given g in mean field. The factor leaves out what moves the mean.
        """
        scatter = scatter * (n - 2) * (n + 1)
        square = self.common_square + self.own_square / n + self.bend_square * scatter / n**2
        cross = self.common_cross + self.own_cross / n + self.bend_cross * scatter / (n * (n - 1))
        spread = self.common_spread + (self.own_spread + self.pair_spread / (n - 1)) / n
        return np.array([[square, cross], [cross, spread + self.bend_spread * scatter / (n - 1) ** 2]])

    @property
    def difference_noise(self) -> float:
        """Variance, over one unit, of half the difference of the squares of two points."""
        return self.own_square / 2


def expand_layer(function: _Function, k: float, v: float, what: str) -> LayerExpansion:
    """Return the coefficients at variance `k`, of which `v` is the points' own; refined until two levels agree.

    ``own_square`` is proportional to v where v/k is small, and rescaled below the floor of v/k; all else has a limit.
    """
    floored = max(v, _THIN * k)
    found, error = _at_level(function, k, floored, 0), np.inf
    for level in range(1, _LEVELS):
        previous, found = found, _at_level(function, k, floored, level)
        values, before = np.array(astuple(found)), np.array(astuple(previous))
        error = float(np.max(np.abs(values - before) / (1 + np.abs(values))))
        if error <= _TARGET:
            break
    if not error <= _ACCEPTED:
        raise ConvergenceError(
            f"The moments of {what} at variance {k:.6g} are known to {error:.1e} only: the function has a kink or a "
            "jump away from 0, varies too fast, or grows too fast.",
            value=found.spread_v,
            error=error,
        )
    fields = {name: getattr(found, name) for name in LayerExpansion.__slots__}
    return LayerExpansion(**(fields | {"own_square": found.own_square * v / floored}))


def _at_level(function: _Function, k: float, v: float, level: int) -> LayerExpansion:
    x, weights, common, e, inner = _grid(k, v, level)
    y = function(common[:, None] + np.sqrt(v) * e)
    mean = np.einsum("ij,ij->i", inner, y)
    c = y - mean[:, None]
    weighted = inner * c
    squared = weighted * c
    mu2 = squared.sum(axis=1)
    mu3 = np.einsum("ij,ij->i", squared, c)
    excess = np.einsum("ij,ij->i", squared * c, c) - mu2**2
    f, square_k, square_kk = _square(function, k, level)
    h = float(weights @ mu2)
    first = np.einsum("ij,ij->i", weighted, e)  # sqrt(v) M'
    second = np.einsum("ij,ij->i", weighted, e * e - 1)  # v M''
    common_square = mean**2 + mu2
    own_cross = 2 * mean * mu3 + excess
    d_square, d_spread = common_square - weights @ common_square, mu2 - h
    bend = np.einsum("ij,ij->i", weighted * (y + mean[:, None]), e * e - 1)  # v times the second derivative of E φ²
    own_bend = bend - 2 * mean * second
    if (p := k - v) > v:
        along = _along_common(x, weights, mu2, first**2, k / p)
    else:
        along = _along_own(weights, (y, mean, weighted, inner, e), first, second, k / v)
    return LayerExpansion(
        square_k=square_k / f,
        square_kk=square_kk / f,
        spread_k=along[0] / h,
        spread_v=float(weights @ first**2) / h,
        spread_kk=along[1] / h,
        spread_kv=along[2] / h,
        spread_vv=-float(weights @ second**2) / h,
        common_square=float(weights @ d_square**2) / f**2,
        common_cross=float(weights @ (d_square * d_spread)) / (f * h),
        common_spread=float(weights @ d_spread**2) / h**2,
        own_square=float(weights @ (4 * mean**2 * mu2 + 4 * mean * mu3 + excess)) / f**2,
        own_cross=float(weights @ own_cross) / (f * h),
        own_spread=float(weights @ excess) / h**2,
        pair_spread=float(weights @ (2 * mu2**2)) / h**2,
        bend_square=float(weights @ bend**2) / (2 * f**2),
        bend_cross=float(weights @ (bend * own_bend)) / (2 * f * h),
        bend_spread=float(weights @ own_bend**2) / (2 * h**2),
    )


def _grid(k: float, v: float, level: int) -> tuple[np.ndarray, ...]:
    """Return nodes and weights for g, the common part, and for each g nodes and weights for e, broken where z = 0."""
    radius = _RADIUS + level / 2
    t, weights = _half_line_panels(3 << level)
    x = radius * np.concatenate([t, -t])
    weights = np.tile(radius * weights, 2) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    common = np.sqrt(max(k - v, 0.0)) * x
    t, inner = _unit_panels(3 << level)
    t, inner = t * t, 2 * t * inner  # denser towards the break
    start = np.clip(-common / np.sqrt(v), -radius, radius)[:, None]
    e = np.concatenate([start + (radius - start) * t, start - (radius + start) * t], axis=1)
    inner = np.concatenate([(radius - start) * inner, (radius + start) * inner], axis=1)
    return x, weights, common, e, inner * np.exp(-e * e / 2) / np.sqrt(2 * np.pi)


def _square(function: _Function, k: float, level: int) -> tuple[float, float, float]:
    """Return f = E φ(√k z)², k f' and k² f''."""
    radius = _RADIUS + level / 2
    t, weights = _half_line_panels(4 << level)
    z = radius * t
    weights = radius * weights * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    square = function(np.sqrt(k) * z) ** 2 + function(-np.sqrt(k) * z) ** 2
    z2 = z * z
    return (
        float(weights @ square),
        float(weights @ (square * (z2 - 1))) / 2,
        float(weights @ (square * (z2 * z2 - 6 * z2 + 3))) / 4,
    )


def _along_common(
    x: np.ndarray, weights: np.ndarray, mu2: np.ndarray, slope: np.ndarray, ratio: float
) -> tuple[float, float, float]:
    """Return k ∂h/∂k, k² ∂²h/∂k², kv ∂²h/∂k∂v by the weight of g; `slope` is v M'², `ratio` k/p."""
    x2 = x * x
    return (
        float(weights @ (mu2 * (x2 - 1))) * ratio / 2,
        float(weights @ (mu2 * (x2 * x2 - 6 * x2 + 3))) * ratio**2 / 4,
        float(weights @ (slope * (x2 - 1))) * ratio / 2,
    )


def _along_own(
    weights: np.ndarray, values: tuple[np.ndarray, ...], first: np.ndarray, second: np.ndarray, ratio: float
) -> tuple[float, float, float]:
    """As `_along_common` by the weight of e, which serves where p is small; `ratio` is k/v."""
    y, mean, weighted, inner, e = values
    e2 = e * e
    fourth_weight = e2 * e2 - 6 * e2 + 3
    squares = inner * y * y
    third = np.einsum("ij,ij->i", weighted, e * (e2 - 3))
    fourth = np.einsum("ij,ij->i", weighted, fourth_weight)
    square2 = np.einsum("ij,ij->i", squares, e2 - 1)
    square4 = np.einsum("ij,ij->i", squares, fourth_weight)
    return (
        float(weights @ (square2 - 2 * first**2 - 2 * mean * second)) * ratio / 2,
        float(weights @ (square4 - 2 * mean * fourth - 8 * first * third - 6 * second**2)) * ratio**2 / 4,
        float(weights @ (second**2 + first * third)) * ratio,
    )
