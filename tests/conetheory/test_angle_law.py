import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from conetheory._layer_cumulants import Cumulants, expand, log_tan_square
from conetheory.angle_law import AngleLaw, _step_cumulants, _step_density, angle_law
from conetheory.depth_degeneracy import jakub_nica_mean, jakub_nica_variance, small_angle_mean_change
from conetheory.meanfield import cone_curve
from sims.angle_chain import sample_angle_chains

P_VALUE = 1e-5


@settings(max_examples=25)
@given(st.floats(1e-12, 3.1), st.integers(16, 4096))
def test_the_table_of_steps_is_the_expansion(theta, width):
    found, direct = _step_cumulants(np.array([theta]), width), expand(log_tan_square, np.array([theta])).at(width)
    for name in ("mean", "variance", "third", "fourth"):
        assert_allclose(getattr(found, name), getattr(direct, name), rtol=1e-12, atol=1e-12)


def test_a_step_has_its_four_cumulants():
    step = Cumulants(mean=np.array([0.3]), variance=np.array([1.7]), third=np.array([-0.4]), fourth=np.array([0.6]))
    x = np.linspace(-20, 20, 4001)
    density = _step_density(step, x)[0] * (x[1] - x[0])
    central = [density @ (x - 0.3) ** k for k in range(5)]
    assert_allclose(central, [1, 0, 1.7, -0.4, 0.6 + 3 * 1.7**2], rtol=1e-12, atol=1e-12)
    sixth = 15 * 1.7**3 + 15 * 0.6 * 1.7 + 10 * 0.4**2  # the law of these cumulants, the fifth and sixth 0
    assert_allclose(density @ (x - 0.3) ** 6, sixth, rtol=1e-12)


@pytest.mark.parametrize(
    ("theta0", "width", "depth", "n"),
    [(0.1, 256, 32, 3000), (np.pi / 2, 64, 1, 40_000), (np.pi / 2, 64, 30, 8000), (0.5, 32, 4, 20_000)],
)
def test_the_law_is_that_of_simulated_networks(theta0, width, depth, n):
    """Among them the setting of Jakub and Nica: width 256, depth 32, angle .1."""
    theta = sample_angle_chains(theta0, width, depth, n, rng=5).theta[:, -1]
    law = angle_law(theta0, width, depth)
    assert stats.kstest(theta, law.cdf).pvalue > P_VALUE
    x = 2 * np.log(np.tan(theta / 2))
    assert abs(x.mean() - law.mean) <= 4.5 * x.std() / np.sqrt(n)
    centred = (x - x.mean()) ** 2
    assert abs(x.var() - law.variance) <= 4.5 * centred.std() / np.sqrt(n)
    assert abs(np.cos(theta).mean() - law.mean_cosine) <= 4.5 * np.cos(theta).std() / np.sqrt(n)


def test_the_comparison_sees_the_printed_steps():
    """Normal steps of the printed mean and variance are not the law of width 32."""
    rng, theta = np.random.default_rng(1), np.full(20_000, 0.5)
    for _ in range(4):
        noise = np.sqrt(jakub_nica_variance(theta, 32)) * rng.standard_normal(theta.size)
        theta = np.arcsin(np.minimum(np.exp((jakub_nica_mean(theta, 32) + noise) / 2), 1))
    assert stats.kstest(theta, angle_law(0.5, 32, 4).cdf).pvalue < P_VALUE


@settings(max_examples=15)
@given(st.floats(1e-6, 1.5), st.integers(64, 2000), st.integers(1, 12))
def test_it_is_a_law(theta0, width, depth):
    law = angle_law(theta0, width, depth)
    assert_allclose(law.expectation(np.ones_like(law.x)), 1, rtol=1e-12)
    levels = np.linspace(0.01, 0.99, 23)
    quantiles = law.quantile(levels)
    assert np.all(np.diff(quantiles) > 0)
    assert_allclose(law.cdf(quantiles), levels, atol=1e-10)
    assert_allclose(law.cdf([0.0, np.pi]), [0, 1], atol=1e-12)
    assert np.min(law.density) > -0.02 * np.max(law.density)


