r"""The gap flow of Yaras et al., derived by SymPy from the rows of the two modalities; ``docs/theory.md``, 21.

What is conserved for an unknown law of the temperature, its closed forms, where and how the flow comes to rest, and the
solved flow at a fixed temperature.
"""

from typing import Any

from conetheory.proofs._sympy import sympy
from conetheory.proofs.symbolic_moments import Derivation

__all__ = [
    "any_temperature_law",
    "closed_temperature_laws",
    "fixed_temperature",
    "gap_pitchfork",
    "parallel_rows",
    "softplus_integral",
]

Expr = Any  # a SymPy expression


def parallel_rows(dim: int = 2) -> Derivation:
    r"""Derive that the logits of parallel modalities are :math:`\beta(1-\gamma^2)Z` up to one constant; 21.1.

    Parameters
    ----------
    dim : int
        Dimension of the rows without the added coordinate.

    Examples
    --------
    >>> parallel_rows().residuals
    {'logit': 0, 'unit row': 0}
    """
    gamma = sympy.Symbol("gamma", positive=True)
    h, k = (sympy.Matrix(sympy.symbols(f"{name}_1:{dim + 1}", real=True)) for name in "hk")
    root = sympy.sqrt(1 - gamma**2)
    x, y = sympy.Matrix([*(root * h), gamma]), sympy.Matrix([*(root * k), -gamma])
    return Derivation(
        closed={"effective scale over beta": 1 - gamma**2},
        residuals={
            "logit": sympy.expand(x.dot(y) - (1 - gamma**2) * h.dot(k) + gamma**2),
            "unit row": sympy.expand(x.dot(x) - 1 - (1 - gamma**2) * (h.dot(h) - 1)),
        },
    )


def any_temperature_law() -> Derivation:
    r"""Derive that :math:`\ln\gamma - \gamma^2/2 + 2F(\beta)` is conserved for an unknown law :math:`\beta(\nu)`; 21.2.

    :math:`F' = \beta/\beta'(\nu)^2`. The loss enters as its unknown slope alone.

    Examples
    --------
    >>> any_temperature_law().residuals
    {'rate': 0, 'speed ratio': 0}
    """
    nu, gamma = sympy.symbols("nu gamma", positive=True)
    slope = sympy.Symbol("slope", real=True)  # l'(a)
    beta = sympy.Function("beta")(nu)
    a = beta * (1 - gamma**2)
    speed_nu, speed_gamma = -slope * sympy.diff(a, nu), -slope * sympy.diff(a, gamma)
    by_nu = sympy.diff(beta, nu)
    rate = (1 / gamma - gamma) * speed_gamma + 2 * beta / by_nu**2 * by_nu * speed_nu
    ratio = -2 * beta * gamma / (by_nu**2 * (1 - gamma**2))
    return Derivation(
        closed={"d gamma / d beta": ratio},
        residuals={
            "rate": sympy.simplify(rate),
            "speed ratio": sympy.simplify(speed_gamma / (by_nu * speed_nu) - ratio),
        },
    )


def closed_temperature_laws() -> Derivation:
    r"""Derive what is conserved for :math:`\beta = e^\nu`, :math:`e^{\nu/s}` and :math:`\nu`; 21.2.

    :math:`\beta^2\gamma e^{-\gamma^2/2}`, :math:`\beta^{2s^2}\gamma e^{-\gamma^2/2}` and
    :math:`\gamma e^{\beta^2-\gamma^2/2}`: each law put into :math:`F' = \beta/\beta'(\nu)^2` of `any_temperature_law`.

    Examples
    --------
    >>> sorted(set(closed_temperature_laws().residuals.values()))
    [0]
    """
    nu, gamma, s, b = sympy.symbols("nu gamma s beta", positive=True)
    laws = {
        "exp(nu)": (sympy.exp(nu), b**2 * gamma * sympy.exp(-(gamma**2) / 2)),
        "exp(nu/s)": (sympy.exp(nu / s), b ** (2 * s**2) * gamma * sympy.exp(-(gamma**2) / 2)),
        "nu": (nu, gamma * sympy.exp(b**2 - gamma**2 / 2)),
    }
    residuals = {}
    for name, (beta, quantity) in laws.items():
        log = sympy.expand_log(sympy.log(quantity), force=True)
        by_gamma = sympy.diff(log, gamma) - (1 / gamma - gamma)
        by_beta = sympy.diff(log, b).subs(b, beta) - 2 * beta / sympy.diff(beta, nu) ** 2
        residuals |= {f"{name}: gamma": sympy.simplify(by_gamma), f"{name}: F'": sympy.simplify(by_beta)}
    return Derivation(closed={name: quantity for name, (_, quantity) in laws.items()}, residuals=residuals)


