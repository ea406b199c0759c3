r"""Temperature laws: how the logit scale :math:`\beta = 1/\tau` hangs on the parameter :math:`\nu` that is trained.

What a law does to the gap is one function, the first integral (``docs/theory.md``, 21.2)

.. math:: F(\beta) = \int \frac{\beta}{\beta'(\nu)^2}\,d\beta, \qquad
          \ln\gamma - \tfrac12\gamma^2 + 2F(\beta) = \text{const along the gap flow.}

=================  ================================  =========================================================
law                :math:`\beta'(\nu)`               :math:`F(\beta)`
=================  ================================  =========================================================
:math:`e^{\nu/s}`  :math:`\beta/s`                   :math:`s^2\ln\beta`
:math:`\nu`        1                                 :math:`\beta^2/2`
softplus           :math:`1 - e^{-\beta}`            :math:`\beta^2/2 + (1+\beta)\ln(1-e^{-\beta})
                                                     - \mathrm{Li}_2(e^{-\beta}) - \beta/(e^\beta-1)`
=================  ================================  =========================================================

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Lemma 3.1 and App. C.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import spence

from ._arrays import as_array, as_positive
from ._scalars import positive_number

__all__ = [
    "ExponentialLaw",
    "FixedLaw",
    "LearnableLaw",
    "LinearLaw",
    "ScheduledLaw",
    "SoftplusLaw",
    "TemperatureLaw",
    "exponential_law",
    "fixed_law",
    "linear_law",
    "linear_schedule",
    "scheduled_law",
    "softplus_law",
]

Values = np.ndarray | np.float64


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialLaw:
    r""":math:`\beta = e^{\nu/s}`; CLIP's for s = 1.

    Attributes
    ----------
    scale : float
        s.
    """

    scale: float

    def beta(self, nu: ArrayLike) -> Values:
        """Return the logit scale of the parameter."""
        return np.exp(as_array("nu", nu) / self.scale)[()]

    def nu(self, beta: ArrayLike) -> Values:
        """Return the parameter of the logit scale."""
        return self.scale * np.log(as_positive("beta", beta))

    def slope(self, beta: ArrayLike) -> Values:
        """Return the derivative of the logit scale by the parameter, as a function of the former."""
        return as_array("beta", beta)[()] / self.scale

    def first_integral(self, beta: ArrayLike) -> Values:
        """Return F."""
        return self.scale**2 * np.log(as_positive("beta", beta))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLaw:
    r""":math:`\beta = \nu`."""

    def beta(self, nu: ArrayLike) -> Values:
        """Return the logit scale of the parameter."""
        return as_array("nu", nu)[()]

    def nu(self, beta: ArrayLike) -> Values:
        """Return the parameter of the logit scale."""
        return as_positive("beta", beta)[()]

    def slope(self, beta: ArrayLike) -> Values:
        """Return the derivative of the logit scale by the parameter, as a function of the former."""
        return np.ones_like(as_array("beta", beta))[()]

    def first_integral(self, beta: ArrayLike) -> Values:
        """Return F."""
        return 0.5 * as_positive("beta", beta)[()] ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftplusLaw:
    r""":math:`\beta = \ln(1 + e^\nu)`."""

    def beta(self, nu: ArrayLike) -> Values:
        """Return the logit scale of the parameter."""
        return np.logaddexp(0.0, as_array("nu", nu))[()]

    def nu(self, beta: ArrayLike) -> Values:
        """Return the parameter of the logit scale."""
        beta = as_positive("beta", beta)
        return beta + np.log(-np.expm1(-beta))

    def slope(self, beta: ArrayLike) -> Values:
        """Return the derivative of the logit scale by the parameter, as a function of the former."""
        return -np.expm1(-as_array("beta", beta)[()])

    def first_integral(self, beta: ArrayLike) -> Values:
        """Return F."""
        beta = as_positive("beta", beta)
        rest = -np.expm1(-beta)  # 1 - exp(-beta)
        over = beta * np.exp(-beta) / rest
        return (0.5 * beta**2 + (1.0 + beta) * np.log(rest) - spence(rest) - over)[()]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLaw:
    """A temperature that is not trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledLaw:
    """A temperature that is prescribed.

    Attributes
    ----------
    schedule : callable
        Logit scale at a time (both floats).
    """

    schedule: Callable[[float], float]


LearnableLaw = ExponentialLaw | LinearLaw | SoftplusLaw
TemperatureLaw = LearnableLaw | FixedLaw | ScheduledLaw


def exponential_law(scale: float = 1.0) -> ExponentialLaw:
    r"""Return the law :math:`\beta = e^{\nu/s}`; with s = 1 CLIP's.

    Parameters
    ----------
    scale : float
        s > 0; s > 1 slows the temperature and so hastens the closing of the gap.

    Examples
    --------
    >>> float(exponential_law(2.0).slope(3.0))
    1.5
    """
    return ExponentialLaw(scale=positive_number("scale", scale))


def linear_law() -> LinearLaw:
    r"""Return the law :math:`\beta = \nu`.

    Examples
    --------
    >>> float(linear_law().first_integral(3.0))
    4.5
    """
    return LinearLaw()


def softplus_law() -> SoftplusLaw:
    r"""Return the law :math:`\beta = \ln(1 + e^\nu)`.

    Notes
    -----
    First integral to a few eps of its largest term; below :math:`\beta = 10^{-3}` about :math:`\ln\beta`.

    Examples
    --------
    >>> law = softplus_law()
    >>> print(law.beta(law.nu(3.0)).round(12), law.slope(np.log(2)).round(12))
    3.0 0.5
    """
    return SoftplusLaw()


def fixed_law() -> FixedLaw:
    """Return the law of a temperature that is not trained.

    Examples
    --------
    >>> fixed_law()
    FixedLaw()
    """
    return FixedLaw()


def scheduled_law(schedule: Callable[[float], float]) -> ScheduledLaw:
    """Return the law of a prescribed temperature.

    Parameters
    ----------
    schedule : callable
        ``schedule(t)`` is the logit scale at time t, a positive float; smooth, as the flow is integrated through it.

    Raises
    ------
    TypeError
        If `schedule` cannot be called.

    Examples
    --------
    >>> scheduled_law(lambda t: 1.0 + t).schedule(2.0)
    3.0
    """
    if not callable(schedule):
        raise TypeError(f"`schedule` must be a function of time, got {schedule!r}.")
    return ScheduledLaw(schedule=schedule)


def linear_schedule(start: float, stop: float, horizon: float) -> ScheduledLaw:
    """Return the schedule that goes straight from one logit scale to another.

    Parameters
    ----------
    start, stop : float
        Logit scales at time 0 and from `horizon` on, positive.
    horizon : float
        Time, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not positive.

    Examples
    --------
    >>> linear_schedule(2.0, 6.0, 100.0).schedule(25.0)
    3.0
    """
    start, stop = positive_number("start", start), positive_number("stop", stop)
    horizon = positive_number("horizon", horizon)
    return ScheduledLaw(schedule=lambda t: start + (stop - start) * min(t / horizon, 1.0))
