import errno
import json
import os
from pathlib import Path

import pytest

import conetheory
from claims.folder import ResultFolder, environment, summarise
from claims.verify import SCHEMA, Plan
from conetheory._provenance import commit_of

IDS = ("a.one", "a.two", "a.three", "a.four")


def plan_of(ids=IDS, **changes):
    parts = {"skipped": (), "seed": 0, "level": "quick", "planted": False, "data": None, "modules": ()}
    return Plan(ids=tuple(ids), **parts | changes)


def verdict(name, outcome="supported"):
    return {"id": name, "verdict": outcome, "as_expected": outcome == "supported", "seconds": 0.1, "note": "c′ ≤ c₀"}


def ids_in(path):
    return [json.loads(line)["id"] for line in (path / "verdicts.jsonl").read_text().splitlines()]


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "a folder" / "below another"


def test_a_new_folder_is_readable_before_anything_is_decided(out):
    ResultFolder(out, plan_of(skipped=("a.five",)))
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["claims"], summary["decided"], summary["complete"]) == (4, 0, False)
    assert summary["skipped"] == ["a.five"]
    assert ids_in(out) == []
    assert json.loads((out / "environment.json").read_text())["conetheory"] == conetheory.__version__


def test_each_verdict_is_there_at_once(out):
    folder = ResultFolder(out, plan_of())
    for count, name in enumerate(reversed(IDS), start=1):
        folder.add(verdict(name))
        assert ids_in(out) == list(reversed(IDS))[:count]


def test_in_the_end_they_are_in_the_order_of_the_ledger(out):
    folder = ResultFolder(out, plan_of())
    for name in ("a.three", "a.one", "a.four", "a.two"):
        folder.add(verdict(name, "refuted" if name == "a.two" else "supported"))
    summary = folder.close()
    assert ids_in(out) == list(IDS)
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary == {
        "schema": SCHEMA,
        "conetheory": conetheory.__version__,
        "seed": 0,
        "level": "quick",
        "planted": False,
        "claims": 4,
        "decided": 4,
        "complete": True,
        "as_expected": 3,
        "not_as_expected": ["a.two"],
        "skipped": [],
        "supported": 3,
        "refuted": 1,
        "undecided": 0,
    }
    assert sorted(path.name for path in out.iterdir()) == ["environment.json", "summary.json", "verdicts.jsonl"]


def test_a_run_is_taken_up_where_it_was(out):
    folder = ResultFolder(out, plan_of())
    folder.add(verdict("a.three"))
    folder.add(verdict("a.one"))
    started = (out / "environment.json").read_text()
    again = ResultFolder(out, plan_of())
    assert list(again.verdicts) == ["a.three", "a.one"]
    assert again.verdicts["a.one"] == verdict("a.one")
    assert ids_in(out) == ["a.one", "a.three"]
    assert json.loads((out / "summary.json").read_text())["decided"] == 2
    assert (out / "environment.json").read_text() == started


@pytest.mark.parametrize("kept", [0, 1, 5, 40])
def test_a_line_cut_off_by_a_crash_is_dropped(out, kept):
    folder = ResultFolder(out, plan_of())
    folder.add(verdict("a.two"))
    with (out / "verdicts.jsonl").open("a") as file:
        file.write(json.dumps(verdict("a.one"))[:kept])
    again = ResultFolder(out, plan_of())
    assert list(again.verdicts) == ["a.two"]
    again.add(verdict("a.one"))
    assert ids_in(out) == ["a.two", "a.one"]


def test_a_line_that_lacks_only_its_end_is_kept(out):
    ResultFolder(out, plan_of())
    (out / "verdicts.jsonl").write_text(json.dumps(verdict("a.one")))
    ResultFolder(out, plan_of()).add(verdict("a.two"))
    assert ids_in(out) == ["a.one", "a.two"]


