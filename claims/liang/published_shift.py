"""Figure 3 (b–d) as published, held against the 500 pairs that are published, and the gaps that the notebooks print."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.liang.landscape import shared_reading
from claims.liang.published_landscape import (
    GAP,
    PUBLISHED,
    PUBLISHED_SCALES,
    REFERENCE,
    REFERENCE_SCALES,
    published_lambda,
)
from claims.liang.shifted_features import Features, slope_minimum
from claims.measure import Computed
from conetheory.shift import shift_landscape as exact_landscape
from conetheory.shift_gap import equal_projection_gap
from conetheory.shift_minimum import local_minima
from sims.shift_landscape import shift_landscape

__all__ = ["CLAIMS"]

_SECTION = "Sec. 4.2, Fig. 3(b–d)"
_HALF_STEP = 0.077  # half a step of the figure's grid, .152 in λ
_STEP = 2 * _HALF_STEP
# Mean cosines of different rows, printed for Fig. 2a, of the same 5,000 images and texts.
_COSINES = {"x": 0.4678920, "y": 0.5079562}
_BOTH = {-1.0: 1.412827, -0.75: 1.305014, -0.5: 1.173114, -0.25: 1.013107, 0.25: 0.599846, 0.5: 0.350383, 0.75: 0.083829}  # fmt: skip
_IMAGES = {-1.0: 1.287905, -0.75: 1.224927, -0.5: 1.134930, -0.25: 1.005094, -0.2: 0.973086, 0.25: 0.584231, 0.5: 0.317848, 0.75: 0.070293}  # fmt: skip


def _published_minimisers() -> list[float]:
    """Return λ of the least loss of the published points at each scale; the middle of two that tie."""
    losses, lambdas = PUBLISHED[:, 2:].T, published_lambda()
    return [float(np.mean(lambdas[loss == loss.min()])) for loss in losses]


def _interior(values: np.ndarray, sign: int) -> np.ndarray:
    """Return the indices of local minima (`sign` 1) or maxima (−1) of a curve; the first of two points that tie."""
    inner = sign * values
    return 1 + np.flatnonzero((inner[1:-1] < inner[:-2]) & (inner[1:-1] <= inner[2:]))


def _published_second() -> list[float]:
    """Return λ of the second minimum at 1/100 and 1/50, and of the barrier before it at both."""
    lambdas = published_lambda()
    curves = PUBLISHED[:, 2], PUBLISHED[:, 3]
    return [float(lambdas[_interior(c, 1)[-1]]) for c in curves] + [
        float(lambdas[_interior(c, -1)[-1]]) for c in curves
    ]


@cache
def _dense(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts in [−3, 3], .02 apart, and the image-to-text loss at the six scales."""
    lambdas = np.linspace(-3, 3, 301)
    scales = 1 / np.array(PUBLISHED_SCALES)
    return lambdas, shift_landscape(features.x, features.y, lambdas, scales, batch=50).x_to_y


def _found_second(features: Features) -> list[float]:
    """Return what `_published_second` does, of the 500 pairs: roots of the slope, tops of a dense curve."""
    minima = [
        local_minima(features.x, features.y, 1 / s, direction="x-to-y", bounds=(0.5, 3.0))[-1].lam for s in (100, 50)
    ]
    lambdas, losses = _dense(features)
    return minima + [float(lambdas[_interior(loss, -1)[-1]]) for loss in losses[:2]]


def _minima_of(losses: np.ndarray) -> list[float]:
    return [float(_interior(loss, 1).size) for loss in losses]


def _printed_gaps(cosine_x: float, cosine_y: float, *, images_alone: bool = True) -> np.ndarray:
    """Return the gap after each printed shift from the gap before and the mean cosines of the two modalities."""
    r, s = (float(np.sqrt(c + (1 - c) / 5000)) for c in (cosine_x, cosine_y))
    both, images = (np.array(list(table)) / GAP for table in (_BOTH, _IMAGES))
    lam_x, lam_y = (images, 0 * images) if images_alone else (0 * images, images)
    return np.concatenate(
        [equal_projection_gap(GAP, r, s, both / 2, both / 2), equal_projection_gap(GAP, r, s, lam_x, lam_y)]
    )


def _curve(scale: int) -> Claim:
    column = 2 + REFERENCE_SCALES.index(scale)
    lambdas = REFERENCE[:, 0]

    def both_routes(features: Features) -> ArrayLike:
        temperature = 1 / scale
        exact = exact_landscape(features.x, features.y, lambdas, temperature, direction="x-to-y").loss[0]
        return np.concatenate([exact, shift_landscape(features.x, features.y, lambdas, temperature).x_to_y[0]])

    def swapped(features: Features) -> ArrayLike:
        return np.tile(shift_landscape(features.x, features.y, lambdas, 1 / scale).y_to_x[0], 2)

    return Claim(
        id=f"liang.fig3.landscape.scale{scale}",
        paper=OURS,
        section=f"{_SECTION}, on the published features",
        statement=f"The image-to-text loss of the 500 pairs along the shift at τ = 1/{scale}, in float64 and by the kernel in float32.",
        formula=r"L_{x \to y}(\lambda; \tau)",
        kind="value",
        predict=lambda: np.tile(REFERENCE[:, column], 2),
        tolerance=5.1e-6,
        measure=shared_reading(both_routes, error=5e-6),  # float32
        grid=tuple({"lambda": float(lam), "kernel": k} for k in (0.0, 1.0) for lam in lambdas),
        resolution=2e-5,
        plants=(
            Plant(
                name="texts_to_images",
                statement="It is the loss from texts to images.",
                measure=shared_reading(swapped, error=5e-6),
            ),
        ),
        note="The line and the dots of the figure.",
    )


