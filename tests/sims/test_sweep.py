"""Sweeps in one process: points, streams, tables, folders, executors that misbehave, what is refused."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims import _sweep_folder
from sims._sweep_points import block_stream, canonical_point, point_digest, point_json
from sims.moments import Moments, pool
from sims.sweep import Sweep, read_sweep, run_sweep
from sims.sweep_samplers import SAMPLERS
from tests.sims.sweep_toys import MEANS, same, toy


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


# Points and streams


def test_a_point_is_the_same_however_it_is_written():
    written = [{"a": 1, "b": 0.0}, {"b": -0.0, "a": 1.0}, {"b": np.int64(0), "a": np.float32(1)}]
    points = [canonical_point(point) for point in written]
    assert [point_json(point) for point in points] == ['{"a":1,"b":0}'] * 3
    assert all(type(value) is int for point in points for value in point.values())
    others = [{"a": True, "b": 0}, {"a": "1", "b": 0}, {"a": 1, "b": 0, "c": 0}, {"a": 1.0000000000000002, "b": 0}]
    assert len({point_digest(canonical_point(point)) for point in [*written, *others]}) == 1 + len(others)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9))
)
def test_canonical_points_survive_json(point):
    canonical = canonical_point(point)
    assert canonical == point
    assert canonical_point(json.loads(point_json(canonical))) == canonical
    assert canonical_point(dict(reversed(point.items()))) == canonical


def test_digests_do_not_change():
    """A folder of today is a folder of tomorrow."""
    point = canonical_point({"cosine": 0.1, "width": 64, "activation": "relu"})
    assert point_digest(point) == "p488bc1e61c18e8a7"
    assert block_stream(3, point, 5).integers(1 << 32) == 4248718591


def test_streams_differ_by_seed_point_and_block():
    points = [canonical_point({"a": a}) for a in range(5)]
    first = {block_stream(s, point, b).integers(1 << 63) for s in range(5) for point in points for b in range(5)}
    assert len(first) == 125
    assert block_stream(1, {"a": 1}, 1).integers(1 << 63) == block_stream(1, {"a": 1}, 1).integers(1 << 63)


# Moments


def test_moments_of_parts_are_those_of_the_whole_whatever_the_order():
    rng = np.random.default_rng(0)
    x = 1e6 + rng.standard_normal(5000)
    cuts = [0, 1, 7, 1000, 1000, 5000]
    parts = [Moments.of(x[a:b]) for a, b in pairwise(cuts)]
    rows = np.array([(p.n, p.total, p.spread) for p in parts])
    found = {
        pool(chosen[:, 0].astype(int), chosen[:, 1], chosen[:, 2])
        for chosen in (rows[rng.permutation(len(rows))] for _ in range(20))
    }
    (estimate,) = found
    assert estimate.n == 5000
    assert estimate.value == pytest.approx(x.mean(), rel=1e-15)
    assert estimate.stderr == pytest.approx(x.std(ddof=1) / math.sqrt(5000), rel=1e-9)  # 1e6 / sqrt(5000) eps is 3e-12


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (3, 8)])
def test_moments_of_a_count(successes, n):
    whole = Moments.of(np.where(np.arange(n) < successes, 1.0, 0.0))
    counted = Moments.of_count(successes, n)
    assert (counted.n, counted.total) == (whole.n, whole.total)
    assert counted.spread == pytest.approx(whole.spread, rel=1e-15)


def test_nothing_and_one_have_no_standard_error():
    nothing = pool(np.array([0]), np.array([0.0]), np.array([0.0]))
    one = pool(np.array([0, 1]), np.array([0.0, 3.0]), np.array([0.0, 0.0]))
    assert math.isnan(nothing.value)
    assert (one.value, one.n, math.isnan(one.stderr)) == (3.0, 1, True)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Moments(n=-1, total=0.0, spread=0.0), r"`n`.*-1"),
        (lambda: Moments(n=1, total=math.nan, spread=0.0), "`total`.*nan"),
        (lambda: Moments(n=1, total=0.0, spread=-1e-9), "`spread`.*-1e-09"),
        (lambda: Moments(n=0, total=1.0, spread=0.0), "`total`.*1.0"),
        (lambda: Moments.of([0.0, math.nan]), "`samples`.*nan"),
        (lambda: Moments.of([[0.0]]), r"`samples`.*\(1, 1\)"),
        (lambda: Moments.of_count(3, 2), "`successes`.*3"),
    ],
)
def test_moments_refuse(make, names):
    with pytest.raises(ValueError, match=names):
        make()


# Tables


def test_the_table_is_the_obvious_loop(threads, tmp_path):
    result = run_sweep(toy(), tmp_path, executor=threads)
    assert (result.blocks_run, result.blocks_kept, result.n_failures) == (30, 0, 0)
    assert result.table["mean"].tolist() == [0, 0, 0.5, 0.5, 2, 2]
    assert result.table["quantity"].tolist() == ["x", "positive"] * 3
    for i, mean in enumerate(MEANS["mean"]):
        x = np.concatenate(
            [block_stream(0, canonical_point({"mean": mean}), b).normal(mean, 1.0, 100) for b in range(10)]
        )
        assert result.table["n"][2 * i] == 1000
        assert result.table["value"][2 * i] == pytest.approx(x.mean(), rel=1e-14)
        assert result.table["stderr"][2 * i] == pytest.approx(x.std(ddof=1) / math.sqrt(1000), rel=1e-13)
        assert result.table["value"][2 * i + 1] == (x > 0).mean()
        assert abs(result.table["value"][2 * i] - mean) <= 4.5 * result.table["stderr"][2 * i]
    assert same(read_sweep(tmp_path), result.table)


def test_points_of_different_parameters_and_strings(threads, tmp_path):
    points = [{"mean": 1}, {"mean": 1.5, "sd": 2.0}]
    table = run_sweep(toy(grid=points), tmp_path, executor=threads).table
    assert table["sd"].tolist() == [None, None, 2, 2]
    assert table["mean"].dtype == np.float64


@pytest.mark.parametrize(
    ("name", "point", "quantity"),
    [
        ("layer", {"cosine": 0.9, "width": 8}, "fails"),
        ("failure", {"cosine": 0.5, "width": 128}, "scaled_probability"),
        ("chain", {"theta0": 0.5, "width": 64, "depth": 3}, "log_tan2"),
        ("mlp", {"width": 16, "n_inputs": 4, "depth": 2, "activation": "tanh"}, "cosine_2"),
    ],
)
def test_the_samplers_of_the_package_run(name, point, quantity, threads, tmp_path):
    assert set(SAMPLERS) == {"layer", "failure", "chain", "mlp"}
    table = run_sweep(Sweep(name, [point], n_trials=200, block_trials=100), tmp_path, executor=threads).table
    row = table["quantity"].tolist().index(quantity)
    assert table["n"][row] == 200
    assert 0 < table["stderr"][row] < 0.5


def test_samplers_agree_with_what_they_name():
    from conetheory.large_deviation import failure_probability

    sums = SAMPLERS["failure"](np.random.default_rng(0), 4000, cosine=0.9, width=512)
    share, scale = (sums[name].total / 4000 for name in ("scaled_probability", "log_scale"))
    exact = math.exp(failure_probability(0.9, 1.0, 1.0, 512).log_value - scale)
    stderr = math.sqrt(sums["scaled_probability"].spread / 4000 / 3999)
    assert abs(share - exact) <= 4.5 * stderr
    assert stderr < 0.02 * exact
    sums = SAMPLERS["layer"](np.random.default_rng(0), 100_000, cosine=0.5, width=64)["fails"]
    failing = sums.total / sums.n
    assert abs(failing - failure_probability(0.5, 1.0, 1.0, 64).value) <= 4.5 * math.sqrt(failing / sums.n)


# Extension, and what is refused


def test_trials_and_points_are_added_without_doing_any_anew(threads, tmp_path):
    whole = run_sweep(toy(), tmp_path / "whole", executor=threads)
    grown = tmp_path / "grown"
    first = run_sweep(toy(grid={"mean": [0.5]}, n_trials=300), grown, executor=threads)
    more = run_sweep(toy(grid={"mean": [0.5]}), grown, executor=threads)
    all_of_it = run_sweep(toy(), grown, executor=threads)
    again = run_sweep(toy(), grown, executor=threads)
    counts = [(r.blocks_run, r.blocks_kept) for r in (first, more, all_of_it, again)]
    assert counts == [(3, 0), (7, 3), (20, 10), (0, 30)]
    assert same(all_of_it.table, whole.table)
    assert same(again.table, whole.table)
    smaller = run_sweep(toy(grid={"mean": [0.5]}, n_trials=300), grown, executor=threads)
    assert same(smaller.table, first.table)
    assert len(read_sweep(grown)["n"]) == 6


def test_the_order_of_the_grid_changes_nothing(threads, tmp_path):
    a = run_sweep(toy(grid={"mean": [1, 2], "sd": [1, 2]}), tmp_path / "a", executor=threads).table
    b = run_sweep(toy(grid={"sd": [2.0, 1.0], "mean": [2.0, 1.0]}), tmp_path / "b", executor=threads).table
    order = np.lexsort([b["quantity"] != "x", b["sd"], b["mean"]])
    assert same({name: b[name][order] for name in a}, a)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"seed": 1}, "seed 0 instead of 1"),
        ({"block_trials": 50}, "block_trials 100 instead of 50"),
        ({"name": "no_moments"}, "sampler '.*normal' instead of '.*no_moments'.*source of the sampler"),
    ],
)
def test_another_sweep_is_refused(change, names, threads, tmp_path):
    run_sweep(toy(n_trials=100), tmp_path, executor=threads)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=rf"`out` .* holds another sweep: .*{names}.*; name an empty folder"):
        run_sweep(toy(**change), tmp_path, executor=threads)
    assert sorted(tmp_path.rglob("*")) == before
    run_sweep(toy(n_trials=100), tmp_path, executor=threads)  # and the folder is free again


def test_a_changed_kernel_or_version_is_refused(threads, tmp_path, monkeypatch):
    run_sweep(toy(n_trials=100), tmp_path, executor=threads)
    monkeypatch.setattr("sims._sweep_tasks.__version__", "99.0")
    with pytest.raises(ValueError, match=r"conetheory '.*' instead of '99\.0'"):
        run_sweep(toy(n_trials=100), tmp_path, executor=threads)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"name": "nothing_there"}, "`sampler`.*nothing_there.*cannot be imported"),
        ({"grid": {}}, "`grid` does not fit.*mean"),
        ({"grid": {"mean": []}}, r"`grid`.*'mean'.*\[\]"),
        ({"grid": {"mean": "123"}}, "`grid`.*'mean'.*'123'"),
        ({"grid": []}, "`grid`.*at least one point"),
        ({"grid": {"mean": [math.nan]}}, "`grid`.*'mean'.*nan"),
        ({"grid": {"mean": [math.inf]}}, "`grid`.*'mean'.*inf"),
        ({"grid": {"mean": [2**53 + 1]}}, "`grid`.*'mean'.*9007199254740993"),
        ({"grid": {"mean": [None]}}, "`grid`.*'mean'.*None"),
        ({"grid": {"mean": [1, 1.0]}}, r'`grid` must hold every point once, got {"mean":1}'),
        ({"grid": {"mean": [1], "width": [1]}}, "`grid` does not fit.*width.*it has mean, sd"),
        ({"grid": {"n": [1]}}, "`grid`.*'n'"),
        ({"grid": {"two words": [1]}}, "`grid`.*'two words'"),
        ({"n_trials": 0}, "`n_trials`.*0"),
        ({"block_trials": 0}, "`block_trials`.*0"),
        ({"seed": -1}, "`seed`.*-1"),
    ],
)
def test_bad_sweeps_are_named(arguments, names):
    with pytest.raises(ValueError, match=names):
        toy(**arguments)


def test_bad_samplers_are_named():
    for bad, names in [("sims", "`sampler` must be layer, .* got 'sims'"), ("math:pi", "`sampler` 'math:pi'.*float")]:
        with pytest.raises(ValueError, match=names):
            Sweep(bad, MEANS, n_trials=1)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"jobs": 2}, "`jobs`.*2"),
        ({"in_flight": 0}, "`in_flight`.*0"),
        ({"retries": -1}, "`retries`.*-1"),
        ({"flush_seconds": 0.0}, r"`flush_seconds`.*0\.0"),
        ({"flush_seconds": math.nan}, "`flush_seconds`.*nan"),
    ],
)
def test_bad_ways_to_run_are_named_and_leave_nothing(arguments, names, threads, tmp_path):
    with pytest.raises(ValueError, match=names):
        run_sweep(toy(), tmp_path / "out", executor=threads, **arguments)
    assert not (tmp_path / "out").exists()


# Folders


def test_foreign_and_broken_folders_are_refused(threads, tmp_path):
    with pytest.raises(ValueError, match=r"holds no sweep: .*sweep\.json is missing"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text('{"schema": 7}')
    with pytest.raises(ValueError, match=r"sweep\.json that is not ours"):
        run_sweep(toy(), tmp_path, executor=threads)
    (tmp_path / "sweep.json").unlink()
    (tmp_path / "blocks").mkdir()
    with pytest.raises(ValueError, match=r"blocks without a sweep\.json"):
        run_sweep(toy(), tmp_path, executor=threads)
    out = tmp_path / "out"
    run_sweep(toy(), out, executor=threads)
    part = next(out.glob("blocks/*/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{part.name} cannot be read"):
        run_sweep(toy(), out, executor=threads)
    part.unlink()
    assert run_sweep(toy(), out, executor=threads).blocks_run == 10


def test_each_start_says_what_it_ran_on(threads, tmp_path):
    for n_trials in (100, 200):
        run_sweep(toy(n_trials=n_trials), tmp_path, executor=threads)
    runs = json.loads((tmp_path / "sweep.json").read_text())["runs"]
    assert [set(run) for run in runs] == [{"python", "platform", "numpy", "numba", "started"}] * 2
    assert runs[0]["numpy"] == np.__version__


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_file_is_no_folder(inside, threads, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"`out` must be a folder, and .*file.* is a file"):
        run_sweep(toy(), tmp_path / "file" / inside, executor=threads)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_is_used_by_one_sweep_at_a_time(threads, tmp_path):
    def second(point, done):
        with pytest.raises(ValueError, match="in use by another process"):
            run_sweep(toy(), tmp_path, executor=threads)

    run_sweep(toy(n_trials=100), tmp_path, executor=threads, progress=second)


def test_blocks_are_written_together_and_others_can_read_them(tmp_path, monkeypatch):
    import pyarrow.dataset

    monkeypatch.setattr(_sweep_folder, "FLUSH_BLOCKS", 7)
    with ThreadPoolExecutor(1) as in_order:
        run_sweep(toy(), tmp_path, executor=in_order)
    assert len(list(tmp_path.glob("blocks/point=*/part-*.parquet"))) == 5 + 2  # five flushes, two across two points
    dataset = pyarrow.dataset.dataset(tmp_path / "blocks", partitioning="hive")
    table = dataset.to_table()
    assert table.num_rows == 60
    assert set(table.column_names) == {"mean", "block", "quantity", "n", "total", "spread", "point"}
    assert set(table["point"].to_pylist()) == {point_digest(canonical_point({"mean": m})) for m in MEANS["mean"]}


def test_rows_that_are_there_twice_count_once_and_must_agree(threads, tmp_path):
    import pyarrow.parquet as pq

    table = run_sweep(toy(), tmp_path, executor=threads).table
    part = next(tmp_path.glob("blocks/*/part-000000.parquet"))
    rows = pq.ParquetFile(part).read()
    pq.write_table(rows.slice(4, 6), part.with_name("part-000001.parquet"))
    assert same(read_sweep(tmp_path), table)
    other = rows.set_column(rows.column_names.index("total"), "total", [np.asarray(rows["total"]) + 1])
    pq.write_table(other, part.with_name("part-000001.parquet"))
    with pytest.raises(ValueError, match="twice, with different total"):
        read_sweep(tmp_path)


def test_what_a_killed_process_left_half_written_goes(threads, tmp_path):
    table = run_sweep(toy(), tmp_path, executor=threads).table
    part = next(tmp_path.glob("blocks/*/part-000000.parquet"))
    left = part.with_name(".part-000001.parquet.tmp")
    left.write_bytes(part.read_bytes()[:50])
    assert same(read_sweep(tmp_path), table)
    assert same(run_sweep(toy(), tmp_path, executor=threads).table, table)
    assert not left.exists()
