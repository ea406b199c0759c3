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

from ._active_pairs import pair_failure, success_of_few
from ._arrays import as_cosine, as_count, as_positive
from ._failure_inversion import inverted
from ._relu_tilt import Tilt, tilt, tilted_moments
from ._saddlepoint import log_tails
from .contraction import preactivation_angle

__all__ = ["FailureProbability", "chernoff_bound", "failure_probability", "failure_rate"]

_TINY = 1e-20  # cosines below are as good as 0 or this one: the rate differs by their square root
_GOOD = 2e-3  # a saddlepoint formula that claims this accuracy is not checked by inversion
_ROUGH = 0.1  # the same for success beyond the threshold, which the inversion gives only where it is not rare
_EPS = 4e-16
_QUADRATURE = 1e-13
_LARGEST = -1e-12
_MOST_UNITS = 10**15  # of a layer: beyond it the logarithm is not known to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureProbability:
    r"""Probability that a layer does not raise the cosine.

    Attributes
    ----------
    value : float
        In [0, 1]; 0 where it is below the smallest double.
    log_value : float
        Its natural logarithm, finite.
    log_success : float
        That of :math:`1 - P`, accurate beyond the threshold too, where `value` may round to 1.
    method : str
        ``exact``, a closed form; ``quadrature`` over two units; ``inversion`` of a Laplace transform; ``few units``,
        an expansion about layers of one active unit; ``saddlepoint``, a formula of Lugannani and Rice's kind.
    error : float
        Estimated relative error of `value`.
    success_error : float
        That of :math:`1 - P`. Above 1 it says that the value is not known.
    """

    value: float
    log_value: float
    log_success: float
    method: str
    error: float
    success_error: float


