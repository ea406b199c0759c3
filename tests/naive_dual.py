"""Slow oracles for dual activations, in mpmath at 40 digits: values, derivatives, complements. Each integrates over one
of the two Gaussians; the mean over the other given the first is elementary, or a trapezoid rule.
"""

import mpmath as mp

from tests import naive_gaussian
from tests.naive_gaussian import DIGITS

ALPHA = mp.mpf(0.01)
BETA = mp.mpf(1.702)


def _pdf(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _bell(mu, s):
    """E exp(-x^2), x normal of mean mu and standard deviation s."""
    d = 1 + 2 * s * s
    return mp.exp(-mu * mu / d) / mp.sqrt(d)


def _mean_gelu_slope(mu, s):
    w = mp.sqrt(1 + s * s)
    return mp.ncdf(mu / w) + mu / w**3 * _pdf(mu / w)


def _mean_elu_slope(mu, s):
    return mp.ncdf(mu / s) + mp.exp(mu + s * s / 2) * mp.ncdf(-mu / s - s)


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _swish_slope(x, beta):
    return _sigmoid(beta * x) * (1 + beta * x * _sigmoid(-beta * x))


FUNCTIONS = naive_gaussian.FUNCTIONS | {
    "abs": abs,
    "step": lambda x: mp.mpf(x > 0),
    "erf": mp.erf,
    "gaussian": lambda x: mp.exp(-x * x),
    "sin": mp.sin,
    "cos": mp.cos,
    "silu": lambda x: x * _sigmoid(x),
}
MEANS = naive_gaussian.CONDITIONAL_MEANS | {
    "abs": lambda mu, s: 2 * s * _pdf(mu / s) + mu * (2 * mp.ncdf(mu / s) - 1),
    "step": lambda mu, s: mp.ncdf(mu / s),
    "erf": lambda mu, s: mp.erf(mu / mp.sqrt(1 + 2 * s * s)),
    "gaussian": _bell,
    "sin": lambda mu, s: mp.sin(mu) * mp.exp(-s * s / 2),
    "cos": lambda mu, s: mp.cos(mu) * mp.exp(-s * s / 2),
}
SLOPES = {
    "linear": lambda x: mp.mpf(1),
    "relu": FUNCTIONS["step"],
    "leaky_relu": lambda x: ALPHA + (1 - ALPHA) * (x > 0),
    "abs": mp.sign,
    "erf": lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x),
    "gelu": lambda x: mp.ncdf(x) + x * _pdf(x),
    "gaussian": lambda x: -2 * x * mp.exp(-x * x),
    "sin": mp.cos,
    "cos": lambda x: -mp.sin(x),
    "elu": lambda x: mp.mpf(1) if x > 0 else mp.exp(x),
    "tanh": lambda x: mp.sech(x) ** 2,
    "sigmoid": lambda x: _sigmoid(x) * _sigmoid(-x),
    "silu": lambda x: _swish_slope(x, 1),
    "quick_gelu": lambda x: _swish_slope(x, BETA),
}
SLOPE_MEANS = {
    "linear": lambda mu, s: mp.mpf(1),
    "relu": MEANS["step"],
    "leaky_relu": lambda mu, s: ALPHA + (1 - ALPHA) * mp.ncdf(mu / s),
    "abs": lambda mu, s: 2 * mp.ncdf(mu / s) - 1,
    "erf": lambda mu, s: 2 / mp.sqrt(mp.pi) * _bell(mu, s),
    "gelu": _mean_gelu_slope,
    "gaussian": lambda mu, s: -2 * mu / (1 + 2 * s * s) * _bell(mu, s),
    "sin": MEANS["cos"],
    "cos": lambda mu, s: -MEANS["sin"](mu, s),
    "elu": _mean_elu_slope,
}


def mean(phi, inner, rho, var_u, var_v) -> mp.mpf:
    """E[phi(u) phi(v)], where inner(mu, s) is the mean of phi(v) for v normal of mean mu, standard deviation s."""
    with mp.workdps(DIGITS):
        rho, su, sv = mp.mpf(rho), mp.sqrt(mp.mpf(var_u)), mp.sqrt(mp.mpf(var_v))
        noise = mp.sqrt((1 - rho) * (1 + rho))

        def given(z):
            return inner(sv * rho * z, sv * noise) if noise else phi(sv * rho * z)

        cuts = {mp.mpf(c) for c in (-15, -6, -3, -1, 0, 1, 3, 6, 15)}
        cuts |= {k * noise for k in (-12, -3, 3, 12)}  # the inner mean bends within this distance of 0
        cuts |= {sign * k / scale for sign in (-1, 1) for k in (1, 4) for scale in (su, sv)}  # and the functions here
        cuts = sorted(c for c in cuts if abs(c) <= 15)
        return mp.quad(lambda z: phi(su * z) * given(z) * _pdf(z), cuts, method="gauss-legendre")


def dual_activation(name, rho, var_u=1, var_v=1) -> mp.mpf:
    return mean(FUNCTIONS[name], MEANS.get(name), rho, var_u, var_v)


def dual_derivative(name, rho, var_u=1, var_v=1) -> mp.mpf:
    """The derivative in rho, by Price's theorem."""
    with mp.workdps(DIGITS):
        return mp.sqrt(mp.mpf(var_u) * var_v) * mean(SLOPES[name], SLOPE_MEANS.get(name), rho, var_u, var_v)


def complement(name, eps, var=1) -> mp.mpf:
    """1 - C-map at correlation 1 - eps, by subtraction."""
    with mp.workdps(DIGITS):
        return 1 - dual_activation(name, 1 - mp.mpf(eps), var, var) / dual_activation(name, 1, var, var)


def analytic_mean(phi, rho, var_u, var_v) -> mp.mpf:
    """E[phi(u) phi(v)] of a function without singularities within 1 of the real line, by trapezoid rules: over u, and
    over v given u. Each converges like exp(-2 pi/h) of the larger scale, or like exp(-2 pi^2/h^2).
    """
    with mp.workdps(DIGITS):
        rho, su, sv = mp.mpf(rho), mp.sqrt(mp.mpf(var_u)), mp.sqrt(mp.mpf(var_v))
        noise = mp.sqrt((1 - rho) * (1 + rho))
        outer = min(mp.mpf(1) / 4, mp.mpf(1) / 6 / max(su, sv))
        inner = min(mp.mpf(1) / 2, mp.mpf(1) / 6 / (sv * noise)) if noise else mp.inf
        reach = 11
        ys = [k * inner for k in range(-int(reach / inner), int(reach / inner) + 1)] if noise else [mp.mpf(0)]
        weights = [inner * _pdf(y) for y in ys] if noise else [mp.mpf(1)]
        total = mp.mpf(0)
        for i in range(-int(reach / outer), int(reach / outer) + 1):
            x = i * outer
            given = mp.fdot(weights, [phi(sv * (rho * x + noise * y)) for y in ys])
            total += outer * _pdf(x) * phi(su * x) * given
        return total
