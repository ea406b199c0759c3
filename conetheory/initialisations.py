r"""Weights that are not Gaussian: what of Theorem 1 is universal, and what is not.

A unit sees the inputs u, v through :math:`z = w \cdot u`, :math:`z' = w \cdot v`, with independent symmetric weights of
one law and of variance 1; there is no bias. Many inputs of comparable size make (z, z') Gaussian, whatever the law: the
cosine after a wide layer is then :math:`\kappa(\rho)`. Few inputs do not, and the probability that a layer fails to
raise the cosine depends on the law at any number of inputs. Orthogonal weights, which are not independent, are in
`conetheory.orthogonal`.

PyTorch's ``nn.Linear`` draws weights and biases uniformly from :math:`\pm 1/\sqrt{d_{in}}`: in mean field
``sigma_w2 = 1/3`` and ``sigma_b2`` = :math:`1/(3 d_{in})`. Its ``trunc_normal_`` cuts at absolute bounds: the default
bounds of 2 cut nothing at the standard deviation 0.02 of vision transformers.

References
----------
.. [1] A. Dembo and O. Zeitouni, "Large Deviations Techniques and Applications", 2nd ed., Springer 1998, section 2.2.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult, minimize_scalar, root_scalar

from conetheory._arrays import as_array, as_cosine, as_points, as_positive

__all__ = [
    "EXCESS_KURTOSIS",
    "failure_rate_of_atoms",
    "kurtosis_correction",
    "rademacher_preactivations",
    "truncated_normal_moments",
]

_MOST_INPUTS = 16  # of the enumeration of signs
_TOLERANCE = 1e-10
_SHORT = 2.0  # a truncation below this cancels in the closed form


def truncated_normal_moments(cut: float) -> tuple[float, float]:
    r"""Variance and excess kurtosis of a standard normal that is truncated to :math:`\pm a`, a = `cut`.

    .. math:: \mathrm{Var} = 1 - b, \qquad \frac{\mathbb{E} x^4}{\mathrm{Var}^2} - 3
              = -\frac{b\,(a^2 - 3 \mathrm{Var})}{\mathrm{Var}^2}, \qquad b = \frac{2 a f(a)}{2\Phi(a) - 1}

    with f the normal density.

    Parameters
    ----------
    cut : float
        a, in standard deviations before the cut; positive.

    Returns
    -------
    tuple of two floats
        Variance and excess kurtosis.

    Raises
    ------
    ValueError
        If `cut` is not positive.

    Notes
    -----
    Relative error a few eps (below 2 by a series of positive terms); of the excess, :math:`a^2` eps where a is large,
    and it underflows to 0 beyond 38. Source: integration by parts.

    Examples
    --------
    >>> print([round(x, 6) for x in truncated_normal_moments(2.0)])
    [0.773741, -0.634463]
    """
    cut = float(as_positive("cut", cut))
    if cut < _SHORT:
        return _short_moments(cut)
    edge = 2 * cut * math.exp(-cut * cut / 2) / math.sqrt(2 * math.pi) / math.erf(cut / math.sqrt(2))
    variance = 1 - edge
    return variance, -edge * (cut * cut - 3 * variance) / variance**2 if edge else 0.0


def _short_moments(cut: float) -> tuple[float, float]:
    """As `truncated_normal_moments`, by the series of Kummer's function, 1/b = sum of y^n/(3/2)_n, y = a²/2."""
    n = np.arange(40)
    terms = np.concatenate([[1.0], np.cumprod(cut * cut / 2 / (n[1:] + 0.5))])
    total = terms.sum()
    third = float(terms @ (1.5 / (n + 1.5)) / total) / 3  # the variance over a²
    drop = float(terms[:-1] @ (n[1:] / (n[1:] + 1.5) / (n[1:] + 0.5)) / total) / 2  # (a² - 3 Var)/a⁴
    return cut * cut * third, -drop / third**2 / float(total)


