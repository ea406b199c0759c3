"""The phase diagram of wide random networks: where all inputs become one direction, and where they stay apart."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from conetheory.phases import critical_point

from .canvas import INK, PALETTE
from .cells import cells_at

__all__ = ["plot_phases"]

_LINES = {"tanh": PALETTE[1], "erf": PALETTE[2], "gelu": PALETTE[3]}
_WIDEST, _LARGEST_BIAS = 4.0, 0.4
_VARIANCES = np.geomspace(1e-3, 6.0, 60)  # of the pre-activations along a line


def plot_phases(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the critical lines of some activations, and the two phases of tanh.

    Dots: verdict ``poole.phases.chi_1``, tanh networks: full where the measured slope at cosine 1 is below 1, open
    where it is above.
    """
    for name, colour in _LINES.items():
        points = [critical_point(name, float(k)) for k in _VARIANCES]
        weight, bias = np.array([p.sigma_w2 for p in points]), np.array([p.sigma_b2 for p in points])
        ax.plot(weight, bias, color=colour, label=name)
        if name == "tanh":
            ax.fill_betweenx(bias, weight, _WIDEST, color=colour, alpha=0.1, linewidth=0)
    ax.plot([2.0], [0.0], "s", color=PALETTE[0], markersize=6, clip_on=False, zorder=4, label="relu: one point")
    for cells, at in cells_at(verdicts, "poole.phases.chi_1", "sigma_w2", "sigma_b2"):
        ordered = cells.measured < 1
        for chosen, fill in ((ordered, _LINES["tanh"]), (~ordered, "white")):
            ax.plot(
                at["sigma_w2"][chosen],
                at["sigma_b2"][chosen],
                "o",
                color=_LINES["tanh"],
                markerfacecolor=fill,
                markersize=5,
                zorder=3,
            )
    ax.text(0.62, 0.2, "tanh: ordered,\none direction", color=INK, fontsize="small")
    ax.text(2.75, 0.03, "tanh: chaotic", color=INK, fontsize="small")
    ax.set_xlim(0.5, _WIDEST)
    ax.set_ylim(0, _LARGEST_BIAS)
    ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.yaxis.set_major_locator(MultipleLocator(0.1))
    ax.set_xlabel("weight variance σ_w² (times the fan-in)")
    ax.set_ylabel("bias variance σ_b² (per unit)")
    ax.set_title("Order and chaos: the slope at cosine 1 is 1 on the lines")
    ax.legend(loc="upper right", borderaxespad=0.1)
    return ax
