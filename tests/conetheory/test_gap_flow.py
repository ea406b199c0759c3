from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.errors import ConvergenceError
from conetheory.gap_conservation import conserved_log_gamma, conserved_quantity, speed_ratio
from conetheory.gap_flow import flow_rates, gap_flow
from conetheory.loss_profiles import equal_margins, exponential_profile, matrix_profile, simplex_profile
from conetheory.temperature_laws import (
    exponential_law,
    fixed_law,
    linear_law,
    linear_schedule,
    scheduled_law,
    softplus_law,
)
from tests import naive_gap_flow as naive

LAWS = {
    "exp": exponential_law(),
    "exp(nu/2)": exponential_law(2.0),
    "exp(nu/10)": exponential_law(10.0),
    "linear": linear_law(),
    "softplus": softplus_law(),
}
MATCHED = naive.pairs(5, 6, 0.1, 1)
MISMATCHED = naive.pairs(6, 3, 0.8, 4)
TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 1e14, 200)])


def profile_of(pairs):
    return matrix_profile(pairs[0] @ pairs[1].T)


@pytest.mark.parametrize("features", [MATCHED, MISMATCHED], ids=["matched", "mismatched"])
@pytest.mark.parametrize("name", LAWS)
def test_the_flow_is_gradient_descent_on_the_rows(name, features):
    law = LAWS[name]
    nu, gamma = naive.descent(*features, law.beta, (float(law.nu(2.0)), 0.4), 3.0, 300)
    flow = gap_flow(profile_of(features), law, 0.4, 2.0, t_end=3.0)
    assert abs(flow.gamma[-1] - 0.4) > 1e-3
    assert_allclose([flow.gamma[-1], flow.beta[-1]], [gamma, law.beta(nu)], rtol=1e-7)


@pytest.mark.parametrize("features", [MATCHED, MISMATCHED], ids=["matched", "mismatched"])
def test_the_flow_at_a_fixed_temperature_is_gradient_descent_on_the_rows(features):
    _, gamma = naive.descent(*features, lambda nu: nu, (9.0, 0.4), 3.0, 300, fixed=True)
    flow = gap_flow(profile_of(features), fixed_law(), 0.4, 9.0, t_end=3.0)
    assert_allclose(flow.gamma[-1], gamma, rtol=1e-7)
    assert flow.conserved is None
    assert set(flow.beta) == {9.0}


def test_the_initial_rates_are_those_of_the_rows():
    law = softplus_law()
    flow = gap_flow(profile_of(MATCHED), law, 0.4, 2.0, t_end=1e-6)
    gamma_speed, beta_speed = flow_rates(profile_of(MATCHED), law, 0.4, 2.0)
    assert_allclose((flow.gamma[-1] - 0.4) / 1e-6, gamma_speed, rtol=1e-4)
    assert_allclose((flow.beta[-1] - 2.0) / 1e-6, beta_speed, rtol=1e-4)
    assert flow_rates(profile_of(MATCHED), fixed_law(), -0.4, 2.0) == (-gamma_speed, 0.0)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    "profile",
    [simplex_profile(64), equal_margins(16, 1.0), exponential_profile(), profile_of(MATCHED), profile_of(MISMATCHED)],
    ids=["simplex", "equal", "exponential", "matched", "mismatched"],
)
@pytest.mark.parametrize(("gamma0", "beta0"), [(0.05, 4.2), (0.6, 14.3), (0.95, 2.0)])
def test_what_is_conserved_stays_over_14_decades(name, profile, gamma0, beta0):
    flow = gap_flow(profile, LAWS[name], gamma0, beta0, t_end=1e14)
    dense = flow.at(TIMES)
    assert flow.ending == "time"
    for states in (flow, dense):
        assert_allclose(states.conserved, conserved_quantity(LAWS[name], gamma0, beta0), rtol=0, atol=1e-7)
    assert abs(dense.beta[-1] - beta0) > 1e-3


def test_ln_gamma_falls_below_what_a_double_holds():
    flow = gap_flow(simplex_profile(64), linear_law(), 0.3, 14.3, t_end=1e14)
    assert flow.log_gamma[-1] < -1000
    assert flow.gamma[-1] == 0
    assert np.ptp(flow.conserved) < 1e-7


