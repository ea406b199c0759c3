"""``conetheory sweep``: one sampler at every point of a grid, here or on a cluster, theory beside it."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, count_from, real_number

__all__ = ["parse_grid", "sweep"]

_RANGE_LIMIT = 1_000_000


def sweep(
    sampler: Annotated[
        str, typer.Argument(help="layer, failure, chain, mlp, or module:function of yours (see docs/scaling.md).")
    ],
    grid: Annotated[
        list[str],
        typer.Option(help="A parameter and its values: width=64,256 or cosine=0.1:0.9:0.1 (ends included); repeated."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results; named again, it resumes or grows.")],
    trials: Annotated[int, typer.Option(parser=count_from(1), help="Trials at each point, at least.")] = 100_000,
    block: Annotated[int, typer.Option(parser=count_from(1), help="Trials in a block, the unit of work.")] = 10_000,
    seed: Seed = 0,
    jobs: Annotated[
        int | None, typer.Option(parser=count_from(1), help="Processes here; as many as there are processors.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler to run on instead: tcp://host:8786.")] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            help="Run as SLURM jobs instead: a parameter of submitit, partition=cpu or timeout_min=60; repeated."
        ),
    ] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(parser=count_from(1), help="Blocks handed out at a time; at least twice the workers."),
    ] = None,
    retries: Annotated[int, typer.Option(parser=count_from(0), help="How often a block may fail and be redone.")] = 2,
    as_json: Json = False,
) -> None:
    """Sample a grid of parameters, resumable: a run that was killed goes on where it was, with the same numbers."""
    from claims.console import Progress
    from sims.sweep import Sweep, run_sweep

    if sum(option is not None for option in (jobs, scheduler, slurm or None)) > 1:
        raise ValueError("`--jobs`, `--scheduler` and `--slurm` are three places to run: name one of them.")
    if (here := str(Path.cwd())) not in sys.path:  # so that a sampler in the working directory is found
        sys.path.insert(0, here)
    with _options_named():
        plan = Sweep(sampler, parse_grid(grid), n_trials=trials, block_trials=block, seed=seed)
        total = len(plan.points) * plan.n_blocks
        with _place(scheduler, slurm, out) as (executor, workers), Progress(total) as bar:
            result = run_sweep(
                plan,
                out,
                executor=executor,
                jobs=jobs,
                in_flight=in_flight or workers,
                retries=retries,
                progress=lambda point, done: bar.stage(_label(point), done),
            )
    for line in _lines(plan.sampler, plan.points, result.table, as_json=as_json):
        typer.echo(line)
    again = f", {result.n_failures} attempts failed" if result.n_failures else ""
    typer.echo(f"{result.blocks_run} blocks drawn, {result.blocks_kept} were there{again}: {out}", err=True)


@contextmanager
def _options_named() -> Iterator[None]:
    """Let an error name the option that was typed, not the argument of a function, and end the command."""
    from sims.sweep import SweepError

    typed = {"out": "--out", "grid": "--grid", "sampler": "SAMPLER", "seed": "--seed", "in_flight": "--in-flight"}
    try:
        yield
    except (ValueError, SweepError) as error:
        text = str(error)
        for name, option in typed.items():
            text = text.replace(f"`{name}`", f"`{option}`")
        if isinstance(error, SweepError):
            text += " What was done is kept: running again resumes."
        raise ValueError(text) from error


def parse_grid(texts: list[str]) -> dict[str, list[Any]]:
    """Return the lists of values that options such as ``width=64,256`` and ``cosine=0.1:0.9:0.1`` name.

    A range has both ends, and its values are the decimals that one would write, not sums of rounded steps.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (equals and name.isidentifier() and values):
            raise ValueError(f"`grid` must be a parameter and its values, such as width=64,256, got {text!r}.")
        if name in grid:
            raise ValueError(f"`grid` must name a parameter once, got {name!r} again.")
        grid[name] = [value for part in values.split(",") for value in _values(part, text)]
    return grid


def _values(part: str, text: str) -> list[Any]:
    if ":" not in part:
        return [_value(part, text)]
    try:
        start, stop, step = (Fraction(word) for word in part.split(":"))
        if not (step > 0 and start <= stop):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"`grid` must give a range as start:stop:step with step > 0, got {part!r} in {text!r}."
        ) from None
    count = int((stop - start) / step) + 1
    if count > _RANGE_LIMIT:
        raise ValueError(f"`grid` must give a range of at most {_RANGE_LIMIT} values, got {part!r}: {count}.")
    return [float(start + i * step) for i in range(count)]


def _value(word: str, text: str) -> Any:
    """Return a number, a fraction such as 1/3, true, false, or a word."""
    if not word:
        raise ValueError(f"`grid` must have a value between its commas, got {text!r}.")
    if word in ("true", "false"):
        return word == "true"
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return real_number(word)
    except typer.BadParameter:
        return word


