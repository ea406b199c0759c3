"""Cones on the sphere: the von Mises-Fisher law, the gap that two of them leave, what is left of uniformity in a finite sample."""

import math
from typing import Any

import mpmath as mp
import numpy as np
from scipy.optimize import minimize

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Bounded, Computed, Joint, Mean, PerCell, Proportion, Tally
from conetheory.cones import (
    cross_tower_cosine,
    gap_squared,
    gap_squared_bias,
    initial_gap_squared,
    random_cones_gap_quantile,
    random_cones_mean_gap,
)
from conetheory.gap import uniformity
from conetheory.meanfield import cone_curve
from conetheory.sphere import bessel_ratio, sample_uniformity_floor, uniformity_floor
from conetheory.von_mises_fisher import kl_divergence, moments
from sims.cones import sample_cone, sample_directions
from sims.normals import standard_normals

__all__ = ["CLAIMS"]

_MARDIA = "Mardia and Jupp 2000"
_CONES = tuple({"dim": d, "kappa": k} for d, k in ((2.0, 1.0), (3.0, 5.0), (64.0, 40.0), (512.0, 400.0)))


def _moments(at: At):
    return moments(int(at["dim"]), at["kappa"])


def _draw_first(rng: np.random.Generator, n: int, at: At) -> Tally:
    return Tally.of(sample_cone(int(at["dim"]), at["kappa"], n, rng=rng)[:, 0])


