"""Dual activations of a million correlations, and of ten thousand by quadrature, with the error of each row.

The error is the largest over 12 correlations, 1e-12 from +-1 among them, against mpmath at 40 digits, relative to the
value at correlation 1. The rows of neural-tangents need its own environment: see peers/README.md.
"""

import functools
import json
import os
import subprocess
import time
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from conetheory.dual import dual_activation, second_moment
from tests import naive_dual

SIDE = {"closed": 1000, "quadrature": 100}
NAMES = ("relu", "leaky_relu", "abs", "erf", "gelu", "sin", "cos", "gaussian")
CHECKED = 12
WORKER = Path(__file__).parent / "peers" / "neural_tangents_duals.py"
ROUNDS = 25


def correlations(kind: str) -> np.ndarray:
    """Return an (n, n) array, its first values near and at the ends."""
    rho = np.random.default_rng(0).uniform(-1, 1, (SIDE[kind], SIDE[kind]))
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
    values = [left @ np.tanh(r * x[:, None] + np.sqrt(1 - r * r) * x) @ weights for r in rho.flat]
    return np.reshape(values, rho.shape)


@functools.cache
def exact(name: str) -> list[mp.mpf]:
    """The oracle at the checked correlations."""
    rho = correlations("quadrature" if name == "tanh" else "closed").flat[:CHECKED]
    if name == "tanh":
        return [naive_dual.analytic_mean(mp.tanh, float(r), 1, 1) for r in rho]
    return [naive_dual.dual_activation(name, float(r)) for r in rho]


def error(name: str, values) -> float:
    """The largest error of the first values, relative to the value at correlation 1."""
    difference = [abs(float(mp.mpf(float(v)) - e)) for v, e in zip(values, exact(name), strict=False)]
    return max(difference) / float(second_moment(name, 1.0))


class Peer:
    """The worker, started once for each array of correlations."""

    def __init__(self, python: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [python, str(WORKER), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.read()

    def read(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer ended; is CONETHEORY_PEERS the python of its environment?")
        return json.loads(line)

    def call(self, name: str, dtype: str) -> dict:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name} {dtype}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module", params=["closed", "quadrature"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def peer(kind, tmp_path_factory):
    """The worker on the correlations of `kind`, or None."""
    python = os.environ.get("CONETHEORY_PEERS")
    if not python:
        yield None
        return
    path = tmp_path_factory.mktemp("peer") / "correlations.npy"
    np.save(path, correlations(kind))
    worker = Peer(python, path)
    yield worker
    worker.close()


def side_by_side(ours, peer: Peer, name: str, dtype: str) -> dict[str, float]:
    """Time one call of each in turn; the best of each, which other work on the machine disturbs least."""
    peer.call(name, dtype)
    seconds = np.empty((ROUNDS, 2))
    for k in range(ROUNDS):
        start = time.perf_counter()
        ours()
        seconds[k] = time.perf_counter() - start, peer.call(name, dtype)["seconds"]
    ms = seconds.min(axis=0) * 1e3
    return {f"ours_ms_beside_{dtype}": ms[0], f"peer_ms_{dtype}": ms[1], f"peer_over_ours_{dtype}": ms[1] / ms[0]}


def methods(name: str, rho: np.ndarray, peer: Peer | None) -> dict:
    """Return what each row calls."""
    few = rho.flat[:CHECKED]
    found = {
        "ours": lambda: dual_activation(name, rho),
        "naive": lambda: gauss_hermite(rho) if name == "tanh" else textbook(name, rho),
        "mpmath": lambda: [
            naive_dual.analytic_mean(mp.tanh, few[7], 1, 1)
            if name == "tanh"
            else naive_dual.dual_activation(name, few[7])
        ],
    }
    if peer is not None:
        found |= {
            f"neural-tangents {dtype}": lambda d=dtype: peer.call(name, d)["values"] for dtype in ("float64", "float32")
        }
    return found


def compare(benchmark, name: str, method: str, rho: np.ndarray, peer: Peer | None) -> None:
    if method.startswith("neural-tangents") and peer is None:
        pytest.skip("set CONETHEORY_PEERS to the python of the peers' environment (benchmarks/peers/README.md)")
    call = methods(name, rho, peer)[method]
    values = call()  # compiled before it is timed
    if method == "mpmath" or name == "tanh":
        benchmark.pedantic(call, rounds=3)
    else:
        benchmark(call)
    if method == "mpmath":
        benchmark.extra_info["correlations"] = 1
        return
    benchmark.extra_info |= {"correlations": rho.size, "error": error(name, np.ravel(values)[:CHECKED])}
    if method == "ours" and peer is not None:
        for dtype in ("float64", "float32"):
            benchmark.extra_info |= side_by_side(call, peer, name, dtype)


METHODS = ("ours", "neural-tangents float64", "neural-tangents float32", "naive", "mpmath")


@pytest.mark.parametrize("kind", ["closed"], indirect=True)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_a_million_correlations(benchmark, peer, kind, name, method):
    benchmark.group = f"{name}, a million correlations (mpmath: one)"
    compare(benchmark, name, method, correlations(kind), peer)


@pytest.mark.parametrize("kind", ["quadrature"], indirect=True)
@pytest.mark.parametrize("method", [method for method in METHODS if method != "neural-tangents float32"])
def test_ten_thousand_correlations_of_tanh(benchmark, peer, kind, method):
    benchmark.group = "tanh, ten thousand correlations (mpmath: one)"
    compare(benchmark, "tanh", method, correlations(kind), peer)
