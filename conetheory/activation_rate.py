r"""Theorem 1 of Liang et al. for other activations: limit, threshold and exponential rate of failure.

The layer maps u and v, of norms :math:`a, b` and cosine :math:`c_0`, to :math:`\phi(z_k), \phi(z'_k)`, :math:`k \le d`,
where the pairs :math:`(z_k, z'_k)` are iid centred normal of variances :math:`\sigma_w^2a^2 + \sigma_b^2`,
:math:`\sigma_w^2b^2 + \sigma_b^2` and covariance :math:`\sigma_w^2abc_0 + \sigma_b^2`: **per unit, without the factor
1/d** of `conetheory.contraction`, because an activation that is not homogeneous feels the scale. Weights of variance
:math:`\sigma_w^2/d_{in}` and inputs of root mean square a and b per coordinate make such a layer, the mean-field
convention. For a homogeneous activation the factor makes no difference: `conetheory.leaky_relu` has closed forms.

Failure is not :math:`c' > c_0`. With :math:`(A, B, C)` the means of :math:`\phi\phi', \phi^2, \phi'^2` it is
:math:`A \le c_0\sqrt{BC}`, for :math:`c_0 \ge 0` a convex cone, and :math:`-\tfrac1d\ln P(\text{failure})` tends to

.. math:: I = \max_{s, t > 0} -\ln E e^{-tX_s}, \qquad X_s = \phi\phi' - \tfrac{c_0}{2}(s\phi^2 + \phi'^2/s),

with :math:`P(\text{failure}) \le e^{-dI}` at every width (`docs/theory.md`, section 14).

References
----------
.. [1] V. W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Theorem 1.
.. [2] P. Ney, "Dominating points and the asymptotics of large deviations for random walk on R^d", Ann. Probab. 11
   (1983).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar

from ._activation_tilt import Pair, dominating_tilt
from ._arrays import as_cosine, as_positive
from ._preactivation import angle, layer_of
from .dual import Activation, activation_function, c_map_complement, dual_activation, second_moment

__all__ = [
    "ActivationRate",
    "activation_failure_rate",
    "activation_limiting_cosine",
    "activation_threshold",
]

_THRESHOLD_GRID = 65
_NEAR_ONE = 1e-6
_NOISE = 1e-13  # of a difference of two cosines

_Named = str | Callable | Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationRate:
    r"""Exponential rate of failure, and how well it was checked.

    Attributes
    ----------
    rate : float
        :math:`I = -\ln E e^{-tX_s}`: :math:`P(\text{failure}) \le e^{-dI}` at every width d.
    tilt, balance : float
        The dominating t and s; s is 1 at equal norms.
    prefactor : float
        :math:`K` of :math:`P(\text{failure}) \sim K e^{-dI}/\sqrt d`; nan for an activation of few values (``step``),
        whose sums lie on a lattice: the constant is another there, if there is one.
    gap : float
        Rate of a point that fails, less `rate`: but for the rounding and the quadrature of both, the limit of
        :math:`-\tfrac1d\ln P` lies between. Down to -1e-12 it is rounding; less is an error.
    error : float
        Estimated error of the quadrature: difference of the rates on the last two grids.
    """

    rate: float
    tilt: float
    balance: float
    prefactor: float
    gap: float
    error: float


def activation_limiting_cosine(
    activation: _Named,
    cosine: ArrayLike,
    norm_u: ArrayLike,
    norm_v: ArrayLike,
    *,
    sigma_w2: ArrayLike = 1.0,
    sigma_b2: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine after an infinitely wide layer, :math:`E\phi\phi'/\sqrt{E\phi^2\,E\phi'^2}`.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    cosine : array_like, shape (...)
        Cosine of the inputs, in [-1, 1].
    norm_u, norm_v : array_like, shape (...)
        Norms, at least 0; positive where `sigma_b2` is 0. Read with the variances: a unit has the variance
        ``sigma_w2 * norm_u**2 + sigma_b2``.
    sigma_w2, sigma_b2 : array_like, shape (...)
        Variances of a weight and of a bias, per unit; at least 0 and not both 0.

    Returns
    -------
    ndarray or float64, shape (...)
        In [-1, 1], up to rounding; accuracy that of the dual activation.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.dual_activation`.

    Examples
    --------
    >>> print(activation_limiting_cosine("tanh", 0.5, 1.0, 1.0).round(6))
    0.704705
    """
    cosine = as_cosine("cosine", cosine)
    layer = layer_of(norm_u, norm_v, sigma_w2, sigma_b2)
    rho = np.cos(angle(layer, cosine, 1.0 - cosine))
    var_u, var_v = layer.scale_u**2, layer.scale_v**2
    scale = np.sqrt(second_moment(activation, var_u) * second_moment(activation, var_v))
    return dual_activation(activation, rho, var_u=var_u, var_v=var_v) / scale