def _draw_square(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally d times the square of the second coordinate."""
    return Tally.of(at["dim"] * sample_cone(int(at["dim"]), at["kappa"], n, rng=rng)[:, 1] ** 2)


_LARGE = tuple({"dim": d, "kappa": k} for d, k in ((3.0, 1e10), (512.0, 1e12), (1e5, 1e3), (1e5, 1e5), (1e5, 1e9)))


def _deficits() -> list[float]:
    """Return (1 - A)·2κ/(d - 1) from the recurrence of the Bessel functions, or their expansion, at 40 digits."""
    found = []
    with mp.workdps(40):
        for at in _LARGE:
            d, s = mp.mpf(at["dim"]), mp.mpf(at["kappa"])
            if s < 100 * d:
                ratio = mp.mpf(0)
                for k in range(int(50 / mp.asinh(d / (2 * s))), -1, -1):
                    ratio = s / (d + 2 * k + s * ratio)
            else:
                ratio = _expansion(d / 2, s) / _expansion(d / 2 - 1, s)
            found.append(float((1 - ratio) * 2 * s / (d - 1)))
    return found


def _expansion(order: Any, s: Any) -> Any:
    """Return Hankel's expansion of sqrt(2 pi s) e^(-s) I_order(s)."""
    term, total, k = mp.mpf(1), mp.mpf(0), 0
    while abs(term) > mp.mpf(10) ** -40 * abs(total):
        total += term
        k += 1
        term *= -(4 * order**2 - (2 * k - 1) ** 2) / (8 * k * s)
    return total


def _predicted_deficits() -> list[float]:
    return [float(moments(int(at["dim"]), at["kappa"]).deficit) * 2 * at["kappa"] / (at["dim"] - 1) for at in _LARGE]


def _subtracted_deficits() -> list[float]:
    return [float(1 - bessel_ratio(int(at["dim"]), at["kappa"])) * 2 * at["kappa"] / (at["dim"] - 1) for at in _LARGE]


_PAIRS = tuple({"kappa": k, "other": o, "angle": a} for k, o, a in ((5.0, 2.0, 0.5), (2.0, 5.0, 1.5), (0.0, 3.0, 0.0)))


def _draw_log_ratio(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the log of the ratio of two densities on the sphere in space, at draws from the first."""
    k, o = at["kappa"], at["other"]
    x = sample_cone(3, k, n, rng=rng)
    own = k * x[:, 0] - (np.log(np.sinh(k) / k) if k else 0.0)
    return Tally.of(own - o * (np.cos(at["angle"]) * x[:, 0] + np.sin(at["angle"]) * x[:, 1]) + np.log(np.sinh(o) / o))


def _divergences(*, reverse: bool = False) -> list[float]:
    return [
        float(
            kl_divergence(
                3, *((at["other"], at["kappa"]) if reverse else (at["kappa"], at["other"])), angle=at["angle"]
            )
        )
        for at in _PAIRS
    ]


_SAMPLES = tuple({"n_x": x, "n_y": y} for x, y in ((1.0, 1.0), (4.0, 2.0), (16.0, 16.0)))
_KAPPAS, _MEAN_ANGLE, _GAP_DIM = (2.0, 6.0), 1.0, 5


def _turned(rows: np.ndarray, angle: float) -> np.ndarray:
    out = rows.copy()
    out[..., 0] = np.cos(angle) * rows[..., 0] - np.sin(angle) * rows[..., 1]
    out[..., 1] = np.sin(angle) * rows[..., 0] + np.cos(angle) * rows[..., 1]
    return out


def _draw_gaps(rng: np.random.Generator, n: int, at: At) -> Tally:
    means = []
    for size, kappa, angle in ((at["n_x"], _KAPPAS[0], 0.0), (at["n_y"], _KAPPAS[1], _MEAN_ANGLE)):
        rows = sample_cone(_GAP_DIM, kappa, n * int(size), rng=rng).reshape(n, int(size), _GAP_DIM)
        means.append(_turned(rows, angle).mean(axis=1))
    return Tally.of(np.sum((means[0] - means[1]) ** 2, axis=1))


def _predicted_gaps(*, biased: bool = True) -> list[float]:
    r, s = (float(moments(_GAP_DIM, kappa).resultant) for kappa in _KAPPAS)
    base = float(gap_squared(r, s, angle=_MEAN_ANGLE))
    return [base + biased * float(gap_squared_bias(r, s, n_x=int(at["n_x"]), n_y=int(at["n_y"]))) for at in _SAMPLES]


_RANDOM = tuple(
    {"dim": d, "resultant_x": r, "resultant_y": s} for d, r, s in ((2.0, 0.9, 0.9), (3.0, 1.0, 0.5), (16.0, 0.7, 0.7))
)


def _random_gaps(rng: np.random.Generator, n: int, at: At) -> np.ndarray:
    dim = int(at["dim"])
    x = at["resultant_x"] * sample_directions(dim, n, rng=rng)
    y = at["resultant_y"] * sample_directions(dim, n, rng=rng)
    return np.linalg.norm(x - y, axis=1)


def _cones(at: At) -> tuple[int, float, float]:
    return int(at["dim"]), at["resultant_x"], at["resultant_y"]


def _draw_below(rng: np.random.Generator, n: int, at: At) -> Tally:
    limit = random_cones_gap_quantile(0.1, *_cones(at))
    return Tally.count(int(np.sum(_random_gaps(rng, n, at) <= limit)), n)


_TOWER_WIDTH, _TOWER_DEPTH, _ROWS, _OUTPUTS = 128, 3, 8, 64
_TOWERS = ({"linear_head": 1.0}, {"linear_head": 0.0})


def _tower(rng: np.random.Generator, *, linear_head: bool) -> np.ndarray:
    """Return the unit rows of one random ReLU tower, of inputs of its own; biases of the variance of a weight."""
    h = standard_normals(_ROWS, _TOWER_WIDTH, rng=rng)
    for _ in range(_TOWER_DEPTH):
        weights, bias = np.split(standard_normals(_TOWER_WIDTH + 1, _TOWER_WIDTH, rng=rng), [_TOWER_WIDTH])
        h = np.maximum(h @ weights + bias, 0) / math.sqrt(_TOWER_WIDTH)
    if linear_head:
        h = h @ standard_normals(_TOWER_WIDTH, _OUTPUTS, rng=rng)
    return h / np.linalg.norm(h, axis=1, keepdims=True)


def _draw_initial_gaps(rng: np.random.Generator, n: int) -> Tally:
    """Tally the squared gap of two towers with linear heads, and of two that end in the ReLU."""
    trials = np.empty((n, 2))
    for i in range(n):
        for column, head in enumerate((True, False)):
            gap = _tower(rng, linear_head=head).mean(axis=0) - _tower(rng, linear_head=head).mean(axis=0)
            trials[i, column] = gap @ gap
    return Tally.of(trials)


def _initial_gaps(*, cross: float | None = None) -> list[float]:
    cone = float(cone_curve("relu", _TOWER_DEPTH, sigma_b2=1 / _TOWER_WIDTH).rho[-1])
    shared = float(cross_tower_cosine("relu")) if cross is None else cross
    return [
        float(initial_gap_squared(cone, cone, n=_ROWS)),
        float(initial_gap_squared(cone, cone, n=_ROWS, cross_cosine=shared)),
    ]


_FINITE = tuple({"dim": 3.0, "n": n} for n in (2.0, 4.0, 12.0, 40.0))


def _energy(flat: np.ndarray, sharpness: float = 2.0) -> tuple[float, np.ndarray]:
    """Return the uniformity of points in space, whatever their lengths, and its gradient."""
    x = flat.reshape(-1, 3)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    e = x / norms
    potential = np.exp(2 * sharpness * (e @ e.T - 1)) * (1 - np.eye(len(x)))
    total = potential.sum()
    pull = 4 * sharpness / total * (potential @ e)
    gradient = (pull - e * np.sum(pull * e, axis=1, keepdims=True)) / norms
    return float(np.log(total / (len(x) * (len(x) - 1)))), gradient.ravel()


def _spread(n: int, seed: int) -> float:
    points = sample_directions(3, n, rng=seed)
    if n <= 12:
        points = minimize(_energy, points.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 40}).x.reshape(n, 3)
    return uniformity(points)


def _spread_uniformity() -> list[float]:
    """Return the least uniformity found for n points in space, from three random starts."""
    return [min(_spread(int(at["n"]), seed) for seed in range(3)) for at in _FINITE]


CLAIMS = (
    Claim(
        id="mardia_jupp.vmf.resultant",
        paper=_MARDIA,
        section="Sec. 9.3",
        statement="The mean resultant length of a von Mises-Fisher law is the ratio of two Bessel functions of its concentration.",
        formula=r"\mathbb{E}\, x\cdot\mu = I_{d/2}(\kappa)/I_{d/2-1}(\kappa)",
        kind="identity",
        predict=lambda: [float(_moments(at).resultant) for at in _CONES],
        measure=PerCell(rule=Bounded(-1.0, 1.0), first=1 << 12, quick=1 << 16, full=1 << 19, draw=_draw_first),
        grid=_CONES,
        resolution=0.05,
        plants=(
            Plant(
                name="langevin_in_every_dimension",
                statement="It is the Langevin function in every dimension.",
                predict=lambda: [float(moments(3, at["kappa"]).resultant) for at in _CONES],
            ),
        ),
        note="Sampled by Wood's rejection, which uses no Bessel function.",
    ),
    Claim(
        id="mardia_jupp.vmf.tangential_variance",
        paper=_MARDIA,
        section="Sec. 9.3",
        statement="Across its mean direction a von Mises-Fisher law has the variance R/κ in each coordinate.",
        formula=r"d\,\mathbb{E}\, x_2^2 = d\,A_d(\kappa)/\kappa",
        kind="identity",
        predict=lambda: [at["dim"] * float(_moments(at).tangential_variance) for at in _CONES],
        measure=PerCell(rule=Mean(), first=1 << 12, quick=1 << 17, full=1 << 19, draw=_draw_square),
        grid=_CONES,
        resolution=0.1,
        plants=(
            Plant(
                name="of_the_uniform_law",
                statement="It is that of the uniform law, 1/d.",
                predict=lambda: [1.0] * len(_CONES),
            ),
        ),
    ),
    Claim(
        id="conetheory.vmf.deficit",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="The deficit of the mean resultant length keeps its digits at any concentration, up to dimension 100000.",
        formula=r"(1 - A_d(\kappa))\,\frac{2\kappa}{d - 1}",
        kind="value",
        predict=_predicted_deficits,
        measure=Computed(compute=_deficits, error=1e-14),
        tolerance=1e-13,
        grid=_LARGE,
        resolution=1e-10,
        plants=(
            Plant(
                name="subtracted_from_1",
                statement="One minus the rounded ratio will do.",
                predict=_subtracted_deficits,
            ),
        ),
        note="scipy's scaled Bessel function is NaN from 2^31 on, and 0 at order 50000 up to concentration 1000.",
    ),
    Claim(
        id="conetheory.vmf.divergence",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="The relative entropy of two von Mises-Fisher laws is a sum of two terms that are never negative.",
        formula=r"D = \int_\kappa^{\kappa'} (\kappa' - s) A'(s)\, ds + 2\kappa' A(\kappa) \sin^2\frac{\omega}{2}",
        kind="identity",
        predict=_divergences,
        measure=PerCell(rule=Mean(), first=1 << 13, quick=1 << 17, full=1 << 20, draw=_draw_log_ratio),
        grid=_PAIRS,
        resolution=0.1,
        plants=(
            Plant(
                name="other_way_round",
                statement="It is symmetric.",
                predict=lambda: _divergences(reverse=True),
            ),
        ),
    ),
    Claim(
        id="conetheory.cones.sample_gap",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="The expected squared gap of two samples exceeds that of their laws by (1 − R²)/n for each.",
        formula=r"\mathbb{E}|\bar x - \bar y|^2 = |\mathbb{E}x - \mathbb{E}y|^2 + \frac{1 - R_x^2}{n_x} + \frac{1 - R_y^2}{n_y}",
        kind="identity",
        predict=_predicted_gaps,
        measure=PerCell(rule=Bounded(0.0, 4.0), first=1 << 12, quick=1 << 16, full=1 << 19, draw=_draw_gaps),
        grid=_SAMPLES,
        resolution=0.1,
        plants=(
            Plant(
                name="without_sampling",
                statement="A sample has the gap of its law.",
                predict=lambda: _predicted_gaps(biased=False),
            ),
        ),
    ),
    Claim(
        id="conetheory.cones.random_mean_gap",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="Two cones of unrelated directions have a mean gap a little below the root of the sum of their squared lengths.",
        formula=r"\mathbb{E}|\Delta| = \sqrt{R_x^2 + R_y^2}\; {}_2F_1(-\tfrac14, \tfrac14; \tfrac d2; z^2), \quad z = \frac{2 R_x R_y}{R_x^2 + R_y^2}",
        kind="identity",
        predict=lambda: [float(random_cones_mean_gap(*_cones(at))) for at in _RANDOM],
        measure=PerCell(
            rule=Bounded(0.0, 2.0),
            first=1 << 13,
            quick=1 << 18,
            full=1 << 20,
            draw=lambda rng, n, at: Tally.of(_random_gaps(rng, n, at)),
        ),
        grid=_RANDOM,
        resolution=0.02,
        plants=(
            Plant(
                name="root_mean_square",
                statement="It is the root of the sum.",
                predict=lambda: [float(np.hypot(at["resultant_x"], at["resultant_y"])) for at in _RANDOM],
            ),
        ),
    ),
    Claim(
        id="conetheory.cones.random_gap_law",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="A tenth of the gaps of two cones of unrelated directions lie below the quantile that the caps give.",
        formula=r"P(|\Delta| \le g_{0.1}) = 0.1",
        kind="identity",
        predict=lambda: [0.1] * len(_RANDOM),
        measure=PerCell(rule=Proportion(), first=1 << 13, quick=1 << 18, full=1 << 20, draw=_draw_below),
        grid=_RANDOM,
        resolution=0.02,
        plants=(Plant(name="a_fifth", statement="A fifth do.", predict=lambda: [0.2] * len(_RANDOM)),),
    ),
    Claim(
        id="conetheory.cones.initial_gap",
        paper=OURS,
        section="docs/theory.md, sections 5b and 19",
        statement="The gap of two random ReLU towers follows from their cones: unrelated for linear heads, of cosine 1/π without heads.",
        formula=r"\mathbb{E}|\Delta|^2 = c_x + c_y - 2c_{xy} + \frac{2 - c_x - c_y}{n}",
        kind="value",
        predict=_initial_gaps,
        tolerance=6 / _TOWER_WIDTH,
        measure=Joint(rule=Mean(), first=128, quick=512, full=4096, draw=_draw_initial_gaps),
        grid=_TOWERS,
        resolution=0.2,
        plants=(
            Plant(
                name="unrelated_without_heads",
                statement="Towers that end in the ReLU are unrelated too.",
                predict=lambda: _initial_gaps(cross=0.0),
            ),
            Plant(
                name="no_gap_without_heads",
                statement="Towers that end in the ReLU share their direction.",
                predict=lambda: _initial_gaps(cross=1.0),
            ),
        ),
        note="Three layers of width 128, linear heads of 64 units, eight rows; cones by mean field, whose error is a few 1/width.",
    ),
    Claim(
        id="conetheory.uniformity.sample_floor",
        paper=OURS,
        section="docs/theory.md, section 19",
        statement="However well they are spread, n points are no more uniform than the larger of two floors.",
        formula=r"\ln\, \mathrm{mean}_{i<j}\, e^{-2|x_i - x_j|^2} \ge \max\Bigl(-\frac{4n}{n - 1},\ \ln\frac{n e^{f} - 1}{n - 1}\Bigr)",
        kind="inequality",
        relation="at_least",
        predict=lambda: [float(sample_uniformity_floor(int(at["dim"]), int(at["n"]))) for at in _FINITE],
        measure=Computed(compute=_spread_uniformity, error=1e-6),
        grid=_FINITE,
        resolution=0.1,
        tolerance=1e-5,
        plants=(
            Plant(
                name="floor_of_the_law",
                statement="They are no more uniform than the uniform law.",
                predict=lambda: [float(uniformity_floor(3))] * len(_FINITE),
            ),
        ),
        note="The simplex attains it for two and for four points.",
    ),
)
