"""Linear separability and the shares it reports."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom, binomtest

from empirical import separability
from empirical.estimate import Estimate, clustered_share
from empirical.separability import linear_separability


def test_share_of_independent_trials():
    hits = np.array([1.0] * 30 + [0.0] * 10)
    share = clustered_share(hits, np.arange(40))
    assert share.value == 0.75
    assert_allclose(share.stderr, np.sqrt(0.75 * 0.25 / 39), rtol=1e-14)
    exact = binomtest(30, 40).proportion_ci(0.95, method="exact")
    assert_allclose(share.interval, [exact.low, exact.high], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_of_0_or_1_keeps_an_interval(value):
    share = clustered_share(np.full(20, value), np.arange(20))
    assert share.stderr == 0
    exact = binomtest(int(20 * value), 20).proportion_ci(0.95, method="exact")
    assert_allclose(share.interval, [exact.low, exact.high], rtol=1e-12)


def test_copies_in_a_cluster_add_nothing():
    hits = np.random.default_rng(0).integers(0, 2, 30).astype(float)
    once = clustered_share(hits, np.arange(30))
    copied = clustered_share(np.repeat(hits, 4), np.repeat(np.arange(30), 4))
    assert_allclose([copied.value, copied.stderr], [once.value, once.stderr], rtol=1e-13)
    assert_allclose(copied.interval, once.interval, rtol=1e-10)


@pytest.mark.parametrize("large", [(1, 50), (1, 200), (2, 8), (8, 3)])
def test_the_interval_covers_with_clusters_of_very_different_sizes(large):
    """Clusters hit as one: every outcome is enumerated."""
    count, size = large
    small = 20
    clusters = np.repeat(np.arange(count + small), [size] * count + [1] * small)
    outcomes = np.array([(a, b) for a in range(count + 1) for b in range(small + 1)])
    ends = np.array(
        [
            clustered_share(np.repeat([1.0, 0, 1, 0], [a * size, (count - a) * size, b, small - b]), clusters).interval
            for a, b in outcomes
        ]
    )
    for p in np.linspace(0.002, 0.998, 250):
        chance = binom.pmf(outcomes[:, 0], count, p) * binom.pmf(outcomes[:, 1], small, p)
        assert chance[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum() >= 0.95


def test_a_large_cluster_widens_the_interval():
    hits = np.repeat([1.0, 0.0], [60, 40])
    even, uneven = (clustered_share(hits, at).interval for at in (np.arange(100), np.r_[np.zeros(50, int), 1:51]))
    assert uneven[0] < even[0] < 0.6 < even[1] < uneven[1]


def test_what_is_not_finite_is_null_in_json():
    assert Estimate(value=np.nan, stderr=np.inf).as_dict() == {"value": None, "stderr": None}
    assert clustered_share(np.ones(3), np.zeros(3, int)).as_dict()["stderr"] is None


def test_disjoint_clouds_are_separated():
    rng = np.random.default_rng(0)
    offset = np.array([3.0, 0, 0, 0])
    found = linear_separability(rng.standard_normal((100, 4)) + offset, rng.standard_normal((100, 4)) - offset, rng=0)
    assert found.accuracy.value > 0.97
    assert found.p_value == 0.01
    assert abs(found.null_mean - 0.5) < 4.5 * found.null_sd / np.sqrt(99)
    assert (found.n_train, found.n_test) == (80, 20)


def test_p_values_of_equal_clouds_are_uniform():
    """Under the null a p-value with m permutations is uniform on 1/(m+1), ..., 1, up to ties, which raise it."""
    rng = np.random.default_rng(1)
    p = [
        linear_separability(
            rng.standard_normal((60, 3)), rng.standard_normal((60, 3)), n_permutations=9, rng=rng
        ).p_value
        for _ in range(40)
    ]
    low = np.mean(np.array(p) <= 0.2)
    assert low <= 0.2 + 4.5 * np.sqrt(0.2 * 0.8 / 40)
    assert np.mean(p) > 0.5 - 4.5 * np.sqrt(1 / 12 / 40)
    assert len(set(p)) > 4


def test_groups_are_never_split():
    rng = np.random.default_rng(2)
    x, y = (np.repeat(rng.standard_normal((40, 300)), 5, axis=0) for _ in range(2))
    groups = np.repeat(np.arange(40), 5)
    assert linear_separability(x, y, n_permutations=1, rng=0).accuracy.value > 0.95  # copies of the training rows
    apart = linear_separability(x, y, groups=groups, n_permutations=1, rng=0)
    assert apart.n_test == 40
    assert apart.accuracy.value < 0.8


def test_modalities_are_interchangeable_and_seeds_reproduce():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((50, 5)) + 0.4, rng.standard_normal((50, 5))
    one, other = linear_separability(x, y, rng=5, n_permutations=3), linear_separability(y, x, rng=5, n_permutations=3)
    assert one.accuracy == other.accuracy
    assert 0.5 < one.accuracy.value < 1
    assert linear_separability(x, y, rng=5, n_permutations=3).as_dict() == one.as_dict()


def test_length_of_rows_does_not_matter():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((50, 5)) + 0.4, rng.standard_normal((50, 5))
    scale = rng.uniform(0.1, 10, (50, 1))
    one, other = (linear_separability(*rows, rng=5, n_permutations=3) for rows in ((x, y), (x * scale, y / scale)))
    assert one == other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": [1, 1, 1]}, "two groups"),
        ({"groups": [1, 2]}, "3 entries"),
        ({"n_permutations": 0}, "`n_permutations` must be at least 1, got 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        linear_separability(np.eye(3), np.eye(3), **options)


def test_missing_scikit_learn_says_what_needs_it(monkeypatch):
    monkeypatch.setattr(separability.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="linear separability needs scikit-learn"):
        linear_separability(np.eye(3), np.eye(3))
