"""Ratios of a benchmark run: how many times as long every other route takes, and how near ours is to the limit."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from claims.bench.table import Line

from .canvas import INK, MUTED, PALETTE, styled

__all__ = ["plot_ratios", "plot_shares", "ratios_figure"]

_KINDS = {  # by the beginning of a route's name
    "naive": ("o", PALETTE[1], "by definition"),
    "reduced": ("s", PALETTE[2], "our algebra, in NumPy"),
    "plain": ("D", PALETTE[0], "our plain kernel"),
    "peer": ("^", PALETTE[3], "another library"),
}
_OTHER = ("v", MUTED, "our other routes")  # sampled, counted, proven, a law


def plot_ratios(lines: Sequence[Line], *, ax: Axes) -> Axes:
    """Draw one row a job: the seconds of each other route over ours, for one unit of work, on a logarithmic axis."""
    found: dict[tuple[str, str, str], list[tuple[float, int]]] = {look: [] for look in (*_KINDS.values(), _OTHER)}
    for row, line in enumerate(lines):
        for method, ratio in line.ratios.items():
            found[_KINDS.get(method.split("-")[0], _OTHER)].append((ratio, row))
    for (marker, colour, label), points in found.items():
        if points:
            x, y = np.array(points).T
            ax.plot(x, y, marker, color=colour, markersize=4.5, markeredgewidth=0, label=label)
    ax.set_xscale("log")
    ax.axvline(1, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(lines)), [line.job for line in lines])
    ax.set_ylim(max(len(lines), 1) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("time over ours, for the same work")
    if any(line.ratios for line in lines):
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, borderaxespad=0.2)
    return ax


def plot_shares(lines: Sequence[Line], *, ax: Axes) -> Axes:
    """Draw, in the rows of `plot_ratios`, the limit's time over ours where a limit is argued."""
    known = [(row, line.share) for row, line in enumerate(lines) if line.share is not None]
    if known:
        rows, shares = zip(*known, strict=True)
        ax.barh(rows, shares, height=0.55, color=PALETTE[0])
        for row, share in known:
            ax.text(min(share, 0.98) + 0.02, row, f"{share:.0%}", va="center", fontsize="small", color=INK)
    ax.axvline(1, color=MUTED, linewidth=0.8)
    ax.set_xlim(0, 1.25)
    ax.set_xticks([0, 1])
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("of the limit")
    return ax


def ratios_figure(lines: Sequence[Line]) -> Figure:
    """Return the figure of a run: `plot_ratios` beside `plot_shares`."""
    with styled():
        figure = Figure(figsize=(9.6, 1.2 + 0.24 * max(len(lines), 3)))
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
        plot_ratios(lines, ax=left)
        plot_shares(lines, ax=right)
        if engine := figure.get_layout_engine():
            engine.execute(figure)
        figure.set_layout_engine("none")
    return figure
