"""The loop that hands out the tasks of a sweep: so many at a time, again where one fails, each result taken once."""

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import Empty, SimpleQueue
from typing import Any

from sims._sweep_tasks import Block, Task

__all__ = ["SweepError", "TaskLoop"]


_FINAL = (ValueError, TypeError)  # of the sampler: a point outside its domain, which another try does not change


class SweepError(RuntimeError):
    """A sweep ended before its end: a block failed too often, or a worker runs other code. What was done is kept."""


class TaskLoop:
    """Run tasks on an executor.

    Parameters
    ----------
    executor : Executor
        Where; its futures may end in any order, in any thread, and say so more than once.
    call : callable
        Takes a task, and gives the function and the arguments to submit.
    describe : callable
        Takes a task, and names it in an error.
    in_flight : int
        Tasks handed out and not yet back, at most: the memory of executor and scheduler does not grow with the sweep.
    retries : int
        How often a task may fail and be handed out again, unless it failed with a ValueError or TypeError.
    """

    def __init__(
        self,
        executor: Executor,
        call: Callable[[Task], tuple[Any, ...]],
        describe: Callable[[Task], str],
        *,
        in_flight: int,
        retries: int,
    ) -> None:
        self._executor, self._call, self._describe = executor, call, describe
        self._in_flight, self._retries = in_flight, retries
        self._flying: dict[Task, Future[Block]] = {}
        self._again: deque[Task] = deque()
        self._alone: deque[Task] = deque()
        self._failures: dict[Task, int] = {}
        self._returned: SimpleQueue[tuple[Task, Future[Block]]] = SimpleQueue()
        self.n_failures = 0

    def run(self, tasks: Iterator[Task], take: Callable[[Task, Block], None], *, patience: Callable[[], float]) -> None:
        """Run all of `tasks`; `take` gets each result once, also those that are there already if this ends early.

        `patience` is called between results: it may do what is due, and says how many seconds until it must be called
        again.
        """
        try:
            while True:
                self._hand_out(tasks)
                if not self._flying:
                    return
                try:
                    self._receive(*self._returned.get(timeout=patience()), take)
                except Empty:
                    continue
        except BaseException:
            self._give_up(take)
            raise

    def _hand_out(self, tasks: Iterator[Task]) -> None:
        while len(self._flying) < self._in_flight:
            if self._alone:  # may have killed a worker: with nothing beside it, it is known which task it was
                if not self._flying:
                    self._submit(self._alone.popleft())
                return
            task = self._again.popleft() if self._again else next(tasks, None)
            if task is None:
                return
            self._submit(task)

    def _submit(self, task: Task) -> None:
        function, *arguments = self._call(task)
        try:
            future = self._executor.submit(function, *arguments)
        except Exception as error:  # broken, shut down, or its connection closed
            raise SweepError(f"the executor takes no more tasks: {_said(error)}.") from error
        self._flying[task] = future
        future.add_done_callback(lambda done: self._returned.put((task, done)))

    def _receive(self, task: Task, future: Future[Block], take: Callable[[Task, Block], None]) -> None:
        if self._flying.get(task) is not future:
            return  # late, or told twice: the task is done, or under way again
        del self._flying[task]
        error = CancelledByExecutor() if future.cancelled() else future.exception()
        if error is None:
            take(task, future.result())
            self._failures.pop(task, None)
        else:
            self._failed(task, error)

    def _failed(self, task: Task, error: BaseException) -> None:
        self.n_failures += 1
        failures = self._failures[task] = self._failures.get(task, 0) + 1
        if failures > self._retries or isinstance(error, _FINAL):
            times = f"{failures} times, at last with" if failures > 1 else "with"
            raise SweepError(f"{self._describe(task)} failed {times} {_said(error)}.") from error
        last_chance = failures == self._retries and isinstance(error, BrokenExecutor)
        (self._alone if last_chance else self._again).append(task)

    def _give_up(self, take: Callable[[Task, Block], None]) -> None:
        """Cancel what is under way, and take what came back meanwhile."""
        for future in list(self._flying.values()):
            future.cancel()
        while True:
            try:
                task, future = self._returned.get_nowait()
            except Empty:
                return
            known = self._flying.get(task) is future and not future.cancelled()
            if known and future.exception() is None:
                del self._flying[task]
                take(task, future.result())


class CancelledByExecutor(RuntimeError):
    """A future was cancelled, not by us."""

    def __init__(self) -> None:
        super().__init__("cancelled by its executor")


def _said(error: BaseException) -> str:
    """Return `error` as one line: of an error that carries a log, the last line there that names an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exit)\b", line)]
    text = " ".join(lines) if len(lines) <= 3 else (named or lines)[-1]
    return f"{type(error).__name__}: {text[:400]}".rstrip(": .")
