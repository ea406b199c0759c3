"""Units of a tilted layer in sixteen lanes: waves, sums, log weights; the same bits on other processors."""

import math

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory.contraction import preactivation_angle
from conetheory.large_deviation import failure_probability
from sims import _simd as simd
from sims import _tilted_lanes as lanes
from sims import _tilted_trials
from sims._tilted_kernels import fill_log_weights
from sims.rare_event import _tilted_law, sample_tilted_failures
from tests import naive_lanes, naive_rare_event
from tests.processors import assert_same_bits, on_every_processor, printed_with


def law_of(cosine, norm=1.0):
    theta = float(preactivation_angle(cosine, norm, norm))
    return _tilted_law(cosine, theta, dominating_tilt(cosine, theta).t)[0]


def drawn(law, width, n, rng):
    """Return words, counts, and the sums by lanes."""
    active = rng.binomial(width, law.active, n)
    both = rng.binomial(active, law.both)
    counts, pairs = np.array([both, active - both]).astype(np.uint32), np.zeros((10, 2, n), np.float32)
    seeds = rng.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32)
    lanes.fill_unit_sums(seeds, counts, pairs, lanes.lane_law(law))
    return seeds, counts, pairs[:, 0] + pairs[:, 1].astype(float)


@njit
def waves(y, cosine, ratio):
    for i in range(0, y.size, 16):
        simd.store(cosine, i, lanes.cosine_of(simd.load(y, i)))
        simd.store(ratio, i, lanes.sine_ratio_of(simd.load(y, i)))


def exact_waves(y):
    w = np.sqrt(np.maximum(np.abs(y.astype(np.float64)), 1e-20))
    return np.where(y < 0, np.cos(w), np.cosh(w)), np.where(y < 0, np.sin(w), np.sinh(w)) / w


def test_waves():
    y = np.linspace(-((math.pi / 2) ** 2), (math.pi / 2) ** 2, 1 << 20).astype(np.float32)
    cosine, ratio = np.empty((2, y.size), np.float32)
    waves(y, cosine, ratio)
    exact_cosine, exact_ratio = exact_waves(y)
    assert_allclose(cosine, exact_cosine, atol=2e-7, rtol=1e-7)
    assert_allclose(ratio, exact_ratio, rtol=1.5e-7)


def test_coefficients_are_the_minimax_fits():
    end = (math.pi / 2) ** 2
    y = np.linspace(-end, end, 5001)
    for part, letter in enumerate("CS"):
        found, error = naive_lanes.minimax(lambda y, part=part: exact_waves(y)[part], -end, end, 5)
        assert error < 2e-8
        kept = np.array([float(getattr(lanes, f"_{letter}{i}")) for i in range(6)])
        assert_allclose(kept, found, rtol=2e-6)
        assert np.max(np.abs(np.polynomial.polynomial.polyval(y, kept - found))) < 4e-8


@pytest.mark.parametrize(
    ("cosine", "norm", "width"),
    [(0.9, 1.0, 64), (0.9, 1.0, 512), (0.5, 1.0, 512), (0.1, 1.0, 512), (0.99, 10.0, 512), (0.9, 1.0, 4096)],
)
def test_log_weights_are_those_of_float64_from_the_same_words(cosine, norm, width):
    """Sums to 5e-7, log weights to 1e-4, and no bias of theirs; laws of every kind: circular, hyperbolic."""
    law, n = law_of(cosine, norm), 128
    seeds, counts, found = drawn(law, width, n, np.random.default_rng(width))
    exact = naive_rare_event.lane_sums(seeds, counts, law)
    assert_array_equal(found[0], exact[0])
    assert np.all(np.abs(found - exact).max(axis=1) < 5e-7 * np.abs(exact).max(axis=1))
    logs = np.empty((2, n))
    fill_log_weights(counts, found, logs[0], law, cosine)
    fill_log_weights(counts, exact, logs[1], law, cosine)
    assert_array_equal(np.isfinite(logs[0]), np.isfinite(logs[1]))
    error = np.subtract(*logs[:, np.isfinite(logs[1])])
    assert np.max(np.abs(error)) < 1e-4
    assert abs(error.mean()) < 1e-5


