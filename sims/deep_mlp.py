r"""Random multilayer perceptrons: the mean cosine after every layer (the cone effect, Liang et al., Figure 2b).

The block is :math:`h \mapsto \phi(Wh + b)`, width to width, with :math:`W_{kl} \sim N(0, \sigma_w^2/d)` and inputs of
iid N(0, 1) coordinates. Two routes sample the same law:

- ``"weights"`` draws W. Any number of inputs; d² normals a layer.
- ``"gram"`` draws the pre-activations themselves, for n <= d inputs: n d normals a layer. Given the inputs X of a
  layer, one row each, the units of :math:`Z = X W^T` are iid normal vectors of covariance
  :math:`K = \sigma_w^2 X X^T / d`, so :math:`Z = L G` with :math:`K = L L^T` and G an n by d matrix of normals.
  When the cosines approach 1 that K is singular in float64; so the rows are first replaced by row 0 and the
  differences to it, which share no bias and keep their own relative accuracy. The diagonal of their K is raised by
  the worst rounding error of the product, a factor :math:`1 + n d \varepsilon` (7e-12 for 64 inputs at width 512),
  which moves :math:`1 - \cos` by about as little, relatively.

``"auto"`` takes the cheaper one. From width 32 on both run in float32 but for what cancels (`sims._wide_networks`), and
:math:`1 - \cos` has a relative error of about 1e-6; narrower networks, and all where the kernels are plain, in float64.

Numbers repeat from the same seed up to the rounding of the matrix product, which may depend on its thread count.
"""

import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_choice, as_count, as_nonnegative, as_positive
from conetheory.dual import activation_function
from sims._layer_trials import KERNELS, LANES_FROM
from sims._streams import block_streams, map_blocks

_wide: Any = None if KERNELS == "plain" else import_module("sims._wide_networks")

__all__ = ["cone_curves", "mean_offdiagonal_cosine", "small_cone_curves"]

_BIASES = ("normal", "none", "torch_default")
_ROUTES = ("auto", "gram", "weights")
_GRAM_TO = 4  # widths an input from which the Gram route is the cheaper one
_BLOCK = 1 << 17  # activations of the networks that go through the layers together


def cone_curves(
    activation: str | Callable[[np.ndarray], np.ndarray],
    n_networks: int,
    *,
    width: int = 512,
    n_inputs: int = 64,
    depth: int = 25,
    sigma_w2: float = 1.0,
    bias: str = "normal",
    rng: np.random.Generator | int | None = None,
    route: str = "auto",
    workers: int = 1,
) -> Float[np.ndarray, "n_networks depth+1"]:
    r"""Sample the mean cosine between different inputs after each layer of random networks.

    Parameters
    ----------
    activation : str or callable
        Name or function, as `conetheory.dual.activation_function` takes it.
    n_networks : int
        Number of independent networks, each with its own inputs.
    width, n_inputs, depth : int
        Units of every layer; inputs, at least 2, and at most `width` on the route "gram"; layers.
    sigma_w2 : float
        `width` times the variance of a weight.
    bias : {"normal", "none", "torch_default"}
        Normal of variance 1 / `width` (Figure 2b), none, or uniform on :math:`\pm 1/\sqrt{width}`.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`; the first networks do not depend on how many there are.
    route : {"auto", "gram", "weights"}
        How to sample: same law, other numbers. "auto" is "gram" up to a quarter as many inputs as units.
    workers : int
        Threads; the result does not depend on it.

    Returns
    -------
    ndarray, shape (n_networks, depth + 1)
        Mean over the pairs i < j, column 0 for the inputs, with an error of 1e-16 and of 1e-6 of 1 - c (below width 32,
        of a few 1e-16); it is without the diagonal that the paper's mean has, see
        `conetheory.meanfield.mean_with_diagonal`.
        A row is NaN from the first layer where an activation vector is zero, which has no cosine, as it is below the
        smallest double.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain; so is a `sigma_w2` with which activations outgrow doubles.

    Examples
    --------
    >>> cone_curves("relu", 2, width=64, n_inputs=16, depth=3, rng=0).shape
    (2, 4)
    """
    phi = activation_function(activation)
    n_networks, depth = as_count("n_networks", n_networks), as_count("depth", depth)
    width, n_inputs = as_count("width", width), as_count("n_inputs", n_inputs, minimum=2)
    sigma_w2, workers = float(as_positive("sigma_w2", sigma_w2)), as_count("workers", workers)
    as_choice("bias", bias, _BIASES)
    if as_choice("route", route, _ROUTES) == "gram" and n_inputs > width:
        raise ValueError(f'`n_inputs` must be at most `width` = {width} on the route "gram", got {n_inputs}.')
    curves = np.full((n_networks, depth + 1), np.nan)
    if KERNELS != "plain" and width >= LANES_FROM:
        law = _wide.LayerLaw(
            width=width,
            weight_variance=sigma_w2 / width,
            bias_variance=1 / width if bias == "normal" else 0.0,
            bias_bound=1 / math.sqrt(width) if bias == "torch_default" else 0.0,
        )
        fill = partial(_fill_wide, n_inputs=n_inputs, phi=phi, law=law, route=_cheaper(route, n_inputs, width))
    else:
        preactivations = _from_gram if _cheaper(route, n_inputs, width) == "gram" else _from_weights
        layer = partial(preactivations, sigma_w2=sigma_w2, bias=bias)
        fill = partial(_fill_plain, n_inputs=n_inputs, width=width, phi=phi, preactivations=layer)
    map_blocks(
        lambda stream, networks: fill(stream, curves[networks]),
        n_networks,
        rng=rng,
        workers=workers,
        block=_networks_together(n_inputs, width),
    )
    return curves


