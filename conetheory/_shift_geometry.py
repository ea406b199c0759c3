"""The algebra of the embedding shift and the validation of its arguments; formulas and names are those of `shift`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import as_array, as_choice
from ._pairs import unit_pairs
from .contrastive import DIRECTIONS, batch_slices

__all__ = [
    "AXES",
    "MIN_TEMPERATURE",
    "Geometry",
    "as_vector",
    "checked_geometry",
    "cosine_stacks",
    "interval",
    "lengths",
    "loss",
    "shifted_lengths",
    "signed_gap",
    "slope",
    "temperature_axis",
    "weights",
]

MIN_TEMPERATURE = 1 / 300  # below it exp(1/temperature) may overflow
_NO_GAP = 1e-12  # a shorter gap vector is rounding
_LOST_ROW = 1e-10  # least squared length of a shifted row: below it rounding turns the row
_BLOCK = 2**16  # entries of a stack of cosine matrices: 0.5 MB, in cache
AXES = {"x-to-y": (-1,), "y-to-x": (-2,), "symmetric": (-1, -2)}  # the candidates a softmax runs over


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """What every shift and temperature share: unit rows, Δ, D = ‖Δ‖², p = XΔ, q = YΔ, and S = XYᵀ batch by batch."""

    x: np.ndarray
    y: np.ndarray
    delta: np.ndarray
    norm2: float
    p: np.ndarray
    q: np.ndarray
    batches: list[slice]
    products: list[np.ndarray]


def as_vector(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value`, a scalar or a vector, as a vector."""
    array = np.atleast_1d(as_array(name, value))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"`{name}` must be a scalar or a non-empty vector, got shape {array.shape}.")
    return array


def temperature_axis(name: str, value: ArrayLike) -> np.ndarray:
    """Return `value` as a vector of temperatures in the range of the exponentials."""
    array = as_vector(name, value)
    if not np.all(array >= MIN_TEMPERATURE):
        raise ValueError(f"`{name}` must be at least 1/300, got {array.min():.6g}.")
    return array


def interval(bounds: tuple[float, float]) -> tuple[float, float]:
    """Return the two ends of `bounds`, increasing."""
    low, high = (float(as_array("bounds", end)) for end in bounds)
    if not low < high:
        raise ValueError(f"`bounds` must be increasing, got ({low}, {high}).")
    return low, high


def checked_geometry(x: ArrayLike, y: ArrayLike, batch: int | None, direction: str) -> Geometry:
    """Return the geometry of the paired rows `x`, `y`, normalised; no gap is an error."""
    as_choice("direction", direction, DIRECTIONS)
    x, y = unit_pairs(x, y)
    delta = x.mean(axis=0) - y.mean(axis=0)
    gap = np.linalg.norm(delta)
    if not gap > _NO_GAP:
        raise ValueError(f"`x` and `y` must have different means: there is no gap to shift along, got {gap:.3g}.")
    batches = batch_slices(len(x), batch)
    return Geometry(
        x=x,
        y=y,
        delta=delta,
        norm2=float(delta @ delta),
        p=x @ delta,
        q=y @ delta,
        batches=batches,
        products=[x[rows] @ y[rows].T for rows in batches],
    )


def shifted_lengths(name: str, products: np.ndarray, lambdas: np.ndarray, norm2: float) -> np.ndarray:
    """Return the lengths of unit rows less λΔ, whose products with Δ are `products`, shape (L, n); one at the origin is
    an error.
    """
    lam = lambdas[:, None]
    square = 1 - 2 * lam * products + lam**2 * norm2
    lost = np.argwhere(square <= _LOST_ROW)
    if lost.size:
        shift, row = lost[0]
        raise ValueError(f"`{name}` has a row shifted onto the origin: row {row} at lambda {lambdas[shift]:.6g}.")
    return np.sqrt(square)


