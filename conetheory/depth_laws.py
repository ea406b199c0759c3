r"""How deep a wide random network must be for a cone of a given angle, and the laws of the approach.

Variances are per unit, as in `conetheory.meanfield`. Proofs: ``docs/theory.md``, 3.6, 3.7 and 11.8 to 11.10.

References
----------
.. [1] S. Hayou, A. Doucet and J. Rousseau, "On the Impact of the Activation Function on Deep Neural Networks
   Training", ICML 2019, arXiv:1902.06853.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_cosine, as_positive
from conetheory._derivative_moments import derivative_moments
from conetheory._dual_table import pointwise, resolve
from conetheory.dual import Activation, c_map_complement
from conetheory.errors import ConvergenceError
from conetheory.meanfield import _step, _variances
from conetheory.phases import critical_point, phase

__all__ = ["CriticalDecay", "cone_amplitude", "critical_decay", "depth_to_cone", "he_angle", "he_constant"]

_KINK = 1e-6  # a jump of the derivative below this share of its root mean square is rounding
_MOST_LAYERS = 200_000
_SETTLED = 1e-11  # relative change of a layer below which the state is taken for its limit
_DEAD = 1e-100  # mean square that stands for 0
_ABEL = (0.6 * np.pi**2 + 1.0, 0.9375 - 0.45 * np.pi**2)  # docs/theory.md, 11.10
_FLAT = 500.0  # y = 3 pi / theta from which the Abel function is good to 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalDecay:
    """Approach to the cone at criticality: 1 - rho_l ~ constant / l^power, whatever the start.

    Attributes
    ----------
    power : int
        1 for a smooth activation, 2 for one with a kink at 0.
    constant : float
        The constant, positive.
    """

    power: int
    constant: float


def depth_to_cone(
    activation: str | Callable | Activation,
    angle: float,
    *,
    rho0: float = 0.0,
    q0: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> float:
    r"""Least number of infinitely wide layers after which two points are within an angle of each other.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    angle : float
        Angle of the points in radians, in (0, pi].
    rho0, q0, sigma_w2, sigma_b2 : float
        Start and variances, as in `conetheory.meanfield.cone_curve`.

    Returns
    -------
    float
        A whole number, or inf where the cosine settles (a layer changes it by less than 1e-11 of its complement)
        outside the angle.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.meanfield.layer_map`; ConvergenceError also after 200000 layers.

    Notes
    -----
    Exact but where the curve meets the angle to rounding. Source: ours; the recursion is ``docs/theory.md``, 3.1.

    Examples
    --------
    >>> depth_to_cone("relu", np.radians(10), sigma_b2=1.0), depth_to_cone("relu", np.radians(10), sigma_w2=2.0)
    (6.0, 44.0)
    >>> depth_to_cone("tanh", np.radians(10), sigma_w2=2.5, sigma_b2=0.05)
    inf
    """
    angle = float(as_positive("angle", angle))
    if not angle <= np.pi:
        raise ValueError(f"`angle` must lie in (0, pi], got {angle!r}.")
    target = 2.0 * np.sin(0.5 * angle) ** 2
    q, eps = float(as_positive("q0", q0)), 1.0 - float(as_cosine("rho0", rho0))
    phi, variances = resolve(activation), _variances(sigma_w2, sigma_b2)
    for layer in range(_MOST_LAYERS):
        if eps <= target:
            return float(layer)
        new_q, new_eps = (float(value) for value in _step(phi, q, eps, *variances))
        if abs(new_eps - eps) <= _SETTLED * eps and _moves_no_cosine(phi, q, new_q, variances[1]):
            return np.inf
        q, eps = new_q, new_eps
    raise ConvergenceError(
        f"After {_MOST_LAYERS} layers the points are still {2 * np.arcsin(np.sqrt(eps / 2))!r} apart.",
        value=float(_MOST_LAYERS),
        error=np.inf,
    )


def _moves_no_cosine(phi: Activation, q: float, new_q: float, sigma_b2: float) -> bool:
    """Whether mean squares from `q` to `new_q` and on leave a cosine that has settled where it is."""
    if phi.degree is not None and (sigma_b2 == 0 or new_q >= q):  # what a bias does fades as q grows
        return True
    return new_q <= _DEAD or abs(new_q - q) <= _SETTLED * q


def cone_amplitude(
    activation: str | Callable | Activation,
    *,
    rho0: float = 0.0,
    q0: float = 1.0,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
) -> float:
    r"""Constant C of the exponential approach :math:`1 - \rho_l \sim C\,\chi_1^l` in the ordered phase.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    rho0, q0, sigma_w2, sigma_b2 : float
        Start and variances, as in `conetheory.meanfield.cone_curve`; `rho0` below 1.

    Returns
    -------
    float
        The limit of :math:`\chi_1^{-l}(1 - \rho_l)`, positive: .50743068 for ReLU from orthogonal unit vectors.

    Raises
    ------
    ValueError
        If the network is not in the ordered phase, or its mean square dies out.
    ValueError, TypeError, ConvergenceError
        As `conetheory.phases.phase`; ConvergenceError also if rounding hides the limit, as for a kink in a function
        that is not named, or if it is not reached in 200000 layers.

    Notes
    -----
    Relative error 1e-12 where `conetheory.dual.c_map_complement` has a closed form, else 1e-8. Source: ours,
    ``docs/theory.md``, 11.8.

    Examples
    --------
    >>> round(cone_amplitude("relu", sigma_b2=1.0), 8)
    0.50743068
    """
    phi, eps = resolve(activation), 1.0 - float(as_cosine("rho0", rho0))
    if eps == 0:
        raise ValueError("`rho0` must lie in [-1, 1), got 1.0.")
    found = phase(phi, sigma_w2=sigma_w2, sigma_b2=sigma_b2, q0=q0)
    if found.label != "ordered" or found.q == 0:
        raise ValueError(
            f"`sigma_w2` must give {phi.name} an ordered phase with q > 0, got {found.label}, q = {found.q}."
        )
    exact = phi.complement is not None
    wanted, floor = (1e-14, 1e-100) if exact else (1e-9, 1e-13)
    variances, q, amplitude, factor = _variances(sigma_w2, sigma_b2), float(q0), eps, np.inf
    for _ in range(_MOST_LAYERS):
        if not eps > floor:
            raise ConvergenceError(
                f"The amplitude under {phi.name} is hidden by rounding.",
                value=amplitude,
                error=abs(factor - 1.0) * amplitude,
            )
        new_q, new_eps = (float(value) for value in _step(phi, q, eps, *variances))
        factor = new_eps / (found.chi_1 * eps)
        amplitude *= factor
        settled = abs(new_q - q) <= wanted * q
        q, eps = new_q, new_eps
        if settled and abs(factor - 1.0) <= wanted:
            return amplitude
    raise ConvergenceError(
        f"The amplitude under {phi.name} has not settled after {_MOST_LAYERS} layers: chi_1 = {found.chi_1!r}.",
        value=amplitude,
        error=np.inf,
    )


def critical_decay(activation: str | Callable | Activation, k: float) -> CriticalDecay:
    r"""Law of 1 - rho after l layers of the critical network of variance `k`.

    .. math:: 1 - \rho_l \sim \frac{2}{\sigma_w^2 k a\,E\,\phi''(\sqrt k z)^2}\,\frac1l
              \ \text{(smooth)}, \qquad
              1 - \rho_l \sim \frac{18\pi^2}{\sigma_w^4 J^4 a}\,\frac1{l^2}\ \text{(slope jumps by J at 0)},

    with :math:`a = 1 - \sigma_b^2/k`, and :math:`\rho_l` the cosine after the activation.

    Parameters
    ----------
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`; no derivative is needed.
    k : float
        Variance of a pre-activation, positive, at which `critical_point` has a `sigma_b2` >= 0.

    Returns
    -------
    CriticalDecay
        Power and constant; relative error of the constant 1e-8. The next term is smaller by ln(l)/l only.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `critical_point`; ValueError also where no network of that variance is critical, or the cosine map is linear.

    Notes
    -----
    Source: [1]_ for the smooth case and ReLU, of which the constant is :math:`9\pi^2/2`; general kinks and the
    factor a: ours, ``docs/theory.md``, 11.6 and 11.7.

    Examples
    --------
    >>> found = critical_decay("relu", 1.0)
    >>> found.power, round(found.constant / (4.5 * np.pi**2), 9)
    (2, 1.0)
    """
    phi, point = resolve(activation), critical_point(activation, k)
    if point.sigma_b2 < -1e-9 * point.k:
        raise ValueError(f"`k` = {point.k} is the variance of no critical network with {phi.name}.")
    share = min(1.0 - point.sigma_b2 / point.k, 1.0)
    found = derivative_moments(pointwise(phi), point.k, phi.name)
    if abs(found.kink) > _KINK * np.sqrt(found.first):
        jump = point.sigma_w2 * found.kink**2
        return CriticalDecay(power=2, constant=18.0 * np.pi**2 / (jump * jump * share))
    curvature = point.sigma_w2 * point.k * found.second
    if not curvature > 1e-9:
        raise ValueError(f"`activation` {phi.name} must not be linear: its cosines do not approach 1.")
    return CriticalDecay(power=1, constant=2.0 / (curvature * share))


def _abel(y: np.ndarray | np.float64) -> np.ndarray | np.float64:
    """Return the function that grows by 1 a layer, up to O(1/y^4)."""
    return y - 1.5 * np.log(y) + (_ABEL[0] + _ABEL[1] / y) / y


def he_constant(rho0: float = 0.0) -> float:
    r"""Constant C of :math:`\theta_l = 3\pi/(l + \tfrac32\ln l + C + o(1))`: ReLU, He initialisation, no bias.

    Parameters
    ----------
    rho0 : float
        Cosine of the inputs, in [-1, 1).

    Returns
    -------
    float
        C; 4.38985 for orthogonal inputs.

    Raises
    ------
    ValueError, TypeError
        If `rho0` is outside [-1, 1).

    Notes
    -----
    Absolute error 5e-8: layers are iterated until :math:`3\pi/\theta > 500`. Leading term: [1]_; the correction and
    C: ours, ``docs/theory.md``, 3.7 and 11.10.

    Examples
    --------
    >>> round(he_constant(0.0), 4)
    4.3898
    """
    eps = 1.0 - float(as_cosine("rho0", rho0))
    if eps == 0:
        raise ValueError("`rho0` must lie in [-1, 1), got 1.0.")
    layers = 0
    while True:
        y = np.float64(1.5 * np.pi / np.arcsin(np.sqrt(0.5 * eps)))
        if y > _FLAT:
            return float(_abel(y) - layers)
        eps = float(c_map_complement("relu", eps))
        layers += 1


def he_angle(depth: ArrayLike, *, constant: float) -> Float[np.ndarray, "..."] | np.float64:
    r"""Angle of two points after many ReLU layers with He initialisation and no bias, in closed form.

    .. math:: \theta_l = \frac{3\pi}{y_l}, \qquad y_l - \tfrac32\ln y_l + \frac{1 + 3\pi^2/5}{y_l}
              + \frac{15/16 - 9\pi^2/20}{y_l^2} = l + C

    Parameters
    ----------
    depth : array_like, shape (...)
        Number of layers l; l + C at least 8.
    constant : float
        C, from `he_constant`.

    Returns
    -------
    ndarray or float64, shape (...)
        Radians. Relative error about :math:`5/l^4`, besides that of C over l. The bare :math:`3\pi/l` is 1.5 % off at
        l = 1000, and :math:`9\pi^2/(2l^2)` for the complement of the cosine 3 %.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 11.10.

    Examples
    --------
    >>> print(he_angle([100, 1000], constant=he_constant(0.0)).round(8))
    [0.08460482 0.00928763]
    """
    total = as_array("depth", depth) + float(as_array("constant", constant))
    if not np.all(total >= 8.0):
        raise ValueError(f"`depth` + `constant` must be at least 8, got {float(total[~(total >= 8.0)].flat[0])!r}.")
    y = total + 1.5 * np.log(total)
    for _ in range(30):
        change = (_abel(y) - total) / (1.0 - 1.5 / y - (_ABEL[0] + 2.0 * _ABEL[1] / y) / (y * y))
        y = y - change
        if np.all(np.abs(change) <= 4e-16 * y):
            break
    return 3.0 * np.pi / y
