"""Theorem 1 for other activations: thresholds, limits and exponential rates. Ours."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Mean, PerCell, Proportion, Tally
from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory._relu_tilt import tilted_moments
from conetheory.activation_rate import ActivationRate, activation_failure_rate, activation_threshold
from conetheory.contraction import preactivation_angle, preactivation_correlation, sharp_threshold
from conetheory.dual import activation_function, second_moment
from conetheory.leaky_relu import leaky_relu_failure_rate, leaky_relu_threshold
from sims.normals import standard_normals
from sims.rare_event import sample_tilted_failures

__all__ = ["CLAIMS"]

_BLOCK = 1 << 16  # units drawn at a time
_SLOPES = (-1.0, 0.5)
_NAMES = ("tanh", "gelu")  # a cell's "activation" is the place in this list
_THRESHOLD_GRID = tuple(
    {"slope": slope, "norm_u": 2.0, "norm_v": 1.0, "cosine": float(leaky_relu_threshold(2.0, 1.0, slope=slope))}
    for slope in _SLOPES
)
_RATE_GRID = tuple(
    {"slope": slope, "cosine": cosine, "norm_u": 1.0, "norm_v": norm_v}
    for slope, cosine, norm_v in ((-1.0, 0.5, 1.0), (0.3, 0.5, 1.0), (0.3, 0.9, 1.0), (0.1, 0.0, 2.0))
)
_GELU_GRID = tuple({"sigma_w2": variance, "norm_u": 1.0, "norm_v": 1.0} for variance in (1.0, 4.0))
_CHERNOFF_GRID = tuple(
    {"activation": float(i), "cosine": 0.3, "norm_u": 1.0, "norm_v": 1.0, "width": width}
    for i in range(len(_NAMES))
    for width in (8.0, 16.0)
)
_TILTED_GRID = tuple(
    {"activation": float(i), "cosine": 0.3, "norm_u": norm_u, "norm_v": 1.0, "width": 192.0}
    for i, norm_u in ((0, 1.0), (1, 2.0))
)
_TILTED_SIZE = (9.1e-8, 3.3e-5)  # of the probabilities, roughly
_BENT_GRID = tuple(
    {"cosine": cosine, "norm_u": 1.0, "norm_v": 1.0, "width": width} for cosine, width in ((0.3, 256.0), (0.6, 512.0))
)


def _leaky(slope: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.maximum(x, 0) + slope * np.minimum(x, 0)


def _pairs(rng: np.random.Generator, shape: tuple[int, ...], at: At, *, sigma_b2: float = 1.0) -> np.ndarray:
    """Return pre-activations of u and v, shape (2, ...), from two weights and a bias a unit."""
    drawn = standard_normals(3, *shape, rng=rng)
    z, bias, cosine = drawn[:2], drawn[2], float(at["cosine"])
    z[1] *= math.sqrt((1 - cosine) * (1 + cosine))
    z[1] += cosine * z[0]
    z *= np.array([at["norm_u"], at["norm_v"]], dtype=np.float32).reshape(2, *(1 for _ in shape))
    z += math.sqrt(sigma_b2) * bias
    return z


def _draw_leaky_products(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally φφ' over the root of both mean squares, which are (1 + λ²)/2 of the variances."""
    scale = (1 + at["slope"] ** 2) / 2 * math.sqrt((1 + at["norm_u"] ** 2) * (1 + at["norm_v"] ** 2))
    trials = np.empty(n)
    for start in range(0, n, _BLOCK):
        f, g = _leaky(at["slope"])(_pairs(rng, (min(_BLOCK, n - start),), at))
        np.divide(f * g, scale, out=trials[start : start + _BLOCK])
    return Tally.of(trials)


