r"""How well embeddings settle the temperature at which closing their gap begins to pay: bootstrap of pairs and orders.

The critical temperature of `conetheory.shift_minimum` is the root of dL/dλ at λ = 0. In batches it depends on the order
of the pairs; here the slope is a mean over random orders, which estimates the slope of a batch of b independent pairs
(a U-statistic of degree b). A replicate draws n of the n pairs with replacement, finds its own gap vector, deals the
copies of a pair to different batches and the batches anew, and solves for its own root. A pair is never a negative of
its own copy. Validity: ``docs/theory.md`` §7 (ours), after Arcones and Giné [1]_.

References
----------
.. [1] M. A. Arcones and E. Giné, "On the bootstrap of U and V statistics", Ann. Statist. 20, 1992.
.. [2] A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", 1997, Sec. 5.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from conetheory._arrays import as_choice, as_count
from conetheory._scalars import as_fraction
from conetheory._shift_geometry import checked_geometry, interval, temperature_axis
from conetheory.contrastive import DIRECTIONS, batch_slices
from sims import _resample_kernels
from sims._layer_trials import KERNELS
from sims._streams import map_blocks
from sims.intervals import Interval

_lanes: Any = None if KERNELS == "plain" else import_module("sims._resample_lanes")

__all__ = ["CriticalTemperatures", "bootstrap_critical_temperature"]

_WIDTH = 16  # columns of a block are padded to a multiple of it
_SCAN = 61  # temperatures between which a change of sign is looked for, as in `conetheory.shift_minimum`
_STREAM = 64  # replicates of one random stream, whose gap vectors are found together
_ORDERS = 16  # the value is averaged over so many times the orders of a resample
_PARTS = {"x-to-y": (1.0, 0.0), "y-to-x": (0.0, 1.0), "symmetric": (0.5, 0.5)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CriticalTemperatures:
    """Critical temperature of given pairs and of their resamples.

    A temperature is 0 where the slope is negative down to the coldest temperature searched (closing always pays), and
    infinite where it is positive up to the warmest (closing never does).

    Attributes
    ----------
    value : float
        Root of the slope averaged over random orders of the given pairs; the warmest where there are several.
    orders : ndarray, shape (K,)
        Root in each of these orders alone; their spread is what the order of the file decides.
    replicates : ndarray, shape (R,)
        Root of each resample, over its own random orders.
    """

    value: float
    orders: np.ndarray
    replicates: np.ndarray

    def interval(self, level: float = 0.05) -> Interval:
        r"""Return the basic bootstrap interval [2]_ of error probability `level`, both sides, cut at 0.

        With the quantiles q of the replicates it is :math:`[2v - q_{1-level/2}, 2v - q_{level/2}]` about the value v: a
        resample has the bias of order 1/n of the value once more, and reflection removes it. Where the value is 0 or
        infinite it is :math:`[q_{level/2}, q_{1-level/2}]`. For one batch of all, n is the size of the batch too: then
        it is an interval for the limit of many pairs.
        """
        level, n = as_fraction("level", level), self.replicates.size
        if not n * level >= 20:
            raise ValueError(f"`level` must be at least 20/{n} for {n} replicates, got {level}.")
        low, high = np.quantile(self.replicates, [level / 2, 1 - level / 2], method="inverted_cdf")
        if 0 < self.value < np.inf:
            low, high = max(2 * self.value - high, 0.0), 2 * self.value - low
        return Interval(low=float(low), high=float(high))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """What all resamples share; `deal` is the order in which places are filled, one of each batch in turn."""

    x: np.ndarray
    y: np.ndarray
    products: np.ndarray
    sizes: np.ndarray
    deal: np.ndarray
    parts: tuple[float, float]
    scales: tuple[float, float]
    level: float
    reach: float


def bootstrap_critical_temperature(
    x: ArrayLike,
    y: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
    bounds: tuple[float, float] = (1 / 300, 1.0),
    n_bootstrap: int = 1000,
    n_orders: int = 4,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> CriticalTemperatures:
    """Critical temperature over random orders of the pairs, with bootstrap replicates.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i, independent of the other pairs; at least 3.
    batch, direction, bounds
        As in `conetheory.shift_minimum.critical_temperature`; None is one batch of all.
    n_bootstrap : int
        Resamples, R.
    n_orders : int
        Random orders a resample is averaged over. The value is averaged over K = 16 times as many.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    CriticalTemperatures
        Roots to a relative 1e-5. Time O(R n_orders n batch) in slopes of some ten temperatures, and O(R n d) for the
        gaps of the resamples; memory 4 n² bytes for all cosines at once, 100 MB for 5,000 pairs.

    Raises
    ------
    ValueError
        If the gap is zero, or an argument is out of range.

    Examples
    --------
    >>> from sims.shift_clouds import sample_parallel_clouds
    >>> clouds = sample_parallel_clouds(16, 0.5, 0.4, 50, rng=0)
    >>> found = bootstrap_critical_temperature(clouds.x, clouds.y, batch=20, n_bootstrap=400, n_orders=1, rng=0)
    >>> found.interval().low < 0.0504 < found.interval().high  # conetheory.shift_limit: (1 - .4²)/16.67
    True
    """
    low, high = interval(bounds)
    temperature_axis("bounds", low)
    pairs = _shared(x, y, batch, direction, (1 / high, 1 / low))
    n_bootstrap, n_orders, workers = (
        as_count(name, value)
        for name, value in (("n_bootstrap", n_bootstrap), ("n_orders", n_orders), ("workers", workers))
    )
    n, (first, second) = len(pairs.x), np.random.default_rng(rng).spawn(2)
    n_orders = 1 if pairs.sizes.size == 1 else n_orders
    everything = np.ones(n, dtype=np.int64)
    p, q = _gap_products(pairs, everything[None])
    slopes = []
    for stream in first.spawn(_ORDERS * n_orders if pairs.sizes.size > 1 else 1):
        slopes.append(_Slope(pairs, 1))
        slopes[-1].resample(p[0], q[0], _placed(pairs, everything, stream))
    scale = _warmest_root(lambda beta: float(np.mean([slope(beta) for slope in slopes])), pairs.scales)
    start = scale if 0 < scale < np.inf else float(np.sqrt(pairs.scales[0] * pairs.scales[1]))

    def some(stream: np.random.Generator, trials: slice) -> list[float]:
        counts = stream.multinomial(n, np.full(n, 1 / n), size=trials.stop - trials.start)
        slope, found = _Slope(pairs, n_orders), []
        for count, own_p, own_q in zip(counts, *_gap_products(pairs, counts), strict=True):
            slope.resample(own_p, own_q, np.concatenate([_placed(pairs, count, stream) for _ in range(n_orders)]))
            found.append(_next_root(slope, start, pairs.scales))
        return found

    found = map_blocks(some, n_bootstrap, rng=second, workers=workers, block=_STREAM)
    return CriticalTemperatures(
        value=_temperature(scale),
        orders=np.array([_temperature(_next_root(slope, start, pairs.scales)) for slope in slopes]),
        replicates=np.array([_temperature(root) for part in found for root in part]),
    )


def _temperature(scale: float) -> float:
    """Return 1/β, with 0 for infinity and infinity for 0."""
    return 1 / scale if scale > 0 else float("inf")


def _shared(x: ArrayLike, y: ArrayLike, batch: int | None, direction: str, scales: tuple[float, float]) -> _Pairs:
    """Return the validated pairs with their cosines."""
    as_choice("direction", direction, DIRECTIONS)
    geometry = checked_geometry(x, y, 1, direction)
    n = len(geometry.x)
    if not n >= 3:
        raise ValueError(f"`x` must have at least 3 rows to resample, got {n}.")
    sizes = np.array([rows.stop - rows.start for rows in batch_slices(n, batch)])
    place_in_batch = np.concatenate([np.arange(size) for size in sizes])
    x, y = geometry.x.astype(np.float32), geometry.y.astype(np.float32)
    products = x @ y.T
    own = np.diagonal(products)
    level = float(own.mean())
    return _Pairs(
        x=x,
        y=y,
        products=products,
        sizes=sizes,
        deal=np.argsort(place_in_batch, kind="stable"),
        parts=_PARTS[direction],
        scales=scales,
        level=level,
        reach=max(float(products.max()) - level, level - float(own.min())),
    )


def _gap_products(pairs: _Pairs, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p = XΔ and q = YΔ of each resample, with its own gap vector Δ; shape (resamples, n) each, float32."""
    weights = counts.astype(np.float32) / np.float32(len(pairs.x))
    gaps = weights @ pairs.x - weights @ pairs.y
    return gaps @ pairs.x.T, gaps @ pairs.y.T


