"""Tiny runs on digits, for tests: their configuration, what they leave behind, and processes that are to be killed."""

import json
import os
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch

from empirical.checkpoints import read_tensors
from empirical.config import load_config
from empirical.run_folder import last_checkpoint

SMALL = (
    *("steps=8", "batch=16", "log_every=2", "checkpoint_every=3", "keep=0", "data.options.size=8", "data.held_out=40"),
    *("data.workers=0", "model.dim=16", "model.image_width=32", "model.text_width=32", "model.length=8"),
    *("model.patch=4", "optimiser.warmup=2"),
)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is a fork")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """One thread of torch in a module that imports this."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(*changes):
    """The configuration of a tiny run."""
    return load_config("digits", [*SMALL, *changes])


def lines(folder):
    """The metrics, without what depends on the clock."""
    found = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in found]


def weights(folder):
    """The tensors of the last checkpoint."""
    return read_tensors(last_checkpoint(Path(folder)))


def forked(work):
    """Run `work` in a fork of this process; return its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: other threads are not in the fork
        child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    return child


def fork(work):
    """Run `work` in a fork of this process; return how it ended, as of `os.waitpid`."""
    return os.waitpid(forked(work), 0)[1]


def wait(child, seconds):
    """How a child ended, as of `os.waitpid`; one that takes longer is killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
