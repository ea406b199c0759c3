"""The three-dimensional toy of Fahim et al.: cones, arcs, rings and the sphere, told apart by second moments."""

from functools import partial

import numpy as np

from claims.fahim import PAPER
from claims.ledger import Claim, Plant
from claims.measure import Joint, Mean, Tally
from conetheory.temperature_laws import fixed_law
from sims.feature_descent import DescentPlan, feature_descent
from sims.flow_starts import cone_start

__all__ = ["CLAIMS"]

_PAIRS, _BETA, _RATE = 16, 20.0, 5e-3
_TIMES = (0.3, 0.7, 9.0)  # from one look to the next: arc at t = .3, ring at 1, sphere at 10


def _shape(rows: np.ndarray) -> tuple[float, float, float, float]:
    """Return what tells shapes apart: largest share of the second moment, flatness, roundness, spread.

    Shares are the eigenvalues, which add to 1. Flatness is the part of the largest two, roundness the second over the
    first, spread the least times the dimension: 1 for a law that prefers no direction.
    """
    shares = np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1]
    return shares[0], shares[0] + shares[1], shares[1] / shares[0], len(shares) * shares[-1]


def _stages(dim: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the images at the start and after each of `_TIMES`."""
    plan = DescentPlan(law=fixed_law(), beta0=_BETA, batch=_PAIRS, learning_rate=_RATE)
    start = cone_start(_PAIRS, dim, 0.15, 1.2, rng=rng)
    x, y, found = start.x, start.y, [start.x]
    for time in _TIMES:
        end = feature_descent(x, y, plan, [round(time / _RATE)])
        x, y = end.x, end.y
        found.append(x)
    return found


def _numbers(rng: np.random.Generator, n: int, *, dim: int = 3, early: bool = False) -> Tally:
    """Return cone's concentration, arc's flatness and mean length, ring's flatness and roundness, sphere's spread.

    With `early` each stage's numbers are those of the rows at the look before.
    """
    trials = []
    for _ in range(n):
        looks = _stages(dim, rng)
        cone, arc, ring, sphere = [looks[0], *looks[:3]] if early else looks
        mean = float(np.linalg.norm(arc.mean(axis=0)))
        trials.append([_shape(cone)[0], _shape(arc)[1], mean, *_shape(ring)[1:3], _shape(sphere)[3]])
    return Tally.of(trials)


def _after_ring(rng: np.random.Generator, n: int) -> Tally:
    """Return the mean length of the images when they lie on an arc, and when they lie on a ring."""
    looks = [_stages(3, rng) for _ in range(n)]
    return Tally.of([[np.linalg.norm(look.mean(axis=0)) for look in one[1:3]] for one in looks])


def _joint(**options: object) -> Joint:
    return Joint(rule=Mean(), first=8, quick=32, full=128, draw=partial(_numbers, **options))


CLAIMS = (
    Claim(
        id="fahim.stages.shapes",
        paper=PAPER,
        section="section 3, the toy in three dimensions",
        statement="Two cones in three dimensions become arcs, then rings, then fill the sphere, as second moments tell.",
        formula=r"\lambda_1 \ge .9;\ \lambda_1+\lambda_2 \ge .95,\ |\bar x| \ge .7;\ \lambda_1+\lambda_2 \ge .92,\ \lambda_2/\lambda_1 \ge .9;\ 3\lambda_3 \ge .7",
        kind="qualitative",
        predict=lambda: [0.9, 0.95, 0.7, 0.92, 0.9, 0.7],
        relation="at_least",
        measure=_joint(),
        grid=tuple(
            {"t": t, "number": number} for t, number in ((0, 1), (0.3, 2), (0.3, 3), (1.0, 2), (1.0, 4), (10.0, 5))
        ),
        resolution=0.02,
        plants=(
            Plant(name="in_64_dimensions", statement="So do cones in 64 dimensions.", measure=_joint(dim=64)),
            Plant(name="a_stage_early", statement="Each shape is there a look earlier.", measure=_joint(early=True)),
        ),
        note="16 pairs, τ = 1/20, one batch. λ are the eigenvalues of the images' second moment; numbers: 1 λ₁, 2 λ₁ + λ₂, 3 |x̄|, 4 λ₂/λ₁, 5 3λ₃.",
    ),
    Claim(
        id="fahim.stages.arc_or_ring",
        paper=PAPER,
        section="section 3, the toy in three dimensions",
        statement="Arcs and rings are both flat; the mean of the images is .78 long on the arc and .38 on the ring.",
        formula=r"|\bar x|",
        kind="value",
        predict=lambda: [0.78, 0.38],
        tolerance=0.01,
        measure=Joint(rule=Mean(), first=8, quick=32, full=128, draw=_after_ring),
        grid=({"t": 0.3}, {"t": 1.0}),
        resolution=0.02,
        plants=(
            Plant(name="closed", statement="The ring is closed: its mean is 0.", predict=lambda: [0.78, 0.0]),
            Plant(name="one_shape", statement="Both are .78.", predict=lambda: [0.78, 0.78]),
        ),
        note="t = .3 and 1; at t = 10 the mean is below .02.",
    ),
)
