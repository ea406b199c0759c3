import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.early_enlargement import (
    enlargement_bound,
    enlargement_limit,
    informative_count,
    random_force,
    speed_of_mean_distance,
)
from conetheory.loss_profiles import matrix_profile
from conetheory.sphere import bessel_ratio
from conetheory.von_mises_fisher import concentration, uniform_divergence
from tests import naive_gap_flow as naive


def test_the_limit_in_three_dimensions_is_langevins():
    a = 4 * 0.75
    assert_allclose(enlargement_limit(3, 0.5, 4.0), 8 * (1 / np.tanh(a) - 1 / a), rtol=1e-14)
    assert enlargement_limit(64, 0.0, 14.3) == 0
    assert enlargement_limit(64, 1.0, 14.3) == 0


@pytest.mark.parametrize(("dim", "a"), [(2, 0.5), (16, 14.3), (64, 14.3), (512, 14.3), (128, 100.0)])
def test_the_limit_to_40_digits(dim, a):
    assert_allclose(
        enlargement_limit(dim, 0.3, a / 0.91), 4 * 0.3 * a / 0.91 * float(naive.bessel_ratio(dim, a)), rtol=1e-12
    )


@pytest.mark.parametrize("n", [1024, 10**6, 10**12, 10**18, 1e24])
@pytest.mark.parametrize(
    ("dim", "gamma0", "beta0"), [(3, 0.5, 4.0), (64, 0.3, 14.3), (512, 0.01, 14.3), (128, 0.1, 40.0)]
)
def test_the_bound_is_the_printed_one(n, dim, gamma0, beta0):
    printed = float(naive.printed_enlargement(n, dim, gamma0, beta0, 0.05))
    assert_allclose(enlargement_bound(n, dim, gamma0, beta0), printed, rtol=1e-9)


def test_the_bound_tends_to_the_limit():
    assert_allclose(enlargement_bound(1e60, 512, 0.3, 14.3), enlargement_limit(512, 0.3, 14.3), rtol=1e-9)
    n = np.geomspace(1e3, 1e40, 50)
    assert np.all(np.diff(enlargement_bound(n, 512, 0.3, 14.3)) > 0)


@pytest.mark.parametrize("failure", [0.5, 0.05, 1e-6])
@pytest.mark.parametrize(
    ("dim", "gamma0", "beta0"), [(3, 0.5, 4.0), (64, 0.3, 14.3), (512, 0.01, 14.3), (128, 0.1, 100.0)]
)
def test_the_bound_changes_its_sign_at_the_informative_count(dim, gamma0, beta0, failure):
    n = informative_count(dim, gamma0, beta0, failure=failure)
    below, above = (naive.printed_enlargement(n * f, dim, gamma0, beta0, failure) for f in (1 - 1e-8, 1 + 1e-8))
    assert below < 0 < above


def test_the_bound_is_empty_at_every_practical_number_of_pairs():
    assert 1e17 < informative_count(512, 1e-3, 14.3) < 1e18
    assert enlargement_bound(32768, 512, 0.1, 14.3) < 0
    assert informative_count(512, 1e-3, 100.0) > 1e80


@pytest.mark.parametrize(("dim", "n", "a"), [(64, 512, 6.0), (512, 256, 14.3), (16, 512, 2.0), (3, 256, 1.0)])
def test_random_features_follow_the_first_order_mean(dim, n, a):
    rng = np.random.default_rng(7)
    forces = np.array([naive.random_force(rng, n, dim, a) for _ in range(60)])
    z = (forces.mean() - random_force(dim, a, n)) / (forces.std(ddof=1) / np.sqrt(len(forces)))
    assert abs(z) < 4.5
    second = abs(random_force(dim, a, n) - bessel_ratio(dim, a)) ** 2 / bessel_ratio(dim, a)
    assert second < forces.std(ddof=1) / np.sqrt(len(forces))  # what is left out does not show


def test_the_first_order_term_shows_in_single_lists():
    dim, a, n, lists = 3, 2.0, 128, 60_000  # in three dimensions a cosine of random directions is uniform
    cosines = np.random.default_rng(5).uniform(-1, 1, (lists, n))
    weights = np.exp(a * cosines)
    means = (weights * cosines).sum(axis=1) / weights.sum(axis=1)
    stderr = means.std(ddof=1) / np.sqrt(lists)
    assert abs(means.mean() - random_force(dim, a, n)) < 4.5 * stderr
    assert abs(means.mean() - bessel_ratio(dim, a)) > 10 * stderr  # without the term it would be seen


