import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.gap import gap_vector
from conetheory.shift import critical_temperature, shift_slope
from conetheory.shift_limit import shift_limit
from sims import _resample_kernels as plain
from sims import shift_bootstrap
from sims.shift_bootstrap import CriticalTemperatures, bootstrap_critical_temperature
from sims.shift_clouds import sample_parallel_clouds

DIM, RHO, HEIGHT = 16, 0.5, 0.425


def clouds(n, seed=0):
    found = sample_parallel_clouds(DIM, RHO, HEIGHT, n, rng=seed)
    return found.x[:n], found.y[:n]


def blocks_of(x, y, batch, places, direction="symmetric"):
    pairs = shift_bootstrap._shared(x, y, batch, direction, (1.0, 300.0))
    slope = shift_bootstrap._Slope(pairs, len(places) // len(x))
    counts = np.bincount(places, minlength=len(x))[None]
    p, q = shift_bootstrap._gap_products(pairs, counts)
    slope.resample(p[0], q[0], places.astype(np.uint32))
    return pairs, slope


@pytest.mark.parametrize("direction", ["symmetric", "x-to-y", "y-to-x"])
@pytest.mark.parametrize("batch", [7, 20, 41])
def test_slope_in_the_order_of_the_file_is_the_closed_form(direction, batch):
    """A ragged last batch too; float32 cosines make 1e-5 of the size of the terms."""
    x, y = clouds(41)
    _, slope = blocks_of(x, y, batch, np.arange(41), direction)
    for beta in (2.0, 30.0, 120.0):
        exact = shift_slope(x, y, 0.0, 1 / beta, batch=batch, direction=direction)[0, 0]
        assert_allclose(slope(beta), exact / beta, atol=3e-6)


def test_both_kernels_agree():
    if shift_bootstrap._lanes is None:
        pytest.skip("this process has the plain kernels")
    x, y = clouds(60)
    places = np.random.default_rng(0).integers(60, size=120)
    pairs, slope = blocks_of(x, y, 20, places)
    blocks = slope._cosines, slope._turns, slope._own, slope._sizes
    for beta in (1.0, 40.0, shift_bootstrap._lanes.TOP / pairs.reach):
        found = [
            kernel(*blocks, beta, pairs.level, 0.5, 0.5) / 120
            for kernel in (shift_bootstrap._lanes.add_slopes, plain.add_slopes)
        ]
        assert_allclose(*found, atol=2e-6)


def test_a_copy_is_not_a_negative():
    """Of the pairs 0, 1, 1 in one batch, the copies of 1 have 0 alone against them, and 0 has 1 twice."""
    x, y = clouds(3)
    places = np.array([0, 1, 1])
    _, slope = blocks_of(x, y, None, places)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x[places], y[places])]
    delta, cosines = gap_vector(*unit), unit[0] @ unit[1].T
    turns = (1 + cosines) * ((unit[0] @ delta)[:, None] - unit[1] @ delta)
    beta, total = 9.0, 0.0
    for c, t in ((cosines, turns), (cosines.T, turns.T)):
        for i, others in enumerate(([1, 2], [0], [0])):
            weights = np.exp(beta * (c[i, others] - c[i, i]))
            total += weights @ (t[i, others] - t[i, i]) / (1 + weights.sum())
    assert_allclose(slope(beta), total / 6, atol=1e-6)


def test_dealing_keeps_counts_and_parts_copies():
    x, y = clouds(50)
    pairs = shift_bootstrap._shared(x, y, 10, "symmetric", (1.0, 300.0))
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.multinomial(50, np.full(50, 0.02))
        places = shift_bootstrap._placed(pairs, counts, rng)
        assert np.array_equal(np.bincount(places, minlength=50), counts)
        if counts.max() <= 5:
            assert all(np.unique(part).size == 10 for part in places.reshape(5, 10))


