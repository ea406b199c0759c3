r"""The angle of two inputs through deep ReLU networks of finite width, layer by layer: :math:`\ln\sin^2\theta`.

Without biases the angle is a Markov chain: the law of :math:`\theta'` depends on :math:`\theta` and the width n alone.
Jakub and Nica [1]_ give mean and variance of :math:`\ln\sin^2\theta'` to first order in 1/n. The printed formulas are
here as printed, beside the expansion to :math:`n^{-3}` and what is exact in the limit of small angles, both ours.

References
----------
.. [1] C. Jakub and M. Nica, "Depth Degeneracy in Neural Networks", JMLR 25:239, 2024, arXiv:2302.09712.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import digamma, polygamma

from ._active_units import active_units
from ._arrays import as_array, as_count
from ._layer_cumulants import CumulantExpansion, contrast_moment, expand, log_sine_square
from ._relu_contrast import kappa_lift, one_minus_kappa

__all__ = [
    "infinite_width_log_sine_change",
    "jakub_nica_mean",
    "jakub_nica_mean_error",
    "jakub_nica_small_angle_drop",
    "jakub_nica_variance",
    "jakub_nica_variance_error",
    "log_sine_expansion",
    "small_angle_mean_change",
    "small_angle_variance",
]


def _as_open_angle(theta: ArrayLike) -> np.ndarray:
    array = as_array("theta", theta)
    inside = np.asarray((array > 0) & (array < np.pi))
    if not np.all(inside):
        raise ValueError(f"`theta` must lie strictly between 0 and pi, got {float(array[~inside].flat[0])!r}.")
    return array


def _ratios(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return :math:`J_{22}` and the two quotients of the printed formulas, without cancellation (15.5):

    :math:`(8J_{11}^2J_{22} - 8J_{11}^4 + 4J_{11}^2 - 8J_{11}J_{31} + J_{22} + 1)/(1 - 4J_{11}^2)^2` and
    :math:`(2J_{11}^2 - 4J_{11}J_{31} + J_{22} + 1)/(1 - 4J_{11}^2)`.
    """
    flat = theta.reshape(-1)
    drop = one_minus_kappa(flat)
    cross, fourth, square = (contrast_moment(*powers, flat) for powers in ((1, 1, 0), (0, 2, 0), (0, 0, 2)))
    kappa, gap = 1 - drop, drop * (2 - drop)
    first = drop**2 * (1 + 2 * drop - drop**2 / 2) + drop * (square * (1 - drop) - cross) + fourth / 2
    second = (drop * (5 - kappa) + kappa * cross - drop * square) / 2
    shape = theta.shape
    return ((3 - square) / 2).reshape(shape), (first / gap**2).reshape(shape), (second / gap).reshape(shape)


def _limit(theta: np.ndarray) -> np.ndarray | np.float64:
    r""":math:`\ln(1 - \kappa^2)`."""
    drop = one_minus_kappa(theta)
    return np.log(drop) + np.log(2.0 - drop)


