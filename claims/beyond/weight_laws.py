"""Weights that are not Gaussian: the map of the cosine is universal, the rate of its failures is not."""

from itertools import product

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Bounded, Computed, Mean, PerCell, Proportion, Tally
from conetheory.contraction import limiting_cosine
from conetheory.dual import second_moment
from conetheory.finite_width import cosine_variance
from conetheory.initialisations import (
    EXCESS_KURTOSIS,
    failure_rate_of_atoms,
    kurtosis_correction,
    rademacher_preactivations,
)
from conetheory.orthogonal import (
    orthogonal_cosine_variance,
    orthogonal_failure_probability,
    orthogonal_failure_rate,
)
from sims.initialisations import sample_cosines_of_law, sample_orthogonal_cosines, sample_weights

__all__ = ["CLAIMS"]

_WIDTH, _DIM_IN, _COSINE = 256, 64, 0.3
_LAWS = ("uniform", "truncated_normal", "rademacher")
_LAW_GRID = tuple({"excess_kurtosis": EXCESS_KURTOSIS[law], "width": float(_WIDTH)} for law in _LAWS)
_SPREAD_WIDTH = 128
_SPREAD_GRID = tuple(
    {"cosine": c, "aspect": a, "width": float(_SPREAD_WIDTH)} for c, a in ((0.3, 1.0), (0.3, 0.5), (0.8, 1.0))
)
_FAILURE_GRID = ({"cosine": 0.1, "width": 32.0, "dim_in": 32.0}, {"cosine": 0.1, "width": 32.0, "dim_in": 64.0})
_FAILURES = [
    float(orthogonal_failure_probability(at["cosine"], at["width"], aspect=at["width"] / at["dim_in"]))
    for at in _FAILURE_GRID
]
_SMALL_GRID = ({"dim_in": 4.0}, {"dim_in": 8.0})
_SIGNS = 8  # weights of ±1 on inputs of equal moduli; the cosine is 1/2
_SIGN_WIDTH = 1024


def _kappa(rho: float) -> float:
    return float(limiting_cosine(rho, 1.0, 1.0, sigma_b2=0.0))


