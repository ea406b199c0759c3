r"""Probability of failure of Theorem 1 by inverting a Laplace transform: exact up to quadrature. Private.

With :math:`A, B, C` the sums of :math:`\phi\phi', \phi^2, \phi'^2` over the units, failure is
:math:`A \le c_0\sqrt{BC}`; :math:`A = 0` has probability :math:`((\pi+\theta)/(2\pi))^d`. Let :math:`2G_\eta =
e^{-\eta}B + e^\eta C`, :math:`X_\eta = A - c_0G_\eta` and :math:`Y_\eta = e^{-\eta}B - e^\eta C`, which vanishes at
:math:`\eta = \tfrac12\ln(B/C)` alone, with slope :math:`-2G_\eta`:

.. math:: P(\text{failure}, A > 0)
          = \int d\eta\,E\bigl[2G_\eta\,\delta(Y_\eta)\,1\{X_\eta \le 0 < A\}\bigr]
          = \frac{2}{(2\pi i)^2}\int d\eta\iint\frac{dt\,ds}{t}\,E\bigl[G_\eta e^{-tX_\eta - sY_\eta}1\{A > 0\}\bigr],

:math:`\operatorname{Re} t > 0`; the expectation is a difference of two products :math:`d\,m^{d-1}g`, where
:math:`m = E e^{-tX-sY}` and :math:`g = E\,G e^{-tX-sY}` of one unit are closed forms (`docs/theory.md`, 12.7). Layers
with one or two active units are left out, theirs is what decays slowest: those of one do not fail, those of two are
integrated directly in `_active_pairs`.
"""

import math
from typing import NamedTuple

import numpy as np

from ._active_pairs import pair_failure
from ._relu_tilt import log_mgf, tilt_range, tilted_moments

__all__ = ["Grid", "Transform", "inverted", "unit_transform"]


class Grid(NamedTuple):
    """Steps and reach of the trapezoidal rules, in the variables in which the integrand decays exponentially."""

    step_t: float
    step_s: float
    step_eta: float
    reach: float  # arsinh of how far the integrals over t and s go, in standard deviations
    reach_eta: float  # and that over eta
    ridge: float  # width of the ridges s = +-c0 t/2, in the same unit


# fine; coarse; coarse, and shorter: the last two show the error of the steps and that of the reach
_WIDE = (
    Grid(0.25, 0.28, 0.25, 3.5, 2.6, 1.0),
    Grid(0.33, 0.38, 0.33, 3.5, 2.6, 1.0),
    Grid(0.33, 0.38, 0.33, 3.1, 2.3, 1.0),
)
_NARROW = (
    Grid(0.2, 0.2, 0.25, 7.5, 3.6, 0.3),
    Grid(0.3, 0.3, 0.35, 7.5, 3.6, 0.3),
    Grid(0.3, 0.3, 0.35, 6.5, 3.2, 0.3),
)
_WIDE_FROM = 48  # units
_ROUNDING = 1e-14
_SAFETY = 2.0  # the tail beyond the reach falls by 2.4 or more per unit of it
_FURTHEST_ETA = 4.5  # beyond it the integrals over t and s do not converge
_CUT = 0.02  # times d^-3/2: relative error of leaving that out in narrow layers, from sampling (docs/theory.md, 12.7)
_SPAN, _TABLE_STEP, _NEWTON_STEPS = 12.0, 0.25, 3  # of the inversion of a sum of three arsinh


class Transform(NamedTuple):
    """E e^{-tX - sY} and E G e^{-tX - sY} of a unit that both inputs activate, and of a unit that they do not both."""

    both: np.ndarray
    both_g: np.ndarray
    rest: np.ndarray
    rest_g: np.ndarray


def _log(z):
    """Complex logarithm, a few times as fast as NumPy's: right to rounding in absolute terms, as sums need it."""
    return 0.5 * np.log(np.real(z) ** 2 + np.imag(z) ** 2) + 1j * np.angle(z)


