"""Normals in sixteen lanes: the numbers of NumPy from the same words, the law, the bits on other processors."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sims._lane_functions import SEEDS
from sims._normal_lanes import draw_states, fill_normals, fill_uniforms
from tests import naive_lanes
from tests.processors import assert_same_bits, on_every_processor


def exact_normals(state, n, variance=1.0):
    """The same words through NumPy's functions, in float64: normals, and the radii of their pairs."""
    words, found = state.reshape(4, -1), []
    while 16 * len(found) < n:
        bits, *words = naive_lanes.next_words(*words)
        radius = np.sqrt(-2 * variance * np.log(((bits >> np.uint32(1)) | np.uint32(1)) / 2.0**31))
        bits, *words = naive_lanes.next_words(*words)
        angle = np.pi * 2.0**-31 * bits.view(np.int32)
        found += [(radius * np.cos(angle), radius), (radius * np.sin(angle), radius)]
    return np.concatenate(found, axis=1)[:, :n]


@pytest.mark.parametrize("n", [1, 16, 31, 32, 33, 1000])
def test_they_are_those_of_numpy_from_the_same_words(n):
    """The exponential has the absolute error of a uniform variate near 1, so the radius has this over itself."""
    states = draw_states(np.random.default_rng(n), 3)
    expected, radius = np.array([exact_normals(state, n, 2.5) for state in states]).transpose(1, 0, 2)
    out = np.empty((3, n), dtype=np.float32)
    fill_normals(states, 2.5, out)
    assert np.all(np.abs(out - expected) < 1e-6 * np.maximum(radius, 1 / radius))


def test_states_move_on_as_the_generator_does():
    """Two fills are one of both lengths, when the first is a whole number of steps."""
    together, apart = draw_states(np.random.default_rng(1), 2), draw_states(np.random.default_rng(1), 2)
    long, first, second = (np.empty((2, n), dtype=np.float32) for n in (160, 96, 64))
    fill_normals(together, 1.0, long)
    fill_normals(apart, 1.0, first)
    fill_normals(apart, 1.0, second)
    assert_array_equal(long, np.concatenate([first, second], axis=1))
    assert_array_equal(together, apart)
    assert len(np.unique(long)) == long.size


def test_the_first_states_do_not_depend_on_how_many_follow():
    many = draw_states(np.random.default_rng(2), 9)
    assert many.shape == (9, SEEDS)
    for n in (1, 4):
        assert_array_equal(draw_states(np.random.default_rng(2), n), many[:n])


def check_law(n, seed):
    """Kolmogorov and Smirnov, four moments, tails, and the independence of the two normals of a pair."""
    states, out = draw_states(np.random.default_rng(seed), 1), np.empty((1, 1 << 20), dtype=np.float32)
    edges = stats.norm.ppf(np.linspace(0, 1, 1001))[1:-1]
    counts, powers, tail, product, largest = np.zeros(1000), np.zeros(4), 0, 0.0, 0.0
    for _ in range(n >> 20):
        fill_normals(states, 1.0, out)
        z = out[0].astype(np.float64)
        counts += np.histogram(z, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
        powers += [np.sum(z**k) for k in (1, 2, 3, 4)]
        tail += np.count_nonzero(np.abs(z) > 4)
        pairs = z.reshape(-1, 2, 16)
        product += np.sum((pairs[:, 0] ** 2 - 1) * (pairs[:, 1] ** 2 - 1))
        largest = max(largest, float(np.abs(z).max()))
    total = (n >> 20) << 20
    assert stats.chisquare(counts).pvalue > 1e-5
    assert np.max(np.abs(np.cumsum(counts) / total - np.arange(1, 1001) / 1000)) < 3.0 / math.sqrt(total)  # p = 3e-8
    for k, (mean, square) in enumerate([(0, 1), (1, 3), (0, 15), (3, 105)]):
        assert abs(powers[k] / total - mean) < 4.5 * math.sqrt((square - mean**2) / total)
    expected = 2 * stats.norm.sf(4) * total
    assert abs(tail - expected) < 4.5 * math.sqrt(expected)
    assert abs(product) < 4.5 * math.sqrt(4 * total / 2)
    assert largest < math.sqrt(2 * 31 * math.log(2)) + 1e-6


def test_the_law_is_normal_at_ten_million():
    check_law(10_500_000, 3)


@pytest.mark.slow
def test_the_law_is_normal_at_a_hundred_million():
    check_law(105_000_000, 4)


def test_neither_lanes_nor_neighbours_are_correlated():
    out = np.empty((1, 1 << 20), dtype=np.float32)
    fill_normals(draw_states(np.random.default_rng(5), 1), 1.0, out)
    z = out[0].astype(np.float64)
    for lag in (1, 2, 16, 17, 32, 64):
        assert abs(np.sum(z[:-lag] * z[lag:])) < 4.5 * math.sqrt(z.size)


def test_uniforms():
    states = draw_states(np.random.default_rng(6), 2)
    out = np.empty((2, 100_001), dtype=np.float32)
    bits, *_ = naive_lanes.next_words(*states[1].reshape(4, -1))
    fill_uniforms(states, 0.25, out)
    assert_allclose(out[1, :16], 0.25 * 2.0**-31 * bits.view(np.int32), rtol=1e-7)
    assert np.all(np.abs(out) <= 0.25)
    assert stats.kstest(out[0].astype(np.float64), stats.uniform(-0.25, 0.5).cdf).pvalue > 1e-5


CODE = """
import hashlib, numpy as np
from sims._network_lanes import fill_piecewise_linear, fill_products, fill_tanh
from sims._normal_lanes import fill_normals, fill_uniforms
states = (np.arange(128, dtype=np.uint64) * 2654435761 + 12345).astype(np.uint32).reshape(2, 64)
x = np.empty((2, 3 * 50), np.float32)
fill_normals(states, 0.7, x)
bound = np.empty((2, 50), np.float32)
fill_uniforms(states, 0.1, bound)
x = x.reshape(2, 3, 50)
made, bent, products = np.empty_like(x), np.empty_like(x), np.empty((2, 2, 3))
fill_tanh(x, 0.5, 0.5, made)
fill_piecewise_linear(x, 0.01, bent)
fill_products(made, *products)
digest = hashlib.sha256()
for part in (states, x, bound, made, bent, products):
    digest.update(part.tobytes())
print(digest.hexdigest())
"""


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    assert_same_bits(CODE, name, features, tmp_path)