@pytest.mark.parametrize(("dim", "a"), [(3, 2.0), (16, 4.0), (512, 14.3)])
def test_the_first_order_term_is_half_the_slope_of_a_relative_variance(dim, a):
    def log_mean(scale):  # ln E exp(scale c)
        return mp.log(mp.hyp0f1(mp.mpf(dim) / 2, scale**2 / 4))

    term = mp.diff(lambda x: mp.exp(log_mean(2 * x) - 2 * log_mean(x)) / 2, mp.mpf(a))
    found = 1000 * (bessel_ratio(dim, a) - random_force(dim, a, 1000))
    assert_allclose(found, float(term), rtol=1e-8)


def test_the_naive_force_is_that_of_the_profile():
    z = np.random.default_rng(3).uniform(-1, 1, (7, 7))
    assert_allclose(naive.repulsion(z, 3.0), -matrix_profile(z).force(3.0), rtol=1e-12)


def test_few_pairs_see_the_force_of_a_lower_scale():
    dim, n, a = 128, 1024, 100.0
    assert uniform_divergence(dim, a) > 3 * np.log(n)
    rng = np.random.default_rng(11)
    force = np.mean([naive.random_force(rng, n, dim, a) for _ in range(3)])
    assert force == pytest.approx(0.278, abs=0.01)  # the limit is .548
    assert bessel_ratio(dim, a) == pytest.approx(0.548, abs=5e-4)
    kappa = float(concentration(dim, force))
    assert uniform_divergence(dim, kappa) < np.log(n) < uniform_divergence(dim, 2 * kappa)


@given(st.floats(0.01, 0.99), st.floats(0.01, 2.0), st.floats(-2, 2))
def test_still_features_always_slow_the_distance_of_the_means(gamma, distance, speed):
    found = speed_of_mean_distance(gamma, speed, distance)
    assert abs(found) <= 2 * abs(speed)
    if speed > 0 and distance > 0.05:
        assert found < 2 * speed


def test_the_speed_of_the_distance_of_the_means_is_a_derivative():
    gamma, distance, step = 0.2, 0.3, 1e-6

    def gap(value):
        h, k = naive.pairs(30, 4, 0.9, 2)
        x, y = naive.embedded(h, k, value)
        return np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)), np.linalg.norm(h.mean(axis=0) - k.mean(axis=0))

    distance = gap(gamma)[1]
    derivative = (gap(gamma + step)[0] - gap(gamma - step)[0]) / (2 * step)
    assert_allclose(speed_of_mean_distance(gamma, 1.0, distance), derivative, rtol=1e-8)
    assert gap(gamma)[0] > 2 * gamma  # the premise holds,
    assert derivative < 2  # and what is drawn from it does not


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: enlargement_limit(1, 0.3, 2.0), "dim"),
        (lambda: enlargement_limit(3, 1.3, 2.0), "gamma0"),
        (lambda: enlargement_limit(3, 0.3, np.nan), "beta0"),
        (lambda: random_force(3, -1.0, 10), "a"),
        (lambda: random_force(3, 1.0, 1), "n"),
        (lambda: enlargement_bound(1, 3, 0.3, 2.0), "n"),
        (lambda: enlargement_bound(np.nan, 3, 0.3, 2.0), "n"),
        (lambda: enlargement_bound(10, 3, 0.0, 2.0), "gamma0"),
        (lambda: enlargement_bound(10, 3, 0.3, 2.0, failure=1.0), "failure"),
        (lambda: informative_count(3, 0.3, 0.0), "beta0"),
        (lambda: informative_count(512, 0.01, 900.0), "beta0"),
        (lambda: enlargement_bound(10, 4096, 0.1, 9000.0), "beta0"),
        (lambda: speed_of_mean_distance(1.0, 1.0, 0.5), "gamma"),
        (lambda: speed_of_mean_distance(0.5, np.nan, 0.5), "speed"),
        (lambda: speed_of_mean_distance(0.5, 1.0, 2.5), "distance"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()
