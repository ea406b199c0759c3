"""Random points on the sphere, a fraction of whose texts is deranged: critical scales by brute force."""

from dataclasses import dataclass

import numpy as np

from conetheory._arrays import as_count

from .cones import sample_directions
from .displaced_pairs import latitude, leaving_scale

__all__ = ["ShuffledSample", "sample_critical_scales", "shuffled_pairing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShuffledSample:
    """Critical scales of random pairs.

    Attributes
    ----------
    scales : ndarray, shape (n_trials,)
        Scales from which displacing the texts lowers the loss.
    matched : ndarray, shape (n_trials,)
        Mean cosines of the pairs, of expectation 1 - f: a control variate.
    """

    scales: np.ndarray
    matched: np.ndarray


def shuffled_pairing(n: int, n_shuffled: int, *, rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Permutation of 0..n-1 that moves its first `n_shuffled` numbers, each to another place, and fixes the others.

    Parameters
    ----------
    n, n_shuffled : int
        Numbers, and how many of them move: 0 or 2..n.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray of int, shape (n,)
        Uniform among all such permutations.

    Raises
    ------
    ValueError, TypeError
        `n_shuffled` is 1, or larger than `n`.
    """
    rng = np.random.default_rng(rng)
    n, moving = as_count("n", n), as_count("n_shuffled", n_shuffled, minimum=0)
    if moving == 1 or moving > n:
        raise ValueError(f"`n_shuffled` must be 0 or lie in 2..{n}, got {moving}.")
    pairing = np.arange(n)
    while moving and np.any(pairing[:moving] == np.arange(moving)):  # one permutation in e has no fixed point
        pairing[:moving] = rng.permutation(moving)
    return pairing


def sample_critical_scales(
    dim: int, n: int, n_shuffled: int, n_trials: int, *, rng: np.random.Generator | int | None = None
) -> ShuffledSample:
    """Scales from which displacing the texts of random pairs lowers the loss, and the mean cosines of the pairs.

    Parameters
    ----------
    dim : int
        Dimension of the space of the points, at least 2.
    n, n_shuffled : int
        Pairs, and how many of them are mismatched, at least 2.
    n_trials : int
        Sets of points, each with a pairing of its own.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ShuffledSample
        By `sims.displaced_pairs.leaving_scale`, for the common latitude: to about 1e-6 relative.

    Raises
    ------
    ValueError, TypeError
        An argument is out of range, or a set of points repels at no temperature or at every one.
    """
    rng = np.random.default_rng(rng)
    scales, matched = np.empty((2, as_count("n_trials", n_trials)))
    for trial in range(len(scales)):
        points = sample_directions(dim, n, rng=rng)
        texts = points[shuffled_pairing(n, n_shuffled, rng=rng)]
        scales[trial], matched[trial] = leaving_scale(points, latitude(texts)), np.vdot(points, texts) / n
    return ShuffledSample(scales=scales, matched=matched)
