"""Identities behind the gap and the distances of the paper, on random features of any shape."""

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import Computed
from conetheory import gap as metrics
from conetheory.contrastive import clip_loss, etf_floor
from conetheory.sphere import mean_pairwise_cosine, mean_resultant_length

__all__ = ["CLAIMS"]

_SHAPES = ((2, 2), (3, 50), (40, 5), (200, 64))
_GRID = tuple({"n": float(n), "dim": float(d)} for n, d in _SHAPES)
_N = 9  # pairs of the simplex


def _pairs(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return two modalities of unit rows with cones of different widths; fixed, because the identities hold for every one."""
    rng = np.random.default_rng(shape)
    x, y = rng.standard_normal((2, *shape)) + np.array([0.7, -0.3])[:, None, None]
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


def _over_shapes(function) -> Computed:
    return Computed(compute=lambda: [function(*_pairs(shape)) for shape in _SHAPES], error=1e-12)


def _squared_gap_by_means(x: np.ndarray, y: np.ndarray) -> float:
    """Return ‖x̄‖² + ‖ȳ‖² − 2 mean cross cosine, from all pairwise products."""
    return float(np.mean(x @ x.T) + np.mean(y @ y.T) - 2 * np.mean(x @ y.T))


def _mean_pairwise_by_loop(x: np.ndarray, y: np.ndarray) -> float:
    upper = np.triu_indices(len(x), k=1)
    return float(np.mean((x @ x.T)[upper]))


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.linalg.norm(x - y, axis=1)))


def _squared_distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.sum((x - y) ** 2, axis=1)))


def _twice_one_minus_cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(2 - 2 * np.mean(np.sum(x * y, axis=1)))


def _two_parts(x: np.ndarray, y: np.ndarray) -> float:
    """Return gap² plus the mean squared distance of what is left of each pair without the means."""
    rest = (x - x.mean(axis=0)) - (y - y.mean(axis=0))
    return float(np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.mean(np.sum(rest**2, axis=1)))


def _predicted(function) -> list[float]:
    return [float(function(*_pairs(shape))) for shape in _SHAPES]


def _simplex() -> np.ndarray:
    return np.eye(_N) - 1 / _N


CLAIMS = (
    Claim(
        id="liang.gap.identity",
        paper=OURS,
        section="docs/theory.md, section 5b",
        statement="The squared gap is the sum of the squared mean resultant lengths less twice the mean cosine across modalities.",
        formula=r"\|\Delta\|^2 = \bar R_x^2 + \bar R_y^2 - 2\,\bar x^\top \bar y",
        kind="identity",
        predict=lambda: _predicted(lambda x, y: metrics.gap_norm(x, y) ** 2),
        measure=_over_shapes(_squared_gap_by_means),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="matched_pairs_only",
                statement="… less twice the mean cosine of matched pairs.",
                measure=_over_shapes(
                    lambda x, y: np.mean(x @ x.T) + np.mean(y @ y.T) - 2 * np.mean(np.sum(x * y, axis=1))
                ),
            ),
        ),
    ),
    Claim(
        id="liang.gap.mean_pairwise_cosine",
        paper=OURS,
        section="docs/theory.md, section 5b",
        statement="The mean pairwise cosine of a modality follows from the length of its mean alone.",
        formula=r"\frac{2}{n(n-1)}\sum_{i<j} x_i^\top x_j = \frac{n\bar R^2 - 1}{n - 1}",
        kind="identity",
        predict=lambda: _predicted(lambda x, y: mean_pairwise_cosine(x)),
        measure=_over_shapes(_mean_pairwise_by_loop),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="with_the_diagonal",
                statement="It is the squared length of the mean.",
                predict=lambda: _predicted(lambda x, y: mean_resultant_length(x) ** 2),
            ),
        ),
    ),
    Claim(
        id="liang.gap.parts_of_alignment",
        paper=OURS,
        section="docs/theory.md, section 5b",
        statement="The mean squared distance of pairs is the squared gap plus that of the centred features.",
        formula=r"\mathbb{E}\|x - y\|^2 = \|\Delta\|^2 + \mathbb{E}\|(x - \bar x) - (y - \bar y)\|^2",
        kind="identity",
        predict=lambda: _predicted(metrics.alignment),
        measure=_over_shapes(_two_parts),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="gap_alone",
                statement="It is the squared gap.",
                predict=lambda: _predicted(lambda x, y: metrics.gap_norm(x, y) ** 2),
            ),
        ),
    ),
    Claim(
        id="liang.distance.printed",
        paper=PAPER,
        section="Sec. 4.3",
        statement="The Euclidean distance of two unit vectors is 2 (1 − cosine).",
        formula=r"\|x - y\| = 2(1 - x^\top y)",
        kind="identity",
        predict=lambda: _predicted(_twice_one_minus_cosine),
        measure=_over_shapes(_distance),
        grid=_GRID,
        resolution=1e-9,
        expected="refuted",
        plants=(
            Plant(
                name="one_minus_cosine",
                statement="It is 1 − cosine.",
                predict=lambda: _predicted(lambda x, y: _twice_one_minus_cosine(x, y) / 2),
            ),
        ),
        note="That is the squared distance.",
    ),
    Claim(
        id="liang.distance.corrected",
        paper=OURS,
        section="erratum to Sec. 4.3",
        statement="The squared Euclidean distance of two unit vectors is 2 (1 − cosine).",
        formula=r"\|x - y\|^2 = 2(1 - x^\top y)",
        kind="identity",
        predict=lambda: _predicted(_twice_one_minus_cosine),
        measure=_over_shapes(_squared_distance),
        grid=_GRID,
        resolution=1e-9,
        plants=(Plant(name="not_squared", statement="The distance itself is.", measure=_over_shapes(_distance)),),
    ),
    Claim(
        id="conetheory.loss.simplex",
        paper="Lu and Steinerberger 2022",
        section="theorem on the cross-entropy optimum",
        statement="The regular simplex, both modalities equal, reaches the lower bound of the contrastive loss.",
        formula=r"\ln\big(1 + (N-1)e^{-N/(\tau(N-1))}\big)",
        kind="identity",
        predict=lambda: [float(etf_floor(_N, tau)) for tau in (1.0, 0.3, 0.1)],
        measure=Computed(compute=lambda: [float(clip_loss(_simplex(), _simplex(), tau)) for tau in (1.0, 0.3, 0.1)]),
        grid=tuple({"temperature": tau} for tau in (1.0, 0.3, 0.1)),
        resolution=1e-9,
        plants=(
            Plant(
                name="orthogonal_pairs",
                statement="Orthogonal pairs reach it.",
                measure=Computed(
                    compute=lambda: [float(clip_loss(np.eye(_N), np.eye(_N), tau)) for tau in (1.0, 0.3, 0.1)]
                ),
            ),
        ),
    ),
)
