"""One claim as a figure: theory a solid line, simulation dots, experiment crosses, two standard errors either side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .canvas import PALETTE, inline_svg, styled
from .cells import Cells
from .numerals import numeral, power_of_ten

__all__ = ["claim_svg", "log_scale", "plot_claim", "plot_measured", "spans_decades"]

_THEORY, _SIMULATION, _EXPERIMENT = PALETTE[0], PALETTE[1], PALETTE[2]
_LABELS = {
    "cosine": "cosine of the inputs c₀",
    "rho": "correlation ρ",
    "width": "width d (units)",
    "depth": "depth (layers)",
    "layer": "layer",
    "dtheta_deg": "displacement Δθ (degrees)",
    "temperature": "temperature τ",
    "scale": "logit scale 1/τ",
    "lambda": "shift λ (in gap vectors)",
    "delta": "shift δ",
    "dim": "dimension d",
    "norm_u": "norm ‖u‖",
    "norm_v": "norm ‖v‖",
    "n": "number of points n",
}


def spans_decades(values: np.ndarray, decades: float) -> bool:
    """Whether the finite `values` are positive and spread over `decades` powers of ten."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() >= 10**decades * values.min())


def log_scale(ax: Axes, axis: str, *, ticks: Sequence[float] | np.ndarray = ()) -> None:
    """Make `axis` (x or y) of `ax` logarithmic, labelled at `ticks` if they are few, else at powers of ten."""
    target = ax.xaxis if axis == "x" else ax.yaxis
    (ax.set_xscale if axis == "x" else ax.set_yscale)("log", nonpositive="clip")
    if 0 < len(ticks := np.unique(ticks)) <= 8:
        target.set_major_locator(FixedLocator(ticks.tolist()))
        target.set_major_formatter(FuncFormatter(lambda value, _: numeral(value, 4)))
    else:
        target.set_major_locator(LogLocator(numticks=6))
        target.set_major_formatter(
            FuncFormatter(lambda value, _: power_of_ten(round(math.log10(value))) if value > 0 else "")
        )
    target.set_minor_locator(NullLocator())


def plot_measured(
    ax: Axes, x: np.ndarray, cells: Cells, *, colour: str | None = None, label: str | None = None
) -> None:
    """Draw the measured numbers at `x` with ±2 s.e.: crosses for experiment, dots for all else.

    With `colour`, which is then that of a line, dots have a white ring.
    """
    if not len(x):
        return
    data = cells.source == "data"
    own = _EXPERIMENT if data else _SIMULATION
    ax.errorbar(
        x,
        cells.measured,
        yerr=2 * np.nan_to_num(cells.stderr),
        fmt="x" if data else "o",
        color=colour or own,
        markersize=5 if data else 4,
        markeredgewidth=1.3 if data else 0.5,
        markeredgecolor="white" if colour and not data else colour or own,
        elinewidth=1,
        label=label,
        zorder=3,
    )


def _measured_label(cells: Cells) -> str:
    what = {"data": "experiment", "computed": "computed"}.get(cells.source, "simulation")
    return f"{what} ±2 s.e." if np.any(cells.stderr > 0) else what


def _bound_label(cells: Cells) -> str:
    return {"equal": "theory", "at_least": "bound, at least", "at_most": "bound, at most"}[cells.relation]


def _shade(ax: Axes, x: np.ndarray, cells: Cells, half: np.ndarray | None = None) -> None:
    """Shade what the claim allows, tolerance or side of the bound; `half` is each cell's own width where not joined."""
    low, high = cells.predicted - cells.tolerance, cells.predicted + cells.tolerance
    if cells.relation == "equal" and not np.any(cells.tolerance > 0):
        return
    bottom, top = ax.get_ylim()
    low = np.full_like(low, bottom) if cells.relation == "at_most" else low
    high = np.full_like(high, top) if cells.relation == "at_least" else high
    label = "tolerance" if cells.relation == "equal" else "allowed"
    if half is None:
        ax.fill_between(x, low, high, color=_THEORY, alpha=0.13, linewidth=0, label=label)
    else:
        ax.use_sticky_edges = False
        ax.bar(x, high - low, 2 * half, low, color=_THEORY, alpha=0.13, linewidth=0, label=label)
    if cells.relation != "equal":
        ax.set_ylim(bottom, top)


def _plot_curve(ax: Axes, name: str, x: np.ndarray, cells: Cells) -> None:
    order = np.argsort(x, kind="stable")
    x, cells = x[order], cells.subset(order)
    if spans_decades(x, 1.2):
        log_scale(ax, "x", ticks=x)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=bool(np.all(x == np.round(x)))))
    if spans_decades(np.concatenate([cells.predicted, cells.measured]), 2):
        log_scale(ax, "y")
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    half = None
    if len(x) < 5:  # too few for a curve: each prediction on its own
        half = np.full(len(x), 0.06 * np.ptp(x)) if ax.get_xscale() == "linear" else 0.12 * x
        ax.hlines(cells.predicted, x - half, x + half, color=_THEORY, label=_bound_label(cells))
    else:
        ax.plot(x, cells.predicted, color=_THEORY, label=_bound_label(cells))
    plot_measured(ax, x, cells, label=_measured_label(cells))
    _shade(ax, x, cells, half)
    ax.set_xlabel(_LABELS.get(name, name.replace("_", " ")))
    ax.set_ylabel("value")


