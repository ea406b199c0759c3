"""The trial in sixteen lanes: instructions, transforms, sums, laws; the same bits on other processors."""

import hashlib
import math
import os
import platform
import subprocess
import sys

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
from sims.relu_layer import sample_cosines
from tests import naive_lanes

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
    words, floats = np.empty((8, 16), np.uint32), np.empty((11, 16), np.float32)
    all_instructions(WORDS, FLOATS, words, floats)
    a, b = WORDS[:2]
    expected = [a + b, a - b, a | b, a << 9, a >> 5, (a.view(np.int32) >> 5).view(np.uint32), naive_lanes.rotated(a, 7)]
    assert_array_equal(words[:7], np.array(expected, dtype=np.uint32))
    assert_array_equal(words[7], a)
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
def transforms(bits, energy, angle, sine, cosine):
    for i in range(0, bits.size, 16):
        simd.store(energy, i, functions.minus_log(simd.load(bits, i)))
        s, c = functions.sine_and_cosine(simd.load(angle, i))
        simd.store(sine, i, s)
        simd.store(cosine, i, c)


def transformed(bits):
    angle = bits.view(np.int32).astype(np.float32) * np.float32(2.0**-31)
    energy, sine, cosine = np.empty((3, bits.size), np.float32)
    transforms(bits, energy, angle, sine, cosine)
    return angle.astype(np.float64), energy, sine, cosine


def check_transforms(bits):
    angle, energy, sine, cosine = transformed(bits)
    uniform = ((bits >> np.uint32(1)) | np.uint32(1)).astype(np.float64) / 2.0**31
    exact = -np.log(uniform)
    assert np.all(energy >= 0)
    assert np.max(np.abs(energy - exact) / np.maximum(exact, 1)) < 2.5e-7
    near_one = exact < 1e-3
    assert np.all(np.abs(energy - exact)[near_one] < 1.3e-7 * exact[near_one] + 2.0**-24)  # uniform itself is rounded
    assert np.max(np.abs(sine - np.sin(np.pi * angle))) < 4e-7
    assert np.max(np.abs(cosine - np.cos(np.pi * angle))) < 7e-7
    small = np.abs(angle) < 1e-3
    assert_allclose(sine[small], np.sin(np.pi * angle[small]), rtol=4e-7)


def test_transforms_at_a_million_inputs_and_the_ends():
    ends = np.array([0, 1, 2, 3, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1] * 2, dtype=np.uint32)
    check_transforms(np.concatenate([ends, np.arange(0, 1 << 32, 4099, dtype=np.uint32)[:1_000_000]]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_transforms_at_every_input():
    for start in range(0, 1 << 32, 1 << 22):
        check_transforms(np.arange(start, start + (1 << 22), dtype=np.uint64).astype(np.uint32))


def test_coefficients_are_the_minimax_fits():
    log = naive_lanes.minimax(lambda x: np.log1p(x) / x, -0.25, 0.5, 8)
    sine = naive_lanes.minimax(lambda y: np.sin(np.pi / 2 * np.sqrt(y)) / np.sqrt(y), 1e-12, 1, 4)
    cosine = naive_lanes.minimax(lambda y: np.cos(np.pi / 2 * np.sqrt(y)), 0, 1, 5)
    for (found, error), letter in zip((log, sine, cosine), "GSC", strict=True):
        assert error < 3e-8
        kept = [float(getattr(functions, f"_{letter}{i}")) for i in range(len(found))]
        assert_allclose(kept, found, rtol=2e-5)  # Lawson's iteration converges slowly in the last coefficients
        x = np.linspace(-0.25, 0.5, 5001) if letter == "G" else np.linspace(0, 1, 5001)
        assert np.max(np.abs(np.polynomial.polynomial.polyval(x, np.array(kept) - found))) < 1.2e-7


@pytest.mark.parametrize("theta", [3.0, 1.5, 0.3, 1e-3, 1e-6])
def test_sums_are_those_of_float64_from_the_same_words(theta):
    """To a relative 1e-5 also where the vectors all but coincide: 1 - cos comes from the fourth and the fifth."""
    law = math.cos(theta / 2), math.sin(theta / 2), (math.pi + theta) / 2
    seeds = RNG.integers(0, 1 << 32, lanes.SEEDS, dtype=np.uint32)
    counts = RNG.binomial(200, law[2] / math.pi, 64).astype(np.uint32)
    found, exact = np.empty((5, 64), np.float32), naive_lanes.layer_sums(seeds, counts, *law)
    lanes.fill_layer_sums(seeds, counts, found, np.float32(law[0]), np.float32(law[1]), law[2])
    assert_allclose(found[:4], exact[:4], rtol=1e-5, atol=1e-5 * exact[3].min() if theta > 2.9 else 0)
    assert_allclose(found[4], exact[4], atol=1e-5 * np.sqrt(exact[3] * (exact[1] + exact[2])).max())


def complement(sums):
    out = np.empty(sums.shape[1])
    _kernels.fill_cosines(sums, out)
    return 1 - out


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
    many = sample_cosines(0.5, 64, 5000, rng=3)
    for n in (1, 15, 16, 1000, 1024, 1025):
        assert_array_equal(sample_cosines(0.5, 64, n, rng=3), many[:n])


CODE = """
import hashlib, numpy as np
from sims import _lane_kernels as lanes
words = (np.arange(64, dtype=np.uint64) * 2654435761 + 12345).astype(np.uint32)
counts = (np.arange(48) * 7 % 64).astype(np.uint32)
out = np.empty((5, 48), np.float32)
lanes.fill_layer_sums(words, counts, out, np.float32(0.9), np.float32(0.43588989), 2.0)
print(hashlib.sha256(out.tobytes()).hexdigest())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 targets")
@pytest.mark.parametrize(("name", "features"), [("x86-64", "+sse2"), ("x86-64-v3", "+avx2,+fma")])
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    here: dict[str, object] = {}
    exec(CODE.replace("print(", "found = ("), here)
    other = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=os.environ | other, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == here["found"]
    assert len(str(here["found"])) == len(hashlib.sha256().hexdigest())


def test_plain_kernels_serve_where_they_are_asked_for():
    code = "from sims import _layer_trials as t; from sims.relu_layer import sample_cosines\n"
    code += "print(t.KERNELS, sample_cosines(0.5, 64, 500, rng=0).mean())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"CONETHEORY_KERNELS": "plain"},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    kernels, mean = done.stdout.split()
    assert kernels == "plain"
    assert _layer_trials.KERNELS == "16 lanes"
    assert abs(float(mean) - cosine_expansion(0.5).at(64).mean) < 4.5 * 0.1 / math.sqrt(500)
