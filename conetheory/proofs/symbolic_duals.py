r"""Dual activations in closed form, derived from their definitions by SymPy; ``docs/theory.md``, 1.3, 1.7, 1.8.

u and v are centred Gaussians of variances p, q and covariance c. Three routes: functions that are linear on either side
of 0 by the polar integral over the four sectors between the rays u = 0 and v = 0; exponentials and Gaussians by
completing squares; the others by Price's theorem, :math:`\partial_c E\phi(u)\phi(v) = E\phi'(u)\phi'(v)`, and the value
at c = 0, where u and v are independent.
"""

from typing import Any

from conetheory.proofs._sympy import sympy
from conetheory.proofs.symbolic_moments import ALPHA, THETA, Derivation, polar_integral, radial_moment, reduced

__all__ = [
    "COVARIANCE",
    "VARIANCES",
    "absolute_value",
    "cosine",
    "erf",
    "gaussian",
    "gelu",
    "leaky_relu",
    "maxout2",
    "sine",
    "step",
]

Expr = Any  # a SymPy expression

VARIANCES = sympy.symbols("p q", positive=True)
COVARIANCE = sympy.Symbol("c", real=True)
_P, _Q = VARIANCES
_U, _V, _Z = sympy.symbols("u v z", real=True)
_PI = sympy.pi
_SIGMA = sympy.Matrix([[_P, COVARIANCE], [COVARIANCE, _Q]])


def _sector_dual(degree: int, right: Expr, left: Expr) -> Expr:
    r"""Return :math:`E\phi(u)\phi(v)` at unit variances, :math:`\phi(x) = r|x|^k` for x > 0, :math:`l|x|^k` for x < 0.

    The sign of u = R cos(alpha) changes at pi/2 and 3 pi/2, that of v = R cos(alpha - theta) at theta beyond them.
    """
    half = _PI / 2
    sectors = [  # ends, values, sign of u v
        (THETA - half, half, right * right, 1),
        (half, THETA + half, left * right, -1),
        (THETA + half, 3 * half, left * left, 1),
        (3 * half, THETA + 3 * half, right * left, -1),
    ]
    product = (sympy.cos(ALPHA) * sympy.cos(ALPHA - THETA)) ** degree
    parts = (values * sign**degree * polar_integral(product, low, high) for low, high, values, sign in sectors)
    return radial_moment(2 * degree) * sum(parts) / (2 * _PI)


def leaky_relu() -> Derivation:
    r"""Derive :math:`\lambda\rho + (1-\lambda)^2J_{11}` for :math:`\phi(x) = x` or, below 0, :math:`\lambda x`; 1.7.

    Examples
    --------
    >>> leaky_relu().residuals
    {'dual': 0}
    """
    slope = sympy.Symbol("lambda", real=True)
    j11 = (sympy.sin(THETA) + (_PI - THETA) * sympy.cos(THETA)) / (2 * _PI)
    closed = slope * sympy.cos(THETA) + (1 - slope) ** 2 * j11
    derived = _sector_dual(1, 1, -slope)  # l x = (-l)|x| for x < 0
    return Derivation(closed={"dual": closed}, residuals={"dual": reduced(closed - derived)})


def absolute_value() -> Derivation:
    r"""Derive :math:`\frac2\pi[\sin\theta + (\frac\pi2-\theta)\cos\theta]` for :math:`\phi = |x|`, unit variances.

    Examples
    --------
    >>> absolute_value().residuals
    {'dual': 0}
    """
    closed = 2 * (sympy.sin(THETA) + (_PI / 2 - THETA) * sympy.cos(THETA)) / _PI
    derived = _sector_dual(1, 1, 1)
    return Derivation(closed={"dual": closed}, residuals={"dual": reduced(closed - derived)})


def step() -> Derivation:
    r"""Derive :math:`(\pi-\theta)/(2\pi)` for the step function: the quadrant probability; 1.3.

    Examples
    --------
    >>> step().residuals
    {'dual': 0}
    """
    closed = (_PI - THETA) / (2 * _PI)
    derived = _sector_dual(0, 1, 0)
    return Derivation(closed={"dual": closed}, residuals={"dual": reduced(closed - derived)})