def lengths(geometry: Geometry, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a_i and b_j, shape (L, n) each; a row shifted onto the origin is an error."""
    a = shifted_lengths("x", geometry.p, lambdas, geometry.norm2)
    return a, shifted_lengths("y", -geometry.q, lambdas, geometry.norm2)


def signed_gap(geometry: Geometry, lambdas: np.ndarray) -> np.ndarray:
    """Return the norm of the gap vector of the shifted unit rows, with the sign of its product with Δ; shape (L,)."""
    a, b = lengths(geometry, lambdas)
    means = (1 / a) @ geometry.x - (1 / b) @ geometry.y
    along = lambdas * np.sum(1 / a + 1 / b, axis=1)
    gaps = (means - along[:, None] * geometry.delta) / len(geometry.x)
    return np.copysign(np.linalg.norm(gaps, axis=1), gaps @ geometry.delta)


def cosine_stacks(geometry: Geometry, lambdas: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield (rows of a batch, chunk of the shifts, cosines (l, b, b)), about `_BLOCK` entries at a time."""
    a, b = lengths(geometry, lambdas)
    for rows, product in zip(geometry.batches, geometry.products, strict=True):
        tilt = geometry.p[rows, None] - geometry.q[rows]
        step = max(1, _BLOCK // product.size)
        for start in range(0, len(lambdas), step):
            chunk = slice(start, start + step)
            lam = lambdas[chunk, None, None]
            dots = product + lam * tilt - lam**2 * geometry.norm2
            yield rows, chunk, dots / (a[chunk, rows, None] * b[chunk, None, rows])


def _turns(geometry: Geometry, rows: slice, lambdas: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """Return the derivatives in λ of the cosines of one batch, shape (l, b, b)."""
    lam = lambdas[:, None, None]
    p, q, norm2 = geometry.p[rows, None], geometry.q[rows], geometry.norm2
    a2 = 1 - 2 * lam * p + lam**2 * norm2
    b2 = 1 + 2 * lam * q + lam**2 * norm2
    return (p - q - 2 * lam * norm2) / np.sqrt(a2 * b2) - cosines * ((lam * norm2 - p) / a2 + (lam * norm2 + q) / b2)


def weights(cosines: np.ndarray, temperature: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return e^(c_ij/τ) with a zero diagonal, and e^(−c_ii/τ); no overflow as 1/τ ≤ 300. Both directions share them.

    One temperature, or one for each matrix of the stack, shape (l,).
    """
    temperature = np.asarray(temperature)
    others = np.exp(cosines / temperature[..., None, None])
    diagonal = np.arange(cosines.shape[-1])
    others[:, diagonal, diagonal] = 0.0
    return others, np.exp(-cosines[:, diagonal, diagonal] / temperature[..., None])


def loss(geometry: Geometry, lambdas: np.ndarray, temperatures: np.ndarray, direction: str) -> np.ndarray:
    """Return the CLIP loss, shape (T, L): the mean over pairs of ln(1 + Σ_{j≠i} e^((c_ij − c_ii)/τ))."""
    total = np.zeros((len(temperatures), len(lambdas)))
    axes = AXES[direction]
    for _, chunk, cosines in cosine_stacks(geometry, lambdas):
        for row, temperature in zip(total, temperatures, strict=True):
            others, own = weights(cosines, temperature)
            for axis in axes:
                row[chunk] += np.sum(np.log1p(others.sum(axis=axis) * own), axis=-1)
    return total / (len(axes) * len(geometry.x))


def slope(geometry: Geometry, lambdas: np.ndarray, temperatures: np.ndarray, direction: str) -> np.ndarray:
    """Return dL/dλ, shape (T, L): the softmax average over j ≠ i of (c'_ij − c'_ii)/τ, summed as in `loss`."""
    total = np.zeros((len(temperatures), len(lambdas)))
    axes = AXES[direction]
    for rows, chunk, cosines in cosine_stacks(geometry, lambdas):
        turns = _turns(geometry, rows, lambdas[chunk], cosines)
        own_turn = np.diagonal(turns, axis1=-2, axis2=-1)
        for row, temperature in zip(total, temperatures, strict=True):
            others, own = weights(cosines, temperature)
            moved = others * turns
            for axis in axes:
                mass = others.sum(axis=axis)
                excess = (moved.sum(axis=axis) - own_turn * mass) * own / (1 + mass * own)
                row[chunk] += np.sum(excess, axis=-1) / temperature
    return total / (len(axes) * len(geometry.x))
