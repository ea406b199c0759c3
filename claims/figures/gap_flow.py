"""How the modality gap moves: its course under each law of the temperature, and where mismatched pairs keep it."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from claims.yaras.course import LAWS, PAIRS, START
from claims.yaras.equilibria import REST_ID
from conetheory.closing_laws import late_scale
from conetheory.gap_closing import sharp_closing_bound
from conetheory.gap_conservation import conserved_log_gamma
from conetheory.gap_equilibria import fixed_rest
from conetheory.gap_flow import GapFlow, gap_flow
from conetheory.loss_profiles import simplex_profile
from conetheory.temperature_laws import exponential_law

from .canvas import INK, MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale

__all__ = ["plot_gap_course", "plot_pitchfork"]

_LAST, _LEAST = 1e14, 1e-6  # time, and the smallest gap shown


@cache
def _course(name: str) -> GapFlow:
    flow = gap_flow(simplex_profile(PAIRS), LAWS[name][1], *START, t_end=_LAST, closed_log_gamma=-40.0)
    return flow.at(np.append(0.0, np.geomspace(0.1, flow.t_last * (1 - 1e-12), 400)))


def plot_gap_course(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the gap of 64 matched pairs against time under six laws of the temperature, with late laws and a bound.

    Dots: verdicts ``conetheory.gap_flow.course.<law>`` with cells at ``t``, which hold ln γ.
    """
    verdicts = list(verdicts)
    for (name, (title, _)), colour in zip(LAWS.items(), PALETTE, strict=False):
        flow = _course(name)
        broad = {"linewidth": 4, "alpha": 0.6} if name == "linear" else {}  # softplus all but coincides with it
        ax.plot(flow.t[1:], 2 * flow.gamma[1:], color=colour, label=title, **broad)
        for cells, at in cells_at(verdicts, f"conetheory.gap_flow.course.{name}", "t"):
            shown = cells.measured > np.log(_LEAST / 2)
            ax.plot(at["t"][shown], 2 * np.exp(cells.measured[shown]), "o", color=colour, markersize=4, zorder=3)
    margin, late = PAIRS / (PAIRS - 1), np.geomspace(3e4, _LAST, 100)
    for law, label in ((exponential_law(), "late law"), (exponential_law(2.0), None)):
        log_gamma = conserved_log_gamma(law, *START, late_scale(law, late, PAIRS, margin))
        ax.plot(late, 2 * np.exp(log_gamma), color=MUTED, linestyle="--", label=label)
    t = np.geomspace(0.1, _LAST, 200)
    bound = sharp_closing_bound(t, PAIRS, margin, START[0], beta0=START[1])
    ax.plot(t, 2 * bound, color=INK, linestyle=":", label="bound for e^ν")
    log_scale(ax, "x")
    log_scale(ax, "y")
    ax.set_xlim(1, _LAST)
    ax.set_ylim(_LEAST, 1.0)
    ax.set_xlabel("time of the gradient flow t")
    ax.set_ylabel("gap 2γ")
    ax.set_title("Matched pairs: how the gap closes")
    ax.legend(loc="lower left", bbox_to_anchor=(0.36, 0.0), borderaxespad=0.3, fontsize="small")
    return ax


def plot_pitchfork(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw where mismatched pairs come to rest at a fixed temperature, against the logit scale over that of least loss.

    Dots: verdict ``conetheory.gap_flow.fixed_rest`` with cells at ``beta_over_s``.
    """
    ratio = np.linspace(1.0, 6.0, 400)
    rest = 2 * fixed_rest(1.0, ratio)
    ax.plot([0, 1], [0, 0], color=PALETTE[0], label="stable")
    for sign in (1, -1):
        ax.plot(ratio, sign * rest, color=PALETTE[0])
    ax.plot([1, 6], [0, 0], color=MUTED, linestyle="--", label="unstable")
    for cells, at in cells_at(list(verdicts), REST_ID, "beta_over_s"):
        ax.plot(at["beta_over_s"], 2 * cells.measured, "o", color=PALETTE[1], markersize=4, zorder=3)
    ax.set_xlim(0, 6)
    ax.set_ylim(-2, 2)
    ax.set_xlabel("logit scale β/s*")
    ax.set_ylabel("gap at rest 2γ")
    ax.set_title("Mismatched pairs: the gap that stays")
    ax.legend(loc="lower left", borderaxespad=0.3)
    return ax
