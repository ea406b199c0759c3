r"""Joint moments of two rectified Gaussians.

For standard normals :math:`(G, W)` of correlation :math:`\cos\theta` and :math:`\varphi(t) = \max(t, 0)`,

.. math:: J_{ab}(\theta) = \mathbb{E}[\varphi(G)^a \varphi(W)^b]
          = \frac{2^{(a+b)/2}\,\Gamma(1 + (a+b)/2)}{2\pi} \int_0^{\psi} \sin^a t\,\sin^b(\psi - t)\,dt,
          \qquad \psi = \pi - \theta .

References
----------
.. [1] Y. Cho and L. K. Saul, "Kernel Methods for Deep Learning", NIPS 2009.
.. [2] C. Jakub and M. Nica, "Depth Degeneracy in Neural Networks", JMLR 25:239, 2024, arXiv:2302.09712.
"""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count
from conetheory._quadrature import sine_convolution

__all__ = ["quadrant_probability", "relu_moment"]

_MAX_ORDER = 64


def _as_angle(theta: ArrayLike) -> np.ndarray:
    array = as_array("theta", theta)
    if not np.all((array >= 0) & (array <= np.pi)):
        bad = array[~((array >= 0) & (array <= np.pi))].flat[0]
        raise ValueError(f"`theta` must lie in [0, pi], got {float(bad)!r}.")
    return array


def relu_moment(a: int, b: int, theta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Joint moment :math:`J_{ab} = \mathbb{E}[\varphi(G)^a \varphi(W)^b]` of two rectified standard normals.

    Small cases: :math:`J_{11} = [\sin\theta + (\pi-\theta)\cos\theta]/(2\pi)`,
    :math:`J_{22} = [(\pi-\theta)(1 + 2\cos^2\theta) + 3\sin\theta\cos\theta]/(2\pi)`,
    :math:`J_{31} = [3(\pi-\theta)\cos\theta + 3\sin\theta - \sin^3\theta]/(2\pi)`. A power 0 means the factor 1:
    :math:`J_{00} = 1` and :math:`J_{a0}` is the moment of one rectified normal, free of :math:`\theta`.

    Parameters
    ----------
    a, b : int
        Powers, at least 0, of sum at most 64.
    theta : array_like, shape (...)
        Angle of the two normals in radians, in [0, pi]: the arc cosine of their correlation.

    Returns
    -------
    ndarray or float64, shape (...)
        The moment, at least 0.

    Raises
    ------
    ValueError, TypeError
        If a power is not an integer in its range, or `theta` is not in [0, pi].

    Notes
    -----
    The closed forms lose every digit near :math:`\theta = \pi`, where :math:`J_{ab} \sim (\pi-\theta)^{a+b+1}`. The
    integral of a positive function by a Gauss-Legendre rule of 16 + a + b points does not: relative error below 1e-14
    on all of [0, pi] (until the value underflows), where `theta` is read as the angle that lies ``np.pi - theta`` below
    :math:`\pi`, so that ``np.pi`` itself gives 0.

    Source: [1]_ (a = b), [2]_ (general); the form above: ``docs/theory.md``, 1.4.

    Examples
    --------
    >>> float(relu_moment(2, 0, 1.0))
    0.5
    >>> bool(abs(relu_moment(1, 1, np.pi / 2) - 1 / (2 * np.pi)) < 1e-16)
    True
    """
    a, b = as_count("a", a, minimum=0), as_count("b", b, minimum=0)
    if a + b > _MAX_ORDER:
        raise ValueError(f"`a` + `b` must be at most {_MAX_ORDER}, got {a} + {b}.")
    theta = _as_angle(theta)
    if a == 0 or b == 0:
        return np.full(theta.shape, _half_line_moment(a + b))[()]
    return _radial_moment(a + b) / (2 * np.pi) * sine_convolution(a, b, np.pi - theta)


def quadrant_probability(theta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Probability :math:`(\pi - \theta)/(2\pi)` that two standard normals at the angle `theta` are both positive.

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle in radians, in [0, pi]: the arc cosine of the correlation.

    Returns
    -------
    ndarray or float64, shape (...)
        A probability in [0, 1/2], to one rounding error (`theta` read as in `relu_moment`).

    Raises
    ------
    ValueError
        If `theta` is not in [0, pi].

    Notes
    -----
    Source: Sheppard (1899); ``docs/theory.md``, 1.3.

    Examples
    --------
    >>> float(quadrant_probability(np.pi / 2))
    0.25
    """
    return (np.pi - _as_angle(theta)) / (2 * np.pi)


def _radial_moment(n: int) -> float:
    """Return E[R^n] = 2^(n/2) Gamma(1 + n/2) for the length R of a standard normal vector in the plane."""
    return math.prod(range(n, 0, -2)) * (math.sqrt(math.pi / 2) if n % 2 else 1.0)


def _half_line_moment(n: int) -> float:
    """Return E[relu(G)^n] = 2^(n/2 - 1) Gamma((n + 1)/2) / sqrt(pi), or 1 for n = 0."""
    if n == 0:
        return 1.0
    return math.prod(range(n - 1, 0, -2)) * (1 / math.sqrt(2 * math.pi) if n % 2 else 0.5)
