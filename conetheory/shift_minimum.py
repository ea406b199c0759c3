"""Where the CLIP loss of shifted embeddings is least, and from which temperature closing the gap pays (ours).

The shift, its algebra and its words are those of `shift`; proofs: ``docs/theory.md`` §7.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from . import _shift_geometry as _algebra
from ._shift_geometry import checked_geometry, interval, temperature_axis

__all__ = ["ShiftMinimum", "critical_temperature", "local_minima", "minimise_shift"]

_GRID_STEP = 0.01  # in λ: minima closer than this are one
_TEMPERATURES = 61  # points of the scan for the critical temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftMinimum:
    """A minimum of the CLIP loss over the shift.

    Attributes
    ----------
    lam : float
        Shift λ, in units of the gap vector.
    signed_gap : float
        As in `ShiftLandscape`.
    loss : float
        In nats.
    at_bound : bool
        Whether it is an end of the interval searched, where the slope need not vanish.
    """

    lam: float
    signed_gap: float
    loss: float
    at_bound: bool

    @property
    def gap(self) -> float:
        """Distance of the means of the shifted unit rows."""
        return abs(self.signed_gap)


def local_minima(
    x: ArrayLike,
    y: ArrayLike,
    temperature: float,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (-0.5, 1.5),
) -> tuple[ShiftMinimum, ...]:
    """All local minima of the CLIP loss over a closed interval of shifts.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.
    temperature : float
        τ, at least 1/300.
    batch, direction
        As in `shift_landscape`.
    bounds : (float, float)
        Interval of λ. An end is a minimum of the interval where the slope points out of it.

    Returns
    -------
    tuple of ShiftMinimum
        In ascending λ, at least one. The slope is scanned in steps of 0.01 and its upward roots are found to 1e-12:
        minima closer than a step may be missed.

    Examples
    --------
    >>> x, y = [[-2.0, 0.0], [-1.0, -1.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]
    >>> [round(minimum.lam, 6) for minimum in local_minima(x, y, 0.2, batch=None)]
    [-0.5, 0.392804, 1.5]
    """
    low, high = interval(bounds)
    grid = np.linspace(low, high, int(np.ceil((high - low) / _GRID_STEP)) + 1)
    tau = temperature_axis("temperature", float(temperature))
    geometry = checked_geometry(x, y, batch, direction)

    def slope(lam: float) -> float:
        return float(_algebra.slope(geometry, np.array([lam]), tau, direction)[0, 0])

    slopes = _algebra.slope(geometry, grid, tau, direction)[0]
    rises = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] >= 0))
    interior = [_root(slope, grid[k], grid[k + 1]) for k in rises]
    found = [low] * bool(slopes[0] >= 0) + interior + [high] * bool(slopes[-1] < 0)
    lambdas = np.array(found)
    gaps = _algebra.signed_gap(geometry, lambdas)
    losses = _algebra.loss(geometry, lambdas, tau, direction)[0]
    return tuple(
        ShiftMinimum(lam=lam, signed_gap=float(gap), loss=float(loss), at_bound=lam in (low, high))
        for lam, gap, loss in zip(found, gaps, losses, strict=True)
    )


def minimise_shift(
    x: ArrayLike,
    y: ArrayLike,
    temperature: float,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (-0.5, 1.5),
) -> ShiftMinimum:
    """Global minimum of the CLIP loss over a closed interval of shifts: the least of `local_minima`, same arguments.

    Examples
    --------
    >>> x, y = [[-2.0, 0.0], [-1.0, -1.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]
    >>> minimise_shift(x, y, 0.2, batch=None, bounds=(0.0, 0.5)).at_bound
    False
    """
    minima = local_minima(x, y, temperature, batch=batch, direction=direction, bounds=bounds)
    return min(minima, key=lambda minimum: minimum.loss)


def critical_temperature(
    x: ArrayLike,
    y: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (1 / 300, 1.0),
) -> float:
    """Temperature at which closing the gap of given embeddings starts to pay: the root of dL/dλ at λ = 0 (ours).

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.
    batch, direction
        As in `shift_landscape`.
    bounds : (float, float)
        Temperatures searched, 1/300 ≤ low < high.

    Returns
    -------
    float
        τ to 1e-10 relative: on one side a small closing shift lowers the loss, on the other it raises it.

    Raises
    ------
    ValueError
        If the slope changes sign never or more than once on 61 temperatures spaced evenly in the logarithm.

    Examples
    --------
    >>> x, y = [[-2.0, 0.0], [-1.0, -1.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]
    >>> round(critical_temperature(x, y, batch=None), 6)
    0.353948
    """
    low, high = interval(bounds)
    temperature_axis("bounds", low)
    grid = np.geomspace(low, high, _TEMPERATURES)
    geometry, zero = checked_geometry(x, y, batch, direction), np.zeros(1)

    def slope(log_temperature: float) -> float:
        return float(_algebra.slope(geometry, zero, np.exp([log_temperature]), direction)[0, 0])

    positive = _algebra.slope(geometry, zero, grid, direction)[:, 0] > 0
    changes = np.flatnonzero(positive[1:] != positive[:-1])
    if changes.size != 1:
        raise ValueError(
            f"`bounds` must hold one change of sign of dL/dlambda at 0, got {changes.size} between {low} and {high}."
        )
    low, high = np.log(grid[changes[0] : changes[0] + 2])
    return float(np.exp(_root(slope, low, high)))


def _root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of `slope` between two points where a scan saw different signs."""
    at_low, at_high = slope(low), slope(high)
    if not at_low * at_high < 0:  # the root is an end of the cell, up to rounding
        return float(low if abs(at_low) <= abs(at_high) else high)
    return float(brentq(slope, low, high, xtol=1e-12))  # type: ignore[arg-type]
