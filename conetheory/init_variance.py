r"""How much of the variance of a random network's features is due to its initialisation (Theorem 2).

With parameters :math:`\Theta` and an input U, independent,
:math:`\mathrm{Var}\,h = \mathbb{E}\,\mathrm{Var}[h \mid \Theta] + \mathrm{Var}\,\mathbb{E}[h \mid \Theta]`; the share
of initialisation is the second term over the sum.

References
----------
.. [1] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053,
   Theorems 2 and 4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count, as_nonnegative, as_positive
from conetheory.meanfield import cone_curve

__all__ = [
    "VarianceShare",
    "initialisation_share",
    "preactivation_share",
    "proof_bound",
    "relu_share",
    "theorem4_bound",
]


def preactivation_share(
    mean_dot: ArrayLike, mean_square: ArrayLike, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Share of initialisation in a unit of W g(U) + b, exact at any width.

    .. math:: \frac{\sigma_w^2\,\mathbb{E}[g\cdot g'] + \sigma_b^2}{\sigma_w^2\,\mathbb{E}\|g\|^2 + \sigma_b^2}

    with g = g(U), g' = g(U') for an independent copy U' of the input through the same layers; entries of W and b are
    independent of g, centred, of variances :math:`\sigma_w^2/d` and :math:`\sigma_b^2/d`.

    Parameters
    ----------
    mean_dot : array_like, shape (...)
        :math:`\mathbb{E}[g\cdot g']`, at most `mean_square` in absolute value (never negative but for sampling error).
    mean_square : array_like, shape (...)
        :math:`\mathbb{E}\|g\|^2`, positive.
    sigma_w2, sigma_b2 : float
        Variances times the width d: positive, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        The share, at least `mean_dot` / `mean_square`, which is Theorem 4's :math:`\beta` at mean square 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 4.2. Accurate to a few eps.

    Examples
    --------
    >>> float(preactivation_share(0.5, 1.0))
    0.75
    """
    dot, square = np.broadcast_arrays(as_array("mean_dot", mean_dot), as_positive("mean_square", mean_square))
    good = np.abs(dot) <= square
    if not np.all(good):
        raise ValueError(
            f"`mean_dot` must be at most `mean_square` in absolute value, got {float(dot[~good].flat[0])} "
            f"and {float(square[~good].flat[0])}."
        )
    weight, bias = float(as_positive("sigma_w2", sigma_w2)), float(as_nonnegative("sigma_b2", sigma_b2))
    return (weight * dot + bias) / (weight * square + bias)


def relu_share(depth: int) -> Float[np.ndarray, " depth"]:
    r"""Share of initialisation after each ReLU layer, infinitely wide, for orthogonal inputs of norm 1.

    .. math:: \frac{\rho_l - 1/\pi}{1 - 1/\pi}, \qquad \rho_l \text{ of `relu_unit_norm_recursion`}

    Parameters
    ----------
    depth : int
        Number of layers, at least 1.

    Returns
    -------
    ndarray, shape (depth,)
        Shares after layers 1 to `depth`; weights and biases have variance 1/d.

    Raises
    ------
    ValueError, TypeError
        If `depth` is not an integer of at least 1.

    Notes
    -----
    Accurate to 1e-15. Source: ours, ``docs/theory.md``, 4.4; Theorem 4 of [1]_ bounds it below by :math:`\rho_{l-1}`.

    Examples
    --------
    >>> relu_share(3).round(6)
    array([0.426422, 0.75165 , 0.886714])
    """
    complement = cone_curve("relu", as_count("depth", depth), sigma_b2=1.0).complement[1:]
    return 1 - complement / (1 - 1 / np.pi)


def _as_beta(beta: ArrayLike) -> np.ndarray:
    array = as_nonnegative("beta", beta)
    if not np.all(array <= 1):
        raise ValueError(f"`beta` must lie in [0, 1], got {float(array[array > 1].flat[0])}.")
    return array


