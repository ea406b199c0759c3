"""Slow oracles of `contraction` and `finite_width`: mpmath at 40 digits, from the definitions."""

import mpmath as mp

__all__ = ["DIGITS", "correlation", "delta_method", "kappa", "moment", "scaled_margin", "threshold"]

DIGITS = 40


def correlation(c, a, b, sigma_w2=1, sigma_b2=1):
    """Return the correlation of the two pre-activations."""
    c, a, b, w, s = map(mp.mpf, (c, a, b, sigma_w2, sigma_b2))
    return (w * a * b * c + s) / mp.sqrt((w * a * a + s) * (w * b * b + s))


def kappa(rho):
    """Return the dual activation of ReLU, normalised to 1 at 1."""
    return (mp.sqrt(1 - rho**2) + (mp.pi - mp.acos(rho)) * rho) / mp.pi


def threshold(a, b, sigma_w2=1, sigma_b2=1):
    """Return c* by bisection on the sign of kappa(rho_1(c)) - c (a != b, both variances positive)."""

    def excess(c):
        return kappa(correlation(c, a, b, sigma_w2, sigma_b2)) - c

    low, high = mp.mpf(0), mp.mpf(1)
    for _ in range(130):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low


def moment(rho, function, order):
    """Return E function(relu(z), relu(z')) for a `function` homogeneous of degree `order`."""
    theta = mp.acos(rho)

    def on_circle(alpha):
        return function(max(mp.cos(alpha), mp.mpf(0)), max(mp.cos(alpha - theta), mp.mpf(0)))

    kinks = sorted({-mp.pi / 2, theta - mp.pi / 2, mp.pi / 2, theta + mp.pi / 2})
    radial = mp.power(2, mp.mpf(order) / 2) * mp.gamma(1 + mp.mpf(order) / 2)
    return radial * mp.quad(on_circle, kinks) / (2 * mp.pi)


def scaled_margin(c, rho, power):
    """Return E X^power of X = phi phi' - (c/2)(phi^2 + phi'^2)."""
    c = mp.mpf(c)
    return moment(rho, lambda p, q: (p * q - c / 2 * (p * p + q * q)) ** power, 2 * power)


def delta_method(rho):
    """Return (m, v) from the covariance of (phi phi', phi^2, phi'^2) and the Taylor terms of A / sqrt(B C)."""
    features = [lambda p, q: p * q, lambda p, q: p * p, lambda p, q: q * q]
    mean = [moment(rho, f, 2) for f in features]
    covariance = [
        [moment(rho, lambda p, q, f=f, g=g: f(p, q) * g(p, q), 4) - mean[i] * mean[j] for j, g in enumerate(features)]
        for i, f in enumerate(features)
    ]

    def cosine(x, y, z):
        return x / mp.sqrt(y * z)

    def derivative(*orders):
        return mp.diff(cosine, tuple(mean), orders)

    unit = [tuple(int(i == j) for j in range(3)) for i in range(3)]
    gradient = [derivative(*e) for e in unit]
    hessian = [[derivative(*(x + y for x, y in zip(e, f, strict=True))) for f in unit] for e in unit]
    pairs = [(i, j) for i in range(3) for j in range(3)]
    m = sum(hessian[i][j] * covariance[i][j] for i, j in pairs) / 2
    v = sum(gradient[i] * gradient[j] * covariance[i][j] for i, j in pairs)
    return m, v
