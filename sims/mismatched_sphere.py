"""Loss landscape of pairs on the sphere, by brute force from their coordinates in space.

The simulation of Liang et al., "Mind the Gap" (NeurIPS 2022, arXiv:2203.02053), Sec. 4.3, App. A.1 and Fig. 3(e-g):
image i lies on the equator at its azimuth, text i at its own azimuth, and all texts move along their meridians by
`dtheta_deg`. The six pairs have azimuths -20, 0, ..., 80 degrees; mismatched, texts 0 and 1 are at 0 and -20.
Nothing here uses the closed form of `conetheory.mismatch`: this is the independent measurement of it.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar

from conetheory._arrays import as_array, as_count, as_positive

from ._sphere_kernels import directed_loss_curves, mean_distances, slope_curve

__all__ = [
    "DirectionalLandscape",
    "LandscapeMinimum",
    "directional_landscape",
    "gap_curve",
    "landscape",
    "minimise_landscape",
    "sphere_points",
]

_ROUNDING = 1e-12  # of a loss per unit of scale: losses that differ by less are equal


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LandscapeMinimum:
    """Where the loss is least over displacements in [-90, 90] degrees.

    Attributes
    ----------
    minimisers_deg : tuple of float
        All displacements at which the least loss is reached, increasing.
    loss : float
        The least loss, in nats.
    barrier : float
        Loss at zero displacement less the least loss.
    """

    minimisers_deg: tuple[float, ...]
    loss: float
    barrier: float


def sphere_points(azimuth_deg: ArrayLike, polar_deg: ArrayLike) -> np.ndarray:
    """Points of the unit sphere in space.

    Parameters
    ----------
    azimuth_deg, polar_deg : array_like, shapes that broadcast to (...)
        Azimuth az and polar angle theta, in degrees; theta = 90 is the equator.

    Returns
    -------
    ndarray, shape (..., 3)
        ``(cos(az) sin(theta), sin(az) sin(theta), cos(theta))``.

    Examples
    --------
    >>> sphere_points([0, 90], 90).round(12) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    azimuth, polar = np.broadcast_arrays(
        np.deg2rad(as_array("azimuth_deg", azimuth_deg)), np.deg2rad(as_array("polar_deg", polar_deg))
    )
    return np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=-1)


def directional_landscape(
    azimuth_images_deg: ArrayLike, azimuth_texts_deg: ArrayLike, dtheta_deg: ArrayLike, scales: ArrayLike
) -> DirectionalLandscape:
    """Cross-entropy of each direction at every scale and displacement.

    Parameters
    ----------
    azimuth_images_deg, azimuth_texts_deg : array_like, shape (n,)
        Azimuths of the pairs, n >= 2: text i belongs to image i.
    dtheta_deg : array_like, shape (n_steps,)
        Displacement of the texts: image i has the polar angle 90, text i has 90 + dtheta.
    scales : array_like, shape (n_scales,)
        Inverse temperatures, positive.

    Returns
    -------
    DirectionalLandscape
        Two arrays of shape (n_scales, n_steps). They agree where both sets of azimuths are the same.
    """
    images, azimuths = _equator(azimuth_images_deg, azimuth_texts_deg)
    steps = _vector("dtheta_deg", dtheta_deg)
    scales = as_positive("scales", _vector("scales", scales))
    out = np.empty((2, len(scales), len(steps)))
    directed_loss_curves(images, _texts(azimuths, steps), scales, out)
    return DirectionalLandscape(image_to_text=out[0], text_to_image=out[1])


def landscape(
    azimuth_images_deg: ArrayLike, azimuth_texts_deg: ArrayLike, dtheta_deg: ArrayLike, scales: ArrayLike
) -> np.ndarray:
    """Symmetric loss, the mean of both directions; parameters as in `directional_landscape`.

    Returns
    -------
    ndarray, shape (n_scales, n_steps)
        Loss in nats.

    Examples
    --------
    >>> images, texts = [-20, 0, 20, 40, 60, 80], [0, -20, 20, 40, 60, 80]
    >>> landscape(images, texts, [0, 60, 90], [35, 100]).round(6)
    array([[0.886648, 0.817523, 1.791759],
           [2.014244, 1.083448, 1.791759]])
    """
    curves = directional_landscape(azimuth_images_deg, azimuth_texts_deg, dtheta_deg, scales)
    return (curves.image_to_text + curves.text_to_image) / 2


def gap_curve(azimuth_images_deg: ArrayLike, azimuth_texts_deg: ArrayLike, dtheta_deg: ArrayLike) -> np.ndarray:
    """Distance between the mean image and the mean text at every displacement.

    Parameters
    ----------
    azimuth_images_deg, azimuth_texts_deg, dtheta_deg : array_like
        As in `directional_landscape`.

    Returns
    -------
    ndarray, shape (n_steps,)
        Distances in [0, 2].

    Examples
    --------
    >>> gap_curve([-20, 0, 20, 40, 60, 80], [0, -20, 20, 40, 60, 80], [0, 30, 90]).round(6)
    array([0.      , 0.512251, 1.300348])
    """
    images, azimuths = _equator(azimuth_images_deg, azimuth_texts_deg)
    texts = _texts(azimuths, _vector("dtheta_deg", dtheta_deg))
    out = np.empty(len(texts))
    mean_distances(images, texts, out)
    return out


