"""Compiled loops over pairs of points in space. Private: inputs are already validated."""

import numpy as np
from numba import njit

__all__ = ["directed_loss_curves", "mean_distances", "slope_curve"]


@njit(nogil=True, error_model="numpy", cache=True)
def _inner_product(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(nogil=True, error_model="numpy", cache=True)
def _nearest(query, keys):
    """Return the index of the key of largest inner product."""
    best = 0
    for j in range(1, keys.shape[0]):
        if _inner_product(query, keys[j]) > _inner_product(query, keys[best]):
            best = j
    return best


@njit(nogil=True, error_model="numpy", cache=True)
def _cross_entropy(queries, keys, scale):
    """Return the mean over queries of the cross-entropy to the key of the same index."""
    n = queries.shape[0]
    total = 0.0
    for i in range(n):
        best = _nearest(queries[i], keys)
        peak = scale * _inner_product(queries[i], keys[best])
        others = 0.0
        for j in range(n):
            if j != best:
                others += np.exp(scale * _inner_product(queries[i], keys[j]) - peak)
        total += peak - scale * _inner_product(queries[i], keys[i]) + np.log1p(others)
    return total / n


@njit(nogil=True, error_model="numpy", cache=True)
def _cross_entropy_slope(queries, keys, query_velocities, key_velocities, scale):
    """Return the rate of change of `_cross_entropy` when the points move with the given velocities."""
    n = queries.shape[0]
    total = 0.0
    for i in range(n):
        peak = scale * _inner_product(queries[i], keys[_nearest(queries[i], keys)])
        own = _inner_product(queries[i], key_velocities[i]) + _inner_product(query_velocities[i], keys[i])
        mass = 0.0
        moment = 0.0
        for j in range(n):
            weight = np.exp(scale * _inner_product(queries[i], keys[j]) - peak)
            rate = _inner_product(queries[i], key_velocities[j]) + _inner_product(query_velocities[i], keys[j])
            mass += weight
            moment += weight * (rate - own)
        total += scale * moment / mass
    return total / n


@njit(nogil=True, error_model="numpy", cache=True)
def directed_loss_curves(images, texts, scales, out):
    """Fill ``out[0, s, t]`` (image to text) and ``out[1, s, t]`` (text to image) for the texts of every step t."""
    for s in range(scales.shape[0]):
        for t in range(texts.shape[0]):
            out[0, s, t] = _cross_entropy(images, texts[t], scales[s])
            out[1, s, t] = _cross_entropy(texts[t], images, scales[s])


@njit(nogil=True, error_model="numpy", cache=True)
def slope_curve(images, texts, velocities, scale, out):
    """Fill ``out[t]`` with the slope of the mean of both directions; the images rest, the texts have `velocities`."""
    rest = np.zeros_like(images)
    for t in range(texts.shape[0]):
        forward = _cross_entropy_slope(images, texts[t], rest, velocities[t], scale)
        backward = _cross_entropy_slope(texts[t], images, velocities[t], rest, scale)
        out[t] = (forward + backward) / 2


@njit(nogil=True, error_model="numpy", cache=True)
def mean_distances(images, texts, out):
    """Fill ``out[t]`` with the distance between the mean image and the mean text of step t."""
    n = images.shape[0]
    for t in range(texts.shape[0]):
        square = 0.0
        for k in range(3):
            difference = 0.0
            for i in range(n):
                difference += images[i, k] - texts[t, i, k]
            square += (difference / n) ** 2
        out[t] = np.sqrt(square)
