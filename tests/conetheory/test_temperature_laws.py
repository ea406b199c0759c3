import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

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
MP_SLOPES = {
    "exp": lambda b: b,
    "exp(nu/2)": lambda b: b / 2,
    "exp(nu/10)": lambda b: b / 10,
    "linear": lambda _: mp.mpf(1),
    "softplus": lambda b: 1 - mp.exp(-b),
}
scales = st.floats(1e-3, 300)


@pytest.mark.parametrize("name", LAWS)
@given(scales)
def test_the_parameter_and_the_scale_are_inverse(name, beta):
    law = LAWS[name]
    assert_allclose(law.beta(law.nu(beta)), beta, rtol=1e-12)


@pytest.mark.parametrize("name", LAWS)
@given(scales)
def test_the_slope_is_the_derivative(name, beta):
    law, step = LAWS[name], 1e-5
    nu = law.nu(beta)
    assert_allclose((law.beta(nu + step) - law.beta(nu - step)) / (2 * step), law.slope(beta), rtol=1e-7)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("start", "stop"), [(0.01, 0.02), (0.5, 2.0), (2.0, 20.0), (14.3, 100.0)])
def test_the_first_integral_is_the_integral(name, start, stop):
    law = LAWS[name]
    integral = float(naive.first_integral(MP_SLOPES[name], mp.mpf(start), mp.mpf(stop)))
    assert_allclose(law.first_integral(stop) - law.first_integral(start), integral, rtol=1e-10)


def test_known_values():
    assert_allclose(exponential_law().first_integral(np.e), 1)
    assert_allclose(exponential_law(3.0).first_integral(np.e), 9)
    assert_allclose(linear_law().first_integral(4.0), 8)
    log2 = np.log(2)  # q = 1/2: ln²2/2 - (1 + ln 2) ln 2 - Li2(1/2) - ln 2, Li2(1/2) = π²/12 - ln²2/2
    assert_allclose(softplus_law().first_integral(log2), -2 * log2 - np.pi**2 / 12, rtol=1e-14)


def test_softplus_is_the_exponential_below_and_the_linear_law_above():
    soft = softplus_law()
    low, high = np.array([1e-6, 2e-6]), np.array([40.0, 80.0])
    assert_allclose(np.diff(soft.first_integral(low)), np.log(2), rtol=1e-5)
    assert_allclose(soft.first_integral(high), linear_law().first_integral(high), rtol=1e-14)


def test_schedules():
    schedule = linear_schedule(2.0, 6.0, 100.0).schedule
    assert [schedule(t) for t in (0.0, 50.0, 100.0, 1e9)] == [2.0, 4.0, 6.0, 6.0]
    assert scheduled_law(lambda t: 3.0 + t).schedule(1.0) == 4.0
    assert fixed_law() == fixed_law()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: exponential_law(0.0), "scale"),
        (lambda: exponential_law(np.nan), "scale"),
        (lambda: linear_schedule(0.0, 1.0, 1.0), "start"),
        (lambda: linear_schedule(1.0, -1.0, 1.0), "stop"),
        (lambda: linear_schedule(1.0, 1.0, np.nan), "horizon"),
        (lambda: softplus_law().first_integral(0.0), "beta"),
        (lambda: softplus_law().nu(-1.0), "beta"),
        (lambda: exponential_law().beta(np.inf), "nu"),
        (lambda: linear_law().slope(np.nan), "beta"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()


def test_a_schedule_is_a_function():
    with pytest.raises(Exception, match=r"`schedule`|parameter 'schedule'|parameter schedule"):
        scheduled_law(3.0)  # pyright: ignore[reportArgumentType]
