"""Measurements as TensorBoard event files, for a run that asks for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["events"]


@contextmanager
def events(folder: Path, step: int, *, asked: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what writes a line of ``metrics.jsonl`` to ``folder/tensorboard``, or does nothing.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        Events after this step, of a run that was killed, are hidden.
    asked : bool
        Whether anything is to be written.

    Raises
    ------
    ImportError
        If TensorBoard is asked for and missing.
    """
    if not asked:
        yield lambda values: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else 0) as writer:

        def write(values: dict[str, Any]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, values["step"])
            writer.flush()

        yield write
