import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.gap_closing import closing_bound, least_scale, printed_closing_bound, sharp_closing_bound
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import equal_margins, matrix_profile
from conetheory.temperature_laws import exponential_law
from tests import naive_gap_flow as naive
from tests.strategies import seeds

TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 1e14, 120)])
EARLY = TIMES[:80:4]
CASES = [  # n, margin, gamma0, beta0
    (16, 1.0, 0.05, np.log(60) / (1 - 0.05**2)),
    (16, 16 / 15, 0.3, 14.3),
    (64, 64 / 63, 0.6, 14.3),
    (1024, 0.3, 0.5, 60.0),
    (2, 2.0, 0.9, 5.0),
    (512, 0.2, 0.05, 100.0),
]
EXP = exponential_law()


def second_constant(margin, gamma0, beta0):
    return margin * beta0 * np.sqrt(gamma0) * (1 - gamma0**2) * np.exp(-(gamma0**2) / 4)


def test_the_printed_bound_exceeds_gamma_at_the_start():
    n, margin, gamma0, beta0 = CASES[0]
    assert beta0 * margin * (1 - gamma0**2) == pytest.approx(np.log(4 * (n - 1)))  # its condition holds
    assert printed_closing_bound(0.0, n, margin, gamma0, beta0=beta0) == pytest.approx(0.0689, abs=5e-5)
    late = gap_flow(equal_margins(n, margin), EXP, gamma0, beta0, t_end=1e14)
    assert late.gamma[-1] < 0.8 * printed_closing_bound(1e14, n, margin, gamma0, beta0=beta0)  # and at the end


@given(st.floats(0.01, 0.95), st.floats(0.1, 60), st.sampled_from([2, 16, 1000]))
def test_where_the_printed_bound_fails_at_the_start(gamma0, extra, n):
    beta0 = (np.log(4 * (n - 1)) + extra) / (1 - gamma0**2)
    c2 = second_constant(1.0, gamma0, beta0)
    low, high = 0.6 - np.sqrt(0.35), 0.6 + np.sqrt(0.35)
    if min(abs(c2 - low), abs(c2 - high), abs(c2 - 0.1)) > 1e-9:
        assert (printed_closing_bound(0.0, n, 1.0, gamma0, beta0=beta0) > gamma0) == (low < c2 < high)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_right_bounds_hold_and_meet_the_flow_at_the_start(case):
    n, margin, gamma0, beta0 = case
    gamma = gap_flow(equal_margins(n, margin), EXP, gamma0, beta0, t_end=1e14).at(TIMES).gamma
    loose = closing_bound(TIMES, n, margin, gamma0, beta0=beta0)
    sharp = sharp_closing_bound(TIMES, n, margin, gamma0, beta0=beta0)
    assert_allclose([loose[0], sharp[0]], gamma0, rtol=1e-12)
    assert np.all(gamma / loose >= 1 - 1e-11)
    assert np.all(gamma / sharp >= 1 - 1e-11)
    assert np.all(gamma / sharp < 2.6)  # and hold closely: within 5 % for the first case
    assert np.all(np.diff(loose) < 0)
    assert np.all(np.diff(sharp) < 0)
    if case == CASES[0]:
        assert np.all(gamma / sharp < 1.05)


