"""Zero-shot classification: images against the texts of classes.

References
----------
.. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021,
   arXiv:2103.00020, Sec. 3.1.4 (prompt templates).
.. [2] Q. McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages",
   Psychometrika 12, 1947.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.special import bdtr

from conetheory._arrays import as_array, as_count, unit_rows

from ._indices import as_indices
from ._rows import Rows
from .estimate import Estimate, share

__all__ = ["PairedChange", "ZeroShotReport", "class_embeddings", "paired_change", "zero_shot"]

_TIE = 1e-12  # two float64 cosines closer than this are equal up to the rounding of the products
_BLOCK = 4096  # images at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ZeroShotReport:
    """Accuracies, with standard errors and exact 95 % intervals over the images.

    Attributes
    ----------
    n, n_classes : int
        Images and classes.
    top : dict from k to Estimate
        Share of images whose class is among the k of greatest cosine, ties against.
    per_class : tuple of Estimate or None
        Top-1 accuracy of the images of each class; None for a class without images.
    mean_per_class : Estimate
        Mean of these, whatever the number of images in each. The variance of a class of m images is p(1 − p)/(m − 1);
        one image tells none, and its squared distance from the mean over classes stands in, which is too large on
        average.
    rank : ndarray of int, shape (n,)
        Number of wrong classes ahead of the right one; 0 is a hit.
    predicted : ndarray of int, shape (n,)
        Class of greatest cosine, the first of equals.
    """

    n: int
    n_classes: int
    top: dict[int, Estimate]
    per_class: tuple[Estimate | None, ...]
    mean_per_class: Estimate
    rank: Int[np.ndarray, "n"]
    predicted: Int[np.ndarray, "n"]

    def as_dict(self) -> dict:
        """Return the accuracies ready for JSON."""
        return {
            "n": self.n,
            "n_classes": self.n_classes,
            "top": {str(k): at.as_dict() for k, at in self.top.items()},
            "mean_per_class": self.mean_per_class.as_dict(),
            "per_class": [None if at is None else at.as_dict() for at in self.per_class],
        }


def class_embeddings(prompts: ArrayLike) -> Float[np.ndarray, "classes d"]:
    """Return one unit row a class: the mean of the unit rows of its prompts, normalised ([1]_).

    Parameters
    ----------
    prompts : array_like, shape (classes, templates, d)
        Embedding of each class in each template.

    Raises
    ------
    ValueError
        If the shape is another, or the prompts of a class cancel.

    Examples
    --------
    >>> class_embeddings([[[2.0, 0.0], [0.0, 1.0]]]).round(6)
    array([[0.707107, 0.707107]])
    """
    array = as_array("prompts", prompts)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"`prompts` must have shape (classes, templates, d), got {array.shape}.")
    rows = unit_rows("prompts", array.reshape(-1, array.shape[2])).reshape(array.shape)
    return unit_rows("prompts, averaged", rows.mean(axis=1))


def zero_shot(
    images: ArrayLike, classes: ArrayLike, labels: ArrayLike, *, ks: Sequence[int] = (1, 5)
) -> ZeroShotReport:
    """Classify each image as the class of greatest cosine.

    Parameters
    ----------
    images : array_like, shape (n, d)
        Embeddings; a memory map, or a view of `empirical.interventions`, is read a block at a time.
    classes : array_like, shape (classes, d)
        One embedding a class, as from `class_embeddings`; at least two.
    labels : array_like of int, shape (n,)
        The right class of each image.
    ks : sequence of int
        Each k at most the number of classes; greater ones are left out.

    Returns
    -------
    ZeroShotReport
        A class whose cosine is within 1e-12 of the right one's counts as ahead of it.

    Raises
    ------
    ValueError, TypeError
        If shapes, labels or rows do not fit.

    Examples
    --------
    >>> zero_shot(np.eye(3), np.eye(3), [0, 1, 1]).top[1].value.__round__(6)
    0.666667
    """
    texts = unit_rows("classes", classes, minimum=2)
    rows: Any = images if isinstance(images, Rows) else np.asarray(images)
    shape = rows.shape
    if len(shape) != 2 or shape[0] < 1 or shape[1] != texts.shape[1]:
        raise ValueError(f"`images` must have shape (n, {texts.shape[1]}), as `classes` have, got {tuple(shape)}.")
    n, count = shape[0], len(texts)
    right = as_indices("labels", labels, n, count)
    rank, predicted = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for start in range(0, n, _BLOCK):
        place = slice(start, min(start + _BLOCK, n))
        cosines = unit_rows("images", rows[place]) @ texts.T
        own = np.take_along_axis(cosines, right[place, None], axis=1)
        rank[place] = np.count_nonzero(cosines >= own - _TIE, axis=1) - 1
        predicted[place] = cosines.argmax(axis=1)
    per_class = tuple(_accuracy(rank[right == label] == 0) for label in range(count))
    return ZeroShotReport(
        n=n,
        n_classes=count,
        top={k: share(int(np.count_nonzero(rank < k)), n) for k in map(_as_k, ks) if k <= count},
        per_class=per_class,
        mean_per_class=_mean_per_class(rank == 0, right, count),
        rank=rank,
        predicted=predicted,
    )


def _as_k(k: int) -> int:
    return as_count("ks", k)


def _accuracy(hits: np.ndarray) -> Estimate | None:
    return share(int(np.count_nonzero(hits)), len(hits)) if len(hits) else None


def _mean_per_class(hits: Bool[np.ndarray, "n"], labels: Int[np.ndarray, "n"], count: int) -> Estimate:
    """Return the mean over classes that have images; the errors of the classes are independent."""
    images = np.bincount(labels, minlength=count)
    known = images > 0
    m = images[known]
    accuracy = np.bincount(labels, hits, minlength=count)[known] / m
    mean = float(accuracy.mean())
    variances = np.where(m > 1, accuracy * (1 - accuracy) / np.maximum(m - 1, 1), (accuracy - mean) ** 2)
    return Estimate(value=mean, stderr=float(np.sqrt(variances.sum()) / len(m)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedChange:
    """The same images classified twice.

    Attributes
    ----------
    change : Estimate
        Accuracy after minus accuracy before; standard error over the images, which are the same.
    gained, lost : int
        Images right only after, and only before.
    p_value : float
        McNemar's exact test [2]_: two-sided binomial of `gained` among those that changed.
    """

    change: Estimate
    gained: int
    lost: int
    p_value: float

    def as_dict(self) -> dict:
        """Return the change ready for JSON."""
        return {"change": self.change.as_dict(), "gained": self.gained, "lost": self.lost, "p_value": self.p_value}


def paired_change(before: ArrayLike, after: ArrayLike) -> PairedChange:
    """Compare two classifications of the same images, image by image, not as two independent samples.

    Parameters
    ----------
    before, after : array_like of bool, shape (n,)
        Whether each image was right, such as ``report.rank == 0``.

    Raises
    ------
    ValueError, TypeError
        If they are not boolean, or not of one length of at least two.

    Examples
    --------
    >>> paired_change(np.array([True, False, False]), np.array([True, True, True])).gained
    2
    """
    before, after = np.asarray(before), np.asarray(after)
    if not before.dtype == after.dtype == bool:
        raise TypeError(f"`before` and `after` must be boolean, got {before.dtype} and {after.dtype}.")
    if before.shape != after.shape or before.ndim != 1 or len(before) < 2:
        raise ValueError(f"`before` and `after` must be of one length, two or more, got {before.shape}, {after.shape}.")
    steps = after.astype(float) - before
    gained, lost = int(np.count_nonzero(steps > 0)), int(np.count_nonzero(steps < 0))
    p_value = min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5))) if gained + lost else 1.0
    stderr = float(steps.std(ddof=1) / np.sqrt(len(steps)))
    change = Estimate(value=float(steps.mean()), stderr=stderr)
    return PairedChange(change=change, gained=gained, lost=lost, p_value=p_value)
