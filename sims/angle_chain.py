r"""Two inputs through many random layers, sampled exactly without drawing a weight.

Given the two squared norms and the cosine before a layer, the pre-activations of its units are iid normal pairs, so
norms and cosine form a Markov chain whose step costs d angles and d exponentials, not d² normals. ReLU layers have
weights of variance :math:`\sigma_w^2/d` and biases of variance :math:`\sigma_b^2/d`; shaped layers have slopes of
either sign and no biases. Both carry 1 − cos, and the difference of the norms, so that they stay exact deep in the
cone, down to :math:`1 - \cos \approx 10^{-300}` (`docs/theory.md`, 15.6). From 32 units on a layer is
summed in float32, sixteen networks at a time; the state stays in float64.

References
----------
.. [1] C. Jakub and M. Nica, "Depth Degeneracy in Neural Networks", JMLR 25:239, 2024.
.. [2] M. Li, M. Nica and D. Roy, "The Neural Covariance SDE", NeurIPS 2022, arXiv:2206.02768.
"""

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_array, as_cosine, as_count, as_nonnegative, as_positive
from sims import _chain_kernels
from sims._layer_trials import KERNELS, LANES_FROM, as_width
from sims._streams import map_blocks

__all__ = ["AngleChains", "sample_angle_chains", "sample_chains_direct", "sample_shaped_chains"]

_lanes: Any = import_module("sims._chain_lanes") if KERNELS == "16 lanes" else None

_NUMBERS_AT_ONCE = 1 << 16  # weights drawn at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AngleChains:
    """Independent networks, two inputs each; index l on axis 1 is after l layers, 0 the inputs.

    Attributes
    ----------
    complement : ndarray, shape (n, depth + 1)
        1 - cos of the two activation vectors; NaN from a zero vector on. Relative error about 1e-6 a layer of 32 units
        or more, and about 1e-14 a narrower one, unless a layer closes the angle by many orders: vectors that are
        parallel (one active unit) get up to 1e-16 times the complement before the layer.
    energy : ndarray, shape (n, depth + 1, 2)
        Their squared norms, with the same relative errors; one beyond the range of a double is 0 or infinite, and NaN
        from the next layer on, as the complement is then.
    """

    complement: Float[np.ndarray, "n depth+1"]
    energy: Float[np.ndarray, "n depth+1 2"]

    @property
    def cosine(self) -> Float[np.ndarray, "n depth+1"]:
        """Cosine of the two vectors."""
        return 1.0 - self.complement

    @property
    def theta(self) -> Float[np.ndarray, "n depth+1"]:
        """Angle of the two vectors in radians, with the relative accuracy of `complement`."""
        return _angle(self.complement)


def _angle(complement: np.ndarray) -> np.ndarray:
    return 2 * np.arctan2(np.sqrt(complement), np.sqrt(np.maximum(2.0 - complement, 0.0)))


def _started(theta0: float, n: int, depth: int) -> np.ndarray:
    theta0 = float(as_array("theta0", theta0))
    if not 0 <= theta0 <= math.pi:
        raise ValueError(f"`theta0` must lie in [0, pi], got {theta0!r}.")
    complement = np.empty((as_count("n", n), as_count("depth", depth) + 1))
    complement[:, 0] = 2 * math.sin(theta0 / 2) ** 2
    return complement


