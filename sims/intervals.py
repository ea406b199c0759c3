r"""Confidence intervals at extreme levels, and the schedule that makes repeated looks valid.

`level` is the total error probability of a two-sided interval, 1e-9 say: each side gets half of it, and tails are
always taken from the small side, so that levels far below the float64 spacing of 1 are right.

References
----------
.. [1] C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
.. [2] A. Maurer and M. Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009,
   arXiv:0907.3740, Theorems 3, 4 and 10.
.. [3] B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from conetheory._arrays import as_array, as_count, as_nonnegative

__all__ = [
    "Interval",
    "bootstrap_interval",
    "clopper_pearson",
    "empirical_bernstein",
    "look_level",
    "student_t",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A closed interval.

    Attributes
    ----------
    low, high : float
        Its ends.
    """

    low: float
    high: float


def _as_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"`level` must lie in (0, 1), got {level}.")
    return float(level)


def clopper_pearson(successes: int, n: int, level: float) -> Interval:
    r"""Return the exact interval for a probability of which `successes` of `n` independent trials came true.

    .. math:: I_{low}(k, n - k + 1) = level / 2, \qquad 1 - I_{high}(k + 1, n - k) = level / 2

    with the regularised incomplete beta function; 0 and 1 at the two extremes. It errs with probability at most
    `level` for every n and p [1]_. Count the rarer outcome: an end near 1 cannot be closer to 1 than float64 allows.

    Parameters
    ----------
    successes, n : int
        Counts, 0 <= successes <= n, n >= 1.
    level : float
        Error probability in (0, 1), two-sided; relative error of the tail about 1e-10 for n up to 1e7.

    Examples
    --------
    >>> clopper_pearson(0, 100, 1e-9)
    Interval(low=0.0, high=0.19278411...)
    """
    n = as_count("n", n)
    k = as_count("successes", successes, minimum=0)
    if not k <= n:
        raise ValueError(f"`successes` must be at most `n` = {n}, got {k}.")
    tail = _as_level(level) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(special.betainccinv(k + 1, n - k, tail)) if k < n else 1.0
    return Interval(low=low, high=high)


def student_t(mean: float, sd: float, n: int, level: float) -> Interval:
    r"""Return :math:`\bar x \pm t_{n-1}(level / 2)\, s / \sqrt n`: exact for normal samples, asymptotic otherwise.

    Parameters
    ----------
    mean, sd : float
        Sample mean and sample standard deviation (``ddof=1``) of `n` >= 2 independent samples.
    level : float
        Error probability in (0, 1), two-sided. At 1e-9 and below the tail of a skewed sample decides: prefer
        `empirical_bernstein` where the samples are bounded.

    Examples
    --------
    >>> student_t(1.2990667, 0.01565, 3, 0.05)  # the paper's 1.2991 ± .0389
    Interval(low=1.26018..., high=1.33794...)
    """
    mean, sd = float(as_array("mean", mean)), float(as_nonnegative("sd", sd))
    n = as_count("n", n, minimum=2)
    radius = -float(special.stdtrit(n - 1, _as_level(level) / 2)) * sd / math.sqrt(n)
    return Interval(low=mean - radius, high=mean + radius)


def empirical_bernstein(mean: float, variance: float, n: int, low: float, high: float, level: float) -> Interval:
    r"""Return an interval for the mean of variables in [low, high] that is valid for every n and every law.

    .. math:: |\bar x - \mu| \le \sqrt{\frac{2 V \ln(3/level)}{n}} + \frac{7 (high - low) \ln(3/level)}{3 (n - 1)}

    Theorem 4 of [2]_ is the one-sided bound, with ln(2/level): one event for Bennett's inequality (its Theorem 3), one
    for the sample variance (Theorem 10). The second serves both sides, so two sides cost three events, not four. The
    result is cut to [low, high], where the mean lies for certain.

    Parameters
    ----------
    mean, variance : float
        Sample mean, and sample variance with ``ddof=1``, of `n` >= 2 independent samples.
    low, high : float
        Bounds of one sample, low < high.
    level : float
        Error probability in (0, 1), two-sided.

    Examples
    --------
    >>> empirical_bernstein(0.5, 0.25, 10_000, 0.0, 1.0, 1e-9)
    Interval(low=0.461876..., high=0.538123...)
    """
    low, high = float(as_array("low", low)), float(as_array("high", high))
    if not low < high:
        raise ValueError(f"`low` must be below `high`, got {low} and {high}.")
    mean, variance = float(as_array("mean", mean)), float(as_nonnegative("variance", variance))
    if not low <= mean <= high:
        raise ValueError(f"`mean` must lie in [`low`, `high`] = [{low}, {high}], got {mean}.")
    n = as_count("n", n, minimum=2)
    log_events = math.log(3) - math.log(_as_level(level))
    radius = math.sqrt(2 * variance * log_events / n) + 7 * (high - low) * log_events / (3 * (n - 1))
    return Interval(low=max(low, mean - radius), high=min(high, mean + radius))


def bootstrap_interval(
    samples: ArrayLike,
    statistic: Callable[..., np.ndarray],
    level: float,
    *,
    rng: np.random.Generator | int | None = None,
    n_resamples: int = 9999,
) -> Interval:
    """Return the bias-corrected and accelerated bootstrap interval [3]_ of ``statistic(samples, axis)``.

    Parameters
    ----------
    samples : array_like, shape (n,)
        Independent samples, not all equal.
    statistic : callable
        Vectorised: takes an array and the keyword `axis`.
    level : float
        Error probability in (0, 1), two-sided; approximate. `n_resamples` must put at least ten resamples in each
        tail, or the interval would only report the extreme resamples.

    Examples
    --------
    >>> interval = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 5.0], np.mean, 0.05, rng=0)
    >>> interval.low < 3 < interval.high
    True
    """
    from scipy import stats  # slow to import

    samples = as_array("samples", samples)
    if not (samples.ndim == 1 and samples.size >= 2 and np.ptp(samples) > 0):
        raise ValueError(f"`samples` must have shape (n,) with two different values, got shape {samples.shape}.")
    level, n_resamples = _as_level(level), as_count("n_resamples", n_resamples)
    if not n_resamples * level / 2 >= 10:
        raise ValueError(f"`n_resamples` must be at least 20 / `level` = {20 / level:.3g}, got {n_resamples}.")
    result = stats.bootstrap(
        (samples,), statistic, confidence_level=1 - level, n_resamples=n_resamples, rng=np.random.default_rng(rng)
    )
    return Interval(low=float(result.confidence_interval.low), high=float(result.confidence_interval.high))


def look_level(level: float, k: int) -> float:
    r"""Return the level to use at the k-th look, :math:`level / (k (k + 1))`.

    The levels of all looks sum to `level` (a telescoping sum), so by the union bound a sampler that looks as often as
    it likes, and stops when it likes, errs with probability at most `level`.

    Examples
    --------
    >>> [look_level(0.6, k) for k in (1, 2, 3)]
    [0.3, 0.09999999999999999, 0.049999999999999996]
    """
    k = as_count("k", k)
    return _as_level(level) / (k * (k + 1))
