"""Compiled inner loops of `sims.angle_chain`. Private: inputs are already validated."""

import math

import numpy as np
from numba import njit

from sims._kernels import _cosine_complement, _layer_sums

__all__ = ["fill_relu_chains", "fill_shaped_chains", "next_relu_state", "preactivation_complement"]


@njit(nogil=True, error_model="numpy", cache=True)
def preactivation_complement(complement, energy_u, energy_v, excess, sigma_w2, sigma_b2):
    """Return 1 - rho_1 of the pre-activations, and their variances k_u and k_v times the width.

    The energies are squared norms and `excess` is their difference: 1 - rho_1 = eta + lambda (1 - c), eta a square of
    the difference of the norms (docs/theory.md, 2.2).
    """
    k_u = sigma_w2 * energy_u + sigma_b2
    k_v = sigma_w2 * energy_v + sigma_b2
    root_u, root_v = math.sqrt(energy_u), math.sqrt(energy_v)
    scale = math.sqrt(k_u) * math.sqrt(k_v)  # products of squares would overflow at half the range
    lam = sigma_w2 * root_u * root_v / scale
    mu = sigma_b2 / scale
    sine = math.sqrt(sigma_w2 * sigma_b2) * (excess / (root_u + root_v)) / scale
    return sine * sine / (1.0 + lam + mu) + lam * complement, k_u, k_v


@njit(nogil=True, error_model="numpy", cache=True)
def next_relu_state(sums, k_u, k_v, excess, width, sigma_w2):
    """Return 1 - cos, the two squared norms and their difference after a layer, of which `sums` are known, none 0."""
    inner, sum_u, sum_v, distance, difference = sums
    shift = sigma_w2 * excess  # k_u - k_v
    excess = (shift * (sum_u + sum_v) + (k_u + k_v) * difference) / width
    complement = _cosine_complement(inner, sum_u, sum_v, distance, difference)
    return complement, 2.0 * k_u * sum_u / width, 2.0 * k_v * sum_v / width, excess


@njit(nogil=True, error_model="numpy", cache=True)
def fill_relu_chains(rng, complements, energies, width, sigma_w2, sigma_b2):
    """Fill rows 1, 2, ... of each chain from its row 0: 1 - cos (n, depth + 1) and squared norms (n, depth + 1, 2).

    NaN from the first layer where a vector is zero.
    """
    for i in range(complements.shape[0]):
        complement = complements[i, 0]
        energy_u = energies[i, 0, 0]
        energy_v = energies[i, 0, 1]
        excess = energy_u - energy_v
        for layer in range(1, complements.shape[1]):
            drop, k_u, k_v = preactivation_complement(complement, energy_u, energy_v, excess, sigma_w2, sigma_b2)
            sin_half = math.sqrt(0.5 * drop)
            cos_half = math.sqrt(max(1.0 - 0.5 * drop, 0.0))
            active = 0.5 * math.pi + math.atan2(sin_half, cos_half)
            sums = _layer_sums(rng, width, active, cos_half, sin_half)
            if sums[1] == 0.0 or sums[2] == 0.0:
                complements[i, layer:] = np.nan
                energies[i, layer:] = np.nan
                break
            complement, energy_u, energy_v, excess = next_relu_state(sums, k_u, k_v, excess, width, sigma_w2)
            complements[i, layer] = complement
            energies[i, layer, 0] = energy_u
            energies[i, layer, 1] = energy_v


@njit(nogil=True, error_model="numpy", cache=True)
def _shaped_sums(rng, width, cos_half, sin_half, slope_plus, slope_minus):
    """As `_layer_sums`, for units of slope `slope_plus` above 0 and `slope_minus` below."""
    inner = norm_u = norm_v = distance = excess = 0.0
    for _ in range(width):
        energy = rng.standard_exponential()
        phi = 2.0 * math.pi * rng.random()
        centre = cos_half * math.cos(phi)
        offset = sin_half * math.sin(phi)
        u = centre - offset
        v = centre + offset
        slope_u = slope_plus if u > 0.0 else slope_minus
        slope_v = slope_plus if v > 0.0 else slope_minus
        change = -2.0 * slope_u * offset if slope_u == slope_v else slope_u * u - slope_v * v
        u *= slope_u
        v *= slope_v
        inner += energy * u * v
        norm_u += energy * u * u
        norm_v += energy * v * v
        distance += energy * change * change
        excess += energy * change * (u + v)
    return inner, norm_u, norm_v, distance, excess


@njit(nogil=True, error_model="numpy", cache=True)
def fill_shaped_chains(rng, complements, width, slope_plus, slope_minus):
    """Fill rows 1, 2, ... of 1 - cos (n, depth + 1) of each chain without biases; NaN from a zero vector on."""
    for i in range(complements.shape[0]):
        complement = complements[i, 0]
        for layer in range(1, complements.shape[1]):
            sin_half = math.sqrt(0.5 * complement)
            cos_half = math.sqrt(max(1.0 - 0.5 * complement, 0.0))
            inner, norm_u, norm_v, distance, excess = _shaped_sums(
                rng, width, cos_half, sin_half, slope_plus, slope_minus
            )
            if norm_u == 0.0 or norm_v == 0.0:
                complements[i, layer:] = np.nan
                break
            complement = _cosine_complement(inner, norm_u, norm_v, distance, excess)
            complements[i, layer] = complement
