r"""Random kernels of deep networks to first order in 1/width around mean field.

The state after a layer is, for n exchangeable points, the mean square A of a unit and the spread E = A minus the mean
product of two points; both are kept relative to their mean-field values. Covariances and mean shifts obey linear
recursions whose coefficients are those of one layer (``docs/theory.md``, 17.2 to 17.5).
"""

from dataclasses import dataclass

import numpy as np

from conetheory._arrays import as_cosine, as_count, as_nonnegative, as_positive
from conetheory._exchangeable import LayerExpansion, expand_layer
from conetheory.dual import activation_function
from conetheory.meanfield import ConeCurve, cone_curve

__all__ = ["KernelExpansion", "expand_kernel"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelExpansion:
    """First-order fluctuations by layer, index 0 the input, everything relative to mean field.

    Attributes
    ----------
    curve : ConeCurve
        Mean field.
    covariance : ndarray, shape (depth + 1, 2, 2)
        Of (A, E) for n points.
    pair : ndarray, shape (depth + 1, 2, 2)
        The same for two points.
    difference : ndarray, shape (depth + 1,)
        Variance of half the difference of the mean squares of two points.
    shift : ndarray, shape (depth + 1, 2)
        Mean of (A, E) minus 1.
    """

    curve: ConeCurve
    covariance: np.ndarray
    pair: np.ndarray
    difference: np.ndarray
    shift: np.ndarray


def expand_kernel(
    activation,
    depth: int,
    width: int,
    n: int,
    *,
    q0: float,
    rho0: float,
    sigma_w2: float,
    sigma_b2: float,
    input_dim: int | None,
) -> KernelExpansion:
    """Carry the fluctuations of `n` points through `depth` layers; without `input_dim` the inputs do not fluctuate.

    Arguments are validated here, for all public functions that take them.
    """
    phi, depth, width = activation_function(activation), as_count("depth", depth, minimum=0), as_count("width", width)
    q0, sigma_w2 = float(as_positive("q0", q0)), float(as_positive("sigma_w2", sigma_w2))
    rho0, sigma_b2 = float(as_cosine("rho0", rho0)), float(as_nonnegative("sigma_b2", sigma_b2))
    if not 0 <= rho0 < 1:
        raise ValueError(f"`rho0` must lie in [0, 1), got {rho0}.")
    curve = cone_curve(activation, depth, q0=q0, rho0=rho0, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    covariance, pair = np.zeros((2, depth + 1, 2, 2))
    difference, shift = np.zeros(depth + 1), np.zeros((depth + 1, 2))
    scatter = 0.0  # mean square of the deviations of the points' own covariances, relative
    if input_dim is not None:  # a linear unit for each coordinate
        input_dim = as_count("input_dim", input_dim)
        layer = expand_layer(lambda x: x, q0, q0 * float(curve.complement[0]), "the inputs")
        covariance[0], pair[0] = layer.noise(n) / input_dim, layer.noise(2) / input_dim
        difference[0] = layer.difference_noise / input_dim
        scatter = layer.pair_spread / 2 / input_dim
    for i in range(depth):
        own = sigma_w2 * float(curve.q[i])  # σ_w² q, of which the bias makes k
        k = own + sigma_b2
        v = own * float(curve.complement[i])
        layer = expand_layer(phi, k, v, "the activation")
        slope = np.array([[layer.square_k * own / k, 0.0], [layer.spread_k * own / k, layer.spread_v]])
        curvature = _curvature(layer, pair[i], float(difference[i]), own / k, k / v)
        shift[i + 1] = slope @ shift[i] + curvature
        covariance[i + 1] = slope @ covariance[i] @ slope.T + layer.noise(n, scatter=scatter) / width
        pair[i + 1] = slope @ pair[i] @ slope.T + layer.noise(2) / width
        difference[i + 1] = slope[0, 0] ** 2 * difference[i] + layer.difference_noise / width
        scatter = layer.spread_v**2 * scatter + layer.pair_spread / 2 / width
    return KernelExpansion(curve=curve, covariance=covariance, pair=pair, difference=difference, shift=shift)


def _curvature(
    layer: LayerExpansion, pair: np.ndarray, difference: float, own_share: float, ratio: float
) -> np.ndarray:
    """Return half the second derivatives times the covariances of two points; `own_share` σ_w² q/k, `ratio` k/v."""
    square, cross, spread = own_share**2 * pair[0, 0], own_share * pair[0, 1], pair[1, 1]
    across = layer.spread_kk + 2 * ratio * layer.spread_kv  # along half the difference of the two variances
    difference = own_share**2 * difference
    mean_square = layer.square_kk * (square + difference)
    mean_spread = (
        layer.spread_kk * square + 2 * layer.spread_kv * cross + layer.spread_vv * spread + across * difference
    )
    return np.array([mean_square, mean_spread]) / 2