def maxout2() -> Derivation:
    r"""Derive :math:`\frac12(\rho + E|u||v|)` for :math:`\max(u_1, u_2)`, two independent pairs of unit variance.

    :math:`\max(x, y) = \frac12(x + y) + \frac12|x - y|`. Sums and differences of two independent pairs are
    uncorrelated, so independent; a pair of differences is :math:`\sqrt2` times a pair of the same correlation.

    Examples
    --------
    >>> maxout2().residuals
    {'dual': 0, 'sum and difference': 0}
    """
    x1, x2, y1, y2 = sympy.symbols("x_1 x_2 y_1 y_2", real=True)
    rho, magnitude = sympy.cos(THETA), absolute_value().closed["dual"]
    covariances = {x1 * y1: rho, x2 * y2: rho, x1 * y2: 0, x2 * y1: 0}
    sums = sympy.expand((x1 + x2) * (y1 + y2)).subs(covariances)
    mixed = sympy.expand((x1 + x2) * (y1 - y2)).subs(covariances)
    derived = (sums + 2 * magnitude) / 4
    closed = (rho + magnitude) / 2
    return Derivation(
        closed={"dual": closed}, residuals={"dual": reduced(closed - derived), "sum and difference": mixed}
    )


def _gaussian_integral(exponent: Expr, *variables: Expr) -> Expr:
    r"""Return :math:`\int e^{-Ax^2+Bx+C}dx = \sqrt{\pi/A}\,e^{B^2/(4A)+C}`, one variable after the other."""
    factor = sympy.Integer(1)
    for x in variables:
        poly = sympy.Poly(sympy.expand(exponent), x)
        square, linear, constant = -poly.coeff_monomial(x**2), poly.coeff_monomial(x), poly.coeff_monomial(1)
        factor *= sympy.sqrt(_PI / square)
        exponent = sympy.together(linear**2 / (4 * square) + constant)
    return factor * sympy.exp(sympy.simplify(exponent))


def _expectation_of_exponential(exponent: Expr) -> Expr:
    """Return the expectation of exp(exponent), a polynomial of degree 2 in u and v."""
    point = sympy.Matrix([_U, _V])
    density = -(point.T * _SIGMA.inv() * point)[0] / 2
    return _gaussian_integral(exponent + density, _U, _V) / (2 * _PI * sympy.sqrt(_SIGMA.det()))


def gaussian() -> Derivation:
    r"""Derive :math:`\det(I + 2\Sigma)^{-1/2}` for :math:`\phi(x) = e^{-x^2}`.

    Examples
    --------
    >>> gaussian().residuals
    {'dual squared': 0}
    """
    closed = 1 / sympy.sqrt((1 + 2 * _P) * (1 + 2 * _Q) - 4 * COVARIANCE**2)
    derived = _expectation_of_exponential(-(_U**2) - _V**2)
    return Derivation(closed={"dual": closed}, residuals={"dual squared": sympy.simplify(closed**2 - derived**2)})


def _harmonics() -> tuple[Expr, Expr]:
    """Return E cos(u - v) and E cos(u + v), the real parts of characteristic functions."""
    scale = sympy.Symbol("scale", positive=True)
    density = sympy.exp(-(_Z**2) / 2) / sympy.sqrt(2 * _PI)
    wave = sympy.integrate(sympy.cos(scale * _Z) * density, (_Z, -sympy.oo, sympy.oo))
    squares = [_P + _Q - 2 * COVARIANCE, _P + _Q + 2 * COVARIANCE]
    minus, plus = (sympy.expand(sympy.log(wave), force=True).subs(scale**2, square) for square in squares)
    return sympy.exp(minus), sympy.exp(plus)


def sine() -> Derivation:
    r"""Derive :math:`e^{-(p+q)/2}\sinh c` for the sine: half of :math:`E\cos(u-v) - E\cos(u+v)`.

    Examples
    --------
    >>> sine().residuals
    {'dual': 0}
    """
    minus, plus = _harmonics()
    closed = sympy.exp(-(_P + _Q) / 2) * sympy.sinh(COVARIANCE)
    return Derivation(
        closed={"dual": closed},
        residuals={"dual": sympy.simplify((closed - (minus - plus) / 2).rewrite(sympy.exp))},
    )


def cosine() -> Derivation:
    r"""Derive :math:`e^{-(p+q)/2}\cosh c` for the cosine: half of :math:`E\cos(u-v) + E\cos(u+v)`.

    Examples
    --------
    >>> cosine().residuals
    {'dual': 0}
    """
    minus, plus = _harmonics()
    closed = sympy.exp(-(_P + _Q) / 2) * sympy.cosh(COVARIANCE)
    return Derivation(
        closed={"dual": closed},
        residuals={"dual": sympy.simplify((closed - (minus + plus) / 2).rewrite(sympy.exp))},
    )


