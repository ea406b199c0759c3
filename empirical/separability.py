"""Linear separability of two modalities, beside what it would be if there were nothing to separate.

References
----------
.. [1] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   arXiv:2405.18570.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_count
from conetheory._pairs import unit_pairs

from .estimate import Estimate, clustered_share, json_number

__all__ = ["LinearSeparability", "linear_separability", "require_scikit_learn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSeparability:
    """Test accuracy of a linear classifier of modality, and its permutation null.

    Attributes
    ----------
    accuracy : Estimate
        Share of held-out rows assigned to their modality; ½ if there is no difference, 1 if the clouds are disjoint.
        The standard error and the 95 % interval are over the held-out pairs, the classifier as it was trained.
    null_mean, null_sd : float
        Mean and standard deviation of the accuracy with permuted labels.
    p_value : float
        (1 + number of permutations that do at least as well) / (1 + number of permutations).
    n_train, n_test : int
        Pairs trained on and held out.
    """

    accuracy: Estimate
    null_mean: float
    null_sd: float
    p_value: float
    n_train: int
    n_test: int

    def as_dict(self) -> dict[str, float | list[float] | None]:
        """Return the numbers ready for JSON, as value, stderr, interval, null_mean, null_sd and p_value."""
        null = {"null_mean": self.null_mean, "null_sd": json_number(self.null_sd), "p_value": self.p_value}
        return {**self.accuracy.as_dict(), **null}


def require_scikit_learn() -> None:
    """Raise ImportError, saying what needs it, if scikit-learn is missing: called before the work starts."""
    if importlib.util.find_spec("sklearn") is None:
        raise ImportError("linear separability needs scikit-learn: pip install scikit-learn.")


def linear_separability(
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_permutations: int = 99,
    rng: np.random.Generator | int | None = None,
    progress: Callable[[float], None] | None = None,
) -> LinearSeparability:
    """Train scikit-learn's ``LogisticRegression()`` to tell the unit rows of `x` from those of `y` ([1]_).

    A random fifth of the pairs is held out, both rows of a pair together; with `groups`, a fifth of the groups, whole.
    The null permutes labels within pairs: in each pair (group) the two modalities are swapped or not, with equal
    chance, in training and test alike, so every permutation keeps the split, the pairing and the class sizes.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; at least two pairs (groups).
    groups : array_like of int, shape (n,), optional
        Pairs of equal group share an item and are never split between training and test.
    n_permutations : int
        Fits behind the null; the smallest possible p-value is 1/(n_permutations + 1).
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    progress : callable, optional
        Told the share of the work that is done.

    Returns
    -------
    LinearSeparability
        The accuracy and its null.

    Raises
    ------
    ImportError
        If scikit-learn is missing.

    Notes
    -----
    scikit-learn's defaults: L2 penalty with C = 1, L-BFGS, at most 100 iterations; the warning at that limit is
    silenced, because labels without a pattern often reach it. Accuracy saturates at 1 for tiny offsets of thin clouds:
    read it beside the gap.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((50, 8))
    >>> linear_separability(rows + 5, rows - 5, n_permutations=9, rng=0).accuracy.value
    1.0
    """
    require_scikit_learn()
    from threadpoolctl import threadpool_limits  # installed with scikit-learn

    rng = np.random.default_rng(rng)
    x, y = unit_pairs(x, y, minimum=2)
    n_permutations = as_count("n_permutations", n_permutations)
    units = np.arange(len(x)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(units.max()) + 1
    if units.shape != (len(x),) or count < 2:
        raise ValueError(f"`groups` must hold {len(x)} entries and two groups, got {units.shape} and {count}.")
    held_out = np.isin(units, rng.permutation(count)[: max(1, round(count / 5))])
    null = np.empty(n_permutations)
    with threadpool_limits(1):  # small products: a second thread brings little, and costs much on a busy machine
        right = _correct(x, y, held_out, np.zeros(len(x), dtype=bool))
        for i in range(n_permutations):
            swapped = (rng.random(count) < 0.5)[units]
            null[i] = np.mean(_correct(x, y, held_out, swapped))
            if progress:
                progress((i + 1) / n_permutations)
    accuracy = clustered_share(right, units[held_out])
    return LinearSeparability(
        accuracy=accuracy,
        null_mean=float(null.mean()),
        null_sd=float(null.std(ddof=1)) if n_permutations > 1 else float("nan"),
        p_value=float((1 + np.count_nonzero(null >= accuracy.value)) / (1 + n_permutations)),
        n_train=int(np.count_nonzero(~held_out)),
        n_test=int(np.count_nonzero(held_out)),
    )


def _correct(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], held_out: np.ndarray, swapped: np.ndarray
) -> Float[np.ndarray, "m"]:
    """Return the share of the two rows of each held-out pair that is classified right: 0, ½ or 1."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train = np.concatenate([x[~held_out], y[~held_out]])
    labels = np.concatenate([swapped[~held_out], ~swapped[~held_out]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression().fit(train, labels)
    right_x = model.predict(x[held_out]) == swapped[held_out]
    right_y = model.predict(y[held_out]) == ~swapped[held_out]
    return (right_x + right_y.astype(float)) / 2
