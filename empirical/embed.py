"""Pairs of any source through trained towers into a file, a batch at a time: 10⁶ pairs take the memory of one batch.

What is written is what `empirical.embeddings.load_pairs` reads: a ``.npy`` of shape (2, n, d), rows as projected.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from conetheory._arrays import as_choice, as_count
from conetheory._files import replacing

from .data.loader import read_in_order
from .data.pairs import PairBatch, PairSource, as_rows
from .data.sources import open_source, options_of
from .run_pairs import open_pairs
from .trained import TrainedTowers

__all__ = ["PARTS", "EmbeddedPairs", "choose_pairs", "embed_pairs"]

PARTS = ("held_out", "train", "all")
"""The rows of a run's own pairs."""

_COPIED = 1 << 14  # rows at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedPairs:
    """What became of the rows asked for.

    Attributes
    ----------
    path : Path
        The file.
    rows : ndarray of int64, shape (n,)
        Rows of the source, in the order of the file.
    dim : int
        Dimension d of the embeddings.
    unreadable : dict of int to str
        The rows that are not in the file, and why.
    """

    path: Path
    rows: Int64[np.ndarray, "n"]
    dim: int
    unreadable: dict[int, str] = field(default_factory=dict)


def choose_pairs(
    towers: TrainedTowers, kind: str | None = None, options: dict[str, Any] | None = None, part: str | None = None
) -> tuple[PairSource, Int64[np.ndarray, "m"]]:
    """Return a source that fits the towers, and which of its rows are wanted.

    Parameters
    ----------
    towers : TrainedTowers
        Give the run's own pairs, and the size of the images of others.
    kind : str, optional
        Of `empirical.data.sources`; the run's own pairs by default, as it was trained on them: with its mismatches.
    options : dict, optional
        Of that kind.
    part : str, optional
        Of the run's own pairs: ``held_out`` (default), ``train`` or ``all``; of others there is ``all``.

    Raises
    ------
    ValueError
        If there are no pairs of its own, or a name or an option is unknown (the nearest is named).
    """
    if kind is not None:
        if part not in (None, "all"):
            raise ValueError(f"`rows` must be all for pairs that the run does not split, got {part!r}.")
        sized = {"size": towers.image_size} if "size" in options_of(kind) else {}
        source = open_source(kind, **(sized | (options or {})))
        return source, np.arange(len(source))
    if towers.config is None:
        raise ValueError(f"`DATA` must name the pairs: {towers.name} is no run, and has none of its own.")
    if options:
        raise ValueError(f"`DATA` must name the kind of pairs that the option {next(iter(options))!r} is for.")
    as_choice("rows", part or PARTS[0], PARTS)
    source, train, held_out = open_pairs(towers.config)
    return source, {"train": train, "all": np.arange(len(source))}.get(part or "", held_out)


