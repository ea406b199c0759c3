import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import digamma, polygamma

from conetheory import norm_fluctuations as nf
from conetheory._layer_cumulants import expand
from conetheory._power_series import EXPONENTS, logarithm
from sims.angle_chain import sample_angle_chains

widths = st.integers(1, 200)


def mixture_cdf(change, width, sigma_w2=2.0):
    counts = np.arange(1, width + 1)
    weights = stats.binom.pmf(counts, width, 0.5)
    return stats.chi2.cdf(np.exp(change)[..., None] * width / sigma_w2, counts) @ weights / weights.sum()


@pytest.mark.parametrize("width", [1, 2, 5, 40, 300])
def test_the_law_of_one_layer_is_a_mixture_of_chi_squares(width):
    law = nf.log_norm_law([width], sigma_w2=1.3)
    change = law.mean + np.sqrt(law.variance) * np.linspace(-7, 5, 25)
    assert_allclose(law.cdf(change), mixture_cdf(change, width, 1.3), rtol=0, atol=1e-13)


def test_two_layers_by_convolution():
    law, first = nf.log_norm_law([7, 12]), nf.log_norm_law([7])
    edges = first.mean + np.sqrt(first.variance) * np.linspace(-50, 8, 20001)  # one active unit: a tail of rate 1/2
    middles, mass = (edges[1:] + edges[:-1]) / 2, np.diff(mixture_cdf(edges, 7))
    for change in (-2.0, -0.3, 0.8):
        assert_allclose(law.cdf(change), mixture_cdf(change - middles, 12) @ mass, rtol=0, atol=2e-6)


def test_moments_at_40_digits():
    with mp.workdps(40):
        weights = [mp.binomial(9, k) for k in range(1, 10)]
        centres = [mp.digamma(mp.mpf(k) / 2) + mp.log(mp.mpf(4) / 9) for k in range(1, 10)]
        mean = sum(w * c for w, c in zip(weights, centres, strict=True)) / sum(weights)
        square = sum(
            w * (mp.psi(1, mp.mpf(k) / 2) + (c - mean) ** 2)
            for k, (w, c) in enumerate(zip(weights, centres, strict=True), 1)
        )
        variance = square / sum(weights)
    law = nf.log_norm_law([9])
    assert_allclose([law.mean, law.variance], [float(mean), float(variance)], rtol=1e-13)


@given(st.lists(widths, min_size=1, max_size=4), st.floats(0.1, 10))
def test_layers_add_and_the_scale_shifts(layers, sigma_w2):
    law, parts = nf.log_norm_law(layers, sigma_w2=sigma_w2), [nf.log_norm_law([d]) for d in layers]
    shift = len(layers) * np.log(sigma_w2 / 2)
    assert_allclose(law.mean, sum(p.mean for p in parts) + shift, rtol=1e-12, atol=1e-12)
    assert_allclose(law.variance, sum(p.variance for p in parts), rtol=1e-12)
    assert_allclose(law.survival, np.prod([1 - 0.5**d for d in layers]), rtol=1e-14)
    assert law.variance > nf.log_norm_variance_first_order([d for d in layers if d >= 2] or [1]) * 0.98


def test_moments_of_the_square_are_known():
    assert_allclose(nf.square_norm_moment(1, [3, 17, 64]), 1, rtol=1e-13)
    assert_allclose(nf.square_norm_moment(2, [3, 17]), (1 + 5 / 3) * (1 + 5 / 17), rtol=1e-13)
    assert_allclose(nf.square_norm_moment(2, [8], sigma_w2=1.0), 0.25 * (1 + 5 / 8), rtol=1e-13)
    samples = sample_angle_chains(0.0, 8, 1, 100_000, rng=5).energy[:, 1, 0]
    cubes = np.where(np.isnan(samples), 0, samples) ** 3
    assert abs(cubes.mean() - nf.square_norm_moment(3, [8])) <= 4.5 * cubes.std() / np.sqrt(cubes.size)


