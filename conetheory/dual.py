r"""Dual activations: what one infinitely wide layer does to a pair of points.

For centred Gaussians (u, v) of variances :math:`s_u, s_v` and correlation :math:`\rho`, the dual activation of
:math:`\phi` is :math:`\mathbb{E}[\phi(u)\phi(v)]`; at equal variances s, divided by :math:`\mathbb{E}\,\phi(u)^2`,
it is the C-map :math:`c_s(\rho)`, the cosine after the layer. Activations are named, or any vectorised function.

References
----------
.. [1] Y. Cho and L. K. Saul, "Kernel Methods for Deep Learning", NIPS 2009.
.. [2] A. Daniely, R. Frostig and Y. Singer, "Toward Deeper Understanding of Neural Networks", NIPS 2016,
   arXiv:1602.05897.
.. [3] R. Tsuchida, T. Pearce, C. van der Heide, F. Roosta and M. Gallagher, "Avoiding Kernel Fixed Points: Computing
   with ELU and GELU Infinite Networks", AAAI 2021, arXiv:2002.08517.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import expit, ndtr

from conetheory._arrays import as_array, as_cosine, as_nonnegative, as_positive
from conetheory._quadrature import difference_ratio, product_mean, sine_convolution, square_mean

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "activation_function",
    "c_map_complement",
    "dual_activation",
    "quadrature_error",
    "second_moment",
]

_Real = np.ndarray | np.float64  # an operation on arrays of shape () gives a scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation and what is known of it in closed form.

    Attributes
    ----------
    name : str
        Name shown in results and errors.
    function : callable
        Elementwise map of a float array to one of the same shape.
    dual : callable, optional
        ``dual(rho, var_u, var_v)``, the dual activation in closed form; without it quadrature serves.
    complement : callable, optional
        ``complement(eps)``: 1 - C-map at correlation 1 - eps in closed form, for positively homogeneous activations.
    """

    name: str
    function: Callable
    dual: Callable | None = None
    complement: Callable | None = None


def _dual_linear(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return np.sqrt(var_u) * np.sqrt(var_v) * rho


def _dual_leaky_relu(rho: _Real, var_u: _Real, var_v: _Real, *, slope: float) -> _Real:
    """Return slope rho + (1 - slope)^2 J_11, times the scales; `docs/theory.md`, 1.7."""
    j11 = sine_convolution(1, 1, np.arccos(-rho)) / np.pi  # pi - arccos(rho), accurate near rho = -1
    return np.sqrt(var_u) * np.sqrt(var_v) * (slope * rho + (1 - slope) ** 2 * j11)


def _complement_leaky_relu(eps: _Real, *, slope: float) -> _Real:
    """Return 1 - C-map at 1 - `eps` without a difference of near-equal terms; `docs/theory.md`, 3.4."""
    theta = 2 * np.arcsin(np.sqrt(eps / 2))
    relu = eps - 2 / np.pi * sine_convolution(1, 1, theta)
    return (2 * slope * eps + (1 - slope) ** 2 * relu) / (1 + slope**2)


def _dual_gelu(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    """Return the closed form of `docs/theory.md`, 1.8."""
    cov = np.sqrt(var_u) * np.sqrt(var_v) * rho
    outer = (1 + var_u) * (1 + var_v)
    det = 1 + var_u + var_v + var_u * var_v * (1 - rho) * (1 + rho)
    angle = np.arccos(-cov / np.sqrt(outer))
    return (cov * angle + var_u * var_v * (det + rho**2) / (outer * np.sqrt(det))) / (2 * np.pi)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


_LEAKY_SLOPE = 0.01

#: The named activations. GELU is x Phi(x), QuickGELU x sigmoid(1.702 x), leaky ReLU has slope 0.01, ELU alpha = 1.
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        activation.name: activation
        for activation in (
            Activation(name="linear", function=lambda x: +x, dual=_dual_linear, complement=lambda eps: +eps),
            Activation(
                name="relu",
                function=lambda x: np.maximum(x, 0),
                dual=partial(_dual_leaky_relu, slope=0.0),
                complement=partial(_complement_leaky_relu, slope=0.0),
            ),
            Activation(
                name="leaky_relu",
                function=lambda x: np.where(x > 0, x, _LEAKY_SLOPE * x),
                dual=partial(_dual_leaky_relu, slope=_LEAKY_SLOPE),
                complement=partial(_complement_leaky_relu, slope=_LEAKY_SLOPE),
            ),
            Activation(name="sigmoid", function=expit),
            Activation(name="tanh", function=np.tanh),
            Activation(name="gelu", function=lambda x: x * ndtr(x), dual=_dual_gelu),
            Activation(name="quick_gelu", function=lambda x: x * expit(1.702 * x)),
            Activation(name="elu", function=_elu),
        )
    }
)


