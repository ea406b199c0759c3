"""Towers that were trained here: the course of one run, and the arms of an experiment beside what is published."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .canvas import PALETTE, styled
from .claim import log_scale, spans_decades

__all__ = ["experiment_figure", "plot_experiment", "plot_run", "run_figure"]

_COURSES = {"gap_norm": "gap ‖x̄ − ȳ‖", "loss": "held-out loss (nats)", "tau": "temperature τ"}
_NAMES = {"gap_norm": "gap ‖x̄ − ȳ‖", "gap_angle": "angle of the means (radians)", "loss": "held-out loss (nats)"}


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Return one number a row, NaN where there is none."""
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)


def plot_run(metrics: Sequence[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw gap, loss and temperature of a run on its held-out pairs, against the step.

    The axis is logarithmic where all are positive and span more than a power of ten.

    Parameters
    ----------
    metrics : sequence of mapping
        Lines of ``metrics.jsonl``, with ``step``, ``gap_norm``, ``loss`` and ``tau``.
    ax : Axes
        Where to draw.
    """
    step, columns = _column(metrics, "step"), {name: _column(metrics, name) for name in _COURSES}
    for (name, label), colour in zip(_COURSES.items(), PALETTE, strict=False):
        ax.plot(step, columns[name], color=colour, label=label, marker="." if len(step) == 1 else None)
    if spans_decades(np.concatenate(list(columns.values())), 1):
        log_scale(ax, "y")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set_xlabel("step")
    ax.set_title("Held-out pairs in training")
    ax.legend(loc="best")
    return ax


def plot_experiment(result: Mapping[str, Any], *, ax: Axes) -> Axes:
    """Draw the arms of an experiment in their order: dots ± 2 standard errors over seeds, published values as crosses.

    Parameters
    ----------
    result : mapping
        As in ``experiment.json`` of ``conetheory experiments``.
    ax : Axes
        Where to draw.
    """
    arms = result["arms"]
    place, value, stderr = np.arange(len(arms)), _column(arms, "value"), _column(arms, "stderr")
    seeds = len(result["seeds"])
    label = f"trained here, {seeds} seeds ± 2 s.e." if seeds > 1 else "trained here, 1 seed"
    ax.errorbar(
        place, value, yerr=2 * np.nan_to_num(stderr), fmt="o", color=PALETTE[1], markersize=4, label=label, zorder=3
    )
    published = _column(arms, "published")
    if np.isfinite(published).any():
        ax.plot(place, published, "x", color=PALETTE[2], markersize=6, markeredgewidth=1.3, label="published")
    if spans_decades(np.concatenate([value, published]), 1.5):
        log_scale(ax, "y")
    ax.set_xticks(place, [arm["name"] for arm in arms], rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(arms) - 0.5)
    what: str = _NAMES.get(result["metric"]) or result["metric"].replace("_", " ")
    ax.set_ylabel(f"change of the {what}" if result["change"] else what)
    ax.set_title(result["question"], wrap=True)
    ax.legend(loc="best")
    return ax


def _drawn(plot: Any, found: Any, width: float) -> Figure:
    with styled():
        figure = Figure(figsize=(width, 3.4), layout="constrained")
        plot(found, ax=figure.add_subplot())
    return figure


def run_figure(folder: Path) -> Figure:
    """Return the figure of a run folder, finished or not; a last line that is being written is left out.

    Raises
    ------
    ValueError
        If it holds no measurement of a run.
    """
    path = folder / "metrics.jsonl"
    metrics = []
    for line in _text("--run", path).splitlines():
        try:
            metrics.append(json.loads(line))
        except json.JSONDecodeError:
            break
    if not metrics or not all(isinstance(row, dict) and {"step", *_COURSES} <= row.keys() for row in metrics):
        raise ValueError(f"`--run` must be a run folder with measurements of gap, loss and temperature; see {path}.")
    return _drawn(plot_run, metrics, 5.2)


def experiment_figure(path: Path) -> Figure:
    """Return the figure of an ``experiment.json``, or of the folder that has one.

    Raises
    ------
    ValueError
        If it is not the result of an experiment.
    """
    path = path / "experiment.json" if path.is_dir() else path
    try:
        result = json.loads(_text("--experiment", path))
    except json.JSONDecodeError as error:
        raise ValueError(f"`--experiment` {path} is not JSON: {error}.") from None
    if not isinstance(result, dict) or not {"arms", "seeds", "metric", "change", "question"} <= result.keys():
        raise ValueError(f"`--experiment` {path} must be the result of conetheory experiments.")
    return _drawn(plot_experiment, result, max(4.0, 1.6 + 0.55 * len(result["arms"])))


def _text(option: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnicodeDecodeError) as error:
        raise ValueError(f"`{option}` needs {path}, which cannot be read: {type(error).__name__}.") from None
