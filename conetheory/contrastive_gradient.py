r"""The CLIP loss with its gradient and Hessian, in space and on the product of spheres: the reference in float64.

With logits :math:`\ell_{ij} = \beta\,x_i\cdot y_j` and softmax rows :math:`p_{ij}`, the direction x to y has

.. math:: L = \frac1n\sum_i\ln\sum_je^{\ell_{ij}-\ell_{ii}}, \qquad
          W_{ij} = \frac{\partial L}{\partial\ell_{ij}} = \frac{p_{ij} - \delta_{ij}}n, \qquad
          \nabla_xL = \beta WY, \quad \nabla_yL = \beta W^\top X ,

the other direction exchanges x and y, and CLIP takes the mean. The diagonal of W is minus the sum of the rest of its
row, never a difference from 1: tiny losses and their derivatives keep their digits. Proofs: ``docs/theory.md``, 22.1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_array, as_choice
from ._pairs import unit_pairs
from ._scalars import positive_number
from ._tangent import tangent
from .contrastive import DIRECTIONS

__all__ = ["ContrastiveGradient", "PairGradient", "PairVectors", "contrastive_gradient", "contrastive_hessian_product"]

SPACES = ("sphere", "euclidean")
_BLOCK = 2**21  # entries of a block of logits: 16 MB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairVectors:
    """One vector a row of each modality.

    Attributes
    ----------
    x, y : ndarray, shape (n, d)
        The vectors at the rows of x and of y.
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n d"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairGradient:
    """A loss of paired unit rows and its gradient.

    Attributes
    ----------
    loss : float
        In nats.
    gradient_x, gradient_y : ndarray, shape (n, d)
        Euclidean gradient, the loss being extended off the spheres by the same formula in the inner products.
    tangent_x, tangent_y : ndarray, shape (n, d)
        Riemannian gradient on the product of unit spheres: the part of each row orthogonal to its point.
    """

    loss: float
    gradient_x: Float[np.ndarray, "n d"]
    gradient_y: Float[np.ndarray, "n d"]
    tangent_x: Float[np.ndarray, "n d"]
    tangent_y: Float[np.ndarray, "n d"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContrastiveGradient(PairGradient):
    r"""The CLIP loss and its gradient; for the other attributes see `PairGradient`.

    Attributes
    ----------
    scale_slope : float
        Derivative by the log of the logit scale, :math:`\beta\,\partial L/\partial\beta`.
    """

    scale_slope: float


class _Parts(NamedTuple):
    loss: float
    x: np.ndarray
    y: np.ndarray
    scale: float


def _softmax(cosines: np.ndarray, own: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return margins to the pair, the negatives' softmax weights (0 at the pair) and the losses, of some rows."""
    margins = cosines - cosines[np.arange(len(own)), own][:, None]
    logits = beta * margins
    logits[np.arange(len(own)), own] = -np.inf
    top = np.maximum(logits.max(axis=1, keepdims=True), 0.0)
    weights = np.exp(logits - top)
    others = weights.sum(axis=1, keepdims=True)
    return margins, weights / (others + np.exp(-top)), (top + np.log1p(others + np.expm1(-top)))[:, 0]


def _blocks(n: int) -> list[np.ndarray]:
    step = max(1, _BLOCK // n)
    return [np.arange(start, min(start + step, n)) for start in range(0, n, step)]


def _closed(weights: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Set each row's own entry so that the row sums to 0."""
    weights[np.arange(len(own)), own] = 0.0
    weights[np.arange(len(own)), own] = -weights.sum(axis=1)
    return weights


def _one_way(x: np.ndarray, y: np.ndarray, beta: float) -> _Parts:
    n = len(x)
    grad_x, grad_y, loss, scale = np.empty_like(x), np.zeros_like(y), 0.0, 0.0
    for own in _blocks(n):
        margins, weights, losses = _softmax(x[own] @ y.T, own, beta)
        loss += float(losses.sum())
        scale += beta * float(np.vdot(weights, margins))
        slopes = _closed(weights, own)
        grad_x[own] = slopes @ y
        grad_y += slopes.T @ x[own]
    return _Parts(loss / n, beta / n * grad_x, beta / n * grad_y, scale / n)


def _one_way_product(
    x: np.ndarray, y: np.ndarray, beta: float, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    n = len(x)
    out_x, out_y = np.empty_like(x), np.zeros_like(y)
    for own in _blocks(n):
        _, weights, _ = _softmax(x[own] @ y.T, own, beta)
        moved = u[own] @ y.T + x[own] @ v.T
        moved -= moved[np.arange(len(own)), own][:, None]
        mean = np.sum(weights * moved, axis=1, keepdims=True)
        changes = _closed(beta * weights * (moved - mean), own)
        slopes = _closed(weights, own)
        out_x[own] = changes @ y + slopes @ v
        out_y += changes.T @ x[own] + slopes.T @ u[own]
    return beta / n * out_x, beta / n * out_y


def contrastive_gradient(
    x: ArrayLike, y: ArrayLike, temperature: float, *, direction: str = "symmetric"
) -> ContrastiveGradient:
    r"""CLIP loss of paired embeddings, its gradient by both, and by the log of the scale.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here, and derivatives are at the unit rows.
    temperature : float
        τ > 0, the reciprocal of the logit scale β.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        See `conetheory.contrastive.contrastive_loss`.

    Returns
    -------
    ContrastiveGradient
        Loss, gradients and the derivative by ln β.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Each row's share is right to a few eps times 1 + β relative to its size, however small, down to e^(-745), where it
    is 0. Memory: blocks of 16 MB besides the arrays of shape (n, d). Source: ours, ``docs/theory.md``, 22.1.

    Examples
    --------
    >>> found = contrastive_gradient(np.eye(2), np.eye(2), 0.5)
    >>> print(round(found.loss, 6), found.tangent_x.round(6)[0], round(found.scale_slope, 6))
    0.126928 [0.       0.119203] -0.238406
    """
    as_choice("direction", direction, DIRECTIONS)
    beta = 1.0 / positive_number("temperature", temperature)
    x, y = unit_pairs(x, y)
    parts = []
    if direction != "y-to-x":
        parts.append(_one_way(x, y, beta))
    if direction != "x-to-y":
        loss, back_y, back_x, scale = _one_way(y, x, beta)
        parts.append(_Parts(loss, back_x, back_y, scale))
    grad_x, grad_y = np.mean([part.x for part in parts], axis=0), np.mean([part.y for part in parts], axis=0)
    return ContrastiveGradient(
        loss=float(np.mean([part.loss for part in parts])),
        gradient_x=grad_x,
        gradient_y=grad_y,
        tangent_x=tangent(x, grad_x),
        tangent_y=tangent(y, grad_y),
        scale_slope=float(np.mean([part.scale for part in parts])),
    )


def contrastive_hessian_product(
    x: ArrayLike,
    y: ArrayLike,
    temperature: float,
    vectors: tuple[ArrayLike, ArrayLike],
    *,
    direction: str = "symmetric",
    space: str = "sphere",
) -> PairVectors:
    r"""Product of the Hessian of the CLIP loss, at fixed temperature, with one vector a row.

    .. math:: \nabla^2L[u, v]_x = \beta\,(\dot WY + Wv), \quad
              \nabla^2L[u, v]_y = \beta\,(\dot W^\top X + W^\top u), \quad
              \dot W_{ij} = \tfrac1np_{ij}\bigl(\dot\ell_{ij} - \textstyle\sum_kp_{ik}\dot\ell_{ik}\bigr), \quad
              \dot\ell_{ij} = \beta\,(u_i\cdot y_j + x_i\cdot v_j)

    in space, for the direction x to y. On the spheres the Hessian is
    :math:`P_{x_i}\nabla^2L[u, v]_{x_i} - (x_i\cdot\nabla_{x_i}L)\,u_i` for tangent :math:`u, v`, and likewise for y.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here.
    temperature : float
        τ > 0.
    vectors : pair of array_like, each of shape (n, d)
        u at the rows of x and v at those of y. On the spheres their tangent parts count.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        See `conetheory.contrastive.contrastive_loss`.
    space : {"sphere", "euclidean"}
        Where second derivatives are taken.

    Returns
    -------
    PairVectors
        The product; tangent vectors on the spheres.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 22.2.

    Examples
    --------
    >>> turned = np.array([[0.0, 1.0], [-1.0, 0.0]])  # both modalities turn together: the loss stays
    >>> np.abs(contrastive_hessian_product(np.eye(2), np.eye(2), 0.5, (turned, turned)).x).max().round(12)
    np.float64(0.0)
    """
    as_choice("direction", direction, DIRECTIONS)
    as_choice("space", space, SPACES)
    beta = 1.0 / positive_number("temperature", temperature)
    x, y = unit_pairs(x, y)
    if len(vectors) != 2:
        raise ValueError(f"`vectors` must be two arrays, for x and for y, got {len(vectors)}.")
    u, v = (as_array("vectors", vector) for vector in vectors)
    if u.shape != x.shape or v.shape != y.shape:
        raise ValueError(f"`vectors` must both have the shape of `x`, {x.shape}, got {u.shape} and {v.shape}.")
    if space == "sphere":
        u, v = tangent(x, u), tangent(y, v)
    parts = []
    if direction != "y-to-x":
        parts.append(_one_way_product(x, y, beta, u, v))
    if direction != "x-to-y":
        parts.append(_one_way_product(y, x, beta, v, u)[::-1])
    out_x, out_y = np.mean(parts, axis=0)
    if space == "sphere":
        at = contrastive_gradient(x, y, temperature, direction=direction)
        out_x = tangent(x, out_x) - np.sum(x * at.gradient_x, axis=1, keepdims=True) * u
        out_y = tangent(y, out_y) - np.sum(y * at.gradient_y, axis=1, keepdims=True) * v
    return PairVectors(x=out_x, y=out_y)
