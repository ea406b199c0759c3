"""Shaped networks as deep as they are wide: the neural covariance SDE against networks of 64 and 32 units."""

from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Joint, Mean, Tally
from conetheory.angle_law import AngleLaw
from conetheory.covariance_sde import covariance_law, kink_strength, kink_strength_at_width
from sims.angle_chain import sample_shaped_chains

__all__ = ["CLAIMS"]

_WIDTH = 64
_SHAPE = (1.0, -1.0)
_HALF = (0.0, -4.0)
_TIMES = (0.125, 0.25)
_GRID = tuple({"c_plus": _SHAPE[0], "c_minus": _SHAPE[1], "width": float(_WIDTH), "time": t} for t in _TIMES)
_HALF_GRID = tuple({"slope_plus": 1.0, "slope_minus": 0.5, "width": float(_WIDTH), "time": t} for t in _TIMES)
_THETA0 = 1.0
_LATER = (1.0, 2.0)
_LINEAR_WIDTH = 32
_LINEAR_GRID = tuple({"theta0": _THETA0, "width": float(_LINEAR_WIDTH), "time": t} for t in _LATER)


def _cosines(
    rng: np.random.Generator,
    n: int,
    rho0: float,
    shape: tuple[float, float],
    times: tuple[float, ...] = _TIMES,
    width: int = _WIDTH,
) -> np.ndarray:
    """Return the cosine of `n` shaped networks at each time, a column each."""
    layers = [round(t * width) for t in times]
    plus, minus = (1 + c / np.sqrt(width) for c in shape)
    chains = sample_shaped_chains(rho0, width, layers[-1], n, slope_plus=plus, slope_minus=minus, rng=rng)
    return chains[:, layers]


def _draw_mean(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(_cosines(rng, n, 0.0, _SHAPE))


def _draw_half(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(_cosines(rng, n, 0.0, _HALF))


def _draw_square(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(_cosines(rng, n, 0.0, _SHAPE) ** 2)


def _draw_angle(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(np.arccos(_cosines(rng, n, np.cos(_THETA0), (0.0, 0.0), _LATER, _LINEAR_WIDTH)))


def _draw_linear_cosine(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(_cosines(rng, n, np.cos(_THETA0), (0.0, 0.0), _LATER, _LINEAR_WIDTH))


@cache
def _law(t: float, gamma: float) -> AngleLaw:
    return covariance_law(0.0, t, gamma)


def _moments(power: int, gamma: float) -> list[float]:
    laws = [_law(t, gamma) for t in _TIMES]
    return [law.expectation(np.tanh(-law.x / 2) ** power) for law in laws]


_GAMMA = kink_strength(*_SHAPE)

CLAIMS = (
    Claim(
        id="li_nica_roy.mean_cosine",
        paper="Li, Nica and Roy 2022",
        section="covariance SDE for shaped ReLU",
        statement="The mean cosine of two inputs to a shaped network is that of the SDE at depth over width.",
        formula=r"d\rho = \left[\gamma\left(\sqrt{1-\rho^2} - \rho\arccos\rho\right) - \tfrac12\rho(1-\rho^2)\right]dt + (1-\rho^2)\,dB",
        kind="rate",
        predict=lambda: _moments(1, _GAMMA),
        tolerance=1 / _WIDTH,
        measure=Joint(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_mean),
        grid=_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="twice_the_kink",
                statement="The drift is that of γ = (c₊ − c₋)²/π.",
                predict=lambda: _moments(1, 2 * _GAMMA),
            ),
        ),
        note="Width 64, slopes 9/8 and 7/8. The tolerance of 1/n is for what the limit leaves out.",
    ),
    Claim(
        id="li_nica_roy.mean_square_cosine",
        paper="Li, Nica and Roy 2022",
        section="covariance SDE for shaped ReLU",
        statement="The mean square of that cosine is that of the SDE too.",
        formula=r"\mathbb{E}\rho_t^2",
        kind="rate",
        predict=lambda: _moments(2, _GAMMA),
        tolerance=1 / _WIDTH,
        measure=Joint(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_square),
        grid=_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="no_noise",
                statement="The cosine does not spread: it is the square of the mean.",
                predict=lambda: [mean**2 for mean in _moments(1, _GAMMA)],
            ),
        ),
    ),
    Claim(
        id="conetheory.shaped.kink_at_width",
        paper=OURS,
        section="docs/theory.md, section 16",
        statement="At a finite width the SDE holds up to 1/n with the exact kink strength of a layer.",
        formula=r"\gamma_n = \frac{n(s_+ - s_-)^2}{\pi(s_+^2 + s_-^2)}",
        kind="rate",
        predict=lambda: _moments(1, kink_strength_at_width(1.0, 0.5, _WIDTH)),
        tolerance=1 / _WIDTH,
        measure=Joint(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_half),
        grid=_HALF_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="limit_of_width",
                statement="It holds up to 1/n with the kink strength of the limit.",
                predict=lambda: _moments(1, kink_strength(*_HALF)),
            ),
        ),
        note="Slopes 1 and 1/2 at width 64: γ is 2.55 in the limit and 4.07 at that width.",
    ),
    Claim(
        id="conetheory.shaped.angle_martingale",
        paper=OURS,
        section="docs/theory.md, section 16",
        statement="In a linear network the mean angle of two inputs does not change with depth, as depth and width grow.",
        formula=r"\mathbb{E}\theta_t = \theta_0\quad(c_+ = c_-)",
        kind="identity",
        predict=lambda: [_THETA0] * len(_LATER),
        tolerance=1 / _LINEAR_WIDTH,
        measure=Joint(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 16, draw=_draw_angle),
        grid=_LINEAR_GRID,
        resolution=0.16,
        plants=(
            Plant(
                name="mean_cosine",
                statement="The mean cosine does not change.",
                predict=lambda: [np.cos(_THETA0)] * len(_LATER),
                measure=Joint(rule=Mean(), first=1 << 12, quick=1 << 14, full=1 << 16, draw=_draw_linear_cosine),
            ),
        ),
        note="The angle is the scale function of the SDE without a kink: only the kink makes it fall on average.",
    ),
)
