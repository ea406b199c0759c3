"""Weights of the paired bootstrap, a chunk at a time. Private: inputs are already validated."""

from collections.abc import Iterable, Iterator

import numpy as np

from .estimate import Estimate

__all__ = ["bootstrap_estimate", "weight_chunks"]


def weight_chunks(
    places: Iterable[slice], n_bootstrap: int, groups: np.ndarray | None, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the weights of the pairs in each of the consecutive `places`, shape (rows, 1 + n_bootstrap).

    Column 0 is all ones, the data themselves; the others are independent Poisson(1) counts, how often a replicate drew
    the pair (x_i, y_i): the paired bootstrap with a random number of draws, which needs no second look at the other
    pairs. Pairs of one group are drawn together. The counts do not depend on how the pairs are cut into places.
    """
    table = np.empty((0, n_bootstrap), dtype=np.uint8)
    if groups is not None:
        table = rng.poisson(1.0, (int(groups.max()) + 1, n_bootstrap)).astype(np.uint8)
    for place in places:
        rows = place.stop - place.start
        weights = np.ones((rows, 1 + n_bootstrap))
        weights[:, 1:] = rng.poisson(1.0, (rows, n_bootstrap)) if groups is None else table[groups[place]]
        yield weights


def bootstrap_estimate(replicates: np.ndarray) -> Estimate:
    """Return the value on the data, replicate 0, and the standard deviation of the others.

    Replicates without a value (fewer than two distinct pairs drawn, which happens to very few pairs) are left out.
    """
    others = replicates[1:][np.isfinite(replicates[1:])]
    stderr = np.std(others, ddof=1) if len(others) > 1 else np.nan
    return Estimate(value=float(replicates[0]), stderr=float(stderr))
