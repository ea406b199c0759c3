"""How a run ends that people or the system end: signals to the command, and a process of several that is lost."""

import os
import signal
import sys
import time
import traceback
import warnings
from datetime import timedelta

import pytest

torch = pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

from claims import cli  # noqa: E402
from empirical import train as engine  # noqa: E402
from empirical.run_folder import last_checkpoint  # noqa: E402
from empirical.train import TrainingError, train  # noqa: E402
from tests.empirical.small_runs import SMALL, forked, forks, one_thread, small, wait  # noqa: E402, F401

pytestmark = forks
LONG = "steps=100000"


def command(folder):
    """The command itself, with standard error in a file beside the folder; end with its exit code."""
    handle = os.open(f"{folder}.err", os.O_WRONLY | os.O_CREAT)
    os.dup2(handle, 2)
    sys.stderr = os.fdopen(handle, "w", buffering=1)
    changes = [word for change in (*SMALL, LONG) for word in ("--set", change)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    sys.argv = ["conetheory", "train", "digits", "--out", str(folder), *changes]
    try:
        cli.main()
    except SystemExit as end:
        os._exit(end.code)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_command_says_where_it_goes_on(tmp_path, number):
    folder = tmp_path / "run"
    child = forked(lambda: command(folder))
    deadline = time.monotonic() + 120
    while not (found := last_checkpoint(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(child, number)
    assert os.waitstatus_to_exitcode(wait(child, 60)) == 130
    found = last_checkpoint(folder)
    message = (tmp_path / "run.err").read_text()
    assert "conetheory: interrupted; step " in message
    assert f"the run goes on from the checkpoint of step {int(found.stem[5:])}." in message
    assert "Traceback" not in message
    assert not list(folder.rglob("*.tmp"))


def member(rank, folder, work):
    """One of two processes of gloo; how `work` ended is in a file of its own."""
    warnings.simplefilter("default")  # as in any process but that of the tests
    torch.set_num_threads(1)
    meeting, patience = f"file://{folder}/meeting", timedelta(seconds=60)
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=patience)
    try:
        work(rank)
        said = "done"
    except (TrainingError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
    except BaseException:
        said = traceback.format_exc()
    (folder / f"{rank}.txt").write_text(said)
    os._exit(0)


def both(folder, work):
    """How two processes ended, within a minute."""
    children = [forked(lambda rank=rank: member(rank, folder, work)) for rank in range(2)]
    ends = [os.waitstatus_to_exitcode(wait(child, 60)) for child in children]
    files = [folder / f"{rank}.txt" for rank in range(2)]
    return ends, [file.read_text() if file.exists() else "" for file in files]


def test_a_process_that_is_lost_ends_the_other_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    def work(rank):
        saved = engine._Run._save

        def lost(self):
            saved(self)
            if rank == 1 and self.step == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        engine._Run._save = lost
        train(small(), tmp_path / "run")

    ends, said = both(tmp_path, work)
    assert ends == [0, -signal.SIGKILL]
    assert said[0].startswith("TrainingError: step 3: ")
    assert said[0].endswith("(another process was lost?); the checkpoint of step 3 is kept.")
    result = train(small(), tmp_path / "run", resume=True)
    assert (result.resumed_from, result.steps, result.repeats) == (3, 8, "distribution")


def test_a_folder_that_is_refused_ends_both(tmp_path):
    train(small("steps=2"), tmp_path / "run")
    _, said = both(tmp_path, lambda rank: train(small(), tmp_path / "run", resume=True))
    assert said[0].startswith("ValueError: `folder`")
    assert "steps 2 instead of 8" in said[0]
    assert said[1] == f"ValueError: `folder` {tmp_path / 'run'} is refused by the first process, which says why."


def test_processes_that_see_different_folders_are_refused(tmp_path):
    train(small("steps=3"), tmp_path / "first")
    (tmp_path / "second").mkdir()
    works = {0: tmp_path / "first", 1: tmp_path / "second"}
    _, said = both(tmp_path, lambda rank: train(small("steps=3"), works[rank], resume=True))
    assert all("must be one that every process sees; they found the steps [3, 0]" in each for each in said)


def test_numbers_that_are_not_finite_are_no_lost_process(tmp_path):
    def work(rank):
        engine.learning_rate = lambda *_: float("nan")
        train(small(), tmp_path / "run")

    _, said = both(tmp_path, work)
    assert said == ["TrainingError: step 2: the loss or its gradient is not finite; there is no checkpoint yet."] * 2
