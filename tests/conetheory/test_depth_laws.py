import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import depth_laws
from conetheory.depth_laws import cone_amplitude, critical_decay, depth_to_cone, he_angle, he_constant
from conetheory.dual import ACTIVATIONS, c_map_complement
from conetheory.errors import ConvergenceError
from conetheory.meanfield import cone_curve
from conetheory.phases import critical_point, phase


def leaky(x):
    return np.where(x > 0, x, 0.3 * x)


def he_angles(depth, rho0):
    """Iterate the angle at 40 digits."""
    with mp.workdps(40):
        theta, found = mp.acos(mp.mpf(rho0)), []
        for _ in range(depth):
            theta = mp.acos(mp.cos(theta) + (mp.sin(theta) - theta * mp.cos(theta)) / mp.pi)
            found.append(float(theta))
    return np.array(found)


@pytest.mark.parametrize("rho0", [0.0, -0.9, 0.8])
def test_he_angle_has_an_error_of_the_fourth_order(rho0):
    exact, depth = he_angles(800, rho0), np.array([50, 100, 200, 400, 800])
    ours = he_angle(depth, constant=he_constant(rho0))
    assert np.all(np.abs(ours / exact[depth - 1] - 1) <= 5 / depth**4.0 + 5e-8 / depth)  # the second: he_constant


def test_he_law_known_values():
    assert_allclose(he_constant(0.0), 4.390, atol=5e-4)  # docs/theory.md, 3.7, by another route
    curve = cone_curve("relu", 3000, sigma_w2=2.0).complement
    theta = 2 * np.arcsin(np.sqrt(curve[3000] / 2))
    assert_allclose(he_angle(3000, constant=he_constant(0.0)), theta, rtol=1e-9)
    explicit = 3 * np.pi / (3000 + 1.5 * np.log(3000) + he_constant(0.0))
    assert_allclose(explicit, theta, rtol=1e-5 * 2)
    assert 0.025 < 9 * np.pi**2 / (2 * 1000**2) / curve[1000] - 1 < 0.035  # the bare law is 3 % off at 1000


@given(st.floats(-1, 0.999))
@settings(max_examples=4)
def test_the_constant_moves_by_one_a_layer(rho0):
    after = 1 - float(c_map_complement("relu", 1 - rho0))
    assert_allclose(he_constant(after), he_constant(rho0) + 1, rtol=1e-7)


def test_cone_amplitude_known_values():
    assert_allclose(cone_amplitude("relu", sigma_b2=1.0), 0.50743068, atol=5e-9)  # docs/theory.md, 3.6
    # linear layers: 1 - rho_l = w^l (1 - rho_0) q_0 / q_l exactly, 3.3
    assert_allclose(cone_amplitude("linear", q0=2.0, rho0=0.5, sigma_w2=0.5, sigma_b2=1.0), 0.5, rtol=1e-12)


@pytest.mark.parametrize(("name", "w", "b"), [("tanh", 1.2, 0.3), ("gelu", 1.5, 0.3), ("relu", 1.5, 0.1)])
def test_cone_amplitude_is_the_limit_of_the_curve(name, w, b):
    curve = cone_curve(name, 200, q0=0.7, rho0=0.2, sigma_w2=w, sigma_b2=b).complement
    layer = int(np.argmax(curve < 1e-7))
    amplitude = cone_amplitude(name, q0=0.7, rho0=0.2, sigma_w2=w, sigma_b2=b)
    chi = phase(name, sigma_w2=w, sigma_b2=b, q0=0.7).chi_1
    assert_allclose(amplitude * chi**layer, curve[layer], rtol=3e-3)  # relu: corrections of sqrt(1e-7)


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu"])
@pytest.mark.parametrize("k", [0.3, 2.0])
def test_smooth_critical_decay_is_half_the_curvature_of_the_map(name, k):
    """1 - c' = e - B e^2 + ... with constant 1/B: B from differences of the C-map itself."""
    point = critical_point(name, k)
    share = 1 - point.sigma_b2 / k
    eps = np.array([2e-3, 1e-3, 5e-4])
    step = np.array([float(c_map_complement(name, share * e, var=k)) for e in eps])
    bend = (1 - step / eps) / eps
    bend = 2 * bend[1:] - bend[:-1]
    bend = (4 * bend[1] - bend[0]) / 3
    found = critical_decay(name, k)
    assert found.power == 1
    assert_allclose(1 / found.constant, bend, rtol=1e-5)


def test_critical_decay_of_kinks():
    assert critical_decay("relu", 5.0).power == 2
    assert_allclose(critical_decay("relu", 5.0).constant, 4.5 * np.pi**2, rtol=1e-10)
    expected = 4.5 * np.pi**2 * (1.09 / 0.49) ** 2
    assert_allclose(critical_decay(leaky, 1.0).constant, expected, rtol=1e-10)
    eps = float(2 * np.sin(he_angle(10**7, constant=4.39) / 2) ** 2)
    assert_allclose(eps * 10**14, critical_decay("relu", 1.0).constant, rtol=1e-5)
    after = float(c_map_complement(leaky, 1e-4))
    assert_allclose((1 - after / 1e-4) / 1e-2, 2 / np.sqrt(expected), rtol=1e-3)  # s, constant 4/s^2


