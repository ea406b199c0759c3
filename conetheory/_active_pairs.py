r"""Theorem 1 on layers with one or two active units: exact by quadrature. Private: arguments are validated.

Let both inputs activate units 1 and 2, :math:`\phi_i\phi_i' = g_i`, :math:`\phi_i'/\phi_i = e^{2a_i}`. With
:math:`k = (1-c_0^2)/c_0^2` the pair fails where
:math:`\cosh\ln(g_2/g_1) \le \cosh Z`, :math:`\sinh^2(a_1-a_2) = \tfrac k2(1 + \cosh Z)`. Each :math:`a` has the density
:math:`q(a)/2\pi`, :math:`q = \tau/(\tau^2\cosh^2a + \sinh^2a)`, :math:`\tau = \tan\tfrac\theta2`, and given it
:math:`g` is :math:`q(a)` times an exponential variable, so that the pair fails with probability
:math:`\sinh Z/(\cosh Z + \cosh\ln(q_2/q_1))`. If one input alone activates unit 2, the probability is
:math:`\sin^2\delta/(\sin^2\delta + k\sin^2\omega)`, :math:`\delta` uniform on :math:`(0,\theta)` and :math:`\omega` on
:math:`(0,\pi-\theta)` (`docs/theory.md`, 12.7).

As :math:`c_0 \to 1` success is left to few active units, as many as one: one unit that both inputs activate has
:math:`c' = 1`.
"""

import math
from typing import NamedTuple

import numpy as np

from ._quadrature import _unit_legendre

__all__ = ["Few", "pair_failure", "pair_success", "success_of_few"]

_STEP, _REACH, _ORDER = 0.3, 40.0, 80  # in Z, whose integrand is even and analytic for |Im Z| < pi; Gauss points
_FURTHEST = 20.0  # of a: q has fallen to e^-40


class Few(NamedTuple):
    r"""Logarithm of P(success, at most two active units) and the share of the others, estimated."""

    log_success: float
    missing: float


def _ratio(cosine: float) -> float:
    return (1.0 - cosine) * (1.0 + cosine) / cosine**2


def _both_and_both(cosine: float, theta: float) -> float:
    k, tau = _ratio(cosine), math.tan(0.5 * theta)
    z = np.arange(1.0, (_REACH + max(0.0, -math.log(k))) / _STEP) * _STEP
    apart = np.arcsinh(math.sqrt(k) * np.cosh(0.5 * z))
    slope = 0.5 * math.sqrt(k) * np.sinh(0.5 * z) / np.cosh(apart)
    nodes, weights = _unit_legendre(_ORDER)
    ends = -np.arcsinh(0.5 * apart / tau), np.full_like(apart, math.asinh(_FURTHEST / tau))
    x = np.concatenate([np.multiply.outer(end, nodes) for end in ends], axis=1)
    dx = np.concatenate([np.multiply.outer(np.abs(end), weights) for end in ends], axis=1)
    a = tau * np.sinh(x)
    near, far = (tau / ((tau * np.cosh(b)) ** 2 + np.sinh(b) ** 2) for b in (a, a + apart[:, None]))
    contrast = 0.5 * (near / far + far / near)
    fails = near * far * np.sinh(z)[:, None] / (np.cosh(z)[:, None] + contrast)
    inner = (fails * dx * tau * np.cosh(x)).sum(axis=1)
    return 4.0 * _STEP * float(inner @ slope) / (2.0 * math.pi) ** 2  # either order, either side of the middle


def _both_and_one(cosine: float, theta: float) -> float:
    k = _ratio(cosine)
    scale = min(math.sqrt(k), 1.0) * theta
    nodes, weights = _unit_legendre(_ORDER)
    end = math.asinh(theta / scale)
    sine, slope = np.sin(scale * np.sinh(end * nodes)), scale * np.cosh(end * nodes) * end
    root = np.sqrt(sine**2 + k)
    inner = sine / root * np.arctan2(root * math.sin(theta), -sine * math.cos(theta))
    return 4.0 * float((inner * slope) @ weights) / (2.0 * math.pi) ** 2


def pair_failure(cosine: float, theta: float) -> float:
    r"""P(failure, A > 0, both of two units active), :math:`0 < c_0 < 1`, :math:`0 < \theta < \pi/2`."""
    return _both_and_both(cosine, theta) + _both_and_one(cosine, theta)


def pair_success(cosine: float, theta: float) -> float:
    r"""P(success, both of two units active); absolute error a few eps."""
    both = 0.5 * (1.0 - theta / math.pi)
    return both * (both + 2.0 * theta / math.pi) - pair_failure(cosine, theta)


def success_of_few(cosine: float, theta: float, width: int) -> Few:
    r"""P(success) of layers with one or two active units, a lower bound of P(success).

    With :math:`p_0 = (\pi-\theta)/2\pi` and :math:`s` = `pair_success` / :math:`p_0^2` it is
    :math:`p_0^d(d + \binom d2s)`; the next terms are taken for :math:`p_0^d\binom dks^{k-1}`.
    """
    both = 0.5 * (1.0 - theta / math.pi)
    share = max(pair_success(cosine, theta), 0.0) / both**2
    known = 1.0 + 0.5 * (width - 1) * share
    missing, term = 0.0, 0.5 * (width - 1) * share
    for k in range(3, width + 1):
        term *= (width - k + 1) * share / k
        missing += term
        if term <= 1e-17 * missing or missing > 1e3 * known:
            break
    return Few(width * math.log(both) + math.log(width * known), missing / known)
