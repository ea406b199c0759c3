"""Layers in sixteen lanes: instructions, transforms, counts, sums, laws; the same bits on other processors."""

import math

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from conetheory.finite_width import cosine_expansion
from sims import _kernels, _layer_trials
from sims import _lane_functions as functions
from sims import _lane_kernels as lanes
from sims import _simd as simd
from sims._binomial import binomial_table, draw_binomials
from sims.angle_chain import sample_angle_chains, sample_shaped_chains
from sims.rare_event import sample_tilted_failures
from sims.relu_layer import count_failures, sample_cosines
from tests import naive_lanes
from tests.processors import assert_same_bits, on_every_processor, printed_with

RNG = np.random.default_rng(0)
WORDS = RNG.integers(0, 1 << 32, (4, 16), dtype=np.uint32)
FLOATS = RNG.standard_normal((3, 16)).astype(np.float32)


@njit
def all_instructions(words, floats, out_words, out_floats):
    a, b = simd.load(words[0], 0), simd.load(words[1], 0)
    x, y, z = simd.load(floats[0], 0), simd.load(floats[1], 0), simd.load(floats[2], 0)
    simd.store(out_words[0], 0, a + b)
    simd.store(out_words[1], 0, a - b)
    simd.store(out_words[2], 0, (a ^ b) | (a & b))
    simd.store(out_words[3], 0, simd.shift_left(a, 9))
    simd.store(out_words[4], 0, simd.shift_right(a, 5))
    simd.store(out_words[5], 0, simd.sign_shift_right(a, 5))
    simd.store(out_words[6], 0, simd.rotate_left(a, 7))
    simd.store(out_words[7], 0, simd.as_words(simd.as_floats(a)))
    simd.store(out_words[8], 0, simd.bits_per_byte(a))
    simd.store(out_words[9], 0, simd.shift_right_each(a, b & simd.words(31)))
    simd.store(out_words[10], 0, simd.minimum_words(a, b))
    simd.store(out_words[11], 0, simd.words(simd.largest(a)))
    simd.store(out_words[12], 0, simd.words(simd.smallest(a)))
    simd.store(out_floats[0], 0, x + y)
    simd.store(out_floats[1], 0, x - y)
    simd.store(out_floats[2], 0, x * y)
    simd.store(out_floats[3], 0, simd.divide(x, y))
    simd.store(out_floats[4], 0, simd.fma(x, y, z))
    simd.store(out_floats[5], 0, simd.maximum(x, y))
    simd.store(out_floats[6], 0, simd.minimum(x, y))
    simd.store(out_floats[7], 0, simd.square_root(x * x))
    simd.store(out_floats[8], 0, simd.to_floats(a))
    simd.store(out_floats[9], 0, simd.select_less(a, b, x, y))
    simd.store(out_floats[10], 0, simd.floats(1.5) + simd.to_floats(simd.words(3)))


def test_every_instruction_is_that_of_numpy():
    words, floats = np.empty((13, 16), np.uint32), np.empty((11, 16), np.float32)
    all_instructions(WORDS, FLOATS, words, floats)
    a, b = WORDS[:2]
    expected = [a + b, a - b, a | b, a << 9, a >> 5, (a.view(np.int32) >> 5).view(np.uint32), naive_lanes.rotated(a, 7)]
    assert_array_equal(words[:7], np.array(expected, dtype=np.uint32))
    assert_array_equal(words[7], a)
    assert_array_equal(words[8].view(np.uint8), np.bitwise_count(a.view(np.uint8)))
    further = [a >> (b & 31), np.minimum(a, b), np.full(16, a.max()), np.full(16, a.min())]
    assert_array_equal(words[9:], np.array(further, dtype=np.uint32))
    x, y, z = FLOATS
    fused = (x.astype(np.float64) * y + z).astype(np.float32)  # exact products: at most one rounding more
    assert_array_equal(floats[:4], np.array([x + y, x - y, x * y, x / y]))
    assert_allclose(floats[4], fused, rtol=2.0**-23)
    assert_array_equal(floats[5:7], np.array([np.maximum(x, y), np.minimum(x, y)]))
    assert_array_equal(floats[7], np.sqrt(x * x))
    assert_array_equal(floats[8], a.view(np.int32).astype(np.float32))
    assert_array_equal(floats[9], np.where(a < b, x, y))
    assert_array_equal(floats[10], np.full(16, 4.5, np.float32))


