r"""The embedding shift of ideal clouds, in closed form: what the loss of many batches tends to (ours).

Pair i is :math:`x_i = (\sqrt{1-\gamma^2}\,h_i, \gamma)`, :math:`y_i = (\sqrt{1-\gamma^2}\,h'_i, -\gamma)` with
:math:`h_i` uniform on the sphere of :math:`R^d`, :math:`h'_i` uniform among the points at cosine :math:`\rho` from it,
and independent pairs: two cones about opposite poles, gap :math:`2\gamma`. Along the shift only the logit scale
changes,

.. math:: \kappa(\lambda) = \frac{1}{\tau}\,\frac{1-\gamma^2}{1 - \gamma^2 + \gamma^2(1-2\lambda)^2},

and the expected loss of a batch of b pairs is, in either direction, with iid :math:`u_j`, the cosine of two random
directions,

.. math::
   L_b(\kappa) = E\ln\Bigl(1 + \sum_{j=1}^{b-1} e^{\kappa(u_j - \rho)}\Bigr), \qquad
   L_b(\kappa) - \ln b \to \psi_d(\kappa) - \kappa\rho,

the log partition function of von Mises and Fisher. So the scale that is best for many pairs is the concentration at
which the mean resultant length is the matched cosine. Proofs: ``docs/theory.md`` §7.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", 2024, arXiv:2412.07909 (the parallel modalities).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ._arrays import as_array, as_count, as_nonnegative, as_positive
from ._scalars import as_fraction, number, positive_number
from .errors import ConvergenceError
from .von_mises_fisher import concentration, log_partition

__all__ = [
    "ShiftLimit",
    "batch_loss",
    "batch_slope",
    "best_scale",
    "limit_loss",
    "shift_limit",
    "shift_scale",
]

_NARROW = 42.0  # minus the log of a share that is left out
_STEP = 0.2  # of the trapezoidal rules, over their strips of analyticity: an error of e^(-π²/step)
_BLOCK = 1 << 20  # nodes of the double integral held at once
_LARGEST = 1e4  # κ of a batch: the nodes grow with it
_Numbers = Float[np.ndarray, "..."] | np.float64


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftLimit:
    """Where the expected loss is least along the shift, at one temperature.

    Attributes
    ----------
    best_scale : float
        κ*, the logit scale of the directions h that is best.
    critical_temperature : float
        (1 − γ²)/κ*: at lower temperatures the given gap is too small, at higher ones too wide.
    minimisers : tuple of float
        λ of least loss: ½ alone where κ* is at least 1/τ (the gap closes), else two, at equal distances from ½.
    loss : float
        The loss there in nats; less ln n for one batch of many pairs.
    barrier : float
        Loss at λ = ½ less the least loss.
    """

    best_scale: float
    critical_temperature: float
    minimisers: tuple[float, ...]
    loss: float
    barrier: float


def shift_scale(lam: ArrayLike, temperature: ArrayLike, height: ArrayLike) -> _Numbers:
    r"""Logit scale κ(λ) to which the shift by λ takes parallel clouds (``docs/theory.md``, 7.7).

    Parameters
    ----------
    lam : array_like, shape (...)
        Shift λ.
    temperature : array_like, shape (...)
        τ > 0.
    height : array_like, shape (...)
        γ in (0, 1), half the gap.

    Returns
    -------
    ndarray or float64, shape (...)
        In (0, 1/τ], 1/τ at λ = ½ where the gap is closed.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(shift_scale([0.0, 0.5, 1.0], 0.01, 0.6).round(12))
    [ 64. 100.  64.]
    """
    lam, temperature = as_array("lam", lam), as_positive("temperature", temperature)
    height = as_positive("height", height)
    if not np.all(height < 1):
        raise ValueError(f"`height` must lie in (0, 1), got {float(np.max(height))!r}.")
    ring = (1 - height) * (1 + height)
    return (ring / (ring + (height * (1 - 2 * lam)) ** 2) / temperature)[()]


def limit_loss(dim: int, matched_cosine: float, kappa: ArrayLike) -> _Numbers:
    r"""Loss less ln n of one batch of n pairs in the limit of many pairs, :math:`\psi_d(\kappa) - \kappa\rho`.

    Parameters
    ----------
    dim : int
        Dimension d ≥ 2 of the directions h.
    matched_cosine : float
        ρ in (−1, 1).
    kappa : array_like, shape (...)
        Logit scale κ ≥ 0 of the directions.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats, convex in κ; ρ = 1 would give `conetheory.contrastive_floors.bessel_floor`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(limit_loss(3, 0.5, 2.0).round(6), (np.log(np.sinh(2) / 2) - 1).round(6))
    -0.40478 -0.40478
    """
    dim, rho, kappa = as_count("dim", dim, minimum=2), _as_matched(matched_cosine), as_nonnegative("kappa", kappa)
    return log_partition(dim, kappa) - kappa * rho


def batch_loss(dim: int, matched_cosine: float, kappa: ArrayLike, batch: int) -> _Numbers:
    r"""Expected loss of a batch of `batch` independent pairs.

    .. math:: L_b(\kappa) = \int_0^\infty\frac{e^{-t}}{t}\bigl(1 - \varphi(t)^{b-1}\bigr)\,dt, \qquad
              \varphi(t) = E\,e^{-t e^{\kappa(u - \rho)}}

    Parameters
    ----------
    dim, matched_cosine, kappa
        As in `limit_loss`; κ at most 10⁴.
    batch : int
        Pairs b ≥ 1 of a batch.

    Returns
    -------
    ndarray or float64, shape (...)
        In nats, to a relative error of about 1e-13; every direction of the loss has it.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Notes
    -----
    Frullani's integral for the logarithm, and the Laplace transform of a sum of independent terms. Both integrals by
    the trapezoidal rule, in ln t and in arsinh artanh u, which converges exponentially. Time grows with κ.

    Examples
    --------
    >>> print(batch_loss(3, 0.5, [0.0, 4.0], 50).round(6), np.log(50).round(6))
    [3.912023 3.803415] 3.912023
    """
    return _each(dim, matched_cosine, kappa, batch)[0]


def batch_slope(dim: int, matched_cosine: float, kappa: ArrayLike, batch: int) -> _Numbers:
    r"""Slope dL_b/dκ of `batch_loss`, same arguments.

    .. math:: \frac{dL_b}{d\kappa} = (b-1)\int_0^\infty e^{-t}\varphi(t)^{b-2}\,
              E\bigl[(u - \rho)\,e^{\kappa(u-\rho)}e^{-te^{\kappa(u-\rho)}}\bigr]\,dt

    Returns
    -------
    ndarray or float64, shape (...)
        Increasing in κ from −(1 − 1/b)ρ at 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(batch_slope(3, 0.5, 0.0, 50).round(12))
    -0.49
    """
    return _each(dim, matched_cosine, kappa, batch)[1]


def best_scale(dim: int, matched_cosine: float, *, batch: int | None = None) -> float:
    r"""Logit scale κ* of the directions at which the loss is least.

    Parameters
    ----------
    dim, matched_cosine
        As in `limit_loss`.
    batch : int or None
        Pairs of a batch, at least 2; None is one batch of many, where :math:`A_d(\kappa^*) = \rho`.

    Returns
    -------
    float
        0 where ρ ≤ 0. Relative error 1e-10 or so.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.
    ConvergenceError
        For a batch whose best scale lies beyond 10⁴, or whose slope underflows: in very many dimensions no other pair
        comes near.

    Examples
    --------
    >>> print(round(best_scale(64, 0.8), 6), round(best_scale(64, 0.8, batch=50), 6))
    140.489433 272.390041
    """
    dim, rho = as_count("dim", dim, minimum=2), _as_matched(matched_cosine)
    if rho <= 0:
        return 0.0
    many = float(concentration(dim, rho))
    if batch is None:
        return many
    batch = as_count("batch", batch, minimum=2)

    def slope(kappa: float) -> float:
        return _integrals(dim, rho, kappa, batch)[1]

    high = many
    while high <= _LARGEST and (at_high := slope(high)) <= 0:
        if at_high == 0:
            raise ConvergenceError("The slope of the loss underflows: too few pairs a batch.", value=high, error=np.inf)
        high *= 1.5
    if high > _LARGEST:
        raise ConvergenceError(f"The best scale of a batch lies beyond {_LARGEST:g}.", value=high, error=np.inf)
    return float(brentq(slope, 0.0, high, rtol=1e-11, xtol=1e-11))  # type: ignore[arg-type]


def shift_limit(
    dim: int, matched_cosine: float, height: float, temperature: float, *, batch: int | None = None
) -> ShiftLimit:
    """Minimisers of the expected loss along the shift, and the critical temperature of the given gap.

    Parameters
    ----------
    dim, matched_cosine
        As in `limit_loss`; ρ must be positive, as the loss falls with the distance from λ = ½ otherwise.
    height, temperature : float
        As in `shift_scale`.
    batch : int or None
        As in `best_scale`.

    Returns
    -------
    ShiftLimit
        Repulsion (two minimisers) where 1/τ exceeds κ*.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> found = shift_limit(64, 0.6, 0.6, 0.01)
    >>> print(np.round(found.minimisers, 6), round(1 / found.critical_temperature, 4))
    [-0.049948  1.049948] 92.9785
    """
    height, temperature = as_fraction("height", height), positive_number("temperature", temperature)
    if not _as_matched(matched_cosine) > 0:
        raise ValueError(f"`matched_cosine` must be positive for a minimum to exist, got {matched_cosine!r}.")
    best = best_scale(dim, matched_cosine, batch=batch)

    def loss(kappa: float) -> float:
        if batch is None:
            return float(limit_loss(dim, matched_cosine, kappa))
        return float(batch_loss(dim, matched_cosine, kappa, batch))

    ring, closed = (1 - height) * (1 + height), 1 / temperature
    offset = float(np.sqrt(ring * (closed / best - 1))) / (2 * height) if closed > best else 0.0
    least = loss(min(best, closed))
    return ShiftLimit(
        best_scale=best,
        critical_temperature=ring / best,
        minimisers=(0.5 - offset, 0.5 + offset) if offset > 0 else (0.5,),
        loss=least,
        barrier=loss(closed) - least,
    )


def _as_matched(value: float) -> float:
    rho = number("matched_cosine", value)
    if not -1 < rho < 1:
        raise ValueError(f"`matched_cosine` must lie in (-1, 1), got {rho!r}.")
    return rho


def _each(dim: int, matched_cosine: float, kappa: ArrayLike, batch: int) -> tuple[_Numbers, _Numbers]:
    """Return loss and slope at each κ."""
    dim, rho = as_count("dim", dim, minimum=2), _as_matched(matched_cosine)
    kappa, batch = as_nonnegative("kappa", kappa), as_count("batch", batch)
    if not np.all(kappa <= _LARGEST):
        raise ValueError(f"`kappa` must be at most {_LARGEST:g} for a batch, got {float(np.max(kappa))!r}.")
    found = np.array([_integrals(dim, rho, float(k), batch) for k in kappa.ravel()]).reshape(*kappa.shape, 2)
    return found[..., 0][()], found[..., 1][()]


def _directions(dim: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for the cosine u = tanh v of two random directions, of density sech^(d-1) v in v.

    The rule is in w, v = sinh w: a few dimensions have long tails in v, in which u hardly moves.
    """
    step = min(_STEP / max(kappa, 1.0), 3 * _STEP / np.sqrt(dim))
    far = np.arccosh(np.exp((_NARROW + min(kappa, _NARROW + dim)) / (dim - 1)))  # for small losses the far end decides
    last = np.ceil(np.arcsinh(far) / step)
    w = step * np.arange(-last, last + 1)
    v = np.sinh(w)
    weights = np.cosh(v) ** (1.0 - dim) * np.cosh(w)
    return np.tanh(v), weights / weights.sum()


