"""Theorem 1, sharp: exact laws, the exact threshold and explicit constants. Ours, with proofs in docs/theory.md."""

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang.theorem1_layers import (
    SUMMAND_GRID,
    THRESHOLD_GRID,
    cells,
    chebyshev_by_quadrature,
    draw_cosines,
    draw_failures,
    draw_summand_variance,
    failures,
    layer,
    products,
    threshold_by_quadrature,
)
from claims.measure import Bounded, Computed, Mean, PerCell, Proportion
from conetheory.contraction import (
    chebyshev_constant,
    failure_probability_nonpositive,
    limiting_cosine,
    paper_threshold,
    sharp_threshold,
    summand_variance,
    undefined_probability,
)
from conetheory.finite_width import cosine_mean_correction

__all__ = ["CLAIMS"]

_PAIRS = (
    (1.0, 1.0),
    (2.0, 1.0),
    (4.0, 1.0),
    (1.0, 0.5),
    (10.0, 5.0),
    (1.0, 0.1),
)  # norms of the table of sharp thresholds in docs/theory.md, 20.3


_CONSTANT_GRID = cells([(0.1, 1.0, 1.0), (0.5, 1.0, 1.0), (0.9, 1.0, 1.0), (0.5, 2.0, 1.0), (0.9, 10.0, 10.0)])
_ZERO_GRID = tuple(
    {"cosine": 0.0, "norm_u": a, "norm_v": b, "width": d}
    for a, b in ((1.0, 1.0), (2.0, 1.0))
    for d in (1.0, 2.0, 4.0, 8.0)
)
_NEGATIVE_GRID = tuple(
    {"cosine": c, "norm_u": 1.0, "norm_v": 1.0, "width": d} for c in (-0.1, -0.9) for d in (1.0, 2.0, 4.0, 8.0)
)
_MAP_GRID = tuple({"rho": r, "width": 512.0} for r in (-0.9, -0.5, 0.0, 0.3, 0.6, 0.9, 0.99))
_STAR_GRID = cells([(float(sharp_threshold(a, b)), a, b) for a, b in _PAIRS[1:]])
_BEYOND_GRID = cells([(0.95, 2.0, 1.0), (0.85, 4.0, 1.0), (0.95, 1.0, 0.1)], width=2048.0)
_RATIO_TWO = ((1.0, 0.5), (2.0, 1.0), (10.0, 5.0))

