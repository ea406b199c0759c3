import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import covariance_sde as sde
from conetheory.contraction import limiting_cosine
from conetheory.errors import ConvergenceError
from sims.angle_chain import sample_shaped_chains
from tests.strategies import cosines

EPS = np.finfo(float).eps
strengths = st.floats(0, 3)


@given(cosines, strengths)
def test_drift_matches_the_formula_at_40_digits(rho, gamma):
    with mp.workdps(40):
        r = mp.mpf(rho)
        exact = float(mp.mpf(gamma) * (mp.sqrt(1 - r * r) - r * mp.acos(r)) - r * (1 - r * r) / 2)
    assert_allclose(sde.covariance_drift(rho, gamma), exact, rtol=0, atol=16 * EPS)
    assert_allclose(sde.covariance_diffusion(rho), 1 - rho * rho, rtol=0, atol=4 * EPS)


@given(st.floats(-0.99, 0.99), strengths)
def test_the_angle_and_the_area_tangent_have_the_drift_of_ito(rho, gamma):
    drift, noise, theta = sde.covariance_drift(rho, gamma), 1 - rho * rho, np.arccos(rho)
    # theta = arccos rho: -drift/sin - rho noise^2 / (2 sin^3), and -gamma (1 - theta cot theta) as stated
    ito = -drift / np.sin(theta) - rho * noise**2 / (2 * np.sin(theta) ** 3)
    assert_allclose(ito, -gamma * (1 - theta / np.tan(theta)), rtol=1e-9, atol=1e-12)
    y = np.arctanh(rho)
    ito = drift / noise + rho * noise**2 / (noise**2)
    assert_allclose(sde._lamperti_drift(np.array(y), gamma), ito, rtol=1e-9, atol=1e-12)


def test_known_values():
    assert_allclose(sde.covariance_drift([-1, 0, 1], 0.5), [np.pi / 2, 0.5, 0], atol=1e-15)
    assert_allclose(sde.kink_strength(1.0, -1.0), 2 / np.pi)
    # ReLU itself, s+ = 1 and s- = 0: its mean step at infinite width is kappa - rho, exactly
    rho = np.array([-0.7, 0.0, 0.4, 0.95])
    step = sde.covariance_drift(rho, sde.kink_strength_at_width(1.0, 0.0, 1)) + 0.5 * rho * (1 - rho**2)
    assert_allclose(step, limiting_cosine(rho, 1.0, 1.0, sigma_b2=0.0) - rho, atol=1e-15)
    n = 10**10
    plus, minus = (1 + c / np.sqrt(n) for c in (1.5, -0.5))
    assert_allclose(sde.kink_strength_at_width(plus, minus, n), sde.kink_strength(1.5, -0.5), rtol=3e-5)


@settings(max_examples=8)
@given(st.floats(-0.9, 0.95), st.floats(0.05, 3))
def test_without_a_kink_the_angle_is_a_martingale(rho0, t):
    law = sde.covariance_law(rho0, t, 0.0)
    assert_allclose(law.expectation(np.ones_like(law.x)), 1, rtol=1e-10)
    assert_allclose(law.expectation(law.theta), np.arccos(rho0), rtol=2e-5)
    assert np.min(law.density) > -1e-12


@pytest.mark.parametrize(
    ("rho0", "t", "gamma"),
    [(0.0, 0.25, 0.5), (-0.99, 1.0, 1.0), (0.0, 1.0, 50.0), (0.5, 5.0, 100.0), (0.0, 50.0, 10.0)],
)
def test_the_law_is_as_accurate_as_stated(rho0, t, gamma):
    law = sde.covariance_law(rho0, t, gamma)
    doublings = round(np.log2(law.x.size / sde._CELLS))
    finer = sde._solve(np.arctanh(rho0), t, gamma, doublings + 1)
    at = np.clip(law.x, finer.x[0], finer.x[-1])
    assert np.max(np.abs(law._integral()(at) - finer._integral()(at))) < 2e-5
    assert np.min(law.density) > -1e-12 * np.max(law.density)


def test_far_in_time_the_cosine_settles():
    """Without a kink half of the networks reach each end, at speed 1/2; with one, all reach 1 (shift: the kink)."""
    law = sde.covariance_law(0.0, 100.0, 0.0)
    assert_allclose(law.cdf(np.pi / 2), 0.5, atol=1e-10)
    assert_allclose(law.expectation(np.abs(law.x)), 100, rtol=0.02)
    assert_allclose(sde.covariance_law(0.0, 100.0, 10.0).cdf(np.pi / 2), 1, atol=1e-12)


