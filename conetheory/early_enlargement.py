r"""Early enlargement: the force on the gap of random features (Theorem 3.3 of Yaras et al.).

With rows uniform on the sphere the pairs are mismatched, :math:`-g(a) > 0` pushes the modalities apart, and for many
pairs it tends to the Bessel ratio :math:`A_d(a) = I_{d/2}(a)/I_{d/2-1}(a)`, :math:`a = \beta_0(1-\gamma_0^2)`. The
bound printed for finite n says something only when n is of the order of :math:`e^{2a}`; the limit itself is reached
when :math:`\ln n` exceeds the relative entropy `conetheory.von_mises_fisher.uniform_divergence` of d and a.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Theorem 3.3 and its proof.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar

from ._arrays import as_array, as_count, as_nonnegative, as_positive
from ._scalars import as_fraction, positive_number
from .sphere import bessel_ratio
from .von_mises_fisher import log_partition

__all__ = [
    "enlargement_bound",
    "enlargement_limit",
    "informative_count",
    "random_force",
    "speed_of_mean_distance",
]


def enlargement_limit(dim: int, gamma0: ArrayLike, beta0: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the initial speed of the gap of many random pairs.

    .. math:: 2\dot\gamma|_0 = 4\beta_0\gamma_0 A_d(\beta_0(1-\gamma_0^2))

    Parameters
    ----------
    dim : int
        Dimension d of the features without the added coordinate, at least 2.
    gamma0 : array_like, shape (...)
        Initial :math:`\gamma`, in [0, 1].
    beta0 : array_like, shape (...)
        Initial logit scale, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        Per unit of time of the flow; relative error 1e-14.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, the limit of Theorem 3.3; ``docs/theory.md``, 21.13.

    Examples
    --------
    >>> print(enlargement_limit(3, 0.5, 4.0).round(6))  # 4 · 4 · 0.5 (coth 3 - 1/3)
    5.373092
    """
    dim, gamma0, beta0 = as_count("dim", dim, minimum=2), as_nonnegative("gamma0", gamma0), as_positive("beta0", beta0)
    if not np.all(gamma0 <= 1):
        raise ValueError(f"`gamma0` must lie in [0, 1], got {float(gamma0[~(gamma0 <= 1)].flat[0])!r}.")
    return 4.0 * beta0 * gamma0 * bessel_ratio(dim, beta0 * (1.0 - gamma0) * (1.0 + gamma0))


