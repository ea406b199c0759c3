"""``conetheory simulate flow``: features that move freely down the CLIP loss, and what becomes of their gap."""

import json
from typing import Annotated

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, count_from, real_number

__all__ = ["flow"]

_STARTS = ("uniform", "cones")
_LAWS = ("exp", "linear", "softplus", "fixed")
_COLUMNS = ("t", "loss", "gap_norm", "beta", "margin", "matched", "alignment", "uniformity")


def _times(text: str) -> list[float]:
    """Return the numbers of a list with commas."""
    try:
        return [real_number(word) for word in text.split(",")]
    except typer.BadParameter as error:
        raise ValueError(f"`--times` must be numbers with commas between them: {error.message}") from None


def flow(
    temperature: Annotated[
        float, typer.Option(parser=real_number, help="Temperature τ at time 0, such as 0.07 or 1/14.")
    ] = 0.07,
    pairs: Annotated[int, typer.Option(parser=count_from(2), help="Pairs, all in one batch.")] = 64,
    dim: Annotated[int, typer.Option(parser=count_from(2), help="Dimension.")] = 16,
    start: Annotated[str, typer.Option(help=f"Where the rows start: {' or '.join(_STARTS)}.")] = "cones",
    half_angle_deg: Annotated[
        float, typer.Option(parser=real_number, help="Degrees between the rows of a cone and its axis.")
    ] = 20.0,
    axes_angle_deg: Annotated[
        float, typer.Option(parser=real_number, help="Degrees between the axes of the two cones.")
    ] = 70.0,
    law: Annotated[str, typer.Option(help=f"Law of the logit scale: {', '.join(_LAWS)}.")] = "exp",
    law_scale: Annotated[float, typer.Option(parser=real_number, help="s of the law exp, e^(ν/s).")] = 1.0,
    temperature_rate: Annotated[
        float, typer.Option(parser=real_number, help="Learning rate of the temperature, that of the rows being 1.")
    ] = 1.0,
    times: Annotated[str, typer.Option(help="When to look: increasing numbers with commas between them.")] = (
        "0,0.1,1,10,100"
    ),
    rtol: Annotated[float, typer.Option(parser=real_number, help="Error allowed to a step.")] = 1e-4,
    precision: Annotated[str, typer.Option(help="double or single.")] = "double",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Free features, figure 1 of Yaras and others: the gap while all rows and the temperature flow down the loss."""
    import math

    from conetheory._arrays import as_choice
    from conetheory._scalars import positive_number
    from conetheory.temperature_laws import exponential_law, fixed_law, linear_law, softplus_law
    from sims.flow_starts import cone_start, uniform_start
    from sims.gradient_flow import gradient_flow

    beta0 = 1 / positive_number("--temperature", temperature)
    laws = {"linear": linear_law, "softplus": softplus_law, "fixed": fixed_law}
    chosen = laws.get(
        as_choice("--law", law, _LAWS), lambda: exponential_law(positive_number("--law-scale", law_scale))
    )
    if as_choice("--start", start, _STARTS) == "cones":
        for name, degrees, most in (
            ("--half-angle-deg", half_angle_deg, 90),
            ("--axes-angle-deg", axes_angle_deg, 180),
        ):
            if not 0 <= degrees <= most:
                raise ValueError(f"`{name}` must lie in [0, {most}], got {degrees}.")
        rows = cone_start(pairs, dim, math.radians(half_angle_deg), math.radians(axes_angle_deg), rng=seed)
    else:
        rows = uniform_start(pairs, dim, rng=seed)
    found = gradient_flow(
        rows.x,
        rows.y,
        chosen(),
        _times(times),
        beta0=beta0,
        temperature_rate=temperature_rate,
        rtol=rtol,
        precision="single" if as_choice("--precision", precision, ("double", "single")) == "single" else "double",
    )
    columns = {name: getattr(found, name).tolist() for name in _COLUMNS}
    steps = {"steps": len(found.step_t) - 1, "rejected": found.rejected}
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, "pairs": pairs, "dim": dim, **columns, **steps}))
        return
    typer.echo(" ".join(f"{name:>12}" for name in _COLUMNS))
    for row in zip(*columns.values(), strict=True):
        typer.echo(" ".join(f"{value:12.6g}" for value in row))
    typer.echo(f"{steps['steps']} steps, {steps['rejected']} rejected")
