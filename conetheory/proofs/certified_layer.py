r"""Certificates about one ReLU layer: inequalities of ``docs/theory.md``, 1 to 4, on whole intervals and boxes.

Angles run through [0, pi] as pi x, x in [0, 1]. Where both sides of an inequality meet (:math:`\theta
= 0` or :math:`\psi = \pi - \theta = 0`) their difference is divided by the power of the angle that it contains
(`conetheory.proofs.series`); how, is told in ``docs/theory.md``, 20.2. `offset` is what a certificate demands beyond
the truth: with a positive one it fails and shows where.
"""

from collections.abc import Callable

from flint import arb

from conetheory.proofs.balls import Exact, ball, power, rational
from conetheory.proofs.relu_balls import (
    cross_over_square,
    fourth_over_fourth,
    j11_over_cube,
    j22,
    j22_over_fifth,
    j31_over_fifth,
    kappa,
    lift_over_cube,
    margin,
    versine_over_square,
)
from conetheory.proofs.series import Quotient
from conetheory.proofs.subdivision import Certificate, Chart, prove_positive

__all__ = [
    "arc_cosine_increases",
    "arc_cosine_lift",
    "complement_at_least_half",
    "contraction_at_unit_norms",
    "contraction_on_box",
    "he_initialisation_rate",
    "paper_threshold_suffices",
    "summand_ratio_decreases",
    "summand_variance_increases",
    "theorem_4_constant",
    "variance_positive",
]


def _over_angle(rest: Callable[[arb], arb], order: int, offset: Exact, share: Exact) -> Chart:
    """Return the chart of rest(angle) angle^order > offset for angles from 0 to `share` of a half turn; divided by the
    power where nothing more than positivity is asked.
    """
    more = rational(offset)

    def expression(x: arb) -> arb:
        angle = arb.pi() * x
        return rest(angle) * power(angle, order) - ball(more) if more else rest(angle)

    return Chart(expression=expression, box={"x": (0, share)})


def arc_cosine_lift(constant: Exact = "0.032", *, offset: Exact = 0) -> Certificate:
    r"""Certify :math:`\kappa(\rho) - \rho > C\theta^3 + \epsilon` for :math:`\rho \in [-1, 1)`; 1.6.

    Parameters
    ----------
    constant, offset : int, str, Fraction or Decimal
        C, at most :math:`\pi^{-3} = 0.03225\dots`, and :math:`\epsilon`, 0.

    Examples
    --------
    >>> arc_cosine_lift().proven, arc_cosine_lift(0, offset="1e-6").proven
    (True, False)
    """

    return prove_positive(
        "arc_cosine_lift",
        f"κ(ρ) − ρ > {constant} θ³" + (f" + {offset}" if rational(offset) else ""),
        "ρ = cos θ in [−1, 1)",
        _over_angle(lambda theta: lift_over_cube(theta) - ball(constant), 3, offset, 1),
    )


_PART_SINE = Quotient(
    lambda x: (x.sin() - x * x.cos()).derivative(), 1
)  # derivative of π κ = (sin θ − θ cos θ) + π cos θ
_PART_COSINE = Quotient(lambda x: x.cos().derivative(), 1)
_PART_PSI = Quotient(lambda x: (x.sin() - x * x.cos()).derivative(), 2)  # π κ = sin ψ − ψ cos ψ


def _kappa_slope_theta(theta: arb) -> arb:
    r"""Return :math:`-(d\kappa/d\theta)/\theta`."""
    return -(_PART_SINE(theta) / arb.pi() + _PART_COSINE(theta))


def _kappa_slope_psi(psi: arb) -> arb:
    r"""Return :math:`(d\kappa/d\psi)/\psi^2`."""
    return _PART_PSI(psi) / arb.pi()


