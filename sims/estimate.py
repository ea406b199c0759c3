"""A sampled number and its standard error."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count

__all__ = ["Estimate", "proportion", "sample_mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A Monte Carlo estimate.

    Attributes
    ----------
    value : float
        The estimate.
    stderr : float
        Its standard error.
    n : int
        Number of independent samples behind it.
    """

    value: float
    stderr: float
    n: int

    def zscore(self, expected: float) -> float:
        """Distance to `expected` in standard errors; with none, 0 at `expected` and infinite elsewhere."""
        distance = self.value - expected
        if self.stderr == 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / self.stderr


def proportion(successes: int, n: int) -> Estimate:
    r"""Return the share of successes among `n` independent trials, stderr :math:`\sqrt{p(1-p)/n}`.

    The standard error is 0 when all trials agree: then, or when either count is small, use
    `sims.intervals.clopper_pearson`.

    Examples
    --------
    >>> proportion(25, 100)
    Estimate(value=0.25, stderr=0.04330127018922193, n=100)
    """
    n = as_count("n", n)
    successes = as_count("successes", successes, minimum=0)
    if not successes <= n:
        raise ValueError(f"`successes` must be at most `n` = {n}, got {successes}.")
    share = successes / n
    return Estimate(value=share, stderr=math.sqrt(share * (1 - share) / n), n=n)


def sample_mean(samples: ArrayLike) -> Estimate:
    """Return the mean of independent `samples`, shape (n,) with n >= 2, and its standard error.

    Examples
    --------
    >>> sample_mean([1.0, 2.0, 3.0])
    Estimate(value=2.0, stderr=0.5773502691896258, n=3)
    """
    samples = as_array("samples", samples)
    if not (samples.ndim == 1 and samples.size >= 2):
        raise ValueError(f"`samples` must have shape (n,) with n >= 2, got shape {samples.shape}.")
    stderr = np.std(samples, ddof=1) / math.sqrt(samples.size)
    return Estimate(value=float(np.mean(samples)), stderr=float(stderr), n=samples.size)
