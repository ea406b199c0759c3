"""``conetheory gap`` and ``conetheory shift``: a look at anyone's embeddings."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, Temperatures, count_from

__all__ = ["gap", "shift"]

Files = Annotated[
    list[Path],
    typer.Argument(
        help="One .npy of shape (2, N, D), one .npz, .safetensors or .parquet with two arrays, a clip-retrieval "
        "folder, or two files."
    ),
]
_FEWEST = 400  # resamples of a 95 % interval
Keys = Annotated[str | None, typer.Option(help="Names of the two arrays in the file, as X,Y.")]


def _pairs(files: list[Path], keys: str | None, groups: Path | None = None) -> Any:
    from empirical.embeddings import load_pairs

    if keys is not None and keys.count(",") != 1:
        raise ValueError(f"`--keys` must be two names with a comma between them, got {keys!r}.")
    x, y = keys.split(",") if keys else ("", "")
    return load_pairs(files, keys=(x, y) if keys else None, groups=groups)


def gap(
    files: Files,
    keys: Keys = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="Group of each pair (.npy of integers, or one id a line): captions of one image count as right for "
            "each other."
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(parser=count_from(2), help="Paired bootstrap replicates behind the standard errors.")
    ] = 200,
    queries: Annotated[
        int,
        typer.Option(parser=count_from(1), help="Retrieval uses at most this many pairs as queries, against all."),
    ] = 5000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure the modality gap of paired embeddings, with standard errors and definitions."""
    from claims.console import Progress
    from empirical.gap_report import measure_gap

    pairs = _pairs(files, keys, groups)
    with Progress(1) as progress:
        report = measure_gap(pairs, rng=seed, n_bootstrap=bootstrap, max_queries=queries, progress=progress.stage)
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, **report.as_dict()}))
        return
    typer.echo(f"{pairs.source}: {pairs.n} pairs of dimension {pairs.dim}")
    for name, definition, value, stderr in report.rows():
        shown = f"{value:.6g}" + ("" if stderr is None else f" ± {stderr:.2g}")
        typer.echo(f"{name:24} {shown:24} {definition}")


def _resamples(text: str | int) -> int:
    """Return a number of resamples: none, or so many that a 95 % interval has ten beyond either end."""
    number = count_from(0)(text)
    if 0 < number < _FEWEST:
        raise typer.BadParameter(f"{number} is neither 0 nor at least {_FEWEST}.")
    return number


def _batch_size(batch: str, n: int) -> int:
    if batch == "full":
        return n
    if not (batch.isdecimal() and 0 < int(batch) <= n):
        raise ValueError(f"`--batch` must be a whole number up to {n}, the number of pairs, or full, got {batch!r}.")
    return int(batch)


def shift(
    files: Files,
    temperature: Temperatures = [0.01],  # noqa: B006 (typer copies it)
    keys: Keys = None,
    batch: Annotated[str, typer.Option(help="Pairs a batch, consecutive in the order of the file; or full.")] = "50",
    direction: Annotated[str, typer.Option(help="symmetric, x-to-y or y-to-x.")] = "symmetric",
    points: Annotated[int, typer.Option(parser=count_from(2), help="Values of λ on [-1, 2].")] = 301,
    best_temperature: Annotated[
        bool, typer.Option("--best-temperature", help="Also the best temperature at each λ, and the loss there.")
    ] = False,
    centring: Annotated[
        bool, typer.Option("--centring", help="Also each modality less its mean: gap, retrieval, loss.")
    ] = False,
    bootstrap: Annotated[
        int,
        typer.Option(
            parser=_resamples,
            help="Resamples behind a 95 % interval of the temperature from which on closing the gap pays; 0 for none.",
        ),
    ] = 0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Move the two clouds together along the gap, x − λΔ and y + λΔ, and see what the contrastive loss says.

    One object a temperature; then one for each of --best-temperature, --centring and --bootstrap.
    """
    import numpy as np

    from claims import shift_report as report
    from conetheory._arrays import as_choice
    from conetheory.contrastive import DIRECTIONS

    for value in temperature:
        if not 1 / 300 <= value < float("inf"):
            raise ValueError(f"`--temperature` must be at least 1/300 and finite, got {value}.")
    as_choice("--direction", direction, DIRECTIONS)
    pairs = _pairs(files, keys)
    options = {"batch": _batch_size(batch, pairs.n), "direction": direction}
    x, y = np.asarray(pairs.x, dtype=np.float64), np.asarray(pairs.y, dtype=np.float64)
    lambdas = np.linspace(-1, 2, points)
    reports = [report.landscape_reports(x, y, temperature, lambdas, **options)]
    if best_temperature:
        reports.append(report.best_temperature_reports(x, y, lambdas, **options))
    if centring:
        reports.append(report.centring_reports(x, y, temperature, **options))
    if bootstrap:
        reports.append(report.critical_reports(x, y, **options, n_bootstrap=bootstrap, seed=seed))
    for found in chain.from_iterable(reports):
        typer.echo(json.dumps({"schema": SCHEMA, **found}) if as_json else report.sentence(found))
