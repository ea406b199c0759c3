"""Seconds measured elsewhere, in turn with other rows or by another process, handed to pytest-benchmark as its own."""

from collections.abc import Sequence
from typing import Any

import pytest

from claims.bench.job import Row

__all__ = ["REPLAYED", "replay", "replay_row"]

_clock = [0.0]


def replayed_time() -> float:
    """Return the time of a clock that only `replay` moves."""
    return _clock[0]


REPLAYED = pytest.mark.benchmark(timer=replayed_time)
"""Mark of a test whose row is replayed."""


def replay(benchmark: Any, seconds: Sequence[float]) -> None:
    """Let `benchmark`, the fixture of a test marked `REPLAYED`, take `seconds`, one round each."""
    rounds = iter(seconds)

    def tick() -> None:
        _clock[0] += next(rounds)

    benchmark.pedantic(tick, rounds=len(seconds))


def replay_row(benchmark: Any, row: Row) -> None:
    """Replay a measured row, with its work, accuracy and limit in ``extra_info``."""
    benchmark.group = row.job  # before it takes a time: then it is fixed
    replay(benchmark, row.seconds)
    benchmark.extra_info |= {"unit": row.unit, "work": row.work, **row.accuracy}
    if row.limit:
        benchmark.extra_info |= {"limit_seconds": row.limit.seconds, "limit_of": row.limit.of}
