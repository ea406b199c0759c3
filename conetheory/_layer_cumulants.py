r"""Cumulants, in powers of 1/d, of the angle after a ReLU layer of width d. Private: angles are already validated.

The output cosine is a smooth function of the means over the units of

.. math:: S = \phi^2 + \phi'^2,\qquad D = (\phi - \phi')^2,\qquad T = \phi^2 - \phi'^2,

of expectation :math:`1, D_0 = 1 - \kappa, 0`. The expansion is in :math:`(S - 1,\ D/D_0 - 1,\ T/\sqrt{D_0})`, which
stay of order one as :math:`\theta \to 0`, so nothing cancels there (`docs/theory.md`, 15.1 to 15.3).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_positive
from ._power_series import DEGREE, EXPONENTS, exponential, logarithm, multiply, power
from ._quadrature import _unit_legendre
from ._relu_contrast import one_minus_kappa

__all__ = [
    "CumulantExpansion",
    "Cumulants",
    "contrast_moment",
    "cosine_complement",
    "expand",
    "log_sine_square",
    "log_tan_square",
]

_FACTORIALS = np.array([math.prod(math.factorial(e) for e in exponent) for exponent in EXPONENTS], dtype=np.float64)
_DEGREES = np.array([sum(exponent) for exponent in EXPONENTS])
_POINTS = 16 + 2 * DEGREE  # exact for these trigonometric polynomials (docs/theory.md, 1.4)
_ORDERS = DEGREE // 2 + 1  # powers 0..3 of 1/d

Functional = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cumulants:
    """First four cumulants of a number at one width.

    Attributes
    ----------
    mean, variance, third, fourth : ndarray or float64, shape (...)
        The skewness is third / variance^(3/2), the excess kurtosis fourth / variance^2.
    """

    mean: np.ndarray | np.float64
    variance: np.ndarray | np.float64
    third: np.ndarray | np.float64
    fourth: np.ndarray | np.float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CumulantExpansion:
    r"""First four cumulants in powers of :math:`1/d`: index k on axis 0 is the coefficient of :math:`d^{-k}`.

    Attributes
    ----------
    mean, variance, third, fourth : ndarray, shape (4, ...)
        Coefficients; the n-th cumulant starts at :math:`d^{-(n-1)}`.
    """

    mean: Float[np.ndarray, "4 ..."]
    variance: Float[np.ndarray, "4 ..."]
    third: Float[np.ndarray, "4 ..."]
    fourth: Float[np.ndarray, "4 ..."]

    def at(self, width: ArrayLike) -> Cumulants:
        r"""Return the cumulants at `width`, positive, broadcast against the parameters; the error is
        :math:`O(d^{-4})`, and no value below a width of 10 or so is an approximation.
        """
        inverse = 1.0 / as_positive("width", width)

        def value(coefficients: np.ndarray) -> np.ndarray | np.float64:
            return np.polynomial.polynomial.polyval(inverse, coefficients, tensor=False)[()]

        return Cumulants(
            mean=value(self.mean),
            variance=value(self.variance),
            third=value(self.third),
            fourth=value(self.fourth),
        )


def _angular_sectors(theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Return (S, D, |T|, weight) of one unit on the circle, at R^2 = 2, where both inputs are active and where one is.

    Shapes (n, points); weights sum to the probability of the sector. T changes sign within the first sector by
    symmetry, and between the two halves of the second: odd powers of T have mean 0.
    """
    nodes, weights = _unit_legendre(_POINTS)
    half = np.pi - theta
    phi = 0.5 * half[:, None] * nodes  # the other half of the arc is its mirror image
    along, across = np.cos(0.5 * theta)[:, None] * np.cos(phi), np.sin(0.5 * theta)[:, None] * np.sin(phi)
    both = (4 * (along**2 + across**2), 8 * across**2, 8 * along * across, half[:, None] / (2 * np.pi) * weights)
    square = 2 * np.sin(theta[:, None] * nodes) ** 2
    return [both, (square, square, square, theta[:, None] / np.pi * weights)]


def contrast_moment(i: int, j: int, k: int, theta: np.ndarray) -> np.ndarray:
    r""":math:`E\,S^i D^j T^k` of one unit, shape (n,), for angles of shape (n,), i + j + k at most 6.

    A sum of positive terms: relative error a few 1e-15 at every angle.
    """
    if k % 2:
        return np.zeros_like(theta)
    both, one = (np.sum(w * s**i * d**j * t**k, axis=1) for s, d, t, w in _angular_sectors(theta))
    return math.factorial(i + j + k) * (both + one)