def _integrals(dim: int, rho: float, kappa: float, batch: int) -> tuple[float, float]:
    """Return `batch_loss` and `batch_slope` at one κ, by the trapezoidal rule in s = ln t."""
    if batch == 1:
        return 0.0, 0.0
    u, weights = _directions(dim, kappa)
    low = -_NARROW - np.log(batch) - max(0.0, float(log_partition(dim, kappa)) - kappa * rho)
    nodes = np.arange(low, np.log(_NARROW) + _STEP, _STEP)
    loss = slope = 0.0
    for s in np.array_split(nodes, -(-nodes.size * u.size // _BLOCK)):
        terms = np.exp(np.minimum(np.add.outer(s, kappa * (u - rho)), 700.0))
        kept = -np.expm1(-terms) @ weights  # 1 − φ
        moved = (terms * np.exp(-terms)) @ (weights * (u - rho))
        power = np.exp(-np.exp(s))
        with np.errstate(divide="ignore"):  # φ may be 0
            log_transform = np.log1p(-np.minimum(kept, 1.0))
        loss += _STEP * float(power @ -np.expm1((batch - 1) * log_transform))
        others = np.exp((batch - 2) * log_transform) if batch > 2 else 1.0
        slope += _STEP * (batch - 1) * float(np.sum(power * moved * others))
    return loss, slope