@contextmanager
def _place(scheduler: str | None, slurm: list[str] | None, out: Path) -> Iterator[tuple[Executor | None, int | None]]:
    """Open the executor that the options name, none for local processes, with the tasks that should be in flight."""
    if scheduler is not None:
        with _dask(scheduler) as (client, threads):
            from sims.sweep_executors import DaskExecutor

            yield DaskExecutor(client), max(1024, 2 * threads)
    elif slurm:
        from sims.sweep_executors import JobExecutor

        executor, finished = JobExecutor(_submitit(slurm, out)), False
        try:
            yield executor, None
            finished = True
        finally:
            executor.shutdown(cancel_futures=not finished)
    else:
        yield None, None


@contextmanager
def _dask(address: str) -> Iterator[tuple[Any, int]]:
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError as error:
        raise ImportError("`--scheduler` needs Dask: pip install 'conetheory[cluster]'") from error
    try:
        if not address.startswith("inproc://"):  # a client that refuses its address lives on, to complain at its end
            get_address_host_port(address)
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"`--scheduler` {address!r} does not answer: {error}") from error
    with client:
        threads: Any = client.nthreads()
        yield client, sum(threads.values())


def _submitit(words: list[str], out: Path) -> Any:
    """Return submitit's executor with the parameters in `words`; ``cluster=local`` or ``debug`` is for a try."""
    try:
        import submitit
    except ImportError as error:
        raise ImportError("`--slurm` needs submitit: pip install 'conetheory[cluster]'") from error
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name and value):
            raise ValueError(f"`--slurm` must be a parameter and its value, such as partition=cpu, got {word!r}.")
        found[name] = int(value) if value.isdecimal() else value
    try:
        executor = submitit.AutoExecutor(out / "jobs", cluster=found.pop("cluster", "slurm"))
        shared = executor._typed_parameters()
        executor.update_parameters(**{name if name in shared else f"slurm_{name}": found[name] for name in found})
    except (NameError, AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"`--slurm` {' '.join(words)!r}: {' '.join(str(error).split())}") from error
    return executor


def _label(point: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in point.items())


def _theory_layer(at: dict[str, Any]) -> dict[str, float]:
    from conetheory.large_deviation import failure_probability

    variances = {name: at[name] for name in ("sigma_w2", "sigma_b2") if name in at}
    found = failure_probability(
        at["cosine"], at.get("norm_u", 1.0), at.get("norm_v", 1.0), at.get("width", 512), **variances
    )
    return {"fails": found.value}


def _theory_failure(at: dict[str, Any]) -> dict[str, float]:
    from conetheory.large_deviation import failure_probability
    from sims.rare_event import sample_tilted_failures

    variances = {name: at[name] for name in ("sigma_w2", "sigma_b2") if name in at}
    layer = at["cosine"], at.get("norm_u", 1.0), at.get("norm_v", 1.0), at.get("width", 2048)
    scale = sample_tilted_failures(*layer, n_trials=2, rng=0, **variances).log_bound
    return {
        "scaled_probability": math.exp(failure_probability(*layer, **variances).log_value - scale),
        "log_scale": scale,
    }


def _theory_mlp(at: dict[str, Any]) -> dict[str, float]:
    from claims.liang.cone import mean_field

    if at.get("sigma_w2", 1) != 1:
        return {}
    curve = mean_field(
        at.get("activation", "relu"), at.get("bias", "normal"), width=at.get("width", 512), depth=at.get("depth", 25)
    )
    return {f"cosine_{layer}": float(value) for layer, value in enumerate(curve)}


_THEORY: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "sims.sweep_samplers:layer": _theory_layer,
    "sims.sweep_samplers:failure": _theory_failure,
    "sims.sweep_samplers:mlp": _theory_mlp,
}


def _theory(path: str, at: dict[str, Any]) -> dict[str, float]:
    """Return what theory says of the quantities at a point; nothing where it does not reach as far as the sampler."""
    try:
        return _THEORY.get(path, lambda at: {})(at)
    except ValueError:
        return {}


def _lines(path: str, points: Any, table: dict[str, Any], *, as_json: bool) -> Iterator[str]:
    """Yield one line a row of the table, and a line of names before them unless it is JSON."""
    theory: dict[str, dict[str, float]] = {}
    rows = []
    parameters = [name for name in table if name not in ("quantity", "value", "stderr", "n")]
    for row in range(len(table["n"])):
        at = {name: table[name].tolist()[row] for name in parameters if table[name][row] is not None}
        if (key := _label(at)) not in theory:
            theory[key] = _theory(path, at)
        quantity = str(table["quantity"][row])
        value, stderr = (float(table[name][row]) for name in ("value", "stderr"))
        rows.append(
            {
                **at,
                "quantity": quantity,
                "value": _finite(value),
                "stderr": _finite(stderr),
                "n": int(table["n"][row]),
                "theory": theory[key].get(quantity),
            }
        )
    yield from (json.dumps({"schema": SCHEMA, **row}) for row in rows) if as_json else _aligned(rows, parameters)


def _aligned(rows: list[dict[str, Any]], parameters: list[str]) -> Iterator[str]:
    names = [*parameters, "quantity", "value", "stderr", "n", "theory"]
    cells = [names, *([_shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _shown(value: Any) -> str:
    return "—" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _finite(value: float) -> float | None:
    """Return `value`, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None
