r"""Two points in the layers of a tower: dense layers, activations, RMSNorm and LayerNorm at infinite width.

A point u of width n is described by the mean :math:`m_u` and the variance :math:`s_u` of its units, a pair by the
cosine of the centred points :math:`u - m_u`, :math:`v - m_v` as well (Pearson's correlation of their units). Mean
square and cosine follow: :math:`q_u = s_u + m_u^2`, and :math:`m = 0` behind every dense layer without a mean. A layer
is a function from `PairState` to `PairState`; `conetheory.residual` builds blocks of them. Gain and bias of a
normalisation have their initial values 1 and 0, and its :math:`\epsilon` is 0.

References
----------
.. [1] B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, "Exponential Expressivity in Deep Neural
   Networks through Transient Chaos", NIPS 2016, arXiv:1606.05340.
.. [2] A. Joudaki, H. Daneshmand and F. Bach, "On the Impact of Activation and Normalization in Obtaining Isometric
   Embeddings at Initialization", NeurIPS 2023, arXiv:2305.18399.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_complement, as_nonnegative, as_positive
from conetheory._dual_table import pointwise, resolve
from conetheory._quadrature import line_mean
from conetheory.dual import Activation, c_map_complement, dual_activation, second_moment

__all__ = [
    "PairState",
    "activate",
    "activation_mean",
    "dense",
    "layer_norm",
    "rms_norm",
    "sum_complement",
]

_CONSTANT = 1e-30  # share of the variance in the mean square that rounding alone can give
_SPLIT = 2.0**27 + 1  # halves the digits of a float64
_TINY = 1e-280  # a product above it has all its digits

_Real = np.ndarray | np.float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairState:
    """Two points between layers.

    Attributes
    ----------
    var_u, var_v : ndarray or float64, shape (...)
        Variance of the units of each point, positive; their mean square where the means are 0.
    complement : ndarray or float64, shape (...)
        1 - the cosine of the centred points, in [0, 2].
    mean_u, mean_v : ndarray or float64, shape (...)
        Mean of the units of each point.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range; any array_like is accepted, and all are broadcast.

    Examples
    --------
    >>> float(PairState(var_u=1.0, var_v=1.0, complement=1.0, mean_u=1.0, mean_v=1.0).cosine)
    0.5
    """

    var_u: ArrayLike
    var_v: ArrayLike
    complement: ArrayLike
    mean_u: ArrayLike = 0.0
    mean_v: ArrayLike = 0.0

    def __post_init__(self) -> None:
        arrays = {
            "var_u": as_positive("var_u", self.var_u),
            "var_v": as_positive("var_v", self.var_v),
            "complement": as_complement("complement", self.complement),
            "mean_u": as_array("mean_u", self.mean_u),
            "mean_v": as_array("mean_v", self.mean_v),
        }
        for name, array in zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True):
            object.__setattr__(self, name, array[()])

    @property
    def q_u(self) -> np.ndarray:
        """Mean square of the units of u."""
        return np.asarray(self.var_u + np.square(self.mean_u))

    @property
    def q_v(self) -> np.ndarray:
        """Mean square of the units of v."""
        return np.asarray(self.var_v + np.square(self.mean_v))

    @property
    def cosine_complement(self) -> np.ndarray | np.float64:
        """1 - the cosine of the points themselves, without cancellation."""
        opposite = np.where(np.sign(self.mean_u) * np.sign(self.mean_v) < 0, 2.0, 0.0)
        return sum_complement(
            (self.var_u, self.var_v, self.complement), (np.square(self.mean_u), np.square(self.mean_v), opposite)
        )

    @property
    def cosine(self) -> np.ndarray | np.float64:
        """Cosine of the points themselves."""
        return 1 - self.cosine_complement


def sum_complement(first: tuple, second: tuple) -> Float[np.ndarray, "..."] | np.float64:
    r"""1 - cosine of the sums of two pairs that are orthogonal to each other.

    .. math:: 1 - \rho = \frac1{\sqrt{k_u k_v}} \Bigl[\sqrt{p_u p_v}\,\epsilon + \sqrt{r_u r_v}\,\eta
              + \frac{(\sqrt{p_u r_v} - \sqrt{p_v r_u})^2}{\sqrt{k_u k_v} + \sqrt{p_u p_v} + \sqrt{r_u r_v}}\Bigr],
              \qquad k = p + r

    Parameters
    ----------
    first : tuple of array_like, shapes (...)
        :math:`p_u, p_v` and :math:`\epsilon`: the mean squares of the first pair, and 1 - its cosine.
    second : tuple of array_like, shapes (...)
        :math:`r_u, r_v` and :math:`\eta`: those of the second pair.

    Returns
    -------
    ndarray or float64, shape (...)
        A sum of terms of one sign, relative error a few eps: the root of the last comes from
        :math:`p_u r_v - p_v r_u`, which is computed from exact products.

    Raises
    ------
    ValueError
        If a mean square or a complement is out of range, or both parts of a sum are 0.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 9.2.

    Examples
    --------
    >>> float(sum_complement((1.0, 1.0, 1e-30), (1.0, 1.0, 0.0)))
    5e-31
    """
    p_u, p_v, eps = (check("first", x) for check, x in zip(_CHECKS, first, strict=True))
    r_u, r_v, eta = (check("second", x) for check, x in zip(_CHECKS, second, strict=True))
    p_u, r_u = _same_scale(p_u, r_u)
    p_v, r_v = _same_scale(p_v, r_v)
    norm = _root(as_positive("first + second", p_u + r_u), as_positive("first + second", p_v + r_v))
    p, r = _root(p_u, p_v), _root(r_u, r_v)
    across = _root(p_u, r_v) + _root(p_v, r_u)
    turn = np.divide(_determinant(p_u, r_u, p_v, r_v), across, out=np.zeros(across.shape), where=across > 0) ** 2
    return np.minimum((p * eps + r * eta + turn / (norm + p + r)) / norm, 2.0)  # above 2 by rounding only


_CHECKS = (as_nonnegative, as_nonnegative, as_complement)


def _same_scale(p: _Real, r: _Real) -> tuple[_Real, _Real]:
    """Return both divided by one power of two, which brings the greater to [1/2, 1)."""
    exponent = -np.frexp(np.maximum(p, r))[1]
    return np.ldexp(p, exponent), np.ldexp(r, exponent)


def _root(x: _Real, y: _Real) -> np.ndarray:
    """Return the root of xy, for numbers of at most order 1 whose product may underflow."""
    product = x * y
    return np.where(product > _TINY, np.sqrt(product), np.sqrt(x) * np.sqrt(y))


def _determinant(a: _Real, b: _Real, c: _Real, d: _Real) -> _Real:
    """Return ad - bc to a few eps of itself (Dekker's products), for numbers of order 1."""
    plus, minus = a * d, b * c
    return (plus - minus) + (_rounded_off(a, d, plus) - _rounded_off(b, c, minus))


def _rounded_off(x: _Real, y: _Real, product: _Real) -> _Real:
    """Return xy - `product` exactly, `product` the rounded xy."""
    (x_high, x_low), (y_high, y_low) = _halves(x), _halves(y)
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _halves(x: _Real) -> tuple[_Real, _Real]:
    scaled = x * _SPLIT
    high = scaled - (scaled - x)
    return high, x - high


def dense(state: PairState, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0) -> PairState:
    r"""Dense layer :math:`x \mapsto Wx + b` with centred independent weights and biases.

    .. math:: k_u = \sigma_w^2 q_u + \sigma_b^2, \qquad
              \sqrt{k_u k_v}\,\rho' = \sigma_w^2 \sqrt{q_u q_v}\,\rho + \sigma_b^2

    Parameters
    ----------
    state : PairState
        Before the layer.
    sigma_w2 : float
        Weight variance times the number of inputs, positive.
    sigma_b2 : float
        Bias variance per unit, at least 0.

    Returns
    -------
    PairState
        Of means 0.

    Raises
    ------
    ValueError, TypeError
        If a variance is out of range.

    Notes
    -----
    Relative error of the complement a few eps, given the mean squares (those of points with means are rounded).
    Source: [1]_, eq. (4); without cancellation: ``docs/theory.md``, 9.2.

    Examples
    --------
    >>> float(dense(PairState(var_u=1.0, var_v=1.0, complement=1.0), sigma_b2=1.0).complement)
    0.5
    """
    weight, bias = float(as_positive("sigma_w2", sigma_w2)), float(as_nonnegative("sigma_b2", sigma_b2))
    ratio = bias / weight  # of one weight, and so not rounded with the mean squares
    complement = sum_complement((state.q_u, state.q_v, state.cosine_complement), (ratio, ratio, 0.0))
    return PairState(var_u=weight * state.q_u + bias, var_v=weight * state.q_v + bias, complement=complement)


def activate(state: PairState, activation: str | Callable | Activation) -> PairState:
    r"""Activation of Gaussian pre-activations; its mean goes to the means, the rest to variances and complement.

    .. math:: s' = \mathbb{E}\phi(\sqrt{s} z)^2 - m'^2, \quad m' = \mathbb{E}\phi(\sqrt{s} z), \qquad
              \epsilon' = \frac{1 - c_s(1 - \epsilon)}{1 - c_s(0)} \quad (s_u = s_v)

    Parameters
    ----------
    state : PairState
        Of means 0, as `dense` leaves it.
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.

    Returns
    -------
    PairState
        After the activation.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        If the means are not 0; if the activation is constant; as `conetheory.dual.dual_activation`.

    Notes
    -----
    :math:`s' = (1 - c_s(0))\,\mathbb{E}\phi^2` without a difference: variances, and at equal variances the complement,
    are as accurate as `conetheory.dual.c_map_complement`. At unequal ones the complement is a difference, of absolute
    error about 1e-15 (closed form) or 1e-12 (quadrature) over :math:`1 - c_s(0)`. Source: [1]_ and, for the centred
    C-map, [2]_; ``docs/theory.md``, 9.3.

    Examples
    --------
    >>> after = activate(PairState(var_u=1.0, var_v=1.0, complement=1.0), "relu")
    >>> round(float(after.complement), 12), round(float(after.cosine * np.pi), 12)
    (1.0, 1.0)
    """
    if np.any(np.asarray(state.mean_u)) or np.any(np.asarray(state.mean_v)):
        raise ValueError(f"`state` must have means 0, as behind a dense layer, got {state.mean_u} and {state.mean_v}.")
    same = np.array_equal(state.var_u, state.var_v)
    mean_u, var_u, share = _centred(activation, state.var_u)
    mean_v, var_v, _ = (mean_u, var_u, share) if same else _centred(activation, state.var_v)
    if same:
        raw = c_map_complement(activation, state.complement, var=state.var_u)
        complement = np.minimum(raw / share, 2.0)  # above 2 by rounding only
    else:
        cosine = np.clip(1 - np.asarray(state.complement), -1, 1)
        product = dual_activation(activation, cosine, var_u=state.var_u, var_v=state.var_v) - mean_u * mean_v
        complement = np.clip(1 - product / (np.sqrt(var_u) * np.sqrt(var_v)), 0.0, 2.0)  # outside by rounding only
    return PairState(var_u=var_u, var_v=var_v, complement=complement, mean_u=mean_u, mean_v=mean_v)


def _centred(activation: str | Callable | Activation, var: ArrayLike) -> tuple[_Real, _Real, _Real]:
    """Return mean and variance of the activation, and the share of the variance in its mean square."""
    share = c_map_complement(activation, 1.0, var=var)
    if not np.all(share > _CONSTANT):
        raise ValueError("`activation` must not be constant: centred it has no direction.")
    return activation_mean(activation, var), share * second_moment(activation, var), share


def activation_mean(activation: str | Callable | Activation, var: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean :math:`\mathbb{E}\,\phi(\sqrt{s} z)` of an activation at the variance s, z standard normal.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`; smooth but for a kink or a jump at 0.
    var : array_like, shape (...)
        s, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        The mean: :math:`\sqrt{s/2\pi}` for relu, :math:`\sqrt{s/\pi}` for maxout2.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        If the quadrature is not known to 1e-10 of the root mean square.

    Notes
    -----
    Composite Gauss-Legendre rules on both half lines (``docs/theory.md``, 1.9): about 1e-14 of the root mean square.

    Examples
    --------
    >>> bool(abs(activation_mean("relu", 2 * np.pi) - 1) < 1e-13)
    True
    """
    phi, var = resolve(activation), as_nonnegative("var", var)
    if phi.name == "maxout2" and phi.function is None:
        return np.sqrt(var / np.pi)[()]  # E max(z, z') = E|z - z'|/2
    value, _ = line_mean(pointwise(phi), np.sqrt(var).ravel(), phi.name)
    return value.reshape(var.shape)[()]


def rms_norm(state: PairState) -> PairState:
    r"""RMSNorm, :math:`x \mapsto x / \sqrt{q}`: mean squares become 1, cosines stay.

    Parameters
    ----------
    state : PairState
        Before.

    Returns
    -------
    PairState
        After. Exact at every width.

    Examples
    --------
    >>> float(rms_norm(PairState(var_u=4.0, var_v=9.0, complement=0.5)).var_u)
    1.0
    """
    q_u, q_v = state.q_u, state.q_v
    return PairState(
        var_u=state.var_u / q_u,
        var_v=state.var_v / q_v,
        complement=state.complement,
        mean_u=state.mean_u / np.sqrt(q_u),
        mean_v=state.mean_v / np.sqrt(q_v),
    )


def layer_norm(state: PairState) -> PairState:
    r"""LayerNorm, :math:`x \mapsto (x - m)/\sqrt{s}`: the cosine becomes that of the centred points,

    .. math:: \rho' = \frac{\sqrt{q_u q_v}\,\rho - m_u m_v}{\sqrt{(q_u - m_u^2)(q_v - m_v^2)}}

    Parameters
    ----------
    state : PairState
        Before.

    Returns
    -------
    PairState
        Means 0, variances 1, the same complement. Exact at every width; where the means are 0 it is `rms_norm`.

    Notes
    -----
    Source: ours in this form, ``docs/theory.md``, 9.1.

    Examples
    --------
    >>> float(layer_norm(PairState(var_u=1.0, var_v=1.0, complement=1.0, mean_u=3.0, mean_v=3.0)).cosine)
    0.0
    """
    ones = np.ones(np.shape(state.complement))
    return PairState(var_u=ones, var_v=ones, complement=state.complement)
