"""What treatments leave of the gap: free features that descend, beside the trained CLIP of Yaras et al."""

from functools import cache

import numpy as np
from matplotlib.axes import Axes

from claims.yaras.mitigations import FIXED_PLANS, HARD_PLANS, SCHEDULED_PLANS, TREATED, final_gaps
from claims.yaras.published import (
    BASELINE,
    FIXED,
    HARD_SWAP,
    REPARAMETRISED,
    ROW_SWAP,
    SCHEDULED,
    SLOWED,
    SOFT_SWAP,
)
from sims.feature_descent import DescentPlan

from .canvas import PALETTE
from .claim import log_scale

__all__ = ["plot_gap_by_fraction", "plot_gap_by_temperature", "plot_treatments"]

_SEEDS = 8
_TRAINED = "trained CLIP (Yaras et al.)"
_SCHEDULES = {
    f"τ .01 → {stop:.2f}".replace("0.", "."): (plan, SCHEDULED[stop]) for stop, plan in SCHEDULED_PLANS.items()
}
_PRINTED: dict[str, float | None] = {
    "learned": BASELINE,
    "softplus": REPARAMETRISED["softplus"],
    "exp(ν/2)": REPARAMETRISED["exp(ν/2)"],
    "ν at .1": SLOWED,
    "soft .05": SOFT_SWAP[0.05],
    "row .05": ROW_SWAP,
}
_TREATMENTS: dict[str, tuple[DescentPlan, float | None]] = {
    **{name: (plan, _PRINTED.get(name)) for name, plan in TREATED.items()},
    **_SCHEDULES,
}


@cache
def _gaps(plans: tuple[DescentPlan, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return means and twice the standard errors of the gaps that the plans leave, shape (plans,)."""
    rng = np.random.default_rng(0)
    found = np.array([final_gaps(rng, plans) for _ in range(_SEEDS)])
    return found.mean(axis=0), 2 * found.std(axis=0, ddof=1) / np.sqrt(_SEEDS)


def _drawn(ax: Axes, at: np.ndarray, plans: tuple[DescentPlan, ...], printed: list[float | None]) -> None:
    mean, error = _gaps(plans)
    ax.errorbar(at, mean, yerr=error, fmt="o", color=PALETTE[0], markersize=4, label="free features ± 2 s.e.")
    trained = [np.nan if value is None else value for value in printed]
    ax.plot(at, trained, "x", color=PALETTE[1], markersize=6, label=_TRAINED)
    ax.set_ylabel("gap ‖x̄ − ȳ‖ at the end")
    ax.set_ylim(bottom=0)
    ax.legend(loc="best")


def plot_treatments(*, ax: Axes) -> Axes:
    """Draw the gap that each treatment leaves, of free features over 8 starts and of trained CLIP where printed.

    Our notes of the paper give no fraction of steps beside the row swap.
    """
    names = list(_TREATMENTS)
    plans, printed = zip(*_TREATMENTS.values(), strict=True)
    _drawn(ax, np.arange(len(names)), plans, list(printed))
    ax.set_xticks(np.arange(len(names)), names, rotation=45, ha="right")
    ax.set_title("Treatments of the gap")
    return ax


def plot_gap_by_temperature(*, ax: Axes) -> Axes:
    """Draw the gap at a fixed temperature."""
    _drawn(ax, np.array(list(FIXED_PLANS)), tuple(FIXED_PLANS.values()), [FIXED[tau] for tau in FIXED_PLANS])
    log_scale(ax, "x")
    ax.set_xlabel("fixed temperature τ")
    ax.set_title("A warm loss closes the gap")
    return ax


def plot_gap_by_fraction(*, ax: Axes) -> Axes:
    """Draw the gap by the fraction of steps in which entries are swapped."""
    _drawn(ax, np.array(list(HARD_PLANS)), tuple(HARD_PLANS.values()), list(HARD_SWAP.values()))
    log_scale(ax, "x")
    ax.set_xlabel("fraction of steps with hard swaps p")
    ax.set_title("Rare swaps are enough")
    return ax
