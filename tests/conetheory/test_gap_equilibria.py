import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from conetheory.errors import ConvergenceError
from conetheory.gap_conservation import conserved_quantity
from conetheory.gap_equilibria import (
    critical_closing_limit,
    fixed_relaxation_rate,
    fixed_rest,
    free_gap,
    resting_scale,
    trained_rest,
)
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import exponential_profile, matrix_profile, simplex_profile
from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale
from conetheory.temperature_laws import exponential_law, fixed_law, linear_law, softplus_law
from tests import naive_gap_flow as naive
from tests.strategies import seeds

H, K = naive.pairs(6, 3, 0.8, 4)
PROFILE = matrix_profile(H @ K.T)
REST = resting_scale(PROFILE)
LAWS = {
    "exp": exponential_law(),
    "exp(nu/2)": exponential_law(2.0),
    "linear": linear_law(),
    "softplus": softplus_law(),
}


def test_the_resting_scale_is_the_least_loss():
    found = minimize_scalar(PROFILE.loss, bounds=(0, 100), method="bounded", options={"xatol": 1e-10})
    assert found.x == pytest.approx(REST, rel=1e-6)
    assert abs(float(naive.mp_force(H @ K.T, REST))) < 1e-14


def test_the_resting_scale_of_six_pairs_is_the_critical_scale():
    points = circle_points(6, 20, -20)
    profile = matrix_profile(points @ points[list(PAIRING_SWAPPED)].T)
    assert resting_scale(profile) == pytest.approx(21.215837, abs=5e-7)
    assert_allclose(resting_scale(profile), critical_scale(points, points, PAIRING_SWAPPED).scale, rtol=1e-12)


def test_matched_pairs_have_no_resting_scale_and_reversed_ones_rest_at_0():
    assert resting_scale(simplex_profile(8)) == np.inf
    assert resting_scale(exponential_profile()) == np.inf
    assert resting_scale(matrix_profile(np.ones((3, 3)))) == np.inf  # only ties: nobody is beaten
    assert resting_scale(matrix_profile(np.ones((4, 4)) - np.eye(4))) == 0


@given(seeds, st.integers(2, 6), st.floats(0.1, 10))
def test_the_resting_scale_scales(seed, n, factor):
    z = np.random.default_rng(seed).uniform(-1, 1, (n, n)) + 0.5 * np.eye(n)
    one, other = resting_scale(matrix_profile(z)), resting_scale(matrix_profile(factor * z))
    assert_allclose(one, factor * other, rtol=1e-7)


@pytest.mark.parametrize(("ratio", "gamma"), [(0.6, 0.0), (1.5, 0.57735), (4.0, 0.86603)])
@pytest.mark.parametrize("gamma0", [0.05, 0.95])
def test_the_flow_at_a_fixed_temperature_comes_to_rest(ratio, gamma, gamma0):
    flow = gap_flow(PROFILE, fixed_law(), gamma0, ratio * REST, t_end=1e6)
    assert flow.gamma[-1] == pytest.approx(gamma, abs=5e-6)
    assert_allclose(flow.gamma[-1], fixed_rest(REST, ratio * REST), atol=1e-9)


def test_a_pitchfork_of_exponent_one_half():
    excess = np.array([1e-6, 1e-4, 1e-2])
    assert_allclose(fixed_rest(REST, REST * (1 + excess)) / np.sqrt(excess), 1, rtol=0.006)
    assert fixed_rest(REST, REST) == 0
    assert fixed_rest(np.inf, 5.0) == 0
    assert fixed_rest(0.0, 5.0) == 1


@pytest.mark.parametrize("ratio", [0.6, 1.5, 4.0])
def test_the_relaxation_rate_is_the_slope_of_the_flow_at_rest(ratio):
    beta = ratio * REST
    rest = float(fixed_rest(REST, beta))
    rate = fixed_relaxation_rate(PROFILE, beta)
    flow = gap_flow(PROFILE, fixed_law(), rest + 1e-3, beta, t_end=6 / rate)
    times = np.array([1.0, 4.0]) / rate
    away = flow.at(times).gamma - rest
    assert np.log(away[0] / away[1]) / (times[1] - times[0]) == pytest.approx(rate, rel=3e-3)


def test_the_rate_vanishes_at_the_critical_scale_twice_as_fast_on_the_side_of_the_gap():
    below, above = (fixed_relaxation_rate(PROFILE, REST * (1 + x)) for x in (-1e-5, 1e-5))
    assert above / below == pytest.approx(2, rel=1e-3)
    assert fixed_relaxation_rate(PROFILE, REST) == pytest.approx(0, abs=1e-12)


def test_the_gap_closes_like_one_over_the_root_of_time_at_the_critical_scale():
    t = np.array([1e4, 1e6, 1e8])
    products = gap_flow(PROFILE, fixed_law(), 0.5, REST, t_end=1e8).at(t).gamma * np.sqrt(t)
    off = np.abs(products / critical_closing_limit(PROFILE) - 1)
    assert np.all(np.diff(off) < 0)
    assert off[-1] < 1e-4


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("gamma0", "beta0"), [(0.6, 14.3), (0.05, 2.0), (0.95, 40.0)])
def test_the_flow_with_a_trained_temperature_comes_to_rest(name, gamma0, beta0):
    rest = trained_rest(LAWS[name], REST, gamma0, beta0)
    flow = gap_flow(PROFILE, LAWS[name], gamma0, beta0, t_end=1e8)
    assert_allclose([flow.gamma[-1], flow.beta[-1]], [rest.gamma, rest.beta], rtol=1e-7)


