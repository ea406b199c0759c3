"""Slow oracles of `sphere`: mpmath at 40 digits, from the definitions, and plain loops."""

import mpmath as mp
import numpy as np
from scipy.optimize import nnls

__all__ = ["DIGITS", "bessel_ratio", "cap_fraction", "enclosing_half_angle", "mean_pairwise_cosine", "uniformity"]

DIGITS = 40


def _incomplete_beta(a, b, x):
    """Return I_x(a, b) by its series of positive terms."""
    term, total, n = mp.mpf(1), mp.mpf(0), 0
    while term > total * mp.eps:
        total += term
        term *= (a + b + n) / (a + 1 + n) * x
        n += 1
    return x**a * (1 - x) ** b / (a * mp.beta(a, b)) * total


def cap_fraction(half_angle, dim):
    """Return the share of the sphere within `half_angle` of a point, by series from the pole or from the equator."""
    with mp.workdps(DIGITS + dim // 5):  # the equator's form cancels down to 2^(-dim / 2)
        psi, half, order = mp.mpf(half_angle), mp.mpf(1) / 2, mp.mpf(dim - 1) / 2
        if mp.sin(psi) ** 2 < half:
            small = _incomplete_beta(order, half, mp.sin(psi) ** 2) / 2
        else:
            small = (1 - _incomplete_beta(half, order, mp.cos(psi) ** 2)) / 2
        return small if mp.cos(psi) >= 0 else 1 - small


def bessel_ratio(dim, s):
    """Return I_{d/2}(s) / I_{d/2-1}(s); for large s, where mpmath's series gives up, from the recurrence run down."""
    with mp.workdps(DIGITS):
        nu, s = mp.mpf(dim) / 2, mp.mpf(s)
        if s < 2000:
            return mp.besseli(nu, s) / mp.besseli(nu - 1, s) if s else mp.mpf(0)
        ratio = mp.mpf(0)
        for k in range(int(60 / mp.asinh(nu / s)), -1, -1):  # leaves exp(-120) of the error
            ratio = 1 / (2 * (nu + k) / s + ratio)
        return ratio


def uniformity(dim):
    """Return ln E exp(-2 |x - y|^2) for independent uniform points by quadrature over their cosine (dim >= 2)."""
    with mp.workdps(DIGITS):
        p = dim - 2
        weight = mp.quad(lambda t: mp.sin(t) ** p, [0, mp.pi / 2, mp.pi])
        mean = mp.quad(lambda t: mp.exp(-4 * (1 - mp.cos(t))) * mp.sin(t) ** p, mp.linspace(0, mp.pi, 9)) / weight
        return mp.log(mean)


def mean_pairwise_cosine(x):
    """Return the mean cosine over pairs i < j by a double loop."""
    x = [np.asarray(row, dtype=float) / np.sqrt(sum(v * v for v in row)) for row in x]
    pairs = [float(x[i] @ x[j]) for j in range(len(x)) for i in range(j)]
    return sum(pairs) / len(pairs)


def enclosing_half_angle(points):
    """Return the least half-angle (< pi/2) of a cap with the unit rows; its centre is the hull's point nearest 0."""
    system = np.vstack([points.T, np.ones(len(points))])
    weights, _ = nnls(system, np.eye(len(system))[-1])
    centre = weights @ points
    return float(np.arccos((points @ centre).min() / np.linalg.norm(centre)))
