"""Slow oracle of `sims._lane_kernels`: the same random words, float64 and NumPy's functions, one step at a time."""

import numpy as np

__all__ = ["layer_sums", "minimax", "next_words"]


def rotated(x, bits):
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def next_words(a, b, c, d):
    """xoshiro128++ as its authors print it, one generator a lane."""
    found = rotated(a + d, 7) + a
    shifted = b << np.uint32(9)
    c, d = c ^ a, d ^ b
    b, a = b ^ c, a ^ d
    return found, a, b, c ^ shifted, rotated(d, 11)


def layer_sums(seeds, counts, cos_half, sin_half, active):
    """Return the five sums of each trial, shape (5, trials)."""
    state = seeds.reshape(4, -1)
    lanes = state.shape[1]
    groups = []
    for count in counts.reshape(-1, lanes):
        sums = np.zeros((5, lanes))
        for step in range(int(count.max())):
            bits, *state = next_words(*state)
            energy = -np.log(((bits >> np.uint32(1)) | np.uint32(1)) / 2.0**31) * (step < count)
            bits, *state = next_words(*state)
            phi = bits.view(np.int32) * 2.0**-31 * active
            centre, offset = cos_half * np.cos(phi), sin_half * np.sin(phi)
            u, v = np.maximum(centre - offset, 0), np.maximum(centre + offset, 0)
            gap = np.where((u > 0) & (v > 0), -2 * offset, u - v)  # without cancellation
            sums += energy * np.array([u * v, u * u, v * v, gap * gap, gap * (u + v)])
        groups.append(sums)
    return np.concatenate(groups, axis=1)


def minimax(function, low, high, degree, *, rounds=200):
    """Return the polynomial nearest to `function` in the greatest error, and that error: Lawson's iteration."""
    n = 2000
    x = (low + high) / 2 + (high - low) / 2 * np.cos((np.arange(n) + 0.5) * np.pi / n)
    powers, target, weight = np.vander(x, degree + 1, increasing=True), function(x), np.ones(n)
    for _ in range(rounds):
        root = np.sqrt(weight)
        coefficients = np.linalg.lstsq(powers * root[:, None], target * root, rcond=None)[0]
        error = np.abs(powers @ coefficients - target)
        weight *= error
        weight /= weight.sum()
    return coefficients, error.max()
