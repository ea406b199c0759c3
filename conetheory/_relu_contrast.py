r"""What two rectified units differ by, without cancellation. Private: angles are already validated.

:math:`z, z'` are standard Gaussians of correlation :math:`\rho = \cos\theta`, :math:`\phi = \mathrm{relu}(z)`,
:math:`\phi' = \mathrm{relu}(z')`. Near :math:`\theta = 0` the moments of :math:`\phi - \phi'` are small differences
of the :math:`J_{ab}`; here each is a positive term in :math:`\pi - \theta` plus a sine sum that is taken from its
series (`docs/theory.md`, 1b.4).
"""

import math

import numpy as np
from scipy.special import spherical_jn

from .gaussian import relu_moment

__all__ = ["contrast_second_moment", "kappa_lift", "one_minus_kappa", "small_angle_mean"]

# E (phi^2 + phi'^2)(phi - phi')^2, E (phi - phi')^4 and E (phi^2 - phi'^2)^2 are
# [(pi - theta) p(cos theta) + sum_j w_j (sin(j theta) - j theta)] / (2 pi) with these w_1, w_2, w_3.
_CROSS = (-9, 3, -1)
_FOURTH = (-18, 9, -2)
_SQUARES = (0, -3, 0)

_SERIES_BELOW = 0.5  # twelve terms there: (3/2)^27 / 27! < 1e-23
_SERIES_TERMS = 12


def kappa_lift(theta):
    r""":math:`\kappa(\rho) - \rho = (\sin\theta - \theta\cos\theta)/\pi = \theta^2 j_1(\theta)/\pi \ge 0`."""
    return theta * theta * spherical_jn(1, theta) / np.pi


def one_minus_kappa(theta):
    r""":math:`1 - \kappa(\rho) = E(\phi - \phi')^2`."""
    return 2.0 * np.sin(0.5 * theta) ** 2 - kappa_lift(theta)


def _sine_sum(weights, theta):
    r""":math:`\sum_j w_j (\sin j\theta - j\theta)`, relative to the size of its first surviving power."""
    direct = sum(w * (np.sin(j * theta) - j * theta) for j, w in enumerate(weights, 1))
    coefficients = [
        (-1) ** k * sum(w * j ** (2 * k + 1) for j, w in enumerate(weights, 1)) / math.factorial(2 * k + 1)
        for k in range(1, _SERIES_TERMS + 1)
    ]
    series = theta**3 * np.polynomial.polynomial.polyval(np.minimum(theta, _SERIES_BELOW) ** 2, coefficients)
    return np.where(theta < _SERIES_BELOW, series, direct)


def _cross(theta):
    r""":math:`E(\phi^2 + \phi'^2)(\phi - \phi')^2 = 3 + 2J_{22} - 4J_{31}`."""
    rho, drop = np.cos(theta), 2.0 * np.sin(0.5 * theta) ** 2
    return ((np.pi - theta) * 4.0 * drop * (2.0 - rho) + _sine_sum(_CROSS, theta)) / (2.0 * np.pi)


def _fourth(theta):
    r""":math:`E(\phi - \phi')^4 = 3 - 8J_{31} + 6J_{22}`."""
    drop = 2.0 * np.sin(0.5 * theta) ** 2
    return ((np.pi - theta) * 12.0 * drop**2 + _sine_sum(_FOURTH, theta)) / (2.0 * np.pi)


def _squares(theta):
    r""":math:`E(\phi^2 - \phi'^2)^2 = 3 - 2J_{22}`."""
    return ((np.pi - theta) * 4.0 * np.sin(theta) ** 2 + _sine_sum(_SQUARES, theta)) / (2.0 * np.pi)


def contrast_second_moment(drop, theta):
    r""":math:`E[(t(\phi^2 + \phi'^2) - (\phi - \phi')^2)^2]` at :math:`t` = `drop`, for `theta` in [0, pi/2]."""
    return drop**2 * (3.0 + 2.0 * relu_moment(2, 2, theta)) - 2.0 * drop * _cross(theta) + _fourth(theta)


def small_angle_mean(theta):
    r""":math:`\kappa(J_{22} + 9/2) - 4J_{31}` for `theta` in [0, pi/2]."""
    return _cross(theta) + 0.5 * _squares(theta) - one_minus_kappa(theta) * (relu_moment(2, 2, theta) + 4.5)
