"""Floors of the contrastive and of the sigmoid loss, which no search passes."""

from collections.abc import Callable
from functools import cache
from math import factorial
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Mean, PerCell, Tally
from conetheory.contrastive import etf_floor
from conetheory.contrastive_floors import bessel_floor, welch_bound
from conetheory.contrastive_gradient import PairGradient, contrastive_gradient
from conetheory.sigmoid_loss import sigmoid_floor, sigmoid_gradient
from sims.cones import sample_directions

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 22"
_YI, _LEE, _WELCH, _LU = "Yi et al. 2025", "Lee et al. 2024", "Welch 1974", "Lu and Steinerberger 2022"
_STARTS = 8
_ROUNDING = 1e-11  # of a least loss; a search stops above it


class _Best(NamedTuple):
    loss: float
    gap: float


def _search(n: int, dim: int, function: Callable[[np.ndarray, np.ndarray], PairGradient]) -> _Best:
    """Return the least of the losses at which descents from `_STARTS` random configurations end."""
    rng = np.random.default_rng(100 * n + dim)

    def objective(v: np.ndarray) -> tuple[float, np.ndarray]:
        rows = v.reshape(2, n, dim)
        found = function(rows[0], rows[1])
        lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
        return found.loss, (np.stack([found.tangent_x, found.tangent_y]) / lengths).ravel()

    ends = []
    for _ in range(_STARTS):
        start = rng.normal(size=(2, n, dim)) + 2 * rng.uniform() * rng.normal(size=(2, 1, dim))
        options = {"maxiter": 400, "ftol": 1e-14, "gtol": 1e-9}
        ends.append(minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options))
    best = min(ends, key=lambda end: end.fun)
    rows = best.x.reshape(2, n, dim)
    rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return _Best(float(best.fun), float(np.linalg.norm(rows[0].mean(axis=0) - rows[1].mean(axis=0))))


@cache
def _clip(n: int, dim: int, beta: float) -> _Best:
    return _search(n, dim, lambda x, y: contrastive_gradient(x, y, 1 / beta))


@cache
def _sigmoid(n: int, dim: int, scale: float, bias: float) -> _Best:
    return _search(n, dim, lambda x, y: sigmoid_gradient(x, y, scale, bias))


def _case(n: int, dim: int, beta: float) -> dict[str, float]:
    return {"n": float(n), "dim": float(dim), "beta": beta}


def _key(at: At) -> tuple[int, int, float]:
    return int(at["n"]), int(at["dim"]), at["beta"]


_ROOMY = (_case(3, 2, 4.0), _case(4, 3, 2.0), _case(5, 6, 5.0))
_CROWDED = (_case(6, 3, 2.0), _case(8, 2, 5.0), _case(5, 2, 1.0), _case(12, 3, 5.0))
_POLYGONS = (_case(20, 2, 5.0), _case(40, 2, 14.3))
_BATCHES = tuple(
    {"dim": d, "beta": b, "batch": m} for d, b, m in ((3.0, 2.0, 64.0), (3.0, 10.0, 128.0), (16.0, 3.0, 128.0))
)
_PALEY = (5, 13, 17)
_SIGMOID = ((4, 5.0, 2.0), (5, 4.0, 2.0), (5, 1.0, 3.0), (4, 5.0, -5.0))
_TRAINED = ((4, 3.0), (5, 6.0))


def _simplex_losses(extra: int = 0) -> list[float]:
    return [float(etf_floor(n + extra, 1 / beta)) for n, _, beta in map(_key, _ROOMY)]


def _crowded(cells: tuple[dict[str, float], ...], *, dim: int = 0) -> list[float]:
    return [float(np.log(n) + bessel_floor(dim or d, 1 / beta)) for n, d, beta in map(_key, cells)]


def _polygons() -> list[float]:
    """Return the loss of coinciding regular polygons, from their cosines alone."""
    found = []
    for n, _, beta in map(_key, _POLYGONS):
        found.append(float(np.log(np.sum(np.exp(beta * (np.cos(2 * np.pi * np.arange(n) / n) - 1))))))
    return found


