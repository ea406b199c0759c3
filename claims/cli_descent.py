"""``conetheory simulate descent``: features that train by stochastic steps, with the treatments of two papers."""

import json
from functools import partial
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, count_from, real_number
from claims.cli_temperature import LAWS, temperature_law

__all__ = ["descent"]

_COLUMNS = ("loss", "gap_norm", "beta", "matched", "alignment", "uniformity")


def descent(
    pairs: Annotated[int, typer.Option(parser=count_from(2), help="Pairs.")] = 32,
    dim: Annotated[int, typer.Option(parser=count_from(2), help="Dimension.")] = 16,
    batch: Annotated[int, typer.Option(parser=count_from(2), help="Pairs a step; divides --pairs.")] = 16,
    epochs: Annotated[int, typer.Option(parser=count_from(1), help="Epochs.")] = 1000,
    learning_rate: Annotated[float, typer.Option(parser=real_number, help="Time of the flow in an epoch.")] = 5e-4,
    law: Annotated[str, typer.Option(help=f"Temperature: {', '.join(LAWS)}.")] = "exp",
    law_scale: Annotated[float, typer.Option(parser=real_number, help="s of exp(ν/s).")] = 1.0,
    temperature: Annotated[float, typer.Option(parser=real_number, help="Temperature at the start.")] = 0.07,
    end_temperature: Annotated[
        float, typer.Option(parser=real_number, help="Temperature at the end, or in the middle of the alternation.")
    ] = 0.05,
    temperature_rate: Annotated[float, typer.Option(parser=real_number, help="Learning rate of ν, relative.")] = 1.0,
    swap: Annotated[str, typer.Option(help="What modalities exchange: none, hard, soft, row.")] = "none",
    swap_fraction: Annotated[float, typer.Option(parser=real_number, help="Part of the steps that swap.")] = 0.01,
    uniformity: Annotated[float, typer.Option(parser=real_number, help="Weight of uniformity.")] = 0.0,
    alignment: Annotated[float, typer.Option(parser=real_number, help="Weight of alignment.")] = 0.0,
    cross: Annotated[float, typer.Option(parser=real_number, help="Weight of cross-uniformity.")] = 0.0,
    seeds: Annotated[int, typer.Option(parser=count_from(2), help="Random starts, behind the errors.")] = 8,
    jobs: Annotated[int, typer.Option(parser=count_from(1), help="Threads; no number depends on them.")] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Two cones whose features train freely: the gap that a treatment leaves, means and standard errors over starts."""
    from conetheory._scalars import positive_number
    from conetheory.errors import ConvergenceError
    from sims.feature_descent import MOST_SCALE, DescentPlan, sample_descents
    from sims.flow_seeds import estimates
    from sims.flow_starts import cone_start

    if pairs % batch:
        raise ValueError(f"`--batch` must divide `--pairs`, {pairs}, got {batch}.")
    beta0 = 1 / positive_number("--temperature", temperature)
    if not beta0 <= MOST_SCALE:
        raise ValueError(f"`--temperature` must be at least 1/{MOST_SCALE:g}, got {temperature}.")
    horizon = epochs * positive_number("--learning-rate", learning_rate)
    options = {
        "temperature_rate": temperature_rate,
        "swap": swap,
        "swap_fraction": swap_fraction,
        "uniformity": uniformity,
        "alignment": alignment,
        "cross": cross,
    }
    try:
        plan = DescentPlan(
            law=temperature_law(law, law_scale, temperature, end_temperature, horizon),
            beta0=beta0,
            batch=batch,
            learning_rate=learning_rate,
            **options,
        )
    except ValueError as error:
        raise ValueError(_as_option(str(error), options)) from None
    records = sorted({0, epochs // 4, epochs // 2, 3 * epochs // 4, epochs})
    start = partial(cone_start, pairs, dim, 0.3, 1.2)
    try:
        found = sample_descents(lambda rng: start(rng=rng), plan, records, seeds, rng=seed, workers=jobs)
    except ConvergenceError as error:
        raise ValueError(f"{error} Smaller `--learning-rate` or `--temperature-rate`, or a warmer end?") from error
    columns = {name: estimates(getattr(found, name)) for name in _COLUMNS}
    shown = {
        "epoch": records,
        **{name: [one.value for one in column] for name, column in columns.items()},
        "stderr": {name: [one.stderr for one in column] for name, column in columns.items()},
        "seeds": seeds,
    }
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, **shown}))
        return
    typer.echo(" ".join(f"{name:>12}" for name in ("epoch", *_COLUMNS, "gap's s.e.")))
    for k, epoch in enumerate(records):
        numbers = [*(shown[name][k] for name in _COLUMNS), shown["stderr"]["gap_norm"][k]]
        typer.echo(" ".join([f"{epoch:12}", *(f"{number:12.6g}" for number in numbers)]))


def _as_option(message: str, names: Any) -> str:
    """Return the message with the argument's name as the option's."""
    for name in names:
        message = message.replace(f"`{name}`", f"`--{name.replace('_', '-')}`")
    return message