def minimise_landscape(
    azimuth_images_deg: ArrayLike, azimuth_texts_deg: ArrayLike, scale: float, *, n_cells: int = 1801
) -> LandscapeMinimum:
    """Find every displacement in [-90, 90] degrees at which the symmetric loss is least.

    The slope along the meridians is bracketed on a grid and its roots are refined by Brent's method to about 1e-12
    degrees, which the loss itself, flat at its minimum, cannot resolve.

    Parameters
    ----------
    azimuth_images_deg, azimuth_texts_deg : array_like, shape (n,)
        As in `directional_landscape`.
    scale : float
        Inverse temperature, positive.
    n_cells : int, optional
        Cells of the grid. Minimisers closer than ``180 / n_cells`` degrees are not told apart.

    Returns
    -------
    LandscapeMinimum
        Minimisers, least loss and barrier.

    Raises
    ------
    ValueError
        The azimuths make the loss constant, so that no displacement is distinguished, or an input is invalid.

    Examples
    --------
    >>> minimum = minimise_landscape([-20, 0, 20, 40, 60, 80], [0, -20, 20, 40, 60, 80], 50.0)
    >>> [round(angle, 5) for angle in minimum.minimisers_deg], round(minimum.barrier, 6)
    ([-64.89258, 64.89258], 0.273933)
    """
    images, azimuths = _equator(azimuth_images_deg, azimuth_texts_deg)
    scale = float(as_positive("scale", _number("scale", scale)))
    grid = np.linspace(-90.0, 90.0, as_count("n_cells", n_cells) + 1)
    slopes = _slopes(images, azimuths, grid, scale)
    if np.all(np.abs(slopes) <= _ROUNDING * (1 + scale)):
        raise ValueError(f"`azimuth_texts_deg` makes the loss constant, got {azimuth_texts_deg}.")
    candidates = [-90.0] if slopes[0] >= 0 else []
    steps = np.flatnonzero(slopes)  # a slope of 0 is a root on the grid, or has underflowed around one
    for left, right in pairwise(steps):
        if slopes[left] < 0 < slopes[right]:
            candidates.append(_refine(images, azimuths, scale, (grid[left], grid[right])))
    candidates += [90.0] if slopes[-1] <= 0 else []
    losses = _losses(images, azimuths, np.array([0.0, *candidates]), scale)
    least = float(np.min(losses))
    equal = losses[1:] <= least + _ROUNDING * (1 + scale)
    minimisers = tuple(float(angle) for angle in np.array(candidates)[equal])
    return LandscapeMinimum(minimisers_deg=minimisers, loss=least, barrier=float(losses[0]) - least)


def _refine(images: np.ndarray, azimuths: np.ndarray, scale: float, bracket: tuple[float, float]) -> float:
    """Return the root of the slope in `bracket`, in degrees."""

    def slope(angle: float) -> float:
        return float(_slopes(images, azimuths, np.array([angle]), scale)[0])

    return root_scalar(slope, bracket=bracket, xtol=1e-13).root


def _texts(azimuths: np.ndarray, dtheta_deg: np.ndarray) -> np.ndarray:
    """Return the texts of every step, shape (n_steps, n, 3)."""
    return sphere_points(azimuths, 90 + dtheta_deg[:, None])


def _losses(images: np.ndarray, azimuths: np.ndarray, dtheta_deg: np.ndarray, scale: float) -> np.ndarray:
    out = np.empty((2, 1, len(dtheta_deg)))
    directed_loss_curves(images, _texts(azimuths, dtheta_deg), np.array([scale]), out)
    return np.mean(out[:, 0], axis=0)


def _slopes(images: np.ndarray, azimuths: np.ndarray, dtheta_deg: np.ndarray, scale: float) -> np.ndarray:
    """Return the derivative of the symmetric loss by the displacement in radians, shape (n_steps,)."""
    out = np.empty(len(dtheta_deg))
    velocities = _texts(azimuths, dtheta_deg + 90)  # the derivative of a meridian is the meridian a right angle on
    slope_curve(images, _texts(azimuths, dtheta_deg), velocities, scale, out)
    return out


def _equator(azimuth_images_deg: ArrayLike, azimuth_texts_deg: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, shape (n, 3), and the azimuths of the texts."""
    images = _vector("azimuth_images_deg", azimuth_images_deg)
    texts = _vector("azimuth_texts_deg", azimuth_texts_deg)
    if len(images) < 2:
        raise ValueError(f"`azimuth_images_deg` must hold at least 2 azimuths, got {len(images)}.")
    if len(texts) != len(images):
        raise ValueError(f"`azimuth_texts_deg` must hold one azimuth an image, {len(images)}, got {len(texts)}.")
    return sphere_points(images, 90), texts


def _vector(name: str, value: ArrayLike) -> np.ndarray:
    array = as_array(name, value)
    if array.ndim != 1:
        raise ValueError(f"`{name}` must be one-dimensional, got shape {array.shape}.")
    return array


def _number(name: str, value: Any) -> np.ndarray:
    array = as_array(name, value)
    if array.ndim:
        raise ValueError(f"`{name}` must be one number, got shape {array.shape}.")
    return array
