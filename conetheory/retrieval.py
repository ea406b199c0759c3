"""Cross-modal retrieval: the number to report beside every gap."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_count
from ._pairs import unit_pairs

__all__ = ["recall"]

_BLOCK = 2**22  # entries of a block of cosines: 32 MB
_TIE = 1e-12  # two float64 cosines closer than this are equal up to the rounding of the products


def recall(
    x: ArrayLike, y: ArrayLike, ks: Sequence[int] = (1, 5, 10), *, groups: ArrayLike | None = None
) -> Float[np.ndarray, "k"]:
    """Recall@k: the share of the rows of `x` with a correct row of `y` among the k of greatest cosine.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Queries and candidates; row i of both is pair i. Swap them for the other direction.
    ks : sequence of int
        Each in 1 ... n.
    groups : array_like of int or str, shape (n,), optional
        Pairs of equal group are correct for one another (captions of one image, repeated captions). Default: only the
        pair itself is correct.

    Returns
    -------
    ndarray, shape (len(ks),)
        In the order of `ks`; a random ranking without groups has recall k/n.

    Notes
    -----
    Ties count against: a wrong row whose cosine is within 1e-12 of the best correct one is ranked before it, so
    a collapsed embedding scores 0 and not 1. The (n, n) matrix is visited in blocks of 32 MB.

    Examples
    --------
    >>> x = np.eye(3)
    >>> recall(x, x[[1, 0, 2]], ks=(1, 3)).round(6)
    array([0.333333, 1.      ])
    """
    x, y = unit_pairs(x, y)
    n = len(x)
    ks = [as_count("ks", k) for k in ks]
    if not all(k <= n for k in ks):
        raise ValueError(f"`ks` must be at most the number of pairs, {n}, got {max(ks)}.")
    identity = _group_ids(groups, n)
    step = max(1, _BLOCK // n)
    beaten_by = np.empty(n, dtype=np.int64)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        cosines = x[rows] @ y.T
        correct = identity[rows, None] == identity
        best = np.max(cosines, axis=1, where=correct, initial=-np.inf)
        beaten_by[rows] = np.sum((cosines >= best[:, None] - _TIE) & ~correct, axis=1)
    return np.array([np.mean(beaten_by < k) for k in ks])


def _group_ids(groups: ArrayLike | None, n: int) -> np.ndarray:
    """Return one integer a row, equal where the groups are."""
    if groups is None:
        return np.arange(n)
    groups = np.asarray(groups)
    if groups.dtype.kind not in "iuU":
        raise TypeError(f"`groups` must hold integers or strings, got dtype {groups.dtype}.")
    if groups.shape != (n,):
        raise ValueError(f"`groups` must have shape ({n},), one entry a pair, got {groups.shape}.")
    return np.unique(groups, return_inverse=True)[1]
