r"""How much of the variance of a random network's features is due to its initialisation (Theorem 2).

With parameters :math:`\Theta` and an input U, independent,
:math:`\mathrm{Var}\,h = \mathbb{E}\,\mathrm{Var}[h \mid \Theta] + \mathrm{Var}\,\mathbb{E}[h \mid \Theta]`; the share
of initialisation is the second term over the sum. Here is the setting of the theorem;
any activation is in `conetheory.mlp_shares`, estimates from features in `conetheory.variance_components`.

References
----------
.. [1] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053,
   Theorems 2 and 4.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_count, as_nonnegative, as_positive
from conetheory.meanfield import cone_curve
from conetheory.variance_components import VarianceShare, initialisation_share

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
