r"""Certificates about one ReLU layer: inequalities of ``docs/theory.md``, 1, 2 and 4, on whole intervals and boxes.

Angles run through [0, pi] as pi x, x in [0, 1]. Where both sides of an inequality meet (:math:`\theta
= 0` or :math:`\psi = \pi - \theta = 0`) their difference is divided by the power of the angle that it contains
(`conetheory.proofs.series`); how, is told in ``docs/theory.md``, 20.2. A `constant` strengthens the inequality by
a term of the same order at the ends; a little above the best one it fails, and shows where. One that is not exact, or
below 0, is an error.
"""

from flint import arb

from conetheory.proofs.balls import Exact, ball, power, rational
from conetheory.proofs.domains import as_constant, as_norms
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
from conetheory.proofs.subdivision import Certificate, Chart, over_angle, prove_positive

__all__ = [
    "arc_cosine_increases",
    "arc_cosine_lift",
    "contraction_at_unit_norms",
    "contraction_on_box",
    "paper_threshold_suffices",
    "summand_ratio_decreases",
    "summand_variance_increases",
    "theorem_4_constant",
    "variance_positive",
]


def arc_cosine_lift(constant: Exact = "0.032") -> Certificate:
    r"""Certify :math:`\kappa(\rho) - \rho > C\theta^3` for :math:`\rho \in [-1, 1)`; 1.6.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`\pi^{-3} = 0.03225\dots`.

    Examples
    --------
    >>> arc_cosine_lift().proven, arc_cosine_lift("0.0323").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "arc_cosine_lift",
        f"κ(ρ) − ρ > {constant} θ³",
        "ρ = cos θ in [−1, 1)",
        over_angle(lambda theta: lift_over_cube(theta) - ball(least), 1),
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


def arc_cosine_increases(constant: Exact = "0.1013") -> Certificate:
    r"""Certify :math:`-d\kappa/d\theta > C\theta\psi^2` inside (0, pi): :math:`\kappa` increases on [-1, 1]; 1.6.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`\pi^{-2} = 0.10132\dots`.

    Examples
    --------
    >>> arc_cosine_increases().proven, arc_cosine_increases("0.1014").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "arc_cosine_increases",
        f"−dκ/dθ > {constant} θ (π − θ)²",
        "ρ = cos θ in (−1, 1)",
        over_angle(lambda theta: _kappa_slope_theta(theta) - ball(least) * power(arb.pi() - theta, 2), "1/2"),
        over_angle(lambda psi: _kappa_slope_psi(psi) - ball(least) * (arb.pi() - psi), "1/2"),
    )


def _lift_over_distance(theta: arb) -> arb:
    r"""Return :math:`(\kappa(\rho) - \rho)/(2(1 - \rho))^{3/2}`, :math:`\rho = \cos\theta`."""
    distance = 2 * versine_over_square(theta)
    return lift_over_cube(theta) / (distance * distance.sqrt())


def contraction_at_unit_norms(constant: Exact = "0.106") -> Certificate:
    r"""Certify :math:`\kappa(\rho_1(c)) - c > \frac12(1 - c) + C(1 - c)^{3/2}`, :math:`c \in [-1, 1)`, norms 1; 2.5.

    So :math:`c^* = 1`. There :math:`1 - c = 2(1 - \rho_1)`: the difference is :math:`\kappa(\rho_1) - \rho_1 -
    C(2(1-\rho_1))^{3/2}`.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`1/(3\pi) = 0.10610\dots`.

    Examples
    --------
    >>> contraction_at_unit_norms().proven, contraction_at_unit_norms("0.1062").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "contraction_at_unit_norms",
        f"κ(ρ₁(c)) − c > (1 − c)/2 + {constant} (1 − c)^(3/2)",
        "c in [−1, 1), norms 1",
        over_angle(lambda theta: _lift_over_distance(theta) - ball(least), "1/2"),
    )


def contraction_on_box(highest: Exact = "0.95", low: Exact = "0.9", high: Exact = "1.1") -> Certificate:
    r"""Certify :math:`\kappa(\rho_1(c)) > c` for all :math:`c \in [-1, c_{max}]` and both norms in [low, high]; 2.5.

    Parameters
    ----------
    highest, low, high : int, str, Fraction or Decimal
        :math:`c_{max}`, above -1, and the range of the norms, positive.

    Raises
    ------
    ValueError, TypeError
        If an argument is not exact or out of its range.

    Examples
    --------
    >>> contraction_on_box("0.8").proven
    True
    """
    norms, last = as_norms((low, high)), rational(highest)
    if not -1 < last < 1:
        raise ValueError(f"`highest` must lie in (-1, 1), got {highest!r}.")
    return prove_positive(
        "contraction_on_box",
        "κ(ρ₁(c)) > c",
        f"c in [−1, {highest}], norms in [{low}, {high}]",
        Chart(expression=margin, box={"c": (-1, last), "a": norms, "b": norms}),
    )


def _paper_rest(norm: arb, excess: arb) -> arb:
    r"""Return :math:`\Pi(\rho_1(c_p) - c_p)(1 + (1+s)^2)/s^2`."""
    first, second = 1 / norm, 1 / (norm * (1 + excess))
    grown = ((1 + first * first) * (1 + second * second)).sqrt() + first * second  # (Π + 1)/(ab): monotone
    return 1 - 2 / (1 + grown)


def paper_threshold_suffices(constant: Exact = "0.08") -> Certificate:
    r"""Certify :math:`\Pi(\rho_1(c_p) - c_p) > C(b-a)^2/(a^2+b^2)` at the paper's threshold :math:`c_p`; 2.5 (iv).

    :math:`c_p = 2ab/(a^2+b^2)`, norms a < b, :math:`\Pi = \sqrt{(1+a^2)(1+b^2)}`. Then
    :math:`\kappa(\rho_1(c_p)) > c_p` by `arc_cosine_lift`, so that :math:`c_p < c^*`. With
    b = a(1 + s) both sides contain the factor :math:`s^2/(1 + (1+s)^2)`; the rest of the left is
    :math:`1 - 2ab/(\Pi + ab + 1)`.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`0.0864\dots`, its value at norms 2 and 8.

    Examples
    --------
    >>> paper_threshold_suffices().proven, paper_threshold_suffices("0.087").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "paper_threshold_suffices",
        f"√((1 + a²)(1 + b²)) (ρ₁(cₚ) − cₚ) > {constant} (b − a)²/(a² + b²), hence cₚ = 2/(r + 1/r) < c*",
        "the smaller norm in [1/2, 2], their ratio in (1, 4]",
        Chart(expression=lambda a, s: _paper_rest(a, s) - ball(least), box={"a": ("1/2", 2), "s": (0, 3)}),
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


