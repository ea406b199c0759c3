r"""Transformer blocks at initialisation: kernels of tokens through pre-norm attention and MLP, at infinite width.

A block is :math:`x \mapsto x + \mathrm{Attn}(\mathrm{norm}(x))`, then the same with an MLP in place of attention, as in
the towers of CLIP, with many heads and independent centred weights. The stream has no mean behind weights without a
mean, so that LayerNorm and RMSNorm are the same map here. Kernels are those of `conetheory.attention`, where it is
said where this stops.

References
----------
.. [1] J. Hron, Y. Bahri, J. Sohl-Dickstein and R. Novak, "Infinite Attention: NNGP and NTK for Deep Attention
   Networks", ICML 2020, arXiv:2006.10540.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_count, as_nonnegative, as_positive
from conetheory._token_kernel import as_token_matrix
from conetheory.attention import many_head_attention
from conetheory.dual import Activation, dual_activation

__all__ = [
    "TransformerCurve",
    "mlp_kernel",
    "normalised_kernel",
    "token_cosines",
    "transformer_block",
    "transformer_curve",
]

_REPLICATES = 8  # independent curves, from which the standard error comes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransformerCurve:
    """Mean cosines of the stream, index l after l blocks, 0 the input.

    Attributes
    ----------
    within : ndarray, shape (depth + 1,)
        Of different tokens of a sequence; NaN for one token.
    between : ndarray, shape (depth + 1,)
        Of tokens of different sequences; NaN for one sequence.
    within_stderr, between_stderr : ndarray, shape (depth + 1,)
        Standard errors of the two: the Gaussian integral of attention is sampled.
    """

    within: np.ndarray
    between: np.ndarray
    within_stderr: np.ndarray
    between_stderr: np.ndarray


def normalised_kernel(kernel: ArrayLike) -> Float[np.ndarray, "n T n T"]:
    r"""Cosines of all tokens, :math:`K_{ij}/\sqrt{K_{ii}K_{jj}}`: RMSNorm, and LayerNorm where tokens have no mean.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the tokens.

    Returns
    -------
    ndarray, shape (n, T, n, T)
        In [-1, 1], with a diagonal of ones.

    Raises
    ------
    ValueError, TypeError
        If `kernel` has another shape, is not symmetric, or has a diagonal entry that is not positive or a cosine beyond
        1 + 1e-10.

    Examples
    --------
    >>> float(normalised_kernel(np.full((1, 2, 1, 2), 3.0)).min())
    1.0
    """
    matrix, shape = as_token_matrix(kernel)
    root = np.sqrt(np.diagonal(matrix))
    cosines = np.clip(matrix / root[:, None] / root, -1, 1)  # outside by rounding only
    np.fill_diagonal(cosines, 1.0)
    return cosines.reshape(shape)


def token_cosines(kernel: ArrayLike) -> tuple[float, float]:
    """Return the mean cosine of different tokens of a sequence, and of tokens of different sequences.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the tokens.

    Returns
    -------
    tuple of two floats
        NaN where there is no such pair.

    Raises
    ------
    ValueError, TypeError
        As `normalised_kernel`.

    Examples
    --------
    >>> token_cosines(np.eye(4).reshape(2, 2, 2, 2))
    (0.0, 0.0)
    """
    cosines = normalised_kernel(kernel)
    n, tokens = cosines.shape[:2]
    same = float(np.einsum("asat->", cosines))
    within = (same - n * tokens) / (n * tokens * (tokens - 1)) if tokens > 1 else np.nan
    between = (float(cosines.sum()) - same) / (n * (n - 1) * tokens**2) if n > 1 else np.nan
    return within, between


def mlp_kernel(
    kernel: ArrayLike,
    activation: str | Callable | Activation,
    *,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
    readout_w2: float = 1.0,
) -> Float[np.ndarray, "n T n T"]:
    r"""Kernel after :math:`x \mapsto W_2\,\phi(W_1 x + b)`, token by token.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the inputs.
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    sigma_w2, sigma_b2, readout_w2 : float
        As in `conetheory.residual.mlp`.

    Returns
    -------
    ndarray, shape (n, T, n, T)
        The dual activation of every pair, times `readout_w2`.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.dual_activation` and `normalised_kernel`.

    Examples
    --------
    >>> mlp_kernel(np.eye(2).reshape(1, 2, 1, 2), "relu", sigma_w2=2.0).reshape(2, 2).round(6)
    array([[1.     , 0.31831],
           [0.31831, 1.     ]])
    """
    matrix, shape = as_token_matrix(kernel)
    covariance = float(as_positive("sigma_w2", sigma_w2)) * matrix + float(as_nonnegative("sigma_b2", sigma_b2))
    upper = np.triu_indices(len(matrix))
    var, root = np.diagonal(covariance), np.sqrt(np.diagonal(covariance))
    rho = np.clip((covariance / root[:, None] / root)[upper], -1, 1)  # outside by rounding only
    after = np.empty_like(matrix)
    after[upper] = dual_activation(activation, rho, var_u=var[upper[0]], var_v=var[upper[1]])
    after.T[upper] = after[upper]
    return float(as_positive("readout_w2", readout_w2)) * after.reshape(shape)


def transformer_block(
    kernel: ArrayLike,
    activation: str | Callable | Activation,
    *,
    logit_w2: float = 1.0,
    value_w2: float = 1.0,
    sigma_w2: float = 1.0,
    readout_w2: float = 1.0,
    mask: ArrayLike | None = None,
    n_samples: int = 4096,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "n T n T"]:
    r"""Kernel of the stream after one pre-norm block.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the stream; positive semidefinite.
    activation : str, callable or Activation
        Of the MLP.
    logit_w2, value_w2, mask, n_samples, rng
        As in `conetheory.attention.many_head_attention`.
    sigma_w2, readout_w2 : float
        As in `mlp_kernel`.

    Returns
    -------
    ndarray, shape (n, T, n, T)
        After the block; its error is that of the sampled attention.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.attention.many_head_attention` and `mlp_kernel`.

    Notes
    -----
    Source: [1]_ for the attention; the composition, ``docs/theory.md``, 9.12.

    Examples
    --------
    >>> token_cosines(transformer_block(np.eye(4).reshape(2, 2, 2, 2), "relu", rng=0))[0] > 0.2
    True
    """
    stream = as_token_matrix(kernel)[0].reshape(np.shape(kernel))
    attended = many_head_attention(
        normalised_kernel(stream), logit_w2=logit_w2, value_w2=value_w2, mask=mask, n_samples=n_samples, rng=rng
    )
    stream = stream + attended.value
    return stream + mlp_kernel(normalised_kernel(stream), activation, sigma_w2=sigma_w2, readout_w2=readout_w2)


def transformer_curve(
    kernel: ArrayLike,
    activation: str | Callable | Activation,
    depth: int,
    *,
    logit_w2: float = 1.0,
    value_w2: float = 1.0,
    sigma_w2: float = 1.0,
    readout_w2: float = 1.0,
    mask: ArrayLike | None = None,
    n_samples: int = 1024,
    rng: np.random.Generator | int | None = None,
) -> TransformerCurve:
    r"""Mean cosines of the stream after each of `depth` pre-norm blocks: the cone of a transformer.

    Parameters
    ----------
    kernel : array_like, shape (n, T, n, T)
        Of the input; positive semidefinite.
    activation : str, callable or Activation
        Of the MLPs.
    depth : int
        Number of blocks, at least 0.
    logit_w2, value_w2, sigma_w2, readout_w2, mask, rng
        As in `transformer_block`.
    n_samples : int
        Heads drawn for each of eight independent curves, whose mean is returned.

    Returns
    -------
    TransformerCurve
        Mean cosines and their standard errors.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `transformer_block`.

    Examples
    --------
    >>> curve = transformer_curve(np.eye(4).reshape(2, 2, 2, 2), "gelu", 2, n_samples=64, rng=0)
    >>> bool(np.all(np.diff(curve.within) > 0))
    True
    """
    depth = as_count("depth", depth, minimum=0)
    curves = np.empty((_REPLICATES, depth + 1, 2))
    for curve, stream in zip(curves, np.random.default_rng(rng).spawn(_REPLICATES), strict=True):
        state = np.asarray(kernel, dtype=np.float64)
        curve[0] = token_cosines(state)
        for block in range(depth):
            state = transformer_block(
                state,
                activation,
                logit_w2=logit_w2,
                value_w2=value_w2,
                sigma_w2=sigma_w2,
                readout_w2=readout_w2,
                mask=mask,
                n_samples=n_samples,
                rng=stream,
            )
            curve[block + 1] = token_cosines(state)
    mean, stderr = curves.mean(axis=0), curves.std(axis=0, ddof=1) / np.sqrt(_REPLICATES)
    return TransformerCurve(
        within=mean[:, 0], between=mean[:, 1], within_stderr=stderr[:, 0], between_stderr=stderr[:, 1]
    )
