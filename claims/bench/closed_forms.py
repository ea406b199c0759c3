"""Jobs that a formula does: dual activations, and the probability that Theorem 1 fails, computed and sampled."""

import math
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

from claims.bench.job import Job, Route

__all__ = ["DUAL", "FAILURE", "RARE_FAILURE", "TANH"]


# --- dual activations -----------------------------------------------------------------------------------------------

_CHECKED = np.array([1 - 1e-12, 1e-12 - 1, 1 - 1e-6, 0.0, 0.5, -0.5])


def _correlations(n: int) -> np.ndarray:
    rho = np.random.default_rng(0).uniform(-1, 1, n)
    rho[: _CHECKED.size] = _CHECKED
    return rho


def _relu_error(values: np.ndarray) -> dict[str, Any]:
    with mp.workdps(40):
        exact = [
            (mp.sqrt(1 - mp.mpf(r) ** 2) + (mp.pi - mp.acos(mp.mpf(r))) * r) / (2 * mp.pi) for r in map(float, _CHECKED)
        ]
        worst = max(abs(mp.mpf(float(v)) - e) / e for v, e in zip(values, exact, strict=False))
    return {"error": float(worst), "error_of": "relative, at six correlations, 1e-12 from ±1 among them"}


def _relu_dual() -> dict[str, Route]:
    from conetheory.dual import dual_activation

    rho = _correlations(1_000_000)

    def textbook() -> np.ndarray:
        theta = np.arccos(rho)
        return (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)

    return {
        "ours": Route(call=lambda: dual_activation("relu", rho), work=rho.size, accuracy=_relu_error),
        "naive": Route(call=textbook, work=rho.size, accuracy=_relu_error),
    }


DUAL = Job(
    name="dual activation of ReLU, a million correlations",
    unit="correlation",
    methods=("ours", "naive"),
    routes=_relu_dual,
)


def _tanh_dual() -> dict[str, Route]:
    from conetheory.dual import dual_activation

    rho, few = _correlations(10_000), _correlations(100)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    left = weights * np.tanh(nodes)

    def product_rule() -> np.ndarray:
        grids = ((r, r * nodes[:, None] + math.sqrt(1 - r * r) * nodes) for r in few)
        return np.array([left @ np.tanh(grid) @ weights for _, grid in grids])

    def error(values: np.ndarray) -> dict[str, Any]:
        fine, fine_weights = np.polynomial.hermite_e.hermegauss(180)
        share = fine_weights / fine_weights.sum()
        exact = (share * np.tanh(fine)) @ np.tanh(0.5 * fine[:, None] + math.sqrt(0.75) * fine) @ share
        return {"error": abs(float(values[4]) - float(exact)), "error_of": "at correlation 1/2, against 180² nodes"}

    return {
        "ours": Route(call=lambda: dual_activation("tanh", rho), work=rho.size, accuracy=error),
        "naive": Route(call=product_rule, work=few.size, accuracy=error),
    }


TANH = Job(
    name="dual activation of tanh, ten thousand correlations",
    unit="correlation",
    methods=("ours", "naive"),
    routes=_tanh_dual,
)


# --- the failure of Theorem 1 ---------------------------------------------------------------------------------------

_COSINE, _ACCURACY = 0.9, 0.01


def _part(relative_stderr: float) -> float:
    """Return which part of an estimate to 1 % a sample with this relative standard error is."""
    return (_ACCURACY / relative_stderr) ** 2


def _counted(width: int, trials: int, probability: float) -> tuple[Callable[[], float], float]:
    """Return a plain count of failures in the reduced law, and its part of an estimate to 1 %."""
    from conetheory.contraction import preactivation_correlation

    rho = float(preactivation_correlation(_COSINE, 1.0, 1.0))
    rng = np.random.default_rng(1)

    def count() -> float:
        first, second = rng.standard_normal((2, trials, width))
        u, v = np.maximum(first, 0), np.maximum(rho * first + math.sqrt(1 - rho * rho) * second, 0)
        inner, norm_u, norm_v = (np.einsum("ij,ij->i", a, b) for a, b in ((u, v), (u, u), (v, v)))
        return float(np.mean(inner <= _COSINE * np.sqrt(norm_u * norm_v)))

    return count, _part(math.sqrt((1 - probability) / (probability * trials)))


def _z(value: float, stderr: float, exact: float) -> dict[str, float]:
    return {"z": (value - exact) / stderr}


def _failure() -> dict[str, Route]:
    from conetheory.large_deviation import failure_probability
    from sims.relu_layer import count_failures

    width = 64
    exact = failure_probability(_COSINE, 1.0, 1.0, width)
    trials, few = 65536, 2000
    naive, part = _counted(width, few, exact.value)

    def sampled() -> float:
        return count_failures(_COSINE, 1.0, 1.0, width, n_trials=trials, rng=0) / trials

    def share(n: int) -> Callable[[float], dict[str, float]]:
        return lambda found: _z(found, math.sqrt(exact.value * (1 - exact.value) / n), exact.value)

    return {
        "ours": Route(
            call=lambda: failure_probability(_COSINE, 1.0, 1.0, width),
            accuracy=lambda found: {"error": found.error, "error_of": "relative, as stated"},
        ),
        "sampled": Route(
            call=sampled,
            work=_part(math.sqrt((1 - exact.value) / (exact.value * trials))),
            accuracy=share(trials),
        ),
        "naive": Route(call=naive, work=part, accuracy=share(few)),
    }


FAILURE = Job(
    name="P(failure) = 1e-2, width 64: closed form, samples to 1 %",
    unit="answer",
    methods=("ours", "sampled", "naive"),
    routes=_failure,
)


def _rare_failure() -> dict[str, Route]:
    from conetheory.large_deviation import failure_probability
    from sims.rare_event import sample_failure_probability

    width, trials, few = 64, 4096, 2000
    exact = failure_probability(_COSINE, 1.0, 1.0, width).value
    naive, part = _counted(width, few, exact)

    def ours() -> Any:
        return sample_failure_probability(_COSINE, 1.0, 1.0, width, n_trials=trials, rng=0)

    found = ours()
    return {
        "ours": Route(
            call=ours,
            work=_part(found.stderr / found.value),
            accuracy=lambda estimate: _z(estimate.value, estimate.stderr, exact),
        ),
        "naive": Route(
            call=naive,
            work=part,
            accuracy=lambda share: _z(share, math.sqrt(exact * (1 - exact) / few), exact),
        ),
    }


RARE_FAILURE = Job(
    name="P(failure) = 1e-2, width 64, sampled to 1 %", unit="estimate", methods=("ours", "naive"), routes=_rare_failure
)
