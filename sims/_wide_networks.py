r"""Layers of wide random networks, several networks at once, in float32: the fast half of `sims.deep_mlp`.

The points of a network are held as row 0 and the differences of the other rows to it, which pass a layer as they are
(a bias moves row 0 alone) and so keep their relative accuracy while the points grow together: :math:`1 - \cos` has a
relative error of about 1e-6, however small it is (up to some 1e-5 where the differences happen to lie all but parallel
to the points). What cancels is done in float64: Gram matrices and their Cholesky factors, the angles, and activations
without a formula for differences once the points are close.

Two routes give one law. `GramPoints` draws the pre-activations given the Gram matrix of the points (n d normals for n
points and d units), `WeightPoints` the weights (d² normals).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conetheory.dual import ACTIVATIONS
from sims._network_lanes import (
    fill_piecewise_linear,
    fill_products,
    fill_quadratic_forms,
    fill_tanh,
    fill_unit_weights,
)
from sims._normal_lanes import draw_states, fill_normals, fill_uniforms

__all__ = [
    "GramPoints",
    "LayerLaw",
    "Preactivations",
    "WeightPoints",
    "applied",
    "draw_inputs",
    "draw_states",
    "with_differences",
]

_SLOPES = {"relu": 0.0, "leaky_relu": 0.01, "linear": 1.0, "abs": -1.0}  # on the left of 0; 1 on the right
_TANHS = {"tanh": (1.0, 0.0), "sigmoid": (0.5, 0.5)}  # stretch and centre
_CLOSE = 0.02  # |z - z'|² / |z|² from which on float32 does for any activation
_IN_CACHE = 1 << 15  # numbers of float64 that the second cache holds with room to spare
_EXPONENTS = 30  # of 2: pre-activations of greater exponents, either way, are scaled, that float32 may hold them


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLaw:
    """The law of a layer: its width, the variances of a weight and of a normal bias, the bound of a uniform bias."""

    width: int
    weight_variance: float
    bias_variance: float = 0.0
    bias_bound: float = 0.0


def with_differences(rows: np.ndarray) -> np.ndarray:
    """Return `rows`, shape (networks, n, d), with their differences to row 0 in place of all rows but it."""
    out = rows.copy()
    out[:, 1:] -= rows[:, :1]
    return out


def draw_inputs(states: np.ndarray, n: int, dim: int) -> np.ndarray:
    """Return normal inputs of each network, in the form of points."""
    x = np.empty((len(states), n, dim), dtype=np.float32)
    fill_normals(states, 1.0, x.reshape(len(states), -1))
    return with_differences(x)


def applied(phi: Callable, rows: np.ndarray) -> np.ndarray:
    """Return ``phi(rows)``; a function of the caller's is one of float64."""
    known = any(activation.function is phi for activation in ACTIVATIONS.values())
    return phi(rows if known else rows.astype(np.float64, copy=False))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preactivations:
    """Pre-activations of several networks: ``scale * z`` are row 0 and the differences to it.

    Attributes
    ----------
    z : ndarray, shape (networks, n, width)
        In float32.
    scale : ndarray, shape (networks,)
        1, or a power of 2 where float32 would not hold them.
    delicate : ndarray of bool, shape (networks,)
        Whether differences after an activation need float64, unless there is a formula for them.
    """

    z: np.ndarray
    scale: np.ndarray
    delicate: np.ndarray

    def rows(self, which: slice | np.ndarray = slice(None), *, kind: type = np.float32) -> np.ndarray:
        """Return the pre-activations of the points themselves in the networks `which`."""
        rows = self.z[which].astype(kind) * self.scale[which, None, None].astype(kind)
        rows[:, 1:] += rows[:, :1]
        return rows

    def activated(self, phi: Callable) -> np.ndarray:
        """Return the points after an activation, over the same scale, in the form of `z`."""
        name = next((name for name in (*_SLOPES, *_TANHS) if ACTIVATIONS[name].function is phi), None)
        by_formula = (self.scale == 1) & (name is not None)
        if name in _SLOPES or np.all(by_formula):
            return _activated_by_formula(name, self.z)
        x = np.empty_like(self.z)
        if np.any(by_formula):
            x[by_formula] = _activated_by_formula(name, self.z[by_formula])
        for which, kind in ((~self.delicate & ~by_formula, np.float32), (self.delicate & ~by_formula, np.float64)):
            if np.any(which):
                unit = self.scale[which, None, None].astype(kind)
                x[which] = with_differences(applied(phi, self.rows(which, kind=kind))) / unit
        return x


