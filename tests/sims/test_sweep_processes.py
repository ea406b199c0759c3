"""Sweeps on processes: workers and coordinators that are killed, and the folder of which nothing is lost or doubled."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sims._sweep_pool import LocalPool
from sims.sweep import SweepError, read_sweep, run_sweep
from tests.sims.sweep_toys import same, toy

ROOT = Path(__file__).parents[2]
SLOW = {"mean": [0.0, 1.0, 2.0], "seconds": [0.02]}

RUN = """
import signal, sys
from sims.sweep import run_sweep
from tests.sims.sweep_toys import toy
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    run_sweep(toy("dawdling", {"mean": [0.0, 1.0, 2.0], "seconds": [0.02]}, n_trials=6000), sys.argv[1], jobs=2,
              flush_seconds=0.1)
"""


def undisturbed(sweep, folder):
    with ThreadPoolExecutor(8) as executor:
        return run_sweep(sweep, folder, executor=executor).table


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def children(pid):
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


def wait_until(condition, seconds=200.0):  # a machine may be busy
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_is_killed_resumes_and_ends_in_the_same_numbers(how, tmp_path):
    sweep, out = toy("dawdling", SLOW, n_trials=6000), tmp_path / "out"
    (tmp_path / "run.py").write_text(RUN)
    run = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", out],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: len(list(out.glob("blocks/*/part-*.parquet"))) >= 3)
    workers = children(run.pid)
    run.send_signal(how)
    run.communicate(timeout=200)
    assert run.returncode == -how
    wait_until(lambda: not [pid for pid in workers if alive(pid)])
    kept = read_sweep(out)["n"].tolist()
    assert 0 < sum(kept) < 6000 * 6
    (next(out.glob("blocks/*")) / ".part-999999.parquet.tmp").write_bytes(b"half a fi")
    result = run_sweep(sweep, out, jobs=2)
    assert result.blocks_kept == sum(kept[::2]) // 100
    assert result.blocks_run == 180 - result.blocks_kept
    assert same(result.table, undisturbed(sweep, tmp_path / "undisturbed"))
    assert not list(out.glob("blocks/*/.*"))


def test_a_worker_that_is_killed_is_replaced(tmp_path):
    sweep = toy("kills_first", {"mean": [0.0, 1.0], "folder": [str(tmp_path)]})
    result = run_sweep(sweep, tmp_path / "out", jobs=2)
    assert (result.blocks_run, 1 <= result.n_failures <= 4) == (20, True)
    assert same(result.table, undisturbed(sweep, tmp_path / "undisturbed"))


def test_a_point_that_kills_every_worker_is_named_and_the_others_are_kept(tmp_path):
    sweep = toy("kills_always", {"mean": [0.0, 2.0, 1.0]}, n_trials=100)
    message = r'block 0 of the point {"mean":2} failed 3 times, at last with BrokenProcessPool'
    with pytest.raises(SweepError, match=message):
        run_sweep(sweep, tmp_path, jobs=2, in_flight=2)
    assert set(read_sweep(tmp_path)["mean"]) >= {0}


def test_workers_have_one_thread_and_the_parent_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with LocalPool(1) as workers:
        names = ("OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        assert [workers.submit(os.getenv, name).result() for name in names] == ["1", "1"]
    assert (os.environ["OPENBLAS_NUM_THREADS"], "NUMBA_NUM_THREADS" in os.environ) == ("2", False)
