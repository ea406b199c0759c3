r"""Theorem 1 of Liang et al. (2022), exactly: when one random ReLU layer raises the cosine of two vectors.

The layer is :math:`h \mapsto \phi(Wh + b)`, :math:`\phi = \mathrm{relu}`, :math:`W_{kl} \sim N(0, \sigma_w^2/d)`,
:math:`b_k \sim N(0, \sigma_b^2/d)`, :math:`d` = `width`; the paper has :math:`\sigma_w = \sigma_b = 1`. The inputs
are :math:`u, v` with :math:`\|u\| = a`, :math:`\|v\| = b` and cosine :math:`c_0`; the output cosine is :math:`c'`.
The pairs :math:`((Wu+b)_k, (Wv+b)_k)` are iid bivariate normal, so the law of :math:`c'` depends on the width and on
one number,

.. math:: \rho_1 = \cos\theta_1
          = \frac{\sigma_w^2 a b c_0 + \sigma_b^2}{\sqrt{(\sigma_w^2 a^2 + \sigma_b^2)(\sigma_w^2 b^2 + \sigma_b^2)}}.

A failure is not :math:`c' > c_0`; an undefined :math:`c'` (a zero vector) counts as one. All functions broadcast.

References
----------
.. [1] W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053
   (Theorem 1, Lemma 3).
.. [2] Y. Cho and L. K. Saul, "Kernel Methods for Deep Learning", NIPS 2009.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import xlog1py

from ._arrays import as_cosine, as_positive
from ._preactivation import angle, layer_of, margin, sine_and_cosine
from ._relu_contrast import contrast_second_moment, one_minus_kappa
from .gaussian import relu_moment

__all__ = [
    "chebyshev_constant",
    "failure_probability_nonpositive",
    "limiting_cosine",
    "paper_threshold",
    "preactivation_angle",
    "preactivation_correlation",
    "relu_inner_product",
    "sharp_threshold",
    "summand_variance",
    "undefined_probability",
]

_NEWTON_STEPS = 64  # the error halves at least in every step (docs/theory.md, 2.6): 2^-64 of the start is left


def _widths(width: ArrayLike) -> np.ndarray:
    array = np.asarray(width)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`width` must hold integers, got dtype {array.dtype}.")
    if not np.all(array >= 1):
        raise ValueError(f"`width` must be at least 1, got {array.min()}.")
    return array.astype(np.int64)


def preactivation_angle(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Angle :math:`\theta_1` between the pre-activations, the angle whose cosine is `preactivation_correlation`.

    .. math:: \sin^2\theta_1 = \frac{\sigma_w^4 a^2b^2(1 - c_0^2) + \sigma_w^2\sigma_b^2[(a-b)^2 + 2ab(1 - c_0)]}
                                    {(\sigma_w^2a^2 + \sigma_b^2)(\sigma_w^2b^2 + \sigma_b^2)}

    Parameters
    ----------
    cosine : array_like, shape (...)
        Cosine :math:`c_0` of the two inputs, in [-1, 1].
    norm_u, norm_v : array_like, shape (...)
        Norms :math:`a, b \ge 0`; positive where `sigma_b2` is 0.
    sigma_w2, sigma_b2 : array_like, shape (...)
        Variances of `width` times a weight and of `width` times a bias, at least 0 and not both 0.

    Returns
    -------
    ndarray or float64, shape (...)
        Radians, in [0, pi]; accurate relative to its size for small angles.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Notes
    -----
    Ours; `docs/theory.md`, 2.2. The squared norms must not under- or overflow: norms between 1e-150 and 1e150 are
    safe.

    Examples
    --------
    >>> print(np.degrees(preactivation_angle(0.0, 1.0, 1.0)).round(12))
    60.0
    """
    cosine = as_cosine("cosine", cosine)
    return angle(layer_of(norm_u, norm_v, sigma_w2, sigma_b2), cosine, 1.0 - cosine)


