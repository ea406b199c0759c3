r"""Theorem 1 of Liang et al. for leaky ReLU: limit, threshold and exponential rate of failure, in closed form.

:math:`\phi(x) = x` for :math:`x > 0`, :math:`\lambda x` for :math:`x \le 0`, :math:`-1 \le \lambda < 1`: ReLU at 0, the
absolute value at -1. It is positively homogeneous, so the law of the cosine :math:`c'` after the layer of
`conetheory.contraction` depends on the correlation :math:`\rho_1` of the pre-activations, the width and
:math:`\lambda` alone. For :math:`\lambda > 0` both cosines may be negative. A failure is not :math:`c' > c_0`.

References
----------
.. [1] V. W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Theorem 1.
.. [2] Y. Cho and L. K. Saul, "Kernel Methods for Deep Learning", NIPS 2009.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_array, as_cosine, as_positive
from ._homogeneous_tilt import LeakyPair, dominating_tilt
from ._preactivation import angle, layer_of
from ._relu_contrast import kappa_lift
from ._relu_tilt import tilt as relu_tilt

__all__ = ["LeakyReluRate", "leaky_relu_failure_rate", "leaky_relu_limiting_cosine", "leaky_relu_threshold"]

_NEWTON_STEPS = 64  # as in `conetheory.contraction.sharp_threshold`
_LEAST_COSINE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyReluRate:
    r"""Exponential rate of failure of leaky ReLU.

    Attributes
    ----------
    rate : float
        :math:`I`, the limit of :math:`-\tfrac1d\ln P(\text{failure})`; infinite where failure is impossible.
    tilt, balance : float
        The t and s of the half-space :math:`X_s \le 0` that decides.
    """

    rate: float
    tilt: float
    balance: float


def _as_slope(slope: ArrayLike) -> np.ndarray:
    array = as_array("slope", slope)
    if not np.all((array >= -1) & (array < 1)):
        raise ValueError(f"`slope` must lie in [-1, 1), got {float(array[~((array >= -1) & (array < 1))].flat[0])!r}.")
    return array


def _lift_share(slope: np.ndarray) -> np.ndarray | np.float64:
    return (1.0 - slope) ** 2 / (1.0 + slope**2)


def leaky_relu_limiting_cosine(
    cosine: ArrayLike,
    norm_u: ArrayLike,
    norm_v: ArrayLike,
    *,
    slope: ArrayLike,
    sigma_w2: ArrayLike = 1.0,
    sigma_b2: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine after an infinitely wide leaky ReLU layer.

    .. math:: \kappa_\lambda(\rho_1) = \rho_1 + \frac{(1-\lambda)^2}{1+\lambda^2}\,(\kappa(\rho_1) - \rho_1)
              = \frac{2\lambda\rho_1 + (1-\lambda)^2\kappa(\rho_1)}{1+\lambda^2}

    Parameters
    ----------
    cosine : array_like, shape (...)
        Cosine of the inputs, in [-1, 1].
    norm_u, norm_v : array_like, shape (...)
        Norms, at least 0; positive where `sigma_b2` is 0.
    slope : array_like, shape (...)
        Slope :math:`\lambda` on the left, in [-1, 1): 0 is ReLU, -1 the absolute value.
    sigma_w2, sigma_b2 : array_like, shape (...)
        Variances, at least 0 and not both 0; a common factor makes no difference.

    Returns
    -------
    ndarray or float64, shape (...)
        In [-1, 1], to a few eps.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    Literature [2]_; ``docs/theory.md``, 1.7 and 14.1.

    Examples
    --------
    >>> leaky_relu_limiting_cosine(0.0, 1.0, 1.0, slope=[0.0, 0.2, -1.0]).round(6)
    array([0.608998, 0.567076, 0.717996])
    """
    cosine, slope = as_cosine("cosine", cosine), _as_slope(slope)
    theta = angle(layer_of(norm_u, norm_v, sigma_w2, sigma_b2), cosine, 1.0 - cosine)
    return np.cos(theta) + _lift_share(slope) * kappa_lift(theta)


