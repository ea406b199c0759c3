"""What a result says of where it came from."""

import json
import platform
import subprocess
from datetime import UTC, datetime

import numpy as np
import pytest

from conetheory import _provenance
from conetheory._provenance import commit_of, provenance


def test_it_names_versions_machine_and_moment():
    before = datetime.now(UTC).replace(microsecond=0)
    found = provenance(("numpy", "no-such-library"))
    assert found["libraries"] == {"numpy": np.__version__, "no-such-library": None}
    assert (found["python"], found["platform"]) == (platform.python_version(), platform.platform())
    assert before <= datetime.fromisoformat(found["started"]) <= datetime.now(UTC)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_is_no_checkout_has_no_commit(tmp_path):
    assert commit_of(tmp_path) is None  # installed
    (tmp_path / ".git").mkdir()
    assert commit_of(tmp_path) is None  # git does not know it


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 30)])
def test_without_git_there_is_no_commit(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(_provenance.subprocess, "run", fail)
    assert commit_of(tmp_path) is None


def test_a_checkout_has_its_commit_and_a_mark_once_it_is_changed(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file.py").write_text("")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = commit_of(tmp_path)
    assert len(commit) == 40
    (tmp_path / "other.py").write_text("nobody knows it yet")
    assert commit_of(tmp_path) == commit
    (tmp_path / "installed").mkdir()
    assert commit_of(tmp_path / "installed") is None  # inside a checkout, of something else
    (tmp_path / "file.py").write_text("changed")
    assert commit_of(tmp_path) == commit + "+"
