"""How fast failures of Theorem 1 die out with the width: from what can be counted to far below what can be seen."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from conetheory._relu_tilt import tilt, tilted_moments
from conetheory._saddlepoint import log_tails
from conetheory.contraction import chebyshev_constant, failure_probability_nonpositive, preactivation_angle

from .canvas import MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale, plot_measured

__all__ = ["plot_failure_tail"]

_COSINES = (0.1, 0.5, 0.9)
_FLOOR = 1e-60
_PROBABILITIES = (
    "liang.theorem1.probability",
    "conetheory.large_deviation.probability",
    "conetheory.rare_event.plain",
    "conetheory.rare_event.tilted",
    "conetheory.theorem1.zero_cosine",
)


def _log_failure(cosine: float, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the refined probability and of Chernoff's bound for unit vectors, at whole widths."""
    theta = float(preactivation_angle(cosine, 1, 1))
    found = tilt(cosine, theta)
    moments = tilted_moments(found.t, cosine, theta)
    refined = [log_tails(found, moments, cosine, int(d)).failure for d in width]
    return np.array(refined), -width * found.rate


def plot_failure_tail(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the probability that a layer does not raise the cosine of unit vectors against its width, down to 1e-60.

    Lines: the probability, Chernoff's bound (dashed) and the O(1/d) of the paper, K/d (dotted). Dots: verdicts
    ``liang.theorem1.probability``, ``conetheory.large_deviation.probability``, ``conetheory.rare_event.plain`` and
    ``conetheory.theorem1.zero_cosine``, counted, and ``conetheory.rare_event.tilted``, sampled under a tilt.
    """
    verdicts = list(verdicts)
    width = np.unique(np.geomspace(4, 4096, 161).astype(int))
    colours = dict(zip((0.0, *_COSINES), PALETTE, strict=False))
    narrow = np.arange(1, 400)
    exact = failure_probability_nonpositive(0.0, 1, 1, narrow)
    ax.plot(narrow, exact, color=colours[0.0], label="c₀ = 0, exact")
    for cosine in _COSINES:
        colour = colours[cosine]
        refined, chernoff = _log_failure(cosine, width)
        shown = chernoff > math.log(_FLOOR) - 5
        ax.plot(width[shown], np.exp(refined[shown]), color=colour, label=f"c₀ = {cosine:g}")
        ax.plot(width[shown], np.exp(chernoff[shown]), color=colour, linewidth=1, linestyle=(0, (4, 3)))
        bound = np.minimum(chebyshev_constant(cosine, 1, 1) / width, 1)
        ax.plot(width, bound, color=colour, linewidth=1, linestyle=(0, (1, 2)))
    for prefix in _PROBABILITIES:
        for cells, at in cells_at(verdicts, prefix, "cosine", "norm_u", "norm_v", "width"):
            seen = (at["norm_u"] == 1) & (at["norm_v"] == 1) & (cells.measured > _FLOOR)
            seen &= (cells.measured <= 1) & (cells.measured > 2 * cells.stderr)
            for cosine, colour in colours.items():
                chosen = seen & (at["cosine"] == cosine)
                plot_measured(ax, at["width"][chosen], cells.subset(chosen), colour=colour)
    ax.plot([], [], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="Chernoff's bound")
    ax.plot([], [], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="K/d")
    log_scale(ax, "x", ticks=(1, 4, 16, 64, 256, 1024, 4096))
    log_scale(ax, "y")
    ax.set_ylim(_FLOOR, 10)
    ax.set_xlabel("width d (units)")
    ax.set_ylabel("P(cosine does not rise)")
    ax.set_title("Theorem 1: failures die out exponentially")
    ax.legend(loc="lower left", borderaxespad=0.1)
    return ax