def _rate_by_quadrature(at: At) -> float:
    """Return max_t −ln E exp(−tX) by integrating 1/(1 + 2th) over the angle, sector by sector."""
    cosine, unit = at["cosine"], _leaky(at["slope"])
    theta = float(np.arccos(preactivation_correlation(cosine, at["norm_u"], at["norm_v"])))
    edges = (-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2, 3 * np.pi / 2)

    def form(angle: Any) -> Any:
        f, g = unit(np.cos(angle)), unit(np.cos(angle - theta))
        return f * g - cosine / 2 * (f * f + g * g)

    def log_mgf(t: float) -> float:
        parts = (
            quad(lambda a: 1 / (1 + 2 * t * form(a)), *ends, epsrel=1e-11)[0] for ends in itertools.pairwise(edges)
        )
        return math.log(sum(parts) / (2 * np.pi))

    limit = -1 / (2 * np.min(form(np.linspace(-np.pi, np.pi, 20_001))))
    found: Any = minimize_scalar(log_mgf, bounds=(0, 0.999 * limit), method="bounded", options={"xatol": 1e-7})
    return -float(found.fun)


def _draw_gelu(rng: np.random.Generator, n: int, at: At, *, cosine: float | None = None) -> Tally:
    """Tally φφ' − (c/2)(φ² + φ'²) over E φ², without bias, at the threshold or at `cosine`."""
    c = _gelu_threshold(at) if cosine is None else cosine
    scale, function = math.sqrt(at["sigma_w2"]), activation_function("gelu")
    trials = np.empty(n)
    for start in range(0, n, _BLOCK):
        size = min(_BLOCK, n - start)
        f, g = function(scale * _pairs(rng, (size,), {**at, "cosine": c}, sigma_b2=0.0))
        trials[start : start + size] = f * g - c / 2 * (f * f + g * g)
    return Tally.of(trials / float(second_moment("gelu", at["sigma_w2"])))


def _gelu_threshold(at: At) -> float:
    return activation_threshold("gelu", 1.0, 1.0, sigma_w2=at["sigma_w2"], sigma_b2=0.0)


def _gelu(cosine: float | None = None) -> PerCell:
    return PerCell(
        rule=Mean(),
        first=1 << 19,
        quick=1 << 23,
        full=1 << 24,
        draw=lambda rng, n, at: _draw_gelu(rng, n, at, cosine=cosine),
    )


def _found(at: At) -> ActivationRate:
    return activation_failure_rate(_NAMES[int(at["activation"])], at["cosine"], at["norm_u"], at["norm_v"])


def _draw_failures(rng: np.random.Generator, n: int, at: At) -> Tally:
    width = int(at["width"])
    f, g = activation_function(_NAMES[int(at["activation"])])(_pairs(rng, (n, width), at))
    norms = np.sqrt(np.sum(f * f, axis=1) * np.sum(g * g, axis=1))
    return Tally.count(int(np.sum(~(np.sum(f * g, axis=1) > at["cosine"] * norms))), n)


