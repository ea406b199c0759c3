r"""Theorem 1 of Liang et al. (2022), exponentially: how fast failure dies out with the width.

The setting is that of `conetheory.contraction`: a random ReLU layer of width :math:`d` takes :math:`u, v` of cosine
:math:`c_0` to a pair of cosine :math:`c'`, and fails where not :math:`c' > c_0`. The paper bounds that by
:math:`O(1/d)`. In truth it is :math:`e^{-d(I + o(1))}` below the sharp threshold, with the rate

.. math:: I = -\min_t\ln M(t),\qquad M(t) = E e^{-tX} = \frac1{2\pi}\oint\frac{d\alpha}{1 + 2th(\alpha)},\qquad
          X = \phi\phi' - \tfrac{c_0}{2}(\phi^2 + \phi'^2),

at most :math:`e^{-dI}` at every width, and known here to a few digits or more from 1 down to any size.

References
----------
.. [1] W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053 (Theorem 1).
.. [2] R. Lugannani and S. Rice, "Saddle point approximation for the distribution of the sum of independent random
   variables", Adv. Appl. Probab. 12 (1980).
.. [3] J. L. Jensen, "Saddlepoint Approximations", Oxford 1995 (chapters 2 and 3).
"""

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from ._arrays import as_cosine, as_count, as_positive
from ._failure_inversion import inverted
from ._relu_tilt import Tilt, tilt, tilted_moments
from ._saddlepoint import log_tails
from .contraction import preactivation_angle

__all__ = ["FailureProbability", "chernoff_bound", "failure_probability", "failure_rate"]

_TINY = 1e-20  # cosines below are 0 for failure: the rate differs by their square root
_GOOD = 2e-3  # a saddlepoint formula that claims this accuracy is not checked by inversion


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureProbability:
    r"""Probability that a layer does not raise the cosine.

    Attributes
    ----------
    value : float
        In [0, 1]; 0 where it is below the smallest double.
    log_value : float
        Its natural logarithm, finite.
    method : str
        ``exact``, a closed form; ``inversion`` of a Laplace transform; ``saddlepoint``, a formula of Lugannani and
        Rice's kind.
    error : float
        Estimated relative error of `value`.
    """

    value: float
    log_value: float
    method: str
    error: float


