r"""The gap that two independent cones leave: its mean, its finite-sample bias, its law for unrelated directions.

Rows :math:`x_1 \dots x_n` and :math:`y_1 \dots y_m` are drawn from two laws on the unit sphere. A law enters through
its mean resultant length R = |E x| alone, whatever its shape; :math:`\omega` is the angle of the two mean directions.

References
----------
.. [1] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Sec. 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import betaincinv, hyp2f1

from ._arrays import as_array, as_cosine, as_count, as_nonnegative, as_positive
from .dual import Activation, dual_activation, second_moment
from .sphere import _as_angle, cap_fraction

__all__ = [
    "GapBounds",
    "cross_tower_cosine",
    "expected_gap_bounds",
    "gap_squared",
    "gap_squared_bias",
    "initial_gap_squared",
    "random_cones_gap_cdf",
    "random_cones_gap_quantile",
    "random_cones_mean_gap",
]

_MANY, _TERMS = 64, 60  # dimension from which the series serves, and its length
_Numbers = Float[np.ndarray, "..."] | np.float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GapBounds:
    """Bounds of the expected gap between two samples.

    Attributes
    ----------
    low, high : ndarray or float64
        The gap of the two laws, and the root of the expected squared gap of the samples.
    """

    low: np.ndarray | np.float64
    high: np.ndarray | np.float64


def _as_share(name: str, value: ArrayLike) -> np.ndarray:
    array = as_array(name, value)
    good = (array >= 0) & (array <= 1)
    if not np.all(good):
        raise ValueError(f"`{name}` must lie in [0, 1], got {float(array[~good].flat[0])!r}.")
    return array


def _resultants(resultant_x: ArrayLike, resultant_y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    return _as_share("resultant_x", resultant_x), _as_share("resultant_y", resultant_y)


def gap_squared(resultant_x: ArrayLike, resultant_y: ArrayLike, *, angle: ArrayLike) -> _Numbers:
    r"""Squared gap of two laws, :math:`\|E x - E y\|^2 = (R_x - R_y)^2 + 4 R_x R_y \sin^2(\omega/2)`.

    Parameters
    ----------
    resultant_x, resultant_y : array_like, shape (...)
        Mean resultant lengths, in [0, 1].
    angle : array_like, shape (...)
        Angle of the mean directions in radians, in [0, pi]; immaterial where a length is 0.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 4], to a few eps relative to itself where the lengths are equal.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: the law of cosines, ``docs/theory.md``, 5b.4.

    Examples
    --------
    >>> print(gap_squared(0.8, 0.6, angle=np.pi / 2).round(12))
    1.0
    """
    (r, s), angle = _resultants(resultant_x, resultant_y), _as_angle("angle", angle)
    return (r - s) ** 2 + 4.0 * r * s * np.sin(0.5 * angle) ** 2


def gap_squared_bias(resultant_x: ArrayLike, resultant_y: ArrayLike, *, n_x: int, n_y: int) -> _Numbers:
    r"""Excess of the expected squared gap of two independent samples over that of their laws.

    .. math:: E\|\bar x - \bar y\|^2 - \|E x - E y\|^2 = \frac{1 - R_x^2}{n_x} + \frac{1 - R_y^2}{n_y}

    Parameters
    ----------
    resultant_x, resultant_y : array_like, shape (...)
        Mean resultant lengths of the laws, in [0, 1].
    n_x, n_y : int
        Sample sizes, at least 1.

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0: exact for every law on the sphere and every size.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    For n pairs :math:`(x_i, y_i)` that depend on each other, subtract :math:`2(E\,x_i\cdot y_i - E x\cdot E y)/n`.
    Source: ours, ``docs/theory.md``, 19.6.

    Examples
    --------
    >>> print(gap_squared_bias(0.0, 0.0, n_x=100, n_y=50).round(12))
    0.03
    """
    r, s = _resultants(resultant_x, resultant_y)
    return (1.0 - r) * (1.0 + r) / as_count("n_x", n_x) + (1.0 - s) * (1.0 + s) / as_count("n_y", n_y)


def expected_gap_bounds(
    resultant_x: ArrayLike, resultant_y: ArrayLike, *, angle: ArrayLike, n_x: int, n_y: int
) -> GapBounds:
    r"""Bounds of the expected gap :math:`E\|\bar x - \bar y\|` of two independent samples.

    .. math:: \|E x - E y\| \le E\|\bar x - \bar y\| \le \sqrt{\|E x - E y\|^2 + b}

    with b the `gap_squared_bias`: as an approximation, either end is off by at most :math:`b/(2\|E x - E y\|)`.

    Parameters
    ----------
    resultant_x, resultant_y, angle : array_like, shape (...)
        As in `gap_squared`.
    n_x, n_y : int
        As in `gap_squared_bias`.

    Returns
    -------
    GapBounds
        Valid for every pair of laws on the sphere.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 19.6.

    Examples
    --------
    >>> found = expected_gap_bounds(0.8, 0.6, angle=np.pi / 2, n_x=100, n_y=100)
    >>> print(found.low.round(6), found.high.round(6))
    1.0 1.004988
    """
    squared = gap_squared(resultant_x, resultant_y, angle=angle)
    bias = gap_squared_bias(resultant_x, resultant_y, n_x=n_x, n_y=n_y)
    return GapBounds(low=np.sqrt(squared), high=np.sqrt(squared + bias))


def random_cones_mean_gap(dim: int, resultant_x: ArrayLike, resultant_y: ArrayLike) -> _Numbers:
    r"""Expected gap of two cones whose mean directions are independent and uniform.

    .. math:: E\,\mathrm{gap} = \sqrt{R_x^2 + R_y^2}\; {}_2F_1\Bigl(-\tfrac14, \tfrac14; \tfrac d2;
              \Bigl(\frac{2R_xR_y}{R_x^2 + R_y^2}\Bigr)^2\Bigr)

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    resultant_x, resultant_y : array_like, shape (...)
        Mean resultant lengths, in [0, 1], not both 0.

    Returns
    -------
    ndarray or float64, shape (...)
        Below :math:`\sqrt{R_x^2 + R_y^2}`, the root of the mean square, by a share of at most 1/(8d) + O(1/d^2).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    It is enough that one of the two directions is uniform and independent of the other. Relative error 1e-13: below
    dimension 64 by the quadratic transformation :math:`R_x\,{}_2F_1(-\tfrac12, \tfrac{1-d}2; \tfrac d2;
    (R_y/R_x)^2)`, above by the series, as scipy's function of either form is infinite for some large d.
    Source: ours, ``docs/theory.md``, 19.7.

    Examples
    --------
    >>> print(random_cones_mean_gap(3, 1.0, 1.0).round(12))
    1.333333333333
    """
    dim, (r, s) = as_count("dim", dim, minimum=2), _resultants(resultant_x, resultant_y)
    root = np.hypot(r, s)
    if not np.all(root > 0):
        raise ValueError("`resultant_x` and `resultant_y` must not both be 0, got 0.0 and 0.0.")
    if dim < _MANY:
        long, short = np.maximum(r, s), np.minimum(r, s)
        return long * hyp2f1(-0.5, 0.5 * (1 - dim), 0.5 * dim, (short / long) ** 2)
    z2 = (2.0 * (r / root) * (s / root)) ** 2
    k = np.arange(_TERMS)
    factors = np.cumprod((k * k - 0.0625) / ((0.5 * dim + k) * (k + 1)))  # 60 terms: below 1e-24 from dimension 64 on
    return root * (1.0 + z2 * np.polynomial.polynomial.polyval(z2, factors))


def random_cones_gap_cdf(gap: ArrayLike, dim: int, resultant_x: ArrayLike, resultant_y: ArrayLike) -> _Numbers:
    r"""Probability that the gap of two cones with independent uniform mean directions is at most `gap`.

    .. math:: P(\|E x - E y\| \le g) = \text{cap fraction of } \omega, \qquad
              \sin^2\tfrac\omega2 = \frac{g^2 - (R_x - R_y)^2}{4R_xR_y}

    Parameters
    ----------
    gap : array_like, shape (...)
        At least 0.
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    resultant_x, resultant_y : array_like, shape (...)
        Mean resultant lengths, in (0, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        0 below :math:`|R_x - R_y|` and 1 above :math:`R_x + R_y`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The mean square is :math:`R_x^2 + R_y^2`, its variance :math:`4R_x^2R_y^2/d`. Source: ours,
    ``docs/theory.md``, 19.7.

    Examples
    --------
    >>> print(random_cones_gap_cdf(1.0, 3, 1.0, 1.0).round(12))
    0.25
    """
    gap, (r, s) = as_nonnegative("gap", gap), _resultants(resultant_x, resultant_y)
    r, s = as_positive("resultant_x", r), as_positive("resultant_y", s)
    half_sine2 = (gap - (r - s)) * (gap + (r - s)) / (4.0 * r * s)
    angle = 2.0 * np.arcsin(np.sqrt(np.minimum(np.maximum(half_sine2, 0.0), 1.0)))  # 0 and 1 outside the range
    return cap_fraction(angle, dim)


def random_cones_gap_quantile(
    probability: ArrayLike, dim: int, resultant_x: ArrayLike, resultant_y: ArrayLike
) -> _Numbers:
    r"""Gap that two cones with independent uniform mean directions exceed with probability 1 - `probability`.

    Parameters
    ----------
    probability : array_like, shape (...)
        In [0, 1].
    dim, resultant_x, resultant_y
        As in `random_cones_gap_cdf`, of which this is the inverse.

    Returns
    -------
    ndarray or float64, shape (...)
        In :math:`[|R_x - R_y|, R_x + R_y]`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 19.7.

    Examples
    --------
    >>> print(random_cones_gap_quantile([0.025, 0.975], 512, 0.7, 0.7).round(4))
    [0.9461 1.0319]
    """
    p, (r, s) = _as_share("probability", probability), _resultants(resultant_x, resultant_y)
    dim, r, s = as_count("dim", dim, minimum=2), as_positive("resultant_x", r), as_positive("resultant_y", s)
    smaller = np.arcsin(np.sqrt(betaincinv(0.5 * (dim - 1), 0.5, 2.0 * np.minimum(p, 1.0 - p))))
    angle = np.where(p <= 0.5, smaller, np.pi - smaller)
    return np.sqrt(gap_squared(r, s, angle=angle))


def cross_tower_cosine(
    activation: str | Callable | Activation, *, var_x: ArrayLike = 1.0, var_y: ArrayLike = 1.0
) -> _Numbers:
    r"""Limiting cosine of the outputs of two independent wide towers that both end in the same activation.

    .. math:: \frac{E\,\phi(\sqrt{k_x} z)\;E\,\phi(\sqrt{k_y} z)}
              {\sqrt{E\,\phi(\sqrt{k_x} z)^2\;E\,\phi(\sqrt{k_y} z)^2}}

    Parameters
    ----------
    activation : str, callable or Activation
        Of the last layer of either tower, as in `conetheory.dual.dual_activation`.
    var_x, var_y : array_like, shape (...)
        Variances :math:`k_x, k_y` of the last pre-activations, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`1/\pi` for ReLU; 0 for odd activations and for linear last layers.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.dual_activation`.

    Notes
    -----
    At equal variances it is the C-map at 0. Source: ours, ``docs/theory.md``, 19.8.

    Examples
    --------
    >>> print((cross_tower_cosine("relu") * np.pi).round(12))
    1.0
    """
    var_x, var_y = as_positive("var_x", var_x), as_positive("var_y", var_y)
    norm = np.sqrt(second_moment(activation, var_x)) * np.sqrt(second_moment(activation, var_y))
    return dual_activation(activation, 0.0, var_u=var_x, var_v=var_y) / norm


def initial_gap_squared(cone_x: ArrayLike, cone_y: ArrayLike, *, n: int, cross_cosine: ArrayLike = 0.0) -> _Numbers:
    r"""Expected squared gap of a two-tower model at initialisation, from the mean cosines of its two cones.

    .. math:: E\|\Delta\|^2 = c_x + c_y - 2 c_{xy} + \frac{(1 - c_x) + (1 - c_y)}{n}

    Parameters
    ----------
    cone_x, cone_y : array_like, shape (...)
        Expected cosine of two different rows of one tower, in [-1, 1]: measured, or from
        `conetheory.meanfield.cone_curve`.
    n : int
        Rows of either tower, at least 1.
    cross_cosine : array_like, shape (...)
        Expected cosine of a row of one tower and one of the other, in [-1, 1], the same for matched and unmatched
        rows: 0 where one tower ends in a linear layer with sign-symmetric weights and no bias, `cross_tower_cosine`
        where both end in an activation.

    Returns
    -------
    ndarray or float64, shape (...)
        Mean over initialisations. A single model has an own :math:`\bar x\cdot\bar y`, about
        :math:`\sqrt{c_x c_y/d}` either way: `random_cones_gap_quantile`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 5b.2 and 19.8.

    Examples
    --------
    >>> print(initial_gap_squared(0.5, 0.5, n=1000).round(6))
    1.001
    """
    c_x, c_y = as_cosine("cone_x", cone_x), as_cosine("cone_y", cone_y)
    n = as_count("n", n)
    return c_x + (1.0 - c_x) / n + c_y + (1.0 - c_y) / n - 2.0 * as_cosine("cross_cosine", cross_cosine)
