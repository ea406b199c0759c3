"""Validation of two modalities at the public edge: unit rows, matching shapes."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import unit_rows

__all__ = ["unit_modalities", "unit_pairs"]


def unit_modalities(x: ArrayLike, y: ArrayLike) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
    """Return `x` and `y` with unit rows; they may differ in length but share the dimension d."""
    rows_x, rows_y = unit_rows("x", x), unit_rows("y", y)
    if rows_x.shape[1] != rows_y.shape[1]:
        raise ValueError(f"`y` must have the dimension of `x`, got shapes {rows_x.shape} and {rows_y.shape}.")
    return rows_x, rows_y


def unit_pairs(
    x: ArrayLike, y: ArrayLike, *, minimum: int = 1
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    """Return `x` and `y` with unit rows; row i of both is pair i, so the shapes are equal."""
    rows_x, rows_y = unit_rows("x", x, minimum=minimum), unit_rows("y", y, minimum=minimum)
    if rows_x.shape != rows_y.shape:
        raise ValueError(f"`y` must have the shape of `x`, got {rows_x.shape} and {rows_y.shape}.")
    return rows_x, rows_y
