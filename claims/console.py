"""What a person sees while claims are being decided."""

import sys
from types import TracebackType
from typing import Any

__all__ = ["Progress", "verdict_line"]


def _short(value: float | None) -> str:
    return "—" if value is None else f"{value:.6g}"


def verdict_line(verdict: dict[str, Any]) -> str:
    """Return one line: whether the verdict is as expected, the claim, predicted against measured."""
    relation = {"equal": "", "at_least": "≥ ", "at_most": "≤ "}[verdict["relation"]]
    measured = _short(verdict["measured"]) + (f" ± {verdict['stderr']:.2g}" if verdict["stderr"] else "")
    mark = "ok " if verdict["as_expected"] else "!! "
    false = verdict["expected"] == "refuted" and "!" not in verdict["id"]
    erratum = "" if not false else ", does not hold" if verdict["paper"] == "conetheory" else ", an erratum"
    allowed = verdict["tolerance"] + verdict["resolution"]
    numbers = f"measured {measured}, claimed {relation}{_short(verdict['predicted'])} within {allowed:.2g}"
    return f"{mark} {verdict['verdict']:9}  {verdict['id']}  {numbers}{erratum}"


class Progress:
    """A bar with the time left, on standard error and only on a terminal.

    Parameters
    ----------
    total : int
        Claims in all.
    done : int
        Claims decided before.
    """

    def __init__(self, total: int, *, done: int = 0) -> None:
        self._bar = None
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=total, completed=done)

    def advance(self, label: str) -> None:
        """Count one more, and name it."""
        if self._bar:
            self._bar.update(self._task, advance=1, description=label)

    def stage(self, label: str, share: float) -> None:
        """Name what is being done, and say which share of it is done."""
        if self._bar:
            self._bar.update(self._task, completed=share, description=label)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
