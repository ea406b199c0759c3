"""Validation of two sets of points and the pairing between them, and their softmax weights. Private to `conetheory`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.special import softmax

from ._arrays import unit_rows

__all__ = ["PairWeights", "as_pairing", "pair_weights", "paired_rows", "same_shape"]


class PairWeights(NamedTuple):
    """Softmax weights of all pairs at one logit scale, each of shape (n, n).

    `loss` is the derivative of the symmetric loss by the logits: the mean of `rows` and `columns` less the identity,
    over n; its rows and columns of either part sum to 0 without a difference from 1.
    """

    cosines: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    loss: np.ndarray


def same_shape(images: ArrayLike, texts: ArrayLike) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    """Return both sets with unit rows: n >= 2 points of one sphere each."""
    x, y = unit_rows("images", images, minimum=2), unit_rows("texts", texts, minimum=2)
    if x.shape != y.shape:
        raise ValueError(f"`texts` must have the shape of `images`, {x.shape}, got {y.shape}.")
    return x, y


def as_pairing(pairing: ArrayLike, n: int) -> Int[np.ndarray, " n"]:
    """Return `pairing` as an array that is a permutation of 0..n-1."""
    array = np.asarray(pairing)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`pairing` must hold integers, got dtype {array.dtype}.")
    if array.shape != (n,) or not np.array_equal(np.sort(array), np.arange(n)):
        raise ValueError(f"`pairing` must be a permutation of 0..{n - 1}, got {np.array2string(array, threshold=6)}.")
    return array


def paired_rows(
    images: ArrayLike, texts: ArrayLike, pairing: ArrayLike
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    """Return unit rows, row i of both belonging to pair i: text i is ``texts[pairing[i]]``."""
    x, y = same_shape(images, texts)
    return x, y[as_pairing(pairing, len(y))]


def pair_weights(x: np.ndarray, y: np.ndarray, scale: float) -> PairWeights:
    """Return the weights of pairs of unit rows at the logit scale `scale`."""
    n, cosines = len(x), x @ y.T
    rows, columns = softmax(scale * cosines, axis=1), softmax(scale * cosines, axis=0)
    loss = (rows + columns) / (2 * n)
    own = np.arange(n)
    loss[own, own] = 0.0
    across = [np.where(np.eye(n, dtype=bool), 0.0, part).sum(axis=axis) for part, axis in ((rows, 1), (columns, 0))]
    loss[own, own] = -(across[0] + across[1]) / (2 * n)
    return PairWeights(cosines, rows, columns, loss)
