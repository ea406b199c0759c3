"""Slow oracles of `conetheory.orthogonal`, `conetheory.normalisation` and `sims.towers`: the plain definitions."""

import mpmath as mp
import numpy as np

__all__ = [
    "centred_cosine",
    "multi_head_attention",
    "orthogonal_log_mean",
    "orthogonal_prefactor",
    "residual_cosine",
]


def centred_cosine(u, v):
    """Return the cosine of two vectors after LayerNorm."""
    u, v = u - np.mean(u), v - np.mean(v)
    return u @ v / np.sqrt((u @ u) * (v @ v))


def orthogonal_log_mean(cosine, aspect, t, lam):
    """Return the bracket of 10.4, to be maximised over t and lam, by mpmath's quadrature over the whole circle."""
    cosine = mp.mpf(cosine)
    theta = mp.acos(cosine)

    def denominator(alpha):
        first, second = max(mp.cos(alpha + theta / 2), 0), max(mp.cos(alpha - theta / 2), 0)
        return 1 + lam * mp.cos(2 * alpha) + 2 * t * (first * second - cosine / 2 * (first**2 + second**2))

    kinks = [-mp.pi, -(mp.pi + theta) / 2, -(mp.pi - theta) / 2, (mp.pi - theta) / 2, (mp.pi + theta) / 2, mp.pi]
    mean = mp.quad(lambda alpha: 1 / denominator(alpha), kinks) / (2 * mp.pi)
    rest = (1 / mp.mpf(aspect) - 1) / 2 * mp.log(1 - mp.mpf(lam) ** 2) if aspect else mp.mpf(0)
    return rest - mp.log(mean)


def orthogonal_prefactor(cosine, aspect, t, lam, points=400_000):
    """Return the factor of 10.5 from full covariance matrices over a fine grid of the circle, without symmetries."""
    theta = np.arccos(cosine)
    alpha = (np.arange(points) + 0.5) * 2 * np.pi / points
    first, second = np.maximum(np.cos(alpha + theta / 2), 0), np.maximum(np.cos(alpha - theta / 2), 0)
    x = first * second - cosine / 2 * (first**2 + second**2)
    gram = [np.ones(points), np.cos(2 * alpha), np.sin(2 * alpha)]
    features = np.stack([x, first**2 - second**2, *gram, first**2])

    def moments(denominator):  # R²/2 is exponential of this rate: E R² = 2/rate, E R⁴ = 8/rate²
        weights = 1 / denominator / np.sum(1 / denominator)
        mean = (2 * features / denominator) @ weights
        return mean, (8 * features / denominator**2 * weights) @ features.T - np.outer(mean, mean)

    mean, seen = moments(1 + lam * gram[1] + 2 * t * x)
    volume, inner = 1.0, seen[:2, :2]
    if aspect:
        total = seen[2:5, 2:5] + (1 / aspect - 1) * moments(1 + lam * gram[1])[1][2:5, 2:5]
        inner = inner - seen[:2, 2:5] @ np.linalg.solve(total, seen[2:5, :2])
        volume = np.linalg.det(4 / aspect * np.eye(3)) / np.linalg.det(total)
    return np.sqrt(volume / inner[0, 0] / (1 + t * cosine * inner[1, 1] / (4 * mean[5]))) / t


def residual_cosine(u, v, phi, *, placement, norm, sigma_w2, rng):
    """Return the cosine after one residual block, from the weight matrices themselves."""

    def normalised(x):
        x = x - np.mean(x) if norm == "layer" else x
        return x / np.sqrt(np.mean(x**2))

    width = len(u)
    first = rng.standard_normal((width, width)) * np.sqrt(sigma_w2 / width)
    second = rng.standard_normal((width, width)) / np.sqrt(width)
    after = []
    for x in (u, v):
        if placement == "pre":
            after.append(x + second @ phi(first @ normalised(x)))
        else:
            after.append(normalised(x + second @ phi(first @ x)))
    return after[0] @ after[1] / np.sqrt((after[0] @ after[0]) * (after[1] @ after[1]))


def multi_head_attention(x, queries, keys, values, output, divisor):
    """Return attention over the tokens of one sequence, head by head and token by token."""
    rows = []
    for token in x:
        heads = []
        for query, key, value in zip(queries, keys, values, strict=True):
            logits = np.array([(token @ query) @ (other @ key) / divisor for other in x])
            weights = np.exp(logits) / np.exp(logits).sum()
            heads.append(sum(weight * (other @ value) for weight, other in zip(weights, x, strict=True)))
        rows.append(np.concatenate(heads) @ output)
    return np.array(rows)
