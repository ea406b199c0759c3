"""Features that move freely on the sphere: what of the gap flow holds for them, and what does not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Joint, Mean, PerCell, Proportion, Tally
from claims.yaras import PAPER
from claims.yaras.rows import etf_rows
from conetheory.gap_equilibria import fixed_rest, resting_scale
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import matrix_profile, simplex_profile
from conetheory.temperature_laws import TemperatureLaw, exponential_law, fixed_law, linear_schedule
from sims.flow_starts import cone_start, parallel_start, partial_shuffle, uniform_start
from sims.gradient_flow import FeatureFlow, gradient_flow

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 23"
_N, _DIM = 12, 12  # pairs, and dimension without the common coordinate
_TIMES = (1.0, 10.0, 100.0)
_START = (0.6, 6.0)  # γ₀, β₀
_GAMMAS = (0.1, 0.5, 0.9)
_RING = (9, 0.2, 2.0, 4.0)  # pairs, latitude, shift, β₀
_RING_TIMES = (0.02, 0.2, 1.0)
_SEEDS = (0, 1)
_CONE_PAIRS = 16
_LATE = 100.0


def _integrated(speed: Callable[[float, np.ndarray], Any], start: tuple[float, ...], times: tuple[float, ...]) -> Any:
    return solve_ivp(speed, (0.0, times[-1]), start, t_eval=times, method="LSODA", rtol=1e-10, atol=1e-12)["y"]


def _simplex_force(a: float) -> float:
    """Return -l'(a) of the corners of a simplex."""
    margin = _N / (_N - 1)
    weight = (_N - 1) * np.exp(-margin * a)
    return margin * weight / (1 + weight)


def _reduced_gaps() -> list[float]:
    """Return the gap of two numbers: the printed equations with the mobility 1 - γ² of the sphere."""

    def speed(_: float, state: np.ndarray) -> list[float]:
        gamma, beta = state
        rest = 1 - gamma**2
        force = _simplex_force(beta * rest)
        return [-2 * beta * gamma * rest * force, beta**2 * rest * force]

    return [float(2 * gamma) for gamma in _integrated(speed, _START, _TIMES)[0]]


def _printed_gaps() -> list[float]:
    flow = gap_flow(simplex_profile(_N), exponential_law(), *_START, t_end=_LATE)
    return [float(2 * gamma) for gamma in flow.at(_TIMES).gamma]


def _simplex_gaps() -> np.ndarray:
    h = etf_rows(_N)
    start = parallel_start(h, h, _START[0])
    return gradient_flow(start.x, start.y, exponential_law(), _TIMES, beta0=_START[1], rtol=1e-6).gap_norm


def _common(flow: FeatureFlow) -> float:
    """Return half the distance of the modalities along their last coordinate."""
    return float(flow.x[:, -1].mean() - flow.y[:, -1].mean()) / 2


def _predicted_speeds(mobility: Callable[[float], float]) -> list[float]:
    rows = uniform_start(_N, _DIM, rng=0)
    profile = matrix_profile(rows.x @ rows.y.T)
    return [-12 * gamma * mobility(gamma) * float(profile.force(6 * (1 - gamma**2))) for gamma in _GAMMAS]


def _speeds() -> list[float]:
    """Return the speed of the common coordinate of random parallel rows, from a short time of their flow."""
    rows, time, found = uniform_start(_N, _DIM, rng=0), 1e-6, []
    for gamma in _GAMMAS:
        start = parallel_start(rows.x, rows.y, gamma)
        flow = gradient_flow(start.x, start.y, fixed_law(), [time], beta0=6.0)
        found.append((_common(flow) - gamma) / time)
    return found


def _ring_gaps(turning: float) -> list[float]:
    """Return the gap of the flow of latitude, shift and scale; a shift is `turning` times as mobile as a latitude."""
    n, latitude, shift, beta = _RING
    steps = 2 * np.pi * np.arange(n) / n

    def speed(_: float, state: np.ndarray) -> list[float]:
        lat, turn, scale = state
        cosines = np.cos(steps - turn)
        weights = np.exp(scale * np.cos(lat) ** 2 * (cosines - cosines.max()))
        weights /= weights.sum()
        by_scale = np.cos(lat) ** 2 * (weights @ cosines - cosines[0])
        by_lat = -scale * np.sin(2 * lat) * (weights @ cosines - cosines[0])
        by_turn = scale * np.cos(lat) ** 2 * (weights @ np.sin(steps - turn) - np.sin(-turn))
        return [-by_lat, -turning * by_turn / np.cos(lat) ** 2, -(scale**2) * by_scale]

    return [float(2 * np.sin(lat)) for lat in _integrated(speed, (latitude, shift, beta), _RING_TIMES)[0]]