def erf() -> Derivation:
    r"""Derive :math:`\frac2\pi\arcsin\frac{2c}{\sqrt{(1+2p)(1+2q)}}` for the error function, by Price's theorem.

    Examples
    --------
    >>> erf().residuals
    {'slope squared': 0, 'sign of the slope': 0, 'at c = 0': 0}
    """
    closed = 2 / _PI * sympy.asin(2 * COVARIANCE / sympy.sqrt((1 + 2 * _P) * (1 + 2 * _Q)))
    slope = sympy.diff(sympy.erf(_Z), _Z).subs(_Z, _U) * sympy.diff(sympy.erf(_Z), _Z).subs(_Z, _V)
    factor = sympy.simplify(slope * sympy.exp(_U**2 + _V**2))  # free of u and v
    derived = factor * _expectation_of_exponential(-(_U**2) - _V**2)
    found = sympy.diff(closed, COVARIANCE)
    odd = sympy.integrate(sympy.erf(_Z) * sympy.exp(-(_Z**2) / 2), (_Z, -sympy.oo, sympy.oo))  # E erf(u) at p = 1
    return Derivation(
        closed={"dual": closed},
        residuals={
            "slope squared": sympy.simplify(found**2 - derived**2),
            "sign of the slope": sympy.sign(found.subs({COVARIANCE: 0})) - 1,
            "at c = 0": closed.subs(COVARIANCE, 0) - odd,
        },
    )


def gelu() -> Derivation:
    r"""Derive the closed form of 1.8 for :math:`\phi(x) = x\Phi(x)` by Price's theorem, used twice.

    :math:`\phi'' = (2 - x^2)f`, f the normal density, so :math:`\partial_c^2E\phi\phi` is a Gaussian integral: with
    f(u)f(v) taken into the density the covariance is :math:`(\Sigma^{-1} + I)^{-1}`.

    Examples
    --------
    >>> sorted(gelu().residuals)
    ['at c = 0', 'second derivative', 'second factor', 'slope at c = 0']
    """
    scale = sympy.Symbol("S", positive=True)  # S² = (1+p)(1+q)
    det, outer = scale**2 - COVARIANCE**2, (1 + _P) * (1 + _Q)
    angle, rho2 = sympy.acos(-COVARIANCE / scale), COVARIANCE**2 / (_P * _Q)
    closed = (COVARIANCE * angle + _P * _Q * (det + rho2) / (scale**2 * sympy.sqrt(det))) / (2 * _PI)

    density = sympy.exp(-(_Z**2) / 2) / sympy.sqrt(2 * _PI)
    phi = _Z * (1 + sympy.erf(_Z / sympy.sqrt(2))) / 2
    curved = sympy.simplify(sympy.diff(phi, _Z, 2) / density - (2 - _Z**2))
    tilted = (_SIGMA.inv() + sympy.eye(2)).inv().applyfunc(sympy.cancel)
    variance_u, variance_v, mixed = tilted[0, 0], tilted[1, 1], tilted[0, 1]
    moment = 4 - 2 * variance_u - 2 * variance_v + variance_u * variance_v + 2 * mixed**2  # E (2 - u²)(2 - v²)
    nested = 1 - COVARIANCE**2 / scale**2  # = det / S², from the arc cosine
    second = sympy.diff(closed, COVARIANCE, 2).replace(
        lambda e: e.is_Pow and e.base == nested, lambda e: det**e.exp / scale ** (2 * e.exp)
    )
    rational = sympy.cancel(sympy.expand(second * sympy.sqrt(det))).subs(scale, sympy.sqrt(outer))
    mean = [_stein_mean(s) for s in VARIANCES]
    return Derivation(
        closed={"dual": closed.subs(scale, sympy.sqrt(outer))},
        residuals={
            "second factor": curved,
            "second derivative": sympy.cancel(rational - moment / (2 * _PI)),
            "at c = 0": sympy.simplify(closed.subs({COVARIANCE: 0, scale: sympy.sqrt(outer)}) - mean[0] * mean[1]),
            "slope at c = 0": sympy.simplify(sympy.diff(closed, COVARIANCE).subs(COVARIANCE, 0) - sympy.Rational(1, 4)),
        },
    )


def _stein_mean(variance: Expr) -> Expr:
    r"""Return :math:`E\,u\Phi(u) = sE f(u)`, u of variance s; the slope :math:`E\phi'(u)` is :math:`\frac12`, for
    :math:`E\Phi(u) = \frac12` and u f(u) is odd.
    """
    exponent = -(_U**2) / 2 - _U**2 / (2 * variance)
    return variance * _gaussian_integral(exponent, _U) / (2 * _PI * sympy.sqrt(variance))
