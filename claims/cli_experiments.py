"""``conetheory experiments``: what the papers vary, on towers that are trained here, with its errors."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, count_from

__all__ = ["experiments"]


def experiments(
    name: Annotated[str | None, typer.Argument(help="An experiment; without one, all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; named again, what is missing is done.")] = None,
    seeds: Annotated[int, typer.Option(parser=count_from(1), help="Seeds of each arm.")] = 3,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of all arms, such as steps=1000; may be repeated.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Another preset or TOML file than the experiment's.")] = None,
    jobs: Annotated[int, typer.Option(parser=count_from(1), help="Processes, of one thread each.")] = 1,
    as_json: Json = False,
) -> None:
    """Train all arms of an experiment and compare neighbours, seed by seed, with a Student interval."""
    from dataclasses import replace

    from empirical.experiments import EXPERIMENTS
    from empirical.known_names import known

    if name is None:
        for each in EXPERIMENTS.values():
            record = {"name": each.name, "question": each.question, "arms": [arm.name for arm in each.arms]}
            typer.echo(json.dumps(record) if as_json else f"{each.name:18} {each.question} ({each.source})")
        return
    experiment = EXPERIMENTS[known("`NAME`", name, EXPERIMENTS)]
    if out is None:
        raise ValueError("`--out` must name a folder for the runs.")
    if preset is not None:
        experiment = replace(experiment, preset=preset)

    from conetheory._files import write_atomically
    from empirical.experiment_runs import run_experiment

    def say(arm: str, seed: int, value: float) -> None:
        typer.echo(f"{arm}, seed {seed}: {_what(experiment.metric, experiment.change)} {value:.4g}", err=True)

    options = {"settings": settings or (), "jobs": jobs, "on_run": None if as_json else say}
    try:
        result = run_experiment(experiment, out, seeds=range(seeds), **options)
    except RuntimeError as error:
        from empirical.train import TrainingError  # needs torch, which is there if a run could fail

        if not isinstance(error, TrainingError):
            raise
        raise ValueError(f"{error} The same command goes on from there.") from error
    found = {"schema": SCHEMA, **result.as_dict(), "settings": settings or []}
    write_atomically(out / "experiment.json", json.dumps(found, indent=1) + "\n")
    if as_json:
        typer.echo(json.dumps(found))
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    what = _what(found["metric"], found["change"]) + " since step 0" * found["change"]
    seeds = len(found["seeds"])
    typer.echo(f"{found['question']} {what}, {seeds} seed{'s' * (seeds > 1)}; published: {found['source']}")
    typer.echo(f"  {'arm':14} {'mean':>8}   {'s.e.':>7} {'least':>8} {'greatest':>8} {'published':>9}")
    for arm in found["arms"]:
        known = [value for value in arm["values"] if value is not None] or [None]
        columns = (arm["value"], min(known), max(known), arm["published"])
        mean, least, greatest, published = map(_number, columns)
        error = _number(arm["stderr"])
        typer.echo(f"  {arm['name']:14} {mean:>8} ± {error:>7} {least:>8} {greatest:>8} {published:>9}")
    typer.echo("differences, with 95 % intervals that hold together:")
    for each in found["comparisons"]:
        interval = each.get("interval")
        bounds = f" in [{_number(interval[0])}, {_number(interval[1])}]" if interval else ""
        typer.echo(f"  {' - '.join(each['arms'])}: {_number(each['value'])}{bounds}: {each['verdict']}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _what(metric: str, change: bool) -> str:
    return f"change of {metric}" if change else metric