def arc_cosine_increases(*, offset: Exact = 0) -> Certificate:
    r"""Certify that :math:`\kappa` increases strictly on [-1, 1]: :math:`-d\kappa/d\theta > \epsilon` inside; 1.6.

    Examples
    --------
    >>> arc_cosine_increases().proven
    True
    """

    return prove_positive(
        "arc_cosine_increases",
        f"−dκ/dθ > {offset}",
        "ρ = cos θ in (−1, 1)",
        _over_angle(_kappa_slope_theta, 1, offset, "1/2"),
        _over_angle(_kappa_slope_psi, 2, offset, "1/2"),
    )


def _half_rest(angle: arb) -> arb:
    r"""Return :math:`[\frac12(1 - \cos x) - (\sin x - x\cos x)/\pi]/x^2`."""
    return versine_over_square(angle) / 2 - angle * lift_over_cube(angle)


def complement_at_least_half(*, offset: Exact = 0) -> Certificate:
    r"""Certify :math:`1 - \kappa(1 - \epsilon) > \epsilon/2` for :math:`\epsilon \in (0, 2)`; 3.4.

    The difference is :math:`\frac12(1 - \cos x) - (\sin x - x\cos x)/\pi` both for :math:`x = \theta` and for :math:`x
    = \psi`.

    Examples
    --------
    >>> complement_at_least_half().proven
    True
    """
    return prove_positive(
        "complement_at_least_half", "1 − κ(1 − ε) > ε/2", "ε in (0, 2)", _over_angle(_half_rest, 2, offset, "1/2")
    )


def contraction_at_unit_norms(slope: Exact = "0.49") -> Certificate:
    r"""Certify :math:`\kappa(\rho_1(c)) - c > s(1 - c)` for :math:`c \in [-1, 1)` at norms 1: 2.5 with :math:`c^* = 1`.

    Parameters
    ----------
    slope : int, str, Fraction or Decimal
        s, below 1/2.

    Examples
    --------
    >>> contraction_at_unit_norms().proven, contraction_at_unit_norms("0.51").proven
    (True, False)
    """

    def excess(theta: arb) -> arb:  # over θ², with 1 − c = 2(1 − cos θ)
        return (1 - 2 * ball(slope)) * versine_over_square(theta) + theta * lift_over_cube(theta)

    return prove_positive(
        "contraction_at_unit_norms",
        f"κ(ρ₁(c)) − c > {slope} (1 − c)",
        "c in [−1, 1), norms 1",
        _over_angle(excess, 2, 0, "1/2"),
    )


def contraction_on_box(highest: Exact = "0.95", low: Exact = "0.9", high: Exact = "1.1") -> Certificate:
    r"""Certify :math:`\kappa(\rho_1(c)) > c` for all :math:`c \in [-1, c_{max}]` and both norms in [low, high]; 2.5.

    Parameters
    ----------
    highest, low, high : int, str, Fraction or Decimal
        :math:`c_{max}` and the range of the norms, positive.

    Examples
    --------
    >>> contraction_on_box("0.8").proven
    True
    """
    return prove_positive(
        "contraction_on_box",
        "κ(ρ₁(c)) > c",
        f"c in [−1, {highest}], norms in [{low}, {high}]",
        Chart(expression=margin, box={"c": (-1, highest), "a": (low, high), "b": (low, high)}),
    )


def _paper_rest(norm: arb, excess: arb) -> arb:
    r"""Return :math:`\Pi(\rho_1(c_p) - c_p)(1 + (1+s)^2)/s^2`."""
    product = norm * norm * (1 + excess)
    spread = ((1 + norm * norm) * (1 + (norm * (1 + excess)) ** 2)).sqrt()
    return 1 - 2 * product / (spread + product + 1)


