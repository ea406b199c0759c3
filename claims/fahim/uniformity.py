"""Uniformity, alignment and cross-uniformity: as printed, as coded, and what they are least for."""

from functools import cache

import numpy as np
from scipy.optimize import minimize

from claims import OURS
from claims.fahim import PAPER
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Mean, PerCell, Tally
from conetheory.contrastive_uniformity import (
    cross_uniformity,
    cross_uniformity_gradient,
    printed_cross_uniformity,
    printed_uniformity,
    regularised_gradient,
)
from conetheory.gap import uniformity
from conetheory.sphere import uniformity_floor
from sims.cones import sample_directions

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 22"
_FORMULAS = "loss formulas"
_DIMS = (3.0, 16.0, 32.0, 64.0, 128.0, 512.0)
_REPORTED = ((128.0, -2.02), (128.0, -3.64), (128.0, -3.76), (3.0, -2.053))
_BATCHES = (8, 64)
_SHAPES = ((3, 2), (8, 4), (20, 8))
_TEMPERATURE = 0.1


@cache
def _rows(n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows and directions, both of shape (2, n, dim)."""
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(2, n, dim)) + 0.5 * rng.normal(size=(2, 1, dim))
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True), rng.normal(size=(2, n, dim))


def _sum(x: np.ndarray, y: np.ndarray, *, diagonal: bool) -> float:
    """Return the sum of exp(-2 |x_j - y_k|^2), with j = k or without."""
    squares = np.sum((x[:, None] - y[None]) ** 2, axis=-1)
    kept = 1.0 if diagonal else 1.0 - np.eye(len(x))
    return float(np.sum(np.exp(-2 * squares) * kept))


def _printed_within() -> list[float]:
    """Return the printed uniformity of random rows in 128 dimensions, and of a simplex, where it is least."""
    found = []
    for n in _BATCHES:
        simplex = np.eye(n) - 1 / n
        simplex /= np.linalg.norm(simplex, axis=1, keepdims=True)
        for rows in (_rows(n, 128)[0][0], simplex):
            found.append(float(np.log(_sum(rows, rows, diagonal=True) / n)))
    return found


def _printed_cross() -> list[float]:
    found = []
    for n in _BATCHES:
        x, y = _rows(n, 128)[0]
        found.append(float(np.log(_sum(x, y, diagonal=False) / n)) - cross_uniformity(x, y))
    return found


def _draw_potential(rng: np.random.Generator, n: int, at: At) -> Tally:
    x, y = sample_directions(int(at["dim"]), 2 * n, rng=rng).reshape(2, n, -1)
    return Tally.of(np.exp(-2 * np.sum((x - y) ** 2, axis=1) + 4))


@cache
def _least_cross() -> tuple[float, float]:
    """Return the least cross-uniformity of six pairs in space over several descents, and its gap."""
    rng = np.random.default_rng(5)

    def objective(v: np.ndarray) -> tuple[float, np.ndarray]:
        rows = v.reshape(2, 6, 3)
        found = cross_uniformity_gradient(rows[0], rows[1])
        return found.loss, (
            np.stack([found.tangent_x, found.tangent_y]) / np.linalg.norm(rows, axis=-1, keepdims=True)
        ).ravel()

    ends = [minimize(objective, rng.normal(size=36), jac=True, method="L-BFGS-B", tol=1e-12) for _ in range(6)]
    best = min(ends, key=lambda end: end.fun)
    rows = best.x.reshape(2, 6, 3)
    rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return float(best.fun), float(np.linalg.norm(rows[0].mean(axis=0) - rows[1].mean(axis=0)))


def _antipodes(dim: float) -> float:
    """Return uniformity plus cross-uniformity of two clouds, each one point, at antipodes."""
    x = np.zeros((5, int(dim)))
    x[:, 0] = 1.0
    within = np.log(_sum(x, x, diagonal=False) / 20)
    return float(within + np.log(_sum(x, -x, diagonal=False) / 20))


def _complex_loss(rows: np.ndarray, kind: str) -> complex:
    rows = rows / np.sqrt(np.sum(rows * rows, axis=-1, keepdims=True))
    x, y = rows
    off = ~np.eye(len(x), dtype=bool)
    logits = x @ y.T / _TEMPERATURE

    def potential(a: np.ndarray, b: np.ndarray) -> complex:
        return np.log(np.mean(np.exp(4 * (a @ b.T - 1))[off]))

    clip = sum(np.mean(np.log(np.sum(np.exp(m - np.diag(m)[:, None]), axis=1))) for m in (logits, logits.T)) / 2
    cua = clip + (potential(x, x) + potential(y, y)) / 2 + np.mean(np.sum((x - y) ** 2, axis=1))
    return cua + potential(x, y) if kind == "CUAXU" else cua


def _complex_slopes() -> list[float]:
    found = []
    for kind in ("CUA", "CUAXU"):
        for shape in _SHAPES:
            rows, moves = _rows(*shape)
            found.append(float(_complex_loss(rows + 1e-30j * moves, kind).imag) / 1e-30)
    return found


def _slopes(kinds: tuple[str, str] = ("CUA", "CUAXU")) -> list[float]:
    found = []
    for kind in kinds:
        for shape in _SHAPES:
            rows, moves = _rows(*shape)
            at = regularised_gradient(rows[0], rows[1], _TEMPERATURE, kind=kind)
            found.append(float(np.vdot((at.tangent_x, at.tangent_y), moves)))
    return found


CLAIMS = (
    Claim(
        id="fahim.uniformity.printed",
        paper=PAPER,
        section=_FORMULAS,
        statement="With 1/N before the sum over all pairs, as printed, uniformity takes the values of Table 3.",
        formula=r"\ln\tfrac1N\sum_{j,k}e^{-2\|E_j-E_k\|^2} \le -2.02",
        kind="inequality",
        relation="at_most",
        predict=lambda: [-2.02] * (2 * len(_BATCHES)),
        measure=Computed(compute=_printed_within),
        grid=tuple({"n": float(n), "simplex": float(k)} for n in _BATCHES for k in range(2)),
        resolution=1e-3,
        expected="refuted",
        plants=(
            Plant(
                name="at_most_zero",
                statement="It is at least not positive.",
                predict=lambda: [0.0] * (2 * len(_BATCHES)),
            ),
        ),
        note="The diagonal alone gives ln 1 = 0. Reported is the mean over distinct pairs, as in the code.",
    ),
    Claim(
        id="conetheory.uniformity.printed_value",
        paper=OURS,
        section=_SECTION,
        statement="The printed uniformity is ln(1 + (N − 1)e^U), U that of the code.",
        formula=r"\ln\tfrac1N\sum_{j,k}e^{-2\|E_j-E_k\|^2} = \ln\bigl(1 + (N-1)e^U\bigr)",
        kind="identity",
        predict=lambda: [printed_uniformity(_rows(n, 128)[0][0]) for n in _BATCHES],
        measure=Computed(compute=lambda: _printed_within()[::2]),
        grid=tuple({"n": float(n)} for n in _BATCHES),
        resolution=1e-9,
        plants=(
            Plant(
                name="log_n_above",
                statement="It is ln N above U.",
                predict=lambda: [uniformity(_rows(n, 128)[0][0]) + np.log(n) for n in _BATCHES],
            ),
        ),
        note="It is ln N above the sum over all pairs with 1/N², not above the mean over distinct pairs.",
    ),
    Claim(
        id="fahim.cross_uniformity.printed",
        paper=PAPER,
        section=_FORMULAS,
        statement="The printed cross-uniformity is ln N above the coded one.",
        formula=r"\ln\tfrac1N\sum_{j\ne k}e^{-2\|E_j^I-E_k^T\|^2} - U(x, y) = \ln N",
        kind="identity",
        predict=lambda: [float(np.log(n)) for n in _BATCHES],
        measure=Computed(compute=_printed_cross),
        grid=tuple({"n": float(n)} for n in _BATCHES),
        resolution=1e-3,
        expected="refuted",
        plants=(Plant(name="no_shift", statement="They are the same.", predict=lambda: [0.0] * len(_BATCHES)),),
        note="The shift is ln(N − 1): there are N(N − 1) terms.",
    ),
    Claim(
        id="conetheory.cross_uniformity.printed_shift",
        paper=OURS,
        section=_SECTION,
        statement="The printed cross-uniformity exceeds the coded one by ln(N − 1).",
        formula=r"\ln\tfrac1N\sum_{j\ne k}e^{-2\|E_j^I-E_k^T\|^2} - U(x, y) = \ln(N-1)",
        kind="identity",
        predict=lambda: [
            printed_cross_uniformity(*_rows(n, 128)[0]) - cross_uniformity(*_rows(n, 128)[0]) for n in _BATCHES
        ],
        measure=Computed(compute=_printed_cross),
        grid=tuple({"n": float(n)} for n in _BATCHES),
        resolution=1e-9,
        plants=(Plant(name="ln_n", statement="By ln N.", predict=lambda: [float(np.log(n)) for n in _BATCHES]),),
    ),
    Claim(
        id="wang_isola.uniform_potential",
        paper="Wang and Isola 2020",
        section="uniformity",
        statement="Independent uniform directions have the mean Gaussian potential of the floor in each dimension.",
        formula=r"\mathbb{E}\,e^{4-2\|x-y\|^2} = {}_0F_1(;\tfrac d2;4)",
        kind="value",
        predict=lambda: [float(np.exp(4 + uniformity_floor(int(d)))) for d in _DIMS],
        measure=PerCell(rule=Mean(), first=1 << 11, quick=1 << 15, full=1 << 18, draw=_draw_potential),
        grid=tuple({"dim": d} for d in _DIMS),
        resolution=0.8,
        plants=(
            Plant(
                name="infinite_dimension",
                statement="It is 1, the limit of high dimensions.",
                predict=lambda: [1.0] * len(_DIMS),
            ),
        ),
    ),
    Claim(
        id="fahim.uniformity.reported",
        paper=PAPER,
        section="Table 3 and the sweeps in space",
        statement="The reported uniformities lie above the floor of their dimension.",
        formula=r"U \ge -4 + \ln {}_0F_1(;\tfrac d2;4)",
        kind="inequality",
        relation="at_most",
        predict=lambda: [value for _, value in _REPORTED],
        measure=Computed(compute=lambda: [float(uniformity_floor(int(d))) for d, _ in _REPORTED]),
        grid=tuple({"dim": d, "reported": value} for d, value in _REPORTED),
        resolution=1e-3,
        plants=(
            Plant(
                name="of_few_dimensions",
                statement="They lie above that of a thirty-second of it.",
                measure=Computed(compute=lambda: [float(uniformity_floor(max(int(d) // 32, 2))) for d, _ in _REPORTED]),
            ),
        ),
        note="CUAXU is .18 above the floor of d = 128, CUA in space .027 above that of d = 3.",
    ),
    Claim(
        id="conetheory.cross_uniformity.largest_gap",
        paper=OURS,
        section=_SECTION,
        statement="Cross-uniformity alone is least, −8, where the gap is largest, 2.",
        formula=r"\min U(x, y) = -4t \text{ at } x_j = -y_k = e",
        kind="value",
        predict=lambda: [-8.0, 2.0],
        measure=Computed(compute=lambda: list(_least_cross()), error=1e-5),
        grid=({"is_gap": 0.0}, {"is_gap": 1.0}),
        resolution=1e-3,
        plants=(
            Plant(
                name="uniform",
                statement="It is least for uniform points, without a gap.",
                predict=lambda: [float(uniformity_floor(3)), 0.0],
            ),
        ),
    ),
    Claim(
        id="conetheory.cross_uniformity.sum",
        paper=OURS,
        section=_SECTION,
        statement="Two antipodal points, one a modality, have a lower sum of both uniformities than the uniform law.",
        formula=r"-4t < 2\bigl(-2t + \ln {}_0F_1(;\tfrac d2;t^2)\bigr)",
        kind="inequality",
        relation="at_most",
        predict=lambda: [2 * float(uniformity_floor(int(d))) for d in _DIMS],
        measure=Computed(compute=lambda: [_antipodes(d) for d in _DIMS]),
        grid=tuple({"dim": d} for d in _DIMS),
        resolution=1e-3,
        plants=(Plant(name="higher", statement="They have a higher one.", relation="at_least"),),
        note="So it is alignment and the contrastive term that forbid the gap, not the two uniformities.",
    ),
    Claim(
        id="conetheory.regularised.gradient",
        paper=OURS,
        section=_SECTION,
        statement="The gradients of CUA and CUAXU are the derivatives of their losses along curves on the spheres.",
        formula=r"\tfrac{d}{ds}L = \sum_iP_{x_i}\nabla_{x_i}L\cdot u_i + P_{y_i}\nabla_{y_i}L\cdot v_i",
        kind="identity",
        predict=_slopes,
        measure=Computed(compute=_complex_slopes, error=1e-10),
        grid=tuple({"n": float(n), "dim": float(d), "cross": float(k)} for k in range(2) for n, d in _SHAPES),
        resolution=1e-8,
        plants=(
            Plant(
                name="exchanged",
                statement="The gradient of CUA is that of CUAXU, and the other way round.",
                predict=lambda: _slopes(("CUAXU", "CUA")),
            ),
        ),
        note="Measured by complex steps of the definitions.",
    ),
)
