"""The learning rate of a run: linear warm-up, then half a cosine."""

import math

from conetheory._arrays import as_count
from conetheory._scalars import nonnegative_number, positive_number

__all__ = ["warmup_cosine"]


def warmup_cosine(step: int, *, warmup: int, total: int, peak: float, floor: float = 0.0) -> float:
    r"""Learning rate of a step, as in open_clip.

    .. math:: \eta_k = \eta\,\frac{k+1}w \quad (k < w), \qquad
              \eta_k = \eta_0 + \frac{\eta-\eta_0}2\Bigl(1 + \cos\pi\frac{k-w}{T-w}\Bigr) \quad (w \le k \le T)

    Parameters
    ----------
    step : int
        k, from 0; `total` gives the end value.
    warmup : int
        w, at most `total`; 0 for none.
    total : int
        T, steps of the run.
    peak, floor : float
        :math:`\eta > 0` and :math:`\eta_0`, from 0 to `peak`.

    Returns
    -------
    float
        Positive, but for 0 at the end if `floor` is 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> [warmup_cosine(step, warmup=2, total=10, peak=0.5) for step in (0, 1, 2, 6, 10)]
    [0.25, 0.5, 0.5, 0.25, 0.0]
    """
    total, step, warmup = (
        as_count("total", total),
        as_count("step", step, minimum=0),
        as_count("warmup", warmup, minimum=0),
    )
    if step > total or warmup > total:
        raise ValueError(f"`step` and `warmup` must be at most `total`, {total}, got {step} and {warmup}.")
    peak, floor = positive_number("peak", peak), nonnegative_number("floor", floor)
    if floor > peak:
        raise ValueError(f"`floor` must be at most `peak`, {peak}, got {floor}.")
    if step < warmup:
        return peak * (step + 1) / warmup
    part = (step - warmup) / max(total - warmup, 1)
    return floor + (peak - floor) * (1.0 + math.cos(math.pi * part)) / 2.0
