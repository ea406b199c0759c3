r"""Features of many initialisations on the same data: the crossed design behind Theorem 2 of Liang et al.

Setting of its formal version (their Theorem 4): :math:`h^{(0)} = U` on a sphere of radius 1,
:math:`h^{(l)} = \phi(W^{(l)} h^{(l-1)} + b^{(l)})` with φ = ReLU, :math:`W_{kl} \sim N(0, \sigma_w^2/d)` and
:math:`b_k \sim N(0, \sigma_b^2/d)`, d the width; the paper has both variances 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_count, as_nonnegative, as_positive
from conetheory.dual import activation_function
from sims._layer_trials import KERNELS, LANES_FROM
from sims._streams import block_streams, map_blocks

__all__ = ["LayerFeatures", "between_and_total", "sample_features"]

_wide: Any = None if KERNELS == "plain" else import_module("sims._wide_networks")
_GRAM_TO = 4  # dimensions an input from which the Gram route is the cheaper one
_BLOCK = 1 << 17  # activations of the models that go through the layers together


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerFeatures:
    """Features of one layer after another; the first axis is the layer, the second the model.

    Attributes
    ----------
    pre, post : ndarray, shape (depth, n_models, n_inputs, n_units)
        Pre- and post-activations of the first units of layers 1 to depth; float32 from width 32 on.
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
    rng = np.random.default_rng(rng)
    inputs = block_streams(rng, 1)[0].standard_normal((n_inputs, dim_in))
    inputs *= float(as_positive("norm", norm)) / np.linalg.norm(inputs, axis=1, keepdims=True)
    phi = activation_function(activation)
    wide = KERNELS != "plain" and width >= LANES_FROM
    pre = np.empty((depth, n_models, n_inputs, n_units), dtype=np.float32 if wide else np.float64)
    features = LayerFeatures(
        pre=pre,
        post=np.empty_like(pre),
        mean_square=np.empty((depth + 1, n_models)),
        mean_dot=np.empty((depth + 1, n_models)),
    )
    features.mean_square[0], features.mean_dot[0] = _mean_products(inputs)
    run = _run_wide if wide else _run_plain
    map_blocks(
        lambda stream, models: run(stream, models, features, inputs, phi, (width, weight_sd, bias_sd)),
        n_models,
        rng=rng,
        block=max(1, _BLOCK // (n_inputs * width)),
    )
    return features


def between_and_total(features: Float[np.ndarray, "layers models inputs units"]) -> Float[np.ndarray, "2 layers"]:
    """Return the variance between models, and in all, of each layer: unbiased, and summed over the units.

    What `conetheory.variance_components.initialisation_share` finds for a layer, for many at once, without errors.

    Parameters
    ----------
    features : ndarray, shape (layers, models, inputs, units)
        At least 2 models and 2 inputs, the same for all models.

    Examples
    --------
    >>> features = sample_features(4, 16, width=32, depth=2, dim_in=8, rng=0)
    >>> between_and_total(features.post).shape
    (2, 2)
    """
    x = np.asarray(features, dtype=np.float64)
    models, inputs = x.shape[1:3]
    by_model, by_input = x.sum(axis=2), x.sum(axis=1)
    everything = by_model.sum(axis=1)
    square, model, point, both = (
        np.einsum("li,li->l", y, y) for y in (part.reshape(len(x), -1) for part in (x, by_model, by_input, everything))
    )
    same = (model - square) / (models * inputs * (inputs - 1))  # mean product of a model's features at two inputs
    cross = (both - model - point + square) / (models * (models - 1) * inputs * (inputs - 1))
    return np.array([same - cross, square / (models * inputs) - cross])


def _run_wide(
    rng: np.random.Generator,
    models: slice,
    features: LayerFeatures,
    inputs: np.ndarray,
    phi: Callable,
    law: tuple[int, float, float],
) -> None:
    """Enter the features of a block of models, which go through the layers together, in lanes."""
    width, weight_sd, bias_sd = law
    layer_law = _wide.LayerLaw(width=width, weight_variance=weight_sd**2, bias_variance=bias_sd**2)
    count, n_units = models.stop - models.start, features.pre.shape[3]
    states = _wide.draw_states(rng, count)
    x = np.repeat(_wide.with_differences(inputs[None]).astype(np.float32), count, axis=0)
    points = _points(x, np.ones(count))
    for layer in range(len(features.pre)):
        z = points.preactivations(layer_law, states)
        pre = z.rows()[..., :n_units]
        features.pre[layer, models], features.post[layer, models] = pre, _wide.applied(phi, pre)
        points = _points(z.activated(phi), z.scale)
        features.mean_square[layer + 1, models], features.mean_dot[layer + 1, models] = points.mean_products()


def _points(x: np.ndarray, scale: np.ndarray) -> Any:
    """Return points of the cheaper route."""
    return (_wide.GramPoints if _GRAM_TO * x.shape[1] <= x.shape[2] else _wide.WeightPoints)(x, scale)


def _run_plain(
    rng: np.random.Generator,
    models: slice,
    features: LayerFeatures,
    inputs: np.ndarray,
    phi: Callable,
    law: tuple[int, float, float],
) -> None:
    """Enter the same features, one model after the other, from weights and in float64: the oracle of `_run_wide`."""
    width, weight_sd, bias_sd = law
    n_units = features.pre.shape[3]
    models_here = range(models.start, models.stop)
    for model, stream in zip(models_here, block_streams(rng, len(models_here)), strict=True):
        h = inputs
        for layer in range(len(features.pre)):
            z = h @ (weight_sd * stream.standard_normal((h.shape[1], width)))
            z += bias_sd * stream.standard_normal(width)
            h = phi(z)
            features.pre[layer, model], features.post[layer, model] = z[:, :n_units], h[:, :n_units]
            features.mean_square[layer + 1, model], features.mean_dot[layer + 1, model] = _mean_products(h)


def _mean_products(h: np.ndarray) -> tuple[float, float]:
    """Return the mean squared norm of the rows, and the mean product of two different rows."""
    n, total, squares = len(h), h.sum(axis=0), float(np.vdot(h, h))
    return squares / n, (float(total @ total) - squares) / (n * (n - 1))
