import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.finite_width import cosine_variance
from conetheory.large_deviation import failure_rate
from conetheory.orthogonal import (
    _Tilt,
    orthogonal_cosine_variance,
    orthogonal_failure_probability,
    orthogonal_failure_rate,
)
from sims.estimate import proportion, sample_mean
from sims.initialisations import sample_orthogonal_cosines
from tests import naive_towers as naive

inner = st.floats(1e-3, 1 - 1e-6)
aspects = st.floats(0, 1)


def test_the_rate_at_aspect_0_is_the_gaussian_one():
    t = np.linspace(0, 60, 60001)[1:]  # the definition of theory.md 2, with a plain rule on each sector
    for cosine in (0.1, 0.9):
        theta = np.arccos(cosine)
        edges = np.array([theta - np.pi / 2, np.pi / 2, theta + np.pi / 2])
        x, w = np.polynomial.legendre.leggauss(60)
        values = np.full(len(t), (np.pi - theta) / (2 * np.pi))
        for low, high, both in ((edges[0], edges[1], True), (edges[1], edges[2], False)):
            alpha = (low + high) / 2 + (high - low) / 2 * x
            first, second = np.cos(alpha) * both, np.cos(alpha - theta)
            h = first * second - cosine / 2 * (first**2 + second**2)
            factor = 1 if both else 2  # the sector where only the first unit is on is the mirror image
            denominator = 1 + 2 * np.outer(t, h)
            inside = np.all(denominator > 0, axis=1)
            mean = np.where(inside, (1 / np.where(inside[:, None], denominator, 1)) @ w, np.inf)
            values += factor * mean * (high - low) / 2 / (2 * np.pi)
        assert_allclose(orthogonal_failure_rate(cosine, aspect=0), -np.log(values.min()), rtol=1e-5)  # grid of t


