"""Executors that fail, cancel, repeat themselves, come late or break: the numbers stay, the end names what failed."""

from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import pytest

from sims._sweep_run import TaskLoop
from sims._sweep_tasks import Task
from sims.sweep import Sweep, SweepError, read_sweep, run_sweep
from tests.sims.sweep_toys import same, toy


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_a_worker_with_other_code_is_refused(tmp_path):
    class Elsewhere(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            block = fn(*args, **kwargs)
            future.set_result(block._replace(code=block.code | {"kernels": "of tomorrow"}))
            return future

    with pytest.raises(SweepError, match=r"other code.*kernels 'of tomorrow'"):
        run_sweep(toy(), tmp_path, executor=Elsewhere())
    assert len(read_sweep(tmp_path)["n"]) == 0


class Inline(Executor):
    """Runs a task when it is submitted, and counts how many were under way at once."""

    def __init__(self):
        self.submitted, self.open, self.most = 0, set(), 0

    def end(self, future, fn, args):
        future.set_result(fn(*args))

    def submit(self, fn, /, *args, **kwargs):
        future, self.submitted = Future(), self.submitted + 1
        self.open = {other for other in self.open if not other.done()} | {future}
        self.most = max(self.most, len(self.open))
        self.end(future, fn, args)
        return future


class Sometimes(Inline):
    """Every third task fails, and every fifth is cancelled."""

    def end(self, future, fn, args):
        if self.submitted % 3 == 0:
            future.set_exception(OSError("a cable is loose"))
        elif self.submitted % 5 == 0:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            super().end(future, fn, args)


class Repeating(Inline):
    """Every task is said to be done thrice, every fourth fails, and all that ended is told again with each new task."""

    def __init__(self):
        super().__init__()
        self.told = []

    def submit(self, fn, /, *args, **kwargs):
        outer = self

        class Loud(Future):
            def add_done_callback(self, fn):
                outer.told.append((self, fn))
                for _ in range(3):
                    super().add_done_callback(fn)

        for future, tell in self.told:
            tell(future)
        future, self.submitted = Loud(), self.submitted + 1
        if self.submitted % 4 == 0:
            future.set_exception(OSError("a cable is loose"))
        else:
            future.set_result(fn(*args))
        return future


@pytest.mark.parametrize("kind", [Sometimes, Repeating])
def test_failures_and_repeats_change_no_number(kind, threads, tmp_path):
    expected = run_sweep(toy(), tmp_path / "expected", executor=threads)
    found = run_sweep(toy(), tmp_path / "found", executor=kind(), retries=20)
    assert found.blocks_run == 30
    assert same(found.table, expected.table)
    if kind is Sometimes:
        assert found.n_failures > 10


def test_no_more_tasks_are_under_way_than_allowed(tmp_path):
    class Late(Inline):
        def end(self, future, fn, args):
            threads.submit(lambda: future.set_result(fn(*args)))

    with ThreadPoolExecutor(2) as threads:
        executor = Late()
        run_sweep(toy(), tmp_path, executor=executor, in_flight=3)
    assert executor.submitted == 30
    assert 1 <= executor.most <= 3


def test_a_block_that_fails_too_often_is_named_and_the_rest_is_kept(threads, tmp_path):
    class Sour(Inline):
        def end(self, future, fn, args):
            if args[2] == {"mean": 2} and args[3] == 4:
                future.set_exception(OSError("the disk is full"))
            else:
                super().end(future, fn, args)

    message = r'block 4 of the point {"mean":2} failed 3 times, at last with OSError: the disk is full'
    with pytest.raises(SweepError, match=message):
        run_sweep(toy(), tmp_path, executor=Sour(), in_flight=1)
    assert read_sweep(tmp_path)["n"].tolist() == [1000] * 4 + [400] * 2
    assert run_sweep(toy(), tmp_path, executor=threads).blocks_kept == 24


def test_what_a_sampler_must_return(threads, tmp_path):
    with pytest.raises(SweepError, match=r"TypeError: .*must return Moments by quantity, got 0 for 'x'"):
        run_sweep(toy("no_moments"), tmp_path, executor=threads, retries=0)


def test_an_executor_that_is_broken_ends_the_sweep(tmp_path):
    class Broken(Executor):
        def submit(self, fn, /, *args, **kwargs):
            raise BrokenExecutor("it is broken")

    with pytest.raises(SweepError, match="takes no more tasks: BrokenExecutor: it is broken"):
        run_sweep(toy(), tmp_path, executor=Broken())


def test_what_came_back_before_an_interruption_is_kept(threads, tmp_path):
    calls = []

    def interrupt(point, done):
        calls.append(done)
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(toy(), tmp_path, executor=threads, progress=interrupt, in_flight=4)
    kept = read_sweep(tmp_path)["n"][::2].sum() // 100
    assert 11 <= kept <= 11 + 4  # what was under way may have come back
    assert run_sweep(toy(), tmp_path, executor=threads).blocks_kept == kept


def test_a_suspect_runs_alone():
    """Of the tasks under way when a worker died, each gets its last chance with nothing beside it."""
    beside = []

    class Deadly(Inline):
        def end(self, future, fn, args):
            self.pending.append((future, args))

        def settle(self):
            tasks, self.pending = self.pending, []
            deadly = any(args[0].block == 3 for _, args in tasks)
            if deadly:
                beside.append(len(tasks))
            for future, args in tasks:
                future.set_exception(BrokenExecutor("died")) if deadly else future.set_result(args[0])

    executor = Deadly()
    executor.pending = []
    loop = TaskLoop(executor, lambda task: (None, task), lambda task: f"block {task.block}", in_flight=4, retries=2)
    taken = []

    def patience():
        if len(executor.pending) == len(loop._flying):  # all that came back was received
            executor.settle()
        return 0.0

    with pytest.raises(SweepError, match="block 3 failed 3 times"):
        loop.run(iter([Task(0, b) for b in range(8)]), lambda task, block: taken.append(task.block), patience=patience)
    assert beside[-1] == 1
    assert set(taken) <= {0, 1, 2, 4, 5, 6, 7}


def test_a_point_outside_the_domain_is_not_tried_again(tmp_path):
    """Its error would be the same: the sweep ends with it, and says so without a number of times."""
    tried = []

    class Counting(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            tried.append(args)
            return super().submit(fn, *args, **kwargs)

    sweep = Sweep("layer", [{"cosine": 2.0, "width": 8}], n_trials=10, block_trials=10)
    with Counting(1) as executor, pytest.raises(SweepError, match=r"failed with ValueError: `cosine`.*2\.0"):
        run_sweep(sweep, tmp_path / "out", executor=executor)
    assert len(tried) == 1
