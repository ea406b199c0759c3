"""Phase diagrams of mismatch: the critical scale against the fraction mismatched, the spacing, the number of pairs."""

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Mean, PerCell, Tally
from conetheory.mismatch import circle_points
from conetheory.mismatch_phases import arc_critical_scales, neighbour_swaps, shuffled_critical_scale, shuffled_scale
from sims.displaced_pairs import latitude, leaving_scale
from sims.shuffled_pairs import ShuffledSample, sample_critical_scales, shuffled_pairing

__all__ = ["ARC_ID", "CLAIMS", "PAIRS", "SHUFFLED_ID"]

SHUFFLED_ID = "conetheory.mismatch.shuffled"
"""Claim whose cells at ``dim``, ``fraction`` and ``n`` hold mean critical scales of random points over the predicted one."""

ARC_ID = "conetheory.mismatch.arc"
"""Claim whose cells at ``spacing_deg`` and ``swaps`` hold critical scales of six points of an arc."""

PAIRS = 48
"""Random points of a trial."""

_SECTION = "docs/theory.md, section 6"
_RING = tuple({"n_shuffled": float(k), "seed": float(seed)} for k in (16, 32, 56) for seed in (0, 1))


def _ring(at: At) -> tuple[np.ndarray, np.ndarray]:
    """Return 64 points of the whole circle and the pairing of a cell."""
    return circle_points(64, 360 / 64), shuffled_pairing(64, int(at["n_shuffled"]), rng=int(at["seed"]))


def _ring_scales(*, by_fraction: bool = False) -> list[float]:
    found = []
    for at in _RING:
        points, pairing = _ring(at)
        matched = 1 - at["n_shuffled"] / 64 if by_fraction else float(np.mean(np.sum(points * points[pairing], axis=1)))
        found.append(float(shuffled_critical_scale(2, 1 - matched)))
    return found


def _ring_by_search() -> list[float]:
    return [leaving_scale(points, latitude(points[pairing])) for points, pairing in map(_ring, _RING)]


_SHUFFLED = tuple(
    {"dim": d, "fraction": f, "n": float(PAIRS)}
    for d, f in ((3.0, 0.25), (3.0, 0.5), (8.0, 0.125), (8.0, 0.25), (8.0, 0.5), (8.0, 0.75), (32.0, 0.5))
)


def _law(at: At):
    return shuffled_scale(int(at["dim"]), round(at["fraction"] * at["n"]), int(at["n"]))


def _draw_scales(rng: np.random.Generator, n: int, at: At) -> ShuffledSample:
    return sample_critical_scales(int(at["dim"]), int(at["n"]), round(at["fraction"] * at["n"]), n, rng=rng)