@settings(max_examples=6)
@given(seeds, st.floats(0.05, 0.9), st.floats(1.0, 3.0))
def test_the_bounds_hold_for_any_matched_features(seed, gamma0, factor):
    h, k = naive.pairs(5, 8, 0.15, seed)
    profile = matrix_profile(h @ k.T)
    if profile.margin < 0.05:
        return
    beta0 = factor * least_scale(5, profile.margin) / (1 - gamma0**2)
    gamma = gap_flow(profile, EXP, gamma0, beta0, t_end=1e10).at(EARLY).gamma
    slack = second_constant(profile.margin, gamma0, beta0) / 5
    arguments = (EARLY, 5, profile.margin, gamma0)
    assert np.all(gamma >= closing_bound(*arguments, beta0=beta0, slack=slack) * (1 - 1e-10))
    assert np.all(gamma >= sharp_closing_bound(*arguments, beta0=beta0) * (1 - 1e-10))
    slowest = gap_flow(equal_margins(5, profile.margin), EXP, gamma0, beta0, t_end=1e10).at(EARLY).gamma
    assert np.all(gamma >= slowest * (1 - 1e-9))


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=str)
def test_the_sharp_bound_has_the_limit_of_the_flow(case):
    n, margin, gamma0, beta0 = case
    t = np.array([1e20, 1e80, 1e250])
    gamma = gap_flow(equal_margins(n, margin), EXP, gamma0, beta0, t_end=1e250).at(t).gamma
    ratio = gamma / sharp_closing_bound(t, n, margin, gamma0, beta0=beta0)
    assert np.all(ratio >= 1)
    assert np.all(np.diff(ratio) < 0)
    assert ratio[-1] - 1 < 0.12 * (
        gap_flow(equal_margins(n, margin), EXP, gamma0, beta0, t_end=1e6).at(1e6).gamma[0]
        / sharp_closing_bound(1e6, n, margin, gamma0, beta0=beta0)
        - 1
    )


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("t", [1e-6, 1.0, 1e5, 1e14])
def test_the_sharp_bound_solves_its_integral(case, t):
    n, margin, gamma0, beta0 = (mp.mpf(x) for x in case)
    bound = sharp_closing_bound(t, case[0], case[1], case[2], beta0=case[3])
    c = margin * beta0 * mp.sqrt(gamma0) * mp.exp(-(gamma0**2) / 4)
    area = margin * (n - 1) * beta0 * mp.sqrt(gamma0) * mp.exp(margin * beta0 * gamma0**2) * t

    def growth(w):
        return c * mp.ei(c * w) - mp.exp(c * w) / w

    omega = 1 / mp.sqrt(mp.mpf(float(bound)))
    error = (growth(omega) - growth(1 / mp.sqrt(gamma0)) - area) * omega**2 * mp.exp(-c * omega)  # of omega
    assert abs(error / omega) < 1e-12


def test_least_scale():
    for n, margin in ((2, 1.0), (16, 0.5), (10**6, 2.0)):
        y = least_scale(n, margin) * margin
        assert_allclose((y - 1) * np.exp(y), n - 1, rtol=1e-12)
        assert y < np.log(4 * (n - 1))


@given(seeds, st.integers(2, 9), st.floats(0.1, 2.0), st.floats(1.0, 5.0))
def test_the_margin_bounds_the_force_from_the_least_scale_on(seed, n, margin, factor):
    z = margin + np.random.default_rng(seed).exponential(0.3, (n, n))
    np.fill_diagonal(z, 0.0)
    profile = matrix_profile(-z)
    a = factor * least_scale(n, profile.margin)
    assert profile.force(a) <= equal_margins(n, profile.margin).force(a) * (1 + 1e-12)
    assert profile.force(a) <= profile.margin * (n - 1) * np.exp(-a * profile.margin)


def test_below_the_least_scale_larger_margins_pull_harder():
    n = 16
    a = 0.98 * least_scale(n, 1.0)
    assert equal_margins(n, 1.01).force(a) > equal_margins(n, 1.0).force(a)
    assert equal_margins(n, 1.01).force(a / 0.96) < equal_margins(n, 1.0).force(a / 0.96)


@pytest.mark.parametrize("bound", [printed_closing_bound, closing_bound, sharp_closing_bound])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("t", {"t": -1.0}),
        ("n", {"n": 1}),
        ("margin", {"margin": 0.0}),
        ("gamma0", {"gamma0": 1.0}),
        ("gamma0", {"gamma0": np.nan}),
        ("beta0", {"beta0": 1.0}),
        ("beta0", {"beta0": np.nan}),
    ],
)
def test_bad_input_is_named(bound, name, change):
    given_ = {"t": 1.0, "n": 16, "margin": 1.0, "gamma0": 0.3, "beta0": 9.0} | change
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        bound(given_["t"], given_["n"], given_["margin"], given_["gamma0"], beta0=given_["beta0"])


def test_the_slack_stays_below_the_constant():
    with pytest.raises(ValueError, match=r"`slack` must be below c2 = .*, got 50.0"):
        closing_bound(1.0, 16, 1.0, 0.3, beta0=9.0, slack=50.0)
    with pytest.raises(ValueError, match=r"`slack`"):
        closing_bound(1.0, 16, 1.0, 0.3, beta0=9.0, slack=0.0)
