"""``conetheory train``: two towers, from a preset or a TOML file to a run folder."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json

__all__ = ["train"]


def train(
    config: Annotated[
        str,
        typer.Argument(help="A preset (digits, scenes-tiny, vit-s8-scenes, liang, yaras, fahim, …) or a .toml file."),
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
    from claims.console import Progress

    with Progress(plan.steps) as bar:
        try:
            result = run(plan, out, resume=resume, on_step=lambda report: bar.stage(_label(report), report.step))
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


def _label(report: Any) -> str:
    return f"loss {report.loss:.3f}  τ {report.tau:.4f}  gap {report.gap:.3f}  {report.images_per_second:.0f} images/s"


def _lines(metrics: dict[str, Any]) -> list[str]:
    """Return one line a metric, aligned."""
    width = max(map(len, metrics))
    shown = {name: "—" if value is None else f"{value:.6g}" for name, value in metrics.items()}
    return [f"{name:{width}}  {value}" for name, value in shown.items()]
