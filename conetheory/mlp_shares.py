r"""Shares of initialisation in perceptrons of any activation: in mean field, to order 1/width, and a sharp bound.

Theorem 2 of [1]_ beyond ReLU layers with weights and biases of variance 1/d. Variances are those of
`conetheory.meanfield`: biases per unit, weights times the number of inputs of a layer.

References
----------
.. [1] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053,
   Theorems 2 and 4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_count, as_nonnegative, as_positive
from conetheory._kernel_expansion import expand_kernel
from conetheory._unit_moments import mean_terms
from conetheory.dual import Activation, activation_function, dual_derivative
from conetheory.init_variance import theorem4_bound
from conetheory.meanfield import cone_curve

__all__ = ["LayerShares", "mlp_share", "mlp_share_at_width", "share_bound"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerShares:
    """Share of initialisation in a unit of each layer.

    Attributes
    ----------
    pre, post : ndarray, shape (depth,)
        Before and after the activation of layers 1 to depth.
    pre_complement, post_complement : ndarray, shape (depth,)
        One minus these, with the digits that they lose near 1.
    """

    pre: np.ndarray
    post: np.ndarray
    pre_complement: np.ndarray
    post_complement: np.ndarray


def mlp_share(
    activation: str | Callable | Activation,
    depth: int,
    *,
    q0: float = 1.0,
    rho0: float = 0.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> LayerShares:
    r"""Share of initialisation in every layer of an infinitely wide perceptron, before and after the activation.

    .. math:: \text{pre} = \frac{\sigma_w^2 q\rho + \sigma_b^2}{\sigma_w^2 q + \sigma_b^2} = \rho_1, \qquad
              \text{post} = 1 - \frac{q'(1 - \rho')}{\mathrm{Var}\,\phi(\sqrt{k} z)} \le \text{pre for } \rho_1 \ge 0

    Parameters
    ----------
    activation : str, callable or Activation
        A name in `conetheory.dual.ACTIVATIONS`, or a vectorised function.
    depth : int
        Number of layers, at least 1.
    q0 : float
        Mean square of an input coordinate, the same for every input; positive.
    rho0 : float
        Cosine of two independent inputs, in [-1, 1]: 0 for the uniform law on a sphere of high dimension.
    sigma_w2, sigma_b2 : float
        Weight variance times the number of inputs of a layer; bias variance per unit (`conetheory.meanfield`).
        For ReLU only their ratio and that of `sigma_b2` to `q0` matter: ``q0 = sigma_b2 = 1`` is the setting of [1]_.

    Returns
    -------
    LayerShares
        The shares.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.meanfield.cone_curve`; also if the activation is constant.

    Notes
    -----
    Accurate as `conetheory.meanfield.cone_curve`, whose complement it uses. Source: ours, ``docs/theory.md``, 18.2;
    `relu_share` is the case of [1]_.

    Examples
    --------
    >>> mlp_share("relu", 3, sigma_b2=1.0).post.round(6)
    array([0.426422, 0.75165 , 0.886714])
    >>> mlp_share("tanh", 3, sigma_b2=1.0).post.round(3)
    array([0.454, 0.781, 0.915])
    """
    phi, depth = activation_function(activation), as_count("depth", depth)
    curve = cone_curve(activation, depth, q0=q0, rho0=rho0, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    k = sigma_w2 * curve.q[:-1] + sigma_b2
    variance = [_positive_variance(mean_terms(phi, float(at)).variance, at) for at in k]
    return _layer_shares(
        sigma_w2 * curve.q[:-1] * curve.complement[:-1] / k, curve.q[1:] * curve.complement[1:] / variance
    )


def mlp_share_at_width(
    activation: str | Callable | Activation,
    depth: int,
    width: int,
    *,
    q0: float = 1.0,
    rho0: float = 0.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
    input_dim: int | None = None,
) -> LayerShares:
    r"""`mlp_share` with the correction of order 1/width.

    Parameters
    ----------
    activation, depth, q0, rho0, sigma_w2, sigma_b2
        As in `mlp_share`, but `rho0` in [0, 1).
    width : int
        Units of every layer.
    input_dim : int, optional
        As in `conetheory.cone_band.cone_band`: the inputs' coordinates, so many, are iid and jointly normal over the
        inputs. Without it every two inputs have cosine `rho0`.

    Returns
    -------
    LayerShares
        The shares, up to :math:`O(\text{width}^{-2})`.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `mlp_share`.

    Notes
    -----
    The shares are ratios of expectations, exact in terms of :math:`\mathbb{E} h^2, \mathbb{E} hh', \mathbb{E} h`, whose
    shifts are those of `conetheory.cone_band`. Source: ours, ``docs/theory.md``, 18.3.

    Examples
    --------
    >>> mlp_share_at_width("relu", 3, 64, sigma_b2=1.0, input_dim=64).post.round(4)
    array([0.4275, 0.7524, 0.8872])
    """
    phi, depth = activation_function(activation), as_count("depth", depth)
    found = expand_kernel(
        activation, depth, width, 2, q0=q0, rho0=rho0, sigma_w2=sigma_w2, sigma_b2=sigma_b2, input_dim=input_dim
    )
    q, spread = found.curve.q, found.curve.q * found.curve.complement * (1 + found.shift[:, 1])
    own = sigma_w2 * q[:-1]
    k = own + sigma_b2
    pre = sigma_w2 * spread[:-1] / (own * (1 + found.shift[:-1, 0]) + sigma_b2)
    mean = own / k * found.shift[:-1, 0]  # relative shift of the variance of a pre-activation, and its variance
    square = (own / k) ** 2 * (found.pair[:-1, 0, 0] + found.difference[:-1])
    post = np.empty(depth)
    for i in range(depth):
        unit = mean_terms(phi, float(k[i]))
        drift = 2 * unit.mean * (unit.mean_k * mean[i] + unit.mean_kk * square[i] / 2)  # of the square of the mean
        post[i] = spread[i + 1] / (_positive_variance(unit.variance, k[i]) + q[i + 1] * found.shift[i + 1, 0] - drift)
    return _layer_shares(pre, post)


def share_bound(
    beta: ArrayLike,
    activation: str | Callable | Activation,
    *,
    q: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Lower bound on the share of initialisation of a unit with any activation, the best that is linear in β.

    .. math:: \text{share} \ge 1 - C_\phi\,(1 - \beta), \qquad
              C_\phi = \frac{\sigma_w^2 q\,\mathbb{E}\,\phi'(\sqrt{k} z)^2}{\mathrm{Var}\,\phi(\sqrt{k} z)}, \qquad
              k = \sigma_w^2 q + \sigma_b^2

    Parameters
    ----------
    beta : array_like, shape (...)
        Mean cosine of the layer below at two independent inputs, in [0, 1].
    activation : str, callable or Activation
        A name in `conetheory.dual.ACTIVATIONS`, or a vectorised function, smooth but for a kink at 0.
    q : float
        Mean square of a unit of the layer below, the same for every input; positive.
    sigma_w2, sigma_b2 : float
        Weight variance times the number of inputs of the layer; bias variance per unit (`conetheory.meanfield`).

    Returns
    -------
    ndarray or float64, shape (...)
        The bound; it may be negative. Theorem 4's bound β holds at every β if and only if :math:`C_\phi \le 1`, which
        needs a bias unless φ is affine.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or the activation is constant or jumps at 0.
    ConvergenceError
        If a quadrature fails.

    Notes
    -----
    Exact at any width of the layers below. For ReLU with :math:`\sigma_w^2 q = \sigma_b^2` it is `proof_bound`; the
    constant cannot be improved. Accurate to about 1e-12 of C. Source: ours, ``docs/theory.md``, 18.4.

    Examples
    --------
    >>> round(float(share_bound(0.0, "relu", sigma_b2=1.0)), 6)  # of the proof of Theorem 4: 1 - .733471
    0.266529
    >>> round(float(share_bound(0.5, "relu")), 6)  # without bias it lies below 0.5, as the share itself may
    0.266529
    """
    beta = np.asarray(theorem4_bound(beta))  # validated
    own = float(as_positive("sigma_w2", sigma_w2)) * float(as_positive("q", q))
    k = own + float(as_nonnegative("sigma_b2", sigma_b2))
    variance = _positive_variance(mean_terms(activation_function(activation), k).variance, k)
    slope = float(dual_derivative(activation, 1.0, var_u=k, var_v=k))  # k E φ'²
    if not np.isfinite(slope):
        raise ValueError("`activation` must be continuous, got one whose mean square slope is infinite.")
    return (1 - own / k * slope / variance * (1 - beta))[()]


def _layer_shares(pre: np.ndarray, post: np.ndarray) -> LayerShares:
    return LayerShares(pre=1 - pre, post=1 - post, pre_complement=pre, post_complement=post)


def _positive_variance(variance: float, k: float) -> float:
    if not variance > 0:
        raise ValueError(f"`activation` must not be constant: its variance at variance {k:.6g} is {variance}.")
    return variance
