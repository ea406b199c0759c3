"""The simulation of a sweep on many cores, against its limits and an obvious loop, and the numbers of its document."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from sims.sweep_scaling import Overheads, least_block_seconds, simulate_sweep

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()


def obvious(n_workers, length, n_blocks, coordinator, in_flight):
    """Step by step: the coordinator hands out while it may, else takes back the first that is there."""
    now, handed, back = 0.0, 0, []
    workers = [0.0] * n_workers
    taken = 0
    while taken < n_blocks:
        if handed < n_blocks and len(back) < in_flight:
            now += coordinator / 2
            first = workers.index(min(workers))
            workers[first] = max(workers[first], now) + length
            back.append(workers[first])
            handed += 1
        else:
            back.sort()
            now = max(now, back.pop(0)) + coordinator / 2
            taken += 1
    return now


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("length", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("queue", [1, 2])
def test_events_are_those_of_the_obvious_loop(workers, length, queue):
    found = simulate_sweep(
        workers,
        length,
        overheads=Overheads(coordinator=0.03),
        blocks_a_worker=7,
        spread=0.0,
        in_flight=queue * workers,
    )
    assert found.seconds == pytest.approx(obvious(workers, length, 7 * workers, 0.03, queue * workers), rel=1e-12)
    assert found.efficiency == pytest.approx(7 * length / found.seconds, rel=1e-12)


@pytest.mark.parametrize(("coordinator", "scheduler"), [(1e-3, 0.0), (1e-4, 2e-3)])
def test_short_blocks_are_bound_by_the_slower_process(coordinator, scheduler):
    overheads = Overheads(coordinator=coordinator, scheduler=scheduler)
    found = simulate_sweep(500, 0.05, overheads=overheads, rng=0)
    limit = 0.05 / (500 * max(coordinator, scheduler))
    assert found.efficiency == pytest.approx(limit, rel=0.03)  # and a start and an end of one block of some fifty
    assert max(found.coordinator_busy, found.scheduler_busy) == pytest.approx(1.0, abs=0.03)


def test_long_blocks_lose_the_end_alone():
    found = simulate_sweep(50, 100.0, overheads=Overheads(coordinator=1e-6), blocks_a_worker=10, spread=0.0)
    assert found.efficiency == pytest.approx(1.0, rel=1e-6)
    uneven = simulate_sweep(50, 100.0, overheads=Overheads(coordinator=1e-6), blocks_a_worker=10, rng=0)
    assert 0.93 < uneven.efficiency < 0.99


def test_flushes_and_latency_cost_what_they_should():
    plain = simulate_sweep(1, 1e-9, overheads=Overheads(coordinator=1e-3), blocks_a_worker=8192, spread=0.0)
    flushed = simulate_sweep(
        1, 1e-9, overheads=Overheads(coordinator=1e-3, flush=5.0), blocks_a_worker=8192, spread=0.0
    )
    assert flushed.seconds - plain.seconds == pytest.approx(10.0, rel=1e-9)
    waiting = Overheads(coordinator=1e-6, latency=0.05)
    alone = simulate_sweep(4, 1.0, overheads=waiting, spread=0.0, in_flight=4)
    assert alone.seconds == pytest.approx(20 * 1.1, rel=1e-3)  # with no second block each waits there and back
    assert simulate_sweep(4, 1.0, overheads=waiting, spread=0.0).seconds == pytest.approx(20.1, rel=1e-3)


def test_least_block():
    overheads = Overheads(coordinator=1e-3, flush=4.096)
    assert least_block_seconds(1000, overheads=overheads, efficiency=0.5) == pytest.approx(0.5 * 1000 * 2e-3)
    dask = Overheads(coordinator=1e-3, scheduler=2e-3)
    least = least_block_seconds(1000, overheads=dask)
    assert simulate_sweep(1000, 2 * least, overheads=dask, blocks_a_worker=40, rng=0).efficiency > 0.9
    assert simulate_sweep(1000, least / 2, overheads=dask, blocks_a_worker=40, rng=0).efficiency <= 0.45


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: Overheads(coordinator=0.0), r"`coordinator`.*0\.0"),
        (lambda: Overheads(coordinator=1.0, latency=-1.0), r"`latency`.*-1\.0"),
        (lambda: simulate_sweep(0, 1.0, overheads=Overheads(coordinator=1.0)), "`n_workers`.*0"),
        (lambda: simulate_sweep(1, math.nan, overheads=Overheads(coordinator=1.0)), "`block_seconds`.*nan"),
        (lambda: simulate_sweep(1, 1.0, overheads=Overheads(coordinator=1.0), in_flight=0), "`in_flight`.*0"),
        (lambda: least_block_seconds(1, overheads=Overheads(coordinator=1.0), efficiency=1.5), r"`efficiency`.*1\.5"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(ValueError, match=names):
        call()


def test_the_document_says_what_the_simulation_gives():
    said = dict(re.findall(r"(coordinator|scheduler|flush|latency)=([\d.e-]+)", PAGE))
    overheads = Overheads(**{name: float(value) for name, value in said.items()})
    header, *rows = re.findall(r"^\| (?:cores|[\d,]+) \|.*$", PAGE, flags=re.MULTILINE)
    lengths = [float(word) for word in re.findall(r"([\d.]+) s", header)]
    assert len(rows) >= 3
    for row in rows:
        cores, *cells = (cell.strip().replace(",", "") for cell in row.strip("|").split("|"))
        found = [simulate_sweep(int(cores), b, overheads=overheads, rng=0).efficiency for b in lengths]
        assert [float(cell.rstrip(" %")) for cell in cells] == np.round(100 * np.array(found), 1).tolist()
    (least,) = re.findall(r"from ([\d.]+) seconds a block on", PAGE)
    assert float(least) == round(least_block_seconds(10_000, overheads=overheads), 1)
