import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import shift_limit
from conetheory.contrastive_floors import bessel_floor
from conetheory.errors import ConvergenceError
from conetheory.shift import shift_landscape
from conetheory.von_mises_fisher import log_partition
from sims.shift_clouds import sample_parallel_clouds, simulate_shift

CASES = ((2, 0.5, 3.0), (3, 0.5, 10.0), (3, -0.5, 5.0), (5, 0.9, 100.0), (64, 0.3, 40.0), (512, 0.2, 100.0))
rhos = st.floats(-0.9, 0.9)


def oracle_of_two(dim, rho, kappa):
    """E ln(1 + e^(κ(u − ρ))) over the angle, to 25 digits."""
    with mp.workdps(30):
        area = mp.gamma(mp.mpf(dim) / 2) / mp.sqrt(mp.pi) / mp.gamma(mp.mpf(dim - 1) / 2)

        def part(angle):
            return mp.sin(angle) ** (dim - 2) * mp.log1p(mp.exp(kappa * (mp.cos(angle) - mp.mpf(rho))))

        return float(area * mp.quad(part, mp.linspace(0, mp.pi, 30)))


@pytest.mark.parametrize(("dim", "rho", "kappa"), CASES)
def test_batch_of_two_is_one_integral(dim, rho, kappa):
    assert_allclose(shift_limit.batch_loss(dim, rho, kappa, 2), oracle_of_two(dim, rho, kappa), rtol=1e-13)


def test_batch_of_three_in_the_plane_is_a_double_sum():
    """Equidistant angles integrate a periodic analytic function exactly."""
    kappa, rho = 4.0, 0.3
    weights = np.exp(kappa * (np.cos(2 * np.pi * np.arange(200) / 200) - rho))
    assert_allclose(shift_limit.batch_loss(2, rho, kappa, 3), np.mean(np.log1p(weights[:, None] + weights)), rtol=1e-13)


@settings(max_examples=10)
@given(st.integers(2, 200), rhos, st.integers(1, 500))
def test_without_scale_the_loss_is_that_of_guessing(dim, rho, batch):
    assert_allclose(shift_limit.batch_loss(dim, rho, 0.0, batch), np.log(batch), atol=1e-12)
    assert_allclose(shift_limit.batch_slope(dim, rho, 0.0, batch), -(1 - 1 / batch) * rho, atol=1e-12)


@settings(max_examples=6)
@given(st.integers(3, 100), rhos, st.floats(0.1, 20), st.integers(2, 500))
def test_slope_matches_finite_differences(dim, rho, kappa, batch):
    h = 1e-3 * np.array([-2, -1, 1, 2])
    loss = shift_limit.batch_loss(dim, rho, kappa + h, batch)
    slope = shift_limit.batch_slope(dim, rho, kappa, batch)
    assert_allclose(slope, [1, -8, 8, -1] @ loss / 12e-3, atol=1e-9)  # rounding of the loss, 1e-13·ln b, over 1e-3


@settings(max_examples=6)
@given(st.integers(2, 60), rhos, st.floats(0.1, 30), st.integers(2, 300))
def test_a_larger_batch_costs_more_and_jensen_bounds_it(dim, rho, kappa, batch):
    loss, larger = (shift_limit.batch_loss(dim, rho, kappa, b) for b in (batch, batch + 1))
    assert loss < larger
    jensen = np.log1p((batch - 1) * np.exp(log_partition(dim, kappa) - kappa * rho))
    assert loss <= jensen * (1 + 1e-12)


def test_many_pairs_reach_the_limit_at_the_rate_of_one_over_the_batch():
    """ln of a mean of b terms: the deficit is half their squared coefficient of variation, over b."""
    dim, rho, kappa = 16, 0.5, 6.0
    limit = shift_limit.limit_loss(dim, rho, kappa)
    batches = np.array([1e3, 1e4, 1e5])
    deficit = [limit + np.log(b) - shift_limit.batch_loss(dim, rho, kappa, int(b)) for b in batches]
    mean, square = np.exp(log_partition(dim, np.array([1.0, 2.0]) * kappa))
    own = 1 - np.exp(kappa * rho) / mean  # the match is one of the b terms and has another mean
    expected = ((square / mean**2 - 1) / 2 + own) / batches
    assert_allclose(deficit, expected, rtol=0.06)
    assert_allclose(deficit[-1], expected[-1], rtol=2e-3)


def test_limit_of_coinciding_pairs_is_the_bessel_floor():
    almost = 1 - 1e-12
    assert_allclose(shift_limit.limit_loss(8, almost, 10.0), bessel_floor(8, 0.1), rtol=1e-10)


@settings(max_examples=6)
@given(st.integers(4, 40), st.floats(0.05, 0.6), st.one_of(st.none(), st.integers(2, 200)))
def test_best_scale_is_a_root_of_the_slope(dim, rho, batch):
    best = shift_limit.best_scale(dim, rho, batch=batch)
    near = best * np.array([0.999, 1.001])
    losses = [
        shift_limit.limit_loss(dim, rho, k) if batch is None else shift_limit.batch_loss(dim, rho, k, batch)
        for k in (best, *near)
    ]
    assert losses[0] < min(losses[1:])
    if batch is not None:
        assert abs(shift_limit.batch_slope(dim, rho, best, batch)) < 1e-10
    assert shift_limit.best_scale(dim, -rho, batch=batch) == 0.0


