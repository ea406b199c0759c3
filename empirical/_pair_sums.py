r"""Mean pairwise cosines of a stream of points, with jackknife errors. Private: inputs are already validated.

With :math:`u_i` the mean of the unit tokens of input i, the mean cosine over inputs i ≠ j and all their tokens is
:math:`(\|\sum u_i\|^2 - \sum\|u_i\|^2)/(n(n-1))`: sums suffice, and what is kept does not grow with n. Pairs share
inputs, so the standard error leaves out inputs, not pairs: a jackknife over `_FOLDS` folds of inputs, or over single
inputs if there are no more than that. It is honest where points share a direction; at a mean cosine of 0 the statistic
is degenerate and the error is conservative, by √2.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from .estimate import Estimate

__all__ = ["PairSums", "cone_angle_deg"]

_FOLDS = 64  # the standard error itself is known to 1/√(2·63), 9 %


def cone_angle_deg(cosine: float) -> float:
    r"""Return the angle α, in degrees, of points to the axis of their cone: :math:`\cos^2\alpha` is the mean cosine of
    independent points, and α is 90° where that is not positive.

    Examples
    --------
    >>> round(cone_angle_deg(0.25), 12), cone_angle_deg(-0.1)
    (60.0, 90.0)
    """
    return float(np.degrees(np.arctan2(np.sqrt(max(1 - cosine, 0.0)), np.sqrt(max(cosine, 0.0)))))


class PairSums:
    """Sums over the inputs of one block, fold by fold.

    Attributes
    ----------
    dim : int
        Units of a point.
    undefined : int
        Points that are zero and have no direction; their cosines count as 0.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._counts = np.zeros(_FOLDS, dtype=np.int64)
        self._vectors = np.zeros((_FOLDS, dim))
        self._rest = np.zeros((_FOLDS, 3))  # sums of ‖u‖², of the mean square and of the cosine within an input
        self.undefined = 0

    def add(self, first: int, points: Float[np.ndarray, "n tokens dim"]) -> None:
        """Add the inputs numbered `first` and on."""
        n, tokens, _ = points.shape
        lengths = np.linalg.norm(points, axis=2, keepdims=True)
        self.undefined += int(np.count_nonzero(lengths == 0))
        means = np.divide(points, lengths, out=np.zeros_like(points), where=lengths > 0).mean(axis=1)
        squares = np.einsum("ij,ij->i", means, means)
        within = (tokens * squares - 1) / (tokens - 1) if tokens > 1 else np.full(n, np.nan)
        fold = (first + np.arange(n)) % _FOLDS
        np.add.at(self._counts, fold, 1)
        np.add.at(self._vectors, fold, means)
        np.add.at(self._rest, fold, np.stack([squares, np.mean(points**2, axis=(1, 2)), within], axis=1))

    def cosine(self) -> Estimate:
        """Return the mean cosine of different inputs."""
        return self._jackknife(self._cosine)

    def cone_angle_deg(self) -> Estimate:
        """Return the cone angle in degrees."""
        return self._jackknife(lambda *sums: cone_angle_deg(self._cosine(*sums)))

    def mean_square(self) -> Estimate:
        """Return the mean square of a unit, ‖h‖²/dim."""
        return self._jackknife(lambda n, vector, rest: float(rest[1] / n))

    def within(self) -> Estimate:
        """Return the mean cosine of different tokens of one input; NaN for one token."""
        return self._jackknife(lambda n, vector, rest: float(rest[2] / n))

    @staticmethod
    def _cosine(n: int, vector: np.ndarray, rest: np.ndarray) -> float:
        return float((vector @ vector - rest[0]) / (n * (n - 1)))

    def _jackknife(self, statistic: Callable[[int, np.ndarray, np.ndarray], float]) -> Estimate:
        """Return `statistic` of the sums and its jackknife error; NaN where leaving a fold out leaves no pair."""
        n, vector, rest = int(self._counts.sum()), self._vectors.sum(axis=0), self._rest.sum(axis=0)
        folds = np.flatnonzero(self._counts)
        value = statistic(n, vector, rest)
        if n - self._counts.max() < 2:
            return Estimate(value=value, stderr=float("nan"))
        without = np.array(
            [statistic(n - int(self._counts[g]), vector - self._vectors[g], rest - self._rest[g]) for g in folds]
        )
        share = (len(folds) - 1) / len(folds)
        return Estimate(value=value, stderr=float(np.sqrt(share * np.sum((without - without.mean()) ** 2))))
