r"""The neural covariance SDE: the cosine of two inputs through shaped networks as deep as they are wide.

Layers of n units without biases, slopes :math:`1 + c_+/\sqrt n` above 0 and :math:`1 + c_-/\sqrt n` below. As n grows
with layer over width t = l/n fixed, the cosine follows [1]_

.. math:: d\rho = \Big[\gamma\,\big(\sqrt{1-\rho^2} - \rho\arccos\rho\big) - \tfrac12\rho(1 - \rho^2)\Big]dt
                  + (1 - \rho^2)\,dB,\qquad \gamma = \frac{(c_+ - c_-)^2}{2\pi}.

In the angle it is shorter (ours; ``docs/theory.md``, 16.2): :math:`d\theta = -\gamma(1 - \theta\cot\theta)\,dt -
\sin\theta\,dB`. Without a kink, :math:`\gamma = 0`, the angle is a martingale.

References
----------
.. [1] M. Li, M. Nica and D. Roy, "The Neural Covariance SDE: Shaped Infinite Depth-and-Width Networks at
   Initialization", NeurIPS 2022, arXiv:2206.02768.
"""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.linalg import solve_banded
from scipy.special import spherical_jn

from ._arrays import as_array, as_cosine, as_count, as_nonnegative, as_positive
from .angle_law import AngleLaw
from .errors import ConvergenceError

__all__ = [
    "covariance_diffusion",
    "covariance_drift",
    "covariance_law",
    "kink_strength",
    "kink_strength_at_width",
]

_CELLS = 600  # of the coarsest grid, of 100 time steps; both double until two grids agree
_STEPS = 100
_MOST_DOUBLINGS = 5
_AGREEMENT = 5e-5  # of the distribution functions of the last two grids: the finer is right to a third of it
_CENTRAL = 20.0  # drift times twice the spacing up to which differences are central
_GAMMA = 1 - math.sqrt(0.5)  # of the two-stage, L-stable Runge-Kutta method of second order


def kink_strength(c_plus: float, c_minus: float) -> float:
    r"""Coefficient :math:`\gamma = (c_+ - c_-)^2/(2\pi)` of the drift.

    Parameters
    ----------
    c_plus, c_minus : float
        The slopes are 1 + c / sqrt(width) above and below 0.

    Returns
    -------
    float
        At least 0; 0 for a linear network.

    Raises
    ------
    ValueError, TypeError
        If an argument is not a finite number.

    Examples
    --------
    >>> round(kink_strength(0.0, -1.0), 6)
    0.159155
    """
    difference = float(as_array("c_plus", c_plus)) - float(as_array("c_minus", c_minus))
    return difference**2 / (2 * math.pi)


def kink_strength_at_width(slope_plus: float, slope_minus: float, width: int) -> float:
    r"""Kink strength of a layer of finite width, :math:`\gamma_n = n(s_+ - s_-)^2/[\pi(s_+^2 + s_-^2)]`.

    Parameters
    ----------
    slope_plus, slope_minus : float
        Slopes above and below 0, not both 0.
    width : int
        Units n of a layer.

    Returns
    -------
    float
        At least 0. At slopes :math:`1 + c_\pm/\sqrt n` it is `kink_strength` times
        :math:`1 - (c_+ + c_-)/\sqrt n + O(1/n)`.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    The mean step of the cosine at infinite width is exactly :math:`(\gamma_n/n)(\sqrt{1-\rho^2} - \rho\arccos\rho)`; in
    place of :math:`\gamma` it takes away the leading error, :math:`O(n^{-1/2})`, of the SDE at a finite width. Ours;
    ``docs/theory.md``, 16.4.

    Examples
    --------
    >>> round(kink_strength_at_width(1.0, 0.75, 64), 4), round(kink_strength(0.0, -2.0), 4)
    (0.8149, 0.6366)
    """
    plus, minus = float(as_array("slope_plus", slope_plus)), float(as_array("slope_minus", slope_minus))
    if plus == 0 and minus == 0:
        raise ValueError("`slope_plus` and `slope_minus` must not both be 0, got 0.0 and 0.0.")
    return as_count("width", width) * (plus - minus) ** 2 / (math.pi * (plus**2 + minus**2))