def activation_threshold(
    activation: _Named, norm_u: float, norm_v: float, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> float:
    r"""Largest cosine up to which wide layers raise it: the last zero of :math:`\hat c(c) - c`, falling.

    :math:`\hat c` is `activation_limiting_cosine`.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    norm_u, norm_v, sigma_w2, sigma_b2 : float
        As in `activation_limiting_cosine`; the norms positive.

    Returns
    -------
    float
        In [-1, 1]; -1 if no cosine is raised, 1 if all are. Error about 1e-12. A threshold within 1e-6 of 1 is
        reported as 1, and one beyond which the cosine is raised again on less than 1/32 is not resolved: at equal norms
        there is none above 0, where :math:`\hat c` is convex (``docs/theory.md``, 1.10).

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.dual_activation`.

    Notes
    -----
    Ours; ``docs/theory.md``, 14.2. Above the threshold wide layers lower the cosine, whatever the activation.

    Examples
    --------
    >>> round(activation_threshold("relu", 2.0, 1.0), 9)
    0.893864007
    """
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)

    def excess(c: ArrayLike) -> np.ndarray | np.float64:
        c = np.asarray(c)
        return activation_limiting_cosine(activation, c, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2) - c

    grid = np.linspace(-1.0, 1.0, _THRESHOLD_GRID)
    if layer.scale_u == layer.scale_v:  # equal inputs stay equal: what counts is the side from which 1 is reached
        drop = c_map_complement(activation, float(layer.lam) * _NEAR_ONE, var=layer.scale_u**2)
        if drop < _NEAR_ONE * (1 - _NOISE / _NEAR_ONE):
            return 1.0
        grid[-1] = 1.0 - _NEAR_ONE
    values = np.asarray(excess(grid))
    raised = np.flatnonzero(values > _NOISE)
    if raised.size == 0:
        return -1.0
    last = int(raised[-1])
    if last == grid.size - 1 or values[last + 1] >= -_NOISE:
        return float(grid[min(last + 1, grid.size - 1)])
    bracket = (float(grid[last]), float(grid[last + 1]))
    return float(root_scalar(lambda c: float(excess(c)), bracket=bracket, xtol=1e-14, rtol=1e-14).root)


def activation_failure_rate(
    activation: _Named, cosine: float, norm_u: float, norm_v: float, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> ActivationRate:
    r"""Exponential rate at which a layer of any activation fails to raise a nonnegative cosine, checked.

    Parameters
    ----------
    activation : str, callable or Activation
        A key of `conetheory.dual.ACTIVATIONS`, or a vectorised function, smooth but for a kink or a jump at 0.
    cosine : float
        In :math:`[0, \hat c)`, :math:`\hat c` its `activation_limiting_cosine`.
    norm_u, norm_v, sigma_w2, sigma_b2 : float
        As in `activation_limiting_cosine`; the norms positive.

    Returns
    -------
    ActivationRate
        The rate, the tilt and the balance that give it, and how far apart its two bounds are. Compared with the closed
        form for ReLU and leaky ReLU, absolute error below 1e-11. The check is in floating point, on one grid: no proof.
        Tried with unit variances at norms from 0.3 to 1000 (GELU) and 0.03 to 3 (tanh, erf): at smaller norms the
        pre-activations are nearly equal, at larger ones tanh is nearly a step, and an error may be raised.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.
    ConvergenceError
        If no dominating tilt is found inside the range of t where :math:`E e^{-tX_s}` is finite, or the tilted mean is
        no failure, or two grids disagree: the rate is checked, never assumed. So it is for norms far below or above
        the deviation of the bias (tanh and GELU at 1e-3, tanh at 1000).

    Notes
    -----
    Ours; ``docs/theory.md``, 14.5 to 14.7; dominating points: [2]_. A negative cosine is refused: its failures are not
    convex (14.4).

    Examples
    --------
    >>> found = activation_failure_rate("relu", 0.5, 1.0, 1.0)
    >>> round(found.rate, 10), found.gap < 1e-10
    (0.0833930107, True)
    """
    cosine = float(as_cosine("cosine", cosine))
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)
    theta = float(angle(layer, np.float64(cosine), np.float64(1.0 - cosine)))
    limit = float(activation_limiting_cosine(activation, cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2))
    if not 0 <= cosine < limit:
        raise ValueError(f"`cosine` must lie in [0, {limit:.6g}), its limiting cosine, got {cosine!r}.")
    if theta == 0:
        raise ValueError(f"`cosine` must leave the pre-activations different: they are equal at {cosine!r}.")
    pair = Pair(activation_function(activation), float(layer.scale_u), float(layer.scale_v), theta)
    found = dominating_tilt(pair, cosine)
    return ActivationRate(
        rate=found.rate,
        tilt=found.tilt,
        balance=found.balance,
        prefactor=found.prefactor,
        gap=found.gap,
        error=found.error,
    )
