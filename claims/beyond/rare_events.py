"""Failures of Theorem 1 too rare to be seen: computed, and sampled under a tilt. Ours."""

import math
from collections.abc import Iterable

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Mean, PerCell, Proportion, Tally
from conetheory._relu_tilt import log_mgf
from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import chernoff_bound, failure_probability
from sims.rare_event import TiltedSample, sample_failure_probability, sample_tilted_failures
from sims.relu_layer import count_failures

__all__ = ["CLAIMS"]

_CELLS = {  # (cosine, norms, width): the probability, roughly: it sets the resolution
    (0.5, 1.0, 1.0, 64): 5.2e-4,
    (0.5, 1.0, 1.0, 256): 3.1e-11,
    (0.5, 1.0, 1.0, 2048): 1.4e-76,
    (0.9, 1.0, 1.0, 64): 1.0e-2,
    (0.9, 1.0, 1.0, 256): 2.5e-6,
    (0.9, 1.0, 1.0, 2048): 4.3e-38,
    (0.5, 2.0, 1.0, 256): 7.7e-6,
}
_SEEN = ((0.5, 1.0, 1.0, 16), (0.9, 1.0, 1.0, 64), (0.5, 2.0, 1.0, 64))
_FACTORS = (0.5, 2.5)
_SAMPLE = 200  # layers behind one relative variance
_FEW = 10  # layers behind one interval


def _grid(cells: Iterable[tuple[float, float, float, int]]) -> tuple[dict[str, float], ...]:
    names = ("cosine", "norm_u", "norm_v", "width")
    return tuple(dict(zip(names, map(float, cell), strict=True)) for cell in cells)


def _layer(at: At) -> tuple[float, float, float, int]:
    return at["cosine"], at["norm_u"], at["norm_v"], int(at["width"])


_GRID = _grid(_CELLS)
_SEEN_GRID = _grid(_SEEN)
_TILT_GRID = tuple(_grid([(0.9, 1.0, 1.0, 64)])[0] | {"factor": factor} for factor in _FACTORS)
_WIDTH_GRID = _grid([(0.9, 1.0, 1.0, width) for width in (128, 512, 2048)])


def _tally(sample: TiltedSample) -> Tally:
    estimate = sample.estimate()
    spread = estimate.stderr**2 * estimate.n * (estimate.n - 1)
    return Tally(n=estimate.n, mean=np.array([estimate.value]), square=np.array([spread]))


def _draw_tilted(rng: np.random.Generator, n: int, at: At) -> Tally:
    return _tally(sample_tilted_failures(*_layer(at), n_trials=n, rng=rng))


def _draw_without_bias(rng: np.random.Generator, n: int, at: At) -> Tally:
    return _tally(sample_tilted_failures(*_layer(at), n_trials=n, rng=rng, sigma_b2=0.0))


def _draw_plainly(rng: np.random.Generator, n: int, at: At) -> Tally:
    return Tally.count(count_failures(*_layer(at), n_trials=n, rng=rng), n)


def _theta(at: At) -> float:
    return float(preactivation_angle(at["cosine"], at["norm_u"], at["norm_v"]))


def _draw_coverage(rng: np.random.Generator, n: int, at: At, *, normal: bool = False) -> Tally:
    """Count the samples whose interval at the level 1/20 has the computed probability in it."""
    truth = failure_probability(*_layer(at)).value
    tilt = at["factor"] * dominating_tilt(at["cosine"], _theta(at)).t
    hits = 0
    for _ in range(n):
        sample = sample_tilted_failures(*_layer(at), n_trials=_FEW, rng=rng, tilt=tilt)
        if normal:
            value = math.exp(sample.log_value)
            hits += value > 0 and abs(value - truth) < 1.96 * value * sample.relative_stderr
        else:
            interval = sample.interval(0.05)
            hits += interval.low <= truth <= interval.high
    return Tally.count(hits, n)


def _coverage(*, normal: bool = False) -> PerCell:
    return PerCell(
        rule=Proportion(),
        first=512,
        quick=4096,
        full=16384,
        draw=lambda rng, n, at: _draw_coverage(rng, n, at, normal=normal),
    )


