"""Compiled inner loops. Private: inputs are already validated."""

import math

import numpy as np
from numba import njit

__all__ = ["count_contractions", "fill_cosines", "fill_layer_sums"]


@njit(nogil=True, error_model="numpy", cache=True)
def _layer_sums(rng, width, active, cos_half, sin_half):
    """Return the sums over one layer of uv, u², v², (u - v)² and u² - v² for ReLU pairs (u, v) of angle θ, all halved.

    In polar form the pre-activations are R cos(φ + θ/2) and R cos(φ - θ/2) with R²/2 exponential and φ uniform. Units
    with both negative add nothing: the others number Binomial(width, active/π), with φ uniform on (-active, active),
    active = (π + θ)/2. The two differences are summed as such, which keeps their relative accuracy as θ → 0.
    """
    inner = norm_u = norm_v = distance = excess = 0.0
    for _ in range(rng.binomial(width, active / math.pi)):
        energy = rng.standard_exponential()
        phi = active * (2.0 * rng.random() - 1.0)
        centre = cos_half * math.cos(phi)
        offset = sin_half * math.sin(phi)
        u = centre - offset
        v = centre + offset
        if u > 0.0 and v > 0.0:
            inner += energy * u * v
            norm_u += energy * u * u
            norm_v += energy * v * v
            distance += 4.0 * energy * offset * offset
            excess -= 4.0 * energy * offset * centre
        elif u > 0.0:
            norm_u += energy * u * u
            distance += energy * u * u
            excess += energy * u * u
        else:
            norm_v += energy * v * v
            distance += energy * v * v
            excess -= energy * v * v
    return inner, norm_u, norm_v, distance, excess


@njit(nogil=True, error_model="numpy", cache=True)
def _cosine_complement(inner, norm_u, norm_v, distance, excess):
    """Return 1 - cos(u, v), u and v not 0; of close vectors from |u - v|² = (|u| - |v|)² + 2|u||v|(1 - cos)."""
    product = math.sqrt(norm_u * norm_v)
    if distance < product:
        gap = excess / (math.sqrt(norm_u) + math.sqrt(norm_v))
        complement = (distance - gap * gap) / (2.0 * product)
    else:
        complement = 1.0 - inner / product
    return max(complement, 0.0)  # Cauchy-Schwarz: only rounding can make it negative


@njit(nogil=True, error_model="numpy", cache=True)
def fill_layer_sums(rng, out, width, active, cos_half, sin_half):
    """Fill `out`, shape (5, trials), with the sums of one layer a trial: those of `_layer_sums`, in its order."""
    for i in range(out.shape[1]):
        inner, norm_u, norm_v, distance, excess = _layer_sums(rng, width, active, cos_half, sin_half)
        out[0, i] = inner
        out[1, i] = norm_u
        out[2, i] = norm_v
        out[3, i] = distance
        out[4, i] = excess


@njit(nogil=True, error_model="numpy", cache=True)
def fill_cosines(sums, out):
    """Fill `out` with the cosines of layers of which `sums`, shape (5, trials), are known; NaN where a vector is 0."""
    for i in range(out.size):
        inner, norm_u, norm_v = sums[0, i], sums[1, i], sums[2, i]
        if norm_u == 0.0 or norm_v == 0.0:
            out[i] = np.nan
        else:
            complement = _cosine_complement(inner, norm_u, norm_v, sums[3, i], sums[4, i])
            out[i] = 1.0 - complement if complement < 0.5 else inner / math.sqrt(norm_u * norm_v)


@njit(nogil=True, error_model="numpy", cache=True)
def count_contractions(sums, threshold):
    """Return how many layers end with a cosine above `threshold`; an undefined cosine does not."""
    successes = 0
    for i in range(sums.shape[1]):
        inner, norm_u, norm_v = sums[0, i], sums[1, i], sums[2, i]
        if norm_u == 0.0 or norm_v == 0.0:
            continue
        if threshold < 0.5:
            successes += inner > threshold * math.sqrt(norm_u * norm_v)
        else:  # 1 - threshold is exact here
            complement = _cosine_complement(inner, norm_u, norm_v, sums[3, i], sums[4, i])
            successes += complement < 1.0 - threshold
    return successes
