"""What a run says of itself: where it is, how it ended, and why it could not go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from .distributed import World

__all__ = ["StepReport", "TrainResult", "TrainingError", "ends_clearly"]


class TrainingError(RuntimeError):
    """A run that could not go on; its folder holds the last good checkpoint, which the message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """Where a run is, for whoever watches.

    Attributes
    ----------
    step, steps : int
        Steps done, and steps of the run.
    loss : float
        Training loss of the last batch, in nats; NaN before the first step.
    tau, gap : float
        Temperature, and distance of the means on the held-out pairs, as last measured.
    images_per_second : float
        Since the run was started, measurements left out.
    """

    step: int
    steps: int
    loss: float
    tau: float
    gap: float
    images_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """A run that is complete.

    Attributes
    ----------
    folder : Path
        See `empirical.run_folder`.
    steps, resumed_from : int
        Steps of the run, and the step that this call went on from.
    metrics : dict
        The last line of ``metrics.jsonl``; numbers that are not finite are None.
    seconds, images_per_second : float
        Of training in this call, measurements left out.
    repeats : str
        What the same configuration gives again: ``bits`` if all of it ran on processors, with the same code, libraries,
        threads and number of processes; else ``distribution``.
    """

    folder: Path
    steps: int
    resumed_from: int
    metrics: dict[str, Any]
    seconds: float
    images_per_second: float
    repeats: str


@runtime_checkable
class _Run(Protocol):
    step: int
    saved: int
    processes: World


@contextmanager
def ends_clearly(run: _Run) -> Iterator[None]:
    """Say in one sentence why a run ended, and where it can go on.

    Raises
    ------
    TrainingError
        In place of an error of the system, of the data, of torch or of the numbers.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, ArithmeticError) as error:
        why = str(error)
        if isinstance(error, OSError) and error.strerror:
            why = error.strerror + (f": {error.filename}" if error.filename is not None else "")
        kept = f"the checkpoint of step {run.saved} is kept" if run.saved else "there is no checkpoint yet"
        lost = " (another process was lost?)" if run.processes.size > 1 and _of_processes(error) else ""
        raise TrainingError(f"step {run.step}: {why.rstrip('.')}{lost}; {kept}.") from error


def _of_processes(error: Exception) -> bool:
    """Whether an error may be that of a collective: gloo's are plain, those of others have a type."""
    kinds = (torch.distributed.DistError,) if torch.distributed.is_available() else ()
    return type(error) is RuntimeError or isinstance(error, kinds)
