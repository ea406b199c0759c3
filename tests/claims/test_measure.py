import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from claims.measure import Bounded, Mean, PerCell, Proportion, Reading, Tally

trials = st.tuples(st.integers(2, 30), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-1e3, 1e3))
)


@given(trials, st.data())
def test_merged_is_the_tally_of_all_trials(both, data):
    cut = data.draw(st.integers(1, len(both) - 1))
    merged, whole = Tally.of(both[:cut]).merged(Tally.of(both[cut:])), Tally.of(both)
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(merged.square, whole.square, rtol=1e-12, atol=1e-8)  # rounding of (1e3)² · n


@given(trials)
def test_of_is_numpys_mean_and_variance(sample):
    tally = Tally.of(sample)
    np.testing.assert_allclose(tally.mean, sample.mean(axis=0), rtol=1e-13, atol=1e-13)
    stderr = sample.std(axis=0, ddof=1) / np.sqrt(len(sample))
    np.testing.assert_allclose(tally.stderr, stderr, rtol=1e-9, atol=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_count_is_the_tally_of_zeros_and_ones(outcomes):
    counted, tally = Tally.count(sum(outcomes), len(outcomes)), Tally.of(np.array(outcomes, dtype=float))
    assert (counted.n, counted.mean.shape) == (tally.n, (1,))
    np.testing.assert_allclose(counted.mean, tally.mean, rtol=1e-14)
    np.testing.assert_allclose(counted.square, tally.square, rtol=1e-12, atol=1e-13)


def test_merging_keeps_what_a_large_offset_would_drown():
    sample = 1e8 + np.random.default_rng(0).normal(size=1000)
    merged = Tally.of(sample[:300]).merged(Tally.of(sample[300:]))
    np.testing.assert_allclose(merged.square, np.sum((sample - sample.mean()) ** 2), rtol=1e-7)


def test_one_trial_has_no_standard_error():
    assert np.isinf(Tally.of([1.0]).stderr).all()


def test_a_vector_of_trials_is_one_cell():
    assert Tally.of([1.0, 2.0]).mean.shape == (1,)
    assert Tally.of([[1.0, 2.0]]).mean.shape == (2,)


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (7, 20), (20, 20), (333, 1000)])
def test_proportion_is_clopper_and_pearson(successes, n):
    tally = Tally.count(successes, n)
    found = Proportion().interval(n, float(tally.mean[0]), float(tally.square[0]), 0.01)
    peer = stats.binomtest(successes, n).proportion_ci(0.99, method="exact")
    np.testing.assert_allclose(found, (peer.low, peer.high), rtol=1e-9, atol=1e-12)


@given(st.integers(1, 10**7), st.data())
def test_proportion_finds_the_count_again(n, data):
    """The mean of a tally is successes / n: rounding mean · n gives the count back."""
    successes = data.draw(st.integers(0, n))
    half = Tally.count(successes, n)
    merged = half.merged(Tally.count(successes // 2, n))
    assert round(float(merged.mean[0]) * 2 * n) == successes + successes // 2


def test_mean_is_students_interval():
    sample = np.random.default_rng(1).normal(3.0, 2.0, 50)
    tally = Tally.of(sample)
    found = Mean().interval(50, float(tally.mean[0]), float(tally.square[0]), 0.001)
    peer = stats.ttest_1samp(sample, 0.0).confidence_interval(0.999)
    np.testing.assert_allclose(found, (peer.low, peer.high), rtol=1e-12)


def test_without_two_trials_nothing_is_known():
    assert Mean().interval(1, 3.0, 0.0, 0.1) == (-np.inf, np.inf)
    assert Bounded(-1.0, 1.0).interval(1, 0.3, 0.0, 0.1) == (-1.0, 1.0)


def test_bounded_covers_far_beyond_its_level():
    rule, rng = Bounded(0.0, 1.0), np.random.default_rng(2)
    missed = 0
    for _ in range(300):
        tally = Tally.of(rng.beta(0.2, 3.0, 100))
        low, high = rule.interval(100, float(tally.mean[0]), float(tally.square[0]), 0.1)
        missed += not low <= 0.2 / 3.2 <= high
    assert missed <= stats.binom.ppf(1 - 1e-6, 300, 0.1)
    assert 0.0 <= low < high < 1.0


def test_budget_is_a_number_of_trials_for_each_level():
    sampled = PerCell(rule=Mean(), first=1, quick=2, full=3, draw=lambda rng, n, at: Tally.of(rng.normal(size=n)))
    assert (sampled.budget("quick"), sampled.budget("full")) == (2, 3)


def test_a_reading_without_standard_errors_has_zeros():
    reading = Reading.of(3.0, n=500)
    assert (reading.value.tolist(), reading.stderr.tolist(), reading.n) == ([3.0], [0.0], 500)
    assert Reading.of([1.0, 2.0], n=2, stderr=0.5).stderr.tolist() == [0.5, 0.5]
