r"""Joint moments of rectified Gaussians and what follows from them, derived from their definitions by SymPy.

Each function starts from an expectation, does the integral or the expansion, and compares the outcome with the closed
form that the package computes: the `residuals` of a `Derivation` are 0. Sections 1, 1b and 2 of ``docs/theory.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conetheory._arrays import as_count
from conetheory.proofs._sympy import sympy

__all__ = [
    "ALPHA",
    "THETA",
    "Derivation",
    "arc_cosine",
    "chebyshev_moments",
    "complement_moments",
    "delta_method",
    "joint_moment",
    "polar_integral",
    "radial_moment",
    "reduced",
]

Expr = Any  # a SymPy expression: its operators are beyond type checkers

THETA = sympy.Symbol("theta", positive=True)
ALPHA = sympy.Symbol("alpha", real=True)
_R = sympy.Symbol("r", positive=True)
_PI, _COS, _SIN = sympy.pi, sympy.cos(THETA), sympy.sin(THETA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A closed form, and what is left when what the definition gives is subtracted from it.

    Attributes
    ----------
    closed : mapping of str to SymPy expression
        The closed forms of the package.
    residuals : mapping of str to SymPy expression
        Closed form less derivation, reduced: each is 0.
    """

    closed: Mapping[str, Expr]
    residuals: Mapping[str, Expr] = field(default_factory=dict)


def reduced(expression: Expr) -> Expr:
    """Return `expression` as a polynomial in theta, its cosine and at most one factor sine: 0 if it vanishes.

    Examples
    --------
    >>> reduced(sympy.sin(THETA) ** 2 + sympy.cos(THETA) ** 2 - 1)
    0
    """
    c, s = sympy.symbols("c s")
    flat = sympy.expand(sympy.expand_trig(expression)).subs({_COS: c, _SIN: s})
    rest = sympy.rem(sympy.Poly(sympy.expand(flat), s), sympy.Poly(s**2 + c**2 - 1, s))
    return sympy.expand(rest.as_expr()).subs({c: _COS, s: _SIN})


def radial_moment(n: int) -> Expr:
    r"""Integrate :math:`E R^n = \int_0^\infty r^{n+1} e^{-r^2/2}dr`, R the length of a standard normal of the plane.

    Examples
    --------
    >>> radial_moment(2), radial_moment(4)
    (2, 8)
    """
    n = as_count("n", n, minimum=0)
    return sympy.integrate(_R ** (n + 1) * sympy.exp(-(_R**2) / 2), (_R, 0, sympy.oo))


def polar_integral(integrand: Expr, low: Expr, high: Expr) -> Expr:
    r"""Integrate a trigonometric polynomial in `ALPHA` exactly: :math:`\int e^{ik\alpha} = e^{ik\alpha}/(ik)`.

    Parameters
    ----------
    integrand : SymPy expression
        Polynomial in the sine and cosine of `ALPHA`; may hold `THETA`.
    low, high : SymPy expression
        Ends.

    Examples
    --------
    >>> polar_integral(sympy.cos(ALPHA) ** 2, 0, sympy.pi)
    pi/2
    """
    z = sympy.Symbol("z")
    circle = {sympy.cos(ALPHA): (z + 1 / z) / 2, sympy.sin(ALPHA): (z - 1 / z) / (2 * sympy.I)}
    laurent = sympy.expand(sympy.expand(sympy.expand_trig(integrand)).subs(circle))
    total = sympy.Integer(0)
    for term in sympy.Add.make_args(laurent):
        factor, k = term.as_coeff_exponent(z)
        ends = [_turn(k, end) / (sympy.I * k) if k else end for end in (low, high)]
        total += factor * (ends[1] - ends[0])
    return sympy.expand(sympy.expand_trig(total))


def _turn(k: Expr, angle: Expr) -> Expr:
    return sympy.cos(k * angle) + sympy.I * sympy.sin(k * angle)


def joint_moment(a: int, b: int) -> Expr:
    r"""Derive :math:`J_{ab} = E\,R^{a+b}\cdot\frac1{2\pi}\int\cos_+^a\alpha\cos_+^b(\alpha-\theta)d\alpha`; 1.2, 1.4.

    Parameters
    ----------
    a, b : int
        Powers, at least 1.

    Returns
    -------
    SymPy expression
        In `THETA`.

    Examples
    --------
    >>> sympy.simplify(joint_moment(1, 1).subs(THETA, sympy.pi / 2))
    1/(2*pi)
    """
    a, b = as_count("a", a), as_count("b", b)
    angular = polar_integral(sympy.cos(ALPHA) ** a * sympy.cos(ALPHA - THETA) ** b, THETA - _PI / 2, _PI / 2)
    return reduced(radial_moment(a + b) * angular / (2 * _PI))


def _moment(a: int, b: int) -> Expr:
    """Return J_ab, also where a power is 0: then the angle runs over the half circle of one factor."""
    if a and b:
        return joint_moment(a, b)
    if not (a or b):
        return sympy.Integer(1)
    angular = polar_integral(sympy.cos(ALPHA) ** (a + b), -_PI / 2, _PI / 2)
    return radial_moment(a + b) * angular / (2 * _PI)


def _expectation(polynomial: Expr, u: Expr, v: Expr) -> Expr:
    """Return the expectation of a polynomial in phi = u and phi' = v, monomial by monomial."""
    terms = sympy.Poly(sympy.expand(polynomial), u, v).terms()
    return sum((factor * _moment(*powers) for powers, factor in terms), start=sympy.Integer(0))