def random_force(dim: int, a: ArrayLike, n: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the mean of :math:`-g(a)` over n pairs of independent uniform rows, to first order in 1/n.

    .. math:: A_d(a) - \frac{A_d(2a) - A_d(a)}{n}\,e^{\psi_d(2a) - 2\psi_d(a)} + O(n^{-2})

    Parameters
    ----------
    dim : int
        Dimension, at least 2.
    a : array_like, shape (...)
        Effective logit scale, at least 0.
    n : array_like, shape (...)
        Pairs, at least 2.

    Returns
    -------
    ndarray or float64, shape (...)
        Good where the correction is small: n well beyond :math:`e^{\psi_d(2a) - 2\psi_d(a)}`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The mean is :math:`\partial_a E\ln\frac1n\sum_j e^{a c_j}` over independent cosines :math:`c_j` of random
    directions, exactly: row and column lists have the same law, and the matched cosine has mean 0. Source: ours,
    ``docs/theory.md``, 21.14.

    Examples
    --------
    >>> print(random_force(512, 14.3, 1024).round(5), bessel_ratio(512, 14.3).round(5))
    0.02787 0.02791
    """
    dim, a, n = as_count("dim", dim, minimum=2), as_nonnegative("a", a), as_array("n", n)
    if not np.all(n >= 2):
        raise ValueError(f"`n` must be at least 2, got {float(n[~(n >= 2)].flat[0])!r}.")
    near, far = bessel_ratio(dim, a), bessel_ratio(dim, 2.0 * a)
    return near - (far - near) * np.exp(log_partition(dim, 2.0 * a) - 2.0 * log_partition(dim, a)) / n


def enlargement_bound(
    n: ArrayLike, dim: int, gamma0: float, beta0: float, *, failure: float = 0.05
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the lower bound of the initial speed printed in Theorem 3.3 for n random pairs.

    .. math:: 4\beta_0\gamma_0\Bigl[\frac{\xi_1 - 2e^a\epsilon}{\xi_2 + (e^a - e^{-a})\epsilon} - 2\epsilon\Bigr], \quad
              \epsilon^2 = \frac{\ln((4n+1)/\delta)}{2n}, \quad \xi_2 = {}_0F_1(;\tfrac d2;\tfrac{a^2}4), \quad
              \xi_1 = A_d(a)\,\xi_2

    Parameters
    ----------
    n : array_like, shape (...)
        Pairs, at least 2.
    dim : int
        Dimension d of the features, at least 2.
    gamma0, beta0 : float
        Initial state: in (0, 1), and positive.
    failure : float
        :math:`\delta` in (0, 1): the probability that the bound fails.

    Returns
    -------
    ndarray or float64, shape (...)
        Negative, hence empty, below `informative_count` pairs.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, Theorem 3.3, where
    :math:`\xi_1 = \Gamma(\tfrac d2)(\tfrac2a)^\rho(I_{\rho-1}(a) - \tfrac{2\rho}a I_\rho(a))`,
    :math:`\rho = \tfrac d2 - 1`: the bracket is :math:`I_{\rho+1}`. It holds for :math:`2\dot\gamma`; that it holds
    for the distance of the means does not follow (`speed_of_mean_distance`; ``docs/theory.md``, 21.13).

    Examples
    --------
    >>> print(enlargement_bound([4096, 10**18], 512, 0.3, 14.3).round(3))
    [-35.669   0.373]
    """
    n, ratio, growth, fall, failure = _bound_terms(n, dim, gamma0, beta0, failure)
    eps = np.sqrt(np.log((4.0 * n + 1.0) / failure) / (2.0 * n))
    force = (ratio - 2.0 * growth * eps) / (1.0 + (growth - fall) * eps) - 2.0 * eps
    return (4.0 * beta0 * gamma0 * force)[()]


def informative_count(dim: int, gamma0: float, beta0: float, *, failure: float = 0.05) -> float:
    r"""Return the number of pairs from which the printed bound of Theorem 3.3 is positive.

    With :math:`E = e^a/\xi_2`, :math:`e = e^{-a}/\xi_2` it needs :math:`2(E-e)\epsilon^2 + 2(E+1)\epsilon < A_d(a)`.

    Parameters
    ----------
    dim, gamma0, beta0, failure
        As for `enlargement_bound`.

    Returns
    -------
    float
        A real number of pairs; relative error 1e-10.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or the count exceeds 1e300.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.13.

    Examples
    --------
    >>> print(f"{informative_count(512, 0.01, 14.3):.2g}")
    2e+17
    """
    _, ratio, growth, fall, failure = _bound_terms(2, dim, gamma0, beta0, failure)
    eps = ratio / (growth + 1.0 + np.hypot(growth + 1.0, np.sqrt(2.0 * (growth - fall) * ratio)))

    def excess(log_n: float) -> float:  # of epsilon², in logs
        return float(np.log((np.log(4.0 + np.exp(-log_n)) + log_n - np.log(failure)) / 2.0) - log_n - 2.0 * np.log(eps))

    low, high = -1.0, np.log(1e300)
    if not excess(high) < 0:
        raise ValueError(f"`beta0` must give a count below 1e300, got {beta0!r}.")
    return float(np.exp(root_scalar(excess, bracket=(low, high), xtol=1e-12, rtol=1e-14).root))


def _bound_terms(
    n: ArrayLike, dim: int, gamma0: float, beta0: float, failure: float
) -> tuple[np.ndarray, float, float, float, float]:
    """Return n, A, e^a and e^-a over xi_2, and the failure probability."""
    counts, dim = as_array("n", n), as_count("dim", dim, minimum=2)
    if not np.all(counts >= 2):
        raise ValueError(f"`n` must be at least 2, got {float(counts[~(counts >= 2)].flat[0])!r}.")
    a = positive_number("beta0", beta0) * (1.0 - as_fraction("gamma0", gamma0) ** 2)
    log_xi2 = float(log_partition(dim, a))
    if not a - log_xi2 <= 700:
        raise ValueError(f"`beta0` must be so small that exp(a)/xi_2 is below exp(700), got {beta0!r}.")
    growth, fall = float(np.exp(a - log_xi2)), float(np.exp(-a - log_xi2))
    return counts, float(bessel_ratio(dim, a)), growth, fall, as_fraction("failure", failure)


def speed_of_mean_distance(
    gamma: ArrayLike, speed: ArrayLike, distance: ArrayLike
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Return the speed of the gap between the modality means while the features stand still.

    .. math:: \Delta^2 = 4\gamma^2 + (1-\gamma^2)D^2, \qquad \dot\Delta = \frac{\gamma\dot\gamma\,(4 - D^2)}{\Delta}

    Parameters
    ----------
    gamma : array_like, shape (...)
        In (0, 1).
    speed : array_like, shape (...)
        :math:`\dot\gamma`, of either sign.
    distance : array_like, shape (...)
        D, the distance of the means of the features without the added coordinate, in [0, 2].

    Returns
    -------
    ndarray or float64, shape (...)
        For D > 0 of smaller size than :math:`2\dot\gamma`, always; so :math:`\dot\Delta \ge 2\dot\gamma`, which the
        proof of Theorem 3.3 takes from :math:`\Delta \ge 2\gamma`, fails for every growing gap.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 21.13.

    Examples
    --------
    >>> print(speed_of_mean_distance(0.1, 1.0, [0.0, 0.1, 1.0]).round(4))
    [2.     1.7862 0.2956]
    """
    gamma, speed, distance = as_array("gamma", gamma), as_array("speed", speed), as_nonnegative("distance", distance)
    for name, array, good in (("gamma", gamma, (gamma > 0) & (gamma < 1)), ("distance", distance, distance <= 2)):
        if not np.all(good):
            allowed = "(0, 1)" if name == "gamma" else "[0, 2]"
            raise ValueError(f"`{name}` must lie in {allowed}, got {float(array[~good].flat[0])!r}.")
    gap = np.sqrt(4.0 * gamma**2 + (1.0 - gamma**2) * distance**2)
    return gamma * speed * (4.0 - distance**2) / gap