@njit
def transforms(bits, energy, angle, sine, cosine, half_sine, half_cosine):
    for i in range(0, bits.size, 16):
        simd.store(energy, i, functions.minus_log(simd.load(bits, i)))
        x = simd.load(angle, i)
        s, c = functions.sine_and_cosine(x)
        simd.store(sine, i, s)
        simd.store(cosine, i, c)
        simd.store(half_sine, i, functions.sine(x, x * x))
        simd.store(half_cosine, i, functions.cosine(x * x))


def transformed(bits):
    angle = bits.view(np.int32).astype(np.float32) * np.float32(2.0**-31)
    energy, sine, cosine, half_sine, half_cosine = np.empty((5, bits.size), np.float32)
    transforms(bits, energy, angle, sine, cosine, half_sine, half_cosine)
    return angle.astype(np.float64), energy, sine, cosine, half_sine, half_cosine


def check_transforms(bits):
    angle, energy, sine, cosine, half_sine, half_cosine = transformed(bits)
    uniform = ((bits >> np.uint32(1)) | np.uint32(1)).astype(np.float64) / 2.0**31
    exact = -np.log(uniform)
    assert np.all(energy >= 0)
    assert np.max(np.abs(energy - exact) / np.maximum(exact, 1)) < 2.5e-7
    near_one = exact < 1e-3  # 2e-7 is the error of the fit there
    assert np.all(np.abs(energy - exact)[near_one] < 4e-7 * exact[near_one] + 2.0**-24)  # uniform itself is rounded
    assert np.max(np.abs(sine - np.sin(np.pi * angle))) < 4e-7
    assert np.max(np.abs(cosine - np.cos(np.pi * angle))) < 7e-7
    assert_allclose(half_sine, np.sin(np.pi / 2 * angle), rtol=3e-7)
    assert np.max(np.abs(half_cosine - np.cos(np.pi / 2 * angle))) < 2e-7


def test_transforms_at_a_million_inputs_and_the_ends():
    ends = np.array([0, 1, 2, 3, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1] * 2, dtype=np.uint32)
    check_transforms(np.concatenate([ends, np.arange(0, 1 << 32, 4099, dtype=np.uint32)[:1_000_000]]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_transforms_at_every_input():
    for start in range(0, 1 << 32, 1 << 22):
        check_transforms(np.arange(start, start + (1 << 22), dtype=np.uint64).astype(np.uint32))


def test_coefficients_are_the_minimax_fits():
    log = naive_lanes.minimax(lambda w: -np.log1p(-w / 2) / w, 1e-9, 1, 7, rounds=400)
    sine = naive_lanes.minimax(lambda y: np.sin(np.pi / 2 * np.sqrt(y)) / np.sqrt(y), 1e-12, 1, 4)
    cosine = naive_lanes.minimax(lambda y: np.cos(np.pi / 2 * np.sqrt(y)), 0, 1, 5)
    for (found, error), letter in zip((log, sine, cosine), "GSC", strict=True):
        assert error < 1e-7
        kept = [float(getattr(functions, f"_{letter}{i}")) for i in range(len(found))]
        assert_allclose(kept, found, rtol=2e-5)  # Lawson's iteration converges slowly in the last coefficients
        x = np.linspace(0, 1, 5001)
        assert np.max(np.abs(np.polynomial.polynomial.polyval(x, np.array(kept) - found))) < 1.2e-7


def team_sums(state, width, thetas):
    out = np.empty((5, thetas.size))
    lanes.fill_layer_sums(state, width, thetas / np.pi, np.cos(thetas / 2), np.sin(thetas / 2), out)
    return out


def complement(sums):
    return np.array([_kernels._cosine_complement.py_func(*trial) for trial in sums.T])


@pytest.mark.parametrize("theta", [np.pi, 3.0, 1.5, 0.3, 1e-3, 1e-6, 1e-12, 1e-40, 1e-150])
def test_sums_are_those_of_float64_from_the_same_words(theta):
    """To a relative 1e-5, 1 - cos too, however close the vectors are: their difference is summed as such."""
    state = RNG.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32)
    exact = naive_lanes.layer_sums(state.copy(), 200, np.full(64, theta))
    found = team_sums(state, 200, np.full(64, theta))
    assert_allclose(found[0], exact[0], rtol=1e-5, atol=1e-12 * exact[1].min())  # no unit is active for both at π
    assert_allclose(found[1:4], exact[1:4], rtol=3e-6)
    assert np.all(np.abs(found[4] - exact[4]) < 1e-6 * np.sqrt(exact[3] * (exact[1] + exact[2])))
    assert_allclose(complement(found), complement(exact), rtol=1e-5)


def test_every_trial_has_its_own_angle():
    state, thetas = RNG.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32), np.geomspace(1e-7, 3, 48)
    exact = naive_lanes.layer_sums(state.copy(), 100, thetas)
    assert_allclose(team_sums(state, 100, thetas)[1:4], exact[1:4], rtol=3e-6)


