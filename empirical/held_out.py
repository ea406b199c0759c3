r"""What is logged of a model on held-out pairs: the gap and what should be read beside it, on the device of the rows.

The definitions are those of `conetheory.gap`, with which the numbers agree to 1e-5 in float32; nothing of shape (n, n)
is held. Linear separability is that of `empirical.separability`, on the processor: torch has no solver of logistic
regression.
"""

import math

import torch
from jaxtyping import Float
from torch.nn.functional import normalize

from ._pair_blocks import as_scalar, checked_chunk, product_blocks, working_pairs
from .contrastive_loss import clip_loss
from .separability import linear_separability
from .uniformity_loss import alignment, uniformity

__all__ = ["DEFINITIONS", "KS", "held_out_metrics"]

KS = (1, 5, 10)
SINGULAR_VALUES = 5

DEFINITIONS = {
    "loss": "symmetric CLIP loss of all pairs as one batch, in nats",
    "tau": "temperature, 1/β",
    "gap_norm": "‖x̄ − ȳ‖, distance of the two means (Liang et al. 2022)",
    "gap_angle": "angle between the two means, in radians",
    "mean_cosine_x": "mean of x_i·x_j over i < j",
    "mean_cosine_y": "mean of y_i·y_j over i < j",
    "matched_cosine": "mean of x_i·y_i",
    "unmatched_cosine": "mean of x_i·y_j over i ≠ j",
    "alignment": "mean of ‖x_i − y_i‖² (Wang and Isola 2020)",
    "uniformity_x": "ln mean over i < j of exp(−2‖x_i − x_j‖²) (Wang and Isola 2020)",
    "uniformity_y": "ln mean over i < j of exp(−2‖y_i − y_j‖²) (Wang and Isola 2020)",
    "wasserstein_uniformity": "−W₂ of the pooled rows, as a Gaussian, to N(0, I/d) (Fang et al. 2024)",
    "margin": "min over i ≠ j of x_i·y_i − max(x_i·y_j, x_j·y_i) (Yaras et al. 2025)",
    "matched_fraction": "share of pairs with a positive margin: each nearest to the other, ties against",
    "recall_x_to_y@k": "share of the x whose y is among the k nearest, ties against",
    "recall_y_to_x@k": "share of the y whose x is among the k nearest, ties against",
    "linear_separability": "held-out accuracy of logistic regression, x against y (Fahim et al. 2024)",
    "linear_separability_null": "the same with modalities exchanged at random within pairs, once",
    "singular_value_k": "k-th singular value of the 2n unit rows, over √(2n)",
}

Rows = Float[torch.Tensor, "n d"]


@torch.no_grad()
def held_out_metrics(
    x: torch.Tensor,
    y: torch.Tensor,
    scale: torch.Tensor | float,
    *,
    chunk: int | None = None,
    separability_pairs: int = 512,
) -> dict[str, float]:
    r"""Measure the gap and its companions on embeddings of held-out pairs.

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i, n at least 2; rows are normalised here. Types below float32 are measured in float32.
    scale : Tensor or float
        Logit scale β, for the loss.
    chunk : int, optional
        Rows of a chunk, as for `empirical.contrastive_loss.clip_loss`.
    separability_pairs : int
        Linear separability is measured on the first pairs, at most so many, with a fixed split.

    Returns
    -------
    dict of str to float
        The keys of `DEFINITIONS`, with k = 1, 5, 10 of recall where n allows, and k = 1 ... 5 of singular values where
        d does. The angle is NaN where a mean vanishes.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or a row is zero or not finite.

    Examples
    --------
    >>> found = held_out_metrics(torch.eye(3), torch.eye(3), 1.0)
    >>> found["gap_norm"], found["margin"], found["recall_x_to_y@1"]
    (0.0, 1.0, 1.0)
    """
    x, y = working_pairs(x, y)
    if len(x) < 2:
        raise ValueError(f"`x` must have at least 2 rows, got {len(x)}.")
    x, y = _unit("x", x), _unit("y", y)
    beta = as_scalar("scale", scale, x)
    found = {
        "loss": clip_loss(x, y, beta, chunk=chunk),
        "tau": 1 / beta,
        **_of_means(x, y),
        "alignment": alignment(x, y),
        "uniformity_x": uniformity(x, chunk=chunk),
        "uniformity_y": uniformity(y, chunk=chunk),
        **_of_ranks(x, y, checked_chunk(chunk, len(x), x.device)),
        **_of_spectrum(x, y),
    }
    values = torch.stack([value.to(x.dtype) for value in found.values()]).tolist()  # one wait for the device
    metrics = dict(zip(found, values, strict=True))
    few_x, few_y = (rows[:separability_pairs].double().cpu().numpy() for rows in (x, y))
    apart = linear_separability(few_x, few_y, n_permutations=1, rng=0)
    return metrics | {"linear_separability": apart.accuracy.value, "linear_separability_null": apart.null_mean}