def softplus_integral() -> Derivation:
    r"""Derive :math:`\beta' = 1 - e^{-\beta}` of softplus, and its first integral with a dilogarithm; 21.2.

    The dilogarithm enters as the function with :math:`x\,\mathrm{Li}_2'(x) = -\ln(1-x)`.

    Examples
    --------
    >>> softplus_integral().residuals
    {'slope': 0, 'first integral': 0}
    """
    nu = sympy.Symbol("nu", real=True)
    b = sympy.Symbol("beta", positive=True)
    law = sympy.log(1 + sympy.exp(nu))
    slope = sympy.diff(law, nu) - (1 - sympy.exp(-law))
    q = sympy.exp(-b)
    without = b**2 / 2 + (1 + b) * sympy.log(1 - q) - b / (sympy.exp(b) - 1)
    dilogarithm_rate = sympy.log(1 - q)  # d Li2(exp(-b))/db = -ln(1 - q)/q · (-q)
    rest = sympy.diff(without, b) - dilogarithm_rate - b / (1 - q) ** 2
    e = sympy.Symbol("e", positive=True)
    return Derivation(
        closed={"F": without - sympy.polylog(2, q)},
        residuals={
            "slope": sympy.simplify(slope),
            "first integral": sympy.simplify(sympy.expand(rest).subs(sympy.exp(-b), 1 / e).subs(sympy.exp(b), e)),
        },
    )


def gap_pitchfork() -> Derivation:
    r"""Derive rest, stability and the normal form of the flow at a fixed temperature; 21.10.

    With the force :math:`g(a) = -c(a - s) + O((a-s)^2)`, c the curvature of the loss at its minimum s.

    Examples
    --------
    >>> set(gap_pitchfork().residuals.values())
    {0}
    """
    gamma, beta, s, c, t, k = sympy.symbols("gamma beta s c t k", positive=True)
    force = -c * (beta * (1 - gamma**2) - s)
    speed = -2 * beta * gamma * force
    rest = sympy.sqrt(1 - s / beta)
    at_zero, at_rest = (sympy.diff(speed, gamma).subs(gamma, point) for point in (0, rest))
    critical = speed.subs(beta, s)
    decay = k / sympy.sqrt(t)
    (found,) = sympy.solve(
        sympy.simplify((sympy.diff(decay, t) - critical.subs(gamma, decay)) * t ** sympy.Rational(3, 2)), k
    )
    return Derivation(
        closed={"rest": rest, "rate": 4 * beta * (beta - s) * c, "critical": found},
        residuals={
            "at rest": sympy.simplify(speed.subs(gamma, rest)),
            "slope at 0": sympy.simplify(at_zero - 2 * beta * c * (beta - s)),
            "slope at rest": sympy.simplify(at_rest + 4 * beta * (beta - s) * c),
            "cubic": sympy.expand(critical + 2 * s**2 * c * gamma**3),
            "critical decay": sympy.simplify(found - 1 / (2 * s * sympy.sqrt(c))),
        },
    )


def fixed_temperature() -> Derivation:
    r"""Derive the solved flow at a fixed temperature for the loss :math:`e^{-a\alpha}`; 21.7.

    .. math:: \frac{d}{dt}E_1(\alpha\beta\gamma^2) = 4\alpha\beta e^{-\alpha\beta}

    Examples
    --------
    >>> fixed_temperature().residuals
    {'rate': 0}
    """
    gamma, beta, alpha, z = sympy.symbols("gamma beta alpha z", positive=True)
    speed = -2 * beta * gamma * alpha * sympy.exp(-alpha * beta * (1 - gamma**2))
    by_z = -sympy.exp(-z) / z  # E1'
    rate = by_z.subs(z, alpha * beta * gamma**2) * 2 * alpha * beta * gamma * speed
    closed = 4 * alpha * beta * sympy.exp(-alpha * beta)
    return Derivation(closed={"rate": closed}, residuals={"rate": sympy.simplify(rate - closed)})