def _reciprocal_quadratic(a, b, c):
    r""":math:`\int_{-1}^1 dy/q` and :math:`\int y^k dy/q^2`, k = 0, 1, 2, for :math:`q = ay^2 + 2by + c`."""
    discriminant = b * b - a * c
    root = np.sqrt(discriminant + 0j)
    root = np.where((np.conj(b) * root).real >= 0, root, -root)
    far = -(b + root)  # the sum without cancellation: the zeros of q are far/a and c/far
    logs = [_log(1.0 - zero) - _log(-1.0 - zero) for zero in (far / a, c / far)]
    value = (logs[1] - logs[0]) / (2.0 * root)
    right, left, scale = a + 2.0 * b + c, a - 2.0 * b + c, -2.0 * discriminant
    mixed = 2.0 * b * b - a * c
    zeroth = ((a + b) / right + (a - b) / left + a * value) / scale
    first = (-(b + c) / right + (c - b) / left - b * value) / scale
    second = ((mixed + b * c) / right + (mixed - b * c) / left) / (a * scale) + c / scale * value
    return value, (zeroth, first, second)


def _one_active(z, theta):
    r"""Integrals of :math:`1/D` and :math:`\sin^2\delta/D^2` over :math:`(0, \theta)`, :math:`D = 1+z\sin^2\delta`."""
    root, tangent = np.sqrt(1.0 + z + 0j), math.tan(theta)
    value = np.arctan(root * tangent) / root
    return value, (value - tangent / (1.0 + (1.0 + z) * tangent**2)) / (2.0 * (1.0 + z))


def unit_transform(t: np.ndarray, s: np.ndarray, eta: np.ndarray, cosine: float, theta: float) -> Transform:
    r"""Transform of one unit at complex `t`, `s` and real `eta`, broadcast, :math:`\theta < \pi/2`."""
    cos_half, sin_half = math.cos(0.5 * theta), math.sin(0.5 * theta)
    cosh, sinh, swap = np.cosh(eta), np.sinh(eta), cos_half * sin_half
    gap = (1.0 - cosine) - 2.0 * cosine * np.sinh(0.5 * eta) ** 2  # 1 - c0 cosh(eta)
    top = 1.0 + 2.0 * cos_half**2 * (t * gap - 2.0 * s * sinh)
    bottom = 1.0 - 2.0 * sin_half**2 * (t * (1.0 + cosine * cosh) + 2.0 * s * sinh)
    skew = 2.0 * swap * (t * cosine * sinh + 2.0 * s * cosh)
    value, (zeroth, first, second) = _reciprocal_quadratic(bottom * cos_half**2, skew * swap, top * sin_half**2)
    full = 2.0 * np.pi
    both = swap * value / full
    both_g = 2.0 * swap**3 * (cosh * (second + zeroth) - 2.0 * sinh * first) / full
    none = (np.pi - theta) / full
    up, down = np.exp(-eta), np.exp(eta)
    u, u_g = _one_active(up * (2.0 * s - cosine * t), theta)
    v, v_g = _one_active(down * (-2.0 * s - cosine * t), theta)
    return Transform(both, both_g, (u + v) / full + none, (up * u_g + down * v_g) / full)