def _draw_scale(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the critical scale over its predicted mean; the mean matched cosine, of mean 1 - f, as control variate.

    Any slope leaves the mean as it is, and the predicted one takes away nearly all of the variance.
    """
    law, found, f = _law(at), _draw_scales(rng, n, at), at["fraction"]
    slope = law.deviation / np.sqrt(f / (at["n"] * at["dim"]))
    return Tally.of((found.scales - slope * (found.matched - (1 - f))) / law.mean)


def _draw_squares(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the squared distance from the predicted mean in predicted deviations."""
    law = _law(at)
    return Tally.of(((_draw_scales(rng, n, at).scales - law.mean) / law.deviation) ** 2)


_SPREAD = tuple({"dim": d, "fraction": 0.5, "n": 32.0} for d in (8.0, 16.0, 32.0))
_ARC = tuple({"spacing_deg": a, "swaps": k} for a in (5.0, 10.0, 20.0, 40.0, 60.0) for k in (1.0, 2.0, 3.0))


def _arcs(*, crowded: bool = False) -> list[float]:
    """Return the critical scales of every cell; `crowded`: those of 5 degrees times the inverse square."""
    if crowded:
        return [
            float(arc_critical_scales(6, 5.0, [int(at["swaps"])])[0, 0]) * (5 / at["spacing_deg"]) ** 2 for at in _ARC
        ]
    return [float(arc_critical_scales(6, at["spacing_deg"], [int(at["swaps"])])[0, 0]) for at in _ARC]


def _arcs_by_search() -> list[float]:
    """Measure with other neighbours swapped, the last instead of the first: they must not matter."""
    found = []
    for at in _ARC:
        points = circle_points(6, at["spacing_deg"])
        pairing = 5 - neighbour_swaps(6, int(at["swaps"]))[::-1]
        found.append(leaving_scale(points, latitude(points[pairing])))
    return found


CLAIMS = (
    Claim(
        id="conetheory.mismatch.ring",
        paper=OURS,
        section=f"{_SECTION}, 6.16",
        statement="For pairs on a whole circle the critical scale is the concentration of the von Mises law whose mean cosine is the mean matched cosine.",
        formula=r"A_2(\kappa^\ast) = m",
        kind="identity",
        predict=_ring_scales,
        measure=Computed(compute=_ring_by_search, error=1e-4),
        grid=_RING,
        resolution=1e-3,
        plants=(
            Plant(
                name="fraction_for_cosine",
                statement="It is that for the fraction that is not shuffled.",
                predict=lambda: _ring_scales(by_fraction=True),
            ),
        ),
        note="64 equally spaced points, some of whose texts are deranged; the sum over points is the integral to rounding.",
    ),
    Claim(
        id=SHUFFLED_ID,
        paper=OURS,
        section=f"{_SECTION}, 6.17 and 6.18",
        statement="The mean critical scale of 48 random points of which a fraction is deranged is the predicted one.",
        formula=r"F_n'(\kappa^\ast) = 1 - f",
        kind="value",
        predict=lambda: [1.0] * len(_SHUFFLED),
        tolerance=0.01,
        measure=PerCell(draw=_draw_scale, rule=Mean(), first=100, quick=400, full=1600),
        grid=_SHUFFLED,
        resolution=0.08,
        plants=(
            Plant(
                name="limit",
                statement="It is that of infinitely many points.",
                predict=lambda: [_law(at).limit / _law(at).mean for at in _SHUFFLED],
            ),
        ),
        note="In 2 or 3 dimensions the limit of many pairs is near; in 32 the own pair decides the softmax sum, and the limit, 21.1 at f = 1/2, is out of reach.",
    ),
    Claim(
        id="conetheory.mismatch.shuffled_spread",
        paper=OURS,
        section=f"{_SECTION}, 6.17",
        statement="Critical scales of random points scatter as the mean matched cosine does, whose variance is f/(nd).",
        formula=r"\mathrm{Var}\,\kappa^\ast = \frac{f}{nd\,F_n''(\kappa^\ast)^2}",
        kind="value",
        predict=lambda: [1.0] * len(_SPREAD),
        tolerance=0.15,
        measure=PerCell(draw=_draw_squares, rule=Mean(), first=1024, quick=4096, full=8192),
        grid=_SPREAD,
        resolution=0.35,
        plants=(
            Plant(
                name="twice",
                statement="Twice as far.",
                predict=lambda: [4.0] * len(_SPREAD),
            ),
        ),
    ),
    Claim(
        id=ARC_ID,
        paper=OURS,
        section=f"{_SECTION}, 6.2 and 6.16",
        statement="The critical scale of six points of an arc over spacings and numbers of swapped neighbours, whichever they are.",
        formula=r"F'(\kappa^\ast) = 1 - \tfrac{2k}n(1 - \cos\Delta\varphi)",
        kind="value",
        predict=_arcs,
        measure=Computed(compute=_arcs_by_search, error=[1e-5 * x for x in _arcs()]),
        grid=_ARC,
        resolution=[1e-3 * x for x in _arcs()],
        plants=(
            Plant(
                name="inverse_square",
                statement="It is that of crowded points at every spacing, falling as the inverse square.",
                predict=lambda: _arcs(crowded=True),
            ),
        ),
    ),
)
