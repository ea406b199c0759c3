"""Sweeps: one sampler at every point of a grid, on local processes or any executor, resumable, with the same numbers.

A task is one block of trials at one point. Its random stream depends on the seed, on the point and on the number of the
block, and on nothing else: not on the executor, the number of workers, the order, a second attempt, the other points,
or the number of trials. So a sweep can be killed and taken up, and extended by trials and by points, without doing a
block anew. Results are written by this process, each block once, as parquet.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np

from conetheory._arrays import as_count, as_positive
from sims._sweep_folder import SweepFolder, read_description, read_rows
from sims._sweep_points import Point, expand, point_json
from sims._sweep_pool import LocalPool
from sims._sweep_run import SweepError, TaskLoop
from sims._sweep_tasks import Block, Task, identity, run_block
from sims.moments import pool
from sims.sweep_samplers import load_sampler, sampler_path

__all__ = ["Sweep", "SweepError", "SweepResult", "read_sweep", "run_sweep"]

_SMALL_QUEUE = 1024  # tasks in flight on an executor whose size we do not know


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Sweep:
    """What to sample, where, and how often.

    Parameters
    ----------
    sampler : str
        A name of `sims.sweep_samplers.SAMPLERS`, or ``module:function`` of a sampler of yours.
    grid : mapping or sequence of mappings
        Lists of values by parameter, whose product is swept, or the points themselves. A value is a number, a string or
        a boolean. Whole numbers are the same however they are written: 1 and 1.0 are one point, and the sampler gets 1.
    n_trials : int
        Trials at each point, at least: whole blocks are drawn.
    block_trials : int
        Trials in a block, the unit of work; a second or more of work is a good block (`docs/scaling.md`).
    seed : int
        Root of all random streams.

    Attributes
    ----------
    points : tuple of dict
        The points of the grid.
    n_blocks : int
        Blocks at each point.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain, or a point does not fit the parameters of the sampler.

    Examples
    --------
    >>> sweep = Sweep("layer", {"cosine": [0.1, 0.5], "width": [64]}, n_trials=25_000, block_trials=10_000)
    >>> sweep.points[1], sweep.n_blocks
    ({'cosine': 0.5, 'width': 64}, 3)
    """

    sampler: str
    points: tuple[Point, ...]
    n_blocks: int
    block_trials: int
    seed: int

    def __init__(
        self,
        sampler: str,
        grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
        *,
        n_trials: int,
        block_trials: int = 10_000,
        seed: int = 0,
    ) -> None:
        n_trials, block_trials = as_count("n_trials", n_trials), as_count("block_trials", block_trials)
        values = {
            "sampler": sampler_path(sampler),
            "points": expand(grid),
            "n_blocks": -(-n_trials // block_trials),
            "block_trials": block_trials,
            "seed": as_count("seed", seed, minimum=0),
        }
        _fit(values["sampler"], values["points"])
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _fit(path: str, points: Sequence[Point]) -> None:
    """Raise where the sampler would not take a point."""
    taken = signature(load_sampler(path))
    named = [name for name, p in taken.parameters.items() if p.kind is Parameter.KEYWORD_ONLY]
    for point in points:
        try:
            taken.bind(None, 1, **point)
        except TypeError as error:
            hint = f" (it has {', '.join(named)})" if named else ""
            raise ValueError(
                f"`grid` does not fit `sampler` {path!r} at {point_json(point)}: {error}{hint}."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweepResult:
    """The end of a sweep.

    Attributes
    ----------
    table : dict of ndarray, shape (n_rows,)
        One row a point and quantity: the parameters (None where a point has none of that name), ``quantity``, ``value``
        (the mean), ``stderr`` and ``n``.
    blocks_run, blocks_kept : int
        Blocks that were drawn now, and those that were there before.
    n_failures : int
        Attempts that failed, each followed by another one.
    """

    table: dict[str, np.ndarray]
    blocks_run: int
    blocks_kept: int
    n_failures: int


def run_sweep(
    sweep: Sweep,
    out: str | os.PathLike[str],
    *,
    executor: Executor | None = None,
    jobs: int | None = None,
    in_flight: int | None = None,
    retries: int = 2,
    flush_seconds: float = 10.0,
    progress: Callable[[Point, int], None] | None = None,
) -> SweepResult:
    """Run what is missing of `sweep` in the folder `out`, and return the table of all of it.

    Parameters
    ----------
    sweep : Sweep
        What to run.
    out : path
        The folder, made where it is missing. One that holds the same sweep, perhaps with fewer trials or other points,
        is taken up; points that are not asked for stay.
    executor : Executor, optional
        Where to run: any ``concurrent.futures.Executor``, such as `sims.sweep_executors.DaskExecutor` of a Dask client
        or a `JobExecutor`. It is not shut down. By default local processes, of one thread each.
    jobs : int, optional
        Local processes; as many as there are processors by default.
    in_flight : int, optional
        Tasks handed out and not yet back, at most; by default two a local process, 1024 on an executor. It should be
        twice the number of workers or more.
    retries : int
        How often a block whose task failed, or whose worker died, is handed out again.
    flush_seconds : float
        Seconds between flushes, at most; between two also no more than 4096 blocks are drawn. A process that is killed
        loses what it did not flush, and what was in flight: taken up, the sweep draws these blocks again.
    progress : callable, optional
        Called after each block with its point and the number of blocks that are done, those of before among them.

    Returns
    -------
    SweepResult
        The table, and how much was drawn.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain, or `out` holds another sweep: another sampler, seed, size of blocks,
        version, kernel, or source of the sampler.
    SweepError
        If a block failed more than `retries` times, or a worker runs other code. What was done is kept, as it is after
        KeyboardInterrupt.
    ImportError
        If pyarrow is missing.
    """
    if executor is not None and jobs is not None:
        raise ValueError(f"`jobs` is for local processes and must be None with an `executor`, got {jobs!r}.")
    jobs = as_count("jobs", os.cpu_count() or 1 if jobs is None else jobs)
    if in_flight is None:
        in_flight = 2 * jobs if executor is None else _SMALL_QUEUE
    in_flight, retries = as_count("in_flight", in_flight), as_count("retries", retries, minimum=0)
    code = identity(sweep.sampler)
    folder = SweepFolder(
        Path(out), _description(sweep, code), flush_seconds=float(as_positive("flush_seconds", flush_seconds))
    )
    before = folder.n_kept
    try:
        n_run, n_failures = _run_missing(sweep, folder, code, executor, jobs, (in_flight, retries), progress)
    finally:
        folder.close()
    table = _table(Path(out), sweep.points, sweep.n_blocks)
    return SweepResult(table=table, blocks_run=n_run, blocks_kept=before, n_failures=n_failures)


def _description(sweep: Sweep, code: dict[str, str]) -> dict[str, Any]:
    return {
        "sampler": sweep.sampler,
        "seed": sweep.seed,
        "block_trials": sweep.block_trials,
        "n_blocks": sweep.n_blocks,
        "code": code,
        "points": list(sweep.points),
    }


def _run_missing(
    sweep: Sweep,
    folder: SweepFolder,
    code: dict[str, str],
    executor: Executor | None,
    jobs: int,
    limits: tuple[int, int],
    progress: Callable[[Point, int], None] | None,
) -> tuple[int, int]:
    """Run the blocks that `folder` lacks; return how many there were, and how many attempts failed."""
    if folder.n_kept == len(sweep.points) * sweep.n_blocks:
        return 0, 0
    n_run = 0

    def call(task: Task) -> tuple[Any, ...]:
        return run_block, sweep.sampler, sweep.seed, sweep.points[task.point], task.block, sweep.block_trials

    def describe(task: Task) -> str:
        return f"block {task.block} of the point {point_json(sweep.points[task.point])}"

    def take(task: Task, block: Block) -> None:
        nonlocal n_run
        other = [
            f"{key} {block.code.get(key)!r} instead of {value!r}"
            for key, value in code.items()
            if block.code.get(key) != value
        ]
        if other:
            raise SweepError(f"a worker runs other code than this process: {', '.join(other)}.")
        if folder.add(task, block):
            n_run += 1
            if progress:
                progress(sweep.points[task.point], folder.n_kept + n_run)

    workers = LocalPool(jobs) if executor is None else executor
    in_flight, retries = limits
    loop = TaskLoop(workers, call, describe, in_flight=in_flight, retries=retries)
    finished = False
    try:
        loop.run(folder.missing(sweep.n_blocks), take, patience=folder.flush_if_due)
        finished = True
    finally:
        if executor is None:
            workers.shutdown(cancel_futures=not finished)
    return n_run, loop.n_failures


def read_sweep(folder: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the table of all that is in the folder of a sweep, which may be running or incomplete.

    Returns
    -------
    dict of ndarray, shape (n_rows,)
        As `SweepResult.table`; a point has rows as soon as one of its blocks is there.

    Raises
    ------
    ValueError
        If the folder holds no sweep, or a block twice with different numbers, or a file that cannot be read.
    ImportError
        If pyarrow is missing.
    """
    path = Path(folder)
    description = read_description(path)
    return _table(path, description["points"], description["n_blocks"])


