"""The modality gap of a set of pairs, with everything that should be read beside it.

Sums over pairs are collected in one pass over the file; recall takes another. Where the full quantity needs all N²
cosines and N is large, a random subset of the rows stands in, and the report says how many.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from conetheory._arrays import as_count

from ._moments import collect_moments, first_order_metrics, wasserstein_estimate
from ._potential import uniformity_estimate
from ._recall import recall_estimates
from .embeddings import EmbeddingPairs, unit_sample
from .estimate import Estimate
from .separability import LinearSeparability, linear_separability, require_scikit_learn

__all__ = ["DEFINITIONS", "KS", "GapReport", "measure_gap"]

KS = (1, 5, 10)

DEFINITIONS = {
    "gap": "‖x̄ − ȳ‖, distance of the two means (Liang et al. 2022), unsigned",
    "gap_squared_unbiased": "unbiased square of the gap, gap² − (alignment − gap²)/(n − 1): about 0 for none",
    "gap_null": "root mean square gap if the two of each pair are swapped at random, √(alignment/n)",
    "angle_deg": "angle between the two means, in degrees",
    "rmg": "relative modality gap m/(m + (d_x + d_y)/2), m and d means of (1 − cos)/2 (Schrodi et al. 2025)",
    "mean_cosine_x": "mean of x_i·x_j over i < j",
    "mean_cosine_y": "mean of y_i·y_j over i < j",
    "mean_cosine_matched": "mean of x_i·y_i",
    "mean_cosine_unmatched": "mean of x_i·y_j over i ≠ j",
    "recall_x_to_y": "share of the x with a correct y among the k nearest, ties against; k = ",
    "recall_y_to_x": "share of the y with a correct x among the k nearest, ties against; k = ",
    "alignment": "mean of ‖x_i − y_i‖² (Wang and Isola 2020)",
    "uniformity_x": "ln mean over i < j of exp(−2‖x_i − x_j‖²) (Wang and Isola 2020)",
    "uniformity_y": "ln mean over i < j of exp(−2‖y_i − y_j‖²) (Wang and Isola 2020)",
    "wasserstein_uniformity": "−W₂ of the pooled rows, as a Gaussian, to N(0, I/D) (Fang et al. 2024)",
    "linear_separability": "held-out accuracy of logistic regression, x against y (Fahim et al. 2024)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GapReport:
    """What `measure_gap` found; `DEFINITIONS` says what each estimate is.

    Attributes
    ----------
    n, dim : int
        Number of pairs and dimension.
    gap, gap_squared_unbiased, gap_null, angle_deg, rmg, mean_cosine_x, mean_cosine_y, mean_cosine_matched,
    mean_cosine_unmatched, alignment : Estimate
        On all pairs; standard errors by the paired bootstrap.
    recall_x_to_y, recall_y_to_x : dict from k to Estimate
        For `n_queries` queries among all pairs; standard errors and 95 % intervals over the queries.
    uniformity_x, uniformity_y : Estimate
        On `n_uniformity` pairs; standard errors by the paired bootstrap.
    wasserstein_uniformity : Estimate
        On all pairs; standard error by a jackknife over 20 random folds of pairs.
    linear_separability : LinearSeparability
        On `n_separability` pairs.
    n_bootstrap, n_queries, n_uniformity, n_separability : int
        Bootstrap replicates, and pairs used where fewer than n may be.
    n_groups : int or None
        Number of groups, if pairs were grouped: then groups, not pairs, are resampled.
    """

    n: int
    dim: int
    gap: Estimate
    gap_squared_unbiased: Estimate
    gap_null: Estimate
    angle_deg: Estimate
    rmg: Estimate
    mean_cosine_x: Estimate
    mean_cosine_y: Estimate
    mean_cosine_matched: Estimate
    mean_cosine_unmatched: Estimate
    recall_x_to_y: dict[int, Estimate]
    recall_y_to_x: dict[int, Estimate]
    alignment: Estimate
    uniformity_x: Estimate
    uniformity_y: Estimate
    wasserstein_uniformity: Estimate
    linear_separability: LinearSeparability
    n_bootstrap: int
    n_queries: int
    n_uniformity: int
    n_separability: int
    n_groups: int | None

    def as_dict(self) -> dict:
        """Return the report ready for JSON: each estimate as ``{value, stderr}``, some with an interval beside."""
        found: dict = {"n": self.n, "dim": self.dim}
        for name in DEFINITIONS:
            entry = getattr(self, name)
            is_recall = isinstance(entry, dict)
            found[name] = {str(k): at.as_dict() for k, at in entry.items()} if is_recall else entry.as_dict()
        counts = ("n_bootstrap", "n_queries", "n_uniformity", "n_separability", "n_groups")
        return found | {name: getattr(self, name) for name in counts}

    def rows(self) -> list[tuple[str, str, float, float]]:
        """Return (name, definition, value, stderr) of every quantity, for a table."""
        return list(self._rows())

    def _null(self) -> str:
        """Return what the accuracy must be compared with, and its interval: its standard error may be 0."""
        found = self.linear_separability
        low, high = found.accuracy.interval or (float("nan"), float("nan"))
        null = f"{found.null_mean:.3f} ± {found.null_sd:.3f} with labels permuted (p = {found.p_value:.2g})"
        return f"; 95 % interval {low:.3f} to {high:.3f}, {null}; {self.n_separability} pairs"

    def _rows(self) -> Iterator[tuple[str, str, float, float]]:
        for name, definition in DEFINITIONS.items():
            entry = getattr(self, name)
            if isinstance(entry, Estimate):
                on = f"; {self.n_uniformity} pairs" if name.startswith("uniformity") else ""
                yield name, definition + on, entry.value, entry.stderr
            elif isinstance(entry, LinearSeparability):
                yield name, definition + self._null(), entry.accuracy.value, entry.accuracy.stderr
            else:
                for k, at in entry.items():
                    yield f"{name}@{k}", f"{definition}{k}; {self.n_queries} queries", at.value, at.stderr


def measure_gap(
    pairs: EmbeddingPairs,
    *,
    rng: np.random.Generator | int | None = None,
    n_bootstrap: int = 200,
    n_permutations: int = 99,
    max_queries: int = 5000,
    max_uniformity: int = 5000,
    max_separability: int = 2000,
    chunk_rows: int = 4096,
    progress: Callable[[str, float], None] | None = None,
) -> GapReport:
    """Measure the modality gap and its companions on L2-normalised rows, in float64.

    Parameters
    ----------
    pairs : EmbeddingPairs
        Made by `empirical.embeddings.load_pairs`, or from two arrays. With groups, a query may find any member of its
        group, repeated rows of a group stand in a ranking once, and groups are resampled and split whole; the other
        definitions do not change.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`; each purpose has its own stream.
    n_bootstrap : int
        Replicates of the paired bootstrap, at least 2.
    n_permutations : int
        Permutations behind the null of linear separability.
    max_queries, max_uniformity, max_separability : int
        Random pairs used for recall (as queries, against all), uniformity and linear separability; all, if there are
        no more.
    chunk_rows : int
        Pairs read at a time. Results depend on it by rounding only.
    progress : callable, optional
        Called with what is being done and the share of it that is done, in [0, 1].

    Returns
    -------
    GapReport
        Ready for `as_dict` (JSON) or `rows` (a table).

    Raises
    ------
    ValueError
        If a row holds NaN or inf, or is zero.
    ImportError
        If scikit-learn is missing.

    Notes
    -----
    10⁶ pairs of dimension 512 need two passes over the file and about 1 GB beside it.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((50, 8))
    >>> report = measure_gap(EmbeddingPairs(x=rows + 1, y=rows - 1), rng=0)
    >>> report.recall_x_to_y[10].interval[1] <= 1
    True
    """
    require_scikit_learn()
    rng = np.random.default_rng(rng)
    n_bootstrap = as_count("n_bootstrap", n_bootstrap, minimum=2)
    n_permutations = as_count("n_permutations", n_permutations)
    rows = as_count("chunk_rows", chunk_rows)
    limits = {"max_queries": max_queries, "max_uniformity": max_uniformity, "max_separability": max_separability}
    limits = {name: as_count(name, limit, minimum=2) for name, limit in limits.items()}
    weight_rng, fold_rng, query_rng, uniform_rng, split_rng = rng.spawn(5)
    tell = progress or (lambda what, share: None)

    sums = collect_moments(
        pairs,
        n_bootstrap,
        weight_rng=weight_rng,
        fold_rng=fold_rng,
        rows=rows,
        progress=lambda share: tell("means and moments", share),
    )
    queries = _subset(pairs, limits["max_queries"], query_rng)
    x_to_y, y_to_x = recall_estimates(pairs, queries, KS, rows=rows, progress=lambda share: tell("retrieval", share))
    chosen, uniform = _uniformities(pairs, n_bootstrap, limits["max_uniformity"], uniform_rng, tell)
    separability = _separability(pairs, limits["max_separability"], n_permutations, split_rng, tell)
    first_order = first_order_metrics(sums)
    independent = pairs.n if pairs.groups is None else int(pairs.groups.max()) + 1
    return GapReport(
        n=pairs.n,
        dim=pairs.dim,
        **first_order,
        **_beside_the_gap(first_order["gap"], first_order["alignment"], independent),
        recall_x_to_y=x_to_y,
        recall_y_to_x=y_to_x,
        uniformity_x=uniform[0],
        uniformity_y=uniform[1],
        wasserstein_uniformity=wasserstein_estimate(sums),
        linear_separability=separability,
        n_bootstrap=n_bootstrap,
        n_queries=len(queries),
        n_uniformity=chosen,
        n_separability=separability.n_train + separability.n_test,
        n_groups=None if pairs.groups is None else int(pairs.groups.max()) + 1,
    )


def _beside_the_gap(gap: Estimate, alignment: Estimate, n: int) -> dict[str, Estimate]:
    r"""Return what tells a gap from none: :math:`E\|\hat\Delta\|^2 = \|\Delta\|^2 + \mathrm{tr\,Cov}(x - y)/n`.

    The covariance is :math:`(n/(n-1))` (alignment − gap²); swapping the two of each pair at random leaves its sum of
    squares, alignment, and no gap. With groups, n counts groups, as if the pairs of one were one: conservative.
    """
    square = gap.value**2
    return {
        "gap_squared_unbiased": Estimate(
            value=square - (alignment.value - square) / (n - 1) if n > 1 else float("nan"),
            stderr=2 * gap.value * gap.stderr,
        ),
        "gap_null": Estimate(
            value=float(np.sqrt(alignment.value / n)),
            stderr=alignment.stderr / (2 * float(np.sqrt(alignment.value * n)))
            if alignment.value > 0
            else float("nan"),
        ),
    }


def _subset(pairs: EmbeddingPairs, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of at most `limit` random pairs, in order."""
    if pairs.n <= limit:
        return np.arange(pairs.n)
    return np.sort(rng.choice(pairs.n, limit, replace=False, shuffle=False))


def _codes(pairs: EmbeddingPairs, rows: np.ndarray) -> np.ndarray | None:
    """Return the groups of `rows`, as codes 0, 1, …"""
    return None if pairs.groups is None else np.unique(pairs.groups[rows], return_inverse=True)[1]


def _uniformities(
    pairs: EmbeddingPairs, n_bootstrap: int, limit: int, rng: np.random.Generator, tell: Callable[[str, float], None]
) -> tuple[int, list[Estimate]]:
    """Return the number of pairs used and the uniformities of x and y, resampled together."""
    rows = _subset(pairs, limit, rng)
    seed = int(rng.integers(2**63))
    found = []
    for done, side in enumerate(unit_sample(pairs, rows)):
        found.append(uniformity_estimate(side, n_bootstrap, _codes(pairs, rows), np.random.default_rng(seed)))
        tell("uniformity", (done + 1) / 2)
    return len(rows), found


def _separability(
    pairs: EmbeddingPairs,
    limit: int,
    n_permutations: int,
    rng: np.random.Generator,
    tell: Callable[[str, float], None],
) -> LinearSeparability:
    rows = _subset(pairs, limit, rng)
    x, y = unit_sample(pairs, rows)
    return linear_separability(
        x,
        y,
        groups=_codes(pairs, rows),
        n_permutations=n_permutations,
        rng=rng,
        progress=lambda share: tell("linear separability", share),
    )
