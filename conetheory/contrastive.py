r"""The CLIP loss (symmetric InfoNCE) and its floor.

For unit rows :math:`x_i, y_j` and temperature :math:`\tau` the logits are
:math:`\ell_{ij} = x_i\cdot y_j/\tau`; each direction is a cross-entropy whose target is the
diagonal, and the loss of CLIP is the mean of the two.

References
----------
.. [1] A. Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
.. [2] J. Lu and S. Steinerberger, "Neural collapse under cross-entropy loss", ACHA 2022.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_array, as_choice, as_count, as_positive
from ._pairs import unit_pairs

__all__ = ["DIRECTIONS", "batch_slices", "clip_loss", "contrastive_loss", "cross_entropy", "etf_floor"]

DIRECTIONS = ("symmetric", "x-to-y", "y-to-x")


def cross_entropy(logits: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean cross-entropy of the rows, the target of row i being column i.

    .. math:: \frac1n\sum_i \ln\sum_j e^{\ell_{ij} - \ell_{ii}}

    Parameters
    ----------
    logits : array_like, shape (..., n, n)
        Square matrices of logits, or a stack of them.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats, at least 0. Never overflows, and a tiny loss keeps its relative accuracy: the target's own term, 1,
        is added by ``log1p``.

    Raises
    ------
    ValueError
        If the last two axes differ or are empty, or a logit is not finite.

    Examples
    --------
    >>> round(float(cross_entropy([[0.0, 0.0], [0.0, 0.0]])), 12)  # ln 2
    0.69314718056
    """
    logits = as_array("logits", logits)
    if logits.ndim < 2 or logits.shape[-1] != logits.shape[-2] or logits.shape[-1] < 1:
        raise ValueError(f"`logits` must have shape (..., n, n) with n >= 1, got {logits.shape}.")
    excess = logits - np.diagonal(logits, axis1=-2, axis2=-1)[..., None]
    target = np.arange(logits.shape[-1])
    excess[..., target, target] = -np.inf
    top = np.maximum(excess.max(axis=-1), 0.0)
    others = np.exp(excess - top[..., None]).sum(axis=-1)
    return np.mean(top + np.log1p(others + np.expm1(-top)), axis=-1)


def contrastive_loss(logits: ArrayLike, *, direction: str = "symmetric") -> Float[np.ndarray, "..."] | np.float64:
    """Cross-entropy of the rows, of the columns, or the mean of both.

    Parameters
    ----------
    logits : array_like, shape (..., n, n)
        Entry (i, j) compares row i of x with row j of y.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        "x-to-y" normalises over the rows of y (image to text when x holds images), "y-to-x" over those of x.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats.

    Examples
    --------
    >>> logits = [[0.0, 1.0], [0.0, 0.0]]
    >>> float(contrastive_loss(logits, direction="x-to-y")) == float(cross_entropy(logits))
    True
    """
    as_choice("direction", direction, DIRECTIONS)
    logits = as_array("logits", logits)
    if direction == "x-to-y":
        return cross_entropy(logits)
    if direction == "y-to-x":
        return cross_entropy(np.swapaxes(logits, -1, -2))
    return (cross_entropy(logits) + cross_entropy(np.swapaxes(logits, -1, -2))) / 2


def batch_slices(n: int, batch: int | None) -> list[slice]:
    """Consecutive batches of rows, in order.

    Parameters
    ----------
    n : int
        Number of rows.
    batch : int or None
        Rows in a batch, at most n; None is one batch of all.

    Returns
    -------
    list of slice
        The last one is shorter where `batch` does not divide n.

    Examples
    --------
    >>> batch_slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    batch = n if batch is None else as_count("batch", batch)
    if batch > n:
        raise ValueError(f"`batch` must be at most the number of pairs, {n}, got {batch}.")
    return [slice(start, min(start + batch, n)) for start in range(0, n, batch)]


def clip_loss(
    x: ArrayLike,
    y: ArrayLike,
    temperature: float,
    *,
    direction: str = "symmetric",
    batch: int | None = None,
) -> float:
    """CLIP loss of paired embeddings.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here.
    temperature : float
        τ > 0, the reciprocal of the logit scale.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        See `contrastive_loss`.
    batch : int, optional
        Rows in a batch: consecutive, in order, negatives from the same batch only. Every pair weighs the same, so a
        last batch of r < `batch` pairs weighs r/n (and has fewer negatives). Default: one batch of all.

    Returns
    -------
    float
        In nats.

    Examples
    --------
    >>> round(clip_loss(np.eye(3), np.eye(3), 0.5), 6)  # ln(1 + 2 exp(-2))
    0.239545
    """
    temperature = float(as_positive("temperature", temperature))
    x, y = unit_pairs(x, y)
    total = 0.0
    for rows in batch_slices(len(x), batch):
        logits = x[rows] @ y[rows].T / temperature
        total += len(logits) * float(contrastive_loss(logits, direction=direction))
    return total / len(x)


def etf_floor(n: int, temperature: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Least CLIP loss of n pairs, attained by the simplex ETF.

    .. math:: \ln\bigl(1 + (n-1)\,e^{-n/(\tau(n-1))}\bigr)

    Parameters
    ----------
    n : int
        Pairs in a batch, at least 2.
    temperature : array_like, shape (...)
        τ > 0.

    Returns
    -------
    ndarray or float64, shape (...)
        A lower bound in every dimension d, either direction; attained iff n <= d + 1, by x_i = y_i at the corners of
        a regular simplex. Source: [2]_; proof with the two cones in ``docs/theory.md`` §5b.

    Examples
    --------
    >>> round(float(etf_floor(8, 1 / 5)), 6)
    0.022827
    """
    n = as_count("n", n, minimum=2)
    temperature = as_positive("temperature", temperature)
    return np.log1p((n - 1) * np.exp(-n / (temperature * (n - 1))))[()]