def covariance_drift(rho: ArrayLike, gamma: float) -> Float[np.ndarray, "..."] | np.float64:
    r"""Drift :math:`\gamma(\sqrt{1-\rho^2} - \rho\arccos\rho) - \frac12\rho(1-\rho^2)` of the cosine.

    Parameters
    ----------
    rho : array_like, shape (...)
        Cosine, in [-1, 1].
    gamma : float
        `kink_strength`, at least 0.

    Returns
    -------
    ndarray or float64, shape (...)
        Drift per unit of depth / width; absolute error a few eps.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    Source: [1]_, the SDE of two inputs for shaped ReLU.

    Examples
    --------
    >>> print(covariance_drift([-1.0, 0.0, 1.0], 1.0).round(6))
    [3.141593 1.       0.      ]
    """
    rho, gamma = as_cosine("rho", rho), float(as_nonnegative("gamma", gamma))
    theta = np.arccos(rho)
    return gamma * theta**2 * spherical_jn(1, theta) - 0.5 * rho * (1 - rho) * (1 + rho)


def covariance_diffusion(rho: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Coefficient :math:`1 - \rho^2` of the noise.

    Parameters
    ----------
    rho : array_like, shape (...)
        Cosine, in [-1, 1].

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 1].

    Raises
    ------
    ValueError
        If `rho` is outside [-1, 1].

    Notes
    -----
    Source: [1]_, the SDE of two inputs for shaped ReLU.

    Examples
    --------
    >>> print(covariance_diffusion(0.5))
    0.75
    """
    rho = as_cosine("rho", rho)
    return ((1 - rho) * (1 + rho))[()]


def _lamperti_drift(y: np.ndarray | np.float64, gamma: float) -> np.ndarray | np.float64:
    r"""Drift of :math:`y = \mathrm{artanh}\rho`, whose noise is 1: :math:`\gamma(\sin\theta - \theta\cos\theta)/
    \sin^2\theta + \frac12\tanh y`.
    """
    theta, inverse_sine = 2 * np.arctan(np.exp(-y)), np.cosh(y)
    return gamma * (theta * inverse_sine) ** 2 * spherical_jn(1, theta) + 0.5 * np.tanh(y)


def _generator(y: np.ndarray, gamma: float) -> np.ndarray:
    r"""Tridiagonal forward generator on the cells `y`, as bands: mass is kept, the error is of second order.

    Central differences, and where they would not resolve the drift, far below the mass, exponentially fitted ones
    (Scharfetter and Gummel), whose rates stay positive.
    """
    h = y[1] - y[0]
    pull = 2 * h * _lamperti_drift((y[1:] + y[:-1]) / 2, gamma)
    central = np.abs(pull) < _CENTRAL
    fitted = np.where(central, 1.0, np.minimum(np.abs(pull), 700.0))
    against = fitted / np.expm1(fitted)
    right = np.where(central, 1 + pull / 2, against + np.maximum(pull, 0.0)) / (2 * h * h)
    left = np.where(central, 1 - pull / 2, against + np.maximum(-pull, 0.0)) / (2 * h * h)
    bands = np.zeros((3, y.size))
    bands[0, 1:], bands[2, :-1] = left, right
    bands[1, :-1] -= right
    bands[1, 1:] -= left
    return bands


def _apply(bands: np.ndarray, mass: np.ndarray) -> np.ndarray:
    out = bands[1] * mass
    out[:-1] += bands[0, 1:] * mass[1:]
    out[1:] += bands[2, :-1] * mass[:-1]
    return out


def covariance_law(rho0: float, t: float, gamma: float) -> AngleLaw:
    r"""Law of the cosine at depth over width `t`, from the forward equation of the SDE.

    Parameters
    ----------
    rho0 : float
        Cosine of the inputs, strictly between -1 and 1.
    t : float
        Depth over width, positive, at most 100.
    gamma : float
        `kink_strength`, at least 0.

    Returns
    -------
    AngleLaw
        Density of :math:`\ln\tan^2(\theta/2) = -2\,\mathrm{artanh}\rho`, and all that follows from it.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.
    ConvergenceError
        If the law still moves on the finest grid: `gamma` is so large that the noise is lost in the drift.

    Notes
    -----
    In :math:`\mathrm{artanh}\rho` the noise is constant. Second order in space and time; the grid is halved until the
    distribution function moves by less than 5e-5 everywhere, which leaves an error of about 2e-5. That takes a few
    tenths of a second at moderate arguments, several seconds at (0, .01, 1000) or (-.99, .01, 50), and fails at
    (0, .001, 1000). A shaped network of n units differs by :math:`O(n^{-1/2})`, by :math:`O(1/n)` with
    `kink_strength_at_width`. Ours; ``docs/theory.md``, 16.3.

    Examples
    --------
    >>> law = covariance_law(0.5, 0.5, 0.0)
    >>> round(law.expectation(law.theta) * 3 / np.pi, 4)
    1.0
    """
    rho0, t = float(as_cosine("rho0", rho0)), float(as_positive("t", t))
    gamma = float(as_nonnegative("gamma", gamma))
    if not abs(rho0) < 1:
        raise ValueError(f"`rho0` must lie strictly between -1 and 1, got {rho0!r}.")
    if not t <= 100:
        raise ValueError(f"`t` must be at most 100, got {t!r}.")
    y0, difference = math.atanh(rho0), math.inf
    law = _solve(y0, t, gamma, 0)
    for doubling in range(1, _MOST_DOUBLINGS + 1):
        coarse, law = law, _solve(y0, t, gamma, doubling)
        points = np.clip(coarse.x, law.x[0], law.x[-1])
        difference = float(np.max(np.abs(coarse._integral()(points) - law._integral()(points))))
        if difference <= _AGREEMENT:
            return law
    raise ConvergenceError(
        f"The law of the cosine at `rho0` {rho0!r}, `t` {t!r}, `gamma` {gamma!r} still moved by {difference:.1e} when "
        "the grid was halved.",
        value=difference,
        error=difference,
    )


def _solve(y0: float, t: float, gamma: float, doublings: int) -> AngleLaw:
    """Return the law from a grid that was halved `doublings` times; time steps grow, as the start is the stiffest."""
    y, mass = _cells(y0, t, gamma, _CELLS << doublings)
    bands = _generator(y, gamma)
    times = t * np.linspace(0, 1, (_STEPS << doublings) + 1) ** 2
    for step in np.diff(times):
        implicit = -_GAMMA * step * bands
        implicit[1] += 1.0
        first = _apply(bands, solve_banded((1, 1), implicit, mass))
        mass = solve_banded((1, 1), implicit, mass + (1 - _GAMMA) * step * first)
    density = mass[::-1] / (2 * (y[1] - y[0]))
    return AngleLaw(x=-2 * y[::-1], density=density)


def _reach(y0: float, t: float, gamma: float) -> tuple[float, float]:
    r"""Return bounds of y: 9 standard deviations of the noise beyond the extremes of the drift (theory, 16.3)."""
    noise = 9 * math.sqrt(t) + 0.5 * t
    start = max(y0, 0.0)
    level = max(start, math.log(max(gamma * t, 1.0)))  # above it the kink pulls by at most gamma exp(-level)
    high = level + gamma * t * math.exp(-level) + noise
    below = min(y0, 0.0)
    push = float(_lamperti_drift(np.float64(below), gamma)) - 0.5 * (1 + math.tanh(below))  # the least drift under it
    return (max(y0 - noise, below - 20 / push) if push > 0 else y0 - noise), high


def _cells(y0: float, t: float, gamma: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells, and the mass at the start: all in the cell whose centre is `y0`."""
    low, high = _reach(y0, t, gamma)
    h = (high - low) / cells
    before = math.ceil((y0 - low) / h)
    y = y0 + h * np.arange(-before, cells - before + 1)
    return y, np.where(np.arange(y.size) == before, 1.0, 0.0)
