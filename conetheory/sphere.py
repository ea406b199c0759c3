r"""The unit sphere :math:`S^{d-1}` in :math:`d` = `dim` dimensions: caps, Jung's theorem, cones, uniform points.

References
----------
.. [1] S. Li, "Concise Formulas for the Area and Volume of a Hyperspherical Cap", Asian J. Math. Stat. 4, 2011.
.. [2] B. V. Dekster, "The Jung theorem for spherical and hyperbolic spaces", Acta Math. Hungar. 67, 1995.
.. [3] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000.
.. [4] T. Wang and P. Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
   Hypersphere", ICML 2020, arXiv:2005.10242.
.. [5] DLMF 10.33, 15.7, https://dlmf.nist.gov.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, betaln, xlogy

from ._arrays import as_array, as_cosine, as_count, as_nonnegative, as_positive, unit_rows
from ._bessel_ratio import integral, ratio_parts

__all__ = [
    "bessel_ratio",
    "cap_fraction",
    "jung_half_angle",
    "log_cap_fraction",
    "mean_pairwise_cosine",
    "mean_resultant_length",
    "sample_uniformity_floor",
    "uniformity_floor",
]

_SAFE = 1e-290  # above it a double keeps all its digits
_TAIL_TERMS = 8  # of the fraction in _log_small_cap: five leave nothing where it serves (docs/theory.md, 5.2)


def _as_angle(name: str, value: ArrayLike) -> np.ndarray:
    array = as_array(name, value)
    good = (array >= 0) & (array <= np.pi)
    if not np.all(good):
        raise ValueError(f"`{name}` must lie in [0, pi], got {float(array[~good].flat[0])!r}.")
    return array


def _at_most_half(angle: np.ndarray, dim: int) -> np.ndarray | np.float64:
    """Return the fraction of the cap of half-angle min(angle, pi - angle), accurate relative to its size."""
    order, sin2, cos2 = 0.5 * (dim - 1), np.sin(angle) ** 2, np.cos(angle) ** 2
    return 0.5 * np.where(sin2 < 0.5, betainc(order, 0.5, sin2), betaincc(0.5, order, cos2))


def cap_fraction(half_angle: ArrayLike, dim: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Fraction of the sphere within an angle of a point.

    .. math:: \tfrac12 I_{\sin^2\psi}\bigl(\tfrac{d-1}2, \tfrac12\bigr),\quad \psi \le \pi/2;\qquad
              1 - \text{that of } \pi - \psi \text{ beyond.}

    Parameters
    ----------
    half_angle : array_like, shape (...)
        Half-angle :math:`\psi` in radians, in [0, pi].
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 1]. Relative error below `dim` times 1e-15 up to pi/2, absolute beyond; underflows where
        `log_cap_fraction` does not.

    Raises
    ------
    ValueError, TypeError
        If `half_angle` is outside [0, pi], or `dim` is not an integer of at least 2.

    Notes
    -----
    Source: [1]_; `docs/theory.md`, 5.1.

    Examples
    --------
    >>> print(cap_fraction(np.pi / 3, 3).round(12))
    0.25
    """
    angle, dim = _as_angle("half_angle", half_angle), as_count("dim", dim, minimum=2)
    small = _at_most_half(angle, dim)
    return np.where(angle <= np.pi / 2, small, 1.0 - small)[()]