def test_a_strong_kink_follows_the_flow_without_noise():
    """d theta = -gamma (1 - theta cot theta) dt, by Runge and Kutta; the noise is of order sqrt t."""
    law, theta, gamma, steps = sde.covariance_law(0.0, 1e-3, 300.0), np.pi / 2, 300.0, 1000
    for _ in range(steps):
        h = -gamma * 1e-3 / steps
        middle = theta + h / 2 * (1 - theta / np.tan(theta))
        theta += h * (1 - middle / np.tan(middle))
    assert_allclose(law.quantile(0.5), theta, atol=2e-3)


def test_a_law_lost_in_its_drift_is_refused(monkeypatch):
    monkeypatch.setattr(sde, "_MOST_DOUBLINGS", 1)
    with pytest.raises(ConvergenceError, match=r"`gamma` 1000.0 still moved by") as failure:
        sde.covariance_law(0.0, 0.01, 1000.0)
    assert failure.value.error > 1e-3


@given(st.floats(0, 700), st.floats(0, 1e3))
def test_the_drift_is_bounded_above_the_equator(y, gamma):
    assert sde._lamperti_drift(np.float64(y), gamma) <= (gamma * np.exp(-y) + 0.5) * (1 + 1e-12)


def test_the_law_is_that_of_euler_paths_of_the_cosine():
    """An independent route to the same SDE, in the cosine itself; the time step leaves a bias of about 1e-3."""
    rng, n, steps, t, gamma = np.random.default_rng(2), 20_000, 800, 0.5, 0.8
    rho = np.full(n, 0.2)
    for _ in range(steps):
        noise = rng.standard_normal(n) * np.sqrt(t / steps)
        rho = np.clip(rho + sde.covariance_drift(rho, gamma) * t / steps + (1 - rho**2) * noise, -1, 1)
    law = sde.covariance_law(0.2, t, gamma)
    assert abs(rho.mean() - law.mean_cosine) <= 4.5 * rho.std() / np.sqrt(n) + 1e-3
    for level in (0.1, 0.5, 0.9):
        share = np.mean(np.arccos(rho) <= law.quantile(level))
        assert abs(share - level) <= 4.5 * np.sqrt(level * (1 - level) / n) + 2e-3


def test_shaped_networks_follow_it():
    width, n, t = 64, 4000, 0.25
    plus, minus = (1 + c / np.sqrt(width) for c in (1.0, -1.0))
    rho = sample_shaped_chains(0.3, width, round(t * width), n, slope_plus=plus, slope_minus=minus, rng=4)[:, -1]
    law = sde.covariance_law(0.3, t, sde.kink_strength_at_width(plus, minus, width))
    assert abs(rho.mean() - law.mean_cosine) <= 4.5 * rho.std() / np.sqrt(n) + 1 / width
    square = law.expectation(np.tanh(-law.x / 2) ** 2)
    assert abs((rho**2).mean() - square) <= 4.5 * (rho**2).std() / np.sqrt(n) + 1 / width


def test_bad_input():
    for rho0 in (1.0, -1.0):
        with pytest.raises(ValueError, match="`rho0` must lie strictly between -1 and 1"):
            sde.covariance_law(rho0, 0.5, 1.0)
    with pytest.raises(ValueError, match=r"`t` must be positive, got 0.0"):
        sde.covariance_law(0.5, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"`t` must be at most 100, got 101.0"):
        sde.covariance_law(0.5, 101, 1.0)
    with pytest.raises(ValueError, match=r"`gamma` must be at least 0, got -1.0"):
        sde.covariance_drift(0.5, -1.0)
    with pytest.raises(ValueError, match=r"`rho` must lie in \[-1, 1\], got 2.0"):
        sde.covariance_diffusion(2.0)
    with pytest.raises(ValueError, match=r"`c_plus` must be finite, got nan"):
        sde.kink_strength(np.nan, 0.0)
    with pytest.raises(ValueError, match="`slope_plus` and `slope_minus` must not both be 0"):
        sde.kink_strength_at_width(0.0, 0.0, 64)
