r"""What uniformity, alignment and cross-uniformity do to the gap of parallel modalities.

For rows :math:`x_i = [rh_i, \gamma]`, :math:`y_i = [rk_i, -\gamma]`, :math:`r^2 = 1-\gamma^2`, Z = h kᵀ, and a loss
:math:`L_{\mathrm{CLIP}} + w_u\tfrac12(U(x) + U(y)) + w_aA + w_cU(x, y)` (``docs/theory.md``, 24.5):

.. math:: \frac{\partial L}{\partial(\gamma^2)} = \beta g(\beta r^2)
          + w_ut\bigl(\langle1 - hh^\top\rangle + \langle1 - kk^\top\rangle\bigr)
          + 2w_a(1 + \bar z) - 2w_ct\bigl(1 + \langle Z\rangle\bigr) .

Brackets are means over distinct indices with the weights of the potentials, :math:`\bar z` is the mean of the pairs'
:math:`Z_{ii}`, t = 2. Uniformity and alignment close the gap, cross-uniformity opens it.

References
----------
.. [1] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
"""

import numpy as np
from numpy.typing import ArrayLike

from ._pairs import unit_pairs
from ._scalars import nonnegative_number, number, positive_number
from .loss_profiles import matrix_profile

__all__ = ["critical_regularisation", "regularised_gap_speed"]

_T = 2.0


def _weighted(cosines: np.ndarray, rest: float) -> float:
    """Return the mean cosine of distinct indices, weighted by their potentials at r² = `rest`."""
    logs = 2 * _T * rest * cosines
    np.fill_diagonal(logs, -np.inf)
    weights = np.exp(logs - logs.max())
    return float(np.sum(weights * cosines) / weights.sum())


def _slopes(h: np.ndarray, k: np.ndarray, beta: float, rest: float) -> tuple[float, float, float, float]:
    """Return the derivatives by γ² of the CLIP loss and of the three terms, weight 1 each."""
    cosines = h @ k.T
    within = _T * (2 - _weighted(h @ h.T, rest) - _weighted(k @ k.T, rest))
    aligned = 2 * (1 + float(np.mean(np.diag(cosines))))
    clip = beta * float(matrix_profile(cosines).force(beta * rest))
    return clip, within, aligned, -2 * _T * (1 + _weighted(cosines, rest))


def regularised_gap_speed(
    h: ArrayLike,
    k: ArrayLike,
    gamma: float,
    beta: float,
    *,
    uniformity: float = 1.0,
    alignment: float = 1.0,
    cross: float = 0.0,
) -> float:
    r"""Speed of the mean gap coordinate of parallel modalities.

    .. math:: \dot{\bar\gamma} = -2\gamma(1-\gamma^2)\,\partial L/\partial(\gamma^2)

    Parameters
    ----------
    h, k : array_like, shape (n, d)
        Features without the gap, at least two pairs; rows are normalised here.
    gamma : float
        Half the gap, in (-1, 1).
    beta : float
        Logit scale, positive.
    uniformity, alignment, cross : float
        Weights, at least 0: CUA as by default, CUAXU with cross 1.

    Returns
    -------
    float
        In the time of `conetheory.gap_flow`; exact for any rows, as 23.2 (i) is for the CLIP loss.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Corners of a simplex, α = n/(n-1): :math:`-2\gamma(1-\gamma^2)[\beta g + 4\alpha w_u + 4w_a - 4(2-\alpha)w_c]`. So
    CUA closes their gap at the rate 8(α+1) at least, whatever the temperature, and CUAXU at 8(2α-1).

    Examples
    --------
    >>> h = np.eye(2) - 0.5
    >>> round(regularised_gap_speed(h, h, 0.1, 50.0), 6)  # 2 · .1 · .99 · (8 + 4)
    -2.376
    """
    h, k = unit_pairs(h, k, minimum=2)
    gamma, beta = number("gamma", gamma), positive_number("beta", beta)
    if not -1 < gamma < 1:
        raise ValueError(f"`gamma` must lie in (-1, 1), got {gamma!r}.")
    weights = [
        nonnegative_number(name, value)
        for name, value in (("uniformity", uniformity), ("alignment", alignment), ("cross", cross))
    ]
    rest = 1 - gamma**2
    slopes = _slopes(h, k, beta, rest)
    return -2 * gamma * rest * float(np.dot([1.0, *weights], slopes))


def critical_regularisation(h: ArrayLike, k: ArrayLike, beta: float, *, cross: float = 0.0) -> float:
    r"""Least common weight w of uniformity and alignment at which no small gap of parallel modalities grows.

    .. math:: w^* = \max\Bigl(0, \frac{-\beta g(\beta) + 2w_ct(1 + \langle Z\rangle)}
              {t(\langle1-hh^\top\rangle + \langle1-kk^\top\rangle) + 2(1+\bar z)}\Bigr)

    at γ = 0. Parameters, errors and source are those of `regularised_gap_speed`.

    Returns
    -------
    float
        0 where the gap closes without them: above the pitchfork's temperature if `cross` is 0.

    Examples
    --------
    >>> h = np.eye(3) - 1 / 3
    >>> critical_regularisation(h, h, 20.0), round(critical_regularisation(h, h[[1, 0, 2]], 20.0), 6)
    (0.0, 2.5)
    """
    h, k = unit_pairs(h, k, minimum=2)
    clip, within, aligned, crossed = _slopes(h, k, positive_number("beta", beta), 1.0)
    return max(0.0, -(clip + nonnegative_number("cross", cross) * crossed) / (within + aligned))