def _draw_batch(rng: np.random.Generator, n: int, at: At) -> Tally:
    dim, beta, batch = int(at["dim"]), at["beta"], int(at["batch"])
    losses = []
    for rows in sample_directions(dim, n * batch, rng=rng).reshape(n, batch, dim):
        losses.append(np.mean(np.log(np.mean(np.exp(beta * (rows @ rows.T - 1)), axis=1))))
    return Tally.of(losses)


def _batch_excess() -> list[float]:
    """Return Jensen's bound of what a batch adds to the floor on average: its diagonal."""
    return [float(np.log1p(np.expm1(-bessel_floor(int(at["dim"]), 1 / at["beta"])) / at["batch"])) for at in _BATCHES]


def _paley_coherence(q: int) -> float:
    """Return the largest |cosine| of the q + 1 lines in (q + 1)/2 dimensions of the quadratic residues of the prime q."""
    residues = {k * k % q for k in range(1, q)}
    signs = np.array([[0 if i == j else 1 if (i - j) % q in residues else -1 for j in range(q)] for i in range(q)])
    conference = np.block([[np.zeros((1, 1)), np.ones((1, q))], [np.ones((q, 1)), signs]])
    values, axes = np.linalg.eigh(conference)
    rows = axes[:, values > 0]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.abs(rows @ rows.T)
    np.fill_diagonal(cosines, 0)
    return float(cosines.max())


def _cross_polytope(dim: int) -> float:
    rows = np.concatenate([np.eye(dim), -np.eye(dim)])
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1)
    return float(cosines.max())


def _found_sigmoid() -> list[float]:
    found = [_sigmoid(n, n, t, b) for n, t, b in _SIGMOID]
    return [value for best in found for value in best]


def _predicted_sigmoid() -> list[float]:
    return [value for case in _SIGMOID for value in (sigmoid_floor(*case).loss, sigmoid_floor(*case).gap)]


def _simplex_sigmoid() -> list[float]:
    found = []
    for n, t, b in _SIGMOID:
        found += [float(np.logaddexp(0, -t - b) + (n - 1) * np.logaddexp(0, b - t / (n - 1))), 0.0]
    return found


@cache
def _trained_gap(n: int, scale: float) -> float:
    """Return the gap of the best of several descents in which the bias, the last variable, is trained as well."""
    rng = np.random.default_rng(n)

    def objective(v: np.ndarray) -> tuple[float, np.ndarray]:
        rows = v[:-1].reshape(2, n, n)
        found = sigmoid_gradient(rows[0], rows[1], scale, v[-1])
        slopes = np.stack([found.tangent_x, found.tangent_y]) / np.linalg.norm(rows, axis=-1, keepdims=True)
        return found.loss, np.append(slopes.ravel(), found.bias_slope)

    starts = [np.append(rng.normal(size=2 * n * n), 2.0) for _ in range(_STARTS)]
    ends = [minimize(objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9}) for start in starts]
    rows = min(ends, key=lambda end: end.fun).x[:-1].reshape(2, n, n)
    rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return float(np.linalg.norm(rows[0].mean(axis=0) - rows[1].mean(axis=0)))


