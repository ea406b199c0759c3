"""Local processes for a sweep: one thread each, renewed after a death, and gone when this process is."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

__all__ = ["LocalPool"]

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started here use one thread each; libraries read these names when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with(parent: Connection) -> None:
    """Let this worker end when the other end of `parent` closes, as it does when that process ends, however it does.

    Ctrl-C reaches the whole group of processes: it is the parent's to handle.
    """

    def watch() -> None:
        try:
            parent.recv()
        except (EOFError, OSError):
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=watch, daemon=True).start()


class LocalPool(Executor):
    """A pool of `jobs` spawned processes that is made anew when one of them dies.

    The futures that were under way then fail with `BrokenExecutor`; the next `submit` starts new processes.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._open()

    def _open(self) -> None:
        context = get_context("spawn")
        reader, self._writer = context.Pipe(duplex=False)
        self._reader = reader
        self._pool = ProcessPoolExecutor(self._jobs, mp_context=context, initializer=_end_with, initargs=(reader,))

    def _close(self) -> None:
        self._writer.close()  # busy workers end at once
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with _one_thread():  # a pool starts its processes when they are needed
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._close()
                self._open()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, at once where `cancel_futures` asks for it."""
        if not cancel_futures:
            self._pool.shutdown(wait=wait)
        self._close()
