"""Activations without a closed form, and functions of the user: values and derivatives by quadrature."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory._quadrature import product_mean
from conetheory.dual import (
    ACTIVATIONS,
    Activation,
    activation_function,
    c_map_complement,
    dual_activation,
    dual_derivative,
    quadrature_error,
    second_moment,
)
from conetheory.errors import ConvergenceError
from tests import naive_dual
from tests.strategies import cosines

CLOSED = tuple(name for name in ACTIVATIONS if ACTIVATIONS[name].dual is not None)
SMOOTH = tuple(name for name in CLOSED if name not in ("step", "maxout2"))
OPEN = tuple(name for name in ACTIVATIONS if name not in CLOSED)
EPS = np.finfo(float).eps
variances = st.floats(1e-2, 1e2)

# Value and derivative by naive_dual.analytic_mean, recomputed by the slow test below.
REFERENCE = {
    ("tanh", 0.3, 1, 1): (0.11066838554744633, 0.37299191234191514),
    ("tanh", -0.7, 0.01, 1): (-0.04202375771139878, 0.06014897106118586),
    ("tanh", 0.999999999999, 100, 100): (0.9205368634252061, 5.310678774387797),
    ("tanh", -0.999999999999, 100, 0.01): (-0.07893954245693785, 0.07945668686820564),
    ("tanh", 0.9, 100, 25): (0.6879067962356149, 1.3273741241612935),
    ("sigmoid", 0.3, 1, 1): (0.2628252713830494, 0.042868836562034),
    ("sigmoid", -0.7, 0.01, 1): (0.24639268622977262, 0.005154567971718965),
    ("sigmoid", 0.999999999999, 100, 100): (0.46074043988997526, 0.6606645503403328),
    ("sigmoid", -0.999999999999, 100, 0.01): (0.24020165792375803, 0.009814122522249072),
    ("sigmoid", 0.9, 100, 25): (0.4073359844410471, 0.27084568996364766),
    ("silu", 0.3, 1, 1): (0.12324303420843163, 0.2870835387788471),
    ("silu", -0.7, 0.01, 1): (-0.01655698851742988, 0.023777613031716924),
    ("silu", 0.999999999999, 100, 100): (49.87717310742131, 50.71538291265555),
    ("silu", -0.999999999999, 100, 0.01): (-0.230129245737042, 0.2298222762910133),
    ("silu", 0.9, 100, 25): (22.405085366471706, 22.160086679637814),
    ("quick_gelu", 0.3, 1, 1): (0.16250779751665595, 0.30225851813655513),
    ("quick_gelu", -0.7, 0.01, 1): (-0.015453111009979661, 0.02255722730281167),
    ("quick_gelu", 0.999999999999, 100, 100): (49.97399819327732, 50.473898715979246),
    ("quick_gelu", -0.999999999999, 100, 0.01): (-0.2163744843285075, 0.21618624212570714),
    ("quick_gelu", 0.9, 100, 25): (22.63164751521452, 21.77869751058037),
}


def scale(name, var_u, var_v):
    return np.sqrt(second_moment(name, var_u) * second_moment(name, var_v))


def slope_scale(name, var_u, var_v):
    return np.sqrt(
        dual_derivative(name, 1.0, var_u=var_u, var_v=var_u) * dual_derivative(name, 1.0, var_u=var_v, var_v=var_v)
    )


@pytest.mark.parametrize("case", REFERENCE, ids=str)
def test_value_and_derivative_against_mpmath(case):
    name, rho, var_u, var_v = case
    value, derivative = REFERENCE[case]
    ours = dual_activation(name, rho, var_u=var_u, var_v=var_v)
    assert abs(ours - value) < 1e-13 * scale(name, var_u, var_v)
    ours = dual_derivative(name, rho, var_u=var_u, var_v=var_v)
    assert abs(ours - derivative) < 1e-13 * slope_scale(name, var_u, var_v)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFERENCE, ids=str)
def test_the_reference(case):
    name, rho, var_u, var_v = case
    exact = naive_dual.analytic_mean(naive_dual.FUNCTIONS[name], rho, var_u, var_v)
    assert abs(REFERENCE[case][0] / exact - 1) < 2 * EPS
    exact = mp.sqrt(mp.mpf(var_u) * var_v) * naive_dual.analytic_mean(naive_dual.SLOPES[name], rho, var_u, var_v)
    assert abs(REFERENCE[case][1] / exact - 1) < 2 * EPS


@pytest.mark.parametrize(("rho", "var"), [(-0.6, (0.3, 2.5)), (1 - 1e-12, (100.0, 50.0)), (1e-12 - 1, (0.01, 100.0))])
def test_elu_against_mpmath(rho, var):
    exact = naive_dual.dual_activation("elu", rho, *var)
    assert abs(dual_activation("elu", rho, var_u=var[0], var_v=var[1]) - exact) < 1e-13 * scale("elu", *var)
    exact = naive_dual.dual_derivative("elu", rho, *var)
    assert abs(dual_derivative("elu", rho, var_u=var[0], var_v=var[1]) - exact) < 1e-13 * slope_scale("elu", *var)


@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_many_correlations_are_interpolated(name):
    """A thousand correlations of one pair of variances, and some of others, against one quadrature each."""
    rho = np.cos(np.linspace(0, np.pi, 1000))
    var_v = np.where(np.arange(1000) % 100 == 7, np.linspace(0.5, 2, 1000), 3.0)
    value = dual_activation(name, rho, var_v=var_v)
    bound = quadrature_error(name, rho, var_v=var_v)
    some = np.array([0, 7, 333, 407, 999])
    single, _ = product_mean(
        activation_function(name), np.arccos(rho[some]), np.ones(5), np.sqrt(var_v[some]), "a test"
    )
    assert np.all(bound < 2e-12)
    assert np.all(bound[var_v == 3.0] > 0)
    assert np.all(np.abs(value[some] - single) <= bound[some] + 4 * EPS)
    assert_allclose(value[some], single, rtol=0, atol=1e-14)
    assert np.unique(bound).size > 2  # the others have their own quadrature


def test_what_does_not_interpolate_is_integrated():
    """sin(40 x) needs more angles than there are correlations."""
    rho = np.cos(np.linspace(0, np.pi, 40))
    exact = np.exp(-160.0) * np.sinh(160 * rho)
    assert_allclose(dual_activation(lambda x: np.sin(40 * x), rho, var_u=0.1, var_v=0.1), exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", SMOOTH)
@given(rho=cosines, var_u=variances, var_v=variances)
@settings(max_examples=4)
def test_derivative_of_a_function_against_the_closed_form(name, rho, var_u, var_v):
    var = {"var_u": var_u, "var_v": var_v}
    value = dual_derivative(lambda x: activation_function(name)(x), rho, **var)
    allowed = 1e-13 * slope_scale(name, var_u, var_v) + EPS * scale(name, var_u, var_v)
    if name in ("cos", "gaussian"):  # values near 1, of slope below 0.1 at variance 0.01
        allowed *= 10
    assert abs(value - dual_derivative(name, rho, **var)) <= allowed


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("rho", [-1.0, 1e-12 - 1, 0.3, 1.0])
def test_derivative_of_a_function_against_its_slope(name, rho):
    value = dual_derivative(activation_function(name), rho, var_v=2.0)
    assert abs(value - dual_derivative(name, rho, var_v=2.0)) < 1e-13 * slope_scale(name, 1.0, 2.0)


@given(rho=st.floats(-0.999, 0.999), height=st.floats(-2, 2), tilt=st.floats(-2, 2))
@settings(max_examples=15)
def test_derivative_with_a_jump(rho, height, tilt):
    """phi = height step + tilt relu: all pairs of slopes, jumps among them."""
    theta, var = np.arccos(rho), 4.0
    value = dual_derivative(lambda x: (x > 0) * (height + tilt * x), rho, var_v=var)
    meet = height**2 / (2 * np.pi * np.sin(theta))
    beside = height * tilt * (1 + np.sqrt(var)) / (2 * np.sqrt(2 * np.pi))
    both = tilt**2 * np.sqrt(var) * (np.pi - theta) / (2 * np.pi)
    assert_allclose(value, meet + beside + both, rtol=0, atol=1e-12 + 1e-13 * meet)


def test_derivative_where_jumps_meet():
    assert_array_equal(dual_derivative(np.sign, [-1.0, 1.0]), [np.inf, np.inf])
    assert_allclose(dual_derivative(np.sign, 0.0, var_u=[0.0, 1.0]), [0.0, 2 / np.pi], rtol=1e-14)
    assert_array_equal(dual_derivative(np.ones_like, [-1.0, 0.3]), [0.0, 0.0])


def test_a_slope_that_is_given_is_used():
    cube = Activation(name="cube", function=lambda x: x**3, slope=lambda x: 3 * x**2)
    assert_allclose(dual_derivative(cube, [0.0, 0.5, 1.0]), [9.0, 13.5, 27.0], rtol=1e-13)
    wrong = Activation(name="cube", function=lambda x: x**3, slope=lambda x: 6 * x**2)
    assert_allclose(dual_derivative(wrong, 0.5), 4 * 13.5, rtol=1e-13)


@pytest.mark.parametrize("function", [lambda x: np.abs(x - 1), lambda x: np.clip(x, -1, 1)])
def test_a_kink_elsewhere_is_an_error(function):
    with pytest.raises(ConvergenceError, match="the function has a kink or a jump away from 0") as info:
        dual_derivative(function, 0.5)
    assert info.value.error > 0


def test_many_complements():
    eps = np.geomspace(1e-10, 2, 30).reshape(5, 6)
    both = c_map_complement("tanh", eps, var=2.0)
    assert both.shape == (5, 6)
    assert_allclose(both[2, 3], c_map_complement("tanh", eps[2, 3], var=2.0), rtol=1e-12)
    slope = dual_derivative("tanh", 1.0, var_u=2.0, var_v=2.0) / second_moment("tanh", 2.0)
    assert_allclose(both[0, 0], slope * 1e-10, rtol=1e-8)


def test_rejects_bad_arguments():
    for name in ("relu", "tanh", np.tanh):
        with pytest.raises(ValueError, match=r"`rho` must lie in \[-1, 1\], got 1.5"):
            dual_derivative(name, 1.5)
        with pytest.raises(ValueError, match="`var_v` must be at least 0, got -2"):
            dual_derivative(name, 0.5, var_v=-2.0)
    with pytest.raises(ValueError, match="`activation` must be a function or one of"):
        dual_derivative("swish", 0.5)
    nothing = Activation(name="pair", function=None)
    with pytest.raises(ValueError, match="`activation` must be a function of one pre-activation, got 'pair'"):
        dual_derivative(nothing, 0.5)
