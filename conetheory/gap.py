r"""The modality gap and its companions, measured on paired embeddings.

Every function normalises the rows it is given and works in float64: below, :math:`x_i, y_i` are unit
rows, :math:`\bar x, \bar y` their means, and pair i is row i of both.

.. math::
   \Delta = \bar x - \bar y, \qquad
   \|\Delta\|^2 = \bar R_x^2 + \bar R_y^2 - 2\,\bar x\cdot\bar y, \qquad
   \tfrac1n\textstyle\sum_i\|x_i-y_i\|^2 = 2\,(1 - \tfrac1n\sum_i x_i\cdot y_i).

Recall lives in `retrieval` and the linear structure in `spectrum`; both are named here too.
Identities and proofs: ``docs/theory.md`` §5b. Words: ``docs/glossary.md``.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053.
.. [2] T. Wang and P. Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on
   the Hypersphere", ICML 2020, arXiv:2005.10242.
.. [3] S. Schrodi et al., "Two Effects, One Trigger", ICLR 2025, arXiv:2404.07983.
.. [4] X. Fang et al., "Rethinking the Uniformity Metric in Self-Supervised Learning", ICLR 2024, arXiv:2403.00642.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_positive, unit_rows
from ._pairs import unit_modalities, unit_pairs
from .retrieval import recall
from .spectrum import effective_dimension, explained_variance_ratio, procrustes_rotation, singular_values
from .sphere import mean_pairwise_cosine

__all__ = [
    "CenteredPairs",
    "CosineSummary",
    "alignment",
    "center",
    "cosine_summary",
    "effective_dimension",
    "explained_variance_ratio",
    "gap_angle",
    "gap_norm",
    "gap_vector",
    "matched_cosine",
    "mean_cosine",
    "procrustes_rotation",
    "recall",
    "relative_modality_gap",
    "singular_values",
    "uniformity",
    "unmatched_cosine",
    "wasserstein_uniformity",
]

_BLOCK = 2**22  # entries of a block of cosines: 32 MB
_NO_DIRECTION = 1e-12  # a difference of unit rows shorter than this is rounding: its direction is lost


def gap_vector(x: ArrayLike, y: ArrayLike) -> Float[np.ndarray, "d"]:
    """Gap vector Δ, the mean of the unit rows of `x` minus that of `y` ([1]_, Sec. 4.2).

    Parameters
    ----------
    x, y : array_like, shapes (n, d) and (m, d)
        Embeddings of the two modalities; a zero row is an error.

    Returns
    -------
    ndarray, shape (d,)
        From the mean of y to the mean of x.

    Examples
    --------
    >>> gap_vector([[2.0, 0.0]], [[0.0, 3.0]])
    array([ 1., -1.])
    """
    x, y = unit_modalities(x, y)
    return x.mean(axis=0) - y.mean(axis=0)


def gap_norm(x: ArrayLike, y: ArrayLike) -> float:
    """Gap ‖Δ‖: the distance of the two means, in [0, 2] ([1]_, Sec. 4.2). Arguments as in `gap_vector`.

    Examples
    --------
    >>> gap_norm([[1.0, 0.0]], [[-1.0, 0.0]])
    2.0
    """
    return float(np.linalg.norm(gap_vector(x, y)))


def gap_angle(x: ArrayLike, y: ArrayLike) -> float:
    """Angle between the two means, in radians, in [0, π]. Arguments as in `gap_vector`.

    Computed as 2 atan2(‖a − b‖, ‖a + b‖) of the unit means a, b: accurate near 0 and π. ValueError if a mean vanishes.

    Examples
    --------
    >>> round(float(np.degrees(gap_angle([[1.0, 0.0]], [[0.0, 1.0]]))), 12)
    90.0
    """
    x, y = unit_modalities(x, y)
    units = []
    for name, rows in (("x", x), ("y", y)):
        mean = rows.mean(axis=0)
        length = np.linalg.norm(mean)
        if not length > _NO_DIRECTION:
            raise ValueError(f"`{name}` must have a non-zero mean for the angle to exist, got norm {length:.3g}.")
        units.append(mean / length)
    a, b = units
    return float(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))


def mean_cosine(x: ArrayLike) -> float:
    """Mean cosine over the pairs i < j of one modality, `sphere.mean_pairwise_cosine` under its name in this room.

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows.

    Returns
    -------
    float
        (n R̄² − 1)/(n − 1) with R̄ the norm of the mean row; in [−1/(n − 1), 1]. The diagonal is excluded.

    Examples
    --------
    >>> mean_cosine([[1.0, 0.0], [0.0, 1.0]])
    0.0
    """
    return float(mean_pairwise_cosine(x))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSummary:
    """Cosines over the pairs i < j of one modality.

    Attributes
    ----------
    mean, std : float
        Mean and population standard deviation.
    low, high : float
        Least and greatest cosine.
    """

    mean: float
    std: float
    low: float
    high: float


def _upper_cosines(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cosines of the pairs i < j, flat, in blocks of about `_BLOCK`."""
    n = len(x)
    step = max(1, _BLOCK // n)
    for start in range(0, n - 1, step):
        block = x[start : start + step] @ x[start:].T
        yield block[~np.tri(*block.shape, dtype=bool)]


def cosine_summary(x: ArrayLike) -> CosineSummary:
    """Mean, spread and range of the cosines over the pairs i < j ([1]_, Fig. 2a).

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows. The (n, n) matrix is visited in blocks of 32 MB.

    Returns
    -------
    CosineSummary
        The diagonal is excluded.

    Examples
    --------
    >>> cosine_summary([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]).low
    -1.0
    """
    x = unit_rows("x", x, minimum=2)
    mean = mean_cosine(x)
    square, low, high = 0.0, np.inf, -np.inf
    for cosines in _upper_cosines(x):
        low, high = min(low, cosines.min()), max(high, cosines.max())
        cosines -= mean
        square += cosines @ cosines
    pairs = len(x) * (len(x) - 1) / 2
    return CosineSummary(mean=mean, std=float(np.sqrt(square / pairs)), low=float(low), high=float(high))


def matched_cosine(x: ArrayLike, y: ArrayLike) -> float:
    """Mean cosine of the pairs, (1/n) Σ_i x_i·y_i, for `x`, `y` of shape (n, d).

    Examples
    --------
    >>> matched_cosine([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]])
    0.5
    """
    x, y = unit_pairs(x, y)
    return float(np.vdot(x, y) / len(x))


def unmatched_cosine(x: ArrayLike, y: ArrayLike) -> float:
    """Mean cosine over i ≠ j of x_i·y_j, for `x`, `y` of shape (n, d), n at least 2; both orders count.

    Examples
    --------
    >>> unmatched_cosine([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]])
    0.5
    """
    x, y = unit_pairs(x, y, minimum=2)
    n = len(x)
    return float((x.sum(axis=0) @ y.sum(axis=0) - np.vdot(x, y)) / (n * (n - 1)))


def relative_modality_gap(x: ArrayLike, y: ArrayLike) -> float:
    r"""Relative modality gap of Schrodi et al. [3]_.

    .. math:: \mathrm{RMG} = \frac{m}{m + (d_x + d_y)/2}, \qquad m = \tfrac1n\sum_i\tfrac{1 - x_i\cdot y_i}{2},

    and :math:`d_x` the mean of :math:`(1 - x_i\cdot x_j)/2` over i < j.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        At least two pairs.

    Returns
    -------
    float
        In [0, 1]: 0 if the pairs coincide, ½ if a pair is as far apart as two points of one modality.

    Raises
    ------
    ValueError
        If all 2n rows coincide (0/0).

    Examples
    --------
    >>> relative_modality_gap([[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]])
    0.6666666666666666
    """
    x, y = unit_pairs(x, y, minimum=2)
    matched = np.sum((x - y) ** 2) / (4 * len(x))
    within = (2 - mean_cosine(x) - mean_cosine(y)) / 4
    if not matched + within > _NO_DIRECTION:
        raise ValueError(f"`x` and `y` must not be one single point, got distances {matched:.3g} and {within:.3g}.")
    return float(matched / (matched + within))


def alignment(x: ArrayLike, y: ArrayLike) -> float:
    """Alignment (1/n) Σ_i ‖x_i − y_i‖² of Wang and Isola [2]_ (exponent 2), in [0, 4], for `x`, `y` of shape (n, d).

    Examples
    --------
    >>> alignment([[1.0, 0.0]], [[0.0, 1.0]])
    2.0
    """
    x, y = unit_pairs(x, y)
    return float(np.sum((x - y) ** 2) / len(x))


def uniformity(x: ArrayLike, *, t: float = 2.0) -> float:
    r"""Uniformity of Wang and Isola [2]_: the log of the mean Gaussian potential.

    .. math:: \ln\ \operatorname{mean}_{i<j}\ e^{-t\|x_i - x_j\|^2}

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows. The (n, n) matrix is visited in blocks of 32 MB.
    t : float
        Sharpness, positive.

    Returns
    -------
    float
        In [−4t, 0]; lower is more uniform. The diagonal is excluded. For independent uniform points the mean
        potential is e^(−2t) ₀F₁(; d/2; t²), the floor of the population value.

    Examples
    --------
    >>> uniformity([[1.0, 0.0], [-1.0, 0.0]])
    -8.0
    """
    x = unit_rows("x", x, minimum=2)
    t = float(as_positive("t", t))
    logs = []
    for cosines in _upper_cosines(x):
        top = cosines.max()
        logs.append(2 * t * (top - 1) + np.log(np.sum(np.exp(2 * t * (cosines - top)))))
    return float(np.logaddexp.reduce(logs) - np.log(len(x) * (len(x) - 1) / 2))


def wasserstein_uniformity(x: ArrayLike, y: ArrayLike) -> float:
    r"""Minus the Wasserstein distance of the pooled rows, as a Gaussian, to N(0, I/d) [4]_.

    .. math:: -W_2 = -\sqrt{\|\mu\|^2 + 1 + \operatorname{tr}\Sigma - \tfrac{2}{\sqrt d}\operatorname{tr}\Sigma^{1/2}}

    with μ, Σ the mean and the covariance (divisor N) of the N = n + m rows of [x; y].

    Parameters
    ----------
    x, y : array_like, shapes (n, d) and (m, d)
        Embeddings of the two modalities.

    Returns
    -------
    float
        In [−√2, 0]; higher is more uniform. Not the uniformity of Wang and Isola. With unit rows ‖μ‖² + tr Σ = 1.

    Notes
    -----
    The eigenvalues of Σ^(1/2) are the singular values of the centred rows over √N: no square root of rounding errors.

    Examples
    --------
    >>> round(wasserstein_uniformity([[1.0, 0.0]], [[1.0, 0.0]]), 6)
    -1.414214
    """
    pooled = np.concatenate(unit_modalities(x, y))
    mean = pooled.mean(axis=0)
    roots = np.linalg.svd(pooled - mean, compute_uv=False) / np.sqrt(len(pooled))
    squared = mean @ mean + 1 + roots @ roots - 2 * roots.sum() / np.sqrt(pooled.shape[1])
    return -float(np.sqrt(max(squared, 0.0)))  # 0 is attained, and rounding may pass it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CenteredPairs:
    """Unit rows after each modality's mean was subtracted.

    Attributes
    ----------
    x, y : ndarray, shapes (n, d) and (m, d)
        Unit rows. Their means are near zero, not zero: the rows were normalised again.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "m d"]


def center(x: ArrayLike, y: ArrayLike) -> CenteredPairs:
    """Subtract each modality's mean from its unit rows and normalise again: closes the gap up to that normalisation.

    Parameters
    ----------
    x, y : array_like, shapes (n, d) and (m, d)
        Embeddings of the two modalities.

    Returns
    -------
    CenteredPairs
        The centred unit rows.

    Raises
    ------
    ValueError
        If a row equals its modality's mean (to 1e-12), as in a modality of one row.

    Examples
    --------
    >>> center([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [-1.0, 0.0]]).y
    array([[ 1.,  0.],
           [-1.,  0.]])
    """
    x, y = unit_modalities(x, y)
    return CenteredPairs(x=_centered("x", x), y=_centered("y", y))


def _centered(name: str, rows: np.ndarray) -> np.ndarray:
    residual = rows - rows.mean(axis=0)
    lengths = np.linalg.norm(residual, axis=1, keepdims=True)
    lost = np.flatnonzero(lengths[:, 0] <= _NO_DIRECTION)
    if lost.size:
        raise ValueError(f"`{name}` has a row equal to its mean, which has no direction: row {lost[0]} of {len(rows)}.")
    return residual / lengths
