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
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_nonnegative, as_positive
from conetheory.dual import Activation, activation_function, c_map_complement, dual_activation, second_moment
from conetheory.errors import ConvergenceError

__all__ = [
    "PairState",
    "activate",
    "activation_mean",
    "dense",
    "layer_norm",
    "rms_norm",
    "sum_complement",
]

_REACH = 14.0  # standard deviations; the Gaussian weight there is 3e-43
_ORDER = 16  # Gauss points a panel
_ACCEPTED = 1e-10


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
            "complement": _as_complement("complement", self.complement),
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
        opposite = np.where(np.multiply(self.mean_u, self.mean_v) < 0, 2.0, 0.0)
        return sum_complement(
            (self.var_u, self.var_v, self.complement), (np.square(self.mean_u), np.square(self.mean_v), opposite)
        )

    @property
    def cosine(self) -> np.ndarray | np.float64:
        """Cosine of the points themselves."""
        return 1 - self.cosine_complement


def _as_complement(name: str, value: ArrayLike) -> np.ndarray:
    array = as_nonnegative(name, value)
    if not np.all(array <= 2):
        raise ValueError(f"`{name}` must lie in [0, 2], got {float(array[~(array <= 2)].flat[0])}.")
    return array


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
        A sum of terms of one sign: relative error a few eps where :math:`p_u r_v = p_v r_u`; elsewhere a few eps over
        the root of the value, which is what rounding the mean squares does.

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
    norm = np.sqrt(as_positive("first + second", p_u + r_u) * as_positive("first + second", p_v + r_v))
    p, r = np.sqrt(p_u * p_v), np.sqrt(r_u * r_v)
    turn = (np.sqrt(p_u * r_v) - np.sqrt(p_v * r_u)) ** 2
    return np.minimum((p * eps + r * eta + turn / (norm + p + r)) / norm, 2.0)  # above 2 by rounding only


_CHECKS = (as_nonnegative, as_nonnegative, _as_complement)


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
    Relative error of the complement a few eps. Source: [1]_, eq. (4); without cancellation: ``docs/theory.md``, 9.2.

    Examples
    --------
    >>> float(dense(PairState(var_u=1.0, var_v=1.0, complement=1.0), sigma_b2=1.0).complement)
    0.5
    """
    weight, bias = float(as_positive("sigma_w2", sigma_w2)), float(as_nonnegative("sigma_b2", sigma_b2))
    complement = sum_complement((weight * state.q_u, weight * state.q_v, state.cosine_complement), (bias, bias, 0.0))
    return PairState(var_u=weight * state.q_u + bias, var_v=weight * state.q_v + bias, complement=complement)


def activate(state: PairState, activation: str | Callable | Activation) -> PairState:
    r"""Activation of Gaussian pre-activations; its mean goes to the means, the rest to variances and complement.

    .. math:: s' = \mathbb{E}\phi(\sqrt{s} z)^2 - m'^2, \quad m' = \mathbb{E}\phi(\sqrt{s} z), \qquad
              \epsilon' = \frac{1 - c_s(1 - \epsilon)}{1 - m'^2 / \mathbb{E}\phi^2} \quad (s_u = s_v)

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
    At equal variances the complement is as accurate as `conetheory.dual.c_map_complement`; at unequal ones it is a
    difference, of absolute error about 1e-15 (closed form) or 1e-12 (quadrature). Source: [1]_ and, for the centred
    C-map, [2]_; ``docs/theory.md``, 9.3.

    Examples
    --------
    >>> after = activate(PairState(var_u=1.0, var_v=1.0, complement=1.0), "relu")
    >>> round(float(after.complement), 12), round(float(after.cosine * np.pi), 12)
    (1.0, 1.0)
    """
    if np.any(np.asarray(state.mean_u)) or np.any(np.asarray(state.mean_v)):
        raise ValueError(f"`state` must have means 0, as behind a dense layer, got {state.mean_u} and {state.mean_v}.")
    mean_u, mean_v = (activation_mean(activation, s) for s in (state.var_u, state.var_v))
    square_u, square_v = (second_moment(activation, s) for s in (state.var_u, state.var_v))
    var_u, var_v = square_u - mean_u**2, square_v - mean_v**2
    if not (np.all(var_u > 1e-14 * square_u) and np.all(var_v > 1e-14 * square_v)):
        raise ValueError("`activation` must not be constant: centred it has no direction.")
    if np.array_equal(state.var_u, state.var_v):
        raw = c_map_complement(activation, state.complement, var=state.var_u)
        complement = np.minimum(raw * square_u / var_u, 2.0)  # above 2 by rounding only
    else:
        cosine = np.clip(1 - np.asarray(state.complement), -1, 1)
        product = dual_activation(activation, cosine, var_u=state.var_u, var_v=state.var_v) - mean_u * mean_v
        complement = np.clip(1 - product / np.sqrt(var_u * var_v), 0.0, 2.0)  # outside by rounding only
    return PairState(var_u=var_u, var_v=var_v, complement=complement, mean_u=mean_u, mean_v=mean_v)


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
        The mean: :math:`\sqrt{s/2\pi}` for relu.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        If the quadrature is not known to 1e-10 of the root mean square.

    Notes
    -----
    Composite Gauss-Legendre rules on both half lines, at two resolutions: about 1e-14 of the root mean square.

    Examples
    --------
    >>> bool(abs(activation_mean("relu", 2 * np.pi) - 1) < 1e-13)
    True
    """
    phi, var = activation_function(activation), as_nonnegative("var", var)
    value = np.empty(var.shape)
    for i in np.ndindex(var.shape):
        coarse, fine = (
            float(weights @ phi(np.sqrt(var[i]) * z)) for z, weights in (_normal_rule(16), _normal_rule(32))
        )
        error, scale = abs(fine - coarse), float(np.sqrt(second_moment(activation, var[i])))
        if not error <= _ACCEPTED * scale:
            raise ConvergenceError(f"The mean of the activation is known to {error:.1e} only.", value=fine, error=error)
        value[i] = fine
    return value[()]


@lru_cache
def _normal_rule(panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for a standard normal, on both half lines, denser towards a kink or a jump at 0."""
    x, w = leggauss(_ORDER)
    t = ((np.arange(panels)[:, None] + (x + 1) / 2) / panels).ravel()
    z = _REACH * t**3
    weights = np.tile(w / (2 * panels), panels) * 3 * _REACH * t * t * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return np.concatenate([-z, z]), np.tile(weights / (2 * weights.sum()), 2)


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
