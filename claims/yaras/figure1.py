"""Figure 1 over many seeds: how far and how long the gap of random pairs rises, when they are matched, what stays."""

from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Joint, Mean, Tally
from claims.yaras import PAPER
from conetheory.contrastive_gradient import PairVectors
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import matrix_profile
from conetheory.temperature_laws import exponential_law
from sims.flow_seeds import FlowSample, sample_flows
from sims.flow_starts import parallel_parts, parallel_start, uniform_start

__all__ = ["CLAIMS", "COURSE_ID", "COURSE_TIMES", "random_starts", "reduced_courses"]

COURSE_ID = "conetheory.free_features.below_reduced"
"""Claim whose cells are the free gap at `COURSE_TIMES`."""

COURSE_TIMES = (0.02, 0.05, 0.2, 1.0, 10.0)
"""Times at which free features are compared with the reduced flow."""

_PAIRS, _DIM, _GAMMA, _BETA = 64, 16, 0.2, 10.0
_LAST = 10.0
_LOOKS = (0.0, *np.geomspace(0.002, 0.2, 24), _LAST)
_BUDGET = {"first": 32, "quick": 64, "full": 256}


def random_starts(rng: np.random.Generator, n: int) -> list[PairVectors]:
    """Return n starts of 64 independent uniform pairs in 16 dimensions, parallel at γ = .2."""
    rows = (uniform_start(_PAIRS, _DIM, rng=rng) for _ in range(n))
    return [parallel_start(row.x, row.y, _GAMMA) for row in rows]


def _flows(rng: np.random.Generator, n: int, times: tuple[float, ...]) -> FlowSample:
    return sample_flows(random_starts(rng, n), exponential_law(), times, beta0=_BETA, rtol=1e-2)


@cache
def reduced_courses(times: tuple[float, ...]) -> np.ndarray:
    """Return the gaps of the reduced flow with the frozen features of eight starts, shape (8, times)."""
    found = []
    for start in random_starts(np.random.default_rng(0), 8):
        parts = parallel_parts(start.x, start.y)
        profile = matrix_profile(parts.h @ parts.k.T)
        flow = gap_flow(profile, exponential_law(), parts.gamma, _BETA, t_end=times[-1], rtol=1e-8)
        found.append(2 * flow.at(np.minimum(times, flow.t_last)).gamma)
    return np.array(found)


def _course(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(_flows(rng, n, COURSE_TIMES).gap_norm)


def _figure(rng: np.random.Generator, n: int) -> Tally:
    """Return rise of the gap, ln of the time of matching over that of the largest gap, share left of it at the end."""
    flows = _flows(rng, n, _LOOKS)
    gap, top = flows.gap_norm, np.argmax(flows.gap_norm, axis=1)
    matched = np.searchsorted(flows.t, flows.matched_at())
    later = np.log(flows.t[matched] / flows.t[np.maximum(top, 1)])
    return Tally.of(np.stack([gap.max(axis=1) - gap[:, 0], later, gap[:, -1] / gap[np.arange(n), matched]], axis=1))


CLAIMS = (
    Claim(
        id="yaras.figure1.numbers",
        paper=PAPER,
        section="Figure 1",
        statement="The gap of 64 random pairs rises by at least .012; all are matched at least 2.5 times as late as it is largest; and at t = 10 at least .45 of what it then was is left.",
        formula=r"\Delta_{\max}-\Delta_0,\ \ln(t_{\mathrm{matched}}/t_{\max}),\ \Delta(10)/\Delta(t_{\mathrm{matched}})",
        kind="qualitative",
        predict=lambda: [0.012, float(np.log(2.5)), 0.45],
        relation="at_least",
        measure=Joint(rule=Mean(), draw=_figure, **_BUDGET),
        grid=({"rise": 1.0}, {"matching": 1.0}, {"rest": 1.0}),
        resolution=(0.005, 0.4, 0.05),
        plants=(
            Plant(
                name="rises_further",
                statement="The gap rises by at least .03.",
                predict=lambda: [0.03, float(np.log(2.5)), 0.45],
            ),
            Plant(
                name="matched_later",
                statement="All pairs are matched at least 8 times as late.",
                predict=lambda: [0.012, float(np.log(8)), 0.45],
            ),
            Plant(
                name="stays",
                statement="At least .7 of the gap is left.",
                predict=lambda: [0.012, float(np.log(2.5)), 0.7],
            ),
        ),
        note="16 dimensions and one more for γ = .2, β = 10; means over seeds of three numbers of each flow.",
    ),
    Claim(
        id=COURSE_ID,
        paper=OURS,
        section="docs/theory.md, section 23",
        statement="The gap of free random pairs stays below that of the reduced flow with frozen features from t = .02 on: it turns, and the other rises to 1.97.",
        formula=r"\Delta(t) \le 2\gamma_{\mathrm{frozen}}(t)",
        kind="inequality",
        predict=lambda: reduced_courses(COURSE_TIMES).mean(axis=0),
        relation="at_most",
        measure=Joint(rule=Mean(), draw=_course, **_BUDGET),
        grid=tuple({"t": t} for t in COURSE_TIMES),
        resolution=0.02,
        plants=(
            Plant(name="above", statement="It stays above.", relation="at_least"),
            Plant(
                name="below_half",
                statement="It stays below half of it.",
                predict=lambda: reduced_courses(COURSE_TIMES).mean(axis=0) / 2,
            ),
        ),
        note="64 pairs, 16 dimensions; the reduced flow is the mean over eight starts.",
    ),
)
