"""Networks in sixteen lanes: the sums of a layer in float32, the state between two layers in float64.

The angle is drawn in units of itself (`sims._lane_kernels`), so that no power of ten is lost: 1 - cos has a relative
error of about 1e-6 a layer down to where float64 ends. Every operation is one of IEEE, so are the bits.
"""

import math

import numpy as np
from numba import njit

from sims._chain_kernels import next_relu_state, preactivation_complement
from sims._kernels import _cosine_complement
from sims._lane_kernels import SEEDS, fill_layer_sums
from sims._shaped_lanes import fill_shaped_sums

__all__ = ["SEEDS", "TEAM", "fill_relu_chains", "fill_shaped_chains"]

TEAM = 64  # networks that share a generator, and are always drawn together

# 2 asin(x) / (πx) on [0, 1/2], in x²: minimax in the relative error, which is 2e-11
_A0, _A1, _A2, _A3 = 0.636619772358, 0.106103300292, 0.0477460837254, 0.0284328727911
_A4, _A5, _A6, _A7 = 0.0191557239021, 0.015741055152, 0.00457212422686, 0.0222813236493


@njit(error_model="numpy", cache=True)
def _share(sin_half, cos_half):
    """Return θ/π from sin(θ/2) and cos(θ/2), relative error below 1e-10; not from the system's arcsine."""
    far = sin_half > 0.5
    x = math.sqrt(0.5 / (1.0 + sin_half)) * cos_half if far else sin_half
    y = x * x
    upper = ((_A7 * y + _A6) * y + _A5) * y + _A4
    value = x * ((((upper * y + _A3) * y + _A2) * y + _A1) * y + _A0)
    return 1.0 - 2.0 * value if far else value


@njit(error_model="numpy", cache=True)
def _law(complement):
    """Return θ/π, cos(θ/2) and sin(θ/2) of pre-activations, 0, 1 and 0 of a network that is dead."""
    if math.isnan(complement):
        return 0.0, 1.0, 0.0
    sin_half = math.sqrt(0.5 * complement)
    cos_half = math.sqrt(max(1.0 - 0.5 * complement, 0.0))
    return _share(sin_half, cos_half), cos_half, sin_half


@njit(nogil=True, error_model="numpy", cache=True)
def fill_relu_chains(states, complements, energies, width, sigma_w2, sigma_b2):
    """As `sims._chain_kernels.fill_relu_chains`, from `SEEDS` random words for each `TEAM` of networks.

    A team that is not full is filled up with networks that start as the last one does and are not kept.
    """
    shares, cosines, sines, sums = np.empty(TEAM), np.empty(TEAM), np.empty(TEAM), np.empty((5, TEAM))
    now, norm_u, norm_v, excess = np.empty(TEAM), np.empty(TEAM), np.empty(TEAM), np.empty(TEAM)
    k_u, k_v = np.empty(TEAM), np.empty(TEAM)
    for team in range(states.shape[0]):
        first = team * TEAM
        size = min(TEAM, complements.shape[0] - first)
        for j in range(TEAM):
            i = first + min(j, size - 1)
            now[j], norm_u[j], norm_v[j] = complements[i, 0], energies[i, 0, 0], energies[i, 0, 1]
            excess[j] = norm_u[j] - norm_v[j]
        for layer in range(1, complements.shape[1]):
            for j in range(TEAM):
                now[j], k_u[j], k_v[j] = preactivation_complement(  # NaN of norms that are 0 or infinite, too
                    now[j], norm_u[j], norm_v[j], excess[j], sigma_w2, sigma_b2
                )
                shares[j], cosines[j], sines[j] = _law(now[j])
            fill_layer_sums(states[team], width, shares, cosines, sines, sums)
            for j in range(TEAM):
                one_layer = sums[0, j], sums[1, j], sums[2, j], sums[3, j], sums[4, j]
                if math.isnan(now[j]) or one_layer[1] == 0.0 or one_layer[2] == 0.0:
                    now[j] = norm_u[j] = norm_v[j] = np.nan
                else:
                    now[j], norm_u[j], norm_v[j], excess[j] = next_relu_state(
                        one_layer, k_u[j], k_v[j], excess[j], width, sigma_w2
                    )
            for j in range(size):
                i = first + j
                complements[i, layer], energies[i, layer, 0], energies[i, layer, 1] = now[j], norm_u[j], norm_v[j]


@njit(nogil=True, error_model="numpy", cache=True)
def fill_shaped_chains(states, complements, width, slope_plus, slope_minus):
    """As `sims._chain_kernels.fill_shaped_chains`, from `SEEDS` random words for each `TEAM` of networks.

    A team that is not full is filled up as in `fill_relu_chains`.
    """
    shares, cosines, sines, sums = np.empty(TEAM), np.empty(TEAM), np.empty(TEAM), np.empty((5, TEAM))
    now = np.empty(TEAM)
    for team in range(states.shape[0]):
        first = team * TEAM
        size = min(TEAM, complements.shape[0] - first)
        for j in range(TEAM):
            now[j] = complements[first + min(j, size - 1), 0]
        for layer in range(1, complements.shape[1]):
            for j in range(TEAM):
                shares[j], cosines[j], sines[j] = _law(now[j])
            fill_shaped_sums(states[team], width, shares, cosines, sines, slope_plus, slope_minus, sums)
            for j in range(TEAM):
                if math.isnan(now[j]) or sums[1, j] == 0.0 or sums[2, j] == 0.0:
                    now[j] = np.nan
                else:
                    now[j] = _cosine_complement(sums[0, j], sums[1, j], sums[2, j], sums[3, j], sums[4, j])
            for j in range(size):
                complements[first + j, layer] = now[j]
