"""How a number is measured: sampled until the claim is decided, computed by a second route, or read off published data.

Every interval holds at the level it is given, and looking early costs what it should: the k-th look spends
level/(k(k+1)), so that all looks together spend at most the level, whenever sampling stops.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from sims.intervals import clopper_pearson, empirical_bernstein, student_t

__all__ = ["Bounded", "Computed", "FromData", "Joint", "Mean", "Measure", "PerCell", "Proportion", "Reading", "Tally"]

At = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Sufficient statistics of independent trials, one column a cell.

    Attributes
    ----------
    n : int
        Trials.
    mean, square : ndarray, shape (cells,)
        Mean of the trials, and sum of squared distances from it.
    """

    n: int
    mean: np.ndarray
    square: np.ndarray

    @classmethod
    def of(cls, trials: ArrayLike) -> "Tally":
        """Return the tally of `trials`, shape (n,) or (n, cells)."""
        trials = np.asarray(trials, dtype=np.float64)
        trials = trials.reshape(len(trials), -1)
        mean = trials.mean(axis=0)
        return cls(n=len(trials), mean=mean, square=np.sum((trials - mean) ** 2, axis=0))

    @classmethod
    def count(cls, successes: int, n: int) -> "Tally":
        """Return the tally of one cell in which `successes` of `n` trials were ones, the others zeros."""
        mean = successes / n
        return cls(n=n, mean=np.array([mean]), square=np.array([n * mean * (1 - mean)]))

    def merged(self, other: "Tally") -> "Tally":
        """Return the tally of both sets of trials (Chan, Golub and LeVeque 1983)."""
        n = self.n + other.n
        step = other.mean - self.mean
        square = self.square + other.square + step**2 * (self.n * other.n / n)
        return Tally(n=n, mean=self.mean + step * (other.n / n), square=square)

    def cell(self, index: int) -> "Tally":
        """Return the tally of one cell."""
        return Tally(n=self.n, mean=self.mean[index : index + 1], square=self.square[index : index + 1])

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the mean, shape (cells,); infinite for one trial."""
        if self.n < 2:
            return np.full_like(self.mean, np.inf)
        return np.sqrt(self.square / (self.n - 1) / self.n)


class Rule(Protocol):
    """An interval for the mean of a cell's trials at a given error level.

    `coverage` is ``exact`` where the level holds for every number of trials and every law that the rule allows, and
    ``asymptotic`` where it holds for normal trials: far in the tail of skewed trials it can then be missed by a factor
    that falls with the number of trials.
    """

    @property
    def coverage(self) -> str: ...

    def interval(self, n: int, mean: float, square: float, level: float) -> tuple[float, float]: ...


@dataclass(frozen=True, slots=True)
class Proportion:
    """Trials are zeros and ones: Clopper and Pearson's interval, exact at every n."""

    coverage = "exact"

    def interval(self, n: int, mean: float, square: float, level: float) -> tuple[float, float]:
        """Return the interval."""
        found = clopper_pearson(round(mean * n), n, level)
        return found.low, found.high


@dataclass(frozen=True, slots=True)
class Bounded:
    """Trials lie in [low, high]: the empirical Bernstein interval, valid at every n."""

    low: float
    high: float

    coverage = "exact"

    def interval(self, n: int, mean: float, square: float, level: float) -> tuple[float, float]:
        """Return the interval."""
        if n < 2:
            return self.low, self.high
        found = empirical_bernstein(mean, square / (n - 1), n, self.low, self.high, level)
        return found.low, found.high


@dataclass(frozen=True, slots=True)
class Mean:
    """Trials without bounds: Student's interval, exact for normal trials and asymptotically right for others."""

    coverage = "asymptotic"

    def interval(self, n: int, mean: float, square: float, level: float) -> tuple[float, float]:
        """Return the interval."""
        if n < 2:
            return -np.inf, np.inf
        found = student_t(mean, np.sqrt(square / (n - 1)), n, level)
        return found.low, found.high


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sampled:
    """What both samplers share.

    Attributes
    ----------
    rule : Rule
        Which interval the trials allow.
    first : int
        Trials before the first look; each look doubles them.
    quick, full : int
        Budgets of trials (of each cell) at the two levels.
    """

    rule: Rule
    first: int
    quick: int
    full: int

    needs_data = False

    @property
    def coverage(self) -> str:
        """What the rule promises: see `Rule`."""
        return self.rule.coverage

    def budget(self, level: str) -> int:
        """Return the number of trials that may be spent at `level`."""
        return self.quick if level == "quick" else self.full


@dataclass(frozen=True, slots=True, kw_only=True)
class PerCell(_Sampled):
    """Each cell has its own trials: ``draw(rng, n, at)`` returns the tally of `n` trials of the cell at `at`;
    decided cells are sampled no further.
    """

    draw: Callable[[np.random.Generator, int, At], Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint(_Sampled):
    """One trial measures all cells at once, as a network does all layers: ``draw(rng, n)`` returns the tally of `n`
    trials.
    """

    draw: Callable[[np.random.Generator, int], Tally]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """Numbers read off data: `value` (cells,), their standard errors, and the number of data they rest on."""

    value: np.ndarray
    stderr: np.ndarray
    n: int

    @classmethod
    def of(cls, value: ArrayLike, n: int, stderr: ArrayLike = 0.0) -> "Reading":
        """Return a reading; a plain property of the data has standard error 0."""
        value = np.atleast_1d(np.asarray(value, dtype=np.float64))
        return cls(value=value, stderr=np.broadcast_to(np.asarray(stderr, dtype=np.float64), value.shape), n=n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A second route without sampling: ``compute()`` returns one number a cell, right to within `error`."""

    compute: Callable[[], ArrayLike]
    error: ArrayLike = 1e-12

    needs_data = False
    coverage = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class FromData:
    """The published arrays: ``compute(folder)`` returns a `Reading`, right to within `error` besides its standard
    errors.
    """

    compute: Callable[[Path], Reading]
    error: ArrayLike = 1e-12

    needs_data = True
    coverage = "asymptotic"  # where a reading has a standard error; else it is the property itself


Measure = PerCell | Joint | Computed | FromData
