"""Closed forms of random layers, and draws on the sphere, beside the slow route to the same number."""

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
from scipy import integrate, special, stats

from claims.bench.job import Job, Route
from conetheory.activation_rate import activation_limiting_cosine
from conetheory.contraction import limiting_cosine, preactivation_correlation
from conetheory.finite_width import cosine_mean_correction
from conetheory.gaussian import relu_moment
from conetheory.meanfield import cone_curve
from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale
from conetheory.orthogonal import orthogonal_cosine_variance
from conetheory.von_mises_fisher import concentration, log_partition, moments
from sims.cones import sample_cone
from sims.initialisations import sample_orthogonal_cosines
from tests import naive_contraction, naive_gaussian, naive_mismatch

__all__ = ["JOBS", "against", "job"]

_TO_40_DIGITS = "relative, against 40 digits"
_TO_EACH_OTHER = "relative, against the plain route with four times as many nodes"


def job(name: str, unit: str, methods: tuple[str, ...]) -> Callable[[Callable[[], dict[str, Route]]], Job]:
    """Make a job of the function that builds its routes."""
    return lambda routes: Job(name=name, unit=unit, methods=methods, routes=routes)


def against(exact: Any, of: str) -> Callable[[Any], dict[str, Any]]:
    """Return the accuracy of a number or array, relative to `exact`; of more numbers, the first ones are compared."""
    reference = np.ravel(np.asarray(exact, dtype=np.float64))

    def accuracy(found: Any) -> dict[str, Any]:
        first = np.ravel(np.asarray(found, dtype=np.float64))[: reference.size]
        return {"error": float(np.max(np.abs(first - reference) / np.abs(reference))), "error_of": of}

    return accuracy


def _product_rule(function: Callable[[np.ndarray], np.ndarray], rho: float, nodes: int = 60) -> float:
    """E φ(x) φ(y) of standard normals of correlation `rho`."""
    x, weights = _rule(nodes)
    second = function(rho * x[:, None] + math.sqrt(1 - rho * rho) * x)
    return float((weights * function(x)) @ second @ weights)


