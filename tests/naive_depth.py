"""Slow oracles of finite width and depth: tensors of derivatives and cumulants at 40 digits, printed formulas."""

from functools import cache
from itertools import product

import mpmath as mp

from tests.naive_contraction import moment

__all__ = [
    "cosine",
    "log_sine",
    "printed_mean",
    "printed_variance",
    "second_order",
    "small_angle",
]

_POWERS = ((1, 1), (2, 0), (0, 2))  # of the summands phi phi', phi^2, phi'^2


def cosine(a, b, c):
    """Return the cosine as a function of the means of phi phi', phi^2 and phi'^2."""
    return a / mp.sqrt(b * c)


def log_sine(a, b, c):
    """Return ln sin^2 of the angle, likewise."""
    return mp.log(1 - a * a / (b * c))


def _joint(rho, summands):
    p, q = sorted(sum(_POWERS[i][side] for i in summands) for side in (0, 1))
    return _moment(rho, p, q)


@cache
def _moment(rho, p, q):
    return moment(rho, lambda x, y: x**p * y**q, p + q)


def second_order(rho, functional):
    """Return mean and variance to d^-2 and the third cumulant's d^-2, from tensors (James and Mayne 1962)."""
    three = range(3)
    mean = [_joint(rho, (i,)) for i in three]
    k2 = {(i, j): _joint(rho, (i, j)) - mean[i] * mean[j] for i, j in product(three, repeat=2)}
    k3 = {}
    for i, j, k in product(three, repeat=3):
        k3[i, j, k] = (
            _joint(rho, (i, j, k))
            - mean[i] * _joint(rho, (j, k))
            - mean[j] * _joint(rho, (i, k))
            - mean[k] * _joint(rho, (i, j))
            + 2 * mean[i] * mean[j] * mean[k]
        )

    def derivative(*indices):
        order = tuple(indices.count(i) for i in three)
        if order not in known:
            known[order] = mp.diff(functional, tuple(mean), order)
        return known[order]

    known = {}
    f2 = {ij: derivative(*ij) for ij in product(three, repeat=2)}
    f1 = [derivative(i) for i in three]
    first_mean = sum(f2[i, j] * k2[i, j] for i, j in k2) / 2
    second_mean = sum(derivative(*t) * k3[t] for t in k3) / 6
    first_variance = sum(f1[i] * f1[j] * k2[i, j] for i, j in k2)
    second_variance = sum(f1[i] * f2[j, k] * k3[i, j, k] for i, j, k in k3)
    third = sum(f1[i] * f1[j] * f1[k] * k3[i, j, k] for i, j, k in k3)
    for i, j, k, m in product(three, repeat=4):
        second_mean += derivative(i, j, k, m) * k2[i, j] * k2[k, m] / 8
        second_variance += f2[i, j] * f2[k, m] * k2[i, k] * k2[j, m] / 2
        second_variance += f1[i] * derivative(j, k, m) * k2[i, j] * k2[k, m]
        third += 3 * f1[i] * f1[j] * f2[k, m] * k2[i, k] * k2[j, m]
    return [functional(*mean), first_mean, second_mean], [0, first_variance, second_variance], third


def _printed_terms(theta):
    theta = mp.mpf(theta)
    s, c, open_ = mp.sin(theta), mp.cos(theta), mp.pi - theta
    j11 = (s + open_ * c) / (2 * mp.pi)
    j22 = (open_ * (1 + 2 * c**2) + 3 * s * c) / (2 * mp.pi)
    j31 = (3 * open_ * c + 3 * s - s**3) / (2 * mp.pi)
    big = 8 * j11**2 * j22 - 8 * j11**4 + 4 * j11**2 - 8 * j11 * j31 + j22 + 1
    return j11, j22, big, 2 * j11**2 - 4 * j11 * j31 + j22 + 1


def printed_mean(theta, n):
    """Return mu of Jakub and Nica as printed."""
    n = mp.mpf(n)
    j11, j22, big, _ = _printed_terms(theta)
    gap = 1 - 4 * j11**2
    logarithm = mp.log((n - 1) * gap / (4 * j22 - 1 + n))
    return logarithm + 4 * (j22 + 1) / (n * ((4 * j22 - 1) / n + 1) ** 2) - 4 * big / (n * (1 - 1 / n) ** 2 * gap**2)


def printed_variance(theta, n):
    """Return sigma^2 of Jakub and Nica as printed."""
    n = mp.mpf(n)
    j11, j22, big, last = _printed_terms(theta)
    gap, sum_ = 1 - 4 * j11**2, 4 * j22 - 1 + n
    return 8 * n * (j22 + 1) / sum_**2 + 8 * n * big / ((n - 1) ** 2 * gap**2) - 16 * n * last / (sum_ * (n - 1) * gap)


def small_angle(n):
    """Return mean and variance of ln(chi2_(N-1) / chi2_N), N ~ Bin(n, 1/2) given N >= 2, by the plain sums."""
    weights = {k: mp.binomial(n, k) for k in range(2, n + 1)}
    total = sum(weights.values())
    half = mp.mpf(1) / 2
    means = {k: mp.digamma((k - 1) * half) - mp.digamma(k * half) for k in weights}
    mean = sum(weights[k] * means[k] for k in weights) / total
    spread = {k: mp.psi(1, (k - 1) * half) + mp.psi(1, k * half) for k in weights}
    return mean, sum(weights[k] * (spread[k] + (means[k] - mean) ** 2) for k in weights) / total
