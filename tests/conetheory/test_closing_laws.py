import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad

from conetheory.closing_laws import (
    fixed_closing_rate,
    fixed_log_gamma,
    late_scale,
    logarithmic_closing_limit,
    schedule_exponent,
)
from conetheory.errors import ConvergenceError
from conetheory.gap_conservation import conserved_log_gamma
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import equal_margins, exponential_profile, simplex_profile
from conetheory.temperature_laws import exponential_law, fixed_law, linear_law, linear_schedule, softplus_law


def test_the_rate_at_a_fixed_temperature_has_the_factor_two():
    flow = gap_flow(exponential_profile(), fixed_law(), 0.3, 2.0, t_end=1e14)
    rate = -flow.log_gamma[-1] / 1e14
    assert_allclose(rate, fixed_closing_rate(exponential_profile(), 2.0), rtol=1e-10)
    assert_allclose(rate, 0.541341, atol=5e-7)  # printed: .270671
    etf = simplex_profile(64)
    late = gap_flow(etf, fixed_law(), 0.3, 8.0, t_end=1e8)
    assert_allclose(-late.log_gamma[-1] / 1e8, fixed_closing_rate(etf, 8.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("beta", "gamma0", "margin"), [(2.0, 0.3, 1.0), (30.0, 0.9, 1.0), (14.3, 0.05, 0.2), (600, 0.5, 1.1)]
)
def test_the_solved_flow_at_a_fixed_temperature(beta, gamma0, margin):
    beta = float(beta)
    unit = np.exp(min(margin * beta * (1 - gamma0**2), 300)) / (margin * beta)
    t = unit * np.array([0.0, 1e-3, 0.1, 1.0, 5.0, 100.0])
    solved = fixed_log_gamma(t, beta, gamma0, margin=margin)
    flow = gap_flow(exponential_profile(margin), fixed_law(), gamma0, beta, t_end=float(t[-1])).at(t)
    assert_allclose(solved, flow.log_gamma, rtol=1e-7)
    for time, value in zip(t[:5], solved, strict=False):  # and the equation, to 40 digits
        z = margin * mp.mpf(beta) * mp.exp(2 * mp.mpf(float(value)))
        z0 = margin * mp.mpf(beta) * mp.mpf(gamma0) ** 2
        right = mp.e1(z0) + 4 * margin * mp.mpf(beta) * mp.exp(-margin * mp.mpf(beta)) * mp.mpf(float(time))
        slope = mp.exp(-z)  # of -E1 in ln z: how an error of ln gamma shows
        assert abs(mp.e1(z) - right) / slope < 1e-11


@given(st.floats(0.2, 20), st.floats(0.05, 0.95), st.floats(0, 1e6))
def test_the_solved_flow_lies_between_its_bounds(beta, gamma0, t):
    value = fixed_log_gamma(t, beta, gamma0)
    rate = float(fixed_closing_rate(exponential_profile(), beta))
    fastest = rate * np.exp(beta * gamma0**2)
    slack = 1e-10 * (1 + abs(value))
    assert np.log(gamma0) - fastest * t - slack <= value <= np.log(gamma0) - rate * t + slack


@pytest.mark.parametrize("law", [linear_law(), softplus_law()])
@pytest.mark.parametrize("profile", [exponential_profile(), simplex_profile(64), equal_margins(16, 0.5)])
def test_linear_and_softplus_close_like_the_square_of_the_logarithm(law, profile):
    t = np.array([1e14, 1e60, 1e280])
    flow = gap_flow(profile, law, 0.3, 4.0, t_end=1e280).at(t)
    exponent = -flow.log_gamma / np.log(t) ** 2 * profile.margin**2
    away = np.abs(exponent - 1)
    assert np.all(np.diff(away) < 0)
    assert away[-1] < 0.02
    n = 2 if profile == exponential_profile() else profile.negatives + 1
    assert_allclose(late_scale(law, t, n, profile.margin), flow.beta, atol=1e-9 * 1e3, rtol=1e-9)
    printed = -np.log(t * np.log(t))  # ln of 1/(t ln t)
    assert np.all(flow.log_gamma < 5 * printed)


def test_the_design_value_of_the_exponent():
    flow = gap_flow(exponential_profile(), linear_law(), 0.2, 1.0, t_end=1e14).at(1e14)
    assert -flow.log_gamma[0] / np.log(1e14) ** 2 == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.7])
