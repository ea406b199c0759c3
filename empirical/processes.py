"""The processes that train together, as ``torchrun`` starts them, and the device of this one."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch

from .distributed import World, world

__all__ = ["processes_and_device", "torch_threads"]

_PATIENCE = timedelta(minutes=30)  # the first process measures while the others wait


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Give torch `count` threads, or the choice that it has made if that is 0; afterwards as many as before."""
    before = torch.get_num_threads()
    try:
        if count:
            torch.set_num_threads(count)
        yield
    finally:
        if count:
            torch.set_num_threads(before)


@contextmanager
def processes_and_device(name: str) -> Iterator[tuple[World, torch.device]]:
    """Yield the processes of a run and this one's device; a group that torchrun asked for is made and ended here.

    Parameters
    ----------
    name : str
        ``auto`` (this process's GPU, if torch sees one), ``cpu``, ``cuda``, or ``cuda:`` and a number.

    Raises
    ------
    ValueError
        If `name` is none of these, or torch sees no GPU.
    """
    place = name
    if place == "auto":
        place = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", place):
        raise ValueError(f"`device` must be auto, cpu, cuda, or cuda: and a number, got {name!r}.")
    if place != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {name!r}, and torch sees no GPU.")
    device = torch.device(place)
    ours = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ours:
        kind = "nccl" if device.type == "cuda" else "gloo"
        torch.distributed.init_process_group(kind, timeout=_PATIENCE)
    try:
        yield world(), device
    finally:
        if ours:
            torch.distributed.destroy_process_group()