def _layer(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, sigma_w2: ArrayLike, sigma_b2: ArrayLike
) -> tuple[float, float]:
    """Validate; return the cosine and the angle of the pre-activations."""
    c, a, b = as_cosine("cosine", cosine), as_positive("norm_u", norm_u), as_positive("norm_v", norm_v)
    theta = preactivation_angle(c, a, b, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    if theta.ndim:
        raise ValueError(f"`cosine`, the norms and the variances must be single numbers, got shape {theta.shape}.")
    return float(c), float(theta)


def _units(width: int) -> int:
    width = as_count("width", width)
    if width > _MOST_UNITS:
        raise ValueError(f"`width` must be at most {_MOST_UNITS}, got about 2^{width.bit_length()}.")
    return width


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
    dominating = tilt(max(c, _TINY), theta)
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
    return math.exp(-_units(width) * rate)


def failure_probability(
    cosine: float, norm_u: float, norm_v: float, width: int, *, sigma_w2: float = 1.0, sigma_b2: float = 1.0
) -> FailureProbability:
    r"""Probability :math:`P(\text{not } c' > c_0)` that a layer of width :math:`d` does not raise the cosine.

    Exact for :math:`c_0 \le 0`, :math:`c_0 = 1`, :math:`\theta_1 = 0` and :math:`d = 1`, and by quadrature to
    rounding for :math:`d = 2`. Elsewhere a Laplace transform in three variables is inverted by quadrature, or, where
    that is less accurate or not needed,

    .. math:: P \approx \Phi(-r) + \varphi(r)\Bigl(\frac1v - \frac1r\Bigr),\quad r = \pm\sqrt{2dI},\quad
              v = t^*\sigma\sqrt d\,\Bigl(1 + \frac{t^*c_0s^2}{4\bar B}\Bigr)^{1/2},

    :math:`\sigma^2 = \operatorname{Var}X, \bar B = E\phi^2, s^2 = E(\phi^2 - \phi'^2)^2` under the tilted law, which
    is valid through :math:`t^* = 0`: at and beyond the sharp threshold too [2]_ [3]_, but not uniformly as
    :math:`c_0 \to 1` there. Then success is left to one or two active units, whose part is a quadrature.

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
        For :math:`c_0 \ge 0.05` the stated `error` is 1e-13 at 2 units, about 4e-3 at 3, 2e-3 at 5, 1e-3 at 8, 4e-4
        to 6e-5 at 16 to 47, 1e-6 to 2e-4 beyond. It covers the true error of the layers compared with 2e7 sampled ones
        (`docs/theory.md`, 12.7), within their standard errors, on both sides of the threshold. It is no bound.

    Raises
    ------
    ValueError
        If an argument is outside its domain.
    TypeError
        If `width` is not an integer.

    Notes
    -----
    Ours; `docs/theory.md`, 12.5 to 12.8. By inversion 0.1 s, below 48 units 0.6 s; by the formula, used from about
    3000 units on, 3 ms. Success beyond the threshold is known badly, as `success_error` says, between the widths where
    it is left to one or two active units and those where the formula holds.

    Examples
    --------
    >>> found = failure_probability(0.9, 1.0, 1.0, 2048)
    >>> print(f"{found.value:.4g} {found.method}")
    4.284e-38 inversion
    """
    c, theta = _layer(cosine, norm_u, norm_v, sigma_w2, sigma_b2)
    width = _units(width)
    log_exact = _exact(c, theta, width)
    if log_exact is not None:
        return _from_failure(log_exact, "exact", 0.0)
    if c < _TINY:  # between P(A = 0) and Chernoff's bound, at c0 = _TINY: the rate falls in c0
        log_value = width * math.log1p(0.5 * (theta / math.pi - 1.0))
        return _from_failure(log_value, "exact", abs(width * tilt(_TINY, theta).rate + log_value))
    if width == 2:
        return _from_failure(math.log(_atom(theta, 2) + pair_failure(c, theta)), "quadrature", _QUADRATURE)
    dominating = tilt(c, theta)
    quick = _by_saddlepoint(c, theta, width, dominating)
    if dominating.t >= 0 and quick.error <= _GOOD:
        return quick
    found = min(quick, _by_few_units(c, theta, width), key=_inaccuracy)
    if found.error <= _GOOD and found.success_error <= _ROUGH:
        return found
    return min(found, _by_inversion(c, theta, width, dominating), key=_inaccuracy)


def _inaccuracy(found: FailureProbability) -> float:
    return found.error + found.success_error


def _atom(theta: float, width: int) -> float:
    """P(A = 0): no unit is active on both inputs."""
    return math.exp(width * math.log1p(0.5 * (theta / math.pi - 1.0)))


def _log_complement(log_value: float) -> float:
    return math.log(-math.expm1(log_value)) if log_value > -math.log(2.0) else math.log1p(-math.exp(log_value))


def _found(logs: tuple[float, float], method: str, error: float, success_error: float) -> FailureProbability:
    """`logs` of failure and success; the errors are those of the logarithms, rounding is added."""
    rounding = [_EPS * (1.0 + abs(log)) if math.isfinite(log) else 0.0 for log in logs]
    return FailureProbability(
        value=math.exp(logs[0]),
        log_value=logs[0],
        log_success=logs[1],
        method=method,
        error=error + rounding[0],
        success_error=success_error + rounding[1],
    )


def _from_failure(log_value: float, method: str, error: float) -> FailureProbability:
    if log_value >= 0.0:
        return _found((0.0, -math.inf), method, error, 0.0 if method == "exact" else math.inf)  # exact: c0 = 1
    log_success = _log_complement(log_value)
    return _found((log_value, log_success), method, error, (error + _EPS) * math.exp(log_value - log_success))


def _from_success(log_success: float, method: str, error: float) -> FailureProbability:
    log_value = _log_complement(log_success)
    return _found((log_value, log_success), method, error * math.exp(log_success - log_value), error)


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
    if dominating.t >= 0:
        return _from_failure(tails.failure, "saddlepoint", tails.error)
    return _from_success(tails.success, "saddlepoint", tails.error)


def _by_few_units(cosine: float, theta: float, width: int) -> FailureProbability:
    few = success_of_few(cosine, theta, width)
    log_success = min(few.log_success + math.log1p(min(few.missing, 1.0)), _LARGEST)
    return _from_success(log_success, "few units", few.missing + _QUADRATURE)


def _by_inversion(cosine: float, theta: float, width: int, dominating: Tilt) -> FailureProbability:
    rest, error, log_scale = inverted(cosine, theta, width, dominating.t)
    log_atom = width * math.log1p(0.5 * (theta / math.pi - 1.0))  # of A = 0
    log_value = log_atom
    if rest > 0:
        log_rest = math.log(rest) + log_scale
        log_value = max(log_atom, log_rest) + math.log1p(math.exp(-abs(log_atom - log_rest)))
    else:
        error -= rest
    if not (error > 0 and log_value < 0):
        return _from_failure(min(log_atom, 0.0), "inversion", math.inf)
    return _from_failure(log_value, "inversion", math.exp(min(math.log(error) + log_scale - log_value, 700.0)))
