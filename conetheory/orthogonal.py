r"""Orthogonal weights: one ReLU layer whose weight matrix is Haar distributed instead of Gaussian.

The layer is :math:`h \mapsto \phi(Wh)`, :math:`\phi = \mathrm{relu}`, without bias; W is a block of d = `width` rows of
a Haar orthogonal matrix if :math:`d \le d_{in}`; if :math:`d \ge d_{in}`, its columns are the columns of one.
A failure is: not :math:`c' > c_0`, an undefined :math:`c'` included. Everything depends on the cosine :math:`c_0`, on d
and on the aspect :math:`\gamma = \min(1, d/d_{in})`: 1 for square and tall W, and 0 in the limit of a few rows out of
many, where the rows are independent Gaussians again.

References
----------
.. [1] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning in Deep
   Linear Neural Networks", ICLR 2014, arXiv:1312.6120 (orthogonal initialisation).
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from conetheory._arrays import as_array, as_cosine, as_nonnegative
from conetheory._quadrature import _sector_panels
from conetheory.errors import ConvergenceError
from conetheory.finite_width import cosine_variance

__all__ = ["orthogonal_cosine_variance", "orthogonal_failure_probability", "orthogonal_failure_rate"]

_PANELS = 12  # of each of the three sectors
_STEPS = 60  # of Newton's method; about ten are usual
_NO_ASPECT = 1e-16  # the rate is that of aspect 0 to a relative error of this size
_SMALL = 1e-13  # relative decrease that one more step could bring


def orthogonal_failure_rate(cosine: ArrayLike, *, aspect: ArrayLike = 1.0) -> Float[np.ndarray, "..."] | np.float64:
    r"""Exponential rate :math:`I = -\lim \frac1d \ln P(\text{not } c' > c_0)` of failure under orthogonal weights.

    .. math:: I = \sup_{t \ge 0,\, \lambda} \Bigl[\frac{1 - \gamma}{2\gamma} \ln(1 - \lambda^2)
              - \ln \frac1{2\pi}\oint \frac{d\alpha}{1 + \lambda\cos2\alpha + 2t\,h(\alpha)}\Bigr]

    with :math:`h = \cos_+\!\alpha_1\cos_+\!\alpha_2 - \frac{c_0}2(\cos_+^2\!\alpha_1 + \cos_+^2\!\alpha_2)`,
    :math:`\alpha_{1,2} = \alpha \pm \frac12\arccos c_0`. At aspect 0, :math:`\lambda = 0` and I is the rate of Gaussian
    weights without bias.

    Parameters
    ----------
    cosine : array_like, shape (...)
        :math:`c_0`, the cosine of the inputs, in (0, 1).
    aspect : array_like, shape (...)
        :math:`d/d_{in}`, at least 0; broadcast against `cosine`. Above 1 it is as 1; 0 means the Gaussian limit.

    Returns
    -------
    ndarray or float64, shape (...)
        Positive; increases with the aspect, by a factor that tends to 2 between 0 and 1 as `cosine` tends to 1.

    Raises
    ------
    ValueError
        If an argument is out of range.
    ConvergenceError
        If Newton's method does not reach the maximum.

    Notes
    -----
    Relative error against mpmath: 1e-12 for `cosine` in [1e-3, 1 - 1e-6], 1e-9 in [1e-6, 1 - 1e-8]. Source: ours,
    ``docs/theory.md``, 10.4.

    Examples
    --------
    >>> print(orthogonal_failure_rate([0.1, 0.5, 0.9]).round(8))
    [0.10640041 0.0175756  0.00150343]
    >>> print(orthogonal_failure_rate(0.5, aspect=0.0).round(8))
    0.00999898
    """
    cosine, aspect = _layer(cosine, aspect)
    rate = np.empty(cosine.shape)
    for i in np.ndindex(cosine.shape):
        rate[i] = -_Tilt(float(cosine[i]), float(aspect[i])).log_mean
    return rate[()]


def orthogonal_failure_probability(
    cosine: ArrayLike, width: ArrayLike, *, aspect: ArrayLike = 1.0
) -> Float[np.ndarray, "..."] | np.float64:
    r"""Probability that a wide layer of orthogonal weights does not raise the cosine, to leading order in 1/d.

    .. math:: P \approx \sqrt{\frac{\det V_0}{\det V}}\, \frac{e^{-dI}}{t\sigma\sqrt{2\pi d}}
              \Bigl(1 + \frac{t c_0 s^2}{4\bar B}\Bigr)^{-1/2}

    where under the tilted law V is the covariance of the sum of :math:`zz^\top` (:math:`V_0` the untilted one),
    :math:`\sigma^2` and :math:`s^2` are the variances of :math:`X = \phi\phi' - \frac{c_0}2(\phi^2 + \phi'^2)` and of
    :math:`\phi^2 - \phi'^2` given that sum, and :math:`\bar B = E\phi^2`.

    Parameters
    ----------
    cosine : array_like, shape (...)
        :math:`c_0`, in (0, 1).
    width : array_like, shape (...)
        d, positive; broadcast against `cosine`.
    aspect : array_like, shape (...)
        As in `orthogonal_failure_rate`.

    Returns
    -------
    ndarray or float64, shape (...)
        Relative error O(1/d) once :math:`dI \gg 1`; meaningless, and above 1, where :math:`dI \ll 1`.

    Raises
    ------
    ValueError, ConvergenceError
        As `orthogonal_failure_rate`.

    Notes
    -----
    Source: ours, ``docs/theory.md``, 10.5.

    Examples
    --------
    >>> print(orthogonal_failure_probability(0.1, 64).round(6))
    0.000146
    """
    width = as_array("width", width)
    if not np.all(width > 0):
        raise ValueError(f"`width` must be positive, got {float(width[~(width > 0)].flat[0])!r}.")
    cosine, aspect, width = np.broadcast_arrays(*_layer(cosine, aspect), width)
    value = np.empty(cosine.shape)
    for i in np.ndindex(cosine.shape):
        tilt = _Tilt(float(cosine[i]), float(aspect[i]))
        value[i] = tilt.prefactor() / np.sqrt(2 * np.pi * width[i]) * np.exp(width[i] * tilt.log_mean)
    return value[()]


def orthogonal_cosine_variance(rho: ArrayLike, *, aspect: ArrayLike = 1.0) -> Float[np.ndarray, "..."] | np.float64:
    r"""Leading coefficient of the variance of the cosine after a layer of orthogonal weights.

    .. math:: \lim d\,\mathrm{Var}\,c' = v - \frac{\gamma}{\pi^2}(\pi - \theta)^2\sin^4\theta, \qquad \rho = \cos\theta

    with v the coefficient of Gaussian weights, `conetheory.finite_width.cosine_variance`.

    Parameters
    ----------
    rho : array_like, shape (...)
        Cosine of the inputs, in [-1, 1].
    aspect : array_like, shape (...)
        As in `orthogonal_failure_rate`.

    Returns
    -------
    ndarray or float64, shape (...)
        At least 0; half of v in the limit `rho` to 1 at aspect 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    As accurate as v, up to one bit. Source: ours, ``docs/theory.md``, 10.3.

    Examples
    --------
    >>> bool(abs(orthogonal_cosine_variance(0.0) - (0.75 - 4.5 / np.pi**2)) < 1e-15)
    True
    """
    rho, aspect = as_cosine("rho", rho), np.minimum(as_nonnegative("aspect", aspect), 1.0)
    remaining = 2 * np.arctan2(np.sqrt(1 + rho), np.sqrt(1 - rho))  # pi - theta
    return cosine_variance(rho) - aspect * (remaining / np.pi * (1 - rho) * (1 + rho)) ** 2


def _layer(cosine: ArrayLike, aspect: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    cosine = as_cosine("cosine", cosine)
    if not np.all((cosine > 0) & (cosine < 1)):
        bad = cosine[~((cosine > 0) & (cosine < 1))].flat[0]
        raise ValueError(f"`cosine` must lie in (0, 1), got {float(bad)!r}.")
    aspect = np.minimum(as_nonnegative("aspect", aspect), 1.0)
    aspect = np.where(aspect < _NO_ASPECT, 0.0, aspect)
    cosine, aspect = np.broadcast_arrays(cosine, aspect)
    return cosine, aspect


class _Tilt:
    """The tilted law that makes failure typical: angles measured from the bisector of the two inputs, half a circle.

    `nodes`, `weights` integrate even functions of the angle over the circle with mean 1; `h` is X / R², written so that
    it does not cancel.
    """

    def __init__(self, cosine: float, aspect: float) -> None:
        self.cosine, self.aspect = cosine, aspect
        theta = 2 * np.arctan2(np.sqrt(1 - cosine), np.sqrt(1 + cosine))
        x, w = _sector_panels(_PANELS)
        edges = np.array([0.0, (np.pi - theta) / 2, (np.pi + theta) / 2])
        widths = np.array([(np.pi - theta) / 2, theta, (np.pi - theta) / 2])
        alpha = edges[:, None] + widths[:, None] * x
        self.weights = (widths[:, None] * w / np.pi).ravel()
        self.twice = 2 * alpha.ravel()
        self.second = np.maximum(np.cos(alpha - theta / 2), 0.0).ravel()
        self.second[2 * x.size :] = 0.0  # both units are off
        self.first = np.where(np.arange(alpha.size) < x.size, np.cos(alpha + theta / 2).ravel(), 0.0)
        both = (1 - cosine) * (1 + cosine) / 2 * np.cos(2 * alpha[0])
        self.h = np.concatenate([both, -cosine / 2 * self.second[x.size :] ** 2])
        self.t, self.lam, self.log_mean = self._maximum()

    def mean(self, values: np.ndarray) -> float:
        return float(self.weights @ values)

    def _objective(self, t: float, lam: float) -> tuple[float, np.ndarray]:
        """Return minus the function to maximise, and the denominator; infinite outside its domain."""
        excess = lam * np.cos(self.twice) + 2 * t * self.h
        edge = 1 - self.cosine * (lam + t * (1 - self.cosine) * (1 + self.cosine))  # its value where a unit switches on
        if not (abs(lam) < 1 and edge > 0 and np.all(excess > -1)):
            return np.inf, excess
        penalty = 0.0 if self.aspect in (0.0, 1.0) else (1 / self.aspect - 1) / 2 * np.log1p(-lam * lam)
        return float(np.log1p(-self.mean(excess / (1 + excess))) - penalty), 1 + excess

    def _maximum(self) -> tuple[float, float, float]:
        """Newton's method with halved steps for a smooth convex function of two variables (one, at aspect 0)."""
        slopes = np.stack([2 * self.h, np.cos(self.twice)])
        point, free = np.zeros(2), slice(0, 1 if self.aspect == 0 else 2)
        value, denominator = self._objective(*point)
        decrement = np.inf
        for _ in range(_STEPS):
            mean = self.mean(1 / denominator)
            gradient = -(slopes / denominator**2) @ self.weights / mean
            hessian = 2 * (slopes / denominator**3 * self.weights) @ slopes.T / mean - np.outer(gradient, gradient)
            if 0 < self.aspect < 1:
                lam, bend = point[1], 1 / self.aspect - 1
                gradient[1] += bend * lam / (1 - lam * lam)
                hessian[1, 1] += bend * (1 + lam * lam) / (1 - lam * lam) ** 2
            step = np.zeros(2)
            step[free] = -np.linalg.solve(hessian[free, free], gradient[free])
            decrement = -float(gradient @ step)
            if decrement <= _SMALL * abs(value):
                return float(point[0]), float(point[1]), value
            size = 1.0
            while size > 1e-12 and not self._objective(*(point + size * step))[0] <= value - size * decrement / 4:
                size /= 2
            point = point + size * step
            value, denominator = self._objective(*point)
        raise ConvergenceError(
            f"The rate at `cosine` {self.cosine} is known to {decrement:.1e} only.", value=-value, error=decrement
        )

    def _mean(self, features: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Return the mean of R² times each row of `features` under the law that `denominator` tilts to."""
        return 2 * (features / denominator**2) @ self.weights / self.mean(1 / denominator)

    def _products(self, features: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Return the mean products of R² times the rows of `features`: the covariance of odd ones, of mean 0."""
        return 8 * (features / denominator**3 * self.weights) @ features.T / self.mean(1 / denominator)

    def _covariance(self, features: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """Return the covariance of R² times the rows of `features`, which are even in the angle."""
        mean = self._mean(features, denominator)
        return self._products(features, denominator) - np.outer(mean, mean)

    def prefactor(self) -> float:
        r"""Return what stands before :math:`e^{-dI}/\sqrt{2\pi d}`."""
        tilted, rest_tilted = self._objective(self.t, self.lam)[1], 1 + self.lam * np.cos(self.twice)
        length = (self.first**2 + self.second**2) / 2
        gram_rows = np.stack([np.ones_like(length), np.cos(self.twice)])  # of R² and R² cos 2α
        odd_rows = np.stack([self.first**2 - self.second**2, np.sin(self.twice)])  # uncorrelated with the even ones
        even, odd = self._covariance(np.stack([self.h, *gram_rows]), tilted), self._products(odd_rows, tilted)
        variance, spread, volume = even[0, 0], odd[0, 0], 1.0
        if self.aspect > 0:
            rest = 1 / self.aspect - 1
            gram = even[1:, 1:] + rest * self._covariance(gram_rows, rest_tilted)
            gram_odd = odd[1, 1] + rest * self._products(odd_rows[1:], rest_tilted)[0, 0]
            variance -= float(even[0, 1:] @ np.linalg.solve(gram, even[0, 1:]))
            spread -= odd[0, 1] ** 2 / gram_odd
            volume = (4 / self.aspect) ** 3 / (np.linalg.det(gram) * gram_odd)
        curvature = 1 + self.t * self.cosine * spread / (4 * self._mean(length[None], tilted)[0])
        return float(np.sqrt(volume / (curvature * variance)) / self.t)
