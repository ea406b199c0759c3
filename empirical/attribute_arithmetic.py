r"""Attribute arithmetic: an image plus the difference of two words should be near an image of the edited caption.

For the image x of "a cat on grass" and the words a = cat, b = dog, the query :math:`x + \lambda(b - a)` of unit rows
is compared with all images but x itself; it is right if the image of greatest cosine shows what the edited caption
says. This is the SIMAT test, whose oracle says which images show what and whose weights even out the transformations.

References
----------
.. [1] G. Couairon, M. Cord, M. Douze and H. Schwenk, "Embedding Arithmetic of Multimodal Queries for Image Retrieval"
   (SIMAT), CVPR Workshops 2022, arXiv:2112.03162; code: github.com/facebookresearch/SIMAT, ``eval.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_nonnegative, unit_rows

from ._indices import as_indices
from .estimate import Estimate, clustered_share

__all__ = ["ArithmeticReport", "attribute_arithmetic"]

_BLOCK = 1024  # queries at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArithmeticReport:
    """Scores of the edited images.

    Attributes
    ----------
    n_queries : int
        Transformations.
    lambdas : tuple of float
        λ, each with a score.
    score : tuple of Estimate
        Weighted share of right queries; standard error over the source images, which several queries share. The
        interval, exact and at 95 %, is there without weights only.
    found : ndarray of int, shape (lambdas, queries)
        The image found.
    """

    n_queries: int
    lambdas: tuple[float, ...]
    score: tuple[Estimate, ...]
    found: Int[np.ndarray, "lambdas queries"]

    def as_dict(self) -> dict:
        """Return the scores ready for JSON."""
        scores = [{"lambda": lam, **at.as_dict()} for lam, at in zip(self.lambdas, self.score, strict=True)]
        return {"n_queries": self.n_queries, "scores": scores}


def attribute_arithmetic(
    images: ArrayLike,
    words: ArrayLike,
    *,
    source: ArrayLike,
    removed: ArrayLike,
    added: ArrayLike,
    target: ArrayLike,
    shows: ArrayLike,
    lambdas: Sequence[float] = (1.0,),
    weights: ArrayLike | None = None,
) -> ArithmeticReport:
    """Score :math:`x + \\lambda(b - a)` as SIMAT does ([1]_).

    Parameters
    ----------
    images : array_like, shape (n, d)
        Embeddings of the images, in which is searched.
    words : array_like, shape (words, d)
        Embeddings of the words.
    source, removed, added, target : array_like of int, shape (queries,)
        Of each query: the image x, the words a and b, and the edited caption, a column of `shows`.
    shows : array_like of bool, shape (n, captions)
        Which image shows which caption; ``labels[:, None] == np.arange(captions)`` where each image has one.
    lambdas : sequence of float
        λ; SIMAT's is 1.
    weights : array_like, shape (queries,), optional
        Weight of each query, at least 0; SIMAT's are the inverse roots of the column
        ``norm2`` of its table of transformations.

    Returns
    -------
    ArithmeticReport
        One score a λ.

    Raises
    ------
    ValueError, TypeError
        If shapes or indices do not fit.

    Examples
    --------
    >>> corners = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1.0]])
    >>> places = dict(source=[0], removed=[0], added=[1], target=[2])
    >>> attribute_arithmetic(corners, np.eye(4), **places, shows=np.eye(4, dtype=bool)).score[0].value
    1.0
    """
    x, word = unit_rows("images", images, minimum=2), unit_rows("words", words)
    if x.shape[1] != word.shape[1]:
        raise ValueError(f"`words` must have the dimension of `images`, got shapes {word.shape} and {x.shape}.")
    right = np.asarray(shows)
    if right.dtype != bool or right.ndim != 2 or len(right) != len(x):
        raise ValueError(f"`shows` must be boolean of shape ({len(x)}, captions), got {right.dtype} {right.shape}.")
    count = len(np.asarray(source))
    sources = as_indices("source", source, count, len(x))
    step = word[as_indices("added", added, count, len(word))] - word[as_indices("removed", removed, count, len(word))]
    targets = as_indices("target", target, count, right.shape[1])
    values = tuple(float(as_array("lambdas", lam)) for lam in lambdas)
    if not values or not count:
        raise ValueError(f"`lambdas` and `source` must not be empty, got {len(values)} and {count}.")
    found = np.stack([_nearest(x, sources, lam * step) for lam in values])
    scores = tuple(_score(right[row, targets], sources, weights) for row in found)
    return ArithmeticReport(n_queries=count, lambdas=values, score=scores, found=found)


def _nearest(x: Float[np.ndarray, "n d"], source: Int[np.ndarray, "q"], step: Float[np.ndarray, "q d"]) -> np.ndarray:
    """Return the image of greatest cosine with each edited image, itself left out."""
    found = np.empty(len(source), dtype=np.int64)
    for start in range(0, len(source), _BLOCK):
        place = slice(start, start + _BLOCK)
        cosines = (x[source[place]] + step[place]) @ x.T  # the length of a query does not change its order
        cosines[np.arange(len(cosines)), source[place]] = -np.inf
        found[place] = cosines.argmax(axis=1)
    return found


def _score(hits: Bool[np.ndarray, "q"], source: Int[np.ndarray, "q"], weights: ArrayLike | None) -> Estimate:
    r"""Return the weighted share of hits, :math:`\hat h`, with :math:`\mathrm{s.e.}^2 = \frac{G}{G-1} \sum_g
    (\sum_{i \in g} w_i(h_i - \hat h))^2`, the weights of sum 1 and g the source images.
    """
    if weights is None:
        return clustered_share(hits.astype(float), source)
    weight = as_nonnegative("weights", weights)
    if weight.shape != hits.shape or not weight.sum() > 0:
        raise ValueError(f"`weights` must have shape {hits.shape} and a positive sum, got {weight.shape}.")
    weight = weight / weight.sum()
    mean = float(weight @ hits)
    _, codes = np.unique(source, return_inverse=True)
    sums = np.bincount(codes, weights=weight * (hits - mean))
    groups = len(sums)
    stderr = float(np.sqrt(groups / (groups - 1) * (sums @ sums))) if groups > 1 else float("nan")
    return Estimate(value=mean, stderr=stderr)
