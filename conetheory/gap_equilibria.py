r"""Where the gap flow comes to rest: the gap that mismatched pairs keep.

A profile that is beaten somewhere is least at a finite scale :math:`s^*`, and the flow rests where the effective scale
:math:`\beta(1-\gamma^2)` is :math:`s^*`, or where :math:`\gamma = 0`. At a fixed temperature this is a pitchfork: the
gap closes for :math:`\beta \le s^*`, and beyond settles at :math:`\pm\sqrt{1-s^*/\beta}`. A trained temperature moves
along what the flow conserves and stops at the one point of that curve where the scale is :math:`s^*`: the gap never
closes.
"""

from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar
from scipy.special import expit

from ._arrays import as_count, as_positive
from ._scalars import as_fraction, number, positive_number
from .errors import ConvergenceError
from .gap_conservation import conserved_quantity
from .loss_profiles import LossProfile
from .temperature_laws import LearnableLaw

__all__ = [
    "Rest",
    "critical_closing_limit",
    "fixed_relaxation_rate",
    "fixed_rest",
    "free_gap",
    "resting_scale",
    "trained_rest",
]

_DOUBLINGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    r"""Where a gap flow comes to rest.

    Attributes
    ----------
    gamma : float
        :math:`\gamma_\infty`; the gap of the added coordinate is twice that.
    beta : float
        Logit scale there; +inf where the gap closes.
    """

    gamma: float
    beta: float


def resting_scale(profile: LossProfile) -> float:
    r"""Return :math:`s^* = \arg\min_{a \ge 0} l(a)`.

    Parameters
    ----------
    profile : LossProfile
        The loss.

    Returns
    -------
    float
        +inf if no pair is beaten by a negative (margin at least 0); 0 if the force is not positive at 0, so that pairs
        are on average no better than chance; else the root of the force, to a few eps times its condition.

    Raises
    ------
    ConvergenceError
        If the force does not change its sign within 2^1000.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.9.

    Examples
    --------
    >>> from conetheory.loss_profiles import matrix_profile
    >>> print(round(resting_scale(matrix_profile([[1.0, 0.5], [0.2, 0.1]])), 6))
    1.666146
    """
    if profile.margin >= 0:
        return inf
    if profile.force(0.0) <= 0:
        return 0.0
    high = 1.0
    for _ in range(_DOUBLINGS):
        if profile.force(high) < 0:
            found = root_scalar(lambda a: float(profile.force(a)), bracket=(0.0, high), xtol=1e-300, rtol=1e-15)
            return float(found.root)
        high *= 2.0
    raise ConvergenceError("The force does not change its sign.", value=high, error=inf)


