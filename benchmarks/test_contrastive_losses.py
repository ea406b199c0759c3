"""The CLIP loss of a large batch with its gradient: in chunks, against autograd through the matrix of all pairs.

Four matrix products of n²d multiply-adds are what the chunks take, and set the limit; autograd takes three, and moves
the matrix of logits, 256 MB here, a dozen times through memory. Pairs have a cosine of about 0.2: of well matched pairs
loss and gradient are nearly 0 at this temperature, and their relative error says nothing.
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Limit, Route, Row, measure
from claims.bench.limits import gemm_rate
from conetheory.contrastive_gradient import contrastive_gradient

pytest.importorskip("torch", reason="the rows are torch's: pip install 'conetheory[empirical]'")

N, DIM, BETA = 8192, 512, 100.0
SMALL = 512  # pairs that the accuracy is of: float64 for all would take a minute
MEMORY = 15.0  # times as much that autograd takes at least


def embeddings(n: int) -> list[Any]:
    import torch

    source = torch.Generator().manual_seed(0)
    shared, one, other = (torch.randn((n, DIM), generator=source) for _ in range(3))
    return [torch.nn.functional.normalize(0.5 * shared + own, dim=1).requires_grad_() for own in (one, other)]


def ours(x: Any, y: Any) -> Any:
    from empirical.contrastive_loss import clip_loss

    return clip_loss(x, y, BETA)


def autograd(x: Any, y: Any) -> Any:
    import torch

    logits, labels = BETA * (x @ y.T), torch.arange(len(x))
    return (torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.T, labels)) / 2


LOSSES = {"ours": ours, "peer-torch": autograd}


def gradients(method: str, rows: list[Any]) -> list[np.ndarray]:
    """Return the gradients by x and y of a loss, whose graph is gone then."""
    for at in rows:
        at.grad = None
    LOSSES[method](*rows).backward()
    return [at.grad.numpy() for at in rows]


def routes() -> dict[str, Route]:
    import torch

    torch.set_num_threads(1)
    rows, few = embeddings(N), embeddings(SMALL)
    true = contrastive_gradient(*(at.detach().double().numpy() for at in few), 1 / BETA)

    def accuracy(method: str) -> dict[str, Any]:
        found = zip(gradients(method, few), (true.gradient_x, true.gradient_y), strict=True)
        worst = max(np.abs(mine - exact).max() / np.abs(exact).max() for mine, exact in found)
        return {"error": float(worst), "error_of": f"gradient of {SMALL} pairs, relative to its largest entry"}

    def limit() -> Limit:
        return Limit(seconds=4 * 2 * N**2 * DIM / gemm_rate(np.float32), of="four matrix products in float32")

    return {
        method: Route(
            call=lambda method=method: gradients(method, rows),
            accuracy=lambda _, method=method: accuracy(method),
            limit=limit if method == "ours" else None,
        )
        for method in LOSSES
    }


JOB = Job(name=f"CLIP loss and gradient in torch, {N} pairs", unit="gradient", methods=tuple(LOSSES), routes=routes)


@cache
def rows_of_job() -> dict[str, Row]:
    return {row.method: row for row in measure(JOB)}


@cache
def peak_mib(method: str) -> float:
    """Return by how many MiB a process grows at most while it takes the gradient."""
    call = [sys.executable, "-m", "benchmarks.test_contrastive_losses", method]
    settled = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is given back
    return float(subprocess.run(call, check=True, capture_output=True, text=True, env=settled).stdout)


def memory_kib(field: str) -> int:
    """Return a field of Linux's account of this process: ``VmRSS``, memory now, or ``VmHWM``, its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


@REPLAYED
@pytest.mark.timeout(3600)  # two minutes of processor time, which a busy machine makes many
@pytest.mark.parametrize("method", JOB.methods)
def test_clip_loss_in_torch(benchmark, method):
    replay_row(benchmark, rows_of_job()[method])
    if sys.platform == "linux":  # which tells the peak of a process
        benchmark.extra_info["peak_mib"] = peak_mib(method)
        assert MEMORY * peak_mib("ours") <= peak_mib("peer-torch")


if __name__ == "__main__":
    gradients(sys.argv[1], embeddings(64))  # libraries are loaded before memory is looked at
    batch = embeddings(N)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again
    before = memory_kib("VmRSS")
    gradients(sys.argv[1], batch)
    print((memory_kib("VmHWM") - before) / 1024)
