"""``conetheory simulate sphere``: mismatched pairs whose texts are displaced, and the loss along the way."""

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, Temperatures, count_from, real_number, temperatures

if TYPE_CHECKING:
    import numpy as np

__all__ = ["sphere"]

_FAMILIES = ("latitude", "lift")


def _swapped(text: str, pairs: int) -> list[int]:
    """Return the pairing of `pairs` pairs in which the two named ones are exchanged; none for an empty text."""
    pairing = list(range(pairs))
    if not text:
        return pairing
    try:
        first, second = (int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"`--swap` must be two numbers of pairs with a comma between them, got {text!r}.") from None
    if not (0 <= first < pairs and 0 <= second < pairs and first != second):
        raise ValueError(f"`--swap` must name two pairs from 0 to {pairs - 1}, got {text!r}.")
    pairing[first], pairing[second] = pairing[second], pairing[first]
    return pairing


def _configuration(
    pairs: int, dim: int, spacing_deg: float, swap: str, fraction: float | None, seed: int
) -> "tuple[np.ndarray, list[int]]":
    """Return the points, on the equator for dimension 2, else random, and the pairing."""
    import numpy as np

    from conetheory.mismatch import circle_points
    from sims.cones import sample_directions
    from sims.shuffled_pairs import shuffled_pairing

    if not 0 < spacing_deg < 360:
        raise ValueError(f"`--spacing-deg` must lie in (0, 360), got {spacing_deg}.")
    rng = np.random.default_rng(seed)
    points = circle_points(pairs, spacing_deg, -spacing_deg) if dim == 2 else sample_directions(dim, pairs, rng=rng)
    if fraction is None:
        return points, _swapped(swap, pairs)
    if not 0 <= fraction <= 1 or round(fraction * pairs) == 1:
        raise ValueError(
            f"`--fraction-mismatched` must lie in [0, 1] and name no pair or at least two of {pairs}, got {fraction}."
        )
    return points, shuffled_pairing(pairs, round(fraction * pairs), rng=rng).tolist()


def _critical(points: "np.ndarray", pairing: list[int], family: str, temperature: float) -> "tuple[Any, float | None]":
    """Return the path of the displacement, and the scale from which it pays; None where there is none."""
    import numpy as np

    from conetheory.displacement_forms import lift_critical_scales, softest_lift
    from conetheory.mismatch import critical_scale
    from sims.displaced_pairs import latitude, rotation

    if family == "latitude":
        scale = critical_scale(points, points, pairing).scale
        return latitude(points[pairing]), scale if math.isfinite(scale) else None
    direction = softest_lift(points, points, pairing, temperature).direction
    plane = np.zeros((len(direction) + 1,) * 2)
    plane[-1, :-1], plane[:-1, -1] = direction, -direction
    scales = lift_critical_scales(points, points, pairing)
    return rotation(points[pairing], plane), scales[0] if scales else None


def sphere(
    temperature: Temperatures = [0.01],  # noqa: B006 (typer copies it)
    pairs: Annotated[int, typer.Option(parser=count_from(2), help="Pairs.")] = 6,
    dim: Annotated[
        int, typer.Option(parser=count_from(2), help="2: points on the equator; more: random points of that space.")
    ] = 2,
    spacing_deg: Annotated[
        float,
        typer.Option(
            parser=real_number,
            help="Degrees between neighbours on the equator; 20 in the authors' code, 15 in their appendix.",
        ),
    ] = 20.0,
    swap: Annotated[str, typer.Option(help="The two pairs whose texts are exchanged; '' for none.")] = "0,1",
    fraction_mismatched: Annotated[
        float | None, typer.Option(parser=real_number, help="Fraction whose texts are deranged, instead of --swap.")
    ] = None,
    family: Annotated[
        str,
        typer.Option(help="latitude: all texts rise by Δθ; lift: the softest rotation out of the space."),
    ] = "latitude",
    step_deg: Annotated[float, typer.Option(parser=real_number, help="Step of Δθ, in degrees, from −90 to 90.")] = 1.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Mismatched pairs, section 4.3 of Liang and others: the loss while all texts move by Δθ.

    One object a temperature.
    """
    import numpy as np

    from conetheory._arrays import as_choice
    from sims.displaced_pairs import displaced_landscape, minimise_displacement

    values = temperatures(temperature)
    if not 0.001 <= step_deg <= 90:
        raise ValueError(f"`--step-deg` must lie in [0.001, 90], got {step_deg}.")
    as_choice("--family", family, _FAMILIES)
    points, pairing = _configuration(pairs, dim, spacing_deg, swap, fraction_mismatched, seed)
    delta = np.linspace(-90, 90, 2 * round(90 / step_deg) + 1)
    for tau in values:
        path, critical = _critical(points, pairing, family, tau)
        loss = displaced_landscape(points, path.at(np.radians(delta)), [1 / tau]).symmetric[0]
        found = minimise_displacement(points, path, 1 / tau)
        _show(
            {
                "temperature": tau,
                "critical_scale": critical,
                "minimisers_deg": [math.degrees(t) for t in found.minimisers],
                "min_loss": found.loss,
                **({"delta_theta_deg": delta.tolist(), "loss": loss.tolist()} if as_json else {}),
            },
            as_json=as_json,
        )


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, **found}))
        return
    for name, value in found.items():
        numbers = value if isinstance(value, list) else [value]
        typer.echo(f"{name:24} {', '.join('—' if x is None else f'{x:.8g}' for x in numbers)}")