def embed_pairs(
    towers: TrainedTowers,
    source: PairSource,
    rows: Int64[np.ndarray, "m"],
    path: str | Path,
    *,
    batch_size: int = 256,
    workers: int = 2,
    loader: str = "thread",
    dtype: str = "float32",
    on_batch: Callable[[int], None] | None = None,
) -> EmbeddedPairs:
    """Write the embeddings of some rows, in their order; a row that cannot be read is left out.

    Parameters
    ----------
    towers : TrainedTowers
        See `empirical.trained.open_towers`.
    source : PairSource
        Its images must have the size that the towers were trained on.
    rows : array_like of int, shape (m,)
        Which, at least two, none twice.
    path : str or Path
        A ``.npy``; it is there once it is complete, and not before.
    batch_size : int
        Pairs that are read and encoded at a time.
    workers, loader : int, str
        ``thread`` or ``process``, and how many, read ahead; 0 reads when a batch is needed.
    dtype : str
        ``float32`` or ``float16``, of the file.
    on_batch : callable, optional
        Called with the number of rows done after each batch.

    Raises
    ------
    ValueError
        If an argument does not fit, nothing can be read, or an embedding is not finite.
    OSError
        If the file cannot be written.
    """
    chosen, size = as_rows(rows, source), as_count("batch_size", batch_size)
    as_choice("dtype", dtype, ("float32", "float16"))
    as_choice("loader", loader, ("thread", "process"))
    path = Path(path)
    if path.suffix != ".npy" or not path.parent.is_dir():
        raise ValueError(f"`path` must be a .npy in a folder that exists, got {str(path)!r}.")
    if len(chosen) < 2 or len(np.unique(chosen)) < len(chosen):
        raise ValueError(f"`rows` must be two or more, none twice, got {len(chosen)} of which some may repeat.")
    batches = _in_order(source, chosen, size, as_count("workers", workers, minimum=0), loader)
    with replacing(path) as partial:
        out = _allocated(partial, dtype, len(chosen), towers.model.dim)
        good = _fill(towers, batches, out, on_batch)
        if np.count_nonzero(good) < 2:
            raise ValueError(f"{source.name} has fewer than two images that can be read among {len(chosen)} rows.")
        if not good.all():
            _leave_out(out, partial, good)
    found = getattr(source, "unreadable", {})
    missing = {int(row): found.get(int(row), "cannot be read") for row in chosen[~good]}
    return EmbeddedPairs(path=path, rows=chosen[good], dim=towers.model.dim, unreadable=missing)


def _in_order(
    source: PairSource, rows: Int64[np.ndarray, "m"], size: int, workers: int, loader: str
) -> Iterator[tuple[PairBatch, Int64[np.ndarray, "b"]]]:
    """Yield the batches, read ahead, with the rows that were asked for in each."""
    pool, whole = np.sort(rows), len(rows) - len(rows) % size
    parts = np.split(rows[:whole], range(size, whole, size)) if whole else []
    tasks = [(part, slice(0, size)) for part in parts]
    if tasks:
        yield from zip(read_in_order(source, pool, tasks, 0, workers, loader), parts, strict=True)
    if whole < len(rows):
        yield source.batch(rows[whole:], among=pool), rows[whole:]


def _fill(
    towers: TrainedTowers,
    batches: Iterator[tuple[PairBatch, Int64[np.ndarray, "b"]]],
    out: Float[np.ndarray, "2 n d"],
    on_batch: Callable[[int], None] | None,
) -> Bool[np.ndarray, "n"]:
    """Fill `out`, a memory map; return which pairs are those asked for, and not others in their place."""
    good, done = np.zeros(out.shape[1], dtype=bool), 0
    for batch, asked in batches:
        if batch.images.shape[-2:] != 2 * (towers.image_size,):
            side = batch.images.shape[-1]
            raise ValueError(f"`source` must have images of {towers.image_size} pixels, as {towers.name}, got {side}.")
        place = slice(done, done + len(asked))
        with np.errstate(over="ignore"):  # what float16 cannot hold is found below
            out[:, place] = towers.embed(batch)
        finite = np.isfinite(out[:, place]).all(axis=(0, 2))
        if not finite.all():
            row = int(batch.indices[finite.argmin()])
            raise ValueError(f"the embedding of row {row} is not finite in {out.dtype}: see `dtype`, or the weights.")
        good[place] = batch.indices == asked
        done += len(asked)
        if on_batch:
            on_batch(done)
    return good


def _allocated(path: Path, dtype: str, n: int, dim: int) -> Float[np.ndarray, "2 n d"]:
    """Return a new file as a memory map, its space taken from the disk at once: a full one is an error here, and not a
    signal later on.
    """
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(2, n, dim))
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return out


def _leave_out(whole: Float[np.ndarray, "2 n d"], path: Path, good: Bool[np.ndarray, "n"]) -> None:
    """Write the good pairs of `whole`, which is mapped from `path`, and put the new file in its place."""
    kept = np.flatnonzero(good)
    with replacing(path) as fewer:
        out = _allocated(fewer, whole.dtype.name, len(kept), whole.shape[2])
        for start in range(0, len(kept), _COPIED):
            part = kept[start : start + _COPIED]
            out[:, start : start + len(part)] = whole[:, part]
