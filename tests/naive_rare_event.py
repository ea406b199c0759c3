"""Slow oracle of `sims.rare_event`: a plain tilted sampler in NumPy, and two groups of units by brute force."""

import itertools
import math

import numpy as np
from scipy import stats
from scipy.integrate import quad

__all__ = ["failure_given_groups", "log_mgf", "tilted_log_weights"]


def form(alpha, cosine, theta):
    """Return h at the angle `alpha`: X = R² h."""
    u, v = np.maximum(np.cos(alpha), 0), np.maximum(np.cos(alpha - theta), 0)
    return u * v - cosine / 2 * (u * u + v * v)


def log_mgf(tilt, cosine, theta):
    """Return ln E e^(-tX) by quadrature over the angle, sector by sector."""
    edges = [-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2]
    parts = [
        quad(lambda a: 1 / (1 + 2 * tilt * form(a, cosine, theta)), low, high, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
        for low, high in itertools.pairwise(edges)
    ]
    return math.log((math.fsum(parts) + np.pi - theta) / (2 * np.pi))


def tilted_log_weights(cosine, theta, width, tilt, n, *, rng):
    """Return ln(weight) of `n` trials, -inf where the cosine rises: angles by rejection, nothing integrated out."""
    rng = np.random.default_rng(rng)
    least = 1 - tilt * cosine * math.sin(min(theta, np.pi / 2)) ** 2  # of D = 1 + 2th
    angles = np.empty(0)
    while angles.size < n * width:
        proposal = rng.uniform(-np.pi, np.pi, 2 * n * width)
        kept = rng.random(proposal.size) * (1 + 2 * tilt * form(proposal, cosine, theta)) < least
        angles = np.concatenate([angles, proposal[kept]])
    alpha = angles[: n * width].reshape(n, width)
    radius = np.sqrt(2 * rng.standard_exponential((n, width)) / (1 + 2 * tilt * form(alpha, cosine, theta)))
    u, v = radius * np.maximum(np.cos(alpha), 0), radius * np.maximum(np.cos(alpha - theta), 0)
    inner, norms = np.sum(u * v, axis=1), np.sqrt(np.sum(u * u, axis=1) * np.sum(v * v, axis=1))
    exponent = tilt * (inner - cosine / 2 * np.sum(u * u + v * v, axis=1))
    return np.where(inner > cosine * norms, -np.inf, width * log_mgf(tilt, cosine, theta) + exponent)


def failure_given_groups(above, below, cosine, points=40_001):
    """Return P(cosine <= c) when the units of two groups are multiplied by the roots of gamma variables.

    A group is an array (n, 2) of pairs (φ, φ') whose sum of R²/2 is 1; the shares of the two are beta distributed.
    """
    share = stats.beta(len(below), len(above)).ppf((np.arange(points) + 0.5) / points)
    sums = [
        share * np.sum(below[:, i] * below[:, j]) + (1 - share) * np.sum(above[:, i] * above[:, j])
        for i, j in ((0, 1), (0, 0), (1, 1))
    ]
    return float(np.mean(sums[0] <= cosine * np.sqrt(sums[1] * sums[2])))
