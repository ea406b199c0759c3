"""Treatments of the gap in the stochastic descent of free features: what Yaras et al. order, and what swapping does."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed, Joint, Mean, Tally
from claims.yaras import PAPER
from claims.yaras.published import ALTERNATING, FIXED, HARD_SWAP, SCHEDULED
from claims.yaras.rows import etf_rows
from conetheory.swapped_pairs import swapped_cosine_mean, swapped_cosine_variance, swapped_gap_speed
from conetheory.temperature_laws import TemperatureLaw, exponential_law, fixed_law, softplus_law
from sims.feature_descent import DescentPlan, feature_descent
from sims.flow_starts import cone_start, parallel_start, uniform_start
from sims.temperature_plans import alternating_temperature, straight_temperature

__all__ = [
    "ALTERNATING_PLANS",
    "CLAIMS",
    "FIXED_PLANS",
    "HARD_PLANS",
    "SCHEDULED_PLANS",
    "TREATED",
    "final_gaps",
]

_SECTION = "docs/theory.md, section 24"
_TABLE = "Table 3"
_PAIRS, _BATCH, _EPOCHS, _RATE = 8, 4, 1250, 3.5e-4  # a stable rate at all temperatures: below 4 τ²
_COLD, _WARM = 0.01, 0.07  # temperatures at the start: prescribed, learned
_SWAPS = ("hard", "soft", "row")
_GAMMAS = (0.2, 0.5)
_SIMPLEX = (6, 10.0)  # pairs, β


def _plan(law: TemperatureLaw, tau: float, *, rate: float = 1.0, swap: str = "none", p: float = 0.0) -> DescentPlan:
    return DescentPlan(
        law=law,
        beta0=1 / tau,
        batch=_BATCH,
        learning_rate=_RATE,
        temperature_rate=rate,
        swap=swap,
        swap_fraction=p,
    )


_BASE = _plan(exponential_law(), _WARM)
FIXED_PLANS = {tau: _plan(fixed_law(), tau) for tau in FIXED if tau <= 0.2}
"""Plans by fixed temperature up to .2; beyond, the printed gaps are all .007 to .009."""
SCHEDULED_PLANS = {stop: _plan(straight_temperature(_COLD, stop, _EPOCHS * _RATE), _COLD) for stop in SCHEDULED}
"""Plans by the temperature at the end of a straight line."""
ALTERNATING_PLANS = {
    middle: _plan(alternating_temperature(_COLD, middle, _EPOCHS * _RATE), _COLD) for middle in ALTERNATING
}
"""Plans by the temperature in the middle of one cycle of a cosine."""
HARD_PLANS = {p: _plan(exponential_law(), _WARM, swap="hard", p=p) for p in HARD_SWAP}
"""Plans by the fraction of steps with hard swaps."""
TREATED: Mapping[str, DescentPlan] = {
    "learned": _BASE,
    "softplus": _plan(softplus_law(), _WARM),
    "exp(ν/2)": _plan(exponential_law(2.0), _WARM),
    "ν at .1": _plan(exponential_law(), _WARM, rate=0.1),
    "soft .05": _plan(exponential_law(), _WARM, swap="soft", p=0.05),
    "row .05": _plan(exponential_law(), _WARM, swap="row", p=0.05),
    "hard .05": _plan(exponential_law(), _WARM, swap="hard", p=0.05),
}


def final_gaps(rng: np.random.Generator, plans: Sequence[DescentPlan]) -> np.ndarray:
    """Return the gap that each plan leaves of two cones, all from one start with one seed, shape (plans,)."""
    start, seed = cone_start(_PAIRS, _PAIRS, 0.5, 1.2, rng=rng), int(rng.integers(1 << 62))
    return np.array([feature_descent(start.x, start.y, plan, [_EPOCHS], rng=seed).gap_norm[0] for plan in plans])


def _falls(rng: np.random.Generator, n: int, plans: Sequence[DescentPlan]) -> Tally:
    """Return by how much each plan leaves a smaller gap than the one before."""
    return Tally.of([-np.diff(final_gaps(rng, plans)) for _ in range(n)])


def _ordered(plans: Sequence[DescentPlan], *, first: int = 10) -> Joint:
    return Joint(rule=Mean(), first=first, quick=4 * first, full=16 * first, draw=partial(_falls, plans=plans))


def _changes(rng: np.random.Generator, n: int, names: Sequence[str]) -> Tally:
    """Return the relative change of the gap by treatments, in absolute value."""
    gaps = [final_gaps(rng, [_BASE, *(TREATED[name] for name in names)]) for _ in range(n)]
    return Tally.of([np.abs(found[1:] / found[0] - 1) for found in gaps])


def _changed(*names: str) -> Joint:
    return Joint(rule=Mean(), first=10, quick=40, full=160, draw=partial(_changes, names=names))


def _alternation(rng: np.random.Generator, n: int) -> Tally:
    """Return by how much alternating temperatures leave another gap than straight ones."""
    plans = [by_end[tau] for tau in ALTERNATING for by_end in (ALTERNATING_PLANS, SCHEDULED_PLANS)]
    gaps = np.array([final_gaps(rng, plans) for _ in range(n)])
    return Tally.of(np.abs(gaps[:, ::2] - gaps[:, 1::2]))


_ALTERNATION = Joint(rule=Mean(), first=8, quick=32, full=128, draw=_alternation)


def _claim_order(
    id: str, statement: str, plans: Mapping[float, DescentPlan], name: str, note: str, *, first: int = 10
) -> Claim:
    """Return the claim that each plan leaves a smaller gap than the one before, as the paper prints it."""
    ordered = list(plans.values())
    return Claim(
        id=id,
        paper=PAPER,
        section=_TABLE,
        statement=statement,
        formula=r"\Delta_k - \Delta_{k+1} \ge 0",
        kind="qualitative",
        predict=lambda: [0.0] * (len(ordered) - 1),
        relation="at_least",
        measure=_ordered(ordered, first=first),
        grid=tuple({name: at} for at in list(plans)[1:]),
        resolution=0.002,
        plants=(Plant(name="backwards", statement="Each leaves a larger one.", measure=_ordered(ordered[::-1])),),
        note=note,
    )


def _turned_gap() -> tuple[np.ndarray, np.ndarray]:
    start = uniform_start(3, 5, rng=3)
    return start.x, start.y


def _swapped_cosines(moment: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator, n: int) -> Tally:
    """Return a moment's trials of two cosines, of a pair and not, for each kind of swap."""
    x, y = _turned_gap()
    columns = []
    for kind in _SWAPS:
        part = rng.random((n, 3, 1 if kind == "row" else 5))
        part = part if kind == "soft" else np.where(part < 0.5, 1.0, 0.0)
        found = np.einsum("tid,tjd->tij", x + part * (y - x), y + part * (x - y))[:, 0, :2]
        columns.append(moment(found - (0 if moment is np.positive else _means(kind))))
    return Tally.of(np.hstack(columns))