def _layer(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, sigma_w2: ArrayLike, sigma_b2: ArrayLike
) -> tuple[float, float]:
    """Validate; return the cosine and the angle of the pre-activations."""
    c, a, b = as_cosine("cosine", cosine), as_positive("norm_u", norm_u), as_positive("norm_v", norm_v)
    theta = preactivation_angle(c, a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    if theta.ndim:
        raise ValueError(f"`cosine`, the norms and the variances must be single numbers, got shape {theta.shape}.")
    return float(c), float(theta)


def failure_rate(cosine: float, norm_u: float, norm_v: float, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0) -> float:
    r"""Exponential rate of failure, :math:`\lim -\tfrac1d\ln P(\text{not } c' > c_0)`.

    :math:`\ln 2` for :math:`c_0 < 0`; :math:`\ln(2\pi/(\pi + \theta_1))` at 0; :math:`I` for :math:`0 < c_0 < c^*`; 0
    from the sharp threshold :math:`c^*` on.

    Parameters
    ----------
    cosine : float
        Cosine :math:`c_0` of the inputs, in [-1, 1].
    norm_u, norm_v : float
        Norms, positive.
    sigma_w2, sigma_b2 : float
        As in `conetheory.contraction.preactivation_angle`.

    Returns
    -------
    float
        At least 0; error a few eps, relative a few eps over the square root of the value (compared with 40 digits).

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    Ours; `docs/theory.md`, 12.1 to 12.4. At :math:`\theta_1 = 0`, :math:`c_0 < 1` it is :math:`\ln 2`: there
    :math:`c' = 1` unless both outputs are zero.

    Examples
    --------
    >>> round(failure_rate(0.5, 1.0, 1.0), 12)
    0.083393010668
    """
    c, theta = _layer(cosine, norm_u, norm_v, sigma_w2, sigma_b2)
    if c == 1.0:
        return 0.0
    if c < 0 or theta == 0.0:
        return math.log(2.0)
    if c == 0.0:
        return -math.log1p((theta - math.pi) / (2.0 * math.pi))
    dominating = tilt(c, theta)
    return dominating.rate if dominating.t > 0 else 0.0


def chernoff_bound(
    cosine: float, norm_u: float, norm_v: float, width: int, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> float:
    r"""Upper bound :math:`e^{-dI}` of :math:`P(\text{not } c' > c_0)`, for :math:`c_0 \ge 0` and every width :math:`d`.

    An equality at :math:`c_0 = 0`. Parameters and errors are those of `failure_probability`, `cosine` in [0, 1]: for
    negative cosines failure is a union of two events, and twice as likely as :math:`2^{-d}` or nearly so.

    Returns
    -------
    float
        In [0, 1]; 1 from the sharp threshold on. Its logarithm is -`width` times `failure_rate`.

    Notes
    -----
    Ours; `docs/theory.md`, 12.3. Beyond the threshold the same expression does not bound the probability of success:
    the set of successes is not convex (12.8).

    Examples
    --------
    >>> print(f"{chernoff_bound(0.5, 1.0, 1.0, 64):.6f}")
    0.004810
    """
    if not as_cosine("cosine", cosine) >= 0:
        raise ValueError(f"`cosine` must lie in [0, 1], got {float(cosine)!r}.")
    rate = failure_rate(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return math.exp(-as_count("width", width) * rate)


def failure_probability(
    cosine: float, norm_u: float, norm_v: float, width: int, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> FailureProbability:
    r"""Probability :math:`P(\text{not } c' > c_0)` that a layer of width :math:`d` does not raise the cosine.

    Exact for :math:`c_0 \le 0`, :math:`c_0 = 1`, :math:`\theta_1 = 0` and :math:`d = 1`. Elsewhere a Laplace
    transform in three variables is inverted by quadrature, or, where that is less accurate or not needed,

    .. math:: P \approx \Phi(-r) + \varphi(r)\Bigl(\frac1v - \frac1r\Bigr),\quad r = \pm\sqrt{2dI},\quad
              v = t^*\sigma\sqrt d\,\Bigl(1 + \frac{t^*c_0s^2}{4\bar B}\Bigr)^{1/2},

    :math:`\sigma^2 = \operatorname{Var}X, \bar B = E\phi^2, s^2 = E(\phi^2 - \phi'^2)^2` under the tilted law, which
    is valid through :math:`t^* = 0`: at and beyond the sharp threshold too [2]_ [3]_.

    Parameters
    ----------
    cosine : float
        Cosine :math:`c_0` of the inputs, in [-1, 1].
    norm_u, norm_v : float
        Norms, positive.
    width : int
        Units of the layer, :math:`d \ge 1`.
    sigma_w2, sigma_b2 : float
        As in `conetheory.contraction.preactivation_angle`.

    Returns
    -------
    FailureProbability
        For :math:`c_0 \ge 0.05` its `error` is below 4e-3; half of 220 random layers had less than 4e-4 at 2 to 7
        units, 4e-5 at 8 to 23, 1e-6 up to 1000 and 2e-5 beyond. For smaller cosines it may reach 2e-2.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If `width` is not an integer.

    Notes
    -----
    Ours; `docs/theory.md`, 12.5 to 12.8. By inversion 0.1 s, below 48 units 0.5 s; by the formula, used from about
    3000 units on, 3 ms.

    Examples
    --------
    >>> found = failure_probability(0.9, 1.0, 1.0, 2048)
    >>> print(f"{found.value:.4g} {found.method}")
    4.284e-38 inversion
    """
    c, theta = _layer(cosine, norm_u, norm_v, sigma_w2, sigma_b2)
    width = as_count("width", width)
    log_exact = _exact(c, theta, width)
    if log_exact is not None:
        return _found(log_exact, "exact", 4e-16 * (1.0 + abs(log_exact)))
    dominating = tilt(c, theta)
    if c < _TINY:  # between P(A = 0) and Chernoff's bound
        log_value = width * math.log1p(0.5 * (theta / math.pi - 1.0))
        return _found(log_value, "exact", abs(width * dominating.rate + log_value) + 4e-16 * (1.0 - log_value))
    quick = _by_saddlepoint(c, theta, width, dominating)
    if quick.error <= _GOOD:
        return quick
    return min(quick, _by_inversion(c, theta, width, dominating), key=lambda found: found.error)


def _found(log_value: float, method: str, error: float) -> FailureProbability:
    return FailureProbability(value=math.exp(log_value), log_value=log_value, method=method, error=error)


def _exact(cosine: float, theta: float, width: int) -> float | None:
    r"""Logarithm of the closed form, where there is one."""
    apart = theta / math.pi
    if cosine == 1.0:
        return 0.0
    if cosine < 0 or theta == 0.0:  # 2 2^-d - ((pi - theta)/(2 pi))^d
        both = math.exp(width * math.log1p(-apart)) if apart < 1 else 0.0
        return -width * math.log(2.0) + math.log(2.0 - both)
    if cosine == 0.0 or width == 1:  # no unit is active on both inputs
        return width * math.log1p(0.5 * (apart - 1.0))
    return None


def _by_saddlepoint(cosine: float, theta: float, width: int, dominating: Tilt) -> FailureProbability:
    tails = log_tails(dominating, tilted_moments(dominating.t, cosine, theta), cosine, width)
    rare = dominating.t >= 0  # failure; else success, whose error is small beside the value
    error = tails.error if rare else tails.error * math.exp(tails.success - tails.failure)
    return _found(tails.failure, "saddlepoint", error)


def _by_inversion(cosine: float, theta: float, width: int, dominating: Tilt) -> FailureProbability:
    rest, error, log_scale = inverted(cosine, theta, width, dominating.t)
    log_atom = width * math.log1p(0.5 * (theta / math.pi - 1.0))  # of A = 0
    log_value = log_atom
    if rest > 0:
        log_rest = math.log(rest) + log_scale
        log_value = max(log_atom, log_rest) + math.log1p(math.exp(-abs(log_atom - log_rest)))
    else:
        error -= rest
    if not (error > 0 and log_value <= 0):
        return _found(min(log_atom, 0.0), "inversion", math.inf)
    return _found(log_value, "inversion", math.exp(min(math.log(error) + log_scale - log_value, 700.0)))
