r"""Mean field: the mean square and the mutual cosine of points that pass through infinitely wide random layers.

A layer is h -> phi(W h + b), its pre-activations Gaussian of variance :math:`k = \sigma_w^2 q + \sigma_b^2` and
correlation :math:`(\sigma_w^2 q \rho + \sigma_b^2)/k`, where q is the mean square of a unit before the layer and
:math:`\rho` the cosine of the two points. Variances are per unit here: a layer with biases of variance
:math:`1/d` and weights of variance :math:`1/d`, applied to points of squared norm d, has ``sigma_w2 = 1``,
``sigma_b2 = 1/d`` and starts at ``q0 = 1``.

References
----------
.. [1] B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, "Exponential Expressivity in Deep Neural
   Networks through Transient Chaos", NIPS 2016, arXiv:1606.05340.
.. [2] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Fig. 2(b).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_cosine, as_count, as_nonnegative, as_positive
from conetheory._dual_table import resolve
from conetheory.dual import Activation, c_map_complement, second_moment
from conetheory.errors import ConvergenceError

__all__ = ["ConeCurve", "LayerState", "cone_curve", "layer_map", "mean_with_diagonal", "relu_unit_norm_recursion"]


_LEAST = 1e-280  # a variance below which squares of the values underflow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerState:
    """Mean square and mutual cosine after one layer.

    Attributes
    ----------
    q : ndarray or float64, shape (...)
        Mean square of a unit.
    rho : ndarray or float64, shape (...)
        Cosine of two points, in [-1, 1].
    """

    q: np.ndarray | np.float64
    rho: np.ndarray | np.float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConeCurve:
    """The cone effect over depth: index l is the state after l layers, 0 the input.

    Attributes
    ----------
    q : ndarray, shape (depth + 1,)
        Mean square of a unit; far from criticality it may underflow to 0 or overflow to inf under a homogeneous
        activation, which harms the cosines in nothing.
    rho : ndarray, shape (depth + 1,)
        Cosine of two points.
    complement : ndarray, shape (depth + 1,)
        1 - rho, with the digits that `rho` loses near 1.
    """

    q: np.ndarray
    rho: np.ndarray
    complement: np.ndarray


def _step(activation: str | Callable | Activation, q, complement, sigma_w2: float, sigma_b2: float):
    """Return q and 1 - rho after one layer; the shared bias enters 1 - rho through the factor sigma_w2 q / k alone."""
    phi = resolve(activation)
    with np.errstate(over="ignore"):
        kept = np.multiply(sigma_w2, q)
        k = kept + sigma_b2
        if phi.degree is not None:  # the C-map knows no scale: not even a mean square of 0 or inf stops the cosine
            lone = np.isinf(k) if sigma_b2 > 0 else True
            share = np.where(lone, 1.0, kept / np.where(lone, 1.0, k))
            return second_moment(phi, 1.0) * k**phi.degree, c_map_complement(phi, share * complement)
    if not np.all((k > _LEAST) & (k < np.inf)):
        raise _out_of_range(phi, k)
    with np.errstate(over="ignore", invalid="ignore"):
        after = second_moment(phi, k), c_map_complement(phi, kept / k * complement, var=k)
    if not np.all(np.isfinite(after[1])):
        raise _out_of_range(phi, k)
    return after


def _out_of_range(phi: Activation, k) -> ConvergenceError:
    return ConvergenceError(
        f"The mean square under {phi.name} has left the range of floats: a pre-activation has the variance "
        f"{float(np.max(k)):.6g}.",
        value=float(np.max(k)),
        error=np.inf,
    )


def layer_map(
    activation: str | Callable | Activation,
    q: ArrayLike,
    rho: ArrayLike,
    *,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> LayerState:
    r"""Map mean square and cosine through one infinitely wide layer.

    .. math:: k = \sigma_w^2 q + \sigma_b^2, \qquad q' = \mathbb{E}\,\phi(\sqrt{k} z)^2, \qquad
              \rho' = c_k\big((\sigma_w^2 q\rho + \sigma_b^2)/k\big)

    Parameters
    ----------
    activation : str, callable or Activation
        A name in `conetheory.dual.ACTIVATIONS`, or a vectorised function.
    q : array_like, shape (...)
        Mean square of a unit, the same for both points; positive.
    rho : array_like, shape (...)
        Cosine of the points, in [-1, 1]; broadcast against `q`.
    sigma_w2 : float
        Weight variance times the number of inputs of the layer, positive.
    sigma_b2 : float
        Bias variance per unit, at least 0.

    Returns
    -------
    LayerState
        q' and rho', of the broadcast shape.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        If an argument is out of range, the activation vanishes, or its quadrature fails (`conetheory.dual`: without a
        closed form that is so beyond variances of a few thousand); ConvergenceError also if the variance of a
        pre-activation leaves the range of floats, unless the activation is homogeneous.

    Notes
    -----
    Absolute error of rho' about 1e-15 (closed form) or 1e-12 (quadrature). Source: [1]_, eqs. (3) and (5).

    Examples
    --------
    >>> print(layer_map("relu", 1.0, 0.0, sigma_b2=1.0).q.round(12))
    1.0
    """
    q, rho = np.broadcast_arrays(as_positive("q", q), as_cosine("rho", rho))
    after, complement = _step(activation, q, 1 - rho, *_variances(sigma_w2, sigma_b2))
    return LayerState(q=after, rho=1 - complement)


def cone_curve(
    activation: str | Callable | Activation,
    depth: int,
    *,
    q0: float = 1.0,
    rho0: float = 0.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> ConeCurve:
    r"""Cosine of two points after each of `depth` infinitely wide layers.

    The recursion is carried in :math:`1 - \rho`, so that the approach to the cone keeps its digits (``docs/theory.md``,
    3.4).

    Parameters
    ----------
    activation : str, callable or Activation
        A name in `conetheory.dual.ACTIVATIONS`, or a vectorised function.
    depth : int
        Number of layers, at least 0.
    q0 : float
        Mean square of an input coordinate, positive.
    rho0 : float
        Cosine of the two inputs, in [-1, 1]; 0 for independent centred inputs of high dimension.
    sigma_w2, sigma_b2 : float
        As in `layer_map`.

    Returns
    -------
    ConeCurve
        Arrays of length depth + 1. `complement` is accurate to about 1e-15 a layer, relative, for linear, relu and
        leaky_relu, and as `conetheory.dual.c_map_complement` says for the others.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `layer_map`.

    Notes
    -----
    Source: [1]_; with ``sigma_b2 = 1 / 512`` the infinite-width limit of Fig. 2(b) of [2]_, diagonal excluded.

    Examples
    --------
    >>> cone_curve("relu", 2).rho.round(6)
    array([0.      , 0.31831 , 0.493731])
    """
    depth = as_count("depth", depth, minimum=0)
    q, complement = np.empty(depth + 1), np.empty(depth + 1)
    q[0], complement[0] = as_positive("q0", q0), 1 - as_cosine("rho0", rho0)
    variances = _variances(sigma_w2, sigma_b2)
    for layer in range(depth):
        q[layer + 1], complement[layer + 1] = _step(activation, q[layer], complement[layer], *variances)
    return ConeCurve(q=q, rho=1 - complement, complement=complement)


def _variances(sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    return float(as_positive("sigma_w2", sigma_w2)), float(as_nonnegative("sigma_b2", sigma_b2))


def relu_unit_norm_recursion(depth: int) -> Float[np.ndarray, " layers"]:
    r"""Cosines in the setting of Theorems 1 and 2: unit norms, weights and biases of variance 1/d, ReLU.

    .. math:: \rho_0 = 0, \qquad \rho_{l+1} = \kappa\big((1 + \rho_l)/2\big), \qquad
              \kappa(\cos\theta) = [\sin\theta + (\pi - \theta)\cos\theta]/\pi

    Parameters
    ----------
    depth : int
        Number of layers, at least 0.

    Returns
    -------
    ndarray, shape (depth + 1,)
        :math:`\rho_0, \dots, \rho_{depth}`; the norms stay 1.

    Raises
    ------
    ValueError, TypeError
        If `depth` is not an integer of at least 0.

    Notes
    -----
    Accurate to 1e-15; ``cone_curve("relu", depth, sigma_b2=1.0)`` also gives the complement. :math:`1 - \rho_l` falls
    like :math:`2^{-l}`. Source: ours, ``docs/theory.md``, 3.6.

    Examples
    --------
    >>> relu_unit_norm_recursion(3).round(6)
    array([0.      , 0.608998, 0.830702, 0.922774])
    """
    return cone_curve("relu", depth, sigma_b2=1.0).rho


def mean_with_diagonal(rho: ArrayLike, n: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean :math:`((n-1)\rho + 1)/n` of a full n x n cosine matrix whose off-diagonal mean is `rho`.

    Parameters
    ----------
    rho : array_like, shape (...)
        Mean cosine of distinct points, in [-1, 1].
    n : int
        Number of points, at least 1.

    Returns
    -------
    ndarray or float64, shape (...)
        The mean with the diagonal, which [2]_ plots in Fig. 2(b) with n = 1024.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> float(mean_with_diagonal(0.0, 4))
    0.25
    """
    rho, n = as_cosine("rho", rho), as_count("n", n)
    return rho + (1 - rho) / n