def preactivation_correlation(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Correlation :math:`\rho_1` of the two pre-activations of a unit.

    Parameters and errors are those of `preactivation_angle`, which keeps what :math:`1 - \rho_1` loses near 1.

    Returns
    -------
    ndarray or float64, shape (...)
        In [-1, 1].

    Examples
    --------
    >>> print(preactivation_correlation([-1.0, 0.0, 1.0], 1.0, 1.0))
    [0.  0.5 1. ]
    """
    cosine = as_cosine("cosine", cosine)
    sin, cos = sine_and_cosine(layer_of(norm_u, norm_v, sigma_w2, sigma_b2), cosine, 1.0 - cosine)
    return cos / np.hypot(sin, cos)


def limiting_cosine(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine after the layer at infinite width, :math:`\kappa(\rho_1) = 2J_{11}(\theta_1)` [2]_.

    Parameters and errors are those of `preactivation_angle`.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 1].

    Examples
    --------
    >>> print(limiting_cosine(0.0, 1.0, 1.0).round(6))
    0.608998
    """
    theta = preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return np.where(theta < np.pi / 2, 1.0 - one_minus_kappa(theta), 2.0 * relu_moment(1, 1, theta))[()]


def paper_threshold(norm_u: ArrayLike, norm_v: ArrayLike) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine below which Theorem 1 of the paper [1]_ applies, :math:`2/(r + 1/r)`, :math:`r = a/b`.

    Parameters
    ----------
    norm_u, norm_v : array_like, shape (...)
        Norms, positive.

    Returns
    -------
    ndarray or float64, shape (...)
        In (0, 1], at most `sharp_threshold`.

    Examples
    --------
    >>> print(paper_threshold(2.0, 1.0))
    0.8
    """
    a, b = as_positive("norm_u", norm_u), as_positive("norm_v", norm_v)
    small, large = np.minimum(a, b), np.maximum(a, b)
    ratio = small / large
    return 2.0 * ratio / (1.0 + ratio * ratio)


def sharp_threshold(
    norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Cosine :math:`c^* = \sup\{c : \kappa(\rho_1(c)) > c\}` up to which wide layers raise the cosine.

    :math:`\kappa(\rho_1(c)) - c` is convex in :math:`c`, positive at -1 and at most 0 at 1: below :math:`c^*` the
    cosine rises, above it falls, with probability tending to 1 as the width grows. :math:`c^* = 1` if and only if
    :math:`a = b`, :math:`\sigma_b = 0` or :math:`\sigma_w = 0`.

    Parameters
    ----------
    norm_u, norm_v : array_like, shape (...)
        Norms, positive.
    sigma_w2, sigma_b2 : array_like, shape (...)
        As in `preactivation_angle`.

    Returns
    -------
    ndarray or float64, shape (...)
        In (0, 1], at least `paper_threshold`; error below 1e-15 (compared with 40 digits).

    Notes
    -----
    Ours; `docs/theory.md`, 2.5 and 2.6. Newton's method in :math:`1 - c` from the root of :math:`\rho_1(c) = c`,
    monotone from there.

    Examples
    --------
    >>> print(sharp_threshold(2.0, 1.0).round(12))
    0.893864006936
    """
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)
    slope = layer.mu + layer.eta
    drop = np.divide(layer.eta, slope, out=np.zeros_like(slope), where=slope > 0)
    for _ in range(_NEWTON_STEPS):
        theta = angle(layer, 1.0 - drop, drop)
        full_slope = slope + layer.lam * theta / np.pi
        step = margin(layer, 1.0 - drop, drop, theta)
        step = np.divide(step, full_slope, out=np.zeros_like(step), where=full_slope > 0)
        drop = drop - step
        if not np.any(np.abs(step) > 1e-17):
            break
    return 1.0 - drop


def chebyshev_constant(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Constant :math:`K` of :math:`P(\text{not } c' > c_0) \le K/d`: the :math:`O(1/d)` of Theorem 1, for every width.

    .. math:: K = \frac{\operatorname{Var} X}{(E X)^2},\quad X = \phi\phi' - \tfrac{c_0}{2}(\phi^2 + \phi'^2),\quad
              E X = J_{11} - \tfrac{c_0}{2},\quad E X^2 = J_{22} - 2c_0J_{31} + \tfrac{c_0^2}{4}(3 + 2J_{22})

    Parameters
    ----------
    cosine : array_like, shape (...)
        Cosine of the inputs, in :math:`(0, c^*)`, :math:`c^*` = `sharp_threshold`.
    norm_u, norm_v : array_like, shape (...)
        Norms, positive.
    sigma_w2, sigma_b2 : array_like, shape (...)
        As in `preactivation_angle`.

    Returns
    -------
    ndarray or float64, shape (...)
        Positive; grows without bound as `cosine` approaches :math:`c^* < 1`.

    Raises
    ------
    ValueError
        If `cosine` is outside :math:`(0, c^*)`, or another argument outside its domain.

    Notes
    -----
    Ours; `docs/theory.md`, 2.7. The true rate is exponential.

    Examples
    --------
    >>> print(chebyshev_constant(0.5, 1.0, 1.0).round(8))
    10.49419638
    """
    cosine = as_cosine("cosine", cosine)
    layer = layer_of(as_positive("norm_u", norm_u), as_positive("norm_v", norm_v), sigma_w2, sigma_b2)
    drop = 1.0 - cosine
    theta = angle(layer, cosine, drop)
    excess = margin(layer, cosine, drop, theta)
    good = (cosine > 0) & (excess > 0)
    if not np.all(good):
        first = float(np.broadcast_to(cosine, good.shape)[~good].flat[0])
        raise ValueError(f"`cosine` must lie in (0, c*), c* = sharp_threshold(norm_u, norm_v, ...), got {first!r}.")
    return contrast_second_moment(drop, theta) / excess**2 - 1.0  # both moments of 2 X


def undefined_probability(
    cosine: ArrayLike,
    norm_u: ArrayLike,
    norm_v: ArrayLike,
    width: ArrayLike,
    *,
    sigma_w2: ArrayLike = 1.0,
    sigma_b2: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Probability that an output vector is zero, so that :math:`c'` is undefined.

    .. math:: 2\cdot2^{-d} - \Bigl(\frac{\pi - \theta_1}{2\pi}\Bigr)^d

    Parameters are those of `preactivation_angle`; `width` is :math:`d`, integers of at least 1.

    Returns
    -------
    ndarray or float64, shape (...)
        Exact law to a few eps; underflows to 0 above `width` 1075.

    Notes
    -----
    Ours; `docs/theory.md`, 2.3.

    Examples
    --------
    >>> print(undefined_probability(1.0, 1.0, 1.0, 3))
    0.125
    """
    theta = preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    width = _widths(width)
    return np.ldexp(2.0 - np.exp(xlog1py(width, -theta / np.pi)), -width)


