"""Linear structure of embeddings: singular values, effective dimension, the best orthogonal map between two sets."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import unit_rows
from ._pairs import unit_pairs

__all__ = ["effective_dimension", "explained_variance_ratio", "procrustes_rotation", "singular_values"]


def singular_values(x: ArrayLike) -> Float[np.ndarray, "k"]:
    """Singular values of the unit rows, no mean removed: Supp. Fig. 4 of Liang et al. for the stacked modalities.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Stack two modalities with ``np.concatenate`` to treat them jointly.

    Returns
    -------
    ndarray, shape (min(n, d),)
        Descending; their squares sum to n.

    Examples
    --------
    >>> singular_values([[1.0, 0.0], [1.0, 0.0]]).round(6)
    array([1.414214, 0.      ])
    """
    return np.linalg.svd(unit_rows("x", x), compute_uv=False)


def explained_variance_ratio(x: ArrayLike) -> Float[np.ndarray, "k"]:
    """Shares of the variance of the unit rows along their principal components (PCA, mean removed).

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows, not all in one direction.

    Returns
    -------
    ndarray, shape (min(n, d),)
        Descending, sum 1.

    Examples
    --------
    >>> explained_variance_ratio([[1.0, 0.0], [-1.0, 0.0]])
    array([1., 0.])
    """
    x = unit_rows("x", x, minimum=2)
    squares = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    total = squares.sum()
    if not total > 1e-24 * len(x):
        raise ValueError(f"`x` must have rows in more than one direction, got total variance {total / len(x):.3g}.")
    return squares / total


def effective_dimension(x: ArrayLike, fraction: float = 0.99) -> int:
    """Least number of principal components that hold `fraction` of the variance of the unit rows (Zhang et al. 2024).

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows, not all in one direction.
    fraction : float
        In (0, 1).

    Returns
    -------
    int
        From 1 to min(n − 1, d). A fraction within rounding (1e-15) of a cumulative share is decided by rounding.

    Examples
    --------
    >>> effective_dimension([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], fraction=0.9)
    2
    """
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie in (0, 1), got {fraction}.")
    return int(np.searchsorted(np.cumsum(explained_variance_ratio(x)), fraction) + 1)


def procrustes_rotation(x: ArrayLike, y: ArrayLike) -> Float[np.ndarray, "d d"]:
    r"""Orthogonal Q that carries the unit rows of `x` closest to those of `y` (Schönemann 1966).

    .. math:: Q = \arg\min_{Q^\top Q = I} \|XQ - Y\|_F = UV^\top, \qquad X^\top Y = U\Sigma V^\top

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.

    Returns
    -------
    ndarray, shape (d, d)
        Orthogonal; det −1 is allowed. Apply as ``x @ Q``. Not unique where XᵀY is singular, as always for n < d; the
        residual is.

    Examples
    --------
    >>> procrustes_rotation([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [-1.0, 0.0]])
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    x, y = unit_pairs(x, y)
    left, _, right = np.linalg.svd(x.T @ y)
    return left @ right
