r"""The moment generating function of Theorem 1's contrast, in balls.

.. math:: M(t) = E e^{-tX} = \frac1{2\pi}\oint\frac{d\alpha}{1 + 2t\,h(\alpha)},\qquad
          h = \cos_+\alpha\cos_+(\alpha-\theta) - \tfrac{c_0}2(\cos_+^2\alpha + \cos_+^2(\alpha-\theta))

P(failure) is at most :math:`M(t)^d` for every width d and t >= 0. Where h vanishes the integrand is 1; where one
cosine is positive, and where both are, it is :math:`1/(A + Bs^2)` in the tangent of an angle. For :math:`\theta` in
(0, pi/2), which :math:`c_0 > 0` implies,

.. math:: 2\pi M = (\pi - \theta) + 2H(1, 1 - tc_0, \tan\theta) + 2H(A, B, \cot\tfrac\theta2),\quad
          H(A, B, \tau) = \int_0^\tau\frac{ds}{A + Bs^2},

:math:`A = 1 + t(1+\rho)(1-c_0)`, :math:`B = 1 - t(1-\rho)(1+c_0)` (``docs/theory.md``, 20.5). H increases in
:math:`\tau` and decreases in A and B, so its ball is spanned by two corners.
"""

from flint import arb

from conetheory.proofs.balls import Integrand, integrate, power

__all__ = ["arctangent_integral", "contrast_mgf", "contrast_mgf_by_quadrature", "unit_norm_gap"]

_NEAR_ZERO = arb(2) ** -24


def _arctangent_ratio(y: arb) -> arb:
    r"""Return :math:`\arctan(\sqrt y)/\sqrt y`, continued to y > -1, at one number; nan if that is not certain."""
    if y > _NEAR_ZERO:
        root = y.sqrt()
        return root.atan() / root
    if y < -_NEAR_ZERO:
        root = (-y).sqrt()
        return root.atanh() / root
    if abs(y) < 2 * _NEAR_ZERO:  # alternating in y, at most geometric in |y|
        tail = power(abs(y), 8)
        return sum((power(-y, k) / (2 * k + 1) for k in range(8)), start=arb(0)) + tail.union(-tail)
    return arb.nan()


def arctangent_integral(first: arb, second: arb, tangent: arb) -> arb:
    r"""Enclose :math:`H(A, B, \tau) = \int_0^\tau ds/(A + Bs^2)` for A > 0, :math:`\tau \ge 0`.

    Parameters
    ----------
    first, second, tangent : arb
        A, B, :math:`\tau`.

    Returns
    -------
    arb
        The ball that the corners span; nan if :math:`A + B\tau^2 > 0` is not certain.

    Examples
    --------
    >>> arctangent_integral(arb(1), arb(1), arb(1)).overlaps(arb.pi() / 4)
    True
    """
    if not first > 0 or tangent < 0:
        return arb.nan()
    nearest = tangent.lower() if tangent >= 0 else arb(0)  # a ball for [0, x] reaches below 0 by rounding

    def at(a: arb, b: arb, tau: arb) -> arb:
        return tau / a * _arctangent_ratio(b * tau * tau / a)

    return at(first.upper(), second.upper(), nearest).union(at(first.lower(), second.lower(), tangent.upper()))


def contrast_mgf(t: arb, cosine: arb, theta: arb) -> arb:
    r"""Enclose M(t) for :math:`c_0 > 0`, :math:`\theta` in (0, pi/2); nan where it may be infinite.

    Parameters
    ----------
    t, cosine, theta : arb
        :math:`t \ge 0`, :math:`c_0`, :math:`\theta_1`.

    Examples
    --------
    >>> bool(contrast_mgf(arb(1), arb("0.5"), arb("0.75").acos()) < 1)
    True
    """
    rho = theta.cos()
    single = arctangent_integral(arb(1), 1 - t * cosine, theta.tan())
    double = arctangent_integral(1 + t * (1 + rho) * (1 - cosine), 1 - t * (1 - rho) * (1 + cosine), (theta / 2).cot())
    return (arb.pi() - theta + 2 * single + 2 * double) / (2 * arb.pi())


def unit_norm_gap(theta: arb) -> arb:
    r"""Enclose :math:`[\frac12 + \frac{\sqrt2}3 - M(t)]/\theta` at unit norms, :math:`t = 1/(4(1-c_0))`.

    The constant is the limit of M as :math:`c_0 \to 1`. With :math:`c_0 = 2\cos\theta - 1`, :math:`A = \frac54 +
    \frac14\cos\theta`, :math:`B = 1 - \frac14\cos\theta`, :math:`\sigma = \tan\frac\theta2` and
    :math:`H(A, B, 1/\sigma) = \pi/(2\sqrt{AB}) - H(B, A, \sigma)`, the difference times :math:`2\pi` is

    .. math:: \theta - 2\tan\theta\,F(y) + 2H(B, A, \sigma) + \pi\Bigl(\sqrt{8/9} - \frac1{\sqrt{AB}}\Bigr),\quad
              F(y) = \frac{\arctan\sqrt y}{\sqrt y},\quad
              y = \tan^2\theta - \frac{(2\cos\theta - 1)(1 + \cos\theta)}{8\cos^2\theta}.

    Parameters
    ----------
    theta : arb
        Angle of the pre-activations, in [0, pi/3].

    Examples
    --------
    >>> bool(unit_norm_gap(arb(0)) > 0)
    True
    """
    cos, half = theta.cos(), theta / 2
    first, second = (5 + cos) / 4, 1 - cos / 4
    y = power(theta.tan(), 2) - (2 * cos - 1) * (1 + cos) / (8 * cos * cos)
    single = theta.sinc() / cos * _arctangent_ratio(y.lower()).union(_arctangent_ratio(y.upper()))
    tangent = half.tan()
    x = first * tangent * tangent / second
    outer = half.sinc() / (2 * half.cos() * second) * _arctangent_ratio(x.lower()).union(_arctangent_ratio(x.upper()))
    # 8/9 - 1/(AB) over θ: with v = 1 - cos θ, AB - 9/8 = v (3 - v)/16
    versine = half * half.sinc() ** 2  # v / θ
    product = first * second
    roots = versine * (2 + cos) / (18 * product * (arb(8) / 9).sqrt() + 18 * product.sqrt())
    return (1 - 2 * single + 2 * outer + arb.pi() * roots) / (2 * arb.pi())


def contrast_mgf_by_quadrature(t: arb, cosine: arb, theta: arb) -> arb:
    """Enclose M(t) as `contrast_mgf` does, by rigorous quadrature of the definition between its kinks.

    Examples
    --------
    >>> at = arb(1), arb("0.5"), arb("0.75").acos()
    >>> contrast_mgf_by_quadrature(*at).overlaps(contrast_mgf(*at))
    True
    """
    quarter = arb.pi() / 2

    def single(angle: Integrand) -> Integrand:
        return 1 / (1 - t * cosine * angle.cos() ** 2)

    def double(angle: Integrand) -> Integrand:
        u, v = angle.cos(), (angle - theta).cos()
        return 1 / (1 + 2 * t * (u * v - (u * u + v * v) * cosine / 2))

    total = 2 * integrate(single, -quarter, theta - quarter) + integrate(double, theta - quarter, quarter)
    return (arb.pi() - theta + total) / (2 * arb.pi())
