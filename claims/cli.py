"""The command line. Nothing heavy is imported before a command runs, so ``--help`` answers at once."""

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path
from threading import current_thread, main_thread
from typing import Annotated, Any

import typer

from claims import (
    cli_bench,
    cli_embed,
    cli_embeddings,
    cli_evaluate,
    cli_experiments,
    cli_probe,
    cli_shift,
    cli_simulate,
    cli_sweep,
    cli_train,
)
from claims.cli_options import Json, Seed, count_from
from conetheory.errors import ConvergenceError

__all__ = ["app", "main"]

app = typer.Typer(
    name="conetheory",
    help="Theory, simulation and verification of the cone effect and the modality gap.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("gap")(cli_embeddings.gap)
app.command("shift")(cli_embeddings.shift)
app.command("bench")(cli_bench.bench)
app.command("sweep")(cli_sweep.sweep)
app.command("train")(cli_train.train)
app.command("embed")(cli_embed.embed)
app.command("evaluate")(cli_evaluate.evaluate)
app.command("probe")(cli_probe.probe)
app.command("experiments")(cli_experiments.experiments)
cli_simulate.app.command("shift")(cli_shift.shift)
app.add_typer(cli_simulate.app, name="simulate")


def _version(asked: bool) -> None:
    if asked:
        import conetheory

        typer.echo(conetheory.__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


Data = Annotated[
    Path | None,
    typer.Option(
        envvar="CONETHEORY_DATA", help="Folder with the published arrays, mind_the_gap/features_clip.npy and others."
    ),
]
Module = Annotated[list[str] | None, typer.Option("--module", help="A module of yours with CLAIMS; may be repeated.")]
Ids = Annotated[
    list[str] | None, typer.Argument(help="Ids, beginnings of ids (liang.theorem1) or patterns; all claims by default.")
]


def _see_user_modules(modules: list[str] | None) -> list[str]:
    """Let modules in the working directory be imported, as ``python -m`` does; a name that is not there is an error."""
    from importlib import import_module

    if modules and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    for name in modules or []:
        try:
            import_module(name)
        except Exception as error:  # a user's module may raise anything
            hint = f" (did you mean {name[:-3]}?)" if name.endswith(".py") else ""
            raise ValueError(
                f"`--module` {name!r} cannot be imported: {type(error).__name__}: {error}{hint}"
            ) from error
    return modules or []


def _existing(data: Path | None) -> Path | None:
    if data is not None and not data.is_dir():
        raise ValueError(f"`--data` must be a folder, got {str(data)!r}.")
    return data


def _in_order(verdicts: Iterable[dict[str, Any]], ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield `verdicts`, which come in any order, in the order of `ids`, each as early as that allows."""
    waiting: dict[str, dict[str, Any]] = {}
    coming = iter(ids)
    expected = next(coming, None)
    for verdict in verdicts:
        waiting[verdict["id"]] = verdict
        while expected in waiting:
            yield waiting.pop(expected)
            expected = next(coming, None)


@app.command()
def verify(
    ids: Ids = None,
    level: Annotated[
        str, typer.Option(help="quick (about a minute) or full (about ten): the budget of trials.")
    ] = "quick",
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for verdicts, figures and report.html; named again, it resumes.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(parser=count_from(1), help="Processes; as many as there are processors.")
    ] = None,
    data: Data = None,
    module: Module = None,
    planted: Annotated[
        bool, typer.Option("--planted", help="Run the planted falsehoods instead: all must be refuted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide the claims: predict, measure, compare. Exit code 1 if a verdict is not as expected."""
    from claims.console import Progress, verdict_line
    from claims.folder import ResultFolder, summarise
    from claims.verify import plan, run

    modules = _see_user_modules(module)
    run_plan = plan(ids or (), seed=seed, level=level, planted=planted, data=_existing(data), modules=modules)
    folder = ResultFolder(out, run_plan) if out is not None else None
    known = {name: verdict for name, verdict in (folder.verdicts if folder else {}).items() if name in run_plan.ids}
    verdicts: list[dict[str, Any]] = []

    def decided() -> Iterator[dict[str, Any]]:
        yield from known.values()
        with Progress(len(run_plan.ids), done=len(known)) as progress:
            for verdict in run(run_plan, jobs=jobs, done=tuple(known)):
                if folder:
                    folder.add(verdict)
                progress.advance(verdict["id"])
                yield verdict

    for verdict in _in_order(decided(), run_plan.ids):
        verdicts.append(verdict)
        typer.echo(json.dumps(verdict) if as_json else verdict_line(verdict))
    summary = folder.close() if folder else summarise(run_plan, verdicts)
    if folder:
        _write_report(folder.path, verdicts, summary)
    _conclude(summary, folder.path if folder else None, as_json=as_json)


def _write_report(folder: Path, verdicts: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    """Write ``figures/`` and ``report.html``."""
    from claims.figures import save_figures, showcase
    from claims.report import write_report

    figures = showcase(verdicts)
    save_figures(figures, folder / "figures")
    environment = json.loads((folder / "environment.json").read_text())
    write_report(verdicts, folder / "report.html", figures=figures, environment=environment, summary=summary)


def _conclude(summary: dict[str, Any], folder: Path | None, *, as_json: bool) -> None:
    """Say how the run ended, on standard error with ``--json``, and set the exit code."""
    what = "planted falsehoods" if summary["planted"] else "claims"
    lines = [
        f"{summary['decided']} {what}: {summary['as_expected']} as expected, {len(summary['not_as_expected'])} not "
        f"({summary['supported']} supported, {summary['refuted']} refuted, {summary['undecided']} undecided)."
    ]
    if summary["skipped"]:
        lines.append(
            f"{len(summary['skipped'])} claims about the published arrays were left out: name their folder with --data "
            "or CONETHEORY_DATA."
        )
    if folder:
        lines.append(f"Report: {folder / 'report.html'}")
    for line in lines:
        typer.echo(line, err=as_json)
    if summary["not_as_expected"]:
        raise typer.Exit(1)


@app.command()
def claims(ids: Ids = None, module: Module = None, as_json: Json = False) -> None:
    """List the claims: what each says, where it stands, what is expected."""
    from claims.ledger import all_claims, select
    from claims.verify import describe

    for claim in select(all_claims(_see_user_modules(module)), ids or ()):
        if as_json:
            typer.echo(json.dumps(describe(claim)))
        else:
            mark = "data " if claim.needs_data else ""
            about = f"{claim.paper}, {claim.section}; {mark}{claim.kind}; expected {claim.expected}"
            typer.echo(f"{claim.id}  [{about}]\n    {claim.statement}")


@app.command()
def certify(
    names: Annotated[list[str] | None, typer.Argument(help="Certificates, or shell patterns; all without any.")] = None,
    as_json: Json = False,
) -> None:
    """Prove inequalities on whole intervals in ball arithmetic: what, on which domain, in how many boxes."""
    from claims.certify import certificate_lines, certify

    failed = 0
    for found in certify(names or ()):
        failed += not found["proven"]
        for line in [json.dumps(found)] if as_json else certificate_lines(found):
            typer.echo(line)
    if failed:
        raise typer.Exit(1)


@app.command()
def figures(
    out: Annotated[Path, typer.Option(help="Folder for the figures, as SVG and PNG.")] = Path("figures"),
    results: Annotated[
        Path | None, typer.Option(help="Result folder of verify, for the measured dots; theory alone without it.")
    ] = None,
    embeddings: Annotated[
        list[Path] | None,
        typer.Option(help="Paired embeddings to draw in two dimensions, as in Fig. 1 of Liang et al."),
    ] = None,
    view: Annotated[str, typer.Option(help="pca, svd (uncentred) or umap.")] = "pca",
    run: Annotated[Path | None, typer.Option(help="Run folder: gap, loss and temperature against the step.")] = None,
    experiment: Annotated[
        Path | None, typer.Option(help="experiment.json of an experiment, or its folder: arms beside published values.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Draw theory (lines) against simulation (dots) and data (crosses), the two clouds of your embeddings, or a run."""
    from claims.figures import save_figures, showcase

    if embeddings:
        from claims.figures.embeddings import view_figure

        drawn = {f"embeddings_{view}": view_figure(embeddings, view=view, rng=seed)}
    elif run or experiment:
        from claims.figures.training import experiment_figure, run_figure

        drawn = {"run": run_figure(run)} if run else {}
        drawn |= {"experiment": experiment_figure(experiment)} if experiment else {}
    else:
        drawn = showcase(_verdicts(results) if results else [])
    for path in save_figures(drawn, out):
        typer.echo(str(path))


def _verdicts(results: Path) -> list[dict[str, Any]]:
    file = results / "verdicts.jsonl"
    if not file.exists():
        raise ValueError(f"`--results` must be a result folder of verify; {file} is missing.")
    return [json.loads(line) for line in file.read_text().splitlines()]


@app.command()
def doctor(data: Data = None, as_json: Json = False) -> None:
    """Say what this installation has: versions, threads, SIMD, GPU, data."""
    from claims.doctor import examine

    found = examine(data)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, value in found.items():
        shown = ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        typer.echo(f"{name:12} {shown}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _interrupt(number: int, frame: object) -> None:
    """End like Ctrl-C, so that workers end too and nothing is half-written."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; errors are one line on standard error and exit code 2."""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # threads of torch that spin made a busy machine ten times slower
    if current_thread() is main_thread():  # only there may a handler be set
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(prog_name="conetheory", standalone_mode=False)
    except KeyboardInterrupt:
        print("conetheory: interrupted; with --out, running again resumes.", file=sys.stderr)
        sys.exit(130)
    except SystemExit as end:  # typer ends like this where the reader went away, as in `| head`
        sys.exit(0 if isinstance(end.__context__, BrokenPipeError) else end.code)
    except OSError as error:
        place = f": {error.filename}" if error.filename is not None else ""
        sys.exit(_fail(f"{error.strerror}{place}" if error.strerror else _one_line(error)))
    except BrokenExecutor:
        sys.exit(_fail("a worker process died, killed or out of memory; with --out, running again resumes."))
    except (ValueError, TypeError, ImportError, ConvergenceError) as error:
        sys.exit(_fail(_one_line(error)))
    except Exception as error:
        if type(error).__name__ == "Abort":
            sys.exit(130)
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error, file=sys.stderr)
            sys.exit(2)
        if not hasattr(error, "format_message"):
            raise
        sys.exit(_fail(" ".join(error.format_message().split())))  # pyright: ignore[reportAttributeAccessIssue]
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> int:
    print(f"conetheory: {message}", file=sys.stderr)
    return 2
