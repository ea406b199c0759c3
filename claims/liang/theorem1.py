"""Theorem 1: one random ReLU layer with biases raises the cosine of two inputs. The paper's statement and its proof."""

import itertools

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.liang.theorem1_layers import (
    SUMMAND_GRID,
    THRESHOLD_GRID,
    cells,
    draw_inner_products,
    draw_successes,
    draw_summand_variance,
    failures,
    layer,
    products,
    threshold_by_quadrature,
)
from claims.measure import At, Computed, Mean, PerCell, Proportion
from conetheory.contraction import (
    chebyshev_constant,
    failure_probability_nonpositive,
    paper_threshold,
    preactivation_correlation,
)

__all__ = ["CLAIMS"]

_NORMS = ((0.1, 0.1), (1.0, 1.0), (1.0, 2.0), (10.0, 1.0), (100.0, 0.1), (10.0, 10.0), (100.0, 100.0))
_COSINES = (-0.9, -0.5, 0.0, 0.1, 0.5, 0.9, 0.99, 0.999)
_WIDTHS = (8, 64, 512)
_WIDEST = ((0.5, 1.0, 1.0), (0.9, 1.0, 1.0), (0.99, 1.0, 1.0), (0.9, 10.0, 10.0), (0.1, 10.0, 1.0))  # at width 4096


def _failure_bound(at: At, constant: float = 1.0) -> float:
    """Return what failure may cost: its exact probability for cosines up to 0, else Chebyshev's bound `constant` K/d."""
    cosine, norm_u, norm_v = layer(at)
    width = int(at["width"])
    if cosine <= 0:
        return float(failure_probability_nonpositive(cosine, norm_u, norm_v, width))
    return min(1.0, constant * float(chebyshev_constant(cosine, norm_u, norm_v)) / width)


def _theorem_grid() -> tuple[dict[str, float], ...]:
    """Return the layers below the paper's threshold at the widths where the bound says something."""
    layers = [(c, *norms, d) for c, norms, d in itertools.product(_COSINES, _NORMS, _WIDTHS)]
    found = []
    for cosine, norm_u, norm_v, width in [*layers, *((*widest, 4096) for widest in _WIDEST)]:
        at = {"cosine": cosine, "norm_u": norm_u, "norm_v": norm_v, "width": float(width)}
        if cosine < paper_threshold(norm_u, norm_v) and _failure_bound(at) < 1:
            found.append(at)
    return tuple(found)


_GRID = _theorem_grid()


_LEMMA_GRID = cells(
    [(c, a, b) for c in (-0.9, 0.0, 0.5, 0.9, 0.999) for a, b in ((0.1, 0.1), (1.0, 1.0), (1.0, 2.0), (10.0, 1.0))]
)
_NECESSARY_GRID = cells([(0.85, 2.0, 1.0), (0.6, 4.0, 1.0), (0.6, 1.0, 0.1)], width=2048.0)