def test_critical_decay_seen_in_a_deep_curve():
    point = critical_point("tanh", 1.0)
    q0 = float((point.k - point.sigma_b2) / point.sigma_w2)
    curve = cone_curve("tanh", 400, q0=q0, sigma_w2=point.sigma_w2, sigma_b2=point.sigma_b2).complement
    constant = 1 / (1 / curve[400] - 1 / curve[399])
    assert_allclose(constant, critical_decay("tanh", 1.0).constant, rtol=1e-2)  # O(1/l)


@pytest.mark.parametrize(("name", "w", "b"), [("relu", 1.0, 1.0), ("relu", 2.0, 0.0), ("gelu", 1.5, 0.3)])
@given(angle=st.floats(0.05, 3.0))
@settings(max_examples=8)
def test_depth_to_cone_is_the_first_layer_inside(name, w, b, angle):
    depth = int(depth_to_cone(name, angle, sigma_w2=w, sigma_b2=b))
    angles = 2 * np.arcsin(np.sqrt(cone_curve(name, depth, sigma_w2=w, sigma_b2=b).complement / 2))
    assert angles[-1] <= angle * (1 + 1e-12)
    assert np.all(angles[:-1] > angle * (1 - 1e-12))


def test_depth_to_cone_known_values():
    assert depth_to_cone("relu", np.pi) == 0
    assert depth_to_cone("linear", 1.0) == np.inf
    assert depth_to_cone("tanh", 0.1, sigma_w2=2.5, sigma_b2=0.05) == np.inf
    by_law = depth_to_cone("relu", float(he_angle(2000.5, constant=he_constant(0.0))), sigma_w2=2.0)
    assert by_law == 2001


@pytest.mark.parametrize("sigma_w2", [1e-3, 1.0, 2.0, 4.0, 1e3])
def test_without_bias_the_depth_of_homogeneous_layers_has_no_scale(sigma_w2):
    """Also where the mean square is 0 or inf in floats long before the cone closes; 3 pi/theta by the He law."""
    y = 3 * np.pi / 0.01
    layers = y - 1.5 * np.log(y) + (1 + 0.6 * np.pi**2) / y - he_constant(0.0)
    assert depth_to_cone("relu", 0.01, sigma_w2=sigma_w2) == np.ceil(layers)
    assert depth_to_cone("linear", 0.1, rho0=0.5, sigma_w2=sigma_w2) == np.inf


def test_depth_to_cone_where_the_mean_square_leaves_the_floats():
    without_bias = depth_to_cone("relu", 5e-3, sigma_w2=1.0)
    with_bias = depth_to_cone("relu", 5e-3, sigma_w2=4.0, sigma_b2=1.0)
    assert without_bias - 5 <= with_bias < without_bias  # the bias acts in the first layers only
    assert depth_to_cone("linear", 0.1, rho0=0.5, sigma_w2=2.0, sigma_b2=1e-12) == np.inf
    assert depth_to_cone("linear", 0.1, rho0=0.5, sigma_w2=1.0, sigma_b2=1.0) == 100  # 1 - rho = 1/(2(l + 1))
    assert depth_to_cone("tanh", 0.1, sigma_w2=0.5) == np.inf  # linear once q is small
    with pytest.raises(ConvergenceError, match="The mean square under gelu has left the range of floats"):
        depth_to_cone("gelu", 1e-3, sigma_w2=8.0)


def test_cone_amplitude_gives_up_after_so_many_layers(monkeypatch):
    monkeypatch.setattr(depth_laws, "_MOST_LAYERS", 40)
    with pytest.raises(
        ConvergenceError, match=r"amplitude under relu has not settled after 40 layers: chi_1 = 0\.98999"
    ):
        cone_amplitude("relu", sigma_w2=1.98, sigma_b2=0.1)


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match="`angle` must be positive"):
        depth_to_cone("relu", 0.0)
    with pytest.raises(ValueError, match=r"`angle` must lie in \(0, pi\], got 4.0"):
        depth_to_cone("relu", 4.0)
    with pytest.raises(ValueError, match=r"`rho0` must lie in \[-1, 1\), got 1.0"):
        he_constant(1.0)
    with pytest.raises(ValueError, match=r"`rho0` must lie in \[-1, 1\), got 1.0"):
        cone_amplitude("relu", rho0=1.0, sigma_b2=1.0)
    with pytest.raises(ValueError, match="`sigma_w2` must give tanh an ordered phase with q > 0, got chaotic"):
        cone_amplitude("tanh", sigma_w2=2.5, sigma_b2=0.05)
    with pytest.raises(ValueError, match=r"`depth` \+ `constant` must be at least 8"):
        he_angle(2, constant=4.0)
    with pytest.raises(ValueError, match="is the variance of no critical network with sigmoid"):
        critical_decay("sigmoid", 1.0)
    with pytest.raises(ValueError, match="`activation` linear must not be linear"):
        critical_decay("linear", 1.0)
    with pytest.raises(ValueError, match="maxout2"):
        critical_decay("maxout2", 1.0)
    assert "maxout2" in ACTIVATIONS