def fixed_rest(scale: float, beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return :math:`\gamma_\infty = \sqrt{\max(0, 1 - s^*/\beta)}`, the gap at a fixed temperature.

    Parameters
    ----------
    scale : float
        :math:`s^*`, in [0, inf] (`resting_scale`).
    beta : array_like, shape (...)
        Logit scale, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 1]: where every flow from :math:`\gamma_0 > 0` ends.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.10.

    Examples
    --------
    >>> print(fixed_rest(10.0, [6.0, 15.0, 40.0]).round(5))
    [0.      0.57735 0.86603]
    """
    scale, beta = _as_scale(scale), as_positive("beta", beta)
    return np.sqrt(np.maximum(0.0, 1.0 - scale / beta))[()]


def fixed_relaxation_rate(profile: LossProfile, beta: float) -> float:
    r"""Return the rate at which the flow at a fixed temperature comes to rest.

    .. math:: 2\beta\,g(\beta) \quad (\beta < s^*), \qquad 4\beta(\beta - s^*)\,l''(s^*) \quad (\beta > s^*)

    Parameters
    ----------
    profile : LossProfile
        The loss.
    beta : float
        Logit scale, positive.

    Returns
    -------
    float
        Inverse time; 0 at the critical scale, where the gap closes as in `critical_closing_limit`. Near it the rate
        beyond is twice the rate before: a pitchfork.

    Raises
    ------
    ValueError, TypeError
        If `beta` is not positive, or :math:`s^* = 0`, where the flow leaves the model in finite time.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.10.

    Examples
    --------
    >>> from conetheory.loss_profiles import matrix_profile
    >>> profile = matrix_profile([[1.0, 0.5], [0.2, 0.1]])
    >>> print(round(fixed_relaxation_rate(profile, 1.0), 6), round(fixed_relaxation_rate(profile, 4.0), 6))
    0.072409 1.837504
    """
    beta = positive_number("beta", beta)
    scale = resting_scale(profile)
    if scale == 0:
        raise ValueError("`profile` must have a positive resting scale, got 0.")
    if beta <= scale:
        return 2.0 * beta * float(profile.force(beta))
    return 4.0 * beta * (beta - scale) * float(profile.curvature(scale))


def critical_closing_limit(profile: LossProfile) -> float:
    r"""Return the limit of :math:`\gamma\sqrt t` at the fixed temperature :math:`\beta = s^*`.

    .. math:: \frac{1}{2 s^*\sqrt{l''(s^*)}}

    Parameters
    ----------
    profile : LossProfile
        The loss of mismatched pairs: its resting scale is positive and finite.

    Raises
    ------
    ValueError
        If the resting scale is 0 or infinite.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.10.

    Examples
    --------
    >>> from conetheory.loss_profiles import matrix_profile
    >>> print(round(critical_closing_limit(matrix_profile([[1.0, 0.5], [0.2, 0.1]])), 6))
    1.352819
    """
    scale = resting_scale(profile)
    if not 0 < scale < inf:
        raise ValueError(f"`profile` must have a positive and finite resting scale, got {scale!r}.")
    return 0.5 / (scale * float(np.sqrt(profile.curvature(scale))))


def trained_rest(law: LearnableLaw, scale: float, gamma0: float, beta0: float) -> Rest:
    r"""Return where the flow with a trained temperature comes to rest: the one root of

    .. math:: \beta(1-\gamma^2) = s^*, \qquad
              \ln\gamma - \tfrac12\gamma^2 + 2F(\beta) = \ln\gamma_0 - \tfrac12\gamma_0^2 + 2F(\beta_0) .

    Parameters
    ----------
    law : LearnableLaw
        How the temperature is trained.
    scale : float
        :math:`s^*`, positive (`resting_scale`); +inf closes the gap.
    gamma0, beta0 : float
        Initial state: in (0, 1), and positive.

    Returns
    -------
    Rest
        Gap and scale, to a few eps times their condition.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The left side of the second equation rises in :math:`\gamma` along the first, from :math:`-\infty` to
    :math:`+\infty`, for every law. Source: ours, ``docs/theory.md``, 21.11.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> rest = trained_rest(exponential_law(), 8.6045, 0.6, 14.3)
    >>> print(round(rest.gamma, 5), round(rest.beta, 3))
    0.62496 14.119
    """
    scale = _as_scale(scale)
    if scale == 0:
        raise ValueError(f"`scale` must be positive, got {scale!r}.")
    gamma0, beta0 = as_fraction("gamma0", gamma0), positive_number("beta0", beta0)
    if scale == inf:
        return Rest(gamma=0.0, beta=inf)
    level = float(conserved_quantity(law, gamma0, beta0))

    def excess(q: float) -> float:  # q = ln(gamma² / (1 - gamma²)): nothing is lost at either end
        gamma2, beta = float(expit(q)), scale * (1.0 + float(np.exp(q)))
        return -0.5 * float(np.logaddexp(0.0, -q)) - 0.5 * gamma2 + 2.0 * float(law.first_integral(beta)) - level

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low *= 2.0
    while excess(high) < 0:
        high *= 2.0
    root = float(root_scalar(excess, bracket=(low, high), xtol=1e-15, rtol=1e-15).root)
    return Rest(gamma=float(np.sqrt(expit(root))), beta=scale * (1.0 + float(np.exp(root))))


def free_gap(n: int, temperature: ArrayLike, loss: float) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the largest gap :math:`2\gamma` that a parallel simplex ETF can keep with a loss below `loss`.

    .. math:: 2\sqrt{1 - \tau\,\frac{n-1}{n}\ln\frac{n-1}{e^\epsilon - 1}}

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    temperature : array_like, shape (...)
        :math:`\tau > 0`.
    loss : float
        :math:`\epsilon`, in nats, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        At most 2; NaN where even no gap costs more than that. From :math:`\epsilon = \ln n` on, the loss without any
        logits, it is 2.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.12.

    Examples
    --------
    >>> print(free_gap(64, [0.01, 0.05, 0.07], 1e-6).round(3))
    [1.815 0.681   nan]
    """
    n, temperature = as_count("n", n, minimum=2), as_positive("temperature", temperature)
    needed = (n - 1) / n * (np.log(n - 1) - np.log(np.expm1(positive_number("loss", loss))))
    rest = 1.0 - temperature * max(needed, 0.0)
    return (2.0 * np.sqrt(np.where(rest >= 0, rest, np.nan)))[()]


def _as_scale(scale: float) -> float:
    if scale == inf:
        return inf
    scale = number("scale", scale)
    if not scale >= 0:
        raise ValueError(f"`scale` must be at least 0, got {scale!r}.")
    return scale
