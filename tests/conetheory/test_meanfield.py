import json

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.hermite_e import hermegauss
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.dual import ACTIVATIONS, activation_function, c_map_complement, dual_activation, second_moment
from conetheory.errors import ConvergenceError
from conetheory.meanfield import cone_curve, layer_map, mean_with_diagonal, relu_unit_norm_recursion
from tests import naive_gaussian
from tests.strategies import cosines

NAMES = tuple(ACTIVATIONS)
BIASES = {"bias_var_1/512": 1 / 512, "no_bias": 0.0, "bias_uniform_torch_default": 1 / 1536}
IN_THE_FILE = {"leaky_relu": "leaky_relu(.01)", "quick_gelu": "quickgelu"}
PUBLISHED = ("linear", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "quick_gelu")  # the file has elu too: below
PRINTED = [0.608998, 0.830702, 0.922774, 0.963668, 0.982570, 0.991529, 0.995847, 0.997952, 0.998986, 0.999496]


@pytest.fixture(scope="module")
def reference(data_file):
    """Cosine curves of the random MLPs of Fig. 2(b) in the infinite-width limit, mean with the diagonal, 8 digits."""
    curves = json.loads(data_file("mind_the_gap/reference.json").read_text())["mlp_meanfield_incl_diag_n1024_d512"]
    return lambda bias, name: np.array(curves[bias][IN_THE_FILE.get(name, name)])


def gauss_hermite_curve(name, depth, sigma_b2, order):
    """The recursion by a product Gauss-Hermite rule, which is wrong where the activation has a kink at 0."""
    phi = activation_function(name)
    x, w = hermegauss(order)
    w = w / w.sum()
    q, rho, curve = 1.0, 0.0, [0.0]
    for _ in range(depth):
        k = q + sigma_b2
        c = (q * rho + sigma_b2) / k
        v = c * x[:, None] + np.sqrt(1 - c * c) * x
        q = w @ phi(np.sqrt(k) * x) ** 2
        rho = w @ (phi(np.sqrt(k) * x)[:, None] * phi(np.sqrt(k) * v)) @ w / q
        curve.append(rho)
    return np.array(curve)


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("name", PUBLISHED)
def test_reference_curves(reference, bias, name):
    ours = mean_with_diagonal(cone_curve(name, 25, sigma_b2=BIASES[bias]).rho, 1024)
    assert_allclose(ours, reference(bias, name), rtol=0, atol=5.1e-9)  # eight printed digits


@pytest.mark.parametrize("bias", BIASES)
def test_the_elu_reference_is_a_gauss_hermite_rule(reference, bias):
    """ELU bends at 0: the file has the value of the 201-point rule, off by 3e-5. Ours agrees with mpmath (below)."""
    hermite = gauss_hermite_curve("elu", 25, BIASES[bias], 201)
    assert_allclose(mean_with_diagonal(hermite, 1024), reference(bias, "elu"), rtol=0, atol=5.1e-9)
    ours = cone_curve("elu", 25, sigma_b2=BIASES[bias]).rho
    assert 2e-5 < np.max(np.abs(ours - hermite)) < 4e-5


@pytest.mark.parametrize(("name", "rho0"), [("elu", 0.0), ("gelu", 0.3)])
def test_two_layers_against_mpmath(name, rho0):
    curve = cone_curve(name, 2, rho0=rho0, sigma_b2=0.25)
    with mp.workdps(40):
        q, rho, b = mp.mpf(1), mp.mpf(rho0), mp.mpf(0.25)
        for layer in (1, 2):
            k, c = q + b, (q * rho + b) / (q + b)
            q = naive_gaussian.second_moment(name, k)
            rho = naive_gaussian.dual_activation(name, c, k, k) / q
            assert abs(float(curve.q[layer] - q)) < 1e-13
            assert abs(float(curve.rho[layer] - rho)) < 1e-13


