r"""The von Mises-Fisher law on :math:`S^{d-1}`: a round cone of directions.

Its density against the uniform law is :math:`\exp(\kappa\,x\cdot\mu - \psi_d(\kappa))`, with mean direction
:math:`\mu`, concentration :math:`\kappa \ge 0` and log normaliser

.. math:: \psi_d(\kappa) = \ln {}_0F_1\bigl(;\tfrac d2; \tfrac{\kappa^2}4\bigr) = \int_0^\kappa A_d(s)\,ds, \qquad
          A_d = I_{d/2}/I_{d/2-1} .

:math:`A_d(\kappa)` is its mean resultant length, `conetheory.sphere.bessel_ratio`. Everything here is an integral of
positive multiples of :math:`A_d`, :math:`1 - A_d` or :math:`A_d'`, so nothing cancels, in any dimension and at any
concentration (``docs/theory.md``, 19.2 and 19.3). :math:`\kappa` is a concentration here, not the arc-cosine kernel.

References
----------
.. [1] K. V. Mardia and P. E. Jupp, "Directional Statistics", Wiley 2000.
.. [2] A. Banerjee, I. S. Dhillon, J. Ghosh and S. Sra, "Clustering on the Unit Hypersphere using von Mises-Fisher
   Distributions", JMLR 6, 2005.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import gammaln

from ._arrays import as_array, as_count, as_nonnegative
from ._bessel_ratio import integral, ratio_parts
from .errors import ConvergenceError

__all__ = [
    "ConeMoments",
    "concentration",
    "entropy",
    "kl_divergence",
    "log_partition",
    "moments",
    "uniform_divergence",
]

_NEWTON_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConeMoments:
    r"""First and second moments of a von Mises-Fisher law, each of the shape of the concentration.

    The second-moment tensor :math:`E\,xx^\top` has the eigenvalues ``radial_variance + resultant**2`` along the mean
    direction and `tangential_variance` across it (d - 1 times).

    Attributes
    ----------
    resultant : ndarray or float64
        Mean resultant length :math:`R = E\,x\cdot\mu`, in [0, 1].
    deficit : ndarray or float64
        1 - R, with the digits that `resultant` loses near 1.
    radial_variance : ndarray or float64
        :math:`\mathrm{Var}\,x\cdot\mu = A_d'(\kappa)`.
    tangential_variance : ndarray or float64
        Variance of a coordinate across the mean direction, :math:`R/\kappa`; 1/d at concentration 0.
    mean_cosine : ndarray or float64
        Expected cosine of two independent draws, :math:`R^2`.
    """

    resultant: np.ndarray | np.float64
    deficit: np.ndarray | np.float64
    radial_variance: np.ndarray | np.float64
    tangential_variance: np.ndarray | np.float64
    mean_cosine: np.ndarray | np.float64


def log_partition(dim: int, kappa: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Log normaliser :math:`\psi_d(\kappa) = \ln {}_0F_1(;d/2;\kappa^2/4) = \ln E\,e^{\kappa x\cdot y}`.

    The mean is over independent uniform x, y on the sphere, so this is also the log moment-generating function of the
    cosine of random directions.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 1` of the surrounding space.
    kappa : array_like, shape (...)
        Concentration, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0, to a relative error of 1e-14, checked for dimensions up to 1e5.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Against the surface measure the normaliser is larger by the log area of the sphere. Source: [1]_, (9.3.4);
    the integral: ours, ``docs/theory.md``, 19.2.

    Examples
    --------
    >>> print(log_partition(3, 2.0).round(12), np.log(np.sinh(2.0) / 2.0).round(12))
    0.595220192054 0.595220192054
    """
    dim, kappa = as_count("dim", dim), as_nonnegative("kappa", kappa)
    return integral(dim, np.zeros_like(kappa), kappa, lambda s, rest, parts: parts.value)


def moments(dim: int, kappa: ArrayLike) -> ConeMoments:
    r"""Mean resultant length, variances and mean cosine of the von Mises-Fisher law.

    .. math:: R = A_d(\kappa), \qquad \mathrm{Var}\,x\cdot\mu = A_d'(\kappa) = 1 - R^2 - (d-1)\frac R\kappa, \qquad
              \mathrm{Var}\,x\cdot e = \frac R\kappa \quad (e \perp \mu)

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    kappa : array_like, shape (...)
        Concentration, at least 0.

    Returns
    -------
    ConeMoments
        Each to a relative error of 1e-14, the small ones too.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, Sec. 9.3; ``docs/theory.md``, 19.2.

    Examples
    --------
    >>> found = moments(3, 50.0)
    >>> print(found.resultant.round(12), found.mean_cosine.round(12), found.tangential_variance.round(12))
    0.98 0.9604 0.0196
    """
    dim, kappa = as_count("dim", dim, minimum=2), as_nonnegative("kappa", kappa)
    value, complement, slope, over = (np.asarray(part)[()] for part in ratio_parts(dim, kappa))
    return ConeMoments(
        resultant=value,
        deficit=complement,
        radial_variance=slope,
        tangential_variance=over,
        mean_cosine=value**2,
    )


def _as_resultant(value: ArrayLike) -> np.ndarray:
    array = as_array("resultant", value)
    good = (array >= 0) & (array < 1)
    if not np.all(good):
        raise ValueError(f"`resultant` must lie in [0, 1), got {float(array[~good].flat[0])!r}.")
    return array


