"""One Gaussian through an activation: variance, mean and the derivatives of the mean in the variance that comes in.

Private: arguments are already validated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from conetheory._quadrature import _half_line_panels
from conetheory.errors import ConvergenceError

__all__ = ["MeanTerms", "mean_terms"]

_Function = Callable[[np.ndarray], np.ndarray]

_RADIUS = 10.0  # standard deviations; the Gaussian weight there is 2e-22
_LEVELS = 5  # panels double from level to level
_TARGET = 1e-12
_ACCEPTED = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanTerms:
    """m = E φ(√k z) as a function of k: m, k m', k² m'', and Var φ(√k z)."""

    mean: float
    mean_k: float
    mean_kk: float
    variance: float


def mean_terms(function: _Function, k: float) -> MeanTerms:
    """Return mean, its derivatives and variance, each right to about 1e-12 of the root mean square or its square."""

    def rule(level: int) -> np.ndarray:
        z, weights = _nodes(level)
        y = function(np.sqrt(k) * z)
        mean, z2 = weights @ y, z * z
        return np.array(
            [mean, weights @ (y * (z2 - 1)) / 2, weights @ (y * (z2 * z2 - 6 * z2 + 3)) / 4, weights @ (y - mean) ** 2]
        )

    mean, mean_k, mean_kk, variance = _refined(rule, k)
    return MeanTerms(mean=mean, mean_k=mean_k, mean_kk=mean_kk, variance=variance)


def _refined(rule: Callable[[int], np.ndarray], k: float) -> np.ndarray:
    found, error = rule(0), np.inf
    for level in range(1, _LEVELS):
        previous, found = found, rule(level)
        scale = float(np.max(np.abs(found)))
        error = float(np.max(np.abs(found - previous)))
        if error <= _TARGET * scale:
            return found
    if error <= _ACCEPTED * float(np.max(np.abs(found))):
        return found
    raise ConvergenceError(
        f"The moments of the activation at variance {k:.6g} are known to {error:.1e} only: the function has a kink or "
        "a jump away from 0, varies too fast, or grows too fast.",
        value=float(found[0]),
        error=error,
    )


@lru_cache
def _nodes(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes on both half-lines and Gaussian weights."""
    t, weights = _half_line_panels(4 << level)
    z = _RADIUS * np.concatenate([t, -t])
    return z, np.tile(_RADIUS * weights, 2) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