@pytest.mark.parametrize(("sigma_w2", "sigma_b2"), [(1.0, 1.0), (2.0, 0.0), (1.0, 1 / 512)])
@pytest.mark.parametrize(("name", "slope"), [("relu", 0), ("leaky_relu", 0.01)])
def test_complement_keeps_its_digits(name, slope, sigma_w2, sigma_b2):
    curve = cone_curve(name, 40, rho0=1 - 2.0**-40, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    with mp.workdps(60):
        q, eps = mp.mpf(1), mp.mpf(2) ** -40
        for layer in range(1, 41):
            k = sigma_w2 * q + sigma_b2
            eps = naive_gaussian.relu_complement(sigma_w2 * q / k * eps, slope)
            q = (1 + mp.mpf(slope) ** 2) / 2 * k
            assert abs(float(curve.complement[layer] / eps - 1)) < 1e-14 * layer
            assert abs(float(curve.q[layer] / q - 1)) < 1e-14


def test_unit_norm_recursion():
    assert_allclose(relu_unit_norm_recursion(10)[1:], PRINTED, rtol=0, atol=5.1e-7)
    assert relu_unit_norm_recursion(0).tolist() == [0.0]
    curve = cone_curve("relu", 60, sigma_b2=1.0)
    assert_allclose(curve.q, 1, rtol=1e-14)
    assert_allclose(curve.complement[50:] / curve.complement[49:-1], 0.5, rtol=1e-7)
    by_hand = [0.0]
    for _ in range(10):
        theta = np.arccos((1 + by_hand[-1]) / 2)
        by_hand.append((np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi)
    assert_allclose(relu_unit_norm_recursion(10), by_hand, rtol=0, atol=1e-15)


def test_he_initialisation_falls_like_the_square_of_depth():
    """theta_l = 3 pi / (l + 1.5 ln l + C + o(1)), hence 1 - rho_l ~ 9 pi^2 / (2 l^2)."""
    depth = np.array([500, 1000, 2000, 4000])
    complement = cone_curve("relu", 4000, sigma_w2=2.0).complement[depth]
    constant = 3 * np.pi / (2 * np.arcsin(np.sqrt(complement / 2))) - depth - 1.5 * np.log(depth)
    assert np.all(np.abs(np.diff(constant)) < 3 * np.log(depth[1:]) / depth[1:])
    assert_allclose(complement[-1] * 2 * 4000**2 / (9 * np.pi**2), 1, rtol=0.01)


@given(bias=st.floats(0, 10), weight=st.floats(0.1, 3), depth=st.integers(0, 30))
def test_linear_curve(bias, weight, depth):
    curve = cone_curve("linear", depth, sigma_w2=weight, sigma_b2=bias)
    signal = weight ** np.arange(depth + 1.0)
    offset = bias * np.concatenate([[0.0], np.cumsum(signal[:-1])])
    assert_allclose(curve.q, signal + offset, rtol=1e-12)
    assert_allclose(curve.complement, signal / (signal + offset), rtol=1e-12)


def test_tanh_and_linear_without_bias_have_no_cone():
    for name in ("tanh", "linear"):
        assert_allclose(cone_curve(name, 25).rho, 0, atol=1e-14)


def test_relu_is_scale_free():
    """ReLU is homogeneous: q and the bias variance may be scaled together."""
    one = cone_curve("relu", 20, q0=1.0, sigma_b2=0.1)
    other = cone_curve("relu", 20, q0=512.0, sigma_b2=51.2)
    assert_allclose(other.complement, one.complement, rtol=1e-13)
    assert_allclose(other.q, 512 * one.q, rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@given(rho=cosines, q=st.floats(0.05, 5), bias=st.floats(0, 2), weight=st.floats(0.3, 3))
@settings(max_examples=6)
def test_layer_map_is_its_definition(name, rho, q, bias, weight):
    after = layer_map(name, q, rho, sigma_w2=weight, sigma_b2=bias)
    k = weight * q + bias
    inner = min(1.0, max(-1.0, (weight * q * rho + bias) / k))
    assert_allclose(after.q, second_moment(name, k), rtol=1e-12)
    assert_allclose(after.rho, dual_activation(name, inner, var_u=k, var_v=k) / after.q, rtol=0, atol=2e-12)


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
@settings(max_examples=6)
def test_nondecreasing_from_zero_up(name, pair):
    """The C-map is a power series with coefficients >= 0, so it is nondecreasing on [0, 1]."""
    low, high = layer_map(name, 1.0, sorted(pair), sigma_b2=0.1).rho
    assert low <= high + 1e-12


def test_layer_map_broadcasts():
    after = layer_map("tanh", [[1.0], [2.0]], [0.0, 0.5, 1.0])
    assert after.q.shape == after.rho.shape == (2, 3)
    assert_allclose(after.rho[:, 2], 1, rtol=0, atol=1e-15)


def test_monte_carlo():
    n, bias = 200_000, 0.5
    rng = np.random.default_rng(8)
    first, second, shared = rng.standard_normal((3, n))
    u, v = first + np.sqrt(bias) * shared, second + np.sqrt(bias) * shared
    after = layer_map("sigmoid", 1.0, 0.0, sigma_b2=bias)
    draws = activation_function("sigmoid")(u) * activation_function("sigmoid")(v)
    assert abs(draws.mean() - after.q * after.rho) < 4.5 * draws.std() / np.sqrt(n)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_mean_with_diagonal(n, seed):
    x = np.random.default_rng(seed).standard_normal((n, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    cosine = x @ x.T
    off = cosine[~np.eye(n, dtype=bool)].mean() if n > 1 else 0.0
    assert_allclose(mean_with_diagonal(np.clip(off, -1, 1), n), cosine.mean(), rtol=0, atol=1e-13)


def test_rejects_bad_arguments():
    with pytest.raises(ValueError, match="`q` must be positive"):
        layer_map("relu", 0.0, 0.5)
    with pytest.raises(ValueError, match="`rho`"):
        layer_map("relu", 1.0, np.nan)
    with pytest.raises(ValueError, match="`sigma_b2`"):
        cone_curve("relu", 3, sigma_b2=-1.0)
    with pytest.raises(ValueError, match="`sigma_w2`"):
        cone_curve("relu", 3, sigma_w2=0.0)
    with pytest.raises(ValueError, match="`rho0`"):
        cone_curve("relu", 3, rho0=1.1)
    with pytest.raises(TypeError, match=r"[`']depth[`']"):
        cone_curve("relu", 2.5)
    with pytest.raises(ValueError, match="`activation`"):
        cone_curve("swish", 3)
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        mean_with_diagonal(0.5, 0)


@pytest.mark.parametrize(("sigma_w2", "end"), [(1.0, 0.0), (4.0, np.inf)])
def test_relu_curves_outlive_their_mean_square(sigma_w2, end):
    """Without bias the cosines are those of He initialisation, whatever the variance of the weights."""
    curve, he = cone_curve("relu", 1200, sigma_w2=sigma_w2), cone_curve("relu", 1200, sigma_w2=2.0)
    assert curve.q[-1] == end
    assert_array_equal(curve.complement, he.complement)
    step = cone_curve("step", 3, sigma_w2=1e-300)
    assert_array_equal(step.complement, cone_curve("step", 3).complement)


def test_relu_with_a_bias_beyond_the_floats():
    """The bias fades: 1 - rho follows the recursion without it, the mean square is inf."""
    curve = cone_curve("relu", 1200, sigma_w2=4.0, sigma_b2=1.0)
    assert curve.q[-1] == np.inf
    assert_array_equal(curve.complement[1101:], c_map_complement("relu", curve.complement[1100:-1]))


@pytest.mark.parametrize(
    ("name", "sigma_w2", "shown"), [("gelu", 0.1, "e-2"), ("gelu", 8.0, r"e\+"), ("tanh", 1e-30, "e-[23]")]
)
def test_other_curves_say_that_they_left_the_floats(name, sigma_w2, shown):
    with pytest.raises(ConvergenceError, match=rf"mean square under {name} has left the range of floats.*{shown}"):
        cone_curve(name, 1400, sigma_w2=sigma_w2)
