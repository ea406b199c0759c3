"""More of figure 3 (a–d) on the published CLIP embeddings: the best temperature at each shift, centring, one batch of all."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang.landscape import shared_reading
from claims.liang.shifted_features import SCALES, Features
from conetheory.contrastive import clip_loss
from conetheory.gap import center, gap_norm
from conetheory.shift import delta_to_lambda, shift_landscape
from conetheory.shift_minimum import local_minima
from conetheory.shift_temperature import best_shift_temperatures, best_temperature

__all__ = ["CLAIMS"]

_SECTION = "Sec. 4.2, Fig. 3(b–d), on the published features"
_OURS = "docs/theory.md, section 7"
_SHIFTS = (0.0, 0.25, 0.5)
_BEST = {84.1591: 0.5555, 64.6228: 0.6964, 44.5675: 1.1279}  # 1/τ* and the loss there at the three shifts
_CENTRED = {100: 0.9667, 50: 0.6183, 30: 0.5944, 20: 0.7531}
_GRID = np.arange(-50, 151) / 100
_ONE_BATCH = (-0.01, 0.09, 0.20, 0.29, 0.39, 0.49)
_DENSE = {-0.01: (0.56593, 0.8652), 0.08: (0.65493, 0.7354), 0.19: (1.00982, 0.5612), 0.27: (1.49315, 0.4248), 0.39: (2.41901, 0.2085), 0.49: (3.73696, 0.0230)}  # fmt: skip


@cache
def _grid_losses(features: Features, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the symmetric loss on a grid of step .01 at six temperatures, and the gap there."""
    found = shift_landscape(features.x, features.y, _GRID, 1 / np.array(SCALES), batch=batch)
    return found.loss, found.gap


def _dense_search(features: Features) -> np.ndarray:
    """Return λ, loss and gap of the least loss on the grid, scale after scale."""
    losses, gaps = _grid_losses(features, 50)
    least = losses.argmin(axis=1)
    return np.column_stack([_GRID[least], losses.min(axis=1), gaps[least]]).ravel()


def _best_of(features: Features, *, direction: str = "symmetric") -> ArrayLike:
    found = best_shift_temperatures(features.x, features.y, _SHIFTS, direction=direction)
    return np.column_stack([1 / found.temperatures, found.loss]).ravel()


def _best_when_centred(features: Features, *, centred: bool = True) -> list[float]:
    moved = center(features.x, features.y) if centred else features
    found = best_temperature(moved.x, moved.y)
    return [1 / found.temperature, found.loss]


def _centred_losses(features: Features) -> list[float]:
    moved = center(features.x, features.y)
    return [clip_loss(moved.x, moved.y, 1 / s, batch=50) for s in _CENTRED]


def _at_deltas(features: Features) -> list[float]:
    """Return the signed gap and the symmetric loss at the second minimum of 1/50, those at the barrier of 1/100, and
    the image-to-text loss at the second minimum of 1/100.
    """
    x, y = features.x, features.y
    lambdas = delta_to_lambda([2.75, 1.75, 3.75], gap_norm(x, y))
    both = shift_landscape(x, y, lambdas, [0.01, 0.02])
    images = shift_landscape(x, y, lambdas, 0.01, direction="x-to-y")
    found = [both.signed_gap[0], both.loss[1, 0], both.signed_gap[1], both.loss[0, 1], images.loss[0, 2]]
    return [float(value) for value in found]


def _information_lost(features: Features) -> list[float]:
    """Return the best loss at λ = ½ and when centred, each less that of the unmoved features."""
    shifted = best_shift_temperatures(features.x, features.y, [0.0, 0.5]).loss
    return [float(shifted[1] - shifted[0]), _best_when_centred(features)[1] - float(shifted[0])]


