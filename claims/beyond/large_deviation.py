"""How fast failures of Theorem 1 die out with the width: exponentially, at a known rate, with a known factor. Ours."""

import functools
import math
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.optimize import minimize_scalar

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang.theorem1_layers import cells, failures, layer
from claims.measure import At, Computed
from conetheory._relu_tilt import Tilt, TiltedMoments, tilt, tilted_moments
from conetheory._saddlepoint import curvature, log_tails
from conetheory.contraction import chebyshev_constant, preactivation_angle, preactivation_correlation
from conetheory.large_deviation import chernoff_bound, failure_probability, failure_rate

__all__ = ["CLAIMS"]

_UNIT = (0.5, 1.0, 1.0)
_CLOSE = (0.9, 1.0, 1.0)
_LONG = (0.9, 10.0, 10.0)  # the margin is small: near the threshold
_STAR = 0.893864006936  # the sharp threshold of norms 2 and 1

_RATE_GRID = cells([(0.1, 1.0, 1.0), _UNIT, _CLOSE, (0.99, 1.0, 1.0), (0.5, 2.0, 1.0), _LONG])
_BOUND_GRID = (*cells([_UNIT, _CLOSE, (0.5, 2.0, 1.0)], width=16.0), *cells([_UNIT, _CLOSE], width=48.0))
_NARROW_GRID = (
    *cells([_UNIT, (0.95, 2.0, 1.0)], width=3.0),
    *cells([(0.9999, 2.0, 1.0)], width=4.0),
    *cells([_UNIT, _CLOSE], width=8.0),
)
_UNIFORM_GRID = cells([_LONG, (0.88, 2.0, 1.0), (_STAR, 2.0, 1.0), (0.9, 2.0, 1.0), (0.95, 2.0, 1.0)], width=64.0)
_DECAY_GRID = tuple(at | {"width": width} for at in cells([_UNIT]) for width in (64.0, 96.0))


def _dominating(at: At) -> tuple[Tilt, TiltedMoments]:
    theta = float(preactivation_angle(*layer(at)))
    found = tilt(at["cosine"], theta)
    return found, tilted_moments(found.t, at["cosine"], theta)


@functools.cache
def _narrow_values() -> np.ndarray:
    return np.array([failure_probability(*layer(at), int(at["width"])).value for at in _NARROW_GRID])


def _uniform(at: At, *, flat: bool = False) -> float:
    found, moments = _dominating(at)
    moments = moments._replace(spread=0.0) if flat else moments
    return math.exp(log_tails(found, moments, at["cosine"], int(at["width"])).failure)


def _prefactor(at: At, *, curved: bool = True) -> float:
    """Return the formula that is not uniform, e^{-dI}/(v sqrt(2 pi))."""
    found, moments = _dominating(at)
    stretch = 1.0 + curvature(found, moments, at["cosine"]) if curved else 1.0
    v = abs(found.t) * math.sqrt(2.0 * math.pi * at["width"] * moments.variance * stretch)
    return math.exp(-at["width"] * found.rate) / v


def _rate_by_quadrature(at: At, *, half: float = 0.5) -> float:
    """Minimise ln E e^{-tX} with the angle integrated numerically: no closed form, no tilted law."""
    theta = math.acos(float(preactivation_correlation(*layer(at))))
    nodes, weights = leggauss(64)
    kinks = np.sort([-math.pi / 2, theta - math.pi / 2, math.pi / 2, theta + math.pi / 2, 3 * math.pi / 2])
    width = np.diff(kinks)[:, None]
    alpha = kinks[:-1, None] + width * (1 + nodes) / 2
    p, q = np.maximum(np.cos(alpha), 0), np.maximum(np.cos(alpha - theta), 0)
    h, weight = p * q - half * at["cosine"] * (p * p + q * q), width * weights / (4 * math.pi)
    most = 0.999 / (-2 * h.min())

    def log_mgf(t: float) -> float:
        return float(np.log(np.sum(weight / (1 + 2 * t * h))))

    found: Any = minimize_scalar(log_mgf, bounds=(0.0, most), method="bounded", options={"xatol": 1e-9})
    return -float(found.fun)


def _rates(half: float = 0.5) -> Computed:
    return Computed(compute=lambda: [_rate_by_quadrature(at, half=half) for at in _RATE_GRID], error=1e-9)


