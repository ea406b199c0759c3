"""One random ReLU layer as the claims on Theorem 1 measure it: sampled, or integrated over the angle without any closed form."""

import itertools
import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root_scalar

from claims.measure import At, Mean, PerCell, Proportion, Tally
from conetheory.contraction import preactivation_correlation
from sims.normals import standard_normals
from sims.relu_layer import count_failures, sample_cosines

__all__ = [
    "SUMMAND_GRID",
    "THRESHOLD_GRID",
    "cells",
    "chebyshev_by_quadrature",
    "draw_cosines",
    "draw_failures",
    "draw_inner_products",
    "draw_successes",
    "draw_summand_variance",
    "failures",
    "kappa_by_quadrature",
    "layer",
    "products",
    "threshold_by_quadrature",
]


_NARROW = 64  # units
_BLOCK = 1 << 15  # units drawn at a time: what the second cache holds


def layer(at: At) -> tuple[float, float, float]:
    return at["cosine"], at["norm_u"], at["norm_v"]


def cells(layers: list[tuple[float, float, float]], **more: float) -> tuple[dict[str, float], ...]:
    return tuple({"cosine": c, "norm_u": a, "norm_v": b, **more} for c, a, b in layers)


def draw_failures(rng: np.random.Generator, n: int, at: At, *, sigma_b2: float = 1.0) -> Tally:
    """Count the layers that do not raise the cosine; narrow ones are drawn as they are, wide ones from their reduced law."""
    width = int(at["width"])
    if width <= _NARROW:
        return Tally.count(_direct_failures(rng, n, at, sigma_b2=sigma_b2), n)
    return Tally.count(count_failures(*layer(at), width, n_trials=n, rng=rng, sigma_b2=sigma_b2), n)


def draw_successes(rng: np.random.Generator, n: int, at: At) -> Tally:
    return Tally.count(n - count_failures(*layer(at), int(at["width"]), n_trials=n, rng=rng), n)


def failures(first: int, quick: int, full: int) -> PerCell:
    return PerCell(rule=Proportion(), first=first, quick=quick, full=full, draw=draw_failures)