def jakub_nica_mean(theta: ArrayLike, width: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean of :math:`\ln\sin^2\theta'` after one ReLU layer, as printed:

    .. math:: \mu = \ln\frac{(n-1)(1 - 4J_{11}^2)}{4J_{22} - 1 + n} + \frac{4(J_{22} + 1)}{n((4J_{22}-1)/n + 1)^2}
              - \frac{4(8J_{11}^2J_{22} - 8J_{11}^4 + 4J_{11}^2 - 8J_{11}J_{31} + J_{22} + 1)}
                     {n(1 - 1/n)^2(1 - 4J_{11}^2)^2}

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle of the inputs, radians, strictly between 0 and pi.
    width : int
        Units n of the layer, at least 2.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\mu`; evaluated to a few eps at every angle.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    Right to first order in 1/n, so of use at widths well above 10; `jakub_nica_mean_error` is what it misses next,
    about :math:`-90/n^2` at small angles. Source: [1]_, Theorem 1.

    Examples
    --------
    >>> print(jakub_nica_mean(0.5, 256).round(4), log_sine_expansion(0.5).at(256).mean.round(4))
    -1.5841 -1.5831
    """
    theta, n = _as_open_angle(theta), as_count("width", width, minimum=2)
    j22, first, _ = _ratios(theta)
    a = 4 * j22 - 1
    mean = _limit(theta) + np.log1p(-1 / n) - np.log1p(a / n)
    return (mean + 4 * (j22 + 1) / (n * (a / n + 1) ** 2) - 4 * first / (n * (1 - 1 / n) ** 2))[()]


def jakub_nica_variance(theta: ArrayLike, width: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Variance of :math:`\ln\sin^2\theta'` after one ReLU layer, as printed:

    .. math:: \sigma^2 = \frac{8n(J_{22}+1)}{(4J_{22}-1+n)^2}
              + \frac{8n(8J_{11}^2J_{22} - 8J_{11}^4 + 4J_{11}^2 - 8J_{11}J_{31} + J_{22} + 1)}
                     {(n-1)^2(1 - 4J_{11}^2)^2}
              - \frac{16n(2J_{11}^2 - 4J_{11}J_{31} + J_{22} + 1)}{(4J_{22}-1+n)(n-1)(1-4J_{11}^2)}

    Parameters, errors and source are those of `jakub_nica_mean`.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\sigma^2`.

    Notes
    -----
    Right to first order in 1/n, and too small at the next: at small angles by the share 14/n, which is 30 % at width
    32, 10 % at 128 and 5 % at 256 (`jakub_nica_variance_error`).

    Examples
    --------
    >>> print((jakub_nica_variance(1e-3, 256) / log_sine_expansion(1e-3).at(256).variance).round(3))
    0.948
    """
    theta, n = _as_open_angle(theta), as_count("width", width, minimum=2)
    j22, first, second = _ratios(theta)
    a = 4 * j22 - 1
    positive = 8 * n * (j22 + 1) / (a + n) ** 2 + 8 * n * first / (n - 1) ** 2
    return (positive - 16 * n * second / ((a + n) * (n - 1)))[()]


def log_sine_expansion(theta: ArrayLike) -> CumulantExpansion:
    r"""Cumulants of :math:`\ln\sin^2\theta'` after one ReLU layer in powers of 1/n, up to :math:`n^{-3}`.

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle of the inputs, radians, strictly between 0 and pi.

    Returns
    -------
    CumulantExpansion
        Coefficients of shape (4, ...); relative error about 1e-12.

    Raises
    ------
    ValueError
        If `theta` is not strictly between 0 and pi.

    Notes
    -----
    As :math:`\theta \to 0` the mean of the change is :math:`-2/n - 8/n^2 - 40/n^3` and the variance
    :math:`8/n + 32/n^2 + (508/3)/n^3`, the expansion of the exact `small_angle_mean_change` and
    `small_angle_variance`. Asymptotic: needs a width well above 10. Ours; ``docs/theory.md``, 15.1 to 15.3.

    Examples
    --------
    >>> log_sine_expansion(1e-6).variance.round(3)
    array([  0.   ,   8.   ,  32.   , 169.333])
    """
    return expand(log_sine_square, _as_open_angle(theta))


def jakub_nica_mean_error(theta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Coefficient C of :math:`\mu - E\ln\sin^2\theta' = C/n^2 + O(n^{-3})`, :math:`\mu` as printed.

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle of the inputs, radians, strictly between 0 and pi.

    Returns
    -------
    ndarray or float64, shape (...)
        -92 at 0, -71.7 at 0.5, -10.3 at 1.5; negative below 2.42, and at most 0.02 above.

    Raises
    ------
    ValueError
        If `theta` is not strictly between 0 and pi.

    Notes
    -----
    Ours; ``docs/theory.md``, 15.5.

    Examples
    --------
    >>> print(jakub_nica_mean_error([1e-6, 0.5, 1.5]).round(1))
    [-92.  -71.7 -10.3]
    """
    theta = _as_open_angle(theta)
    j22, first, _ = _ratios(theta)
    a = 4 * j22 - 1
    printed = (a**2 - 1) / 2 - 8 * a * (j22 + 1) - 8 * first
    return (printed - expand(log_sine_square, theta).mean[2])[()]


def jakub_nica_variance_error(theta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Coefficient of :math:`n^{-2}` in :math:`\sigma^2 - \operatorname{Var}\ln\sin^2\theta'`, :math:`\sigma^2` as
    printed.

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle of the inputs, radians, strictly between 0 and pi.

    Returns
    -------
    ndarray or float64, shape (...)
        -112 at 0: the printed variance is too small there by the share 14/n.

    Raises
    ------
    ValueError
        If `theta` is not strictly between 0 and pi.

    Notes
    -----
    Ours; ``docs/theory.md``, 15.5.

    Examples
    --------
    >>> print(jakub_nica_variance_error(1e-6).round(1))
    -112.0
    """
    theta = _as_open_angle(theta)
    j22, first, second = _ratios(theta)
    a = 4 * j22 - 1
    printed = -16 * a * (j22 + 1) + 16 * first + 16 * second * (a - 1)
    return (printed - expand(log_sine_square, theta).variance[2])[()]


def infinite_width_log_sine_change(theta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Change of :math:`\ln\sin^2\theta` in an infinitely wide ReLU layer, :math:`-\frac{2}{3\pi}\theta + O(\theta^2)`.

    Parameters
    ----------
    theta : array_like, shape (...)
        Angle of the inputs, radians, strictly between 0 and pi.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\ln(1 - \kappa^2) - \ln\sin^2\theta`, accurate relative to its size at small angles. Positive above
        1.79: there :math:`\theta'` is closer to a right angle than :math:`\theta` is.

    Raises
    ------
    ValueError
        If `theta` is not strictly between 0 and pi.

    Notes
    -----
    Ours as a form without cancellation; ``docs/theory.md``, 15.4. The slope is that of [1]_.

    Examples
    --------
    >>> print((infinite_width_log_sine_change(1e-9) * 3 * np.pi / 2e-9).round(6))
    -1.0
    """
    theta = _as_open_angle(theta)
    lift = kappa_lift(theta)
    return np.log1p(-lift / (2 * np.sin(theta / 2) ** 2)) + np.log1p(lift / (2 * np.cos(theta / 2) ** 2))


def jakub_nica_small_angle_drop(theta: ArrayLike, width: int) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean fall of :math:`\ln\sin^2\theta` in one layer at small angles, as printed:

    .. math:: \frac{2}{3\pi}\theta + \ln\frac{n+5}{n-1} - \frac{10n}{(n+5)^2} + \frac{6n}{(n-1)^2}

    Parameters, errors and source are those of `jakub_nica_mean`.

    Returns
    -------
    ndarray or float64, shape (...)
        :math:`\frac{2}{3\pi}\theta + 2/n + 100/n^2 + O(n^{-3})`. The exact fall, `small_angle_mean_change`, has
        :math:`8/n^2`.

    Examples
    --------
    >>> print(jakub_nica_small_angle_drop(0.0, 256).round(5), (-small_angle_mean_change(256)).round(5))
    0.0093 0.00794
    """
    array, n = as_array("theta", theta), as_count("width", width, minimum=2)
    if not np.all((array >= 0) & (array < np.pi)):
        raise ValueError(f"`theta` must lie in [0, pi), got {theta}.")
    return 2 / (3 * np.pi) * array + np.log1p(6 / (n - 1)) - 10 * n / (n + 5) ** 2 + 6 * n / (n - 1) ** 2


def small_angle_mean_change(width: int) -> np.float64:
    r"""Mean change of :math:`\ln\sin^2\theta` in one layer in the limit of small angles, exact at every width:

    .. math:: E\big[\psi\big(\tfrac{N-1}{2}\big) - \psi\big(\tfrac N2\big)\,\big|\,N \ge 2\big],\qquad
              N \sim \mathrm{Bin}(n, \tfrac12).

    Parameters
    ----------
    width : int
        Units n of the layer, at least 2.

    Returns
    -------
    float64
        Negative; :math:`-2/n - 8/n^2 - 40/n^3 + O(n^{-4})`. It is the exponential rate at which an infinitely deep
        network of width n without biases closes :math:`\sin^2` of an angle.

    Raises
    ------
    ValueError, TypeError
        If `width` is not an integer of at least 2.

    Notes
    -----
    Given N units that are active on both inputs, :math:`\sin^2\theta'/\sin^2\theta \to \chi^2_{N-1}/\chi^2_N`, two
    independent variables; with fewer than two the angle is 0 after the layer. Ours; ``docs/theory.md``, 15.4.

    Examples
    --------
    >>> print(small_angle_mean_change(64).round(6))
    -0.033373
    """
    counts, weights = active_units(as_count("width", width, minimum=2), minimum=2)
    return np.sum(weights * (digamma((counts - 1) / 2) - digamma(counts / 2)))


def small_angle_variance(width: int) -> np.float64:
    r"""Variance of the change of :math:`\ln\sin^2\theta` in one layer in the limit of small angles, exact.

    .. math:: E\big[\psi_1\big(\tfrac{N-1}{2}\big) + \psi_1\big(\tfrac N2\big)\big]
              + \operatorname{Var}\big[\psi\big(\tfrac{N-1}{2}\big) - \psi\big(\tfrac N2\big)\big],
              \qquad N \sim \mathrm{Bin}(n, \tfrac12)\text{ given }N \ge 2

    Parameters and errors are those of `small_angle_mean_change`.

    Returns
    -------
    float64
        :math:`8/n + 32/n^2 + (508/3)/n^3 + O(n^{-4})`.

    Notes
    -----
    Ours; ``docs/theory.md``, 15.4.

    Examples
    --------
    >>> print(small_angle_variance(64).round(6))
    0.133538
    """
    counts, weights = active_units(as_count("width", width, minimum=2), minimum=2)
    change = digamma((counts - 1) / 2) - digamma(counts / 2)
    within = polygamma(1, (counts - 1) / 2) + polygamma(1, counts / 2)
    return np.sum(weights * (within + (change - np.sum(weights * change)) ** 2))