def _table(path: Path, points: Sequence[Point], n_blocks: int) -> dict[str, np.ndarray]:
    """Merge the first `n_blocks` blocks of each of `points`, in their order and in that of the sampler's quantities."""
    found: list[tuple[Point, str, Any]] = []
    for point in points:
        rows = read_rows(path, point)
        wanted = rows["block"] < n_blocks
        n, total, spread, quantity = (rows[name][wanted] for name in ("n", "total", "spread", "quantity"))
        names, first = np.unique(quantity, return_index=True)
        for name in names[np.argsort(first)]:
            part = quantity == name
            found.append((point, str(name), pool(n[part], total[part], spread[part])))
    parameters = dict.fromkeys(name for point in points for name in point)
    return {
        **{name: _column([point.get(name) for point, _, _ in found]) for name in parameters},
        "quantity": np.array([quantity for _, quantity, _ in found], dtype=str),
        "value": np.array([estimate.value for _, _, estimate in found], dtype=np.float64),
        "stderr": np.array([estimate.stderr for _, _, estimate in found], dtype=np.float64),
        "n": np.array([estimate.n for _, _, estimate in found], dtype=np.int64),
    }


def _column(values: list[Any]) -> np.ndarray:
    """Return integers, doubles, strings or booleans as such, and a mixture as objects."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float} or len(kinds) == 1:
        return np.array(values)
    return np.array(values, dtype=object)