def log_cap_fraction(half_angle: ArrayLike, dim: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Natural logarithm of `cap_fraction`, without underflow in any dimension.

    Parameters and errors are those of `cap_fraction`.

    Returns
    -------
    ndarray or float64, shape (...)
        At most 0; -inf at half-angle 0. Relative error below 1e-12.

    Notes
    -----
    Where the fraction underflows: :math:`I_{\sin^2\psi}(a, \tfrac12) = \sin^{2a}\psi\,\sec\psi\,{}_2F_1(\tfrac12, 1;
    a+1; -\tan^2\psi)/(a B(a, \tfrac12))`, Gauss' continued fraction [5]_; `docs/theory.md`, 5.2.

    Examples
    --------
    >>> print((log_cap_fraction(np.radians(27.97), 512) / np.log(2)).round(1))
    -563.8
    """
    angle, dim = _as_angle("half_angle", half_angle), as_count("dim", dim, minimum=2)
    small = _at_most_half(angle, dim)
    result = np.log1p(-np.where(angle <= np.pi / 2, 0.0, small))
    kept = (angle <= np.pi / 2) & (small > _SAFE)
    result = np.where(kept, np.log(small, out=np.zeros_like(small), where=kept), result)
    tiny = (angle < np.pi / 2) & ~kept
    return np.where(tiny, _log_small_cap(np.where(tiny, angle, 0.0), dim), result)[()]


def _log_small_cap(angle: np.ndarray, dim: int) -> np.ndarray | np.float64:
    order, tan2 = 0.5 * (dim - 1), np.tan(angle) ** 2
    fraction = np.full_like(tan2, order + _TAIL_TERMS)
    for n in range(_TAIL_TERMS, 0, -1):
        half = n // 2
        numerator = (half + 0.5) * (order + half) if n % 2 else half * (order - 0.5 + half)
        fraction = order + n - 1 + numerator * tan2 / fraction
    return xlogy(2.0 * order, np.sin(angle)) - np.log(2.0 * np.cos(angle) * fraction) - betaln(order, 0.5)


def jung_half_angle(min_cosine: ArrayLike, dim: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Half-angle of a cap that contains every set whose pairwise cosines are all at least `min_cosine`.

    .. math:: \sin R = \sqrt{\frac{2(d-1)}{d}}\,\sin\frac{\arccos c}{2},\qquad
              \tan R = \sqrt{\frac{(d-1)(1-c)}{1 + (d-1)c}}

    Parameters
    ----------
    min_cosine : array_like, shape (...)
        Least pairwise cosine :math:`c`, in :math:`(-1/d, 1]`.
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.

    Returns
    -------
    ndarray or float64, shape (...)
        Radians, in [0, pi/2). No smaller cap serves: the regular simplex of `dim` points attains it.

    Raises
    ------
    ValueError, TypeError
        If `min_cosine` is outside (-1/dim, 1]: from -1/dim down no cap below a hemisphere is guaranteed (the simplex
        of `dim` + 1 points surrounds the centre). If `dim` is not an integer of at least 2.

    Notes
    -----
    Source: Jung's theorem on the sphere [2]_; proof and domain in `docs/theory.md`, 5.3.

    Examples
    --------
    >>> print(np.degrees(jung_half_angle(0.56, 3)).round(2))
    32.79
    """
    cosine, dim = as_cosine("min_cosine", min_cosine), as_count("dim", dim, minimum=2)
    good = cosine * dim > -1
    if not np.all(good):
        raise ValueError(f"`min_cosine` must lie in (-1/dim, 1], dim = {dim}, got {float(cosine[~good].flat[0])!r}.")
    return np.arctan2(np.sqrt((dim - 1) * (1.0 - cosine)), np.sqrt(1.0 + (dim - 1) * cosine))


def mean_resultant_length(x: ArrayLike) -> np.float64:
    r"""Length :math:`\bar R = \|\tfrac1n\sum_i x_i/\|x_i\|\|` of the mean direction [3]_.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Points as rows, none zero; normalised inside.

    Returns
    -------
    float64
        In [0, 1], up to rounding.

    Raises
    ------
    ValueError, TypeError
        If `x` is not of shape (n, d), or has a zero row.

    Examples
    --------
    >>> print(mean_resultant_length([[3.0, 0.0], [0.0, 0.1]]).round(6))
    0.707107
    """
    return np.float64(np.linalg.norm(unit_rows("x", x).mean(axis=0)))


def mean_pairwise_cosine(x: ArrayLike) -> np.float64:
    r"""Mean cosine over all pairs of distinct rows, :math:`(n\bar R^2 - 1)/(n - 1)`, in O(nd).

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two points as rows, none zero; normalised inside.

    Returns
    -------
    float64
        In [-1/(n-1), 1], up to rounding.

    Raises
    ------
    ValueError, TypeError
        If `x` is not of shape (n, d) with n >= 2, or has a zero row.

    Notes
    -----
    `docs/theory.md`, 5.4.

    Examples
    --------
    >>> print(mean_pairwise_cosine([[3.0, 0.0], [0.0, 0.1], [-2.0, 0.0]]).round(6))
    -0.333333
    """
    rows = unit_rows("x", x, minimum=2)
    n = len(rows)
    mean = rows.mean(axis=0)
    return (n * (mean @ mean) - 1.0) / (n - 1)


def uniformity_floor(dim: int, *, t: float = 2.0) -> np.float64:
    r"""Least value of Wang and Isola's uniformity :math:`\ln E\,e^{-t\|x-y\|^2}` over all laws on the sphere [4]_.

    .. math:: -2t + \ln {}_0F_1(;\tfrac d2; t^2) = -\int_0^{2t} (1 - A_d(s))\,ds,

    attained by the uniform law, for independent :math:`x, y` of the same law. The mean over distinct pairs of a
    finite sample may lie below it: see `sample_uniformity_floor`.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 1` of the surrounding space.
    t : float
        Sharpness, positive.

    Returns
    -------
    float64
        In (-2t, 0), to a relative error of 1e-14.

    Raises
    ------
    ValueError, TypeError
        If `dim` is not an integer of at least 1, or `t` is not positive.

    Notes
    -----
    `docs/theory.md`, 5.6; the integral: 19.2.

    Examples
    --------
    >>> print(uniformity_floor(512).round(4))
    -3.9844
    """
    dim, reach = as_count("dim", dim), 2.0 * as_positive("t", t)
    return -integral(dim, np.zeros_like(reach), reach, lambda s, rest, parts: parts.complement)


def sample_uniformity_floor(dim: int, n: int, *, t: float = 2.0) -> np.float64:
    r"""Floor of the uniformity of n points, the log of the mean of :math:`e^{-t\|x_i-x_j\|^2}` over pairs i < j.

    .. math:: \ln\max\Bigl(e^{-2tn/(n-1)},\ \frac{n\,e^{f} - 1}{n - 1}\Bigr), \qquad
              f = -2t + \ln {}_0F_1(;\tfrac d2; t^2)

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 1` of the surrounding space.
    n : int
        Number of points, at least 2.
    t : float
        Sharpness, positive.

    Returns
    -------
    float64
        A lower bound of `conetheory.gap.uniformity`: the first is attained iff n <= d + 1, by the regular simplex, the
        second is f itself in the limit of many points.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 19.5.

    Examples
    --------
    >>> print(sample_uniformity_floor(512, 2), sample_uniformity_floor(3, 1000).round(4), uniformity_floor(3).round(4))
    -8.0 -2.0868 -2.0798
    """
    n, t = as_count("n", n, minimum=2), float(as_positive("t", t))
    simplex = np.exp(-2.0 * t * n / (n - 1))
    energy = (n * np.exp(uniformity_floor(dim, t=t)) - 1.0) / (n - 1)
    return np.log(energy) if energy > simplex else np.float64(-2.0 * t * n / (n - 1))


def bessel_ratio(dim: int, s: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean resultant length :math:`A_d(s) = I_{d/2}(s)/I_{d/2-1}(s)` of a von Mises-Fisher law of concentration `s`.

    :math:`\coth s - 1/s` (Langevin) for :math:`d = 3`, :math:`\tanh s` for :math:`d = 1`.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 1` of the surrounding space.
    s : array_like, shape (...)
        Concentration, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 1]; relative error below 1e-14. Near 1 see `conetheory.von_mises_fisher.moments`, which has
        :math:`1 - A_d` as well.

    Raises
    ------
    ValueError, TypeError
        If `s` is negative, or `dim` is not an integer of at least 1.

    Notes
    -----
    Source: [3]_. The continued fraction [5]_ :math:`s/(d + s^2/(d + 2 + s^2/(d + 4 + \dots)))`, cut where the rest
    changes nothing (`docs/theory.md`, 5.7), and from max(25, 2d) on a series in 1/s (19.1).

    Examples
    --------
    >>> print(bessel_ratio(3, [0.0, 1.0, 50.0]).round(6))
    [0.       0.313035 0.98    ]
    """
    return np.asarray(ratio_parts(as_count("dim", dim), as_nonnegative("s", s)).value)[()]