CLAIMS = (
    Claim(
        id="liang.theorem1.probability",
        paper=PAPER,
        section="Theorem 1",
        statement="If cos(u, v) < 2/(r + 1/r), a random ReLU layer of width d raises the cosine with probability at least 1 − O(1/d): failure costs at most K/d.",
        formula=r"P\big(\cos(\phi(Wu+b),\phi(Wv+b)) \le \cos(u,v)\big) \le \frac{K(c_0,\|u\|,\|v\|)}{d}",
        kind="inequality",
        relation="at_most",
        predict=lambda: [_failure_bound(at) for at in _GRID],
        measure=failures(1 << 13, 1 << 15, 1 << 18),
        grid=_GRID,
        resolution=[min(0.03, max(0.006, _failure_bound(at) / 2)) for at in _GRID],
        plants=(
            Plant(
                name="reversed_inequality", statement="Failure has at least the probability K/d.", relation="at_least"
            ),
            Plant(
                name="thousandth_of_the_constant",
                statement="Failure has at most the probability K/(1000 d).",
                predict=lambda: [_failure_bound(at, 1e-3) for at in _GRID],
            ),
        ),
        note="K is Chebyshev's constant (ours; exact laws for cosines up to 0). Layers below the threshold at which K/d ≥ 1 are left out: there the bound says nothing.",
    ),
    Claim(
        id="liang.theorem1.uniform_constant",
        paper=OURS,
        section="Theorem 1, read uniformly in the inputs",
        statement="Below the threshold the constant in O(1/d) does not depend on the inputs: at width 1024 failure is rarer than 0.1 for all of them.",
        formula=r"\sup_{c_0 < 2/(r+1/r)} P(c' \le c_0) \le 0.1 \quad (d = 1024)",
        kind="inequality",
        relation="at_most",
        predict=lambda: [0.1, 0.1],
        measure=failures(2_048, 1 << 14, 1 << 17),
        grid=cells([(0.99, 10.0, 10.0), (0.999, 100.0, 100.0)], width=1024.0),
        resolution=0.05,
        expected="refuted",
        plants=(
            Plant(name="no_failure", statement="At width 1024 there is no failure.", predict=lambda: [1e-4, 1e-4]),
        ),
        note="For long, nearly parallel inputs the bias hardly matters and the margin vanishes: the hidden constant grows without bound.",
    ),
    Claim(
        id="liang.theorem1.lemma3",
        paper=PAPER,
        section="Lemma 3",
        statement="The expected inner product after the layer with ReLU is at least half of what it is without.",
        formula=r"1 + u^\top v \le 2\,\mathbb{E}[\phi(Wu+b)^\top \phi(Wv+b)]",
        kind="inequality",
        relation="at_least",
        predict=lambda: [float(preactivation_correlation(*layer(at))) for at in _LEMMA_GRID],
        measure=products(),
        grid=_LEMMA_GRID,
        resolution=0.02,
        plants=(
            Plant(name="without_the_two", statement="The factor 2 is not needed.", measure=products(factor=1.0)),
            Plant(
                name="dropped_bias",
                statement="The lemma holds with 1 + u·v when the layer has no bias.",
                measure=products(sigma_b2=0.0),
            ),
        ),
        note="Both sides are divided by the standard deviations of the pre-activations, √(1 + ‖u‖²) √(1 + ‖v‖²).",
    ),
    Claim(
        id="liang.theorem1.lemma3_equality",
        paper=PAPER,
        section="Lemma 3",
        statement="Before the ReLU the expected inner product is 1 + u·v.",
        formula=r"\mathbb{E}[(Wu+b)^\top (Wv+b)] = 1 + u^\top v",
        kind="identity",
        predict=lambda: [1 + c * a * b for c, a, b in map(layer, SUMMAND_GRID)],
        measure=PerCell(rule=Mean(), first=1 << 15, quick=1 << 18, full=1 << 20, draw=draw_inner_products),
        grid=SUMMAND_GRID,
        resolution=0.04,
        plants=(
            Plant(
                name="dropped_bias",
                statement="The layer without bias has the same expected inner product.",
                measure=PerCell(
                    rule=Mean(),
                    first=1 << 15,
                    quick=1 << 18,
                    full=1 << 20,
                    draw=lambda rng, n, at: draw_inner_products(rng, n, at, bias=0.0),
                ),
            ),
            Plant(
                name="variance_one_over_d_in",
                statement="Weights of variance 1/d_in give the same.",
                measure=PerCell(
                    rule=Mean(),
                    first=1 << 15,
                    quick=1 << 18,
                    full=1 << 20,
                    draw=lambda rng, n, at: draw_inner_products(rng, n, at, weight_width="in"),
                ),
            ),
        ),
    ),
    Claim(
        id="liang.theorem1.summand_variance",
        paper=PAPER,
        section="App. D, proof of Theorem 1",
        statement="The variance of one normalised summand of the inner product is below 12.",
        formula=r"\mathrm{Var}\big[\phi(z)\phi(z')\big] < 12",
        kind="inequality",
        relation="at_most",
        predict=lambda: [12.0] * len(SUMMAND_GRID),
        measure=PerCell(rule=Mean(), first=1 << 16, quick=1 << 20, full=1 << 22, draw=draw_summand_variance),
        grid=SUMMAND_GRID,
        resolution=0.1,
        plants=(Plant(name="below_one", statement="It is below 1.", predict=lambda: [1.0] * len(SUMMAND_GRID)),),
    ),
    Claim(
        id="liang.theorem1.threshold_sufficient",
        paper=PAPER,
        section="Theorem 1",
        statement="The paper's threshold is sufficient: the infinitely wide layer raises every cosine below 2/(r + 1/r).",
        formula=r"c^\ast(\|u\|, \|v\|) \ge \frac{2}{r + 1/r}",
        kind="inequality",
        relation="at_least",
        predict=lambda: [float(paper_threshold(at["norm_u"], at["norm_v"])) for at in THRESHOLD_GRID],
        measure=Computed(
            compute=lambda: [threshold_by_quadrature(at["norm_u"], at["norm_v"]) for at in THRESHOLD_GRID], error=1e-11
        ),
        grid=THRESHOLD_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="twice_the_threshold",
                statement="Cosines up to 4/(r + 1/r) are raised too.",
                predict=lambda: [2 * float(paper_threshold(at["norm_u"], at["norm_v"])) for at in THRESHOLD_GRID],
            ),
        ),
    ),
    Claim(
        id="liang.theorem1.threshold_necessary",
        paper=OURS,
        section="the converse of Theorem 1, which the paper does not claim",
        statement="The paper's threshold is necessary: a wide layer does not raise cosines above 2/(r + 1/r).",
        formula=r"c_0 > \frac{2}{r+1/r} \;\Rightarrow\; P(c' > c_0) \le \tfrac12",
        kind="inequality",
        relation="at_most",
        predict=lambda: [0.5] * len(_NECESSARY_GRID),
        measure=PerCell(rule=Proportion(), first=256, quick=1 << 13, full=1 << 15, draw=draw_successes),
        grid=_NECESSARY_GRID,
        resolution=0.05,
        expected="refuted",
        plants=(Plant(name="never", statement="It never raises them.", predict=lambda: [0.0] * len(_NECESSARY_GRID)),),
        note="The paper proves sufficiency only. Between its threshold and the sharp one, c*, the cosine rises with probability → 1.",
    ),
)
