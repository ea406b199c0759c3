"""The loss of shifted pairs row by row in float64, as the formula stands. Private: inputs are already validated."""

import numpy as np
from numba import njit

__all__ = ["add_row_losses"]


@njit(nogil=True, error_model="numpy", cache=True)
def add_row_losses(products, own, dots, inverse_row, inverse_column, lambdas, tilt_row, tilt_column, betas, out):
    """Add ln Σ_j exp(β (c_ij - c_ii)) of every row i to ``out[t, l]``.

    Parameters
    ----------
    products : float64, shape (rows, columns)
        S.
    own : int64, shape (rows,)
        The column of the pair of each row.
    dots : float64, shape (columns,)
        Scratch.
    inverse_row, inverse_column : float64, shape (L, rows), (L, columns)
        1/a_i and 1/b_j.
    lambdas : float64, shape (L,)
    tilt_row, tilt_column : float64, shape (L, rows), (L, columns)
        λ p_i - λ² D/2 and -λ q_j - λ² D/2.
    betas : float64, shape (T,)
        Inverse temperatures, at most 300: no exponential overflows.
    """
    for i in range(products.shape[0]):
        for s in range(lambdas.size):
            for j in range(dots.size):
                dots[j] = (products[i, j] + tilt_row[s, i] + tilt_column[s, j]) * inverse_column[s, j]
            right = dots[own[i]]
            for t in range(betas.size):
                scale = betas[t] * inverse_row[s, i]
                others = 0.0
                for j in range(dots.size):
                    if j != own[i]:
                        others += np.exp(scale * (dots[j] - right))
                out[t, s] += np.log1p(others)
