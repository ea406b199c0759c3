r"""Reductions of the theory, derived from the statement of the model by SymPy.

The correlation of the pre-activations and the margin (2.1, 2.2), the sectors of the moment generating function (20.5),
He's initialisation (3.7), mismatched pairs on the sphere (6.1), and the conserved quantity of the gap flow of Yaras et
al. (arXiv:2412.07909, Lemma 3.1).
"""

from typing import Any

from conetheory.proofs._sympy import sympy
from conetheory.proofs.symbolic_moments import Derivation

__all__ = ["he_initialisation", "mgf_sectors", "mismatched_pairs", "preactivation_correlation"]

Expr = Any  # a SymPy expression


def preactivation_correlation() -> Derivation:
    r"""Derive :math:`\rho_1` from a row of W and b, and its form in the angles :math:`\alpha_u, \alpha_v`; 2.1, 2.2.

    Examples
    --------
    >>> set(preactivation_correlation().residuals.values())
    {0}
    """
    a, b, sw, sb = sympy.symbols("a b sigma_w sigma_b", positive=True)
    c0, w1, w2, bias = sympy.symbols("c_0 w_1 w_2 b_k", real=True)
    law = {w1**2: sw**2, w2**2: sw**2, bias**2: sb**2, w1 * w2: 0, w1 * bias: 0, w2 * bias: 0}  # times 1/d
    s0 = sympy.sqrt(1 - c0**2)
    z, z_other = w1 * a + bias, w1 * b * c0 + w2 * b * s0 + bias

    def mean(product: Expr) -> Expr:
        terms = sympy.Poly(sympy.expand(product), w1, w2, bias).terms()
        return sum(factor * law[w1**i * w2**j * bias**k] for (i, j, k), factor in terms)

    closed = (sw**2 * a * b * c0 + sb**2) / sympy.sqrt((sw**2 * a**2 + sb**2) * (sw**2 * b**2 + sb**2))
    derived = mean(z * z_other) / sympy.sqrt(sympy.factor(mean(z * z)) * sympy.factor(sympy.expand(mean(z_other**2))))

    alpha_u, alpha_v = sympy.symbols("alpha_u alpha_v", positive=True)
    lam, mu = sympy.cos(alpha_u) * sympy.cos(alpha_v), sympy.sin(alpha_u) * sympy.sin(alpha_v)
    eta, t, rho = 1 - sympy.cos(alpha_u - alpha_v), 1 - c0, lam * c0 + mu
    in_angles = closed.subs({a: sb / sw / sympy.tan(alpha_u), b: sb / sw / sympy.tan(alpha_v)})
    sine_squared = sympy.sin(alpha_u - alpha_v) ** 2 + lam * t * (lam * (2 - t) + 2 * mu)
    residuals = {
        "correlation": sympy.simplify(closed - derived),
        "in angles, squared": sympy.simplify(in_angles**2 - rho**2),
        "complement": 1 - rho - (eta + lam * t),
        "sine squared": 1 - rho**2 - sine_squared,
        "margin": rho - c0 - (mu * t - eta * c0),
    }
    return Derivation(
        closed={"correlation": closed},
        residuals={name: sympy.simplify(sympy.expand(sympy.expand_trig(r))) for name, r in residuals.items()},
    )


def mgf_sectors() -> Derivation:
    r"""Derive :math:`(1 + 2th)(1 + \tan^2) = A + B\tan^2` on the sectors of M(t), and M(0) = 1; 20.5.

    Where both cosines are positive the angle is measured from their bisector, where one is from its zero; with s the
    tangent :math:`d\alpha = ds/(1 + s^2)`, so the integral of :math:`1/(1 + 2th)` is that of :math:`1/(A + Bs^2)`.

    Examples
    --------
    >>> mgf_sectors().residuals
    {'both': 0, 'one': 0, 'ends': 0, 'at t = 0': 0}
    """
    t, c0, theta = sympy.symbols("t c_0 theta", positive=True)
    beta, s = sympy.symbols("beta s", real=True)
    rho = sympy.cos(theta)
    first, second = 1 + t * (1 + rho) * (1 - c0), 1 - t * (1 - rho) * (1 + c0)

    def h(u: Expr, v: Expr) -> Expr:
        return u * v - c0 / 2 * (u**2 + v**2)

    def in_tangent(value: Expr, first: Expr, second: Expr) -> Expr:
        tangent = sympy.tan(beta)
        return sympy.simplify(sympy.expand_trig((1 + 2 * t * value) * (1 + tangent**2) - first - second * tangent**2))

    both = h(sympy.cos(beta + theta / 2), sympy.cos(beta - theta / 2))
    one = h(sympy.cos(beta - sympy.pi / 2), 0)

    def arc(tangent: Expr) -> Expr:  # H(1, 1, tangent)
        return sympy.integrate(1 / (1 + s**2), (s, 0, tangent))

    at_zero = sympy.pi - theta + 2 * arc(sympy.tan(theta)) + 2 * arc(sympy.cot(theta / 2))
    return Derivation(
        closed={"A": first, "B": second},
        residuals={
            "both": in_tangent(both, first, second),
            "one": in_tangent(one, sympy.Integer(1), 1 - t * c0),
            "ends": sympy.simplify(sympy.tan((sympy.pi - theta) / 2) - sympy.cot(theta / 2)),
            "at t = 0": sympy.simplify(at_zero.subs(theta, sympy.pi / 3) - 2 * sympy.pi),
        },
    )


