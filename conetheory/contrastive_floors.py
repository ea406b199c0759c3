r"""What no embedding can beat: Welch's bound on cosines and the Bessel floor of the contrastive loss.

For :math:`n \le d + 1` pairs the floor of the CLIP loss is that of the simplex, `conetheory.contrastive.etf_floor`.
Beyond, the sphere is too small for n equal cosines; with
:math:`\psi_d(\beta) = \ln {}_0F_1(;\tfrac d2;\tfrac{\beta^2}4)`

.. math:: L \ge \ln n - \beta + \psi_d(\beta)

for every number n of pairs with :math:`x_i = y_i`, with equality in the limit of uniform points (``docs/theory.md``,
22.5).

References
----------
.. [1] L. R. Welch, "Lower bounds on the maximum cross correlation of signals", IEEE Trans. Inf. Theory 20, 1974.
.. [2] T. Wang and P. Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on
   the Hypersphere", ICML 2020, arXiv:2005.10242.
.. [3] L. Yi, R. Douady and C. Chen, "Decipher the Modality Gap in Multimodal Contrastive Learning", 2025,
   arXiv:2510.03268.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_count, as_positive
from ._bessel_ratio import integral
from .contrastive import etf_floor

__all__ = ["bessel_floor", "matched_floor", "welch_bound"]


def welch_bound(n: int, dim: int) -> float:
    r"""Floor of the largest :math:`|x_i\cdot x_j|`, :math:`i \ne j`, of n unit vectors: coherence.

    .. math:: \sqrt{\frac{n-d}{d(n-1)}}, \quad n > d; \qquad 0, \quad n \le d

    Parameters
    ----------
    n : int
        Number of vectors, at least 2.
    dim : int
        Dimension :math:`d \ge 1`.

    Returns
    -------
    float
        In [0, 1]. The root mean square of the cosines is at least this too. Attained by equiangular tight frames only.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    It bounds the size of the cosines, not their greatest value, whose floor is -1/(n - 1) for n <= d + 1 and 0 for
    n >= d + 2 up to 2d. Source: [1]_; ``docs/theory.md``, 22.3.

    Examples
    --------
    >>> print(round(welch_bound(6, 3), 12), welch_bound(4, 3) * 3)  # the icosahedron's axes, the simplex
    0.4472135955 1.0
    """
    n, dim = as_count("n", n, minimum=2), as_count("dim", dim)
    return float(np.sqrt(max(n - dim, 0) / (dim * (n - 1))))


def bessel_floor(dim: int, temperature: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Contrastive loss, less ln n, of many uniform points that equal their partners: the floor of coinciding pairs.

    .. math:: -\beta + \psi_d(\beta) = -\beta + \ln\Bigl(\Gamma(\nu+1)\,(2\tau)^\nu I_\nu(\beta)\Bigr)
              = -\int_0^\beta(1 - A_d(s))\,ds, \qquad \nu = \tfrac d2 - 1, \quad \beta = \tfrac1\tau

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 1` of the surrounding space.
    temperature : array_like, shape (...)
        τ > 0.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats, negative; each direction of the loss has it. Relative error 1e-13, checked for dimensions up to 1e5
        and temperatures down to 1e-3.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    It is `conetheory.sphere.uniformity_floor` at t = β/2. Proved for every n where :math:`x_i = y_i`
    (``docs/theory.md``, 22.5); [2]_ has the limit of one modality, [3]_, Theorem 1, of two, without that condition.

    Examples
    --------
    >>> print(bessel_floor(3, 0.1).round(4), bessel_floor(512, [0.07, 0.01]).round(2))
    -2.9957 [-14.09 -90.41]
    """
    dim, beta = as_count("dim", dim), 1.0 / as_positive("temperature", temperature)
    return -integral(dim, np.zeros_like(beta), beta, lambda s, rest, parts: parts.complement)


def matched_floor(n: int, dim: int, temperature: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Floor of the CLIP loss of n coinciding pairs, :math:`x_i = y_i`, in d dimensions: the larger of two bounds.

    .. math:: \max\Bigl(\ln\bigl(1 + (n-1)e^{-\beta n/(n-1)}\bigr),\ \ln n - \beta + \psi_d(\beta)\Bigr)

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    dim : int
        Dimension :math:`d \ge 1`.
    temperature : array_like, shape (...)
        τ > 0.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats. Attained for n <= d + 1, where the first is the larger; in the limit of many points, the second.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 22.5.

    Examples
    --------
    >>> print(matched_floor(1000, 3, 0.1).round(4), matched_floor(4, 3, 0.1).round(8))
    3.912 4.86e-06
    """
    crowded = np.log(as_count("n", n, minimum=2)) + bessel_floor(dim, temperature)
    return np.maximum(etf_floor(n, temperature), crowded)[()]