@pytest.mark.parametrize(
    ("name", "slope", "stop"),
    [("exp", lambda b: b, 15.0), ("linear", lambda _: 1.0, 9.0), ("softplus", lambda b: 1 - np.exp(-b), 9.0)],
)
def test_the_time_to_a_temperature_is_a_quadrature(name, slope, stop):
    law = LAWS[name]
    time = naive.time_to_scale(
        lambda a: np.exp(-a), slope, lambda b: np.exp(conserved_log_gamma(law, 0.6, 4.0, b)), 4.0, stop
    )
    flow = gap_flow(exponential_profile(), law, 0.6, 4.0, t_end=time)
    assert_allclose(flow.beta[-1], stop, rtol=1e-8)
    assert_allclose(flow.log_gamma[-1], conserved_log_gamma(law, 0.6, 4.0, stop), rtol=1e-8)


@given(st.sampled_from(sorted(LAWS)), st.floats(0.01, 0.95), st.floats(0.5, 30), st.floats(1.0, 3.0))
def test_lamberts_w_solves_the_conserved_quantity(name, gamma0, beta0, factor):
    law = LAWS[name]
    log_gamma = conserved_log_gamma(law, gamma0, beta0, beta0 * factor)
    gamma = np.exp(log_gamma)
    value = log_gamma - gamma**2 / 2 + 2 * law.first_integral(beta0 * factor)
    assert_allclose(value, conserved_quantity(law, gamma0, beta0), rtol=1e-12, atol=1e-12)


@given(st.sampled_from(sorted(LAWS)), st.floats(0.05, 0.9), st.floats(0.5, 30))
def test_the_speed_ratio_is_the_slope_of_the_conserved_curve(name, gamma0, beta0):
    law = LAWS[name]
    step = 1e-4 * min(beta0, gamma0 / abs(float(speed_ratio(law, gamma0, beta0))))  # the curve can be steep
    near = np.exp(conserved_log_gamma(law, gamma0, beta0, [beta0 - step, beta0 + step]))
    assert_allclose(np.diff(near)[0] / (2 * step), speed_ratio(law, gamma0, beta0), rtol=1e-5)
    gamma_speed, beta_speed = flow_rates(exponential_profile(), law, gamma0, beta0)
    assert_allclose(gamma_speed / beta_speed, speed_ratio(law, gamma0, beta0), rtol=1e-12)


def test_the_printed_order_of_the_speed_ratio_fails():
    flow = gap_flow(simplex_profile(64), exponential_law(), 0.3, 14.3, t_end=1e300)
    product = -speed_ratio(exponential_law(), flow.gamma, flow.beta) * flow.beta
    assert product[0] > 500 * product[-1]  # not of the order of 1/β
    cubed = product * flow.beta**2
    assert cubed.max() < 3 * cubed.min()  # of the order of 1/β³


@settings(max_examples=6)
@given(st.floats(0.05, 0.95), st.floats(1, 40), st.sampled_from(sorted(LAWS)))
def test_matched_pairs_close_and_the_loss_falls(gamma0, beta0, name):
    flow = gap_flow(profile_of(MATCHED), LAWS[name], gamma0, beta0, t_end=1e6)
    states = flow.at(np.concatenate([[0.0], np.geomspace(1e-3, 1e6, 60)]))
    assert np.all(np.diff(states.log_gamma) <= 1e-10)
    assert np.all(np.diff(states.beta) >= -1e-10 * beta0)
    assert np.all(np.diff(states.loss) <= 1e-10)
    assert_allclose(states.scale, states.beta * (1 - states.gamma**2), rtol=1e-12)


def test_dense_output_agrees_with_a_flow_that_ends_there():
    flow = gap_flow(profile_of(MISMATCHED), softplus_law(), 0.3, 9.0, t_end=1e6)
    for t in (0.01, 1.0, 37.0, 1e4):
        short = gap_flow(profile_of(MISMATCHED), softplus_law(), 0.3, 9.0, t_end=t)
        assert_allclose(flow.at(t).gamma[0], short.gamma[-1], rtol=1e-8)
    again = flow.at([1.0, 37.0]).at(37.0)
    assert again.gamma[0] == flow.at(37.0).gamma[0]