@pytest.mark.parametrize(
    ("order", "width", "sigma_w2"), [(100, 10_000, 2.0), (100, 3000, 1.0), (20, 300, 2.0), (5, 1, 2.0)]
)
def test_high_moments_at_60_digits(order, width, sigma_w2):
    """The rising factorial itself overflows at order 100 and width 10000."""
    with mp.workdps(60):
        total, binomial = mp.mpf(0), mp.mpf(1)
        for n in range(1, width + 1):
            binomial *= mp.mpf(width - n + 1) / n
            term = mp.gamma(mp.mpf(n) / 2 + order) / mp.gamma(mp.mpf(n) / 2)
            total += binomial * term
        exact = (mp.mpf(2) * sigma_w2 / width) ** order * total / mp.mpf(2) ** width
    assert_allclose(nf.square_norm_moment(order, [width], sigma_w2=sigma_w2), float(exact), rtol=1e-12)


def log_energy(drop):
    """ln of 2 B, twice the mean of phi^2, as a series in the variables of the layer: S + T = 1 + s + sqrt(D0) t."""
    series = np.zeros((len(EXPONENTS), drop.size))
    series[EXPONENTS.index((0, 0, 0))] = series[EXPONENTS.index((1, 0, 0))] = 1.0
    series[EXPONENTS.index((0, 0, 1))] = np.sqrt(drop)
    return logarithm(series)


@pytest.mark.parametrize("theta", [0.01, 1.2, 2.6])
def test_the_cumulant_expansion_reproduces_the_exact_law_at_every_angle(theta):
    """The norm does not know the angle: an end-to-end check of the expansion, third and fourth cumulant included."""
    expansion = expand(log_energy, np.array(theta))
    reference = expand(log_energy, np.array(1.7))
    for width in (400, 800):
        law, found = nf.log_norm_law([width]), expansion.at(width)
        assert abs(found.mean - law.mean) < 200 / width**4
        assert abs(found.variance - law.variance) < 1500 / width**4
    for ours, other in ((expansion.third, reference.third), (expansion.fourth, reference.fourth)):
        assert_allclose(ours, other, atol=1e-9 * np.max(np.abs(other)))
    counts = np.arange(1, 401)
    weights = stats.binom.pmf(counts, 400, 0.5)
    weights /= weights.sum()
    centre = digamma(counts / 2)
    centre = centre - weights @ centre
    k2, k3, k4 = (polygamma(order, counts / 2) for order in (1, 2, 3))
    second = weights @ (k2 + centre**2)
    third = weights @ (k3 + 3 * centre * k2 + centre**3)
    fourth = weights @ (k4 + 3 * k2**2 + 4 * centre * k3 + 6 * centre**2 * k2 + centre**4) - 3 * second**2
    assert_allclose(expansion.at(400).third, third, rtol=0.001)  # two orders are kept, the next is 1/d^2 smaller
    assert_allclose(expansion.at(400).fourth, fourth, rtol=0.05)  # one order is


def test_simulated_law():
    law = nf.log_norm_law([16] * 3)
    change = np.log(sample_angle_chains(0.4, 16, 3, 20_000, rng=3).energy[:, -1, 1])
    change = change[np.isfinite(change)]
    assert stats.kstest(change, law.cdf).pvalue > 1e-5
    normal = stats.norm(-0.5 * 15 / 16, np.sqrt(15 / 16))  # the first-order law is seen to be wrong at this width
    assert stats.kstest(change, normal.cdf).pvalue < 1e-5


def test_bad_input():
    with pytest.raises(ValueError, match="`widths` must hold at least one layer"):
        nf.log_norm_law([])
    with pytest.raises(ValueError, match=r"`widths` must be at least 1, got 0"):
        nf.log_norm_variance_first_order([3, 0])
    with pytest.raises(
        TypeError, match=r"`widths` must be an integer, got 2.5|parameter 'widths'"
    ):  # or a checked type
        nf.square_norm_moment(1, [2.5])
    with pytest.raises(ValueError, match=r"`sigma_w2` must be positive, got 0.0"):
        nf.log_norm_law([3], sigma_w2=0.0)
    with pytest.raises(ValueError, match=r"`order` must be at least 1, got 0"):
        nf.square_norm_moment(0, [3])
    with pytest.raises(ValueError, match=r"`order` 200 is too large for these `widths`: the moment, e\^"):
        nf.square_norm_moment(200, [1])
    with pytest.raises(ValueError, match=r"`change` must be finite, got nan"):
        nf.log_norm_law([3]).cdf(np.nan)
