r"""Mismatched pairs on the sphere: when displacing one modality lowers the contrastive loss.

Images :math:`x_i` and texts :math:`y_i = t_{\pi(i)}` lie on a unit sphere; all texts are then moved to the latitude
:math:`\Delta\theta` of one extra dimension. Every inner product becomes :math:`C_{ij}\cos\Delta\theta`,
:math:`C_{ij} = x_i \cdot y_j`, so the symmetric cross-entropy at temperature :math:`\tau` is the profile

.. math:: \ell(\kappa) = \frac{1}{2n} \sum_i \Bigl[ \ln \sum_j e^{\kappa (C_{ij} - C_{ii})}
          + \ln \sum_j e^{\kappa (C_{ji} - C_{ii})} \Bigr], \qquad \kappa = \cos(\Delta\theta) / \tau.

It is convex. The displacement lowers the loss exactly when :math:`1/\tau` exceeds its minimiser, the critical scale.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Sec. 4.3 and App. A.1: the simulation.
.. [2] The reduction and all that follows from it are ours: `docs/theory.md`, section 6.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar

from ._arrays import as_array, as_count
from ._pairing import paired_rows, same_shape
from ._scalars import number, positive_number
from .errors import ConvergenceError

__all__ = [
    "PAIRING_MATCHED",
    "PAIRING_SWAPPED",
    "CriticalScale",
    "barrier_height",
    "circle_points",
    "critical_scale",
    "gap_at",
    "minimising_angles_deg",
    "profile_curvature",
    "profile_loss",
    "profile_slope",
]

PAIRING_MATCHED = (0, 1, 2, 3, 4, 5)
"""Six pairs, each text on the azimuth of its image (Liang et al., App. A.1)."""

PAIRING_SWAPPED = (1, 0, 2, 3, 4, 5)
"""Six pairs, the first two texts exchanged (Liang et al., Sec. 4.3)."""

_MAX_ITERATIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalScale:
    """Where the profile of a set of pairs is least over the scales that a displacement can reach.

    Attributes
    ----------
    scale : float
        Least minimiser of the profile over [0, inf]; the inverse of the critical temperature.
    loss : float
        The profile there, in nats; at an infinite scale its limit.
    """

    scale: float
    loss: float


def circle_points(n: int, spacing_deg: float, first_deg: float = 0.0) -> Float[np.ndarray, "n 2"]:
    """Equally spaced points of the unit circle.

    Parameters
    ----------
    n : int
        Number of points, at least 1.
    spacing_deg, first_deg : float
        Angle between neighbours and angle of the first point, in degrees. The six pairs of Liang et al. are
        ``circle_points(6, 20, -20)``: 20 degrees reproduces their Fig. 3(g); their appendix prints 15.

    Returns
    -------
    ndarray, shape (n, 2)
        Cosine and sine of ``first_deg + i * spacing_deg``.

    Examples
    --------
    >>> circle_points(3, 90).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0.,  1.],
           [-1.,  0.]])
    """
    n = as_count("n", n)
    angles = np.deg2rad(number("first_deg", first_deg) + number("spacing_deg", spacing_deg) * np.arange(n))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def profile_loss(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, kappa: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Symmetric cross-entropy :math:`\ell(\kappa)` of the pairs.

    Parameters
    ----------
    images, texts : array_like, shape (n, d)
        Points of one sphere, n >= 2; rows are normalised.
    pairing : array_like of int, shape (n,)
        Permutation of 0..n-1: text i is placed at ``texts[pairing[i]]``.
    kappa : array_like, shape (...)
        Logit scale times the cosine of the displacement; any sign.

    Returns
    -------
    ndarray or float64, shape (...)
        Mean of the cross-entropies of both directions, in nats, to a few eps of ``1 + |kappa|``.

    Raises
    ------
    ValueError, TypeError
        Shapes differ, a row is zero, `pairing` is no permutation, or an input is not finite.

    Notes
    -----
    Differences of cosines up to ``(d + 8)`` eps times the radius of the points are rounding and count as ties.

    Examples
    --------
    >>> points = circle_points(6, 20, -20)
    >>> profile_loss(points, points, PAIRING_SWAPPED, [0, 35, 100]).round(6)
    array([1.791759, 0.886648, 2.014244])
    """
    return _map_kappa(_loss, _margins(images, texts, pairing), kappa)


