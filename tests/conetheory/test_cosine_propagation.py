import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contraction import preactivation_angle
from conetheory.cosine_propagation import _infinite_width_map, propagate_cosine
from conetheory.finite_width import cosine_mean_correction, cosine_variance
from conetheory.meanfield import cone_curve
from conetheory.norm_fluctuations import log_norm_law
from sims.angle_chain import sample_angle_chains

states = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.1, 1.5))  # below, differences lose their digits
variances = st.floats(0.1, 3)


@settings(max_examples=40)
@given(states, variances, st.sampled_from([0.0, 0.3, 2.0]))
def test_derivatives_match_finite_differences(state, sigma_w2, sigma_b2):
    state, h = np.array(state), 1e-4
    _, jacobian, hessians, _ = _infinite_width_map(state, sigma_w2, sigma_b2)
    for k in range(3):
        step = np.zeros(3)
        step[k] = h
        up, low = (_infinite_width_map(state + sign * step, sigma_w2, sigma_b2) for sign in (1, -1))
        assert_allclose((up[0] - low[0]) / (2 * h), jacobian[:, k], atol=2e-6)
        for row in range(3):
            assert_allclose((up[1][row] - low[1][row]) / (2 * h), hessians[row][k], atol=2e-5)


def test_the_orbit_is_the_infinite_width_recursion():
    found = propagate_cosine(0.2, 512, 40, norm_u=3.0, norm_v=3.0, sigma_w2=1.3, sigma_b2=0.7)
    curve = cone_curve("relu", 40, q0=9.0 / 512, rho0=0.2, sigma_w2=1.3, sigma_b2=0.7 / 512)
    assert_allclose(found.infinite_width, curve.complement, rtol=1e-11)
    one = propagate_cosine(0.9, 64, 1, norm_u=1.0, norm_v=30.0)
    assert_allclose(_theta(one), preactivation_angle(0.9, 1.0, 30.0), rtol=1e-12)


def _theta(moments):
    """Return the angle of the pre-activations from the cosine after one layer, by bisection."""
    low, high = 0.0, np.pi
    for _ in range(60):
        middle = (low + high) / 2
        value = 1 - (np.sin(middle) + (np.pi - middle) * np.cos(middle)) / np.pi
        low, high = (middle, high) if value < moments.infinite_width[1] else (low, middle)
    return low


@given(st.floats(-0.9, 0.999))
def test_one_layer_is_the_delta_method(cosine):
    found = propagate_cosine(cosine, 100, 1, sigma_w2=2.0, sigma_b2=0.0)
    assert_allclose(found.complement[1] - found.infinite_width[1], -cosine_mean_correction(cosine) / 100, atol=1e-14)
    assert_allclose(found.sd[1], np.sqrt(cosine_variance(cosine) / 100), rtol=1e-12)


def test_log_norms_agree_with_their_exact_law_to_first_order():
    gaps = []
    for width in (500, 1000):
        found, law = propagate_cosine(0.3, width, 6, sigma_w2=2.0, sigma_b2=0.0), log_norm_law([width] * 6)
        gaps.append([found.log_energy[-1, 0] - law.mean, found.log_energy_sd[-1, 1] ** 2 - law.variance])
    assert_allclose(np.array(gaps[0]) / gaps[1], 4, rtol=0.01)  # the difference falls like 1/d^2


@pytest.mark.parametrize(
    ("cosine", "norm_v", "sigma_w2", "sigma_b2"), [(0.0, 1.0, 1.0, 1.0), (0.9, 30.0, 1.5, 0.3), (-0.3, 1.0, 2.0, 0.0)]
)
def test_simulated_means_and_spreads(cosine, norm_v, sigma_w2, sigma_b2):
    width, depth, n = 64, 3, 15_000
    options = {"norm_v": norm_v, "sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    chains = sample_angle_chains(np.arccos(cosine), width, depth, n, rng=8, **options)
    found = propagate_cosine(cosine, width, depth, **options)
    for layer in range(1, depth + 1):
        sample = chains.complement[:, layer]
        allowed = 4.5 * sample.std() / np.sqrt(n) + 8 * found.complement[layer] / width**2  # what 1/d leaves out
        assert abs(sample.mean() - found.complement[layer]) <= allowed
        assert_allclose(sample.std() / found.sd[layer], 1, atol=0.08)  # O(1/d)
        logs = np.log(chains.energy[:, layer])
        assert np.all(
            np.abs(logs.mean(axis=0) - found.log_energy[layer]) <= 4.5 * logs.std(axis=0) / np.sqrt(n) + 0.004
        )


@given(st.floats(0.1, 10))
def test_scaling_inputs_and_biases_together_changes_nothing(scale):
    plain = propagate_cosine(0.4, 64, 4, norm_u=1.0, norm_v=2.0)
    scaled = propagate_cosine(0.4, 64, 4, norm_u=scale, norm_v=2 * scale, sigma_b2=scale**2)
    assert_allclose(scaled.complement, plain.complement, rtol=1e-11)
    assert_allclose(scaled.sd, plain.sd, rtol=1e-9, atol=1e-15)


def test_equal_inputs_stay_equal_and_nothing_cancels_deep_in_the_cone():
    same = propagate_cosine(1.0, 64, 5)
    assert_allclose(same.cosine, 1, rtol=0, atol=0)
    deep = propagate_cosine(0.0, 10**6, 60)
    assert_allclose(deep.complement / deep.infinite_width, 1, atol=1e-4)
    assert np.all(np.diff(np.log(deep.complement[20:])) < -0.68)  # halves every layer


def test_bad_input():
    with pytest.raises(ValueError, match=r"`cosine` must lie in \[-1, 1\], got 1.5"):
        propagate_cosine(1.5, 64, 2)
    with pytest.raises(ValueError, match=r"`norm_v` must be positive, got 0.0"):
        propagate_cosine(0.5, 64, 2, norm_v=0.0)
    with pytest.raises(ValueError, match=r"`sigma_w2` must be positive, got -1.0"):
        propagate_cosine(0.5, 64, 2, sigma_w2=-1.0)
    with pytest.raises(ValueError, match=r"`sigma_b2` must be at least 0, got -1.0"):
        propagate_cosine(0.5, 64, 2, sigma_b2=-1.0)
    with pytest.raises(ValueError, match=r"`width` must be at least 16, got 1"):  # its sd would be .94 in [0, 1]
        propagate_cosine(0.0, 1, 4)
    with pytest.raises(TypeError, match=r"`width`|parameter 'width'"):  # or a checked type
        propagate_cosine(0.5, 64.0, 2)