@settings(max_examples=20)
@given(st.floats(-3, 3), st.floats(0.05, 0.9), st.floats(0.01, 1))
def test_scale_of_the_shift_is_that_of_the_rows(lam, height, temperature):
    clouds = sample_parallel_clouds(4, 0.5, height, 5, rng=0)
    moved = shift_landscape(clouds.x, clouds.y, lam, temperature, batch=None).loss[0, 0]
    kappa = shift_limit.shift_scale(lam, temperature, height)
    flat = [rows[:, :4] for rows in (clouds.x, clouds.y)]
    flat = [
        np.column_stack([rows / np.sqrt(1 - height**2), np.full(10, s)])
        for rows, s in zip(flat, (1e-9, -1e-9), strict=True)
    ]
    assert_allclose(moved, shift_landscape(*flat, 0.0, 1 / kappa, batch=None).loss[0, 0], rtol=1e-7)


def test_minimisers_are_where_the_scale_is_best():
    for batch in (None, 50):
        found = shift_limit.shift_limit(16, 0.5, 0.425, 0.05, batch=batch)
        assert_allclose(shift_limit.shift_scale(found.minimisers, 0.05, 0.425), found.best_scale, rtol=1e-12)
        assert_allclose(sum(found.minimisers), 1, rtol=1e-14)
        assert found.barrier > 0
        warm = shift_limit.shift_limit(16, 0.5, 0.425, 0.2, batch=batch)
        assert (warm.minimisers, warm.barrier) == ((0.5,), 0.0)
        scale = shift_limit.shift_scale(0.0, found.critical_temperature, 0.425)
        assert_allclose(scale, found.best_scale, rtol=1e-12)


def test_simulated_loss_is_the_expected_one():
    lambdas, temperatures = np.linspace(-0.5, 1.5, 5), np.array([0.02, 0.1, 1.0])
    found = simulate_shift(16, 0.5, 0.425, lambdas, temperatures, n_batches=5, n_clouds=32, rng=0)
    expected = shift_limit.batch_loss(16, 0.5, shift_limit.shift_scale(lambdas, temperatures[:, None], 0.425), 50)
    assert np.all(np.abs(found.mean - expected) <= 4.5 * found.stderr + 2e-6)  # float32 of the landscape
    for losses in (found.x_to_y, found.y_to_x):
        stderr = losses.std(axis=0, ddof=1) / np.sqrt(32)
        assert np.all(np.abs(losses.mean(axis=0) - expected) <= 4.5 * stderr + 2e-6)


def test_clouds_have_their_gap_and_their_matched_cosine():
    clouds = sample_parallel_clouds(7, -0.3, 0.6, 40, rng=1)
    assert_allclose(clouds.x.mean(axis=0) - clouds.y.mean(axis=0), [*[0] * 7, 1.2], atol=1e-15)
    assert_allclose(np.sum(clouds.x * clouds.y, axis=1), 0.64 * -0.3 - 0.36, atol=1e-14)
    assert_allclose(np.linalg.norm(np.concatenate([clouds.x, clouds.y]), axis=1), 1, atol=1e-14)
    again = sample_parallel_clouds(7, -0.3, 0.6, 40, rng=1)
    assert np.array_equal(clouds.y, again.y)
    one = simulate_shift(4, 0.5, 0.5, 0.0, 0.1, batch=5, n_batches=2, n_clouds=1, rng=0)
    assert np.all(np.isnan(one.stderr))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: shift_limit.batch_loss(1, 0.5, 1.0, 2), "dim"),
        (lambda: shift_limit.batch_loss(3, 1.0, 1.0, 2), "matched_cosine"),
        (lambda: shift_limit.batch_loss(3, 0.5, -1.0, 2), "kappa"),
        (lambda: shift_limit.batch_loss(3, 0.5, 1.0, 0), "batch"),
        (lambda: shift_limit.limit_loss(3, np.nan, 1.0), "matched_cosine"),
        (lambda: shift_limit.best_scale(3, 0.5, batch=1), "batch"),
        (lambda: shift_limit.shift_scale(0.0, 0.1, 1.0), "height"),
        (lambda: shift_limit.shift_scale(0.0, 0.0, 0.5), "temperature"),
        (lambda: shift_limit.shift_limit(3, 0.0, 0.5, 0.1), "matched_cosine"),
        (lambda: shift_limit.shift_limit(3, 0.5, 0.0, 0.1), "height"),
        (lambda: sample_parallel_clouds(3, 1.5, 0.5, 4), "matched_cosine"),
        (lambda: simulate_shift(3, 0.5, 0.5, 0.0, 0.1, n_clouds=0), "n_clouds"),
    ],
)
def test_errors_name_the_argument(call, named):
    with pytest.raises(ValueError, match=f"`{named}`"):
        call()


@pytest.mark.parametrize(("rho", "kappa"), [(0.5, 300.0), (-0.9, 40.0), (0.99, 100.0)])
def test_two_pairs_on_a_circle(rho, kappa):
    """L_2 is one integral, E ln(1 + e^(kappa(u - rho))), over the angle; periodic, so the trapezoidal rule is exact."""
    u = np.cos((np.arange(20_000) + 0.5) * np.pi / 20_000) - rho
    assert shift_limit.batch_loss(2, rho, kappa, 2) == pytest.approx(np.mean(np.logaddexp(0, kappa * u)), rel=1e-11)
    slope = np.mean(u / (1 + np.exp(-kappa * u)))
    assert shift_limit.batch_slope(2, rho, kappa, 2) == pytest.approx(slope, rel=1e-9)


def test_a_scale_out_of_reach_is_no_number():
    with pytest.raises(ConvergenceError, match="underflows"):
        shift_limit.best_scale(10_000, 0.5, batch=50)
    with pytest.raises(ConvergenceError, match="beyond 10000"):
        shift_limit.best_scale(64, 0.9999, batch=2)
    with pytest.raises(ValueError, match=r"`kappa` must be at most 10000 for a batch, got 20000\.0"):
        shift_limit.batch_loss(3, 0.5, [1.0, 2e4], 2)
