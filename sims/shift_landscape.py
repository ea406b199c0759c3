r"""CLIP loss of shifted embeddings, all shifts, temperatures and both directions at once (Liang et al., Sec. 4.2).

What `conetheory.shift.shift_landscape` computes, some hundred times as fast: one exponential of a pair serves its row,
its column and every temperature whose inverse is the sum of two others; sixteen shifts run in a vector of float32.
Derivation, error bound and the test by which a row is done in float64 instead: ``docs/theory.md`` §7.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Sec. 4.2 and Fig. 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from conetheory._arrays import as_count, as_points, unit_rows
from conetheory._shift_geometry import as_vector, temperature_axis
from conetheory.contrastive import batch_slices
from conetheory.shift import ShiftLandscape
from sims._landscape_sums import Pairs, loss_sums, square_lengths

__all__ = ["DirectionalShiftLandscape", "shift_landscape"]

_NO_GAP = 1e-12  # a shorter gap vector is rounding
_LOST_ROW = 1e-10  # least squared length of a shifted row, as in `conetheory.shift`
_PRECISION = 1e-15  # of the series of 1/a in p
_SAFE = 1e-150, 1e150  # norms whose squares neither overflow nor underflow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DirectionalShiftLandscape(ShiftLandscape):
    """A `ShiftLandscape` whose `loss` is symmetric, with the losses of both directions.

    Attributes
    ----------
    x_to_y, y_to_x : ndarray, shape (T, L)
        In nats; `loss` is their mean.
    """

    x_to_y: np.ndarray
    y_to_x: np.ndarray


def shift_landscape(
    x: ArrayLike,
    y: ArrayLike,
    lambdas: ArrayLike,
    temperatures: ArrayLike,
    *,
    batch: int | None = 50,
    workers: int = 1,
) -> DirectionalShiftLandscape:
    """CLIP loss and gap for every shift and temperature, from one matrix product ([1]_, Fig. 3 b-d).

    Parameters
    ----------
    x, y : array_like, shape (n, d)
        Row i of both is pair i; rows are normalised here.
    lambdas : array_like, shape (L,) or ()
        Shifts.
    temperatures : array_like, shape (T,) or ()
        τ, at least 1/300. Those whose inverse is the sum of two others' cost a fraction.
    batch : int or None
        Rows in a batch, as in `conetheory.contrastive.clip_loss`; the paper takes 50, None takes all.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    DirectionalShiftLandscape
        Losses to some 5e-6 nats: float32 rounds a cosine by about 1e-7, which a temperature τ makes 1e-7/τ a pair, and
        averaging over pairs makes less. Time O(n batch L T), memory O(n (d + L T)) with ``batch=None``, where no matrix
        of n x n is formed; the memory of one batch of that otherwise.

    Raises
    ------
    ValueError
        If the gap is zero, or a row is shifted onto the origin (to 1e-5).

    Examples
    --------
    >>> landscape = shift_landscape([[1.0, 0.0], [0.8, 0.6]], [[0.0, 1.0], [0.6, 0.8]], [0.0, 0.5], 1.0, batch=None)
    >>> landscape.loss.round(5).tolist(), landscape.gap.round(6).tolist()
    ([[0.78337, 0.80313]], [0.848528, 0.09667])
    """
    lambdas, temperatures = as_vector("lambdas", lambdas), temperature_axis("temperatures", temperatures)
    workers = as_count("workers", workers)
    pairs = _pairs(x, y)
    rows = batch_slices(len(pairs.x), batch)[0].stop
    _refuse_lost_rows(pairs, lambdas)
    betas, place = np.unique(1 / temperatures, return_inverse=True)
    losses = loss_sums(pairs, lambdas, betas, rows, workers)[:, place] / len(pairs.x)
    return DirectionalShiftLandscape(
        lambdas=lambdas,
        temperatures=temperatures,
        signed_gap=_signed_gap(pairs, lambdas),
        loss=losses.mean(axis=0),
        x_to_y=losses[0],
        y_to_x=losses[1],
    )


def _pairs(x: ArrayLike, y: ArrayLike) -> Pairs:
    """Return the validated rows with what all shifts share; no gap is an error."""
    (x, inverse_x), (y, inverse_y) = _rows("x", x), _rows("y", y)
    if x.shape != y.shape:
        raise ValueError(f"`y` must have the shape of `x`, got {x.shape} and {y.shape}.")
    delta = (inverse_x @ x - inverse_y @ y) / len(x)
    norm2 = float(delta @ delta)
    if not norm2 > _NO_GAP**2:
        raise ValueError(
            f"`x` and `y` must have different means: there is no gap to shift along, got {norm2**0.5:.3g}."
        )
    return Pairs(
        x=x,
        y=y,
        inverse_x=inverse_x,
        inverse_y=inverse_y,
        delta=delta,
        norm2=norm2,
        p=(x @ delta) * inverse_x,
        q=(y @ delta) * inverse_y,
    )


def _rows(name: str, value: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of `value`, normalised where their norms are extreme, and their inverse norms."""
    array = as_points(name, value)
    norms = np.sqrt(np.einsum("ij,ij->i", array, array))
    if not np.all((norms > _SAFE[0]) & (norms < _SAFE[1])):
        array = unit_rows(name, array)
        norms = np.ones(len(array))
    return array, 1 / norms