def _direct_units(rng: np.random.Generator, n: int, at: At, *, sigma_b2: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return φ(z) and φ(z') of `n` units, from weights and biases themselves: no correlation is computed.

    The inputs lie in a plane, so two weights a unit are all that matters; the common factor 1/d of the variances is
    left out.
    """
    cosine, norm_u, norm_v = map(float, layer(at))
    u, v, bias = standard_normals(3, n, rng=rng)
    bias *= math.sqrt(sigma_b2)
    v *= norm_v * math.sqrt((1 - cosine) * (1 + cosine))
    v += norm_v * cosine * u
    u *= norm_u
    return tuple(np.maximum(np.add(z, bias, out=z), 0, out=z) for z in (u, v))


def _draw_products(rng: np.random.Generator, n: int, at: At, *, factor: float = 2.0, sigma_b2: float = 1.0) -> Tally:
    """Tally `factor` φ(z)φ(z') / √((1 + ‖u‖²)(1 + ‖v‖²)): with factor 2 its mean is what Lemma 3 bounds from below."""
    _, norm_u, norm_v = layer(at)
    u, v = _direct_units(rng, n, at, sigma_b2=sigma_b2)
    return Tally.of(u * v * (factor / math.sqrt((1 + norm_u**2) * (1 + norm_v**2))))


def _direct_failures(rng: np.random.Generator, n: int, at: At, *, sigma_b2: float) -> int:
    """Count the layers that do not raise the cosine, from weights and biases themselves."""
    width, successes = int(at["width"]), 0
    block = _BLOCK // width
    for start in range(0, n, block):
        units = _direct_units(rng, min(block, n - start) * width, at, sigma_b2=sigma_b2)
        u, v = (z.reshape(-1, width) for z in units)
        uu, vv, uv = (np.einsum("ij,ij->i", x, y, dtype=np.float64) for x, y in ((u, u), (v, v), (u, v)))
        norms = np.sqrt(uu * vv)
        successes += int(np.count_nonzero((norms > 0) & (uv > at["cosine"] * norms)))
    return n - successes


def products(**changes: float) -> PerCell:
    draw = _draw_products if not changes else lambda rng, n, at: _draw_products(rng, n, at, **changes)
    return PerCell(rule=Mean(), first=1 << 16, quick=1 << 21, full=1 << 23, draw=draw)


def draw_inner_products(
    rng: np.random.Generator, n: int, at: At, *, weight_width: str = "out", bias: float = 1.0
) -> Tally:
    """Tally (Wu+b)·(Wv+b) from W and b themselves, in 3 dimensions into 8; `weight_width` names the dimension whose inverse is the variance."""
    dim_in, dim_out = 3, 8
    cosine, norm_u, norm_v = layer(at)
    u = np.array([norm_u, 0.0, 0.0])
    v = norm_v * np.array([cosine, np.sqrt(1 - cosine**2), 0.0])
    weights = standard_normals(n, dim_out, dim_in, rng=rng) / math.sqrt({"out": dim_out, "in": dim_in}[weight_width])
    shift = bias * standard_normals(n, dim_out, rng=rng) / math.sqrt(dim_out)
    return Tally.of(np.sum((weights @ u + shift) * (weights @ v + shift), axis=1))


def kappa_by_quadrature(rho: float) -> float:
    """Return 2 E φ(z)φ(z') by integrating over the angle at which both units are active: no closed form is used."""
    theta = float(np.arccos(rho))
    value, _ = quad(lambda a: np.cos(a) * np.cos(a - theta), theta - np.pi / 2, np.pi / 2, epsabs=1e-14, epsrel=1e-13)
    return 2 * value / np.pi


def threshold_by_quadrature(norm_u: float, norm_v: float) -> float:
    """Return the cosine at which the infinite-width layer stops raising it, as the root of quadratures."""
    spread = np.sqrt((1 + norm_u**2) * (1 + norm_v**2))

    def gain(cosine: float) -> float:
        return kappa_by_quadrature(min(1.0, (1 + norm_u * norm_v * cosine) / spread)) - cosine

    return 1.0 if norm_u == norm_v else float(root_scalar(gain, bracket=(-1.0, 1.0), xtol=1e-13).root)


def _moments_by_quadrature(at: At) -> tuple[float, float]:
    """Return mean and mean square of X = φφ' − (c₀/2)(φ² + φ'²) for standard units, by integrating over the angle, sector by sector."""
    cosine = at["cosine"]
    theta = float(np.arccos(preactivation_correlation(*layer(at))))
    edges = sorted({-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2})

    def profile(angle: float) -> float:
        u, v = max(np.cos(angle), 0.0), max(np.cos(angle - theta), 0.0)
        return u * v - cosine / 2 * (u * u + v * v)

    def integral(power: int) -> float:
        return sum(
            quad(lambda a: profile(a) ** power, low, high, epsabs=1e-14)[0] for low, high in itertools.pairwise(edges)
        )

    return 2 * integral(1) / (2 * np.pi), 8 * integral(2) / (2 * np.pi)  # E R² = 2, E R⁴ = 8


def chebyshev_by_quadrature(at: At, *, centred: bool = True) -> float:
    mean, square = _moments_by_quadrature(at)
    return (square - mean**2 if centred else square) / mean**2


def draw_cosines(rng: np.random.Generator, n: int, at: At) -> Tally:
    return Tally.of(sample_cosines(at["rho"], int(at["width"]), n, rng=rng))


def draw_summand_variance(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the squared distance of φφ' from its mean, for pre-activations divided by their standard deviations."""
    _, norm_u, norm_v = layer(at)
    u, v = _direct_units(rng, n, at)
    products = u * v / math.sqrt((1 + norm_u**2) * (1 + norm_v**2))
    return Tally.of((products - products.mean(dtype=np.float64)) ** 2 * (n / (n - 1)))


SUMMAND_GRID = cells([(c, 1.0, 1.0) for c in (-0.5, 0.5, 0.99, 1.0)])
THRESHOLD_GRID = tuple(
    {"norm_u": a, "norm_v": b} for a, b in itertools.product((0.1, 0.5, 1.0, 2.0, 10.0, 100.0), repeat=2)
)
