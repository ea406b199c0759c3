r"""Swapped modalities: what exchanging entries or rows does to the cosines of any pairs, and to the gap of a simplex.

With half sums :math:`m_i = (x_i + y_i)/2`, half differences :math:`\delta_i = (x_i - y_i)/2` and random factors
:math:`\sigma` in [-1, 1] of mean 0, one an entry or one a row, a swap is

.. math:: x_i' = m_i + \sigma_i\circ\delta_i, \qquad y_i' = m_i - \sigma_i\circ\delta_i .

Hard and row swaps have :math:`\sigma = \pm1`, the soft one is uniform: :math:`\kappa = \mathbb{E}\sigma^2` is 1 or 1/3.
The mean logits of negatives then hold no gap at all, and a pair's own logit falls with its distance
(``docs/theory.md``, 24.2):

.. math:: \mathbb{E}\,x_i'\cdot y_j' = m_i\cdot m_j \ (i \ne j), \qquad
          \mathbb{E}\,x_i'\cdot y_i' = |m_i|^2 - \kappa|\delta_i|^2 .

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Sec. 4.2.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import expit

from ._arrays import as_choice, as_count
from ._pairs import unit_pairs
from ._scalars import number, positive_number

__all__ = ["KINDS", "swapped_cosine_mean", "swapped_cosine_variance", "swapped_gap_speed", "swapped_loss"]

KINDS = ("hard", "soft", "row")
_SPREAD = {"hard": 1.0, "soft": 1.0 / 3.0, "row": 1.0}  # mean of σ²


def _halves(x: ArrayLike, y: ArrayLike, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return half sums and half differences of the unit rows, squares of which are all that is needed."""
    as_choice("kind", kind, KINDS)
    x, y = unit_pairs(x, y)
    return (x + y) / 2, (x - y) / 2


def swapped_cosine_mean(x: ArrayLike, y: ArrayLike, *, kind: str = "hard") -> Float[np.ndarray, "n n"]:
    r"""Mean of :math:`x_i'\cdot y_j'` over the swaps.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here.
    kind : {"hard", "soft", "row"}
        What is exchanged: entries, parts of entries, rows.

    Returns
    -------
    ndarray, shape (n, n)
        Pairs on the diagonal; for hard and row swaps their own cosines, which no such swap changes.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 24.2.

    Examples
    --------
    >>> swapped_cosine_mean([[0.6, 0.8], [0.6, -0.8]], [[-0.6, 0.8], [-0.6, -0.8]]).round(12).tolist()
    [[0.28, -0.64], [-0.64, 0.28]]
    """
    half, apart = _halves(x, y, kind)
    mean = half @ half.T
    np.fill_diagonal(mean, np.sum(half**2 - _SPREAD[kind] * apart**2, axis=1))
    return mean


def swapped_cosine_variance(x: ArrayLike, y: ArrayLike, *, kind: str = "hard") -> Float[np.ndarray, "n n"]:
    r"""Variance of :math:`x_i'\cdot y_j'` over the swaps.

    .. math:: \kappa^2\sum_k\delta_{ik}^2\delta_{jk}^2 + \kappa\sum_k\bigl(\delta_{ik}^2m_{jk}^2
              + m_{ik}^2\delta_{jk}^2\bigr), \quad\text{rows: }
              (\delta_i\cdot\delta_j)^2 + (\delta_i\cdot m_j)^2 + (m_i\cdot\delta_j)^2

    for :math:`i \ne j`; on the diagonal 0, for the soft swap :math:`\tfrac4{45}\sum_k\delta_{ik}^4`. Parameters and
    errors are those of `swapped_cosine_mean`.

    Returns
    -------
    ndarray, shape (n, n)
        A gap spread over all d entries contributes :math:`O(1/d)` where entries are swapped, and
        :math:`\gamma^4` where rows are.

    Examples
    --------
    >>> x, y = [[0.6, 0.8, 0, 0], [0.6, -0.8, 0, 0]], [[-0.6, 0.8, 0, 0], [-0.6, -0.8, 0, 0]]
    >>> swapped_cosine_variance(x, y, kind="row").round(6).tolist()
    [[0.0, 0.1296], [0.1296, 0.0]]
    """
    half, apart = _halves(x, y, kind)
    if kind == "row":
        cross = (apart @ half.T) ** 2
        found = (apart @ apart.T) ** 2 + cross + cross.T
        np.fill_diagonal(found, 0.0)
        return found
    spread = _SPREAD[kind]
    cross = apart**2 @ (half**2).T
    found = spread**2 * (apart**2 @ (apart**2).T) + spread * (cross + cross.T)
    np.fill_diagonal(found, 4 / 45 * np.sum(apart**4, axis=1) if kind == "soft" else 0.0)
    return found


