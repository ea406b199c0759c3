r"""Contrastive losses with uniformity and alignment added: CUA and CUAXU of Fahim et al., with gradients.

With mean Gaussian potentials over distinct indices, as computed in the authors' code,

.. math:: U(x) = \ln\operatorname{mean}_{j\ne k}e^{-t\|x_j-x_k\|^2}, \qquad
          U(x, y) = \ln\operatorname{mean}_{j\ne k}e^{-t\|x_j-y_k\|^2}, \qquad
          A = \tfrac1n\textstyle\sum_j\|x_j-y_j\|^2 ,

.. math:: L_{\mathrm{CUA}} = L_{\mathrm{CLIP}} + \tfrac12\bigl(U(x) + U(y)\bigr) + A, \qquad
          L_{\mathrm{CUAXU}} = L_{\mathrm{CUA}} + U(x, y) .

In print the potentials have 1/N before a sum over all pairs [1]_: see `printed_uniformity`. Gradients are those of
``docs/theory.md``, 22.10; off the spheres :math:`\|x-y\|^2` is read as :math:`2 - 2x\cdot y`.

References
----------
.. [1] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import as_choice, unit_rows
from ._pairs import unit_pairs
from ._scalars import positive_number
from ._tangent import tangent
from .contrastive_gradient import PairGradient, contrastive_gradient
from .gap import alignment, uniformity

__all__ = [
    "RegularisedGradient",
    "cross_uniformity",
    "cross_uniformity_gradient",
    "printed_cross_uniformity",
    "printed_uniformity",
    "regularised_gradient",
    "uniformity_gradient",
]

KINDS = ("CUA", "CUAXU")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegularisedGradient(PairGradient):
    """The regularised loss, its terms and its gradient; for the other attributes see `PairGradient`.

    Attributes
    ----------
    clip : float
        The symmetric CLIP loss.
    uniformity : float
        Mean of the two modalities' uniformities.
    alignment : float
        Mean squared distance of the pairs.
    cross_uniformity : float
        Uniformity between the modalities; part of the loss for CUAXU only.
    """

    clip: float
    uniformity: float
    alignment: float
    cross_uniformity: float


def _potential(x: np.ndarray, y: np.ndarray, t: float) -> tuple[float, np.ndarray]:
    """Return the log of the mean potential over j != k and the weights of the pairs, which sum to 1."""
    logs = 2.0 * t * (x @ y.T - 1.0)
    np.fill_diagonal(logs, -np.inf)
    top = logs.max()
    weights = np.exp(logs - top)
    total = weights.sum()
    return float(top + np.log(total / (len(x) * (len(x) - 1)))), weights / total


def _pair_gradient(x: np.ndarray, y: np.ndarray, loss: float, grad_x: np.ndarray, grad_y: np.ndarray) -> PairGradient:
    return PairGradient(
        loss=loss,
        gradient_x=grad_x,
        gradient_y=grad_y,
        tangent_x=tangent(x, grad_x),
        tangent_y=tangent(y, grad_y),
    )


def cross_uniformity(x: ArrayLike, y: ArrayLike, *, t: float = 2.0) -> float:
    r"""Uniformity between two modalities, as in the code of [1]_.

    .. math:: U(x, y) = \ln\operatorname{mean}_{j\ne k}e^{-t\|x_j-y_k\|^2}

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        At least two pairs; rows are normalised here.
    t : float
        Sharpness, positive.

    Returns
    -------
    float
        In [-4t, 0]. The floor -4t is attained by two antipodal points, one a modality: the largest gap, in every
        dimension (``docs/theory.md``, 22.11).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Memory: a few arrays of shape (n, n), as in all of this module.

    Examples
    --------
    >>> cross_uniformity([[1.0, 0.0], [1.0, 0.0]], [[-1.0, 0.0], [-1.0, 0.0]])
    -8.0
    """
    x, y = unit_pairs(x, y, minimum=2)
    return _potential(x, y, positive_number("t", t))[0]


def printed_uniformity(x: ArrayLike, *, t: float = 2.0) -> float:
    r"""Uniformity as printed in [1]_.

    .. math:: \ln\Bigl[\frac1n\sum_{j,k}e^{-t\|x_j-x_k\|^2}\Bigr] = \ln\bigl(1 + (n-1)e^{U(x)}\bigr)

    Parameters
    ----------
    x : array_like, shape (n, d)
        At least two rows; normalised here.
    t : float
        Sharpness, positive.

    Returns
    -------
    float
        Positive, whatever the rows, as the diagonal alone gives ln 1; the reported values are negative. It is
        ln n above the formula with 1/n², and ln(n - 1 + e^(-U)) above U.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> round(printed_uniformity([[1.0, 0.0], [1.0, 0.0]]), 6)  # ln 2, where U is 0
    0.693147
    """
    rows = unit_rows("x", x, minimum=2)
    return float(np.log1p((len(rows) - 1) * np.exp(uniformity(rows, t=t))))


def printed_cross_uniformity(x: ArrayLike, y: ArrayLike, *, t: float = 2.0) -> float:
    r"""Cross-uniformity as printed in [1]_.

    .. math:: \ln\Bigl[\frac1n\sum_{j\ne k}e^{-t\|x_j-y_k\|^2}\Bigr] = U(x, y) + \ln(n-1)

    Parameters are those of `cross_uniformity`.

    Examples
    --------
    >>> printed_cross_uniformity([[1.0, 0.0], [1.0, 0.0]], [[-1.0, 0.0], [-1.0, 0.0]])
    -8.0
    """
    found = cross_uniformity(x, y, t=t)
    return found + float(np.log(np.shape(x)[0] - 1))


def uniformity_gradient(x: ArrayLike, y: ArrayLike, *, t: float = 2.0) -> PairGradient:
    r"""Mean uniformity of two modalities, :math:`\tfrac12(U(x) + U(y))`, and its gradient.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        At least two rows each; rows are normalised here, and derivatives are at the unit rows.
    t : float
        Sharpness, positive.

    Returns
    -------
    PairGradient
        :math:`\nabla_{x_j} = 2t\sum_kq_{jk}x_k`, q the pairs' shares of the potential.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(uniformity_gradient(np.eye(2), np.eye(2)).tangent_x)
    [[0. 2.]
     [2. 0.]]
    """
    x, y = unit_pairs(x, y, minimum=2)
    t = positive_number("t", t)
    (loss_x, share_x), (loss_y, share_y) = _potential(x, x, t), _potential(y, y, t)
    return _pair_gradient(x, y, (loss_x + loss_y) / 2, 2 * t * share_x @ x, 2 * t * share_y @ y)


def cross_uniformity_gradient(x: ArrayLike, y: ArrayLike, *, t: float = 2.0) -> PairGradient:
    r"""Uniformity between two modalities and its gradient; parameters and errors are those of `cross_uniformity`.

    Returns
    -------
    PairGradient
        :math:`\nabla_{x_j} = 2t\sum_kq_{jk}y_k`, :math:`\nabla_{y_k} = 2t\sum_jq_{jk}x_j`, q the pairs' shares.

    Examples
    --------
    >>> print(cross_uniformity_gradient(np.eye(2), np.eye(2)).tangent_x)
    [[0. 2.]
     [2. 0.]]
    """
    x, y = unit_pairs(x, y, minimum=2)
    t = positive_number("t", t)
    loss, share = _potential(x, y, t)
    return _pair_gradient(x, y, loss, 2 * t * share @ y, 2 * t * share.T @ x)


def regularised_gradient(
    x: ArrayLike, y: ArrayLike, temperature: float, *, kind: str = "CUAXU", t: float = 2.0
) -> RegularisedGradient:
    r"""Loss CUA or CUAXU of paired embeddings, all weights 1, its terms and its gradient.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        At least two pairs; rows are normalised here, and derivatives are at the unit rows.
    temperature : float
        τ > 0; .01 in [1]_.
    kind : {"CUA", "CUAXU"}
        Without or with cross-uniformity.
    t : float
        Sharpness of the potentials, positive.

    Returns
    -------
    RegularisedGradient
        In nats, but for the alignment.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Source: [1]_, with the means of the authors' code; gradients: ours, ``docs/theory.md``, 22.10.

    Examples
    --------
    >>> found = regularised_gradient(np.eye(3), np.eye(3), 0.5, kind="CUA")
    >>> print(round(found.clip, 6), found.uniformity, found.alignment, found.loss == found.clip - 4)
    0.239545 -4.0 0.0 True
    """
    as_choice("kind", kind, KINDS)
    x, y = unit_pairs(x, y, minimum=2)
    clip, even, cross = (
        contrastive_gradient(x, y, temperature),
        uniformity_gradient(x, y, t=t),
        cross_uniformity_gradient(x, y, t=t),
    )
    aligned = alignment(x, y)
    terms = [clip, even, cross] if kind == "CUAXU" else [clip, even]
    found = _pair_gradient(
        x,
        y,
        sum(term.loss for term in terms) + aligned,
        np.sum([term.gradient_x for term in terms], axis=0) - 2.0 / len(x) * y,
        np.sum([term.gradient_y for term in terms], axis=0) - 2.0 / len(x) * x,
    )
    return RegularisedGradient(
        loss=found.loss,
        gradient_x=found.gradient_x,
        gradient_y=found.gradient_y,
        tangent_x=found.tangent_x,
        tangent_y=found.tangent_y,
        clip=clip.loss,
        uniformity=even.loss,
        alignment=aligned,
        cross_uniformity=cross.loss,
    )
