"""Certificates: inequalities that ball arithmetic proves on whole intervals. Ours, with proofs in docs/theory.md."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from claims import OURS
from claims.ledger import Claim, Kind, Plant
from claims.measure import Computed
from conetheory.contraction import paper_threshold, preactivation_angle, sharp_threshold
from conetheory.meanfield import cone_curve
from conetheory.proofs import certified_depth, certified_layer, certified_rate, certified_threshold
from conetheory.proofs.balls import Enclosure
from conetheory.proofs.certified import RATE_LAYERS, THRESHOLD_NORMS
from conetheory.proofs.subdivision import Certificate

__all__ = ["CLAIMS"]

Makers = Sequence[Callable[[], Certificate]]

_THRESHOLD_GRID = tuple({"norm_u": float(a), "norm_v": float(b)} for a, b in THRESHOLD_NORMS)
_RATE_GRID = tuple({"cosine": float(c), "norm_u": float(a), "norm_v": float(b)} for c, a, b in RATE_LAYERS)
_DEPTHS = (1, 10, 100, 1000)


def _unproven(makers: Makers) -> Computed:
    """Measure the share of the domain that each certificate leaves unproven: 0 or, for a false statement, 1."""
    return Computed(compute=lambda: [make().open_share for make in makers], error=1e-12)


def _certified(
    name: str, *, statement: str, formula: str, makers: Makers, plants: Sequence[Plant], kind: Kind = "inequality"
) -> Claim:
    """Return the claim that every one of `makers` proves all of its domain."""
    return Claim(
        id=f"conetheory.certificates.{name}",
        paper=OURS,
        section="docs/theory.md, section 20",
        statement=statement,
        formula=formula,
        kind=kind,
        predict=lambda: [0.0] * len(makers),
        measure=_unproven(makers),
        grid=tuple({"part": float(k)} for k in range(1, len(makers) + 1)),
        resolution=1e-9,
        plants=plants,
        note="Measured is the share of the domain that ball arithmetic leaves unproven.",
    )


def _false(name: str, statement: str, *makers: Callable[[], Certificate]) -> Plant:
    """Return the plant that is refuted only if every one of `makers` fails: the least share that one leaves unproven."""

    def least() -> list[float]:
        return [min(make().open_share for make in makers)] * len(makers)

    return Plant(name=name, statement=statement, measure=Computed(compute=least, error=1e-12))


def _middle(found: Enclosure) -> float:
    return float((Fraction(found.low) + Fraction(found.high)) / 2)


def _shifted(norm_u, norm_v) -> Certificate:
    """Try to prove the sharp threshold where it is not: 1e-20 higher."""
    found = certified_threshold.enclose_sharp_threshold(norm_u, norm_v)
    low, high = (Fraction(end) + Fraction("1e-20") for end in (found.low, found.high))
    ends = (Decimal(f"{int(end * 10**32)}e-32") for end in (low, high))
    return certified_threshold.sharp_threshold_within(norm_u, norm_v, Enclosure(low=next(ends), high=next(ends)))


def _threshold_certificate(norm_u, norm_v) -> Certificate:
    found = certified_threshold.enclose_sharp_threshold(norm_u, norm_v)
    return certified_threshold.sharp_threshold_within(norm_u, norm_v, found)


def _rate_by_quadrature(cosine: float, norm_u: float, norm_v: float) -> float:
    """Return −min ln M, M by integrating 1/(1 + 2th) over the angle between the kinks of h: no closed form is used."""
    theta = float(preactivation_angle(cosine, norm_u, norm_v))
    edges = [-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2]

    def h(angle: float) -> float:
        u, v = max(np.cos(angle), 0.0), max(np.cos(angle - theta), 0.0)
        return u * v - cosine / 2 * (u * u + v * v)

    def log_mgf(t: float) -> float:
        parts = (
            quad(lambda a: 1 / (1 + 2 * t * h(a)), low, high, epsabs=1e-13, epsrel=1e-12)[0]
            for low, high in pairwise(edges)
        )
        return float(np.log((sum(parts) + np.pi - theta) / (2 * np.pi)))

    end = 1 / (cosine * np.sin(theta) ** 2)
    found: Any = minimize_scalar(log_mgf, bounds=(0, 0.99 * end), method="bounded", options={"xatol": 1e-6 * end})
    return -float(found.fun)


def _angles(depths: Sequence[int]) -> list[float]:
    """Return the angle of orthogonal inputs after each of `depths` layers of He's initialisation, bias 0."""
    complement = cone_curve("relu", max(depths), sigma_w2=2.0).complement
    return [float(2 * np.arcsin(np.sqrt(complement[depth] / 2))) for depth in depths]


