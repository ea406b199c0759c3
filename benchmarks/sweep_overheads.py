"""What a block of a sweep costs beside its trials: ``python -m benchmarks.sweep_overheads`` measures and extrapolates.

Processor time, not time on the clock: it is what bounds the rate of a process that has a core to itself.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sims._sweep_folder import FLUSH_BLOCKS, SweepFolder
from sims._sweep_tasks import Block, Task
from sims.moments import Moments
from sims.sweep import Sweep, run_sweep
from sims.sweep_executors import DaskExecutor
from sims.sweep_scaling import Overheads, least_block_seconds, simulate_sweep

__all__ = ["Inline", "dask_cluster", "empty", "empty_sweep", "measure"]


def empty(rng: Any, n: int) -> dict[str, Moments]:
    """A block that takes no time."""
    return {"x": Moments(n=n, total=0.0, spread=0.0)}


def empty_sweep(n_blocks: int) -> Sweep:
    """Blocks that take no time, at one point."""
    return Sweep("benchmarks.sweep_overheads:empty", [{}], n_trials=n_blocks, block_trials=1)


class Inline(Executor):
    """Runs a task when it is submitted: what is left is the sweep itself."""

    def submit(self, fn, /, *args, **kwargs) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def dask_cluster(folder: Path, n_workers: int = 2) -> Iterator[Any]:
    """Yield a client of a scheduler and of workers that are processes of their own."""
    from distributed import Client

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    command = [sys.executable, "-m"]
    options = {"cwd": Path(__file__).parents[1], "stderr": subprocess.DEVNULL}
    address = f"tcp://127.0.0.1:{port}"
    where = ["--host", "127.0.0.1", "--no-dashboard"]
    running = [subprocess.Popen([*command, "distributed.cli.dask_scheduler", "--port", port, *where], **options)]
    worker = ["--nthreads", "1", "--local-directory", str(folder), "--no-nanny", "--no-dashboard"]
    running += [
        subprocess.Popen([*command, "distributed.cli.dask_worker", address, *worker], **options)
        for _ in range(n_workers)
    ]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(n_workers, timeout=60)
            yield client
    finally:
        for process in running:
            process.terminate()
            process.wait()


def _processor_seconds(n_blocks: int, **where: Any) -> float:
    """Return the processor time of this process a block."""
    with TemporaryDirectory() as folder:
        run_sweep(empty_sweep(50), folder, **where)  # started and imported
        start = time.process_time()
        run_sweep(empty_sweep(n_blocks + 50), folder, **where)
        return (time.process_time() - start) / n_blocks


def _flush_seconds() -> float:
    """Return the time on the clock of one flush: it waits for the disk."""
    with TemporaryDirectory() as folder:
        sweep = empty_sweep(FLUSH_BLOCKS)
        description = {
            "sampler": "",
            "seed": 0,
            "block_trials": 1,
            "n_blocks": FLUSH_BLOCKS,
            "code": {},
            "points": [{}],
        }
        opened = SweepFolder(Path(folder), description, flush_seconds=60.0)
        for block in range(sweep.n_blocks - 1):
            opened.add(Task(0, block), Block({}, (("x", 1, 0.0, 0.0),)))
        start = time.perf_counter()
        opened.flush()
        elapsed = time.perf_counter() - start
        opened.close()
        return elapsed


def measure(n_blocks: int = 4000) -> dict[str, float]:
    """Return the seconds a block of each process, and the seconds a flush."""
    found = {
        "coordinator, alone": _processor_seconds(n_blocks, executor=Inline()),
        "coordinator, local processes": _processor_seconds(n_blocks, jobs=1),
        "flush": _flush_seconds(),
    }
    with TemporaryDirectory() as folder, dask_cluster(Path(folder)) as client:
        before = client.run_on_scheduler(time.process_time)
        found["coordinator, Dask"] = _processor_seconds(n_blocks, executor=DaskExecutor(client))
        found["scheduler, Dask"] = (client.run_on_scheduler(time.process_time) - before) / (n_blocks + 100)
    return found


def _main() -> None:
    found = measure()
    lines = [f"{name}: {seconds * 1e6:.0f} µs" for name, seconds in found.items()]
    dask = Overheads(
        coordinator=round(found["coordinator, Dask"], 6),
        scheduler=round(found["scheduler, Dask"], 6),
        flush=round(found["flush"], 4),
        latency=0.001,
    )
    lines += [str(dask), f"90 % on 10,000 cores from {least_block_seconds(10_000, overheads=dask):.2f} s"]
    for workers in (100, 1000, 10_000):
        cells = [
            simulate_sweep(workers, b, overheads=dask, rng=0).efficiency for b in (0.1, 1.0, 3.0, 10.0, 30.0, 100.0)
        ]
        lines.append(f"| {workers} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    _main()