def test_a_wide_layer_keeps_its_digits():
    """Rounding errors are 1e-6 (standard deviation, of the inner product); added one by one, they would be 3e-6."""
    state = RNG.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32)
    exact = naive_lanes.layer_sums(state.copy(), 100_000, np.full(16, 1.0))
    assert_allclose(team_sums(state, 100_000, np.full(16, 1.0))[:4], exact[:4], rtol=5e-6)


@pytest.mark.parametrize(("width", "share"), [(1, 0.3), (31, 0.5), (32, 0.0), (33, 1.0), (200, 1e-3), (4096, 0.62)])
def test_counts_are_binomial(width, share):
    n, state = 8192, RNG.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32)
    chances = np.full(n, min(round(share * 2**32), 2**32 - 1), dtype=np.uint32)
    one, both = np.empty((2, n), np.uint32)
    expected = naive_lanes.unit_counts(width, np.full(16, share), list(state.copy().reshape(4, -1)))[:2]
    lanes._fill_counts(state, width, chances, one, both)
    assert_array_equal([one[:16], both[:16]], expected)
    for counts, p in ((one, share), (both, (1 - share) / 2)):
        ends = np.unique(stats.binom(width, p).ppf(np.linspace(0, 1, 12)[1:-1]))  # ten bins or fewer
        bins = np.searchsorted(ends, counts)
        chance = np.diff(np.concatenate([[0], stats.binom(width, p).cdf(ends), [1]]))
        seen = np.bincount(bins, minlength=len(chance))
        assert np.all(seen[chance < 1e-12] == 0)
        if np.sum(chance >= 1e-12) > 1:
            assert stats.chisquare(seen[chance >= 1e-12], n * chance[chance >= 1e-12]).pvalue > 1e-5
    spread = math.sqrt(width * share * (1 - share) / 2 / n) + 1e-12
    assert abs(np.mean(one + 2.0 * both) - width) < 4.5 * 2 * spread + 4.5 * math.sqrt(width / n)


@pytest.mark.parametrize("width", [32, 100, 512])
@pytest.mark.parametrize("theta", [3.1, 2.0, 1.0, 0.1, 1e-4])
def test_law_is_that_of_the_plain_kernel(width, theta):
    law, n = ((math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2)), 1024
    streams = np.random.default_rng(width).spawn(24)
    fast = np.concatenate([complement(_layer_trials._lane_sums(s, n, width, law)) for s in streams[:20]])
    out = np.empty((5, 4 * n))
    _kernels.fill_layer_sums(streams[-1], out, width, *law)
    assert stats.ks_2samp(fast, complement(out)).pvalue > 1e-5


