"""Compiled steps of stochastic descent of free features. Private: inputs are already validated.

All gradients are 2b times those of a batch of b pairs, as in `sims._flow_gradient`.
"""

import math

import numpy as np
from numba import njit

__all__ = ["EXPONENTIAL", "HARD", "LINEAR", "MOST_SCALE", "NONE", "PRESCRIBED", "ROW", "SOFT", "SOFTPLUS", "descend"]

PRESCRIBED, EXPONENTIAL, LINEAR, SOFTPLUS = range(4)
NONE, HARD, SOFT, ROW = range(4)
MOST_SCALE = 300.0  # cosines in [-1, 1]: exp(-2 · 300) is still a normal number
_SHARPNESS = 2.0  # t of the Gaussian potentials
_LEAST = -708.0  # exponents below it are taken for that: exp is still a normal number
_SHIFT = 1.5 * 2.0**52  # a number added to it is rounded to an integer, which its last bits hold
_PER_LN_2 = 1 / math.log(2)
_LN_2_HIGH, _LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # their sum is ln 2; k · high is exact
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = (1 / math.factorial(k) for k in range(2, 14))


@njit(nogil=True, error_model="numpy", cache=True)
def _beta(law, scale, nu):
    if law == EXPONENTIAL:
        return np.exp(nu / scale)
    if law == LINEAR:
        return nu
    return max(nu, 0.0) + np.log1p(np.exp(-abs(nu)))


@njit(nogil=True, error_model="numpy", cache=True)
def _slope(law, scale, beta):
    if law == EXPONENTIAL:
        return beta / scale
    return 1.0 if law == LINEAR else -np.expm1(-beta)


@njit(nogil=True, error_model="numpy", cache=True)
def _fill_parts(rng, kind, parts):
    """Fill what part of each entry a modality takes from the other one."""
    for i in range(parts.shape[0]):
        whole = rng.random() if kind == ROW else 0.0
        for j in range(parts.shape[1]):
            drawn = whole if kind == ROW else rng.random()
            parts[i, j] = drawn if kind == SOFT else (1.0 if drawn < 0.5 else 0.0)


@njit(nogil=True, error_model="numpy", cache=True)
def _exponentiate(values, scale, level):
    """Replace each v by exp(scale · (v - level)): Taylor's polynomial, to 2 eps, in loops that vectorise."""
    powers = np.empty(values.size)
    bits = powers.view(np.int64)
    for i in range(values.size):
        exponent = max(scale * (values[i] - level), _LEAST)
        shifted = exponent * _PER_LN_2 + _SHIFT
        k = shifted - _SHIFT
        r = (exponent - k * _LN_2_HIGH) - k * _LN_2_LOW
        r2 = r * r
        r4 = r2 * r2
        low = ((1.0 + r) + r2 * (_T2 + r * _T3)) + r4 * ((_T4 + r * _T5) + r2 * (_T6 + r * _T7))
        high = (_T8 + r * _T9) + r2 * (_T10 + r * _T11) + r4 * (_T12 + r * _T13)
        values[i] = low + r4 * r4 * high
        powers[i] = shifted
    for i in range(values.size):
        bits[i] = (bits[i] << 52) + (1023 << 52)  # 2^k
    for i in range(values.size):
        values[i] *= powers[i]


@njit(nogil=True, error_model="numpy", cache=True)
def _add(values, factor, out):
    """Add `factor` times `values` to `out`: a loop, which compiles ten times as fast as an expression."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += factor * values[i, j]


@njit(nogil=True, error_model="numpy", cache=True)
def _blended(parts, x, y):
    """Return x + parts (y - x) and y - parts (y - x)."""
    to_x, to_y = np.empty(x.shape), np.empty(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            moved = parts[i, j] * (y[i, j] - x[i, j])
            to_x[i, j] = x[i, j] + moved
            to_y[i, j] = y[i, j] - moved
    return to_x, to_y


@njit(nogil=True, error_model="numpy", cache=True)
def _shuffle(rng, order):
    """Put `order` into a random order (Fisher and Yates), a step's chances equal to n 2^-53."""
    for i in range(order.shape[0] - 1, 0, -1):
        k = int(rng.random() * (i + 1))
        order[i], order[k] = order[k], order[i]


@njit(nogil=True, error_model="numpy", cache=True)
def _taken(rows, order, place, count):
    """Return the rows order[place], ..., order[place + count - 1]."""
    found = np.empty((count, rows.shape[1]))
    for k in range(count):
        for j in range(rows.shape[1]):
            found[k, j] = rows[order[place + k], j]
    return found