def paper_threshold_suffices(*, offset: Exact = 0) -> Certificate:
    r"""Certify :math:`\rho_1(c_p) > c_p` at the paper's threshold :math:`c_p = 2ab/(a^2+b^2)`, norms a < b; 2.5 (iv).

    Then :math:`\kappa(\rho_1(c_p)) > c_p` by `arc_cosine_lift`, so that :math:`c_p < c^*`. With b = a(1 + s) the
    difference contains the factor :math:`s^2/(1 + (1+s)^2)`; times :math:`\Pi = \sqrt{(1+a^2)(1+b^2)}` the rest is
    :math:`1 - 2ab/(\Pi + ab + 1)`.

    Examples
    --------
    >>> paper_threshold_suffices().proven
    True
    """
    more = rational(offset)

    def rest(a: arb, s: arb) -> arb:
        return _paper_rest(a, s) * s * s - ball(more) if more else _paper_rest(a, s)

    return prove_positive(
        "paper_threshold_suffices",
        "2/(r + 1/r) < c*",
        "the smaller norm in [1/2, 2], their ratio in (1, 4]",
        Chart(expression=rest, box={"a": ("1/2", 2), "s": (0, 3)}),
    )


_A_PSI = Quotient(lambda x: (x * (1 + 2 * x.cos() * x.cos()) - 3 * x.sin() * x.cos()).derivative(), 4)
_R_THETA = Quotient(lambda x: (1 + 2 * x.cos() * x.cos()).derivative(), 1)
_S_THETA = Quotient(lambda x: (3 * x.sin() * x.cos() - x * (1 + 2 * x.cos() * x.cos())).derivative(), 1)
_RATIO = Quotient(
    lambda x: (
        x * (x * (1 + 2 * x.cos() * x.cos()) - 3 * x.sin() * x.cos())
        - 2 * (x.sin() - x * x.cos()) * (x.sin() - x * x.cos())
    ),
    6,
)


def _summand_slope_theta(theta: arb) -> arb:
    r"""Return :math:`-\frac{d}{d\theta}(J_{22} - J_{11}^2)/\theta`."""
    j22_slope = (arb.pi() * _R_THETA(theta) + _S_THETA(theta)) / (2 * arb.pi())
    return -kappa(theta) * _kappa_slope_theta(theta) / 2 - j22_slope


def _summand_slope_psi(psi: arb) -> arb:
    r"""Return :math:`\frac{d}{d\psi}(J_{22} - J_{11}^2)/\psi^4`."""
    return _A_PSI(psi) / (2 * arb.pi()) - psi * j11_over_cube(psi) * _kappa_slope_psi(psi)


def _ratio_rest(psi: arb) -> arb:
    r"""Return :math:`(pJ_{22} - 2J_{11}^2)/\psi^6`."""
    return _RATIO(psi) / (4 * arb.pi() ** 2)


def summand_variance_increases(*, offset: Exact = 0) -> Certificate:
    r"""Certify that :math:`J_{22} - J_{11}^2` increases strictly with :math:`\rho`, hence lies in [0, 5/4]; 2.10.

    The derivative along the angle is taken by series arithmetic from the closed forms.

    Examples
    --------
    >>> summand_variance_increases().proven
    True
    """
    return prove_positive(
        "summand_variance_increases",
        "−d(J₂₂ − J₁₁²)/dθ > 0, hence 0 < J₂₂ − J₁₁² < 5/4",
        "ρ = cos θ in (−1, 1)",
        _over_angle(_summand_slope_theta, 1, offset, "1/2"),
        _over_angle(_summand_slope_psi, 4, offset, "1/2"),
    )


def summand_ratio_decreases(*, offset: Exact = 0) -> Certificate:
    r"""Certify :math:`pJ_{22} > 2J_{11}^2`, :math:`p = \psi/(2\pi)`: :math:`J_{22}/J_{11}^2` decreases; 2.10.

    Examples
    --------
    >>> summand_ratio_decreases().proven
    True
    """
    return prove_positive(
        "summand_ratio_decreases", "p J₂₂ > 2 J₁₁²", "ρ in (−1, 1]", _over_angle(_ratio_rest, 6, offset, 1)
    )


def _variance_theta(theta: arb) -> arb:
    r"""Return :math:`v/\theta^4`, from 1b.4."""
    drop = versine_over_square(theta) - theta * lift_over_cube(theta)
    squares = drop * drop * (3 + 2 * j22(theta)) - 2 * drop * cross_over_square(theta)
    return squares + fourth_over_fourth(theta)