def test_the_exponential_law_closes_like_a_power_of_the_logarithm(scale):
    law, n, margin, gamma0, beta0 = exponential_law(scale), 16, 1.0, 0.3, 6.0
    t = np.array([1e14, 1e50, 1e150, 1e290])
    flow = gap_flow(equal_margins(n, margin), law, gamma0, beta0, t_end=1e290).at(t)
    late = late_scale(law, t, n, margin)
    off = np.abs(late - flow.beta) * np.log(t)
    assert np.all(np.abs(late - flow.beta) < np.array([0.2, 0.06, 0.02, 0.01]) * 4)
    assert off.max() < 3 * off.min() + 3  # the error is O(1/ln t)
    ratio = (
        flow.log_gamma
        + 2 * scale**2 * np.log(np.log(t))
        - np.log(logarithmic_closing_limit(law, margin, gamma0, beta0))
    )
    assert np.all(np.diff(np.abs(ratio)) < 0)
    assert abs(ratio[-1]) < 0.1 * scale**2
    assert_allclose(conserved_log_gamma(law, gamma0, beta0, flow.beta), flow.log_gamma, atol=1e-8)


@given(st.floats(0.05, 30), st.floats(0.05, 30))
def test_the_exponent_of_a_schedule_is_an_integral(start, stop):
    low, high = sorted((start, stop))
    if high - low < 1e-9:
        expected = 2 * low * np.exp(-low)
    else:
        expected = 2 * quad(lambda b: b * np.exp(-b), low, high, epsrel=1e-12, epsabs=0)[0] / (high - low)
    assert_allclose(schedule_exponent(start, stop), expected, rtol=1e-8)


def test_the_exponent_of_a_schedule_is_twice_the_printed_one():
    printed = (3 * np.exp(-2) - 7 * np.exp(-6)) / 4
    assert_allclose(schedule_exponent(2.0, 6.0), 2 * printed, rtol=1e-14)
    for horizon in (100.0, 1000.0):
        flow = gap_flow(exponential_profile(), linear_schedule(2.0, 6.0, horizon), 0.3, 2.0, t_end=horizon)
        rest = flow.log_gamma[-1] + schedule_exponent(2.0, 6.0) * horizon
        top = 6.0 * 0.3**2  # docs/theory.md, 21.8: both sides of Theta
        assert np.log(0.3) - top * np.exp(top) / 2 <= rest <= np.log(0.3)


def test_newton_that_does_not_end_says_so(monkeypatch):
    monkeypatch.setattr("conetheory.closing_laws._STEPS", 1)
    with pytest.raises(ConvergenceError, match="was not solved"):
        fixed_log_gamma(10.0, 2.0, 0.3)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: fixed_closing_rate(exponential_profile(), 0.0), "beta"),
        (lambda: fixed_log_gamma(-1.0, 2.0, 0.3), "t"),
        (lambda: fixed_log_gamma(1.0, np.nan, 0.3), "beta"),
        (lambda: fixed_log_gamma(1.0, 2.0, 1.3), "gamma0"),
        (lambda: fixed_log_gamma(1.0, 2.0, 0.3, margin=0.0), "margin"),
        (lambda: fixed_log_gamma(1.0, 2000.0, 0.9), "beta"),
        (lambda: late_scale(linear_law(), 0.1, 2, 1.0), "t"),
        (lambda: late_scale(exponential_law(), 1.0, 2, 1.0), "t"),
        (lambda: late_scale(exponential_law(), 1e9, 1, 1.0), "n"),
        (lambda: logarithmic_closing_limit(exponential_law(), 1.0, 0.0, 2.0), "gamma0"),
        (lambda: schedule_exponent(0.0, 2.0), "start"),
        (lambda: schedule_exponent(1.0, np.nan), "stop"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()
