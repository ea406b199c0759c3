r"""Attention and pooling at initialisation: kernels of tokens at infinite width.

A kernel K has shape (n, T, n, T): :math:`K_{as,bt}` is the mean over units of the product of token s of sequence a and
token t of sequence b. With independent centred weights :math:`W_Q, W_K, W_V, W_O` the logits of a head are
:math:`G_a = x_a W_Q W_K^\top x_a^\top / \sqrt{d_{head}}`, in the limit of width and head width centred Gaussian with
:math:`\mathbb{E}\,G_{a,si} G_{b,tj} = \omega K_{as,bt} K_{ai,bj}`, :math:`\omega` = `logit_w2` the product of the
variances (times inputs) of :math:`W_Q` and :math:`W_K`. The output of many heads has the kernel

.. math:: K' = \sigma^2\,\mathbb{E}\bigl[\mathrm{softmax}(G_a)\,K_{ab}\,\mathrm{softmax}(G_b)^\top\bigr],
          \qquad \sigma^2 = \text{value\_w2}

which is a Gaussian integral and no function of cosines alone. With the scaling 1/d of the logits :math:`\omega = 0`:
attention averages. Few heads have a random kernel, of variance 1/heads, and a non-Gaussian output [1]_; trained weights
are not independent of their inputs; and the limit is at fixed T.

References
----------
.. [1] J. Hron, Y. Bahri, J. Sohl-Dickstein and R. Novak, "Infinite Attention: NNGP and NTK for Deep Attention
   Networks", ICML 2020, arXiv:2006.10540.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count, as_nonnegative, as_positive
from conetheory._token_kernel import as_kernel
from conetheory.dual import dual_activation

__all__ = [
    "AttentionKernel",
    "average_pool",
    "many_head_attention",
    "small_logit_attention",
    "two_token_attention",
    "uniform_attention",
]

_BLOCK = 1 << 20  # numbers drawn at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionKernel:
    """A kernel that was estimated.

    Attributes
    ----------
    value : ndarray, shape (n, T, n, T)
        The kernel.
    stderr : ndarray, shape (n, T, n, T)
        Standard errors of its entries.
    """

    value: np.ndarray
    stderr: np.ndarray


def _attended(tokens: int, mask: ArrayLike | None) -> np.ndarray:
    """Return the mask of shape (T, T) as booleans, all True without one."""
    if mask is None:
        return np.ones((tokens, tokens), dtype=bool)
    mask = np.asarray(mask)
    allowed = mask if mask.dtype == bool else as_array("mask", mask) != 0
    if allowed.shape != (tokens, tokens):
        raise ValueError(f"`mask` must have shape {(tokens, tokens)}, got shape {allowed.shape}.")
    if not np.all(allowed.any(axis=1)):
        raise ValueError(
            f"`mask` must allow each token one token, got none for token {int(np.argmin(allowed.any(1)))}."
        )
    return allowed


def average_pool(kernel: ArrayLike) -> Float[np.ndarray, "n n"]:
    r"""Kernel of sequences after average pooling, :math:`T^{-2} \sum_{st} K_{as,bt}`.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the tokens.

    Returns
    -------
    ndarray, shape (n, n)
        Exact at every width.

    Raises
    ------
    ValueError, TypeError
        If `kernel` is no symmetric array of that shape.

    Notes
    -----
    If tokens have cosine w within a sequence and b across, pooled ones have :math:`bT/(1 + (T-1)w)`. Source: ours;
    ``docs/theory.md``, 9.7.

    Examples
    --------
    >>> average_pool(np.eye(4).reshape(2, 2, 2, 2))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    return as_kernel(kernel).mean(axis=(1, 3))