def _variance_psi(psi: arb) -> arb:
    r"""Return :math:`v/\psi^5`, from 1b.2."""
    lifted, j = 2 * j11_over_cube(psi), j22_over_fifth(psi)
    return (
        4 * j + psi * lifted * lifted * (3 + 2 * power(psi, 5) * j) - 8 * power(psi, 3) * lifted * j31_over_fifth(psi)
    )


def variance_positive(*, offset: Exact = 0) -> Certificate:
    r"""Certify v > 0 on (-1, 1), v/d being the variance of the output cosine to first order; 1b.2.

    Examples
    --------
    >>> variance_positive().proven
    True
    """
    return prove_positive(
        "variance_positive",
        "v = 4 J₂₂ + κ²(3 + 2 J₂₂) − 8 κ J₃₁ > 0",
        "ρ in (−1, 1)",
        _over_angle(_variance_theta, 4, offset, "1/2"),
        _over_angle(_variance_psi, 5, offset, "1/2"),
    )


def theorem_4_constant(*, offset: Exact = 0) -> Certificate:
    r"""Certify the proof's bound on the share of initialisation, in the setting of 4.4 with C constant; 4.5, 4.6.

    share :math:`> 1 - (\frac{\pi}{2(\pi-1)} - \epsilon)(1 - \beta)` for :math:`\beta \in [0, 1)`, where share is
    :math:`(\kappa((1+\beta)/2) - 1/\pi)/(1 - 1/\pi)` and :math:`\epsilon` is `offset`: a positive one fails near 1.

    Examples
    --------
    >>> theorem_4_constant().proven, theorem_4_constant(offset="0.001").proven
    (True, False)
    """

    more = rational(offset)

    def rest(x: arb) -> arb:  # over θ³, or over θ² with an offset
        theta = arb.pi() * x
        gain = lift_over_cube(theta) / (1 - 1 / arb.pi())
        return theta * gain - 2 * ball(more) * versine_over_square(theta) if more else gain

    return prove_positive(
        "theorem_4_constant",
        "share > 1 − C (1 − β), C = π/(2(π − 1))" + (f" − {offset}" if rational(offset) else ""),
        "β in [0, 1)",
        Chart(expression=rest, box={"x": (0, "1/3")}),
    )


_VERSINE_REST = Quotient(lambda x: 1 - x.cos() - x * x / 2, 4)
_LIFT_REST = Quotient(lambda x: x.sin() - x * x.cos() - x * x * x / 3, 5)


def _he_rest(theta: arb) -> arb:
    r"""Return :math:`[\kappa(\cos\theta) - \cos(\theta/(1+u))]/\theta^4`."""
    grown = 1 + theta / (3 * arb.pi())  # 1 + u
    squares = (1 + 2 * grown) / (18 * arb.pi() ** 2 * grown * grown)
    fourths = _VERSINE_REST(theta / grown) / grown**4 - _VERSINE_REST(theta)
    return squares + fourths + theta * _LIFT_REST(theta) / arb.pi()


def he_initialisation_rate(*, offset: Exact = 0) -> Certificate:
    r"""Certify :math:`1/\theta' > 1/\theta + 1/(3\pi)` for a layer of He's initialisation without bias; 3.7, 20.4.

    Hence :math:`\theta_l < 3\pi/(l + 3\pi/\theta_0)` after l layers. As an inequality of cosines it is
    :math:`\kappa(\cos\theta) > \cos(\theta/(1 + u))`, :math:`u = \theta/(3\pi)`, whose difference contains
    :math:`\theta^4`.

    Examples
    --------
    >>> he_initialisation_rate().proven
    True
    """
    return prove_positive(
        "he_initialisation_rate", "1/θ′ > 1/θ + 1/(3π)", "θ in (0, π]", _over_angle(_he_rest, 4, offset, 1)
    )