def _summand_cumulants(theta: np.ndarray, drop: np.ndarray) -> np.ndarray:
    r"""Cumulant generating function, less its mean, of one unit's :math:`(S, D/D_0, T/\sqrt{D_0})`."""
    generating = np.zeros((len(EXPONENTS), theta.size))
    sectors = [(s, d / drop[:, None], t / np.sqrt(drop)[:, None], w) for s, d, t, w in _angular_sectors(theta)]
    for index, (i, j, k) in enumerate(EXPONENTS):
        if k % 2 == 0:
            mean = sum(np.sum(w * s**i * d**j * t**k, axis=1) for s, d, t, w in sectors)
            generating[index] = mean * math.factorial(i + j + k) / _FACTORIALS[index]
    generating[0] = 1.0
    cumulants = logarithm(generating)
    cumulants[_DEGREES < 2] = 0.0
    return cumulants


def _variables(drop: np.ndarray) -> tuple[np.ndarray, ...]:
    r"""Return :math:`S,\ D/D_0,\ T^2/D_0`, the root :math:`2\sqrt{BC} = \sqrt{S^2 - T^2}` and :math:`(1-c)/D_0` times
    that root, as series.
    """
    index = {exponent: i for i, exponent in enumerate(EXPONENTS)}
    total, contrast, square = np.zeros((3, len(EXPONENTS), drop.size))
    total[index[0, 0, 0]] = total[index[1, 0, 0]] = 1.0
    contrast[index[0, 0, 0]] = contrast[index[0, 1, 0]] = 1.0
    square[index[0, 0, 2]] = 1.0
    root = power(multiply(total, total) - drop * square, 0.5)
    complement = contrast - multiply(square, power(root + total, -1.0))
    return total, contrast, square, root, complement


def cosine_complement(drop: np.ndarray) -> np.ndarray:
    r""":math:`(1 - c')/D_0` as a series, constant term 1."""
    *_, root, complement = _variables(drop)
    return multiply(complement, power(root, -1.0))


def log_tan_square(drop: np.ndarray) -> np.ndarray:
    r""":math:`\ln\tan^2(\theta'/2) = \ln[(1 - c')/(1 + c')]` as a series."""
    total, contrast, _, root, complement = _variables(drop)
    series = logarithm(complement) - logarithm(root + total - drop * contrast)
    series[0] += np.log(drop)
    return series


def log_sine_square(drop: np.ndarray) -> np.ndarray:
    r""":math:`\ln\sin^2\theta' = \ln[(1 - c')(1 + c')]` as a series."""
    total, contrast, _, root, complement = _variables(drop)
    series = logarithm(complement) + logarithm(root + total - drop * contrast) - 2 * logarithm(root)
    series[0] += np.log(drop)
    return series


def _times(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Product of two polynomials in 1/d, shape (4, n), cut off after the third power."""
    return np.stack([np.sum(p[: r + 1] * q[r::-1], axis=0) for r in range(_ORDERS)])


def _mean(series: np.ndarray, terms: list[np.ndarray]) -> np.ndarray:
    """Coefficients in 1/d of the mean of `series`: a product of j cumulants and degree m is of order m - j."""
    out = np.zeros((_ORDERS, series.shape[1]))
    for j, term in enumerate(terms):
        weighted = series * term * _FACTORIALS[:, None]
        for order in range(j, min(DEGREE - j, _ORDERS - 1) + 1):
            out[order] += weighted[order + j == _DEGREES].sum(axis=0)
    return out


def expand(functional: Functional, theta: np.ndarray | np.float64) -> CumulantExpansion:
    """Expand a functional of the means over the units at `theta`, of any shape, strictly between 0 and pi."""
    flat = theta.reshape(-1)
    drop = one_minus_kappa(flat)
    terms = exponential(_summand_cumulants(flat, drop))
    series = functional(drop)
    centre, series = series[0].copy(), series.copy()
    series[0] = 0.0
    square = multiply(series, series)
    m1, m2, m3, m4 = (_mean(p, terms) for p in (series, square, multiply(square, series), multiply(square, square)))
    m11, m21 = _times(m1, m1), _times(m2, m1)
    third = m3 - 3 * m21 + 2 * _times(m11, m1)
    fourth = m4 - 4 * _times(m3, m1) - 3 * _times(m2, m2) + 12 * _times(m21, m1) - 6 * _times(m11, m11)
    variance = m2 - m11
    m1[0] += centre
    mean, variance, third, fourth = (c.reshape(_ORDERS, *theta.shape) for c in (m1, variance, third, fourth))
    return CumulantExpansion(mean=mean, variance=variance, third=third, fourth=fourth)
