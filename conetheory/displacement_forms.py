r"""Which displacement of the texts lowers the contrastive loss most: quadratic forms over directions.

Two families, each with a direction v of the space that holds the points:

*Lift.* Rotation of all texts in the plane of v and one extra dimension. The slope is 0 and the curvature is
:math:`v^\top Fv`, :math:`F = -s\,\mathrm{sym}(X^\top WY)` (`conetheory.displacement` defines W). Its trace is the
curvature of the common latitude of `conetheory.mismatch`, so where the latitude is unstable some lift is, and a lift
may be unstable where the latitude is not, even for perfectly matched pairs (`conetheory.matched_triple`).

*Translation.* Adding t v to all texts and normalising: slope :math:`b\cdot v`, curvature :math:`v^\top Hv`, for v
within the space and for the extra dimension.

References
----------
.. [1] Ours: ``docs/theory.md``, 6.13 to 6.15.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._pairing import PairWeights, pair_weights, paired_rows
from ._scalars import positive_number
from ._scale_scan import sign_changes

__all__ = [
    "DisplacementDirection",
    "TranslationForm",
    "lift_critical_scales",
    "lift_form",
    "softest_lift",
    "softest_translation",
    "translation_form",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranslationForm:
    """Slope and curvature of the loss by a common translation of the texts, at none.

    Attributes
    ----------
    slope : ndarray, shape (d,)
        b: the first derivative along v is ``slope @ v``; along the extra dimension it is 0.
    curvature : ndarray, shape (d, d)
        H, symmetric: the second derivative along v is ``v @ curvature @ v``.
    extra_curvature : float
        Second derivative along a unit vector of the extra dimension; that of the common latitude.
    """

    slope: Float[np.ndarray, " d"]
    curvature: Float[np.ndarray, "d d"]
    extra_curvature: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DisplacementDirection:
    """The unit direction of least curvature.

    Attributes
    ----------
    curvature : float
        Second derivative of the loss along it, nats.
    direction : ndarray, shape (d,), or (d + 1,) for translations
        Unit vector, the sign arbitrary; for translations the last entry is the extra dimension.
    """

    curvature: float
    direction: Float[np.ndarray, " m"]


def lift_form(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float) -> Float[np.ndarray, "d d"]:
    r"""Curvature of the loss under rotations of all texts in the plane of v and one extra dimension.

    .. math:: F = -s\,\mathrm{sym}(X^\top WY), \qquad \ddot L = v^\top Fv

    Parameters
    ----------
    images, texts : array_like, shape (n, d)
        Points of one sphere, n >= 2; rows are normalised.
    pairing : array_like of int, shape (n,)
        Permutation of 0..n-1: text i is placed at ``texts[pairing[i]]``.
    temperature : float
        Softmax temperature, positive.

    Returns
    -------
    ndarray, shape (d, d)
        Symmetric. In every such plane the loss is convex in 1 - cos t: zero is the best angle exactly where
        ``v @ F @ v`` is not negative.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 6.13.

    Examples
    --------
    >>> lift_form(np.eye(2), np.eye(2), (0, 1), 0.5).round(6)
    array([[ 0.119203, -0.119203],
           [-0.119203,  0.119203]])
    """
    scale = 1 / positive_number("temperature", temperature)
    return _lift(*paired_rows(images, texts, pairing), scale)


def _lift(x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    return -scale * _symmetric(x.T @ pair_weights(x, y, scale).loss @ y)


def softest_lift(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float) -> DisplacementDirection:
    """Direction whose lift has the least curvature: an eigenvector of `lift_form`, with the same arguments.

    Examples
    --------
    >>> from conetheory.mismatch import circle_points
    >>> points = circle_points(3, 20, -20)
    >>> found = softest_lift(points, points, (0, 1, 2), 1 / 20)  # three matched pairs
    >>> print(round(found.curvature, 6), np.abs(found.direction).round(6))
    -0.02228 [1. 0.]
    """
    return _softest(lift_form(images, texts, pairing, temperature))


def lift_critical_scales(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, *, bounds: tuple[float, float] = (0.1, 300.0)
) -> tuple[float, ...]:
    """Scales at which the least curvature of all lifts changes its sign, increasing.

    Parameters
    ----------
    images, texts, pairing : array_like
        As in `lift_form`.
    bounds : (float, float)
        Scales searched, 0 < low < high.

    Returns
    -------
    tuple of float
        Roots to 1e-12 relative; two within one of 120 cells, evenly spaced in the logarithm, may be missed. The first
        is at most `conetheory.mismatch.critical_scale` where every lift is stable at the lower bound.

    Raises
    ------
    ValueError, TypeError
        As `lift_form`, or `bounds` is no interval.

    Examples
    --------
    >>> from conetheory.mismatch import circle_points
    >>> points = circle_points(6, 20, -20)
    >>> print([round(scale, 6) for scale in lift_critical_scales(points, points, (1, 0, 2, 3, 4, 5))])
    [1.06619]
    """
    x, y = paired_rows(images, texts, pairing)
    return sign_changes(lambda scale: float(np.linalg.eigvalsh(_lift(x, y, scale))[0]), bounds)


def translation_form(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float) -> TranslationForm:
    r"""Slope and curvature of the loss when :math:`tv` is added to every text, which is then normalised.

    With :math:`z_{ij} = x_i - C_{ij}y_j`, :math:`g_j = \sum_iW_{ij}C_{ij}` and softmax covariances within the n rows
    and the n columns,

    .. math:: b = s\,(X^\top W1 - Y^\top g), \qquad
              H = s\bigl[3Y^\top\mathrm{diag}(g)Y - 2\,\mathrm{sym}(X^\top WY) - \mathrm{tr}(X^\top WY)\,I\bigr]
              + \frac{s^2}{2n}\sum_\text{lists}\mathrm{Cov}(z) .

    Parameters
    ----------
    images, texts, pairing, temperature
        As in `lift_form`.

    Returns
    -------
    TranslationForm
        In nats, for the length t of the translation.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Notes
    -----
    Cost O(n^2 d + n d^2). Where the slope is not 0 the curvature alone decides nothing: the texts then drift along
    the slope. Source: ours, ``docs/theory.md``, 6.15.

    Examples
    --------
    >>> found = translation_form(np.eye(2), np.eye(2), (0, 1), 0.5)
    >>> print(found.slope.round(6) + 0.0, found.curvature.round(6).tolist(), round(found.extra_curvature, 6))
    [0.119203 0.119203] [[0.32919, -0.238406], [-0.238406, 0.32919]] 0.238406
    """
    scale = 1 / positive_number("temperature", temperature)
    x, y = paired_rows(images, texts, pairing)
    weights = pair_weights(x, y, scale)
    pull = np.sum(weights.loss * weights.cosines, axis=0)
    cross = x.T @ weights.loss @ y
    bend = 3 * (y.T * pull) @ y - 2 * _symmetric(cross) - np.trace(cross) * np.eye(x.shape[1])
    return TranslationForm(
        slope=scale * (x.T @ weights.loss.sum(axis=1) - y.T @ pull),
        curvature=scale * bend + scale**2 * _rate_covariance(x, y, weights),
        extra_curvature=-scale * float(np.trace(cross)),
    )


def _rate_covariance(x: np.ndarray, y: np.ndarray, weights: PairWeights) -> np.ndarray:
    """Return the mean over the 2n lists of the softmax covariance of x_i - C_ij y_j, shape (d, d)."""
    n, cosines = len(x), weights.cosines
    row_mean = (weights.rows * cosines) @ y  # within a row x_i is common and drops out
    by_rows = (y.T * np.sum(weights.rows * cosines**2, axis=0)) @ y - row_mean.T @ row_mean
    weighted = weights.columns * cosines
    column_mean = weights.columns.T @ x - np.sum(weighted, axis=0)[:, None] * y
    by_columns = (
        (x.T * weights.columns.sum(axis=1)) @ x
        - 2 * _symmetric(x.T @ weighted @ y)
        + (y.T * np.sum(weighted * cosines, axis=0)) @ y
        - column_mean.T @ column_mean
    )
    return (by_rows + by_columns) / (2 * n)


def softest_translation(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float
) -> DisplacementDirection:
    """Direction of least curvature of a common translation, the extra dimension included; arguments of `lift_form`.

    Examples
    --------
    >>> from conetheory.mismatch import circle_points
    >>> points = circle_points(6, 20, -20)
    >>> found = softest_translation(points, points, (1, 0, 2, 3, 4, 5), 1 / 50)
    >>> print(round(found.curvature, 6), found.direction.round(6))
    -0.778517 [0. 0. 1.]
    """
    form = translation_form(images, texts, pairing, temperature)
    d = len(form.slope)
    whole = np.zeros((d + 1, d + 1))
    whole[:d, :d], whole[d, d] = form.curvature, form.extra_curvature
    return _softest(whole)


def _softest(form: np.ndarray) -> DisplacementDirection:
    values, vectors = np.linalg.eigh(form)
    return DisplacementDirection(curvature=float(values[0]), direction=vectors[:, 0])


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2