def _ridged_nodes(shift: np.ndarray, spread: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights dense around 0 and :math:`\pm a`, a = `shift`: uniform in
    :math:`\operatorname{arsinh} y + \operatorname{arsinh}((y-a)/(wf)) + \operatorname{arsinh}((y+a)f/w)`, f = `spread`.
    """
    right, left = grid.ridge * spread, grid.ridge / spread

    def position(y: np.ndarray) -> np.ndarray:
        return np.arcsinh(y) + np.arcsinh((y - shift) / right) + np.arcsinh((y + shift) / left)

    def slope(y: np.ndarray) -> np.ndarray:
        widths = ((1.0, y), (right, y - shift), (left, y + shift))
        return np.add.reduce([1 / np.sqrt(width * width + distance * distance) for width, distance in widths])

    far = math.sinh(grid.reach)
    last = np.max(np.abs(position(np.multiply.outer([-far, far], np.ones_like(shift * spread)))))
    x = np.arange(0.5 * grid.step_s, last, grid.step_s)
    x = np.concatenate([-x[::-1], x])
    y = np.sinh(np.arange(-_SPAN, _SPAN, _TABLE_STEP))  # no term grows by more than a step between nodes of the table
    table = np.concatenate(np.broadcast_arrays(y, shift + right * y, left * y - shift), axis=2)
    table.sort(axis=2)
    rows = zip(position(table).reshape(-1, table.shape[2]), table.reshape(-1, table.shape[2]), strict=True)
    y = np.array([np.interp(x, *row) for row in rows]).reshape(*table.shape[:2], -1)
    for _ in range(_NEWTON_STEPS):
        y += (x - position(y)) / slope(y)
    return y, grid.step_s / slope(y)


def _integral(cosine: float, theta: float, width: int, contour: float, offset: float, grid: Grid) -> float:
    """P(failure, A > 0, three active units or more) e^{(d-1) offset}, with Re t = `contour` > 0 throughout.

    Re s makes the coefficients of B and C equal, so that the transform exists for every eta wherever it does at 0.
    """
    law = tilted_moments(contour, cosine, theta)
    scale_t, scale_s = 1.0 / math.sqrt(law.variance * width), 1.0 / math.sqrt(law.spread * width)
    v = np.arange(0.5 * grid.step_t, grid.reach, grid.step_t)
    imaginary = (scale_t * np.sinh(v))[:, None]
    scale_eta = 0.5 / (scale_s * width * law.square)
    x = np.arange(0.0, min(grid.reach_eta, math.asinh(_FURTHEST_ETA / scale_eta)), grid.step_eta)
    eta = (scale_eta * np.sinh(x))[:, None, None]
    d_eta = scale_eta * grid.step_eta * np.cosh(x) * np.where(x > 0, 2.0, 1.0)  # even in eta (and s)
    spread = np.exp(eta) if grid.ridge < 1.0 else np.ones((1, 1, 1))
    y, ds = _ridged_nodes(0.5 * cosine * imaginary / scale_s, spread, grid)
    s_imaginary, ds = scale_s * y, scale_s * ds
    t = contour + 1j * imaginary
    transform = unit_transform(t, 1j * s_imaginary - 0.5 * cosine * contour * np.tanh(eta), eta, cosine, theta)

    def power(m: np.ndarray | float) -> np.ndarray | np.complex128:
        return np.exp((width - 1) * (_log(m) + offset))

    none = (np.pi - theta) / (2.0 * np.pi)
    full, full_g = transform.both + transform.rest, transform.both_g + transform.rest_g
    pairs = (full - none) * full_g - (transform.rest - none) * transform.rest_g
    few = power(none) * (transform.both_g + (width - 1) / none * pairs)
    total = power(full) * full_g - power(transform.rest) * transform.rest_g - few
    plane = (total * (ds / t)).real.sum(axis=2) @ (scale_t * np.cosh(v) * grid.step_t)
    return float(plane @ d_eta) * 4.0 * width / (2.0 * np.pi) ** 2  # twice: t and its conjugate


def inverted(cosine: float, theta: float, width: int, dominating: float) -> tuple[float, float, float]:
    r"""P(failure, A > 0) and its estimated absolute error, both times :math:`e^{-\ell}`, and :math:`\ell`.

    :math:`0 < c_0 < 1`, :math:`0 < \theta < \pi/2`, :math:`d \ge 2`. The real part of t is the dominating
    tilt, if that is not negative or nearer to the pole at 0 than 3/2 standard deviations. The error is twice the
    difference that the steps make plus that of the reach, and a measured allowance for the cut of the integral over
    eta.
    """
    spread = math.sqrt(width * tilted_moments(0.0, cosine, theta).variance)
    contour = max(dominating, min(1.5 / spread, 0.5 * float(tilt_range(cosine, theta)[1])))
    offset = -float(log_mgf(contour, cosine, theta))
    fine, coarse, short = (
        _integral(cosine, theta, width, contour, offset, grid) for grid in (_WIDE if width >= _WIDE_FROM else _NARROW)
    )
    error = _SAFETY * (abs(coarse - fine) + abs(short - coarse)) + _ROUNDING * width * abs(fine)
    both = 0.5 * (1.0 - theta / math.pi)
    log_pairs = math.log(0.5 * width * (width - 1)) + (width - 2) * math.log(both) + (width - 1) * offset
    value = fine + math.exp(log_pairs) * pair_failure(cosine, theta)
    if width < _WIDE_FROM:
        atom = math.exp(width * math.log1p(-both) + (width - 1) * offset)  # A = 0
        error += _CUT / width**1.5 * (abs(value) + atom)
    return value, error, -(width - 1) * offset
