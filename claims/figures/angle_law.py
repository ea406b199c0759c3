"""The law of the angle of two inputs after many ReLU layers of finite width."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from conetheory.angle_law import angle_law
from conetheory.meanfield import cone_curve

from .canvas import INK, MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale, plot_measured

__all__ = ["plot_angle_law"]

_DEPTHS = (1, 8, 32)
_WIDTHS = {64: "-", 256: (0, (1, 1.2))}
_SHOWN = 64  # the width of the verdicts


def plot_angle_law(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the distribution function of the angle of two orthogonal inputs after 1, 8 and 32 layers, by width.

    Dashed: the angle at infinite width. Dots: verdict ``conetheory.depth.angle_law``, the share of simulated networks
    of width 64 whose angle is at most that of the cell.
    """
    verdicts = list(verdicts)
    limit = cone_curve("relu", max(_DEPTHS), sigma_w2=2.0).complement
    theta = np.geomspace(0.005, np.pi / 2, 400)
    for colour, depth in zip(PALETTE, _DEPTHS, strict=False):
        for width, style in _WIDTHS.items():
            line: dict[str, Any] = (
                {"label": f"{depth} layer{'s' * (depth > 1)}"} if width == _SHOWN else {"linewidth": 1.2}
            )
            law = angle_law(np.pi / 2, width, depth)
            ax.plot(theta, law.cdf(theta), color=colour, linestyle=style, **line)
        ax.axvline(2 * np.arcsin(np.sqrt(limit[depth] / 2)), color=colour, linewidth=1, linestyle=(0, (4, 3)))
        for cells, at in cells_at(verdicts, "conetheory.depth.angle_law", "depth", "theta"):
            chosen = at["depth"] == depth
            plot_measured(ax, at["theta"][chosen], cells.subset(chosen), colour=colour)
    log_scale(ax, "x", ticks=(0.01, 0.03, 0.1, 0.3, 1))
    ax.set_xlim(theta[0], theta[-1])
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("angle θ (radians)")
    ax.set_ylabel("share of networks with angle ≤ θ")
    ax.set_title("Orthogonal inputs through narrow ReLU layers")
    styles = [
        Line2D([], [], color=INK, label="width 64"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle=_WIDTHS[256], label="width 256"),
        Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="infinite width"),
    ]
    ax.legend(handles=[*ax.get_legend_handles_labels()[0], *styles], loc="upper left", borderaxespad=0.1)
    return ax
