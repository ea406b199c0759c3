r"""How the gap of matched pairs closes under each temperature law: the statements of App. C of Yaras et al., corrected.

======================  =====================================================  ==============================
law                     right                                                  printed in [1]_
======================  =====================================================  ==============================
:math:`e^{\nu/s}`       :math:`\gamma = \Theta(\ln^{-2s^2} t)`                 s = 1: :math:`\Omega(1/\ln^2t)`
:math:`\nu`, softplus   :math:`-\ln\gamma/\ln^2t \to 1/\alpha^2`               :math:`\Theta(1/(t\ln t))`
fixed                   :math:`-\ln\gamma/t \to 2\beta|l'(\beta)|`             half of that
given :math:`\beta(t)`  :math:`\Theta(\exp(-2\int\beta e^{-\beta}dt))`         without the 2
======================  =====================================================  ==============================

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, App. C.
"""

from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import exp1, lambertw

from ._arrays import as_count, as_nonnegative, as_positive
from ._scalars import as_fraction, positive_number
from .errors import ConvergenceError
from .loss_profiles import LossProfile
from .temperature_laws import ExponentialLaw, LearnableLaw

__all__ = ["fixed_closing_rate", "fixed_log_gamma", "late_scale", "logarithmic_closing_limit", "schedule_exponent"]

_STEPS = 200