def test_the_flow_ends_where_the_gap_is_closed():
    flow = gap_flow(exponential_profile(), fixed_law(), 0.3, 2.0, t_end=1e14, closed_log_gamma=-1000.0)
    assert flow.ending == "closed"
    assert flow.log_gamma[-1] == pytest.approx(-1000, abs=1e-6)
    longer = gap_flow(exponential_profile(), fixed_law(), 0.3, 2.0, t_end=1e14)
    assert_allclose(longer.at(flow.t_last).log_gamma, -1000, rtol=1e-9)
    with pytest.raises(ValueError, match=r"`t` must be times up to"):
        flow.at(flow.t_last * 1.01)


def test_a_loss_that_wants_no_scale_drives_the_modalities_apart():
    reversed_pairs = matrix_profile(np.ones((4, 4)) - np.eye(4))
    for law in (fixed_law(), exponential_law(), linear_law(), softplus_law()):
        flow = gap_flow(reversed_pairs, law, 0.3, 2.0, t_end=1e6)
        assert flow.ending == "apart"
        assert flow.t_last < 1
        assert flow.gamma[-1] == pytest.approx(1, abs=1e-12)
    flow = gap_flow(reversed_pairs, linear_law(), 0.01, 0.1, t_end=1e6)
    assert flow.ending == "scale_zero"
    assert flow.beta[-1] == pytest.approx(0, abs=1e-12)


def test_a_schedule_that_stands_still_is_a_fixed_temperature():
    fixed = gap_flow(simplex_profile(8), fixed_law(), 0.3, 3.0, t_end=50.0)
    still = gap_flow(simplex_profile(8), scheduled_law(lambda t: 3.0), 0.3, 3.0, t_end=50.0)
    assert_allclose(still.log_gamma[-1], fixed.log_gamma[-1], rtol=1e-10)
    moving = gap_flow(simplex_profile(8), linear_schedule(3.0, 5.0, 50.0), 0.3, 3.0, t_end=50.0)
    assert_allclose(moving.beta, 3 + moving.t / 25, rtol=1e-12)
    assert moving.conserved is None


def test_an_integrator_that_gives_up_says_so(monkeypatch):
    stuck = SimpleNamespace(status=-1, t=np.array([0.0, 1.0]), t_events=[])
    monkeypatch.setattr("conetheory.gap_flow.solve_ivp", lambda *_, **__: stuck)
    with pytest.raises(ConvergenceError, match="was not integrated") as caught:
        gap_flow(**GOOD)
    assert caught.value.value == pytest.approx(np.e - 1)


GOOD = {"profile": simplex_profile(4), "law": exponential_law(), "gamma0": 0.3, "beta0": 2.0, "t_end": 1.0}


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("gamma0", 0.0),
        ("gamma0", 1.0),
        ("gamma0", np.nan),
        ("beta0", 0.0),
        ("beta0", np.nan),
        ("t_end", -1.0),
        ("t_end", np.inf),
        ("rtol", 0.0),
        ("closed_log_gamma", -1.0),
        ("closed_log_gamma", np.nan),
    ],
)
def test_bad_input_is_named(name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`.*{str(bad).removesuffix('.0')}"):
        gap_flow(**{**GOOD, name: bad})


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gap_flow(simplex_profile(4), linear_schedule(3, 4, 1), 0.3, 2.0, t_end=1.0), "beta0"),
        (lambda: gap_flow(**GOOD).at(2.0), "t"),
        (lambda: gap_flow(**GOOD).at(-1.0), "t"),
        (lambda: gap_flow(**GOOD).at(np.nan), "t"),
        (lambda: flow_rates(simplex_profile(4), fixed_law(), 1.0, 2.0), "gamma"),
        (lambda: flow_rates(simplex_profile(4), fixed_law(), 0.5, np.nan), "beta"),
        (lambda: conserved_quantity(exponential_law(), 1.0, 2.0), "gamma"),
        (lambda: speed_ratio(exponential_law(), 0.5, np.nan), "beta"),
        (lambda: conserved_log_gamma(exponential_law(), 0.5, 2.0, 1e-3), "beta"),
    ],
)
def test_further_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()
