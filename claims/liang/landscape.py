"""Figure 3 (a–d) on the published CLIP embeddings: the loss while both modalities are moved along the gap."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.liang.features import load_published
from claims.liang.shifted_features import (
    SCALES,
    Features,
    brute_minimum,
    count_minima,
    load_features,
    slope_minimum,
)
from claims.measure import FromData, Reading
from conetheory.contrastive import clip_loss
from conetheory.gap import center, gap_norm
from conetheory.retrieval import recall
from conetheory.shift import delta_to_lambda, shift_landscape, shift_pairs
from conetheory.shift_minimum import critical_temperature

__all__ = ["CLAIMS", "shared_reading"]

_SECTION = "Sec. 4.2, Fig. 3(b–d), on the published features"
# Minimisers λ* and gaps of 500 pairs in 10 batches of 50; on a grid of step .01 the symmetric ones are −.01, .08, .19, .27, .39 and .49.
_MINIMA = {
    "symmetric": {
        100: (-0.007108, 0.861189),
        50: (0.083671, 0.729901),
        30: (0.187013, 0.566113),
        20: (0.273809, 0.418096),
        10: (0.386938, 0.214193),
        1: (0.492341, 0.018891),
    },
    "x-to-y": {
        100: (0.038336, 0.796993),
        50: (0.100216, 0.704674),
        30: (0.188323, 0.563945),
        20: (0.267466, 0.429196),
        10: (0.378380, 0.229942),
        1: (0.490978, 0.021283),
    },
}
_DIRECTIONS = ("x-to-y", "y-to-x", "symmetric")
_UNMOVED = (  # loss of the unmoved features: a row for each scale, a column for each direction
    (0.5232, 0.6089, 0.5660),
    (0.6486, 0.6908, 0.6697),
    (1.0807, 1.0978, 1.0892),
    (1.6429, 1.6446, 1.6437),
    (2.5977, 2.5943, 2.5960),
    (3.7676, 3.7675, 3.7676),
)
_SUPERPOSED = (1.58647, 1.13729, 1.24406, 1.59618, 2.43501, 3.73697)  # symmetric loss at λ = 1/2
_AUTHORS_DELTA = np.arange(-20, 20) * 0.25


def _clip(function, error: ArrayLike = 1e-9) -> FromData:
    """Return what `function` (x, y) says of the trained features."""

    def compute(folder: Path) -> Reading:
        return Reading.of(function(*load_published(folder, "clip")), n=500)

    return FromData(compute=compute, error=error)


def _shifted_loss(x: np.ndarray, y: np.ndarray, lam: float, scale: float, direction: str) -> float:
    """Return the loss of the shifted features themselves, without the algebra of one matrix product."""
    moved = shift_pairs(x, y, lam)
    return float(clip_loss(moved.x, moved.y, 1 / scale, direction=direction, batch=50))


def shared_reading(function: Callable[[Features], ArrayLike], error: ArrayLike) -> FromData:
    """Return what `function` says of the trained features, as `_clip` does, where claims share what it computes."""

    def compute(folder: Path) -> Reading:
        changed = max((file.stat().st_mtime_ns for file in (folder / "mind_the_gap").glob("*")), default=0)
        return Reading.of(function(load_features(folder, changed)), n=500)

    return FromData(compute=compute, error=error)


def _both_routes(scale: int, direction: str):
    """Return a function of the features: λ* and gap by brute force, then by the root of the closed-form slope."""

    def compute(features: Features) -> list[float]:
        root = slope_minimum(features, scale, direction)
        return [*brute_minimum(features, scale, direction), root.lam, root.gap]

    return compute


def _minimum_claim(scale: int, direction: str) -> Claim:
    lam, gap = _MINIMA[direction][scale]
    other = 50 if scale == 100 else 100
    which = "symmetric loss" if direction == "symmetric" else "image-to-text loss, which the authors' code computes,"
    return Claim(
        id=f"liang.fig3.minimum.{direction.replace('-', '_')}.scale{scale}",
        paper=OURS,
        section=_SECTION,
        statement=f"At τ = 1/{scale} the {which} is least at λ = {lam:.3f}, where the gap is {gap:.3f} (unmoved: .851).",
        formula=r"\operatorname*{argmin}_{\lambda} L(\lambda; \tau)",
        kind="value",
        predict=lambda: [lam, gap, lam, gap],
        measure=shared_reading(_both_routes(scale, direction), error=2e-5),
        grid=(
            {"lambda": 0.0, "closed_form": 0.0},
            {"gap": 0.0, "closed_form": 0.0},
            {"lambda": 0.0, "closed_form": 1.0},
            {"gap": 0.0, "closed_form": 1.0},
        ),
        resolution=2e-4,
        plants=(
            Plant(
                name="another_temperature",
                statement=f"It is least where the loss at τ = 1/{other} is.",
                predict=lambda: list(_MINIMA[direction][other]) * 2,
            ),
        ),
        note="500 pairs in batches of 50 in the order of the file; the 5,000 pairs of the figure itself are not published. Brute force, then the root of dL/dλ.",
    )


def _grid_minimum(x: np.ndarray, y: np.ndarray, direction: str, scale: float = 100.0) -> float:
    """Return δ of the least loss on the authors' grid of 40 points."""
    lambdas = delta_to_lambda(_AUTHORS_DELTA, gap_norm(x, y))
    loss = shift_landscape(x, y, lambdas, [1 / scale], batch=50, direction=direction).loss[0]
    return float(_AUTHORS_DELTA[int(np.argmin(loss))])


