r"""Layers of towers at finite width, sampled: residual blocks, multi-head attention, transformers.

Weights are centred normals of variance (its `sigma_w2`)/(number of inputs), without biases unless said, drawn afresh
for every layer and network. They are drawn themselves, except where two points in d dimensions see a dense layer only
through their Gram matrix: two normals a unit have the same law (`docs/theory.md`, 1.2).
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_choice, as_cosine, as_count, as_nonnegative, as_positive
from conetheory.dual import activation_function
from sims._streams import block_streams, map_blocks

__all__ = ["attention_kernels", "normalised_cosines", "residual_cosines", "transformer_cosines"]

_NORMS = ("layer", "rms")
_PLACEMENTS = ("pre", "post")


def normalised_cosines(
    rho: float,
    activation: str | Callable[[np.ndarray], np.ndarray],
    width: int,
    n: int,
    *,
    depth: int = 1,
    norm: str = "layer",
    sigma_b2: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "n depth+1"]:
    r"""Sample the cosine of two points after layers :math:`x \mapsto \mathrm{norm}(\phi(Wx + b))` of plain networks.

    Parameters
    ----------
    rho : float
        Cosine of the inputs, of norm :math:`\sqrt{width}`, in [-1, 1].
    activation : str or callable
        As `conetheory.dual.activation_function` takes it.
    width, n, depth : int
        Units of every layer; networks; layers.
    norm : {"layer", "rms"}
        LayerNorm or RMSNorm, after the activation.
    sigma_b2 : float
        Variance of the normal biases.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Examples
    --------
    >>> normalised_cosines(1.0, "relu", 64, 2, rng=0).round(12)
    array([[1., 1.],
           [1., 1.]])
    """
    phi, depth = activation_function(activation), as_count("depth", depth, minimum=0)
    as_choice("norm", norm, _NORMS)
    spread = math.sqrt(as_nonnegative("sigma_b2", sigma_b2))

    def curves(stream: np.random.Generator, trials: slice) -> np.ndarray:
        x = _inputs(rho, trials.stop - trials.start, width)
        rows = [_cosine(x)]
        for _ in range(depth):
            z = _dense(x, 1.0, stream)
            if spread:
                z = z + spread * stream.standard_normal((len(z), 1, width))
            x = _normalise(phi(z), norm)
            rows.append(_cosine(x))
        return np.stack(rows, axis=1)

    return np.concatenate(map_blocks(curves, as_count("n", n), rng=rng))


def residual_cosines(
    rho: float,
    activation: str | Callable[[np.ndarray], np.ndarray],
    width: int,
    n: int,
    *,
    depth: int,
    placement: str = "pre",
    norm: str = "layer",
    sigma_w2: float = 1.0,
    readout_w2: float = 1.0,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "n depth+1"]:
    r"""Sample the cosine of two points after each residual block, with the branch :math:`W_2\,\phi(W_1 x)`.

    Parameters
    ----------
    rho : float
        Cosine of the inputs, of norm :math:`\sqrt{width}`, in [-1, 1].
    activation : str or callable
        As `conetheory.dual.activation_function` takes it.
    width, n, depth : int
        Units of every layer; networks; blocks.
    placement : {"pre", "post"}
        x + f(norm(x)) or norm(x + f(x)).
    norm : {"layer", "rms"}
        LayerNorm or RMSNorm.
    sigma_w2, readout_w2 : float
        `width` times the variances of the two weights.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Examples
    --------
    >>> residual_cosines(1.0, "relu", 64, 1, depth=1, rng=0).round(12)
    array([[1., 1.]])
    """
    phi, depth = activation_function(activation), as_count("depth", depth, minimum=0)
    first, second = float(as_positive("sigma_w2", sigma_w2)), float(as_positive("readout_w2", readout_w2))
    as_choice("norm", norm, _NORMS)
    before = as_choice("placement", placement, _PLACEMENTS) == "pre"

    def curves(stream: np.random.Generator, trials: slice) -> np.ndarray:
        x = _inputs(rho, trials.stop - trials.start, width)
        rows = [_cosine(x)]
        for _ in range(depth):
            branch = _dense(phi(_dense(_normalise(x, norm) if before else x, first, stream)), second, stream)
            x = x + branch if before else _normalise(x + branch, norm)
            rows.append(_cosine(x))
        return np.stack(rows, axis=1)

    return np.concatenate(map_blocks(curves, as_count("n", n), rng=rng))


def _inputs(rho: float, n: int, width: int) -> np.ndarray:
    """Return n times two points of cosine `rho` and mean square 1, without a mean: shape (n, 2, width)."""
    rho, width = float(as_cosine("rho", rho)), as_count("width", width, minimum=4)
    plus = np.where(np.arange(width) % 2 == 0, 1.0, -1.0)
    other = np.where(np.arange(width) % 4 < 2, 1.0, -1.0)  # orthogonal to it and of mean 0 if 4 divides the width
    other -= plus * (plus @ other) / width
    other *= math.sqrt(width / (other @ other))
    pair = np.stack([plus, rho * plus + math.sqrt((1 - rho) * (1 + rho)) * other])
    return np.broadcast_to(pair, (n, 2, width))


def _dense(x: np.ndarray, sigma_w2: float, rng: np.random.Generator) -> np.ndarray:
    """Return the dense layer of x, shape (n, 2, d), from the Gram matrices of its pairs."""
    width = x.shape[2]
    u, v = x[:, 0], x[:, 1]
    square = np.einsum("nd,nd->n", u, u)
    along = np.divide(np.einsum("nd,nd->n", u, v), square, out=np.zeros_like(square), where=square > 0)  # u may be 0
    rest = v - along[:, None] * u  # not the difference of two Gram entries, which would lose its digits near cosine 1
    across = np.sqrt(np.einsum("nd,nd->n", rest, rest) * sigma_w2 / width)
    g = rng.standard_normal(x.shape)
    first = g[:, 0] * np.sqrt(square * sigma_w2 / width)[:, None]
    return np.stack([first, along[:, None] * first + across[:, None] * g[:, 1]], axis=1)


def _normalise(x: np.ndarray, norm: str) -> np.ndarray:
    """Return RMSNorm or LayerNorm of the last axis."""
    if norm == "layer":
        x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True))


def _cosine(x: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("npd,npd->np", x, x))
    return np.einsum("nd,nd->n", x[:, 0], x[:, 1]) / (norms[:, 0] * norms[:, 1])


def attention_kernels(
    x: ArrayLike,
    heads: int,
    head_width: int,
    n: int,
    *,
    logit_w2: float = 1.0,
    logit_power: float = 0.5,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "m n T n T"]:
    r"""Sample the kernels of `n` multi-head attention layers applied to the same sequences.

    Parameters
    ----------
    x : array_like, shape (sequences, T, d)
        Inputs; d is the width of the output too.
    heads, head_width, n : int
        Heads of a layer, their width, and number of layers.
    logit_w2 : float
        Product of d times the variances of query and key weights; that of value and output weights is 1.
    logit_power : float
        Logits are divided by `head_width` to this power: 1/2 is the standard, 1 the mean-field scaling.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n, sequences, T, sequences, T)
        Mean over the d units of the products of the outputs.

    Examples
    --------
    >>> attention_kernels(np.ones((1, 3, 8)), 2, 4, 5, rng=0).shape
    (5, 1, 3, 1, 3)
    """
    x = as_array("x", x)
    if x.ndim != 3:
        raise ValueError(f"`x` must have shape (sequences, T, d), got shape {x.shape}.")
    heads, head_width = as_count("heads", heads), as_count("head_width", head_width)
    logit_w2, power = float(as_nonnegative("logit_w2", logit_w2)), float(as_nonnegative("logit_power", logit_power))
    shape = (*x.shape[:2], *x.shape[:2])
    out = np.empty((as_count("n", n), *shape))
    for i, stream in enumerate(block_streams(rng, n)):
        y = _attend(x, heads, head_width, logit_w2, power, stream).reshape(-1, x.shape[2])
        out[i] = (y @ y.T / x.shape[2]).reshape(shape)
    return out


def _attend(
    x: np.ndarray, heads: int, head_width: int, logit_w2: float, power: float, rng: np.random.Generator
) -> np.ndarray:
    """Return softmax attention of x, shape (n, T, d), with weights drawn here."""
    width = x.shape[2]
    scale = math.sqrt(1 / width)
    query, key, value = (
        np.einsum("ntd,dhk->nhtk", x, scale * rng.standard_normal((width, heads, head_width)), optimize=True)
        for _ in range(3)
    )
    logits = math.sqrt(logit_w2) / head_width**power * (query @ key.transpose(0, 1, 3, 2))
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    read = (weights @ value).transpose(0, 2, 1, 3).reshape(*x.shape[:2], heads * head_width)
    return read @ rng.standard_normal((heads * head_width, width)) / math.sqrt(heads * head_width)


def transformer_cosines(
    x: ArrayLike,
    activation: str | Callable[[np.ndarray], np.ndarray],
    n: int,
    *,
    depth: int,
    heads: int,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "n depth+1 2"]:
    r"""Sample random pre-norm transformers: mean cosines within and between sequences after each block.

    The block is x + Attn(LayerNorm(x)), then x + MLP(LayerNorm(x)) with :math:`4d` hidden units, every weight of
    variance 1/(number of inputs) and the logits divided by the root of the head width d/heads.

    Parameters
    ----------
    x : array_like, shape (sequences, T, d)
        Inputs, at least two sequences of two tokens.
    activation : str or callable
        As `conetheory.dual.activation_function` takes it.
    n, depth, heads : int
        Transformers, blocks, heads; `heads` divides d.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n, depth + 1, 2)
        Last axis: different tokens of a sequence, tokens of different sequences.

    Examples
    --------
    >>> transformer_cosines(np.random.default_rng(0).standard_normal((2, 3, 8)), "gelu", 1, depth=2, heads=2).shape
    (1, 3, 2)
    """
    phi, start = activation_function(activation), as_array("x", x)
    if not (start.ndim == 3 and start.shape[0] >= 2 and start.shape[1] >= 2):
        raise ValueError(f"`x` must have shape (sequences, T, d), both at least 2, got shape {start.shape}.")
    width, heads = start.shape[2], as_count("heads", heads)
    if width % heads:
        raise ValueError(f"`heads` must divide the width {width}, got {heads}.")
    depth = as_count("depth", depth, minimum=0)
    out = np.empty((as_count("n", n), depth + 1, 2))
    for curve, stream in zip(out, block_streams(rng, n), strict=True):
        y = start
        curve[0] = _token_cosines(y)
        for block in range(depth):
            y = y + _attend(_normalise(y, "layer"), heads, width // heads, 1.0, 0.5, stream)
            hidden = phi(_normalise(y, "layer") @ stream.standard_normal((width, 4 * width)) / math.sqrt(width))
            y = y + hidden @ stream.standard_normal((4 * width, width)) / math.sqrt(4 * width)
            curve[block + 1] = _token_cosines(y)
    return out


def _token_cosines(x: np.ndarray) -> tuple[float, float]:
    """Return the mean cosine of different tokens of a sequence, and of tokens of different sequences."""
    n, tokens = x.shape[:2]
    unit = x / np.sqrt(np.einsum("ntd,ntd->nt", x, x))[..., None]
    sums = unit.sum(axis=1)
    same = float(np.einsum("nd,nd->", sums, sums))
    total = sums.sum(axis=0)
    within = (same - n * tokens) / (n * tokens * (tokens - 1))
    return within, (float(total @ total) - same) / (n * (n - 1) * tokens**2)
