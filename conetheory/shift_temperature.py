r"""The best temperature of given embeddings, as they are and along the embedding shift (ours; ``docs/theory.md`` §7).

With :math:`\beta = 1/\tau` the CLIP loss is convex in :math:`\beta`, being a mean of :math:`\ln(1 + \sum_{j\ne i}
e^{\beta(c_{ij} - c_{ii})})`. With P the softmax of :math:`\beta c` over the candidates of a row, its derivatives are

.. math::
   \frac{dL}{d\beta} = \frac1n\sum_i\Bigl(\sum_jP_{ij}c_{ij} - c_{ii}\Bigr), \qquad
   \frac{d^2L}{d\beta^2} = \frac1n\sum_i\operatorname{Var}_{P_i}c_{ij}

in one direction, the mean of both for the symmetric loss. So the best temperature is the one root of the slope: it
exists where the matched cosines are above the average at :math:`\beta = 0` and some candidate beats a match.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from ._arrays import as_choice
from ._pairs import unit_pairs
from ._shift_geometry import (
    AXES,
    as_vector,
    checked_geometry,
    cosine_stacks,
    interval,
    signed_gap,
    temperature_axis,
    weights,
)
from .contrastive import DIRECTIONS, batch_slices
from .errors import ConvergenceError

__all__ = ["BestTemperature", "BestTemperatures", "best_shift_temperatures", "best_temperature", "scale_slope"]

_STEPS = 200  # of Newton's method between brackets that shrink
_RELATIVE = 1e-13  # change of 1/τ at which it ends
_Stacks = Callable[[], Iterable[tuple[slice, np.ndarray]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestTemperature:
    """The temperature at which a loss is least.

    Attributes
    ----------
    temperature : float
        τ*.
    loss : float
        The loss there, in nats.
    at_bound : bool
        Whether it is an end of the interval searched, where the slope need not vanish.
    """

    temperature: float
    loss: float
    at_bound: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestTemperatures:
    """The best temperature at each shift.

    Attributes
    ----------
    lambdas : ndarray, shape (L,)
        Shifts, in units of the gap vector.
    signed_gap : ndarray, shape (L,)
        As in `shift.ShiftLandscape`.
    temperatures : ndarray, shape (L,)
        τ*(λ).
    loss : ndarray, shape (L,)
        The loss at λ and τ*(λ), in nats.
    at_bound : ndarray of bool, shape (L,)
        Whether τ*(λ) is an end of the interval searched.
    """

    lambdas: Float[np.ndarray, "L"]
    signed_gap: Float[np.ndarray, "L"]
    temperatures: Float[np.ndarray, "L"]
    loss: Float[np.ndarray, "L"]
    at_bound: Bool[np.ndarray, "L"]


def best_temperature(
    x: ArrayLike,
    y: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (1 / 300, 100.0),
) -> BestTemperature:
    """Temperature at which the CLIP loss of given embeddings is least; they need not have a gap.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here.
    batch, direction
        As in `shift.shift_landscape`.
    bounds : (float, float)
        Temperatures searched, 1/300 ≤ low < high.

    Returns
    -------
    BestTemperature
        1/τ* to a relative 1e-12 or so; an end of `bounds` where the loss is monotone between them.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> x, y = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], [[0.8, 0.6], [1.0, 0.0], [0.0, 1.0]]
    >>> found = best_temperature(x, y, batch=None)
    >>> print(round(found.temperature, 6), round(found.loss, 6), found.at_bound)
    0.384158 0.858325 False
    """
    as_choice("direction", direction, DIRECTIONS)
    x, y = unit_pairs(x, y)
    products = [(slice(0, 1), (x[rows] @ y[rows].T)[None]) for rows in batch_slices(len(x), batch)]
    betas, loss, at_bound = _least(lambda: products, 1, len(x), direction, _scales(bounds))
    return BestTemperature(temperature=float(1 / betas[0]), loss=float(loss[0]), at_bound=bool(at_bound[0]))


def best_shift_temperatures(
    x: ArrayLike,
    y: ArrayLike,
    lambdas: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (1 / 300, 100.0),
) -> BestTemperatures:
    """Best temperature at each embedding shift, and the loss that is left there: what the shift costs beyond a change
    of temperature.

    Parameters
    ----------
    x, y, lambdas, batch, direction
        As in `shift.shift_landscape`.
    bounds : (float, float)
        As in `best_temperature`.

    Returns
    -------
    BestTemperatures
        Time that of some ten temperatures in `shift.shift_landscape`.

    Raises
    ------
    ValueError
        If the gap is zero, a row is shifted onto the origin, or an argument is out of range.

    Examples
    --------
    >>> x, y = [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], [[0.8, 0.6], [1.0, 0.0], [-0.6, 0.8]]
    >>> best_shift_temperatures(x, y, [0.0, 0.5], batch=None).temperatures.round(4)
    array([0.4363, 0.4167])
    """
    lambdas = as_vector("lambdas", lambdas)
    geometry = checked_geometry(x, y, batch, direction)

    def stacks() -> Iterable[tuple[slice, np.ndarray]]:
        return ((chunk, cosines) for _, chunk, cosines in cosine_stacks(geometry, lambdas))

    betas, loss, at_bound = _least(stacks, lambdas.size, len(geometry.x), direction, _scales(bounds))
    return BestTemperatures(
        lambdas=lambdas,
        signed_gap=signed_gap(geometry, lambdas),
        temperatures=1 / betas,
        loss=loss,
        at_bound=at_bound,
    )


def scale_slope(
    x: ArrayLike,
    y: ArrayLike,
    lambdas: ArrayLike,
    temperatures: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
) -> Float[np.ndarray, "T L"]:
    r"""Slope dL/dβ of the CLIP loss in the logit scale β = 1/τ at every shift, in closed form.

    Parameters
    ----------
    x, y, lambdas, temperatures, batch, direction
        As in `shift.shift_landscape`.

    Returns
    -------
    ndarray, shape (T, L)
        Nats per unit of 1/τ, increasing in 1/τ; negative where a colder temperature pays.

    Raises
    ------
    ValueError
        If the gap is zero, a row is shifted onto the origin, or an argument is out of range.

    Examples
    --------
    >>> scale_slope([[1.0, 0.0], [0.8, 0.6]], [[0.0, 1.0], [0.6, 0.8]], [0.0, 0.5], 1.0, batch=None).round(6)
    array([[0.119724, 0.115842]])
    """
    lambdas, temperatures = as_vector("lambdas", lambdas), temperature_axis("temperatures", temperatures)
    geometry = checked_geometry(x, y, batch, direction)
    out = np.zeros((temperatures.size, lambdas.size))
    for _, chunk, cosines in cosine_stacks(geometry, lambdas):
        for row, temperature in zip(out, temperatures, strict=True):
            row[chunk] += _sums(cosines, np.full(len(cosines), 1 / temperature), direction)[1]
    return out / len(geometry.x)


def _scales(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the least and the greatest β of an interval of temperatures."""
    low, high = interval(bounds)
    temperature_axis("bounds", low)
    return 1 / high, 1 / low