CLAIMS = (
    Claim(
        id="conetheory.theorem1.beyond_sharp_threshold",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="Beyond the sharp threshold a wide layer lowers the cosine.",
        formula=r"c_0 > c^\ast \;\Rightarrow\; P(c' \le c_0) \ge 0.99 \quad (d = 2048)",
        kind="inequality",
        relation="at_least",
        predict=lambda: [0.99] * len(_BEYOND_GRID),
        measure=failures(1_024, 1 << 14, 1 << 16),
        grid=_BEYOND_GRID,
        resolution=0.04,
        plants=(
            Plant(
                name="reversed_inequality",
                statement="It raises it.",
                relation="at_most",
                predict=lambda: [0.5] * len(_BEYOND_GRID),
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem1.sharp_threshold",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="At the sharp threshold the infinitely wide layer leaves the cosine where it is.",
        formula=r"\kappa(\rho_1(c^\ast)) = c^\ast",
        kind="value",
        predict=lambda: [float(sharp_threshold(a, b)) for a, b in _PAIRS[1:]],
        measure=products(),
        grid=_STAR_GRID,
        resolution=0.02,
        plants=(
            Plant(
                name="the_papers_threshold",
                statement="It does so at the paper's threshold.",
                predict=lambda: [float(paper_threshold(a, b)) for a, b in _PAIRS[1:]],
            ),
            Plant(name="dropped_bias", statement="It does so without bias.", measure=products(sigma_b2=0.0)),
        ),
    ),
    Claim(
        id="conetheory.theorem1.sharp_threshold_value",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="The sharp threshold is the root of quadratures that use no closed form.",
        formula=r"c^\ast = \sup\{c : \kappa(\rho_1(c)) > c\}",
        kind="value",
        predict=lambda: [float(sharp_threshold(at["norm_u"], at["norm_v"])) for at in THRESHOLD_GRID],
        measure=Computed(
            compute=lambda: [threshold_by_quadrature(at["norm_u"], at["norm_v"]) for at in THRESHOLD_GRID], error=1e-10
        ),
        grid=THRESHOLD_GRID,
        resolution=1e-8,
        plants=(
            Plant(
                name="the_papers_threshold",
                statement="It is 2/(r + 1/r).",
                predict=lambda: [float(paper_threshold(at["norm_u"], at["norm_v"])) for at in THRESHOLD_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem1.threshold_of_ratio_alone",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="The threshold depends on the ratio of the norms alone, as the paper's does: at ratio 2 it is that of norms 2 and 1.",
        formula=r"c^\ast(\|u\|,\|v\|) = f(\|u\|/\|v\|)",
        kind="identity",
        predict=lambda: [float(sharp_threshold(2.0, 1.0))] * len(_RATIO_TWO),
        measure=Computed(compute=lambda: [threshold_by_quadrature(a, b) for a, b in _RATIO_TWO], error=1e-10),
        grid=tuple({"norm_u": a, "norm_v": b} for a, b in _RATIO_TWO),
        resolution=1e-6,
        expected="refuted",
        plants=(
            Plant(name="the_papers_value", statement="At ratio 2 it is 0.8.", predict=lambda: [0.8] * len(_RATIO_TWO)),
        ),
        note="It is 0.9335, 0.8939 and 0.9514 for norms (1, ½), (2, 1) and (10, 5): the bias sets a scale.",
    ),
    Claim(
        id="conetheory.theorem1.chebyshev_constant",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="The constant of the O(1/d) is the squared coefficient of variation of X = φφ' − (c₀/2)(φ² + φ'²).",
        formula=r"K = \mathrm{Var}\,X / (\mathbb{E} X)^2",
        kind="value",
        predict=lambda: [float(chebyshev_constant(*layer(at))) for at in _CONSTANT_GRID],
        measure=Computed(compute=lambda: [chebyshev_by_quadrature(at) for at in _CONSTANT_GRID], error=1e-7),
        grid=_CONSTANT_GRID,
        resolution=1e-6,
        plants=(
            Plant(
                name="mean_square_for_variance",
                statement="It is the mean square of X over its squared mean.",
                measure=Computed(compute=lambda: [chebyshev_by_quadrature(at, centred=False) for at in _CONSTANT_GRID]),
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem1.zero_cosine",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="For orthogonal inputs the layer fails exactly where no unit is active for both: (2/3)^d at unit norms.",
        formula=r"P(c' \le 0) = \Big(\frac{\pi + \theta_1}{2\pi}\Big)^d",
        kind="identity",
        predict=lambda: [float(failure_probability_nonpositive(*layer(at), int(at["width"]))) for at in _ZERO_GRID],
        measure=failures(1 << 14, 1 << 18, 1 << 21),
        grid=_ZERO_GRID,
        resolution=0.01,
        plants=(
            Plant(
                name="half_to_the_d",
                statement="It fails with probability 2^(−d).",
                predict=lambda: [0.5 ** at["width"] for at in _ZERO_GRID],
            ),
            Plant(
                name="dropped_bias",
                statement="The layer without bias has the same law.",
                measure=PerCell(
                    rule=Proportion(),
                    first=1 << 14,
                    quick=1 << 18,
                    full=1 << 21,
                    draw=lambda rng, n, at: draw_failures(rng, n, at, sigma_b2=0.0),
                ),
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem1.negative_cosine",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="For a negative cosine the layer fails exactly where one of the two outputs is zero.",
        formula=r"P(\text{failure}) = 2\cdot 2^{-d} - \Big(\frac{\pi - \theta_1}{2\pi}\Big)^d",
        kind="identity",
        predict=lambda: [float(undefined_probability(*layer(at), int(at["width"]))) for at in _NEGATIVE_GRID],
        measure=failures(1 << 14, 1 << 18, 1 << 21),
        grid=_NEGATIVE_GRID,
        resolution=0.01,
        plants=(
            Plant(
                name="without_the_overlap",
                statement="It fails with probability 2·2^(−d).",
                predict=lambda: [2 * 0.5 ** at["width"] for at in _NEGATIVE_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.theorem1.summand_variance",
        paper=OURS,
        section="docs/theory.md, section 2",
        statement="The sharp constant in place of the proof's 12 is 5/4, reached by equal inputs.",
        formula=r"\mathrm{Var}\big[\phi(z)\phi(z')\big] = J_{22} - J_{11}^2 \le \tfrac54",
        kind="value",
        predict=lambda: [float(summand_variance(*layer(at))) for at in SUMMAND_GRID],
        measure=PerCell(rule=Mean(), first=1 << 18, quick=1 << 21, full=1 << 23, draw=draw_summand_variance),
        grid=SUMMAND_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="mean_square", statement="It is 3/2 for equal inputs.", predict=lambda: [1.5] * len(SUMMAND_GRID)
            ),
        ),
    ),
    Claim(
        id="cho_saul.infinite_width_map",
        paper="Cho and Saul 2009",
        section="order n = 1",
        statement="A wide ReLU layer maps the correlation of the pre-activations by the arc-cosine kernel.",
        formula=r"c' \to \kappa(\rho_1) = \frac{\sin\theta_1 + (\pi - \theta_1)\cos\theta_1}{\pi}",
        kind="rate",
        predict=lambda: [float(limiting_cosine(at["rho"], 1.0, 1.0, sigma_b2=0.0)) for at in _MAP_GRID],
        tolerance=[(abs(float(cosine_mean_correction(at["rho"]))) + 1 / at["width"]) / at["width"] for at in _MAP_GRID],
        measure=PerCell(rule=Bounded(0.0, 1.0), first=1 << 12, quick=1 << 15, full=1 << 17, draw=draw_cosines),
        grid=_MAP_GRID,
        resolution=0.02,
        plants=(
            Plant(
                name="identity_map",
                statement="It leaves the correlation as it is.",
                predict=lambda: [at["rho"] for at in _MAP_GRID],
            ),
            Plant(
                name="half_as_much",
                statement="It maps it to J₁₁ = κ/2.",
                predict=lambda: [float(limiting_cosine(at["rho"], 1.0, 1.0, sigma_b2=0.0)) / 2 for at in _MAP_GRID],
            ),
        ),
        note="Width 512; the tolerance is the finite-width term |m(ρ)|/d and 1/d² for what follows it.",
    ),
)
