"""The whole ledger in one figure: where each claim's interval lies with regard to what the claim allows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .canvas import INK, MUTED, PALETTE
from .cells import Cells
from .numerals import numeral

__all__ = ["plot_overview", "plot_zscores", "standardised"]

_EDGE = 100.0  # everything further out is drawn here
_LEAST_ROWS = 3  # height of a paper, so that names do not touch
_MARKS = {
    "supported": ("o", PALETTE[0]),
    "refuted": ("D", PALETTE[1]),
    "undecided": ("s", PALETTE[4]),
}


def standardised(verdict: Mapping[str, Any]) -> np.ndarray:
    """Return low end, value and high end of the headline measurement, from the prediction in units of what is allowed.

    The unit is tolerance plus resolution: an equality is supported where all three lie in [−1, 1], an inequality where
    none is below −1, as positive is the side it allows.
    """
    low, high = verdict["interval"]
    ends = np.array([low, verdict["measured"], high], dtype=np.float64)
    scaled = (ends - verdict["predicted"]) / (verdict["tolerance"] + verdict["resolution"])
    return -scaled[::-1] if verdict["relation"] == "at_most" else scaled


def plot_overview(verdicts: Sequence[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the headline of each claim with its interval, papers below each other; name what is not as expected."""
    papers = list(dict.fromkeys(verdict["paper"] for verdict in verdicts))
    ordered = [verdict for paper in papers for verdict in verdicts if verdict["paper"] == paper]
    counts = np.array([sum(verdict["paper"] == paper for verdict in ordered) for paper in papers])
    heights = np.maximum(counts, _LEAST_ROWS)
    centres = np.cumsum(heights) - heights / 2
    rows = np.concatenate([at + np.arange(n) - (n - 1) / 2 for at, n in zip(centres, counts, strict=True)])
    low, value, high = np.clip([standardised(verdict) for verdict in ordered], -_EDGE, _EDGE).T
    ax.axvspan(-1, 1, color=MUTED, alpha=0.18, linewidth=0)
    for outcome, (marker, colour) in _MARKS.items():
        chosen = np.array([verdict["verdict"] == outcome for verdict in ordered], dtype=bool)
        ax.hlines(rows[chosen], low[chosen], high[chosen], color=colour, linewidth=1, alpha=0.6)
        ax.plot(value[chosen], rows[chosen], marker, color=colour, markersize=3.2, markeredgewidth=0, label=outcome)
    _name_surprises(ax, ordered, np.nan_to_num(value), rows)
    ax.hlines(np.cumsum(heights)[:-1], -1.3 * _EDGE, 1.3 * _EDGE, color=MUTED, linewidth=0.5)
    ax.set_yticks(centres, [f"{paper} ({count})" for paper, count in zip(papers, counts, strict=True)])
    ax.set_ylim(heights.sum(), 0)
    _dress(ax)
    ax.set_title(f"{len(ordered)} claims")
    return ax


def _name_surprises(ax: Axes, ordered: Sequence[Mapping[str, Any]], x: np.ndarray, rows: np.ndarray) -> None:
    """Ring and name the claims that are not as expected; one without a measurement stands at 0."""
    surprising = [row for row, verdict in enumerate(ordered) if verdict["verdict"] != verdict["expected"]]
    ring = {"markersize": 8, "markerfacecolor": "none", "label": "not as expected"}
    ax.plot(x[surprising], rows[surprising], "o", color=INK, **ring)
    for row in surprising:
        side = 1 if x[row] < 3 else -1
        ax.annotate(
            ordered[row]["id"],
            (x[row], rows[row]),
            xytext=(7 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=6.5,
        )


def _tick(value: float, _: int | None) -> str:
    beyond = ("≤ " if value < 0 else "≥ ") if abs(value) >= _EDGE else ""
    return beyond + numeral(value)


def _dress(ax: Axes) -> None:
    """Set the scale across, a symmetric logarithm, and what is said about it."""
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xscale("symlog", linthresh=2, linscale=1.5)
    ax.set_xlim(-1.3 * _EDGE, 1.3 * _EDGE)
    ax.xaxis.set_major_locator(FixedLocator([-_EDGE, -10, -1, 0, 1, 10, _EDGE]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(_tick))
    ax.set_xlabel("(measured − predicted)/(tolerance + resolution); for an inequality, right is allowed")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.1)


def plot_zscores(verdicts: Sequence[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the distribution of the z-scores of all cells of sampled equalities, and the standard normal one.

    Left out are claims expected to be refuted and cells with a tolerance. Cells may share draws: agreement is rough.
    """
    from scipy.special import ndtr

    honest = [
        v for v in verdicts if v["relation"] == "equal" and v["expected"] == "supported" and v.get("source") != "data"
    ]
    scores = [
        ((cells.measured - cells.predicted) / np.where(cells.stderr > 0, cells.stderr, np.nan))[cells.tolerance == 0]
        for cells in map(Cells.of, honest)
    ]
    z = np.concatenate([np.zeros(0), *scores])
    z = np.sort(z[np.isfinite(z)])
    grid = np.linspace(-4, 4, 161)
    ax.plot(grid, ndtr(grid), color=PALETTE[0], label="standard normal")
    heights = (np.arange(len(z)) + 0.5) / max(len(z), 1)
    ax.plot(
        np.clip(z, -4, 4), heights, "o", color=PALETTE[1], markersize=2.2, markeredgewidth=0, label=f"{len(z)} cells"
    )
    ax.set_xlabel("z-score of a cell")
    ax.set_ylabel("fraction of cells below")
    ax.set_title("Sampled equalities")
    ax.legend(loc="upper left", borderaxespad=0.1)
    return ax
