r"""First correction in :math:`1/d` to the cosine after a ReLU layer of width :math:`d` (delta method).

For :math:`d` iid pairs of standard Gaussians of correlation :math:`\rho = \cos\theta` and the output cosine
:math:`c'`,

.. math:: E\,c' = \kappa + m/d + O(d^{-2}),\qquad \operatorname{Var} c' = v/d + O(d^{-2}),

.. math:: m = \kappa\,(J_{22} + \tfrac92) - 4J_{31},\qquad v = 4J_{22} + \kappa^2(3 + 2J_{22}) - 8\kappa J_{31},

with :math:`\kappa = 2J_{11}`; where :math:`c'` is undefined (probability at most :math:`2^{1-d}`) any value in [0, 1]
may be taken. Ours; `docs/theory.md`, section 1b. The expansion needs :math:`d` well above 10 and, near :math:`\rho =
-1`, where few units are active on both inputs, :math:`d(\pi - \theta)` well above 10 too.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_cosine
from ._relu_contrast import contrast_second_moment, one_minus_kappa, small_angle_mean
from .gaussian import relu_moment

__all__ = ["cosine_mean_correction", "cosine_variance"]


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
    Ours; `docs/theory.md`, 1b.3. Accurate relative to :math:`1 - \rho` near 1.

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
    Ours; `docs/theory.md`, 1b.2. Accurate relative to its size at both ends.

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
