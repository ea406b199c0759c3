r"""One ReLU layer in balls: what sections 1 and 2 of ``docs/theory.md`` define, with the powers of the angle split off.

Every function takes balls and returns a ball that contains all its values. :math:`\theta` is an angle in [0, pi],
:math:`\psi = \pi - \theta`; J_ab and :math:`\kappa` as in `conetheory.gaussian`. Variances are 1: a layer of variances
:math:`\sigma_w^2, \sigma_b^2` is that of norms :math:`\sigma_w a/\sigma_b, \sigma_w b/\sigma_b`.
"""

from flint import arb

from conetheory.proofs.series import Quotient

__all__ = [
    "CROSS_SINES",
    "FOURTH_SINES",
    "correlation",
    "cross_over_square",
    "fourth_over_fourth",
    "j11_over_cube",
    "j22",
    "j22_over_fifth",
    "j31",
    "j31_over_fifth",
    "kappa",
    "lift_over_cube",
    "margin",
    "versine_over_square",
]

_LIFT = Quotient(lambda x: x.sin() - x * x.cos(), 3)
_VERSINE = Quotient(lambda x: 1 - x.cos(), 2)
#: Sums of w_j (sin jθ − jθ) over the power of θ that they contain; 1b.4.
CROSS_SINES = Quotient(lambda x: -9 * (x.sin() - x) + 3 * ((2 * x).sin() - 2 * x) - ((3 * x).sin() - 3 * x), 3)
FOURTH_SINES = Quotient(lambda x: -18 * (x.sin() - x) + 9 * ((2 * x).sin() - 2 * x) - 2 * ((3 * x).sin() - 3 * x), 5)
_J22 = Quotient(lambda x: x * (1 + 2 * x.cos() * x.cos()) - 3 * x.sin() * x.cos(), 5)
_J31 = Quotient(lambda x: 3 * x.sin() - x.sin() * x.sin() * x.sin() - 3 * x * x.cos(), 5)


def lift_over_cube(theta: arb) -> arb:
    r"""Enclose :math:`(\kappa - \rho)/\theta^3 = (\sin\theta - \theta\cos\theta)/(\pi\theta^3)`.

    Examples
    --------
    >>> lift_over_cube(arb(0)).overlaps(1 / (3 * arb.pi()))
    True
    """
    return _LIFT(theta) / arb.pi()


def versine_over_square(theta: arb) -> arb:
    r"""Enclose :math:`(1 - \cos\theta)/\theta^2`.

    Examples
    --------
    >>> print(versine_over_square(arb(0)))
    0.500000000000000
    """
    return _VERSINE(theta)


def cross_over_square(theta: arb) -> arb:
    r"""Enclose :math:`E(\phi^2 + \phi'^2)(\phi - \phi')^2/\theta^2`; ``docs/theory.md``, 1b.4.

    Examples
    --------
    >>> cross_over_square(arb(0)).overlaps(arb("1.00000"))
    True
    """
    sines = theta * CROSS_SINES(theta)
    return (4 * (arb.pi() - theta) * _VERSINE(theta) * (2 - theta.cos()) + sines) / (2 * arb.pi())


def fourth_over_fourth(theta: arb) -> arb:
    r"""Enclose :math:`E(\phi - \phi')^4/\theta^4`; ``docs/theory.md``, 1b.4.

    Examples
    --------
    >>> fourth_over_fourth(arb(0)).overlaps(arb("1.50000"))
    True
    """
    versine = _VERSINE(theta)
    return (12 * (arb.pi() - theta) * versine * versine + theta * FOURTH_SINES(theta)) / (2 * arb.pi())


def j11_over_cube(psi: arb) -> arb:
    r"""Enclose :math:`J_{11}/\psi^3 = (\sin\psi - \psi\cos\psi)/(2\pi\psi^3)`.

    Examples
    --------
    >>> j11_over_cube(arb(0)).overlaps(1 / (6 * arb.pi()))
    True
    """
    return _LIFT(psi) / (2 * arb.pi())