def _rule(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    x, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return x, weights / weights.sum()


@job("limiting cosine of Theorem 1, 100 000 cosines", "cosine", ("ours", "naive"))
def _limiting_cosine() -> dict[str, Route]:
    many = np.random.default_rng(0).uniform(-0.99, 0.99, 100_000)
    few = many[:50]
    accuracy = against(
        [float(naive_contraction.kappa(naive_contraction.correlation(c, 1, 1))) for c in few], _TO_40_DIGITS
    )

    def by_quadrature() -> list[float]:
        rho = (float(preactivation_correlation(c, 1.0, 1.0)) for c in few)
        return [2 * _product_rule(lambda x: np.maximum(x, 0), r) for r in rho]

    return {
        "ours": Route(call=lambda: limiting_cosine(many, 1.0, 1.0), work=many.size, accuracy=accuracy),
        "naive": Route(call=by_quadrature, work=few.size, accuracy=accuracy),
    }


@job("limiting cosine of GELU, 50 cosines", "cosine", ("ours", "naive"))
def _gelu_cosine() -> dict[str, Route]:
    cosines, scale = np.linspace(-0.9, 0.9, 50), math.sqrt(2.0)

    def phi(x: np.ndarray) -> np.ndarray:
        return scale * x * special.ndtr(scale * x)

    def by_quadrature(nodes: int = 60) -> list[float]:
        rho = (float(preactivation_correlation(c, 1.0, 1.0)) for c in cosines)
        return [_product_rule(phi, r, nodes) / _product_rule(phi, 1.0, nodes) for r in rho]

    accuracy = against(by_quadrature(240), _TO_EACH_OTHER)
    return {
        "ours": Route(
            call=lambda: activation_limiting_cosine("gelu", cosines, 1.0, 1.0), work=cosines.size, accuracy=accuracy
        ),
        "naive": Route(call=by_quadrature, work=cosines.size, accuracy=accuracy),
    }


@job("cone curve of tanh, 25 layers", "curve", ("ours", "naive"))
def _cone_curve() -> dict[str, Route]:
    def by_quadrature(nodes: int = 60) -> float:
        q, rho = 1.0, 0.0
        for _ in range(25):
            variance = 1.5 * q + 0.1
            scale, both = math.sqrt(variance), (1.5 * q * rho + 0.1) / variance
            q, product = (_product_rule(lambda x, s=scale: np.tanh(s * x), r, nodes) for r in (1.0, both))
            rho = product / q
        return rho

    def ours() -> float:
        return float(cone_curve("tanh", 25, sigma_w2=1.5, sigma_b2=0.1).rho[-1])

    accuracy = against(by_quadrature(240), _TO_EACH_OTHER)
    return {"ours": Route(call=ours, accuracy=accuracy), "naive": Route(call=by_quadrature, accuracy=accuracy)}


@job("moment E[u² v] of ReLU units, a thousand angles", "angle", ("ours", "naive"))
def _relu_moments() -> dict[str, Route]:
    angles = np.linspace(0.5, 3, 1000)
    sine, cosine = math.sin(0.5), math.cos(0.5)
    accuracy = against(float(naive_gaussian.relu_moment(2, 1, 0.5)), _TO_40_DIGITS)

    def in_the_plane() -> float:
        def density(y: float, x: float) -> float:
            return x * x * (cosine * x + sine * y) * math.exp(-(x * x + y * y) / 2) / (2 * math.pi)

        return integrate.dblquad(density, 0, 10, lambda x: -cosine / sine * x, 10)[0]

    return {
        "ours": Route(call=lambda: relu_moment(2, 1, angles), work=angles.size, accuracy=accuracy),
        "naive": Route(call=in_the_plane, accuracy=accuracy),
    }


@job("mean correction of the cosine at finite width", "correlation", ("ours", "naive"))
def _mean_correction() -> dict[str, Route]:
    many = np.full(1000, 0.5)

    def by_definition() -> float:
        return float(naive_contraction.delta_method(mp.mpf("0.5"))[0])

    accuracy = against(by_definition(), _TO_40_DIGITS)
    return {
        "ours": Route(call=lambda: cosine_mean_correction(many), work=many.size, accuracy=accuracy),
        "naive": Route(call=by_definition, accuracy=accuracy),
    }


@job("critical scale of six swapped pairs", "scale", ("ours", "naive"))
def _critical_scale() -> dict[str, Route]:
    points = circle_points(6, 20.0)

    def by_definition() -> float:
        return float(naive_mismatch.critical_root(points, points, PAIRING_SWAPPED, 20, 23))

    accuracy = against(by_definition(), _TO_40_DIGITS)
    return {
        "ours": Route(call=lambda: critical_scale(points, points, PAIRING_SWAPPED).scale, accuracy=accuracy),
        "naive": Route(call=by_definition, accuracy=accuracy),
    }


@job("von Mises–Fisher log normaliser, dimension 512", "value", ("ours", "naive", "peer-scipy"))
def _log_partition() -> dict[str, Route]:
    dim = 512
    kappas = np.linspace(1, 400, 1000)
    order = dim / 2 - 1

    def by_mpmath() -> float:
        with mp.workdps(20):
            return float(mp.log(mp.hyp0f1(mp.mpf(dim) / 2, mp.mpf(kappas[-1]) ** 2 / 4)))

    def by_scipy() -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.log(special.ive(order, kappas)) + kappas + special.gammaln(dim / 2) - order * np.log(kappas / 2)

    accuracy = against(by_mpmath(), "relative, against 20 digits, at 400")
    return {
        "ours": Route(
            call=lambda: log_partition(dim, kappas), work=kappas.size, accuracy=lambda found: accuracy(found[-1])
        ),
        "naive": Route(call=by_mpmath, accuracy=accuracy),
        "peer-scipy": Route(call=by_scipy, work=kappas.size, accuracy=lambda found: accuracy(found[-1])),
    }


@job("von Mises–Fisher concentration of a resultant, dimension 512", "value", ("ours", "naive"))
def _concentration() -> dict[str, Route]:
    dim, many = 512, np.linspace(0.5, 0.9, 1000)

    def by_root() -> float:
        def ratio(kappa: Any) -> Any:
            return kappa / dim * mp.hyp0f1(mp.mpf(dim) / 2 + 1, kappa**2 / 4) / mp.hyp0f1(mp.mpf(dim) / 2, kappa**2 / 4)

        with mp.workdps(20):
            return float(mp.findroot(lambda kappa: ratio(kappa) - 0.5, (300, 400)))

    accuracy = against(by_root(), "relative, against 20 digits, at 0.5")
    return {
        "ours": Route(call=lambda: concentration(dim, many), work=many.size, accuracy=accuracy),
        "naive": Route(call=by_root, accuracy=accuracy),
    }


@job("von Mises–Fisher draws, dimension 512, concentration 300", "point", ("ours", "peer-scipy"))
def _cone_draws() -> dict[str, Route]:
    dim, kappa, n = 512, 300.0, 1000
    rng = np.random.default_rng(0)
    law, axis = moments(dim, kappa), np.eye(dim)[0]
    scipy_law = stats.vonmises_fisher(axis, kappa)  # pyright: ignore[reportArgumentType]

    def z(points: np.ndarray) -> dict[str, float]:
        heights = points[:, 0]
        return {"z": float((heights.mean() - law.resultant) / (heights.std(ddof=1) / math.sqrt(len(heights))))}

    return {
        "ours": Route(call=lambda: sample_cone(dim, kappa, n, rng=rng), work=n, accuracy=z),
        "peer-scipy": Route(call=lambda: scipy_law.rvs(n, random_state=rng), work=n, accuracy=z),
    }


@job("layer of orthogonal weights, 256 units", "trial", ("ours", "naive", "peer-scipy"))
def _orthogonal() -> dict[str, Route]:
    width, trials, few = 256, 512, 2
    rng = np.random.default_rng(0)
    mean, variance = float(limiting_cosine(0.5, 1.0, 1.0, sigma_b2=0.0)), float(orthogonal_cosine_variance(0.5))

    def z(cosines: np.ndarray) -> dict[str, Any]:
        return {"z": float((np.mean(cosines) - mean) / math.sqrt(variance / width / len(cosines)))}

    def layer(weights: np.ndarray) -> float:
        u, v = np.maximum(weights[:, :2] @ np.array([[1, 0.5], [0, math.sqrt(0.75)]]), 0).T
        return float(u @ v / math.sqrt((u @ u) * (v @ v)))

    def haar() -> np.ndarray:
        q, r = np.linalg.qr(rng.standard_normal((width, width)))
        return q * np.sign(np.diagonal(r))

    def by_scipy() -> list[float]:
        return [layer(stats.ortho_group.rvs(width, random_state=rng)) for _ in range(few)]

    return {
        "ours": Route(call=lambda: sample_orthogonal_cosines(0.5, width, trials, rng=rng), work=trials, accuracy=z),
        "naive": Route(call=lambda: [layer(haar()) for _ in range(few)], work=few, accuracy=z),
        "peer-scipy": Route(call=by_scipy, work=few, accuracy=z),
    }


JOBS: tuple[Job, ...] = (
    _limiting_cosine,
    _gelu_cosine,
    _cone_curve,
    _relu_moments,
    _mean_correction,
    _critical_scale,
    _log_partition,
    _concentration,
    _cone_draws,
    _orthogonal,
)
