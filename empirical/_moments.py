r"""Everything that follows from weighted sums, in one pass over the pairs. Private: inputs are already validated.

With weights :math:`w_i` of one bootstrap replicate, :math:`W = \sum w_i`, :math:`Q = \sum w_i^2`, the mean over the
pairs i ≠ j is :math:`(\|\sum w_i x_i\|^2 - Q) / (W^2 - Q)`: a pair drawn twice is not compared with itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._bootstrap import bootstrap_estimate, weight_chunks
from .embeddings import EmbeddingPairs, iter_chunks
from .estimate import Estimate

__all__ = ["Moments", "collect_moments", "first_order_metrics", "wasserstein_estimate"]

_FOLDS = 20
_NO_DIRECTION = 1e-12  # a mean of unit rows shorter than this is rounding: its direction is lost


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Sums over the pairs, for the data (replicate 0) and each bootstrap replicate.

    Attributes
    ----------
    weight, square : ndarray, shape (r,)
        Σ w_i and Σ w_i².
    x, y : ndarray, shape (r, d)
        Σ w_i x_i and Σ w_i y_i, of unit rows.
    matched, matched_square : ndarray, shape (r,)
        Σ w_i x_i·y_i and Σ w_i² x_i·y_i.
    fold_count : ndarray, shape (f,)
        Pairs in each fold, random parts of equal size; unweighted, like the next two.
    fold_sum : ndarray, shape (f, d)
        Σ x_i + y_i over the fold.
    fold_second : ndarray, shape (f, d, d)
        Σ x_i x_iᵀ + y_i y_iᵀ over the fold.
    """

    weight: np.ndarray
    square: np.ndarray
    x: np.ndarray
    y: np.ndarray
    matched: np.ndarray
    matched_square: np.ndarray
    fold_count: np.ndarray
    fold_sum: np.ndarray
    fold_second: np.ndarray


def collect_moments(
    pairs: EmbeddingPairs,
    n_bootstrap: int,
    *,
    weight_rng: np.random.Generator,
    fold_rng: np.random.Generator,
    rows: int,
    progress: Callable[[float], None],
) -> Moments:
    """Read the pairs once, `rows` at a time. Memory: the chunk, and 20 matrices of shape (d, d) for the folds."""
    units = pairs.n if pairs.groups is None else int(pairs.groups.max()) + 1
    folds = min(_FOLDS, units)
    fold_of = (fold_rng.permutation(units) % folds).astype(np.int8)
    shape, dim = (1 + n_bootstrap,), pairs.dim
    sums = Moments(
        weight=np.zeros(shape),
        square=np.zeros(shape),
        x=np.zeros((*shape, dim)),
        y=np.zeros((*shape, dim)),
        matched=np.zeros(shape),
        matched_square=np.zeros(shape),
        fold_count=np.zeros(folds),
        fold_sum=np.zeros((folds, dim)),
        fold_second=np.zeros((folds, dim, dim)),
    )
    places = [slice(start, min(start + rows, pairs.n)) for start in range(0, pairs.n, rows)]
    weights = weight_chunks(places, n_bootstrap, pairs.groups, weight_rng)
    for (place, x, y), drawn in zip(iter_chunks(pairs, rows), weights, strict=True):
        _add_weighted(sums, x, y, drawn)
        _add_folds(sums, x, y, fold_of[place if pairs.groups is None else pairs.groups[place]])
        progress(place.stop / pairs.n)
    return sums