@pytest.mark.parametrize("rho", [-0.5, 0.5, 0.95])
def test_moments_are_those_of_the_expansion(rho):
    cosines, expected = sample_cosines(rho, 512, 1 << 18, rng=5), cosine_expansion(rho).at(512)
    assert abs(cosines.mean() - expected.mean) < 4.5 * cosines.std() / 512
    spread = np.std((cosines - expected.mean) ** 2) / 512
    assert abs(np.mean((cosines - expected.mean) ** 2) - expected.variance) < 4.5 * spread


@pytest.mark.parametrize(("n", "p"), [(0, 0.3), (5, 0.0), (5, 1.0), (40, 0.62), (4096, 0.75)])
def test_binomials(n, p):
    keep, other = binomial_table(n, p)
    share = np.zeros(n + 1)
    np.add.at(share, np.arange(n + 1), np.minimum(keep, 1) / (n + 1))
    np.add.at(share, other, (1 - np.minimum(keep, 1)) / (n + 1))
    assert_allclose(share, stats.binom.pmf(np.arange(n + 1), n, p), atol=1e-12)
    drawn = np.empty(20_000, np.uint32)
    draw_binomials(np.random.default_rng(1).random(20_000), keep, other, drawn)
    assert abs(drawn.mean() - n * p) <= 4.5 * math.sqrt(n * p * (1 - p) / 20_000) + 1e-12


def test_the_first_trials_do_not_depend_on_how_many_follow():
    many = sample_cosines(0.5, 64, 9000, rng=3)
    for n in (1, 15, 16, 255, 257, 4095, 4097):
        assert_array_equal(sample_cosines(0.5, 64, n, rng=3), many[:n])


CODE = """
import hashlib, numpy as np
from sims import _lane_kernels as lanes
words = (np.arange(64, dtype=np.uint64) * 2654435761 + 12345).astype(np.uint32)
theta = np.linspace(0.01, 3, 48)
out = np.empty((5, 48))
lanes.fill_layer_sums(words, 100, theta / np.pi, 1 - theta / 9, theta / 4, out)
print(hashlib.sha256(out.tobytes()).hexdigest())
"""


@pytest.mark.parametrize(
    "sample",
    [
        lambda width: sample_cosines(0.5, width, 1),
        lambda width: count_failures(0.5, 1.0, 1.0, width, n_trials=1),
        lambda width: sample_tilted_failures(0.5, 1.0, 1.0, width, n_trials=2),
        lambda width: sample_angle_chains(0.5, width, 1, 1),
        lambda width: sample_shaped_chains(0.5, width, 1, 1, slope_plus=1.0, slope_minus=0.0),
    ],
)
def test_more_units_than_a_word_counts_are_refused(sample):
    """A word would hold 2³² + 40 as 40."""
    with pytest.raises(ValueError, match=r"`width` must be at most 2\*\*32 - 1, got 4294967336"):
        sample(2**32 + 40)


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    assert_same_bits(CODE, name, features, tmp_path)


@pytest.mark.parametrize("variables", [{"CONETHEORY_KERNELS": "plain"}, {"NUMBA_DISABLE_JIT": "1"}])
def test_plain_kernels_serve_where_they_are_asked_for(variables):
    code = "from sims import _layer_trials as t; from sims.relu_layer import sample_cosines\n"
    code += "print(t.KERNELS, sample_cosines(0.5, 64, 500, rng=0).mean())"
    kernels, mean = printed_with(code, **variables).split()
    assert kernels == "plain"
    assert _layer_trials.KERNELS == "16 lanes"
    assert abs(float(mean) - cosine_expansion(0.5).at(64).mean) < 4.5 * 0.1 / math.sqrt(500)