@pytest.mark.parametrize("line", ['{"id": "a.on', "5", "[]", "{}", '{"id": []}', "null"])
def test_a_line_in_the_middle_that_is_no_verdict_is_refused(out, line):
    ResultFolder(out, plan_of())
    broken = f"{line}\n{json.dumps(verdict('a.one'))}\n"
    (out / "verdicts.jsonl").write_text(broken)
    with pytest.raises(ValueError, match=r"`--out` .*verdicts.jsonl line 1 is not a verdict: ") as refused:
        ResultFolder(out, plan_of())
    assert repr(line) in str(refused.value)
    assert (out / "verdicts.jsonl").read_text() == broken


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed 0 instead of 1"),
        ({"level": "full"}, "level 'quick' instead of 'full'"),
        ({"planted": True}, "planted False instead of True"),
        ({"seed": 1, "level": "full"}, "seed 0 instead of 1, level 'quick' instead of 'full'"),
    ],
)
def test_the_folder_of_another_run_is_refused_and_left_alone(out, changes, message):
    ResultFolder(out, plan_of()).add(verdict("a.one"))
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match=f"`--out` .* holds another run: {message}; name an empty folder"):
        ResultFolder(out, plan_of(**changes))
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_the_folder_of_another_version_is_refused(out, monkeypatch):
    ResultFolder(out, plan_of())
    old = conetheory.__version__
    monkeypatch.setattr(conetheory, "__version__", "99.0")
    with pytest.raises(ValueError, match=f"conetheory '{old}' instead of '99.0'"):
        ResultFolder(out, plan_of())


@pytest.mark.parametrize("content", ["not JSON", "[1, 2]", '{"schema": 1', "", "{}"])
def test_a_folder_with_a_summary_of_another_kind_is_refused(out, content):
    out.mkdir(parents=True)
    (out / "summary.json").write_text(content)
    with pytest.raises(ValueError, match=r"`--out` .* holds "):
        ResultFolder(out, plan_of())
    assert [path.name for path in out.iterdir()] == ["summary.json"]
    assert (out / "summary.json").read_text() == content


def test_verdicts_without_a_summary_are_refused(out):
    out.mkdir(parents=True)
    (out / "verdicts.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"holds verdicts without a summary.json"):
        ResultFolder(out, plan_of())


def test_verdicts_of_other_claims_stay_behind_those_of_the_plan(out):
    first = ResultFolder(out, plan_of(["b.one", "b.two"]))
    first.add(verdict("b.two"))
    second = ResultFolder(out, plan_of(["a.one"]))
    second.add(verdict("a.one"))
    summary = second.close()
    assert (summary["claims"], summary["decided"], summary["complete"]) == (1, 1, True)
    assert ids_in(out) == ["a.one", "b.two"]


# --- a full disk -----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_verdicts_as_they_were(out, monkeypatch):
    folder = ResultFolder(out, plan_of())
    folder.add(verdict("a.one"))
    before = (out / "verdicts.jsonl").read_bytes()
    monkeypatch.setattr(os, "fsync", full)  # the line has been written by then
    with pytest.raises(OSError, match="No space left on device") as failed:
        folder.add(verdict("a.two"))
    assert failed.value.filename == str(out / "verdicts.jsonl")
    assert (out / "verdicts.jsonl").read_bytes() == before
    assert list(folder.verdicts) == ["a.one"]
    monkeypatch.undo()
    assert list(ResultFolder(out, plan_of()).verdicts) == ["a.one"]


def test_an_interrupt_while_writing_leaves_the_verdicts_as_they_were(out, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    folder = ResultFolder(out, plan_of())
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.add(verdict("a.one"))
    assert ids_in(out) == []


# --- what a run was --------------------------------------------------------------------------------------------------


def test_summarise_counts():
    found = summarise(plan_of(), [verdict("a.one"), verdict("a.two", "undecided"), verdict("a.three", "refuted")])
    assert (found["supported"], found["refuted"], found["undecided"]) == (1, 1, 1)
    assert (found["decided"], found["complete"], found["as_expected"]) == (3, False, 1)
    assert found["not_as_expected"] == ["a.two", "a.three"]


def test_environment_names_versions_and_code():
    found = environment()
    assert set(found) == {
        *("conetheory", "commit", "python", "platform", "processor", "cpus", "libraries", "command", "started")
    }
    assert found["conetheory"] == conetheory.__version__
    assert found["libraries"]["numpy"] == __import__("numpy").__version__
    assert found["commit"] == commit_of(Path(__file__).parents[2])
    json.dumps(found, allow_nan=False)