def _free_ring_gaps() -> np.ndarray:
    n, latitude, shift, beta = _RING
    angles = 2 * np.pi * np.arange(n) / n
    x, y = (
        np.stack([np.cos(latitude) * np.cos(a), np.cos(latitude) * np.sin(a), np.full(n, np.sin(lat))], axis=1)
        for a, lat in ((angles, latitude), (angles + shift, -latitude))
    )
    return gradient_flow(x, y, exponential_law(), _RING_TIMES, beta0=beta, rtol=1e-6).gap_norm


def _random_flow(rng: np.random.Generator, times: Any) -> FeatureFlow:
    rows = uniform_start(_N, _DIM, rng=rng)
    start = parallel_start(rows.x, rows.y, 0.2)
    return gradient_flow(start.x, start.y, exponential_law(), times, beta0=10.0, rtol=1e-3)


def _in_order(early: bool, rng: np.random.Generator, n: int, at: At) -> Tally:
    """Count flows whose gap is largest while pairs are still mismatched, or after, and then only falls."""
    times, good = np.append(0.0, np.geomspace(0.003, 2.0, 10)), 0
    for _ in range(n):
        flow = _random_flow(rng, times)
        top, matched = int(np.argmax(flow.gap_norm)), int(np.argmax(flow.matched == 1))
        lasting = bool(np.all(flow.matched[matched:] == 1) and np.all(np.diff(flow.gap_norm[matched:]) < 0))
        good += lasting and (0 < top < matched) == early
    return Tally.count(good, n)


def _matched_flow(rng: np.random.Generator) -> tuple[float, float, float]:
    """Return common coordinate and β of free matched pairs at t = 100, and γ of the flow with frozen features."""
    rows, noise = uniform_start(_N, _DIM, rng=rng), uniform_start(_N, _DIM, rng=rng)
    k = rows.x + 0.3 * noise.y
    k /= np.linalg.norm(k, axis=1, keepdims=True)
    start = parallel_start(rows.x, k, 0.3)
    flow = gradient_flow(start.x, start.y, exponential_law(), [_LATE], beta0=10.0, rtol=1e-3)
    frozen = gap_flow(matrix_profile(rows.x @ k.T), exponential_law(), 0.3, 10.0, t_end=_LATE, rtol=1e-6)
    return _common(flow), float(flow.beta[0]), float(frozen.gamma[-1])


def _matched(rng: np.random.Generator, n: int, of: Callable[[float, float, float], float]) -> Tally:
    return Tally.of([of(*_matched_flow(rng)) for _ in range(n)])


def _share(gamma: float, _: float, frozen: float) -> float:
    """Return the gap of frozen features over that of free ones."""
    return frozen / gamma


def _drift(printed: float, gamma: float, beta: float, _: float) -> float:
    """Return the distance that ln γ + 2 ln β, less what is printed of γ²/2, has moved."""
    return abs(float(np.log(gamma / 0.3) + 2 * np.log(beta / 10.0) - printed * (gamma**2 - 0.09) / 2))