def _back_to_back(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return δ and signed gap of the second minimum on the authors' grid at τ = 1/100, and the symmetric loss there."""
    lambdas = delta_to_lambda(_AUTHORS_DELTA, gap_norm(x, y))
    landscape = shift_landscape(x, y, lambdas, [0.01], batch=50)
    far = np.flatnonzero(_AUTHORS_DELTA >= 1.75)
    best = far[int(np.argmin(landscape.loss[0][far]))]
    return [float(_AUTHORS_DELTA[best]), float(landscape.signed_gap[best]), float(landscape.loss[0][best])]


def _critical(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return the temperature at which dL/dλ vanishes at 0, and that slope by central differences of shifted features."""
    temperature, step = critical_temperature(x, y, batch=50), 1e-4
    above, below = (_shifted_loss(x, y, lam, 1 / temperature, "symmetric") for lam in (step, -step))
    return [temperature, (above - below) / (2 * step)]


def _mutual_pairs(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs that are each other's nearest neighbours among all."""
    unit_x, unit_y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    cosines = unit_x @ unit_y.T
    own = np.arange(len(x))
    keep = (cosines.argmax(axis=1) == own) & (cosines.argmax(axis=0) == own)
    return x[keep], y[keep]


def _cost_of_closing(x: np.ndarray, y: np.ndarray) -> float:
    """Return by how much the loss at τ = 1/100 is larger at λ = 1/2 than at its minimum, in one batch."""
    loss = shift_landscape(x, y, [0.0, 0.05, 0.5], [0.01], batch=None).loss[0]
    return float(loss[2] - loss[:2].min())


def _centred(x: np.ndarray, y: np.ndarray) -> list[float]:
    moved = center(x, y)
    found = [recall(moved.x, moved.y, ks=(1,))[0], recall(moved.y, moved.x, ks=(1,))[0]]
    return [gap_norm(moved.x, moved.y), *found, float(clip_loss(moved.x, moved.y, 1 / 30, batch=50))]


CLAIMS = (
    *(_minimum_claim(scale, direction) for direction in _MINIMA for scale in SCALES),
    Claim(
        id="liang.fig3.default_gap.on_the_grid",
        paper=PAPER,
        section=_SECTION,
        statement="At CLIP's own temperature, 1/100, the default gap minimises the loss among the 40 shifts of the figure, in one direction and in both.",
        formula=r"\operatorname*{argmin}_{\delta \in \{-5, -4.75, \dots, 4.75\}} L = 0",
        kind="qualitative",
        predict=lambda: [0.0, 0.0],
        measure=_clip(lambda x, y: [_grid_minimum(x, y, "x-to-y"), _grid_minimum(x, y, "symmetric")]),
        grid=({"symmetric": 0.0}, {"symmetric": 1.0}),
        resolution=0.01,
        plants=(
            Plant(
                name="another_temperature",
                statement="It does so at τ = 1/20.",
                measure=_clip(lambda x, y: [_grid_minimum(x, y, "x-to-y", 20), _grid_minimum(x, y, "symmetric", 20)]),
            ),
        ),
    ),
    Claim(
        id="liang.fig3.default_gap.exactly",
        paper=OURS,
        section=_SECTION,
        statement="On these 500 pairs in this order, at CLIP's own temperature, the default gap minimises the loss exactly and not only on the figure's grid.",
        formula=r"\operatorname*{argmin}_{\lambda} L(\lambda; 1/100) = 0",
        kind="value",
        predict=lambda: [0.0, 0.0],
        measure=shared_reading(
            lambda f: [slope_minimum(f, 100, name).lam for name in ("x-to-y", "symmetric")], error=1e-6
        ),
        grid=({"symmetric": 0.0}, {"symmetric": 1.0}),
        resolution=1e-3,
        expected="refuted",
        plants=(
            Plant(
                name="half_way", statement="The gap that is half as wide minimises it.", predict=lambda: [0.25, 0.25]
            ),
        ),
        note="Only on the figure's grid of step .15 in λ: the minimisers are λ = .038 for the one-directional loss of the code and −.007 for the symmetric one. Over random orders of the file the symmetric one is −.014 with standard deviation .012: its sign is not settled by 500 pairs.",
    ),
    Claim(
        id="liang.fig3.low_temperature_keeps_the_gap",
        paper=PAPER,
        section=_SECTION,
        statement="The higher the temperature, the smaller the gap at which the loss is least.",
        formula=r"\tau_1 < \tau_2 \Rightarrow \mathrm{gap}^\ast(\tau_1) > \mathrm{gap}^\ast(\tau_2)",
        kind="qualitative",
        relation="at_least",
        predict=lambda: [0.0] * 10,
        measure=shared_reading(
            lambda f: np.concatenate([-np.diff([slope_minimum(f, s, name).gap for s in SCALES]) for name in _MINIMA]),
            error=1e-6,
        ),
        grid=tuple({"scale": float(s), "symmetric": float(d == "symmetric")} for d in _MINIMA for s in SCALES[1:]),
        resolution=1e-3,
        plants=(Plant(name="reversed", statement="The higher the temperature, the larger it is.", relation="at_most"),),
    ),
    Claim(
        id="liang.fig3.unmoved_loss",
        paper=OURS,
        section=_SECTION,
        statement="The losses of the unmoved features at six temperatures, from images to texts, from texts to images and symmetric.",
        formula=r"L(0; \tau)",
        kind="value",
        predict=lambda: np.ravel(_UNMOVED),
        tolerance=5.1e-5,
        measure=_clip(
            lambda x, y: [float(clip_loss(x, y, 1 / s, direction=d, batch=50)) for s in SCALES for d in _DIRECTIONS]
        ),
        grid=tuple({"scale": float(s), "direction": float(i)} for s in SCALES for i in range(3)),
        resolution=1e-5,
        plants=(
            Plant(
                name="one_batch",
                statement="They are those of one batch of 500.",
                measure=_clip(
                    lambda x, y: [float(clip_loss(x, y, 1 / s, direction=d)) for s in SCALES for d in _DIRECTIONS]
                ),
            ),
            Plant(
                name="swapped_directions",
                statement="The first column is from texts to images.",
                predict=lambda: np.ravel([(b, a, c) for a, b, c in _UNMOVED]),
            ),
        ),
        note="Directions: 0 images to texts, 1 texts to images, 2 their mean.",
    ),
    Claim(
        id="liang.fig3.superposed_loss",
        paper=OURS,
        section=_SECTION,
        statement="The symmetric losses where the centres are superposed (λ = 1/2) at six temperatures.",
        formula=r"L(\tfrac12; \tau)",
        kind="value",
        predict=lambda: list(_SUPERPOSED),
        tolerance=5.1e-6,
        measure=_clip(lambda x, y: [_shifted_loss(x, y, 0.5, s, "symmetric") for s in SCALES]),
        grid=tuple({"scale": float(s)} for s in SCALES),
        resolution=1e-6,
        plants=(
            Plant(
                name="one_side_moved",
                statement="They are those where one modality alone is moved as far.",
                measure=_clip(lambda x, y: [_shifted_loss(x, y, 1.0, s, "symmetric") for s in SCALES]),
            ),
        ),
    ),
    Claim(
        id="liang.fig3.back_to_back",
        paper=OURS,
        section=_SECTION,
        statement="At τ = 1/100 there is a second minimum with the modalities back to back, at δ = 3.75 (signed gap −1.6973, symmetric loss 1.4515).",
        formula=r"L(\delta),\ \delta > 1.75",
        kind="value",
        predict=lambda: [3.75, -1.6973, 1.4515],
        tolerance=[1e-9, 5.1e-5, 5.1e-5],
        measure=_clip(_back_to_back),
        grid=({"delta": 0.0}, {"signed_gap": 0.0}, {"loss": 0.0}),
        resolution=1e-5,
        plants=(
            Plant(
                name="mirror_image",
                statement="It is the mirror image of the first.",
                predict=lambda: [1.70, -0.8514, 0.5660],
            ),
        ),
    ),
    Claim(
        id="conetheory.fig3.critical_temperature",
        paper=OURS,
        section="docs/theory.md, section 7",
        statement="Closing the gap begins to pay at the temperature .0108 (1/τ = 92), where the slope of the symmetric loss at λ = 0 changes sign.",
        formula=r"\partial_\lambda L(0; \tau_c) = 0",
        kind="value",
        predict=lambda: [0.010844, 0.0],
        tolerance=[5.1e-7, 0.0],
        measure=_clip(_critical, error=[1e-8, 1e-6]),  # central differences with step 1e-4
        grid=({"temperature": 0.0}, {"slope": 0.0}),
        resolution=[1e-6, 1e-5],
        plants=(Plant(name="clips_own", statement="It is CLIP's own, 1/100.", predict=lambda: [0.01, 0.0]),),
        note="The second cell is the slope there by finite differences of shifted features.",
    ),
    Claim(
        id="liang.sec43.mismatch_is_the_cause",
        paper=OURS,
        section="Sec. 4.3, carried over to real features",
        statement="Mismatched pairs are the cause of the repulsion: without the pairs that are not mutual nearest neighbours, closing the gap costs nothing at τ = 1/100.",
        formula=r"L(\tfrac12) - \min L \le 0.01",
        kind="qualitative",
        relation="at_most",
        predict=lambda: 0.01,
        measure=_clip(lambda x, y: _cost_of_closing(*_mutual_pairs(x, y))),
        resolution=1e-3,
        expected="refuted",
        plants=(Plant(name="it_pays", statement="Closing it pays.", predict=lambda: -0.1),),
        note="208 of the 500 pairs remain, all perfectly matched, and closing the gap still costs about .67: the simulation's cause does not carry over to this probe.",
    ),
    Claim(
        id="conetheory.fig3.centring",
        paper=OURS,
        section="docs/theory.md, section 7",
        statement="Centring each modality closes the gap (.0279) and keeps retrieval (.542 and .500): the information is not in the gap.",
        formula=r"x_i \to (x_i - \bar x)/\|x_i - \bar x\|",
        kind="value",
        predict=lambda: [0.0279, 0.542, 0.500, 0.5944],
        tolerance=[5.1e-5, 5.1e-4, 5.1e-4, 5.1e-5],
        measure=_clip(_centred),
        grid=({"gap": 0.0}, {"recall_x_to_y": 1.0}, {"recall_y_to_x": 1.0}, {"loss_scale30": 0.0}),
        resolution=1e-5,
        plants=(
            Plant(
                name="translation",
                statement="Moving all texts by the gap does as well.",
                measure=_clip(lambda x, y: _translated(x, y)),
            ),
        ),
    ),
    Claim(
        id="conetheory.fig3.one_minimum_when_warm",
        paper=OURS,
        section="docs/theory.md, section 7",
        statement="The loss along the shift has two minima at τ = 1/100 and 1/50 and one from 1/30 on.",
        formula=r"\#\{\lambda : L'(\lambda) = 0 < L''(\lambda)\}",
        kind="qualitative",
        predict=lambda: [2.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        measure=shared_reading(count_minima, error=1e-9),
        grid=tuple({"scale": float(s)} for s in SCALES),
        resolution=0.1,
        plants=(Plant(name="always_two", statement="It has two at every temperature.", predict=lambda: [2.0] * 6),),
    ),
)


def _translated(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return the numbers of `_centred` for texts moved by the whole gap."""
    unit_x, unit_y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    moved = unit_y + unit_x.mean(0) - unit_y.mean(0)
    found = [recall(unit_x, moved, ks=(1,))[0], recall(moved, unit_x, ks=(1,))[0]]
    return [gap_norm(unit_x, moved), *found, float(clip_loss(unit_x, moved, 1 / 30, batch=50))]
