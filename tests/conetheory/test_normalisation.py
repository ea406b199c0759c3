import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.dual import c_map_complement, dual_activation
from conetheory.meanfield import layer_map
from conetheory.normalisation import (
    PairState,
    activate,
    activation_mean,
    dense,
    layer_norm,
    rms_norm,
    sum_complement,
)
from sims.estimate import sample_mean
from sims.towers import normalised_cosines
from tests import naive_towers as naive

EPS = np.finfo(float).eps
sizes = st.floats(1e-3, 1e3)
complements = st.floats(0, 2)


def state_of(u, v):
    """Return the state of two vectors, which describes them exactly."""
    return PairState(
        var_u=np.var(u),
        var_v=np.var(v),
        complement=1 - naive.centred_cosine(u, v),
        mean_u=np.mean(u),
        mean_v=np.mean(v),
    )


def pair(seed, width=50):
    u, v = np.random.default_rng(seed).standard_normal((2, width)) * [[2.0], [0.5]] + [[1.0], [-0.3]]
    return u, v + 0.4 * u


@pytest.mark.parametrize("seed", range(5))
def test_a_state_knows_mean_squares_and_cosine_of_vectors(seed):
    u, v = pair(seed)
    state = state_of(u, v)
    assert_allclose([state.q_u, state.q_v], [np.mean(u * u), np.mean(v * v)], rtol=1e-14)
    assert_allclose(state.cosine, u @ v / np.linalg.norm(u) / np.linalg.norm(v), rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_normalisations_are_exact_for_vectors(seed):
    u, v = pair(seed)
    for layer, function in (
        (rms_norm, lambda x: x / np.sqrt(np.mean(x * x))),
        (layer_norm, lambda x: (x - x.mean()) / x.std()),
    ):
        after, expected = layer(state_of(u, v)), state_of(function(u), function(v))
        for name in ("var_u", "var_v", "mean_u", "mean_v", "complement"):
            assert_allclose(getattr(after, name), getattr(expected, name), rtol=1e-13, atol=1e-14)


@given(sizes, sizes, complements, sizes, sizes, complements)
def test_the_sum_of_orthogonal_pairs(p_u, p_v, eps, r_u, r_v, eta):
    with mp.workdps(50):
        p, r = mp.sqrt(mp.mpf(p_u) * p_v), mp.sqrt(mp.mpf(r_u) * r_v)
        norm = mp.sqrt((mp.mpf(p_u) + r_u) * (mp.mpf(p_v) + r_v))
        expected = float(1 - (p * (1 - mp.mpf(eps)) + r * (1 - mp.mpf(eta))) / norm)
    value = sum_complement((p_u, p_v, eps), (r_u, r_v, eta))
    assert_allclose(value, expected, rtol=16 * EPS, atol=1e-300)  # subnormal complements have fewer digits
    assert 0 <= value <= 2


def test_a_tiny_angle_between_sums_is_not_lost():
    with mp.workdps(60):
        expected = 1 - (1 + mp.sqrt(1 + mp.mpf(2) ** -40)) / mp.sqrt(2 * (2 + mp.mpf(2) ** -40))
    assert_allclose(sum_complement((1, 1, 0), (1, 1 + 2**-40, 0)), float(expected), rtol=16 * EPS)


@pytest.mark.parametrize("delta", [1e-2, 1e-6, 1e-10])
@pytest.mark.parametrize("bias", [1.0, 0.1])
def test_a_tiny_angle_behind_biases_is_not_lost(delta, bias):
    state = PairState(var_u=1.0, var_v=1.0 + delta, complement=0.0)
    with mp.workdps(60):
        q, b = mp.mpf(float(state.var_v)), mp.mpf(bias) / 3
        expected = 1 - (mp.sqrt(q) + b) / mp.sqrt((1 + b) * (q + b))
    assert_allclose(dense(state, sigma_w2=3.0, sigma_b2=bias).complement, float(expected), rtol=16 * EPS)


@pytest.mark.parametrize("size", [1e160, 1e-170])
def test_mean_squares_of_any_size(size):
    first, second = np.array([1, 3]) * size, np.array([2, 1]) * size
    expected = sum_complement((1, 3, 0.2), (2, 1, 0.1))
    assert_allclose(sum_complement((*first, 0.2), (*second, 0.1)), expected, rtol=16 * EPS)
    assert_allclose(sum_complement((first[0], 3, 0.2), (second[0], 1, 0.1)), expected, rtol=16 * EPS)


@pytest.mark.parametrize("k", [1e-6, 1e-3, 1.0])
def test_an_almost_constant_activation_keeps_its_digits(k):
    with mp.workdps(50):
        var = mp.exp(-k) * mp.cosh(mp.mpf(k)) - mp.exp(-k)
        expected = (mp.cosh(mp.mpf(k)) - mp.cosh(mp.mpf(k) / 2)) * mp.exp(-k) / var
    after = activate(PairState(var_u=k, var_v=k, complement=0.5), "cos")
    # the named cosine is a closed form, the function a quadrature of differences of order k of values of order 1
    assert_allclose([after.var_u, after.complement], [float(var), float(expected)], rtol=1e-14)
    function = activate(PairState(var_u=k, var_v=k, complement=0.5), lambda x: np.cos(x))
    assert_allclose([function.var_u, function.complement], [float(var), float(expected)], rtol=1e-12 + 1e-15 / k)


def test_maxout_has_a_mean():
    state = PairState(var_u=3.0, var_v=3.0, complement=0.4)
    after = activate(state, "maxout2")
    assert_allclose([after.mean_u, after.q_u], [np.sqrt(3 / np.pi), 3.0], rtol=1e-14)
    assert_allclose(after.cosine_complement, c_map_complement("maxout2", 0.4), rtol=1e-13)
    other = activate(PairState(var_u=3.0, var_v=3.0 * (1 + 1e-15), complement=0.4), "maxout2")  # the other branch
    assert_allclose(other.complement, after.complement, rtol=1e-13)
    draws = np.random.default_rng(20).standard_normal((2, 200_000)) * np.sqrt(3)
    assert abs(sample_mean(draws.max(axis=0)).zscore(float(after.mean_u))) < 4.5


def layer_norm_map(complement, sigma_b2):
    state = PairState(var_u=1.0, var_v=1.0, complement=complement)
    return float(layer_norm(activate(dense(state, sigma_b2=sigma_b2), "relu")).complement)


def test_biases_decide_whether_layer_norm_prevents_the_cone():
    """Slope at cosine 1: π/(π − 1) σ_w²/(σ_w² + s_b), below 1 from s_b/σ_w² = 1/(π − 1)."""
    for sigma_b2 in (0.0, 0.4, 1.0):
        slope = np.pi / (np.pi - 1) / (1 + sigma_b2)
        assert_allclose(layer_norm_map(1e-14, sigma_b2) / 1e-14, slope, atol=1e-6)  # O(√ε)
    after = []
    for sigma_b2 in (0.0, 0.4, 1.0):
        complement = 0.9
        for _ in range(60):
            complement = layer_norm_map(complement, sigma_b2)
        after.append(complement)
    assert 1 - 1e-8 < after[0] < 1
    assert 0.04 < after[1] < 0.05
    assert after[2] < 1e-8


@pytest.mark.parametrize("sigma_b2", [0.2, 1.0])
def test_biases_against_simulation(sigma_b2):
    complement = 0.9
    for _ in range(4):
        complement = layer_norm_map(complement, sigma_b2)
    found = sample_mean(normalised_cosines(0.1, "relu", 256, 400, depth=4, sigma_b2=sigma_b2, rng=21)[:, -1])
    assert abs(found.value - (1 - complement)) <= 4.5 * found.stderr + 8 / 256  # O(1/width) a layer


@given(st.floats(0.1, 10), st.floats(-1, 1), st.floats(0.1, 4), st.floats(0, 4))
def test_plain_layers_agree_with_mean_field(q, rho, sigma_w2, sigma_b2):
    expected = layer_map("relu", q, rho, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    state = PairState(var_u=q, var_v=q, complement=1 - rho)
    after = activate(dense(state, sigma_w2=sigma_w2, sigma_b2=sigma_b2), "relu")
    assert_allclose(after.q_u, expected.q, rtol=1e-13)
    assert_allclose(after.cosine, expected.rho, atol=1e-13)


def test_known_means():
    assert_allclose(activation_mean("relu", [0, 1, 4]), np.array([0, 1, 2]) / np.sqrt(2 * np.pi), rtol=1e-13)
    assert_allclose(activation_mean("tanh", 3.0), 0, atol=1e-15)
    assert_allclose(activation_mean("sigmoid", 2.0), 0.5, rtol=1e-13)
    assert_allclose(activation_mean("gelu", 2.0), 2 / np.sqrt(2 * np.pi * 3), rtol=1e-13)  # E z Phi(z), by parts


def test_layer_norm_after_relu_by_hand():
    """Without its mean the C-map of ReLU is (kappa - 1/pi)/(1 - 1/pi): 0 at 0, slope 1/(1 - 1/pi) at 1."""
    rho = np.array([-1, -0.5, 0, 0.5, 1])
    after = activate(PairState(var_u=3.0, var_v=3.0, complement=1 - rho), "relu")
    kappa = 2 * dual_activation("relu", rho)
    assert_allclose(layer_norm(after).cosine, (kappa - 1 / np.pi) / (1 - 1 / np.pi), atol=1e-14)
    tiny = activate(PairState(var_u=3.0, var_v=3.0, complement=1e-20), "relu")
    assert_allclose(tiny.complement, c_map_complement("relu", 1e-20) / (1 - 1 / np.pi), rtol=1e-13)


def test_unequal_variances_meet_equal_ones():
    near = activate(PairState(var_u=1.0, var_v=1.0 + 1e-12, complement=0.3), "gelu")
    same = activate(PairState(var_u=1.0, var_v=1.0, complement=0.3), "gelu")
    assert_allclose(near.complement, same.complement, rtol=1e-11)
    # relu is homogeneous: the variances do not matter
    apart = activate(PairState(var_u=1.0, var_v=9.0, complement=0.3), "relu")
    assert_allclose(
        apart.complement, activate(PairState(var_u=1, var_v=1, complement=0.3), "relu").complement, rtol=1e-13
    )


@pytest.mark.parametrize(("activation", "norm"), [("relu", "layer"), ("relu", "rms"), ("gelu", "layer")])
def test_normalised_layers_against_simulation(activation, norm):
    width, depth, rho = 256, 3, 0.6
    normalise = layer_norm if norm == "layer" else rms_norm
    state, expected = PairState(var_u=1.0, var_v=1.0, complement=1 - rho), [rho]
    for _ in range(depth):
        state = normalise(activate(dense(state), activation))
        expected.append(float(state.cosine))
    curves = normalised_cosines(rho, activation, width, 400, depth=depth, norm=norm, rng=3)
    for column, value in zip(curves.T[1:], expected[1:], strict=True):
        found = sample_mean(column)
        assert abs(found.value - value) <= 4.5 * found.stderr + 2 * depth / width  # O(1/width) a layer


def test_bad_input_is_named():
    good = {"var_u": 1.0, "var_v": 1.0, "complement": 0.5}
    for name, bad in (("var_u", 0.0), ("var_v", -1.0), ("complement", 2.5), ("complement", np.nan), ("mean_u", np.inf)):
        with pytest.raises(ValueError, match=f"`{name}` must .*got {bad}"):
            PairState(**{**good, name: bad})
    with pytest.raises(ValueError, match="`sigma_w2` must be positive, got 0"):
        dense(PairState(**good), sigma_w2=0.0)
    with pytest.raises(ValueError, match=r"`state` must have means 0, .* got 1\.0"):
        activate(PairState(**good, mean_u=1.0), "relu")
    with pytest.raises(ValueError, match="`activation` must not be constant"):
        activate(PairState(**good), np.ones_like)
    with pytest.raises(ValueError, match=r"`second` must lie in \[0, 2\], got 3\.0"):
        sum_complement((1, 1, 0), (1, 1, 3))
