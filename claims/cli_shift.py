"""``conetheory simulate shift``: paired clouds of a known law moved along their gap, theory beside the loss."""

import json
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, Temperatures, count_from, real_number

__all__ = ["shift"]


def shift(
    temperature: Temperatures = [0.05],  # noqa: B006 (typer copies it)
    dim: Annotated[int, typer.Option(parser=count_from(2), help="Dimension of the directions in a cloud.")] = 16,
    matched_cosine: Annotated[
        float, typer.Option(parser=real_number, help="Cosine of the two directions of a pair, in (0, 1).")
    ] = 0.5,
    gap: Annotated[float, typer.Option(parser=real_number, help="Distance of the two means, in (0, 2).")] = 0.85,
    batch: Annotated[int, typer.Option(parser=count_from(2), help="Pairs a batch.")] = 50,
    batches: Annotated[int, typer.Option(parser=count_from(1), help="Batches a cloud.")] = 20,
    clouds: Annotated[int, typer.Option(parser=count_from(2), help="Independent clouds, behind the errors.")] = 16,
    points: Annotated[int, typer.Option(parser=count_from(2), help="Values of λ on [-0.5, 1.5].")] = 41,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Embedding shift, figure 3 b-d of Liang and others: two parallel clouds, whose expected loss is known exactly.

    One object a temperature.
    """
    import numpy as np

    from conetheory.errors import ConvergenceError
    from conetheory.shift_limit import batch_loss, shift_limit, shift_scale
    from sims.shift_clouds import simulate_shift

    for value in temperature:
        if not 1 / 300 <= value < float("inf"):
            raise ValueError(f"`--temperature` must be at least 1/300 and finite, got {value}.")
    for name, number, most in (("--matched-cosine", matched_cosine, 1), ("--gap", gap, 2)):
        if not 0 < number < most:
            raise ValueError(f"`{name}` must lie in (0, {most}), got {number}.")
    lambdas, height = np.linspace(-0.5, 1.5, points), gap / 2
    try:
        limits = [shift_limit(dim, matched_cosine, height, tau, batch=batch) for tau in temperature]
    except ConvergenceError as error:
        raise ValueError(
            f"`--dim`, `--matched-cosine` and `--batch` must leave a minimum in reach, got {dim}, {matched_cosine} and "
            f"{batch}: {error}"
        ) from None
    found = simulate_shift(
        dim, matched_cosine, height, lambdas, temperature, batch=batch, n_batches=batches, n_clouds=clouds, rng=seed
    )
    for tau, limit, mean, stderr in zip(temperature, limits, found.mean, found.stderr, strict=True):
        _show(
            {
                "temperature": tau,
                "critical_temperature": limit.critical_temperature,
                "minimisers": list(limit.minimisers),
                "least_loss": limit.loss,
                "barrier": limit.barrier,
                "lambda": lambdas.tolist(),
                "expected_loss": batch_loss(dim, matched_cosine, shift_scale(lambdas, tau, height), batch).tolist(),
                "loss": mean.tolist(),
                "stderr": stderr.tolist(),
                "clouds": clouds,
            },
            as_json=as_json,
        )


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": SCHEMA, **found}))
        return
    minimisers = " and ".join(f"{lam:.5f}" for lam in found["minimisers"])
    typer.echo(
        f"τ = {found['temperature']:g}: expected loss {found['least_loss']:.6f} least at λ = {minimisers}; "
        f"closing the gap pays above τ = {found['critical_temperature']:.6g}"
    )
    typer.echo(f"{'lambda':>9} {'expected':>10} {'measured':>10} {'stderr':>9}")
    for row in zip(found["lambda"], found["expected_loss"], found["loss"], found["stderr"], strict=True):
        typer.echo("{:9.4f} {:10.6f} {:10.6f} {:9.6f}".format(*row))
