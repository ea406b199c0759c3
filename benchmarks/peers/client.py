"""The other end of a peer's worker: a process in the peer's own environment, asked for one call at a time."""

import functools
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from claims.bench.job import Job, Route
from claims.bench.layers import RHO, WIDTH

__all__ = ["MISSING", "Worker", "neural_tangents", "with_neural_tangents"]

MISSING = "this peer is not installed: see benchmarks/peers/README.md"
_SAMPLES = 32  # of one Monte Carlo kernel


class Worker:
    """A worker, started once; it answers each request, an object on a line, by an object on a line."""

    def __init__(self, python: str, script: Path) -> None:
        self._process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.versions = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer ended; is CONETHEORY_PEERS the python of its environment?")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer: ``seconds`` of processor time of one compiled call, and the first ``values``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the worker: it stops when nothing more can come."""
        self._process.communicate(timeout=60)


@functools.cache
def neural_tangents() -> Worker | None:
    """Return the worker in the environment that ``CONETHEORY_PEERS`` names; None without one.

    It stays until this process ends, which closes its input.
    """
    python = os.environ.get("CONETHEORY_PEERS")
    return Worker(python, Path(__file__).with_name("neural_tangents_worker.py")) if python else None


def with_neural_tangents(job: Job) -> Job:
    """Return `job`, the trial of one layer, with the Monte Carlo kernel of neural-tangents among its routes."""

    def routes() -> dict[str, Route]:
        peer = neural_tangents()
        if peer is None:
            return job.routes()

        def ask() -> dict[str, Any]:
            return peer.ask(job="layer", width=WIDTH, rho=RHO, samples=_SAMPLES)

        route = Route(call=ask, work=_SAMPLES, accuracy=_kernel_error, seconds=lambda: ask()["seconds"])
        return job.routes() | {"peer-neural-tangents": route}

    return replace(job, methods=(*job.methods, "peer-neural-tangents"), routes=routes)


def _kernel_error(answer: dict[str, Any]) -> dict[str, Any]:
    """The peer returns the mean kernel of its samples, not a cosine each: its cosine against that of infinite width."""
    from conetheory.finite_width import cosine_expansion

    inner, norm_u, norm_v = answer["values"]
    error = abs(inner / np.sqrt(norm_u * norm_v) - cosine_expansion(RHO).mean[0])
    return {"error": float(error), "error_of": "cosine of the mean kernel, from the limit of infinite width"}
