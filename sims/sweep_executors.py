"""Clusters as executors: Dask, and the batch systems of submitit, for whoever knows ``concurrent.futures``."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Event, Lock, Thread
from typing import Any

from conetheory._arrays import as_positive

__all__ = ["DaskExecutor", "JobExecutor"]


class DaskExecutor(Executor):
    """A Dask cluster whose futures always end.

    Those of ``Client.get_executor()`` may not: where the scheduler is lost between the end of a task and the transfer
    of its result they stay open for ever, and whoever waits for them hangs. These end with the error.

    Parameters
    ----------
    client : distributed.Client
        The client; it is not closed.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        task = self._client.submit(fn, *args, pure=False, **kwargs)
        future: Future[Any] = Future()
        self._client.loop.add_callback(self._follow, task, future)
        future.add_done_callback(partial(self._forget, task))
        return future

    async def _follow(self, task: Any, future: Future[Any]) -> None:
        try:
            outcome, error = await self._client.gather(task, asynchronous=True), None
        except BaseException as raised:  # of the task, of its worker, of the connection
            outcome, error = None, raised
        if not future.set_running_or_notify_cancel():
            return
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)

    def _forget(self, task: Any, future: Future[Any]) -> None:
        """Cancel the task of a future that was cancelled."""
        if future.cancelled():
            self._client.loop.add_callback(partial(self._client.cancel, [task], asynchronous=True))


class JobExecutor(Executor):
    """An executor whose tasks are jobs of submitit.

    Tasks that are submitted within one poll become one job array: a batch system takes arrays of thousands of jobs, but
    not thousands of submissions.

    Parameters
    ----------
    executor : submitit.Executor
        An ``AutoExecutor`` with its parameters (partition, time), a ``LocalExecutor`` for a try.
    poll_seconds : float
        Seconds between looks at the jobs.

    Notes
    -----
    A job that is cancelled, or whose node dies, ends its future with submitit's ``UncompletedJobError``; `run_sweep`
    submits it again.
    """

    def __init__(self, executor: Any, *, poll_seconds: float = 1.0) -> None:
        self._executor, self._poll = executor, float(as_positive("poll_seconds", poll_seconds))
        self._lock, self._ending = Lock(), Event()
        self._queued: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
        self._jobs: dict[Future[Any], Any] = {}
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._ending.is_set():
                raise RuntimeError("this executor was shut down.")
            self._queued.append((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; wait for the jobs that are under way, or cancel them where `cancel_futures` is true."""
        self._ending.set()
        if cancel_futures:
            with self._lock:
                queued, self._queued = self._queued, []
                jobs = list(self._jobs.values())
            for future, *_ in queued:
                future.cancel()
            for job in jobs:
                job.cancel(check=False)
        if wait:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            ending = self._ending.wait(self._poll)
            self._submit_queued()
            self._collect()
            if ending:
                with self._lock:
                    if not (self._queued or self._jobs):
                        return
                Event().wait(self._poll)

    def _submit_queued(self) -> None:
        """Submit what waits as one array."""
        with self._lock:
            queued, self._queued = self._queued, []
        live = [task for task in queued if task[0].set_running_or_notify_cancel()]
        if not live:
            return
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(fn, *args, **kwargs) for _, fn, args, kwargs in live]
        except Exception as error:  # the batch system may refuse for any reason
            for future, *_ in live:
                future.set_exception(error)
            return
        with self._lock:
            self._jobs |= {task[0]: job for task, job in zip(live, jobs, strict=True)}

    def _collect(self) -> None:
        """End the futures whose jobs ended."""
        for future, job in list(self._jobs.items()):
            try:
                if not job.done():
                    continue
                outcome, error = job.result(), None
            except Exception as raised:  # of the task, or of a job that never ran
                outcome, error = None, raised
            with self._lock:
                del self._jobs[future]
            if error is None:
                future.set_result(outcome)
            else:
                future.set_exception(error)