@pytest.mark.parametrize("cosine", [1e-3, 0.1, 0.5, 0.9, 0.999])
def test_the_rate_at_aspect_0_is_that_of_another_module(cosine):
    assert_allclose(orthogonal_failure_rate(cosine, aspect=0), failure_rate(cosine, 1.0, 1.0, sigma_b2=0.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("cosine", "aspect", "rtol"),
    [(1e-3, 1, 1e-12), (0.1, 1, 1e-13), (0.5, 0.5, 1e-13), (0.9, 0, 1e-12), (0.999, 0.3, 1e-12), (1 - 1e-6, 1, 1e-11)],
)
def test_the_rate_is_the_maximum_of_its_definition(cosine, aspect, rtol):
    tilt = _Tilt(cosine, aspect)
    with mp.workdps(25):
        best = naive.orthogonal_log_mean(cosine, aspect, tilt.t, tilt.lam)
        assert abs(float(orthogonal_failure_rate(cosine, aspect=aspect) / best - 1)) < rtol
        for dt, dlam in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
            if aspect or not dlam:
                assert naive.orthogonal_log_mean(cosine, aspect, tilt.t * (1 + dt), tilt.lam + dlam) < best


@pytest.mark.parametrize(("cosine", "aspect"), [(0.1, 1.0), (0.6, 0.4), (0.9, 0.0)])
def test_the_prefactor_is_that_of_full_covariances(cosine, aspect):
    tilt = _Tilt(cosine, aspect)
    expected = naive.orthogonal_prefactor(cosine, aspect, tilt.t, tilt.lam)
    assert_allclose(tilt.prefactor(), expected, rtol=1e-8)  # the error of the grid at the kinks
    found = orthogonal_failure_probability(cosine, 100, aspect=aspect)
    assert_allclose(found, expected * np.exp(100 * tilt.log_mean) / np.sqrt(200 * np.pi), rtol=1e-8)


@settings(max_examples=40)
@given(inner, aspects, aspects)
def test_the_rate_is_positive_and_increases_with_the_aspect(cosine, one, other):
    low, high = sorted((one, other))
    rate = orthogonal_failure_rate(cosine, aspect=[low, high])
    assert rate[0] > 0
    assert rate[1] >= rate[0] * (1 - 1e-10)


@settings(max_examples=30)
@given(inner, inner)
def test_the_rate_decreases_with_the_cosine(one, other):
    low, high = sorted((one, other))
    rate = orthogonal_failure_rate([low, high])
    assert rate[1] <= rate[0] * (1 + 1e-10)


def test_limits_of_the_rate():
    ratio = orthogonal_failure_rate(1 - 1e-8) / orthogonal_failure_rate(1 - 1e-8, aspect=0)
    assert_allclose(ratio, 2, rtol=1e-4)  # the correction is of order theta = 1.4e-4
    theta = np.arccos(1 - 1e-8)
    assert_allclose(orthogonal_failure_rate(1 - 1e-8), theta**2 / (18 * np.pi**2), rtol=1e-3)
    assert orthogonal_failure_rate(0.3, aspect=7.0) == orthogonal_failure_rate(0.3)
    assert_allclose(orthogonal_failure_rate(0.3, aspect=1e-9), orthogonal_failure_rate(0.3, aspect=0), rtol=1e-7)


def test_the_gradient_of_the_rate_vanishes_at_the_tilt():
    tilt = _Tilt(0.3, 0.7)
    step = 1e-4
    for dt, dlam in ((step, 0), (0, step)):
        up = tilt._objective(tilt.t + dt, tilt.lam + dlam)[0]
        down = tilt._objective(tilt.t - dt, tilt.lam - dlam)[0]
        assert abs(up - down) / (2 * step) < 1e-7


def test_the_variance_has_a_closed_form():
    """Against the projection that it comes from: v - 16 γ (mean of y cos 2α)², by the sum over a fine grid."""
    for rho in (-0.9, -0.3, 0.0, 0.5, 0.99):
        theta = np.arccos(rho)
        alpha = (np.arange(200_000) + 0.5) * 2 * np.pi / 200_000
        first, second = np.maximum(np.cos(alpha + theta / 2), 0), np.maximum(np.cos(alpha - theta / 2), 0)
        kappa = (np.sin(theta) + (np.pi - theta) * rho) / np.pi
        y = 2 * first * second - kappa * (first**2 + second**2)
        for aspect in (0.0, 0.4, 1.0):
            expected = 8 * np.mean(y**2) - 16 * aspect * np.mean(y * np.cos(2 * alpha)) ** 2
            assert_allclose(orthogonal_cosine_variance(rho, aspect=aspect), expected, atol=1e-9)  # the grid's error


@given(st.floats(-1, 1), aspects)
def test_the_variance_lies_between_0_and_the_gaussian_one(rho, aspect):
    value, gaussian = orthogonal_cosine_variance(rho, aspect=aspect), cosine_variance(rho)
    assert -1e-15 <= value <= gaussian


def test_the_variance_halves_near_1():
    rho = 1 - 1e-8
    assert_allclose(orthogonal_cosine_variance(rho) / cosine_variance(rho), 0.5, rtol=1e-4)


@pytest.mark.parametrize(("aspect", "dim_in"), [(1.0, 128), (0.5, 256)])
def test_variance_against_simulation(aspect, dim_in):
    rho, width = 0.3, 128
    cosines = sample_orthogonal_cosines(rho, width, 40_000, dim_in=dim_in, rng=1)
    spread = sample_mean(width * (cosines - cosines.mean()) ** 2)
    # remainder of order 1/width: 7 at width 64, measured once with two million layers
    assert abs(spread.value - orthogonal_cosine_variance(rho, aspect=aspect)) <= 4.5 * spread.stderr + 3 / width
    assert abs(spread.value - cosine_variance(rho)) > 20 * spread.stderr


@pytest.mark.parametrize(("width", "dim_in", "n"), [(32, 32, 400_000), (32, 64, 200_000), (48, 48, 600_000)])
def test_probability_against_simulation(width, dim_in, n):
    cosines = sample_orthogonal_cosines(0.1, width, n, dim_in=dim_in, rng=2)
    found = proportion(int(np.sum(~(cosines > 0.1))), n)
    predicted = orthogonal_failure_probability(0.1, width, aspect=width / dim_in)
    # good to O(1/d): 15.0, 9.4, 6.6 % too large at d = 16, 32, 48 with millions of layers (2.4, 3.0, 3.1 over d)
    assert found.value - 4.5 * found.stderr <= predicted
    assert predicted <= (found.value + 4.5 * found.stderr) * (1 + 4 / width)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: orthogonal_failure_rate(0.0), "`cosine` must lie in \\(0, 1\\), got 0.0"),
        (lambda: orthogonal_failure_rate(np.nan), "`cosine` must be finite"),
        (lambda: orthogonal_failure_rate(0.5, aspect=-1), "`aspect` must be at least 0, got -1"),
        (lambda: orthogonal_failure_probability(0.5, 0), "`width` must be positive, got 0"),
        (lambda: orthogonal_cosine_variance(1.5), "`rho` must lie in \\[-1, 1\\], got 1.5"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