def _cheaper(route: str, n_inputs: int, width: int) -> str:
    """Return what "auto" stands for."""
    return ("gram" if _GRAM_TO * n_inputs <= width else "weights") if route == "auto" else route


def _networks_together(n_inputs: int, width: int) -> int:
    """Return the number of networks of a block."""
    return max(1, _BLOCK // (n_inputs * width))


def small_cone_curves(
    activation: str | Callable[[np.ndarray], np.ndarray],
    n_networks: int,
    *,
    width: int,
    n_inputs: int,
    depth: int,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
    rng: np.random.Generator | int | None = None,
) -> Float[np.ndarray, "n_networks depth+1"]:
    r"""Sample the same means as `cone_curves` for many narrow networks at once.

    Parameters
    ----------
    activation, n_networks, width, n_inputs, depth, sigma_w2
        As in `cone_curves`.
    sigma_b2 : float
        `width` times the variance of a bias, normal.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`; below width 32 the numbers depend on `n_networks`.

    Returns
    -------
    ndarray, shape (n_networks, depth + 1)
        As `cone_curves`; NaN from the first layer where an activation vector is zero.

    Examples
    --------
    >>> small_cone_curves("tanh", 100, width=16, n_inputs=4, depth=2, rng=0).shape
    (100, 3)
    """
    phi = activation_function(activation)
    n_networks, depth = as_count("n_networks", n_networks), as_count("depth", depth)
    width, n_inputs = as_count("width", width), as_count("n_inputs", n_inputs, minimum=2)
    weight_variance = float(as_positive("sigma_w2", sigma_w2)) / width
    bias_variance = float(as_nonnegative("sigma_b2", sigma_b2)) / width
    curves = np.full((n_networks, depth + 1), np.nan)
    if KERNELS != "plain" and width >= LANES_FROM:
        law = _wide.LayerLaw(width=width, weight_variance=weight_variance, bias_variance=bias_variance)
        fill = partial(_fill_wide, n_inputs=n_inputs, phi=phi, law=law, route=_cheaper("auto", n_inputs, width))
    else:
        sd = math.sqrt(weight_variance), math.sqrt(bias_variance)
        fill = partial(_fill_narrow, n_inputs=n_inputs, width=width, phi=phi, sd=sd)
    map_blocks(
        lambda stream, networks: fill(stream, curves[networks]),
        n_networks,
        rng=rng,
        block=_networks_together(n_inputs, width),
    )
    return curves


def _fill_narrow(
    rng: np.random.Generator, curves: np.ndarray, *, n_inputs: int, width: int, phi: Callable, sd: tuple[float, float]
) -> None:
    """Fill the curves of a block of networks from all their weights at once, in float64."""
    x = rng.standard_normal((len(curves), n_inputs, width))
    curves[:, 0] = _mean_cosines(x)
    for layer in range(1, curves.shape[1]):
        z = x @ (sd[0] * rng.standard_normal((len(curves), width, width)))
        x = phi(_held(z + sd[1] * rng.standard_normal((len(curves), 1, width))))
        curves[:, layer] = _mean_cosines(x)


def _mean_cosines(x: np.ndarray) -> np.ndarray:
    """Return `mean_offdiagonal_cosine` of each network."""
    x = x / _power_of_two(x)
    norms = np.sqrt(np.einsum("bij,bij->bi", x, x))
    total = np.einsum("bi,bij->bj", np.divide(1, norms, where=norms > 0, out=np.full_like(norms, np.nan)), x)
    n = x.shape[1]
    return (np.einsum("bj,bj->b", total, total) - n) / (n * (n - 1))


def _held(z: np.ndarray) -> np.ndarray:
    """Return pre-activations if all are doubles."""
    if not np.all(np.isfinite(z)):
        raise ValueError("`sigma_w2` must keep pre-activations in the range of doubles, got infinite ones.")
    return z


def _power_of_two(x: np.ndarray) -> np.ndarray:
    """Return the size of each matrix, shape (..., 1, 1): over it no square of an entry is out of the doubles' range."""
    return np.ldexp(1.0, np.frexp(np.max(np.abs(x), axis=(-2, -1), keepdims=True))[1] - 1)


def mean_offdiagonal_cosine(x: Float[np.ndarray, "n d"]) -> float:
    r"""Return the mean cosine of different rows, :math:`(\|\sum_i \hat x_i\|^2 - n) / (n^2 - n)`; NaN with a zero row.

    Examples
    --------
    >>> mean_offdiagonal_cosine(np.eye(3))
    0.0
    """
    x = x / _power_of_two(x)
    norms = np.sqrt(np.einsum("ij,ij->i", x, x))
    if not np.all(norms > 0):
        return math.nan
    n, total = len(x), (1 / norms) @ x
    return float((total @ total - n) / (n * (n - 1)))


def _fill_wide(
    rng: np.random.Generator, curves: np.ndarray, *, n_inputs: int, phi: Callable, law: Any, route: str
) -> None:
    """Fill the curves of a block of networks, which go through the layers together, in lanes."""
    states = _wide.draw_states(rng, len(curves))
    route_of = _wide.GramPoints if route == "gram" else _wide.WeightPoints
    points = route_of(_wide.draw_inputs(states, n_inputs, law.width), np.ones(len(curves)))
    curves[:, 0] = 1 - points.complements()
    for layer in range(1, curves.shape[1]):
        z = points.preactivations(law, states)
        points = route_of(z.activated(phi), z.scale)
        curves[:, layer] = 1 - points.complements()
    curves[np.maximum.accumulate(np.isnan(curves), axis=1)] = np.nan


def _fill_plain(
    rng: np.random.Generator,
    curves: np.ndarray,
    *,
    n_inputs: int,
    width: int,
    phi: Callable,
    preactivations: Callable,
) -> None:
    """Fill the same curves, one network after the other and in float64: the oracle of `_fill_wide`."""
    for curve, stream in zip(curves, block_streams(rng, len(curves)), strict=True):
        x = stream.standard_normal((n_inputs, width))
        curve[0] = mean_offdiagonal_cosine(x)
        for layer in range(1, len(curve)):
            x = phi(_held(preactivations(x, rng=stream)))
            curve[layer] = mean_offdiagonal_cosine(x)
            if math.isnan(curve[layer]):
                break


def _from_weights(x: np.ndarray, sigma_w2: float, bias: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the weights and return the pre-activations of the rows of `x`."""
    width = x.shape[1]
    weights = rng.standard_normal((width, width))
    z = x @ (math.sqrt(sigma_w2 / width) * weights.T)
    if bias == "normal":
        z += rng.standard_normal(width) / math.sqrt(width)
    return _add_uniform_bias(z, bias, rng)


def _from_gram(x: np.ndarray, sigma_w2: float, bias: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the pre-activations of the rows of `x` given their Gram matrix."""
    n, width = x.shape
    unit = np.maximum(_power_of_two(x), 1.0 if bias == "normal" else 0.0)  # over it the bias is no larger than it was
    steps = (x - x[0]) / unit
    steps[0] = x[0] / unit[0]
    covariance = steps @ steps.T
    covariance *= sigma_w2 / width
    if bias == "normal":
        covariance[0, 0] += (1 / unit.item()) ** 2 / width  # the differences do not see it
    diagonal = np.einsum("ii->i", covariance)
    diagonal *= 1 + n * width * np.finfo(np.float64).eps
    diagonal += np.finfo(np.float64).tiny  # equal rows: a difference of variance 0, lost again in the sum below
    z = unit * (np.linalg.cholesky(covariance) @ rng.standard_normal((n, width)))
    z[1:] += z[0]
    return _add_uniform_bias(z, bias, rng)


def _add_uniform_bias(z: np.ndarray, bias: str, rng: np.random.Generator) -> np.ndarray:
    """Add PyTorch's default bias, one draw per unit for all inputs."""
    if bias == "torch_default":
        bound = 1 / math.sqrt(z.shape[1])
        z += rng.uniform(-bound, bound, z.shape[1])
    return z
