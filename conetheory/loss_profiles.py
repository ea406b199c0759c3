r"""Loss profiles: the contrastive loss of fixed cosines as a function of their logit scale, :math:`a \mapsto l(aZ)`.

For a matrix of cosines Z, pair i on the diagonal, the 2n lists of margins are :math:`m_j = Z_{ij} - Z_{ii}` of the rows
and :math:`Z_{ji} - Z_{ii}` of the columns, :math:`j \ne i`, and

.. math:: l(a) = \operatorname{mean}_{\text{lists}} \ln\Bigl(1 + \sum_j e^{a m_j}\Bigr), \qquad
          g(a) = -l'(a), \qquad \alpha = \min_{\text{lists}, j}(-m_j) .

:math:`g` is the force of the gap flow (`conetheory.gap_flow`), :math:`\alpha` the margin: positive where all pairs are
matched. A profile is convex, so g falls.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909, Sec. 3 and App. C.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ._arrays import as_array, as_count
from ._scalars import positive_number

__all__ = [
    "EqualMargins",
    "ExponentialProfile",
    "LossProfile",
    "MatrixProfile",
    "equal_margins",
    "exponential_profile",
    "matrix_profile",
    "simplex_profile",
]

Values = np.ndarray | np.float64


@runtime_checkable
class LossProfile(Protocol):
    """What the gap flow needs to know of a loss: value, force and curvature at the scales `a`, and the margin."""

    @property
    def margin(self) -> float: ...

    def loss(self, a: ArrayLike) -> Values: ...

    def force(self, a: ArrayLike) -> Values: ...

    def curvature(self, a: ArrayLike) -> Values: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualMargins:
    r"""All margins equal: :math:`l(a) = \ln(1 + m e^{-a\alpha})`; the simplex ETF for :math:`\alpha = n/(n-1)`.

    Attributes
    ----------
    negatives : int
        Negatives of a pair, :math:`m = n - 1`.
    margin : float
        :math:`\alpha`.
    """

    negatives: int
    margin: float

    def loss(self, a: ArrayLike) -> Values:
        """Return the loss in nats at the scales `a`, shape (...)."""
        return np.logaddexp(0.0, np.log(self.negatives) - self.margin * as_array("a", a))[()]

    def force(self, a: ArrayLike) -> Values:
        """Return minus the derivative of the loss."""
        return np.asarray(self.margin * self._softmax(a))[()]

    def curvature(self, a: ArrayLike) -> Values:
        """Return the second derivative of the loss."""
        share = self._softmax(a)
        return np.asarray(self.margin**2 * share * (1.0 - share))[()]

    def _softmax(self, a: ArrayLike) -> Values:
        logit = np.log(self.negatives) - self.margin * as_array("a", a)
        tail = np.exp(-np.abs(logit))
        return (np.where(logit > 0, 1.0, tail) / (1.0 + tail))[()]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialProfile:
    r"""The simplified loss :math:`l(a) = e^{-a\alpha}` of App. C [1]_, where :math:`\alpha = 1`.

    Attributes
    ----------
    margin : float
        :math:`\alpha`.
    """

    margin: float

    def loss(self, a: ArrayLike) -> Values:
        """Return the loss at the scales `a`, shape (...)."""
        return np.exp(-self.margin * as_array("a", a))[()]

    def force(self, a: ArrayLike) -> Values:
        """Return minus the derivative of the loss."""
        return np.asarray(self.margin * self.loss(a))[()]

    def curvature(self, a: ArrayLike) -> Values:
        """Return the second derivative of the loss."""
        return np.asarray(self.margin**2 * self.loss(a))[()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatrixProfile:
    """The profile of given cosines.

    Attributes
    ----------
    margins : ndarray, shape (2n, n - 1)
        A row for each list: the cosines with the negatives less that of the pair.
    """

    margins: Float[np.ndarray, "lists negatives"]

    @property
    def margin(self) -> float:
        """Least lead of a pair over its negatives; not positive where one is beaten or met."""
        return -float(np.max(self.margins))

    def loss(self, a: ArrayLike) -> Values:
        """Return the symmetric cross-entropy in nats at the scales `a`, shape (...); tiny values keep their digits."""
        return self._each(a, self._loss)

    def force(self, a: ArrayLike) -> Values:
        """Return minus the derivative of the loss: the mean lead under the softmax."""
        return self._each(a, lambda scale: -float(np.mean(self._moments(scale)[0])))

    def curvature(self, a: ArrayLike) -> Values:
        """Return the second derivative of the loss: the mean variance under the softmax."""
        return self._each(a, lambda scale: float(np.mean(self._moments(scale)[1])))

    def _each(self, a: ArrayLike, function: Any) -> Values:
        return np.vectorize(function, otypes=[np.float64])(as_array("a", a))[()]  # one at a time: (2n, n - 1) each

    def _weights(self, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return weights of the negatives, of the pair (columns), and the exponent taken out of both."""
        logits = scale * self.margins
        top = np.maximum(np.max(logits, axis=1, keepdims=True), 0.0)
        return np.exp(logits - top), np.exp(-top), top

    def _loss(self, scale: float) -> float:
        negatives, pair, top = self._weights(scale)
        return float(np.mean(top + np.log1p(np.sum(negatives, axis=1, keepdims=True) + (pair - 1.0))))

    def _moments(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        negatives, pair, _ = self._weights(scale)
        total = np.sum(negatives, axis=1, keepdims=True) + pair
        mean = np.sum(negatives * self.margins, axis=1, keepdims=True) / total
        spread = np.sum(negatives * (self.margins - mean) ** 2, axis=1, keepdims=True) + pair * mean**2
        return mean, spread / total


def equal_margins(n: int, margin: float) -> EqualMargins:
    r"""Return the profile of n pairs whose negatives all trail by `margin`.

    .. math:: l(a) = \ln\bigl(1 + (n-1) e^{-a\alpha}\bigr)

    Parameters
    ----------
    n : int
        Pairs, at least 2.
    margin : float
        :math:`\alpha > 0`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(equal_margins(3, 1.0).loss(2.0).round(6))  # ln(1 + 2 exp(-2))
    0.239545
    """
    return EqualMargins(negatives=as_count("n", n, minimum=2) - 1, margin=positive_number("margin", margin))


def simplex_profile(n: int) -> EqualMargins:
    r"""Return the profile of the simplex ETF of n pairs, with the largest margin that they reach, n/(n - 1).

    Parameters
    ----------
    n : int
        Pairs, at least 2.

    Notes
    -----
    Source: ``docs/theory.md``, 5b.8; [1]_, Sec. 3, calls it perfectly matched with the largest margin.

    Examples
    --------
    >>> simplex_profile(3).margin
    1.5
    """
    n = as_count("n", n, minimum=2)
    return EqualMargins(negatives=n - 1, margin=n / (n - 1))


def exponential_profile(margin: float = 1.0) -> ExponentialProfile:
    r"""Return the simplified profile :math:`e^{-a\alpha}`; with :math:`\alpha = 1` that of App. C [1]_.

    Parameters
    ----------
    margin : float
        :math:`\alpha > 0`.

    Examples
    --------
    >>> print(exponential_profile().force([0.0, 1.0]).round(6))
    [1.       0.367879]
    """
    return ExponentialProfile(margin=positive_number("margin", margin))


def matrix_profile(cosines: ArrayLike) -> MatrixProfile:
    r"""Return the profile :math:`a \mapsto l(aZ)` of given cosines: symmetric cross-entropy, targets on the diagonal.

    Parameters
    ----------
    cosines : array_like, shape (n, n)
        Z, n at least 2: entry (i, j) compares row i of one modality with row j of the other. Any finite numbers.

    Raises
    ------
    ValueError, TypeError
        If `cosines` is no square matrix of finite numbers with two rows or more.

    Notes
    -----
    Loss and force to a few eps of ``1 + |a|`` times the largest margin; where all pairs are matched, relative to their
    size, however small.

    Examples
    --------
    >>> profile = matrix_profile(np.eye(3))
    >>> print(profile.margin, profile.loss(2.0).round(6))
    1.0 0.239545
    """
    z = as_array("cosines", cosines)
    if z.ndim != 2 or z.shape[0] != z.shape[1] or z.shape[0] < 2:
        raise ValueError(f"`cosines` must have shape (n, n) with n >= 2, got {z.shape}.")
    n = len(z)
    own = np.diag(z)[:, None]
    lists = np.concatenate([z - own, z.T - own])
    negatives = ~np.tile(np.eye(n, dtype=bool), (2, 1))
    return MatrixProfile(margins=lists[negatives].reshape(2 * n, n - 1))
