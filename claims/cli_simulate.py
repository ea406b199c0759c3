"""``conetheory simulate``: one simulation, theory beside it."""

import json
import math
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_descent import descent
from claims.cli_flow import flow
from claims.cli_options import Json, Seed, count_from, real_number
from claims.cli_sphere import sphere

__all__ = ["app"]

app = typer.Typer(help="Simulate: theory beside it.", no_args_is_help=True, rich_markup_mode=None)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, **found}))
        return
    for name, value in found.items():
        shown = (
            ", ".join("—" if x is None else f"{x:.6g}" for x in value)
            if isinstance(value, list)
            else f"{value:.8g}"
            if isinstance(value, float)
            else "—"
            if value is None
            else value
        )
        typer.echo(f"{name:24} {shown}")


@app.command()
def layer(
    cosine: Annotated[float, typer.Option(parser=real_number, help="Cosine of the two inputs.")] = 0.5,
    norm_u: Annotated[float, typer.Option(parser=real_number, help="Norm of the first input.")] = 1.0,
    norm_v: Annotated[float, typer.Option(parser=real_number, help="Norm of the second.")] = 1.0,
    width: Annotated[int, typer.Option(parser=count_from(1), help="Units of the layer.")] = 512,
    trials: Annotated[int, typer.Option(parser=count_from(1), help="Random layers.")] = 100_000,
    sigma_w2: Annotated[float, typer.Option(parser=real_number, help="Variance of a weight, times the width.")] = 1.0,
    sigma_b2: Annotated[float, typer.Option(parser=real_number, help="Variance of a bias, times the width.")] = 1.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """One layer, Theorem 1 of Liang and others: how often one random ReLU layer brings two inputs closer."""
    from conetheory.contraction import limiting_cosine, paper_threshold, preactivation_correlation, sharp_threshold
    from sims.relu_layer import contraction_probability

    variances = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    found = contraction_probability(
        cosine, norm_u, norm_v, width, n_trials=trials, rng=seed, sigma_w2=sigma_w2, sigma_b2=sigma_b2
    )
    _show(
        {
            "cosine": cosine,
            "width": width,
            "n": found.n,
            "probability": found.value,
            "stderr": found.stderr,
            "preactivation_correlation": float(preactivation_correlation(cosine, norm_u, norm_v, **variances)),
            "limiting_cosine": float(limiting_cosine(cosine, norm_u, norm_v, **variances)),
            "paper_threshold": float(paper_threshold(norm_u, norm_v)),
            "sharp_threshold": float(sharp_threshold(norm_u, norm_v, **variances)),
        },
        as_json=as_json,
    )


@app.command()
def failure(
    cosine: Annotated[float, typer.Option(parser=real_number, help="Cosine of the two inputs.")] = 0.9,
    norm_u: Annotated[float, typer.Option(parser=real_number, help="Norm of the first input.")] = 1.0,
    norm_v: Annotated[float, typer.Option(parser=real_number, help="Norm of the second.")] = 1.0,
    width: Annotated[int, typer.Option(parser=count_from(1), help="Units of the layer.")] = 2048,
    trials: Annotated[int, typer.Option(parser=count_from(1), help="Random layers, drawn under the tilt.")] = 10_000,
    sigma_w2: Annotated[float, typer.Option(parser=real_number, help="Variance of a weight, times the width.")] = 1.0,
    sigma_b2: Annotated[float, typer.Option(parser=real_number, help="Variance of a bias, times the width.")] = 1.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """One layer that fails to bring two inputs closer, however seldom: tilted sampling beside the prediction.

    Natural logarithms, because the probability may be below the smallest double.
    """
    from conetheory.large_deviation import failure_probability, failure_rate
    from sims.rare_event import sample_tilted_failures

    variances = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    predicted = failure_probability(cosine, norm_u, norm_v, width, **variances)
    found = sample_tilted_failures(
        cosine, norm_u, norm_v, width, n_trials=trials, rng=seed, sigma_w2=sigma_w2, sigma_b2=sigma_b2
    )
    interval = found.log_interval(0.05)
    _show(
        {
            "cosine": cosine,
            "width": width,
            "n": found.n,
            "tilt": _finite(found.tilt),
            "log_probability": _finite(found.log_value),
            "relative_stderr": _finite(found.relative_stderr),
            "log_interval_95": [_finite(interval.low), _finite(interval.high)],
            "predicted_log_probability": predicted.log_value,
            "predicted_probability": predicted.value,
            "predicted_relative_error": predicted.error,
            "method": predicted.method,
            "rate": failure_rate(cosine, norm_u, norm_v, **variances),
        },
        as_json=as_json,
    )


def _finite(value: float) -> float | None:
    """Return `value`, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


@app.command()
def mlp(
    activation: Annotated[
        str, typer.Option(help="A name of conetheory.dual.ACTIVATIONS: relu, tanh, gelu, …")
    ] = "relu",
    bias: Annotated[
        str, typer.Option(help="normal (variance 1/width), none, or torch_default (uniform, variance 1/(3 width)).")
    ] = "normal",
    width: Annotated[int, typer.Option(parser=count_from(1), help="Units a layer.")] = 512,
    depth: Annotated[int, typer.Option(parser=count_from(1), help="Layers.")] = 25,
    inputs: Annotated[int, typer.Option(parser=count_from(2), help="Random inputs.")] = 64,
    networks: Annotated[int, typer.Option(parser=count_from(1), help="Random networks.")] = 20,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Deep networks, figure 2b of Liang and others: mean cosine after each layer, and mean field."""
    import numpy as np

    from claims.liang.cone import mean_field
    from sims.deep_mlp import cone_curves

    curves = cone_curves(activation, networks, width=width, n_inputs=inputs, depth=depth, bias=bias, rng=seed)
    spread = np.std(curves, axis=0, ddof=1) if networks > 1 else np.full(depth + 1, np.nan)
    _show(
        {
            "layer": list(range(depth + 1)),
            "mean_field": mean_field(activation, bias, width=width, depth=depth).tolist(),
            "mean_cosine": np.mean(curves, axis=0).tolist(),
            "stderr": [_finite(float(x)) for x in spread / np.sqrt(networks)],
            "n": networks,
        },
        as_json=as_json,
    )


app.command()(sphere)
app.command()(descent)
app.command()(flow)
