"""Compiled loops over square arrays of cosines, queries by keys. Private: inputs are already validated."""

import numpy as np
from numba import njit

__all__ = ["directed_loss_curves", "mean_distances", "slope_curve"]


@njit(nogil=True, error_model="numpy", cache=True)
def _nearest(cosines):
    """Return the index of the largest entry."""
    best = 0
    for j in range(1, cosines.shape[0]):
        if cosines[j] > cosines[best]:
            best = j
    return best


@njit(nogil=True, error_model="numpy", cache=True)
def _cross_entropy(cosines, scale):
    """Return the mean over rows of the cross-entropy to the column of the same index."""
    n = cosines.shape[0]
    total = 0.0
    for i in range(n):
        best = _nearest(cosines[i])
        peak = cosines[i, best]
        others = 0.0
        for j in range(n):
            if j != best:
                others += np.exp(scale * (cosines[i, j] - peak))
        total += scale * (peak - cosines[i, i]) + np.log1p(others)
    return total / n


@njit(nogil=True, error_model="numpy", cache=True)
def _cross_entropy_slope(cosines, rates, scale):
    """Return the rate of change of `_cross_entropy` when the cosines change at the given rates."""
    n = cosines.shape[0]
    total = 0.0
    for i in range(n):
        peak = cosines[i, _nearest(cosines[i])]
        mass = 0.0
        moment = 0.0
        for j in range(n):
            weight = np.exp(scale * (cosines[i, j] - peak))
            mass += weight
            moment += weight * (rates[i, j] - rates[i, i])
        total += scale * moment / mass
    return total / n


@njit(nogil=True, error_model="numpy", cache=True)
def directed_loss_curves(cosines, scales, out):
    """Fill ``out[0, s, t]`` (images to texts) and ``out[1, s, t]`` (texts to images) at every step t."""
    for t in range(cosines.shape[0]):
        for s in range(scales.shape[0]):
            out[0, s, t] = _cross_entropy(cosines[t], scales[s])
            out[1, s, t] = _cross_entropy(cosines[t].T, scales[s])


@njit(nogil=True, error_model="numpy", cache=True)
def slope_curve(cosines, rates, scale, out):
    """Fill ``out[t]`` with the slope of the mean of both directions at step t."""
    for t in range(cosines.shape[0]):
        forward = _cross_entropy_slope(cosines[t], rates[t], scale)
        backward = _cross_entropy_slope(cosines[t].T, rates[t].T, scale)
        out[t] = (forward + backward) / 2


@njit(nogil=True, error_model="numpy", cache=True)
def mean_distances(images, texts, out):
    """Fill ``out[t]`` with the distance between the mean image and the mean text of step t."""
    n, d = images.shape
    for t in range(texts.shape[0]):
        square = 0.0
        for k in range(d):
            difference = 0.0
            for i in range(n):
                difference += images[i, k] - texts[t, i, k]
            square += (difference / n) ** 2
        out[t] = np.sqrt(square)