def _draw_relative_variance(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the sample variance of the weights over the squared mean, of samples of layers."""
    samples = (sample_tilted_failures(*_layer(at), n_trials=_SAMPLE, rng=rng) for _ in range(n))
    return Tally.of([_SAMPLE * sample.relative_stderr**2 for sample in samples])


def _draw_plain_variance(rng: np.random.Generator, n: int, at: At) -> Tally:
    """The same where the tilted layers are drawn outright, by rejection, and nothing is integrated out."""
    theta, cosine, width = _theta(at), at["cosine"], int(at["width"])
    tilt = dominating_tilt(cosine, theta).t
    least = 1 - tilt * cosine * math.sin(theta) ** 2

    def form(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, v = np.maximum(np.cos(alpha), 0), np.maximum(np.cos(alpha - theta), 0)
        return u, v, 1 + 2 * tilt * (u * v - cosine / 2 * (u * u + v * v))

    found = []
    for _ in range(n):
        alpha = rng.uniform(-np.pi, np.pi, 5 * _SAMPLE * width)
        alpha = alpha[rng.random(alpha.size) * form(alpha)[2] < least][: _SAMPLE * width].reshape(-1, width)
        u, v, rate = form(alpha)
        energy = 2 * rng.standard_exponential(alpha.shape) / rate
        a, b, c = np.sum(energy * u * v, axis=1), np.sum(energy * u * u, axis=1), np.sum(energy * v * v, axis=1)
        weights = np.where(a > cosine * np.sqrt(b * c), 0.0, np.exp(tilt * (a - cosine / 2 * (b + c))))
        found.append(np.var(weights, ddof=1) / np.mean(weights) ** 2)
    return Tally.of(found)


def _predicted(at: At) -> float:
    """Return the probability by inversion: a formula about the tilt of the sampler would share it."""
    found = failure_probability(*_layer(at))
    if found.method != "inversion":
        raise ValueError(f"The cell {at} must be computed by inversion, got {found.method}.")
    return found.value


def _without_prefactor(at: At) -> float:
    return chernoff_bound(*_layer(at))


def _log_mgf(at: At) -> float:
    theta = _theta(at)
    return float(log_mgf(dominating_tilt(at["cosine"], theta).t, at["cosine"], theta))


CLAIMS = (
    Claim(
        id="conetheory.rare_event.tilted",
        paper=OURS,
        section="docs/theory.md, section 13",
        statement="The computed probabilities of failure are right far below what plain sampling can see, down to 1e-76.",
        formula=r"P(\text{failure}) = M(t)^d\, \mathbb{E}_t\big[e^{t \sum X};\ \text{failure}\big]",
        kind="value",
        predict=lambda: [_predicted(at) for at in _GRID],
        measure=PerCell(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_tilted),
        grid=_GRID,
        resolution=[0.15 * value for value in _CELLS.values()],
        tolerance=[1e-4 * value for value in _CELLS.values()],
        plants=(
            Plant(
                name="without_the_prefactor",
                statement="They are the bounds exp(−dI) themselves.",
                predict=lambda: [_without_prefactor(at) for at in _GRID],
            ),
            Plant(
                name="dropped_bias",
                statement="The layer without bias fails as often.",
                measure=PerCell(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_without_bias),
            ),
        ),
        note="The tolerance, a ten-thousandth, is above the stated error of every computed value.",
    ),
    Claim(
        id="conetheory.rare_event.plain",
        paper=OURS,
        section="docs/theory.md, section 13",
        statement="Where plain sampling sees failures too, it finds what sampling under a tilt finds.",
        formula=r"P(\text{failure}) = \mathbb{E}\,1\{\text{failure}\}",
        kind="identity",
        predict=lambda: [sample_failure_probability(*_layer(at), n_trials=40_000, rng=0).value for at in _SEEN_GRID],
        measure=PerCell(rule=Proportion(), first=1 << 14, quick=1 << 18, full=1 << 21, draw=_draw_plainly),
        grid=_SEEN_GRID,
        resolution=0.006,
        tolerance=[0.0005, 0.0002, 0.0004],
        plants=(
            Plant(
                name="likelihood_ratio_left_out",
                statement="It finds the bound on the weights.",
                predict=lambda: [math.exp(at["width"] * _log_mgf(at)) for at in _SEEN_GRID],
            ),
        ),
        note="The tolerance is five standard errors of the tilted sample.",
    ),
    Claim(
        id="conetheory.rare_event.any_tilt",
        paper=OURS,
        section="docs/theory.md, section 13",
        statement="The interval for bounded weights holds at half and at two and a half times the best tilt.",
        formula=r"0 \le w \le M(t)^d",
        kind="inequality",
        relation="at_least",
        predict=lambda: [0.95] * len(_FACTORS),
        measure=_coverage(),
        grid=_TILT_GRID,
        resolution=0.04,
        plants=(
            Plant(
                name="normal_interval",
                statement="So does the normal interval of mean and standard error.",
                measure=_coverage(normal=True),
            ),
        ),
    ),
    Claim(
        id="conetheory.rare_event.bounded_relative_error",
        paper=OURS,
        section="docs/theory.md, section 13",
        statement="The relative variance of a trial does not grow with the width: it stays below 1/2.",
        formula=r"\mathrm{Var}\, w / (\mathbb{E} w)^2 \le \tfrac12",
        kind="inequality",
        relation="at_most",
        predict=lambda: [0.5] * len(_WIDTH_GRID),
        measure=PerCell(rule=Mean(), first=16, quick=64, full=1024, draw=_draw_relative_variance),
        grid=_WIDTH_GRID,
        resolution=0.2,
        plants=(
            Plant(
                name="nothing_integrated_out",
                statement="So it does where the scales of the units are drawn.",
                measure=PerCell(rule=Mean(), first=16, quick=32, full=256, draw=_draw_plain_variance),
            ),
        ),
    ),
)
