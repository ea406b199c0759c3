"""One layer of finite width: what the infinite-width map leaves out, and what does not matter at any width. Ours."""

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Mean, PerCell, Tally
from conetheory.contraction import limiting_cosine, preactivation_correlation
from conetheory.finite_width import cosine_mean_correction, cosine_variance
from sims.relu_layer import sample_cosines, sample_cosines_direct

__all__ = ["CLAIMS"]

_WIDTH = 32
_GRID = tuple({"rho": rho, "width": float(_WIDTH)} for rho in (-0.5, 0.0, 0.9))
_INPUT_GRID = tuple(
    {"dim_in": d, "cosine": 0.5, "norm_u": 1.0, "norm_v": 2.0, "width": float(_WIDTH)} for d in (2.0, 64.0)
)


def _kappa(rho: float) -> float:
    return float(limiting_cosine(rho, 1.0, 1.0, sigma_b2=0.0))


def _draw_correction(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally d (c' − κ); an undefined cosine, one in 2·10⁹ here, is left out."""
    cosines = sample_cosines(at["rho"], _WIDTH, n, rng=rng)
    return Tally.of(_WIDTH * (cosines[np.isfinite(cosines)] - _kappa(at["rho"])))


def _draw_spread(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally d (c' − κ − m/d)², whose mean is the variance to first order."""
    cosines = sample_cosines(at["rho"], _WIDTH, n, rng=rng)
    centre = _kappa(at["rho"]) + float(cosine_mean_correction(at["rho"])) / _WIDTH
    return Tally.of(_WIDTH * (cosines[np.isfinite(cosines)] - centre) ** 2)


def _draw_direct(rng: np.random.Generator, n: int, at: At, *, bias: float = 1.0) -> Tally:
    """Tally c' of layers whose weights and biases are drawn themselves."""
    u, v = np.zeros((2, int(at["dim_in"])))
    u[0] = at["norm_u"]
    v[:2] = at["norm_v"] * np.array([at["cosine"], np.sqrt(1 - at["cosine"] ** 2)])
    cosines = sample_cosines_direct(u, v, _WIDTH, n, rng=rng, sigma_b2=bias)
    return Tally.of(cosines[np.isfinite(cosines)])


def _direct(bias: float = 1.0) -> PerCell:
    return PerCell(
        rule=Mean(),
        first=1 << 11,
        quick=1 << 14,
        full=1 << 17,
        draw=lambda rng, n, at: _draw_direct(rng, n, at, bias=bias),
    )


def _reduced_mean(at: At) -> float:
    rho = float(preactivation_correlation(at["cosine"], at["norm_u"], at["norm_v"]))
    return _kappa(rho) + float(cosine_mean_correction(rho)) / _WIDTH


CLAIMS = (
    Claim(
        id="conetheory.finite_width.mean",
        paper=OURS,
        section="docs/theory.md, section 1b",
        statement="At width d the mean cosine differs from the infinite-width map by m(ρ)/d, up to 1/d².",
        formula=r"d\,(\mathbb{E} c' - \kappa) \to m = \kappa(J_{22} + \tfrac92) - 4J_{31}",
        kind="rate",
        predict=lambda: [float(cosine_mean_correction(at["rho"])) for at in _GRID],
        tolerance=1 / _WIDTH,
        measure=PerCell(rule=Mean(), first=1 << 18, quick=1 << 20, full=1 << 22, draw=_draw_correction),
        grid=_GRID,
        resolution=0.06,
        plants=(
            Plant(
                name="no_correction", statement="It does not differ at this order.", predict=lambda: [0.0] * len(_GRID)
            ),
            Plant(
                name="reversed_sign",
                statement="It differs by −m(ρ)/d.",
                predict=lambda: [-float(cosine_mean_correction(at["rho"])) for at in _GRID],
            ),
        ),
        note="Twelve million trials at widths 32 and 64 put the remainder below 0.6/d².",
    ),
    Claim(
        id="conetheory.finite_width.variance",
        paper=OURS,
        section="docs/theory.md, section 1b",
        statement="At width d the variance of the cosine is v(ρ)/d, up to 1/d².",
        formula=r"d\,\mathrm{Var}\,c' \to v = 4J_{22} + \kappa^2(3 + 2J_{22}) - 8\kappa J_{31}",
        kind="rate",
        predict=lambda: [float(cosine_variance(at["rho"])) for at in _GRID],
        tolerance=1 / _WIDTH,
        measure=PerCell(rule=Mean(), first=1 << 17, quick=1 << 19, full=1 << 22, draw=_draw_spread),
        grid=_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="without_the_norms",
                statement="It is the variance of the inner product alone.",
                predict=lambda: [4 * 0.25, 4 * (0.25 - 1 / (4 * np.pi**2)), 4 * 1.25],
            ),
        ),
    ),
    Claim(
        id="conetheory.finite_width.input_dimension",
        paper=OURS,
        section="docs/theory.md, section 1",
        statement="The law of the cosine after the layer depends on ρ₁ and the width alone: the dimension of the inputs does not matter.",
        formula=r"c' \sim \mathcal{L}(\rho_1, d_{\mathrm{out}})",
        kind="identity",
        predict=lambda: [_reduced_mean(at) for at in _INPUT_GRID],
        tolerance=1 / _WIDTH**2,
        measure=_direct(),
        grid=_INPUT_GRID,
        resolution=0.03,
        plants=(Plant(name="dropped_bias", statement="The bias does not matter either.", measure=_direct(bias=0.0)),),
        note="Measured by drawing the weights themselves, for inputs in 2 and in 64 dimensions.",
    ),
)
