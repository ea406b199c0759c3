r"""Many dual activations of the same two variances from few: Chebyshev interpolation in the angle.

With :math:`\rho = \cos\theta` the dual activation is as smooth in :math:`\theta` on [0, pi] as the activation on each
side of 0, also at the ends, where it has a branch point in :math:`\rho` (`docs/theory.md`, 8.7). So 33 to 257 angles
serve any number of correlations. Private: arguments are already validated.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.chebyshev import chebval
from scipy.fft import dct

from conetheory._quadrature import exact, product_mean, square_mean

__all__ = ["product_means"]

_DEGREES = (32, 64, 128, 256)
_TAIL = 1e-14  # sum of the last eighth of the coefficients, relative to the scale, that ends the refinement
_LEBESGUE = 5.0  # an error of the values is amplified by less, up to degree 256: 1 + 2/pi ln(n)


def product_means(
    function: Callable,
    theta: np.ndarray,
    scale_u: np.ndarray,
    scale_v: np.ndarray,
    what: str,
    *,
    noise: Callable = exact,
) -> tuple[np.ndarray, np.ndarray]:
    """As `product_mean`; where more than `_DEGREES[0]` expectations share their scales they are interpolated."""
    value, error = np.empty(theta.shape), np.empty(theta.shape)
    single = np.ones(theta.shape, dtype=bool)
    pairs, where, counts = np.unique(
        np.stack([scale_u, scale_v], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    for k in np.flatnonzero(counts > _DEGREES[0]):
        group = np.flatnonzero(where == k)
        series = _series(function, pairs[k], what, int(counts[k]), noise)
        if series is not None:
            value[group] = chebval(2 / np.pi * theta[group] - 1, series[0])
            error[group] = series[1]
            single[group] = False
    rest = np.flatnonzero(single)
    if rest.size:
        value[rest], error[rest] = product_mean(function, theta[rest], scale_u[rest], scale_v[rest], what, noise=noise)
    return value, error


def _series(
    function: Callable, pair: np.ndarray, what: str, count: int, noise: Callable
) -> tuple[np.ndarray, float] | None:
    """Return Chebyshev coefficients in 2 theta/pi - 1 and the error; None where more than `count` angles are needed."""
    rms, off = np.sqrt(square_mean(function, pair, what, noise=noise)[0]), noise(pair)
    size, rounding = float(np.prod(rms)), float(off @ rms[::-1] + np.prod(off))
    value, error = np.empty(0), 0.0
    for degree in _DEGREES:
        if degree >= count:
            return None
        nodes = np.pi / 2 * (1 + np.cos(np.pi * np.arange(degree + 1) / degree))
        new = np.arange(1, degree, 2) if value.size else np.arange(degree + 1)
        old, value = value, np.empty(degree + 1)
        value[::2] = old if old.size else 0.0
        value[new], errors = product_mean(
            function, nodes[new], np.full(new.size, pair[0]), np.full(new.size, pair[1]), what, noise=noise
        )
        error = max(error, float(errors.max()))
        coefficients = np.asarray(dct(value, type=1)) / degree
        coefficients[[0, -1]] /= 2
        tail = float(np.sum(np.abs(coefficients[-(degree // 8) :])))
        if tail <= _TAIL * size + rounding:
            return coefficients, _LEBESGUE * error + tail
    return None
