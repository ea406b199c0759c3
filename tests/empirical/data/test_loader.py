"""Batches: order, resuming, ranks, workers, rows that cannot be read, workers that die."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from empirical.data.digits import Digits
from empirical.data.loader import batches, epoch_order
from empirical.data.pairs import PairBatch, PairSource, held_out_split
from tests.empirical.data.faulty import Deadly, Numbered, Wrong


def rows_of(*args, **kwargs):
    return [batch.indices.tolist() for batch in batches(*args, **kwargs)]


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 99), st.integers(0, 5))
def test_an_epoch_visits_rows_once_and_is_fixed_by_seed_and_epoch(n, batch_size, seed, epoch):
    source, rows = Numbered(100), np.random.default_rng(n).permutation(100)[: n + batch_size]
    found = rows_of(source, rows, batch_size, seed, epoch, workers=0)
    seen = [row for batch in found for row in batch]
    assert len(found) == len(rows) // batch_size
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(rows.tolist())
    assert found == rows_of(source, rows[::-1], batch_size, seed, epoch, workers=0)
    assert seen == epoch_order(rows, seed, epoch)[: len(seen)].tolist()


def test_another_epoch_or_seed_is_another_order():
    orders = [tuple(epoch_order(np.arange(50), seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("start", [0, 1, 4, 6])
def test_a_run_resumes_at_any_batch(workers, start):
    source = Digits(size=8)
    whole = list(batches(source, np.arange(64), 10, 3, 1, workers=0))
    resumed = list(batches(source, np.arange(64), 10, 3, 1, start=start, workers=workers))
    assert len(resumed) == len(whole) - start
    for one, other in zip(whole[start:], resumed, strict=True):
        assert_array_equal(one.images, other.images)
        assert one.captions == other.captions


def test_ranks_share_out_the_global_batch():
    whole = rows_of(Numbered(50), np.arange(50), 12, 0, 0, workers=0)
    for world in (2, 3):
        parts = [rows_of(Numbered(50), np.arange(50), 12, 0, 0, rank=rank, world=world) for rank in range(world)]
        assert [[row for part in step for row in part] for step in zip(*parts, strict=True)] == whole


BAD = (2, 3, 17, 39)


@pytest.mark.parametrize(("kind", "workers"), [("thread", 0), ("thread", 1), ("thread", 4), ("process", 2)])
def test_results_and_counts_do_not_depend_on_the_workers(kind, workers):
    """Rows that cannot be read are replaced by rows of the epoch, never by held-out ones, never twice in a batch."""
    source, rows = Numbered(40, BAD), np.arange(1, 40, 2)
    found = rows_of(source, rows, 5, 7, 0, workers=workers, kind=kind)
    assert found == rows_of(Numbered(40, BAD), rows, 5, 7, 0, workers=0)
    for batch in found:
        assert len(set(batch)) == 5
        assert set(batch) <= set(rows.tolist()) - set(BAD)
    assert source.skipped == 3
    assert source.skip_reasons() == {"bad 1": 3}


def test_a_replacement_is_not_in_another_ranks_slice():
    rows = np.arange(6)
    parts = [rows_of(Numbered(6, [0]), rows, 4, seed, 0, rank=r, world=2)[0] for seed in range(40) for r in (0, 1)]
    for first, second in zip(parts[::2], parts[1::2], strict=True):
        assert not set(first) & set(second)
        assert 0 not in first + second


def test_the_next_readable_row_is_taken_round_the_end():
    source = Numbered(6, [4, 5])
    batch = source.batch([4, 1, 0])
    assert batch.indices.tolist() == [2, 1, 0]  # 5 cannot be read, 0 and 1 are there
    assert batch.captions == ("number 2", "number 1", "number 0")
    assert_array_equal(batch.images[:, 0, 0, 0], [2, 1, 0])
    assert source.batch([4, 5], among=[1, 3]).indices.tolist() == [1, 3]
    assert source.batch([0, 4], among=[0]).indices.tolist() == [0, 0]  # nothing else is left
    with pytest.raises(ValueError, match="numbered has no image that can be read"):
        Numbered(3, [0, 1, 2]).batch([1])


@pytest.mark.timeout(60)
def test_a_worker_that_dies_is_an_error_that_says_so():
    with pytest.raises(
        RuntimeError, match=r"worker process of the loader died while batches \d+ and later of numbered"
    ):
        rows_of(Deadly(20), np.arange(20), 4, 0, 0, workers=2, kind="process")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_passed_on(workers):
    with pytest.raises(ZeroDivisionError, match="row 13"):
        rows_of(Wrong(20), np.arange(20), 4, 0, 0, workers=workers)


def test_a_loop_that_is_left_leaves_no_thread():
    before = threading.active_count()
    loop = batches(Numbered(100), np.arange(100), 4, 0, 0, workers=3)
    next(loop)
    assert threading.active_count() > before
    loop.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 41}, "at most the number of rows, 40, got 41"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"indices": [0, 40]}, "rows of numbered, 0 to 39, got 40"),
        ({"indices": [1, 1]}, "must not repeat"),
        ({"start": 9}, "batches of an epoch, 8, got 9"),
        ({"world": 2}, "multiple of `world`, 2, got 5"),
        ({"rank": 1}, "`rank` must be below `world`, 1"),
        ({"workers": -1}, "`workers`"),
        ({"kind": "fork"}, "`kind` must be one of thread, process"),
    ],
)
def test_arguments_out_of_range_are_named_at_once(changes, message):
    arguments = {"indices": np.arange(40), "batch_size": 5, "seed": 0, "epoch": 0} | changes
    if "indices" in changes:
        arguments["batch_size"] = 2
    with pytest.raises(ValueError, match=message):
        batches(Numbered(40), **arguments)


def test_a_split_is_exact_and_repeats():
    train, held_out = held_out_split(Numbered(30), 10, 4)
    assert sorted([*train, *held_out]) == list(range(30))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(held_out) > 0)
    assert_array_equal(held_out, held_out_split(Numbered(30), 10, 4)[1])
    assert not np.array_equal(held_out, held_out_split(Numbered(30), 10, 5)[1])
    for n in (30, 31):
        with pytest.raises(ValueError, match="too few to hold out"):
            held_out_split(Numbered(30), n, 0)


def test_a_batch_must_be_whole():
    with pytest.raises(ValueError, match=r"equally many, got \(2, 1, 2\)"):
        PairBatch(images=np.zeros((2, 3, 4, 4), np.uint8), captions=("one",), indices=np.arange(2))
    assert isinstance(Numbered(3), PairSource)