def test_the_grid_is_fine_enough(monkeypatch):
    levels = np.linspace(0.02, 0.98, 13)
    coarse = angle_law(1.0, 64, 10)
    quantiles = coarse.quantile(levels)
    monkeypatch.setattr("conetheory.angle_law._POINTS_PER_STEP", 4.0)
    monkeypatch.setattr("conetheory.angle_law._REACH", 12.0)
    assert_allclose(angle_law(1.0, 64, 10).cdf(quantiles), levels, atol=1e-7)


def test_a_wide_network_follows_the_infinite_one():
    law = angle_law(np.pi / 2, 10**7, 5)
    assert_allclose(law.mean_cosine, cone_curve("relu", 5, sigma_w2=2.0).rho[-1], atol=2e-6)


def test_finite_width_closes_the_angle_exponentially():
    """Geometric mean of the angle after 30 layers of width 64: .164, against .237 at infinite width."""
    law = angle_law(np.pi / 2, 64, 30)
    assert_allclose(np.exp(law.expectation(np.log(law.theta))), 0.164, atol=5e-4)
    assert_allclose(law.quantile(0.5), 0.171, atol=5e-4)
    far = [angle_law(0.01, 64, depth).mean for depth in (20, 40)]
    assert_allclose((far[1] - far[0]) / 20, -2 / 64 - 8 / 64**2 - 40 / 64**3, rtol=0.1)


@pytest.mark.parametrize(("width", "n", "share"), [(16, 800, 0.3), (32, 400, 0.3)])
def test_networks_far_deeper_than_wide(width, n, share):
    """The grid reaches angles of pi in floating point, where the expansion fails; what a step lacks adds up."""
    law = angle_law(1.5, width, 5 * width)
    assert np.all(np.isfinite(law.density))
    assert_allclose(law.expectation(np.ones_like(law.x)), 1, rtol=1e-12)
    complement = sample_angle_chains(1.5, width, 5 * width, n, rng=1).complement[:, -1]
    complement = complement[complement > 0]
    x = np.log(complement) - np.log(2 - complement)
    noise = 4.5 * np.sqrt(law.variance / x.size)
    exact = small_angle_mean_change(width) + 2 / width + 8 / width**2 + 40 / width**3  # what the mean of a step lacks
    assert abs(law.mean - x.mean()) <= noise + 1.5 * 5 * width * abs(exact)
    assert_allclose(law.variance / x.var(), 1, atol=share)


def test_angles_left_out_of_a_step_do_not_matter(monkeypatch):
    levels = np.linspace(0.001, 0.999, 15)
    quantiles = angle_law(1.0, 64, 10).quantile(levels)
    monkeypatch.setattr("conetheory.angle_law._NEGLIGIBLE", 0.0)
    assert_allclose(angle_law(1.0, 64, 10).cdf(quantiles), levels, atol=1e-13)


def test_known_moments_of_a_normal_law():
    x = np.linspace(-9, 9, 361)
    law = AngleLaw(x=x, density=stats.norm.pdf(x))
    assert_allclose([law.mean, law.variance, law.mean_cosine], [0, 1, 0], atol=1e-12)
    assert_allclose(law.cdf(np.pi / 2), 0.5, atol=1e-12)
    assert_allclose(law.quantile(stats.norm.cdf(1.0)), 2 * np.arctan(np.exp(0.5)), rtol=1e-7)


def test_bad_input():
    for theta0 in (0.0, np.pi, -1.0, np.nan):
        with pytest.raises(ValueError, match="`theta0`"):
            angle_law(theta0, 64, 2)
    for theta0, width in ((3.1, 16), (np.pi - 24.9 / 64, 64)):  # an atom at a right angle, which no expansion knows
        with pytest.raises(ValueError, match=rf"`theta0` must be at most pi - 25 / `width`, .* got {theta0!r}"):
            angle_law(theta0, width, 1)
    assert_allclose(angle_law(np.pi - 25.1 / 64, 64, 1).cdf(np.pi), 1, rtol=1e-12)
    with pytest.raises(ValueError, match=r"`width` must be at least 16, got 15"):
        angle_law(0.5, 15, 2)
    with pytest.raises(ValueError, match=r"`depth` must be at least 1, got 0"):
        angle_law(0.5, 64, 0)
    law = angle_law(0.5, 64, 1)
    with pytest.raises(ValueError, match=r"`theta` must lie in \[0, pi\]"):
        law.cdf(4.0)
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1"):
        law.quantile(1.0)