def failure_probability_nonpositive(
    cosine: ArrayLike,
    norm_u: ArrayLike,
    norm_v: ArrayLike,
    width: ArrayLike,
    *,
    sigma_w2: ArrayLike = 1.0,
    sigma_b2: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Exact :math:`P(\text{not } c' > c_0)` for :math:`c_0 \le 0`.

    `undefined_probability` for :math:`c_0 < 0`, where a defined :math:`c' \ge 0` always succeeds;
    :math:`((\pi+\theta_1)/(2\pi))^d` at :math:`c_0 = 0`, where one unit active on both inputs is needed.

    Parameters are those of `preactivation_angle`, `cosine` in [-1, 0]; `width` is :math:`d`, integers of at least 1.

    Returns
    -------
    ndarray or float64, shape (...)
        Relative error of a few eps times 1 + the natural logarithm of 1/value; underflows to 0 for large `width`.

    Raises
    ------
    ValueError
        If `cosine` is positive, or an argument outside its domain.

    Notes
    -----
    Ours; `docs/theory.md`, 2.3 and 2.4.

    Examples
    --------
    >>> print(failure_probability_nonpositive(0.0, 1.0, 1.0, 2).round(12))
    0.444444444444
    """
    cosine = as_cosine("cosine", cosine)
    if not np.all(cosine <= 0):
        raise ValueError(f"`cosine` must lie in [-1, 0], got {float(cosine.max())!r}.")
    theta = preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    orthogonal = np.exp(xlog1py(_widths(width), (theta - np.pi) / (2.0 * np.pi)))
    undefined = undefined_probability(cosine, norm_u, norm_v, width, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return np.where(cosine < 0, undefined, orthogonal)[()]


def relu_inner_product(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Mean inner product after the layer, :math:`E[\phi(Wu+b)^\top\phi(Wv+b)]`, half the right side of Lemma 3 [1]_.

    .. math:: 2\,E[\phi(Wu+b)^\top\phi(Wv+b)]
              = \sqrt{(\sigma_w^2a^2+\sigma_b^2)(\sigma_w^2b^2+\sigma_b^2)}\;\kappa(\rho_1)
              \ge \sigma_w^2u^\top v + \sigma_b^2

    with equality if and only if :math:`\rho_1 = 1` (`docs/theory.md`, 2.9).

    Parameters and errors are those of `preactivation_angle`.

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0; the same for every width.

    Examples
    --------
    >>> print(relu_inner_product([-1.0, 1.0], 1.0, 1.0).round(6))
    [0.31831 1.     ]
    """
    layer = layer_of(norm_u, norm_v, sigma_w2, sigma_b2)
    kappa = limiting_cosine(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return kappa * layer.scale_u * layer.scale_v / 2.0


def summand_variance(
    cosine: ArrayLike, norm_u: ArrayLike, norm_v: ArrayLike, *, sigma_w2: ArrayLike = 1.0, sigma_b2: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Variance :math:`J_{22} - J_{11}^2` of a summand :math:`\phi(z)\phi(z')` of the inner product, unit variances.

    The proof of Theorem 1 [1]_ bounds the variance of the normalised summand by 12. It increases in :math:`\rho_1`
    from 0 to :math:`5/4`, which is also the variance of :math:`\phi(z)^2`: the sharp constant is 5/4
    (`docs/theory.md`, 2.10).

    Parameters and errors are those of `preactivation_angle`.

    Returns
    -------
    ndarray or float64, shape (...)
        In [0, 5/4], up to rounding.

    Examples
    --------
    >>> print(summand_variance(1.0, 1.0, 1.0).round(12))
    1.25
    """
    theta = preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return relu_moment(2, 2, theta) - relu_moment(1, 1, theta) ** 2
