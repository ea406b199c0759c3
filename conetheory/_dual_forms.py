r"""Closed forms of dual activations, of their derivatives in the correlation, and of the complements of C-maps.

`dual_*(rho, var_u, var_v)` is :math:`E[\phi(u)\phi(v)]`, `slope_*(rho, var_u, var_v)` its derivative in rho, and
`complement_*(eps, var)` is 1 - C-map at correlation 1 - eps. The complements are sums of terms of the order of eps,
positive but for one of gelu: `docs/theory.md`, section 8. Elementwise, on arrays that broadcast; arguments are
already validated.

With :math:`\theta = \arccos\rho`, every form of the ReLU family is :math:`S(\theta) = \sin\theta - \theta\cos\theta`
on [0, pi/2] and elementary terms; S comes from :math:`1 - \cos\theta` alone, at full relative accuracy and without an
arc cosine (`docs/theory.md`, 8.3).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

__all__ = ["FORMS"]

_Real = np.ndarray | np.float64 | float  # an operation on arrays of shape () gives a scalar

# (sin(x) - x cos(x)) / t^(3/2) with t = 1 - cos(x), in powers of t: interpolated at 17 Chebyshev points of [0, 1] (the
# nearest singularity is t = 2), to a relative error of 5e-17 before rounding.
_ARC = (
    0.9428090415820634,
    0.047140452079087555,
    0.00757614408563485,
    0.0017537370001752912,
    0.00048825745445442485,
    0.0001520972961588832,
    5.123074679709073e-05,
    1.7583617069244857e-05,
    8.92321397865047e-06,
    -3.6793230159308196e-06,
    1.4047980264888192e-05,
    -1.966769120301e-05,
    2.2713628805446335e-05,
    -1.7968169723438826e-05,
    9.810556857027115e-06,
    -3.24222421552795e-06,
    5.181668111157759e-07,
)
_SINH = tuple(1 / float(np.prod(np.arange(1.0, 2 * k + 2))) for k in range(10))  # sinh(x)/x in powers of x^2
_COSH = tuple(1 / float(np.prod(np.arange(1.0, 2 * k + 1))) for k in range(10))
_SERIES_REACH = 1.0  # where the ten terms above are exact to rounding
_TINY = float(np.finfo(np.float64).tiny)  # keeps 0/0 out, and is nothing beside the root of a positive float


def _polynomial(coefficients: tuple[float, ...], x: _Real) -> _Real:
    value = coefficients[-1] * x
    for c in coefficients[-2:0:-1]:
        value += c
        value *= x
    return value + coefficients[0]


def _arc(t: _Real) -> _Real:
    """Return sin(x) - x cos(x) at 1 - cos(x) = `t` in [0, 1]."""
    return t * np.sqrt(t) * _polynomial(_ARC, t)


def _scale(var_u: _Real, var_v: _Real) -> _Real:
    return np.sqrt(var_u) * np.sqrt(var_v)


def _determinant(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    """Return det(I + Sigma), Sigma the covariance of (u, v)."""
    return (1 + var_u + var_v) + (var_u * var_v) * ((1 - rho) * (1 + rho))


def _order_one(rho: _Real) -> _Real:
    """Return [sin(theta) + (pi - theta) cos(theta)] / (2 pi), to a relative error of a few eps also near rho = -1."""
    return 0.5 * np.maximum(rho, 0) + _arc(1 - np.abs(rho)) * (0.5 / np.pi)


# The ReLU family: docs/theory.md, 1.7, 8.2 and 8.3.


def dual_linear(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) * rho


def slope_linear(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) + 0 * rho


def complement_linear(eps: _Real, var: _Real) -> _Real:
    return eps


def dual_relu(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) * _order_one(rho)


def slope_relu(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) / (2 * np.pi) * np.arccos(-rho)


def complement_relu(eps: _Real, var: _Real) -> _Real:
    return np.minimum(eps, 1) - _arc(np.minimum(eps, 2 - eps)) / np.pi


def dual_leaky_relu(rho: _Real, var_u: _Real, var_v: _Real, *, slope: float) -> _Real:
    return _scale(var_u, var_v) * (slope * rho + (1 - slope) ** 2 * _order_one(rho))


def slope_leaky_relu(rho: _Real, var_u: _Real, var_v: _Real, *, slope: float) -> _Real:
    return _scale(var_u, var_v) * (slope + (1 - slope) ** 2 / (2 * np.pi) * np.arccos(-rho))


def complement_leaky_relu(eps: _Real, var: _Real, *, slope: float) -> _Real:
    return (2 * slope * eps + (1 - slope) ** 2 * complement_relu(eps, var)) / (1 + slope**2)


def dual_abs(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    size = np.abs(rho)
    return _scale(var_u, var_v) * (size + 2 / np.pi * _arc(1 - size))


def slope_abs(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) * (2 / np.pi) * np.arcsin(rho)


def complement_abs(eps: _Real, var: _Real) -> _Real:
    t = np.minimum(eps, 2 - eps)
    return t - 2 / np.pi * _arc(t)


def dual_maxout2(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return 2 * dual_relu(rho, var_u, var_v)


def slope_maxout2(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return 2 * slope_relu(rho, var_u, var_v)


def dual_step(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return np.arccos(-rho) / (2 * np.pi) * (_scale(var_u, var_v) > 0)


def slope_step(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    """Return 1/(2 pi sin(theta)), infinite at |rho| = 1, where two jumps meet; 0 at a variance of 0."""
    with np.errstate(divide="ignore"):
        return np.where(_scale(var_u, var_v) > 0, 1 / (2 * np.pi * np.sqrt((1 - rho) * (1 + rho))), 0.0)


def complement_step(eps: _Real, var: _Real) -> _Real:
    return 2 / np.pi * np.arcsin(np.sqrt(eps / 2))


# Error function, GELU, Gaussian: docs/theory.md, 1.8, 8.4 and 8.5.


def dual_erf(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    p, q = 2 * var_u, 2 * var_v
    return 2 / np.pi * np.arctan(_scale(p, q) * rho / np.sqrt(_determinant(rho, p, q)))


def slope_erf(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    p, q = 2 * var_u, 2 * var_v
    return 2 / np.pi * _scale(p, q) / np.sqrt(_determinant(rho, p, q))


def complement_erf(eps: _Real, var: _Real) -> _Real:
    p = 2 * var
    return _arcsine_drop(eps, p) / np.arctan(p / np.sqrt(1 + 2 * p))


def _arcsine_drop(eps: _Real, var: _Real) -> _Real:
    """Return arcsin(x) - arcsin((1 - eps) x), x = var/(1 + var), from the sine and the cosine of the difference."""
    x, first = var / (1 + var), np.sqrt(1 + 2 * var) / (1 + var)
    product = eps * (2 - eps)
    second = np.hypot(first, x * np.sqrt(product))
    return np.arctan2(x * (eps * first + x**2 * product / (first + second)), first * second + x**2 * (1 - eps))


def dual_gelu(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    cov = _scale(var_u, var_v) * rho
    det = _determinant(rho, var_u, var_v)
    root = 1 / np.sqrt(det)
    share = var_u * var_v / ((1 + var_u) * (1 + var_v))
    return (0.5 / np.pi) * (cov * (np.pi / 2 + np.arctan(cov * root)) + share * (det + rho * rho) * root)


def slope_gelu(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    scale = _scale(var_u, var_v)
    cov, det = scale * rho, _determinant(rho, var_u, var_v)
    root = np.sqrt(det)
    rest = cov / root * (1 / (1 + var_u) + 1 / (1 + var_v) + 1 / det)
    return scale / (2 * np.pi) * (np.pi / 2 + np.arctan(cov / root) + rest)


def complement_gelu(eps: _Real, var: _Real) -> _Real:
    """Return the drop of `dual_gelu` from 1 to 1 - `eps`, term by term, over its value at 1."""
    product = eps * (2 - eps)
    first = np.sqrt(1 + 2 * var)
    second = np.sqrt(1 + 2 * var + var**2 * product)
    angle = np.pi / 2 + np.arctan(var * (1 - eps) / second)
    share = (var / (1 + var)) ** 2
    bend = 1 / second - var**2 / (first + second) * (1 - 1 / (first * second))
    drop = var * (_arcsine_drop(eps, var) + eps * angle) + share * product * bend
    whole = var * (np.pi / 2 + np.arctan(var / first)) + share * (first + 1 / first)
    return drop / whole


def dual_gaussian(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return 1 / np.sqrt(_determinant(rho, 2 * var_u, 2 * var_v))


def slope_gaussian(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    det = _determinant(rho, 2 * var_u, 2 * var_v)
    return 4 * var_u * var_v * rho / (det * np.sqrt(det))


def complement_gaussian(eps: _Real, var: _Real) -> _Real:
    extra = 4 * var**2 * eps * (2 - eps)
    second = np.sqrt(1 + 4 * var + extra)
    return extra / (second * (second + np.sqrt(1 + 4 * var)))


# Sine and cosine: docs/theory.md, 8.6.


def _near(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    """Return exp(|cov| - (var_u + var_v)/2), cov the covariance, its exponent a sum of terms of one sign."""
    gap = (var_u - var_v) / (np.sqrt(var_u) + np.sqrt(var_v) + _TINY)  # of the standard deviations
    return np.exp(-0.5 * gap * gap - _scale(var_u, var_v) * (1 - np.abs(rho)))


def dual_sin(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    cov = _scale(var_u, var_v) * rho
    if np.max(_scale(var_u, var_v), initial=0) <= _SERIES_REACH:
        return np.exp(-(var_u + var_v) / 2) * cov * _polynomial(_SINH, cov * cov)
    return np.copysign(_near(rho, var_u, var_v) * np.expm1(-2 * np.abs(cov)) / 2, cov)


def dual_cos(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    cov = _scale(var_u, var_v) * rho
    if np.max(_scale(var_u, var_v), initial=0) <= _SERIES_REACH:
        return np.exp(-(var_u + var_v) / 2) * _polynomial(_COSH, cov * cov)
    return _near(rho, var_u, var_v) * (1 + np.exp(-2 * np.abs(cov))) / 2


def slope_sin(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) * dual_cos(rho, var_u, var_v)


def slope_cos(rho: _Real, var_u: _Real, var_v: _Real) -> _Real:
    return _scale(var_u, var_v) * dual_sin(rho, var_u, var_v)


def complement_sin(eps: _Real, var: _Real) -> _Real:
    return (1 + np.exp(-var * (2 - eps))) * np.expm1(-var * eps) / np.expm1(-2 * var)


def complement_cos(eps: _Real, var: _Real) -> _Real:
    return np.expm1(-var * (2 - eps)) * np.expm1(-var * eps) / (1 + np.exp(-2 * var))


#: Value, derivative in rho and complement, by the name of the activation.
FORMS: Mapping[str, tuple[Callable, Callable, Callable]] = MappingProxyType(
    {
        "linear": (dual_linear, slope_linear, complement_linear),
        "relu": (dual_relu, slope_relu, complement_relu),
        "leaky_relu": (dual_leaky_relu, slope_leaky_relu, complement_leaky_relu),
        "abs": (dual_abs, slope_abs, complement_abs),
        "step": (dual_step, slope_step, complement_step),
        "maxout2": (dual_maxout2, slope_maxout2, complement_relu),
        "erf": (dual_erf, slope_erf, complement_erf),
        "gelu": (dual_gelu, slope_gelu, complement_gelu),
        "gaussian": (dual_gaussian, slope_gaussian, complement_gaussian),
        "sin": (dual_sin, slope_sin, complement_sin),
        "cos": (dual_cos, slope_cos, complement_cos),
    }
)