def _refuse_lost_rows(pairs: Pairs, lambdas: np.ndarray) -> None:
    """Raise if a shift moves a row onto the origin: of all rows, one at an end of p or q is nearest to it."""
    for name, products in (("x", pairs.p), ("y", -pairs.q)):
        ends = np.array([np.argmin(products), np.argmax(products)])
        lost = np.argwhere(square_lengths(products[ends], lambdas, pairs.norm2) <= _LOST_ROW)
        if lost.size:
            shift, end = lost[0]
            raise ValueError(
                f"`{name}` has a row shifted onto the origin: row {ends[end]} at lambda {lambdas[shift]:.6g}."
            )


def _signed_gap(pairs: Pairs, lambdas: np.ndarray) -> np.ndarray:
    """Return what `ShiftLandscape.signed_gap` is, shape (L,)."""
    mean_x, inverse_a = _mean_scaled_rows(pairs.x, pairs.inverse_x, pairs.p, lambdas, pairs.norm2)
    mean_y, inverse_b = _mean_scaled_rows(pairs.y, pairs.inverse_y, -pairs.q, lambdas, pairs.norm2)
    gaps = mean_x - mean_y - (lambdas * (inverse_a + inverse_b))[:, None] * pairs.delta
    return np.copysign(np.linalg.norm(gaps, axis=1), gaps @ pairs.delta)


def _mean_scaled_rows(
    rows: np.ndarray, inverse: np.ndarray, products: np.ndarray, lambdas: np.ndarray, norm2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means over unit rows u_i of u_i/a_i and of 1/a_i, shapes (L, d) and (L,).

    1/a is smooth in p, so few Chebyshev polynomials of p serve all shifts; its nearest singularities are at p = ±√D,
    which sets the rate at which their coefficients fall.
    """
    middle, half = (products.max() + products.min()) / 2, (products.max() - products.min()) / 2
    reach = (np.sqrt(norm2) - abs(middle)) / half if half > 0 else np.inf
    terms = 1.0 if np.isinf(reach) else np.inf
    if 1 < reach < np.inf:
        terms = np.ceil(np.log(_PRECISION) / -np.log(reach + np.sqrt(reach**2 - 1))) + 1
    n = len(rows)
    if terms >= lambdas.size:
        weights = 1 / np.sqrt(square_lengths(products, lambdas, norm2))
        return (weights * inverse) @ rows / n, weights.mean(axis=1)
    nodes = np.cos((np.arange(terms) + 0.5) * np.pi / terms)
    polynomials = np.polynomial.chebyshev.chebvander((products - middle) / (half or 1.0), int(terms) - 1)
    at_nodes = 1 / np.sqrt(square_lengths(middle + half * nodes, lambdas, norm2))
    weights = at_nodes @ np.polynomial.chebyshev.chebvander(nodes, int(terms) - 1) * (2 / terms)
    weights[:, 0] /= 2
    return weights @ ((polynomials * inverse[:, None]).T @ rows) / n, weights @ polynomials.mean(axis=0)
