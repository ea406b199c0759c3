import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.dual import ACTIVATIONS, activation_function, second_moment
from conetheory.fixed_points import c_fixed_point, chi_1, chi_q, q_fixed_point
from conetheory.meanfield import cone_curve, layer_map
from conetheory.phases import critical_point, critical_sigma_w2, phase

EPS = np.finfo(float).eps
weights = st.floats(0.2, 4)
biases = st.floats(0.01, 2)
NETWORKS = [("tanh", 1.2, 0.3), ("tanh", 2.5, 0.05), ("erf", 4.0, 0.3), ("gelu", 1.5, 0.3), ("elu", 1.2, 0.1)]


def gaussian_mean(function, k):
    """Return E function(sqrt(k) z) at 30 digits."""
    with mp.workdps(30):
        root = mp.sqrt(k)
        return mp.quad(lambda z: function(root * z) * mp.npdf(z), [-14, -5, -2, -0.5, 0, 0.5, 2, 5, 14])


@pytest.mark.parametrize("k", [0.01, 0.5, 3.0, 30.0])
def test_slopes_of_tanh_match_30_digits(k):
    q = k / 2
    slope = gaussian_mean(lambda x: mp.sech(x) ** 4, k)
    bend = gaussian_mean(lambda x: mp.sech(x) ** 4 - 2 * mp.tanh(x) ** 2 * mp.sech(x) ** 2, k)
    assert_allclose(chi_1("tanh", q, sigma_w2=2.0), float(2 * slope), rtol=1e-12)
    assert_allclose(chi_1(np.tanh, q, sigma_w2=2.0), float(2 * slope), rtol=1e-10)
    assert_allclose(chi_q("tanh", q, sigma_w2=2.0), float(2 * bend), rtol=0, atol=1e-11)


def test_slopes_known_values():
    assert_allclose(chi_1("relu", 7.0, sigma_w2=2.0), 1, rtol=4 * EPS)
    assert_allclose(chi_1("leaky_relu", 7.0), (1 + 1e-4) / 2, rtol=4 * EPS)
    assert_allclose(chi_1("erf", 1.0, sigma_b2=0.5), 4 / np.pi / np.sqrt(7), rtol=1e-12)
    assert_allclose([chi_1("tanh", 0.0, sigma_w2=0.7), chi_q("tanh", 0.0, sigma_w2=0.7)], 0.7, rtol=1e-11)
    assert chi_1("step", 1.0) == np.inf
    assert_allclose(chi_q(lambda x: np.maximum(x, 0), 3.0, sigma_w2=1.5), 0.75, rtol=1e-11)


@pytest.mark.parametrize(("name", "w", "b"), NETWORKS)
def test_slopes_are_derivatives_of_the_maps(name, w, b):
    q = q_fixed_point(name, sigma_w2=w, sigma_b2=b)
    step = 1e-3 * q
    values = layer_map(name, q + step * np.array([-2, -1, 1, 2]), 0.0, sigma_w2=w, sigma_b2=b).q
    assert_allclose(chi_q(name, q, sigma_w2=w, sigma_b2=b), np.dot(values, [1, -8, 8, -1]) / (12 * step), rtol=1e-7)
    rho = 1 - np.array([4e-4, 2e-4, 1e-4])
    chords = (1 - layer_map(name, q, rho, sigma_w2=w, sigma_b2=b).rho) / (1 - rho)
    slope = chi_1(name, q, sigma_w2=w, sigma_b2=b)
    assert np.all(np.abs(chords - slope) <= 3 * slope * (1 - rho) ** 0.9)  # the chord's error is O(1 - rho)


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "sin"])
@settings(max_examples=4)
@given(w=weights, b=biases, q0=st.floats(0.01, 20))
def test_q_fixed_point_is_where_the_recursion_goes(name, w, b, q0):
    q = q_fixed_point(name, sigma_w2=w, sigma_b2=b, q0=q0)
    slope = chi_q(name, min(q, 1e10), sigma_w2=w, sigma_b2=b)
    if q < np.inf:
        assert_allclose(second_moment(name, w * q + b), q, rtol=1e-12 / max(1e-3, abs(1 - slope)))
    if abs(slope) < 0.9:
        curve = cone_curve(name, 250, q0=q0, sigma_w2=w, sigma_b2=b).q
        assert_allclose(curve[-1], q, rtol=1e-9)  # 0.9^250 = 4e-12
    elif q == np.inf:
        assert np.all(np.diff(cone_curve(name, 20, q0=q0, sigma_w2=w, sigma_b2=b).q) > 0)


