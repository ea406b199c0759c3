"""``conetheory sweep``: grids as they are typed, what is printed, theory beside it, places to run, bad input."""

import json
import os
import sys

import pytest

from claims.cli_sweep import parse_grid

SAMPLER = """
from sims.moments import Moments
def uniform(rng, n, *, top=1.0, kind="real", signed=False):
    return {"x": Moments.of(top * rng.random(n))}
def broken(rng, n, *, top):
    raise OSError("the disk is full")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with a module of samplers in it."""
    (tmp_path / "my_samplers.py").write_text(SAMPLER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("my_samplers", None)


@pytest.fixture
def sweep(conetheory, here):
    return lambda *words: conetheory("sweep", *words)


def quick(*words):
    return (
        "my_samplers:uniform",
        "--grid",
        "top=1,2",
        "--trials",
        200,
        "--block",
        100,
        "--jobs",
        1,
        "--out",
        "out",
        *words,
    )


def test_ranges_are_the_decimals_that_one_would_write():
    assert parse_grid(["a=0.1:0.9:0.1"]) == {"a": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]}
    assert parse_grid(["a=0:1:1/4", "b=64,256", "c=relu,tanh"]) == {
        "a": [0.0, 0.25, 0.5, 0.75, 1.0],
        "b": [64, 256],
        "c": ["relu", "tanh"],
    }
    assert parse_grid(["a=1,5:6:1,1e3,1/4,true,-2"]) == {"a": [1, 5.0, 6.0, 1000.0, 0.25, True, -2]}
    assert parse_grid(["a=1:1.95:0.5"]) == {"a": [1.0, 1.5]}