def _add_weighted(sums: Moments, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> None:
    cosines = np.einsum("ij,ij->i", x, y)
    squares = weights**2
    sums.weight[:] += weights.sum(axis=0)
    sums.square[:] += squares.sum(axis=0)
    sums.x[:] += weights.T @ x
    sums.y[:] += weights.T @ y
    sums.matched[:] += cosines @ weights
    sums.matched_square[:] += cosines @ squares


def _add_folds(sums: Moments, x: np.ndarray, y: np.ndarray, fold_of: np.ndarray) -> None:
    for fold in np.unique(fold_of):
        here = fold_of == fold
        for rows in (x[here], y[here]):
            sums.fold_sum[fold] += rows.sum(axis=0)
            sums.fold_second[fold] += rows.T @ rows
        sums.fold_count[fold] += np.count_nonzero(here)


@np.errstate(divide="ignore", invalid="ignore")  # a replicate of one distinct pair has no i ≠ j: NaN, left out later
def first_order_metrics(sums: Moments) -> dict[str, Estimate]:
    """Return the metrics that are functions of weighted sums, with bootstrap standard errors."""
    mean_x, mean_y = sums.x / sums.weight[:, None], sums.y / sums.weight[:, None]
    different = sums.weight**2 - sums.square
    within_x = (np.sum(sums.x**2, axis=1) - sums.square) / different
    within_y = (np.sum(sums.y**2, axis=1) - sums.square) / different
    matched = sums.matched / sums.weight
    apart, spread = (1 - matched) / 2, (2 - within_x - within_y) / 4
    apart_and_spread = np.where(apart + spread > _NO_DIRECTION, apart + spread, np.nan)
    replicates = {
        "gap": np.linalg.norm(mean_x - mean_y, axis=1),
        "angle_deg": np.degrees(_angles(mean_x, mean_y)),
        "rmg": apart / apart_and_spread,
        "mean_cosine_x": within_x,
        "mean_cosine_y": within_y,
        "mean_cosine_matched": matched,
        "mean_cosine_unmatched": (np.sum(sums.x * sums.y, axis=1) - sums.matched_square) / different,
        "alignment": 2 * (1 - matched),
    }
    return {name: bootstrap_estimate(values) for name, values in replicates.items()}


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles between rows, accurate near 0 and π; NaN for a row without direction."""
    units = []
    for rows in (a, b):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        units.append(rows / np.where(lengths > _NO_DIRECTION, lengths, np.nan))
    a, b = units
    return 2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))


def wasserstein_estimate(sums: Moments) -> Estimate:
    """Return minus the distance W₂ of the pooled rows, as a Gaussian, to N(0, I/d), with its jackknife standard error.

    A bootstrap would need a (d, d) second moment a replicate. Instead each of the 20 random folds of pairs is left out
    in turn (delete-a-group jackknife; the standard error is itself known to 16 %). It is too large, never too small,
    where the rows are almost uniform: there W₂ is near its minimum, and no longer linear in the sample.
    """
    from threadpoolctl import threadpool_limits  # installed with scikit-learn

    count, total, second = 2.0 * sums.fold_count.sum(), sums.fold_sum.sum(axis=0), sums.fold_second.sum(axis=0)
    left_out = np.empty(len(sums.fold_count))
    with threadpool_limits(
        1
    ):  # eigenvalues of this size gain little from a second thread, and lose much on a busy machine
        value = _wasserstein(count, total, second)
        for i, pairs in enumerate(sums.fold_count):
            left_out[i] = _wasserstein(count - 2 * pairs, total - sums.fold_sum[i], second - sums.fold_second[i])
    folds = len(left_out)
    stderr = np.sqrt((folds - 1) / folds * np.sum((left_out - left_out.mean()) ** 2))
    return Estimate(value=value, stderr=float(stderr))


def _wasserstein(count: float, total: np.ndarray, second: np.ndarray) -> float:
    """Return −W₂ from the number of rows, their sum and their second moment; see `conetheory.gap`."""
    mean = total / count
    variances = np.linalg.eigvalsh(second / count - np.outer(mean, mean))
    noise = len(mean) * np.finfo(np.float64).eps * max(variances[-1], 0.0)
    variances = variances[variances > noise]  # the rest is rounding, and its root would not be small
    squared = mean @ mean + 1 + variances.sum() - 2 * np.sqrt(variances).sum() / np.sqrt(len(mean))
    return -float(np.sqrt(max(squared, 0.0)))  # 0 is attained, and rounding may pass it