def _arguments(gamma: float, beta: float, n: int, kind: str) -> tuple[float, float, int]:
    gamma, beta, n = number("gamma", gamma), positive_number("beta", beta), as_count("n", n, minimum=2)
    if not -1 < gamma < 1:
        raise ValueError(f"`gamma` must lie in (-1, 1), got {gamma!r}.")
    as_choice("kind", kind, ("none", *KINDS))
    return gamma, beta, n


def _levels(gamma: float, beta: float, n: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return chances, log sums of the negatives over the positive, and derivatives of these by γ²."""
    margin = n / (n - 1)
    if kind != "row":
        extra = {"none": 0.0, "hard": 1.0, "soft": 1.0 / 3.0}[kind]
        lead = margin - (margin + extra) * gamma**2
        return np.ones(1), np.array([np.log(n - 1) - beta * lead]), np.array([beta * (margin + extra)])
    from scipy.stats import binom  # slow to load, and only this kind needs it

    turned = np.arange(n)
    within = 2 * beta * gamma**2
    with np.errstate(divide="ignore"):
        same, other = np.log(n - 1.0 - turned), np.log(turned) + within
    log_sum = np.logaddexp(same, other)
    share = np.exp(other - log_sum)
    slope = beta * margin + 2 * beta * share
    return binom.pmf(turned, n - 1, 0.5), log_sum - beta * margin * (1 - gamma**2), slope


def swapped_loss(gamma: float, beta: float, n: int, *, kind: str = "hard") -> float:
    r"""Loss of two parallel simplices of n pairs with swapped modalities, averaged over the swaps.

    .. math:: l = \ln\bigl(1 + (n-1)e^{-\beta[\alpha - (\alpha + \kappa)\gamma^2]}\bigr), \quad
              l_{\mathrm{row}} = \mathbb{E}_K\ln\bigl(1 + (n-1-K+Ke^{2\beta\gamma^2})e^{-\beta\alpha(1-\gamma^2)}\bigr)

    with :math:`\alpha = n/(n-1)`, :math:`\kappa = 1` (hard), 1/3 (soft), 0 (none) and K binomial (n - 1, 1/2).

    Parameters
    ----------
    gamma : float
        Half the gap, in (-1, 1); rows are :math:`\sqrt{1-\gamma^2}\,h_i \pm \gamma e` with simplex corners h.
    beta : float
        Logit scale, positive.
    n : int
        Pairs, at least 2.
    kind : {"hard", "soft", "row", "none"}
        What is exchanged. Row swaps: exact. Entries: the limit of many dimensions, where all rows and the gap are
        spread over all entries; the logits' variance :math:`\beta^2O(\gamma^2/d)` is what is left out.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    A hard swap along one entry alone, the gap's, is a row swap. Source: ours, ``docs/theory.md``, 24.3.

    Examples
    --------
    >>> [round(swapped_loss(0.5, 10.0, 8, kind=kind), 4) for kind in ("none", "soft", "hard", "row")]
    [0.0013, 0.003, 0.016, 0.0939]
    """
    chance, log_ratio, _ = _levels(*_arguments(gamma, beta, n, kind), kind)
    return float(chance @ np.logaddexp(0.0, log_ratio))


def swapped_gap_speed(gamma: float, beta: float, n: int, *, kind: str = "hard", fraction: float = 1.0) -> float:
    r"""Mean speed of the gap coordinate when a fraction p of the steps swaps.

    .. math:: \dot\gamma = -(1-\gamma^2)\,\partial_\gamma\bar l, \qquad
              \bar l = (1-p)\,l_{\mathrm{none}} + p\,l_{\mathrm{swapped}}

    Parameters
    ----------
    gamma, beta, n, kind
        As in `swapped_loss`.
    fraction : float
        p in [0, 1].

    Returns
    -------
    float
        In the time of `conetheory.gap_flow`, with the mobility :math:`1 - \gamma^2` of the sphere. For matched pairs
        at a large scale a swapped step is :math:`\tfrac{\alpha+\kappa}\alpha e^{\kappa\beta\gamma^2}` times as strong.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 24.3.

    Examples
    --------
    >>> plain = swapped_gap_speed(0.3, 30.0, 16, kind="none")
    >>> round(swapped_gap_speed(0.3, 30.0, 16, kind="hard") / plain, 3)
    28.829
    """
    gamma, beta, n = _arguments(gamma, beta, n, kind)
    fraction = number("fraction", fraction)
    if not 0 <= fraction <= 1:
        raise ValueError(f"`fraction` must lie in [0, 1], got {fraction!r}.")
    speed = 0.0
    for weight, name in ((1 - fraction, "none"), (fraction, kind)):
        chance, log_ratio, slope = _levels(gamma, beta, n, name)
        falls = chance @ (slope * expit(log_ratio))
        speed -= weight * 2 * gamma * (1 - gamma**2) * float(falls)
    return speed