def _placed(pairs: _Pairs, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the pairs, each as often as `counts` says, in a random order in which copies are in different batches.

    They are dealt like cards: copies in a row go to batches in turn (a pair with more copies than there are batches
    meets itself, and where the last batch is short a few others do).
    """
    order = rng.permutation(counts.size)
    places = np.empty(counts.size, dtype=np.uint32)
    places[pairs.deal] = np.repeat(order, counts[order])
    return places


class _Slope:
    """The sign and size of dL/dλ at λ = 0, times τ, of one resample in some orders: a function of β.

    Its memory serves one resample after another.
    """

    def __init__(self, pairs: _Pairs, n_orders: int) -> None:
        self._pairs = pairs
        self._sizes = np.tile(pairs.sizes, n_orders)
        rows = int(pairs.sizes.max())
        shape = self._sizes.size, rows, -(-rows // _WIDTH) * _WIDTH
        self._cosines, self._turns = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        self._own = np.empty((2, *shape[:2]), dtype=np.float32)

    def resample(self, p: np.ndarray, q: np.ndarray, places: np.ndarray) -> None:
        """Take the pairs that stand at `places`, order after order, with their products with the gap vector."""
        blocks = self._cosines, self._turns, self._own
        _resample_kernels.fill_blocks(self._pairs.products, p, q, places, self._sizes, *blocks)

    def __call__(self, beta: float) -> float:
        cold = KERNELS == "plain" or beta * self._pairs.reach > _lanes.TOP
        add_slopes = _resample_kernels.add_slopes if cold else _lanes.add_slopes
        blocks = self._cosines, self._turns, self._own, self._sizes
        return add_slopes(*blocks, beta, self._pairs.level, *self._pairs.parts) / self._sizes.sum()


def _warmest_root(slope: Callable[[float], float], scales: tuple[float, float]) -> float:
    """Return the least β at which the slope changes sign on the scan; 0 or infinity where it does not."""
    grid = np.geomspace(*scales, _SCAN)
    here = slope(float(grid[0])) > 0
    for low, high in pairwise(grid):
        if (slope(float(high)) > 0) != here:
            return _root(slope, float(low), float(high))
    return 0.0 if here else float("inf")


def _next_root(slope: Callable[[float], float], start: float, scales: tuple[float, float]) -> float:
    """Return the root next to `start` on the side to which the sign there points; 0 or infinity if there is none."""
    here, factor = slope(start), 1.1
    positive = here > 0
    while True:
        following = start / factor if positive else start * factor
        following = min(max(following, scales[0]), scales[1])
        if following == start:
            return 0.0 if positive else float("inf")
        if (slope(following) > 0) != positive:
            return _root(slope, *sorted((start, following)))
        start, factor = following, factor**1.5


def _root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Return the root between two β where the signs differ."""
    return float(brentq(slope, low, high, rtol=1e-5, xtol=1e-12))  # type: ignore[arg-type]
