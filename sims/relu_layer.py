r"""One random ReLU layer, sampled: Theorem 1 of Liang et al.

For :math:`W_{kl} \sim N(0, \sigma_w^2/d)` and :math:`b_k \sim N(0, \sigma_b^2/d)` the pairs
:math:`((Wu + b)_k, (Wv + b)_k)` are iid normal, and ReLU is positively homogeneous: the law of
:math:`c' = \cos(\phi(Wu + b), \phi(Wv + b))` depends on their correlation :math:`\rho_1` and on the width d alone. So a
trial costs about d angles and d exponentials, not a matrix (`docs/theory.md`, section 1).

References
----------
.. [1] V. W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Theorem 1 and Appendix D.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_cosine, as_count, as_nonnegative
from conetheory.contraction import preactivation_angle
from sims import _kernels
from sims._layer_trials import BLOCK, as_width, layer_sums
from sims._streams import map_blocks
from sims.estimate import Estimate, proportion

__all__ = ["contraction_probability", "count_failures", "sample_cosines", "sample_cosines_direct", "sample_units"]


def sample_cosines(
    rho: float, width: int, n: int, *, rng: np.random.Generator | int | None = None, workers: int = 1
) -> Float[np.ndarray, " n"]:
    r"""Sample the cosine of two ReLU layers whose pre-activations have correlation `rho`.

    Parameters
    ----------
    rho : float
        Correlation :math:`\rho_1` of the pre-activations, in [-1, 1].
    width : int
        Units of the layer.
    n : int
        Number of independent layers.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    ndarray, shape (n,)
        Cosines in [0, 1], NaN where a vector is zero. Below 32 units 1 - c has relative error 1e-15, else about 1e-6.

    Examples
    --------
    >>> sample_cosines(1.0, 8, 3, rng=0)
    array([1., 1., 1.])
    """
    rho = float(as_cosine("rho", rho))
    law = _polar_law(2 * math.atan2(math.sqrt(1 - rho), math.sqrt(1 + rho)))
    width, out = as_width(width), np.empty(as_count("n", n))

    def fill(stream: np.random.Generator, trials: slice) -> None:
        _kernels.fill_cosines(layer_sums(stream, trials.stop - trials.start, width, law), out[trials])

    map_blocks(fill, n, rng=rng, workers=as_count("workers", workers), block=BLOCK)
    return out


def sample_cosines_direct(
    u: ArrayLike,
    v: ArrayLike,
    width: int,
    n: int,
    *,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
) -> Float[np.ndarray, " n"]:
    r"""Sample the cosine of :math:`\phi(Wu + b)` and :math:`\phi(Wv + b)` by drawing W and b: the definition, slow.

    Parameters
    ----------
    u, v : array_like, shape (d_in,)
        The two inputs.
    width, n : int
        Units of the layer; number of independent layers.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight and of a bias.

    Returns
    -------
    ndarray, shape (n,)
        Cosines, NaN where a vector is zero.

    Examples
    --------
    >>> sample_cosines_direct([1.0, 0.0], [1.0, 0.0], 8, 2, rng=0).round(12)
    array([1., 1.])
    """
    u, v = as_array("u", u), as_array("v", v)
    if not (u.ndim == 1 and u.size >= 1 and u.shape == v.shape):
        raise ValueError(f"`u` and `v` must have one shape (d_in,), got shapes {u.shape} and {v.shape}.")
    width, cosines = as_count("width", width), np.empty(as_count("n", n))
    weight_sd = math.sqrt(float(as_nonnegative("sigma_w2", sigma_w2)) / width)
    bias_sd = math.sqrt(float(as_nonnegative("sigma_b2", sigma_b2)) / width)
    rng = np.random.default_rng(rng)
    for i in range(n):
        weights = weight_sd * rng.standard_normal((width, u.size))
        bias = bias_sd * rng.standard_normal(width)
        x, y = np.maximum(weights @ u + bias, 0), np.maximum(weights @ v + bias, 0)
        norms = math.sqrt((x @ x) * (y @ y))
        cosines[i] = x @ y / norms if norms > 0 else math.nan
    return cosines


def sample_units(rho: float, n: int, *, rng: np.random.Generator | int | None = None) -> Float[np.ndarray, "n 2"]:
    r"""Sample pairs :math:`(\phi(z), \phi(z'))` of one unit, z and z' standard normal of correlation `rho`.

    Scaled by :math:`\sigma_w^2 \|u\|^2 + \sigma_b^2` they are the summands of Lemma 3 and of the proof of Theorem 1.

    Parameters
    ----------
    rho : float
        Correlation in [-1, 1].
    n : int
        Number of pairs.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Examples
    --------
    >>> units = sample_units(-1.0, 100, rng=0)
    >>> float(np.max(units[:, 0] * units[:, 1]))
    0.0
    """
    rho = float(as_cosine("rho", rho))
    first, second = np.random.default_rng(rng).standard_normal((2, as_count("n", n)))
    second = rho * first + math.sqrt((1 - rho) * (1 + rho)) * second
    return np.maximum(np.stack([first, second], axis=1), 0)


def count_failures(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    workers: int = 1,
) -> int:
    """Count the layers, of `n_trials`, that do not raise the cosine: the complement of `contraction_probability`.

    Same parameters and errors; this is the count to keep when failures are rare.

    Examples
    --------
    >>> count_failures(0.5, 1.0, 1.0, 64, n_trials=10_000, rng=0) < 20
    True
    """
    law = _polar_law(float(preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)))
    width, n_trials, threshold = as_width(width), as_count("n_trials", n_trials), float(cosine)

    def successes(stream: np.random.Generator, trials: slice) -> Any:
        return _kernels.count_contractions(layer_sums(stream, trials.stop - trials.start, width, law), threshold)

    workers = as_count("workers", workers)
    return n_trials - sum(map_blocks(successes, n_trials, rng=rng, workers=workers, block=BLOCK))


def contraction_probability(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    workers: int = 1,
) -> Estimate:
    r"""Estimate the probability of Theorem 1 [1]_, that a random ReLU layer raises the cosine of two inputs:

    .. math:: P(\cos(\phi(Wu + b), \phi(Wv + b)) > \cos(u, v)).

    The inequality is strict, and a cosine that is undefined because a vector is zero counts as failure: at cosine 1
    the probability is 0. Comparisons near 1 are made on :math:`1 - c'`, to a relative error of about 1e-15 below 32
    units and 1e-6 from there on.

    Parameters
    ----------
    cosine : float
        cos(u, v), in [-1, 1].
    norm_u, norm_v : float
        Norms of the inputs, at least 0.
    width : int
        Units of the layer, the theorem's d_out.
    n_trials : int
        Number of independent layers.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight and of a bias; the paper has both 1.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    Estimate
        Share of successes, its binomial standard error, and `n_trials`.

    Raises
    ------
    ValueError
        Also when an input gives pre-activations that are zero for certain.

    Examples
    --------
    >>> estimate = contraction_probability(0.5, 1.0, 1.0, 16, n_trials=10_000, rng=0)
    >>> 0.94 < estimate.value < 0.96
    True
    """
    failures = count_failures(
        cosine,
        norm_u,
        norm_v,
        width,
        n_trials=n_trials,
        rng=rng,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        workers=workers,
    )
    return proportion(n_trials - failures, n_trials)


def _polar_law(theta: float) -> tuple[float, float, float]:
    """Return half the active arc, cos(θ/2) and sin(θ/2), for pre-activations at the angle `theta`."""
    return (math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2)