def _sums(cosines: np.ndarray, betas: np.ndarray, direction: str) -> np.ndarray:
    """Return loss, slope and curvature in β summed over the rows of a stack (l, b, b), each at its own β; (3, l)."""
    others, own = weights(cosines, 1 / betas)
    right = np.diagonal(cosines, axis1=-2, axis2=-1)
    moved = others * cosines
    twice = moved * cosines
    axes = AXES[direction]
    total = np.zeros((3, len(cosines)))
    for axis in axes:
        mass = others.sum(axis=axis) * own
        first = moved.sum(axis=axis) * own - right * mass
        second = twice.sum(axis=axis) * own - 2 * right * moved.sum(axis=axis) * own + right**2 * mass
        mean = first / (1 + mass)
        total += np.stack([np.log1p(mass), mean, second / (1 + mass) - mean**2]).sum(axis=-1)
    return total / len(axes)


def _least(
    stacks: _Stacks, shifts: int, rows: int, direction: str, scales: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each shift the β of the least loss between two, that loss, and whether it is an end; (L,) each.

    Newton's method on the slope, which increases; a step out of the bracket is replaced by its geometric middle.
    """

    def means(betas: np.ndarray) -> np.ndarray:
        total = np.zeros((3, shifts))
        for chunk, cosines in stacks():
            total[:, chunk] += _sums(cosines, betas[chunk], direction)
        return total / rows

    low, high = np.full(shifts, scales[0]), np.full(shifts, scales[1])
    warm, cold = means(low)[1] >= 0, means(high)[1] <= 0
    at_bound = warm | cold
    betas = np.where(warm, low, np.where(cold, high, np.sqrt(low * high)))
    for _ in range(_STEPS):
        loss, slope, curvature = means(betas)
        low, high = np.where(slope <= 0, betas, low), np.where(slope >= 0, betas, high)
        newton = betas - slope / np.maximum(curvature, np.finfo(float).tiny)
        inside = (newton >= low) & (newton <= high)
        following = np.where(at_bound, betas, np.where(inside, newton, np.sqrt(low * high)))
        done = np.abs(following - betas) <= _RELATIVE * betas
        betas = following
        if np.all(done):
            return betas, loss, at_bound
    worst = int(np.argmax(high / low))
    raise ConvergenceError(
        f"The best 1/τ lies between {low[worst]:.6g} and {high[worst]:.6g}: not found in {_STEPS} steps.",
        value=float(betas[worst]),
        error=float(high[worst] - low[worst]),
    )
