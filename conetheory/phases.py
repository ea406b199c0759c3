r"""The phases of wide random networks: ordered, chaotic, and the critical line between them.

Variances are per unit, as in `conetheory.meanfield`; at the fixed mean square, :math:`k = \sigma_w^2 q + \sigma_b^2`,

.. math:: \chi_1 = \sigma_w^2\,E\,\phi'(\sqrt k z)^2

decides: below 1 all inputs end in one direction (ordered, a cone of angle 0), above 1 they end at a cosine
:math:`\rho^* < 1` (chaotic). At 1 the approach to the cone is slow: `conetheory.depth_laws.critical_decay`. Proofs:
``docs/theory.md``, 11.3 to 11.5.

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
from scipy.optimize import root_scalar

from conetheory._arrays import as_nonnegative, as_positive
from conetheory._dual_table import resolve
from conetheory.dual import Activation, second_moment
from conetheory.fixed_points import (
    CRITICAL,
    c_fixed_point,
    chi_1,
    chi_q,
    keeps_every_cosine,
    linear_rate,
    q_fixed_point,
)

__all__ = ["CriticalPoint", "Phase", "critical_point", "critical_sigma_w2", "phase"]

_SCAN = np.geomspace(1e-6, 1e6, 73)  # variances among which a critical network is sought
_SMALLEST = 1e-12  # variance that stands for 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The phase of a wide random network, and the numbers that decide it.

    Attributes
    ----------
    label : str
        ``ordered``, ``critical`` or ``chaotic`` as chi_1 is below, at (to 1e-9) or above 1; ``unbounded`` where the
        mean square grows without limit.
    q, k : float
        Limiting mean square of a unit, and variance of its pre-activation; inf if unbounded.
    chi_1 : float
        Slope of the cosine map at 1.
    chi_q : float
        Slope of the map of mean squares at q.
    rho, complement : float
        Limiting cosine of two inputs, and 1 minus it; NaN if q is 0 or inf, where no fixed map of cosines exists, or
        if the map is the identity (linear, no bias).
    xi_c, xi_q : float
        Depth scales, in layers: distances to the limits shrink like exp(-layer / xi). inf at criticality; NaN if q is
        inf, and xi_c also where `rho` is.
    """

    label: str
    q: float
    k: float
    chi_1: float
    chi_q: float
    rho: float
    complement: float
    xi_c: float
    xi_q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPoint:
    """A network with slope 1 at cosine 1.

    Attributes
    ----------
    sigma_w2, sigma_b2 : float
        Its variances. A negative `sigma_b2` means that no network of the variance `k` asked for is critical.
    k : float
        Variance of a pre-activation, a fixed point.
    """

    sigma_w2: float
    sigma_b2: float
    k: float


def phase(
    activation: str | Callable | Activation, *, sigma_w2: float = 1.0, sigma_b2: float = 0.0, q0: float = 1.0
) -> Phase:
    r"""Phase of a deep, wide random network.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    sigma_w2, sigma_b2 : float
        As in `conetheory.meanfield.layer_map`.
    q0 : float
        Mean square of an input coordinate, positive; it matters where several fixed points exist.

    Returns
    -------
    Phase
        Label, fixed points, slopes and depth scales :math:`\xi_c = -1/\ln\chi`, :math:`\xi_q = -1/\ln|\chi_q|`, with
        :math:`\chi` the slope of the cosine map at the limiting cosine.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `q_fixed_point` and `c_fixed_point`.

    Notes
    -----
    Without a closed form (`dual_activation`) variances have to stay below a few thousand. Source: [1]_, [2]_;
    ``docs/theory.md``, 11.3 and 11.4.

    Examples
    --------
    >>> found = phase("tanh", sigma_w2=2.5, sigma_b2=0.05)
    >>> found.label, round(found.rho, 6), round(found.xi_c, 3)
    ('chaotic', 0.419525, 11.796)
    """
    phi = resolve(activation)
    q = q_fixed_point(phi, sigma_w2=sigma_w2, sigma_b2=sigma_b2, q0=q0)
    probe = q if q < np.inf else 1.0
    slope_1 = float(chi_1(phi, probe, sigma_w2=sigma_w2, sigma_b2=sigma_b2))
    slope_q = float(chi_q(phi, probe, sigma_w2=sigma_w2, sigma_b2=sigma_b2))
    if q == np.inf:
        known = linear_rate(phi) is not None  # then the slopes do not depend on q
        return Phase(
            label="unbounded",
            q=q,
            k=np.inf,
            chi_1=slope_1 if known else np.nan,
            chi_q=slope_q if known else np.nan,
            **dict.fromkeys(("rho", "complement", "xi_c", "xi_q"), np.nan),
        )
    label = "critical" if abs(slope_1 - 1.0) <= CRITICAL else "ordered" if slope_1 < 1 else "chaotic"
    lone = q > 0 and not keeps_every_cosine(phi, q, sigma_w2, sigma_b2)
    found = c_fixed_point(phi, q, sigma_w2=sigma_w2, sigma_b2=sigma_b2) if lone else None
    return Phase(
        label=label,
        q=q,
        k=sigma_w2 * q + sigma_b2,
        chi_1=slope_1,
        chi_q=slope_q,
        rho=np.nan if found is None else found.rho,
        complement=np.nan if found is None else found.complement,
        xi_c=np.nan if found is None else _depth_scale(found.slope),
        xi_q=_depth_scale(abs(slope_q)),
    )


