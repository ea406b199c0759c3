"""Slow oracles of the gap flow: the actual parametrisation, its loss pair by pair, and 40-digit arithmetic."""

import mpmath as mp
import numpy as np
from scipy.integrate import quad

mp.mp.dps = 40


def pairs(n, dim, noise, seed):
    """Return unit rows H and a noisy copy H'."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, dim))
    k = h + noise * rng.standard_normal((n, dim))
    return h / np.linalg.norm(h, axis=1, keepdims=True), k / np.linalg.norm(k, axis=1, keepdims=True)


def embedded(h, k, gamma):
    """Return the rows [sqrt(1 - γ²) H, γ] and [sqrt(1 - γ²) H', -γ]."""
    root, column = np.sqrt(1 - gamma**2), np.full((len(h), 1), gamma)
    return np.hstack([root * h, column]), np.hstack([root * k, -column])


def loss_of_rows(x, y, beta):
    """Return the symmetric cross-entropy of all logits of these rows."""
    logits = beta * (x @ y.T)
    peak = logits.max()
    weights = np.exp(logits - peak)
    own = np.diag(logits) - peak
    return float(np.mean(np.log(weights.sum(axis=0)) + np.log(weights.sum(axis=1)) - 2 * own)) / 2


def descent(h, k, beta_of, state, t_end, steps, fixed=False):
    """Follow minus the gradient of the loss of the rows in (ν, γ): Runge-Kutta, finite differences."""

    def loss(nu, gamma):
        return loss_of_rows(*embedded(h, k, gamma), beta_of(nu))

    def speed(point):
        nu, gamma = point
        step = 1e-5
        by_nu = 0.0 if fixed else (loss(nu + step, gamma) - loss(nu - step, gamma)) / (2 * step)
        by_gamma = (loss(nu, gamma + step) - loss(nu, gamma - step)) / (2 * step)
        return -np.array([by_nu, by_gamma])

    point, dt = np.array(state, dtype=float), t_end / steps
    for _ in range(steps):
        one = speed(point)
        two = speed(point + dt / 2 * one)
        three = speed(point + dt / 2 * two)
        point = point + dt / 6 * (one + 2 * two + 2 * three + speed(point + dt * three))
    return point


def mp_loss(z, a):
    """Return l(aZ) to 40 digits, list by list."""
    n, total = len(z), mp.mpf(0)
    for i in range(n):
        for row in (True, False):
            terms = [mp.exp(a * (mp.mpf(z[i][j] if row else z[j][i]) - mp.mpf(z[i][i]))) for j in range(n)]
            total += mp.log(mp.fsum(terms))
    return total / (2 * n)


def mp_force(z, a):
    """Return minus the derivative of `mp_loss`, numerically."""
    return -mp.diff(lambda x: mp_loss(z, x), a)


def first_integral(slope, start, stop):
    """Return the integral of β/β'² from `start` to `stop`."""
    return mp.quad(lambda b: b / slope(b) ** 2, [start, (start + stop) / 2, stop])


def time_to_scale(force, slope, gamma_of, start, stop):
    """Return the time in which the logit scale goes from `start` to `stop`: the integral of dβ/β̇."""

    def pace(beta):
        rest = 1 - gamma_of(beta) ** 2
        return 1 / (slope(beta) ** 2 * rest * force(beta * rest))

    return quad(pace, start, stop, epsrel=1e-11, epsabs=0.0, limit=200)[0]


def bessel_ratio(dim, a):
    """Return I_{d/2}(a)/I_{d/2-1}(a) to 40 digits."""
    half = mp.mpf(dim) / 2
    return mp.besseli(half, a) / mp.besseli(half - 1, a)


def printed_enlargement(n, dim, gamma0, beta0, failure):
    """Return the bound of Theorem 3.3 as it is printed."""
    n, gamma0, beta0, failure = (mp.mpf(x) for x in (n, gamma0, beta0, failure))
    a, rho = beta0 * (1 - gamma0**2), mp.mpf(dim - 2) / 2
    front = mp.gamma(mp.mpf(dim) / 2) * (2 / a) ** rho
    xi1 = front * (mp.besseli(rho - 1, a) - 2 * rho / a * mp.besseli(rho, a))
    xi2 = front * mp.besseli(rho, a)
    eps = mp.sqrt(mp.log((4 * n + 1) / failure) / (2 * n))
    force = (xi1 - 2 * mp.exp(a) * eps) / (xi2 + (mp.exp(a) - mp.exp(-a)) * eps) - 2 * eps
    return 4 * beta0 * gamma0 * force


def random_force(rng, n, dim, a):
    """Return -g(a) of n pairs of independent uniform rows."""
    h, k = pairs(n, dim, 0.0, rng)[0], pairs(n, dim, 0.0, rng)[0]
    return repulsion(h @ k.T, a)


def repulsion(z, a):
    """Return -g(a) of cosines: the softmax means of the rows and of the columns, less the mean of the pairs."""
    weights = np.exp(a * z)
    rows = (weights * z).sum(axis=1) / weights.sum(axis=1)
    columns = (weights * z).sum(axis=0) / weights.sum(axis=0)
    return float(np.mean(rows + columns) / 2 - np.mean(np.diag(z)))
