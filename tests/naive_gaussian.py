"""Slow oracles for Gaussian expectations, in mpmath at 40 digits, by other routes than the package takes."""

import mpmath as mp

DIGITS = 40


def relu_moment(a: int, b: int, theta) -> mp.mpf:
    """J_ab by its definition in polar coordinates; `theta`, a float, is read as pi - (np.pi - theta)."""
    with mp.workdps(DIGITS):
        psi = mp.mpf(3.141592653589793 - theta)
        n = a + b
        # the substitution t = psi s keeps the powers of a tiny psi out of the integral, whose tolerance is absolute
        integral = mp.quad(
            lambda s: (mp.sin(psi * s) / psi) ** a * (mp.sin(psi * (1 - s)) / psi) ** b, mp.linspace(0, 1, 5)
        )
        return 2 ** (mp.mpf(n) / 2) * mp.gamma(1 + mp.mpf(n) / 2) / (2 * mp.pi) * psi ** (n + 1) * integral


def _pdf(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def _mean_leaky(mu, s, slope):
    """E phi(mu + s z) of a leaky ReLU."""
    r = mu / s
    relu = mu * mp.ncdf(r) + s * _pdf(r)
    return slope * mu + (1 - slope) * relu


def _mean_elu(mu, s):
    r = mu / s
    negative = mp.exp(mu + s * s / 2) * mp.ncdf(-r - s) - mp.ncdf(-r)
    return mu * mp.ncdf(r) + s * _pdf(r) + negative


def _mean_gelu(mu, s):
    w = mp.sqrt(1 + s * s)
    return mu * mp.ncdf(mu / w) + s * s / w * _pdf(mu / w)


FUNCTIONS = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else x * mp.mpf(0.01),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "tanh": mp.tanh,
    "gelu": lambda x: x * mp.ncdf(x),
    "quick_gelu": lambda x: x / (1 + mp.exp(-mp.mpf(1.702) * x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
}
CONDITIONAL_MEANS = {
    "linear": lambda mu, s: mu,
    "relu": lambda mu, s: _mean_leaky(mu, s, mp.mpf(0)),
    "leaky_relu": lambda mu, s: _mean_leaky(mu, s, mp.mpf(0.01)),
    "gelu": _mean_gelu,
    "elu": _mean_elu,
}


def second_moment(name: str, var) -> mp.mpf:
    """E phi(sqrt(var) z)^2 by one-dimensional quadrature broken at 0."""
    with mp.workdps(DIGITS):
        s = mp.sqrt(mp.mpf(var))
        return mp.quad(lambda z: FUNCTIONS[name](s * z) ** 2 * _pdf(z), [-15, -3, 0, 3, 15])


def dual_activation(name: str, rho, var_u, var_v) -> mp.mpf:
    """E[phi(u) phi(v)] by integrating phi(u) E[phi(v) | u], the inner mean in closed form; |rho| < 1."""
    with mp.workdps(DIGITS):
        rho, su, sv = mp.mpf(rho), mp.sqrt(mp.mpf(var_u)), mp.sqrt(mp.mpf(var_v))
        s = sv * mp.sqrt((1 - rho) * (1 + rho))
        width = mp.sqrt((1 - rho) * (1 + rho))  # the inner mean bends within this distance of 0
        cuts = sorted({mp.mpf(c) for c in (-15, -3, 0, 3, 15)} | {k * width for k in (-12, -3, 3, 12)})
        inner, phi = CONDITIONAL_MEANS[name], FUNCTIONS[name]
        return mp.quad(lambda z: phi(su * z) * inner(sv * rho * z, s) * _pdf(z), cuts)


def trapezoid_mean(combine, rho, var_u, var_v, step: float = 0.125, reach: float = 10.0, digits: int = 30) -> mp.mpf:
    """E combine(u, v) by the trapezoid rule in the plane, which converges exponentially for analytic functions."""
    with mp.workdps(digits):
        rho, su, sv, h = mp.mpf(rho), mp.sqrt(mp.mpf(var_u)), mp.sqrt(mp.mpf(var_v)), mp.mpf(step)
        noise = mp.sqrt((1 - rho) * (1 + rho))
        n = int(reach / step)
        weight = {k: _pdf(k * h) * h for k in range(-n, n + 1)}
        total = mp.mpf(0)
        for i in range(-n, n + 1):
            x = i * h
            for j in range(-n, n + 1):
                if (i * i + j * j) * step**2 < reach**2:
                    total += weight[i] * weight[j] * combine(su * x, sv * (rho * x + noise * j * h))
        return total


def relu_complement(eps, slope=0) -> mp.mpf:
    """1 - C-map of a leaky ReLU at correlation 1 - eps, by subtraction at 100 digits."""
    with mp.workdps(100):
        rho, slope = 1 - mp.mpf(eps), mp.mpf(slope)
        theta = mp.acos(rho)
        j11 = (mp.sin(theta) + (mp.pi - theta) * rho) / (2 * mp.pi)
        return 1 - (slope * rho + (1 - slope) ** 2 * j11) / ((1 + slope**2) / 2)