#: Excess kurtosis of the laws by name; the truncated normal is cut at two standard deviations.
EXCESS_KURTOSIS: Mapping[str, float] = MappingProxyType(
    {"normal": 0.0, "uniform": -1.2, "truncated_normal": truncated_normal_moments(2.0)[1], "rademacher": -2.0}
)


def _pair(u: ArrayLike, v: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return two vectors of one shape (d_in,), divided by their norms."""
    u, v = as_array("u", u), as_array("v", v)
    if not (u.ndim == 1 and u.size >= 1 and u.shape == v.shape):
        raise ValueError(f"`u` and `v` must have one shape (d_in,), got shapes {u.shape} and {v.shape}.")
    for name, x in (("u", u), ("v", v)):
        if not np.any(x):
            raise ValueError(f"`{name}` must not be zero, got {x}.")
    return u / np.linalg.norm(u), v / np.linalg.norm(v)


def kurtosis_correction(u: ArrayLike, v: ArrayLike, *, excess_kurtosis: float) -> float:
    r"""First correction to :math:`\kappa(\rho)`, the cosine after an infinitely wide ReLU layer, for other weights.

    .. math:: \kappa_4\, \frac{\sin^3\theta}{24\pi} \sum_i \mathrm{Re}\,(e_i + \mathrm{i} f_i)^4

    with :math:`\kappa_4` the excess kurtosis, and e, f the unit vectors along u + v and u - v, u and v normalised.

    Parameters
    ----------
    u, v : array_like, shape (d_in,)
        The inputs, not zero.
    excess_kurtosis : float
        Of a weight, at least -2.

    Returns
    -------
    float
        Of order :math:`1/d_{in}` where no coordinate dominates, at most :math:`|\kappa_4|\sin\theta/(3\pi)` times the
        largest square of a coordinate; 0 in the mean over directions of the inputs.

    Raises
    ------
    ValueError
        If an input is zero or of another shape, or `excess_kurtosis` below -2.

    Notes
    -----
    The next terms are of order :math:`d_{in}^{-2}` for laws with a density; lattice inputs under discrete weights have
    errors of order :math:`1/d_{in}` besides. Source: ours (Edgeworth), ``docs/theory.md``, 10.2.

    Examples
    --------
    >>> round(kurtosis_correction([1, 1, 1, 1], [1, 1, -1, -1], excess_kurtosis=-1.2), 6)
    -0.015915
    """
    u, v = _pair(u, v)
    kurtosis = float(as_array("excess_kurtosis", excess_kurtosis))
    if not kurtosis >= -2:
        raise ValueError(f"`excess_kurtosis` must be at least -2, got {kurtosis!r}.")
    cosine_half, sine_half = np.linalg.norm(u + v) / 2, np.linalg.norm(u - v) / 2
    if cosine_half == 0 or sine_half == 0:
        return 0.0
    frame = (u + v) / (2 * cosine_half) + 1j * (u - v) / (2 * sine_half)
    sine = 2 * cosine_half * sine_half
    return float(kurtosis * sine**3 / (24 * np.pi) * np.sum(frame**4).real)


def rademacher_preactivations(u: ArrayLike, v: ArrayLike) -> Float[np.ndarray, "m 2"]:
    r"""All pairs :math:`(w \cdot u, w \cdot v)` for weights :math:`\pm 1`: atoms of equal probability.

    Parameters
    ----------
    u, v : array_like, shape (d_in,)
        The inputs, at most 16 coordinates.

    Returns
    -------
    ndarray, shape (2 ** d_in, 2)
        The pairs, for u and v divided by their norms.

    Raises
    ------
    ValueError
        If an input is zero, of another shape or too long.

    Examples
    --------
    >>> rademacher_preactivations([2.0], [-1.0])
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    pair = np.stack(_pair(u, v), axis=1)
    if not len(pair) <= _MOST_INPUTS:
        raise ValueError(f"`u` must have at most {_MOST_INPUTS} coordinates, got {len(pair)}.")
    bits = (np.arange(1 << len(pair))[:, None] >> np.arange(len(pair))) & 1
    return (1.0 - 2.0 * bits) @ pair


def failure_rate_of_atoms(preactivations: ArrayLike, cosine: float, *, probabilities: ArrayLike | None = None) -> float:
    r"""Exponential rate of failure of Theorem 1 for independent units whose pre-activations have a discrete law.

    .. math:: I = \sup_{s > 0,\, t \ge 0} -\ln \mathbb{E} \exp\Bigl(-t\bigl[\phi\phi' - \tfrac{c_0}2
              (s\phi^2 + \phi'^2/s)\bigr]\Bigr), \qquad P(\text{not } c' > c_0) \le e^{-dI} \text{ for every } d

    Parameters
    ----------
    preactivations : array_like, shape (m, 2)
        The pairs (z, z') that a unit can see.
    cosine : float
        :math:`c_0`, in (0, 1).
    probabilities : array_like, shape (m,), optional
        Of the pairs, positive; normalised here. Equal by default.

    Returns
    -------
    float
        0 where the cosine of an infinitely wide layer is at most :math:`c_0`; infinite where failure is impossible.

    Raises
    ------
    ValueError
        If an argument is of the wrong shape or out of range.

    Notes
    -----
    Relative error about 1e-9, for the law given. Nodes and weights of a quadrature serve as atoms of a continuous law.
    Source: ours, from Cramér's theorem [1]_; ``docs/theory.md``, 10.6.

    Examples
    --------
    >>> atoms = rademacher_preactivations([3, 1], [1, 3])
    >>> round(failure_rate_of_atoms(atoms, 0.6), 6)
    0.058471
    """
    z = as_points("preactivations", preactivations)
    if z.shape[1] != 2:
        raise ValueError(f"`preactivations` must have shape (m, 2), got shape {z.shape}.")
    cosine = float(as_cosine("cosine", cosine))
    if not 0 < cosine < 1:
        raise ValueError(f"`cosine` must lie in (0, 1), got {cosine!r}.")
    weights = as_positive("probabilities", np.ones(len(z)) if probabilities is None else probabilities)
    if weights.shape != (len(z),):
        raise ValueError(f"`probabilities` must have shape ({len(z)},), got shape {weights.shape}.")
    weights = weights / weights.sum()
    first, second = (x / (np.max(x) or 1.0) for x in np.maximum(z, 0).T)  # their scales do not matter
    squares = weights @ np.stack([first**2, second**2], axis=1)
    excess = float(weights @ (first * second)) / float(cosine * np.sqrt(squares[0] * squares[1]) or np.inf)
    if not excess > 1:
        return 0.0

    def rate(log_balance: float) -> float:
        balance = math.exp(log_balance)
        return _chernoff(first * second - cosine / 2 * (balance * first**2 + second**2 / balance), np.log(weights))

    centre, reach = math.log(squares[1] / squares[0]) / 2, math.acosh(excess)  # the statistic has a positive mean there
    best = rate(centre)
    if math.isinf(best):
        return math.inf
    found = cast(
        OptimizeResult,
        minimize_scalar(
            lambda r: -rate(r), bounds=(centre - reach, centre + reach), method="bounded", options={"xatol": _TOLERANCE}
        ),
    )
    return max(best, -float(found["fun"]))


def _chernoff(x: np.ndarray, log_weights: np.ndarray) -> float:
    """Return the supremum over t >= 0 of -ln E exp(-t x)."""
    if not np.exp(log_weights) @ x > 0:
        return 0.0
    if not np.any(x < 0):
        zero = log_weights[x == 0]
        return -float(np.logaddexp.reduce(zero)) if zero.size else math.inf

    def drift(t: float) -> float:
        exponents = log_weights - t * x
        return float(np.exp(exponents - exponents.max()) @ x)

    high = 1.0 / float(np.max(np.abs(x)))
    while drift(high) > 0:
        high *= 2
    t = float(root_scalar(drift, bracket=(0.0, high), xtol=1e-14 * high).root)
    return -float(np.logaddexp.reduce(log_weights - t * x))