def uniform_attention(
    kernel: ArrayLike, *, value_w2: float = 1.0, mask: ArrayLike | None = None
) -> Float[np.ndarray, "n T n T"]:
    r"""Kernel after attention with vanishing logits: the scaling 1/d, at every number of heads and every depth.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the inputs.
    value_w2 : float
        :math:`\sigma^2`, the product of the variances (times inputs) of values and output weights, positive.
    mask : array_like, shape (T, T), optional
        Nonzero where the token of the row sees that of the column; all by default.

    Returns
    -------
    ndarray, shape (n, T, n, T)
        :math:`\sigma^2` times the mean over the tokens seen: without a mask the tokens of a sequence become one point.

    Raises
    ------
    ValueError, TypeError
        If an argument is of the wrong shape or out of range.

    Notes
    -----
    Source: [1]_; ``docs/theory.md``, 9.8.

    Examples
    --------
    >>> uniform_attention(np.eye(2).reshape(1, 2, 1, 2)).reshape(2, 2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    kernel = as_kernel(kernel)
    allowed = _attended(kernel.shape[1], mask)
    weights = allowed / allowed.sum(axis=1, keepdims=True)
    return float(as_positive("value_w2", value_w2)) * np.einsum("si,aibj,tj->asbt", weights, kernel, weights)


def many_head_attention(
    kernel: ArrayLike,
    *,
    logit_w2: float = 1.0,
    value_w2: float = 1.0,
    mask: ArrayLike | None = None,
    n_samples: int = 4096,
    rng: np.random.Generator | int | None = None,
) -> AttentionKernel:
    r"""Kernel after softmax attention with many heads and logits scaled by :math:`1/\sqrt{d_{head}}`, by sampling.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the inputs; positive semidefinite.
    logit_w2 : float
        :math:`\omega`, at least 0.
    value_w2 : float
        :math:`\sigma^2`, positive.
    mask : array_like, shape (T, T), optional
        As in `uniform_attention`.
    n_samples : int
        Number of heads drawn, each with its mirror image (logits of opposite sign); at least 2.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    AttentionKernel
        Estimate and standard errors; the logits are exactly Gaussian.

    Raises
    ------
    ValueError, TypeError
        If an argument is of the wrong shape or out of range, or `kernel` has an eigenvalue below -1e-10 of the largest.

    Notes
    -----
    Source: [1]_; ``docs/theory.md``, 9.9.

    Examples
    --------
    >>> found = many_head_attention(np.eye(2).reshape(1, 2, 1, 2), rng=0)
    >>> exact = two_token_attention(np.eye(2).reshape(1, 2, 1, 2))
    >>> bool(np.all(np.abs(found.value - exact) <= 5 * found.stderr + 1e-12))
    True
    """
    kernel = as_kernel(kernel)
    n, tokens = kernel.shape[:2]
    allowed, rng = _attended(tokens, mask), np.random.default_rng(rng)
    factor = _factor(kernel) * float(as_nonnegative("logit_w2", logit_w2)) ** 0.25
    n_samples, rank = as_count("n_samples", n_samples, minimum=2), factor.shape[2]
    average = _head_kernels(np.zeros((1, n, tokens, tokens)), kernel, allowed)[0]
    total, square = np.zeros(kernel.shape), np.zeros(kernel.shape)  # of deviations from it: small logits lose no digit
    left = n_samples
    while left:
        block = min(left, max(1, _BLOCK // (rank * rank + (n * tokens) ** 2)))
        logits = factor @ rng.standard_normal((block, 1, rank, rank)) @ factor.transpose(0, 2, 1)
        heads = (_head_kernels(logits, kernel, allowed) + _head_kernels(-logits, kernel, allowed)) / 2 - average
        total += heads.sum(axis=0)
        square += np.einsum("h...,h...->...", heads, heads)
        left -= block
    mean = total / n_samples
    variance = np.maximum(square / n_samples - mean**2, 0.0) / (n_samples - 1)
    value_w2 = float(as_positive("value_w2", value_w2))
    return AttentionKernel(value=value_w2 * (average + mean), stderr=value_w2 * np.sqrt(variance))


def _factor(kernel: np.ndarray) -> np.ndarray:
    """Return x of shape (n, T, rank) with x x' equal to the kernel."""
    n, tokens = kernel.shape[:2]
    values, vectors = np.linalg.eigh(kernel.reshape(n * tokens, n * tokens))
    if not values[0] >= -1e-10 * values[-1]:
        raise ValueError(f"`kernel` must be positive semidefinite, got an eigenvalue of {values[0]:.3g}.")
    kept = values > 1e-15 * values[-1]
    return (vectors[:, kept] * np.sqrt(values[kept])).reshape(n, tokens, -1)


