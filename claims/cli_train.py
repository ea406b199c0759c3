"""``conetheory train``: two towers, from a preset or a TOML file to a run folder."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json
from empirical.presets import PRESETS

__all__ = ["train"]


def train(
    config: Annotated[
        str,
        typer.Argument(help=f"A preset ({', '.join(PRESETS)}) or a .toml file."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: configuration, metrics, checkpoints, embeddings.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value in place of the configuration's: optimiser.rate=1e-4; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Train a CLIP, or another pair of towers, and log its modality gap on held-out pairs."""
    from empirical.config import load_config

    plan = load_config(config, changes or ())
    try:
        from empirical.train import TrainingError
        from empirical.train import train as run
    except ModuleNotFoundError as error:
        raise ImportError(f"training needs {error.name}: pip install 'conetheory[empirical]'") from error
    try:
        with _watched(plan.steps, out) as watch:
            result = run(plan, out, resume=resume, on_step=watch)
    except TrainingError as error:
        raise ValueError(f"{error} With --resume the run goes on from there.") from error
    if not result.metrics:  # another process of torchrun says it
        return
    found = {
        name: getattr(result, name) for name in ("steps", "resumed_from", "seconds", "images_per_second", "repeats")
    }
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, "folder": str(result.folder), **found, "metrics": result.metrics}))
        return
    for line in _lines(result.metrics):
        typer.echo(line)
    typer.echo(f"{result.steps - result.resumed_from} steps, {result.images_per_second:.0f} images/s: {out}", err=True)


@contextmanager
def _watched(steps: int, folder: Path) -> Iterator[Callable[[Any], None]]:
    """Yield what shows each report in a bar; if the run is interrupted, say where it can go on, and end with code 130.

    Of the processes of torchrun only the first shows anything.
    """
    from claims.console import Progress

    first = os.environ.get("RANK", "0") == "0"
    seen: list[Any] = []
    try:
        with Progress(steps) if first else nullcontext() as bar:

            def watch(report: Any) -> None:
                seen[:] = [report]
                bar.stage(_label(report), report.step)  # pyright: ignore[reportOptionalMemberAccess]

            yield watch
    except KeyboardInterrupt:
        if first:
            typer.echo(f"conetheory: interrupted; {_kept(folder, *seen)}", err=True)
        raise typer.Exit(130) from None


def _kept(folder: Path, report: Any = None) -> str:
    """Return where the run can go on: what the folder holds may be newer than the last report."""
    from empirical.checkpoints import checkpoint_step
    from empirical.run_folder import last_checkpoint

    last = last_checkpoint(folder)
    if last is None:
        return "there is no checkpoint yet: with --resume the run begins anew."
    saved = checkpoint_step(last)
    done = max(saved, report.step if report else 0)
    return f"step {done} was done, and with --resume the run goes on from the checkpoint of step {saved}."


def _label(report: Any) -> str:
    return f"loss {report.loss:.3f}  τ {report.tau:.4f}  gap {report.gap:.3f}  {report.images_per_second:.0f} images/s"


def _lines(metrics: dict[str, Any]) -> list[str]:
    """Return one line a metric, aligned."""
    width = max(map(len, metrics))
    shown = {name: "—" if value is None else f"{value:.6g}" for name, value in metrics.items()}
    return [f"{name:{width}}  {value}" for name, value in shown.items()]
