"""Philox against its known answers, and streams by index."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.data._streams import philox, uniforms

KNOWN = [  # Random123 1.09, kat_vectors, philox4x32 10: counter, key, result
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    first, second = words(key)
    found = philox(np.array(words(counter), dtype=np.uint64)[:, None], (first, second))
    assert_array_equal(found[:, 0], words(result))


def test_a_row_has_its_own_numbers_whatever_is_asked_beside():
    rows = np.array([0, 5, (1 << 40) + 3])
    many = uniforms(7, 2, rows, 9)
    for place, row in enumerate(rows):
        assert_array_equal(uniforms(7, 2, np.array([row]), 4)[0], many[place, :4])
    assert many.shape == (3, 9)
    assert np.all((many >= 0) & (many < 1))
    different = [many, uniforms(8, 2, rows, 9), uniforms(7, 3, rows, 9), uniforms(7 + (1 << 32), 2, rows, 9)]
    assert len({array.tobytes() for array in different}) == 4


def test_numbers_are_uniform():
    """Mean and mean square of 200 000 numbers; correlation of neighbours in both directions."""
    draws = uniforms(0, 0, np.arange(10_000), 20)
    n = draws.size
    assert abs(draws.mean() - 1 / 2) < 4.5 * np.sqrt(1 / 12 / n)
    assert abs((draws**2).mean() - 1 / 3) < 4.5 * np.sqrt(4 / 45 / n)
    centred = draws - 0.5
    for product in (centred[:, 1:] * centred[:, :-1], centred[1:] * centred[:-1]):
        assert abs(product.mean()) < 4.5 / 12 / np.sqrt(product.size)


def test_rows_beyond_32_bits_have_streams_of_their_own():
    near, far = uniforms(0, 0, np.array([7, 7 + (1 << 32)]), 4)
    assert not np.any(near == far)
