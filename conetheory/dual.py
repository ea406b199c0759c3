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
.. [4] C. K. I. Williams, "Computing with Infinite Networks", NIPS 1996 (erf, Gaussian).
.. [5] R. Price, "A Useful Theorem for Nonlinear Devices Having Gaussian Inputs", IRE Trans. Inf. Theory 4, 1958.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_complement, as_cosine, as_nonnegative, as_positive
from conetheory._dual_interpolation import product_means
from conetheory._dual_slopes import derivative_from_slope, derivative_from_values
from conetheory._dual_table import ACTIVATIONS, Activation, pointwise, resolve
from conetheory._quadrature import difference_ratio, square_mean

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "activation_function",
    "c_map_complement",
    "dual_activation",
    "dual_derivative",
    "quadrature_error",
    "second_moment",
]

_Real = np.ndarray | np.float64  # an operation on arrays of shape () gives a scalar
_BLOCK = 3 << 12  # elements of a closed form at once: its temporaries stay in the cache


def _in_blocks(form: Callable, argument: ArrayLike, *variances: np.ndarray) -> _Real:
    """Return `form(argument, *variances)`, elementwise, of the broadcast shape."""
    first = np.asarray(argument)
    shape = np.broadcast_shapes(first.shape, *(var.shape for var in variances))
    out = np.empty(shape)
    flat = out.reshape(-1)
    columns = [a.reshape(()) if a.size == 1 else np.broadcast_to(a, shape).reshape(-1) for a in (first, *variances)]
    for start in range(0, math.prod(shape), _BLOCK):
        block = slice(start, start + _BLOCK)
        flat[block] = form(*(a if a.ndim == 0 else a[block] for a in columns))
    return out[()]


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
        If the name is unknown, `activation` is no function, or it is maxout2, which takes two pre-activations.

    Examples
    --------
    >>> activation_function("relu")(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return pointwise(resolve(activation))


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
    Closed forms, accurate to a few eps of the scale, for linear, relu, leaky_relu, abs, step [1]_, erf, gaussian [4]_,
    gelu [3]_, sin, cos and maxout2 (``docs/theory.md``, 1.7, 1.8 and 8.2 to 8.6). sigmoid, tanh, silu, quick_gelu, elu
    and functions by polar quadrature between the rays u = 0 and v = 0 (1.9), refined until two resolutions agree to
    1e-13 of the scale; checked against mpmath to 1e-12 for variances from 1e-2 to 100, at any correlation. Beyond
    variances of about 1000, where they bend within 1/30 of a standard deviation, these begin to raise ConvergenceError
    (tanh from about 3000, the others from 1e4 or more), here and in all that rests on this module. A feature much
    narrower than 1/100 of a standard deviation, away from 0, can escape both resolutions. Where more than 32
    correlations share their variances they are interpolated in arccos(rho) from 33 to 257 quadratures (8.7).
    `quadrature_error` returns the estimate.

    Examples
    --------
    >>> round(float(dual_activation("relu", 0.0)), 12) == round(1 / (2 * np.pi), 12)
    True
    >>> dual_activation(np.tanh, [-0.5, 0.0, 0.5]).round(6)
    array([-0.186324,  0.      ,  0.186324])
    """
    return _dual(activation, rho, var_u, var_v)[0]


def dual_derivative(
    activation: str | Callable | Activation, rho: ArrayLike, *, var_u: ArrayLike = 1.0, var_v: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Derivative of `dual_activation` in the correlation.

    .. math:: \frac{\partial}{\partial\rho}\,\mathbb{E}[\phi(u)\phi(v)]
              = \sqrt{s_u s_v}\;\mathbb{E}[\phi'(u)\phi'(v)]

    Parameters
    ----------
    activation, rho, var_u, var_v
        As in `dual_activation`.

    Returns
    -------
    ndarray or float64, shape (...)
        The derivative, one-sided at :math:`|\rho| = 1`; there it is infinite for step and whatever else jumps at 0. It
        is 0 at a variance of 0.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `dual_activation`.

    Notes
    -----
    Closed forms where `dual_activation` has one, accurate to a few eps of
    :math:`\sqrt{s_u s_v\,\mathbb{E}\phi'(u)^2\,\mathbb{E}\phi'(v)^2}`; else quadrature as there, of
    :math:`\phi'`. That of a user's function comes from Chebyshev interpolation of its values on each side of 0, jump
    included (``docs/theory.md``, 8.8), and reproduces the closed forms to :math:`10^{-13} + 10^{-15} r` of that scale
    at equal variances s, with :math:`r = \sqrt{\mathbb{E}\phi^2/(s\,\mathbb{E}\phi'^2)}`: what rounding of the values
    leaves of the differences of a nearly constant function.

    Source: Price's theorem [5]_; ``docs/theory.md``, 8.1 to 8.8. Over `second_moment` it is, at rho = 1 and equal
    variances, the slope :math:`\chi_1` of the C-map.

    Examples
    --------
    >>> dual_derivative("relu", [-1.0, 0.0, 1.0])
    array([0.  , 0.25, 0.5 ])
    >>> bool(abs(dual_derivative(lambda x: x**3, 0.5) - (9 + 18 * 0.5**2)) < 1e-12)
    True
    """
    phi = resolve(activation)
    var_u, var_v = as_nonnegative("var_u", var_u), as_nonnegative("var_v", var_v)
    if phi.derivative is not None:
        derivative = phi.derivative
        return _in_blocks(lambda r, a, b: derivative(_as_correlation(r), a, b), rho, var_u, var_v)
    rho, scale_u, scale_v = np.broadcast_arrays(as_cosine("rho", rho), np.sqrt(var_u), np.sqrt(var_v))
    flat = (rho.ravel(), scale_u.ravel(), scale_v.ravel())
    what = f"{phi.name}'(u) {phi.name}'(v)"
    if phi.slope is not None:
        value = derivative_from_slope(phi.slope, *flat, what)
    else:
        value = derivative_from_values(pointwise(phi), *flat, what)
    return value.reshape(rho.shape)[()]


def quadrature_error(
    activation: str | Callable | Activation, rho: ArrayLike, *, var_u: ArrayLike = 1.0, var_v: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    """Estimated absolute error of `dual_activation`: the difference of its last two resolutions, and what interpolation
    adds to it.

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
    value, error = _dual(activation, rho, var_u, var_v)
    return np.broadcast_to(error, np.shape(value)).copy()[()]


def _as_correlation(rho: np.ndarray) -> np.ndarray:
    """As `as_cosine`, in the two passes that a block in the cache needs; NaN fails both comparisons."""
    if rho.dtype == np.float64 and rho.min() >= -1 and rho.max() <= 1:
        return rho
    return as_cosine("rho", rho)


def _dual(activation, rho: ArrayLike, var_u: ArrayLike, var_v: ArrayLike) -> tuple[_Real, _Real]:
    phi = resolve(activation)
    var_u, var_v = as_nonnegative("var_u", var_u), as_nonnegative("var_v", var_v)
    if phi.dual is not None:
        dual = phi.dual
        value = _in_blocks(lambda r, a, b: dual(_as_correlation(r), a, b), rho, var_u, var_v)
        return value, np.float64(0)
    rho, *scales = np.broadcast_arrays(as_cosine("rho", rho), np.sqrt(var_u), np.sqrt(var_v))
    theta, scale_u, scale_v = (a.ravel() for a in (np.arccos(rho), *scales))
    value, error = product_means(pointwise(phi), theta, scale_u, scale_v, f"{phi.name}(u) {phi.name}(v)")
    return value.reshape(rho.shape)[()], error.reshape(rho.shape)[()]


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
    phi = resolve(activation)
    var = as_nonnegative("var", var)
    if phi.dual is not None:
        return phi.dual(np.float64(1), var, var)[()]
    value, _ = square_mean(pointwise(phi), np.sqrt(var).ravel(), f"{phi.name}(u)^2")
    return value.reshape(var.shape)[()]


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
    Relative error below 1e-14 where `dual_activation` has a closed form: every term is of the order of the result
    (``docs/theory.md``, 8.3 to 8.6). The exception is gelu, of which two terms cancel to a share of
    :math:`1/\sqrt s` (8.5): :math:`10^{-14} + 3\cdot10^{-16}\sqrt s`. Elsewhere the difference of
    two values of the activation leaves about
    :math:`10^{-12} + 10^{-15}/\sqrt{x}` at the value x: no digit below :math:`10^{-30}`. Source: ours,
    ``docs/theory.md``, 3.4.

    Examples
    --------
    >>> bool(abs(c_map_complement("relu", 1.0) - (1 - 1 / np.pi)) < 1e-15)
    True
    """
    phi = resolve(activation)
    var = as_positive("var", var)
    if phi.complement is not None:
        form = phi.complement
        return _in_blocks(lambda e, s: form(as_complement("complement", e), s), complement, var)
    if not np.all(second_moment(phi, np.unique(var)) > 0):
        raise ValueError(f"`activation` must not vanish: the second moment of {phi.name} is 0 at some of `var`.")
    eps, scale = np.broadcast_arrays(as_complement("complement", complement), np.sqrt(var))
    theta = 2 * np.arcsin(np.sqrt(eps / 2))
    ratio, _ = difference_ratio(pointwise(phi), theta.ravel(), scale.ravel(), f"({phi.name}(u) - {phi.name}(v))^2")
    return np.minimum(ratio, 2.0).reshape(eps.shape)[()]  # above 2 by rounding only