def theorem4_bound(beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Lower bound :math:`\beta` of Theorem 4 on the share of initialisation of a ReLU unit.

    Parameters
    ----------
    beta : array_like, shape (...)
        One minus the total variance over inputs of the layer below:
        :math:`1 - \mathbb{E}\,\mathrm{tr}\,\mathrm{Var}[g \mid \Theta]`, which is
        :math:`\mathbb{E}[g\cdot g']` where :math:`\mathbb{E}\|g\|^2 = 1`; in [0, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        The bound: `beta` itself.

    Raises
    ------
    ValueError, TypeError
        If `beta` is not in [0, 1].

    Notes
    -----
    Source: [1]_, Theorem 4. Its proof gives more: `proof_bound`.

    Examples
    --------
    >>> float(theorem4_bound(0.25))
    0.25
    """
    return _as_beta(beta)[()]


def proof_bound(beta: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Lower bound :math:`1 - \frac{\pi}{2(\pi - 1)}(1 - \beta)` that the proof of Theorem 4 gives.

    Parameters
    ----------
    beta : array_like, shape (...)
        As in `theorem4_bound`.

    Returns
    -------
    ndarray or float64, shape (...)
        The bound, at least `beta`: 1 - .7335 (1 - beta).

    Raises
    ------
    ValueError, TypeError
        If `beta` is not in [0, 1].

    Notes
    -----
    Source: [1]_, proof of Theorem 4. The constant cannot be improved: as :math:`\beta \to 1` the share of an infinitely
    wide layer attains it (``docs/theory.md``, 4.6).

    Examples
    --------
    >>> round(float(proof_bound(0.0)), 6)
    0.266529
    """
    return (1 - np.pi / (2 * (np.pi - 1)) * (1 - _as_beta(beta)))[()]


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceShare:
    """Estimated components of the variance of features, summed over their dimensions.

    Attributes
    ----------
    share : float
        `between` / `total`; an estimate, which sampling error can push below 0.
    between : float
        Unbiased estimate of Var E[h | model], due to initialisation; can be negative.
    within : float
        Unbiased estimate of E Var[h | model], due to the inputs.
    total : float
        Their sum.
    share_stderr : float
        Jackknife standard error of `share` over models: the inputs are taken as given.
    """

    share: float
    between: float
    within: float
    total: float
    share_stderr: float


def initialisation_share(features: ArrayLike) -> VarianceShare:
    r"""Estimate the share of initialisation from features of several models at common inputs.

    With :math:`x_{ij}` the feature of model i at input j, and dots over the dimensions,

    .. math:: \text{between} = \overline{x_{ij}\cdot x_{ij'}} - \overline{x_{ij}\cdot x_{i'j'}}, \qquad
              \text{within} = \overline{x_{ij}\cdot x_{ij}} - \overline{x_{ij}\cdot x_{ij'}}
              \qquad (i \ne i',\ j \ne j').

    Parameters
    ----------
    features : array_like, shape (models, inputs) or (models, inputs, dims)
        At least 3 independently initialised models and 2 independent inputs, the same for all models or not.

    Returns
    -------
    VarianceShare
        The share, its components summed over the dimensions, and the standard error of the share.

    Raises
    ------
    ValueError, TypeError
        If the shape is another, a value is not finite, or the features do not vary.

    Notes
    -----
    `between` and `within` are unbiased. In mean squares, between = (MS(models) - MS(interaction)) / inputs. The one-way
    analysis of variance, which has MS(within models) in the second place, is too low by Var E[h | input] / inputs when
    all models see the same inputs. Source: ours, ``docs/theory.md``, 4.7.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> models, inputs = rng.normal(size=(200, 1)), rng.normal(size=(1, 200))
    >>> 0.3 < initialisation_share(models + inputs).share < 0.7
    True
    """
    x = _as_features(features)
    m, n = x.shape[:2]
    x = x - x.mean(axis=(0, 1))  # changes no estimate; saves digits
    sums = x.sum(axis=1)
    flat = x.reshape(m, -1)
    gram = flat @ flat.T
    off_input = (sums @ sums.T - gram) / (n * (n - 1))  # mean of x_ij . x_i'j' over j != j'
    same, square = np.diag(off_input), np.diag(gram) / n
    cross = off_input.sum(axis=1) - same
    between, within = _components(same, cross, square, m)
    total = between + within
    if not total > 0:
        raise ValueError(f"`features` must vary over models and inputs, got a total variance of {total}.")
    rest_between, rest_within = _components_without_each(same, cross, square, m)
    shares = rest_between / (rest_between + rest_within)
    stderr = np.sqrt((m - 1) / m * np.sum((shares - shares.mean()) ** 2))
    return VarianceShare(
        share=float(between / total),
        between=float(between),
        within=float(within),
        total=float(total),
        share_stderr=float(stderr),
    )


def _as_features(features: ArrayLike) -> np.ndarray:
    x = as_array("features", features)
    if x.ndim not in (2, 3) or x.shape[0] < 3 or x.shape[1] < 2 or x.size == 0:
        raise ValueError(
            f"`features` must have shape (models >= 3, inputs >= 2) or (models, inputs, dims), got shape {x.shape}."
        )
    return x.reshape(*x.shape[:2], -1)


def _components(same: np.ndarray, cross: np.ndarray, square: np.ndarray, m: int) -> tuple[float, float]:
    """Return between and within from, for each model, the means over inputs of the products named in the text above."""
    return same.mean() - cross.sum() / (m * (m - 1)), (square - same).mean()


def _components_without_each(
    same: np.ndarray, cross: np.ndarray, square: np.ndarray, m: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the components with one model left out, for each model; `cross` holds row sums of a symmetric matrix."""
    mean_same = (same.sum() - same) / (m - 1)
    mean_cross = (cross.sum() - 2 * cross) / ((m - 1) * (m - 2))
    mean_square = (square.sum() - square) / (m - 1)
    return mean_same - mean_cross, mean_square - mean_same