@njit(nogil=True, error_model="numpy", cache=True)
def _contrast(x, y, beta):
    """Return the gradients of the CLIP loss by the rows, and its derivative by β."""
    b = x.shape[0]
    weights = np.dot(x, y.T)
    _exponentiate(weights.ravel(), beta, weights.max())
    own, ones = np.empty(b), np.ones(b)
    for i in range(b):
        own[i] = weights[i, i]
        weights[i, i] = 0.0
    rows, columns = np.dot(weights, ones), np.dot(ones, weights)
    by_row, by_column = 1 / (rows + own), 1 / (columns + own)
    for i in range(b):
        for j in range(b):
            weights[i, j] *= by_row[i] + by_column[j]
        weights[i, i] = -rows[i] * by_row[i] - columns[i] * by_column[i]
    grad_x, grad_y = np.dot(weights, y), np.dot(weights.T, x)
    by_beta = 0.0
    for i in range(b):
        for j in range(x.shape[1]):
            by_beta += x[i, j] * grad_x[i, j]
            grad_x[i, j] *= beta
            grad_y[i, j] *= beta
    return grad_x, grad_y, by_beta


@njit(nogil=True, error_model="numpy", cache=True)
def _add_potential(x, y, weight, grad_x, grad_y):
    """Add `weight` times the gradients of the log of the mean potential of x_j and y_k, j != k."""
    b = x.shape[0]
    shares = np.dot(x, y.T)
    _exponentiate(shares.ravel(), 2 * _SHARPNESS, 1.0)
    for i in range(b):
        shares[i, i] = 0.0
    factor = 2 * b * weight * 2 * _SHARPNESS / np.sum(shares)
    _add(np.dot(shares, y), factor, grad_x)
    _add(np.dot(shares.T, x), factor, grad_y)


@njit(nogil=True, error_model="numpy", cache=True)
def _gradient(rng, x, y, beta, kind, fraction, pull):
    """Return gradients by the rows, through the swap where there is one, and the derivative by β."""
    if kind != NONE and rng.random() < fraction:
        parts = np.empty(x.shape)
        _fill_parts(rng, kind, parts)
        mixed_x, mixed_y = _blended(parts, x, y)
        back_x, back_y, by_beta = _contrast(mixed_x, mixed_y, beta)
        grad_x, grad_y = _blended(parts, back_x, back_y)
    else:
        grad_x, grad_y, by_beta = _contrast(x, y, beta)
    uniformity, alignment, cross = pull
    if uniformity > 0:
        _add_potential(x, x, uniformity / 2, grad_x, grad_x)
        _add_potential(y, y, uniformity / 2, grad_y, grad_y)
    if cross > 0:
        _add_potential(x, y, cross, grad_x, grad_y)
    if alignment > 0:
        _add(y, -4 * alignment, grad_x)
        _add(x, -4 * alignment, grad_y)
    return grad_x, grad_y, by_beta


@njit(nogil=True, error_model="numpy", cache=True)
def _move(rows, order, place, batch, gradients, rate):
    """Move the rows of a batch against their gradients' tangent parts, and back to the sphere."""
    for k in range(batch.shape[0]):
        along, norm = 0.0, 0.0
        for j in range(batch.shape[1]):
            along += batch[k, j] * gradients[k, j]
        for j in range(batch.shape[1]):
            batch[k, j] -= rate * (gradients[k, j] - along * batch[k, j])
            norm += batch[k, j] ** 2
        scale = 1 / np.sqrt(norm)
        for j in range(batch.shape[1]):
            rows[order[place + k], j] = batch[k, j] * scale


@njit(nogil=True, error_model="numpy", cache=True)
def descend(rng, x, y, order, batch, rate, law, scale, nu, nu_rate, betas, kind, fraction, pull):
    """Move the rows through one step for each of `betas`, in place; return ν, and whether β stayed in range.

    `betas` are what the steps use where the law is PRESCRIBED. The n pairs are shuffled before each n / batch steps.
    `pull` holds the weights of uniformity, alignment and cross-uniformity.
    """
    n = order.shape[0]
    for step in range(betas.shape[0]):
        place = step * batch % n
        if place == 0 and batch < n:
            _shuffle(rng, order)
        beta = betas[step] if law == PRESCRIBED else _beta(law, scale, nu)
        if not 0 < beta <= MOST_SCALE:
            return nu, False
        batch_x, batch_y = _taken(x, order, place, batch), _taken(y, order, place, batch)
        grad_x, grad_y, by_beta = _gradient(rng, batch_x, batch_y, beta, kind, fraction, pull)
        _move(x, order, place, batch_x, grad_x, rate)
        _move(y, order, place, batch_y, grad_y, rate)
        if law != PRESCRIBED:
            nu -= nu_rate * _slope(law, scale, beta) * by_beta / (2 * batch)
    return nu, True