def _head_kernels(logits: np.ndarray, kernel: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return softmax(G_a) K_ab softmax(G_b)' of every head, shape (heads, n, T, n, T)."""
    logits = np.where(allowed, logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("hasi,aibj,hbtj->hasbt", weights, kernel, weights, optimize=True)


def two_token_attention(
    kernel: ArrayLike, *, logit_w2: float = 1.0, value_w2: float = 1.0
) -> Float[np.ndarray, "n 2 n 2"]:
    r"""`many_head_attention` for two tokens, where the integral is a dual activation.

    .. math:: K'_{as,bt} = \sigma^2 \bigl(\bar K_{ab} + \mathbb{E}[\eta(g)\eta(g')]\,\Delta_{ab}\bigr),
              \qquad \eta(x) = \tfrac12 \tanh\tfrac x2

    with :math:`\bar K_{ab}` the mean of the 2 x 2 block, :math:`\Delta_{ab}` = :math:`K_{a1,b1} - K_{a1,b2} - K_{a2,b1}
    + K_{a2,b2}` and g, g' Gaussian of covariance :math:`\omega K_{as,bt} \Delta_{ab}`.

    Parameters
    ----------
    kernel : array_like, shape (n, 2, n, 2)
        Of the inputs; positive semidefinite.
    logit_w2, value_w2 : float
        As in `many_head_attention`.

    Returns
    -------
    ndarray, shape (n, 2, n, 2)
        To about 1e-12 of the largest entry.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `many_head_attention` and `conetheory.dual.dual_activation`.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 9.10.

    Examples
    --------
    >>> two_token_attention(np.eye(2).reshape(1, 2, 1, 2)).reshape(2, 2).round(6)
    array([[0.636838, 0.5     ],
           [0.5     , 0.636838]])
    """
    kernel = as_kernel(kernel)
    if kernel.shape[1] != 2:
        raise ValueError(f"`kernel` must have two tokens, got {kernel.shape[1]}.")
    _factor(kernel)
    contrast = np.einsum("aibj,i,j->ab", kernel, [1, -1], [1, -1])[:, None, :, None]
    covariance = (float(as_nonnegative("logit_w2", logit_w2)) * kernel * contrast).reshape(2 * len(kernel), -1)
    upper, var = np.triu_indices(len(covariance)), np.diagonal(covariance)
    first, second = var[upper[0]], var[upper[1]]
    scale = np.sqrt(first * second)
    rho = np.divide(covariance[upper], scale, out=np.zeros_like(scale), where=scale > 0)
    spread = np.empty_like(covariance)
    spread[upper] = spread.T[upper] = dual_activation(
        lambda x: np.tanh(x / 2) / 2,
        np.clip(rho, -1, 1),  # outside by rounding only
        var_u=first,
        var_v=second,
    )
    spread = spread.reshape(kernel.shape)
    average = kernel.mean(axis=(1, 3), keepdims=True)
    return float(as_positive("value_w2", value_w2)) * (average + spread * contrast)


def small_logit_attention(kernel: ArrayLike, *, logit_w2: float, value_w2: float = 1.0) -> Float[np.ndarray, "n T n T"]:
    r"""`many_head_attention` to first order in the variance of the logits.

    With :math:`\tilde K_{ab}` the block :math:`K_{ab}` centred in rows and columns, :math:`\tilde d_a` the centred
    diagonal of :math:`\tilde K_{aa}` and :math:`r_{ab}`, :math:`c_{ab}` the row and column sums of :math:`K_{ab}`,

    .. math:: K'_{as,bt} = \sigma^2 \Bigl(\bar K_{ab} + \frac{\omega}{T^2} \bigl[K_{as,bt} \|\tilde K_{ab}\|_F^2
              + \tfrac12 K_{as,as}\, \tilde d_a \cdot r_{ab} + \tfrac12 K_{bt,bt}\, \tilde d_b \cdot c_{ab}\bigr]
              + O(\omega^2)\Bigr)

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the inputs.
    logit_w2, value_w2 : float
        As in `many_head_attention`.

    Returns
    -------
    ndarray, shape (n, T, n, T)
        Good where the variance of the logits is well below 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is of the wrong shape or out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 9.11.

    Examples
    --------
    >>> small_logit_attention(np.eye(2).reshape(1, 2, 1, 2), logit_w2=0.1).reshape(2, 2).round(6)
    array([[0.525, 0.5  ],
           [0.5  , 0.525]])
    """
    kernel = as_kernel(kernel)
    omega, tokens = float(as_nonnegative("logit_w2", logit_w2)), kernel.shape[1]
    rows, columns = kernel.mean(axis=3, keepdims=True), kernel.mean(axis=1, keepdims=True)
    average = kernel.mean(axis=(1, 3), keepdims=True)
    centred = kernel - rows - columns + average
    norms = np.einsum("aibj,aibj->ab", centred, centred)[:, None, :, None]
    diagonal = np.einsum("aiai->ai", centred)
    diagonal = diagonal - diagonal.mean(axis=1, keepdims=True)
    own = np.einsum("asas->as", kernel)
    left = np.einsum("as,ai,aibj->asb", own, diagonal, kernel)[..., None]
    right = np.einsum("bt,bj,aibj->abt", own, diagonal, kernel)[:, None]
    first = (kernel * norms + (left + right) / 2) / tokens**2
    return float(as_positive("value_w2", value_w2)) * (average + omega * first)
