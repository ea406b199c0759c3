r"""The sigmoid loss of SigLIP: value, gradient and floor.

For unit rows, logit scale :math:`t` and bias :math:`b`, with :math:`z_{ij} = 1` on the diagonal and -1 off it,

.. math:: L = -\frac1n\sum_i\sum_j\ln\sigma\bigl(z_{ij}(t\,x_i\cdot y_j + b)\bigr) ,

a sum over j and a mean over i [1]_. Its floor lies in the family of two opposed parallel simplices with
:math:`\sqrt{1-\delta}\,s_i \pm \sqrt\delta\,e` as rows, :math:`s_i` the corners of a regular simplex orthogonal to the
unit vector e: :math:`\delta = 0` is one simplex for both modalities, :math:`\delta = 1` two antipodal points, and the
gap is :math:`2\sqrt\delta` (``docs/theory.md``, 22.8).

References
----------
.. [1] X. Zhai, B. Mustafa, A. Kolesnikov and L. Beyer, "Sigmoid Loss for Language Image Pre-Training", ICCV 2023,
   arXiv:2303.15343.
.. [2] C. Lee, J. Chang and J. Sohn, "Analysis of Using Sigmoid Loss for Contrastive Learning", AISTATS 2024,
   arXiv:2402.12613.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from ._arrays import as_count
from ._pairs import unit_pairs
from ._scalars import number, positive_number
from ._tangent import tangent
from .contrastive_gradient import PairGradient

__all__ = ["SigmoidFloor", "SigmoidGradient", "sigmoid_floor", "sigmoid_gradient"]

_BLOCK = 2**21  # entries of a block of logits: 16 MB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SigmoidGradient(PairGradient):
    """The sigmoid loss and its gradient; for the other attributes see `PairGradient`.

    Attributes
    ----------
    scale_slope : float
        Derivative by the log of the scale.
    bias_slope : float
        Derivative by the bias.
    """

    scale_slope: float
    bias_slope: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidFloor:
    r"""Where the sigmoid loss is least.

    Attributes
    ----------
    loss : float
        The floor, in nats.
    delta : float
        The member of the family, in [0, 1].
    gap : float
        Distance of the two means there, :math:`2\sqrt\delta`.
    """

    loss: float
    delta: float
    gap: float


def sigmoid_gradient(x: ArrayLike, y: ArrayLike, scale: float, bias: float) -> SigmoidGradient:
    r"""Sigmoid loss of paired embeddings, its gradient by both, by the log of the scale and by the bias.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here, and derivatives are at the unit rows.
    scale : float
        Logit scale t > 0; SigLIP starts at 10.
    bias : float
        b; SigLIP starts at -10.

    Returns
    -------
    SigmoidGradient
        Loss, gradients and slopes. The loss is summed over the n negatives of a pair, not averaged.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Each term keeps its relative accuracy, eps times 1 + t + \|b\|, however small. Source: [1]_, (1).

    Examples
    --------
    >>> round(sigmoid_gradient([[1.0, 0.0]], [[1.0, 0.0]], 1.0, 0.0).loss, 6)  # ln(1 + exp(-1))
    0.313262
    """
    scale, bias = positive_number("scale", scale), number("bias", bias)
    x, y = unit_pairs(x, y)
    n = len(x)
    grad_x, grad_y, loss, slope, shift = np.empty_like(x), np.zeros_like(y), 0.0, 0.0, 0.0
    for start in range(0, n, max(1, _BLOCK // n)):
        rows = np.arange(start, min(start + max(1, _BLOCK // n), n))
        cosines = x[rows] @ y.T
        signed = scale * cosines + bias  # minus the argument of the sigmoid
        signed[rows - start, rows] *= -1.0
        loss += float(np.logaddexp(0.0, signed).sum())
        weights = expit(signed)
        weights[rows - start, rows] *= -1.0
        slope += float(np.vdot(weights, cosines))
        shift += float(weights.sum())
        grad_x[rows] = weights @ y
        grad_y += weights.T @ x[rows]
    grad_x, grad_y = scale / n * grad_x, scale / n * grad_y
    return SigmoidGradient(
        loss=loss / n,
        gradient_x=grad_x,
        gradient_y=grad_y,
        tangent_x=tangent(x, grad_x),
        tangent_y=tangent(y, grad_y),
        scale_slope=scale * slope / n,
        bias_slope=shift / n,
    )


def sigmoid_floor(n: int, scale: float, bias: float) -> SigmoidFloor:
    r"""Least sigmoid loss of n pairs at a fixed scale and bias, and the gap that it takes.

    .. math:: \min_{0\le\delta\le1}\ \ln\bigl(1 + e^{-t(1-2\delta)-b}\bigr)
              + (n-1)\ln\Bigl(1 + e^{-t\frac{1+(n-2)\delta}{n-1}+b}\Bigr)

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    scale : float
        Logit scale t > 0.
    bias : float
        b.

    Returns
    -------
    SigmoidFloor
        A lower bound in every dimension d; attained if n <= d, or if n = d + 1 and delta is 0, or if delta is 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    The gap is 0 iff :math:`2\sigma(-t-b) \ge (n-2)\,\sigma(b - t/(n-1))`. At the bias that is best for its scale it
    always is (``docs/theory.md``, 22.9): a fixed bias makes the gap. The minimiser is known to 1e-12, the loss to
    1e-13 relative. Source: ours; the family: [2]_.

    Examples
    --------
    >>> print(sigmoid_floor(1024, 10.0, -10.0).gap, round(sigmoid_floor(32768, 10.0, -10.0).gap, 4))
    0.0 0.2893
    """
    n, t, b = as_count("n", n, minimum=2), positive_number("scale", scale), number("bias", bias)

    def slope(delta: float) -> float:
        pair, negative = expit(-t * (1 - 2 * delta) - b), expit(b - t * (1 + (n - 2) * delta) / (n - 1))
        return float(2 * pair - (n - 2) * negative)

    if slope(0.0) >= 0:
        delta = 0.0
    elif slope(1.0) <= 0:
        delta = 1.0
    else:
        delta = float(brentq(slope, 0.0, 1.0, xtol=1e-13))  # type: ignore[arg-type]
    pair, negative = -t * (1 - 2 * delta) - b, b - t * (1 + (n - 2) * delta) / (n - 1)
    loss = np.logaddexp(0.0, pair) + (n - 1) * np.logaddexp(0.0, negative)
    return SigmoidFloor(loss=float(loss), delta=delta, gap=2.0 * float(np.sqrt(delta)))
