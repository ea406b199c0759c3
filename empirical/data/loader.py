"""Batches of a source in the order of a seed and an epoch: resumable anywhere, the same for any number of workers."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from conetheory._arrays import as_choice, as_count

from .pairs import PairBatch, PairSource, as_rows, as_seed

__all__ = ["batches", "epoch_order", "read_in_order"]

_Loaded = tuple[PairBatch, dict[int, str]]  # and the rows that the worker found unreadable


def epoch_order(indices: ArrayLike, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    """Return `indices`, sorted and then shuffled by (seed, epoch) alone."""
    rng = np.random.default_rng([as_seed("seed", seed), as_count("epoch", epoch, minimum=0)])
    return rng.permutation(np.sort(np.asarray(indices, dtype=np.int64)))


def batches(
    source: PairSource,
    indices: ArrayLike,
    batch_size: int,
    seed: int,
    epoch: int,
    *,
    start: int = 0,
    workers: int = 2,
    kind: str = "thread",
    rank: int = 0,
    world: int = 1,
) -> Iterator[PairBatch]:
    """Run once through `indices` in batches; what does not fill a batch at the end is left out.

    Parameters
    ----------
    source : PairSource
        Where to read.
    indices : array_like of int, shape (n,)
        The rows of this epoch, without repetition; their order does not matter. A row that cannot be read is replaced
        by another of them that is not in the global batch.
    batch_size : int
        Of the global batch, a multiple of `world`.
    seed, epoch : int
        They alone fix the order.
    start : int
        Batches to leave out at the beginning, which are not read: to resume.
    workers : int
        Threads or processes that read ahead, at most ``workers + 1`` batches; 0 reads when a batch is asked for.
    kind : str
        ``thread`` or ``process``. Pillow and large NumPy arrays leave the interpreter free, so threads usually do;
        processes start afresh each epoch, need a source that can be pickled, and a main module that can be imported.
    rank, world : int
        Of the global batch, process `rank` of `world` gets the rank-th slice.

    Yields
    ------
    PairBatch
        ``batch_size / world`` pairs.

    Raises
    ------
    ValueError, TypeError
        At once, if an argument is out of range or there are fewer rows than a batch.
    RuntimeError
        If a worker process died, which the message says.
    """
    as_choice("kind", kind, ("thread", "process"))
    batch_size, world = as_count("batch_size", batch_size), as_count("world", world)
    workers = as_count("workers", workers, minimum=0)
    if not as_count("rank", rank, minimum=0) < world:
        raise ValueError(f"`rank` must be below `world`, {world}, got {rank}.")
    if batch_size % world:
        raise ValueError(f"`batch_size` must be a multiple of `world`, {world}, got {batch_size}.")
    order = epoch_order(as_rows(indices, source), seed, epoch)
    pool = np.sort(order)
    if np.any(pool[1:] == pool[:-1]):
        raise ValueError("`indices` must not repeat a row.")
    steps = len(order) // batch_size
    if not steps:
        raise ValueError(f"`batch_size` must be at most the number of rows, {len(order)}, got {batch_size}.")
    if as_count("start", start, minimum=0) > steps:
        raise ValueError(f"`start` must be at most the batches of an epoch, {steps}, got {start}.")
    share = slice(rank * batch_size // world, (rank + 1) * batch_size // world)
    tasks = [(order[step * batch_size : (step + 1) * batch_size], share) for step in range(start, steps)]
    return read_in_order(source, pool, tasks, start, workers, kind)


def _load(source: PairSource, pool: Int64[np.ndarray, " n"], rows: Int64[np.ndarray, " b"], share: slice) -> _Loaded:
    """Return this rank's slice of the global batch `rows`, and what was found unreadable."""
    found = getattr(source, "unreadable", {})
    before = set(found)
    if len(rows) > share.stop - share.start:
        pool = np.delete(pool, np.searchsorted(pool, rows))
    batch = source.batch(rows[share], among=pool)
    return batch, {row: found[row] for row in found.keys() - before}


def read_in_order(
    source: PairSource,
    pool: Int64[np.ndarray, " n"],
    tasks: list[tuple[Int64[np.ndarray, " b"], slice]],
    start: int,
    workers: int,
    kind: str,
) -> Iterator[PairBatch]:
    """Yield one batch a task, in order, read ahead by the workers; on the way out no task is left waiting.

    Parameters
    ----------
    source, workers, kind
        As for `batches`.
    pool : ndarray of int64, shape (n,)
        Ascending rows that may replace one that cannot be read.
    tasks : list of (ndarray of int64, shape (b,); slice)
        Rows of each global batch, and the part of it that is read.
    start : int
        Number of the first task, for messages.

    Yields
    ------
    PairBatch
        The rows of the slice.

    Raises
    ------
    RuntimeError
        If a worker process died.
    """
    if not workers:
        for rows, share in tasks:
            yield _load(source, pool, rows, share)[0]
        return
    with _executor(source, pool, workers, kind) as executor:
        submit = _submitting(executor, source, pool, kind)
        waiting: deque[Future[_Loaded]] = deque()
        step = 0
        try:
            for step in range(len(tasks)):
                while len(waiting) <= workers and step + len(waiting) < len(tasks):
                    waiting.append(submit(*tasks[step + len(waiting)]))
                batch, found = waiting.popleft().result()
                getattr(source, "unreadable", {}).update(found)
                yield batch
        except BrokenProcessPool:
            what = f"while batches {start + step} and later of {source.name} were read (killed, or out of memory?)"
            raise RuntimeError(f"A worker process of the loader died {what}; the batches before are good.") from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _executor(source: PairSource, pool: Int64[np.ndarray, " n"], workers: int, kind: str) -> Executor:
    if kind == "thread":
        return ThreadPoolExecutor(workers, thread_name_prefix="loader")
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_adopt, initargs=(source, pool))


def _submitting(
    executor: Executor, source: PairSource, pool: Int64[np.ndarray, " n"], kind: str
) -> Callable[[Int64[np.ndarray, " b"], slice], "Future[_Loaded]"]:
    if kind == "thread":
        return lambda rows, share: executor.submit(_load, source, pool, rows, share)
    return lambda rows, share: executor.submit(_load_adopted, rows, share)


_adopted: list[tuple[PairSource, Int64[np.ndarray, " n"]]] = []  # in a worker process: what it reads from


def _adopt(source: PairSource, pool: Int64[np.ndarray, " n"]) -> None:
    _adopted[:] = [(source, pool)]


def _load_adopted(rows: Int64[np.ndarray, " b"], share: slice) -> _Loaded:
    return _load(*_adopted[0], rows, share)
