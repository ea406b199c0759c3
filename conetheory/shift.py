r"""Embedding shift: the CLIP loss as the gap of given embeddings is closed or widened (Liang et al., Sec. 4.2).

Unit rows move along the gap vector :math:`\Delta = \bar x - \bar y`, by :math:`\lambda` each, and are normalised again:

.. math:: x_i(\lambda) = \frac{x_i - \lambda\Delta}{a_i}, \qquad y_j(\lambda) = \frac{y_j + \lambda\Delta}{b_j}.

With :math:`S = XY^\top`, :math:`p = X\Delta`, :math:`q = Y\Delta`, :math:`D = \|\Delta\|^2`,

.. math::
   x_i(\lambda)\cdot y_j(\lambda) = \frac{S_{ij} + \lambda(p_i - q_j) - \lambda^2 D}{a_i b_j}, \qquad
   a_i^2 = 1 - 2\lambda p_i + \lambda^2 D, \qquad b_j^2 = 1 + 2\lambda q_j + \lambda^2 D,

so one matrix product serves every shift and every temperature. Before normalisation the gap is (1 − 2λ)Δ: λ = ½
superposes the means, λ < 0 widens the gap, λ > ½ reverses it. Proofs and derivatives: ``docs/theory.md`` §7 (ours).

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Sec. 4.2 and Fig. 3.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from . import _shift_geometry as _algebra
from ._arrays import as_array, as_positive, unit_rows
from ._scalars import number
from ._shift_geometry import as_vector, checked_geometry, temperature_axis
from .shift_minimum import ShiftMinimum, critical_temperature, local_minima, minimise_shift

__all__ = [
    "ShiftLandscape",
    "ShiftMinimum",
    "ShiftedPairs",
    "critical_temperature",
    "delta_to_lambda",
    "local_minima",
    "minimise_shift",
    "shift_landscape",
    "shift_pairs",
    "shift_separately",
    "shift_slope",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShiftedPairs:
    """Unit rows after the shift.

    Attributes
    ----------
    x, y : ndarray, shape (n, d)
        x_i(λ) and y_i(λ).
    """

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n d"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShiftLandscape:
    """CLIP loss and gap over shifts and temperatures.

    Attributes
    ----------
    lambdas : ndarray, shape (L,)
        Shifts, in units of the gap vector.
    temperatures : ndarray, shape (T,)
        Temperatures τ.
    signed_gap : ndarray, shape (L,)
        Distance of the means of the shifted unit rows; negative where the gap vector points against the original one.
    loss : ndarray, shape (T, L)
        In nats.
    """

    lambdas: Float[np.ndarray, "L"]
    temperatures: Float[np.ndarray, "T"]
    signed_gap: Float[np.ndarray, "L"]
    loss: Float[np.ndarray, "T L"]

    @property
    def gap(self) -> Float[np.ndarray, "L"]:
        """Distance of the means of the shifted unit rows, shape (L,)."""
        return np.abs(self.signed_gap)


def delta_to_lambda(delta: ArrayLike, gap: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    """Shift λ = δ/(2 gap) from the δ of the authors' notebooks, a total distance along the unit gap vector.

    Parameters
    ----------
    delta : array_like, shape (...)
        δ: x moves by −δ/2 and y by +δ/2 along Δ/‖Δ‖.
    gap : array_like, shape (...)
        Gap ‖Δ‖ before the shift, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        λ, in units of the gap vector.

    Examples
    --------
    >>> float(delta_to_lambda(1.0, 1.0))
    0.5
    """
    return (as_array("delta", delta) / (2 * as_positive("gap", gap)))[()]


def shift_pairs(x: ArrayLike, y: ArrayLike, lam: float) -> ShiftedPairs:
    """Shift both modalities by λ along the gap vector and normalise: the definition, for one λ.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.
    lam : float
        Shift λ; ½ superposes the means before normalisation.

    Returns
    -------
    ShiftedPairs
        x_i(λ) and y_i(λ).

    Raises
    ------
    ValueError
        If the gap is zero, or a row is shifted onto the origin (to 1e-5).

    Examples
    --------
    >>> shift_pairs([[1.0, 0.0]], [[0.0, 1.0]], 0.5).x.round(6)
    array([[0.707107, 0.707107]])
    """
    lam = number("lam", lam)
    return shift_separately(x, y, lam, lam)


def shift_separately(x: ArrayLike, y: ArrayLike, lam_x: float, lam_y: float) -> ShiftedPairs:
    r"""Shift each modality by its own λ along the gap vector and normalise: :math:`x_i - \lambda_x\Delta`,
    :math:`y_i + \lambda_y\Delta`.

    One of them 0 moves the other modality alone, as the image shift of [1]_, App. B.2 does: there
    :math:`\lambda_x = \delta/\|\Delta\|` and :math:`\lambda_y = 0`, and 1 superposes the means before normalisation.

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.
    lam_x, lam_y : float
        Shifts of the rows of x and of y, towards the other modality.

    Returns
    -------
    ShiftedPairs
        Unit rows.

    Raises
    ------
    ValueError
        If the gap is zero, or a row is shifted onto the origin (to 1e-5).

    Examples
    --------
    >>> found = shift_separately([[1.0, 0.0]], [[0.0, 1.0]], 1.0, 0.0)
    >>> print(found.x, found.y)
    [[0. 1.]] [[0. 1.]]
    """
    geometry = checked_geometry(x, y, None, "symmetric")
    rows = []
    for name, unit, side, lam in (("x", geometry.x, 1.0, lam_x), ("y", geometry.y, -1.0, lam_y)):
        lam, delta = number(f"lam_{name}", lam), side * geometry.delta
        _algebra.shifted_lengths(name, unit @ delta, np.array([lam]), geometry.norm2)  # refuses a row at the origin
        rows.append(unit_rows(name, unit - lam * delta))
    return ShiftedPairs(x=rows[0], y=rows[1])


def shift_landscape(
    x: ArrayLike,
    y: ArrayLike,
    lambdas: ArrayLike,
    temperatures: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
) -> ShiftLandscape:
    """CLIP loss and gap for every shift and temperature, from one matrix product ([1]_, Fig. 3 b-d).

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i.
    lambdas : array_like, shape (L,) or ()
        Shifts.
    temperatures : array_like, shape (T,) or ()
        τ, at least 1/300: every exponential is then in range.
    batch : int or None
        Rows in a batch, as in `contrastive.clip_loss`; the paper takes 50, None takes all.
    direction : {"symmetric", "x-to-y", "y-to-x"}
        As in `contrastive.contrastive_loss`. The paper's Fig. 3 b-d is "x-to-y" (images x), by a doubled transpose.

    Returns
    -------
    ShiftLandscape
        Time O(n batch L T), memory O(n (batch + d + L)).

    Raises
    ------
    ValueError
        If the gap is zero, or a row is shifted onto the origin (to 1e-5).

    Examples
    --------
    >>> landscape = shift_landscape([[1.0, 0.0], [0.8, 0.6]], [[0.0, 1.0], [0.6, 0.8]], [0.0, 0.5], 1.0, batch=None)
    >>> landscape.loss.shape, landscape.gap.round(6).tolist()
    ((1, 2), [0.848528, 0.09667])
    """
    lambdas, temperatures = as_vector("lambdas", lambdas), temperature_axis("temperatures", temperatures)
    geometry = checked_geometry(x, y, batch, direction)
    return ShiftLandscape(
        lambdas=lambdas,
        temperatures=temperatures,
        signed_gap=_algebra.signed_gap(geometry, lambdas),
        loss=_algebra.loss(geometry, lambdas, temperatures, direction),
    )


def shift_slope(
    x: ArrayLike,
    y: ArrayLike,
    lambdas: ArrayLike,
    temperatures: ArrayLike,
    *,
    batch: int | None = 50,
    direction: str = "symmetric",
) -> Float[np.ndarray, "T L"]:
    r"""Slope dL/dλ of the CLIP loss, in closed form (ours; ``docs/theory.md`` §7).

    .. math:: \frac{dL_{x\to y}}{d\lambda} = \frac{1}{n\tau}\sum_{ij} P_{ij}\,(c'_{ij} - c'_{ii}), \qquad
              P = \operatorname{softmax}_j(c_{ij}/\tau)

    Parameters
    ----------
    x, y, lambdas, temperatures, batch, direction
        As in `shift_landscape`.

    Returns
    -------
    ndarray, shape (T, L)
        Nats per unit of λ; positive where closing the gap costs.

    Examples
    --------
    >>> x, y = [[1.0, 0.0], [0.8, 0.6]], [[0.0, 1.0], [0.6, 0.8]]
    >>> shift_slope(x, y, [0.0, 0.5], 1.0, batch=None).round(6)
    array([[ 0.124559, -0.077288]])
    """
    lambdas, temperatures = as_vector("lambdas", lambdas), temperature_axis("temperatures", temperatures)
    geometry = checked_geometry(x, y, batch, direction)
    return _algebra.slope(geometry, lambdas, temperatures, direction)