def fixed_closing_rate(profile: LossProfile, beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the rate :math:`2\beta g(\beta)` at which a small gap closes at a fixed temperature.

    Parameters
    ----------
    profile : LossProfile
        The loss.
    beta : array_like, shape (...)
        Logit scale, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        Inverse time; negative where the gap opens: beyond the scale at which the loss is least.

    Raises
    ------
    ValueError, TypeError
        If `beta` is not positive.

    Notes
    -----
    For :math:`l = e^{-a}` it is :math:`2\beta e^{-\beta}`; [1]_ prints half of it. Source: ours, ``docs/theory.md``,
    21.7.

    Examples
    --------
    >>> from conetheory.loss_profiles import exponential_profile
    >>> print(fixed_closing_rate(exponential_profile(), 2.0).round(6))
    0.541341
    """
    beta = as_positive("beta", beta)[()]
    return 2.0 * beta * profile.force(beta)


def fixed_log_gamma(
    t: ArrayLike, beta: float, gamma0: float, *, margin: float = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return :math:`\ln\gamma(t)` at a fixed temperature for the loss :math:`e^{-a\alpha}`: the flow solved.

    .. math:: E_1(\alpha\beta\gamma^2) = E_1(\alpha\beta\gamma_0^2) + 4\alpha\beta e^{-\alpha\beta}\,t

    Parameters
    ----------
    t : array_like, shape (...)
        Times, at least 0.
    beta : float
        Logit scale, positive.
    gamma0 : float
        Initial :math:`\gamma`, in (0, 1).
    margin : float
        :math:`\alpha > 0`; :math:`\alpha\beta\gamma_0^2` at most 700.

    Returns
    -------
    ndarray or float64, shape (...)
        To 1e-13 of 1 plus its size.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        If Newton's method does not end.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.7.

    Examples
    --------
    >>> print(fixed_log_gamma([0.0, 10.0, 1000.0], 2.0, 0.3).round(6))
    [  -1.203973   -6.703489 -542.631212]
    """
    t, beta = as_nonnegative("t", t), positive_number("beta", beta)
    gamma0, margin = as_fraction("gamma0", gamma0), positive_number("margin", margin)
    product = margin * beta
    if not product * gamma0**2 <= 700:
        raise ValueError(f"`beta` times margin and gamma0² must be at most 700, got {product * gamma0**2!r}.")
    start = float(np.log(product) + 2.0 * np.log(gamma0))
    level = float(exp1(np.exp(start))) + 4.0 * product * np.exp(-product) * t
    logs = np.vectorize(partial(_log_argument, start), otypes=[np.float64])(level)
    return (0.5 * (logs - np.log(product)))[()]


def _log_argument(start: float, level: float) -> float:
    """Return w <= start with E1(exp(w)) = level: Newton's method on ln E1, which is concave in w, falls from above."""
    w = start
    step = 0.0
    for _ in range(_STEPS):
        z = np.exp(w)
        value = float(exp1(z)) if w > -30 else -float(np.euler_gamma) - w
        step = (np.log(value) - np.log(level)) * value / np.exp(-z)
        w += step
        if abs(step) <= 1e-14 * (1.0 + abs(w)):
            return float(w)
    raise ConvergenceError(f"E1(exp(w)) = {level!r} was not solved.", value=float(w), error=abs(float(step)))


def late_scale(law: LearnableLaw, t: ArrayLike, n: int, margin: float) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the logit scale that matched pairs reach late, however they began.

    .. math:: \beta \approx \tfrac1\alpha \ln T \quad (\nu, \text{softplus}), \qquad
              \beta \approx -\tfrac2\alpha W_{-1}\Bigl(-\frac{\alpha s}{2\sqrt{T}}\Bigr) \quad (e^{\nu/s}), \qquad
              T = \alpha^2(n-1)\,t

    Parameters
    ----------
    law : LearnableLaw
        How the temperature is trained.
    t : array_like, shape (...)
        Times so late that :math:`T > (e\alpha s/2)^2`, or T > 1.
    n : int
        Pairs, at least 2; 2 for the loss :math:`e^{-a\alpha}`.
    margin : float
        :math:`\alpha > 0`, of all negatives.

    Returns
    -------
    ndarray or float64, shape (...)
        Absolute error o(1) for the linear law and softplus, :math:`O(1/\ln t)` for the exponential.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or a time too early.

    Notes
    -----
    `conetheory.gap_conservation.conserved_log_gamma` then gives the gap. Source: ours, ``docs/theory.md``, 21.6.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law, linear_law
    >>> print(late_scale(linear_law(), 1e14, 64, 64 / 63).round(6))
    35.841904
    >>> print(late_scale(exponential_law(), 1e14, 64, 64 / 63).round(4))
    43.2586
    """
    t, n, margin = as_positive("t", t), as_count("n", n, minimum=2), positive_number("margin", margin)
    late = np.asarray(margin**2 * (n - 1) * t)
    if not isinstance(law, ExponentialLaw):
        _require_late(late, 1.0, t)
        return np.log(late) / margin
    _require_late(late, (0.5 * np.e * margin * law.scale) ** 2, t)
    return -2.0 / margin * np.real(lambertw(-0.5 * margin * law.scale / np.sqrt(late), -1))


def _require_late(late: np.ndarray, least: float, t: np.ndarray) -> None:
    if not np.all(late > least):
        early = t[~(late > least)].flat[0]
        raise ValueError(f"`t` must be so late that alpha² (n - 1) t exceeds {least!r}, got {float(early)!r}.")


def logarithmic_closing_limit(law: ExponentialLaw, margin: float, gamma0: float, beta0: float) -> float:
    r"""Return the limit of :math:`\gamma\,(\ln t)^{2s^2}` for :math:`\beta = e^{\nu/s}`.

    .. math:: \gamma_0 e^{-\gamma_0^2/2}\,(\alpha\beta_0)^{2s^2}

    Parameters
    ----------
    law : ExponentialLaw
        With its scale s.
    margin : float
        :math:`\alpha > 0`, of all negatives; as a least margin it gives a lower bound of the lower limit.
    gamma0, beta0 : float
        Initial state: in (0, 1), and positive.

    Returns
    -------
    float
        Approached like :math:`\ln\ln t/\ln t`: at t = 1e14 half of it is still missing.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.6.

    Examples
    --------
    >>> from conetheory.temperature_laws import exponential_law
    >>> print(round(logarithmic_closing_limit(exponential_law(), 1.0, 0.05, 4.0), 6))
    0.799001
    """
    margin, gamma0 = positive_number("margin", margin), as_fraction("gamma0", gamma0)
    beta0 = positive_number("beta0", beta0)
    return gamma0 * float(np.exp(-0.5 * gamma0**2)) * (margin * beta0) ** (2.0 * law.scale**2)


def schedule_exponent(start: float, stop: float) -> float:
    r"""Return c in :math:`\gamma = \Theta(e^{-cT})` for a straight schedule of the logit scale over a time T.

    .. math:: c = 2\,\frac{(\beta_0+1)e^{-\beta_0} - (\beta_1+1)e^{-\beta_1}}{\beta_1-\beta_0} \qquad (l = e^{-a})

    Parameters
    ----------
    start, stop : float
        :math:`\beta_0` and :math:`\beta_1`, positive; equal ones are a fixed temperature.

    Returns
    -------
    float
        Inverse time, twice what [1]_ prints.

    Raises
    ------
    ValueError, TypeError
        If an argument is not positive.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.8.

    Examples
    --------
    >>> print(round(schedule_exponent(2.0, 6.0), 6), round(schedule_exponent(2.0, 2.0), 6))
    0.194327 0.541341
    """
    low, high = sorted((positive_number("start", start), positive_number("stop", stop)))
    step = high - low
    shrink = -float(np.expm1(-step)) / step if step > 0 else 1.0
    return 2.0 * float(np.exp(-low)) * ((high + 1.0) * shrink - 1.0)
