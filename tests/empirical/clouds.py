"""Clouds of pairs, the reference definitions, and the estimates that follow from sums."""

import numpy as np

from conetheory import gap
from empirical._moments import collect_moments, first_order_metrics, wasserstein_estimate
from empirical._potential import uniformity_estimate
from empirical.embeddings import EmbeddingPairs

REFERENCE = {
    "gap": gap.gap_norm,
    "angle_deg": lambda x, y: np.degrees(gap.gap_angle(x, y)),
    "rmg": gap.relative_modality_gap,
    "mean_cosine_x": lambda x, y: gap.mean_cosine(x),
    "mean_cosine_y": lambda x, y: gap.mean_cosine(y),
    "mean_cosine_matched": gap.matched_cosine,
    "mean_cosine_unmatched": gap.unmatched_cosine,
    "alignment": gap.alignment,
    "uniformity_x": lambda x, y: gap.uniformity(x),
    "uniformity_y": lambda x, y: gap.uniformity(y),
    "wasserstein_uniformity": gap.wasserstein_uniformity,
}


def clouds(n, dim, seed=0, offset=0.5):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, dim))
    shift = offset * np.ones(dim)
    return shared + rng.standard_normal((n, dim)) + shift, shared + rng.standard_normal((n, dim)) - shift


def sums_of(pairs, n_bootstrap=2, rows=64, seed=0):
    weight_rng, fold_rng = np.random.default_rng(seed).spawn(2)
    return collect_moments(
        pairs, n_bootstrap, weight_rng=weight_rng, fold_rng=fold_rng, rows=rows, progress=lambda share: None
    )


def estimates_of(x, y, n_bootstrap=2, rows=64, seed=0, groups=None):
    """Every estimate that is not about retrieval or separability."""
    sums = sums_of(EmbeddingPairs(x=x, y=y, groups=groups), n_bootstrap, rows, seed)
    found = first_order_metrics(sums) | {"wasserstein_uniformity": wasserstein_estimate(sums)}
    for name, side in (("uniformity_x", x), ("uniformity_y", y)):
        unit = side / np.linalg.norm(side, axis=1, keepdims=True)
        found[name] = uniformity_estimate(unit, n_bootstrap, groups, np.random.default_rng(seed))
    return found
