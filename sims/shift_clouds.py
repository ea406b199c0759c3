"""The embedding shift of ideal paired clouds, whose expected loss `conetheory.shift_limit` has in closed form.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Sec. 4.2 and Fig. 3.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_count
from conetheory._scalars import as_fraction, number
from conetheory._shift_geometry import as_vector, temperature_axis
from sims.cones import sample_directions
from sims.shift_landscape import shift_landscape

__all__ = ["PairedClouds", "SimulatedShift", "sample_parallel_clouds", "simulate_shift"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedClouds:
    """Paired unit rows of two modalities.

    Attributes
    ----------
    x, y : ndarray, shape (2 n, d + 1)
        Row i of both is pair i; pair n + i is pair i with its directions reversed.
    """

    x: Float[np.ndarray, "m k"]
    y: Float[np.ndarray, "m k"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedShift:
    """Mean loss of independent clouds over shifts and temperatures.

    Attributes
    ----------
    lambdas : ndarray, shape (L,)
        Shifts, in units of the gap vector.
    temperatures : ndarray, shape (T,)
        Temperatures τ.
    x_to_y, y_to_x, loss : ndarray, shape (clouds, T, L)
        Loss of each cloud in both directions, and their mean, in nats.
    """

    lambdas: np.ndarray
    temperatures: np.ndarray
    x_to_y: np.ndarray
    y_to_x: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """Symmetric loss of each cloud, shape (clouds, T, L)."""
        return (self.x_to_y + self.y_to_x) / 2

    @property
    def mean(self) -> np.ndarray:
        """Mean of the symmetric loss over clouds, shape (T, L)."""
        return self.loss.mean(axis=0)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of `mean`, shape (T, L); NaN for one cloud."""
        if len(self.x_to_y) < 2:
            return np.full(self.x_to_y.shape[1:], np.nan)
        return self.loss.std(axis=0, ddof=1) / np.sqrt(len(self.x_to_y))


def sample_parallel_clouds(
    dim: int, matched_cosine: float, height: float, n: int, *, rng: np.random.Generator | int | None = None
) -> PairedClouds:
    """Draw pairs of the parallel clouds of `conetheory.shift_limit`, and after them their mirror images.

    A mirror image has the cosines of its pair and the opposite directions: so the gap vector is that of the law
    exactly, (0, ..., 0, 2γ), and all that is left to chance is the loss of a batch.

    Parameters
    ----------
    dim : int
        Dimension d ≥ 2 of the directions.
    matched_cosine : float
        ρ in (-1, 1), of the two directions of a pair.
    height : float
        γ in (0, 1), half the gap.
    n : int
        Independent pairs.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    PairedClouds
        2n pairs.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    """
    rng, dim, height = np.random.default_rng(rng), as_count("dim", dim, minimum=2), as_fraction("height", height)
    rho = number("matched_cosine", matched_cosine)
    if not -1 < rho < 1:
        raise ValueError(f"`matched_cosine` must lie in (-1, 1), got {rho!r}.")
    own, other = sample_directions(dim, n, rng=rng), sample_directions(dim, n, rng=rng)
    other -= np.sum(own * other, axis=1, keepdims=True) * own
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    clouds = []
    for directions, side in ((own, height), (rho * own + np.sqrt((1 - rho) * (1 + rho)) * other, -height)):
        ring = np.sqrt((1 - height) * (1 + height)) * np.concatenate([directions, -directions])
        clouds.append(np.column_stack([ring, np.full(2 * n, side)]))
    return PairedClouds(x=clouds[0], y=clouds[1])


def simulate_shift(
    dim: int,
    matched_cosine: float,
    height: float,
    lambdas: ArrayLike,
    temperatures: ArrayLike,
    *,
    batch: int = 50,
    n_batches: int = 20,
    n_clouds: int = 8,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> SimulatedShift:
    """Loss along the shift ([1]_, Fig. 3 b-d) of independent parallel clouds, in batches of independent pairs.

    Parameters
    ----------
    dim, matched_cosine, height
        As in `sample_parallel_clouds`.
    lambdas, temperatures, workers
        As in `sims.shift_landscape.shift_landscape`, which measures it.
    batch, n_batches, n_clouds : int
        Pairs of a batch, independent batches of a cloud (each with its mirror image), clouds.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    SimulatedShift
        Its expectation is `conetheory.shift_limit.batch_loss` at `conetheory.shift_limit.shift_scale`, for every number
        of batches.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or a row is shifted onto the origin.

    Examples
    --------
    >>> found = simulate_shift(8, 0.6, 0.5, [0.0, 0.5], 0.1, batch=10, n_batches=4, n_clouds=3, rng=0)
    >>> found.mean.shape, bool(np.all(found.stderr > 0))
    ((1, 2), True)
    """
    lambdas, temperatures = as_vector("lambdas", lambdas), temperature_axis("temperatures", temperatures)
    batch, n_batches = as_count("batch", batch), as_count("n_batches", n_batches)
    losses = []
    for stream in np.random.default_rng(rng).spawn(as_count("n_clouds", n_clouds)):
        clouds = sample_parallel_clouds(dim, matched_cosine, height, batch * n_batches, rng=stream)
        found = shift_landscape(clouds.x, clouds.y, lambdas, temperatures, batch=batch, workers=workers)
        losses.append((found.x_to_y, found.y_to_x))
    x_to_y, y_to_x = np.swapaxes(losses, 0, 1)
    return SimulatedShift(lambdas=lambdas, temperatures=temperatures, x_to_y=x_to_y, y_to_x=y_to_x)