def _unit(name: str, rows: torch.Tensor) -> Rows:
    norms = torch.linalg.vector_norm(rows, dim=1)
    good = torch.isfinite(norms) & (norms > 0)
    if not bool(good.all()):
        raise ValueError(f"`{name}` must have finite rows that are not zero, got norm {norms[~good][0]:.3g}.")
    return normalize(rows, dim=1)


def _of_means(x: Rows, y: Rows) -> dict[str, torch.Tensor]:
    n = len(x)
    means = [rows.mean(dim=0) for rows in (x, y)]
    a, b = (mean / torch.linalg.vector_norm(mean) for mean in means)
    inner, matched = torch.dot(*means), (x * y).sum(dim=1).mean()
    within = [(n * torch.dot(mean, mean) - 1) / (n - 1) for mean in means]
    return {
        "gap_norm": torch.linalg.vector_norm(means[0] - means[1]),
        "gap_angle": 2 * torch.atan2(torch.linalg.vector_norm(a - b), torch.linalg.vector_norm(a + b)),
        "mean_cosine_x": within[0],
        "mean_cosine_y": within[1],
        "matched_cosine": matched,
        "unmatched_cosine": (n * inner - matched) / (n - 1),
    }


def _of_ranks(x: Rows, y: Rows, chunk: int) -> dict[str, torch.Tensor]:
    """Return margin, matched fraction and recall; a rival within rounding of a product is ranked before the pair."""
    n, tie = len(x), 1e-12 if x.dtype == torch.float64 else 1e-6
    own_cosines = (x * y).sum(dim=1)
    before_y, before_x = own_cosines.new_empty(n), own_cosines.new_zeros(n)
    best_y, best_x = own_cosines.new_empty(n), own_cosines.new_full((n,), -math.inf)
    for own, cosines in product_blocks(x, y, 1.0, chunk):
        cosines.diagonal(own.start).fill_(-math.inf)
        before_y[own] = (cosines >= own_cosines[own, None] - tie).sum(dim=1).to(x.dtype)
        before_x += (cosines >= own_cosines - tie).sum(dim=0)
        best_y[own] = cosines.amax(dim=1)
        best_x = torch.maximum(best_x, cosines.amax(dim=0))
    ks = [k for k in KS if k <= n]
    return {
        "margin": (own_cosines - torch.maximum(best_x, best_y)).amin(),
        "matched_fraction": ((before_x == 0) & (before_y == 0)).to(x.dtype).mean(),
        **{f"recall_x_to_y@{k}": (before_y < k).to(x.dtype).mean() for k in ks},
        **{f"recall_y_to_x@{k}": (before_x < k).to(x.dtype).mean() for k in ks},
    }


def _of_spectrum(x: Rows, y: Rows) -> dict[str, torch.Tensor]:
    """Return the Wasserstein uniformity, and singular values over √(2n)."""
    pooled = torch.cat([x, y])
    mean = pooled.mean(dim=0)
    plain, centred = (_singular_values(rows) / math.sqrt(len(pooled)) for rows in (pooled, pooled - mean))
    squared = torch.dot(mean, mean) + 1 + torch.dot(centred, centred) - 2 * centred.sum() / math.sqrt(x.shape[1])
    top = {f"singular_value_{k}": value for k, value in enumerate(plain[:SINGULAR_VALUES], start=1)}
    return {"wasserstein_uniformity": -squared.clamp(min=0).sqrt(), **top}


def _singular_values(rows: Rows) -> Float[torch.Tensor, "k"]:
    return torch.linalg.svdvals(torch.linalg.qr(rows, mode="r").R)  # the triangular factor has the same, and is d × d
