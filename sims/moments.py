r"""Sums of a sample that merge: parts of one sample, drawn anywhere and in any order, give the same mean to the bit.

A part holds n, :math:`\sum x` and :math:`\sum (x - \bar x)^2` about its own mean: unlike a sum of squares the last
keeps its digits where the spread is small beside the mean.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count, as_nonnegative
from sims.estimate import Estimate

__all__ = ["Moments", "pool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Size, sum and spread of a part of a sample.

    Attributes
    ----------
    n : int
        Numbers in the part; it may be 0.
    total : float
        Their sum, finite.
    spread : float
        Sum of their squared distances to their mean, finite.

    Examples
    --------
    >>> Moments.of([1.0, 2.0, 6.0])
    Moments(n=3, total=9.0, spread=14.0)
    >>> Moments.of_count(1, 4)
    Moments(n=4, total=1.0, spread=0.75)
    """

    n: int
    total: float
    spread: float

    def __post_init__(self) -> None:
        as_count("n", self.n, minimum=0)
        as_array("total", self.total)
        as_nonnegative("spread", self.spread)
        if self.n == 0 and (self.total, self.spread) != (0, 0):
            raise ValueError(f"`total` and `spread` must be 0 where `n` is, got {self.total!r} and {self.spread!r}.")

    @classmethod
    def of(cls, samples: ArrayLike) -> "Moments":
        """Return those of `samples`, shape (n,), each sum rounded once and so the same on every processor."""
        values = as_array("samples", samples)
        if values.ndim != 1:
            raise ValueError(f"`samples` must have shape (n,), got shape {values.shape}.")
        if not values.size:
            return cls(n=0, total=0.0, spread=0.0)
        total = math.fsum(values.tolist())
        centred = values - total / values.size
        return cls(n=values.size, total=total, spread=math.fsum((centred * centred).tolist()))

    @classmethod
    def of_count(cls, successes: int, n: int) -> "Moments":
        """Return those of `n` trials of which `successes` gave 1 and the others 0."""
        n, successes = as_count("n", n), as_count("successes", successes, minimum=0)
        if not successes <= n:
            raise ValueError(f"`successes` must be at most `n` = {n}, got {successes}.")
        return cls(n=n, total=float(successes), spread=successes * (n - successes) / n)


def pool(n: Int[np.ndarray, " parts"], total: Float[np.ndarray, " parts"], spread: Float[np.ndarray, " parts"]):
    r"""Return the mean of all parts of a sample and its standard error, whatever the order of the parts.

    .. math:: \bar x = \frac{\sum_p \text{total}_p}{n}, \qquad
              \text{stderr}^2 = \frac{\sum_p \text{spread}_p + n_p(\bar x_p - \bar x)^2}{n(n - 1)}.

    Parameters
    ----------
    n, total, spread : ndarray, shape (parts,)
        As in `Moments`.

    Returns
    -------
    Estimate
        Mean, standard error and size; NaN for the mean of nothing, and for the standard error of fewer than two.

    Examples
    --------
    >>> pool(np.array([2, 1]), np.array([3.0, 6.0]), np.array([0.5, 0.0]))
    Estimate(value=3.0, stderr=1.5275252316519468, n=3)
    """
    some = n > 0
    n, total, spread = n[some], total[some], spread[some]
    size = int(n.sum())
    if size == 0:
        return Estimate(value=math.nan, stderr=math.nan, n=0)
    mean = math.fsum(total.tolist()) / size
    between = n * (total / n - mean) ** 2
    if size == 1:
        return Estimate(value=mean, stderr=math.nan, n=1)
    squares = math.fsum([*spread.tolist(), *between.tolist()])
    return Estimate(value=mean, stderr=math.sqrt(squares / (size - 1) / size), n=size)