def _mended(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Return gaps at t = 100 and fixed temperature over those at which frozen features of mismatched pairs rest."""
    shares = []
    for _ in range(n):
        h = uniform_start(_N, _DIM, rng=rng).x
        k = h[partial_shuffle(_N, 0.25, rng=rng)]
        start = parallel_start(h, k, 0.3)
        flow = gradient_flow(start.x, start.y, fixed_law(), [_LATE], beta0=10.0, rtol=1e-2)
        shares.append(flow.gap_norm[0] / (2 * fixed_rest(resting_scale(matrix_profile(h @ k.T)), 10.0)))
    return Tally.of(shares)


def _cones(dim: int) -> list[float]:
    """Return the gap of two cones at t = 3 and τ = 1/30 over that at the start, one a seed."""
    shares = []
    for seed in _SEEDS:
        start = cone_start(_CONE_PAIRS, dim, 0.3, np.pi / 2, rng=seed)
        flow = gradient_flow(start.x, start.y, fixed_law(), [0.0, 3.0], beta0=30.0, rtol=1e-2)
        shares.append(float(flow.gap_norm[1] / flow.gap_norm[0]))
    return shares


_TREATMENTS: tuple[tuple[TemperatureLaw, float], ...] = (
    (exponential_law(), 1.0),
    (exponential_law(2.0), 1.0),
    (exponential_law(), 0.1),
    (fixed_law(), 1.0),
    (linear_schedule(10.0, 7.0, 20.0), 1.0),
)


def _treated(rng: np.random.Generator, n: int, *, backwards: bool = False) -> Tally:
    """Return by how much each treatment of the temperature leaves a smaller gap at t = 20 than the one before."""
    rows = []
    for _ in range(n):
        start = cone_start(_N, _DIM, 0.5, 0.8, rng=rng)
        gaps = [
            gradient_flow(start.x, start.y, law, [20.0], beta0=10.0, temperature_rate=rate, rtol=1e-2).gap_norm[0]
            for law, rate in _TREATMENTS
        ]
        rows.append(np.diff(gaps) if backwards else -np.diff(gaps))
    return Tally.of(rows)


CLAIMS = (
    Claim(
        id="conetheory.free_features.simplex",
        paper=OURS,
        section=_SECTION,
        statement="Free features at the corners of two parallel simplices follow the reduced flow with the mobility 1 − γ².",
        formula=r"\dot\gamma = -2\beta\gamma(1-\gamma^2)\,g(\beta(1-\gamma^2))",
        kind="value",
        predict=_reduced_gaps,
        measure=Computed(compute=_simplex_gaps, error=1e-5),
        grid=tuple({"t": t} for t in _TIMES),
        resolution=1e-4,
        plants=(
            Plant(
                name="printed_mobility",
                statement="They follow the flow of section 3.2 of the paper, where γ is itself a parameter.",
                predict=_printed_gaps,
            ),
        ),
        note="The paper's flow holds for γ as a parameter of its own; on the sphere arcsin γ is what moves at unit mobility.",
    ),
    Claim(
        id="conetheory.free_features.common_coordinate",
        paper=OURS,
        section=_SECTION,
        statement="The common coordinate of any parallel features starts with the speed of the reduced flow times 1 − γ².",
        formula=r"\dot{\bar\gamma} = -2\beta\gamma(1-\gamma^2)\,g",
        kind="identity",
        predict=partial(_predicted_speeds, lambda gamma: 1 - gamma**2),
        measure=Computed(compute=_speeds, error=1e-3),
        grid=tuple({"gamma": gamma} for gamma in _GAMMAS),
        resolution=1e-2,
        plants=(
            Plant(
                name="printed_mobility",
                statement="It starts with the speed of the reduced flow.",
                predict=partial(_predicted_speeds, lambda gamma: 1.0),
            ),
        ),
        note="Mismatched random pairs: the speed is positive. Measured over a time of 1e-6.",
    ),
    Claim(
        id="conetheory.free_features.ring",
        paper=OURS,
        section=_SECTION,
        statement="Nine pairs on two circles of latitude, turned against each other, follow a flow of three numbers.",
        formula=r"\dot\varphi = -\partial_\varphi L,\quad \dot\delta = -4\,\partial_\delta L/\cos^2\varphi",
        kind="value",
        predict=partial(_ring_gaps, 4.0),
        measure=Computed(compute=_free_ring_gaps, error=2e-5),
        grid=tuple({"t": t} for t in _RING_TIMES),
        resolution=1e-4,
        plants=(
            Plant(
                name="unit_mobility",
                statement="They follow the flow in which shift and latitude are equally mobile.",
                predict=partial(_ring_gaps, 1.0),
            ),
        ),
        note="The gap rises from .40 while every pair is mismatched, and falls once they are matched.",
    ),
    Claim(
        id="yaras.figure1.order",
        paper=PAPER,
        section="Figure 1",
        statement="The gap of random pairs is largest while some are mismatched; once all are matched it only falls.",
        formula=r"\mathrm{argmax}_t \Delta(t) < t_{\mathrm{matched}}",
        kind="qualitative",
        predict=lambda: 0.5,
        relation="at_least",
        measure=PerCell(rule=Proportion(), first=40, quick=160, full=640, draw=partial(_in_order, True)),
        resolution=0.1,
        plants=(
            Plant(
                name="after_matching",
                statement="It is largest when all pairs are matched.",
                measure=PerCell(rule=Proportion(), first=40, quick=160, full=640, draw=partial(_in_order, False)),
            ),
        ),
        note="Measured: the share of seeds; 12 pairs in 13 dimensions from γ = .2 and β = 10.",
    ),
    Claim(
        id="conetheory.free_features.frozen_underestimates",
        paper=OURS,
        section=_SECTION,
        statement="The reduced flow with frozen features gives free matched pairs at most .7 of their gap at t = 100.",
        formula=r"\gamma_{\mathrm{frozen}}/\bar\gamma \le .7",
        kind="inequality",
        predict=lambda: 0.7,
        relation="at_most",
        measure=Joint(rule=Mean(), first=16, quick=64, full=256, draw=partial(_matched, of=_share)),
        resolution=0.05,
        plants=(
            Plant(
                name="frozen_is_right",
                statement="It gives at least .9 of it.",
                predict=lambda: 0.9,
                relation="at_least",
            ),
        ),
        note="Margins of free pairs widen, the force dies sooner and the gap closes more slowly than the model says.",
    ),
    Claim(
        id="conetheory.free_features.conserved",
        paper=OURS,
        section=_SECTION,
        statement="Free matched pairs all but conserve β²γ: its logarithm moves by less than .01 until t = 100.",
        formula=r"|\Delta\ln(\beta^2\bar\gamma)| \le .01",
        kind="inequality",
        predict=lambda: 0.01,
        relation="at_most",
        measure=Joint(rule=Mean(), first=24, quick=96, full=384, draw=partial(_matched, of=partial(_drift, 0.0))),
        resolution=0.001,
        plants=(
            Plant(
                name="printed_invariant",
                statement="They all but conserve β²γ exp(−γ²/2), what Lemma 3.1 conserves.",
                measure=Joint(
                    rule=Mean(), first=24, quick=96, full=384, draw=partial(_matched, of=partial(_drift, 1.0))
                ),
            ),
        ),
        note="β²γ is what the mobility 1 − γ² conserves; γ is the mean common coordinate.",
    ),
    Claim(
        id="conetheory.free_features.mismatch_mends",
        paper=OURS,
        section=_SECTION,
        statement="Mismatched pairs with free features do not rest at the pitchfork of a fixed temperature: the gap goes on closing.",
        formula=r"\Delta(100)/(2\sqrt{1-s^*/\beta}) \le .15",
        kind="inequality",
        predict=lambda: 0.15,
        relation="at_most",
        measure=Joint(rule=Mean(), first=16, quick=64, full=256, draw=lambda rng, n: _mended(rng, n, {})),
        resolution=0.02,
        plants=(
            Plant(
                name="pitchfork",
                statement="They rest there.",
                predict=lambda: 0.9,
                relation="at_least",
            ),
        ),
        note="A quarter of 12 pairs shuffled. The equilibrium of section 21 is that of features that cannot move.",
    ),
    Claim(
        id="conetheory.free_features.cones_close_in_3d",
        paper=OURS,
        section=_SECTION,
        statement="Two cones in three dimensions close: at t = 3 and τ = 1/30 at most a tenth of the gap is left.",
        formula=r"\Delta(3)/\Delta(0) \le .1",
        kind="qualitative",
        predict=lambda: [0.1] * len(_SEEDS),
        relation="at_most",
        measure=Computed(compute=lambda: _cones(3), error=0.02),
        grid=tuple({"seed": float(seed)} for seed in _SEEDS),
        resolution=0.02,
        plants=(
            Plant(
                name="in_64_dimensions",
                statement="Two cones in 64 dimensions close as well.",
                measure=Computed(compute=lambda: _cones(64), error=0.02),
            ),
        ),
        note="In 64 dimensions four fifths of the gap are left: 16 pairs fit a simplex, and the force dies.",
    ),
    Claim(
        id="yaras.mitigations.free_features",
        paper=PAPER,
        section="Section 4.1",
        statement="Of e^ν, e^(ν/2), ν trained at a tenth of the rate, a fixed and a rising temperature, each leaves a smaller gap.",
        formula=r"\Delta_k - \Delta_{k+1} \ge 0",
        kind="qualitative",
        predict=lambda: [0.0] * (len(_TREATMENTS) - 1),
        relation="at_least",
        measure=Joint(rule=Mean(), first=16, quick=64, full=320, draw=_treated),
        grid=tuple({"treatment": k + 1.0} for k in range(len(_TREATMENTS) - 1)),
        resolution=0.01,
        plants=(
            Plant(
                name="backwards",
                statement="Each leaves a larger one.",
                measure=Joint(rule=Mean(), first=16, quick=64, full=320, draw=partial(_treated, backwards=True)),
            ),
        ),
        note="Cells are the differences of neighbours at t = 20, from two cones at β = 10.",
    ),
)