def _checked(function: Callable) -> Callable:
    """Return `function` with its values checked: a finite real array of the shape of the argument."""

    def checked(x: np.ndarray) -> np.ndarray:
        values = as_array("activation(x)", function(x))
        if values.shape != np.shape(x):
            raise ValueError(f"`activation` must keep the shape of its argument: {np.shape(x)} became {values.shape}.")
        return values

    return checked


def _resolve(activation: str | Callable | Activation) -> Activation:
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"`activation` must be a function or one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
        return ACTIVATIONS[activation]
    if not callable(activation):
        raise TypeError(f"`activation` must be a function or one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
    return Activation(name=getattr(activation, "__name__", "activation"), function=_checked(activation))


def activation_function(activation: str | Callable | Activation) -> Callable:
    """Return `activation` as a function of arrays, for simulation.

    Parameters
    ----------
    activation : str, callable or Activation
        A key of `ACTIVATIONS`, or a vectorised function of float64 arrays.

    Returns
    -------
    callable
        Elementwise map. Named activations keep float32; that of a user raises ValueError or TypeError where it changes
        the shape or gives what is not a finite real number.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown or `activation` is no function.

    Examples
    --------
    >>> activation_function("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return _resolve(activation).function


def dual_activation(
    activation: str | Callable | Activation, rho: ArrayLike, *, var_u: ArrayLike = 1.0, var_v: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Dual activation :math:`\mathbb{E}[\phi(u)\phi(v)]` of a centred Gaussian pair.

    Parameters
    ----------
    activation : str, callable or Activation
        A key of `ACTIVATIONS`, or a vectorised function of float64 arrays, smooth but for a kink or a jump at 0.
    rho : array_like, shape (...)
        Correlation of u and v, in [-1, 1].
    var_u, var_v : array_like, shape (...)
        Their variances, at least 0; broadcast against `rho`.

    Returns
    -------
    ndarray or float64, shape (...)
        The expectation.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or the values of a user's function are not finite or of another shape.
    ConvergenceError
        If the estimated error of the quadrature exceeds 1e-10 of the scale
        :math:`\sqrt{\mathbb{E}\phi(u)^2\,\mathbb{E}\phi(v)^2}`.

    Notes
    -----
    Closed forms for linear, relu, leaky_relu [1]_ and gelu [3]_, accurate to a few eps of the scale. The others by
    polar quadrature between the rays u = 0 and v = 0 (``docs/theory.md``, 1.9), refined until two resolutions agree to
    1e-13 of the scale; checked against mpmath to 1e-12 for variances up to 100, at any correlation. A feature much
    narrower than 1/100 of a standard deviation, away from 0, can escape both resolutions. `quadrature_error` returns
    the estimate.

    Examples
    --------
    >>> round(float(dual_activation("relu", 0.0)), 12) == round(1 / (2 * np.pi), 12)
    True
    >>> dual_activation(np.tanh, [-0.5, 0.0, 0.5]).round(6)
    array([-0.186324,  0.      ,  0.186324])
    """
    return _dual(activation, rho, var_u, var_v)[0]


def quadrature_error(
    activation: str | Callable | Activation, rho: ArrayLike, *, var_u: ArrayLike = 1.0, var_v: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    """Estimated absolute error of `dual_activation`: the difference of its last two resolutions.

    Parameters
    ----------
    activation, rho, var_u, var_v
        As in `dual_activation`; so are the errors raised.

    Returns
    -------
    ndarray or float64, shape (...)
        The estimate, 0 where a closed form serves. It covers truncation, not rounding (about 1e-15 of the scale).

    Examples
    --------
    >>> float(quadrature_error("relu", 0.3))
    0.0
    >>> bool(quadrature_error("tanh", 0.3) < 1e-13)
    True
    """
    return _dual(activation, rho, var_u, var_v)[1]


def _dual(activation, rho: ArrayLike, var_u: ArrayLike, var_v: ArrayLike) -> tuple[_Real, _Real]:
    phi = _resolve(activation)
    rho, var_u, var_v = np.broadcast_arrays(
        as_cosine("rho", rho), as_nonnegative("var_u", var_u), as_nonnegative("var_v", var_v)
    )
    if phi.dual is not None:
        return phi.dual(rho, var_u, var_v)[()], np.zeros(rho.shape)[()]
    value, error = np.empty(rho.shape), np.empty(rho.shape)
    for i in np.ndindex(rho.shape):
        theta, scale_u, scale_v = float(np.arccos(rho[i])), float(np.sqrt(var_u[i])), float(np.sqrt(var_v[i]))
        value[i], error[i] = product_mean(phi.function, theta, scale_u, scale_v, f"{phi.name}(u) {phi.name}(v)")
    return value[()], error[()]


def second_moment(activation: str | Callable | Activation, var: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean square :math:`\mathbb{E}\,\phi(\sqrt{s}\,z)^2` of an activation at the variance s, z standard normal.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `dual_activation`.
    var : array_like, shape (...)
        Variance s of the argument, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        The mean square: s for linear, s/2 for relu.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `dual_activation`.

    Notes
    -----
    Accuracy as `dual_activation`, of which it is the value at correlation 1.

    Examples
    --------
    >>> second_moment("relu", [1.0, 3.0])
    array([0.5, 1.5])
    """
    phi = _resolve(activation)
    var = as_nonnegative("var", var)
    if phi.dual is not None:
        return phi.dual(np.ones(var.shape), var, var)[()]
    value = np.empty(var.shape)
    for i in np.ndindex(var.shape):
        value[i], _ = square_mean(phi.function, float(np.sqrt(var[i])), f"{phi.name}(u)^2")
    return value[()]


def c_map_complement(
    activation: str | Callable | Activation, complement: ArrayLike, *, var: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Complement :math:`1 - c_s(1 - \epsilon)` of the C-map, not lost to rounding near correlation 1.

    .. math:: 1 - c_s(1 - \epsilon) = \frac{\mathbb{E}(\phi(u) - \phi(v))^2}{\mathbb{E}(\phi(u)^2 + \phi(v)^2)}

    Parameters
    ----------
    activation : str, callable or Activation
        As in `dual_activation`.
    complement : array_like, shape (...)
        :math:`\epsilon = 1 - \rho`, in [0, 2].
    var : array_like, shape (...)
        Common variance s of u and v, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        One minus the cosine after the layer, in [0, 2].

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `dual_activation`; also if the second moment is 0, where no cosine exists.

    Notes
    -----
    Relative error about 1e-15 for linear, relu and leaky_relu. Elsewhere the difference of two values of the activation
    leaves about :math:`10^{-12} + 10^{-15}/\sqrt{x}` at the value x: no digit below :math:`10^{-30}`.
    Source: ours, ``docs/theory.md``, 3.4.

    Examples
    --------
    >>> bool(abs(c_map_complement("relu", 1.0) - (1 - 1 / np.pi)) < 1e-15)
    True
    """
    phi = _resolve(activation)
    eps, var = np.broadcast_arrays(as_nonnegative("complement", complement), as_positive("var", var))
    if not np.all(eps <= 2):
        raise ValueError(f"`complement` must lie in [0, 2], got {float(eps[~(eps <= 2)].flat[0])}.")
    if phi.complement is not None:
        return phi.complement(eps)[()]
    value = np.empty(eps.shape)
    for i in np.ndindex(eps.shape):
        value[i] = _complement_by_quadrature(phi, float(eps[i]), float(var[i]))
    return value[()]


def _complement_by_quadrature(phi: Activation, eps: float, var: float) -> float:
    if not second_moment(phi, var) > 0:
        raise ValueError(f"`activation` must not vanish: its second moment at variance {var} is 0.")
    theta = float(2 * np.arcsin(np.sqrt(eps / 2)))
    ratio, _ = difference_ratio(phi.function, theta, float(np.sqrt(var)), f"({phi.name}(u) - {phi.name}(v))^2")
    return min(ratio, 2.0)  # above 2 by rounding only