CLAIMS = (
    _certified(
        "arc_cosine",
        statement="The arc-cosine map increases and lies above the diagonal on the whole of [−1, 1), by .032 θ³ at least; it takes away less than half of what is missing to 1.",
        formula=r"\kappa(\rho) - \rho > 0.032\,\theta^3,\quad -\frac{d\kappa}{d\theta} > 0.1013\,\theta(\pi-\theta)^2,"
        r"\quad 1 - \kappa(1 - \epsilon) > \frac{\epsilon}{2} + 0.18\,\epsilon(2 - \epsilon)",
        makers=(
            certified_layer.arc_cosine_lift,
            certified_layer.arc_cosine_increases,
            certified_depth.complement_at_least_half,
        ),
        plants=(
            _false(
                "constants_beyond_the_best",
                "The constants are .0323 > π⁻³, .1014 > π⁻² and .182 > 1/2 − 1/π.",
                lambda: certified_layer.arc_cosine_lift("0.0323"),
                lambda: certified_layer.arc_cosine_increases("0.1014"),
                lambda: certified_depth.complement_at_least_half("0.182"),
            ),
        ),
    ),
    _certified(
        "contraction",
        statement="Below the sharp threshold a wide layer raises every cosine: for all of [−1, 1) at unit norms, and up to .95 for all norms in [.9, 1.1].",
        formula=r"\kappa(\rho_1(c)) > c,\quad \kappa(\rho_1(c)) > \frac{1 + c}{2} + 0.106\,(1 - c)^{3/2}\ (a = b = 1)",
        makers=(certified_layer.contraction_at_unit_norms, certified_layer.contraction_on_box),
        plants=(
            _false(
                "beyond_the_best_constant_and_the_threshold",
                "The constant is .1062 > 1/(3π), and cosines up to .9 rise for norms in [1, 2], though c* is .8939 at 1 and 2.",
                lambda: certified_layer.contraction_at_unit_norms("0.1062"),
                lambda: certified_layer.contraction_on_box("0.9", 1, 2),
            ),
        ),
    ),
    _certified(
        "paper_threshold",
        statement="The paper's threshold lies below the sharp one for all different norms with the smaller in [1/2, 2] and a ratio up to 4.",
        formula=r"\Pi\,(\rho_1(c_p) - c_p) > 0.08\,\frac{(b - a)^2}{a^2 + b^2},\quad c_p = \frac{2}{r + 1/r} < c^\ast(a, b)",
        makers=(certified_layer.paper_threshold_suffices,),
        plants=(
            _false(
                "a_constant_beyond_the_best",
                "The constant is .087; at norms 2 and 8 it is .0864.",
                lambda: certified_layer.paper_threshold_suffices("0.087"),
            ),
        ),
    ),
    _certified(
        "summand_variance",
        statement="The variance of the normalised summand in the proof of Theorem 1 increases with the correlation from 0 to 5/4; over its squared mean it decreases.",
        formula=r"-\frac{d}{d\theta}(J_{22} - J_{11}^2) > 0.0153\,\theta\psi^4,\quad p J_{22} > 2J_{11}^2 + 0.00026\,\psi^6",
        makers=(certified_layer.summand_variance_increases, certified_layer.summand_ratio_decreases),
        plants=(
            _false(
                "constants_beyond_the_best",
                "The constants are .0155 > 3/(2π⁴) and .00027 > 1/(4π⁶).",
                lambda: certified_layer.summand_variance_increases("0.0155"),
                lambda: certified_layer.summand_ratio_decreases("0.00027"),
            ),
        ),
    ),
    _certified(
        "theorem4_constant",
        statement="The constant π/(2(π − 1)) of the proof of Theorem 4 holds for all β in [0, 1), and the variance of the output cosine is positive to first order.",
        formula=r"\mathrm{share} > 1 - \frac{\pi}{2(\pi - 1)}(1 - \beta) + 0.155\,(1 - \beta)^{3/2},"
        r"\quad v > 0.0017\,\theta^4(\pi-\theta)^5",
        makers=(certified_layer.theorem_4_constant, certified_layer.variance_positive),
        plants=(
            _false(
                "constants_beyond_the_best",
                "The constants of the next order are .156 > 1/(3(π − 1)) and .0018 > 8/(15π⁵).",
                lambda: certified_layer.theorem_4_constant("0.156"),
                lambda: certified_layer.variance_positive("0.0018"),
            ),
        ),
    ),
    _certified(
        "explicit_constant",
        statement="At unit norms P(failure) < 21/d for every cosine in (0, 1) and every width; for norms in [.9, 1.1] and cosines in [.1, .9] it is below 22/d.",
        formula=r"K = \mathrm{Var}\,X/(\mathbb{E}X)^2 < 21 - 12\sqrt{1 - c_0}",
        makers=(certified_threshold.chebyshev_at_unit_norms, certified_threshold.chebyshev_on_box),
        plants=(
            _false(
                "constants_beyond_the_best",
                "K is below 21 − 12.4 √(1 − c₀) at unit norms, and below 19.5 on the box; there it reaches 19.7.",
                lambda: certified_threshold.chebyshev_at_unit_norms("12.4"),
                lambda: certified_threshold.chebyshev_on_box("19.5", cosines=("0.85", "0.9")),
            ),
        ),
    ),
    _certified(
        "uniform_rate",
        statement="At unit norms P(failure) < (1/2 + √2/3)^d = .9714^d for every cosine in [0, 1) and every width: the exponential bound is uniform.",
        formula=r"\min_t M(t) < \tfrac12 + \tfrac{\sqrt2}{3} - 0.021\sqrt{1 - c_0}",
        kind="rate",
        makers=(certified_rate.rate_at_unit_norms,),
        plants=(
            _false(
                "a_constant_beyond_the_best",
                "At t = 1/(4(1 − c₀)) M is below 1/2 + √2/3 − .022 √(1 − c₀).",
                lambda: certified_rate.rate_at_unit_norms("0.022"),
            ),
        ),
    ),
    _certified(
        "rate_on_box",
        statement="For cosines in [.1, .9] and norms in [.9, 1.1] P(failure) < exp(−.015 d) for every width.",
        formula=r"M(t) < e^{-0.015}",
        kind="rate",
        makers=(certified_rate.rate_on_box,),
        plants=(
            _false(
                "a_rate_beyond_the_best",
                "It is below exp(−.0325 d); at norms 1.1 and cosine .9 the rate is .03206.",
                lambda: certified_rate.rate_on_box("0.0325"),
            ),
        ),
    ),
    _certified(
        "threshold_digits",
        statement="The sharp threshold is known to 31 certified digits at five pairs of norms.",
        formula=r"c^\ast(a, b) \in [\underline{c}, \overline{c}],\quad \overline{c} - \underline{c} = 2\cdot10^{-32}",
        kind="value",
        makers=tuple(lambda a=a, b=b: _threshold_certificate(a, b) for a, b in THRESHOLD_NORMS),
        plants=(
            _false(
                "wrong_in_the_twentieth_digit",
                "It is larger by 1e-20.",
                *(lambda a=a, b=b: _shifted(a, b) for a, b in THRESHOLD_NORMS),
            ),
        ),
    ),
    Claim(
        id="conetheory.certificates.threshold_value",
        paper=OURS,
        section="docs/theory.md, section 20",
        statement="The sharp threshold in double precision is right to 1e-15.",
        formula=r"c^\ast = \sup\{c : \kappa(\rho_1(c)) > c\}",
        kind="value",
        predict=lambda: [float(sharp_threshold(at["norm_u"], at["norm_v"])) for at in _THRESHOLD_GRID],
        measure=Computed(
            compute=lambda: [_middle(certified_threshold.enclose_sharp_threshold(a, b)) for a, b in THRESHOLD_NORMS],
            error=2e-16,
        ),
        grid=_THRESHOLD_GRID,
        tolerance=1e-15,
        resolution=1e-15,
        plants=(
            Plant(
                name="the_papers_threshold",
                statement="It is 2/(r + 1/r).",
                predict=lambda: [float(paper_threshold(at["norm_u"], at["norm_v"])) for at in _THRESHOLD_GRID],
            ),
            Plant(
                name="wrong_in_the_fourteenth_digit",
                statement="It is larger by 1e-14.",
                predict=lambda: [float(sharp_threshold(at["norm_u"], at["norm_v"])) + 1e-14 for at in _THRESHOLD_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.certificates.rate_value",
        paper=OURS,
        section="docs/theory.md, section 20",
        statement="The certified enclosures of the exponential rate, 24 digits each, contain what quadrature of the definition gives.",
        formula=r"I = -\min_t \ln \mathbb{E} e^{-tX}",
        kind="value",
        predict=lambda: [_middle(certified_rate.enclose_rate(*layer)) for layer in RATE_LAYERS],
        measure=Computed(
            compute=lambda: [_rate_by_quadrature(*map(float, layer)) for layer in RATE_LAYERS], error=1e-9
        ),
        grid=_RATE_GRID,
        resolution=1e-8,
        plants=(
            Plant(
                name="twice_the_rate",
                statement="It is twice as large.",
                predict=lambda: [2 * _middle(certified_rate.enclose_rate(*layer)) for layer in RATE_LAYERS],
            ),
        ),
    ),
    Claim(
        id="conetheory.certificates.he_angle",
        paper=OURS,
        section="docs/theory.md, section 20",
        statement="With He's initialisation and no bias the angle of two inputs after l layers is below 3π/(l + 3π/θ₀), at every depth.",
        formula=r"\frac1{\theta_{l+1}} > \frac1{\theta_l} + \frac1{3\pi}",
        kind="inequality",
        relation="at_most",
        predict=lambda: [3 * np.pi / (depth + 6) for depth in _DEPTHS],
        measure=Computed(compute=lambda: _angles(_DEPTHS), error=1e-12),
        grid=tuple({"depth": float(depth)} for depth in _DEPTHS),
        resolution=1e-6,
        plants=(
            Plant(
                name="a_tenth_faster",
                statement="It is below 3π/(1.1 l + 3π/θ₀).",
                predict=lambda: [3 * np.pi / (1.1 * depth + 6) for depth in _DEPTHS],
            ),
        ),
        note="Orthogonal inputs, 3π/θ₀ = 6. The certificate he_initialisation_rate proves one step for all angles.",
    ),
    _certified(
        "he_step",
        statement="One layer of He's initialisation raises 1/θ by more than 1/(3π), for every angle in (0, π].",
        formula=r"\kappa(\cos\theta) > \cos\frac{\theta}{1 + \theta/(3\pi)} + 0.0072\,\theta^4",
        makers=(certified_depth.he_initialisation_rate,),
        plants=(
            _false(
                "a_constant_beyond_the_best",
                "The cosines differ by more than .0073 θ⁴; at θ = π it is .00726.",
                lambda: certified_depth.he_initialisation_rate("0.0073"),
            ),
        ),
    ),
)
