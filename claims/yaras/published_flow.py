"""The flow of published CLIP features: where the model of parallel modalities tells how their gap starts, and where not."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang.features import load_published
from claims.measure import FromData, Reading
from conetheory.gap_equilibria import fixed_rest, resting_scale
from conetheory.loss_profiles import matrix_profile
from conetheory.temperature_laws import fixed_law
from sims.flow_starts import ParallelParts, parallel_parts
from sims.gradient_flow import gradient_flow

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 23"
_STATES = (("clip_random", 14.3), ("clip_random", 100.0), ("clip", 14.3), ("clip", 50.0), ("clip", 100.0))
_GRID = tuple({"trained": float(name == "clip"), "beta": beta} for name, beta in _STATES)
_SPEEDS = (1.3e-4, 3.0e-3, -2.6e-3, -1.8e-3, 1.4e-4)
_SHORT = 1e-8
Number = Callable[[Path, str, float], float]


@cache
def _parts(folder: Path, name: str) -> ParallelParts:
    return parallel_parts(*load_published(folder, name))


@cache
def _speed(folder: Path, name: str, beta: float) -> float:
    """Return the speed of the gap at a fixed temperature, down the gradient of L itself, from a short time of the flow."""
    x, y = load_published(folder, name)
    gap = gradient_flow(x, y, fixed_law(), [0.0, _SHORT], beta0=beta, rtol=1e-3).gap_norm
    return float(np.diff(gap)[0]) / _SHORT / (2 * len(x))


def _parallel_speed(folder: Path, name: str, beta: float) -> float:
    """Return the speed that 23.2 gives parallel modalities, without the factor 2n."""
    parts = _parts(folder, name)
    gamma, rest = parts.gamma, 1 - parts.gamma**2
    force = float(matrix_profile(parts.h @ parts.k.T).force(beta * rest))
    return -4 * beta * gamma * rest * force / (2 * len(parts.h))


def _speed_ratio(folder: Path, name: str, beta: float) -> float:
    return _parallel_speed(folder, name, beta) / _speed(folder, name, beta)


def _share(folder: Path, name: str, _: float) -> float:
    """Return the share of the variance of a row's cosines that the parallel model explains; negative: worse than none."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in load_published(folder, name))
    cosines = x @ y.T
    parts = (
        matrix - matrix.mean(axis=1, keepdims=True) for matrix in (cosines - _parts(folder, name).cosines, cosines)
    )
    left, all_of_it = (float(np.sum(part**2)) for part in parts)
    return 1 - left / all_of_it


def _resting(folder: Path) -> Reading:
    """Return s*, the gap at which frozen trained features would rest at β = 100, and their own gap."""
    parts = _parts(folder, "clip")
    scale = resting_scale(matrix_profile(parts.h @ parts.k.T))
    return Reading.of([scale, 2 * float(fixed_rest(scale, 100.0)), 2 * parts.gamma], n=500)


def _spread(folder: Path) -> Reading:
    """Return the standard deviations of images and texts along the gap, and the bias of logits at β = 100 for each way.

    A row's softmax sees that of its texts, times the mean part of the images along the gap; a column's the reverse.
    """
    parts = _parts(folder, "clip")
    images, texts = parts.along_x, parts.along_y
    bias = 100 * images.mean() * texts.std(), -100 * texts.mean() * images.std()
    return Reading.of([images.std(), texts.std(), *bias], n=500)


def _read(number: Number, states: Sequence[tuple[str, float]], error: float = 1e-9) -> FromData:
    def compute(folder: Path) -> Reading:
        return Reading.of([number(folder, *state) for state in states], n=500)

    return FromData(compute=compute, error=error)


def _twice_n(folder: Path, name: str, beta: float) -> float:
    return 1000 * _speed(folder, name, beta)


