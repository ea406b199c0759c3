"""Sweeps on clusters: a real Dask cluster of which a worker is killed, and jobs of submitit."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sims.sweep import SweepError, read_sweep, run_sweep
from sims.sweep_executors import DaskExecutor, JobExecutor
from tests.sims.sweep_toys import same, toy

ROOT = Path(__file__).parents[2]
SLOW = {"mean": [0.0, 1.0, 2.0], "seconds": [0.02]}


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of three processes with one thread each."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=3, processes=True, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        client.wait_for_workers(3)
        yield client


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The table of the slow sweep on local processes."""
    return run_sweep(toy("dawdling", SLOW, n_trials=3000), tmp_path_factory.mktemp("local"), jobs=2).table


def test_dask_gives_the_numbers_of_local_processes_though_a_worker_is_killed(client, local, tmp_path):
    workers = client.run(os.getpid)
    blocks = []

    def kill_one(point, done):
        blocks.append(done)
        if len(blocks) == 20:
            os.kill(next(iter(workers.values())), signal.SIGKILL)

    sweep = toy("dawdling", SLOW, n_trials=3000)
    result = run_sweep(sweep, tmp_path, executor=DaskExecutor(client), progress=kill_one, in_flight=12)
    assert blocks == list(range(1, 91))
    assert result.blocks_run == 90
    assert same(result.table, local)
    killed, *others = workers.values()
    after = client.run(os.getpid, on_error="ignore").values()
    assert killed not in after
    assert set(others) <= set(after)


def test_the_executor_of_a_client_will_do(client, tmp_path):
    expected = run_sweep(toy(), tmp_path / "here", jobs=2)
    assert same(run_sweep(toy(), tmp_path / "there", executor=client.get_executor()).table, expected.table)


def test_what_is_cancelled_is_cancelled_on_the_cluster(client):
    executor = DaskExecutor(client)
    futures = [executor.submit(time.sleep, 1.0) for _ in range(30)]
    assert all(future.cancel() for future in futures[3:])
    start = time.monotonic()
    assert executor.submit(len, "four").result(timeout=30) == 4
    assert time.monotonic() - start < 8  # the 27 would take 9


def test_a_block_that_kills_every_worker_of_dask_is_named(cluster, client, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    sweep = toy("kills_always", {"mean": [0.0, 2.0]}, n_trials=100)
    with pytest.raises(SweepError, match=r'block 0 of the point {"mean":2} failed 2 times, at last with KilledWorker'):
        run_sweep(sweep, tmp_path, executor=DaskExecutor(client), retries=1)
    assert 0 in read_sweep(tmp_path)["mean"]


@pytest.fixture
def scheduler(tmp_path):
    """The process of a scheduler, which has one worker, and its address."""
    options = ["--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = []

    def start(kind, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *words]
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL))
        return processes[-1]

    port = str(free_port())
    address = f"tcp://127.0.0.1:{port}"
    found = start("scheduler", "--port", port, "--host", "127.0.0.1")
    start("worker", address, "--nthreads", "2", "--no-nanny", "--death-timeout", "30")
    while not listening(int(port)):
        time.sleep(0.1)
    yield found, address
    for process in processes:
        process.kill()
        process.wait()


def listening(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # a client that lost its scheduler warns as it closes
def test_a_scheduler_that_is_killed_ends_the_sweep_and_not_its_folder(scheduler, local, tmp_path):
    from distributed import Client

    process, address = scheduler

    def kill(point, done):
        if done == 10:
            process.kill()

    sweep = toy("dawdling", SLOW, n_trials=3000)
    with Client(address, timeout=3) as client, pytest.raises(SweepError):
        run_sweep(sweep, tmp_path, executor=DaskExecutor(client), progress=kill, in_flight=30)
    result = run_sweep(sweep, tmp_path, jobs=2)
    assert 10 <= result.blocks_kept < 90
    assert same(result.table, local)


@pytest.fixture
def jobs(tmp_path):
    """Jobs of submitit, run by this machine."""
    submitit = pytest.importorskip("submitit")
    executor = JobExecutor(submitit.LocalExecutor(tmp_path / "jobs"), poll_seconds=0.1)
    yield executor
    executor.shutdown(cancel_futures=True)


def test_jobs_of_submitit_give_the_numbers_of_local_processes(jobs, local, tmp_path):
    result = run_sweep(toy("dawdling", SLOW, n_trials=100), tmp_path / "out", executor=jobs)
    assert result.blocks_run == 3
    assert same(run_sweep(toy("dawdling", SLOW, n_trials=3000), tmp_path / "out", jobs=2).table, local)


def test_a_job_that_fails_is_named_by_its_last_line(jobs, tmp_path):
    with pytest.raises(SweepError, match=r"failed with FailedJobError.*TypeError: .*must return Moments"):
        run_sweep(toy("no_moments", {"mean": [0.0]}, n_trials=100), tmp_path / "out", executor=jobs, retries=0)


class Fake:
    """A batch system that refuses its first array, and runs the others at once."""

    def __init__(self):
        self.arrays = []

    def batch(self):
        self.arrays.append(0)
        return self

    def __enter__(self):
        if len(self.arrays) == 1:
            raise OSError("no slots")

    def __exit__(self, *error):
        pass

    def submit(self, fn, *args, **kwargs):
        self.arrays[-1] += 1
        return type("Job", (), {"done": lambda job: True, "result": lambda job: fn(*args, **kwargs)})()


def test_tasks_become_arrays_and_a_refused_one_is_submitted_again(tmp_path):
    fake = Fake()
    with JobExecutor(fake, poll_seconds=0.2) as executor:
        result = run_sweep(toy(), tmp_path, executor=executor, in_flight=100)
    assert (result.blocks_run, result.n_failures) == (30, 30)
    assert sum(fake.arrays) == 30
    assert len(fake.arrays) <= 4
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(len, "")


def test_a_poll_must_take_time():
    with pytest.raises(ValueError, match=r"`poll_seconds`.*0\.0"):
        JobExecutor(Fake(), poll_seconds=0.0)