def test_a_sweep_is_printed_and_resumes(sweep):
    first = sweep(*quick())
    assert (first.code, first.err) == (0, "4 blocks drawn, 0 were there: out\n")
    names, *rows = first.out.splitlines()
    assert names.split() == ["top", "quantity", "value", "stderr", "n", "theory"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert all(row.split()[-2:] == ["200", "—"] for row in rows)
    more = sweep(*quick("--trials", 300, "--grid", "signed=false", "--out", "other"))
    assert more.code == 0
    again = sweep(*quick("--json", "--trials", 500))
    assert again.err == "6 blocks drawn, 4 were there: out\n"
    objects = [json.loads(line) for line in again.out.splitlines()]
    assert [(o["top"], o["n"], o["theory"], o["schema"]) for o in objects] == [(1, 500, None, 1), (2, 500, None, 1)]
    assert all(abs(o["value"] - o["top"] / 2) <= 4.5 * o["stderr"] for o in objects)


@pytest.mark.parametrize(
    ("words", "quantity"),
    [
        (("layer", "--grid", "cosine=0.9", "--grid", "width=48", "--trials", 20_000), "fails"),
        (("failure", "--grid", "cosine=0.9", "--grid", "width=512", "--trials", 2000), "scaled_probability"),
        (("mlp", "--grid", "width=64", "--grid", "n_inputs=4", "--grid", "depth=1", "--trials", 200), "cosine_1"),
    ],
)
def test_theory_stands_beside(words, quantity, sweep):
    done = sweep(*words, "--block", words[-1] // 2, "--jobs", 1, "--out", "out", "--json")
    assert done.code == 0, done.err
    (row,) = (row for row in map(json.loads, done.out.splitlines()) if row["quantity"] == quantity)
    if words[0] == "mlp":  # mean field, at infinite width
        assert row["theory"] == pytest.approx(row["value"], abs=0.05)
    else:
        assert abs(row["value"] - row["theory"]) <= 4.5 * row["stderr"]
        assert row["stderr"] < 0.1 * row["theory"]


def test_a_point_that_theory_refuses_is_printed_without(sweep):
    """Samples were drawn: an inner product with the zero vector has a cosine for the sampler alone."""
    done = sweep(
        "layer", "--grid", "cosine=0.5", "--grid", "norm_u=0,1", "--trials", 10, "--jobs", 1, "--out", "out", "--json"
    )
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [(row["norm_u"], row["theory"] is None) for row in rows] == [(0, True), (1, False)]


def test_a_dask_scheduler_gives_the_same(sweep):
    distributed = pytest.importorskip("distributed")
    local = sweep(*quick("--json"))
    with distributed.LocalCluster(
        n_workers=1, processes=False, threads_per_worker=2, dashboard_address=":0", silence_logs=50
    ) as cluster:
        words = [word for word in quick("--json") if word not in ("--jobs", 1)]
        words[words.index("out")] = "on_dask"
        there = sweep(*words, "--scheduler", cluster.scheduler_address)
    assert there.code == 0, there.err
    assert there.out == local.out


def test_jobs_of_submitit_give_the_same(sweep, here, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]))
    local = sweep(*quick("--json", "--trials", 100))
    words = [word for word in quick("--json", "--trials", 100) if word not in ("--jobs", 1)]
    words[words.index("out")] = "as_jobs"
    there = sweep(*words, "--slurm", "cluster=local", "--slurm", "partition=cpu", "--slurm", "timeout_min=5")
    assert there.code == 0, there.err
    assert there.out == local.out
    assert list((here / "as_jobs" / "jobs").glob("*_result.pkl"))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (quick("--grid", "top=3"), ["--grid", "'top' again"]),
        (quick("--grid", "kind"), ["--grid", "'kind'"]),
        (quick("--grid", "kind="), ["--grid", "'kind='"]),
        (quick("--grid", "kind=a,,b"), ["--grid", "comma", "'kind=a,,b'"]),
        (quick("--grid", "kind=1:2"), ["--grid", "start:stop:step", "'1:2'"]),
        (quick("--grid", "kind=2:1:1"), ["--grid", "'2:1:1'"]),
        (quick("--grid", "kind=0:1:0"), ["--grid", "'0:1:0'"]),
        (quick("--grid", "kind=0:1:1e-9"), ["--grid", "1000000", "'0:1:1e-9'"]),
        (quick("--grid", "kind=nan"), ["--grid", "'kind'", "nan"]),
        (quick("--grid", "width=1"), ["--grid", "SAMPLER", "width", "top, kind, signed"]),
        (quick("--trials", "0"), ["--trials", "0"]),
        (quick("--block", "x"), ["--block", "'x'"]),
        (quick("--in-flight", "0"), ["--in-flight", "0"]),
        (quick("--retries", "-1"), ["--retries", "-1"]),
        (quick("--scheduler", "tcp://127.0.0.1:1"), ["--jobs", "--scheduler", "--slurm"]),
        (("sims.nothing:at_all", "--grid", "a=1", "--out", "out"), ["SAMPLER", "'sims.nothing:at_all'"]),
        (("layers", "--grid", "a=1", "--out", "out"), ["SAMPLER", "layer, failure, chain, mlp", "'layers'"]),
        (("layer", "--out", "out"), ["--grid"]),
        (("layer", "--grid", "cosine=0.5"), ["--out"]),
        (("layer", "--grid", "cosine=0.5", "--out", "out", "--slurm", "partition"), ["--slurm", "'partition'"]),
        (("layer", "--grid", "cosine=0.5", "--out", "out", "--scheduler", "nonsense://x"), ["--scheduler", "nonsense"]),
        (("layer", "--grid", "cosine=0.5", "--out", "out", "--scheduler", "host"), ["--scheduler", "'host'", "port"]),
        (("layer", "--grid", "cosine=0.5", "--out", "my_samplers.py"), ["`--out`", "my_samplers.py is a file"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(words, names, sweep, here):
    before = sorted(here.glob("out*"))
    done = sweep(*words)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert all(name in line for name in names), line
    assert sorted(here.glob("out*")) == before


def test_another_sweep_in_the_folder_is_refused(sweep):
    sweep(*quick())
    done = sweep(*quick("--seed", 7))
    assert (done.code, done.out) == (2, "")
    assert done.err == "conetheory: `--out` out holds another sweep: seed 0 instead of 7; name an empty folder.\n"


def test_a_block_that_fails_is_named(sweep):
    done = sweep("my_samplers:broken", "--grid", "top=1", "--trials", 1, "--jobs", 1, "--out", "out", "--retries", 0)
    assert done.code == 2
    assert done.err == (
        'conetheory: block 0 of the point {"top":1} failed with OSError: the disk is full. '
        "What was done is kept: running again resumes.\n"
    )
