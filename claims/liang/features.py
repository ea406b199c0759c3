"""Figure 1 on the authors' published CLIP embeddings: 500 pairs of MSCOCO, a trained and a randomly initialised model."""

from pathlib import Path

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import FromData, Reading
from conetheory import gap as metrics
from conetheory.retrieval import recall
from conetheory.spectrum import effective_dimension

__all__ = ["CLAIMS", "load_published"]

_FILES = {"clip": "features_clip.npy", "clip_random": "features_clip_random.npy"}
_BOTH = ({"trained": 1.0}, {"trained": 0.0})


def load_published(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images and texts of the published array `name`, ``clip`` or ``clip_random``, each (500, 512) float64.

    Raises
    ------
    FileNotFoundError
        If the file is not below `folder`.
    """
    file = folder / "mind_the_gap" / _FILES[name]
    if not file.exists():
        raise FileNotFoundError(2, "The published array is missing", str(file))
    x, y = np.load(file, allow_pickle=False).astype(np.float64)
    return x, y


def _measured(function, *names: str) -> FromData:
    """Return what `function` (x, y) says of each published array in turn."""

    def compute(folder: Path) -> Reading:
        return Reading.of(
            np.concatenate([np.atleast_1d(function(*load_published(folder, name))) for name in names]), n=500
        )

    return FromData(compute=compute, error=1e-9)


def _table(
    name: str,
    statement: str,
    formula: str,
    function,
    printed,
    digits: int,
    plants,
    *,
    grid=_BOTH,
    names=tuple(_FILES),
    note: str = "",
) -> Claim:
    """Return a claim that `function` gives the `printed` values on both arrays, to half a unit of the last of `digits` decimals."""
    return Claim(
        id=f"liang.fig1.{name}",
        paper=OURS,
        section="Fig. 1, published features",
        statement=statement,
        formula=formula,
        kind="value",
        predict=lambda: printed,
        tolerance=0.51 * 10.0**-digits,
        measure=_measured(function, *names),
        grid=grid,
        resolution=10.0**-digits,
        plants=plants,
        note=note,
    )


def _exchanged(function) -> FromData:
    """Return the measurement with the two files exchanged: a claim about one model, held against the other."""
    return _measured(function, "clip_random", "clip")


def _swapped_models(function) -> Plant:
    return Plant(
        name="swapped_models",
        statement="The trained model has the numbers of the random one.",
        measure=_exchanged(function),
    )


def _gap_without_normalising(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.linalg.norm((3 * x).mean(axis=0) - y.mean(axis=0)))


def _bootstrap_gap(x: np.ndarray, y: np.ndarray, replicates: int = 400) -> tuple[float, float]:
    """Return the gap and its standard error by the paired bootstrap; the stream is fixed, as the data are."""
    rng = np.random.default_rng(500)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    weights = rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=replicates) / len(x)
    return float(np.linalg.norm(x.mean(0) - y.mean(0))), float(
        np.std(np.linalg.norm(weights @ (x - y), axis=1), ddof=1)
    )


def _gaps(folder: Path) -> Reading:
    pairs = [_bootstrap_gap(*load_published(folder, name)) for name in _FILES]
    return Reading.of([value for value, _ in pairs], n=500, stderr=[stderr for _, stderr in pairs])


def _halves(folder: Path) -> Reading:
    """Return the distance of two random halves of one modality: what a gap is without any gap."""
    rng = np.random.default_rng(500)
    found = []
    for name in _FILES:
        x, _ = load_published(folder, name)
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        order = rng.permuted(np.tile(np.arange(len(x)), (200, 1)), axis=1)
        half = len(x) // 2
        distances = [np.linalg.norm(unit[o[:half]].mean(0) - unit[o[half:]].mean(0)) for o in order]
        found.append((np.mean(distances), np.std(distances, ddof=1) / np.sqrt(len(distances))))
    return Reading.of([value for value, _ in found], n=200, stderr=[stderr for _, stderr in found])


def _margin(x: np.ndarray, y: np.ndarray) -> float:
    """Return the distance between the two clouds along the gap direction; negative if they overlap there."""
    direction = metrics.gap_vector(x, y)
    direction = direction / np.linalg.norm(direction)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) @ direction for rows in (x, y))
    return float(x.min() - y.max())


def _shuffled_margin(x: np.ndarray, y: np.ndarray) -> float:
    rows = np.random.default_rng(0).permutation(np.concatenate([x, y]))
    return _margin(rows[: len(x)], rows[len(x) :])


def _pc1_along_gap(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    rows = np.concatenate([x, y])
    axis = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][0]
    delta = x.mean(0) - y.mean(0)
    return float(abs(axis @ delta) / np.linalg.norm(delta))


def _cones(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([metrics.mean_cosine(x), metrics.mean_cosine(y)])


def _recalls(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([recall(x, y, ks=(1,))[0], recall(y, x, ks=(1,))[0]])


def _dimensions(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([effective_dimension(x, fraction=0.99), effective_dimension(y, fraction=0.99)])


def _gap_from_cones(x: np.ndarray, y: np.ndarray) -> float:
    """Return the gap that the two cones alone would give if their means were orthogonal."""
    n = len(x)
    return float(np.sqrt(sum(((n - 1) * c + 1) / n for c in _cones(x, y))))


_CONE_GRID = tuple({"trained": t, "text": m} for t in (1.0, 0.0) for m in (0.0, 1.0))

CLAIMS = (
    Claim(
        id="liang.fig1.gap_exists",
        paper=PAPER,
        section="Sec. 2.2, Fig. 1(b, c)",
        statement="Images and texts lie apart, in the trained model and in the one with random weights: the gap is at least five times that of two halves of one modality.",
        formula=r"\|\bar x - \bar y\| \ge 5 \times 0.063",
        kind="inequality",
        relation="at_least",
        predict=lambda: [0.315, 0.315],
        measure=FromData(compute=_gaps),
        grid=_BOTH,
        resolution=0.02,
        plants=(
            Plant(
                name="halves_of_one_modality",
                statement="So do two halves of the images.",
                measure=FromData(compute=_halves),
            ),
        ),
        note="Standard error by the paired bootstrap. Two random halves of the images are .06 apart.",
    ),
    _table(
        "gap",
        "The gap is .851352 in the trained model and 1.136057 in the random one.",
        r"\|\bar x - \bar y\|",
        metrics.gap_norm,
        [0.851352, 1.136057],
        6,
        (
            _swapped_models(metrics.gap_norm),
            Plant(
                name="rows_not_normalised",
                statement="The rows need not be normalised.",
                measure=_measured(_gap_without_normalising, *_FILES),
            ),
        ),
        note="The rows are normalised again: half-precision features have norms from .99945 to 1.00057.",
    ),
    _table(
        "angle",
        "The means of images and texts are 72.01° apart in the trained model and 87.63° in the random one.",
        r"\angle(\bar x, \bar y)",
        lambda x, y: np.degrees(metrics.gap_angle(x, y)),
        [72.01, 87.63],
        2,
        (_swapped_models(lambda x, y: np.degrees(metrics.gap_angle(x, y))),),
    ),
    _table(
        "cones",
        "Each modality of each model lies in a cone: mean cosines .531483 and .515194 trained, .681424 and .663460 random.",
        r"\frac{2}{n(n-1)}\sum_{i<j} x_i^\top x_j",
        _cones,
        [0.531483, 0.515194, 0.681424, 0.663460],
        6,
        (
            _swapped_models(_cones),
            Plant(
                name="with_the_diagonal",
                statement="The diagonal belongs to the mean.",
                measure=_measured(lambda x, y: (499 * _cones(x, y) + 1) / 500, *_FILES),
            ),
        ),
        grid=_CONE_GRID,
    ),
    Claim(
        id="liang.fig1.linearly_separable",
        paper=PAPER,
        section="Fig. 1(b, c)",
        statement="One threshold along the gap direction separates images from texts completely, trained or random.",
        formula=r"\min_i x_i^\top \hat\Delta > \max_j y_j^\top \hat\Delta",
        kind="inequality",
        relation="at_least",
        predict=lambda: [0.0, 0.0],
        measure=_measured(_margin, *_FILES),
        grid=_BOTH,
        resolution=1e-3,
        plants=(
            Plant(
                name="shuffled_modalities",
                statement="It separates two random halves of all rows too.",
                measure=_measured(_shuffled_margin, *_FILES),
            ),
        ),
    ),
    _table(
        "retrieval",
        "The trained model retrieves (.552 and .506 at rank 1), the random one does not (.002): the gap says nothing about it.",
        r"\mathrm{R@1}",
        _recalls,
        [0.552, 0.506, 0.002, 0.002],
        3,
        (_swapped_models(_recalls),),
        grid=tuple({"trained": t, "text_to_image": m} for t in (1.0, 0.0) for m in (0.0, 1.0)),
    ),
    _table(
        "relative_gap",
        "The relative modality gap is .591 trained and .748 random.",
        r"\frac{m}{m + (d_{II} + d_{TT})/2}",
        metrics.relative_modality_gap,
        [0.591, 0.748],
        3,
        (_swapped_models(metrics.relative_modality_gap),),
        note="The measure is Schrodi et al.'s (2025).",
    ),
    _table(
        "alignment",
        "Pairs of the trained model are at the mean squared distance 1.380.",
        r"\mathbb{E}\|x - y\|^2",
        metrics.alignment,
        [1.380],
        3,
        (
            Plant(
                name="random_model",
                statement="So are those of the random one.",
                measure=_measured(metrics.alignment, "clip_random"),
            ),
        ),
        grid=({"trained": 1.0},),
        names=("clip",),
    ),
    _table(
        "first_component_is_the_gap",
        "The first principal component of both modalities together is the gap direction.",
        r"|\cos(\mathrm{PC}_1, \Delta)|",
        _pc1_along_gap,
        [0.9998, 0.9996],
        4,
        (Plant(name="orthogonal", statement="It is orthogonal to it.", predict=lambda: [0.0, 0.0]),),
    ),
    _table(
        "effective_dimension",
        "99 % of the variance lies in 296 and 277 dimensions in the trained model, in 25 and 230 in the random one (images, texts).",
        r"\min\{k : \textstyle\sum_{i \le k} s_i^2 \ge 0.99 \sum_i s_i^2\}",
        _dimensions,
        [296.0, 277.0, 25.0, 230.0],
        0,
        (_swapped_models(_dimensions),),
        grid=_CONE_GRID,
    ),
    Claim(
        id="conetheory.fig1.random_gap_from_cones",
        paper=OURS,
        section="docs/theory.md, section 5b",
        statement="With random weights the two cones point in independent directions, so their mean cosines alone predict the gap to 4 %.",
        formula=r"\|\bar x - \bar y\|^2 \approx \bar R_x^2 + \bar R_y^2",
        kind="qualitative",
        predict=lambda: 1.0,
        tolerance=0.04,
        measure=_measured(lambda x, y: metrics.gap_norm(x, y) / _gap_from_cones(x, y), "clip_random"),
        resolution=1e-6,
        plants=(
            Plant(
                name="trained_model",
                statement="The trained model's gap is predicted likewise.",
                measure=_measured(lambda x, y: metrics.gap_norm(x, y) / _gap_from_cones(x, y), "clip"),
            ),
        ),
        note="Training turns the cones towards each other: there the ratio is .83.",
    ),
)
