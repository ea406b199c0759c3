r"""Mean squares of the first two derivatives of an activation under a Gaussian, and its kink at 0, from values alone.

The function is interpolated on panels that end at 0, so that its bend there lies between two of them, and the
interpolant is differentiated: spectrally accurate for what `conetheory.dual` admits, smooth but for 0. Private:
arguments are already validated.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._quadrature import _unit_legendre
from .errors import ConvergenceError

__all__ = ["DerivativeMoments", "derivative_moments"]

_ORDER = 16  # nodes a panel
_PANELS = (16, 32, 64, 128)  # on either half-line; rounding grows with the square of their number
_RADIUS = 12.0  # standard deviations
_ACCEPTED = 1e-7  # agreement of two resolutions, relative
_TARGET = 1e-11


class DerivativeMoments(NamedTuple):
    r""":math:`E\phi'^2` and :math:`E\phi''^2` away from 0 at the variance asked for; jumps of phi' and phi at 0."""

    first: float
    second: float
    kink: float
    jump: float


def _differentiation() -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that differentiates at the unit Gauss nodes, and the row that extrapolates to 0."""
    nodes, _ = _unit_legendre(_ORDER)
    steps = nodes[:, None] - nodes
    np.fill_diagonal(steps, 1.0)
    weights = 1.0 / np.prod(steps, axis=1)
    matrix = weights / weights[:, None] / steps
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    row = weights / (0.0 - nodes)
    return matrix, row / row.sum()


def _half_line(function: Callable, scale: float, sign: float, panels: int) -> tuple[float, float, float, float]:
    """Return the two mean squares over one half-line, and derivative and value at its end 0."""
    nodes, weights = _unit_legendre(_ORDER)
    matrix, ends = _differentiation()
    width = _RADIUS / panels
    z = width * (np.arange(panels)[:, None] + nodes)
    values = function(sign * scale * z)
    first = values @ matrix.T / (sign * scale * width)
    second = first @ matrix.T / (sign * scale * width)
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) * (weights * width)
    return float(np.sum(density * first**2)), float(np.sum(density * second**2)), first[0] @ ends, values[0] @ ends


def derivative_moments(function: Callable, var: float, what: str) -> DerivativeMoments:
    """Return the moments of `function` at the variance `var`, to about 1e-10 relative; `what` names it in errors."""
    scale, found, error = float(np.sqrt(var)), None, np.inf
    for panels in _PANELS:
        (a, b, slope_up, up), (c, d, slope_down, down) = (_half_line(function, scale, s, panels) for s in (1.0, -1.0))
        now = DerivativeMoments(a + c, b + d, float(slope_up - slope_down), float(up - down))
        if found is not None:
            change = max(
                abs(now.first - found.first) / max(now.first, 1e-300),
                abs(now.second - found.second) / max(now.second, now.first / var),
            )
            if change > error and error <= _ACCEPTED:  # rounding has taken over
                return found
            error = change
            if error <= _TARGET:
                return now
        found = now
    if found is not None and error <= _ACCEPTED:
        return found
    raise ConvergenceError(
        f"The derivatives of {what} are known to {error:.1e} only: it bends or jumps away from 0, or varies too fast.",
        value=found.first if found is not None else np.nan,
        error=float(error),
    )