def leaky_relu_threshold(
    norm_u: ArrayLike,
    norm_v: ArrayLike,
    *,
    slope: ArrayLike,
    sigma_w2: ArrayLike = 1.0,
    sigma_b2: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine :math:`c^*_\lambda` up to which wide leaky ReLU layers raise the cosine, and above which they lower it.

    It decreases as :math:`\lambda` rises from -1 to 1, from that of the absolute value over that of ReLU to the root
    of :math:`\rho_1(c) = c`.

    Parameters
    ----------
    norm_u, norm_v : array_like, shape (...)
        Norms, positive.
    slope, sigma_w2, sigma_b2 : array_like, shape (...)
        As in `leaky_relu_limiting_cosine`.

    Returns
    -------
    ndarray or float64, shape (...)
        In (0, 1]; 1 if the norms are equal or one of the variances is 0. Error below 1e-15 where `slope` is below 0.9.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    Ours; ``docs/theory.md``, 14.2. Newton's method as in `conetheory.contraction.sharp_threshold`.

    Examples
    --------
    >>> leaky_relu_threshold(2.0, 1.0, slope=[0.0, 0.2]).round(6)
    array([0.893864, 0.88284 ])
    """
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)
    share = _lift_share(_as_slope(slope))
    slope_at_one = layer.mu + layer.eta
    drop = np.divide(layer.eta, slope_at_one, out=np.zeros_like(slope_at_one), where=slope_at_one > 0) + 0.0 * share
    for _ in range(_NEWTON_STEPS):
        theta = angle(layer, 1.0 - drop, drop)
        full_slope = slope_at_one + share * layer.lam * theta / np.pi
        excess = layer.mu * drop - layer.eta * (1.0 - drop) + share * kappa_lift(theta)
        step = np.divide(excess, full_slope, out=np.zeros_like(excess), where=full_slope > 0)
        drop = drop - step
        if not np.any(np.abs(step) > 1e-17):
            break
    return 1.0 - drop


def leaky_relu_failure_rate(
    cosine: float, norm_u: float, norm_v: float, *, slope: float, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> LeakyReluRate:
    r"""Exponential rate :math:`I_\lambda(c_0)` at which a leaky ReLU layer fails to raise the cosine.

    For :math:`c_0 \ge 0` the failures are a convex cone, symmetric in the two norms: s = 1 and
    :math:`P \le e^{-dI}` at every width. For :math:`c_0 < 0` they are the union of the half-spaces :math:`X_s \le 0`,
    and :math:`I` is the **least** of their rates: at small slopes one of the outputs then shrinks (s is not 1), and
    failures of a negative cosine are far more likely than the balanced tilt says.

    Parameters
    ----------
    cosine : float
        In [-1, c*), c* = `leaky_relu_threshold`; at a negative `slope` not in (0, 1e-9).
    norm_u, norm_v : float
        Norms, positive.
    slope, sigma_w2, sigma_b2 : float
        As in `leaky_relu_limiting_cosine`.

    Returns
    -------
    LeakyReluRate
        For a cosine of at least 0 the rate is at least 0, with an absolute error below 1e-14, and at equal norms a
        relative one below 1e-9 (compared with 70 digits at cosines from 1e-9 to 1 - 2^-52, norms from 1e-9 to 1e9,
        slopes from -1 to 0.99). Below, the minimum over s of a function of one variable is searched on a grid, which is
        not proved to find the least one.

    Raises
    ------
    ValueError
        If `cosine` is not below the threshold, or an argument outside its domain; at a negative slope also for a
        positive `cosine` below 1e-9, where the rate grows without bound and the tilt loses its digits.
    ConvergenceError
        If no tilt is found.

    Notes
    -----
    Ours; ``docs/theory.md``, 14.3 and 14.4. Where all of it degenerates the limits are returned: for ReLU at
    :math:`c_0 \le 0` the exact laws of `conetheory.contraction.failure_probability_nonpositive`, for slopes
    :math:`\lambda < 0` at :math:`c_0 \le 0`, and at :math:`c_0 = -1`, no failure at all.

    Examples
    --------
    >>> round(leaky_relu_failure_rate(0.5, 1.0, 1.0, slope=0.0).rate, 12)
    0.083393010668
    >>> leaky_relu_failure_rate(-0.3, 1.0, 1.0, slope=0.1).balance > 1
    True
    """
    c, left = as_cosine("cosine", cosine), _as_slope(slope)
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)
    angle_1 = angle(layer, c, 1.0 - c)
    lift = layer.mu * (1.0 - c) - layer.eta * c  # cos(angle) - c
    excess = lift + _lift_share(left) * kappa_lift(angle_1)
    pair = LeakyPair(float(c), float(angle_1), float(lift), float(left))
    cosine, theta, slope = pair.cosine, pair.theta, pair.slope
    if not excess > 0:
        raise ValueError(f"`cosine` must be below c* = leaky_relu_threshold(norm_u, norm_v, ...), got {cosine!r}.")
    if slope < 0 < cosine < _LEAST_COSINE:
        raise ValueError(f"`cosine` must be at least {_LEAST_COSINE} or at most 0 at a negative slope, got {cosine!r}.")
    if slope == 0 and (cosine <= 0 or theta == 0):
        rate = -math.log1p((theta - math.pi) / (2 * math.pi)) if cosine == 0 else math.log(2)
        return LeakyReluRate(rate=rate, tilt=math.inf, balance=1.0 if cosine == 0 else math.inf)
    if theta == 0 or cosine == -1 or (slope < 0 and cosine <= 0):
        return LeakyReluRate(rate=math.inf, tilt=math.inf, balance=1.0)
    if slope == 0:
        found = relu_tilt(cosine, theta)
        return LeakyReluRate(rate=found.rate, tilt=found.t, balance=1.0)
    tilt, balance, rate = dominating_tilt(pair)
    return LeakyReluRate(rate=rate, tilt=tilt, balance=balance)
