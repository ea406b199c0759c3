"""One ReLU layer with weights that are not Gaussian, sampled: independent weights of several laws, and orthogonal W."""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_choice, as_cosine, as_count
from conetheory.initialisations import truncated_normal_moments
from sims import _frame_kernels
from sims._streams import map_blocks

__all__ = ["LAWS", "sample_cosines_of_law", "sample_orthogonal_cosines", "sample_weights"]

#: Laws of a weight, all of variance 1; the truncated normal is cut at two standard deviations of the normal.
LAWS = ("normal", "uniform", "truncated_normal", "rademacher")

_CUT = 2.0


def sample_weights(
    law: str, shape: tuple[int, ...], *, rng: np.random.Generator | int | None = None
) -> Float[np.ndarray, "..."]:
    """Sample independent weights of mean 0 and variance 1.

    Parameters
    ----------
    law : str
        One of `LAWS`.
    shape : tuple of int
        Of the array.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Examples
    --------
    >>> sample_weights("rademacher", (4,), rng=0)
    array([ 1.,  1.,  1., -1.])
    """
    rng = np.random.default_rng(rng)
    as_choice("law", law, LAWS)
    if law == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), shape)
    if law == "rademacher":
        return 2.0 * rng.integers(0, 2, shape) - 1.0
    weights = rng.standard_normal(shape)
    if law == "truncated_normal":
        while np.any(outside := np.abs(weights) > _CUT):
            weights[outside] = rng.standard_normal(int(outside.sum()))
        weights /= math.sqrt(truncated_normal_moments(_CUT)[0])
    return weights


def sample_cosines_of_law(
    u: ArrayLike, v: ArrayLike, width: int, n: int, *, law: str, rng: np.random.Generator | int | None = None
) -> Float[np.ndarray, " n"]:
    r"""Sample the cosine of :math:`\phi(Wu)` and :math:`\phi(Wv)` for independent weights of a law.

    Parameters
    ----------
    u, v : array_like, shape (d_in,)
        The inputs.
    width, n : int
        Units of the layer; number of layers.
    law : str
        One of `LAWS`.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n,)
        Cosines, NaN where a vector is zero.

    Examples
    --------
    >>> sample_cosines_of_law([1.0, 0.0], [1.0, 0.0], 8, 2, law="uniform", rng=0).round(12)
    array([1., 1.])
    """
    pair = np.stack([as_array("u", u), as_array("v", v)], axis=-1)
    if pair.ndim != 2:
        raise ValueError(f"`u` and `v` must have one shape (d_in,), got shapes {np.shape(u)} and {np.shape(v)}.")
    width, n, cosines = as_count("width", width), as_count("n", n), []
    rng = np.random.default_rng(rng)
    block = max(1, (1 << 20) // (width * len(pair)))
    for start in range(0, n, block):
        weights = sample_weights(law, (min(block, n - start), width, len(pair)), rng=rng)
        after = np.maximum(weights @ pair, 0)
        gram = np.einsum("nki,nkj->nij", after, after)
        norms = np.sqrt(gram[:, 0, 0] * gram[:, 1, 1])
        cosines.append(np.divide(gram[:, 0, 1], norms, out=np.full(len(norms), np.nan), where=norms > 0))
    return np.concatenate(cosines)


def sample_orthogonal_cosines(
    cosine: float,
    width: int,
    n: int,
    *,
    dim_in: int | None = None,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> Float[np.ndarray, " n"]:
    r"""Sample the cosine of :math:`\phi(Wu)` and :math:`\phi(Wv)` for Haar distributed orthogonal W without bias.

    W turns an orthonormal pair into two columns of a Haar matrix, which are two normal vectors made orthonormal; of
    them the first `width` coordinates remain if `dim_in` is larger. No matrix is drawn.

    Parameters
    ----------
    cosine : float
        Cosine of the inputs, in [-1, 1].
    width, n : int
        Units of the layer; number of layers.
    dim_in : int, optional
        Number of inputs, at least 2; `width` by default. Below `width` the columns of W are orthonormal, which is the
        same law of the cosine as `dim_in` = `width`.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    ndarray, shape (n,)
        Cosines, NaN where a vector is zero.

    Examples
    --------
    >>> sample_orthogonal_cosines(1.0, 16, 2, rng=0).round(12)
    array([1., 1.])
    """
    cosine, width = float(as_cosine("cosine", cosine)), as_count("width", width, minimum=2)
    rows = max(width, width if dim_in is None else as_count("dim_in", dim_in, minimum=2))
    out = np.empty(as_count("n", n))
    map_blocks(
        lambda stream, trials: _frame_kernels.fill_frame_cosines(
            stream, out[trials], width, np.empty((rows, 2)), cosine
        ),
        n,
        rng=rng,
        workers=as_count("workers", workers),
    )
    return out
