import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.estimate import Estimate, proportion, sample_mean


def test_zscore_counts_standard_errors():
    assert Estimate(value=1.5, stderr=0.25, n=10).zscore(1.0) == 2.0
    assert Estimate(value=1.5, stderr=0.25, n=10).zscore(2.0) == -2.0


def test_zscore_without_spread():
    certain = Estimate(value=1.0, stderr=0.0, n=10)
    assert certain.zscore(1.0) == 0
    assert certain.zscore(0.5) == math.inf
    assert certain.zscore(1.5) == -math.inf


def test_an_estimate_is_frozen():
    with pytest.raises(AttributeError):
        Estimate(value=1.0, stderr=0.0, n=10).value = 2.0  # pyright: ignore


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_proportion_is_the_mean_of_its_indicators(counts):
    successes, n = counts
    share = proportion(successes, n)
    mean = sample_mean([1.0] * successes + [0.0] * (n - successes))
    assert share.value == pytest.approx(mean.value, abs=1e-15)
    assert share.stderr == pytest.approx(mean.stderr * math.sqrt((n - 1) / n), abs=1e-15)
    assert share.n == mean.n == n


def test_standard_error_of_the_mean_is_calibrated():
    rng = np.random.default_rng(0)
    scores = [sample_mean(rng.exponential(size=400)).zscore(1.0) for _ in range(2000)]
    assert np.std(scores) == pytest.approx(1.0, abs=4.5 / math.sqrt(2 * 2000) + 0.01)  # skewness shows at 1/n


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: proportion(5, 4), "successes"),
        (lambda: proportion(-1, 4), "successes"),
        (lambda: proportion(0, 0), "n"),
        (lambda: sample_mean([1.0]), "samples"),
        (lambda: sample_mean([1.0, math.nan]), "samples"),
        (lambda: sample_mean(np.ones((2, 2))), "samples"),
    ],
)
def test_errors_name_the_argument(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()
