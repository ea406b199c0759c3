"""The one-layer trial in torch against theory and against the kernels of `sims`."""

import math

import numpy as np
import pytest
from scipy import stats

from conetheory.contraction import failure_probability_nonpositive, limiting_cosine, undefined_probability
from conetheory.finite_width import cosine_mean_correction, cosine_variance
from empirical import relu_trial
from empirical.relu_trial import contraction_probability, count_failures, sample_cosines
from sims import relu_layer

torch = pytest.importorskip("torch", reason="the trial is torch's: pip install 'conetheory[empirical]'")
P_VALUE = 1e-5  # of each Kolmogorov-Smirnov test


@pytest.mark.parametrize(("rho", "width"), [(0.5, 4), (-0.7, 31), (0.5, 32), (0.999, 64), (-0.9, 100), (0.2, 512)])
def test_law_is_that_of_the_kernel(rho, width):
    ours = sample_cosines(rho, width, 20_000, device="cpu", rng=1)
    theirs = relu_layer.sample_cosines(rho, width, 40_000, rng=2)
    atoms = np.array([[np.isnan(x).sum(), (x == 0).sum(), (x > 0).sum()] for x in (ours, theirs)])
    assert stats.chi2_contingency(atoms[:, atoms.sum(axis=0) > 0]).pvalue > P_VALUE
    assert stats.ks_2samp(ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]).pvalue > P_VALUE


def test_the_comparison_of_laws_sees_a_wrong_correlation():
    ours = sample_cosines(0.52, 64, 20_000, device="cpu", rng=1)
    assert stats.ks_2samp(ours, relu_layer.sample_cosines(0.5, 64, 40_000, rng=2)).pvalue < P_VALUE


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.95])
def test_moments_are_those_of_the_expansion(rho):
    width, n = 512, 30_000
    cosines = sample_cosines(rho, width, n, device="cpu", rng=3)
    variance = float(cosine_variance(rho)) / width
    mean = limiting_cosine(rho, 1.0, 1.0, sigma_b2=0.0) + cosine_mean_correction(rho) / width
    remainder = 50 / width**2  # of the expansion of the mean
    assert abs(cosines.mean() - mean) < 4.5 * math.sqrt(variance / n) + remainder
    assert cosines.var() == pytest.approx(variance, rel=4.5 * math.sqrt(2 / n) * 1.5 + 10 / width)


def test_exact_probabilities_of_narrow_layers():
    n = 40_000
    for cosine, width in ((-0.5, 3), (0.0, 4)):
        expected = float(failure_probability_nonpositive(cosine, 1.0, 1.0, width, sigma_b2=0.0))
        found = count_failures(cosine, 1.0, 1.0, width, n_trials=n, sigma_b2=0.0, device="cpu", rng=4) / n
        assert abs(found - expected) < 4.5 * math.sqrt(expected * (1 - expected) / n)
    undefined = float(undefined_probability(0.3, 1.0, 1.0, 2, sigma_b2=0.0))
    found = np.isnan(sample_cosines(0.3, 2, n, device="cpu", rng=5)).mean()
    assert abs(found - undefined) < 4.5 * math.sqrt(undefined * (1 - undefined) / n)


@pytest.mark.parametrize("cosine", [0.3, 0.9, 0.999])
def test_count_is_the_comparison_of_the_sampled_cosines(cosine):
    rho, n = (1 + cosine) / 2, 3000  # of inputs of norm 1 with biases
    for width in (12, 64):
        failures = count_failures(cosine, 1.0, 1.0, width, n_trials=n, device="cpu", rng=6)
        assert failures == n - np.sum(sample_cosines(rho, width, n, device="cpu", rng=6) > cosine)
        estimate = contraction_probability(cosine, 1.0, 1.0, width, n_trials=n, device="cpu", rng=6)
        assert estimate.value == (n - failures) / n
        assert estimate.interval[0] < estimate.value <= estimate.interval[1]


def test_at_cosine_one_nothing_rises():
    assert count_failures(1.0, 1.0, 1.0, 64, n_trials=100, device="cpu", rng=0) == 100


