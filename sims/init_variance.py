r"""Features of many initialisations on the same data: the crossed design behind Theorem 2 of Liang et al.

Setting of its formal version (their Theorem 4): :math:`h^{(0)} = U` on a sphere of radius 1,
:math:`h^{(l)} = \phi(W^{(l)} h^{(l-1)} + b^{(l)})` with φ = ReLU, :math:`W_{kl} \sim N(0, \sigma_w^2/d)` and
:math:`b_k \sim N(0, \sigma_b^2/d)`, d the width; the paper has both variances 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_count, as_nonnegative, as_positive
from conetheory.dual import activation_function
from sims._streams import block_streams

__all__ = ["LayerFeatures", "sample_features"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerFeatures:
    """Features of one layer after another; the first axis is the layer, the second the model.

    Attributes
    ----------
    pre, post : ndarray, shape (depth, n_models, n_inputs, n_units)
        Pre- and post-activations of the first units of layers 1 to depth.
    mean_square : ndarray, shape (depth + 1, n_models)
        Mean over the inputs of ``|h|²``, all units; row 0 is the input itself.
    mean_dot : ndarray, shape (depth + 1, n_models)
        Mean over pairs of different inputs of ``h·h'``, so that ``mean_square - mean_dot`` estimates
        ``tr Var[h | model]`` without bias.
    """

    pre: Float[np.ndarray, "depth n_models n_inputs n_units"]
    post: Float[np.ndarray, "depth n_models n_inputs n_units"]
    mean_square: Float[np.ndarray, "depth+1 n_models"]
    mean_dot: Float[np.ndarray, "depth+1 n_models"]


def sample_features(
    n_models: int,
    n_inputs: int,
    *,
    width: int,
    depth: int,
    dim_in: int,
    rng: np.random.Generator | int | None = None,
    n_units: int = 8,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    activation: str | Callable[[np.ndarray], np.ndarray] = "relu",
    norm: float = 1.0,
) -> LayerFeatures:
    """Run `n_models` random networks on the same `n_inputs` points, uniform on a sphere.

    Parameters
    ----------
    n_models, n_inputs : int
        Initialisations; inputs, at least 2, shared by all of them.
    width, depth, dim_in : int
        Units of every layer; layers; dimension of the inputs.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    n_units : int
        Units of each layer whose features are kept, at most `width`.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight and of a bias.
    activation : str or callable
        Name or function, as `conetheory.dual.activation_function` takes it.
    norm : float
        Radius of the sphere.

    Returns
    -------
    LayerFeatures
        The kept features, and mean squares and products over all units.

    Examples
    --------
    >>> features = sample_features(4, 16, width=32, depth=2, dim_in=8, rng=0)
    >>> features.post.shape, features.mean_square.shape
    ((2, 4, 16, 8), (3, 4))
    """
    n_models, n_inputs = as_count("n_models", n_models), as_count("n_inputs", n_inputs, minimum=2)
    width, depth, dim_in = as_count("width", width), as_count("depth", depth), as_count("dim_in", dim_in)
    if not as_count("n_units", n_units) <= width:
        raise ValueError(f"`n_units` must be at most `width` = {width}, got {n_units}.")
    weight_sd = math.sqrt(float(as_nonnegative("sigma_w2", sigma_w2)) / width)
    bias_sd = math.sqrt(float(as_nonnegative("sigma_b2", sigma_b2)) / width)
    data_stream, *model_streams = block_streams(rng, n_models + 1)
    inputs = data_stream.standard_normal((n_inputs, dim_in))
    inputs *= float(as_positive("norm", norm)) / np.linalg.norm(inputs, axis=1, keepdims=True)
    phi = activation_function(activation)
    pre = np.empty((depth, n_models, n_inputs, n_units))
    post = np.empty_like(pre)
    mean_square, mean_dot = np.empty((2, depth + 1, n_models))
    for model, stream in enumerate(model_streams):
        h = inputs
        mean_square[0, model], mean_dot[0, model] = _mean_products(h)
        for layer in range(depth):
            z = h @ (weight_sd * stream.standard_normal((h.shape[1], width)))
            z += bias_sd * stream.standard_normal(width)
            h = phi(z)
            pre[layer, model], post[layer, model] = z[:, :n_units], h[:, :n_units]
            mean_square[layer + 1, model], mean_dot[layer + 1, model] = _mean_products(h)
    return LayerFeatures(pre=pre, post=post, mean_square=mean_square, mean_dot=mean_dot)


def _mean_products(h: np.ndarray) -> tuple[float, float]:
    """Return the mean squared norm of the rows, and the mean product of two different rows."""
    n, total, squares = len(h), h.sum(axis=0), float(np.vdot(h, h))
    return squares / n, (float(total @ total) - squares) / (n * (n - 1))
