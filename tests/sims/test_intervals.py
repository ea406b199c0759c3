import math
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.intervals import (
    bootstrap_interval,
    clopper_pearson,
    empirical_bernstein,
    look_level,
    student_t,
)

LEVELS = [0.5, 0.05, 1e-9, 1e-12, 1e-15]
SEQUENCES = 2000


def binomial_tail(k, n, p):
    """P(X >= k), X ~ Binomial(n, p), by summation at 40 digits."""
    with mpmath.workdps(40):
        p = mpmath.mpf(p)
        return mpmath.fsum(mpmath.binomial(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (1, 10), (9, 10), (3, 500), (250, 500), (0, 500), (1, 300)])
def test_clopper_pearson_ends_are_where_the_binomial_tails_are_half_the_level(k, n, level):
    interval = clopper_pearson(k, n, level)
    if k == 0:
        assert interval.low == 0
    else:
        assert float(binomial_tail(k, n, interval.low)) == pytest.approx(level / 2, rel=1e-11)
    if interval.high < 0.99:
        assert float(1 - binomial_tail(k + 1, n, interval.high)) == pytest.approx(level / 2, rel=1e-11)
    else:  # float64 is too coarse there for the tail, but not for the end itself
        assert interval.high == pytest.approx(1 - clopper_pearson(n - k, n, level).low, rel=3e-16)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [10**6, 10**9])
def test_clopper_pearson_without_successes_is_closed_form(n, level):
    expected = -math.expm1(math.log(level / 2) / n)
    assert clopper_pearson(0, n, level).high == pytest.approx(expected, rel=1e-13)
    assert clopper_pearson(n, n, level).low == pytest.approx(1 - expected, rel=1e-13)


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from(LEVELS))
def test_clopper_pearson_is_symmetric_and_holds_the_share(counts, level):
    k, n = counts
    interval, mirrored = clopper_pearson(k, n, level), clopper_pearson(n - k, n, level)
    assert 0 <= interval.low <= k / n <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-13)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("df", [1, 2, 3, 10, 100, 3000])
def test_student_t_quantile(df, level):
    radius = student_t(0.0, math.sqrt(df + 1), df + 1, level).high
    with mpmath.workdps(40):
        t = mpmath.mpf(radius)
        tail = mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, df / (df + t * t), regularized=True)
    assert float(tail) == pytest.approx(level, rel=1e-13 * (df + 10))


def test_student_t_reproduces_the_confidence_interval_of_the_paper():
    gaps = np.array([1.3149, 1.2988, 1.2836])  # Liang et al., Section 4.4: 1.2991 ± .0389
    interval = student_t(gaps.mean(), gaps.std(ddof=1), 3, 0.05)
    assert (interval.high + interval.low) / 2 == pytest.approx(1.2991, abs=5e-5)
    assert (interval.high - interval.low) / 2 == pytest.approx(0.0389, abs=5e-5)


def test_empirical_bernstein_formula_and_cut():
    interval = empirical_bernstein(2.0, 4.0, 1001, -10.0, 10.0, 3e-9)
    log_events = math.log(1e9)
    radius = math.sqrt(8 * log_events / 1001) + 7 * 20 * log_events / 3000
    assert (interval.low, interval.high) == pytest.approx((2 - radius, 2 + radius), rel=1e-15)
    assert empirical_bernstein(2.0, 4.0, 2, -10.0, 10.0, 1e-9) == empirical_bernstein(2.0, 4.0, 3, -10.0, 10.0, 1e-9)


def test_empirical_bernstein_is_affine():
    unit = empirical_bernstein(0.3, 0.04, 5000, 0.0, 1.0, 1e-6)
    scaled = empirical_bernstein(7 + 5 * 0.3, 25 * 0.04, 5000, 7.0, 12.0, 1e-6)
    assert (scaled.low, scaled.high) == pytest.approx((7 + 5 * unit.low, 7 + 5 * unit.high), rel=1e-14)


