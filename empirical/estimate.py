"""A measured number and how far to trust it."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import toms748
from scipy.special import betainc

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

    The interval, at 95 %, is that of the least favourable clusters: all members of a cluster hit or none, each cluster
    with the same chance p. With the shares of the clusters :math:`w_g`, their mean has the first three moments of

    .. math:: (1-c)\,p + c\,B/\nu, \qquad B \sim \mathrm{Bin}(\nu, p), \qquad
              \nu = \frac{(\sum w_g^2)^3}{(\sum w_g^3)^2}, \qquad c = \frac{(\sum w_g^2)^2}{\sum w_g^3},

    and both tails of this law at :math:`\bar h` are 2.5 %. For clusters of one size that is Clopper and Pearson's
    interval (1934) of G trials, which covers p in 95 % or more. For others it is an approximation: with clusters of two
    sizes, 1 to 8 of them 1.5 to 200 times as large as the other 5 to 200, it covers every p in 95.1 % or more, by
    enumeration. Where large clusters have another p than small ones it says nothing about either.

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
    sums, sizes = np.bincount(codes, weights=hits - mean), np.bincount(codes) / len(hits)
    count = len(sums)
    squares, cubes = np.sum(sizes**2), np.sum(sizes**3)
    stderr = np.sqrt(count / (count - 1) * (sums @ sums)) / len(hits) if count > 1 else np.nan
    interval = _interval(mean, squares**3 / cubes**2, squares**2 / cubes)
    return Estimate(value=mean, stderr=float(stderr), interval=interval)


def share(successes: int, n: int) -> Estimate:
    r"""Return the share of successes among `n` independent trials, its standard error :math:`\sqrt{p(1-p)/n}`, and
    Clopper and Pearson's interval.

    Examples
    --------
    >>> round(share(0, 10).interval[1], 12)
    0.308497107819
    """
    mean = successes / n
    return Estimate(value=mean, stderr=sqrt(mean * (1 - mean) / n), interval=_interval(mean, n))


def _interval(mean: float, trials: float, part: float = 1.0) -> tuple[float, float]:
    """Return the interval of p where `mean` is ``(1 - part) * p`` and `part` times the mean of some trials."""
    return _low(mean, trials, part), 1 - _low(1 - mean, trials, part)


def _low(mean: float, trials: float, part: float) -> float:
    """Return the p at which 2.5 % of the means are as high as this one, or higher; 0 for a mean of 0."""

    def excess(p: float) -> float:
        successes = trials * (mean - (1 - part) * p) / part
        if not 0 < successes < trials + 1:
            return float(successes <= 0) - 0.025
        return float(betainc(successes, trials - successes + 1, p)) - 0.025

    return float(toms748(excess, 0.0, mean, xtol=1e-15)) if mean > 0 else 0.0  # type: ignore[arg-type]