def _plot_scatter(ax: Axes, cells: Cells) -> None:
    values = np.concatenate([cells.predicted, cells.measured])
    if spans_decades(values, 2):
        log_scale(ax, "x")
        log_scale(ax, "y")
    ends = np.array([np.nanmin(values), np.nanmax(values)]) if np.any(np.isfinite(values)) else np.array([0.0, 1.0])
    if np.ptp(cells.tolerance) == 0:
        _shade(ax, ends, replace(cells, predicted=ends, tolerance=np.full(2, cells.tolerance[0])))
    ax.plot(ends, ends, color=_THEORY, label="measured = predicted")
    plot_measured(ax, cells.predicted, cells, label=_measured_label(cells))
    ax.set_xlabel("predicted value")
    ax.set_ylabel("measured value")


def _plot_margins(ax: Axes, cells: Cells) -> None:
    """Draw measured minus bound for each cell of an inequality, in the order of the cells."""
    sign = 1 if cells.relation == "at_least" else -1
    number = np.arange(1, len(cells.at) + 1)
    margins = replace(
        cells, predicted=0 * number, measured=sign * (cells.measured - cells.predicted), relation="at_least"
    )
    ax.axhline(0, color=_THEORY, label="bound")
    plot_measured(ax, number, margins, label=_measured_label(cells))
    ax.set_xlim(0.5, len(number) + 0.5)
    ax.set_ylim(min(ax.get_ylim()[0], -0.08 * ax.get_ylim()[1]), None)
    least = np.full(2, np.nanmin(cells.tolerance))  # the side that every cell allows
    _shade(ax, np.array(ax.get_xlim()), replace(margins, predicted=np.zeros(2), tolerance=least))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_xlabel("cell")
    ax.set_ylabel("measured − bound" if sign > 0 else "bound − measured")


def _plot_interval(ax: Axes, cells: Cells) -> None:
    """Draw one cell on a line: prediction, measurement ±2 s.e., interval."""
    predicted, measured, tolerance = (float(column[0]) for column in (cells.predicted, cells.measured, cells.tolerance))
    low, high = float(cells.low[0]), float(cells.high[0])
    colour = _EXPERIMENT if cells.source == "data" else _SIMULATION
    if high > low:
        ax.plot([low, high], [0, 0], color=colour, linewidth=5, alpha=0.25, solid_capstyle="butt", label="interval")
    if math.isfinite(predicted):
        ax.axvline(predicted, color=_THEORY, label=_bound_label(cells))
    ax.errorbar(
        [measured],
        [0],
        xerr=[2 * float(np.nan_to_num(cells.stderr[0]))],
        fmt="x" if cells.source == "data" else "o",
        color=colour,
        markersize=5,
        label=_measured_label(cells),
        zorder=3,
    )
    ax.margins(x=0.12)
    left, right = ax.get_xlim()
    if cells.relation == "at_least":
        ax.axvspan(predicted - tolerance, max(right, predicted), color=_THEORY, alpha=0.1, linewidth=0, label="allowed")
    elif cells.relation == "at_most":
        ax.axvspan(min(left, predicted), predicted + tolerance, color=_THEORY, alpha=0.1, linewidth=0, label="allowed")
    elif tolerance > 0:
        ax.axvspan(
            predicted - tolerance, predicted + tolerance, color=_THEORY, alpha=0.15, linewidth=0, label="tolerance"
        )
    if cells.relation != "equal":
        ax.set_xlim(left, right)
    ax.set_ylim(-1, 1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("value")


def plot_claim(verdict: Mapping[str, Any], *, ax: Axes) -> Axes:
    """Draw prediction and measurement of one claim.

    One number that varies over the cells becomes the x axis; several coordinates give measured against predicted, or
    for an inequality the margin of each cell; a single cell is drawn on a line with its interval.

    Parameters
    ----------
    verdict : mapping
        A verdict as in ``verdicts.jsonl``; an optional key ``source`` of ``data`` marks an experiment.
    ax : Axes
        Where to draw.

    Returns
    -------
    Axes
        The same.
    """
    cells = Cells.of(verdict)
    varying = cells.varying()
    x = cells.coordinate(varying[0]) if len(varying) == 1 else None
    if len(cells.at) == 1:
        _plot_interval(ax, cells)
    elif x is not None:
        _plot_curve(ax, varying[0], x, cells)
    elif cells.relation == "equal":
        _plot_scatter(ax, cells)
    else:
        _plot_margins(ax, cells)
    return ax


def claim_svg(verdict: Mapping[str, Any]) -> str:
    """Return the figure of one claim as an inline SVG element of a few kilobytes."""
    single = len(verdict.get("cells") or [verdict]) == 1
    width, height = (4.6, 1.15) if single else (4.6, 2.6)
    with styled():
        figure = Figure(figsize=(width, height))
        left, bottom, top = (0.04, 0.40, 0.76) if single else (0.14, 0.17, 0.88)
        ax = plot_claim(verdict, ax=figure.add_axes((left, bottom, 0.97 - left, top - bottom)))
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2)
    return inline_svg(figure, name=verdict["id"], label=f"{verdict['id']}: predicted and measured")
