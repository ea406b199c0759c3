"""Points of round cones on the sphere: draws from the von Mises-Fisher law by rejection, no Bessel function involved.

References
----------
.. [1] A. T. A. Wood, "Simulation of the von Mises Fisher distribution", Comm. Statist. Simulation 23, 1994.
"""

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_count, as_nonnegative

__all__ = ["sample_cone", "sample_directions"]


def sample_directions(dim: int, n: int, *, rng: np.random.Generator | int | None = None) -> Float[np.ndarray, "n dim"]:
    """Draw n independent uniform points of the sphere.

    Parameters
    ----------
    dim : int
        Dimension of the surrounding space, at least 1.
    n : int
        Number of points.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n, dim)
        Unit rows.
    """
    rows = np.random.default_rng(rng).standard_normal((as_count("n", n), as_count("dim", dim)))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sample_cone(
    dim: int, kappa: float, n: int, *, rng: np.random.Generator | int | None = None
) -> Float[np.ndarray, "n dim"]:
    r"""Draw from the von Mises-Fisher law of mean direction (1, 0, ..., 0).

    Its density is proportional to :math:`e^{\kappa x_1}`; Wood's rejection [1]_.

    Parameters
    ----------
    dim : int
        Dimension of the surrounding space, at least 2.
    kappa : float
        Concentration, at least 0.
    n : int
        Number of points.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n, dim)
        Unit rows.
    """
    rng = np.random.default_rng(rng)
    dim, kappa, n = as_count("dim", dim, minimum=2), float(as_nonnegative("kappa", kappa)), as_count("n", n)
    first = _first_coordinates(dim, kappa, n, rng)
    across = sample_directions(dim - 1, n, rng=rng)
    return np.column_stack([first, np.sqrt((1.0 - first) * (1.0 + first))[:, None] * across])


def _first_coordinates(dim: int, kappa: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw x_1 by Wood's envelope; about two proposals of three are accepted, at any concentration and dimension."""
    b = (dim - 1) / (2.0 * kappa + np.hypot(2.0 * kappa, dim - 1))
    centre = (1.0 - b) / (1.0 + b)
    top = kappa * centre + (dim - 1) * np.log(4.0 * b / (1.0 + b) ** 2)
    accepted = np.empty(0)
    while len(accepted) < n:
        z = rng.beta(0.5 * (dim - 1), 0.5 * (dim - 1), 2 * n)
        x = (1.0 - (1.0 + b) * z) / (1.0 - (1.0 - b) * z)
        log_ratio = kappa * x + (dim - 1) * np.log1p(-centre * x) - top
        accepted = np.concatenate([accepted, x[-rng.standard_exponential(2 * n) <= log_ratio]])
    return accepted[:n]
