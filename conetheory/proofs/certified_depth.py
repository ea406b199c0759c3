r"""Certificates about depth: what one layer of He's initialisation without bias does at least, ``docs/theory.md``, 3.

As in `conetheory.proofs.certified_layer`: angles as pi x, the power of the angle divided out, a `constant` that
strengthens the inequality, at least 0.
"""

from flint import arb

from conetheory.proofs.balls import Exact, ball, power
from conetheory.proofs.domains import as_constant
from conetheory.proofs.relu_balls import lift_over_cube, versine_over_square
from conetheory.proofs.series import Quotient
from conetheory.proofs.subdivision import Certificate, over_angle, prove_positive

__all__ = ["complement_at_least_half", "he_initialisation_rate"]


def _half_rest(angle: arb) -> arb:
    r"""Return :math:`[\frac12(1 - \cos x) - (\sin x - x\cos x)/\pi]/x^2`."""
    return versine_over_square(angle) / 2 - angle * lift_over_cube(angle)


def complement_at_least_half(constant: Exact = "0.18") -> Certificate:
    r"""Certify :math:`1 - \kappa(1 - \epsilon) > \epsilon/2 + C\epsilon(2 - \epsilon)` for all differing inputs; 3.4.

    :math:`\epsilon = 1 - \rho \in (0, 2)`. The difference is :math:`\frac12(1 - \cos x) - (\sin x - x\cos x)/\pi
    - C\sin^2x` both for :math:`x = \theta` and for :math:`x = \psi`.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`\frac12 - \frac1\pi = 0.1816\dots`.

    Examples
    --------
    >>> complement_at_least_half().proven, complement_at_least_half("0.182").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "complement_at_least_half",
        f"1 − κ(1 − ε) > ε/2 + {constant} ε (2 − ε)",
        "ε in (0, 2)",
        over_angle(lambda angle: _half_rest(angle) - ball(least) * power(angle.sinc(), 2), "1/2"),
    )


_VERSINE_REST = Quotient(lambda x: 1 - x.cos() - x * x / 2, 4)
_LIFT_REST = Quotient(lambda x: x.sin() - x * x.cos() - x * x * x / 3, 5)


def _he_rest(theta: arb) -> arb:
    r"""Return :math:`[\kappa(\cos\theta) - \cos(\theta/(1+u))]/\theta^4`."""
    grown = 1 + theta / (3 * arb.pi())  # 1 + u
    squares = (1 + 2 * grown) / (18 * arb.pi() ** 2 * grown * grown)
    fourths = _VERSINE_REST(theta / grown) / grown**4 - _VERSINE_REST(theta)
    return squares + fourths + theta * _LIFT_REST(theta) / arb.pi()


def he_initialisation_rate(constant: Exact = "0.0072") -> Certificate:
    r"""Certify :math:`1/\theta' > 1/\theta + 1/(3\pi)` for a layer of He's initialisation without bias; 3.7, 20.4.

    Hence :math:`\theta_l < 3\pi/(l + 3\pi/\theta_0)` after l layers. As an inequality of cosines it is
    :math:`\kappa(\cos\theta) > \cos(\theta/(1 + u))`, :math:`u = \theta/(3\pi)`; the difference exceeds
    :math:`C\theta^4`.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`1/(\sqrt2\,\pi^4) = 0.007259\dots`.

    Examples
    --------
    >>> he_initialisation_rate().proven, he_initialisation_rate("0.0073").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "he_initialisation_rate",
        f"κ(cos θ) > cos(θ/(1 + θ/(3π))) + {constant} θ⁴, hence 1/θ′ > 1/θ + 1/(3π)",
        "θ in (0, π]",
        over_angle(lambda theta: _he_rest(theta) - ball(least), 1),
    )