def he_initialisation() -> Derivation:
    r"""Derive :math:`\theta' = \theta - \theta^2/(3\pi) - \theta^3/(18\pi^2) + \dots` and :math:`1/\theta'`; 3.7.

    The coefficients are found from :math:`\cos\theta' = \kappa(\cos\theta)`, order by order.

    Examples
    --------
    >>> set(he_initialisation().residuals.values())
    {0}
    """
    theta = sympy.Symbol("theta", positive=True)
    c2, c3 = sympy.symbols("c_2 c_3")
    kappa = (sympy.sin(theta) + (sympy.pi - theta) * sympy.cos(theta)) / sympy.pi
    after = theta + c2 * theta**2 + c3 * theta**3
    cosine = 1 - after**2 / 2 + after**4 / 24  # to the fourth order
    difference = sympy.expand(cosine) - sympy.series(kappa, theta, 0, 5).removeO()
    orders = [sympy.expand(difference).coeff(theta, k) for k in range(5)]
    (found,) = sympy.solve(orders[3:], [c2, c3], dict=True)
    closed = {c2: -1 / (3 * sympy.pi), c3: -1 / (18 * sympy.pi**2)}
    inverse = sympy.series(1 / (1 + c2 * theta + c3 * theta**2), theta, 0, 3).removeO().subs(found) / theta
    expected = 1 / theta + 1 / (3 * sympy.pi) + theta / (6 * sympy.pi**2)
    return Derivation(
        closed={"c_2": closed[c2], "c_3": closed[c3]},
        residuals={
            "lower orders": sum(abs(order) for order in orders[:3]),
            "c_2": found[c2] - closed[c2],
            "c_3": sympy.simplify(found[c3] - closed[c3]),
            "inverse": sympy.simplify(sympy.expand(inverse) - expected),
        },
    )


def mismatched_pairs(n: int = 3) -> Derivation:
    r"""Derive that texts at latitude b and images at latitude a see :math:`\kappa = s\cos a\cos b` alone; 6.1.

    The exponents of every softmax of the symmetric loss, less that of its matched pair, are compared with those of
    :math:`\ell(\kappa)`.

    Parameters
    ----------
    n : int
        Pairs, as points of the plane before they are moved.

    Examples
    --------
    >>> mismatched_pairs(2).residuals
    {'exponents': 0, 'even': 0}
    """
    s, a, b = sympy.symbols("s a b", real=True)
    plane = [[sympy.Matrix(sympy.symbols(f"{name}{i}_1:3", real=True)) for i in range(n)] for name in "xy"]
    images, texts = (
        [sympy.Matrix([*(sympy.cos(angle) * point), sympy.sin(angle)]) for point in points]
        for points, angle in zip(plane, (a, b), strict=True)
    )
    kappa = s * sympy.cos(a) * sympy.cos(b)
    differences = []
    for i in range(n):
        for j in range(n):
            for row, column in ((i, j), (j, i)):  # the softmax of image i, and that of text i
                exponent = s * (images[row].dot(texts[column]) - images[i].dot(texts[i]))
                margin = plane[0][row].dot(plane[1][column]) - plane[0][i].dot(plane[1][i])
                differences.append(sympy.expand(exponent - kappa * margin))
    return Derivation(
        closed={"kappa": kappa},
        residuals={
            "exponents": sum(abs(difference) for difference in differences),
            "even": kappa.subs(b, -b) - kappa,
        },
    )
