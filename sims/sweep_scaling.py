r"""What a sweep would do on more cores than one has: a simulation of its coordinator, its scheduler and its workers.

One process hands out the blocks and takes them back, at most one at a time, and one scheduler passes each on. A block
that takes b seconds keeps P workers busy only if both do P / b tasks a second: with c seconds of the coordinator and s
of the scheduler a task, the efficiency is at most

.. math:: \min\Bigl(1, \frac{b}{P \max(c, s)}\Bigr),

and for blocks longer than that :math:`P \max(c, s)` the end of the sweep is what is lost, when the last blocks run and
most workers wait: about one block in those that a worker does.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from conetheory._arrays import as_count, as_nonnegative, as_positive

__all__ = ["Overheads", "ScaledSweep", "least_block_seconds", "simulate_sweep"]

_FLUSH_BLOCKS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """What a block costs beside its trials, in seconds.

    Attributes
    ----------
    coordinator : float
        Of the process that runs the sweep, a block: handing out, taking back, keeping books.
    scheduler : float
        Of a scheduler between that process and the workers, a block; 0 where there is none.
    flush : float
        Of the same process, for each part that it writes: 4096 blocks.
    latency : float
        Of the network, one way; it costs nothing while every worker has a second block waiting.
    """

    coordinator: float
    scheduler: float = 0.0
    flush: float = 0.0
    latency: float = 0.0

    def __post_init__(self) -> None:
        as_positive("coordinator", self.coordinator)
        for name in ("scheduler", "flush", "latency"):
            as_nonnegative(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledSweep:
    """A simulated sweep.

    Attributes
    ----------
    seconds : float
        From the first block handed out to the last one taken back.
    efficiency : float
        Seconds of trials over seconds of all workers.
    coordinator_busy, scheduler_busy : float
        Shares of the time in which each had work.
    """

    seconds: float
    efficiency: float
    coordinator_busy: float
    scheduler_busy: float


def simulate_sweep(
    n_workers: int,
    block_seconds: float,
    *,
    overheads: Overheads,
    blocks_a_worker: int = 20,
    spread: float = 0.1,
    in_flight: int | None = None,
    rng: np.random.Generator | int | None = None,
) -> ScaledSweep:
    """Simulate a sweep event by event.

    Parameters
    ----------
    n_workers : int
        Workers, one core each.
    block_seconds : float
        Mean time of a block on a worker.
    overheads : Overheads
        Measured, as by ``python -m benchmarks.sweep_overheads``.
    blocks_a_worker : int
        Blocks of the sweep over workers.
    spread : float
        Standard deviation of the time of a block over its mean; a block takes a gamma-distributed time.
    in_flight : int, optional
        As in `sims.sweep.run_sweep`; twice the workers by default.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ScaledSweep
        Time, efficiency, and who was busy.

    Examples
    --------
    >>> cheap = Overheads(coordinator=1e-4)
    >>> round(simulate_sweep(100, 1.0, overheads=cheap, rng=0).efficiency, 1)
    1.0
    >>> round(simulate_sweep(100, 0.001, overheads=cheap, rng=0).efficiency, 2)  # b / (P c) = 0.1
    0.1
    """
    n_workers, block_seconds = as_count("n_workers", n_workers), float(as_positive("block_seconds", block_seconds))
    n_blocks = n_workers * as_count("blocks_a_worker", blocks_a_worker)
    in_flight = as_count("in_flight", 2 * n_workers if in_flight is None else in_flight)
    lengths = _lengths(block_seconds, float(as_nonnegative("spread", spread)), n_blocks, np.random.default_rng(rng))
    free = [0.0] * n_workers  # when each worker ends what it has
    coming: list[float] = []  # when each result arrives
    half, latency = overheads.coordinator / 2, overheads.latency
    now = busy = scheduled = 0.0
    handed = taken = 0
    while taken < n_blocks:
        while handed < n_blocks and len(coming) < in_flight:
            now, busy = now + half, busy + half
            scheduled = max(scheduled, now) + overheads.scheduler
            end = max(free[0], scheduled + latency) + lengths[handed]
            heapq.heapreplace(free, end)
            heapq.heappush(coming, end + latency)
            handed += 1
        cost = half + (overheads.flush if (taken + 1) % _FLUSH_BLOCKS == 0 else 0.0)
        now, busy = max(now, heapq.heappop(coming)) + cost, busy + cost
        taken += 1
    return ScaledSweep(
        seconds=now,
        efficiency=sum(lengths) / (n_workers * now),
        coordinator_busy=busy / now,
        scheduler_busy=n_blocks * overheads.scheduler / now,
    )


def _lengths(mean: float, spread: float, n: int, rng: np.random.Generator) -> list[float]:
    if spread == 0:
        return [mean] * n
    return rng.gamma(1 / spread**2, mean * spread**2, n).tolist()


def least_block_seconds(n_workers: int, *, overheads: Overheads, efficiency: float = 0.9) -> float:
    r"""Return the block below which `n_workers` workers cannot be kept busy: :math:`e P \max(c, s)`.

    Parameters
    ----------
    n_workers : int
        Workers, one core each.
    overheads : Overheads
        Their flush counts as its share of a block.
    efficiency : float
        The efficiency e that is asked for, in (0, 1]; a block of twice this length leaves room.

    Examples
    --------
    >>> round(least_block_seconds(10_000, overheads=Overheads(coordinator=2e-4, scheduler=5e-4)), 6)
    4.5
    """
    n_workers, efficiency = as_count("n_workers", n_workers), float(as_positive("efficiency", efficiency))
    if not efficiency <= 1:
        raise ValueError(f"`efficiency` must lie in (0, 1], got {efficiency!r}.")
    return efficiency * n_workers * max(overheads.coordinator + overheads.flush / _FLUSH_BLOCKS, overheads.scheduler)
