"""Slow oracles of `activation_rate` and `leaky_relu`: adaptive quadrature in the plane, and a plain tilted sampler."""

import math

import mpmath as mp
import numpy as np
from scipy import integrate

__all__ = ["leaky", "leaky_log_mgf", "log_mgf", "tilted_log_weights"]


def leaky(slope):
    """Return leaky ReLU as a function of arrays."""
    return lambda x: np.where(x > 0, x, slope * x)


def leaky_log_mgf(t, cosine, norms, slope, variances=(1, 1)):
    """Return ln E e^(-tX), s = 1, to the digits of mpmath: four arctangents, from the cosine and norms themselves."""
    (a, b), (sigma_w2, sigma_b2) = (tuple(map(mp.mpf, x)) for x in (norms, variances))
    c, left, t = mp.mpf(cosine), mp.mpf(slope), mp.mpf(t)
    rho = (sigma_w2 * a * b * c + sigma_b2) / mp.sqrt((sigma_w2 * a**2 + sigma_b2) * (sigma_w2 * b**2 + sigma_b2))
    square, total = 1 - rho**2, mp.mpf(0)
    for one, other, sign in ((1, 1, 1), (left, left, 1), (1, left, -1), (left, 1, -1)):
        p, r = 1 - t * square * c * other**2, 1 - t * square * c * one**2
        q = t * square * sign * one * other - sign * rho
        root = mp.sqrt(mp.mpc(p * r - q**2))
        total += mp.re((mp.pi / 2 - mp.atan(q / root)) / root)
    return mp.log(mp.sqrt(square) * total / (2 * mp.pi))


def summand(function, z, w, s, cosine):
    """Return X_s at the pre-activations `z`, `w`."""
    f, g = function(z), function(w)
    return f * g - cosine / 2 * (s * f * f + g * g / s)


def log_mgf(function, scales, rho, t, s, cosine, radius=25.0):
    """Return ln E e^(-t X_s): nested adaptive quadrature over (z, w), broken at 0."""

    def density(w, z):
        exponent = -(z * z - 2 * rho * z * w + w * w) / (2 * (1 - rho**2))
        return np.exp(exponent - t * summand(function, scales[0] * z, scales[1] * w, s, cosine))

    parts = [
        integrate.dblquad(density, *outer, *inner, epsabs=1e-11, epsrel=1e-10)[0]
        for outer in ((-radius, 0), (0, radius))
        for inner in ((-radius, 0), (0, radius))
    ]
    return math.log(math.fsum(parts) / (2 * np.pi * math.sqrt(1 - rho**2)))


def tilted_log_weights(function, scales, theta, found, cosine, width, n, *, rng):
    """Return ln(weight) of `n` layers of `width` units, -inf where the cosine rises; `found` has tilt, balance, rate.

    Units are drawn by rejection from a normal of 3 times the variance; the bound is read off a polar grid.
    """
    rng = np.random.default_rng(rng)
    t, s = found.tilt, found.balance

    def pair(points):
        x, y = points
        return scales[0] * x, scales[1] * (x * math.cos(theta) + y * math.sin(theta))

    def log_ratio(points):
        return -np.sum(points**2, axis=0) / 3 - t * summand(function, *pair(points), s, cosine)

    r, alpha = np.meshgrid(np.linspace(0, 12, 1201), np.linspace(0, 2 * np.pi, 1441))
    bound = float(log_ratio(np.stack([r * np.cos(alpha), r * np.sin(alpha)])).max()) + 0.01
    kept = np.empty((2, 0))
    while kept.shape[1] < n * width:
        points = math.sqrt(3) * rng.standard_normal((2, n * width))
        ratio = log_ratio(points)
        assert ratio.max() <= bound
        kept = np.concatenate([kept, points[:, np.log(rng.random(n * width)) < ratio - bound]], axis=1)
    f, g = (function(z).reshape(n, width) for z in pair(kept[:, : n * width]))
    a, b, c = np.sum(f * g, axis=1), np.sum(f * f, axis=1), np.sum(g * g, axis=1)
    exponent = t * (a - cosine / 2 * (s * b + c / s)) - width * found.rate
    return np.where(a > cosine * np.sqrt(b * c), -np.inf, exponent)
