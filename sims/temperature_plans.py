r"""Temperatures that a training prescribes: from one to another in a straight line, or to and fro.

They are schedules of the temperature, not of the logit scale as `conetheory.temperature_laws.linear_schedule` is.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Sec. 4.
"""

import math

from conetheory._arrays import as_count
from conetheory._scalars import positive_number
from conetheory.temperature_laws import ScheduledLaw, scheduled_law

__all__ = ["alternating_temperature", "straight_temperature"]


def straight_temperature(start: float, stop: float, horizon: float) -> ScheduledLaw:
    """Return the schedule whose temperature goes straight from `start` to `stop`: S0 to S3 of [1]_.

    Parameters
    ----------
    start, stop : float
        Temperatures at time 0 and from `horizon` on, positive.
    horizon : float
        Time, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not positive.

    Examples
    --------
    >>> round(straight_temperature(0.01, 0.03, 10.0).schedule(5.0), 9)
    50.0
    """
    start, stop, horizon = _checked(start, stop, horizon)
    return scheduled_law(lambda t: 1 / (start + (stop - start) * min(t / horizon, 1.0)))


def alternating_temperature(start: float, stop: float, horizon: float, *, cycles: int = 1) -> ScheduledLaw:
    """Return the schedule whose temperature goes as a cosine from `start` to `stop` and back: A0 and A1 of [1]_.

    Parameters
    ----------
    start, stop : float
        Temperatures at the ends and in the middle of a cycle, positive.
    horizon : float
        Time of all cycles, positive.
    cycles : int
        Cycles until `horizon`, at least 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> [round(alternating_temperature(0.01, 0.02, 10.0).schedule(t), 9) for t in (0.0, 5.0, 10.0)]
    [100.0, 50.0, 100.0]
    """
    start, stop, horizon = _checked(start, stop, horizon)
    turn = 2 * math.pi * as_count("cycles", cycles) / horizon
    return scheduled_law(lambda t: 1 / (start + (stop - start) * (1 - math.cos(turn * t)) / 2))


def _checked(start: float, stop: float, horizon: float) -> tuple[float, float, float]:
    return positive_number("start", start), positive_number("stop", stop), positive_number("horizon", horizon)
