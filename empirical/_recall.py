"""Recall against a gallery that is read a chunk at a time. Private: inputs are already validated.

The definition is that of `conetheory.retrieval.recall` (ties count against), with one addition for large files and
one for groups: the queries may be a random subset of the rows, and a candidate that repeats another of its own group
bit for bit (one image stored once for each of its captions) stands in the ranking once.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from .embeddings import EmbeddingPairs, iter_chunks, unit_sample
from .estimate import Estimate, clustered_share

__all__ = ["recall_estimates"]

_TIE = 1e-12  # two float64 cosines closer than this are equal up to the rounding of the products


def recall_estimates(
    pairs: EmbeddingPairs, queries: np.ndarray, ks: Sequence[int], *, rows: int, progress: Callable[[float], None]
) -> tuple[dict[int, Estimate], dict[int, Estimate]]:
    """Return recall@k of the rows `queries`, from x to y and from y to x, against all pairs.

    The standard errors are over the queries, the gallery as it is.
    """
    codes = np.arange(pairs.n) if pairs.groups is None else pairs.groups
    wanted = codes[queries]
    sides = unit_sample(pairs, queries)
    if pairs.groups is None:
        own = np.einsum("ij,ij->i", *sides)
        best = (own, own)
        first = (np.ones(pairs.n, dtype=bool),) * 2
    else:
        best = _best_of_own_group(pairs, sides, wanted, rows)
        first = _first_of_its_kind(pairs, rows)
    ahead = (np.zeros(len(queries), dtype=np.int64), np.zeros(len(queries), dtype=np.int64))
    for place, *gallery in iter_chunks(pairs, rows):
        for side in (0, 1):
            new = first[1 - side][place]
            _count_ahead(
                ahead[side], sides[side], best[side], wanted, gallery[1 - side][new], codes[place][new], max(ks)
            )
        progress(place.stop / pairs.n)
    x_to_y, y_to_x = ({k: clustered_share((count < k).astype(float), wanted) for k in ks} for count in ahead)
    return x_to_y, y_to_x


def _best_of_own_group(
    pairs: EmbeddingPairs, sides: tuple[np.ndarray, np.ndarray], wanted: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each query of either side, its greatest cosine with a row of its group on the other side."""
    best = (np.full(len(wanted), -np.inf), np.full(len(wanted), -np.inf))
    for place, *gallery in iter_chunks(pairs, rows):
        columns = np.flatnonzero(np.isin(pairs.groups[place], wanted))  # pyright: ignore[reportOptionalSubscript]
        same = wanted[:, None] == pairs.groups[place][columns]  # pyright: ignore[reportOptionalSubscript]
        for side in (0, 1):
            cosines = sides[side] @ gallery[1 - side][columns].T
            np.maximum(best[side], np.max(cosines, axis=1, where=same, initial=-np.inf), out=best[side])
    return best


def _count_ahead(
    ahead: np.ndarray,
    queries: np.ndarray,
    best: np.ndarray,
    wanted: np.ndarray,
    gallery: np.ndarray,
    codes: np.ndarray,
    enough: int,
) -> None:
    """Add to `ahead` the wrong candidates ranked before the best correct one; queries with `enough` are settled."""
    open_ = np.flatnonzero(ahead < enough)
    if not open_.size or not len(gallery):
        return
    cosines = queries[open_] @ gallery.T
    columns = np.flatnonzero(np.isin(codes, wanted[open_]))
    row, column = np.nonzero(wanted[open_][:, None] == codes[columns])
    cosines[row, columns[column]] = -np.inf
    ahead[open_] += np.count_nonzero(cosines >= best[open_, None] - _TIE, axis=1)


def _first_of_its_kind(pairs: EmbeddingPairs, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for either side, which rows do not repeat an earlier row of their group bit for bit."""
    first = []
    for stored in (pairs.x, pairs.y):
        kinds = np.empty(pairs.n, dtype=[("group", np.int64), ("digest", "V16")])
        kinds["group"] = pairs.groups
        for start in range(0, pairs.n, rows):
            chunk = np.ascontiguousarray(stored[start : start + rows])
            digests = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in chunk]
            kinds["digest"][start : start + rows] = np.frombuffer(b"".join(digests), dtype="V16")
        _, index = np.unique(kinds.view("V24"), return_index=True)
        kept = np.zeros(pairs.n, dtype=bool)
        kept[index] = True
        first.append(kept)
    return first[0], first[1]