def _depth_scale(slope: float) -> float:
    if slope >= 1.0 - CRITICAL:
        return np.inf
    return -1.0 / float(np.log(slope)) if slope > 0 else 0.0


def critical_point(activation: str | Callable | Activation, k: float) -> CriticalPoint:
    r"""Critical network whose pre-activations have the variance `k`.

    .. math:: \sigma_w^2 = \frac{1}{E\,\phi'(\sqrt k z)^2}, \qquad \sigma_b^2 = k - \sigma_w^2\,E\,\phi(\sqrt k z)^2

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    k : float
        Variance of a pre-activation, positive: the parameter of the critical line.

    Returns
    -------
    CriticalPoint
        The variances; look at the sign of `sigma_b2`.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.phases.chi_1`; ValueError also for an activation that jumps, or is constant.

    Notes
    -----
    `sigma_b2` is a difference: absolute error 1e-10 k. 0 for ReLU at every k. Source: [1]_; ``docs/theory.md``, 11.5.

    Examples
    --------
    >>> found = critical_point("tanh", 0.25)
    >>> round(found.sigma_w2, 6), round(found.sigma_b2, 6)
    (1.393962, 0.008125)
    """
    phi, k = resolve(activation), float(as_positive("k", k))
    slope = float(chi_1(phi, k, sigma_w2=1.0))
    if not 0 < slope < np.inf:
        raise ValueError(f"`activation` must have a mean square slope in (0, inf) at variance {k}, got {slope}.")
    weight = 1.0 / slope
    return CriticalPoint(sigma_w2=weight, sigma_b2=k - weight * float(second_moment(phi, k)), k=k)


def critical_sigma_w2(activation: str | Callable | Activation, sigma_b2: float) -> float:
    r"""Weight variance of the critical network with bias variance `sigma_b2`: the critical line as a function.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    sigma_b2 : float
        Bias variance per unit, at least 0.

    Returns
    -------
    float
        :math:`\sigma_w^2`; where several networks are critical, that of least variance k.

    Raises
    ------
    ValueError
        If no network with a fixed point k between 1e-6 and 1e6 is critical at that bias: ReLU with a bias. Without a
        closed form (`dual_activation`) ConvergenceError takes its place if the search gets beyond a few thousand.
    ValueError, TypeError, ConvergenceError
        As `critical_point`.

    Notes
    -----
    Without bias the line begins at :math:`1/\phi'(0)^2`. For tanh it passes through (1, 0) and (1.7610, 0.05) [1]_.

    Examples
    --------
    >>> round(critical_sigma_w2("tanh", 0.0), 6), round(critical_sigma_w2("tanh", 0.05), 4)
    (1.0, 1.761)
    """
    phi, target = resolve(activation), float(as_nonnegative("sigma_b2", sigma_b2))
    if target == 0:
        return critical_point(phi, _SMALLEST).sigma_w2

    def excess(log_k: float) -> float:
        return critical_point(phi, float(np.exp(log_k))).sigma_b2 - target

    low, below = np.log(_SCAN[0]), excess(np.log(_SCAN[0]))
    for high in np.log(_SCAN[1:]):
        above = excess(high)
        if below < 0 <= above:
            root = root_scalar(excess, bracket=(low, high), xtol=1e-14, rtol=1e-14).root
            return critical_point(phi, float(np.exp(root))).sigma_w2
        low, below = high, above
    raise ValueError(f"`sigma_b2` = {target} has no critical network with {phi.name}.")
