"""Loss landscape of any pairs under any displacement of the texts, by brute force from their coordinates.

The texts are moved, multiplied with the images, and put through both cross-entropies, at every step; nothing here uses
the closed forms of `conetheory.mismatch`, `conetheory.displacement` or `conetheory.displacement_forms`: this is the
independent measurement of them. The pairs on one meridian each of Liang et al. are in `sims.mismatched_sphere`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm
from scipy.optimize import root_scalar

from conetheory._arrays import as_array, as_count, as_positive, unit_rows
from conetheory._scalars import number, positive_number

from ._sphere_kernels import directed_loss_curves, slope_curve

__all__ = [
    "DirectionalLandscape",
    "DisplacementMinimum",
    "DisplacementPath",
    "displaced_landscape",
    "latitude",
    "leaving_scale",
    "minimise_displacement",
    "path_derivatives",
    "rotation",
    "translation",
]

_ROUNDING = 1e-12  # of a loss per unit of scale: losses that differ by less are equal
_BLOCK = 2**22  # entries of a block of cosines: 32 MB
_STEP = 1e-3  # radians: the displacement at which leaving is told from staying


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DirectionalLandscape:
    """Both cross-entropies over scales and displacements, in nats.

    Attributes
    ----------
    image_to_text, text_to_image : ndarray, shape (n_scales, n_steps)
        Mean cross-entropy of each image over the texts, and of each text over the images.
    """

    image_to_text: np.ndarray
    text_to_image: np.ndarray

    @property
    def symmetric(self) -> np.ndarray:
        """Mean of both, shape (n_scales, n_steps)."""
        return (self.image_to_text + self.text_to_image) / 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplacementPath:
    """Where the texts are after a displacement t, and how fast they then move.

    Attributes
    ----------
    at, velocity : callable
        Take steps t, shape (n_steps,), and return unit rows and their derivatives by t, shape (n_steps, n, m).
    """

    at: Callable[[np.ndarray], np.ndarray]
    velocity: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplacementMinimum:
    """Where the loss is least over an interval of displacements.

    Attributes
    ----------
    minimisers : tuple of float
        All displacements at which the least loss is reached, increasing.
    loss : float
        The least loss, in nats.
    barrier : float
        Loss at zero displacement less the least loss.
    """

    minimisers: tuple[float, ...]
    loss: float
    barrier: float


class PathDerivatives(NamedTuple):
    """First and second derivative of the loss by the displacement, by finite differences."""

    slope: float
    curvature: float


def latitude(texts: ArrayLike) -> DisplacementPath:
    """All texts move to the latitude t, in radians, of one extra dimension, the last coordinate.

    Parameters
    ----------
    texts : array_like, shape (n, d)
        Row i belongs to image i; rows are normalised.
    """
    rows = unit_rows("texts", texts)
    up = np.append(np.zeros(rows.shape[1]), 1.0)
    level = np.column_stack([rows, np.zeros(len(rows))])

    def at(t: np.ndarray) -> np.ndarray:
        return np.cos(t)[:, None, None] * level + np.sin(t)[:, None, None] * up

    return DisplacementPath(at=at, velocity=lambda t: at(t + np.pi / 2))


def rotation(texts: ArrayLike, generator: ArrayLike) -> DisplacementPath:
    """All texts are rotated by exp(t A).

    Parameters
    ----------
    texts : array_like, shape (n, d)
        Row i belongs to image i; rows are normalised, and padded with zeros up to the size of the generator.
    generator : array_like, shape (m, m)
        Antisymmetric matrix A, m >= d.
    """
    matrix = as_array("generator", generator)
    rows = _padded(unit_rows("texts", texts), len(matrix))

    def at(t: np.ndarray) -> np.ndarray:
        return np.array([rows @ expm(step * matrix).T for step in t])

    return DisplacementPath(at=at, velocity=lambda t: at(t) @ matrix.T)


def translation(texts: ArrayLike, vector: ArrayLike) -> DisplacementPath:
    """Add t times a common vector to all texts and normalise.

    Parameters
    ----------
    texts : array_like, shape (n, d)
        Row i belongs to image i; rows are normalised.
    vector : array_like, shape (d,)
        What is added at t = 1.
    """
    rows, step = unit_rows("texts", texts), as_array("vector", vector)
    if step.shape != rows.shape[1:]:
        raise ValueError(f"`vector` must have shape {rows.shape[1:]}, got {step.shape}.")

    def moved(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = rows + t[:, None, None] * step
        return sums, np.linalg.norm(sums, axis=-1, keepdims=True)

    def at(t: np.ndarray) -> np.ndarray:
        sums, lengths = moved(t)
        return sums / lengths

    def velocity(t: np.ndarray) -> np.ndarray:
        sums, lengths = moved(t)
        return step / lengths - sums * (sums @ step)[..., None] / lengths**3

    return DisplacementPath(at=at, velocity=velocity)


def displaced_landscape(images: ArrayLike, texts: ArrayLike, scales: ArrayLike) -> DirectionalLandscape:
    """Cross-entropy of each direction for texts given at every step.

    Parameters
    ----------
    images : array_like, shape (n, d)
        Row i belongs to text i; rows are normalised, n >= 2.
    texts : array_like, shape (n_steps, n, m)
        Unit rows of every step, m >= d: the images have zeros in the further coordinates.
    scales : array_like, shape (n_scales,)
        Inverse temperatures, positive.

    Returns
    -------
    DirectionalLandscape
        Two arrays of shape (n_scales, n_steps).

    Examples
    --------
    >>> moved = latitude(np.eye(3)[[1, 0, 2]]).at(np.radians([0.0, 60.0, 90.0]))
    >>> displaced_landscape(np.eye(3), moved, [2.0]).symmetric.round(6)
    array([[1.572878, 1.218111, 1.098612]])
    """
    rows, path = unit_rows("images", images, minimum=2), as_array("texts", texts)
    if path.ndim != 3 or path.shape[1] != len(rows) or path.shape[2] < rows.shape[1]:
        raise ValueError(
            f"`texts` must have shape (n_steps, {len(rows)}, m) with m >= {rows.shape[1]}, got {path.shape}."
        )
    scales = as_positive("scales", scales)
    if scales.ndim != 1:
        raise ValueError(f"`scales` must be one-dimensional, got shape {scales.shape}.")
    out = np.empty((2, len(scales), len(path)))
    block = max(1, _BLOCK // len(rows) ** 2)
    for start in range(0, len(path), block):
        steps = slice(start, start + block)
        directed_loss_curves(_cosines(rows, path[steps]), scales, out[:, :, steps])
    return DirectionalLandscape(image_to_text=out[0], text_to_image=out[1])


def path_derivatives(images: ArrayLike, path: DisplacementPath, scale: float, *, step: float) -> PathDerivatives:
    """Slope and curvature of the symmetric loss at t = 0, from its values at five steps.

    Parameters
    ----------
    images : array_like, shape (n, d)
        As in `displaced_landscape`.
    path : DisplacementPath
        How the texts move.
    scale : float
        Inverse temperature, positive.
    step : float
        Distance of the five points; errors are of the order of its fourth power, and of rounding over its square.
    """
    step = positive_number("step", step)
    rows = path.at(step * np.arange(-2.0, 3.0))
    far, near, rest, next_, last = displaced_landscape(images, rows, [positive_number("scale", scale)]).symmetric[0]
    return PathDerivatives(
        slope=float(8 * (next_ - near) - (last - far)) / (12 * step),
        curvature=float(16 * (next_ + near) - (last + far) - 30 * rest) / (12 * step**2),
    )


def leaving_scale(images: ArrayLike, path: DisplacementPath, *, bounds: tuple[float, float] = (1e-3, 1e4)) -> float:
    """Scale at which zero displacement ceases to attract: the slope a thousandth off zero changes sign.

    Parameters
    ----------
    images : array_like, shape (n, d)
        As in `displaced_landscape`.
    path : DisplacementPath
        How the texts move; the loss is even in t.
    bounds : (float, float)
        Scales at which zero attracts and repels.

    Returns
    -------
    float
        To about the square of the step, 1e-6, relative; more where the curvature hardly depends on the scale.

    Raises
    ------
    ValueError
        The slope has the same sign at both bounds.
    """
    rows = unit_rows("images", images, minimum=2)
    where = np.array([_STEP])
    cosines, rates = _cosines(rows, path.at(where)), _cosines(rows, path.velocity(where))
    out = np.empty(1)

    def slope(log_scale: float) -> float:
        slope_curve(cosines, rates, np.exp(log_scale), out)
        return float(out[0]) / np.exp(log_scale)

    low, high = (float(np.log(positive_number("bounds", bound))) for bound in bounds)
    if not slope(low) * slope(high) < 0:
        raise ValueError(f"`bounds` must hold one change of sign of the slope, got none between {bounds}.")
    return float(np.exp(root_scalar(slope, bracket=(low, high), xtol=1e-10).root))


def minimise_displacement(
    images: ArrayLike,
    path: DisplacementPath,
    scale: float,
    *,
    bounds: tuple[float, float] = (-np.pi / 2, np.pi / 2),
    n_cells: int = 1801,
) -> DisplacementMinimum:
    """Find every displacement of an interval at which the symmetric loss is least.

    The slope along the path is bracketed on a grid and its roots are refined by Brent's method to about 1e-14, which
    the loss itself, flat at its minimum, cannot resolve.

    Parameters
    ----------
    images : array_like, shape (n, d)
        As in `displaced_landscape`.
    path : DisplacementPath
        How the texts move.
    scale : float
        Inverse temperature, positive.
    bounds : (float, float), optional
        Interval of t. An end counts where the slope points out of it.
    n_cells : int, optional
        Cells of the grid. Minimisers of one cell are not told apart.

    Returns
    -------
    DisplacementMinimum
        Minimisers, least loss and barrier.

    Raises
    ------
    ValueError
        The loss is constant along the path, so that no displacement is distinguished, or an input is invalid.

    Examples
    --------
    >>> points = np.stack([np.cos([-0.3, 0.0, 0.3]), np.sin([-0.3, 0.0, 0.3])], axis=1)
    >>> minimum = minimise_displacement(points, latitude(points[[1, 0, 2]]), 50.0)
    >>> np.round(minimum.minimisers, 6), round(minimum.barrier, 6)
    (array([-1.366453,  1.366453]), 0.652036)
    """
    rows, scale = unit_rows("images", images, minimum=2), positive_number("scale", scale)
    low, high = (number("bounds", end) for end in bounds)
    if not low < high:
        raise ValueError(f"`bounds` must be an interval, the lower end first, got {bounds}.")
    grid = np.linspace(low, high, as_count("n_cells", n_cells) + 1)

    def slopes(t: np.ndarray) -> np.ndarray:
        out = np.empty(len(t))
        slope_curve(_cosines(rows, path.at(t)), _cosines(rows, path.velocity(t)), scale, out)
        return out

    found = slopes(grid)
    if np.all(np.abs(found) <= _ROUNDING * (1 + scale)):
        raise ValueError("`path` makes the loss constant: no displacement is distinguished.")
    candidates = np.array(_minima(slopes, grid, found))
    losses = displaced_landscape(rows, path.at(np.append(0.0, candidates)), [scale]).symmetric[0]
    least = float(np.min(losses))
    equal = losses[1:] <= least + _ROUNDING * (1 + scale)
    return DisplacementMinimum(
        minimisers=tuple(float(t) for t in candidates[equal]), loss=least, barrier=float(losses[0]) - least
    )


def _minima(slopes: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, found: np.ndarray) -> list[float]:
    """Return the local minima of the interval: roots at which the slope rises, and ends from which it points out."""
    minima = [float(grid[0])] if found[0] >= 0 else []
    steps = np.flatnonzero(found)  # a slope of 0 is a root on the grid, or has underflowed around one
    for left, right in pairwise(steps):
        if found[left] < 0 < found[right]:
            bracket = (float(grid[left]), float(grid[right]))
            root = root_scalar(lambda t: float(slopes(np.array([t]))[0]), bracket=bracket, xtol=1e-15).root
            minima.append(float(root))
    return minima + ([float(grid[-1])] if found[-1] <= 0 else [])


def _padded(rows: np.ndarray, dim: int) -> np.ndarray:
    if dim < rows.shape[1]:
        raise ValueError(f"`generator` must have at least {rows.shape[1]} rows, got {dim}.")
    return np.pad(rows, ((0, 0), (0, dim - rows.shape[1])))


def _cosines(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return the inner products of the images with the texts of every step, shape (n_steps, images, texts)."""
    return np.ascontiguousarray(images @ texts[..., : images.shape[1]].transpose(0, 2, 1))