def _draw_tilted(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the weights of layers of tilted units, drawn by rejection from a normal of three times the variance.

    Any tilt is right; that of `activation_failure_rate` is efficient. Its moment generating function is summed on a
    square grid.
    """
    found, width, function = _found(at), int(at["width"]), activation_function(_NAMES[int(at["activation"])])
    rho = float(preactivation_correlation(at["cosine"], at["norm_u"], at["norm_v"]))
    scales = np.sqrt(1 + np.array([at["norm_u"], at["norm_v"]]) ** 2)
    t, s, cosine = found.tilt, found.balance, at["cosine"]

    def units(points: np.ndarray) -> np.ndarray:
        z = np.stack([points[0], rho * points[0] + math.sqrt(1 - rho**2) * points[1]])
        return function(z * scales.astype(z.dtype).reshape(2, *(1 for _ in z.shape[1:])))

    def exponent(f: np.ndarray, g: np.ndarray) -> np.ndarray:
        return f * (t * g - t * cosine * s / 2 * f) - t * cosine / 2 / s * g * g

    axis = np.linspace(-12, 12, 481)
    plane = np.stack(np.meshgrid(axis, axis))
    logs = -exponent(*units(plane))
    log_mgf = math.log(np.sum(np.exp(logs - np.sum(plane**2, axis=0) / 2)) * (axis[1] - axis[0]) ** 2 / (2 * np.pi))
    bound = float(np.max(logs - np.sum(plane**2, axis=0) / 3)) + 0.01
    kept, missing = [], n * width
    while missing > 0:
        points = standard_normals(2, _BLOCK, rng=rng) * math.sqrt(3)
        drawn = units(points)
        ratio = bound + exponent(*drawn) + (points[0] ** 2 + points[1] ** 2) / 3
        kept.append(drawn[:, rng.standard_exponential(_BLOCK, dtype=np.float32) > ratio])
        missing -= kept[-1].shape[1]
    f, g = np.concatenate(kept, axis=1)[:, : n * width].astype(np.float64).reshape(2, n, width)
    norms = np.sqrt(np.einsum("ij,ij->i", f, f) * np.einsum("ij,ij->i", g, g))
    weights = np.exp(width * log_mgf + np.sum(exponent(f, g), axis=1))
    return Tally.of(np.where(np.einsum("ij,ij->i", f, g) > cosine * norms, 0.0, weights))


def _asymptote(found: ActivationRate, at: At) -> float:
    return found.prefactor * math.exp(-at["width"] * found.rate) / math.sqrt(at["width"])


def _draw_rare(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally P e^(dI) √d/K of ReLU, sampled under its tilt with the scales integrated out."""
    layer = at["cosine"], at["norm_u"], at["norm_v"]
    sample = sample_tilted_failures(*layer, int(at["width"]), n_trials=n, rng=rng)
    value = math.exp(sample.log_value) / _asymptote(activation_failure_rate("relu", *layer), at)
    spread = (sample.relative_stderr * value) ** 2 * n * (n - 1)
    return Tally(n=n, mean=np.array([value]), square=np.array([spread]))


def _curvature(at: At) -> float:
    """Return by how much the boundary of the failures, were it flat, would raise the probability."""
    layer = at["cosine"], at["norm_u"], at["norm_v"]
    theta = float(preactivation_angle(*layer))
    t = dominating_tilt(at["cosine"], theta).t
    variance = tilted_moments(t, at["cosine"], theta).variance
    return 1 / (t * math.sqrt(2 * math.pi * variance) * activation_failure_rate("relu", *layer).prefactor)


def _relu_asymptote(at: At) -> float:
    return _asymptote(activation_failure_rate("relu", at["cosine"], at["norm_u"], at["norm_v"]), at)


CLAIMS = (
    Claim(
        id="conetheory.activation_rate.leaky_threshold",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="At its own sharp threshold an infinitely wide leaky ReLU layer leaves the cosine where it is.",
        formula=r"\kappa_\lambda(\rho_1(c^\ast_\lambda)) = c^\ast_\lambda",
        kind="value",
        predict=lambda: [at["cosine"] for at in _THRESHOLD_GRID],
        measure=PerCell(rule=Mean(), first=1 << 18, quick=1 << 22, full=1 << 24, draw=_draw_leaky_products),
        grid=_THRESHOLD_GRID,
        resolution=0.012,
        plants=(
            Plant(
                name="threshold_of_relu",
                statement="It does so at the threshold of ReLU.",
                predict=lambda: [float(sharp_threshold(2.0, 1.0))] * len(_SLOPES),
            ),
        ),
    ),
    Claim(
        id="conetheory.activation_rate.leaky_rate",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="Leaky ReLU fails at the exponential rate that four sector integrals give in closed form.",
        formula=r"I_\lambda = \max_t -\ln \frac{1}{2\pi} \oint \frac{d\alpha}{1 + 2 t h_\lambda(\alpha)}",
        kind="value",
        predict=lambda: [
            leaky_relu_failure_rate(at["cosine"], at["norm_u"], at["norm_v"], slope=at["slope"]).rate
            for at in _RATE_GRID
        ],
        measure=Computed(compute=lambda: [_rate_by_quadrature(at) for at in _RATE_GRID], error=1e-9),
        grid=_RATE_GRID,
        resolution=1e-8,
        plants=(
            Plant(
                name="rate_of_relu",
                statement="It fails at the rate of ReLU.",
                predict=lambda: [
                    leaky_relu_failure_rate(at["cosine"], at["norm_u"], at["norm_v"], slope=0.0).rate
                    for at in _RATE_GRID
                ],
            ),
        ),
    ),
    Claim(
        id="conetheory.activation_rate.gelu_without_bias",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="Without bias GELU leaves the cosine of equal norms where it is at a threshold below 1, which grows with the scale.",
        formula=r"\mathbb{E}\,\phi\phi' = c^\ast\, \mathbb{E}\,\phi^2 \quad (c^\ast = 0.760,\ 0.910)",
        kind="value",
        predict=lambda: [0.0] * len(_GELU_GRID),
        measure=_gelu(),
        grid=_GELU_GRID,
        resolution=[0.002, 0.004],
        plants=(
            Plant(
                name="raised_like_by_relu",
                statement="It raises every cosine, as ReLU does: at 0.88 too.",
                relation="at_least",
                measure=_gelu(cosine=0.88),
            ),
        ),
        note="ReLU without bias raises every cosine below 1: Theorem 1 does not carry over to GELU.",
    ),
    Claim(
        id="conetheory.activation_rate.chernoff",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="Layers of tanh and of GELU fail with probability at most exp(−dI), at every width.",
        formula=r"P(\text{failure}) \le e^{-dI}",
        kind="inequality",
        relation="at_most",
        predict=lambda: [math.exp(-at["width"] * _found(at).rate) for at in _CHERNOFF_GRID],
        measure=PerCell(rule=Proportion(), first=1 << 13, quick=1 << 15, full=1 << 18, draw=_draw_failures),
        grid=_CHERNOFF_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="rate_of_three_times_the_width",
                statement="It is at most exp(−3dI).",
                predict=lambda: [math.exp(-3 * at["width"] * _found(at).rate) for at in _CHERNOFF_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.activation_rate.smooth_rate",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="For tanh and GELU the probability of failure is the prefactor times exp(−dI)/√d, up to 20/d of it.",
        formula=r"P(\text{failure}) \sim K e^{-dI} / \sqrt{d}",
        kind="rate",
        predict=lambda: [_asymptote(_found(at), at) for at in _TILTED_GRID],
        measure=PerCell(rule=Mean(), first=1 << 12, quick=1 << 13, full=1 << 15, draw=_draw_tilted),
        grid=_TILTED_GRID,
        tolerance=[20 / 192 * size for size in _TILTED_SIZE],
        resolution=[0.28 * size for size in _TILTED_SIZE],
        plants=(
            Plant(
                name="rate_of_relu",
                statement="It is that of ReLU.",
                predict=lambda: [_relu_asymptote(at) for at in _TILTED_GRID],
            ),
        ),
        note="Probabilities of 1e-7 and 3e-5, sampled under a tilt: a rate off by 2 % would change the first by a third.",
    ),
    Claim(
        id="conetheory.activation_rate.curvature",
        paper=OURS,
        section="docs/theory.md, section 14",
        statement="The prefactor of ReLU has in it the curvature of the boundary of the failures, up to 12/d.",
        formula=r"K^{-1} = t\sigma\sqrt{2\pi}\, \big(1 + t c_0 \varsigma^2 / (4G)\big)^{1/2}",
        kind="rate",
        predict=lambda: [1.0] * len(_BENT_GRID),
        measure=PerCell(rule=Mean(), first=1 << 12, quick=1 << 13, full=1 << 16, draw=_draw_rare),
        grid=_BENT_GRID,
        tolerance=[12 / at["width"] for at in _BENT_GRID],
        resolution=0.08,
        plants=(
            Plant(
                name="without_curvature",
                statement="It is that of a flat boundary.",
                predict=lambda: [_curvature(at) for at in _BENT_GRID],
            ),
        ),
        note="A flat boundary would make failure 25 and 23 % likelier. Probabilities of 1e-15 and 1e-17, under a tilt.",
    ),
)
