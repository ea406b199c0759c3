"""Slow oracles of `large_deviation`: mpmath sector by sector, NumPy quadrature of the definition, and sampling."""

import mpmath as mp
import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.optimize import minimize

__all__ = ["failure_of_two", "joint_rate", "log_mgf", "moment", "rate", "sampled_failures", "transform"]

_PANELS = 400
_NODES = np.add.outer(2 * np.arange(_PANELS) + 1 - _PANELS, leggauss(16)[0]).ravel() / _PANELS
_WEIGHTS = np.tile(leggauss(16)[1], _PANELS) / _PANELS


def _sectors(theta):
    half = (mp.pi - theta) / 2
    inner = [half * (1 - mp.mpf(10) ** -k) for k in range(1, 7)]  # dense where 1 + 2th may be small
    return [0, *inner, half], [0, theta / 2, theta]


def _over_circle(function, theta):
    """Return the mean over the circle of an even function of (relu(cos), relu(cos))."""
    together, alone = _sectors(theta)
    both = mp.quad(lambda b: function(mp.cos(b - theta / 2), mp.cos(b + theta / 2)), together)
    one = mp.quad(lambda d: function(mp.sin(d), mp.mpf(0)) + function(mp.mpf(0), mp.sin(d)), alone)
    return (2 * both + one + (mp.pi - theta) * function(mp.mpf(0), mp.mpf(0))) / (2 * mp.pi)


def _contrast(c, p, q):
    return p * q - mp.mpf(c) / 2 * (p * p + q * q)


def log_mgf(t, c, theta):
    """Return ln E e^{-tX}."""
    t, theta = mp.mpf(t), mp.mpf(theta)
    return mp.log(_over_circle(lambda p, q: 1 / (1 + 2 * t * _contrast(c, p, q)), theta))


def moment(t, c, theta, function, order):
    """Return the tilted mean of a `function` of (phi, phi'), homogeneous of degree 2 `order`."""
    t, theta = mp.mpf(t), mp.mpf(theta)
    total = _over_circle(lambda p, q: function(p, q) / (1 + 2 * t * _contrast(c, p, q)) ** (order + 1), theta)
    return 2**order * mp.factorial(order) * total / mp.exp(log_mgf(t, c, theta))


def rate(c, theta, start):
    """Return -min ln M, the stationary point found near `start`."""

    def slope(t):
        return _over_circle(lambda p, q: _contrast(c, p, q) / (1 + 2 * t * _contrast(c, p, q)) ** 2, mp.mpf(theta))

    return -log_mgf(
        mp.findroot(slope, (mp.mpf(start), mp.mpf(start) * mp.mpf("1.001")), tol=mp.mpf(10) ** -40), c, theta
    )


def _circle(theta):
    """Return (cos_+, cos_+) and weights of sum 1 without the inactive sector."""
    half = (np.pi - theta) / 2
    edges = [(-half - theta, -half), (-half, half), (half, half + theta)]
    angle = np.concatenate([(low + high + (high - low) * _NODES) / 2 for low, high in edges])
    weight = np.concatenate([(high - low) * _WEIGHTS for low, high in edges]) / (4 * np.pi)
    return np.maximum(np.cos(angle - theta / 2), 0), np.maximum(np.cos(angle + theta / 2), 0), weight


def transform(t, s, eta, c, theta):
    """Return E e^{-tX - sY} and E G e^{-tX - sY} of one unit, for X, Y, G at `eta`."""
    p, q, weight = _circle(theta)
    first, second = np.exp(-eta) * p * p, np.exp(eta) * q * q
    pole = 1 + 2 * t * (p * q - c / 2 * (first + second)) + 2 * s * (first - second)
    return np.sum(weight / pole) + (np.pi - theta) / (2 * np.pi), np.sum(weight * (first + second) / pole**2)


def joint_rate(eta, c, theta, start):
    """Return -min over (t, s) of ln E e^{-tX - sY} at `eta`: the rate of {X = Y = 0}."""
    p, q, weight = _circle(theta)
    first, second = np.exp(-eta) * p * p, np.exp(eta) * q * q
    x, y = p * q - c / 2 * (first + second), first - second

    def objective(at):
        pole = 1 + 2 * at[0] * x + 2 * at[1] * y
        if pole.min() <= 0:
            return 10.0 - pole.min()  # outside of the domain: slope back into it
        return np.log(np.sum(weight / pole) + (np.pi - theta) / (2 * np.pi))

    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
    return -minimize(objective, [start, -start * c / 2 * np.tanh(eta)], method="Nelder-Mead", options=options).fun


def sampled_failures(c, theta, width, n, seed):
    """Return how many of n layers fail, by drawing the normal pairs themselves."""
    rng, rho = np.random.default_rng(seed), np.cos(theta)
    z = rng.standard_normal((2, n, width))
    x, y = np.maximum(z[0], 0), np.maximum(rho * z[0] + np.sin(theta) * z[1], 0)
    norms = np.einsum("nk,nk->n", x, x) * np.einsum("nk,nk->n", y, y)
    return int(np.sum((norms == 0) | (np.einsum("nk,nk->n", x, y) <= c * np.sqrt(norms))))


def failure_of_two(c, theta, panels=12, order=20):
    """Return P(failure) of two units: angles by quadrature, the ratio of their energies exactly."""
    x, w = leggauss(order)
    edges = [(-np.pi / 2, theta - np.pi / 2), (theta - np.pi / 2, np.pi / 2), (np.pi / 2, theta + np.pi / 2)]
    starts = np.concatenate([np.linspace(low, high, panels + 1)[:-1] for low, high in edges])
    sizes = np.repeat([(high - low) / panels for low, high in edges], panels)
    angle = (starts[:, None] + sizes[:, None] * (1 + x) / 2).ravel()
    weight = (sizes[:, None] * w / 2).ravel() / (2 * np.pi)
    u, v = np.maximum(np.cos(angle), 0), np.maximum(np.cos(angle - theta), 0)
    p, uu, vv = u * v, u * u, v * v
    constant = np.broadcast_to((p**2 - (c * u * v) ** 2)[:, None], (len(u), len(u)))  # A^2 - c^2 B C in powers of f
    square = constant.T
    linear = 2 * np.outer(p, p) - c * c * (np.outer(uu, vv) + np.outer(vv, uu))
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    fails = (linear < 0) & ((linear**2 > 4 * square * constant) | (square * constant == 0))
    below = np.where(fails, root - linear, 1.0)
    low, high = 2 * constant / below, np.where(square > 0, below / np.where(square > 0, 2 * square, 1), np.inf)
    share = np.where(np.isinf(high), 1.0, high / (1 + np.where(np.isinf(high), 0, high))) - low / (1 + low)
    share = np.where(fails, share, 0.0)
    apart = theta / np.pi
    none = 0.5 * (1 - apart)
    lone = np.outer(p == 0, p == 0)  # no unit active on both: A = 0
    return none**2 + 2 * none * apart + weight @ np.where(lone, 1.0, share) @ weight