def _activated_by_formula(name: str | None, z: np.ndarray) -> np.ndarray:
    """Return the points after an activation whose differences have a formula."""
    x = np.empty_like(z)
    if name in _SLOPES:
        fill_piecewise_linear(z, _SLOPES[name], x)
    elif name in _TANHS:
        fill_tanh(z, *_TANHS[name], x)
    return x


class _Points(ABC):
    """Points of several networks, inputs or activations: ``scale * x`` are row 0 and the differences to it, in float32.

    `first` and `square`, shape (networks, n), are the products of row 0 of `x` with each row, and the rows' squares.
    """

    first: np.ndarray
    square: np.ndarray

    def __init__(self, x: np.ndarray, scale: np.ndarray) -> None:
        far = scale != 1
        if np.any(far):  # an activation may not scale: saturated units are small over the scale of what saturates them
            x, scale = x.copy(), scale.copy()
            exponent = np.frexp(np.max(np.abs(x[far]), axis=(1, 2)))[1]
            x[far] = np.ldexp(x[far], -exponent[:, None, None])
            scale[far] = np.ldexp(scale[far], exponent)
        self.x, self.scale = x, scale

    @abstractmethod
    def _draw(self, law: LayerLaw, states: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return pre-activations of a layer without uniform biases, over `scale`, in the form of `x`."""

    @abstractmethod
    def _square_of_sum(self, weights: np.ndarray) -> np.ndarray:
        """Return the squared norm of the weighted sum of the rows of `x`, for each network."""

    def complements(self) -> np.ndarray:
        """Return 1 - the mean cosine of different points, for each network; NaN where a point is 0.

        Of the n unit vectors' distances from the first, :math:`n \\sum |e_i|^2 - |\\sum e_i|^2` sums over pairs.
        """
        weights, total = np.empty_like(self.first), np.empty(len(self.first))
        fill_unit_weights(self.first, self.square, weights, total)
        n = self.first.shape[1]
        return (n * total - self._square_of_sum(weights)) / (n * (n - 1))

    def mean_products(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean square of the points of each network, and the mean product of two different ones."""
        n = self.first.shape[1]
        weights = np.ones_like(self.first)
        weights[:, 0] = n
        squares = n * self.first[:, 0] + np.sum(2 * self.first[:, 1:] + self.square[:, 1:], axis=1)
        products = (self._square_of_sum(weights) - squares) / (n - 1)
        return self.scale * (squares / n) * self.scale, self.scale * (products / n) * self.scale

    def preactivations(self, law: LayerLaw, states: np.ndarray) -> Preactivations:
        """Return pre-activations of a layer; the generators of `states` move on.

        Raises
        ------
        ValueError
            If they are too large for a double.
        """
        bias_sd = math.sqrt(law.bias_variance + law.bias_bound**2 / 3)
        with np.errstate(over="ignore"):  # the square of a scale may be out of range where it is not
            sd = np.hypot(self.scale * np.sqrt(law.weight_variance * self.first[:, 0]), bias_sd)
        if not np.all(np.isfinite(sd)):
            sigma_w2 = law.weight_variance * law.width
            raise ValueError(f"`sigma_w2` must keep pre-activations in the range of doubles, got {sigma_w2:.6g}.")
        exponent = np.frexp(sd)[1]
        scale = np.where(np.abs(exponent) > _EXPONENTS, np.exp2(exponent), 1.0)
        z = self._draw(law, states, scale)
        if law.bias_bound:
            uniforms = np.empty((len(z), law.width), dtype=np.float32)
            fill_uniforms(states, law.bias_bound, uniforms)
            z[:, 0] += (uniforms / scale[:, None]).astype(np.float32)
        spread = law.weight_variance * (self.scale / scale) ** 2 * self.square[:, 1:].mean(axis=1)
        delicate = (spread < _CLOSE * (sd / scale) ** 2) | (scale != 1)
        return Preactivations(z=z, scale=scale, delicate=delicate)


def _gram(x: np.ndarray) -> np.ndarray:
    """Return the Gram matrices of float32 rows in float64, by parts that the cache holds."""
    networks, n, dim = x.shape
    columns = min(dim, max(256, _IN_CACHE // n))
    together = max(1, _IN_CACHE // (n * columns))
    gram = np.zeros((networks, n, n))
    for start in range(0, networks, together):
        for column in range(0, dim, columns):
            part = x[start : start + together, :, column : column + columns].astype(np.float64)
            gram[start : start + together] += part @ part.transpose(0, 2, 1)
    return gram


class GramPoints(_Points):
    """Points whose pre-activations are drawn given their Gram matrix."""

    def __init__(self, x: np.ndarray, scale: np.ndarray) -> None:
        super().__init__(x, scale)
        self.gram = _gram(self.x)
        self.first, self.square = self.gram[:, 0], np.einsum("bii->bi", self.gram)

    def _draw(self, law: LayerLaw, states: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return L G over the scale, L the Cholesky factor of the covariance and G normal."""
        networks, n, width = self.x.shape
        covariance = (law.weight_variance * (self.scale / scale) ** 2)[:, None, None] * self.gram
        covariance[:, 0, 0] += (math.sqrt(law.bias_variance) / scale) ** 2  # the differences do not see it
        diagonal = np.einsum("bii->bi", covariance)
        diagonal *= 1 + n * width * np.finfo(np.float64).eps
        diagonal += np.finfo(np.float64).tiny  # equal rows: a difference of variance 0, and 0 in float32
        normals = np.empty((networks, n, law.width), dtype=np.float32)
        fill_normals(states, 1.0, normals.reshape(networks, -1))
        return np.linalg.cholesky(covariance).astype(np.float32) @ normals

    def _square_of_sum(self, weights: np.ndarray) -> np.ndarray:
        out = np.empty(len(weights))
        fill_quadratic_forms(self.gram, weights, out)
        return out


class WeightPoints(_Points):
    """Points whose pre-activations are drawn by drawing the weights."""

    def __init__(self, x: np.ndarray, scale: np.ndarray) -> None:
        super().__init__(x, scale)
        self.first, self.square = np.empty(x.shape[:2]), np.empty(x.shape[:2])
        fill_products(self.x, self.first, self.square)

    def _draw(self, law: LayerLaw, states: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return W x over the scale, with the normal bias added to row 0."""
        networks, n, width = self.x.shape
        z = np.empty((networks, n, law.width), dtype=np.float32)
        weights = np.empty((1, width * law.width), dtype=np.float32)
        for i in range(networks):
            fill_normals(states[i : i + 1], law.weight_variance * (self.scale[i] / scale[i]) ** 2, weights)
            np.matmul(self.x[i], weights.reshape(width, law.width), out=z[i])
        if law.bias_variance:
            bias = np.empty((networks, law.width), dtype=np.float32)
            fill_normals(states, law.bias_variance, bias)
            z[:, 0] += (bias / scale[:, None]).astype(np.float32)
        return z

    def _square_of_sum(self, weights: np.ndarray) -> np.ndarray:
        total = (weights[:, None].astype(np.float32) @ self.x).astype(np.float64)
        return np.einsum("bij,bij->b", total, total)
