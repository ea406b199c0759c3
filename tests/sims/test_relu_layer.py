import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from conetheory.contraction import limiting_cosine, preactivation_correlation, sharp_threshold
from conetheory.gaussian import relu_moment
from sims._kernels import count_contractions, fill_cosines
from sims._layer_trials import layer_sums
from sims.estimate import Estimate, sample_mean
from sims.relu_layer import (
    contraction_probability,
    count_failures,
    sample_cosines,
    sample_cosines_direct,
    sample_units,
)
from tests.strategies import cosines, seeds

P_VALUE = 1e-5  # of each Kolmogorov-Smirnov test


def pair(cosine, norm_u, norm_v, dim):
    """Return two vectors of R^dim with these norms and this cosine, in general position."""
    rotation = np.linalg.qr(np.random.default_rng(dim).standard_normal((dim, dim)))[0]
    u = norm_u * rotation[0]
    return u, norm_v * (cosine * rotation[0] + math.sqrt(1 - cosine**2) * rotation[1])


@pytest.mark.parametrize(
    ("cosine", "norm_u", "norm_v", "width", "dim", "sigma_w2", "sigma_b2"),
    [
        (0.5, 1.0, 1.0, 32, 2, 1.0, 1.0),
        (0.5, 1.0, 1.0, 32, 40, 1.0, 1.0),
        (-0.7, 2.0, 0.5, 8, 5, 1.0, 1.0),
        (0.9, 3.0, 1.0, 5, 7, 2.0, 0.0),
        (0.99, 0.2, 4.0, 64, 3, 0.5, 3.0),
        (-0.99, 1.0, 1.0, 4, 2, 1.0, 0.0),
    ],
)
def test_reduced_law_is_the_law_of_the_layer(cosine, norm_u, norm_v, width, dim, sigma_w2, sigma_b2):
    u, v = pair(cosine, norm_u, norm_v, dim)
    rho = preactivation_correlation(cosine, norm_u, norm_v, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    direct = sample_cosines_direct(u, v, width, 20_000, rng=1, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    reduced = sample_cosines(float(rho), width, 40_000, rng=2)
    defined = ~np.isnan(direct)
    both = np.array([[np.isnan(x).sum(), (x == 0).sum(), (x > 0).sum()] for x in (direct, reduced)])  # atoms
    assert stats.chi2_contingency(both[:, both.sum(axis=0) > 0]).pvalue > P_VALUE
    assert stats.ks_2samp(direct[defined], reduced[~np.isnan(reduced)]).pvalue > P_VALUE


def test_the_comparison_of_laws_sees_a_wrong_correlation():
    u, v = pair(0.5, 1.0, 1.0, 3)
    direct = sample_cosines_direct(u, v, 32, 20_000, rng=1)
    assert stats.ks_2samp(direct, sample_cosines(0.74, 32, 40_000, rng=2)).pvalue < P_VALUE  # 0.75 is right


@given(st.floats(-1, 1), st.integers(1, 64), seeds)
def test_cosines_lie_in_the_unit_interval(rho, width, seed):
    sampled = sample_cosines(rho, width, 50, rng=seed)
    sampled = sampled[~np.isnan(sampled)]
    assert np.all((sampled >= 0) & (sampled <= 1))


def test_equal_and_opposite_preactivations():
    same = sample_cosines(1.0, 3, 4000, rng=0)
    undefined = np.isnan(same).sum()
    assert np.all(same[~np.isnan(same)] == 1)
    assert abs(undefined - 500) < 4.5 * math.sqrt(4000 * 7 / 64)  # all three units off: 1/8
    opposite = sample_cosines(-1.0, 3, 4000, rng=0)
    undefined = np.isnan(opposite).sum()
    assert np.all(opposite[~np.isnan(opposite)] == 0)
    assert abs(undefined - 1000) < 4.5 * math.sqrt(4000 * 3 / 16)  # u or v off: 2/8


def test_one_unit_has_cosine_one_or_none():
    sampled = sample_cosines(0.3, 1, 4000, rng=0)
    assert np.nanmin(sampled) >= 1 - 5e-16
    both_on = (math.pi - math.acos(0.3)) / (2 * math.pi)
    assert abs((~np.isnan(sampled)).mean() - both_on) < 4.5 * math.sqrt(both_on * (1 - both_on) / 4000)


@pytest.mark.parametrize("cosine", [-0.3, 0.0, 0.2, 0.5, 0.9, 0.999])
def test_count_is_the_comparison_of_the_sampled_cosines(cosine):
    rho = (1 + cosine) / 2
    theta = 2 * math.atan2(math.sqrt(1 - rho), math.sqrt(1 + rho))
    law, out = ((math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2)), np.empty(1000)
    for width in (12, 64):  # float64, and lanes of float32
        sums = layer_sums(np.random.default_rng(3), 1000, width, law)
        fill_cosines(sums, out)
        assert count_contractions(sums, cosine) == np.sum(out > cosine)


TABLE = {  # mind the gap, MC of Theorem 1: (cosine, norm) -> P(increase) at width 16, 64, 256, 1024, and its rounding
    (0.0, 1.0): ([0.998, 1, 1, 1], 5e-4),
    (0.5, 1.0): ([0.947, 0.999, 1, 1], 5e-3),
    (0.9, 1.0): ([0.906, 0.996, 1, 1], 7e-3),
    (0.99, 1.0): ([0.877, 0.981, 1, 1], 7e-3),
    (0.9, 10.0): ([0.62, 0.66, 0.76, 0.92], 1.5e-2),
    (0.99, 10.0): ([0.62, 0.59, 0.60, 0.69], 1.5e-2),
}


@pytest.mark.parametrize(("cosine", "norm"), TABLE)
def test_table_of_theorem_one(cosine, norm):
    expected, rounding = TABLE[cosine, norm]
    for width, probability in zip((16, 64, 256, 1024), expected, strict=True):
        estimate = contraction_probability(cosine, norm, norm, width, n_trials=20_000, rng=width)
        assert abs(estimate.value - probability) <= 4.5 * estimate.stderr + rounding


def test_above_the_threshold_the_cosine_falls():
    shares = [contraction_probability(0.95, 2.0, 1.0, d, n_trials=20_000, rng=0).value for d in (16, 64, 256, 1024)]
    assert shares == pytest.approx([0.35, 0.12, 0.009, 0.0], abs=0.02)


@pytest.mark.parametrize(("norm_u", "norm_v"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.1)])
def test_wide_layers_change_side_at_the_sharp_threshold(norm_u, norm_v):
    threshold = float(sharp_threshold(norm_u, norm_v))
    below = contraction_probability(threshold - 0.05, norm_u, norm_v, 4096, n_trials=500, rng=0)
    assert below.value > 0.95
    if threshold < 1:
        assert contraction_probability(threshold + 0.05, norm_u, norm_v, 4096, n_trials=500, rng=0).value < 0.05


@pytest.mark.parametrize(
    ("cosine", "width", "norms", "exact"),
    [
        (0.0, 8, (1.0, 1.0), (2 / 3) ** 8),
        (0.0, 3, (1.0, 1.0), (2 / 3) ** 3),
        (-0.5, 6, (1.0, 1.0), None),
        (-1.0, 4, (1.0, 2.0), None),
        (-1e-300, 5, (3.0, 1.0), None),
    ],
)
def test_exact_law_of_failure_for_nonpositive_cosines(cosine, width, norms, exact):
    rho = (norms[0] * norms[1] * cosine + 1) / math.sqrt((norms[0] ** 2 + 1) * (norms[1] ** 2 + 1))
    if exact is None:  # P(undefined)
        exact = 2 * 2.0**-width - ((math.pi - math.acos(rho)) / (2 * math.pi)) ** width
    estimate = contraction_probability(cosine, *norms, width, n_trials=200_000, rng=7)
    assert abs(estimate.zscore(1 - exact)) < 4.5


def test_median_tends_to_the_limiting_cosine():
    sampled = sample_cosines(float(preactivation_correlation(0.3, 2.0, 0.5)), 20_000, 400, rng=0)
    estimate = sample_mean(sampled)
    assert abs(estimate.value - limiting_cosine(0.3, 2.0, 0.5)) < 4.5 * estimate.stderr + 10 / 20_000  # bias m/d


def test_the_inequality_is_strict_at_cosine_one():
    assert contraction_probability(1.0, 1.0, 1.0, 16, n_trials=1000, rng=0) == Estimate(value=0.0, stderr=0.0, n=1000)
    assert count_failures(1.0, 1.0, 5.0, 1, n_trials=1000, rng=0) == 1000  # width 1: c' is 1, not more


def test_just_below_cosine_one_the_probability_is_the_limit():
    """At norms 1 the law of (1 - c')/(1 - c0) has a limit: float64 must not round the comparison away."""
    reference = contraction_probability(1 - 1e-6, 1.0, 1.0, 16, n_trials=40_000, rng=0)
    for drop in (2.0**-40, 2.0**-50, 2.0**-52):
        estimate = contraction_probability(1 - drop, 1.0, 1.0, 16, n_trials=40_000, rng=1)
        assert abs(estimate.value - reference.value) < 4.5 * math.hypot(estimate.stderr, reference.stderr)


@given(cosines, st.sampled_from([1, 7, 64]), st.sampled_from([1, 31, 32, 100]), seeds)
@settings(max_examples=30)
def test_failures_and_probability_count_the_same_trials(cosine, width, n_trials, seed):
    failures = count_failures(cosine, 1.0, 2.0, width, n_trials=n_trials, rng=seed)
    estimate = contraction_probability(cosine, 1.0, 2.0, width, n_trials=n_trials, rng=seed)
    assert estimate.n == n_trials
    assert estimate.value == (n_trials - failures) / n_trials


def test_results_depend_on_the_seed_alone():
    alone, threaded = (sample_cosines(0.5, 16, 1000, rng=9, workers=workers) for workers in (1, 4))
    assert np.array_equal(alone, threaded)
    assert not np.array_equal(alone, sample_cosines(0.5, 16, 1000, rng=10))
    assert len(set(alone[alone > 0].tolist())) == np.sum(alone > 0)  # no stream twice
    counts = {count_failures(0.5, 1.0, 1.0, 16, n_trials=5000, rng=9, workers=workers) for workers in (1, 2, 4)}
    assert len(counts) == 1


def test_one_generator_goes_on():
    rng = np.random.default_rng(0)
    assert not np.array_equal(sample_cosines(0.5, 16, 100, rng=rng), sample_cosines(0.5, 16, 100, rng=rng))


@pytest.mark.parametrize("rho", [-1.0, -0.6, 0.0, 0.75, 1.0])
def test_sampled_units_have_the_moments_of_relu_pairs(rho):
    u, v = sample_units(rho, 200_000, rng=4).T
    theta = math.acos(rho)
    for a, b in ((1, 1), (2, 0), (0, 2), (2, 2), (3, 1)):
        estimate = sample_mean(u**a * v**b)
        assert abs(estimate.value - float(relu_moment(a, b, theta))) <= 4.5 * estimate.stderr + 1e-15


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"cosine": 1.5}, "cosine"),
        ({"cosine": math.nan}, "cosine"),
        ({"norm_u": -1.0}, "norm_u"),
        ({"norm_v": math.inf}, "norm_v"),
        ({"norm_v": 0.0, "sigma_b2": 0.0}, "norm_v"),
        ({"width": 0}, "width"),
        ({"n_trials": 0}, "n_trials"),
        ({"sigma_w2": -1.0}, "sigma_w2"),
        ({"sigma_b2": -1.0}, "sigma_b2"),
        ({"workers": 0}, "workers"),
    ],
)
def test_errors_name_the_argument(changed, name):
    good = {"cosine": 0.5, "norm_u": 1.0, "norm_v": 1.0, "width": 4, "n_trials": 10, "rng": 0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        contraction_probability(**(good | changed))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sample_cosines(1.1, 4, 10), "rho"),
        (lambda: sample_cosines(0.5, 4, 0), "n"),
        (lambda: sample_cosines_direct([1.0], [1.0, 2.0], 4, 10), "u"),
        (lambda: sample_units(math.nan, 10), "rho"),
    ],
)
def test_samplers_name_the_argument(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()


def test_a_zero_norm_is_allowed_with_a_bias():
    assert contraction_probability(0.5, 0.0, 1.0, 64, n_trials=1000, rng=0).value > 0.9
