r"""Phase diagrams of mismatch: the critical scale against the fraction mismatched, and against the spacing of points.

For many pairs with uniform marginal laws on :math:`S^{d-1}` and mean matched cosine m, the critical scale of
`conetheory.mismatch` tends to :math:`A_d^{-1}(m)`, :math:`A_d` the ratio of Bessel functions: the concentration of the
von Mises-Fisher law whose mean cosine is m. The contrastive loss is then the negative log-likelihood of a text given
its image under that law, and the critical temperature is what the noise of the pairs deserves. If a fraction f of
equal pairs is shuffled, m = 1 - f.

References
----------
.. [1] Ours: ``docs/theory.md``, 6.16 to 6.18.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ._arrays import as_array, as_count, as_positive
from .errors import ConvergenceError
from .mismatch import circle_points, critical_scale
from .von_mises_fisher import concentration, log_partition, moments

_FEW = 1e-5  # below it two terms of the expansion in the fraction are right to 3e-11, in any dimension

__all__ = ["ShuffledScale", "arc_critical_scales", "neighbour_swaps", "shuffled_critical_scale", "shuffled_scale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffledScale:
    """Law of the critical scale of n uniform points.

    Attributes
    ----------
    limit : float
        The critical scale of infinitely many pairs.
    mean : float
        Mean at this n.
    deviation : float
        Standard deviation at this n; the law is normal for many pairs.
    """

    limit: float
    mean: float
    deviation: float


def shuffled_critical_scale(dim: int, fraction: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Critical scale of infinitely many uniform points of which a fraction f is shuffled: the root of A_d(k) = 1 - f.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the space.
    fraction : array_like, shape (...)
        Fraction f of pairs whose texts are permuted among each other, in [0, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, inf]: inf at f = 0 (no repulsion), 0 at f = 1 (repulsion at every temperature). About
        :math:`d(1-f)` near 1 and :math:`(d-1)/(2f)` near 0.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 6.16. The same holds for any mean matched cosine m = 1 - f.

    Examples
    --------
    >>> print(shuffled_critical_scale(3, [0.0, 0.02, 0.5, 1.0]).round(6))
    [      inf 50.        1.796756  0.      ]
    """
    dim, fraction = as_count("dim", dim, minimum=2), as_array("fraction", fraction)
    good = (fraction >= 0) & (fraction <= 1)
    if not np.all(good):
        raise ValueError(f"`fraction` must lie in [0, 1], got {float(fraction[~good].flat[0])!r}.")
    few = fraction < _FEW  # 1 - f would lose the digits of f: the large scales' own law
    scales = concentration(dim, 1.0 - np.where(few, 1.0, fraction))
    with np.errstate(divide="ignore", over="ignore"):  # inf at 0
        return np.where(few, (dim - 1) / (2 * fraction) - (dim - 3) / 4, scales)[()]


def shuffled_scale(dim: int, n_shuffled: int, n: int) -> ShuffledScale:
    r"""Critical scale of n independent uniform points, some of whose texts are deranged at random.

    The matched cosine has the mean :math:`m = 1 - f` and the variance :math:`f/(nd)`; the critical scale is a function
    of it alone up to O(1/n), :math:`F_n'(\kappa^*) = m`, with :math:`\psi = \psi_d` and

    .. math:: F_n(\kappa) \approx \psi + \ln(1 + \omega) - \frac{n-1}{2n^2}\frac r{(1+\omega)^2}, \qquad
              \omega = \frac{e^{\kappa-\psi(\kappa)} - 1}n, \qquad r = e^{\psi(2\kappa)-2\psi(\kappa)} - 1,

    the own pair's share of the softmax sum, and its variance over the others' places. In many dimensions the own pair
    decides long before the limit does.

    Parameters
    ----------
    dim : int
        Dimension :math:`d \ge 2` of the space.
    n_shuffled, n : int
        Pairs whose texts are permuted without a fixed point, in 2..n - 1, and all pairs.

    Returns
    -------
    ShuffledScale
        Mean and deviation from :math:`m` one deviation either side. Measured: mean within 1 % for f between .25 and
        .75 and d from 3 to 32 from n = 48 on; for f = .125, or d = 2, from n = 128 on.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 6.17 (the normal law, a theorem) and 6.18 (its centre at finite n, formal).

    Examples
    --------
    >>> found = shuffled_scale(32, 64, 128)
    >>> print(round(found.limit, 4), round(found.mean, 4), round(found.deviation, 4))
    21.0716 4.8549 0.0571
    """
    dim, n = as_count("dim", dim, minimum=2), as_count("n", n, minimum=3)
    shuffled = as_count("n_shuffled", n_shuffled, minimum=2)
    if not shuffled < n:
        raise ValueError(f"`n_shuffled` must be below `n` = {n}, got {shuffled}.")
    fraction = shuffled / n
    limit, spread = float(concentration(dim, 1.0 - fraction)), float(np.sqrt(fraction / (n * dim)))
    low, high = (_finite_scale(dim, n, 1.0 - fraction + sign * spread) for sign in (-1, 1))
    return ShuffledScale(limit=limit, mean=(low + high) / 2, deviation=(high - low) / 2)


