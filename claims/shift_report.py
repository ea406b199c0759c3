"""What ``conetheory shift`` says of paired embeddings: reports ready for JSON, and each as a sentence.

A report is about a ``temperature``, or is named by its first key: ``best_temperature``, ``centring``,
``critical_temperature``.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from conetheory.contrastive import clip_loss
from conetheory.gap import center, gap_norm
from conetheory.retrieval import recall
from conetheory.shift import critical_temperature, minimise_shift, shift_landscape
from conetheory.shift_temperature import best_shift_temperatures, best_temperature
from sims.shift_bootstrap import bootstrap_critical_temperature

__all__ = ["best_temperature_reports", "centring_reports", "critical_reports", "landscape_reports", "sentence"]


def landscape_reports(
    x: np.ndarray, y: np.ndarray, temperatures: list[float], lambdas: np.ndarray, *, batch: int, direction: str
) -> Iterator[dict[str, Any]]:
    """Yield loss and gap along `lambdas` and the least loss between their ends, one report a temperature."""
    options = {"batch": batch, "direction": direction}
    landscape = shift_landscape(x, y, lambdas, temperatures, **options)
    for tau, loss in zip(temperatures, landscape.loss, strict=True):
        best = minimise_shift(x, y, tau, **options, bounds=(float(lambdas[0]), float(lambdas[-1])))
        yield {
            "temperature": tau,
            **options,
            "lambda": lambdas.tolist(),
            "gap": landscape.gap.tolist(),
            "loss": loss.tolist(),
            "argmin_lambda": best.lam,
            "argmin_gap": best.gap,
            "at_bound": best.at_bound,
            "min_loss": best.loss,
        }


def best_temperature_reports(
    x: np.ndarray, y: np.ndarray, lambdas: np.ndarray, *, batch: int, direction: str
) -> Iterator[dict[str, Any]]:
    """Yield the best temperature at each of `lambdas` and the loss there, and the best of all."""
    found = best_shift_temperatures(x, y, lambdas, batch=batch, direction=direction)
    columns = {"lambda": lambdas, "temperature": found.temperatures, "loss": found.loss, "at_bound": found.at_bound}
    least = int(np.argmin(found.loss))
    yield {
        "best_temperature": {name: column.tolist() for name, column in columns.items()},
        "best": {name: column[least].item() for name, column in columns.items()},
    }


def centring_reports(
    x: np.ndarray, y: np.ndarray, temperatures: list[float], *, batch: int, direction: str
) -> Iterator[dict[str, Any]]:
    """Yield gap, retrieval, losses and best temperature of the embeddings, unmoved and with each modality centred."""
    moved = center(x, y)
    options = {"batch": batch, "direction": direction}
    report = {}
    for name, (rows, others) in {"unmoved": (x, y), "centred": (moved.x, moved.y)}.items():
        best = best_temperature(rows, others, **options)
        report[name] = {
            "gap": gap_norm(rows, others),
            "recall_x_to_y": float(recall(rows, others, ks=(1,))[0]),
            "recall_y_to_x": float(recall(others, rows, ks=(1,))[0]),
            "temperature": temperatures,
            "loss": [clip_loss(rows, others, tau, **options) for tau in temperatures],
            "best_temperature": best.temperature,
            "best_loss": best.loss,
            "at_bound": best.at_bound,
        }
    yield {"centring": report}


def critical_reports(
    x: np.ndarray, y: np.ndarray, *, batch: int, direction: str, n_bootstrap: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the critical temperature in the order of the file, over random orders, and its 95 % bootstrap interval.

    0 says that closing the gap pays down to τ = 1/300, None that it costs up to τ = 1; in the order of the file None
    says that there is not exactly one.
    """
    options = {"batch": batch, "direction": direction}
    found = bootstrap_critical_temperature(x, y, **options, n_bootstrap=n_bootstrap, rng=seed)
    try:
        in_order = critical_temperature(x, y, **options)
    except ValueError:  # the slope changes sign never or more than once
        in_order = None
    interval = found.interval(0.05)
    yield {
        "critical_temperature": {
            "in_file_order": in_order,
            "value": _finite(found.value),
            "interval_95": [_finite(interval.low), _finite(interval.high)],
            "replicates": found.replicates.size,
        }
    }


def sentence(report: dict[str, Any]) -> str:
    """Return a report in words."""
    if "temperature" in report:
        where = ", the end of the range" if report["at_bound"] else ""
        return (
            f"τ = {report['temperature']:g}: loss {report['min_loss']:.6f} least at λ = {report['argmin_lambda']:.5f}"
            f"{where}, where the gap is {report['argmin_gap']:.6f}"
        )
    if "best_temperature" in report:
        best = report["best"]
        return (
            f"any temperature: loss {best['loss']:.6f} least at λ = {best['lambda']:.5f}, 1/τ = "
            f"{1 / best['temperature']:.4f}"
        )
    if "centring" in report:
        return "\n".join(
            f"{name}: gap {of['gap']:.6f}, recall@1 {of['recall_x_to_y']:.3f} and {of['recall_y_to_x']:.3f}, loss "
            f"{of['best_loss']:.6f} at the best 1/τ, {1 / of['best_temperature']:.4f}"
            for name, of in report["centring"].items()
        )
    critical = report["critical_temperature"]
    low, high = critical["interval_95"]
    return (
        f"closing the gap pays above τ = {_shown(critical['value'])} over random orders (95 % interval {_shown(low)} "
        f"to {_shown(high)}, {critical['replicates']} resamples), {_shown(critical['in_file_order'])} in the file's"
    )


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
