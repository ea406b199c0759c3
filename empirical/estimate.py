"""A measured number and how far to trust it."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Int
from scipy.special import betaincinv

__all__ = ["Estimate", "clustered_share", "json_number", "share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured quantity.

    Attributes
    ----------
    value : float
        The quantity on the data; NaN where it is not defined (the angle of a mean that vanishes).
    stderr : float
        Its standard error.
    interval : tuple of float, optional
        A 95 % interval, for a share: the standard error of a share of 0 or 1 is 0 and says nothing.
    """

    value: float
    stderr: float
    interval: tuple[float, float] | None = None

    def as_dict(self) -> dict[str, float | list[float] | None]:
        """Return the estimate ready for JSON; what is not finite is None."""
        interval = {} if self.interval is None else {"interval": list(self.interval)}
        return {"value": json_number(self.value), "stderr": json_number(self.stderr), **interval}


def json_number(number: float) -> float | None:
    """Return `number`, or None if it is not finite: JSON has no NaN."""
    return float(number) if np.isfinite(number) else None


def clustered_share(hits: Float[np.ndarray, "n"], clusters: Int[np.ndarray, "n"]) -> Estimate:
    r"""Estimate the mean of `hits`, each in [0, 1], which are independent between clusters only.

    .. math:: \mathrm{s.e.}^2 = \frac{G}{G-1}\,\frac{1}{n^2} \sum_{g=1}^{G}\Bigl(\sum_{i \in g} (h_i - \bar h)\Bigr)^2

    The interval is Clopper and Pearson's (1934), at 95 %, for :math:`G\bar h` successes among G trials: it is
    conservative, because the members of a cluster are counted as one.

    Parameters
    ----------
    hits : ndarray, shape (n,)
        Outcomes.
    clusters : ndarray of int, shape (n,)
        Equal for outcomes that may depend on one another.

    Examples
    --------
    >>> clustered_share(np.array([1.0, 0.0]), np.array([0, 1])).value
    0.5
    """
    mean = float(np.mean(hits))
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=hits - mean)
    count = len(sums)
    stderr = np.sqrt(count / (count - 1) * (sums @ sums)) / len(hits) if count > 1 else np.nan
    return Estimate(value=mean, stderr=float(stderr), interval=_exact_interval(mean * count, count))


def share(successes: int, n: int) -> Estimate:
    r"""Return the share of successes among `n` independent trials, its standard error :math:`\sqrt{p(1-p)/n}`, and
    Clopper and Pearson's interval.

    Examples
    --------
    >>> round(share(0, 10).interval[1], 12)
    0.308497107819
    """
    mean = successes / n
    return Estimate(value=mean, stderr=sqrt(mean * (1 - mean) / n), interval=_exact_interval(successes, n))


def _exact_interval(successes: float, count: int) -> tuple[float, float]:
    low = betaincinv(successes, count - successes + 1, 0.025) if successes > 0 else 0.0
    high = betaincinv(successes + 1, count - successes, 0.975) if successes < count else 1.0
    return float(low), float(high)
