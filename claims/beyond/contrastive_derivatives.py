"""First and second derivatives of the contrastive loss on the spheres, against complex steps of its definition."""

from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed
from conetheory.contrastive_gradient import contrastive_gradient, contrastive_hessian_product

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 22"


def _key(at: At) -> tuple[int, int, float]:
    return int(at["n"]), int(at["dim"]), at["beta"]


_POINTS = tuple({"n": float(n), "dim": float(d), "beta": b} for n, d, b in ((3, 2, 1.0), (6, 4, 5.0), (20, 8, 14.3)))


@cache
def _point(n: int, dim: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and unprojected directions, both of shape (2, n, dim)."""
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(2, n, dim)) + rng.normal(size=(2, 1, dim))
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True), rng.normal(size=(2, n, dim))


def _complex_loss(rows: np.ndarray, beta: float) -> complex:
    """Return the symmetric loss of complex rows, divided by the roots of their unconjugated squares."""
    rows = rows / np.sqrt(np.sum(rows * rows, axis=-1, keepdims=True))
    logits = beta * rows[0] @ rows[1].T
    shifted = np.exp(logits - np.diag(logits)[:, None]), np.exp(logits.T - np.diag(logits)[:, None])
    return complex(sum(np.mean(np.log(part.sum(axis=1))) for part in shifted) / 2)


def _slopes(*, projected: bool = True) -> list[float]:
    found = []
    for n, dim, beta in map(_key, _POINTS):
        rows, moves = _point(n, dim, beta)
        at = contrastive_gradient(rows[0], rows[1], 1 / beta)
        parts = (at.tangent_x, at.tangent_y) if projected else (at.gradient_x, at.gradient_y)
        found.append(float(np.vdot(parts, moves)))
    return found


def _complex_slopes() -> list[float]:
    found = []
    for n, dim, beta in map(_key, _POINTS):
        rows, moves = _point(n, dim, beta)
        found.append(_complex_loss(rows + 1e-30j * moves, beta).imag / 1e-30)
    return found


def _tangent_moves(rows: np.ndarray, moves: np.ndarray) -> np.ndarray:
    return moves - np.sum(rows * moves, axis=-1, keepdims=True) * rows


def _curvatures(space: str) -> list[float]:
    found = []
    for n, dim, beta in map(_key, _POINTS):
        rows, moves = _point(n, dim, beta)
        moves = _tangent_moves(rows, moves)
        product = contrastive_hessian_product(rows[0], rows[1], 1 / beta, (moves[0], moves[1]), space=space)
        found.append(float(np.vdot(moves, (product.x, product.y))))
    return found


def _great_circle_curvatures() -> list[float]:
    """Return the second derivative of the loss along great circles: five points of its complex-step derivative."""
    found = []
    for n, dim, beta in map(_key, _POINTS):
        rows, moves = _point(n, dim, beta)
        moves = _tangent_moves(rows, moves)
        speed = np.linalg.norm(moves, axis=-1, keepdims=True)

        def slope(s: complex, rows=rows, moves=moves, speed=speed, beta=beta) -> complex:
            return _complex_loss(np.cos(s * speed) * rows + np.sin(s * speed) * moves / speed, beta)

        h = 2e-3 / beta
        ends = [slope(sign * k * h + 1e-30j).imag / 1e-30 for k in (1, 2) for sign in (1, -1)]
        found.append((8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h))
    return found


CLAIMS = (
    Claim(
        id="conetheory.contrastive.gradient",
        paper=OURS,
        section=_SECTION,
        statement="The derivative of the CLIP loss along curves on the spheres is the inner product with the tangent gradient.",
        formula=r"\tfrac{d}{ds}L = \sum_i P_{x_i}\nabla_{x_i}L\cdot u_i + P_{y_i}\nabla_{y_i}L\cdot v_i",
        kind="identity",
        predict=_slopes,
        measure=Computed(compute=_complex_slopes, error=1e-11),
        grid=_POINTS,
        resolution=1e-9,
        plants=(
            Plant(
                name="not_projected",
                statement="It is that with the gradient in space.",
                predict=lambda: _slopes(projected=False),
            ),
        ),
        note="Measured by complex steps of a plain softmax.",
    ),
    Claim(
        id="conetheory.contrastive.hessian",
        paper=OURS,
        section=_SECTION,
        statement="Along great circles the second derivative of the CLIP loss is the Hessian of the spheres, curvature term and all.",
        formula=r"\tfrac{d^2}{ds^2}L = \langle u, \nabla^2L[u]\rangle - \sum_i(x_i\cdot\nabla_{x_i}L)\|u_i\|^2",
        kind="identity",
        predict=lambda: _curvatures("sphere"),
        measure=Computed(compute=_great_circle_curvatures, error=1e-6),
        grid=_POINTS,
        resolution=1e-5,
        plants=(
            Plant(
                name="flat",
                statement="It is the Hessian in space between the tangent vectors.",
                predict=lambda: _curvatures("euclidean"),
            ),
        ),
    ),
)
