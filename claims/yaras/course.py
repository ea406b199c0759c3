"""The course of the gap of matched pairs, and of mismatched ones, under each law of the temperature, over 14 decades."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed
from claims.yaras.rows import march
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import simplex_profile
from conetheory.temperature_laws import (
    TemperatureLaw,
    exponential_law,
    fixed_law,
    linear_law,
    linear_schedule,
    softplus_law,
)

__all__ = ["CLAIMS", "LAWS", "PAIRS", "START"]

PAIRS = 64
"""Pairs, at the corners of a simplex."""

START = (0.3, 14.3)
"""Initial γ and logit scale."""

_STOP, _HORIZON = 30.0, 1e4
LAWS: dict[str, tuple[str, TemperatureLaw]] = {
    "exp": ("β = e^ν", exponential_law()),
    "slow_exp": ("β = e^(ν/2)", exponential_law(2.0)),
    "linear": ("β = ν", linear_law()),
    "softplus": ("softplus", softplus_law()),
    "fixed": ("fixed", fixed_law()),
    "schedule": ("straight from 14.3 to 30", linear_schedule(START[1], _STOP, _HORIZON)),
}
"""Name in a figure, and law, by the last word of the claim's id."""

_SLOPES: dict[str, Callable[[float], float]] = {
    "exp": lambda b: b,
    "slow_exp": lambda b: b / 2,
    "linear": lambda _: 1.0,
    "softplus": lambda b: 1 - np.exp(-b),
    "fixed": lambda _: 0.0,
    "schedule": lambda _: 0.0,
}
_EARLY = (1.0, 1e2, 1e3, 3e3, 1e4)
_LATE = (1e6, 1e8, 1e10, 1e12, 1e14)
_TIMES = {
    "exp": (*_EARLY, *_LATE),
    "slow_exp": (*_EARLY, *_LATE),
    "linear": (*_EARLY, 3e4),
    "softplus": (*_EARLY, 3e4),
    "fixed": (*_EARLY, 2e4),
    "schedule": (*_EARLY, *_LATE),
}


def _force(a: float) -> float:
    """Return -l'(a) of 64 corners of a simplex."""
    margin = PAIRS / (PAIRS - 1)
    weight = (PAIRS - 1) * np.exp(-margin * a)
    return margin * weight / (1 + weight)


@cache
def _marched(name: str) -> tuple[float, ...]:
    times = np.array(_TIMES[name])
    schedule = (lambda t: START[1] + (_STOP - START[1]) * min(t / _HORIZON, 1.0)) if name == "schedule" else None
    states = march(_force, _SLOPES[name], START, times, 4000, schedule)
    return tuple(float(value) for value in states[:, 0])


def _flowed(name: str, law: TemperatureLaw) -> list[float]:
    times = _TIMES[name]
    return [float(x) for x in gap_flow(simplex_profile(PAIRS), law, *START, t_end=times[-1]).at(times).log_gamma]


def _course(name: str) -> Claim:
    title, law = LAWS[name]
    other = linear_law() if name.endswith("exp") else exponential_law()
    return Claim(
        id=f"conetheory.gap_flow.course.{name}",
        paper=OURS,
        section="docs/theory.md, section 21",
        statement=f"The gap of 64 matched pairs follows the integrated flow where the temperature is that of the law {title}.",
        formula=r"\dot\gamma = -2\beta\gamma\,g(\beta(1-\gamma^2))",
        kind="value",
        predict=partial(_flowed, name, law),
        measure=Computed(compute=lambda: _marched(name), error=1e-5),
        grid=tuple({"t": t} for t in _TIMES[name]),
        resolution=1e-4,
        plants=(
            Plant(
                name="another_law",
                statement="It follows the flow of another law.",
                predict=partial(_flowed, name, other),
            ),
        ),
        note="Cells are ln γ. Measured by an explicit Runge–Kutta method of fixed steps in ln(1 + t).",
    )


CLAIMS = tuple(_course(name) for name in LAWS)
