"""Linear probe: what a linear classifier trained on frozen embeddings gets right on others.

References
----------
.. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
   arXiv:2103.00020, Sec. 3.2 and A.3.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conetheory._arrays import as_count, as_positive, unit_rows

from .estimate import Estimate, share
from .separability import require_scikit_learn

__all__ = ["LinearProbeReport", "linear_probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbeReport:
    """Held-out accuracy of a linear classifier.

    Attributes
    ----------
    accuracy : Estimate
        Share of test rows put in their class; standard error and exact 95 % interval over the test rows, the classifier
        as it was trained.
    chance : float
        Share of the commonest training class in the test rows: what a classifier that sees no embedding gets.
    n_train, n_test, n_classes : int
        Rows trained on and held out, and training classes.
    converged : bool
        Whether L-BFGS ended before its limit of iterations.
    """

    accuracy: Estimate
    chance: float
    n_train: int
    n_test: int
    n_classes: int
    converged: bool

    def as_dict(self) -> dict:
        """Return the report ready for JSON."""
        counts = {name: getattr(self, name) for name in ("chance", "n_train", "n_test", "n_classes", "converged")}
        return {"accuracy": self.accuracy.as_dict(), **counts}


def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    test_share: float = 0.2,
    regularisation: float = 1.0,
    max_iterations: int = 1000,
    rng: np.random.Generator | int | None = None,
) -> LinearProbeReport:
    """Train scikit-learn's logistic regression on unit rows and test it on others ([1]_).

    Parameters
    ----------
    features : array_like, shape (n, d)
        Embeddings; normalised here.
    labels : array_like of int or str, shape (n,)
        Class of each.
    test : pair of array_like, optional
        Test features and labels. Default: a random part of the rows of every class is held out, at least one.
    test_share : float
        That part, in (0, 1).
    regularisation : float
        scikit-learn's C, the inverse of the L2 penalty.
    max_iterations : int
        Limit of L-BFGS.
    rng : Generator or int, optional
        Chooses the held-out rows.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit, or there are fewer than two classes, or a class of one row where rows are to be held out.
    ImportError
        If scikit-learn is missing.

    Examples
    --------
    >>> rows = np.repeat(np.eye(2), 10, axis=0)
    >>> linear_probe(rows, np.repeat([0, 1], 10), rng=0).accuracy.value
    1.0
    """
    require_scikit_learn()
    strength = float(as_positive("regularisation", regularisation))
    limit = as_count("max_iterations", max_iterations)
    x, classes = unit_rows("features", features, minimum=2), _labels("labels", labels, len(np.asarray(features)))
    if test is None:
        held_out = _held_out(classes, test_share, np.random.default_rng(rng))
        train, seen, rest, wanted = x[~held_out], classes[~held_out], x[held_out], classes[held_out]
    else:
        train, seen = x, classes
        rest = unit_rows("test", test[0])
        wanted = _labels("test", test[1], len(rest))
        if (wanted.dtype.kind == "U") != (seen.dtype.kind == "U"):
            raise TypeError(f"`test` must have labels of the type of `labels`, {seen.dtype}, got {wanted.dtype}.")
        if rest.shape[1] != x.shape[1]:
            raise ValueError(f"`test` must have the dimension of `features`, {x.shape[1]}, got {rest.shape[1]}.")
    names, counts = np.unique(seen, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"`labels` must name at least two classes, got {len(names)}.")
    right, converged = _hits(train, seen, rest, wanted, strength, limit)
    return LinearProbeReport(
        accuracy=share(int(np.count_nonzero(right)), len(right)),
        chance=float(np.mean(wanted == names[counts.argmax()])),
        n_train=len(train),
        n_test=len(rest),
        n_classes=len(names),
        converged=converged,
    )


def _labels(name: str, labels: ArrayLike, n: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.dtype.kind not in "iuU":
        raise TypeError(f"`{name}` must hold integers or strings, got dtype {array.dtype}.")
    if array.shape != (n,):
        raise ValueError(f"`{name}` must have one label a row, shape ({n},), got {array.shape}.")
    return array


def _held_out(classes: np.ndarray, part: float, rng: np.random.Generator) -> np.ndarray:
    """Return which rows are held out, `part` of every class and at least one."""
    if not 0 < part < 1:
        raise ValueError(f"`test_share` must lie in (0, 1), got {part}.")
    chosen = np.zeros(len(classes), dtype=bool)
    for name in np.unique(classes):
        rows = np.flatnonzero(classes == name)
        if len(rows) < 2:
            raise ValueError(f"`labels` must give every class two rows, one to hold out; {name} has one.")
        count = min(max(1, round(part * len(rows))), len(rows) - 1)
        chosen[rng.choice(rows, count, replace=False)] = True
    return chosen


def _hits(
    train: np.ndarray, seen: np.ndarray, rest: np.ndarray, wanted: np.ndarray, strength: float, limit: int
) -> tuple[np.ndarray, bool]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # installed with scikit-learn

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as `converged`
        model = LogisticRegression(C=strength, max_iter=limit).fit(train, seen)
        return model.predict(rest) == wanted, bool(np.all(model.n_iter_ < limit))
