"""Running the ledger: many claims, several processes, verdicts as JSON objects."""

import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

from claims import SCHEMA
from claims.decide import LEVELS, decide
from claims.ledger import Cell, Claim, Verdict, all_claims, select
from conetheory._arrays import as_choice, as_count

__all__ = ["Plan", "as_json", "describe", "plan", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one verification run decides.

    Attributes
    ----------
    ids : tuple of str
        Ids in the order of the ledger; planted falsehoods as ``<claim id>!<name>``.
    skipped : tuple of str
        Ids left out because the published arrays are not there.
    seed : int
        Root seed.
    level : str
        ``quick`` or ``full``.
    planted : bool
        Whether the run is over planted falsehoods.
    data : Path or None
        Folder of the published arrays.
    modules : tuple of str
        Modules with the user's claims.
    """

    ids: tuple[str, ...]
    skipped: tuple[str, ...]
    seed: int
    level: str
    planted: bool
    data: Path | None
    modules: tuple[str, ...]


@cache
def _ledger(modules: tuple[str, ...]) -> dict[str, Claim]:
    """Return every claim and every planted falsehood by id."""
    claims = all_claims(modules)
    return claims | {false.id: false for claim in claims.values() for false in claim.planted()}


def plan(
    patterns: Sequence[str] = (),
    *,
    seed: int = 0,
    level: str = "quick",
    planted: bool = False,
    data: Path | None = None,
    modules: Sequence[str] = (),
) -> Plan:
    """Return what to run: the claims that match `patterns` (see `claims.ledger.select`), or their planted falsehoods.

    Claims about the published arrays are left out, and listed as skipped, where `data` is None.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or names only claims that need the arrays while `data` is None; if `seed` or
        `level` is out of range.
    """
    as_count("seed", seed, minimum=0)
    as_choice("level", level, LEVELS)
    claims = all_claims(modules)
    chosen = select(claims, patterns)
    ready = [claim for claim in chosen if data is not None or not claim.needs_data]
    if chosen and not ready:
        raise ValueError(
            f"{chosen[0].id} is about the published arrays: name their folder with --data or CONETHEORY_DATA."
        )
    ids = (
        tuple(false.id for claim in ready for false in claim.planted())
        if planted
        else tuple(claim.id for claim in ready)
    )
    skipped = tuple(claim.id for claim in chosen if claim not in ready)
    return Plan(ids=ids, skipped=skipped, seed=seed, level=level, planted=planted, data=data, modules=tuple(modules))


def _number(value: float) -> float | None:
    """Return `value`, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "at": dict(cell.at),
        "predicted": _number(cell.predicted),
        "measured": _number(cell.measured),
        "stderr": _number(cell.stderr),
        "interval": [_number(x) for x in cell.interval],
        "tolerance": cell.tolerance,
        "resolution": cell.resolution,
        "n": cell.n,
        "verdict": cell.verdict,
    }


def describe(claim: Claim) -> dict[str, Any]:
    """Return what is known of `claim` before it is decided, ready for JSON."""
    return {
        "schema": SCHEMA,
        "id": claim.id,
        "paper": claim.paper,
        "section": claim.section,
        "statement": claim.statement,
        "formula": claim.formula,
        "kind": claim.kind,
        "relation": claim.relation,
        "expected": claim.expected,
        "source": "data" if claim.needs_data else "computed" if not hasattr(claim.measure, "first") else "sampled",
        "note": claim.note,
        "plants": [plant.name for plant in claim.plants],
    }


def as_json(verdict: Verdict, *, level: str) -> dict[str, Any]:
    """Return `verdict` as a JSON object: the claim, the headline numbers of its worst cell, and all cells."""
    worst = _cell(verdict.worst)
    headline = {
        key: worst[key] for key in ("at", "predicted", "measured", "stderr", "interval", "tolerance", "resolution")
    }
    return (
        describe(verdict.claim)
        | headline
        | {
            "verdict": verdict.verdict,
            "as_expected": verdict.as_expected,
            "level": level,
            "alpha": verdict.level,
            "coverage": verdict.claim.measure.coverage,
            "n": sum(cell.n for cell in verdict.cells),
            "looks": verdict.looks,
            "seed": verdict.seed,
            "seconds": round(verdict.seconds, 3),
            "cells": [_cell(cell) for cell in verdict.cells],
        }
    )


def _decide(claim_id: str, run_plan: Plan) -> dict[str, Any]:
    """Decide one claim, in whatever process this is; claims travel by id, because their parts are functions."""
    if run_plan.modules and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    claim = _ledger(run_plan.modules)[claim_id]
    try:
        verdict = decide(claim, seed=run_plan.seed, level=run_plan.level, data=run_plan.data)
    except OSError:
        raise
    except Exception as error:  # a user's claim may raise anything
        raise ValueError(f"{claim_id} could not be decided: {type(error).__name__}: {error}") from error
    return as_json(verdict, level=run_plan.level)


def run(
    run_plan: Plan, *, jobs: int | None = None, executor: Executor | None = None, done: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Decide the claims of `run_plan` and yield each verdict, as a JSON object, when it is there.

    Parameters
    ----------
    run_plan : Plan
        See `plan`.
    jobs : int, optional
        Processes; as many as there are processors by default. The numbers do not depend on it.
    executor : Executor, optional
        Run there instead: any ``concurrent.futures.Executor``, such as the one of a Dask cluster's client.
    done : sequence of str
        Ids that are decided already.

    Yields
    ------
    dict
        See `as_json`, in the order in which they end.
    """
    jobs = as_count("jobs", os.cpu_count() or 1 if jobs is None else jobs)
    todo = [name for name in run_plan.ids if name not in set(done)]
    if executor is not None:
        yield from _completed(executor, todo, run_plan)
    elif jobs == 1 or len(todo) <= 1:
        for name in todo:
            yield _decide(name, run_plan)
    else:
        context = get_context("spawn")
        with ProcessPoolExecutor(
            min(jobs, len(todo)), mp_context=context, initializer=_end_with, initargs=(os.getpid(),)
        ) as pool:
            yield from _completed(pool, todo, run_plan)


def _end_with(parent: int) -> None:
    """Let this worker end when `parent` does, however that ends; Ctrl-C is the parent's to handle."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=watch, daemon=True).start()


def _completed(executor: Executor, todo: Sequence[str], run_plan: Plan) -> Iterator[dict[str, Any]]:
    futures: list[Future[dict[str, Any]]] = [executor.submit(_decide, name, run_plan) for name in todo]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
