r"""Fixed points of the mean field of wide random networks, and their stability.

Variances are per unit, as in `conetheory.meanfield`: a layer takes the mean square q to
:math:`q' = E\,\phi(\sqrt k z)^2`, :math:`k = \sigma_w^2 q + \sigma_b^2`, and (at a fixed q) the cosine
:math:`\rho` to :math:`c_k(1 - a(1 - \rho))`, :math:`a = \sigma_w^2 q/k`. ``sigma_w2`` is the number of inputs of a unit
times the variance of a weight: 2 for He initialisation. Conditions and proofs: ``docs/theory.md``, section 11.

References
----------
.. [1] B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, "Exponential Expressivity in Deep Neural
   Networks through Transient Chaos", NIPS 2016, arXiv:1606.05340.
.. [2] S. S. Schoenholz, J. Gilmer, S. Ganguli and J. Sohl-Dickstein, "Deep Information Propagation", ICLR 2017,
   arXiv:1611.01232.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root_scalar

from conetheory._arrays import as_nonnegative, as_positive
from conetheory._dual_table import pointwise, resolve
from conetheory.dual import Activation, c_map_complement, dual_derivative, second_moment
from conetheory.errors import ConvergenceError

__all__ = ["CosineFixedPoint", "c_fixed_point", "chi_1", "chi_q", "q_fixed_point"]

_STEP = 1.5  # of the search for a fixed point: two of them closer than this factor are passed over
_UNBOUNDED, _VANISHING = 1e10, 1e-9  # mean squares beyond which the search gives up
CRITICAL = 1e-9  # |chi_1 - 1| below which quadrature cannot tell the phases apart
_PROBES = np.array([1e-4, 1.0, 1e4])  # variances at which a mean square is tried for proportionality
_SMALLEST = 1e-12  # variance that stands for 0 where a derivative at 0 is meant
_ROOT_RTOL = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineFixedPoint:
    """The cosine that deep layers tend to, from any cosine in [0, 1).

    Attributes
    ----------
    rho : float
        The cosine, in [0, 1].
    complement : float
        1 - rho, with the digits that `rho` loses near 1.
    slope : float
        Slope of the map there: the distance to it shrinks by this factor a layer, below 1 but at criticality.
    """

    rho: float
    complement: float
    slope: float


def _network(
    activation: str | Callable | Activation, sigma_w2: ArrayLike, sigma_b2: ArrayLike
) -> tuple[Activation, float, float]:
    return (
        resolve(activation),
        float(as_positive("sigma_w2", sigma_w2)),
        float(as_nonnegative("sigma_b2", sigma_b2)),
    )


def chi_1(
    activation: str | Callable | Activation, q: float, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> np.float64:
    r"""Slope of the map of cosines at 1.

    .. math:: \chi_1 = \sigma_w^2\,E\,\phi'(\sqrt k z)^2, \qquad k = \sigma_w^2 q + \sigma_b^2

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`; no derivative is needed.
    q : float
        Mean square of a unit, at least 0: the fixed point for the slope of the deep network. Elsewhere the slope of one
        layer is this times q/q'.
    sigma_w2, sigma_b2 : float
        As in `conetheory.meanfield.layer_map`.

    Returns
    -------
    float64
        At least 0; inf where the activation jumps. It is also the factor by which a layer multiplies the mean square of
        a gradient.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.dual_derivative`.

    Notes
    -----
    Relative error 1e-10 or better. Where k is 0 the value is the one at k = 1e-12. Source: [1]_, Sec. 3; [2]_.

    Examples
    --------
    >>> print(chi_1("relu", 1.0, sigma_w2=2.0).round(12), chi_1("linear", 1.0, sigma_w2=0.9).round(12))
    1.0 0.9
    """
    phi, sigma_w2, sigma_b2 = _network(activation, sigma_w2, sigma_b2)
    k = max(sigma_w2 * float(as_nonnegative("q", q)) + sigma_b2, _SMALLEST)
    return np.float64(sigma_w2 * _slope(phi, 1.0, k))


def _slope(phi: Activation, rho: float, k: float) -> float:
    r"""Return :math:`E\phi'(u)\phi'(v)` at variance k and correlation `rho`."""
    return float(dual_derivative(phi, rho, var_u=k, var_v=k)) / k


def chi_q(
    activation: str | Callable | Activation, q: float, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> np.float64:
    r"""Slope of the map of mean squares :math:`q \mapsto E\,\phi(\sqrt k z)^2`, :math:`k = \sigma_w^2 q + \sigma_b^2`.

    .. math:: \chi_q = \frac{\sigma_w^2}{2k}\,E\,[(z^2 - 1)\,\phi(\sqrt k z)^2]

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`; no derivative is needed.
    q : float
        Mean square of a unit, at least 0.
    sigma_w2, sigma_b2 : float
        As in `conetheory.meanfield.layer_map`.

    Returns
    -------
    float64
        The slope; at a fixed point below 1 it attracts at the depth scale -1/ln of it.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.second_moment`.

    Notes
    -----
    Absolute error about 1e-12 times :math:`\sigma_w^2 E\phi^2/k`. Where k is 0 the value is the one at k = 1e-12.
    Source: [1]_, [2]_ in the form :math:`\sigma_w^2 E[\phi\phi'' + \phi'^2]`; by Gaussian weights, ``docs/theory.md``,
    11.2.

    Examples
    --------
    >>> print(chi_q("relu", 3.0, sigma_w2=1.5).round(12))
    0.75
    """
    phi, sigma_w2, sigma_b2 = _network(activation, sigma_w2, sigma_b2)
    k = max(sigma_w2 * float(as_nonnegative("q", q)) + sigma_b2, _SMALLEST)
    rate = linear_rate(phi)
    if rate is not None:
        return np.float64(sigma_w2 * rate)
    root, function = np.sqrt(k), pointwise(phi)
    weighted = Activation(name=f"z {phi.name}(z)", function=lambda x: x / root * function(x))
    return np.float64(sigma_w2 / (2.0 * k) * (second_moment(weighted, k) - second_moment(phi, k)))


def q_fixed_point(
    activation: str | Callable | Activation, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0, q0: float = 1.0
) -> float:
    r"""Mean square of a unit that deep layers tend to from `q0`.

    .. math:: q^* = E\,\phi(\sqrt{k^*} z)^2, \qquad k^* = \sigma_w^2 q^* + \sigma_b^2

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    sigma_w2, sigma_b2 : float
        As in `conetheory.meanfield.layer_map`.
    q0 : float
        Where the recursion starts, positive.

    Returns
    -------
    float
        inf if the mean square grows without limit (ReLU: sigma_w2 > 2, or = 2 with a bias), 0 if it dies out; `q0`
        itself where every mean square is a fixed point (ReLU, sigma_w2 = 2, no bias).

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.second_moment`; ConvergenceError also if the map is so steep downwards that the
        recursion does not settle at the fixed point found.

    Notes
    -----
    The next fixed point in the direction of the first step, which is the limit wherever
    :math:`\phi(x)^2 + \phi(-x)^2` does not decrease in x > 0: then so is the map of mean squares (``docs/theory.md``,
    11.1). The search goes in steps of a factor 1.5, from 1e-9 (with neither bias nor :math:`\phi(0)`) to 1e10; without
    a closed form (`conetheory.dual.dual_activation`) it fails beyond a few thousand, by ConvergenceError.
    Relative error about :math:`10^{-13}/|1 - \chi_q|`. Source: [1]_, eq. (3).

    Examples
    --------
    >>> round(q_fixed_point("relu", sigma_w2=1.5, sigma_b2=0.5), 12), q_fixed_point("relu", sigma_w2=2.5)
    (1.0, inf)
    """
    phi, sigma_w2, sigma_b2 = _network(activation, sigma_w2, sigma_b2)
    start = float(as_positive("q0", q0))
    rate = linear_rate(phi)
    if rate is not None:
        return _linear_fixed_point(rate, sigma_w2, sigma_b2, start)

    def excess(q: float) -> float:
        return float(second_moment(phi, sigma_w2 * q + sigma_b2)) - q

    found = _first_root(excess, start, dies=excess(0.0) == 0.0)
    if 0 < found < np.inf and not chi_q(phi, found, sigma_w2=sigma_w2, sigma_b2=sigma_b2) > -1.0:
        raise ConvergenceError(
            f"The mean square under {phi.name} does not settle: its map is steeper than -1 at the fixed point.",
            value=found,
            error=np.inf,
        )
    return found


def linear_rate(phi: Activation) -> float | None:
    """Return the rate if the mean square is proportional to the variance, as for homogeneous activations, else None."""
    small, one, large = np.asarray(second_moment(phi, _PROBES)) / _PROBES
    return float(one) if max(abs(small - one), abs(large - one)) <= 1e-13 * one else None


def _linear_fixed_point(rate: float, sigma_w2: float, sigma_b2: float, start: float) -> float:
    gain = sigma_w2 * rate
    if abs(gain - 1.0) <= 4.0 * np.finfo(np.float64).eps:
        return start if sigma_b2 == 0 else np.inf
    return rate * sigma_b2 / (1.0 - gain) if gain < 1 else np.inf


def _first_root(excess: Callable[[float], float], start: float, *, dies: bool) -> float:
    """Return the root next to `start` in the direction of the sign of `excess`; 0 or inf where there is none."""
    here, value = start, excess(start)
    if value == 0:
        return start
    up = value > 0
    while True:
        there = here * _STEP if up else here / _STEP
        if there > _UNBOUNDED:
            return np.inf
        if dies and there < _VANISHING:
            return 0.0
        beyond = excess(there)
        if (beyond > 0) != up:
            return float(root_scalar(excess, bracket=(here, there), xtol=1e-300, rtol=_ROOT_RTOL).root)
        here = there


def c_fixed_point(
    activation: str | Callable | Activation, q: float, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0
) -> CosineFixedPoint:
    r"""Cosine :math:`\rho^*` that deep layers tend to from every cosine in [0, 1), at a fixed mean square.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    q : float
        Mean square of a unit, positive: a fixed point, `q_fixed_point`.
    sigma_w2, sigma_b2 : float
        As in `conetheory.meanfield.layer_map`.

    Returns
    -------
    CosineFixedPoint
        1 where chi_1 <= 1, else the one fixed point in [0, 1), which is stable (``docs/theory.md``, 11.3).

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.dual.c_map_complement`; ValueError also if the map of cosines is the identity, as without
        bias under a linear activation: every cosine is fixed.

    Notes
    -----
    Absolute error of `rho` about 1e-12, relative error of `complement` about :math:`10^{-11}/(\chi_1 - 1)`.
    Source: [1]_, Sec. 3.

    Examples
    --------
    >>> found = c_fixed_point("relu", 1.0, sigma_w2=1.0, sigma_b2=1.0)
    >>> found.rho, found.complement, round(found.slope, 12)
    (1.0, 0.0, 0.5)
    """
    phi, sigma_w2, sigma_b2 = _network(activation, sigma_w2, sigma_b2)
    q = float(as_positive("q", q))
    k = sigma_w2 * q + sigma_b2
    share = sigma_w2 * q / k

    def gain(eps: float) -> float:
        return float(c_map_complement(phi, share * eps, var=k)) / eps - 1.0

    at_one = float(chi_1(phi, q, sigma_w2=sigma_w2, sigma_b2=sigma_b2))
    if at_one <= 1.0 + CRITICAL:
        if keeps_every_cosine(phi, q, sigma_w2, sigma_b2):
            raise ValueError(f"`activation` must not keep every cosine, as {phi.name} without bias does.")
        return CosineFixedPoint(rho=1.0, complement=0.0, slope=at_one)
    complement = _chaotic_complement(gain, at_one)
    slope = sigma_w2 * _slope(phi, 1.0 - share * complement, k)
    return CosineFixedPoint(rho=1.0 - complement, complement=complement, slope=slope)


def keeps_every_cosine(phi: Activation, q: float, sigma_w2: float, sigma_b2: float) -> bool:
    """Whether the map of cosines is the identity: no bias, and 0 and 1 fixed with slope 1 at 1 (it is convex)."""
    if sigma_b2 > 0 or abs(chi_1(phi, q, sigma_w2=sigma_w2) * q / second_moment(phi, sigma_w2 * q) - 1.0) > CRITICAL:
        return False
    return bool(abs(c_map_complement(phi, 1.0, var=sigma_w2 * q) - 1.0) <= 1e-12)


def _chaotic_complement(gain: Callable[[float], float], at_one: float) -> float:
    """Return the root of `gain` in (0, 1], a decreasing function that is chi_1 - 1 > 0 at 0."""
    if gain(1.0) >= -1e-14:  # no bias and an odd activation: cosine 0 stays
        return 1.0
    low = 1.0
    while gain(low) < 0 and low > 1e-14:
        low *= 0.1
    if not gain(low) > 0:
        raise ConvergenceError(
            f"The slope at 1 is {at_one!r}, too near 1 for the fixed cosine to be told from 1.", value=1.0, error=low
        )
    return float(root_scalar(gain, bracket=(low, min(10.0 * low, 1.0)), xtol=1e-300, rtol=_ROOT_RTOL).root)
