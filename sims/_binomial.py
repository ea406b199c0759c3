"""Binomial variates from a table: one uniform number and one comparison each (Walker's alias method).

References
----------
.. [1] M. D. Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution", IEEE Transactions on
   Software Engineering 17, 1991.
"""

import math

import numpy as np
from numba import njit

__all__ = ["binomial_table", "draw_binomials"]


def binomial_table(n: int, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance that column k of 0..n keeps its own value, and the value it gives otherwise."""
    keep, other = np.empty(n + 1), np.empty(n + 1, dtype=np.uint32)
    _fill_table(n, p, keep, other)
    return keep, other


@njit(nogil=True, error_model="numpy", cache=True)
def _fill_table(n, p, keep, other):
    """Fill both columns of the table; probabilities from log-gamma, so to about 1e-13, relatively."""
    small, large = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    n_small = n_large = 0
    for k in range(n + 1):
        log_choose = math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)
        log_p = 0.0 if k == 0 else k * math.log(p) if p > 0.0 else -np.inf
        log_q = 0.0 if k == n else (n - k) * math.log1p(-p) if p < 1.0 else -np.inf
        keep[k] = (n + 1) * math.exp(log_choose + log_p + log_q)
        other[k] = k
        if keep[k] < 1.0:
            small[n_small] = k
            n_small += 1
        else:
            large[n_large] = k
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        poor, rich = small[n_small], large[n_large - 1]
        other[poor] = rich
        keep[rich] -= 1.0 - keep[poor]
        if keep[rich] < 1.0:
            n_large -= 1
            small[n_small] = rich
            n_small += 1
    for i in range(n_small):  # full but for rounding
        keep[small[i]] = 1.0


@njit(nogil=True, error_model="numpy", cache=True)
def draw_binomials(uniform, keep, other, out):
    """Fill `out` from as many of the numbers `uniform` in [0, 1): the whole part picks a column, the rest decides."""
    for i in range(out.size):
        x = uniform[i] * keep.size
        column = int(x)
        out[i] = column if x - column < keep[column] else other[column]