def arc_cosine() -> Derivation:
    r"""Derive :math:`\kappa = J_{11}/J_{20}` and its derivatives in :math:`\rho = \cos\theta`; 1.6.

    Examples
    --------
    >>> set(arc_cosine().residuals.values())
    {0}
    """
    closed = {
        "kappa": (_SIN + (_PI - THETA) * _COS) / _PI,
        "slope": 1 - THETA / _PI,
        "curvature": 1 / (_PI * _SIN),
    }
    derived = joint_moment(1, 1) / _moment(2, 0)
    slope = sympy.diff(derived, THETA) / sympy.diff(_COS, THETA)
    curvature = sympy.diff(closed["slope"], THETA) / sympy.diff(_COS, THETA)
    return Derivation(
        closed=closed,
        residuals={
            "kappa": reduced(closed["kappa"] - derived),
            "slope": sympy.simplify(closed["slope"] - slope),
            "curvature": sympy.simplify(closed["curvature"] - curvature),
        },
    )


def delta_method() -> Derivation:
    r"""Derive m and v of :math:`c' = A(BC)^{-1/2}` from gradient, Hessian and covariance at the mean; 1b.1 to 1b.3.

    Examples
    --------
    >>> delta_method().residuals
    {'m': 0, 'v': 0}
    """
    a, b, c, u, v = sympy.symbols("A B C u v", positive=True)
    summand = sympy.Matrix([u * v, u**2, v**2])
    mean = [_expectation(part, u, v) for part in summand]
    sigma = sympy.Matrix(3, 3, lambda i, j: _expectation(summand[i] * summand[j], u, v) - mean[i] * mean[j])
    function, at = a / sympy.sqrt(b * c), dict(zip((a, b, c), mean, strict=True))
    gradient = sympy.Matrix([sympy.diff(function, x) for x in (a, b, c)]).subs(at)
    hessian = sympy.hessian(function, (a, b, c)).subs(at)
    kappa, j22, j31 = 2 * joint_moment(1, 1), joint_moment(2, 2), joint_moment(3, 1)
    closed = {
        "m": kappa * (j22 + sympy.Rational(9, 2)) - 4 * j31,
        "v": 4 * j22 + kappa**2 * (3 + 2 * j22) - 8 * kappa * j31,
    }
    return Derivation(
        closed=closed,
        residuals={
            "m": reduced(closed["m"] - (sigma * hessian).trace() / 2),
            "v": reduced(closed["v"] - (gradient.T * sigma * gradient)[0]),
        },
    )


def complement_moments() -> Derivation:
    r"""Derive the forms without cancellation of :math:`E(\phi-\phi')^2`, the moments beside it, m and v; 1b.4.

    Examples
    --------
    >>> complement_moments().residuals["fourth"]
    0
    """
    u, v = sympy.symbols("u v", positive=True)
    rest = _PI - THETA

    def sines(*weights: int) -> Expr:
        return sum(w * (sympy.sin(j * THETA) - j * THETA) for j, w in enumerate(weights, 1))

    moments = {
        "drop": (u - v) ** 2,
        "cross": (u**2 + v**2) * (u - v) ** 2,
        "fourth": (u - v) ** 4,
        "squares": (u**2 - v**2) ** 2,
    }
    closed = {
        "drop": 1 - _COS - (_SIN - THETA * _COS) / _PI,
        "cross": (4 * rest * (1 - _COS) * (2 - _COS) + sines(-9, 3, -1)) / (2 * _PI),
        "fourth": (12 * rest * (1 - _COS) ** 2 + sines(-18, 9, -2)) / (2 * _PI),
        "squares": (4 * rest * _SIN**2 + sines(0, -3, 0)) / (2 * _PI),
    }
    residuals = {name: reduced(closed[name] - _expectation(moments[name], u, v)) for name in moments}
    drop, delta = closed["drop"], delta_method().closed
    j22 = joint_moment(2, 2)
    m = closed["cross"] + closed["squares"] / 2 - drop * (j22 + sympy.Rational(9, 2))
    variance = drop**2 * (3 + 2 * j22) - 2 * drop * closed["cross"] + closed["fourth"]
    residuals |= {"m": reduced(m - delta["m"]), "v": reduced(variance - delta["v"])}
    return Derivation(closed=closed, residuals=residuals)


def chebyshev_moments() -> Derivation:
    r"""Derive mean and mean square of :math:`X = \phi\phi' - \frac{c_0}2(\phi^2+\phi'^2)`; 2.7.

    Examples
    --------
    >>> chebyshev_moments().residuals
    {'mean': 0, 'square': 0}
    """
    u, v, c0 = sympy.symbols("u v c_0", positive=True)
    contrast = u * v - c0 / 2 * (u**2 + v**2)
    j11, j22, j31 = joint_moment(1, 1), joint_moment(2, 2), joint_moment(3, 1)
    closed = {"mean": j11 - c0 / 2, "square": j22 - 2 * c0 * j31 + c0**2 / 4 * (3 + 2 * j22)}
    derived = {"mean": _expectation(contrast, u, v), "square": _expectation(contrast**2, u, v)}
    return Derivation(closed=closed, residuals={name: reduced(closed[name] - derived[name]) for name in closed})