def _means(kind: str) -> np.ndarray:
    return swapped_cosine_mean(*_turned_gap(), kind=kind)[0, :2]


def _predicted(of: Callable[..., np.ndarray], kinds: Sequence[str] = _SWAPS) -> list[float]:
    return [float(value) for kind in kinds for value in of(*_turned_gap(), kind=kind)[0, :2]]


def _row_speeds(rng: np.random.Generator, n: int) -> Tally:
    """Return speeds of the gap coordinate of two simplices in one step with a row swap."""
    pairs, beta = _SIMPLEX
    h, rate, columns = etf_rows(pairs), 1e-7, []
    plan = DescentPlan(law=fixed_law(), beta0=beta, batch=pairs, learning_rate=rate, swap="row")
    for gamma in _GAMMAS:
        start = parallel_start(h, h, gamma)
        ends = [feature_descent(start.x, start.y, plan, [1], rng=rng) for _ in range(n)]
        columns.append([((end.x - end.y)[:, -1].mean() / 2 - gamma) / rate for end in ends])
    return Tally.of(np.transpose(columns))


def _speeds(kind: str) -> list[float]:
    return [swapped_gap_speed(gamma, _SIMPLEX[1], _SIMPLEX[0], kind=kind) for gamma in _GAMMAS]


def _strengths() -> list[float]:
    """Return the logarithm of how much stronger a hard-swapped step pulls matched pairs, over βγ²."""
    found = []
    for gamma in _GAMMAS:
        speeds = [swapped_gap_speed(gamma, 100.0, 64, kind=kind) for kind in ("hard", "none")]
        alpha = 64 / 63
        found.append(float(np.log(speeds[0] / speeds[1] * alpha / (alpha + 1)) / (100.0 * gamma**2)))
    return found


