import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import depth_degeneracy as dd
from sims.angle_chain import sample_angle_chains
from tests import naive_depth as naive

EPS = np.finfo(float).eps
angles = st.floats(1e-6, 3.0)
layers = st.integers(2, 4096)


@settings(max_examples=40)
@given(angles, layers)
def test_the_printed_formulas_are_evaluated_as_printed(theta, width):
    with mp.workdps(60):  # the quotients cancel to theta^4 of their terms
        mean, variance = float(naive.printed_mean(theta, width)), float(naive.printed_variance(theta, width))
    assert_allclose(dd.jakub_nica_mean(theta, width), mean, rtol=1e-13, atol=1e-13)
    # the three terms of the variance, of size 8/n to 24/n, cancel as theta nears pi
    assert_allclose(dd.jakub_nica_variance(theta, width), variance, rtol=1e-12, atol=1e-12 / width)


@pytest.mark.parametrize("theta", [0.2, 1.0, 2.0])
def test_the_expansion_matches_tensors_at_40_digits(theta):
    with mp.workdps(40):
        mean, variance, third = naive.second_order(mp.cos(mp.mpf(theta)), naive.log_sine)
    found = dd.log_sine_expansion(theta)
    assert_allclose(found.mean[:3], [float(x) for x in mean], rtol=1e-11)
    assert_allclose(found.variance[:3], [float(x) for x in variance], rtol=1e-11)
    assert_allclose(found.third[2], float(third), rtol=1e-11)


@settings(max_examples=20)
@given(st.floats(0.01, 2.5))
def test_the_printed_formulas_are_right_to_first_order_and_their_error_is_the_second(theta):
    expansion, n = dd.log_sine_expansion(theta), 10**6
    remainder = n * (dd.jakub_nica_mean(theta, n) - expansion.mean[0]) - expansion.mean[1]
    assert_allclose(remainder * n, expansion.mean[2] + dd.jakub_nica_mean_error(theta), atol=0.02)
    remainder = n * dd.jakub_nica_variance(theta, n) - expansion.variance[1]
    assert_allclose(remainder * n, expansion.variance[2] + dd.jakub_nica_variance_error(theta), atol=0.02)


def test_size_and_sign_of_the_printed_error():
    assert_allclose(dd.jakub_nica_mean_error([1e-9, 0.5, 1.5]), [-92.0, -71.686, -10.279], atol=6e-4)
    assert_allclose(dd.jakub_nica_variance_error(1e-9), -112.0, rtol=1e-6)
    share = dd.jakub_nica_variance(1e-3, 128) / dd.log_sine_expansion(1e-3).at(128).variance
    assert_allclose(1 - share, 0.1, atol=0.002)


@pytest.mark.parametrize("width", [2, 3, 8, 33])
def test_the_small_angle_law_matches_plain_sums(width):
    with mp.workdps(30):
        mean, variance = naive.small_angle(width)
    assert_allclose(dd.small_angle_mean_change(width), float(mean), rtol=1e-13)
    assert_allclose(dd.small_angle_variance(width), float(variance), rtol=1e-13)


def test_the_expansion_at_small_angles_is_that_of_the_exact_law():
    theta = 1e-8
    expansion = dd.log_sine_expansion(theta)
    assert_allclose(expansion.mean[1:], [-2, -8, -40], rtol=1e-6)
    assert_allclose(expansion.variance[1:], [8, 32, 508 / 3], rtol=1e-6)
    for width in (200, 400):
        cumulants = expansion.at(width)
        change = cumulants.mean - np.log(np.sin(theta) ** 2)
        assert abs(change - dd.small_angle_mean_change(width)) < 400 / width**4
        assert abs(cumulants.variance - dd.small_angle_variance(width)) < 2000 / width**4


@given(st.floats(1e-12, 3.1))
def test_infinite_width_change_matches_40_digits(theta):
    with mp.workdps(40):
        t = mp.mpf(theta)
        kappa = (mp.sin(t) + (mp.pi - t) * mp.cos(t)) / mp.pi
        exact = float(mp.log((1 - kappa**2) / mp.sin(t) ** 2))
    assert_allclose(dd.infinite_width_log_sine_change(theta), exact, rtol=1e-13, atol=4 * EPS)


def test_small_angle_drop_as_printed():
    n, theta = 256, 0.1
    printed = np.log((n + 5) / (n - 1)) - 10 * n / (n + 5) ** 2 + 6 * n / (n - 1) ** 2 + 2 / (3 * np.pi) * theta
    assert_allclose(dd.jakub_nica_small_angle_drop(theta, n), printed, rtol=1e-12)
    # it is the printed mean at small angles
    drop = np.log(np.sin(1e-7) ** 2) - dd.jakub_nica_mean(1e-7, n)
    assert_allclose(dd.jakub_nica_small_angle_drop(1e-7, n), drop, atol=1e-12)


@pytest.mark.parametrize("theta", [0.5, 1.5])
def test_simulated_cumulants(theta):
    n, width = 60_000, 48
    complement = sample_angle_chains(theta, width, 1, n, rng=11).complement[:, 1]
    values = np.log(complement * (2 - complement))
    expected = dd.log_sine_expansion(theta).at(width)
    centred = values - values.mean()
    assert abs(values.mean() - expected.mean) <= 4.5 * values.std() / np.sqrt(n)
    spread = (centred**2).std() / np.sqrt(n)
    assert abs(values.var() - expected.variance) <= 4.5 * spread
    assert abs(values.var() - dd.jakub_nica_variance(theta, width)) > 4.5 * spread  # 20 % too small there
    assert abs((centred**3).mean() - expected.third) <= 4.5 * (centred**3).std() / np.sqrt(n)


@pytest.mark.parametrize("function", [dd.jakub_nica_mean, dd.jakub_nica_variance])
def test_bad_input_of_the_printed_formulas(function):
    with pytest.raises(ValueError, match=r"`theta` must lie strictly between 0 and pi, got 0.0"):
        function(0.0, 8)
    with pytest.raises(ValueError, match=r"`width` must be at least 2, got 1"):
        function(0.5, 1)


def test_bad_input_of_the_others():
    for function in (
        dd.log_sine_expansion,
        dd.jakub_nica_mean_error,
        dd.jakub_nica_variance_error,
        dd.infinite_width_log_sine_change,
    ):
        with pytest.raises(ValueError, match=r"`theta`.*3.2"):
            function(3.2)
        with pytest.raises(ValueError, match=r"`theta`.*nan"):
            function(np.nan)
    with pytest.raises(ValueError, match=r"`theta`.*-1.0"):
        dd.jakub_nica_small_angle_drop(-1.0, 8)
    for function in (dd.small_angle_mean_change, dd.small_angle_variance):
        with pytest.raises(ValueError, match=r"`width` must be at least 2, got 1"):
            function(1)