def test_q_fixed_point_known_values():
    assert_allclose(q_fixed_point("relu", sigma_w2=1.0, sigma_b2=1.0), 1, rtol=4 * EPS)
    assert q_fixed_point("relu", sigma_w2=2.0, q0=3.25) == 3.25
    assert q_fixed_point("relu", sigma_w2=2.0, sigma_b2=1e-3) == np.inf
    assert q_fixed_point("linear", sigma_w2=1.5) == np.inf
    assert q_fixed_point(lambda x: np.maximum(x, 0), sigma_w2=2.5) == np.inf
    assert q_fixed_point("tanh", sigma_w2=0.9) == 0.0
    assert q_fixed_point("tanh", sigma_w2=1.0) == 0.0
    assert q_fixed_point("gelu", sigma_w2=3.0, q0=5.0) == np.inf  # and at 3.0 a small input dies out
    assert q_fixed_point("gelu", sigma_w2=3.0, q0=1e-3) == 0.0
    assert_allclose(q_fixed_point("step", sigma_w2=1.0), 0.5, rtol=1e-12)


@pytest.mark.parametrize(("name", "w", "b"), NETWORKS)
def test_cosines_converge_to_the_fixed_point_at_its_rate(name, w, b):
    found = phase(name, sigma_w2=w, sigma_b2=b)
    depth = int(np.ceil(9 * found.xi_c))
    curve = cone_curve(name, depth, q0=found.q, rho0=0.4, sigma_w2=w, sigma_b2=b)
    assert abs(curve.complement[-1] - found.complement) < 3e-4
    slope = c_fixed_point(name, found.q, sigma_w2=w, sigma_b2=b).slope
    steps = np.diff(curve.complement[-3:])
    assert_allclose(steps[1] / steps[0], slope, rtol=2e-3)
    assert_allclose(found.xi_c, -1 / np.log(slope), rtol=1e-14)
    assert found.label == ("ordered" if found.chi_1 < 1 else "chaotic")


@settings(max_examples=12)
@given(weights, biases)
def test_chaotic_fixed_points_are_fixed_and_attract(w, b):
    found = phase("erf", sigma_w2=w, sigma_b2=b)
    after = layer_map("erf", found.q, found.rho, sigma_w2=w, sigma_b2=b).rho
    assert_allclose(after, found.rho, rtol=0, atol=1e-11)
    assert (found.rho == 1) == (found.chi_1 <= 1)
    assert 0 <= found.rho <= 1
    assert min(found.chi_1, found.xi_c, found.xi_q) > 0


def test_phases_known_values():
    assert phase("relu", sigma_w2=2.0).label == "critical"
    assert phase("relu", sigma_w2=2.0, sigma_b2=0.1).label == "unbounded"
    ordered = phase("relu", sigma_w2=1.0, sigma_b2=1.0)
    assert ordered.label == "ordered"
    assert_allclose([ordered.xi_c, ordered.xi_q], 1 / np.log(2), rtol=1e-14)
    assert phase("tanh", sigma_w2=1.0).label == "critical"
    died = phase("tanh", sigma_w2=0.5)
    assert (died.label, died.q, np.isnan(died.rho)) == ("ordered", 0.0, True)
    assert phase("tanh", sigma_w2=3.0).rho == 0.0  # odd, no bias
    identity = phase("linear", sigma_w2=1.0)
    assert (identity.label, np.isnan(identity.rho)) == ("critical", True)
    assert phase("step").label == "chaotic"
    at_edge = phase("tanh", sigma_w2=critical_sigma_w2("tanh", 0.05), sigma_b2=0.05)
    assert (at_edge.label, at_edge.rho, at_edge.xi_c) == ("critical", 1.0, np.inf)