CLAIMS = (
    Claim(
        id="conetheory.published_flow.first_speed",
        paper=OURS,
        section=_SECTION,
        statement="Down the loss the gap of CLIP with random weights grows, that of trained CLIP shrinks at β = 14.3 and 50 and all but rests at its own β = 100.",
        formula=r"\dot\Delta|_{t=0}",
        kind="value",
        predict=lambda: list(_SPEEDS),
        tolerance=[5.1e-6, 5.1e-5, 5.1e-5, 5.1e-5, 5.1e-6],
        measure=_read(_speed, _STATES, error=3e-7),
        grid=_GRID,
        resolution=[1e-5, 1e-4, 1e-4, 1e-4, 1e-5],
        plants=(
            Plant(
                name="the_other_model",
                statement="So does the gap of the other model.",
                measure=_read(_speed, [({"clip": "clip_random", "clip_random": "clip"}[n], b) for n, b in _STATES]),
            ),
            Plant(
                name="time_of_the_reduced_model",
                statement="These are the speeds in the time of the reduced model, that of 2nL.",
                measure=_read(_twice_n, _STATES),
            ),
        ),
        note="500 pairs in one batch, rows move down the gradient of L without the factor 2n.",
    ),
    Claim(
        id="conetheory.published_flow.parallel_speed",
        paper=OURS,
        section=_SECTION,
        statement="The parallel model gives the first speed of the gap to a tenth for trained CLIP at β = 14.3, a third of it at 50, 24 times it at 100, and 6 to 8 times it for random weights.",
        formula=r"-4\beta\gamma(1-\gamma^2)\,g(\beta(1-\gamma^2))\,/\,\dot\Delta",
        kind="value",
        predict=lambda: [7.69, 5.64, 0.918, 0.306, 23.8],
        tolerance=[0.006, 0.006, 0.0006, 0.0006, 0.06],
        measure=_read(_speed_ratio, _STATES, error=1e-3),
        grid=_GRID,
        resolution=[0.02, 0.02, 0.003, 0.003, 0.2],
        plants=(Plant(name="parallel", statement="It gives this speed.", predict=lambda: [1.0] * len(_STATES)),),
        note="Theory 23.2 for any parallel rows; γ is half the distance of the means, h and k are the features without their part along the gap.",
    ),
    Claim(
        id="conetheory.published_flow.rest",
        paper=OURS,
        section=_SECTION,
        statement="Parallel features of trained CLIP would rest at a gap of 1.474 at β = 100, not at .851: without the gap they are best at the scale 45.66.",
        formula=r"s^*,\ 2\sqrt{1-s^*/\beta},\ \Delta",
        kind="value",
        predict=lambda: [45.662, 1.47429, 0.85135],
        tolerance=[5.1e-4, 5.1e-6, 5.1e-6],
        measure=FromData(compute=_resting),
        grid=({"scale": 1.0}, {"resting_gap": 1.0}, {"gap": 1.0}),
        resolution=[1e-3, 1e-5, 1e-5],
        plants=(
            Plant(
                name="at_the_gap",
                statement="They would rest at their own gap.",
                predict=lambda: [45.662, 0.85135, 0.85135],
            ),
        ),
        note="A quantified failure of the parallel assumption: the loss is least near the actual gap (Fig. 3).",
    ),
    Claim(
        id="conetheory.published_flow.explained",
        paper=OURS,
        section=_SECTION,
        statement="The parallel model explains .475 of the variance of a row's cosines in trained CLIP, and less than no model does with random weights.",
        formula=r"1 - \sum(c - \hat c)^2/\sum(c - \bar c_i)^2",
        kind="value",
        predict=lambda: [0.4747, -0.8978],
        tolerance=5.1e-5,
        measure=_read(_share, [("clip", 0.0), ("clip_random", 0.0)]),
        grid=({"trained": 1.0}, {"trained": 0.0}),
        resolution=2e-4,
        plants=(
            Plant(
                name="nine_tenths",
                statement="It explains nine tenths of it.",
                predict=lambda: [0.9, 0.9],
            ),
        ),
        note="Both cosines and their model are centred in each row, as constants of a row do not enter its softmax.",
    ),
    Claim(
        id="conetheory.published_flow.spread",
        paper=OURS,
        section=_SECTION,
        statement="Images and texts of trained CLIP are not constant along the gap: their parts have the standard deviations .048 and .057, which at β = 100 are biases of 2.5 logits in a row and 2.0 in a column.",
        formula=r"\sigma(a),\ \sigma(b),\ \beta\bar a\,\sigma(b),\ -\beta\bar b\,\sigma(a)",
        kind="value",
        predict=lambda: [0.04795, 0.05689, 2.476, 1.996],
        tolerance=[5.1e-6, 5.1e-6, 5.1e-4, 5.1e-4],
        measure=FromData(compute=_spread),
        grid=({"images": 1.0}, {"texts": 1.0}, {"bias_of_rows": 1.0}, {"bias_of_columns": 1.0}),
        resolution=[2e-5, 2e-5, 2e-3, 2e-3],
        plants=(
            Plant(
                name="constant",
                statement="They are constant.",
                predict=lambda: [0.0] * 4,
            ),
        ),
        note="What the parallel model leaves out (theory 23.6).",
    ),
)
