"""Where a flow of free features starts: uniform rows, two cones, parallel modalities; and pairings that are wrong."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from conetheory._arrays import as_count
from conetheory._pairs import unit_pairs
from conetheory._scalars import number
from conetheory.contrastive_gradient import PairVectors

__all__ = ["ParallelParts", "cone_start", "parallel_parts", "parallel_start", "partial_shuffle", "uniform_start"]


def uniform_start(n: int, dim: int, *, rng: np.random.Generator | int | None = None) -> PairVectors:
    """Return independent uniform rows of both modalities.

    Parameters
    ----------
    n, dim : int
        Pairs, and dimension, at least 2.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    PairVectors
        Unit rows, shape (n, dim) each.

    Raises
    ------
    ValueError, TypeError
        If a count is out of range.

    Examples
    --------
    >>> uniform_start(5, 3, rng=0).y.shape
    (5, 3)
    """
    n, dim = as_count("n", n, minimum=2), as_count("dim", dim, minimum=2)
    rng = np.random.default_rng(rng)
    return PairVectors(x=_uniform(rng, n, dim), y=_uniform(rng, n, dim))


def cone_start(
    n: int, dim: int, half_angle: float, axes_angle: float, *, rng: np.random.Generator | int | None = None
) -> PairVectors:
    """Return rows on two narrow cones: all rows of a modality at one angle from its axis, uniform around it.

    Parameters
    ----------
    n, dim : int
        Pairs, and dimension, at least 2.
    half_angle : float
        Angle between a row and its axis, in radians, in [0, π/2].
    axes_angle : float
        Angle between the two axes, in radians, in [0, π].
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    PairVectors
        Unit rows, shape (n, dim) each.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> start = cone_start(4, 3, 0.1, np.pi / 2, rng=0)
    >>> start.x[:, 0].round(6).tolist() == 4 * [round(float(np.cos(0.1)), 6)]
    True
    """
    n, dim = as_count("n", n, minimum=2), as_count("dim", dim, minimum=2)
    half_angle, axes_angle = number("half_angle", half_angle), number("axes_angle", axes_angle)
    for name, angle, most, shown in (
        ("half_angle", half_angle, np.pi / 2, "π/2"),
        ("axes_angle", axes_angle, np.pi, "π"),
    ):
        if not 0 <= angle <= most:
            raise ValueError(f"`{name}` must lie in [0, {shown}], got {angle!r}.")
    rng = np.random.default_rng(rng)
    x, y = (
        np.hstack([np.full((n, 1), np.cos(half_angle)), np.sin(half_angle) * _uniform(rng, n, dim - 1)])
        for _ in range(2)
    )
    turn = np.eye(dim)
    turn[:2, :2] = [[np.cos(axes_angle), np.sin(axes_angle)], [-np.sin(axes_angle), np.cos(axes_angle)]]
    return PairVectors(x=x, y=y @ turn)


def parallel_start(h: ArrayLike, k: ArrayLike, gamma: float) -> PairVectors:
    r"""Return parallel modalities: :math:`[\sqrt{1-\gamma^2}\,h_i, \gamma]`, :math:`[\sqrt{1-\gamma^2}\,k_i, -\gamma]`.

    Parameters
    ----------
    h, k : array_like, shape (n, d)
        Features without a gap; rows are normalised here.
    gamma : float
        In (-1, 1).

    Returns
    -------
    PairVectors
        Unit rows, shape (n, d + 1) each.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> parallel_start([[1.0, 0.0]], [[0.0, 1.0]], 0.6).y.tolist()
    [[0.0, 0.8, -0.6]]
    """
    h, k = unit_pairs(h, k)
    gamma = number("gamma", gamma)
    if not -1 < gamma < 1:
        raise ValueError(f"`gamma` must lie in (-1, 1), got {gamma!r}.")
    root, column = np.sqrt((1 - gamma) * (1 + gamma)), np.full((len(h), 1), gamma)
    return PairVectors(x=np.hstack([root * h, column]), y=np.hstack([root * k, -column]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParallelParts:
    r"""What the model of parallel modalities makes of any two.

    Attributes
    ----------
    h, k : ndarray, shape (n, d)
        Rows without their part along the gap, normalised.
    gamma : float
        Half the distance :math:`\Delta` of the means.
    along_x, along_y : ndarray, shape (n,)
        Part of each row along the unit gap vector; the model holds that all are :math:`\gamma` and :math:`-\gamma`.
    """

    h: Float[np.ndarray, "n d"]
    k: Float[np.ndarray, "n d"]
    gamma: float
    along_x: Float[np.ndarray, " n"]
    along_y: Float[np.ndarray, " n"]

    @property
    def cosines(self) -> Float[np.ndarray, "n n"]:
        r"""Cosines of the model, :math:`(1-\gamma^2)\,h_i\cdot k_j - \gamma^2`."""
        return (1 - self.gamma**2) * (self.h @ self.k.T) - self.gamma**2


def parallel_parts(x: ArrayLike, y: ArrayLike) -> ParallelParts:
    """Take two modalities for parallel ones: the inverse of `parallel_start` where they are.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Rows are normalised here.

    Raises
    ------
    ValueError, TypeError
        If the means coincide, lie 2 apart, or a row lies along the gap.

    Examples
    --------
    >>> start = parallel_start(np.eye(3), np.eye(3), 0.6)
    >>> parts = parallel_parts(start.x, start.y)
    >>> round(parts.gamma, 12), bool(np.allclose(parts.cosines, start.x @ start.y.T))
    (0.6, True)
    """
    x, y = unit_pairs(x, y)
    difference = x.mean(axis=0) - y.mean(axis=0)
    gap = float(np.linalg.norm(difference))
    if not 1e-12 < gap < 2 - 1e-12:
        raise ValueError(f"The means of `x` and `y` must be apart, by less than 2, got {gap!r}.")
    axis = difference / gap
    along = [rows @ axis for rows in (x, y)]
    rests = [rows - np.outer(part, axis) for rows, part in zip((x, y), along, strict=True)]
    for name, rest in zip("xy", rests, strict=True):
        lengths = np.linalg.norm(rest, axis=1, keepdims=True)
        if not lengths.min() > 1e-8:
            raise ValueError(f"`{name}` has a row along the gap: row {int(lengths.argmin())}.")
        rest /= lengths
    return ParallelParts(h=rests[0], k=rests[1], gamma=gap / 2, along_x=along[0], along_y=along[1])


def partial_shuffle(n: int, fraction: float, *, rng: np.random.Generator | int | None = None) -> Int[np.ndarray, " n"]:
    """Return a pairing of n pairs of which a fraction is wrong: that many pairs, chosen at random, in one cycle.

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    fraction : float
        In [0, 1]; the number of wrong pairs is the nearest integer to ``fraction * n``, and 2 where that is 1.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray of int, shape (n,)
        Row i of one modality gets row ``pairing[i]`` of the other.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> pairing = partial_shuffle(10, 0.4, rng=0)
    >>> int(np.sum(pairing != np.arange(10)))
    4
    """
    n, fraction = as_count("n", n, minimum=2), number("fraction", fraction)
    if not 0 <= fraction <= 1:
        raise ValueError(f"`fraction` must lie in [0, 1], got {fraction!r}.")
    wrong = round(fraction * n)
    pairing = np.arange(n)
    if wrong:
        chosen = np.random.default_rng(rng).permutation(n)[: max(2, wrong)]
        pairing[chosen] = np.roll(chosen, 1)
    return pairing


def _uniform(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((n, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
