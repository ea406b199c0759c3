r"""The pair of pre-activations of one random layer, as an angle. Private: cosines are already validated.

With :math:`\tan\alpha_u = \sigma_b/(\sigma_w a)` the correlation is :math:`\rho_1 = \lambda c_0 + \mu`, where
:math:`\lambda = \cos\alpha_u\cos\alpha_v`, :math:`\mu = \sin\alpha_u\sin\alpha_v` and :math:`\lambda + \mu = 1 -
\eta`, :math:`\eta = 1 - \cos(\alpha_u - \alpha_v)`: all that is small near :math:`\rho_1 = 1` is a sum of nonnegative
terms (`docs/theory.md`, 2.2). Cosines come with their complement, `drop` :math:`= 1 - c_0`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import as_nonnegative
from ._relu_contrast import kappa_lift

__all__ = ["Layer", "Reals", "angle", "layer_of", "margin", "sine_and_cosine"]

# A field over the broadcast shape; NumPy returns a scalar for an operation on arrays of shape ().
Reals = np.ndarray | np.float64


class Layer(NamedTuple):
    r""":math:`\lambda, \mu, \eta, \sin(\alpha_u-\alpha_v)` and the scales :math:`\sqrt{\sigma_w^2 a^2+\sigma_b^2}`."""

    lam: Reals
    mu: Reals
    eta: Reals
    sine: Reals
    scale_u: Reals
    scale_v: Reals


def layer_of(norm_u: ArrayLike, norm_v: ArrayLike, sigma_w2: ArrayLike, sigma_b2: ArrayLike) -> Layer:
    """Validate norms and variances; an input whose pre-activation is 0 has no angle and is an error."""
    a, b = as_nonnegative("norm_u", norm_u), as_nonnegative("norm_v", norm_v)
    s_w, s_b = np.sqrt(as_nonnegative("sigma_w2", sigma_w2)), np.sqrt(as_nonnegative("sigma_b2", sigma_b2))
    if np.any((s_w == 0) & (s_b == 0)):
        raise ValueError("`sigma_w2` and `sigma_b2` must not both be 0, got 0.0 and 0.0.")
    scale_u, scale_v = np.hypot(s_w * a, s_b), np.hypot(s_w * b, s_b)
    for name, scale in (("norm_u", scale_u), ("norm_v", scale_v)):
        if not np.all(scale > 0):
            raise ValueError(f"`{name}` must be positive where `sigma_b2` is 0, got 0.0.")
    lam, mu = (s_w * a / scale_u) * (s_w * b / scale_v), (s_b / scale_u) * (s_b / scale_v)
    sine = (s_b / scale_u) * (s_w * (b - a) / scale_v)
    return Layer(lam, mu, sine * sine / (1.0 + lam + mu), sine, scale_u, scale_v)


def sine_and_cosine(layer: Layer, cosine: Reals, drop: Reals) -> tuple[Reals, Reals]:
    r""":math:`\sin\theta_1` and :math:`\cos\theta_1 = \rho_1`."""
    inside = layer.lam * drop * (layer.lam * (2.0 - drop) + 2.0 * layer.mu)
    return np.hypot(np.sqrt(inside), layer.sine), layer.lam * cosine + layer.mu


def angle(layer: Layer, cosine: Reals, drop: Reals) -> Reals:
    r""":math:`\theta_1` in [0, pi]."""
    return np.arctan2(*sine_and_cosine(layer, cosine, drop))


def margin(layer: Layer, cosine: Reals, drop: Reals, theta: Reals) -> Reals:
    r""":math:`\kappa(\rho_1) - c_0 = (\rho_1 - c_0) + (\kappa(\rho_1) - \rho_1)`."""
    return layer.mu * drop - layer.eta * cosine + kappa_lift(theta)