def test_critical_tanh_line_matches_30_digits():
    """Two conditions for (k, sigma_w2), solved by mpmath: the point at sigma_b2 = 0.05."""
    with mp.workdps(20):
        equations = [
            lambda k, w: w * gaussian_mean(lambda x: mp.sech(x) ** 4, k) - 1,
            lambda k, w: w * gaussian_mean(lambda x: mp.tanh(x) ** 2, k) + mp.mpf("0.05") - k,
        ]
        k, w = mp.findroot(equations, (0.57, 1.76), tol=1e-14)
    assert_allclose(critical_sigma_w2("tanh", 0.05), float(w), rtol=1e-10)
    assert_allclose(float(w), 1.7610, atol=5e-5)
    point = critical_point("tanh", float(k))
    assert_allclose([point.sigma_w2, point.sigma_b2], [float(w), 0.05], rtol=1e-9)


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "elu", "silu"])
@given(k=st.floats(0.01, 20))
@settings(max_examples=5)
def test_a_critical_point_is_a_fixed_point_of_slope_1(name, k):
    point = critical_point(name, k)
    q = second_moment(name, k)
    assert_allclose(point.sigma_w2 * q + point.sigma_b2, k, rtol=1e-13)
    assert_allclose(chi_1(name, q, sigma_w2=point.sigma_w2, sigma_b2=max(point.sigma_b2, 0.0)), 1, rtol=1e-8)


def test_critical_points_known_values():
    assert_allclose(critical_sigma_w2("tanh", 0.0), 1, rtol=1e-11)
    assert_allclose(critical_sigma_w2("relu", 0.0), 2, rtol=1e-14)
    assert_allclose(critical_point("relu", 3.0).sigma_b2, 0, atol=1e-14)
    assert critical_point("sigmoid", 1.0).sigma_b2 < 0


def test_chi_1_by_monte_carlo():
    """The mean square of a finite difference quotient of gelu, whose derivative is not written down here."""
    z = np.random.default_rng(6).standard_normal(200_000) * np.sqrt(1.7)
    gelu, h = activation_function("gelu"), 1e-4
    draws = 1.3 * ((gelu(z + h) - gelu(z - h)) / (2 * h)) ** 2
    value = chi_1("gelu", 1.0, sigma_w2=1.3, sigma_b2=0.4)
    assert abs(draws.mean() - value) <= 4.5 * draws.std() / np.sqrt(len(z))


def test_every_named_activation_has_a_phase():
    for name in ACTIVATIONS:
        assert phase(name, sigma_w2=1.3, sigma_b2=0.2).label in ("ordered", "critical", "chaotic", "unbounded")


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match="`sigma_w2` must be positive"):
        phase("relu", sigma_w2=0.0)
    with pytest.raises(ValueError, match="`sigma_b2` must be at least 0"):
        chi_1("relu", 1.0, sigma_b2=-1.0)
    with pytest.raises(ValueError, match="`q` must be at least 0"):
        chi_q("relu", -1.0)
    with pytest.raises(ValueError, match="`q` must be finite"):
        c_fixed_point("relu", np.nan)
    with pytest.raises(ValueError, match="`q0` must be positive"):
        q_fixed_point("tanh", q0=0.0)
    with pytest.raises(ValueError, match="`activation` must not keep every cosine"):
        c_fixed_point("linear", 1.0)
    with pytest.raises(ValueError, match="`activation` must be a function or one of"):
        phase("swish2")
    with pytest.raises(ValueError, match="`activation` must have a mean square slope"):
        critical_point("step", 1.0)
    with pytest.raises(ValueError, match=r"`sigma_b2` = 0\.1 has no critical network with relu"):
        critical_sigma_w2("relu", 0.1)
    with pytest.raises(ValueError, match="`k` must be positive"):
        critical_point("tanh", 0.0)