def test_a_sample_is_extended_and_repeated():
    long = sample_cosines(0.5, 40, 2500, device="cpu", rng=7)
    for n in (1, 1000, 1024, 1025):
        np.testing.assert_array_equal(sample_cosines(0.5, 40, n, device="cpu", rng=7), long[:n])
    assert not np.any(np.isin(sample_cosines(0.5, 40, 100, device="cpu", rng=8), long))
    generator = np.random.default_rng(7)
    np.testing.assert_array_equal(sample_cosines(0.5, 40, 100, device="cpu", rng=generator), long[:100])
    assert not np.any(sample_cosines(0.5, 40, 100, device="cpu", rng=generator) == long[:100])


def test_threads_do_not_change_a_number():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = sample_cosines(0.5, 512, 1500, device="cpu", rng=9)
        torch.set_num_threads(2)
        np.testing.assert_array_equal(sample_cosines(0.5, 512, 1500, device="cpu", rng=9), alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("complement", [1e-1, 1e-4, 1e-8, 1e-12])
def test_float32_keeps_the_complement_near_one(complement):
    """The same units in float32 and float64: 1 - c agrees to 1e-5, though c itself has long been 1 in float32."""
    theta = 2 * math.asin(math.sqrt(complement / 2))
    generator = torch.Generator().manual_seed(1)
    energy = -torch.log1p(-torch.rand((300, 500), generator=generator))
    phi = (math.pi + theta) / 2 * (2 * torch.rand((300, 500), generator=generator) - 1)
    half = math.cos(theta / 2), math.sin(theta / 2)
    single, double = (
        relu_trial._complement(relu_trial._slab_sums(energy.to(real, copy=True), phi.to(real), *half).double()).numpy()
        for real in (torch.float32, torch.float64)
    )
    assert double.mean() == pytest.approx(complement, rel=0.5)
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_mean_complement_near_one():
    """For close inputs 1 - c has the mean (1 - rho)(1 + O(θ) + O(1/width))."""
    rho, width, n = 1 - 1e-10, 512, 4000
    theirs = 1 - relu_layer.sample_cosines(rho, width, n, rng=1)
    ours = 1 - sample_cosines(rho, width, n, device="cpu", rng=1)
    spread = math.sqrt(ours.var() / n + theirs.var() / n)
    assert abs(ours.mean() - theirs.mean()) < 4.5 * spread
    assert ours.mean() == pytest.approx(1e-10, rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_cosines(1.5, 8, 3), r"`rho` must lie in \[-1, 1\], got 1.5"),
        (lambda: sample_cosines(math.nan, 8, 3), r"`rho` must be finite, got nan"),
        (lambda: sample_cosines(0.5, 0, 3), r"`width` must be at least 1, got 0"),
        (lambda: sample_cosines(0.5, 1 << 54, 3), r"`width` must be at most 2\*\*53, got 18014398509481984"),
        (lambda: sample_cosines(0.5, 8, 0), r"`n` must be at least 1, got 0"),
        (lambda: sample_cosines(0.5, 8, 3, device="tpu"), r"`device` must be cpu or cuda, .* got 'tpu'"),
        (lambda: count_failures(0.5, 1.0, 1.0, 8, n_trials=0), r"`n_trials` must be at least 1, got 0"),
        (lambda: count_failures(0.5, -1.0, 1.0, 8, n_trials=5), r"`norm_u` must be at least 0, got -1.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_missing_gpu_is_named():
    with pytest.raises(ValueError, match=r"`device` is 'cuda:0', and torch sees no GPU"):
        sample_cosines(0.5, 8, 3, device="cuda:0")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("width", [8, 64, 512])
def test_law_on_the_gpu(width):
    ours = sample_cosines(0.5, width, 1 << 18, device="cuda", rng=1)
    assert stats.ks_2samp(ours[~np.isnan(ours)], sample_cosines(0.5, width, 40_000, device="cpu", rng=2)).pvalue > 1e-5
    np.testing.assert_array_equal(sample_cosines(0.5, width, 1000, device="cuda", rng=1), ours[:1000])