CLAIMS = (
    Claim(
        id="conetheory.large_deviation.chernoff",
        paper=OURS,
        section="docs/theory.md, section 12",
        statement="Failures of Theorem 1 die out exponentially: at every width they are at most as likely as Chernoff's bound.",
        formula=r"P(c' \le c_0) \le e^{-dI}",
        kind="inequality",
        relation="at_most",
        predict=lambda: [chernoff_bound(*layer(at), int(at["width"])) for at in _BOUND_GRID],
        measure=failures(1 << 12, 1 << 15, 1 << 18),
        grid=_BOUND_GRID,
        resolution=[0.08, 0.15, 0.16, 0.005, 0.04],
        plants=(
            Plant(
                name="twice_the_rate",
                statement="At most as likely as its square.",
                predict=lambda: [chernoff_bound(*layer(at), 2 * int(at["width"])) for at in _BOUND_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.large_deviation.faster_than_one_over_d",
        paper=OURS,
        section="Theorem 1, whose bound is O(1/d)",
        statement="The paper's O(1/d) is far from tight: for unit vectors of cosine 1/2 failure has less than a fiftieth of the probability K/d at widths 64 and 96.",
        formula=r"P(c' \le c_0) \le \frac{K}{50\,d},\quad c_0 = \tfrac12",
        kind="inequality",
        relation="at_most",
        predict=lambda: [float(chebyshev_constant(*layer(at))) / (50 * at["width"]) for at in _DECAY_GRID],
        measure=failures(1 << 12, 1 << 15, 1 << 18),
        grid=_DECAY_GRID,
        resolution=[0.002, 0.002],
        plants=(
            Plant(
                name="of_order_one_over_d",
                statement="It has at least a fiftieth of it.",
                relation="at_least",
            ),
        ),
    ),
    Claim(
        id="conetheory.large_deviation.rate",
        paper=OURS,
        section="docs/theory.md, section 12",
        statement="The rate is the minimum of a logarithmic moment generating function, which has a closed form.",
        formula=r"I = -\min_t \ln \mathbb{E}\, e^{-tX},\quad X = \phi\phi' - \tfrac{c_0}{2}(\phi^2 + \phi'^2)",
        kind="value",
        predict=lambda: [failure_rate(*layer(at)) for at in _RATE_GRID],
        measure=_rates(),
        grid=_RATE_GRID,
        resolution=[2e-6, 8e-7, 4e-7, 3e-7, 3.5e-7, 9e-9],  # relative 1e-5
        plants=(
            Plant(
                name="dropped_half",
                statement="It is that of φφ' − (c₀/4)(φ² + φ'²).",
                measure=_rates(half=0.25),
            ),
            Plant(
                name="normal_rate",
                statement="It is that of normal summands, 1/(2K).",
                predict=lambda: [0.5 / float(chebyshev_constant(*layer(at))) for at in _RATE_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.large_deviation.probability",
        paper=OURS,
        section="docs/theory.md, section 12",
        statement="The library's probability of failure is that of sampled layers to 3 %, from three units on, near cosine 1 and beyond the threshold too.",
        formula=r"P(c' \le c_0) = \frac{2}{(2\pi i)^2}\int d\eta \iint \frac{dt\,ds}{t}\,\mathbb{E}\, G\, e^{-tX-sY}",
        kind="value",
        predict=_narrow_values,
        tolerance=[5e-4, 5e-4, 1.5e-3, 1e-4, 1e-4],  # more than the errors that the function estimates
        measure=failures(1 << 18, 1 << 20, 1 << 22),
        grid=_NARROW_GRID,
        resolution=[0.008, 0.009, 0.012, 0.004, 0.004],
        plants=(
            Plant(
                name="chernoff_for_the_value",
                statement="It is Chernoff's bound.",
                predict=lambda: [chernoff_bound(*layer(at), int(at["width"])) for at in _NARROW_GRID],
            ),
            Plant(
                name="five_per_cent_off",
                statement="It is five per cent less.",
                predict=lambda: 0.95 * _narrow_values(),
            ),
            Plant(
                name="flat_failure_set",
                statement="It is the probability that the mean of X is not positive, as if the failure set were flat.",
                predict=lambda: [_prefactor(at, curved=False) for at in _NARROW_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.large_deviation.uniform",
        paper=OURS,
        section="docs/theory.md, section 12",
        statement="One formula of Lugannani and Rice's kind holds below, at and beyond the sharp threshold.",
        formula=r"P(c' \le c_0) = \Phi(-r) + \varphi(r)\Big(\frac{1}{v} - \frac{1}{r}\Big) + O(1/d)",
        kind="rate",
        predict=lambda: [_uniform(at) for at in _UNIFORM_GRID],
        tolerance=[0.015, 0.018, 0.021, 0.022, 0.006],  # 0.045 of the smaller tail, as the formula claims
        measure=failures(1 << 13, 1 << 16, 1 << 19),
        grid=_UNIFORM_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="prefactor_alone",
                statement="The exponential with its refined factor does so too.",
                predict=lambda: [_prefactor(at) for at in _UNIFORM_GRID],
            ),
            Plant(
                name="flat_failure_set",
                statement="It holds without the factor of curvature.",
                predict=lambda: [_uniform(at, flat=True) for at in _UNIFORM_GRID],
            ),
        ),
        note="Width 64. For norms 10 and 10 at cosine 0.9 the refined factor alone is 3.2 times too large.",
    ),
)
