"""Loss landscape of pairs on the sphere, by brute force from their coordinates in space.

The simulation of Liang et al., "Mind the Gap" (NeurIPS 2022, arXiv:2203.02053), Sec. 4.3, App. A.1 and Fig. 3(e-g):
image i lies on the equator at its azimuth, text i at its own azimuth, and all texts move along their meridians by
`dtheta_deg`. The six pairs have azimuths -20, 0, ..., 80 degrees; mismatched, texts 0 and 1 are at 0 and -20.
A special case of `sims.displaced_pairs`: nothing uses the closed form of `conetheory.mismatch`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conetheory._arrays import as_array

from ._sphere_kernels import mean_distances
from .displaced_pairs import DirectionalLandscape, DisplacementPath, displaced_landscape, minimise_displacement

__all__ = [
    "LandscapeMinimum",
    "directional_landscape",
    "gap_curve",
    "landscape",
    "meridians",
    "minimise_landscape",
    "sphere_points",
]


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
    return displaced_landscape(images, _texts(azimuths, _vector("dtheta_deg", dtheta_deg)), scales)


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
    return directional_landscape(azimuth_images_deg, azimuth_texts_deg, dtheta_deg, scales).symmetric


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
    found = minimise_displacement(images, meridians(azimuths), scale, n_cells=n_cells)
    return LandscapeMinimum(
        minimisers_deg=tuple(float(np.rad2deg(t)) for t in found.minimisers), loss=found.loss, barrier=found.barrier
    )


def meridians(azimuth_deg: ArrayLike) -> DisplacementPath:
    """Texts of the given azimuths, shape (n,), that move along their meridians: t is their displacement in radians."""
    azimuths = _vector("azimuth_deg", azimuth_deg)
    return DisplacementPath(
        at=lambda t: _texts(azimuths, np.rad2deg(t)),
        velocity=lambda t: _texts(azimuths, np.rad2deg(t) + 90),  # the meridian a right angle on
    )


def _texts(azimuths: np.ndarray, dtheta_deg: np.ndarray) -> np.ndarray:
    """Return the texts of every step, shape (n_steps, n, 3)."""
    return sphere_points(azimuths, 90 + dtheta_deg[:, None])


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