def concentration(dim: int, resultant: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Concentration :math:`\kappa` with :math:`A_d(\kappa) = R`: the maximum-likelihood estimate from a sample's R.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    resultant : array_like, shape (...)
        Mean resultant length R, in [0, 1).

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0. Relative error about :math:`10^{-15}/(1-R)`, which is what the rounding of R itself moves it by.

    Raises
    ------
    ValueError, TypeError
        If `resultant` is outside [0, 1), or `dim` is not an integer of at least 2.

    Notes
    -----
    Newton's method on :math:`A/((1-A)(1+A))`, which is nearly linear in :math:`\kappa`, from the start
    :math:`R(d - R^2)/(1 - R^2)` of [2]_, (4.4), which alone is off by up to 8 % (``docs/theory.md``, 19.4).

    Examples
    --------
    >>> print(concentration(3, 0.98).round(9))
    50.0
    """
    dim, target = as_count("dim", dim, minimum=2), _as_resultant(resultant)
    goal = target / ((1.0 - target) * (1.0 + target))
    kappa = goal * (dim - target * target)
    change = np.zeros_like(kappa)
    for _ in range(_NEWTON_STEPS):
        value, complement, slope, _ = ratio_parts(dim, kappa)
        span = complement * (1.0 + value)
        change = (goal - value / span) * span * span / (slope * (1.0 + value * value))
        kappa = np.maximum(kappa + change, 0.5 * kappa)  # the function is increasing: never past 0
        if np.all(np.abs(change) <= 1e-13 * kappa + np.finfo(np.float64).eps * kappa / (1.0 - target)):
            return kappa[()]
    worst = np.argmax(np.abs(change) / np.maximum(kappa, np.finfo(np.float64).tiny))
    raise ConvergenceError(
        f"The concentration of dimension {dim} for R = {float(target.flat[worst])!r} did not converge.",
        value=float(kappa.flat[worst]),
        error=float(np.abs(change).flat[worst]),
    )


def uniform_divergence(dim: int, kappa: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Relative entropy of the law to the uniform one, in nats: what a cone knows about direction.

    .. math:: D(\kappa) = \kappa A_d(\kappa) - \psi_d(\kappa) = \int_0^\kappa s\,A_d'(s)\,ds

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    kappa : array_like, shape (...)
        Concentration, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0, to a relative error of 1e-14.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours as an integral, ``docs/theory.md``, 19.3.

    Examples
    --------
    >>> print(uniform_divergence(512, [0.0, 100.0]).round(6))
    [0.       9.251639]
    """
    dim, kappa = as_count("dim", dim, minimum=2), as_nonnegative("kappa", kappa)
    return integral(dim, np.zeros_like(kappa), kappa, lambda s, rest, parts: s * parts.slope)


def entropy(dim: int, kappa: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Differential entropy against the surface measure, :math:`\ln|S^{d-1}| - D(\kappa)`, in nats.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    kappa : array_like, shape (...)
        Concentration, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        Of either sign; relative to the larger of the two terms the error is 1e-14.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    :math:`|S^{d-1}| = 2\pi^{d/2}/\Gamma(d/2)`. Source: [1]_, (9.3.4); ``docs/theory.md``, 19.3.

    Examples
    --------
    >>> print(entropy(3, 0.0).round(12) == np.log(4 * np.pi).round(12))
    True
    """
    divergence = uniform_divergence(dim, kappa)
    return np.log(2.0) + 0.5 * dim * np.log(np.pi) - gammaln(0.5 * dim) - divergence


def kl_divergence(
    dim: int, kappa: ArrayLike, other: ArrayLike, *, angle: ArrayLike = 0.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Relative entropy of one von Mises-Fisher law to another, in nats.

    .. math:: D(\kappa, \mu \,\|\, \kappa', \mu') = \int_\kappa^{\kappa'} (\kappa' - s)\,A_d'(s)\,ds
              + 2\kappa' A_d(\kappa)\sin^2\tfrac\omega2, \qquad \cos\omega = \mu\cdot\mu'

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the surrounding space.
    kappa, other : array_like, shape (...)
        Concentrations :math:`\kappa` and :math:`\kappa'`, at least 0.
    angle : array_like, shape (...)
        Angle :math:`\omega` of the mean directions in radians, in [0, pi].

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0. Both terms are: nothing cancels, neither for nearly equal laws nor for narrow ones.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Relative error 1e-13. Source: ours in this form, ``docs/theory.md``, 19.3.

    Examples
    --------
    >>> print(kl_divergence(64, 20.0, 20.0, angle=np.pi).round(6) == (2 * 20 * moments(64, 20.0).resultant).round(6))
    True
    """
    dim, angle = as_count("dim", dim, minimum=2), as_array("angle", angle)
    if not np.all((angle >= 0) & (angle <= np.pi)):
        raise ValueError(
            f"`angle` must lie in [0, pi], got {float(angle[~((angle >= 0) & (angle <= np.pi))].flat[0])!r}."
        )
    kappa, other, angle = np.broadcast_arrays(as_nonnegative("kappa", kappa), as_nonnegative("other", other), angle)
    spread = integral(dim, kappa, other, lambda s, rest, parts: rest * parts.slope)
    return spread + 2.0 * other * ratio_parts(dim, kappa).value * np.sin(0.5 * angle) ** 2
