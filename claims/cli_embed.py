"""``conetheory embed``: pairs through trained towers, into a file that ``conetheory gap`` reads."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, count_from

__all__ = ["DataOptions", "Step", "data_options", "embed", "needing_torch"]

DataOptions = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the data, key=value, such as n=1000; may be repeated.")
]
Step = Annotated[int | None, typer.Option(parser=count_from(1), help="Checkpoint of the run; the last one by default.")]


def data_options(settings: list[str] | None) -> dict[str, Any]:
    """Return ``key=value`` texts as options of a source, values as in TOML; a word needs no quotes."""
    from empirical.config import toml_value

    options = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ValueError(f"`--set` must be a key and a value, such as n=1000, got {text!r}.")
        options[key.strip()] = toml_value(value.strip())
    return options


def needing_torch() -> Any:
    """Return `empirical.trained` and `empirical.embed`; ImportError where torch or transformers is missing."""
    try:
        import transformers  # noqa: F401 (towers are built from it later on)

        from empirical import embed, trained
    except ModuleNotFoundError as error:
        raise ImportError(f"trained towers need {error.name}: pip install 'conetheory[empirical]'") from error
    return trained, embed


def _beside(out: Path, name: str) -> Path:
    return out.with_name(f"{out.stem}.{name}.npy")


def embed(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A run folder, or a published CLIP: its folder, or its name on the hub."),
    ],
    out: Annotated[Path, typer.Option(help="The .npy to write, of shape (2, N, D).")],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="scenes, digits, mnist, coco, folder, webdataset or huggingface; the run's own pairs by default.",
        ),
    ] = None,
    settings: DataOptions = None,
    rows: Annotated[
        str | None, typer.Option(help="held_out (default), train or all of the run's own pairs; of others all.")
    ] = None,
    step: Step = None,
    batch_size: Annotated[int, typer.Option(parser=count_from(1), help="Pairs at a time.")] = 256,
    workers: Annotated[int, typer.Option(parser=count_from(0), help="Threads or processes that read ahead.")] = 2,
    loader: Annotated[str, typer.Option(help="thread or process.")] = "thread",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 by autocast.")] = "float32",
    dtype: Annotated[str, typer.Option(help="float32 or float16, in the file.")] = "float32",
    indices: Annotated[bool, typer.Option("--indices", help="Also OUT.rows.npy, the row of each pair.")] = False,
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Also OUT.TASK.npy, the class of each pair, -1 for none; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Embed pairs by trained towers; rows that cannot be read are left out and counted."""
    trained, embedding = needing_torch()
    from claims.console import Progress

    options = data_options(settings)
    with trained.open_towers(model, step=step, device=device, precision=precision) as towers:
        source, chosen = embedding.choose_pairs(towers, data, options, rows)
        named = _tasks(source, labels or [])
        how = {"batch_size": batch_size, "workers": workers, "loader": loader, "dtype": dtype}
        with Progress(len(chosen)) as bar:
            made = embedding.embed_pairs(
                towers, source, chosen, out, **how, on_batch=lambda done: bar.stage(source.name, done)
            )
    wanted = {task: source.labels_of(task, made.rows) for task in named} | ({"rows": made.rows} if indices else {})
    found = {"model": model, "step": towers.step, "data": source.describe(), "file": str(out), "n": len(made.rows)}
    found |= {"dim": made.dim, "unreadable": made.unreadable, "beside": _save(out, wanted)}
    for line in [json.dumps({"schema": SCHEMA, **found})] if as_json else _lines(found, source.name):
        typer.echo(line)


def _tasks(source: Any, asked: list[str]) -> list[str]:
    """Return the tasks asked for, all known to the source."""
    from empirical.data.pairs import LabelledSource
    from empirical.known_names import known

    tasks = source.tasks if isinstance(source, LabelledSource) else ()
    return [known("`--labels`", task, tasks) for task in asked]


def _save(out: Path, arrays: dict[str, Any]) -> dict[str, str]:
    """Write each array beside `out`; return the files."""
    from functools import partial

    import numpy as np

    from conetheory._files import write_atomically

    for name, array in arrays.items():
        write_atomically(_beside(out, name), partial(np.save, arr=array, allow_pickle=False))
    return {name: str(_beside(out, name)) for name in arrays}


def _lines(found: dict[str, Any], name: str) -> list[str]:
    """Return what was written, and what was not."""
    place = "" if found["step"] is None else f", step {found['step']}"
    lines = [f"{found['file']}: {found['n']} pairs of {name}, dimension {found['dim']}, by {found['model']}{place}"]
    lines += [f"{file}: {what}" for what, file in found["beside"].items()]
    missing = found["unreadable"]
    if missing:
        row, why = next(iter(missing.items()))
        lines.append(f"{len(missing)} left out as unreadable, the first row {row}: {why}")
    return lines
