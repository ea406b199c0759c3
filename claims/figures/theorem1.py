"""Theorem 1 of Liang et al.: how one random ReLU layer moves a cosine, and where it rises."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from conetheory.contraction import limiting_cosine, paper_threshold, sharp_threshold

from .canvas import MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale, plot_measured

__all__ = ["plot_contraction", "plot_thresholds"]

_NORMS = ((1, 1), (2, 1), (4, 1))
_LEAST_NORMS = (0.1, 0.5, 1, 10)


def plot_contraction(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the limiting cosine after one layer against the cosine before it, for several norms, and without bias.

    Dots: verdict ``cho_saul.infinite_width_map``, a wide layer without bias.
    """
    cosine = np.linspace(-1, 1, 201)
    ax.plot(cosine, cosine, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="no change")
    ax.plot(cosine, limiting_cosine(cosine, 1, 1, sigma_b2=0.0), color=PALETTE[4], label="κ, no bias")
    for colour, (a, b) in zip(PALETTE, _NORMS, strict=False):
        ax.plot(cosine, limiting_cosine(cosine, a, b), color=colour, label=f"‖u‖ = {a}, ‖v‖ = {b}")
    for cells, at in cells_at(verdicts, "cho_saul.infinite_width_map", "rho"):
        plot_measured(ax, at["rho"], cells, colour=PALETTE[4])
    ax.set_xlabel("cosine before the layer, c₀")
    ax.set_ylabel("cosine after, infinite width")
    ax.set_title("One ReLU layer pulls vectors together")
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    ax.yaxis.set_major_locator(MultipleLocator(0.5))
    ax.legend(loc="lower right", borderaxespad=0.1)
    return ax


def plot_thresholds(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the threshold below which a layer raises a cosine: exact, and the paper's, against the ratio of the norms.

    Dots: verdicts ``liang.theorem1.threshold_sufficient`` and ``conetheory.theorem1.sharp_threshold_value``.
    """
    verdicts = list(verdicts)
    ratio = np.geomspace(1, 20, 121)
    ax.plot(ratio, paper_threshold(ratio, 1), color=PALETTE[0], label="sufficient: 2/(r + 1/r)")
    for colour, least in zip(PALETTE[2:], _LEAST_NORMS, strict=False):
        ax.plot(ratio, sharp_threshold(ratio * least, least), color=colour, label=f"exact, ‖v‖ = {least:g}")
        for prefix in ("liang.theorem1.threshold_sufficient", "conetheory.theorem1.sharp_threshold_value"):
            for cells, at in cells_at(verdicts, prefix, "norm_u", "norm_v"):
                short, long = np.sort([at["norm_u"], at["norm_v"]], axis=0)
                chosen = (short == least) & (long <= ratio[-1] * short)
                plot_measured(ax, (long / short)[chosen], cells.subset(chosen), colour=colour)
    log_scale(ax, "x", ticks=(1, 2, 5, 10, 20))
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("ratio of the norms r = ‖u‖/‖v‖ ≥ 1")
    ax.set_ylabel("threshold on c₀")
    ax.set_title("Where the cosine stops rising")
    ax.legend(loc="lower left", borderaxespad=0.1)
    return ax