CLAIMS = (
    Claim(
        id="conetheory.fig3.best_temperature",
        paper=OURS,
        section=_OURS,
        statement="The best 1/τ of the unmoved features is 84.16 (loss .5555), at λ = 1/4 64.62 (.6964), at λ = 1/2 44.57 (1.1279): the shift changes the effective temperature.",
        formula=r"\operatorname*{argmin}_{1/\tau} L(\lambda; \tau)",
        kind="value",
        predict=lambda: np.ravel(list(_BEST.items())),
        tolerance=[5.1e-5] * 6,
        measure=shared_reading(_best_of, error=1e-9),
        grid=tuple({"lambda": lam, "loss": is_loss} for lam in _SHIFTS for is_loss in (0.0, 1.0)),
        resolution=1e-4,
        plants=(
            Plant(
                name="one_direction",
                statement="They are those of the image-to-text loss.",
                measure=shared_reading(lambda f: _best_of(f, direction="x-to-y"), error=1e-9),
            ),
            Plant(
                name="clips_own",
                statement="It is CLIP's own, 1/100, at every shift.",
                predict=lambda: [100.0, 0.5660, 100.0, 0.9, 100.0, 1.5865],
            ),
        ),
        note="Roots of the convex dL/d(1/τ); a coarse search had 85, 64.6 and 44.7 with the same losses.",
    ),
    Claim(
        id="conetheory.fig3.best_temperature_when_centred",
        paper=OURS,
        section=_OURS,
        statement="With each modality centred the best 1/τ is 36.27 and the loss there .5792.",
        formula=r"\min_\tau L(x_i - \bar x, y_i - \bar y; \tau)",
        kind="value",
        predict=lambda: [36.2651, 0.5792],
        tolerance=5.1e-5,
        measure=shared_reading(_best_when_centred, error=1e-9),
        grid=({"loss": 0.0}, {"loss": 1.0}),
        resolution=1e-4,
        plants=(
            Plant(
                name="not_centred",
                statement="They are those of the features as they are.",
                measure=shared_reading(lambda f: _best_when_centred(f, centred=False), error=1e-9),
            ),
        ),
    ),
    Claim(
        id="conetheory.fig3.centring_is_nearly_free",
        paper=OURS,
        section=_OURS,
        statement="Once the temperature is tuned again, closing the gap by the shift costs .57 nats and closing it by centring .024: what is lost is not the gap but the projections on it.",
        formula=r"\min_\tau L(\tfrac12; \tau) - \min_\tau L(0; \tau)",
        kind="value",
        predict=lambda: [0.5724, 0.0237],
        tolerance=5.1e-5,
        measure=shared_reading(_information_lost, error=1e-9),
        grid=({"centred": 0.0}, {"centred": 1.0}),
        resolution=1e-4,
        plants=(
            Plant(
                name="equally_dear",
                statement="They cost the same.",
                predict=lambda: [0.0237, 0.0237],
            ),
        ),
    ),
    Claim(
        id="conetheory.fig3.centred_losses",
        paper=OURS,
        section=_OURS,
        statement="The symmetric losses with each modality centred, at 1/τ = 100, 50, 30 and 20.",
        formula=r"L(x_i - \bar x, y_i - \bar y; \tau)",
        kind="value",
        predict=lambda: list(_CENTRED.values()),
        tolerance=5.1e-5,
        measure=shared_reading(_centred_losses, error=1e-9),
        grid=tuple({"scale": float(s)} for s in _CENTRED),
        resolution=1e-5,
        plants=(
            Plant(
                name="unmoved",
                statement="They are those of the unmoved features.",
                predict=lambda: [0.5660, 0.6697, 1.0892, 1.6437],
            ),
        ),
    ),
    Claim(
        id="liang.fig3.dense_search",
        paper=OURS,
        section=_SECTION,
        statement="On a grid of step .01 the symmetric loss is least at λ = −.01, .08, .19, .27, .39 and .49, with these losses and gaps.",
        formula=r"\operatorname*{argmin}_{\lambda \in .01\,\mathbb Z} L(\lambda; \tau)",
        kind="value",
        predict=lambda: np.ravel([(lam, *found) for lam, found in _DENSE.items()]),
        tolerance=np.ravel([(1e-9, 5.1e-6, 5.1e-5)] * 6),
        measure=shared_reading(_dense_search, error=1e-9),
        grid=tuple({"scale": float(s), "what": float(k)} for s in SCALES for k in range(3)),
        resolution=1e-5,
        plants=(
            Plant(
                name="the_gap_before_normalising",
                statement="The gaps are |1 − 2λ| times the gap.",
                predict=lambda: np.ravel([(lam, loss, 0.85135 * (1 - 2 * lam)) for lam, (loss, _) in _DENSE.items()]),
            ),
        ),
        note="What: 0 λ, 1 the loss, 2 the gap.",
    ),
    Claim(
        id="liang.fig3.one_batch_of_all",
        paper=OURS,
        section=_SECTION,
        statement="In one batch of 500 the loss is least at λ = −.01, .09, .20, .29, .39 and .49 on the same grid, at 1/100 with the loss 1.80081.",
        formula=r"\operatorname*{argmin}_{\lambda \in .01\,\mathbb Z} L(\lambda; \tau)",
        kind="value",
        predict=lambda: [*_ONE_BATCH, 1.80081],
        tolerance=[1e-9] * 6 + [5.1e-6],
        measure=shared_reading(
            lambda f: [*_GRID[_grid_losses(f, 500)[0].argmin(axis=1)], _grid_losses(f, 500)[0][0].min()], error=1e-9
        ),
        grid=(*({"scale": float(s)} for s in SCALES), {"scale": 100.0, "loss": 1.0}),
        resolution=1e-5,
        plants=(
            Plant(
                name="batches_of_50",
                statement="They are those of batches of 50.",
                measure=shared_reading(
                    lambda f: [*_GRID[_grid_losses(f, 50)[0].argmin(axis=1)], _grid_losses(f, 50)[0][0].min()],
                    error=1e-9,
                ),
            ),
        ),
    ),
    Claim(
        id="liang.fig3.back_to_back_at_1_50",
        paper=OURS,
        section=_SECTION,
        statement="On the figure's grid the second minimum at 1/50 is at δ = 2.75 (signed gap −1.4482, symmetric loss 1.7580), the barrier at 1/100 at δ = 1.75 (−.8876, 2.8470), and the image-to-text loss at δ = 3.75 is 1.4845.",
        formula=r"L(\delta; \tau)",
        kind="value",
        predict=lambda: [-1.4482, 1.7580, -0.8876, 2.8470, 1.4845],
        tolerance=5.1e-5,
        measure=shared_reading(_at_deltas, error=1e-9),
        grid=({"signed_gap": 50.0}, {"loss": 50.0}, {"signed_gap": 100.0}, {"loss": 100.0}, {"one_way_loss": 100.0}),
        resolution=1e-5,
        plants=(
            Plant(
                name="before_normalising",
                statement="The signed gaps are gap − δ.",
                predict=lambda: [0.8514 - 2.75, 1.7580, 0.8514 - 1.75, 2.8470, 1.4845],
            ),
        ),
    ),
    Claim(
        id="liang.fig3.no_gap_is_left",
        paper=OURS,
        section=_SECTION,
        statement="At λ = 1/2 a gap of .0078 is left after the rows are normalised again.",
        formula=r"\|\bar x(\tfrac12) - \bar y(\tfrac12)\|",
        kind="value",
        predict=lambda: 0.0078,
        tolerance=5.1e-5,
        measure=shared_reading(lambda f: shift_landscape(f.x, f.y, 0.5, 1.0).gap, error=1e-9),
        resolution=1e-5,
        plants=(Plant(name="none", statement="None is left.", predict=lambda: 0.0),),
    ),
    Claim(
        id="conetheory.fig3.minima_of_one_direction",
        paper=OURS,
        section=_OURS,
        statement="The text-to-image loss at 1/100 is least at λ = −.0895, with the gap wider than the default, the image-to-text one at +.0383: the two directions pull to opposite sides.",
        formula=r"\lambda^*_{y \to x} < 0 < \lambda^*_{x \to y}",
        kind="value",
        predict=lambda: [-0.0895, 0.0383],
        tolerance=5.1e-5,
        measure=shared_reading(
            lambda f: [
                local_minima(f.x, f.y, 0.01, direction=d, bounds=(-0.5, 0.5))[0].lam for d in ("y-to-x", "x-to-y")
            ],
            error=1e-9,
        ),
        grid=({"text_to_image": 1.0}, {"text_to_image": 0.0}),
        resolution=1e-4,
        plants=(Plant(name="both_at_zero", statement="Both are least at 0.", predict=lambda: [0.0, 0.0]),),
    ),
)
