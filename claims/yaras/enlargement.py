"""Theorem 3.3: random features push the modalities apart."""

from functools import cache
from typing import Any

import mpmath as mp
import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Mean, PerCell, Tally
from claims.yaras import PAPER
from claims.yaras.rows import descend, embed
from conetheory.early_enlargement import enlargement_limit, informative_count, random_force, speed_of_mean_distance
from conetheory.loss_profiles import matrix_profile
from conetheory.sphere import bessel_ratio

__all__ = ["CLAIMS"]

_THEOREM, _SECTION = "Theorem 3.3", "docs/theory.md, section 21"
_GRID = (
    {"dim": 3.0, "scale": 2.0, "n": 128.0},
    {"dim": 16.0, "scale": 4.0, "n": 256.0},
    {"dim": 64.0, "scale": 6.0, "n": 256.0},
    {"dim": 512.0, "scale": 14.3, "n": 128.0},
)
_COUNTS = ((512, 14.3, 0.05), (64, 14.3, 0.05), (3, 4.0, 0.05), (512, 14.3, 1e-6))
_GAMMAS = (0.05, 0.2, 0.6)


def _uniform(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _repulsion(z: np.ndarray, a: float) -> float:
    """Return the derivative of the symmetric cross-entropy by the scale, from the softmax of rows and columns."""
    weights = np.exp(a * (z - z.max()))
    rows, columns = (np.sum(weights * z, axis=axis) / np.sum(weights, axis=axis) for axis in (1, 0))
    return float(np.mean(rows + columns) / 2 - np.mean(np.diag(z)))


def _draw(rng: np.random.Generator, trials: int, at: At) -> Tally:
    n, dim = int(at["n"]), int(at["dim"])
    forces = [_repulsion(_uniform(rng, n, dim) @ _uniform(rng, n, dim).T, at["scale"]) for _ in range(trials)]
    return Tally.of(forces)


def _limits() -> list[float]:
    return [float(bessel_ratio(int(at["dim"]), at["scale"])) for at in _GRID]


def _first_order() -> list[float]:
    return [float(random_force(int(at["dim"]), at["scale"], at["n"])) for at in _GRID]


def _speeds() -> list[float]:
    """Return 2 dγ/dt of descent on random rows at the start, from a short time of it."""
    h, k = _features()
    found = []
    for gamma in _GAMMAS:
        states = descend(h, k, lambda nu: nu, (6.0, gamma), np.array([1e-3]), 1, trained=0.0)
        found.append(2 * float(states[0, 1] - gamma) / 1e-3)
    return found


@cache
def _features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return _uniform(rng, 64, 16), _uniform(rng, 64, 16)


def _distance(gamma: float) -> float:
    x, y = embed(*_features(), gamma)
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def _distance_speeds() -> list[float]:
    """Return the speed of the distance of the means while the features stand still, over the same short time."""
    return [
        (_distance(gamma + 5e-4 * speed) - _distance(gamma)) / 1e-3
        for gamma, speed in zip(_GAMMAS, _speeds(), strict=True)
    ]


def _predicted_distance_speeds() -> list[float]:
    h, k = _features()
    profile = matrix_profile(h @ k.T)
    speeds = [-12 * gamma * float(profile.force(6.0 * (1 - gamma**2))) for gamma in _GAMMAS]
    apart = float(np.linalg.norm(h.mean(axis=0) - k.mean(axis=0)))
    return [float(speed_of_mean_distance(g, v, apart)) for g, v in zip(_GAMMAS, speeds, strict=True)]


def _printed_count(dim: int, a: float, failure: float) -> float:
    """Return log10 of the pairs at which the printed bracket vanishes, from its Bessel functions to 40 digits."""
    with mp.workdps(40):
        scale, rho = mp.mpf(a), mp.mpf(dim - 2) / 2
        front = mp.gamma(mp.mpf(dim) / 2) * (2 / scale) ** rho
        xi1 = front * (mp.besseli(rho - 1, scale) - 2 * rho / scale * mp.besseli(rho, scale))
        xi2 = front * mp.besseli(rho, scale)

        def bracket(log10_n: Any) -> Any:
            n = mp.mpf(10) ** log10_n
            eps = mp.sqrt(mp.log((4 * n + 1) / failure) / (2 * n))
            return (xi1 - 2 * mp.exp(scale) * eps) / (xi2 + (mp.exp(scale) - mp.exp(-scale)) * eps) - 2 * eps

        low, high = mp.mpf(0), mp.mpf(60)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if bracket(middle) < 0 else (low, middle)
        return float(low)


def _counts() -> list[float]:
    """Return log10 of the pairs; γ₀ is so small that the effective scale is β₀."""
    return [float(np.log10(informative_count(dim, 1e-9, a, failure=failure))) for dim, a, failure in _COUNTS]


CLAIMS = (
    Claim(
        id="yaras.theorem33.limit",
        paper=PAPER,
        section=_THEOREM,
        statement="Uniform features push the modalities apart with the Bessel ratio of dimension and scale, when pairs are many.",
        formula=r"-g(a) \to I_{d/2}(a)/I_{d/2-1}(a)",
        kind="rate",
        predict=_limits,
        tolerance=[1.5 * abs(limit - float(first)) for limit, first in zip(_limits(), _first_order(), strict=True)],
        measure=PerCell(rule=Mean(), first=32, quick=512, full=4096, draw=_draw),
        grid=_GRID,
        resolution=[0.025, 0.012, 0.008, 0.004],
        plants=(
            Plant(
                name="no_force",
                statement="They exert no force on each other.",
                predict=lambda: [0.0] * len(_GRID),
            ),
            Plant(
                name="langevin",
                statement="The force is Langevin's function, coth a − 1/a, in every dimension.",
                predict=lambda: [1 / np.tanh(at["scale"]) - 1 / at["scale"] for at in _GRID],
            ),
        ),
        note="The tolerance is one and a half times the term in 1/n.",
    ),
    Claim(
        id="conetheory.gap_flow.random_force",
        paper=OURS,
        section=_SECTION,
        statement="For n pairs the mean force is smaller by (A(2a) − A(a)) e^(ψ(2a) − 2ψ(a))/n.",
        formula=r"A_d(a) - \frac{A_d(2a)-A_d(a)}{n}e^{\psi_d(2a)-2\psi_d(a)}",
        kind="rate",
        predict=lambda: _first_order()[1:3],
        tolerance=[
            0.3 * abs(limit - float(first)) for limit, first in list(zip(_limits(), _first_order(), strict=True))[1:3]
        ],
        measure=PerCell(rule=Mean(), first=64, quick=1024, full=4096, draw=_draw),
        grid=_GRID[1:3],
        resolution=0.006,
        plants=(
            Plant(
                name="twenty_times_the_correction",
                statement="It is smaller by twenty times that.",
                predict=lambda: [
                    limit - 20 * (limit - first)
                    for limit, first in list(zip(_limits(), _first_order(), strict=True))[1:3]
                ],
            ),
        ),
        note="The tolerance is three tenths of the correction, for its second order.",
    ),
    Claim(
        id="conetheory.gap_flow.initial_speed",
        paper=OURS,
        section=_SECTION,
        statement="So the gap of random rows grows at first, with nearly the speed 4β₀γ₀A(a) of the limit: 64 pairs in 16 dimensions.",
        formula=r"2\dot\gamma|_0 \approx 4\beta_0\gamma_0A_d(\beta_0(1-\gamma_0^2))",
        kind="rate",
        predict=lambda: [float(enlargement_limit(16, gamma, 6.0)) for gamma in _GAMMAS],
        measure=Computed(compute=_speeds, error=1e-3),
        grid=tuple({"gamma0": gamma} for gamma in _GAMMAS),
        tolerance=[0.15 * float(enlargement_limit(16, gamma, 6.0)) for gamma in _GAMMAS],
        resolution=0.01,
        plants=(
            Plant(
                name="shrinks",
                statement="It shrinks as fast.",
                predict=lambda: [-float(enlargement_limit(16, g, 6.0)) for g in _GAMMAS],
            ),
            Plant(
                name="half",
                statement="The speed is half of that.",
                predict=lambda: [0.5 * float(enlargement_limit(16, g, 6.0)) for g in _GAMMAS],
            ),
        ),
        note="One draw of the rows; the tolerance allows for its spread and for the few pairs.",
    ),
    Claim(
        id="conetheory.gap_flow.informative_count",
        paper=OURS,
        section=_SECTION,
        statement="The printed bound of Theorem 3.3 is negative, hence empty, below 2·10¹⁷ pairs in 512 dimensions at scale 14.3.",
        formula=r"2(E-e)\epsilon^2 + 2(E+1)\epsilon = A_d(a)",
        kind="value",
        predict=_counts,
        measure=Computed(compute=lambda: [_printed_count(*at) for at in _COUNTS], error=1e-9),
        grid=tuple({"dim": float(d), "scale": a, "failure": f} for d, a, f in _COUNTS),
        resolution=1e-6,
        plants=(
            Plant(
                name="a_large_batch",
                statement="It says something from 32,768 pairs on.",
                predict=lambda: [np.log10(32768)] * len(_COUNTS),
            ),
        ),
        note="Cells are log₁₀ of the pairs. Only the limit of many pairs carries content at practical numbers.",
    ),
    Claim(
        id="yaras.theorem33.order_of_speeds",
        paper=PAPER,
        section=_THEOREM + ", proof",
        statement="As the distance Δ of the means is at least 2γ, it grows at least as fast: random rows, features at rest.",
        formula=r"\Delta \ge 2\gamma \;\Rightarrow\; \dot\Delta \ge 2\dot\gamma",
        kind="inequality",
        relation="at_least",
        predict=_speeds,
        measure=Computed(compute=_distance_speeds, error=1e-3),
        grid=tuple({"gamma0": gamma} for gamma in _GAMMAS),
        resolution=1e-3,
        expected="refuted",
        plants=(
            Plant(
                name="twice",
                statement="It grows at least twice as fast.",
                predict=lambda: [2 * speed for speed in _speeds()],
            ),
        ),
        note="An inequality of functions does not order their derivatives. With features at rest Δ always grows more slowly than 2γ, unless the means of the features coincide.",
    ),
    Claim(
        id="conetheory.gap_flow.speed_of_mean_distance",
        paper=OURS,
        section=_SECTION,
        statement="With features at rest the distance of the means grows with the speed γγ̇(4 − D²)/Δ.",
        formula=r"\dot\Delta = \gamma\dot\gamma(4-D^2)/\Delta",
        kind="identity",
        predict=_predicted_distance_speeds,
        measure=Computed(compute=_distance_speeds, error=2e-3),
        grid=tuple({"gamma0": gamma} for gamma in _GAMMAS),
        tolerance=[0.01, 0.01, 0.01],
        resolution=1e-3,
        plants=(Plant(name="twice_gamma", statement="It grows with the speed 2γ̇.", predict=_speeds),),
        note="The tolerance is for the short time over which both are taken.",
    ),
)
