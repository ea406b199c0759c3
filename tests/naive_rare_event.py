"""Slow oracle of `sims.rare_event`: a plain tilted sampler in NumPy, two groups of units by brute force, lanes."""

import itertools
import math

import numpy as np
from scipy import stats
from scipy.integrate import quad

from tests.naive_lanes import next_words

__all__ = ["failure_given_groups", "lane_sums", "log_mgf", "tilted_log_weights"]


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


def lane_sums(seeds, counts, law):
    """Return the sums of `sims._tilted_lanes.fill_unit_sums`, shape (10, trials): the same words, float64, NumPy."""
    state = seeds.reshape(4, -1)
    lanes = state.shape[1]
    groups = []
    for both, one in zip(counts[0].reshape(-1, lanes), counts[1].reshape(-1, lanes), strict=True):
        sums = np.zeros((10, lanes))
        for step in range(int(both.max())):
            state, energy, x = unit(state)
            e, o = waves(x * law.turn_both, law.hyperbolic_both)
            above = np.abs(x) * law.turn_both < law.turn_zero
            for rows, chosen in ((slice(1, 4), above), (slice(4, 7), ~above)):
                sums[rows] += np.array([np.ones(lanes), o * o, e * o]) * energy * (chosen & (step < both))
            sums[0] += above & (step < both)
        for step in range(int(one.max())):
            state, energy, x = unit(state)
            _, o = waves(x * law.turn_one, law.hyperbolic_one)
            sums[7:] += np.array([np.ones(lanes), o * o, o * o * np.sign(x)]) * energy * (step < one)
        groups.append(sums)
    return np.concatenate(groups, axis=1)


def unit(state):
    """Return the next state of the generators, a standard exponential number, and one in [-1, 1)."""
    first, *state = next_words(*state)
    second, *state = next_words(*state)
    return state, -np.log(((first >> np.uint32(1)) | np.uint32(1)) / 2.0**31), second.view(np.int32) * 2.0**-31


def waves(w, hyperbolic):
    return (np.cosh(w), np.sinh(w)) if hyperbolic else (np.cos(w), np.sin(w))
