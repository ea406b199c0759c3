"""Losses of shifted pairs summed over all rows, by the fastest kernel that is right for them.

Sixteen shifts are the lanes of a vector in float32 (`sims._landscape_lanes`); what they cannot hold is done row by row
in float64 (`sims._landscape_kernels`): rows whose exponentials leave the range of the common level, shifts that bring a
row near the origin, and everything where `sims._layer_trials.KERNELS` is ``plain``.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from sims._landscape_kernels import add_row_losses
from sims._layer_trials import KERNELS

_lanes: Any = None if KERNELS == "plain" else import_module("sims._landscape_lanes")

__all__ = ["Pairs", "loss_sums", "product_plan", "square_lengths"]

_PANEL = 1 << 20  # products in memory at once: 4 MB
_ALLOWED = 1e-7  # nats by which the cut of the exponentials may change the loss of a row
_SHORTEST = 1 / 16  # squared length from which on float32 is right for a shifted row
_HOTTEST = 1e-30  # inverse temperature from which on float32 can divide by it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Paired rows and what all shifts share: inverse norms, Δ, D = ‖Δ‖², p = XΔ and q = YΔ of the unit rows."""

    x: np.ndarray
    y: np.ndarray
    inverse_x: np.ndarray
    inverse_y: np.ndarray
    delta: np.ndarray
    norm2: float
    p: np.ndarray
    q: np.ndarray


def square_lengths(products: np.ndarray, lambdas: np.ndarray, norm2: float) -> np.ndarray:
    """Return 1 - 2λp + λ²D, shape (L, n): a_i² of `products` p, b_j² of -q."""
    lam = lambdas[:, None]
    return 1 - 2 * lam * products + lam**2 * norm2


