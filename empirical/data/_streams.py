r"""Random numbers by index: row i has the same ones in every batch, and a batch needs no Generator of its own.

Philox-4x32-10 [1]_ turns a counter and a key into four words of 32 bits. The key is the seed; the counter holds the
row's index, which four words of the row, and what they are for. So a thousand rows are a thousand counters, in one
array.

References
----------
.. [1] J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3 and Random123's known
   answers.
"""

import numpy as np
from jaxtyping import Float64, Int64, UInt64

__all__ = ["philox", "uniforms"]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: UInt64[np.ndarray, "4 n"], key: tuple[int, int]) -> UInt64[np.ndarray, "4 n"]:
    """Return Philox-4x32-10 of each column of `counter`; words of 32 bits, held in 64."""
    a, b, c, d = counter
    for step in range(_ROUNDS):
        k, m = (np.uint64((word + step * rise) & 0xFFFFFFFF) for word, rise in zip(key, _KEY_STEPS, strict=True))
        left, right = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (right >> _HALF) ^ b ^ k, right & _LOW, (left >> _HALF) ^ d ^ m, left & _LOW
    return np.stack([a, b, c, d])


def uniforms(seed: int, purpose: int, indices: Int64[np.ndarray, " m"], n: int) -> Float64[np.ndarray, "m n"]:
    """Return `n` numbers in [0, 1), multiples of 2^-32, for each row.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    purpose : int
        Keeps apart the streams that a row has for different things; in [0, 2^32).
    indices : ndarray of int, shape (m,)
        Numbers of the rows, at least 0.
    n : int
        The first numbers of a row do not depend on how many are asked for.

    Examples
    --------
    >>> uniforms(0, 0, np.array([5, 6]), 3)[1] == uniforms(0, 0, np.array([6]), 2)[0][[0, 1, 1]]
    array([ True,  True, False])
    """
    fours = -(-n // 4)
    rows = np.repeat(indices.astype(np.uint64), fours)
    counter = np.empty((4, rows.size), dtype=np.uint64)
    counter[0], counter[1] = rows & _LOW, rows >> _HALF
    counter[2], counter[3] = np.tile(np.arange(fours, dtype=np.uint64), len(indices)), purpose
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return words.T.reshape(len(indices), 4 * fours)[:, :n] * 2.0**-32