CLAIMS = (
    Claim(
        id="lu_steinerberger.simplex",
        paper=_LU,
        section="the simplex is optimal",
        statement="Up to d + 1 pairs the least CLIP loss that a search finds is that of the simplex.",
        formula=r"\min L = \ln\bigl(1 + (n-1)e^{-\beta n/(n-1)}\bigr),\quad n \le d+1",
        kind="value",
        predict=_simplex_losses,
        measure=Computed(compute=lambda: [_clip(*_key(at)).loss for at in _ROOMY], error=1e-9),
        grid=_ROOMY,
        resolution=1e-7,
        plants=(
            Plant(
                name="one_more_pair",
                statement="It is that of one pair more.",
                predict=lambda: _simplex_losses(1),
            ),
        ),
        note=f"{_STARTS} descents a cell, both modalities free.",
    ),
    Claim(
        id="lu_steinerberger.crowded",
        paper=_LU,
        section="the simplex is optimal",
        statement="Beyond d + 1 pairs no search reaches the loss of the simplex.",
        formula=r"\min L \ge \ln\bigl(1 + (n-1)e^{-\beta n/(n-1)}\bigr)",
        kind="inequality",
        relation="at_least",
        predict=lambda: [float(etf_floor(n, 1 / beta)) for n, _, beta in map(_key, _CROWDED)],
        measure=Computed(compute=lambda: [_clip(*_key(at)).loss for at in _CROWDED], error=_ROUNDING),
        grid=_CROWDED,
        resolution=1e-7,
        plants=(Plant(name="attained", statement="One does, to 1e-7.", relation="equal"),),
    ),
    Claim(
        id="conetheory.floors.crowded",
        paper=OURS,
        section=_SECTION,
        statement="No search passes the Bessel floor, at any number of pairs.",
        formula=r"L \ge \ln n - \beta + \ln {}_0F_1(;\tfrac d2;\tfrac{\beta^2}4)",
        kind="inequality",
        relation="at_least",
        predict=lambda: _crowded(_CROWDED),
        measure=Computed(compute=lambda: [_clip(*_key(at)).loss for at in _CROWDED], error=_ROUNDING),
        grid=_CROWDED,
        resolution=1e-4,
        plants=(
            Plant(
                name="one_dimension_less",
                statement="None passes that of one dimension.",
                predict=lambda: _crowded(_CROWDED, dim=1),
            ),
        ),
        note="Both modalities free, which is more than is proved: the proof is for coinciding pairs.",
    ),
    Claim(
        id="conetheory.floors.polygon",
        paper=OURS,
        section=_SECTION,
        statement="On the circle regular polygons attain the Bessel floor up to an error below every power of their number.",
        formula=r"L = \ln n - \beta + \ln I_0(\beta)",
        kind="value",
        predict=lambda: _crowded(_POLYGONS),
        measure=Computed(compute=_polygons),
        grid=_POLYGONS,
        tolerance=[2.01 * (beta / 2) ** n / factorial(n) for n, _, beta in map(_key, _POLYGONS)],
        resolution=1e-9,
        plants=(
            Plant(
                name="on_the_sphere", statement="It is that of the sphere.", predict=lambda: _crowded(_POLYGONS, dim=3)
            ),
        ),
        note="The error is 2 I_n(β)/I_0(β), at most 2 (β/2)^n/n!, and smaller by far beyond.",
    ),
    Claim(
        id="yi.theorem1.limit",
        paper=_YI,
        section="Theorem 1",
        statement="Large batches of uniform coinciding pairs have the Bessel floor as their loss less ln n.",
        formula=r"L - \ln n \to -\beta + \ln\bigl(\Gamma(\nu+1)(2\tau)^\nu I_\nu(\beta)\bigr),\quad \nu = \tfrac d2 - 1",
        kind="rate",
        predict=lambda: [float(bessel_floor(int(at["dim"]), 1 / at["beta"])) for at in _BATCHES],
        tolerance=_batch_excess(),
        measure=PerCell(rule=Mean(), first=1 << 6, quick=1 << 10, full=1 << 12, draw=_draw_batch),
        grid=_BATCHES,
        resolution=0.05,
        plants=(
            Plant(
                name="second_order_in_scale",
                statement="It is −β + β²/(2d).",
                predict=lambda: [-at["beta"] + at["beta"] ** 2 / (2 * at["dim"]) for at in _BATCHES],
            ),
        ),
        note="Between the floor and what Jensen's inequality adds for the diagonal, ln(1 + (e^(β−ψ) − 1)/n).",
    ),
    Claim(
        id="welch.attained",
        paper=_WELCH,
        section="the bound",
        statement="Equiangular tight frames attain the bound on the largest size of a cosine.",
        formula=r"\max_{i\ne j}|x_i\cdot x_j| = \sqrt{(n-d)/(d(n-1))}",
        kind="value",
        predict=lambda: [welch_bound(q + 1, (q + 1) // 2) for q in _PALEY],
        measure=Computed(compute=lambda: [_paley_coherence(q) for q in _PALEY]),
        grid=tuple({"n": q + 1.0, "dim": (q + 1) / 2} for q in _PALEY),
        resolution=1e-10,
        plants=(
            Plant(
                name="without_the_pair_count",
                statement="It is sqrt((n − d)/(d n)).",
                predict=lambda: [float(np.sqrt(1 / (q + 1))) for q in _PALEY],
            ),
        ),
        note="Conference matrices of quadratic residues; the first are the six axes of the icosahedron.",
    ),
    Claim(
        id="welch.signed",
        paper=_WELCH,
        section="the bound, as quoted for embeddings",
        statement="The largest cosine itself, with its sign, is at least the bound.",
        formula=r"\max_{i\ne j}x_i\cdot x_j \ge \sqrt{(n-d)/(d(n-1))}",
        kind="inequality",
        relation="at_least",
        predict=lambda: [welch_bound(2 * d, d) for d in (2, 3, 64)],
        measure=Computed(compute=lambda: [_cross_polytope(d) for d in (2, 3, 64)]),
        grid=tuple({"n": 2.0 * d, "dim": float(d)} for d in (2, 3, 64)),
        resolution=1e-3,
        expected="refuted",
        plants=(
            Plant(
                name="twice",
                statement="It is at least twice the bound.",
                predict=lambda: [2 * welch_bound(2 * d, d) for d in (2, 3, 64)],
            ),
        ),
        note="The 2d corners of the cross-polytope have no positive cosine. The bound is for |x·y|; with the sign the floor is "
        "−1/(n − 1) up to n = d + 1 and 0 from there to 2d.",
    ),
    Claim(
        id="lee.double_constant",
        paper=_LEE,
        section="optimal embeddings of the sigmoid loss",
        statement="At a fixed scale and bias the sigmoid loss is least for two opposed parallel simplices, whose gap is a root.",
        formula=r"\min_\delta \ln(1 + e^{-t(1-2\delta)-b}) + (n-1)\ln(1 + e^{b-t(1+(n-2)\delta)/(n-1)}),\quad \Delta = 2\sqrt\delta",
        kind="value",
        predict=_predicted_sigmoid,
        measure=Computed(compute=_found_sigmoid, error=[1e-8, 1e-3] * len(_SIGMOID)),
        grid=tuple(
            {"n": float(n), "scale": t, "bias": b, "is_gap": float(k)} for n, t, b in _SIGMOID for k in range(2)
        ),
        resolution=[1e-6, 1e-2] * len(_SIGMOID),
        plants=(
            Plant(
                name="no_gap",
                statement="It is least for one simplex, without a gap.",
                predict=_simplex_sigmoid,
            ),
        ),
        note="Cells show the loss and the gap of the best of several descents.",
    ),
    Claim(
        id="conetheory.sigmoid.trained_bias",
        paper=OURS,
        section=_SECTION,
        statement="Where the bias is trained too, the sigmoid loss is least without a gap.",
        formula=r"\mathrm{argmin}_{x,y,b}\,L \Rightarrow \Delta = 0",
        kind="value",
        predict=lambda: [0.0] * len(_TRAINED),
        measure=Computed(compute=lambda: [_trained_gap(*case) for case in _TRAINED], error=1e-3),
        grid=tuple({"n": float(n), "scale": t} for n, t in _TRAINED),
        resolution=1e-2,
        plants=(
            Plant(
                name="as_at_bias_two",
                statement="It keeps the gap that it has at the bias from which training starts, 2.",
                predict=lambda: [sigmoid_floor(n, t, 2.0).gap for n, t in _TRAINED],
            ),
        ),
        note="Up to d + 1 pairs. A fixed bias can make a gap, a trained one does not.",
    ),
)
