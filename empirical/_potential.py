"""Wang and Isola's uniformity with bootstrap standard errors, on rows that fit in memory. Private."""

import numpy as np

from ._bootstrap import bootstrap_estimate, weight_chunks
from .estimate import Estimate

__all__ = ["uniformity_estimate"]

_T = 2.0
_BLOCK = 2**22  # entries of a block of potentials: 32 MB


@np.errstate(divide="ignore", invalid="ignore")  # a replicate of one distinct pair has no i ≠ j: NaN, left out later
def uniformity_estimate(
    x: np.ndarray, n_bootstrap: int, groups: np.ndarray | None, rng: np.random.Generator
) -> Estimate:
    """Return ln mean over i ≠ j of exp(−2 ‖x_i − x_j‖²) of the unit rows `x`; a row is not compared with itself.

    Same `rng`, same replicates: called with equal streams for x and y, pairs are drawn as pairs.
    """
    n = len(x)
    (weights,) = weight_chunks([slice(0, n)], n_bootstrap, groups, rng)
    total = np.zeros(1 + n_bootstrap)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        potential = np.exp(2 * _T * (x[rows] @ x.T - 1))
        potential[np.arange(rows.stop - start), np.arange(start, rows.stop)] = 0.0
        total += np.einsum("ir,ir->r", weights[rows], potential @ weights)
    different = weights.sum(axis=0) ** 2 - np.sum(weights**2, axis=0)
    return bootstrap_estimate(np.log(total / different))