@pytest.mark.parametrize("p", [0.002, 0.05, 0.5])
def test_empirical_bernstein_covers_bernoulli_means(p):
    """Exact coverage, by summation over the binomial law: never below 1 - level."""
    from scipy import stats

    for n in (2, 10, 100, 1000):
        k = np.arange(n + 1)
        variance = k * (n - k) / (n * (n - 1))
        intervals = [empirical_bernstein(i / n, v, n, 0.0, 1.0, 0.1) for i, v in zip(k, variance, strict=True)]
        missed = np.array([not interval.low <= p <= interval.high for interval in intervals])
        assert stats.binom.pmf(k, n, p)[missed].sum() <= 0.1


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5])
def test_clopper_pearson_covers_exactly(p):
    from scipy import stats

    for n in (1, 5, 50, 400):
        k = np.arange(n + 1)
        intervals = [clopper_pearson(int(i), n, 0.1) for i in k]
        missed = np.array([not interval.low <= p <= interval.high for interval in intervals])
        assert stats.binom.pmf(k, n, p)[missed].sum() <= 0.1


def test_look_levels_sum_to_the_level():
    total = math.fsum(look_level(1e-9, k) for k in range(1, 10_001))
    assert total == pytest.approx(1e-9 * (1 - 1 / 10_001), rel=1e-13)


def miss_rate(p, levels):
    """Share of sequences for which some look at n = 8, 16, 32, ... has an interval without `p`."""

    @cache
    def misses(k, n, level):
        interval = clopper_pearson(k, n, level)
        return not interval.low <= p <= interval.high

    rng = np.random.default_rng(1)
    missed, successes, n = np.zeros(SEQUENCES, dtype=bool), np.zeros(SEQUENCES, dtype=int), 0
    for look, level in enumerate(levels):
        fresh = 2 ** (look + 3) - n
        n, successes = n + fresh, successes + rng.binomial(fresh, p, SEQUENCES)
        missed |= [misses(k, n, level) for k in successes.tolist()]
    return missed.mean()


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5])
def test_looking_again_and_again_keeps_the_level(p):
    rate = miss_rate(p, [look_level(0.1, k) for k in range(1, 17)])
    assert rate <= 0.1 + 4.5 * math.sqrt(0.1 * 0.9 / SEQUENCES)


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_looking_again_and_again_without_correction_does_not(p):
    """The test above has power: without the schedule the same looks miss far more often."""
    assert miss_rate(p, [0.1] * 16) > 0.1 + 4.5 * math.sqrt(0.1 * 0.9 / SEQUENCES)


def test_bootstrap_interval_of_a_mean_is_that_of_student_for_many_samples():
    samples = np.random.default_rng(0).normal(size=2000)
    interval = bootstrap_interval(samples, np.mean, 0.05, rng=0)
    expected = student_t(samples.mean(), samples.std(ddof=1), 2000, 0.05)
    width = expected.high - expected.low
    assert interval.low == pytest.approx(expected.low, abs=0.05 * width)
    assert interval.high == pytest.approx(expected.high, abs=0.05 * width)


@pytest.mark.parametrize("level", [0.0, 1.0, -1e-9, math.nan])
def test_level_must_be_a_probability(level):
    for call in (
        lambda: clopper_pearson(1, 2, level),
        lambda: student_t(0.0, 1.0, 2, level),
        lambda: empirical_bernstein(0.5, 0.1, 2, 0.0, 1.0, level),
        lambda: bootstrap_interval([0.0, 1.0], np.mean, level),
        lambda: look_level(level, 1),
    ):
        with pytest.raises(ValueError, match="`level`"):
            call()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: clopper_pearson(3, 2, 0.1), "successes"),
        (lambda: clopper_pearson(0, 0, 0.1), "n"),
        (lambda: student_t(math.nan, 1.0, 2, 0.1), "mean"),
        (lambda: student_t(0.0, -1.0, 2, 0.1), "sd"),
        (lambda: student_t(0.0, 1.0, 1, 0.1), "n"),
        (lambda: empirical_bernstein(2.0, 0.1, 5, 0.0, 1.0, 0.1), "mean"),
        (lambda: empirical_bernstein(0.5, -0.1, 5, 0.0, 1.0, 0.1), "variance"),
        (lambda: empirical_bernstein(0.5, 0.1, 5, 1.0, 1.0, 0.1), "low"),
        (lambda: bootstrap_interval([1.0, 1.0], np.mean, 0.1), "samples"),
        (lambda: bootstrap_interval([1.0, 2.0], np.mean, 1e-9), "n_resamples"),
        (lambda: look_level(0.1, 0), "k"),
    ],
)
def test_errors_name_the_argument(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()
