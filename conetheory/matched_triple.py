r"""Three perfectly matched pairs that repel: mismatch is not needed for a gap to lower the contrastive loss.

Images and texts at the angles :math:`-\delta, 0, \delta` of a circle, each text on its image. All texts are rotated
towards one extra dimension by t, about the axis on which the middle pair has no component (a lift along the middle
pair, `conetheory.displacement_forms`). The middle pair is a hub, nearest to both others; the lift takes
:math:`(1 - \cos t)\,a_ia_j` off every cosine, :math:`a = (\cos\delta, 1, \cos\delta)`, and so most off the hub.

References
----------
.. [1] Ours: ``docs/theory.md``, 6.14.
"""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from ._arrays import as_positive
from ._scalars import number

__all__ = ["repulsion_window", "triple_curvature"]

_LEAST = 1e-100  # degrees: the square of a smaller angle may underflow


def triple_curvature(spacing_deg: float, scale: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Second derivative of the symmetric loss by the angle of the lift, at zero gap.

    .. math:: \ddot L = -\frac{2s\,(1 - c)\,u}{3(1 + u + w)(1 + 2u)}\,\bigl[(2c - 1)u - w - (1 - c)\bigr], \qquad
              c = \cos\delta,\quad u = e^{-s(1-c)},\quad w = e^{-2s(1-c)(1+c)}

    Parameters
    ----------
    spacing_deg : float
        Angle delta between neighbours, in [1e-100, 90) degrees.
    scale : array_like, shape (...)
        Inverse temperature s, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        Nats; negative where the matched pairs repel.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range.

    Examples
    --------
    >>> print(triple_curvature(20.0, [1.0, 20.0, 50.0]).round(6))
    [ 0.000114 -0.02228   0.001472]
    """
    rest, s = _deficit(spacing_deg), as_positive("scale", scale)
    near = s * rest
    u, w = np.exp(-near), np.exp(-2 * near * (2 - rest))
    return (-2 * near * u * _margin(near, rest) / (3 * (1 + u + w) * (1 + 2 * u)))[()]


def repulsion_window(spacing_deg: float) -> tuple[float, float] | None:
    r"""Scales between which three perfectly matched pairs are repelled.

    Parameters
    ----------
    spacing_deg : float
        Angle delta between neighbours, in [1e-100, 90) degrees.

    Returns
    -------
    tuple of float, or None
        Lower and upper end, to 1e-12 relative; None where the pairs repel at no temperature, which is so from about
        37.66 degrees on. As delta falls the ends approach 1 and :math:`(2/\delta^2)\ln(2/\delta^2)`:
        closely spaced pairs are repelled at every temperature below 1 in the limit.

    Raises
    ------
    ValueError, TypeError
        `spacing_deg` is out of range.

    Examples
    --------
    >>> print([round(end, 6) for end in repulsion_window(20.0)], repulsion_window(40.0))
    [1.180691, 44.426753] None
    """
    rest = _deficit(spacing_deg)
    search = minimize_scalar(lambda x: -_margin(x, rest), bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-12})
    best = float(search.x)  # pyright: ignore[reportAttributeAccessIssue]
    if _margin(best, rest) <= 0:
        return None
    high = float(np.log((1 - 2 * rest) / rest)) + 1e-3  # beyond it the first term alone is below the last
    return _root(rest, rest / 2, best) / rest, _root(rest, best, high) / rest


def _root(rest: float, low: float, high: float) -> float:
    """Return the root of `_margin` between two numbers, in its logarithm: the lower may be far below the upper."""
    ends = math.log(low), math.log(high)
    root = brentq(lambda log_near: float(_margin(np.exp(log_near), rest)), *ends, xtol=1e-13)
    return math.exp(root)  # pyright: ignore[reportArgumentType]


def _margin(near: ArrayLike, rest: float) -> np.ndarray | np.float64:
    """Return (2c - 1)u - w - (1 - c) at s(1 - c) = `near`, 1 - c = `rest`: positive where the pairs repel."""
    near = np.asarray(near)
    return np.exp(-near) * (-np.expm1(-near * (3 - 2 * rest)) - 2 * rest) - rest


def _deficit(spacing_deg: float) -> float:
    """Return 1 - cos of the spacing, without cancellation."""
    value = number("spacing_deg", spacing_deg)
    if not _LEAST <= value < 90:
        raise ValueError(f"`spacing_deg` must lie in [{_LEAST:g}, 90), got {value!r}.")
    return 2 * float(np.sin(np.deg2rad(value) / 2)) ** 2
