r"""One random ReLU layer, sampled by torch: Theorem 1 of Liang et al. on a GPU, for those who have one.

The law is the reduced one: of d units Binomial(d, :math:`(\pi + \theta)/2\pi`) are active for one of the two inputs at
least, :math:`\theta` the angle of the pre-activations, and such a unit has :math:`(R\cos(\varphi + \theta/2),
R\cos(\varphi - \theta/2))` with :math:`R^2/2` exponential and :math:`\varphi` uniform on the arc where one of them is
positive. A trial needs neither the weights nor the dimension of the inputs.

Trials come in blocks, a random stream each, so a sample can be extended and is repeated by the same seed on the same
kind of device. Two kinds of device, and two releases of torch, give different numbers of the same law.

References
----------
.. [1] V. W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Theorem 1 and Appendix D.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_cosine, as_count
from conetheory.contraction import preactivation_angle

from . import _triton_trial
from .estimate import Estimate, share

__all__ = ["contraction_probability", "count_failures", "sample_cosines"]

_SINGLE_FROM = 32  # units; the sums of narrower layers may differ by orders, and stay in float64
_EXACT_COUNTS = 1 << 53  # what float64 can count


def sample_cosines(
    rho: float, width: int, n: int, *, device: str | None = None, rng: np.random.Generator | int | None = None
) -> Float[np.ndarray, " n"]:
    r"""Sample the cosine of two ReLU layers whose pre-activations have correlation `rho`.

    Parameters
    ----------
    rho : float
        Correlation :math:`\rho_1` of the pre-activations, in [-1, 1].
    width : int
        Units of the layer.
    n : int
        Number of independent layers.
    device : str, optional
        ``cpu``, ``cuda`` or ``cuda:1``; by default the GPU if torch sees one, else the processor.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`; each block's generator on the device is seeded from it.

    Returns
    -------
    ndarray, shape (n,)
        Cosines in [0, 1], NaN where a vector is zero. From 32 units on they come from sums in float32 and 1 - c has
        relative error 1e-5, however near to 1 `rho` is; narrower layers have float64 throughout.

    Examples
    --------
    >>> sample_cosines(1.0, 8, 3, device="cpu", rng=0)
    array([1., 1., 1.])
    """
    rho = float(as_cosine("rho", rho))
    law = _Law.of(2 * math.atan2(math.sqrt(1 - rho), math.sqrt(1 + rho)), as_count("width", width))
    out = np.empty(as_count("n", n))
    done = 0
    for sums in _blocks(law, n, device, rng):
        out[done : done + sums.shape[1]] = _cosines(sums).cpu().numpy()
        done += sums.shape[1]
    return out


def count_failures(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    device: str | None = None,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
) -> int:
    """Count the layers, of `n_trials`, that do not raise the cosine: the complement of `contraction_probability`.

    Same parameters and errors; this is the count to keep when failures are rare.

    Examples
    --------
    >>> count_failures(0.5, 1.0, 1.0, 64, n_trials=10_000, device="cpu", rng=0) < 20
    True
    """
    theta = float(preactivation_angle(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2))
    law = _Law.of(theta, as_count("width", width))
    blocks = _blocks(law, as_count("n_trials", n_trials), device, rng)
    return n_trials - sum(int(_above(sums, float(cosine)).sum()) for sums in blocks)


def contraction_probability(
    cosine: float,
    norm_u: float,
    norm_v: float,
    width: int,
    *,
    n_trials: int,
    device: str | None = None,
    rng: np.random.Generator | int | None = None,
    sigma_w2: float = 1.0,
    sigma_b2: float = 1.0,
) -> Estimate:
    r"""Estimate the probability of Theorem 1 [1]_, that a random ReLU layer raises the cosine of two inputs:

    .. math:: P(\cos(\phi(Wu + b), \phi(Wv + b)) > \cos(u, v)).

    The inequality is strict, and a cosine that is undefined because a vector is zero counts as failure.

    Parameters
    ----------
    cosine : float
        cos(u, v), in [-1, 1].
    norm_u, norm_v : float
        Norms of the inputs, at least 0.
    width : int
        Units of the layer, the theorem's d_out.
    n_trials : int
        Number of independent layers.
    device : str, optional
        ``cpu``, ``cuda`` or ``cuda:1``; by default the GPU if torch sees one, else the processor.
    rng : Generator or int, optional
        Passed to `numpy.random.default_rng`.
    sigma_w2, sigma_b2 : float
        `width` times the variance of a weight and of a bias; the paper has both 1.

    Returns
    -------
    Estimate
        Share of successes, its binomial standard error, and Clopper and Pearson's 95 % interval.

    Raises
    ------
    ValueError
        Also when an input gives pre-activations that are zero for certain.

    Examples
    --------
    >>> estimate = contraction_probability(0.5, 1.0, 1.0, 16, n_trials=10_000, device="cpu", rng=0)
    >>> 0.94 < estimate.value < 0.96
    True
    """
    failures = count_failures(
        cosine,
        norm_u,
        norm_v,
        width,
        n_trials=n_trials,
        device=device,
        rng=rng,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
    )
    return share(n_trials - failures, n_trials)


@dataclass(frozen=True, slots=True)
class _Law:
    """Units of a layer, half the active arc, cos(θ/2) and sin(θ/2)."""

    width: int
    active: float
    cos_half: float
    sin_half: float

    @classmethod
    def of(cls, theta: float, width: int) -> "_Law":
        if width > _EXACT_COUNTS:
            raise ValueError(f"`width` must be at most 2**53, got {width}.")
        return cls(width, (math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2))


def _on(device: str | None) -> Any:
    """Return the torch device."""
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"`device` must be cpu or cuda, or cuda: and a number, got {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"`device` is {device!r}, and torch sees no GPU.")
    return torch.device(device)


def _blocks(law: _Law, n: int, device: str | None, rng: np.random.Generator | int | None) -> Iterator[Any]:
    """Yield the sums of `n` trials, shape (5, trials of the block): block i does not depend on `n`.

    A block is drawn whole and cut, because a shorter draw may have other numbers. Its size is part of the sample: what
    the second cache holds on a processor, what fills all multiprocessors on a GPU.
    """
    place = _on(device)
    trials, units = (1 << 18, 32) if place.type == "cuda" else (1 << 10, 16)
    streams = np.random.default_rng(rng).spawn(-(-n // trials))
    for stream, start in zip(streams, range(0, n, trials), strict=True):
        sums = _layer_sums(law, trials, units, place, int(stream.integers(1 << 63)))
        yield sums[:, : n - start].double()


def _layer_sums(law: _Law, trials: int, units: int, place: Any, seed: int) -> Any:
    """Return the sums over one layer of uv, u², v², (u - v)² and u² - v² for ReLU pairs (u, v), all halved."""
    import torch

    generator = torch.Generator(place).manual_seed(seed)
    real = torch.float32 if law.width >= _SINGLE_FROM else torch.float64
    share_active = torch.full((trials,), law.active / math.pi, dtype=torch.float64, device=place)
    counts = torch.binomial(torch.full_like(share_active, law.width), share_active, generator=generator)
    if place.type == "cuda" and _SINGLE_FROM <= law.width <= _triton_trial.MAX_WIDTH and _triton_trial.available():
        return _triton_trial.layer_sums(counts.int(), seed, (law.active, law.cos_half, law.sin_half))
    sums = torch.zeros((5, trials), dtype=torch.float64, device=place)
    unit = torch.arange(units, dtype=torch.float64, device=place)[:, None]
    for first in range(0, int(counts.max()), units):
        draws = torch.rand((2, units, trials), generator=generator, dtype=real, device=place)
        energy = draws[0].neg_().log1p_().neg_()
        energy.masked_fill_(unit >= counts - first, 0)
        sums += _slab_sums(energy, draws[1].mul_(2).sub_(1).mul_(law.active), law.cos_half, law.sin_half)
    return sums


def _slab_sums(energy: Any, phi: Any, cos_half: float, sin_half: float) -> Any:
    """Return the five sums over the units of a slab, shape (5, trials); `energy`, 0 for a unit that is not there, is
    overwritten.

    The difference u - v is formed as such, 2 offset where both are active, which keeps its digits as θ → 0.
    """
    import torch

    centre, offset = torch.cos(phi).mul_(cos_half), torch.sin(phi).mul_(sin_half)
    u, v, size = (centre - offset).clamp_(min=0), (centre + offset).clamp_(min=0), offset.abs()
    gap = torch.minimum(size + size, size.add_(centre))
    weighted, total, scaled_u, scaled_v = energy * gap, u + v, energy * u, energy.mul_(v)
    distance = gap.mul_(weighted).sum(0)
    excess = total.mul_(weighted.copysign_(offset)).sum(0).neg_()
    inner, norm_u, norm_v = (scaled_u * v).sum(0), scaled_u.mul_(u).sum(0), scaled_v.mul_(v).sum(0)
    return torch.stack([inner, norm_u, norm_v, distance, excess])


def _complement(sums: Any) -> Any:
    """Return 1 - cos(u, v), shape (trials,); of close vectors from |u - v|² = (|u| - |v|)² + 2|u||v|(1 - cos)."""
    import torch

    inner, norm_u, norm_v, distance, excess = sums
    product = torch.sqrt(norm_u * norm_v)
    gap = excess / (norm_u.sqrt() + norm_v.sqrt())
    near = (distance - gap * gap) / (2 * product)
    return torch.where(distance < product, near, 1 - inner / product).clamp_(min=0)  # below 0 by rounding alone


def _cosines(sums: Any) -> Any:
    """Return the cosines, shape (trials,), NaN where a vector is 0."""
    import torch

    complement = _complement(sums)
    return torch.where(complement < 0.5, 1 - complement, sums[0] / torch.sqrt(sums[1] * sums[2]))


def _above(sums: Any, threshold: float) -> Any:
    """Return which layers end with a cosine above `threshold`; an undefined one does not."""
    import torch

    if threshold < 0.5:
        return (sums[0] > threshold * torch.sqrt(sums[1] * sums[2])) & (sums[1] > 0) & (sums[2] > 0)
    return _complement(sums) < 1 - threshold  # NaN is not