def _equal_moduli(dim_in: int, same: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit inputs of equal moduli that agree in the first `same` coordinates."""
    return np.full(dim_in, dim_in**-0.5), np.where(np.arange(dim_in) < same, 1.0, -1.0) * dim_in**-0.5


def _inputs() -> tuple[np.ndarray, np.ndarray]:
    """Return unit inputs of cosine `_COSINE` in a direction without structure."""
    u, other = np.random.default_rng(0).standard_normal((2, _DIM_IN))
    u /= np.linalg.norm(u)
    other -= u * (u @ other)
    return u, _COSINE * u + np.sqrt(1 - _COSINE**2) * other / np.linalg.norm(other)


def _limit(excess_kurtosis: float) -> float:
    return _kappa(_COSINE) + kurtosis_correction(*_inputs(), excess_kurtosis=excess_kurtosis)


def _draw_law(rng: np.random.Generator, n: int, at: At) -> Tally:
    law = next(law for law in _LAWS if EXCESS_KURTOSIS[law] == at["excess_kurtosis"])
    u, v = _inputs()
    return Tally.of(sample_cosines_of_law(u, v, _WIDTH, n, law=law, rng=rng))


def _draw_orthogonal(rng: np.random.Generator, n: int, at: At) -> Tally:
    return Tally.of(sample_orthogonal_cosines(at["cosine"], int(at["width"]), n, rng=rng))


def _draw_spread(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally d (c' − c'')²/2 for pairs of independent layers: no mean is needed."""
    width = int(at["width"])
    pairs = sample_orthogonal_cosines(at["cosine"], width, 2 * n, dim_in=round(width / at["aspect"]), rng=rng)
    return Tally.of(width * (pairs[:n] - pairs[n:]) ** 2 / 2)


def _draw_failures(rng: np.random.Generator, n: int, at: At) -> Tally:
    cosines = sample_orthogonal_cosines(at["cosine"], int(at["width"]), n, dim_in=int(at["dim_in"]), rng=rng)
    return Tally.count(int(np.sum(~(cosines > at["cosine"]))), n)


def _draw_small(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally d_in (|zz'|/2 − κ(0)): by symmetry 2 φφ' has the mean of (zz' + |zz'|)/2, and zz' has the mean 0."""
    dim_in = int(at["dim_in"])
    u, v = _equal_moduli(dim_in, dim_in // 2)
    weights = sample_weights("uniform", (n, dim_in), rng=rng)
    return Tally.of(dim_in * (np.abs((weights @ u) * (weights @ v)) / 2 - _kappa(0.0)))


def _draw_sign_failures(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Count failures: a layer is a multinomial sample of the sums of the agreeing and of the opposite signs."""
    same = 3 * _SIGNS // 4
    opposite = _SIGNS - same
    sums = np.array(list(product(range(same + 1), range(opposite + 1)))) * 2.0 - [same, opposite]
    chances = np.array(
        [_binomial(same, i) * _binomial(opposite, j) for i, j in product(range(same + 1), range(opposite + 1))]
    )
    first, second = np.maximum(sums.sum(axis=1), 0), np.maximum(sums[:, 0] - sums[:, 1], 0)
    counts = rng.multinomial(_SIGN_WIDTH, chances, size=n)
    inner, square_u, square_v = (counts @ x for x in (first * second, first**2, second**2))
    return Tally.count(int(np.sum(~(inner > 0.5 * np.sqrt(square_u * square_v)))), n)


def _binomial(n: int, k: int) -> float:
    """Return the chance of k heads in n tosses, counted one by one."""
    return sum(sum(tosses) == k for tosses in product((0, 1), repeat=n)) / 2**n


def _draw_default_layer(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally φ(w·x)² for weights uniform on ±1/√d_in and an input of mean square 1."""
    dim_in = int(at["dim_in"])
    x = np.where(np.arange(dim_in) % 3 == 0, 1.0, -1.0)
    bound = dim_in**-0.5
    return Tally.of(np.maximum(rng.uniform(-bound, bound, (n, dim_in)) @ x, 0) ** 2)


def _four_signs() -> list[float]:
    """Return the cosine after infinitely many units with four weights of ±1, by counting."""
    u, v = np.ones(4), np.array([1, 1, 1, -1])
    pairs = [(max(np.dot(w, u), 0), max(np.dot(w, v), 0)) for w in product((1, -1), repeat=4)]
    inner, first, second = (
        sum(a * b for a, b in x) for x in (pairs, [(a, a) for a, _ in pairs], [(b, b) for _, b in pairs])
    )
    return [inner / np.sqrt(first * second)]


def _cosine_rule(draw, *, quick: int = 1 << 12) -> PerCell:
    return PerCell(rule=Mean(), first=1 << 9, quick=quick, full=quick << 3, draw=draw)


CLAIMS = (
    Claim(
        id="conetheory.initialisations.universal",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Uniform, truncated normal and Rademacher weights raise the cosine as Gaussian ones do.",
        formula=r"\mathbb{E} c' = \kappa(c_0) + O(1/d) + O(1/d_{in}^2)",
        kind="value",
        predict=lambda: [_limit(at["excess_kurtosis"]) for at in _LAW_GRID],
        tolerance=1 / _WIDTH,
        measure=_cosine_rule(_draw_law, quick=1 << 11),
        grid=_LAW_GRID,
        resolution=0.02,
        plants=(Plant(name="no_contraction", statement="They leave it.", predict=lambda: [_COSINE] * len(_LAW_GRID)),),
        note="64 inputs in a fixed direction, whose term of order κ_4/d_in is in the prediction; the tolerance 1/d is for the width.",
    ),
    Claim(
        id="conetheory.initialisations.universal_orthogonal",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Orthogonal weights raise the cosine as Gaussian ones do.",
        formula=r"c' \to \kappa(c_0)",
        kind="value",
        predict=lambda: [_kappa(0.1), _kappa(0.8)],
        tolerance=1 / _WIDTH,
        measure=_cosine_rule(_draw_orthogonal),
        grid=tuple({"cosine": c, "width": float(_WIDTH)} for c in (0.1, 0.8)),
        resolution=0.01,
        plants=(Plant(name="no_contraction", statement="They leave it.", predict=lambda: [0.1, 0.8]),),
    ),
    Claim(
        id="conetheory.initialisations.orthogonal_variance",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Orthogonal weights leave the cosine a smaller variance than Gaussian ones, by an amount in closed form.",
        formula=r"d\,\mathrm{Var}\,c' \to v - \frac{\gamma}{\pi^2}(\pi - \theta)^2 \sin^4\theta",
        kind="rate",
        predict=lambda: [float(orthogonal_cosine_variance(at["cosine"], aspect=at["aspect"])) for at in _SPREAD_GRID],
        tolerance=3 / _SPREAD_WIDTH,
        measure=_cosine_rule(_draw_spread, quick=1 << 15),
        grid=_SPREAD_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="gaussian_variance",
                statement="They leave it the same variance.",
                predict=lambda: [float(cosine_variance(at["cosine"])) for at in _SPREAD_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.initialisations.orthogonal_failures",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Failures of Theorem 1 are rarer under orthogonal weights, with their own rate and prefactor.",
        formula=r"P(c' \le c_0) \approx \sqrt{\frac{\det V_0}{\det V}} \frac{e^{-dI}}{t\sigma\sqrt{2\pi d}} \Bigl(1 + \frac{t c_0 s^2}{4 \bar B}\Bigr)^{-1/2}",
        kind="rate",
        predict=lambda: _FAILURES,
        tolerance=[4 / at["width"] * p for at, p in zip(_FAILURE_GRID, _FAILURES, strict=True)],
        measure=PerCell(rule=Proportion(), first=1 << 15, quick=1 << 19, full=1 << 22, draw=_draw_failures),
        grid=_FAILURE_GRID,
        resolution=[p / 8 for p in _FAILURES],
        plants=(
            Plant(
                name="gaussian_rate",
                statement="They are as rare as under Gaussian weights.",
                predict=lambda: [
                    float(orthogonal_failure_probability(at["cosine"], at["width"], aspect=0.0)) for at in _FAILURE_GRID
                ],
            ),
        ),
        note="The refinement is good to O(1/d): the tolerance is 4/d of the value.",
    ),
    Claim(
        id="conetheory.initialisations.kurtosis",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="With few inputs the map of the cosine differs from the Gaussian one by a term of order 1/d_in, in proportion to the excess kurtosis of a weight.",
        formula=r"\kappa_4 \frac{\sin^3\theta}{24\pi} \sum_i \mathrm{Re}\,(e_i + \mathrm{i} f_i)^4",
        kind="rate",
        predict=lambda: [
            d * kurtosis_correction(*_equal_moduli(d, d // 2), excess_kurtosis=-1.2)
            for d in (int(at["dim_in"]) for at in _SMALL_GRID)
        ],
        tolerance=[0.06 / at["dim_in"] for at in _SMALL_GRID],
        measure=PerCell(rule=Mean(), first=1 << 19, quick=1 << 21, full=1 << 23, draw=_draw_small),
        grid=_SMALL_GRID,
        resolution=0.02,
        plants=(
            Plant(name="no_correction", statement="It does not differ.", predict=lambda: [0.0] * len(_SMALL_GRID)),
            Plant(
                name="reversed_sign",
                statement="It differs by minus that.",
                predict=lambda: [
                    -d * kurtosis_correction(*_equal_moduli(d, d // 2), excess_kurtosis=-1.2)
                    for d in (int(at["dim_in"]) for at in _SMALL_GRID)
                ],
            ),
        ),
    ),
    Claim(
        id="conetheory.initialisations.four_signs",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Theorem 1 needs more than the variance of the weights: four inputs with weights of ±1 have a limit that does not raise the cosine 1/2.",
        formula=r"\lim_{d \to \infty} c' = c_0 = \tfrac12, \quad u = (1, 1, 1, 1),\ v = (1, 1, 1, -1)",
        kind="value",
        predict=lambda: [0.5],
        measure=Computed(compute=_four_signs, error=1e-14),
        resolution=1e-12,
        plants=(Plant(name="gaussian_limit", statement="It is κ(1/2).", predict=lambda: [_kappa(0.5)]),),
    ),
    Claim(
        id="conetheory.initialisations.sign_rate",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="With eight weights of ±1 a unit, failures are at most exp(−dI) with a rate I of their own.",
        formula=r"P(c' \le c_0) \le e^{-dI}",
        kind="inequality",
        relation="at_most",
        predict=lambda: [
            np.exp(
                -_SIGN_WIDTH
                * failure_rate_of_atoms(rademacher_preactivations(*_equal_moduli(_SIGNS, 3 * _SIGNS // 4)), 0.5)
            )
        ],
        measure=PerCell(rule=Proportion(), first=1 << 14, quick=1 << 17, full=1 << 19, draw=_draw_sign_failures),
        grid=({"cosine": 0.5, "dim_in": float(_SIGNS), "width": float(_SIGN_WIDTH)},),
        resolution=1e-4,
        plants=(
            Plant(
                name="gaussian_rate",
                statement="The rate is that of Gaussian weights.",
                predict=lambda: [np.exp(-_SIGN_WIDTH * float(orthogonal_failure_rate(0.5, aspect=0.0)))],
            ),
        ),
    ),
    Claim(
        id="conetheory.initialisations.uniform_default",
        paper=OURS,
        section="docs/theory.md, section 10",
        statement="Weights uniform on ±1/√d_in, the law that PyTorch documents for nn.Linear, have σ_w² = 1/3: a ReLU layer of them leaves one sixth of the mean square.",
        formula=r"\sigma_w^2 = d_{in} \mathrm{Var}\,w = \tfrac13, \quad q' = \tfrac16 q",
        kind="value",
        predict=lambda: [float(second_moment("relu", 1 / 3))],
        measure=PerCell(rule=Bounded(0.0, 16.0), first=1 << 14, quick=1 << 18, full=1 << 20, draw=_draw_default_layer),
        grid=({"dim_in": 16.0},),
        resolution=0.02,
        plants=(
            Plant(
                name="unit_variance",
                statement="It has σ_w² = 1.",
                predict=lambda: [float(second_moment("relu", 1.0))],
            ),
        ),
        note="The law is drawn here, by no framework; without the bias, which is uniform on the same interval.",
    ),
)
