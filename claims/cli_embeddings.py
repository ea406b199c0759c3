"""``conetheory gap`` and ``conetheory shift``: a look at anyone's embeddings."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, Temperatures, count_from, temperatures

__all__ = ["gap", "shift"]

Files = Annotated[
    list[Path],
    typer.Argument(
        help="One .npy of shape (2, N, D), one .npz, .safetensors or .parquet with two arrays, a clip-retrieval "
        "folder, or two files."
    ),
]
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


def shift(
    files: Files,
    temperature: Temperatures = [0.01],  # noqa: B006 (typer copies it)
    keys: Keys = None,
    batch: Annotated[str, typer.Option(help="Pairs a batch, consecutive in the order of the file; or full.")] = "50",
    direction: Annotated[str, typer.Option(help="symmetric, x-to-y or y-to-x.")] = "symmetric",
    points: Annotated[int, typer.Option(parser=count_from(2), help="Values of λ on [-1, 2].")] = 301,
    as_json: Json = False,
) -> None:
    """Move the two clouds together along the gap, x − λΔ and y + λΔ, and see what the contrastive loss says; one
    object a temperature.
    """
    import numpy as np

    from conetheory.shift import minimise_shift, shift_landscape

    values = temperatures(temperature)
    if batch != "full" and not batch.isdecimal():
        raise ValueError(f"`--batch` must be a whole number or full, got {batch!r}.")
    pairs = _pairs(files, keys)
    size = pairs.n if batch == "full" else int(batch)
    x, y = np.asarray(pairs.x, dtype=np.float64), np.asarray(pairs.y, dtype=np.float64)
    lambdas = np.linspace(-1, 2, points)
    landscape = shift_landscape(x, y, lambdas, values, batch=size, direction=direction)
    for tau, loss in zip(values, landscape.loss, strict=True):
        best = minimise_shift(x, y, tau, batch=size, direction=direction, bounds=(-1.0, 2.0))
        found = {
            "schema": SCHEMA,
            "temperature": tau,
            "batch": size,
            "direction": direction,
            "lambda": lambdas.tolist(),
            "gap": landscape.gap.tolist(),
            "loss": loss.tolist(),
            "argmin_lambda": best.lam,
            "argmin_gap": best.gap,
            "at_bound": best.at_bound,
            "min_loss": best.loss,
        }
        if as_json:
            typer.echo(json.dumps(found))
        else:
            where = ", the end of the range" if best.at_bound else ""
            typer.echo(
                f"τ = {tau:g}: loss {best.loss:.6f} least at λ = {best.lam:.5f}{where}, where the gap is {best.gap:.6f}"
            )
