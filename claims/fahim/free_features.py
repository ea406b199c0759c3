"""Fahim's treatments and sweeps in the stochastic descent of free features."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from claims import OURS
from claims.fahim import PAPER
from claims.ledger import Claim, Plant
from claims.measure import Computed, Joint, Mean, Tally
from conetheory.regularised_gap import critical_regularisation, regularised_gap_speed
from conetheory.sphere import sample_uniformity_floor
from conetheory.temperature_laws import fixed_law
from sims.feature_descent import DescentPlan, FeatureDescent, feature_descent
from sims.flow_starts import cone_start, parallel_start, uniform_start

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 24"
_COLD, _RATE = 100.0, 2e-4  # a stable rate: below 4 τ²
_BATCHES = (4, 8, 16)
_DIMS = (3, 8, 64)
_TERMS = {"CLIP": (0.0, 0.0), "CUA": (1.0, 0.0), "CUAXU": (1.0, 1.0)}  # weights of U and A, and of the cross term
_TREATED = 8  # pairs
_MISMATCHED = (8, 6, 0.05)  # pairs, dimension, γ
_SCALE = 60.0
_WEIGHTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (1.0, 1.0))


class _Run(NamedTuple):
    """A descent from two cones."""

    dim: int
    batch: int
    terms: str = "CLIP"
    pairs: int = 16
    epochs: int = 250


def _descended(rng: np.random.Generator, run: _Run) -> FeatureDescent:
    weight, cross = _TERMS[run.terms]
    plan = DescentPlan(
        law=fixed_law(),
        beta0=_COLD,
        batch=run.batch,
        learning_rate=_RATE,
        uniformity=weight,
        alignment=weight,
        cross=cross,
    )
    start = cone_start(run.pairs, run.dim, 0.3, 1.2, rng=rng)
    return feature_descent(start.x, start.y, plan, [0, run.epochs], rng=rng)


def _left(found: FeatureDescent) -> float:
    """Return the share of the gap that is left."""
    return float(found.gap_norm[1] / found.gap_norm[0])


def _drawn(rng: np.random.Generator, n: int, runs: Sequence[_Run], number: Callable[[FeatureDescent], float]) -> Tally:
    return Tally.of([[number(_descended(rng, run)) for run in runs] for _ in range(n)])


def _steps(rng: np.random.Generator, n: int, runs: Sequence[_Run]) -> Tally:
    """Return by how much each run leaves less of the gap than the one before; all of a trial have one seed."""
    seeds = rng.integers(1 << 62, size=n)
    return Tally.of([-np.diff([_left(_descended(np.random.default_rng(seed), run)) for run in runs]) for seed in seeds])


def _joint(draw: Callable[[np.random.Generator, int], Tally], *, first: int = 8) -> Joint:
    return Joint(rule=Mean(), first=first, quick=4 * first, full=16 * first, draw=draw)


_BY_BATCH = {dim: [_Run(dim, batch) for batch in _BATCHES] for dim in (8, 64)}
_BY_DIM = [_Run(dim, 8, epochs=500) for dim in reversed(_DIMS)]
_BY_TERMS = [_Run(64, _TREATED, name, pairs=_TREATED, epochs=2000) for name in _TERMS]


def _uniformity(found: FeatureDescent) -> float:
    return float(found.uniformity[1])


def _rows() -> tuple[np.ndarray, np.ndarray]:
    start = uniform_start(*_MISMATCHED[:2], rng=1)
    return start.x, start.y


def _speeds() -> list[float]:
    """Return the speed of the mean gap coordinate in a short step of the descent."""
    gamma, rate, found = _MISMATCHED[2], 1e-8, []
    start = parallel_start(*_rows(), gamma)
    for weight, cross in _WEIGHTS:
        plan = DescentPlan(
            law=fixed_law(),
            beta0=_SCALE,
            batch=_MISMATCHED[0],
            learning_rate=rate,
            uniformity=weight,
            alignment=weight,
            cross=cross,
        )
        end = feature_descent(start.x, start.y, plan, [1])
        found.append(float(((end.x - end.y)[:, -1].mean() / 2 - gamma) / rate))
    return found


def _predicted_speeds(cross_sign: float = 1.0) -> list[float]:
    h, k = _rows()
    gamma = _MISMATCHED[2]
    plain = [regularised_gap_speed(h, k, gamma, _SCALE, uniformity=w, alignment=w) for w, _ in _WEIGHTS]
    full = [regularised_gap_speed(h, k, gamma, _SCALE, uniformity=w, alignment=w, cross=c) for w, c in _WEIGHTS]
    return [a + cross_sign * (b - a) for a, b in zip(plain, full, strict=True)]


def _around() -> list[float]:
    """Return the growth rate of a small gap just below and just above the critical weight."""
    h, k = _rows()
    critical = critical_regularisation(h, k, _SCALE)
    return [
        regularised_gap_speed(h, k, 1e-4, _SCALE, uniformity=w, alignment=w) / 1e-4
        for w in (0.9 * critical, critical, 1.1 * critical)
    ]


def _expected_around(sign: float = 1.0) -> list[float]:
    h, k = _rows()
    pushed = sign * 0.1 * regularised_gap_speed(h, k, 1e-4, _SCALE, uniformity=0.0, alignment=0.0) / 1e-4
    return [pushed, 0.0, -pushed]


def _batch_claim(dim: int) -> Claim:
    runs = _BY_BATCH[dim]
    return Claim(
        id=f"fahim.sweep.batch.d{dim}",
        paper=PAPER,
        section="sweeps of the repository",
        statement=f"In {dim} dimensions the gap closes faster, epoch for epoch, the larger the batch is.",
        formula=r"\Delta_b - \Delta_{2b} \ge 0",
        kind="qualitative",
        predict=lambda: [0.0] * (len(runs) - 1),
        relation="at_least",
        measure=_joint(partial(_steps, runs=runs), first=16),
        grid=tuple({"batch": float(batch)} for batch in _BATCHES[1:]),
        resolution=0.001,
        plants=(
            Plant(
                name="backwards",
                statement="It closes more slowly.",
                measure=_joint(partial(_steps, runs=runs[::-1])),
            ),
        ),
        note="One start for all batches; 16 pairs at τ = .01, 250 epochs. More negatives a pair, as in section 24.6.",
    )


CLAIMS = (
    _batch_claim(8),
    _batch_claim(64),
    Claim(
        id="fahim.sweep.dimension",
        paper=PAPER,
        section="section 3",
        statement="The fewer the dimensions, the faster two cones close at τ = .01.",
        formula=r"\Delta_d - \Delta_{d'} \ge 0,\ d > d'",
        kind="qualitative",
        predict=lambda: [0.0] * (len(_DIMS) - 1),
        relation="at_least",
        measure=_joint(partial(_steps, runs=_BY_DIM), first=20),
        grid=tuple({"dim": float(dim)} for dim in reversed(_DIMS[:-1])),
        resolution=0.001,
        plants=(
            Plant(
                name="backwards",
                statement="The more dimensions.",
                measure=_joint(partial(_steps, runs=_BY_DIM[::-1])),
            ),
        ),
    ),
    Claim(
        id="fahim.mitigations.gap",
        paper=PAPER,
        section="Table 1",
        statement="Both CUA and CUAXU leave at most a tenth of the gap in 64 dimensions, where CLIP leaves nearly all.",
        formula=r"\Delta_{\mathrm{CUA}}/\Delta_0 \le .1",
        kind="qualitative",
        predict=lambda: [0.1, 0.1],
        relation="at_most",
        measure=_joint(partial(_drawn, runs=_BY_TERMS[1:], number=_left)),
        grid=({"cross": 0.0}, {"cross": 1.0}),
        resolution=0.02,
        plants=(
            Plant(
                name="clip",
                statement="So does CLIP.",
                measure=_joint(partial(_drawn, runs=[_BY_TERMS[0]] * 2, number=_left)),
            ),
        ),
        note="8 pairs, 2000 epochs. Of the two CUAXU leaves more, as in the paper: .13 against .08 in 128 dimensions.",
    ),
    Claim(
        id="fahim.mitigations.cross_keeps_more",
        paper=PAPER,
        section="Table 1",
        statement="Of the gap CLIP leaves more than CUAXU, and CUAXU more than CUA.",
        formula=r"\Delta_{\mathrm{CLIP}} > \Delta_{\mathrm{CUAXU}} > \Delta_{\mathrm{CUA}}",
        kind="qualitative",
        predict=lambda: [0.0, 0.0],
        relation="at_least",
        measure=_joint(partial(_steps, runs=[_BY_TERMS[0], _BY_TERMS[2], _BY_TERMS[1]])),
        grid=({"step": 1.0}, {"step": 2.0}),
        resolution=0.001,
        plants=(
            Plant(
                name="cua_keeps_more",
                statement="CUA leaves more than CUAXU.",
                measure=_joint(partial(_steps, runs=_BY_TERMS)),
            ),
        ),
    ),
    Claim(
        id="fahim.mitigations.uniformity",
        paper=PAPER,
        section="Table 3",
        statement="None of CLIP, CUA and CUAXU beats the floor of uniformity of as many points.",
        formula=r"U \ge \ln\max\bigl(e^{-4n/(n-1)}, \tfrac{ne^f-1}{n-1}\bigr),\ f = -4 + \ln {}_0F_1(;\tfrac d2;4)",
        kind="inequality",
        predict=lambda: [float(sample_uniformity_floor(64, _TREATED))] * 3,
        relation="at_least",
        measure=_joint(partial(_drawn, runs=_BY_TERMS, number=_uniformity)),
        grid=tuple({"terms": float(k)} for k in range(3)),
        resolution=0.01,
        plants=(Plant(name="above_minus_two", statement="All stay above −2.", predict=lambda: [-2.0] * 3),),
    ),
    Claim(
        id="conetheory.regularised.gap_speed",
        paper=OURS,
        section=_SECTION,
        statement="The gap coordinate of parallel rows starts with the speed of the closed form under any weights.",
        formula=r"\dot\gamma = -2\gamma(1-\gamma^2)\,\partial L/\partial(\gamma^2)",
        kind="identity",
        predict=_predicted_speeds,
        measure=Computed(compute=_speeds, error=1e-4),
        grid=tuple({"weight": w, "cross": c} for w, c in _WEIGHTS),
        resolution=1e-3,
        plants=(
            Plant(
                name="cross_closes",
                statement="The cross term closes the gap as fast as it opens it.",
                predict=partial(_predicted_speeds, -1.0),
            ),
        ),
    ),
    Claim(
        id="conetheory.regularised.critical_weight",
        paper=OURS,
        section=_SECTION,
        statement="A small gap of mismatched rows grows below the critical weight of CUA, rests at it, and shrinks above.",
        formula=r"\dot\gamma/\gamma = (w/w^* - 1)\,2\beta g(\beta)",
        kind="identity",
        predict=_expected_around,
        measure=Computed(compute=_around, error=1e-4),
        grid=({"over_critical": 0.9}, {"over_critical": 1.0}, {"over_critical": 1.1}),
        resolution=1e-3,
        plants=(Plant(name="backwards", statement="It shrinks below.", predict=partial(_expected_around, -1.0)),),
    ),
)
