"""``conetheory simulate flow``: features that move freely down the CLIP loss, and what becomes of their gap."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, count_from, real_number
from claims.cli_temperature import LAWS, temperature_law

__all__ = ["flow"]

_STARTS = ("uniform", "cones")
_PAIRS, _DIM = 64, 16
_COLUMNS = ("loss", "gap_norm", "beta", "margin", "matched", "alignment", "uniformity")


def _times(text: str) -> list[float]:
    """Return the numbers of a list with commas."""
    try:
        return [real_number(word) for word in text.split(",")]
    except typer.BadParameter as error:
        raise ValueError(f"`--times` must be numbers with commas between them: {error.message}") from None


def _frozen(text: str) -> list[int]:
    """Return the whole numbers of a list with commas; none for an empty text."""
    try:
        return [int(word) for word in text.split(",")] if text else []
    except ValueError:
        raise ValueError(f"`--frozen` must be whole numbers with commas between them, got {text!r}.") from None


def _drawn(start: str, pairs: int, dim: int, half_angle_deg: float, axes_angle_deg: float) -> Any:
    """Return a function of a generator that draws a start."""
    from conetheory._arrays import as_choice
    from sims.flow_starts import cone_start, uniform_start

    if as_choice("--start", start, _STARTS) == "uniform":
        return lambda rng: uniform_start(pairs, dim, rng=rng)
    for name, degrees, most in (("--half-angle-deg", half_angle_deg, 90), ("--axes-angle-deg", axes_angle_deg, 180)):
        if not 0 <= degrees <= most:
            raise ValueError(f"`{name}` must lie in [0, {most}], got {degrees}.")
    half_angle, axes_angle = math.radians(half_angle_deg), math.radians(axes_angle_deg)
    return lambda rng: cone_start(pairs, dim, half_angle, axes_angle, rng=rng)


def _starts(draw: Any, embeddings: list[Path], mismatched: float, seeds: int, seed: int) -> list[Any]:
    """Return the rows of each seed, a fraction of their pairs exchanged."""
    import numpy as np

    from conetheory.contrastive_gradient import PairVectors
    from sims.flow_starts import partial_shuffle

    if not 0 <= mismatched <= 1:
        raise ValueError(f"`--mismatched` must lie in [0, 1], got {mismatched}.")
    rng = np.random.default_rng(seed)
    if embeddings:
        from empirical.embeddings import load_pairs, unit_sample

        if seeds > 1 and mismatched == 0:
            raise ValueError(f"`--seeds` must be 1 where `--embeddings` is all that there is, got {seeds}.")
        pairs = load_pairs(embeddings)
        x, y = unit_sample(pairs, np.arange(pairs.n))
        rows = [PairVectors(x=x, y=y)] * seeds
    else:
        rows = [draw(rng) for _ in range(seeds)]
    return [PairVectors(x=r.x, y=r.y[partial_shuffle(len(r.y), mismatched, rng=rng)]) for r in rows]


def _reduced(start: Any, law: Any, times: list[float], beta0: float) -> list[float]:
    """Return the gap of the parallel model with frozen features, held from where it ends."""
    from conetheory.gap_flow import gap_flow
    from conetheory.loss_profiles import matrix_profile
    from sims.flow_starts import parallel_parts

    parts = parallel_parts(start.x, start.y)
    flow = gap_flow(matrix_profile(parts.h @ parts.k.T), law, parts.gamma, beta0, t_end=times[-1] or 1.0, rtol=1e-8)
    return (2 * flow.at([min(t, flow.t_last) for t in times]).gamma).tolist()


def _columns(sample: Any, reduced: list[list[float]] | None) -> dict[str, Any]:
    """Return the columns of the table by name, shape (seeds, times)."""
    import numpy as np

    columns = {name: getattr(sample, name) for name in _COLUMNS}
    return columns if reduced is None else {**columns, "reduced_gap": np.array(reduced)}


def _print_json(t: list[float], columns: dict[str, Any], known: dict[str, Any]) -> None:
    """Print the means over the seeds, and their standard errors where there are several."""
    from sims.flow_seeds import estimates

    means = {name: column.mean(axis=0).tolist() for name, column in columns.items()}
    found = {"schema": SCHEMA, **known, "t": t, **means}
    if known["seeds"] > 1:
        found["stderr"] = {name: [e.stderr for e in estimates(column)] for name, column in columns.items()}
    typer.echo(json.dumps(found))


def _print_table(t: list[float], columns: dict[str, Any], known: dict[str, Any]) -> None:
    from sims.flow_seeds import estimates

    several = known["seeds"] > 1
    width = 21 if several else 12
    typer.echo(" ".join([f"{'t':>12}", *(f"{name:>{width}}" for name in columns)]))
    shown = {
        name: [f"{e.value:.6g} ± {e.stderr:.1g}" for e in estimates(column)]
        if several
        else [f"{x:.6g}" for x in column[0]]
        for name, column in columns.items()
    }
    for row in zip(t, *shown.values(), strict=True):
        typer.echo(" ".join([f"{row[0]:12.6g}", *(f"{text:>{width}}" for text in row[1:])]))
    of = f", mean of {known['seeds']} seeds ± standard error" if several else ""
    typer.echo(f"{known['steps']} steps, {known['rejected']} rejected{of}")


def flow(
    temperature: Annotated[
        float, typer.Option(parser=real_number, help="Temperature τ at time 0, such as 0.07 or 1/14.")
    ] = 0.07,
    pairs: Annotated[
        int | None, typer.Option(parser=count_from(2), help="Pairs, all in one batch.", show_default=str(_PAIRS))
    ] = None,
    dim: Annotated[int | None, typer.Option(parser=count_from(2), help="Dimension.", show_default=str(_DIM))] = None,
    start: Annotated[str, typer.Option(help=f"Where the rows start: {' or '.join(_STARTS)}.")] = "cones",
    half_angle_deg: Annotated[
        float, typer.Option(parser=real_number, help="Degrees between the rows of a cone and its axis.")
    ] = 20.0,
    axes_angle_deg: Annotated[
        float, typer.Option(parser=real_number, help="Degrees between the axes of the two cones.")
    ] = 70.0,
    embeddings: Annotated[
        list[Path] | None,
        typer.Option(help="Start from these pairs instead: a file as `conetheory gap` takes; twice for two files."),
    ] = None,
    mismatched: Annotated[
        float, typer.Option(parser=real_number, help="Fraction of the pairs that are exchanged at the start.")
    ] = 0.0,
    frozen: Annotated[str, typer.Option(help="Coordinates that no gradient reaches, with commas between them.")] = "",
    law: Annotated[
        str,
        typer.Option(help=f"Law of the logit scale: {', '.join(LAWS)}; the last two move τ on a schedule."),
    ] = "exp",
    law_scale: Annotated[float, typer.Option(parser=real_number, help="s of the law exp, e^(ν/s).")] = 1.0,
    end_temperature: Annotated[
        float,
        typer.Option(
            parser=real_number,
            help="τ at the end of the law straight, in the middle of a cycle of the law alternating.",
        ),
    ] = 0.04,
    horizon: Annotated[
        float,
        typer.Option(parser=real_number, help="Time that the law straight takes; a cycle of the law alternating."),
    ] = 100.0,
    temperature_rate: Annotated[
        float, typer.Option(parser=real_number, help="Learning rate of the temperature, that of the rows being 1.")
    ] = 1.0,
    times: Annotated[str, typer.Option(help="When to look: increasing numbers with commas between them.")] = (
        "0,0.1,1,10,100"
    ),
    seeds: Annotated[int, typer.Option(parser=count_from(1), help="Starts; several give means ± standard errors.")] = 1,
    against_reduced: Annotated[
        bool, typer.Option("--against-reduced", help="The gap of the reduced model, parallel and frozen, beside it.")
    ] = False,
    rtol: Annotated[float, typer.Option(parser=real_number, help="Error allowed to a step.")] = 1e-4,
    precision: Annotated[str, typer.Option(help="double or single.")] = "double",
    jobs: Annotated[int, typer.Option(parser=count_from(1), help="Threads; the numbers do not depend on it.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Free features, figure 1 of Yaras and others: the gap while all rows and the temperature flow down the loss."""
    from conetheory._arrays import as_choice
    from conetheory._scalars import positive_number
    from sims.flow_seeds import sample_flows

    beta0 = 1 / positive_number("--temperature", temperature)
    chosen = temperature_law(law, law_scale, temperature, end_temperature, horizon)
    for name, given in (("--pairs", pairs), ("--dim", dim)):
        if embeddings and given:
            raise ValueError(f"`{name}` must be left to `--embeddings`, which has its own, got {given}.")
    draw = _drawn(start, pairs or _PAIRS, dim or _DIM, half_angle_deg, axes_angle_deg)
    starts, when = _starts(draw, embeddings or [], mismatched, seeds, seed), _times(times)
    options = {
        "frozen": _frozen(frozen),
        "temperature_rate": temperature_rate,
        "rtol": rtol,
        "precision": as_choice("--precision", precision, ("double", "single")),
    }
    with _options_named():
        sample = sample_flows(starts, chosen, when, beta0=beta0, workers=jobs, **options)
        reduced = [_reduced(rows, chosen, when, beta0) for rows in starts] if against_reduced else None
    known = {"pairs": starts[0].x.shape[0], "dim": starts[0].x.shape[1], "seeds": seeds}
    counts = {"steps": int(sample.steps.sum()), "rejected": int(sample.rejected.sum())}
    (_print_json if as_json else _print_table)(when, _columns(sample, reduced), {**known, **counts})


@contextmanager
def _options_named() -> Iterator[None]:
    """Let an error name the option that was typed, not the argument of a function; a flow that cannot go on is one."""
    from conetheory.errors import ConvergenceError

    typed = {"times": "--times", "frozen": "--frozen", "rtol": "--rtol", "temperature_rate": "--temperature-rate"}
    try:
        yield
    except (ValueError, ConvergenceError) as error:
        text = str(error)
        for name, option in typed.items():
            text = text.replace(f"`{name}`", f"`{option}`")
        raise ValueError(text) from error