def profile_slope(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, kappa: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""First derivative :math:`\ell'(\kappa)`: mean of the softmax means of the 2n lists of margins.

    Parameters, shapes and errors are those of `profile_loss`. At 0 it is the mean of all cosines less the mean
    matched cosine.

    Examples
    --------
    >>> points = circle_points(6, 20, -20)
    >>> profile_slope(points, points, PAIRING_SWAPPED, [0, 21, 22]).round(6).tolist()
    [-0.288993, -0.000228, 0.000801]
    """
    return _map_kappa(_slope, _margins(images, texts, pairing), kappa)


def profile_curvature(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, kappa: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Second derivative :math:`\ell''(\kappa) \ge 0`: mean of the softmax variances of the 2n lists of margins.

    Parameters, shapes and errors are those of `profile_loss`.

    Examples
    --------
    >>> points = circle_points(2, 180)
    >>> float(profile_curvature(points, points, (0, 1), 0.0))
    1.0
    """
    return _map_kappa(_curvature, _margins(images, texts, pairing), kappa)


def critical_scale(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike) -> CriticalScale:
    r"""Scale above which displacing the texts lowers the loss: the minimiser :math:`\kappa^*` of the profile.

    Zero displacement is the best one exactly for :math:`1/\tau \le \kappa^*` (ours, `docs/theory.md` section 6).

    Parameters
    ----------
    images, texts : array_like, shape (n, d)
        Points of one sphere, n >= 2; rows are normalised.
    pairing : array_like of int, shape (n,)
        Permutation of 0..n-1: text i is placed at ``texts[pairing[i]]``, and the positive cosines are
        ``images[i] @ texts[pairing[i]]``.

    Returns
    -------
    CriticalScale
        Scale and loss. The scale is +inf if no matched cosine is beaten in its row or column (the loss is then the mean
        log multiplicity of the best cosine: 0 without ties), and 0 if the minimiser is not positive (the loss is ln n).

    Raises
    ------
    ValueError, TypeError
        As `profile_loss`.
    ConvergenceError
        The root is not reached in 1000 steps.

    Notes
    -----
    Root of :math:`\ell'` by Brent's method in :math:`(0, \ln n / \bar M]`, :math:`\bar M` the mean of the largest
    margins of the 2n lists, to a few eps times the condition of that root. Ties as in `profile_loss`.

    Examples
    --------
    >>> points = circle_points(6, 20, -20)
    >>> critical = critical_scale(points, points, PAIRING_SWAPPED)
    >>> round(critical.scale, 6), round(critical.loss, 10)
    (21.215837, 0.8095150939)
    >>> critical_scale(points, points, PAIRING_MATCHED)
    CriticalScale(scale=inf, loss=0.0)
    """
    margins = _margins(images, texts, pairing)
    n = margins.shape[1]
    beaten_by = float(np.mean(np.max(margins, axis=1)))
    if beaten_by == 0:
        return CriticalScale(scale=float("inf"), loss=float(np.mean(np.log(np.sum(margins == 0, axis=1)))))
    if _slope(margins, 0.0) >= 0:
        return CriticalScale(scale=0.0, loss=float(np.log(n)))
    tiny, eps, high = np.finfo(np.float64).tiny, np.finfo(np.float64).eps, float(np.log(n)) / beaten_by
    solution = root_scalar(
        partial(_slope, margins), bracket=(0.0, high), xtol=tiny, rtol=4 * eps, maxiter=_MAX_ITERATIONS
    )
    if not solution.converged:
        raise ConvergenceError("The critical scale was not reached.", value=solution.root, error=high)
    return CriticalScale(scale=solution.root, loss=_loss(margins, solution.root))


def minimising_angles_deg(scale: float, temperature: float) -> tuple[float, ...]:
    r"""Displacements in [-90, 90] degrees at which the loss is least: :math:`\pm\arccos(\kappa^*\tau)`, or 0.

    Parameters
    ----------
    scale : float
        Critical scale, in [0, inf] (`critical_scale`).
    temperature : float
        Softmax temperature, positive.

    Returns
    -------
    tuple of float
        ``(0.0,)`` if ``1 / temperature <= scale``, else ``(-angle, angle)``, in degrees.

    Examples
    --------
    >>> minimising_angles_deg(21.215837, 1 / 10)
    (0.0,)
    >>> [round(angle, 3) for angle in minimising_angles_deg(21.215837, 1 / 100)]
    [-77.751, 77.751]
    """
    if not scale >= 0:
        raise ValueError(f"`scale` must be at least 0, got {scale}.")
    cosine = float(scale) * positive_number("temperature", temperature)
    if cosine >= 1:
        return (0.0,)
    angle = float(np.rad2deg(np.arccos(cosine)))
    return (-angle, angle)


def barrier_height(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike, temperature: float) -> float:
    r"""Loss at zero displacement less the least loss over all displacements, :math:`\ell(1/\tau) - \ell(\kappa^*)`.

    Parameters
    ----------
    images, texts, pairing : array_like
        As in `critical_scale`.
    temperature : float
        Softmax temperature, positive.

    Returns
    -------
    float
        Nats; 0 where zero displacement is the best one.

    Examples
    --------
    >>> points = circle_points(6, 20, -20)
    >>> round(barrier_height(points, points, PAIRING_SWAPPED, 1 / 50), 6)
    0.273933
    """
    logit_scale = 1 / positive_number("temperature", temperature)
    critical = critical_scale(images, texts, pairing)
    if logit_scale <= critical.scale:
        return 0.0
    return float(profile_loss(images, texts, pairing, logit_scale)) - critical.loss


def gap_at(images: ArrayLike, texts: ArrayLike, dtheta_deg: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Modality gap of the displaced sets: the distance between their mean embeddings.

    .. math:: \mathrm{gap}^2 = |\bar x - \bar y \cos\Delta\theta|^2 + \sin^2\Delta\theta

    For a common centroid of length R this is :math:`R^2 (1 - \cos\Delta\theta)^2 + \sin^2\Delta\theta`.

    Parameters
    ----------
    images, texts : array_like, shape (n, d)
        Points of one sphere, n >= 2; rows are normalised. The pairing does not matter.
    dtheta_deg : array_like, shape (...)
        Latitude of the texts in the extra dimension, in degrees.

    Returns
    -------
    ndarray or float64, shape (...)
        Distances in [0, 2].

    Examples
    --------
    >>> points = circle_points(6, 20, -20)
    >>> gap_at(points, points, [0, 30, 90]).round(6)
    array([0.      , 0.512251, 1.300348])
    """
    x, y = same_shape(images, texts)
    half = np.deg2rad(as_array("dtheta_deg", dtheta_deg)) / 2
    mean = np.mean(y, axis=0)
    along = np.mean(x, axis=0) - mean + 2 * np.sin(half)[..., None] ** 2 * mean  # 1 - cos = 2 sin^2(half): exact near 0
    return np.hypot(np.linalg.norm(along, axis=-1), np.sin(2 * half))


def _margins(images: ArrayLike, texts: ArrayLike, pairing: ArrayLike) -> Float[np.ndarray, "lists n"]:
    """Return every cosine less the matched one of its list: the n rows, then the n columns; ties are exactly 0.

    A cosine less 1 is minus half a squared distance. Taken from the common centroid, distances of points that lie close
    together do not cancel, and the rounding shrinks with the radius of the set.
    """
    x, y = paired_rows(images, texts, pairing)
    centroid = (np.mean(x, axis=0) + np.mean(y, axis=0)) / 2
    x, y = x - centroid, y - centroid
    x_sq, y_sq = np.sum(x * x, axis=1), np.sum(y * y, axis=1)
    cosine_less_1 = x @ y.T - (x_sq[:, None] + y_sq) / 2
    matched = np.diag(cosine_less_1)[:, None]
    margins = np.concatenate([cosine_less_1 - matched, cosine_less_1.T - matched])
    radius = np.sqrt(max(np.max(x_sq), np.max(y_sq)))
    margins[np.abs(margins) <= (x.shape[1] + 8) * np.finfo(np.float64).eps * radius] = 0.0
    return margins


def _loss(margins: np.ndarray, kappa: float) -> float:
    logits = kappa * margins
    lists, best = np.arange(len(logits)), np.argmax(logits, axis=1)
    peak = logits[lists, best]
    weights = np.exp(logits - peak[:, None])
    weights[lists, best] = 0.0  # left to log1p, which keeps a small loss accurate
    return float(np.mean(peak + np.log1p(np.sum(weights, axis=1))))


def _softmax(margins: np.ndarray, kappa: float) -> np.ndarray:
    logits = kappa * margins
    weights = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    return weights / np.sum(weights, axis=1, keepdims=True)


def _slope(margins: np.ndarray, kappa: float) -> float:
    return float(np.mean(np.sum(_softmax(margins, kappa) * margins, axis=1)))


def _curvature(margins: np.ndarray, kappa: float) -> float:
    weights = _softmax(margins, kappa)
    mean = np.sum(weights * margins, axis=1, keepdims=True)
    return float(np.mean(np.sum(weights * (margins - mean) ** 2, axis=1)))


def _map_kappa(
    profile: Callable[[np.ndarray, float], float], margins: np.ndarray, kappa: ArrayLike
) -> np.ndarray | np.float64:
    """Apply `profile` to one `kappa` after the other: all at once would hold (..., 2n, n) numbers."""
    return np.vectorize(partial(profile, margins), otypes=[np.float64])(as_array("kappa", kappa))[()]
