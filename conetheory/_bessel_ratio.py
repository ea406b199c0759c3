r"""The Bessel ratio :math:`A_d(s) = I_{d/2}(s)/I_{d/2-1}(s)`, its complement and slope, and integrals of them.

One backward recurrence of :math:`A_d = s/(d + s A_{d+2})` (`docs/theory.md`, 5.7) where s is not large, one series in
1/s where it is (19.1): no Bessel function is called, so nothing under- or overflows. Private: arguments are validated.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ._quadrature import _unit_legendre

__all__ = ["RatioParts", "integral", "ratio_parts"]

_Real = np.ndarray | np.float64

_FAR = 25.0  # from here on, and from 2 dim on, the series in 1/s; its exponentially small error is e^(-2s)
_SERIES_TERMS = 40
_DIGITS = 22.0  # half the logarithm of the accuracy of the recurrence: e^(-44), as 1 - A may be a hundredth of A
_ORDER = 16  # Gauss points a panel, which spans a unit of arsinh(2s/dim): the poles of A lie pi/2 away


class RatioParts(NamedTuple):
    r""":math:`A`, :math:`1 - A`, :math:`A'` and :math:`A/s` (1/d at s = 0), each to its own relative accuracy."""

    value: _Real
    complement: _Real
    slope: _Real
    over_s: _Real


def ratio_parts(dim: int, s: _Real) -> RatioParts:
    """Return the parts at `s` >= 0; for dim = 1 complement and slope are 0 from 25 on, where they are below 1e-21."""
    far = s >= max(_FAR, 2.0 * dim)
    near_parts = _recurrence(dim, np.where(far, 1.0, s))
    if not np.any(far):
        return near_parts
    far_parts = _series(dim, np.where(far, s, max(_FAR, 2.0 * dim)))
    return RatioParts(*(np.where(far, a, b) for a, b in zip(far_parts, near_parts, strict=True)))


def _recurrence(dim: int, s: np.ndarray) -> RatioParts:
    """Run A, 1 - A and A' down from A_{dim + 2 depth} = 0; ``over`` is A/s throughout."""
    largest = float(np.max(s, initial=0.0))
    depth = int(_DIGITS / np.arcsinh(0.5 * dim / largest)) + 4 if largest > 0 else 1
    value, complement, slope, over = np.zeros_like(s), np.ones_like(s), np.zeros_like(s), np.zeros_like(s)
    for order in range(dim + 2 * depth, dim - 1, -2):
        over = 1.0 / (order + s * value)
        slope = over * over * (order - s * s * slope)
        complement = (order - s * complement) * over
        value = s * over
    return RatioParts(value, complement, slope, over)


def _series(dim: int, s: np.ndarray) -> RatioParts:
    r"""Insert :math:`A = 1 + \sum_k \beta_k`, :math:`\beta_k \propto s^{-k}`, in :math:`A' = 1 - A^2 - (d-1)A/s`."""
    terms = [np.ones_like(s), -0.5 * (dim - 1) / s]
    for k in range(2, _SERIES_TERMS):
        products = sum(terms[i] * terms[k - i] for i in range(1, k))
        terms.append(0.5 * ((k - dim) / s * terms[k - 1] - products))
        if np.all(np.abs(terms[-1]) <= 1e-18 * np.abs(terms[1])):
            break
    complement = -sum(reversed(terms[1:]), np.zeros_like(s))
    slope = -sum((k * terms[k] for k in range(len(terms) - 1, 0, -1)), np.zeros_like(s)) / s
    return RatioParts(1.0 - complement, complement, slope, (1.0 - complement) / s)


def integral(dim: int, lower: _Real, upper: _Real, integrand: Callable[[_Real, _Real, RatioParts], _Real]) -> Any:
    """Return the integral of ``integrand(s, rest, parts)`` over s from `lower` to `upper`, arrays of one shape.

    `parts` are those at s; `rest` is `upper` - s, which knows nothing of the rounding of s.
    """
    start, stop = np.arcsinh(2.0 * lower / dim), np.arcsinh(2.0 * upper / dim)
    panels = int(np.ceil(np.max(np.abs(stop - start), initial=0.0))) + 1
    t = start + np.linspace(0.0, 1.0, panels + 1).reshape(-1, *(1,) * lower.ndim) * (stop - start)
    edges = 0.5 * dim * np.sinh(t)
    edges[0], edges[-1] = lower, upper  # as given: a narrow range keeps its width
    nodes, weights = _unit_legendre(_ORDER)
    column = nodes.reshape(-1, *(1,) * lower.ndim)
    total = np.zeros(lower.shape)
    for left, right in pairwise(edges):
        step = column * (right - left)
        s, rest = left + step, (upper - left) - step
        total = total + np.tensordot(weights, integrand(s, rest, ratio_parts(dim, s)), axes=1) * (right - left)
    return total[()]
