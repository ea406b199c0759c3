r"""Any smooth displacement of the texts: slope and curvature of the contrastive loss where it starts.

Text j moves along :math:`y_j(t)`, the images rest. With :math:`s = 1/\tau`, :math:`C_{ij} = x_i\cdot y_j` and the
softmax weights :math:`p_{ij}` of row i and :math:`q_{ij}` of column j,

.. math:: \dot L = s\,\langle W, \dot C\rangle, \qquad
          \ddot L = s\,\langle W, \ddot C\rangle + s^2\,V(\dot C), \qquad
          W_{ij} = \frac{p_{ij} + q_{ij} - 2\delta_{ij}}{2n},

V the mean over the 2n rows and columns of the softmax variance. Zero displacement loses stability where the curvature
becomes negative; the least loss may have left it at a smaller scale (subcritical): `rotation_transition` tells.

References
----------
.. [1] Ours: ``docs/theory.md``, 6.11 to 6.14.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm

from ._arrays import as_array
from ._pairing import PairWeights, as_pairing, pair_weights, paired_rows, same_shape
from ._scalars import positive_number
from ._scale_scan import first_fall, sign_changes
from .contrastive import contrastive_loss

__all__ = [
    "DisplacementDerivatives",
    "RotationTransition",
    "displacement_derivatives",
    "rotation_critical_scales",
    "rotation_derivatives",
    "rotation_transition",
]

_TANGENT = 1e-9  # of the norms: velocities and accelerations that leave the sphere by more are refused
_ANGLES = 361  # of a turn
_ROUNDING = 1e-12  # of a loss per unit of 1 + scale: a deeper drop is one


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplacementDerivatives:
    """Derivatives of the symmetric loss by the amount t of a displacement, at t = 0.

    Attributes
    ----------
    slope : float
        First derivative, nats a unit of t.
    curvature : float
        Second derivative. Where the slope is 0, zero displacement is a local minimum if it is positive and a local
        maximum along the family if it is negative.
    """

    slope: float
    curvature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationTransition:
    """Where a rotation of the texts begins to pay, as the scale rises.

    Attributes
    ----------
    local_scale : float
        Least scale of the scan at which zero rotation is no local minimum; inf if there is none.
    global_scale : float
        Least scale at which another angle has a smaller loss than zero; inf if there is none.
    angle_deg : float
        Angle of the least loss just above `global_scale`, in degrees, in [-180, 180); 0 where there is none.
    """

    local_scale: float
    global_scale: float
    angle_deg: float

    @property
    def subcritical(self) -> bool:
        """Whether the least loss leaves zero before zero loses its stability, by more than a part in a thousand."""
        return self.global_scale < self.local_scale * (1 - 1e-3)


def displacement_derivatives(
    images: ArrayLike,
    texts: ArrayLike,
    pairing: ArrayLike,
    temperature: float,
    motion: tuple[ArrayLike, ArrayLike],
) -> DisplacementDerivatives:
    r"""Slope and curvature of the symmetric loss at the start of a displacement of the texts.

    Parameters
    ----------
    images, texts : array_like, shape (n, d)
        Points of one sphere, n >= 2; rows are normalised. Pad with zeros for displacements into further dimensions.
    pairing : array_like of int, shape (n,)
        Permutation of 0..n-1: text i is placed at ``texts[pairing[i]]``.
    temperature : float
        Softmax temperature, positive.
    motion : pair of array_like, each of shape (n, d)
        First and second derivative of each row of `texts` by t: the velocity is orthogonal to its row, and row times
        acceleration is minus the squared speed, as for every curve on the sphere.

    Returns
    -------
    DisplacementDerivatives
        In nats.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, or `motion` leaves the sphere.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 6.11.

    Examples
    --------
    >>> points = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> up = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])  # a common latitude
    >>> found = displacement_derivatives(points, points, (0, 1), 0.5, (up, -points))
    >>> print(found.slope, round(found.curvature, 6))
    0.0 0.238406
    """
    scale = 1 / positive_number("temperature", temperature)
    x, y = same_shape(images, texts)
    if len(motion) != 2:
        raise ValueError(f"`motion` must be two arrays, velocity and acceleration, got {len(motion)}.")
    velocity, acceleration = (as_array("motion", part) for part in motion)
    if velocity.shape != y.shape or acceleration.shape != y.shape:
        raise ValueError(
            f"`motion` must hold two arrays of the shape of `texts`, {y.shape}, got {velocity.shape} and "
            f"{acceleration.shape}."
        )
    speed2 = np.sum(velocity**2, axis=1)
    leaves = np.maximum(
        np.abs(np.sum(y * velocity, axis=1)) / (1 + np.sqrt(speed2)),
        np.abs(np.sum(y * acceleration, axis=1) + speed2) / (1 + speed2 + np.linalg.norm(acceleration, axis=1)),
    )
    if not np.all(leaves <= _TANGENT):
        raise ValueError(f"`motion` must keep the texts on the sphere, got row {np.argmax(leaves)} leaving it.")
    order = as_pairing(pairing, len(y))
    return _derivatives(pair_weights(x, y[order], scale), scale, x @ velocity[order].T, x @ acceleration[order].T)


def _derivatives(
    weights: PairWeights, scale: float, cosine_rate: np.ndarray, cosine_acceleration: np.ndarray
) -> DisplacementDerivatives:
    """Return the derivatives for cosines that change at the given first and second rate, each (n, n)."""
    spread = 0.0
    for part, axis in ((weights.rows, 1), (weights.columns, 0)):
        mean = np.sum(part * cosine_rate, axis=axis, keepdims=True)
        spread += float(np.mean(np.sum(part * (cosine_rate - mean) ** 2, axis=axis))) / 2
    return DisplacementDerivatives(
        slope=scale * float(np.vdot(weights.loss, cosine_rate)),
        curvature=scale * float(np.vdot(weights.loss, cosine_acceleration)) + scale**2 * spread,
    )


def rotation_derivatives(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float, generator: ArrayLike
) -> DisplacementDerivatives:
    r"""Slope and curvature of the loss at the start of a common rotation :math:`y_j(t) = e^{tA}y_j`.

    Parameters
    ----------
    images, texts, pairing, temperature
        As in `displacement_derivatives`.
    generator : array_like, shape (d, d)
        Antisymmetric matrix A; ``A[1, 0] = 1 = -A[0, 1]`` alone turns the first axis towards the second at one radian
        a unit of t.

    Returns
    -------
    DisplacementDerivatives
        The slope is :math:`s\,\langle A, X^\top WY\rangle`: it vanishes for all A if and only if
        :math:`X^\top WY` is symmetric.

    Raises
    ------
    ValueError, TypeError
        As `displacement_derivatives`; `generator` is not antisymmetric.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 6.12.

    Examples
    --------
    >>> turn = [[0.0, -1.0], [1.0, 0.0]]
    >>> found = rotation_derivatives(np.eye(2), np.eye(2), (0, 1), 0.5, turn)
    >>> print(round(found.slope, 12) + 0.0, round(found.curvature, 6))
    0.0 0.65838
    """
    scale = 1 / positive_number("temperature", temperature)
    x, y = paired_rows(images, texts, pairing)
    velocity = y @ _antisymmetric(generator, y.shape[1]).T
    acceleration = velocity @ _antisymmetric(generator, y.shape[1]).T
    return _derivatives(pair_weights(x, y, scale), scale, x @ velocity.T, x @ acceleration.T)


def rotation_critical_scales(
    images: ArrayLike,
    texts: ArrayLike,
    pairing: ArrayLike,
    generator: ArrayLike,
    *,
    bounds: tuple[float, float] = (0.1, 300.0),
) -> tuple[float, ...]:
    r"""Scales at which the curvature of a common rotation changes its sign, increasing.

    Other than for the common latitude there may be several: the curvature is no monotone function of the scale.

    Parameters
    ----------
    images, texts, pairing, generator
        As in `rotation_derivatives`.
    bounds : (float, float)
        Scales searched, 0 < low < high.

    Returns
    -------
    tuple of float
        Roots to 1e-12 relative. Two that lie within one of 120 cells, evenly spaced in the logarithm, may be missed.

    Raises
    ------
    ValueError, TypeError
        As `rotation_derivatives`, or `bounds` is no interval.

    Examples
    --------
    >>> from conetheory.mismatch import circle_points
    >>> pad = np.column_stack([circle_points(3, 20, -20), np.zeros(3)])  # three matched pairs
    >>> lift = [[0, 0, -1], [0, 0, 0], [1, 0, 0]]  # about the second axis, out of their plane
    >>> print([round(scale, 6) for scale in rotation_critical_scales(pad, pad, (0, 1, 2), lift)])
    [1.180691, 44.426753]
    """
    x, y = paired_rows(images, texts, pairing)
    turned = y @ _antisymmetric(generator, y.shape[1]).T
    rates = x @ turned.T, x @ (turned @ _antisymmetric(generator, y.shape[1]).T).T
    return sign_changes(lambda scale: _derivatives(pair_weights(x, y, scale), scale, *rates).curvature / scale, bounds)


def rotation_transition(
    images: ArrayLike,
    texts: ArrayLike,
    pairing: ArrayLike,
    generator: ArrayLike,
    *,
    bounds: tuple[float, float] = (0.1, 300.0),
) -> RotationTransition:
    """Find where zero rotation loses stability and where it ceases to be the best angle.

    Parameters
    ----------
    images, texts, pairing, generator, bounds
        As in `rotation_critical_scales`; the generator turns one plane by one radian a unit of t.

    Returns
    -------
    RotationTransition
        The local scale to 1e-12 relative; the global one, on angles a degree apart, to about 1e-3.

    Raises
    ------
    ValueError, TypeError
        As `rotation_critical_scales`.

    Notes
    -----
    For a plane spanned with a dimension orthogonal to all points both scales are the same (``docs/theory.md``, 6.13).

    Examples
    --------
    >>> from conetheory.mismatch import circle_points
    >>> pad = np.column_stack([circle_points(3, 20, -20), np.zeros(3)])
    >>> rotation_transition(pad, pad, (0, 1, 2), [[0, 0, -1], [0, 0, 0], [1, 0, 0]]).subcritical
    False
    """
    x, y = paired_rows(images, texts, pairing)
    step = _antisymmetric(generator, y.shape[1]) * np.deg2rad(360 / (_ANGLES - 1))
    one, cosines, turned = expm(step), [], y @ expm(-step * (_ANGLES // 2)).T
    for _ in range(_ANGLES - 1):
        cosines.append(x @ turned.T)
        turned = turned @ one.T
    path, rest = np.array(cosines), _ANGLES // 2

    def drop(scale: float) -> float:
        losses = np.asarray(contrastive_loss(scale * path))
        return float(np.min(losses) - losses[rest]) + _ROUNDING * (1 + scale)

    def curvature(scale: float) -> float:
        return rotation_derivatives(images, texts, pairing, 1 / scale, generator).curvature

    leaves = first_fall(drop, bounds)
    angle = 0.0
    if np.isfinite(leaves):
        angle = float(np.argmin(contrastive_loss(leaves * (1 + 1e-6) * path)) - rest) * 360 / (_ANGLES - 1)
    return RotationTransition(local_scale=first_fall(curvature, bounds), global_scale=leaves, angle_deg=angle)


def _antisymmetric(generator: ArrayLike, dim: int) -> np.ndarray:
    matrix = as_array("generator", generator)
    if matrix.shape != (dim, dim):
        raise ValueError(f"`generator` must have shape ({dim}, {dim}), got {matrix.shape}.")
    if not np.max(np.abs(matrix + matrix.T)) <= 1e-12 * np.max(np.abs(matrix)):
        raise ValueError("`generator` must be antisymmetric: a rotation keeps the texts on the sphere.")
    return matrix
