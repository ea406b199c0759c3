r"""Corrections in :math:`1/d` to the cosine after a ReLU layer of width :math:`d` (delta method).

For :math:`d` iid pairs of standard Gaussians of correlation :math:`\rho = \cos\theta` and the output cosine
:math:`c'`,

.. math:: E\,c' = \kappa + m/d + O(d^{-2}),\qquad \operatorname{Var} c' = v/d + O(d^{-2}),

.. math:: m = \kappa\,(J_{22} + \tfrac92) - 4J_{31},\qquad v = 4J_{22} + \kappa^2(3 + 2J_{22}) - 8\kappa J_{31},

with :math:`\kappa = 2J_{11}`; where :math:`c'` is undefined (probability at most :math:`2^{1-d}`) any value in [0, 1]
may be taken. Ours; `docs/theory.md`, section 1b. The expansion needs :math:`d` well above 10 and, near :math:`\rho =
-1`, where few units are active on both inputs, :math:`d(\pi - \theta)` well above 10 too. `cosine_expansion` has the
first four cumulants to :math:`d^{-3}`; section 15 of `docs/theory.md`.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_cosine
from ._layer_cumulants import CumulantExpansion, Cumulants, cosine_complement, expand
from ._relu_contrast import contrast_second_moment, one_minus_kappa, small_angle_mean
from .gaussian import relu_moment

__all__ = ["CumulantExpansion", "Cumulants", "cosine_expansion", "cosine_mean_correction", "cosine_variance"]

_SMALLEST_ANGLE = 1e-100  # stands for 0, where the coefficients, relative to 1 - kappa, have a limit


def cosine_expansion(rho: ArrayLike) -> CumulantExpansion:
    r"""Cumulants of the output cosine in powers of :math:`1/d`, up to :math:`d^{-3}`.

    .. math:: E\,c' = \kappa + \frac{m}{d} + \frac{m_2}{d^2} + \frac{m_3}{d^3} + O(d^{-4}),\qquad
              \operatorname{Var} c' = \frac{v}{d} + \frac{v_2}{d^2} + \frac{v_3}{d^3} + O(d^{-4})

    Parameters
    ----------
    rho : array_like, shape (...)
        Correlation of the pre-activations, in [-1, 1].

    Returns
    -------
    CumulantExpansion
        Coefficients of shape (4, ...). Those of the mean beyond the first, of the variance, of the third and of the
        fourth cumulant vanish at 1 like :math:`1 - \rho` to the power 1, 2, 3, 4, and are accurate relative to that.

    Raises
    ------
    ValueError
        If `rho` is outside [-1, 1].

    Notes
    -----
    The expansion is asymptotic: it needs `width` well above 10 and :math:`d(\pi - \theta)` well above 10. The sum
    to :math:`d^{-3}` agrees with a million simulated layers: the mean to 1.5e-4 (their noise), the variance to 1 % at
    width 32 and 5 % at 16, for angles .5 and 1.5. Ours; ``docs/theory.md``, 15.1 and 15.2.

    Examples
    --------
    >>> cosine_expansion(0.5).mean.round(4)
    array([ 0.609 , -0.0696,  0.1002,  0.543 ])
    """
    theta = np.arccos(as_cosine("rho", rho))
    drop = one_minus_kappa(theta)
    relative = expand(cosine_complement, np.maximum(theta, _SMALLEST_ANGLE))
    mean = -drop * relative.mean
    mean[0] = np.where(theta < np.pi / 2, 1.0 - drop, 2.0 * relu_moment(1, 1, theta))
    return CumulantExpansion(
        mean=mean,
        variance=drop**2 * relative.variance,
        third=-(drop**3) * relative.third,
        fourth=drop**4 * relative.fourth,
    )


def cosine_mean_correction(rho: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Coefficient :math:`m` of :math:`1/d` in the mean of the output cosine.

    Parameters
    ----------
    rho : array_like, shape (...)
        Correlation of the pre-activations, in [-1, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`m`; 0 at -1 and at 1, where it is :math:`-2(1-\rho)` to first order.

    Raises
    ------
    ValueError
        If `rho` is outside [-1, 1].

    Notes
    -----
    The next term is :math:`O(d^{-2})`: use widths well above 10, and :math:`d(\pi - \theta)` too. Ours;
    `docs/theory.md`, 1b.3. Accurate relative to :math:`1 - \rho` near 1.

    Examples
    --------
    >>> print((cosine_mean_correction(0.0) * np.pi).round(12))
    0.75
    """
    theta = np.arccos(as_cosine("rho", rho))
    j11, j22, j31 = (relu_moment(a, b, theta) for a, b in ((1, 1), (2, 2), (3, 1)))
    wide = 2.0 * j11 * (j22 + 4.5) - 4.0 * j31
    return np.where(theta < np.pi / 2, small_angle_mean(theta), wide)[()]


def cosine_variance(rho: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Coefficient :math:`v` of :math:`1/d` in the variance of the output cosine.

    Parameters
    ----------
    rho : array_like, shape (...)
        Correlation of the pre-activations, in [-1, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`v \ge 0`; 0 only at -1 and at 1, where it is :math:`8(1-\rho)^2` to first order.

    Raises
    ------
    ValueError
        If `rho` is outside [-1, 1].

    Notes
    -----
    The next term is :math:`O(d^{-2})`: use widths well above 10, and :math:`d(\pi - \theta)` too. Ours;
    `docs/theory.md`, 1b.2. Accurate relative to its size at both ends.

    Examples
    --------
    >>> print(cosine_variance([-1.0, 1.0]))
    [0. 0.]
    """
    theta = np.arccos(as_cosine("rho", rho))
    j11, j22, j31 = (relu_moment(a, b, theta) for a, b in ((1, 1), (2, 2), (3, 1)))
    kappa = 2.0 * j11
    wide = 4.0 * j22 + kappa * (kappa * (3.0 + 2.0 * j22) - 8.0 * j31)
    return np.where(theta < np.pi / 2, contrast_second_moment(one_minus_kappa(theta), theta), wide)[()]