@njit
def transfers(pair, terms):
    for row in range(terms.shape[0]):
        lanes._transfer(pair, 0, simd.load(terms[row], 0))


def test_long_sums_have_twice_the_digits():
    terms = np.random.default_rng(0).standard_exponential((2000, 16)).astype(np.float32)
    pair = np.zeros((2, 16), np.float32)
    transfers(pair, terms)
    exact = terms.sum(axis=0, dtype=np.float64)
    assert_allclose(pair[0] + pair[1].astype(float), exact, rtol=1e-10)
    assert np.max(np.abs(pair[0] / exact - 1)) > 1e-8


def test_laws_of_every_kind_are_tested():
    kinds = {(law.hyperbolic_both, law.hyperbolic_one) for law in map(law_of, (0.9, 0.5, 0.1))}
    assert kinds == {(False, True), (False, False), (True, False)}


@pytest.mark.slow
@pytest.mark.parametrize(("cosine", "norm", "width"), [(0.9, 1.0, 2048), (0.99, 10.0, 4096), (0.2, 1.0, 128)])
def test_a_million_trials_have_the_computed_mean(cosine, norm, width):
    sample = sample_tilted_failures(cosine, norm, norm, width, n_trials=1_000_000, rng=11)
    computed = failure_probability(cosine, norm, norm, width).log_value
    assert abs(math.expm1(sample.log_value - computed)) < 4.5 * sample.relative_stderr + 1e-4  # inversion: to 1e-4


@pytest.mark.parametrize("width", [32, 33, 700])
def test_weights_are_shares_of_their_bound(width):
    law = law_of(0.9)
    logs = _tilted_trials.log_weights(np.random.default_rng(0), 1024, width, law, 0.9)
    assert logs.shape == (1024,)
    assert np.all(logs < 0)  # one above its bound would have been cut to 0
    assert np.mean(np.isfinite(logs)) > 0.9  # under the tilt hardly a direction is without failures


def test_the_first_trials_do_not_depend_on_how_many_follow():
    law = law_of(0.9)
    many = _tilted_trials.log_weights(np.random.default_rng(3), 1024, 100, law, 0.9)
    for n in (1, 15, 16, 1000):
        assert_array_equal(_tilted_trials.log_weights(np.random.default_rng(3), n, 100, law, 0.9), many[:n])


def test_a_law_beyond_the_polynomials_is_drawn_in_float64():
    """The hyperbolic angle at cosine 0.001 reaches 2.4."""
    assert law_of(0.001).turn_both > lanes.MOST_TURN
    sample = sample_tilted_failures(0.001, 1.0, 1.0, 64, n_trials=4_000, rng=0)
    computed = failure_probability(0.001, 1.0, 1.0, 64).log_value
    assert abs(math.expm1(sample.log_value - computed)) < 4.5 * sample.relative_stderr


CODE = """
import hashlib, numpy as np
from sims import _tilted_lanes as lanes
words = (np.arange(64, dtype=np.uint64) * 2654435761 + 12345).astype(np.uint32)
counts = (np.arange(96).reshape(2, 48) * 7 % 64).astype(np.uint32)
out, found = np.zeros((10, 2, 48), np.float32), hashlib.sha256()
for both, one in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)):
    law = lanes.LaneLaw(*map(np.float32, (5e-10, both, 0.5, 3e-10, one)))
    lanes.fill_unit_sums(words, counts, out, law)
    found.update(out.tobytes())
print(found.hexdigest())
"""


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    assert_same_bits(CODE, name, features, tmp_path)


def test_plain_kernels_serve_where_they_are_asked_for():
    code = "from sims import _tilted_trials as t; from sims.rare_event import sample_tilted_failures as sample\n"
    code += "found = sample(0.9, 1.0, 1.0, 512, n_trials=4_000, rng=0)\n"
    code += "print(t.KERNELS, found.log_value, found.relative_stderr)"
    kernels, log_value, relative_stderr = printed_with(code, CONETHEORY_KERNELS="plain").split()
    assert kernels == "plain"
    assert _tilted_trials.KERNELS == "16 lanes"
    computed = failure_probability(0.9, 1.0, 1.0, 512).log_value
    assert abs(math.expm1(float(log_value) - computed)) < 4.5 * float(relative_stderr)
