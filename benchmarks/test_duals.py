"""Dual activations of a million correlations, and of ten thousand by quadrature, with the error of each row.

The error is the largest over 12 correlations, 1e-12 from ±1 among them, against mpmath at 40 digits, relative to the
value at correlation 1. The rows of neural-tangents need its own environment: see peers/README.md.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from benchmarks.peers.client import MISSING, Worker, neural_tangents
from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Route, Row, measure
from conetheory.dual import dual_activation, second_moment
from tests import naive_dual

SIDE = {"closed": 1000, "quadrature": 100}
NAMES = ("relu", "leaky_relu", "abs", "erf", "gelu", "sin", "cos", "gaussian", "tanh")
CHECKED = 12
FEW = 100  # correlations of a slow route
METHODS = ("ours", "naive", "naive-mpmath", "peer-neural-tangents", "peer-neural-tangents-float32")
_OF = "at 12 correlations, relative to the value at correlation 1"


def correlations(name: str) -> np.ndarray:
    """Return an (n, n) array, its first values near and at the ends."""
    side = SIDE["quadrature" if name == "tanh" else "closed"]
    rho = np.random.default_rng(0).uniform(-1, 1, (side, side))
    rho.flat[:8] = [1 - 1e-12, 1e-12 - 1, 1 - 1e-6, 1e-6 - 1, 1.0, -1.0, 0.0, 0.5]
    return rho


def textbook(name: str, rho: np.ndarray) -> np.ndarray:
    """The formulas at variance 1 as they are printed."""
    theta = np.arccos(rho)
    relu = (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
    return {
        "relu": lambda: relu,
        "leaky_relu": lambda: 0.01 * rho + 0.99**2 * relu,
        "abs": lambda: 4 * relu - rho,
        "erf": lambda: 2 / np.pi * np.arcsin(2 * rho / 3),
        "gelu": lambda: (rho * np.arccos(-rho / 2) + 1 / np.sqrt(4 - rho**2)) / (2 * np.pi),
        "sin": lambda: np.exp(-1) * np.sinh(rho),
        "cos": lambda: np.exp(-1) * np.cosh(rho),
        "gaussian": lambda: 1 / np.sqrt(9 - 4 * rho**2),
    }[name]()


def gauss_hermite(rho: np.ndarray, order: int = 60) -> np.ndarray:
    """tanh by a product rule, one correlation after the other."""
    x, weights = hermegauss(order)
    weights = weights / weights.sum()
    left = weights * np.tanh(x)
    return np.array([left @ np.tanh(r * x[:, None] + np.sqrt(1 - r * r) * x) @ weights for r in rho])


@functools.cache
def exact(name: str) -> tuple[mp.mpf, ...]:
    """The oracle at the checked correlations."""
    return tuple(by_mpmath(name, r) for r in correlations(name).flat[:CHECKED])


def by_mpmath(name: str, rho: float) -> mp.mpf:
    if name == "tanh":
        return naive_dual.analytic_mean(mp.tanh, float(rho), 1, 1)
    return naive_dual.dual_activation(name, float(rho))


def error(name: str, values: Any) -> dict[str, Any]:
    first = np.ravel(values)[:CHECKED]
    difference = [abs(float(mp.mpf(float(v)) - e)) for v, e in zip(first, exact(name), strict=False)]
    return {"error": max(difference) / float(second_moment(name, 1.0)), "error_of": _OF}


def _peer(worker: Worker, name: str, rho: np.ndarray, dtype: str) -> Route:
    path = Path(tempfile.mkdtemp()) / "correlations.npy"
    np.save(path, rho)

    def ask() -> dict[str, Any]:
        return worker.ask(job="dual", name=name, dtype=dtype, path=str(path))

    return Route(
        call=ask,
        work=rho.size,
        seconds=lambda: ask()["seconds"],
        accuracy=lambda answer: error(name, answer["values"]),
    )


def _routes(name: str) -> dict[str, Route]:
    rho = correlations(name)
    few = rho.flat[:FEW]
    naive: tuple[Callable[[], Any], int] = (
        (lambda: gauss_hermite(few), FEW) if name == "tanh" else (lambda: textbook(name, rho), rho.size)
    )

    def accuracy(values: Any) -> dict[str, Any]:
        return error(name, values)

    found = {
        "ours": Route(call=lambda: dual_activation(name, rho), work=rho.size, accuracy=accuracy),
        "naive": Route(call=naive[0], work=naive[1], accuracy=accuracy),
        "naive-mpmath": Route(call=lambda: by_mpmath(name, few[7])),
    }
    if worker := neural_tangents():
        found["peer-neural-tangents"] = _peer(worker, name, rho, "float64")
        if name != "tanh":
            found["peer-neural-tangents-float32"] = _peer(worker, name, rho, "float32")
    return found


@functools.cache
def rows_of(name: str) -> dict[str, Row]:
    amount = "ten thousand" if name == "tanh" else "a million"
    job = Job(
        name=f"dual activation {name}, {amount} correlations",
        unit="correlation",
        methods=METHODS,
        routes=lambda: _routes(name),
    )
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_dual_activation(benchmark, name, method):
    if method not in rows_of(name):
        pytest.skip(MISSING)
    replay_row(benchmark, rows_of(name)[method])
