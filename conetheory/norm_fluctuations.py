r"""The norm of an activation vector through random ReLU layers without biases: a product of independent factors.

With N ~ Bin(d, 1/2) active units :math:`\|h'\|^2 = \sigma_w^2\,\|h\|^2\,\chi^2_N/d`, whatever h is. So
:math:`\ln\|h_L\|^2 - \ln\|h_0\|^2` is a sum of L independent terms of a known law: its mean, variance and
distribution are exact here. To first order it is normal with variance :math:`5\sum_l 1/d_l` [1]_.

References
----------
.. [1] B. Hanin and M. Nica, "Products of Many Large Random Matrices and Gradients in Deep Neural Networks", Commun.
   Math. Phys. 376, 2020, arXiv:1812.05994.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import digamma, loggamma, polygamma

from ._active_units import active_units, log_active_weights
from ._arrays import as_array, as_count, as_positive
from .errors import ConvergenceError

__all__ = ["LogNormLaw", "log_norm_law", "log_norm_variance_first_order", "square_norm_moment"]

_SMALLEST_FACTOR = 1e-17  # of the characteristic function: the rest of the integral is below the rounding
_BLOCK = 64  # frequencies computed at a time
_MOST_BLOCKS = 256
_LARGEST_LOG = math.log(sys.float_info.max)
_PERIOD = 40.0  # standard deviations after which the inverted law repeats itself


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogNormLaw:
    r"""Law of :math:`\ln(\|h_L\|^2/\|h_0\|^2)` given that no layer is zero.

    Attributes
    ----------
    widths : tuple of int
        Units of each layer.
    sigma_w2 : float
        Width times the variance of a weight.
    mean, variance : float
        Exact.
    survival : float
        Probability :math:`\prod_l(1 - 2^{-d_l})` that no layer is zero.
    """

    widths: tuple[int, ...]
    sigma_w2: float
    mean: float
    variance: float
    survival: float

    def cdf(self, change: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
        """Return the probability of at most `change`, shape (...): exact law, absolute error below 1e-10.

        The characteristic function is inverted by the midpoint rule (Gil-Pelaez).
        """
        change = as_array("change", change)
        smallest = min(self.widths)
        step = 2 * math.pi / (_PERIOD * math.sqrt(self.variance) + 600 / smallest)
        frequencies, values = self._frequencies(step)
        phase = np.multiply.outer(change - self.mean, frequencies)
        integrand = np.imag(np.exp(-1j * phase) * values) / frequencies
        inside = 0.5 - step / math.pi * np.sum(integrand, axis=-1)
        period = 2 * math.pi / step
        return np.where(np.abs(change - self.mean) < period / 2, inside, np.where(change > self.mean, 1.0, 0.0))[()]

    def _frequencies(self, step: float) -> tuple[np.ndarray, np.ndarray]:
        """Return midpoints, and the characteristic function of the centred law there, until it has died out."""
        points, values, last = [], [], 1.0
        for block in range(_MOST_BLOCKS):
            t = step * (np.arange(block * _BLOCK, (block + 1) * _BLOCK) + 0.5)
            total = np.ones(_BLOCK, dtype=np.complex128)
            for width in set(self.widths):
                counts, weights = active_units(width, minimum=1)
                factor = np.exp(loggamma(counts / 2 + 1j * t[:, None]) - loggamma(counts / 2)) @ weights
                total *= (factor * np.exp(1j * t * math.log(2 * self.sigma_w2 / width))) ** self.widths.count(width)
            points.append(t)
            values.append(total * np.exp(-1j * t * self.mean))
            last = float(abs(total[-1]))
            if last < _SMALLEST_FACTOR:
                return np.concatenate(points), np.concatenate(values)
        raise ConvergenceError(
            f"The characteristic function of the log norm is still {last:.1e} at frequency {points[-1][-1]:.3g}.",
            value=last,
            error=last,
        )


def _as_widths(widths: Sequence[int]) -> tuple[int, ...]:
    widths = tuple(as_count("widths", width) for width in widths)
    if not widths:
        raise ValueError("`widths` must hold at least one layer, got none.")
    return widths


def log_norm_law(widths: Sequence[int], *, sigma_w2: float = 2.0) -> LogNormLaw:
    r"""Exact law of the change of :math:`\ln\|h\|^2` through ReLU layers of `widths` units without biases.

    .. math:: \text{mean} = \sum_l\Big[\ln\frac{2\sigma_w^2}{d_l} + E\,\psi(N_l/2)\Big],\qquad
              \text{variance} = \sum_l\big[E\,\psi_1(N_l/2) + \operatorname{Var}\psi(N_l/2)\big],

    :math:`N_l \sim \mathrm{Bin}(d_l, \frac12)` given :math:`N_l \ge 1`.

    Parameters
    ----------
    widths : sequence of int
        Units of each layer.
    sigma_w2 : float
        Width times the variance of a weight, positive; He's 2 keeps the mean of :math:`\|h\|^2`.

    Returns
    -------
    LogNormLaw
        Mean, variance, distribution function and the probability that no layer is zero.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    Per layer the mean is :math:`-\frac{5}{2d} + O(d^{-2})` (at `sigma_w2` 2) and the variance
    :math:`\frac5d + O(d^{-2})`. Ours as exact statements; ``docs/theory.md``, 15.8.

    Examples
    --------
    >>> law = log_norm_law([64] * 8)
    >>> print(round(law.mean, 4), round(law.variance, 4), law.cdf(law.mean).round(4))
    -0.3209 0.664 0.4914
    """
    widths, sigma_w2 = _as_widths(widths), float(as_positive("sigma_w2", sigma_w2))
    mean = variance = 0.0
    for width in set(widths):
        counts, weights = active_units(width, minimum=1)
        centre = digamma(counts / 2)
        expected = float(weights @ centre)
        spread = float(weights @ (polygamma(1, counts / 2) + (centre - expected) ** 2))
        mean += widths.count(width) * (math.log(2 * sigma_w2 / width) + expected)
        variance += widths.count(width) * spread
    survival = math.exp(sum(math.log1p(-(0.5**width)) for width in widths))
    return LogNormLaw(widths=widths, sigma_w2=sigma_w2, mean=mean, variance=variance, survival=survival)


def log_norm_variance_first_order(widths: Sequence[int]) -> float:
    r"""Variance :math:`5\sum_l 1/d_l` of :math:`\ln\|h_L\|^2` to first order, of the normal limit.

    Parameters
    ----------
    widths : sequence of int
        Units of each layer.

    Returns
    -------
    float
        Too small by the share 4/d or so: `log_norm_law` is exact.

    Raises
    ------
    ValueError, TypeError
        If a width is not a positive integer, or there is none.

    Notes
    -----
    Source: [1]_; for ReLU :math:`5 = \operatorname{Var}\phi^2/(E\phi^2)^2`.

    Examples
    --------
    >>> log_norm_variance_first_order([20, 20])
    0.5
    """
    return float(sum(5.0 / width for width in _as_widths(widths)))


def square_norm_moment(order: int, widths: Sequence[int], *, sigma_w2: float = 2.0) -> float:
    r"""Moment :math:`E(\|h_L\|^2/\|h_0\|^2)^k`, dead networks included as 0, exact.

    .. math:: \prod_l (2\sigma_w^2/d_l)^k\,E\big[\tfrac{N_l}{2}(\tfrac{N_l}{2} + 1)\cdots(\tfrac{N_l}{2} + k - 1)\big]

    Parameters
    ----------
    order : int
        k, at least 1.
    widths : sequence of int
        Units of each layer.
    sigma_w2 : float
        Width times the variance of a weight, positive.

    Returns
    -------
    float
        1 for k = 1 and :math:`\prod_l(1 + 5/d_l)` for k = 2 at `sigma_w2` 2; relative error a few eps at
        small orders, 1e-12 at order 100.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain, or the moment larger than the largest float.

    Notes
    -----
    Literature (k = 2: Hanin and Rolnick 2018); the general form ours: ``docs/theory.md``, 15.8.

    Examples
    --------
    >>> round(square_norm_moment(2, [50, 50]), 12)
    1.21
    """
    order, widths = as_count("order", order), _as_widths(widths)
    sigma_w2, total = float(as_positive("sigma_w2", sigma_w2)), 0.0
    for width in widths:
        counts = np.arange(1, width + 1)  # a dead layer adds 0
        logs = log_active_weights(width, counts)
        rising = sum((np.log(counts / 2 + j) for j in range(order)), start=np.zeros(width))
        largest, share = float(np.max(logs + rising)), -math.expm1(-width * math.log(2.0))
        mean = float(np.exp(logs + rising - largest).sum() / np.exp(logs).sum()) * share
        total += largest + math.log(mean) + order * math.log(2 * sigma_w2 / width)
    if total > _LARGEST_LOG:
        raise ValueError(f"`order` {order} is too large for these `widths`: the moment, e^{total:.6g}, is not a float.")
    return math.exp(total)
