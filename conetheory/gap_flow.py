r"""The gap flow of parallel modalities: how gradient descent moves the modality gap and the temperature.

Both modalities keep their rows H, H' and add one common coordinate,
:math:`[\sqrt{1-\gamma^2}\,H, \gamma 1]` and :math:`[\sqrt{1-\gamma^2}\,H', -\gamma 1]`. All logits lose the same
:math:`\beta\gamma^2`, which no softmax sees, so the loss is :math:`l(a)`, :math:`a = \beta(1-\gamma^2)`
(`conetheory.loss_profiles`), and gradient flow on :math:`(\nu, \gamma)` is

.. math:: \dot\beta = \beta'(\nu)^2 (1-\gamma^2)\, g(a), \qquad \dot\gamma = -2\beta\gamma\, g(a), \qquad g = -l' .

The gap falls where a scale a little higher would lower the loss, and rises where pairs are mismatched beyond what the
temperature forgives. It closes slowly, so the flow is integrated in :math:`\ln\gamma` and :math:`\ln(1+t)`.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Sec. 3.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import exp, inf, log, log1p
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from ._arrays import as_nonnegative
from ._scalars import as_fraction, number, positive_number
from .errors import ConvergenceError
from .loss_profiles import LossProfile
from .temperature_laws import FixedLaw, ScheduledLaw, TemperatureLaw

__all__ = ["GapFlow", "flow_rates", "gap_flow"]

Ending = Literal["time", "closed", "apart", "scale_zero"]
_ENDINGS: tuple[Ending, ...] = ("closed", "apart", "scale_zero")  # the order of _events
_ATOL = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GapFlow:
    r"""States of a gap flow, and the whole of it at any time by `at`.

    Attributes
    ----------
    t : ndarray, shape (times,)
        Times: those of the integrator's steps, or those asked for.
    log_gamma : ndarray, shape (times,)
        :math:`\ln\gamma`, also where :math:`\gamma` underflows.
    beta : ndarray, shape (times,)
        Logit scale.
    loss : ndarray, shape (times,)
        Loss in nats.
    conserved : ndarray, shape (times,), or None
        :math:`\ln\gamma - \gamma^2/2 + 2F(\beta)`, constant up to the error of integration; None where the temperature
        is not trained.
    ending : str
        ``time``; ``closed`` where the threshold was reached; ``apart`` where :math:`\gamma = 1`, ``scale_zero`` where
        :math:`\beta = 0`, beyond which the model means nothing.
    t_last : float
        Time at which the flow ends.
    """

    t: Float[np.ndarray, " times"]
    log_gamma: Float[np.ndarray, " times"]
    beta: Float[np.ndarray, " times"]
    loss: Float[np.ndarray, " times"]
    conserved: Float[np.ndarray, " times"] | None
    ending: Ending
    t_last: float
    _states: Callable[[np.ndarray], "GapFlow"] = field(repr=False)

    @property
    def gamma(self) -> np.ndarray:
        r""":math:`\gamma`; the gap of the added coordinate is :math:`2\gamma`."""
        return np.exp(self.log_gamma)

    @property
    def scale(self) -> np.ndarray:
        r"""Effective logit scale :math:`a = \beta(1 - \gamma^2)`."""
        return -self.beta * np.expm1(2.0 * self.log_gamma)

    def at(self, t: ArrayLike) -> "GapFlow":
        """Return the states at the times `t`, shape (times,), between 0 and `t_last`.

        Raises
        ------
        ValueError, TypeError
            If a time lies outside.
        """
        times = np.atleast_1d(as_nonnegative("t", t))
        if times.ndim != 1 or not np.all(times <= self.t_last):
            raise ValueError(f"`t` must be times up to {self.t_last!r}, got {float(times.max())!r}.")
        return self._states(times)


def flow_rates(profile: LossProfile, law: TemperatureLaw, gamma: float, beta: float) -> tuple[float, float]:
    r"""Return :math:`(\dot\gamma, \dot\beta)` of the gap flow.

    Parameters
    ----------
    profile : LossProfile
        The loss.
    law : TemperatureLaw
        How the temperature is trained; :math:`\dot\beta = 0` where it is not.
    gamma : float
        In (-1, 1).
    beta : float
        Logit scale, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, Sec. 3.2; ``docs/theory.md``, 21.1.

    Examples
    --------
    >>> from conetheory.loss_profiles import exponential_profile
    >>> from conetheory.temperature_laws import linear_law
    >>> [round(rate, 6) for rate in flow_rates(exponential_profile(), linear_law(), 0.5, 2.0)]
    [-0.44626, 0.167348]
    """
    gamma, beta = number("gamma", gamma), positive_number("beta", beta)
    if not -1 < gamma < 1:
        raise ValueError(f"`gamma` must lie in (-1, 1), got {gamma!r}.")
    rest = (1.0 - gamma) * (1.0 + gamma)
    force = float(profile.force(beta * rest))
    slope = 0.0 if isinstance(law, (FixedLaw, ScheduledLaw)) else float(law.slope(beta))
    return -2.0 * beta * gamma * force, slope * slope * rest * force


def gap_flow(
    profile: LossProfile,
    law: TemperatureLaw,
    gamma0: float,
    beta0: float,
    *,
    t_end: float,
    closed_log_gamma: float = -inf,
    rtol: float = 1e-12,
) -> GapFlow:
    r"""Integrate the gap flow from time 0.

    Parameters
    ----------
    profile : LossProfile
        The loss as a function of the effective scale.
    law : TemperatureLaw
        How the temperature is trained, or given.
    gamma0 : float
        Initial :math:`\gamma`, in (0, 1); the flow is odd in it.
    beta0 : float
        Initial logit scale, positive; that of the schedule at time 0 where there is one.
    t_end : float
        Last time, positive; 1e14 is as cheap as 1.
    closed_log_gamma : float
        The flow ends as closed where :math:`\ln\gamma` falls to this threshold. Default: never.
    rtol : float
        Relative tolerance of a step, at least 1e-13.

    Returns
    -------
    GapFlow
        At the integrator's own steps.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        If the integrator gives up.

    Notes
    -----
    LSODA on :math:`(\ln\gamma, \beta)` in :math:`\ln(1+t)`. By default what is conserved drifts by less than 1e-7 over
    14 decades of time, also where :math:`\ln\gamma` reaches -4000. Source: [1]_, Sec. 3.2; ``docs/theory.md``, 21.1.

    Examples
    --------
    >>> from conetheory.loss_profiles import simplex_profile
    >>> from conetheory.temperature_laws import exponential_law
    >>> flow = gap_flow(simplex_profile(64), exponential_law(), 0.3, 14.3, t_end=1e14)
    >>> print(flow.gamma[-1].round(6), flow.beta[-1].round(6), bool(np.ptp(flow.conserved) < 1e-8))
    0.031359 43.256276 True
    """
    gamma0, beta0 = as_fraction("gamma0", gamma0), positive_number("beta0", beta0)
    t_end, rtol = positive_number("t_end", t_end), positive_number("rtol", rtol)
    if not rtol >= 1e-13:
        raise ValueError(f"`rtol` must be at least 1e-13, got {rtol!r}.")
    if not (isinstance(closed_log_gamma, (int, float)) and closed_log_gamma < log(gamma0)):
        raise ValueError(f"`closed_log_gamma` must be below ln gamma0 = {log(gamma0)!r}, got {closed_log_gamma!r}.")
    if isinstance(law, ScheduledLaw) and not abs(law.schedule(0.0) - beta0) <= 1e-12 * beta0:
        raise ValueError(f"`beta0` must be the schedule's value at time 0, {law.schedule(0.0)!r}, got {beta0!r}.")
    trained = not isinstance(law, (FixedLaw, ScheduledLaw))
    found: Any = solve_ivp(
        partial(_rates, profile, law, beta0),
        (0.0, log1p(t_end)),
        np.array([log(gamma0), beta0] if trained else [log(gamma0)]),
        method="LSODA",
        rtol=rtol,
        atol=_ATOL,
        dense_output=True,
        events=_events(closed_log_gamma, trained),
    )
    if found.status < 0:
        last = float(np.expm1(found.t[-1]))
        raise ConvergenceError(f"The gap flow was not integrated beyond t = {last!r}.", value=last, error=t_end - last)
    hit: list[Ending] = [name for name, times in zip(_ENDINGS, found.t_events, strict=False) if len(times)]
    last = float(np.expm1(found.t[-1])) if hit else t_end
    states = partial(_states, profile, law, beta0, found.sol, hit[0] if hit else "time", last)
    return states(np.minimum(np.expm1(found.t), last))


def _rates(profile: LossProfile, law: TemperatureLaw, beta0: float, s: float, y: np.ndarray) -> list[float]:
    r"""Return the derivatives by :math:`s = \ln(1+t)` of :math:`\ln\gamma`, and of :math:`\beta` if trained."""
    rest = -float(np.expm1(2.0 * y[0]))
    if isinstance(law, (FixedLaw, ScheduledLaw)):
        beta = beta0 if isinstance(law, FixedLaw) else float(law.schedule(float(np.expm1(s))))
        return [-2.0 * beta * float(profile.force(beta * rest)) * exp(s)]
    beta = float(y[1])
    force = float(profile.force(beta * rest)) * exp(s)
    return [-2.0 * beta * force, float(law.slope(beta)) ** 2 * rest * force]


def _events(closed_log_gamma: float, trained: bool) -> list[Any]:
    threshold = max(closed_log_gamma, -np.finfo(np.float64).max)

    def closed(_: float, y: np.ndarray) -> float:
        return y[0] - threshold

    def apart(_: float, y: np.ndarray) -> float:
        return y[0]

    def scale_zero(_: float, y: np.ndarray) -> float:
        return y[1]

    events: list[Any] = [closed, apart, scale_zero] if trained else [closed, apart]
    for event in events:
        event.terminal = True
    return events


def _states(
    profile: LossProfile, law: TemperatureLaw, beta0: float, solution: Any, ending: Ending, last: float, t: np.ndarray
) -> GapFlow:
    y = solution(np.minimum(np.log1p(t), solution.t_max))
    log_gamma, conserved = np.minimum(y[0], 0.0) if ending == "apart" else y[0], None
    if isinstance(law, FixedLaw):
        beta = np.full_like(t, beta0)
    elif isinstance(law, ScheduledLaw):
        beta = np.array([float(law.schedule(float(time))) for time in t])
    else:
        beta = np.maximum(y[1], 0.0) if ending == "scale_zero" else y[1]
        if ending != "scale_zero":
            conserved = log_gamma - 0.5 * np.exp(2.0 * log_gamma) + 2.0 * law.first_integral(beta)
    scale = -beta * np.expm1(2.0 * log_gamma)
    return GapFlow(
        t=t,
        log_gamma=log_gamma,
        beta=beta,
        loss=np.asarray(profile.loss(scale)),
        conserved=conserved,
        ending=ending,
        t_last=last,
        _states=partial(_states, profile, law, beta0, solution, ending, last),
    )
