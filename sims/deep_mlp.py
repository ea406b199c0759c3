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

Numbers repeat from the same seed up to the rounding of the matrix product, which may depend on its thread count.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_choice, as_count, as_nonnegative, as_positive
from conetheory.dual import activation_function
from sims._streams import block_streams, map_blocks

__all__ = ["cone_curves", "mean_offdiagonal_cosine", "small_cone_curves"]

_BIASES = ("normal", "none", "torch_default")
_ROUTES = ("gram", "weights")


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
    route: str = "gram",
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
        Passed to `numpy.random.default_rng`; network i has stream i, however many there are.
    route : {"gram", "weights"}
        How to sample: same law, other numbers.

    Returns
    -------
    ndarray, shape (n_networks, depth + 1)
        Mean over the pairs i < j, rounded to a few 1e-16, column 0 for the inputs; for the paper's mean, which has the
        diagonal in it, see `conetheory.meanfield.mean_with_diagonal`. A row is NaN from the first layer where an
        activation vector is zero, which has no cosine.

    Examples
    --------
    >>> cone_curves("relu", 2, width=64, n_inputs=16, depth=3, rng=0).shape
    (2, 4)
    """
    phi = activation_function(activation)
    n_networks, depth = as_count("n_networks", n_networks), as_count("depth", depth)
    width, n_inputs = as_count("width", width), as_count("n_inputs", n_inputs, minimum=2)
    sigma_w2 = float(as_positive("sigma_w2", sigma_w2))
    as_choice("bias", bias, _BIASES)
    if as_choice("route", route, _ROUTES) == "gram" and n_inputs > width:
        raise ValueError(f'`n_inputs` must be at most `width` = {width} on the route "gram", got {n_inputs}.')
    preactivations = _from_gram if route == "gram" else _from_weights
    curves = np.full((n_networks, depth + 1), np.nan)
    for curve, stream in zip(curves, block_streams(rng, n_networks), strict=True):
        x = stream.standard_normal((n_inputs, width))
        curve[0] = mean_offdiagonal_cosine(x)
        for layer in range(1, depth + 1):
            x = phi(preactivations(x, sigma_w2, bias, stream))
            curve[layer] = mean_offdiagonal_cosine(x)
            if math.isnan(curve[layer]):
                break
    return curves


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
    r"""Sample the same means as `cone_curves` for many narrow networks at once, by drawing the weights.

    Parameters
    ----------
    activation, n_networks, width, n_inputs, depth, sigma_w2
        As in `cone_curves`.
    sigma_b2 : float
        `width` times the variance of a bias, normal.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.

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
    weight_sd = math.sqrt(float(as_positive("sigma_w2", sigma_w2)) / width)
    bias_sd = math.sqrt(float(as_nonnegative("sigma_b2", sigma_b2)) / width)
    curves = np.full((n_networks, depth + 1), np.nan)

    def sample(stream: np.random.Generator, networks: slice) -> None:
        block = curves[networks]
        x = stream.standard_normal((len(block), n_inputs, width))
        block[:, 0] = _mean_cosines(x)
        for layer in range(1, depth + 1):
            z = x @ (weight_sd * stream.standard_normal((len(block), width, width)))
            x = phi(z + bias_sd * stream.standard_normal((len(block), 1, width)))
            block[:, layer] = _mean_cosines(x)

    map_blocks(sample, n_networks, rng=rng)
    return curves


def _mean_cosines(x: np.ndarray) -> np.ndarray:
    """Return `mean_offdiagonal_cosine` of each network."""
    norms = np.sqrt(np.einsum("bij,bij->bi", x, x))
    total = np.einsum("bi,bij->bj", np.divide(1, norms, where=norms > 0, out=np.full_like(norms, np.nan)), x)
    n = x.shape[1]
    return (np.einsum("bj,bj->b", total, total) - n) / (n * (n - 1))


def mean_offdiagonal_cosine(x: Float[np.ndarray, "n d"]) -> float:
    r"""Return the mean cosine of different rows, :math:`(\|\sum_i \hat x_i\|^2 - n) / (n^2 - n)`; NaN with a zero row.

    Examples
    --------
    >>> mean_offdiagonal_cosine(np.eye(3))
    0.0
    """
    norms = np.sqrt(np.einsum("ij,ij->i", x, x))
    if not np.all(norms > 0):
        return math.nan
    n, total = len(x), (1 / norms) @ x
    return float((total @ total - n) / (n * (n - 1)))


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
    steps = x - x[0]
    steps[0] = x[0]
    covariance = steps @ steps.T
    covariance *= sigma_w2 / width
    if bias == "normal":
        covariance[0, 0] += 1 / width  # the differences do not see it
    diagonal = np.einsum("ii->i", covariance)
    diagonal *= 1 + n * width * np.finfo(np.float64).eps
    diagonal += np.finfo(np.float64).tiny  # equal rows: a difference of variance 0, lost again in the sum below
    z = np.linalg.cholesky(covariance) @ rng.standard_normal((n, width))
    z[1:] += z[0]
    return _add_uniform_bias(z, bias, rng)


def _add_uniform_bias(z: np.ndarray, bias: str, rng: np.random.Generator) -> np.ndarray:
    """Add PyTorch's default bias, one draw per unit for all inputs."""
    if bias == "torch_default":
        bound = 1 / math.sqrt(z.shape[1])
        z += rng.uniform(-bound, bound, z.shape[1])
    return z
