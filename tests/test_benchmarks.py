"""The report of ``make bench``: rows of pytest-benchmark as a table, and the guard that compares ratios."""

import json

import pytest

from benchmarks import report
from benchmarks.replay import replay
from claims.bench.table import Line


def row(method, median, job="a job", **extra):
    return {
        "group": job,
        "name": "test_job",
        "params": {"method": method},
        "stats": {"median": median, "rounds": 7},
        "extra_info": extra,
    }


MEASURED = {
    "benchmarks": [
        row("ours", 1e-3, work=1000, unit="trial", z=0.5),
        row("naive", 2e-3, work=1, unit="trial"),
        {**row("ours", 1.0), "params": {"level": "quick"}},
        {**row("ours", 1.0), "params": None},
    ]
}


def line(job="a job", **ratios):
    return Line(job=job, unit="trial", seconds=1e-6, ratios=ratios)


def test_rows_without_a_method_stand_alone():
    records = report.records_of(MEASURED)
    assert [(record["method"], record["seconds"], record["work"]) for record in records] == [
        ("ours", 1e-3, 1000),
        ("naive", 2e-3, 1),
    ]
    assert records[0] | {"job": "a job", "unit": "trial", "z": 0.5, "rounds": 7} == records[0]


@pytest.mark.parametrize(
    ("found", "sentences"),
    [
        (line(naive=100.0), []),
        (line(naive=50.0), []),
        (line(naive=49.0), ["a job: ours is 49 times as fast as naive, below 50."]),
        (line(naive=float("nan")), ["a job: ours is nan times as fast as naive, below 50."]),
        (line(plain=100.0), ["a job: naive was not measured."]),
        (line("another", naive=100.0), ["a job: not measured."]),
    ],
)
def test_a_ratio_that_falls_is_named(found, sentences):
    assert list(report.fallen([found], {"a job": {"naive": 50.0}})) == sentences


def test_a_peer_need_not_be_installed():
    expected = {"a job": {"naive": 50.0, "peer-torch": 2.0}}
    assert list(report.fallen([line(naive=60.0)], expected)) == []
    (sentence,) = report.fallen([line(**{"naive": 60.0, "peer-torch": 1.0})], expected)
    assert "peer-torch" in sentence


def test_new_bounds_are_half_of_what_was_measured():
    assert report.renewed([line(naive=1234.0, plain=0.7)]) == {"a job": {"naive": 620.0, "plain": 0.35}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with a run, and expected ratios of its own."""
    source, expected = tmp_path / "pytest.json", tmp_path / "expected.json"
    source.write_text(json.dumps(MEASURED))
    monkeypatch.setattr(report, "EXPECTED", expected)
    monkeypatch.setattr(report, "summary", lambda records: {"simd": "avx2 on x", "kernels": "plain", "rows": records})

    def reported(bound, *words):
        expected.write_text(json.dumps({"rationale": "half", "simd": {"avx2": {"a job": {"naive": bound}}}}))
        return report.main([str(source), *words])

    return reported


def test_the_report_writes_everything_and_ends_with_1_where_a_ratio_fell(run, tmp_path, capsys):
    assert run(1000.0) == 0
    assert "No ratio has fallen." in (said := capsys.readouterr().out)
    assert "Without a bound" not in said
    assert {path.name for path in tmp_path.iterdir()} >= {"bench.json", "table.md", "ratios.svg", "ratios.png"}
    assert "| a job | 1 µs / trial | z +0.5 | naive 2,000 |" in (tmp_path / "table.md").read_text()
    assert run(4000.0) == 1
    assert "a job: ours is 2e+03 times as fast as naive, below 4e+03." in capsys.readouterr().out


def test_what_has_no_bound_is_named(run, monkeypatch, capsys):
    """Or a run with another vector extension would look as if it had been compared."""
    monkeypatch.setattr(report, "summary", lambda records: {"simd": "avx512 on x", "kernels": "16", "rows": records})
    assert run(4000.0) == 0
    assert "Without a bound for avx512: a job.\n" in capsys.readouterr().out


def test_without_a_file_it_says_how_it_is_called(capsys):
    with pytest.raises(SystemExit) as ended:
        report.main([])
    assert ended.value.code == 2
    assert "usage: python -m benchmarks.report [-h] [--renew] source" in capsys.readouterr().err


def test_bounds_are_renewed_for_this_vector_extension_alone(run, tmp_path):
    assert run(4000.0, "--renew") == 0
    found = json.loads((tmp_path / "expected.json").read_text())
    assert found == {"rationale": "half", "simd": {"avx2": {"a job": {"naive": 1000.0}}}}


def test_the_bounds_that_are_kept_are_positive():
    kept = json.loads(report.EXPECTED.read_text())
    assert kept["rationale"]
    bounds = [bound for jobs in kept["simd"].values() for job in jobs.values() for bound in job.values()]
    assert bounds
    assert all(bound > 0 for bound in bounds)


class Recorder:
    """What `replay` needs of pytest-benchmark's fixture."""

    def __init__(self):
        self.seconds = []

    def pedantic(self, call, *, rounds):
        from benchmarks.replay import replayed_time

        for _ in range(rounds):
            start = replayed_time()
            call()
            self.seconds.append(replayed_time() - start)


def test_replayed_rounds_are_those_that_were_measured():
    recorder = Recorder()
    replay(recorder, [0.5, 2.0, 0.25])
    assert recorder.seconds == [0.5, 2.0, 0.25]
