"""Certificates: inequalities that ball arithmetic proves on whole intervals. Ours, with proofs in docs/theory.md."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from claims import OURS
from claims.ledger import Claim, Kind, Plant
from claims.measure import Computed
from conetheory.contraction import paper_threshold, preactivation_angle, sharp_threshold
from conetheory.meanfield import cone_curve
from conetheory.proofs import certified_layer, certified_rate, certified_threshold
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
    return Plant(name=name, statement=statement, measure=_unproven(makers))


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
    return -minimize_scalar(log_mgf, bounds=(0, 0.99 * end), method="bounded", options={"xatol": 1e-6 * end}).fun


def _angles(depths: Sequence[int]) -> list[float]:
    """Return the angle of orthogonal inputs after each of `depths` layers of He's initialisation, bias 0."""
    complement = cone_curve("relu", max(depths), sigma_w2=2.0).complement
    return [float(2 * np.arcsin(np.sqrt(complement[depth] / 2))) for depth in depths]


CLAIMS = (
    _certified(
        "arc_cosine",
        statement="The arc-cosine map increases and lies above the diagonal on the whole of [−1, 1), by .032 θ³ at least.",
        formula=r"\kappa(\rho) - \rho > 0.032\,\theta^3,\quad \kappa' > 0,\quad 1 - \kappa(1 - \epsilon) > \epsilon/2",
        makers=(
            certified_layer.arc_cosine_lift,
            certified_layer.arc_cosine_increases,
            certified_layer.complement_at_least_half,
        ),
        plants=(
            _false(
                "a_millionth_more",
                "It lies above the diagonal by a millionth everywhere.",
                lambda: certified_layer.arc_cosine_lift(0, offset="1e-6"),
                lambda: certified_layer.arc_cosine_increases(offset="1e-6"),
                lambda: certified_layer.complement_at_least_half(offset="1e-6"),
            ),
        ),
    ),
    _certified(
        "contraction",
        statement="Below the sharp threshold a wide layer raises every cosine: for all of [−1, 1) at unit norms, and up to .95 for all norms in [.9, 1.1].",
        formula=r"\kappa(\rho_1(c)) > c",
        makers=(certified_layer.contraction_at_unit_norms, certified_layer.contraction_on_box),
        plants=(
            _false(
                "more_than_half_way",
                "It takes away more than half of what is missing to 1, and beyond the threshold too.",
                lambda: certified_layer.contraction_at_unit_norms("0.51"),
                lambda: certified_layer.contraction_on_box("0.95", "1", "2"),
            ),
        ),
    ),
    _certified(
        "paper_threshold",
        statement="The paper's threshold lies below the sharp one for all different norms with the smaller in [1/2, 2] and a ratio up to 4.",
        formula=r"2/(r + 1/r) < c^\ast(a, b),\quad a \ne b",
        makers=(certified_layer.paper_threshold_suffices,),
        plants=(
            _false(
                "by_a_margin",
                "It does so by a margin that does not vanish as the norms become equal.",
                lambda: certified_layer.paper_threshold_suffices(offset="0.01"),
            ),
        ),
    ),
    _certified(
        "summand_variance",
        statement="The variance of the normalised summand in the proof of Theorem 1 increases with the correlation from 0 to 5/4; over its squared mean it decreases.",
        formula=r"0 < J_{22} - J_{11}^2 < \tfrac54,\quad p J_{22} > 2J_{11}^2",
        makers=(certified_layer.summand_variance_increases, certified_layer.summand_ratio_decreases),
        plants=(
            _false(
                "slope_bounded_away_from_0",
                "It does so with a slope above a thousandth everywhere.",
                lambda: certified_layer.summand_variance_increases(offset="1e-3"),
                lambda: certified_layer.summand_ratio_decreases(offset="1e-3"),
            ),
        ),
    ),
    _certified(
        "theorem4_constant",
        statement="The constant π/(2(π − 1)) of the proof of Theorem 4 holds for all β in [0, 1), and the variance of the output cosine is positive to first order.",
        formula=r"\mathrm{share} > 1 - \frac{\pi}{2(\pi - 1)}(1 - \beta),\quad v > 0",
        makers=(certified_layer.theorem_4_constant, certified_layer.variance_positive),
        plants=(
            _false(
                "a_smaller_constant",
                "It holds with a constant smaller by a thousandth.",
                lambda: certified_layer.theorem_4_constant(offset="0.001"),
                lambda: certified_layer.variance_positive(offset="1e-3"),
            ),
        ),
    ),
    _certified(
        "explicit_constant",
        statement="At unit norms P(failure) < 21/d for every cosine in (0, 1) and every width; for norms in [.9, 1.1] and cosines in [.1, .9] it is below 22/d.",
        formula=r"K = \mathrm{Var}\,X/(\mathbb{E}X)^2 < 21",
        makers=(certified_threshold.chebyshev_at_unit_norms, certified_threshold.chebyshev_on_box),
        plants=(
            _false(
                "twenty",
                "The constant is 20 at unit norms and 7 on the box.",
                lambda: certified_threshold.chebyshev_at_unit_norms(20),
                lambda: certified_threshold.chebyshev_on_box(7),
            ),
        ),
    ),
    _certified(
        "uniform_rate",
        statement="At unit norms P(failure) < (1/2 + √2/3)^d = .9714^d for every cosine in [0, 1) and every width: the exponential bound is uniform.",
        formula=r"\min_t M(t) < \tfrac12 + \tfrac{\sqrt2}{3}",
        kind="rate",
        makers=(certified_rate.rate_at_unit_norms,),
        plants=(
            _false(
                "a_millionth_less",
                "A base smaller by a millionth serves as well.",
                lambda: certified_rate.rate_at_unit_norms(offset="1e-6"),
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
                "above_the_threshold",
                "M(t) < 1 also above the sharp threshold.",
                lambda: certified_rate.mgf_below_one("0.1", "0.95", 2, 1),
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
            Plant(
                name="wrong_in_the_twentieth_digit",
                statement="It is larger by 1e-20.",
                measure=_unproven(tuple(lambda a=a, b=b: _shifted(a, b) for a, b in THRESHOLD_NORMS)),
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
        formula=r"\kappa(\cos\theta) > \cos\frac{\theta}{1 + \theta/(3\pi)}",
        makers=(certified_layer.he_initialisation_rate,),
        plants=(
            _false(
                "a_millionth_more",
                "The cosines differ by more than a millionth everywhere.",
                lambda: certified_layer.he_initialisation_rate(offset="1e-6"),
            ),
        ),
    ),
)