def j22_over_fifth(psi: arb) -> arb:
    r"""Enclose :math:`J_{22}/\psi^5`.

    Examples
    --------
    >>> j22_over_fifth(arb(0)).overlaps(2 / (15 * arb.pi()))
    True
    """
    return _J22(psi) / (2 * arb.pi())


def j31_over_fifth(psi: arb) -> arb:
    r"""Enclose :math:`J_{31}/\psi^5`.

    Examples
    --------
    >>> j31_over_fifth(arb(0)).overlaps(1 / (5 * arb.pi()))
    True
    """
    return _J31(psi) / (2 * arb.pi())


def j22(theta: arb) -> arb:
    r"""Enclose :math:`J_{22} = [(\pi-\theta)(1 + 2\cos^2\theta) + 3\sin\theta\cos\theta]/(2\pi)`.

    Examples
    --------
    >>> j22(arb(0)).overlaps(arb("1.50000"))
    True
    """
    sin, cos = theta.sin_cos()
    return ((arb.pi() - theta) * (1 + 2 * cos * cos) + 3 * sin * cos) / (2 * arb.pi())


def j31(theta: arb) -> arb:
    r"""Enclose :math:`J_{31} = [3(\pi-\theta)\cos\theta + 3\sin\theta - \sin^3\theta]/(2\pi)`.

    Examples
    --------
    >>> j31(arb(0)).overlaps(arb("1.50000"))
    True
    """
    sin, cos = theta.sin_cos()
    return (3 * (arb.pi() - theta) * cos + 3 * sin - sin**3) / (2 * arb.pi())


def kappa(theta: arb) -> arb:
    r"""Enclose :math:`\kappa = [\sin\theta + (\pi-\theta)\cos\theta]/\pi`.

    Examples
    --------
    >>> kappa(arb(0)).overlaps(arb("1.00000"))
    True
    """
    sin, cos = theta.sin_cos()
    return (sin + (arb.pi() - theta) * cos) / arb.pi()


def correlation(cosine: arb, norm_u: arb, norm_v: arb) -> arb:
    r"""Enclose :math:`\rho_1 = (abc_0 + 1)/\sqrt{(1 + a^2)(1 + b^2)}` for positive norms.

    With :math:`\tan\alpha_u = 1/a` it is :math:`c_0\cos(\alpha_u - \alpha_v) + (1 - c_0)\sin\alpha_u\sin\alpha_v`
    (``docs/theory.md``, 2.2), whose ball is far narrower: a and b enter in terms of opposite growth no more.

    Examples
    --------
    >>> correlation(arb(0), arb(1), arb(1)).overlaps(arb("0.5"))
    True
    """
    alpha_u, alpha_v = (1 / norm_u).atan(), (1 / norm_v).atan()
    return cosine * (alpha_u - alpha_v).cos() + (1 - cosine) * alpha_u.sin() * alpha_v.sin()


def margin(cosine: arb, norm_u: arb, norm_v: arb) -> arb:
    r"""Enclose :math:`\kappa(\rho_1(c_0)) - c_0` for positive norms, away from :math:`\rho_1 = 1`.

    .. math:: (1 - c_0)\sin\alpha_u\sin\alpha_v - 2c_0\sin^2\tfrac{\alpha_u-\alpha_v}2
              + (\sin\theta_1 - \theta_1\cos\theta_1)/\pi

    Examples
    --------
    >>> bool(margin(arb(0), arb(1), arb(1)) > 0)
    True
    """
    alpha_u, alpha_v = (1 / norm_u).atan(), (1 / norm_v).atan()
    theta = correlation(cosine, norm_u, norm_v).acos()
    apart = ((alpha_u - alpha_v) / 2).sin()
    return (1 - cosine) * alpha_u.sin() * alpha_v.sin() - 2 * cosine * apart * apart + _lift(theta)


def _lift(theta: arb) -> arb:
    """Enclose (sin theta - theta cos theta) / pi, which increases, by its values at the two ends."""
    low, high = theta.lower(), theta.upper()
    return (low.sin() - low * low.cos()).union(high.sin() - high * high.cos()) / arb.pi()
