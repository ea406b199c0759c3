"""Networks in sixteen lanes: against the plain kernels, against float64 from the same words, on other processors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sims import _chain_kernels, _chain_lanes, _lane_kernels, _shaped_lanes, angle_chain
from sims.angle_chain import sample_angle_chains, sample_shaped_chains
from tests import naive_lanes
from tests.processors import assert_same_bits, on_every_processor

P_VALUE = 1e-5  # of each Kolmogorov-Smirnov test
RNG = np.random.default_rng(0)


def test_angles_from_half_their_sine():
    sine = np.concatenate([np.geomspace(1e-160, 0.5, 50), np.linspace(0.5, 1, 51)])
    found = [_chain_lanes._share(s, np.sqrt((1 - s) * (1 + s))) for s in sine]
    assert_allclose(found, 2 / np.pi * np.arcsin(sine), rtol=1e-10)


@pytest.fixture
def plain(monkeypatch):
    """Return a call of a sampler by the plain kernels."""

    def sample(sampler, *args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(angle_chain, "KERNELS", "plain")
            return sampler(*args, **options)

    return sample


def test_the_plain_kernels_are_those_asked_for(plain):
    stream, complement, energy = np.random.default_rng(4).spawn(1)[0], np.empty((5, 3)), np.empty((5, 3, 2))
    complement[:, 0], energy[:, 0] = 2 * np.sin(0.25) ** 2, 1.0
    _chain_kernels.fill_relu_chains(stream, complement, energy, 64, 2.0, 0.0)
    assert_array_equal(plain(sample_angle_chains, 0.5, 64, 2, 5, rng=4).complement, complement)
    assert not np.any(sample_angle_chains(0.5, 64, 2, 5, rng=4).complement[:, 1:] == complement[:, 1:])


@pytest.mark.parametrize("options", [{}, {"norm_u": 0.5, "norm_v": 2.0, "sigma_w2": 1.0, "sigma_b2": 0.7}])
@pytest.mark.parametrize(("theta0", "width", "depth"), [(2.8, 40, 2), (1.0, 64, 4), (1e-120, 33, 3)])
def test_law_is_that_of_the_plain_kernel(plain, options, theta0, width, depth):
    ours = sample_angle_chains(theta0, width, depth, 8192, rng=1, **options)
    theirs = plain(sample_angle_chains, theta0, width, depth, 4096, rng=2, **options)
    for layer in range(1, depth + 1):
        assert stats.ks_2samp(ours.complement[:, layer], theirs.complement[:, layer]).pvalue > P_VALUE
        for weights in ([1, 0], [0, 1], [1, -1]):
            assert stats.ks_2samp(ours.energy[:, layer] @ weights, theirs.energy[:, layer] @ weights).pvalue > P_VALUE


@pytest.mark.parametrize("slopes", [(1.0, 0.0), (1.2, -0.3), (1.1, 0.8), (1.0, -1.0), (0.0, 2.0)])
@pytest.mark.parametrize(("rho0", "width"), [(-0.9, 40), (0.3, 64), (1 - 1e-12, 33)])
def test_shaped_law_is_that_of_the_plain_kernel(plain, slopes, rho0, width):
    plus, minus = slopes
    ours = sample_shaped_chains(rho0, width, 3, 8192, slope_plus=plus, slope_minus=minus, rng=1)
    theirs = plain(sample_shaped_chains, rho0, width, 3, 4096, slope_plus=plus, slope_minus=minus, rng=2)
    for layer in (1, 3):
        assert stats.ks_2samp(ours[:, layer], theirs[:, layer]).pvalue > P_VALUE


def test_opposite_inputs_folded_onto_each_other_keep_their_digits(plain):
    """Slopes (1, -1) send x and -x to one vector: 1 - cos stays as small as 1 + cos was."""
    fold = {"slope_plus": 1.0, "slope_minus": -1.0}
    assert np.all(sample_shaped_chains(-1.0, 64, 3, 100, **fold, rng=1) == np.array([-1, 1, 1, 1]))
    ours = 1 - sample_shaped_chains(-1 + 1e-10, 64, 3, 8192, **fold, rng=1)
    theirs = 1 - plain(sample_shaped_chains, -1 + 1e-10, 64, 3, 4096, **fold, rng=2)
    assert ours[:, 1:].max() < 1e-9
    for layer in (1, 3):
        assert stats.ks_2samp(ours[:, layer], theirs[:, layer]).pvalue > P_VALUE


@pytest.mark.parametrize("theta", [1e-40, 1e-3, 1.0, 3.0])
def test_split_sums_are_those_of_float64_from_the_same_words(theta):
    """One lane of sixteen after the other, unit by unit, by the definition of the slopes."""
    slopes, n = (1.3, -0.6), 16
    state = RNG.integers(0, 1 << 32, _chain_lanes.SEEDS, dtype=np.uint32)
    least, counts = np.pi * _lane_kernels.LEAST_SHARE, np.arange(5, 5 + n, dtype=np.uint32)
    turns, ratio = np.full(n, 2 * max(theta, least) / np.pi * 2.0**-31, np.float32), min(theta / least, 1.0)
    sums, words, exact = np.empty((6, n), np.float32), list(state.copy().reshape(4, -1)), np.zeros((5, n))
    _shaped_lanes.sum_split(state, counts, turns, sums)
    for step in range(int(counts.max())):
        bits, *words = naive_lanes.next_high_words(*words)
        energy = -np.log(((bits >> np.uint32(1)) | np.uint32(1)) / 2.0**31) * (step < counts)
        bits, *words = naive_lanes.next_high_words(*words)
        signed = bits.view(np.int32)
        alpha = np.abs(signed.astype(np.float64)) * 2.0**-31 * theta
        high, low = slopes[0] * np.sin(alpha), -slopes[1] * np.sin(theta - alpha)
        u, v = np.where(signed >= 0, (high, low), (low, high))
        exact += energy * np.array([u * v, u * u, v * v, (u - v) ** 2, (u - v) * (u + v)])
    half = np.cos(theta / 2), np.sin(theta / 2)
    found = np.array([_shaped_lanes._split_sums(sums, m, ratio, *half, *slopes) for m in range(n)]).T
    assert_allclose(found, exact, rtol=1e-5, atol=3e-6 * exact[1:3].max())


def test_the_comparison_sees_a_wrong_slope(plain):
    ours = sample_shaped_chains(0.3, 64, 2, 8192, slope_plus=1.2, slope_minus=-0.3, rng=1)
    theirs = plain(sample_shaped_chains, 0.3, 64, 2, 4096, slope_plus=1.2, slope_minus=-0.25, rng=2)
    assert stats.ks_2samp(ours[:, 2], theirs[:, 2]).pvalue < P_VALUE


@pytest.mark.parametrize("theta0", [2.0, 1e-3, 1e-100])
def test_states_are_those_of_float64_from_the_same_words(theta0):
    width, depth, team, variances = 64, 3, _chain_lanes.TEAM, (1.5, 0.4)
    states = RNG.integers(0, 1 << 32, (1, _chain_lanes.SEEDS), dtype=np.uint32)
    complement, energy = np.empty((team, depth + 1)), np.empty((team, depth + 1, 2))
    complement[:, 0], energy[:, 0] = 2 * np.sin(theta0 / 2) ** 2, 1.3
    now, norms, excess, words = complement[:, 0].copy(), energy[:, 0].copy(), np.zeros(team), states[0].copy()
    _chain_lanes.fill_relu_chains(states, complement, energy, width, *variances)
    for layer in range(1, depth + 1):
        drop, k_u, k_v = np.transpose(
            [_chain_kernels.preactivation_complement(now[j], *norms[j], excess[j], *variances) for j in range(team)]
        )
        sums, words = naive_lanes.layer_sums_and_words(words, width, 2 * np.arcsin(np.sqrt(drop / 2)))
        for j in range(team):
            now[j], *norms[j], excess[j] = _chain_kernels.next_relu_state(
                tuple(sums[:, j]), k_u[j], k_v[j], excess[j], width, variances[0]
            )
        assert_allclose(complement[:, layer], now, rtol=1e-5)
        assert_allclose(energy[:, layer], norms, rtol=1e-5)


def test_shaped_sums_are_those_of_plain_formulas():
    """Slopes (1, 1) make the layer linear, (1, -1) take absolute values: sums known from those of other slopes."""
    states = RNG.integers(0, 1 << 32, (1, _chain_lanes.SEEDS), dtype=np.uint32)
    theta = np.linspace(0.1, 3, 64)
    law, sums = (theta / np.pi, np.cos(theta / 2), np.sin(theta / 2)), {}
    for slopes in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)):
        sums[slopes] = np.empty((5, 64))
        _chain_lanes.fill_shaped_sums(states[0].copy(), 100, *law, *slopes, sums[slopes])
    parts = sums[1.0, 0.0] + sums[0.0, 1.0]
    for slopes in ((1.0, 1.0), (1.0, -1.0)):
        assert_allclose(sums[slopes][1:3], parts[1:3], rtol=1e-12)
        assert_allclose(sums[slopes][3], sums[slopes][1] + sums[slopes][2] - 2 * sums[slopes][0], rtol=1e-5)
    mixed = (sums[1.0, -1.0][0] - sums[1.0, 1.0][0]) / 2
    assert np.all(mixed > 0)
    assert_allclose(sums[1.0, 1.0][0] + mixed, parts[0], rtol=1e-9)


def test_a_dead_network_stays_dead_and_leaves_the_others_alone():
    states = RNG.integers(0, 1 << 32, (1, _chain_lanes.SEEDS), dtype=np.uint32)
    complement, energy = np.full((20, 3), 0.3), np.ones((20, 3, 2))
    complement[7, 0] = np.nan
    energy[7, 0] = np.nan
    shaped = complement.copy()
    _chain_lanes.fill_relu_chains(states.copy(), complement, energy, 64, 2.0, 0.0)
    _chain_lanes.fill_shaped_chains(states, shaped, 64, 1.0, 0.5)
    for state in (complement, energy, shaped):
        assert np.all(np.isnan(state[7]))
        assert not np.any(np.isnan(np.delete(state, 7, axis=0)))


@pytest.mark.parametrize(("width", "sigma_w2"), [(31, 0.02), (32, 0.02), (31, 200.0), (32, 200.0)])
def test_norms_leave_the_range_of_a_double(width, sigma_w2):
    """Without biases a factor of all weights leaves the angles; beyond 1e±308 there is no norm and so no angle."""
    he = sample_angle_chains(1.0, width, 300, 1, rng=5)
    scaled = sample_angle_chains(1.0, width, 300, 1, rng=5, sigma_w2=sigma_w2)
    held = np.all((scaled.energy > 1e-300) & (scaled.energy < 1e300), axis=2)
    assert np.sum(held) > 100
    assert_allclose(scaled.complement[held], he.complement[held], rtol=1e-9)
    lost = np.any((scaled.energy == 0) | ~np.isfinite(scaled.energy), axis=2)
    assert np.all(lost[:, -1])
    assert np.all(np.isnan(scaled.complement[:, 1:][lost[:, :-1]]))


def test_the_first_networks_do_not_depend_on_how_many_follow():
    many = sample_angle_chains(0.5, 40, 3, 2100, rng=3)
    for n in (1, 16, 63, 65, 1023, 1025):
        few = sample_angle_chains(0.5, 40, 3, n, rng=3)
        assert_array_equal(few.complement, many.complement[:n])
        assert_array_equal(few.energy, many.energy[:n])
    slopes = {"slope_plus": 1.0, "slope_minus": 0.5}
    many = sample_shaped_chains(0.5, 40, 3, 100, **slopes, rng=3)
    assert_array_equal(sample_shaped_chains(0.5, 40, 3, 5, **slopes, rng=3), many[:5])


def test_the_threads_do_not_matter():
    def samples(workers):
        relu = sample_angle_chains(0.7, 40, 3, 2100, rng=2, workers=workers).complement
        return relu, sample_shaped_chains(0.7, 40, 3, 2100, slope_plus=1.0, slope_minus=0.5, rng=2, workers=workers)

    assert_array_equal(samples(1), samples(2))


CODE = """
import hashlib, numpy as np
from sims import _chain_lanes as lanes
states = (np.arange(2 * lanes.SEEDS, dtype=np.uint64) * 2654435761 + 12345).astype(np.uint32).reshape(2, -1)
complement, energy = np.empty((100, 4)), np.empty((100, 4, 2))
complement[:, 0], energy[:, 0] = np.geomspace(1e-200, 1.9, 100), (1.0, 2.0)
shaped = complement.copy()
lanes.fill_relu_chains(states, complement, energy, 70, 2.0, 0.01)
lanes.fill_shaped_chains(states, shaped, 70, 1.1, -0.4)
print(hashlib.sha256(complement.tobytes() + energy.tobytes() + shaped.tobytes()).hexdigest())
"""


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    assert_same_bits(CODE, name, features, tmp_path)