def test_the_example_of_the_exponential_law():
    rest = trained_rest(exponential_law(), 8.6045, 0.6, 14.3)
    assert (round(rest.gamma, 5), round(rest.beta, 3)) == (0.62496, 14.119)
    assert rest.beta**2 * rest.gamma * np.exp(-(rest.gamma**2) / 2) == pytest.approx(14.3**2 * 0.6 * np.exp(-0.18))
    cosines = (H @ K.T) * REST / 8.6045  # features whose loss is least at that scale
    assert resting_scale(matrix_profile(cosines)) == pytest.approx(8.6045)
    flow = gap_flow(matrix_profile(cosines), exponential_law(), 0.6, 14.3, t_end=1e8)
    assert_allclose([flow.gamma[-1], flow.beta[-1]], [rest.gamma, rest.beta], rtol=1e-8)


@given(st.sampled_from(sorted(LAWS)), st.floats(0.1, 200), st.floats(0.001, 0.99), st.floats(0.1, 100))
def test_the_rest_solves_both_equations_and_is_alone(name, scale, gamma0, beta0):
    law = LAWS[name]
    rest = trained_rest(law, scale, gamma0, beta0)
    if not 1e-12 < rest.gamma < 1 - 1e-9:
        return
    assert_allclose(rest.beta * (1 - rest.gamma**2), scale, rtol=1e-6)
    level = float(conserved_quantity(law, gamma0, beta0))
    assert_allclose(conserved_quantity(law, rest.gamma, rest.beta), level, atol=1e-7 * (1 + abs(level)))
    gamma = np.linspace(0.001, 0.999, 400)
    along = conserved_quantity(law, gamma, scale / (1 - gamma**2))
    assert np.all(np.diff(along) > 0)


def test_a_gap_never_closes_where_pairs_stay_mismatched():
    gammas = [trained_rest(exponential_law(), 30.0, gamma0, 14.3).gamma for gamma0 in (1e-6, 1e-3, 0.1)]
    assert np.all(np.array(gammas) > 0)
    assert trained_rest(exponential_law(), np.inf, 0.3, 14.3).gamma == 0


def test_the_table_of_free_gaps():
    tau = np.array([0.01, 0.02, 0.03, 0.05])
    assert_allclose(free_gap(64, tau, 1e-6), [1.815, 1.61, 1.37, 0.68], atol=5e-3)
    assert_allclose(free_gap(1024, tau[:3], 1e-6), [1.781, 1.53, 1.23], atol=5e-3)
    assert np.isnan(free_gap(1024, 0.05, 1e-6))
    assert np.all(np.isnan(free_gap(64, [0.07], 1e-6)))
    assert free_gap(64, 0.01, np.log(64)) == 2


@settings(max_examples=30)
@given(st.integers(2, 2000), st.floats(0.005, 0.3), st.floats(1e-9, 1.0))
def test_a_free_gap_costs_what_was_allowed(n, temperature, loss):
    gap = free_gap(n, temperature, loss)
    profile = simplex_profile(n)
    if np.isnan(gap):
        assert profile.loss(1 / temperature) > loss * (1 - 1e-9)
    elif gap < 2:
        assert_allclose(profile.loss((1 - gap**2 / 4) / temperature), loss, rtol=1e-6)


class _NeverNegative:
    margin = -1.0

    def loss(self, a):
        return np.float64(0.0)

    def force(self, a):
        return np.float64(1.0)

    curvature = force


def test_a_force_that_keeps_its_sign_says_so():
    with pytest.raises(ConvergenceError, match="change its sign"):
        resting_scale(_NeverNegative())


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: fixed_rest(-1.0, 2.0), "scale"),
        (lambda: fixed_rest(np.nan, 2.0), "scale"),
        (lambda: fixed_rest(1.0, 0.0), "beta"),
        (lambda: fixed_relaxation_rate(PROFILE, np.nan), "beta"),
        (lambda: fixed_relaxation_rate(matrix_profile(np.ones((4, 4)) - np.eye(4)), 1.0), "profile"),
        (lambda: critical_closing_limit(simplex_profile(4)), "profile"),
        (lambda: trained_rest(exponential_law(), 0.0, 0.5, 2.0), "scale"),
        (lambda: trained_rest(exponential_law(), 1.0, 1.0, 2.0), "gamma0"),
        (lambda: trained_rest(exponential_law(), 1.0, 0.5, np.nan), "beta0"),
        (lambda: free_gap(1, 0.01, 1e-6), "n"),
        (lambda: free_gap(4, 0.0, 1e-6), "temperature"),
        (lambda: free_gap(4, 0.01, 0.0), "loss"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()
