"""How the modality gap moves: its course under each law of the temperature, and where mismatched pairs keep it."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from claims.yaras.course import LAWS, PAIRS, START
from claims.yaras.equilibria import REST_ID
from claims.yaras.figure1 import COURSE_ID, random_starts, reduced_courses
from conetheory.closing_laws import late_scale
from conetheory.gap_closing import sharp_closing_bound
from conetheory.gap_conservation import conserved_log_gamma
from conetheory.gap_equilibria import fixed_rest
from conetheory.gap_flow import GapFlow, gap_flow
from conetheory.loss_profiles import simplex_profile
from conetheory.temperature_laws import exponential_law
from sims.flow_seeds import FlowSample, estimates, sample_flows
from sims.flow_starts import parallel_start, uniform_start
from sims.gradient_flow import FeatureFlow, gradient_flow

from .canvas import INK, MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale

__all__ = ["SNAPSHOTS", "plot_flow_against_reduced", "plot_gap_course", "plot_pitchfork", "plot_snapshot"]

_LAST, _LEAST = 1e14, 1e-6  # time, and the smallest gap shown
_FREE_LAST = 1e3
SNAPSHOTS = (0.0, 0.1, 2.0)
"""Times at which `plot_snapshot` shows pairs in three dimensions."""


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


@cache
def _free() -> FlowSample:
    starts = random_starts(np.random.default_rng(0), 8)  # those of the reduced flow
    times = np.append(0.0, np.geomspace(1e-3, _FREE_LAST, 33))
    return sample_flows(starts, exponential_law(), times, beta0=10.0, rtol=1e-2)


def plot_flow_against_reduced(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the gap of 64 random pairs against time: free features as dots, the reduced flow with frozen ones as a line.

    Small dots: means of eight seeds ± 2 standard errors; dark ones: verdict ``conetheory.free_features.below_reduced``
    with cells at ``t``. The upright line is the median of the times from which on all pairs are matched.
    """
    free = _free()
    times = tuple(np.geomspace(1e-3, _FREE_LAST, 120))
    ax.plot(times, reduced_courses(times).mean(axis=0), color=PALETTE[0], label="reduced flow, frozen features")
    found = estimates(free.gap_norm[:, 1:])
    values, errors = (np.array([getattr(e, name) for e in found]) for name in ("value", "stderr"))
    dots = {"fmt": "o", "color": PALETTE[1], "markersize": 3, "label": "free features, ± 2 standard errors"}
    ax.errorbar(free.t[1:], values, 2 * errors, **dots)
    for cells, at in cells_at(list(verdicts), COURSE_ID, "t"):
        ax.errorbar(at["t"], cells.measured, 2 * cells.stderr, fmt="o", color=INK, markersize=4, label="claim")
    ax.axvline(float(np.median(free.matched_at())), color=MUTED, linestyle=":", label="all free pairs matched")
    log_scale(ax, "x")
    ax.set_xlim(times[0], times[-1])
    ax.set_ylim(0, 2)
    ax.set_xlabel("time of the gradient flow t")
    ax.set_ylabel("gap Δ")
    ax.set_title("Random pairs: free features mend their pairs")
    ax.legend(loc="center right")
    return ax


@cache
def _three_dimensional() -> tuple[FeatureFlow, ...]:
    """Return the flow of 24 random pairs in three dimensions up to each of `SNAPSHOTS`."""
    start = parallel_start(*_circle_rows(), 0.3)
    flows = (gradient_flow(start.x, start.y, exponential_law(), [t], beta0=8.0, rtol=1e-3) for t in SNAPSHOTS)
    return tuple(flows)


def _circle_rows() -> tuple[np.ndarray, np.ndarray]:
    rows = uniform_start(24, 2, rng=0)
    return rows.x, rows.y


def plot_snapshot(index: int, *, ax: Any) -> Any:
    """Draw 24 pairs on the sphere in three dimensions at time `index` of `SNAPSHOTS`; lines join the pairs.

    `ax` has the projection ``3d``. At the start the pairs lie at random on two circles of latitude.
    """
    flow = _three_dimensional()[index]
    ax.scatter(*flow.x.T, color=PALETTE[0], s=12, label="images", depthshade=False)
    ax.scatter(*flow.y.T, facecolors="none", edgecolors=PALETTE[1], s=34, label="texts", depthshade=False)
    for pair in zip(flow.x, flow.y, strict=True):
        ax.plot(*np.transpose(pair), color=MUTED, linewidth=0.6)
    turns, heights = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
    sphere = np.cos(turns) * np.sin(heights), np.sin(turns) * np.sin(heights), np.cos(heights)
    ax.plot_wireframe(*sphere, color=MUTED, linewidth=0.2, alpha=0.5)
    ax.set_box_aspect((1, 1, 1), zoom=1.45)
    ax.set_axis_off()
    ax.set_title(f"t = {flow.t[0]:g}: gap {flow.gap_norm[0]:.2f}, matched {100 * flow.matched[0]:.0f} %")
    return ax