CLAIMS = (
    *(_curve(scale) for scale in REFERENCE_SCALES),
    Claim(
        id="liang.fig3.published.minimisers",
        paper=PAPER,
        section=_SECTION,
        statement="At each of six temperatures the loss of the 500 published pairs is least at the shift, in gap vectors, at which the published curve of 5,000 pairs is: within half a step of the figure's grid.",
        formula=r"\operatorname*{argmin}_\lambda L_{500} = \operatorname*{argmin}_\lambda L_{5000} \pm 0.077",
        kind="value",
        predict=_published_minimisers,
        tolerance=_HALF_STEP,
        measure=shared_reading(lambda f: [slope_minimum(f, s, "x-to-y").lam for s in PUBLISHED_SCALES], error=1e-6),
        grid=tuple({"scale": float(s)} for s in PUBLISHED_SCALES),
        resolution=1e-3,
        plants=(
            Plant(
                name="always_closed",
                statement="It is least at λ = 1/2 at every temperature.",
                predict=lambda: [0.5] * 6,
            ),
            Plant(
                name="always_default",
                statement="It is least at the default gap at every temperature.",
                predict=lambda: [0.0] * 6,
            ),
        ),
        note="Other images and texts, another CLIP (ViT-B/32 against ViT-B/16): the shape carries over.",
    ),
    Claim(
        id="liang.fig3.published.number_of_minima",
        paper=PAPER,
        section=_SECTION,
        statement="The published curves have two minima at τ = 1/100 and 1/50 and one at 1/30, 1/20, 1/10 and 1; so have those of the 500 pairs.",
        formula=r"\#\{\lambda : L'(\lambda) = 0 < L''(\lambda)\}",
        kind="qualitative",
        predict=lambda: _minima_of(PUBLISHED[:, 2:].T),
        measure=shared_reading(lambda f: _minima_of(_dense(f)[1]), error=1e-9),
        grid=tuple({"scale": float(s)} for s in PUBLISHED_SCALES),
        resolution=0.1,
        plants=(Plant(name="always_two", statement="They have two everywhere.", predict=lambda: [2.0] * 6),),
        note="Two published points tie at 1/10: they are one minimum.",
    ),
    Claim(
        id="liang.fig3.published.back_to_back",
        paper=PAPER,
        section=_SECTION,
        statement="The second minimum, modalities back to back, and the barrier before it lie where the published ones do, within a step of the figure's grid.",
        formula=r"\lambda_{500} = \lambda_{5000} \pm 0.154",
        kind="value",
        predict=_published_second,
        tolerance=_STEP,
        measure=shared_reading(_found_second, error=0.02),  # the dense curve's step
        grid=tuple({"scale": s, "barrier": b} for b in (0.0, 1.0) for s in (100.0, 50.0)),
        resolution=0.02,
        plants=(
            Plant(
                name="mirror_image",
                statement="They are the mirror image of the first about λ = 1/2.",
                predict=lambda: [1.0 - slope for slope in _published_minimisers()[:2]] + [0.5, 0.5],
            ),
        ),
    ),
    Claim(
        id="liang.fig3.printed_gaps",
        paper=OURS,
        section="Sec. 4.2, App. B.2",
        statement="The fifteen gaps printed after shifts of both modalities and of the images alone follow from three other printed numbers, the gap before and the mean cosines of the images and of the texts, to within .0035.",
        formula=r"\|u\,\bar x + v\,\bar y\|",
        kind="value",
        predict=lambda: _printed_gaps(_COSINES["x"], _COSINES["y"]),
        tolerance=0.0035,
        measure=Computed(compute=lambda: [*_BOTH.values(), *_IMAGES.values()], error=5e-7),
        grid=tuple({"delta": d, "images_alone": 0.0} for d in _BOTH)
        + tuple({"delta": d, "images_alone": 1.0} for d in _IMAGES),
        resolution=1e-5,
        plants=(
            Plant(
                name="texts_alone",
                statement="The second eight are of a shift of the texts alone.",
                predict=lambda: _printed_gaps(_COSINES["x"], _COSINES["y"], images_alone=False),
            ),
            Plant(
                name="no_normalisation",
                statement="A shift by δ changes the gap by δ.",
                predict=lambda: [GAP - d for d in (*_BOTH, *_IMAGES)],
            ),
        ),
        note="Nothing is fitted. The rows are taken to have equal projections on the gap vector; their spread, .05, makes the rest.",
    ),
)