_CELLS = tuple({"swap": float(k), "own_pair": own} for k in range(len(_SWAPS)) for own in (1.0, 0.0))

CLAIMS = (
    _claim_order(
        "yaras.mitigations.fixed_temperature",
        "The higher a fixed temperature is, the smaller is the gap that training leaves.",
        FIXED_PLANS,
        "temperature",
        "Free features: 8 pairs, batches of 4, 1250 epochs. The paper's order from .01 to .2.",
    ),
    _claim_order(
        "yaras.mitigations.scheduled_temperature",
        "The higher the temperature ends that rises from .01, the smaller is the gap: S0 to S3.",
        SCHEDULED_PLANS,
        "last_temperature",
        "Trained CLIP: .384, .198, .137, .088; free features move less in the same order.",
    ),
    _claim_order(
        "yaras.mitigations.hard_swap",
        "The more steps swap entries, the smaller is the gap.",
        {0.0: _BASE, **HARD_PLANS},
        "fraction",
        "Trained CLIP: .294 without, then .225, .095, .046, .028.",
        first=36,
    ),
    _claim_order(
        "yaras.mitigations.alternating_temperature",
        "A fixed temperature of .01 leaves more of the gap than one that alternates up to .02, and that more than one up to .04.",
        {_COLD: FIXED_PLANS[_COLD], **ALTERNATING_PLANS},
        "far_temperature",
        "A0 and A1. Trained CLIP: .669, .541, .261; one cycle here, as our notes do not give the number of theirs.",
    ),
    Claim(
        id="conetheory.mitigations.alternation_is_its_mean",
        paper=OURS,
        section=_SECTION,
        statement="An alternating temperature leaves free features the gap of the straight line to the same temperature, to within .01.",
        formula=r"|\Delta_{\mathrm{A}} - \Delta_{\mathrm{S}}| \le .01",
        kind="qualitative",
        predict=lambda: [0.01, 0.01],
        relation="at_most",
        measure=_ALTERNATION,
        grid=tuple({"far_temperature": tau} for tau in ALTERNATING),
        resolution=0.003,
        plants=(
            Plant(
                name="more_as_in_print",
                statement="It leaves at least a tenth more of it, as A0 and A1 do of trained CLIP.",
                predict=lambda: [0.1, 0.1],
                relation="at_least",
            ),
        ),
        note="Both have the mean temperature. Trained CLIP: .541 against .384 (A0, S0) and .261 against .137 (A1, S2): a difference of towers.",
    ),
    Claim(
        id="yaras.mitigations.reparametrised",
        paper=PAPER,
        section=_TABLE,
        statement="Softplus, exp(ν/2) and a tenth of the learning rate of ν change the gap by at most a tenth.",
        formula=r"|\Delta/\Delta_{\mathrm{base}} - 1| \le .1",
        kind="qualitative",
        predict=lambda: [0.1] * 3,
        relation="at_most",
        measure=_changed("softplus", "exp(ν/2)", "ν at .1"),
        grid=tuple({"treatment": float(k)} for k in range(3)),
        resolution=0.02,
        plants=(
            Plant(
                name="soft_swap",
                statement="So do swaps in a twentieth of the steps.",
                measure=_changed("soft .05", "row .05", "hard .05"),
            ),
        ),
        note="Trained CLIP: .284, .287 and .268 against .294.",
    ),
    Claim(
        id="conetheory.mitigations.swap_order",
        paper=OURS,
        section=_SECTION,
        statement="At the same fraction of steps a swap of rows leaves more of the gap than one of entries, and less than none.",
        formula=r"\Delta_{\mathrm{none}} > \Delta_{\mathrm{row}} > \Delta_{\mathrm{hard}}",
        kind="qualitative",
        predict=lambda: [0.05, 0.0],
        relation="at_least",
        measure=_ordered([_BASE, TREATED["row .05"], TREATED["hard .05"]]),
        grid=({"swap": 1.0}, {"swap": 2.0}),
        resolution=0.01,
        plants=(
            Plant(
                name="row_does_nothing",
                statement="A swap of rows leaves the gap as it is, to within .05, and one of entries too.",
                relation="at_most",
            ),
        ),
        note="Trained CLIP: .289 with rows swapped against .294; our notes give no fraction of steps beside it.",
    ),
    Claim(
        id="conetheory.swap.mean_cosine",
        paper=OURS,
        section=_SECTION,
        statement="Swapping takes the gap out of the mean logits of negatives, and a pair's own cosine stays but for soft swaps.",
        formula=r"\mathbb{E}\,x_i'\cdot y_j' = m_i\cdot m_j,\quad \mathbb{E}\,x_i'\cdot y_i' = |m_i|^2 - \kappa|\delta_i|^2",
        kind="value",
        predict=partial(_predicted, swapped_cosine_mean),
        measure=Joint(
            rule=Mean(), first=1 << 12, quick=1 << 16, full=1 << 18, draw=partial(_swapped_cosines, np.positive)
        ),
        grid=_CELLS,
        tolerance=1e-12,  # rounding, where swaps change nothing
        resolution=0.03,
        plants=(
            Plant(
                name="cross_modal",
                statement="The mean cosines of negatives stay what they are between the modalities.",
                predict=lambda: [float(c) for _ in _SWAPS for c in (_turned_gap()[0] @ _turned_gap()[1].T)[0, :2]],
            ),
        ),
    ),
    Claim(
        id="conetheory.swap.cosine_variance",
        paper=OURS,
        section=_SECTION,
        statement="The cosines of swapped negatives have the variance of the closed form; a row swap's holds (δ·δ')².",
        formula=r"\kappa^2\sum\delta_i^2\delta_j^2 + \kappa\sum(\delta_i^2m_j^2 + m_i^2\delta_j^2)",
        kind="value",
        predict=partial(_predicted, swapped_cosine_variance),
        measure=Joint(
            rule=Mean(), first=1 << 12, quick=1 << 16, full=1 << 18, draw=partial(_swapped_cosines, np.square)
        ),
        grid=_CELLS,
        tolerance=1e-12,
        resolution=0.01,
        plants=(
            Plant(
                name="rows_as_entries",
                statement="Row swaps have the variance of hard ones, and the other way round.",
                predict=partial(_predicted, swapped_cosine_variance, ("row", "soft", "hard")),
            ),
        ),
    ),
    Claim(
        id="conetheory.swap.row_speed",
        paper=OURS,
        section=_SECTION,
        statement="A step with swapped rows moves the gap of two simplices at the mean speed of the binomial sum.",
        formula=r"\dot\gamma = -(1-\gamma^2)\,\partial_\gamma\mathbb{E}_K\ln\bigl(1 + (n-1-K+Ke^{2\beta\gamma^2})e^{-\beta\alpha(1-\gamma^2)}\bigr)",
        kind="value",
        predict=lambda: _speeds("row"),
        measure=Joint(rule=Mean(), first=200, quick=2000, full=8000, draw=_row_speeds),
        grid=tuple({"gamma": gamma} for gamma in _GAMMAS),
        resolution=[0.002, 0.3],
        plants=(Plant(name="unswapped", statement="At that of no swap.", predict=lambda: _speeds("none")),),
    ),
    Claim(
        id="conetheory.swap.strength",
        paper=OURS,
        section=_SECTION,
        statement="A hard-swapped step pulls cold matched pairs (1 + 1/α) exp(βγ²) times as strongly as another.",
        formula=r"\dot\gamma_{\mathrm{hard}}/\dot\gamma = (1 + \alpha^{-1})\,e^{\beta\gamma^2}",
        kind="rate",
        predict=lambda: [1.0] * len(_GAMMAS),
        measure=Computed(compute=_strengths),
        grid=tuple({"gamma": gamma} for gamma in _GAMMAS),
        resolution=1e-3,
        plants=(
            Plant(name="half", statement="By the exponential of half as much.", predict=lambda: [0.5] * len(_GAMMAS)),
        ),
        note="So one swapped step in a thousand outweighs the others while βγ² is above ln 1000 = 6.9.",
    ),
)
