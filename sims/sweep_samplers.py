r"""What a sweep can sample: each function draws one block of independent trials at one point of the grid.

A sampler is called as ``sampler(rng, n, **point)`` and returns `sims.moments.Moments` by quantity. It takes all its
randomness from `rng`. One of your own is named ``module:function``.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from sims.moments import Moments

__all__ = ["SAMPLERS", "Sampler", "chain", "failure", "layer", "load_sampler", "mlp", "sampler_path"]

Sampler = Callable[..., Mapping[str, Moments]]


def layer(
    rng: np.random.Generator,
    n: int,
    *,
    cosine: float,
    norm_u: float = 1.0,
    norm_v: float = 1.0,
    width: int = 512,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
) -> dict[str, Moments]:
    """Share of random ReLU layers that do not bring two inputs closer, by `sims.relu_layer.count_failures`.

    Returns
    -------
    dict
        ``fails``, whose mean is one minus the probability of Theorem 1.

    Examples
    --------
    >>> layer(np.random.default_rng(0), 1000, cosine=1.0, width=64)
    {'fails': Moments(n=1000, total=1000.0, spread=0.0)}
    """
    from sims.relu_layer import count_failures

    failures = count_failures(cosine, norm_u, norm_v, width, n_trials=n, rng=rng, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    return {"fails": Moments.of_count(failures, n)}


def failure(
    rng: np.random.Generator,
    n: int,
    *,
    cosine: float,
    norm_u: float = 1.0,
    norm_v: float = 1.0,
    width: int = 2048,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
) -> dict[str, Moments]:
    """The same probability where it is too small to be seen, by `sims.rare_event.sample_tilted_failures`.

    Returns
    -------
    dict
        ``scaled_probability``, in [0, 1], and ``log_scale``, the same in every trial: the probability is the first
        times e to the second, which may be below the smallest double.

    Examples
    --------
    >>> sums = failure(np.random.default_rng(0), 1000, cosine=0.9)
    >>> scaled, scale = (sums[name].total / 1000 for name in ("scaled_probability", "log_scale"))
    >>> round((math.log(scaled) + scale) / math.log(10), 1)  # about 4e-38
    -37.4
    """
    from sims.rare_event import sample_tilted_failures

    found = sample_tilted_failures(
        cosine, norm_u, norm_v, width, n_trials=n, rng=rng, sigma_w2=sigma_w2, sigma_b2=sigma_b2
    )
    mean = math.exp(found.log_value - found.log_bound)
    spread = n * (n - 1) * (mean * found.relative_stderr) ** 2 if mean > 0 else 0.0
    return {
        "scaled_probability": Moments(n=n, total=n * mean, spread=spread),
        "log_scale": Moments(n=n, total=n * found.log_bound, spread=0.0),
    }


def chain(
    rng: np.random.Generator,
    n: int,
    *,
    theta0: float,
    width: int,
    depth: int,
    sigma_w2: float = 2.0,
    sigma_b2: float = 0.0,
) -> dict[str, Moments]:
    r"""Angle of two inputs of norm 1 after `depth` random ReLU layers, by `sims.angle_chain.sample_angle_chains`.

    Returns
    -------
    dict
        ``cosine``, and ``log_tan2``, the mean of :math:`\ln\tan^2(\theta/2)`; networks that lost an input, whose angle
        is undefined, are in neither n, and those whose angle is 0 not in the second's.

    Examples
    --------
    >>> sorted(chain(np.random.default_rng(0), 100, theta0=0.5, width=64, depth=3))
    ['cosine', 'log_tan2']
    """
    from sims.angle_chain import sample_angle_chains

    chains = sample_angle_chains(theta0, width, depth, n, sigma_w2=sigma_w2, sigma_b2=sigma_b2, rng=rng)
    complement = chains.complement[:, -1]
    complement = complement[np.isfinite(complement)]
    open_angles = complement[(complement > 0) & (complement < 2)]
    return {
        "cosine": Moments.of(1.0 - complement),
        "log_tan2": Moments.of(np.log(open_angles / (2.0 - open_angles))),
    }


def mlp(
    rng: np.random.Generator,
    n: int,
    *,
    activation: str = "relu",
    width: int = 512,
    n_inputs: int = 64,
    depth: int = 25,
    sigma_w2: float = 1.0,
    bias: str = "normal",
) -> dict[str, Moments]:
    """Mean cosine of random inputs after each layer of deep networks, by `sims.deep_mlp.cone_curves`.

    Returns
    -------
    dict
        ``cosine_0``, the inputs, to ``cosine_<depth>``; a network is left out from where a vector is zero.

    Examples
    --------
    >>> list(mlp(np.random.default_rng(0), 3, width=16, n_inputs=4, depth=2))
    ['cosine_0', 'cosine_1', 'cosine_2']
    """
    from sims.deep_mlp import cone_curves

    curves = cone_curves(
        activation, n, width=width, n_inputs=n_inputs, depth=depth, sigma_w2=sigma_w2, bias=bias, rng=rng
    )
    return {f"cosine_{layer}": Moments.of(column[~np.isnan(column)]) for layer, column in enumerate(curves.T)}


SAMPLERS: dict[str, Sampler] = {function.__name__: function for function in (layer, failure, chain, mlp)}


def sampler_path(name: str) -> str:
    """Return the full name of a sampler, module and function.

    Examples
    --------
    >>> sampler_path("layer")
    'sims.sweep_samplers:layer'
    """
    path = f"{__name__}:{name}" if name in SAMPLERS else name
    module, colon, function = path.partition(":")
    if not (colon and module and function):
        raise ValueError(f"`sampler` must be {', '.join(SAMPLERS)}, or module:function, got {name!r}.")
    return path


def load_sampler(path: str) -> Sampler:
    """Import the sampler that `sampler_path` named, and see that it takes a stream, a number of trials and keywords."""
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"`sampler` {path!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not inspect.isfunction(found):
        raise ValueError(f"`sampler` {path!r} must be a function, got {type(found).__name__}.")
    return found