def test_value_and_orders_in_one_batch_are_the_critical_temperature():
    x, y = clouds(60)
    found = bootstrap_critical_temperature(x, y, batch=None, n_bootstrap=2, rng=0)
    exact = critical_temperature(x, y, batch=None)
    assert_allclose([found.value, *found.orders], exact, rtol=5e-5)
    assert found.orders.shape == (1,)


def test_numbers_do_not_depend_on_the_threads():
    x, y = clouds(60)
    options = {"batch": 20, "n_bootstrap": 130, "n_orders": 2, "rng": 5}
    one, two = (bootstrap_critical_temperature(x, y, workers=workers, **options) for workers in (1, 2))
    assert np.array_equal(one.replicates, two.replicates)
    assert np.array_equal(one.orders, two.orders)
    assert one.replicates.shape == (130,)
    assert one.orders.shape == (32,)


def test_interval_reflects_about_the_value():
    replicates = np.arange(1, 1001) / 1000
    found = CriticalTemperatures(value=0.6, orders=replicates, replicates=replicates)
    interval = found.interval(0.1)
    assert_allclose([interval.low, interval.high], [1.2 - 0.95, 1.2 - 0.05], atol=1e-12)
    nothing = CriticalTemperatures(value=0.0, orders=replicates, replicates=replicates).interval(0.1)
    assert_allclose([nothing.low, nothing.high], [0.05, 0.95], atol=1e-12)
    never = CriticalTemperatures(value=0.6, orders=replicates, replicates=np.full(1000, np.inf)).interval()
    assert never.low == 0
    with pytest.raises(ValueError, match=r"`level` must be at least 20/1000"):
        found.interval(0.01)


def test_a_loss_that_always_attracts_has_none():
    """Matched far above all others: no temperature in range repels."""
    found = sample_parallel_clouds(512, 0.9, 0.4, 10, rng=0)
    result = bootstrap_critical_temperature(found.x, found.y, batch=5, n_bootstrap=4, rng=0, bounds=(1 / 50, 1.0))
    assert result.value == 0
    assert np.all(result.replicates == 0)


def test_published_pairs(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy").astype(np.float64)
    found = bootstrap_critical_temperature(x, y, n_bootstrap=400, n_orders=2, rng=0)
    interval = found.interval()
    assert interval.low < 1 / 92.21 < interval.high
    assert 1 / 110 < found.value < 1 / 70
    assert np.std(1 / found.orders) > 3  # the order of the file alone moves 1/τ by so much


def test_errors_name_the_argument():
    x, y = clouds(10)
    for options, named in (
        ({"batch": 11}, "batch"),
        ({"batch": 5, "direction": "both"}, "direction"),
        ({"batch": 5, "bounds": (1.0, 0.5)}, "bounds"),
        ({"batch": 5, "bounds": (1e-3, 0.5)}, "bounds"),
        ({"batch": 5, "n_bootstrap": 0}, "n_bootstrap"),
        ({"batch": 5, "n_orders": 0}, "n_orders"),
        ({"batch": 5, "workers": 0}, "workers"),
    ):
        with pytest.raises(ValueError, match=f"`{named}`"):
            bootstrap_critical_temperature(x, y, **options)
    with pytest.raises(ValueError, match="at least 3 rows"):
        bootstrap_critical_temperature(x[:2], y[:2], batch=None)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [20, None])
def test_interval_covers_the_law(batch):
    """Nominal 95 %; of 60 trials, at most 8 may miss (probability .01 if it were 95 %). It is wider than it need be."""
    exact = shift_limit(DIM, RHO, HEIGHT, 0.05, batch=batch).critical_temperature
    missed = 0
    for seed in range(60):
        found = bootstrap_critical_temperature(*clouds(200, [7, seed]), batch=batch, n_bootstrap=400, rng=seed)
        interval = found.interval()
        missed += not interval.low <= exact <= interval.high
    assert missed <= 8
