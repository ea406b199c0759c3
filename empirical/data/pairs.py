"""What a source of image-caption pairs is, what a batch of it is, and which rows are held out."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import ArrayLike

from conetheory._arrays import as_count

__all__ = ["LabelledSource", "PairBatch", "PairSource", "as_rows", "as_seed", "held_out_split", "unseen_rows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairBatch:
    """Pairs to train or to test on: image i belongs to caption i.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
        RGB where there are three channels.
    captions : tuple of str, length n
        One a pair.
    indices : ndarray of int64, shape (n,)
        Their rows in the source; other than the rows asked for where one of those could not be read.

    Raises
    ------
    ValueError
        If the three do not have the same length.
    """

    images: UInt8[np.ndarray, "n channels height width"]
    captions: tuple[str, ...]
    indices: Int64[np.ndarray, " n"]

    def __post_init__(self) -> None:
        lengths = len(self.images), len(self.captions), len(self.indices)
        if len(set(lengths)) != 1:
            raise ValueError(f"`images`, `captions` and `indices` must be equally many, got {lengths}.")

    def __len__(self) -> int:
        return len(self.captions)


@runtime_checkable
class PairSource(Protocol):
    """Pairs numbered 0 to n - 1; row i is always the same pair."""

    @property
    def name(self) -> str:
        """What a message calls the source."""
        ...

    @property
    def skipped(self) -> int:
        """How many rows or entries could not be used so far."""
        ...

    def __len__(self) -> int: ...

    def batch(self, indices: ArrayLike, *, among: ArrayLike | None = None) -> PairBatch:
        """Return the pairs of these rows, in this order.

        A row that cannot be read is replaced by the next readable one of `among` (ascending; by default all rows) that
        is not in the batch, round the end, and counted in `skipped`. Sources that can always read do not need `among`.

        Raises
        ------
        ValueError
            If a row is out of range, or nothing can be read; the message names the source.
        """
        ...

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows, without reading an image."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what the pairs are made from, fit for JSON: equal descriptions are equal pairs."""
        ...


@runtime_checkable
class LabelledSource(PairSource, Protocol):
    """A source that knows what is in its images.

    Attributes
    ----------
    tasks : dict of str to tuple of str
        Names of the classes of each task.
    """

    tasks: dict[str, tuple[str, ...]]

    def labels_of(self, task: str, indices: ArrayLike) -> Int64[np.ndarray, " m"]:
        """Return the class of each row, as its place in ``tasks[task]``; -1 where the row has none."""
        ...

    def prompts(self, task: str) -> tuple[tuple[str, ...], ...]:
        """Return, for each class of the task, one or more captions that say the class alone."""
        ...


def as_rows(indices: ArrayLike, source: Any) -> Int64[np.ndarray, " m"]:
    """Return `indices` as int64, every one a row of `source`."""
    rows = np.asarray(indices)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"`indices` must be integers in one axis, got {rows.dtype} of shape {rows.shape}.")
    wrong = rows[(rows < 0) | (rows >= len(source))]
    if wrong.size:
        raise ValueError(f"`indices` must be rows of {source.name}, 0 to {len(source) - 1}, got {int(wrong[0])}.")
    return rows.astype(np.int64)


def as_seed(name: str, seed: Any) -> int:
    """Return `seed` as an int in [0, 2^64), a key of the streams."""
    if as_count(name, seed, minimum=0) >= 1 << 64:
        raise ValueError(f"`{name}` must be below 2**64, got {seed}.")
    return int(seed)


def held_out_split(
    source: PairSource, n: int, rng: np.random.Generator | int | None
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " held_out"]]:
    """Split the rows into those to train on and `n` to test on, both ascending.

    A source that has combinations of its own that are never to be trained on (a method ``unseen_rows``, as `Scenes`
    with `unseen_combinations`) gives `n` of those; its other unseen rows are in neither part.

    Parameters
    ----------
    source : PairSource
        What to split.
    n : int
        Rows held out.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Raises
    ------
    ValueError
        If `n` rows cannot be held out, or none would be left to train on.
    """
    n = as_count("n", n)
    rng = np.random.default_rng(rng)
    rows = np.arange(len(source))
    unseen = unseen_rows(source)
    pool = unseen if unseen.size else rows
    if n > len(pool) or n >= len(rows) or len(unseen) == len(rows):
        kind = "rows with unseen combinations" if unseen.size else "rows"
        raise ValueError(f"{source.name} has {len(pool)} {kind}, too few to hold out {n} and train on others.")
    held_out = np.sort(rng.choice(pool, n, replace=False))
    return np.setdiff1d(rows, unseen if unseen.size else held_out, assume_unique=True), held_out


def unseen_rows(source: Any) -> Int64[np.ndarray, " m"]:
    """Return the rows that the source says are never to be trained on."""
    return source.unseen_rows() if hasattr(source, "unseen_rows") else np.empty(0, dtype=np.int64)