def summand_variance_increases(constant: Exact = "0.0153") -> Certificate:
    r"""Certify :math:`-\frac d{d\theta}(J_{22} - J_{11}^2) > C\theta\psi^4`: it increases with :math:`\rho`; 2.10.

    So it lies in [0, 5/4]. The derivative along the angle is taken by series arithmetic from the closed forms.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`3/(2\pi^4) = 0.01539\dots`.

    Examples
    --------
    >>> summand_variance_increases().proven, summand_variance_increases("0.0155").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "summand_variance_increases",
        f"−d(J₂₂ − J₁₁²)/dθ > {constant} θ (π − θ)⁴, hence 0 < J₂₂ − J₁₁² < 5/4",
        "ρ = cos θ in (−1, 1)",
        over_angle(lambda theta: _summand_slope_theta(theta) - ball(least) * power(arb.pi() - theta, 4), "1/2"),
        over_angle(lambda psi: _summand_slope_psi(psi) - ball(least) * (arb.pi() - psi), "1/2"),
    )


def summand_ratio_decreases(constant: Exact = "0.00026") -> Certificate:
    r"""Certify :math:`pJ_{22} > 2J_{11}^2 + C\psi^6`, :math:`p = \psi/(2\pi)`: :math:`J_{22}/J_{11}^2` decreases; 2.10.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`1/(4\pi^6) = 0.0002600\dots`.

    Examples
    --------
    >>> summand_ratio_decreases().proven, summand_ratio_decreases("0.00027").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "summand_ratio_decreases",
        f"p J₂₂ > 2 J₁₁² + {constant} (π − θ)⁶",
        "ρ = cos θ in (−1, 1]",
        over_angle(lambda psi: _ratio_rest(psi) - ball(least), 1),
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


def variance_positive(constant: Exact = "0.0017") -> Certificate:
    r"""Certify :math:`v > C\theta^4\psi^5`, v/d being the variance of the output cosine to first order; 1b.2.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        C, at least 0; true below :math:`8/(15\pi^5) = 0.001742\dots`.

    Examples
    --------
    >>> variance_positive().proven, variance_positive("0.0018").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "variance_positive",
        f"v = 4 J₂₂ + κ²(3 + 2 J₂₂) − 8 κ J₃₁ > {constant} θ⁴ (π − θ)⁵",
        "ρ = cos θ in (−1, 1)",
        over_angle(lambda theta: _variance_theta(theta) - ball(least) * power(arb.pi() - theta, 5), "1/2"),
        over_angle(lambda psi: _variance_psi(psi) - ball(least) * power(arb.pi() - psi, 4), "1/2"),
    )


def _share_rest(theta: arb) -> arb:
    r"""Return :math:`[\mathrm{share} - 1 + C(1-\beta)]/(1-\beta)^{3/2}`, :math:`1 + \beta = 2\cos\theta`; 4.5."""
    return _lift_over_distance(theta) / (1 - 1 / arb.pi())


def theorem_4_constant(constant: Exact = "0.155") -> Certificate:
    r"""Certify the proof's bound on the share of initialisation, in the setting of 4.4 with its C constant; 4.5, 4.6.

    share :math:`> 1 - \frac{\pi}{2(\pi-1)}(1 - \beta) + D(1 - \beta)^{3/2}` for :math:`\beta \in [0, 1)`, where share
    is :math:`(\kappa((1+\beta)/2) - 1/\pi)/(1 - 1/\pi)`.

    Parameters
    ----------
    constant : int, str, Fraction or Decimal
        D, at least 0; true below :math:`1/(3(\pi-1)) = 0.1556\dots`.

    Examples
    --------
    >>> theorem_4_constant().proven, theorem_4_constant("0.156").proven
    (True, False)
    """
    least = as_constant(constant)
    return prove_positive(
        "theorem_4_constant",
        f"share > 1 − C (1 − β) + {constant} (1 − β)^(3/2), C = π/(2(π − 1))",
        "β in [0, 1)",
        over_angle(lambda theta: _share_rest(theta) - ball(least), "1/3"),
    )
