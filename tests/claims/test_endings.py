"""How runs end: a user's claim that raises, a parent that is killed, a version asked for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import conetheory as package

ROOT = Path(__file__).parents[2]

RAISES = """
from claims.ledger import Claim, Plant
from claims.measure import Computed
CLAIMS = (Claim(id="mine.raises", paper="mine", section="", statement="It raises.", formula="x", kind="value",
    predict=lambda: 1 / 0, measure=Computed(compute=lambda: 1.0), resolution=0.1,
    plants=(Plant(name="other", statement="x", predict=lambda: 2.0),)),)
"""


def test_version(conetheory):
    done = conetheory("--version")
    assert (done.code, done.out) == (0, f"{package.__version__}\n")


def test_a_claim_that_raises_is_named(conetheory, user_module):
    done = conetheory("verify", "mine.raises", "--module", user_module(RAISES))
    assert done.code == 2
    assert done.err == "conetheory: mine.raises could not be decided: ZeroDivisionError: division by zero\n"


def test_a_module_that_raises_is_named(conetheory, user_module):
    name = user_module("import a_library_that_is_not_there")
    done = conetheory("verify", "--module", name)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert name in done.err
    assert "a_library_that_is_not_there" in done.err


def test_one_network_has_no_standard_error_and_says_so(conetheory):
    done = conetheory("simulate", "mlp", "--networks", 1, "--width", 8, "--inputs", 4, "--depth", 2)
    assert done.code == 0
    assert "—, —, —" in done.out


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().split()[2] != "Z"


def descendants(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(how, tmp_path):
    command = [sys.executable, "-m", "claims", "verify", "liang.fig2b", "--jobs", "2", "--out", str(tmp_path / "out")]
    parent = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    lines = parent.stdout
    assert lines is not None
    assert lines.readline()  # a verdict: the workers are at work
    workers = descendants(parent.pid)
    assert len(workers) >= 2
    parent.send_signal(how)
    parent.communicate(timeout=200)
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in workers if alive(pid)]
    assert (tmp_path / "out" / "verdicts.jsonl").read_text().endswith("\n")