def _finite_scale(dim: int, n: int, matched: float) -> float:
    """Return the least scale at which F_n' reaches the mean matched cosine; 0 where it lies above from the start."""
    if matched <= 1 / n:  # F_n'(0): the mean of all cosines
        return 0.0

    grid = np.geomspace(1e-2, 2.0, 80) * float(concentration(dim, matched))
    above = np.flatnonzero(_finite_slope(dim, n, grid) > matched)
    if not above.size:
        raise ConvergenceError("The critical scale was not bracketed.", value=float(grid[-1]), error=np.inf)
    low, high = float(grid[above[0] - 1]) if above[0] else 0.0, float(grid[above[0]])
    root = brentq(lambda scale: float(_finite_slope(dim, n, scale)) - matched, low, high, xtol=1e-12 * high)
    return float(root)  # pyright: ignore[reportArgumentType]


def _finite_slope(dim: int, n: int, scale: ArrayLike) -> np.ndarray:
    """Return F_n' of `shuffled_scale`."""
    scale = np.asarray(scale)
    once, twice = moments(dim, scale), moments(dim, 2 * scale)
    partition = log_partition(dim, scale)
    log_own = scale - partition - np.log(n)
    log_share = np.logaddexp(np.log1p(-1 / n), log_own)  # of 1 + omega; in logarithms, as d may be large
    own_slope = once.deficit * np.exp(log_own - log_share)
    reach = np.exp(log_partition(dim, 2 * scale) - 2 * (partition + log_share))
    spread = 2 * (twice.resultant - once.resultant) * reach - 2 * (reach - np.exp(-2 * log_share)) * own_slope
    return np.asarray(once.resultant + own_slope - (n - 1) / (2 * n**2) * spread)


def neighbour_swaps(n: int, swaps: int) -> Int[np.ndarray, " n"]:
    """Pairing of n pairs in which 0 and 1, 2 and 3, ... have exchanged their texts.

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    swaps : int
        Exchanges, in 0..n // 2; the fraction mismatched is ``2 * swaps / n``.

    Returns
    -------
    ndarray of int, shape (n,)
        A pairing for `conetheory.mismatch`.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Examples
    --------
    >>> neighbour_swaps(6, 2)
    array([1, 0, 3, 2, 4, 5])
    """
    n, swaps = as_count("n", n, minimum=2), as_count("swaps", swaps, minimum=0)
    if swaps > n // 2:
        raise ValueError(f"`swaps` must be at most n // 2 = {n // 2}, got {swaps}.")
    pairing = np.arange(n)
    pairing[: 2 * swaps] ^= 1
    return pairing


def arc_critical_scales(n: int, spacing_deg: ArrayLike, swaps: ArrayLike) -> Float[np.ndarray, "spacings swaps"]:
    r"""Critical scales of n equally spaced points of an arc, over spacings and numbers of swapped neighbours.

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    spacing_deg : array_like, shape (spacings,)
        Angles between neighbours, in (0, 360 / n] degrees: the points then keep their order.
    swaps : array_like of int, shape (swaps,)
        Exchanges of neighbours (`neighbour_swaps`), each in 0..n // 2.

    Returns
    -------
    ndarray, shape (spacings, swaps)
        inf without a swap. By ``docs/theory.md``, 6.2, only the number of swaps matters, not which neighbours: the
        mean matched cosine is :math:`1 - (2k/n)(1 - \cos\Delta\varphi)`.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Examples
    --------
    >>> print(arc_critical_scales(6, [15, 20], [0, 1, 3]).round(4))
    [[    inf 37.4293 12.0291]
     [    inf 21.2158  6.899 ]]
    """
    spacings, counts = np.atleast_1d(as_positive("spacing_deg", spacing_deg)), np.atleast_1d(np.asarray(swaps))
    if spacings.ndim != 1 or counts.ndim != 1:
        raise ValueError(f"`spacing_deg` and `swaps` must be one-dimensional, got {spacings.shape}, {counts.shape}.")
    pairings = [neighbour_swaps(n, count) for count in counts.tolist()]
    if not np.all(spacings <= 360 / n * (1 + 1e-12)):
        raise ValueError(f"`spacing_deg` must lie in (0, {360 / n}], got {spacings.max()}.")
    points = [circle_points(n, float(spacing)) for spacing in spacings]
    return np.array([[critical_scale(rows, rows, pairing).scale for pairing in pairings] for rows in points])
