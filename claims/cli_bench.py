"""``conetheory bench``: how fast the kernels are on this machine, in about a minute."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from claims.cli_options import Json, count_from

__all__ = ["bench"]

Names = Annotated[list[str] | None, typer.Argument(help="Words from the names of jobs; all jobs without any.")]


def bench(
    names: Names = None,
    repeats: Annotated[int, typer.Option(parser=count_from(3), help="Times that each route is measured.")] = 7,
    out: Annotated[Path | None, typer.Option(help="File for the JSON object: rows, ratios, machine.")] = None,
    figure: Annotated[Path | None, typer.Option(help="File for the figure, .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """Time the kernels beside the plain routes to the same numbers, one thread each, with the accuracy of each row."""
    from threadpoolctl import threadpool_limits

    from claims.bench.summary import summary
    from claims.bench.table import as_records, lines_of
    from conetheory._files import write_atomically

    if figure is not None and figure.suffix not in (".svg", ".png"):
        raise ValueError(f"`--figure` must end in .svg or .png, got {str(figure)!r}.")
    for option, path in (("--out", out), ("--figure", figure)):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):  # known before a minute of measuring
            raise ValueError(f"`{option}` must be a file in a folder that exists, got {str(path)!r}.")
    jobs = _chosen(names or [])
    with threadpool_limits(1):
        records = as_records(_measured(jobs, repeats))
        found = summary(records)
    if out is not None:
        write_atomically(out, json.dumps(found, indent=2) + "\n")
    if figure is not None:
        from claims.figures.bench import ratios_figure
        from claims.figures.canvas import save_figures

        save_figures({figure.stem: ratios_figure(lines_of(records))}, figure.parent, formats=[figure.suffix[1:]])
    typer.echo(json.dumps(found) if as_json else _text(found, lines_of(records)))


def _chosen(names: list[str]) -> list[Any]:
    from claims.bench.jobs import JOBS

    chosen = [job for job in JOBS if not names or any(name.lower() in job.name.lower() for name in names)]
    if not chosen:
        known = "; ".join(job.name for job in JOBS)
        raise ValueError(f"`names` must be words from the names of jobs, got {' '.join(names)!r}; there are: {known}.")
    return chosen


def _measured(jobs: list[Any], repeats: int) -> list[Any]:
    from claims.bench.job import measure
    from claims.console import Progress

    rows = []
    with Progress(len(jobs)) as progress:
        for job in jobs:
            rows += measure(job, repeats=repeats)
            progress.advance(job.name)
    return rows


def _text(found: dict[str, Any], lines: list[Any]) -> str:
    """Return the table and, below it, what it was measured on."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from claims.bench.table import COLUMNS, table_cells

    table = Table(*COLUMNS, box=box.SIMPLE, padding=(0, 1, 0, 0))
    for line in lines:
        table.add_row(*table_cells(line))
    console = Console(width=None if Console().is_terminal else 160)
    with console.capture() as captured:
        console.print(table)
    limits = found["limits"]
    return captured.get() + (
        f"{found['simd']}, kernels: {found['kernels']}; at most "
        f"{limits['words_instructions_a_second'] / 1e9:.1f} G vector instructions a second, "
        f"{limits['fma_instructions_a_second'] / 1e9:.1f} G that multiply; "
        f"matrix products {limits['float32_product_flops'] / 1e9:.0f} GFLOP/s in float32"
    )