def product_plan(betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which increasing inverse temperatures are the sum of two others, and the least factors of the products.

    Row t of the first array holds those two, or -1 twice: 2^(β x) is then a product, and so is its least value.
    """
    plan, floors = np.full((betas.size, 2), -1), np.zeros((betas.size, 2), dtype=np.float32)
    for t, beta in enumerate(betas):
        for i in range(t):
            j = int(np.argmin(np.abs(betas[:t] - (beta - betas[i]))))
            if abs(betas[i] + betas[j] - beta) <= 1e-12 * beta:
                plan[t] = i, j
                floors[t] = np.exp2(_lanes.LEAST * betas[[i, j]] / beta)
                break
    return plan, floors


def loss_sums(pairs: Pairs, lambdas: np.ndarray, betas: np.ndarray, batch: int, workers: int) -> np.ndarray:
    """Return the sums over rows (images, then texts) of their losses, shape (2, T, L); `betas` increase."""
    out = np.zeros((2, betas.size, lambdas.size))
    ends = np.array([[pairs.p.min(), pairs.p.max()], [-pairs.q.max(), -pairs.q.min()]]).ravel()
    short = square_lengths(ends, lambdas, pairs.norm2).min(axis=1) < _SHORTEST
    if KERNELS == "plain" or betas[0] < _HOTTEST:
        short[:] = True
    if not short.all():
        out[:, :, ~short] = _lane_sums(pairs, lambdas[~short], betas, batch, workers)
    if short.any():
        everything = np.arange(len(pairs.x))
        for direction in (0, 1):
            out[direction][:, short] = _plain_sums(pairs, direction, everything, lambdas[short], betas, batch, workers)
    return out


def _plain_sums(
    pairs: Pairs, direction: int, rows: np.ndarray, lambdas: np.ndarray, betas: np.ndarray, batch: int, workers: int = 1
) -> np.ndarray:
    """Return the sums of the losses of `rows` over their batches, shape (T, L), in float64."""
    if direction == 0:
        x, inverse_x, p, y, inverse_y, q = pairs.x, pairs.inverse_x, pairs.p, pairs.y, pairs.inverse_y, pairs.q
    else:  # texts over images: the shift of the one is minus that of the other
        x, inverse_x, p, y, inverse_y, q = pairs.y, pairs.inverse_y, -pairs.q, pairs.x, pairs.inverse_x, -pairs.p
    lam, half = lambdas[:, None], lambdas[:, None] ** 2 * pairs.norm2 / 2

    def some(part: np.ndarray) -> np.ndarray:
        start = part[0] // batch * batch
        keys = slice(start, start + batch)
        products = (x[part] * inverse_x[part, None]) @ (y[keys] * inverse_y[keys, None]).T
        out = np.zeros((betas.size, lambdas.size))
        add_row_losses(
            products,
            part - start,
            np.empty(products.shape[1]),
            1 / np.sqrt(square_lengths(p[part], lambdas, pairs.norm2)),
            1 / np.sqrt(square_lengths(-q[keys], lambdas, pairs.norm2)),
            lambdas,
            lam * p[part] - half,
            -lam * q[keys] - half,
            betas,
            out,
        )
        return out

    parts = [
        part[i : i + 64]
        for part in np.split(rows, np.flatnonzero(np.diff(rows // batch)) + 1)
        for i in range(0, part.size, 64)
    ]
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(some, parts), np.zeros((betas.size, lambdas.size)))


def _blocks(n: int, batch: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, batches, size of a batch): whole batches together as long as their products fit a panel."""
    whole, step = n // batch, max(1, _PANEL // batch**2)
    for first in range(0, whole, step):
        yield first * batch, min(step, whole - first), batch
    if n % batch:
        yield whole * batch, 1, n % batch


def _levels(pairs: Pairs, lambdas: np.ndarray) -> np.ndarray:
    """Return the cosine of an average pair at each shift, shape (L,), from a few hundred pairs."""
    some = slice(None, None, max(1, len(pairs.x) // 256))
    own = np.einsum("ij,ij->i", pairs.x[some], pairs.y[some]) * pairs.inverse_x[some] * pairs.inverse_y[some]
    p, q = np.array([[pairs.p.mean()], [-pairs.q.mean()]])
    squares = square_lengths(p, lambdas, pairs.norm2) * square_lengths(q, lambdas, pairs.norm2)
    return (own.mean() + lambdas * (p + q) - lambdas**2 * pairs.norm2) / np.sqrt(squares[:, 0])


def _lane_sums(pairs: Pairs, lambdas: np.ndarray, betas: np.ndarray, batch: int, workers: int) -> np.ndarray:
    """Return `loss_sums` by the lanes."""
    n, lanes = len(pairs.x), _lanes.LANES
    padded = np.resize(lambdas, (-(-lambdas.size // lanes), lanes))
    squares = padded**2 * pairs.norm2
    levels = _levels(pairs, padded.ravel()).reshape(padded.shape) / np.log(2)
    shifts = np.concatenate([padded, 1 + squares, squares / 2, -levels], axis=1).astype(np.float32)
    plan, floors = product_plan(betas)
    groups = range(len(shifts))
    mantissa = np.ones((len(shifts), 2, betas.size * lanes), dtype=np.float32)
    exponent = np.zeros(mantissa.shape, dtype=np.uint32)
    bad = np.zeros((len(shifts), 2, n), dtype=np.uint8)
    x, y = _singles(pairs.x, pairs.inverse_x), _singles(pairs.y, pairs.inverse_y)
    p, q, scales = (array.astype(np.float32) for array in (pairs.p, pairs.q, betas))
    with ThreadPoolExecutor(workers) as pool:
        for start, batches, size in _blocks(n, batch):
            block = slice(start, start + batches * size)
            columns = np.empty((len(shifts), 3, size * lanes), dtype=np.float32)
            sums = np.empty((len(shifts), betas.size * size * lanes), dtype=np.float32)
            cost = np.float32(2.0**_lanes.LEAST * (size + 4) / _ALLOWED)
            keys = y[block].reshape(batches, size, -1).transpose(0, 2, 1)
            step = max(1, _PANEL // size // 4 * 4) if batches == 1 else size
            for first in range(0, size, step):
                products = x[block].reshape(batches, size, -1)[:, first : first + step] @ keys

                def add(g: int, products=products, first=first, block=block, columns=columns, sums=sums, cost=cost):
                    _lanes.add_panel(
                        products, first, p[block], q[block], shifts[g], plan, scales, floors, cost,
                        columns[g], sums[g], mantissa[g], exponent[g], bad[g, :, block],
                    )  # fmt: skip

                list(pool.map(add, groups))
    good = n - bad.sum(axis=2, dtype=np.int64)
    logs = np.log(2) * (exponent - 127 * good[:, :, None]) + np.log(mantissa.astype(np.float64))
    out = np.ascontiguousarray(logs.reshape(-1, 2, betas.size, lanes).transpose(1, 2, 0, 3))
    for g, direction in np.argwhere(bad.any(axis=2)):
        rows = np.flatnonzero(bad[g, direction])
        out[direction, :, g] += _plain_sums(pairs, int(direction), rows, padded[g], betas, batch, workers)
    return out.reshape(2, betas.size, -1)[:, :, : lambdas.size]


def _singles(rows: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return the unit rows in float32."""
    out = np.empty(rows.shape, dtype=np.float32)
    return np.multiply(rows, inverse[:, None], out=out, casting="same_kind")
