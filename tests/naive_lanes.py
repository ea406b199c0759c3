"""Slow oracle of `sims._lane_kernels`: the same random words, float64 and NumPy's functions, one step at a time."""

import numpy as np

__all__ = ["fair_counts", "layer_sums", "layer_sums_and_words", "minimax", "next_words", "unit_counts"]


def rotated(x, bits):
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def next_words(a, b, c, d):
    """xoshiro128++ as its authors print it, one generator a lane."""
    found = rotated(a + d, 7) + a
    shifted = b << np.uint32(9)
    c, d = c ^ a, d ^ b
    b, a = b ^ c, a ^ d
    return found, a, b, c ^ shifted, rotated(d, 11)


def next_high_words(a, b, c, d):
    """xoshiro128+ as its authors print it."""
    return a + d, *next_words(a, b, c, d)[1:]


def fair_counts(n, state):
    """Return how many of the first n bits of each lane's next words are set, and the state."""
    total = np.zeros(len(n), dtype=np.int64)
    for first in range(0, int(n.max()), 32):
        bits, *state = next_words(*state)
        places = np.arange(32, dtype=np.uint32)
        used = places >= 32 - np.clip(n - first, 0, 32)[:, None]  # the highest bits
        total += np.sum((bits[:, None] >> places & 1 == 1) & used, axis=1)
    return total, state


def unit_counts(width, shares, state):
    """Return how many units are active for one input, and for both, in each lane, and the state."""
    digits = [int(min(round(share * 2**32), 2**32 - 1)) for share in shares]
    undecided, one = np.full(len(shares), width), np.zeros(len(shares), dtype=np.int64)
    for place in range(31, -1, -1):
        if undecided.any():
            heads, state = fair_counts(undecided, state)
            digit = np.array([number >> place & 1 for number in digits])
            one += heads * digit
            undecided = np.where(digit == 1, undecided - heads, heads)
    both, state = fair_counts(width - one, state)
    return one, both, state


def grouped_sums(counts, angles, state, terms):
    """Return the sums of `terms(energy, angle)`, angle in (-`angles`, `angles`), over `counts` units, and the state.

    Sixteen trials run together, in the order of their counts.
    """
    order, lanes = np.argsort(counts, kind="stable"), len(state[0])
    sums = np.zeros((len(terms(1.0, 1.0)), len(counts)))
    for group in order.reshape(-1, lanes):
        for step in range(int(counts[group].max())):
            bits, *state = next_high_words(*state)
            energy = -np.log(((bits >> np.uint32(1)) | np.uint32(1)) / 2.0**31) * (step < counts[group])
            bits, *state = next_high_words(*state)
            sums[:, group] += terms(energy, bits.view(np.int32) * 2.0**-31 * angles[group])
    return sums, state


def layer_sums(state, width, thetas):
    """Return the five sums of each trial, shape (5, trials), of a layer after angles `thetas`."""
    return layer_sums_and_words(state, width, thetas)[0]


def layer_sums_and_words(state, width, thetas):
    """Return the sums, and the words of the generators after them."""
    state, lanes = list(state.reshape(4, -1)), state.size // 4
    counts = []
    for group in thetas.reshape(-1, lanes):
        one, both, state = unit_counts(width, group / np.pi, state)
        counts.append((one, both))
    one, both = np.concatenate(counts, axis=1)
    cos_half, sin_half = np.cos(thetas / 2), np.sin(thetas / 2)

    def products(energy, phi):
        return np.array([energy * np.cos(phi) ** 2, energy * np.sin(phi) ** 2, energy * np.sin(phi) * np.cos(phi)])

    def squares(energy, alpha):
        return np.array([energy * np.sin(alpha) ** 2 * (np.sign(alpha) >= 0), energy * np.sin(alpha) ** 2])

    (even, odd, cross), state = grouped_sums(both, (np.pi - thetas) / 2, state, products)
    (first, alone), state = grouped_sums(one, thetas, state, squares)
    even, odd, cross = cos_half**2 * even, sin_half**2 * odd, 2 * cos_half * sin_half * cross
    second = alone - first
    norm_u, norm_v = even + odd - cross + first, even + odd + cross + second
    sums = np.array([even - odd, norm_u, norm_v, 4 * odd + alone, first - second - 2 * cross])
    return sums, np.concatenate(state)


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