def _source(stream: np.random.Generator, chains: slice, width: int) -> tuple[Any, Any]:
    """Return the kernels for layers of this width, and what they draw from: the stream, or words for each team."""
    if KERNELS == "plain" or width < LANES_FROM:
        return _chain_kernels, stream
    teams = -(-(chains.stop - chains.start) // _lanes.TEAM)
    return _lanes, stream.integers(0, 1 << 32, (teams, _lanes.SEEDS), dtype=np.uint32)


def sample_angle_chains(
    theta0: float,
    width: int,
    depth: int,
    n: int,
    *,
    norm_u: float = 1.0,
    norm_v: float = 1.0,
    sigma_w2: float = 2.0,
    sigma_b2: float = 0.0,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> AngleChains:
    r"""Sample cosine and norms of two inputs after each layer of random ReLU networks.

    Parameters
    ----------
    theta0 : float
        Angle of the inputs in radians, in [0, pi].
    width, depth, n : int
        Units of every layer; layers; independent networks.
    norm_u, norm_v : float
        Norms of the inputs, positive.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight, positive, and of a bias, at least 0. The default is He's: the expected
        squared norms stay.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    AngleChains
        The states.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Examples
    --------
    >>> sample_angle_chains(0.5, 64, 3, 1000, rng=0).theta[:, [0, 3]].mean(axis=0).round(1)
    array([0.5, 0.4])
    """
    width, complement = as_width(width), _started(theta0, n, depth)
    energy = np.empty((*complement.shape, 2))
    energy[:, 0] = float(as_positive("norm_u", norm_u)) ** 2, float(as_positive("norm_v", norm_v)) ** 2
    variances = float(as_positive("sigma_w2", sigma_w2)), float(as_nonnegative("sigma_b2", sigma_b2))

    def fill(stream: np.random.Generator, chains: slice) -> None:
        kernels, source = _source(stream, chains, width)
        kernels.fill_relu_chains(source, complement[chains], energy[chains], width, *variances)

    map_blocks(fill, len(complement), rng=rng, workers=as_count("workers", workers))
    return AngleChains(complement=complement, energy=energy)


def sample_shaped_chains(
    rho0: float,
    width: int,
    depth: int,
    n: int,
    *,
    slope_plus: float,
    slope_minus: float,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> Float[np.ndarray, "n depth+1"]:
    r"""Sample the cosine after each layer of random networks of slope `slope_plus` above 0 and `slope_minus` below.

    Parameters
    ----------
    rho0 : float
        Cosine of the inputs, in [-1, 1].
    width, depth, n : int
        Units of every layer; layers; independent networks.
    slope_plus, slope_minus : float
        Slopes of the activation, not both 0. Shaped networks have :math:`1 + c_\pm/\sqrt{d}` [2]_.
    rng, workers
        As in `sample_angle_chains`.

    Returns
    -------
    ndarray, shape (n, depth + 1)
        Cosines; NaN from a zero vector on.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Examples
    --------
    >>> sample_shaped_chains(0.5, 64, 4, 2, slope_plus=1.0, slope_minus=1.0, rng=0).shape
    (2, 5)
    """
    rho0 = float(as_cosine("rho0", rho0))
    width, complement = as_width(width), _started(0.0, n, depth)
    slopes = float(as_array("slope_plus", slope_plus)), float(as_array("slope_minus", slope_minus))
    if slopes == (0.0, 0.0):
        raise ValueError("`slope_plus` and `slope_minus` must not both be 0, got 0.0 and 0.0.")
    complement[:, 0] = 1.0 - rho0

    def fill(stream: np.random.Generator, chains: slice) -> None:
        kernels, source = _source(stream, chains, width)
        kernels.fill_shaped_chains(source, complement[chains], width, *slopes)

    map_blocks(fill, len(complement), rng=rng, workers=as_count("workers", workers))
    return 1.0 - complement


def sample_chains_direct(
    theta0: float,
    width: int,
    depth: int,
    n: int,
    *,
    norm_u: float = 1.0,
    norm_v: float = 1.0,
    sigma_w2: float = 2.0,
    sigma_b2: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> AngleChains:
    r"""Sample what `sample_angle_chains` samples by drawing weights and biases: the definition, slow.

    Parameters are those of `sample_angle_chains`; the inputs lie in a plane of `width` dimensions, at least 2.

    Examples
    --------
    >>> sample_chains_direct(0.0, 8, 2, 3, rng=0).cosine[:, 0]
    array([1., 1., 1.])
    """
    complement, width = _started(theta0, n, depth), as_count("width", width, minimum=2)
    energy = np.empty((*complement.shape, 2))
    weight_sd = math.sqrt(float(as_positive("sigma_w2", sigma_w2)) / width)
    bias_sd = math.sqrt(float(as_nonnegative("sigma_b2", sigma_b2)) / width)
    inputs = np.zeros((width, 2))
    inputs[0] = float(as_positive("norm_u", norm_u)), float(as_positive("norm_v", norm_v)) * math.cos(theta0)
    inputs[1, 1] = norm_v * math.sin(theta0)
    rng = np.random.default_rng(rng)
    energy[:, 0] = np.sum(inputs * inputs, axis=0)
    together = max(1, _NUMBERS_AT_ONCE // width**2)
    for chains in (slice(i, min(i + together, n)) for i in range(0, n, together)):
        h = np.broadcast_to(inputs, (chains.stop - chains.start, *inputs.shape))
        for layer in range(1, depth + 1):
            weights, biases = (rng.standard_normal((len(h), width, columns)) for columns in (width, 1))
            h = np.maximum(weight_sd * (weights @ h) + bias_sd * biases, 0)
            energy[chains, layer] = np.sum(h * h, axis=1)
            norms = np.sqrt(np.prod(energy[chains, layer], axis=1))
            inner = np.sum(h[:, :, 0] * h[:, :, 1], axis=1)
            complement[chains, layer] = 1 - np.divide(inner, norms, out=np.full_like(norms, np.nan), where=norms > 0)
    return AngleChains(complement=complement, energy=energy)
