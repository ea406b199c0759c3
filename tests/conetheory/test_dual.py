import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

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
from conetheory.fixed_points import chi_1
from conetheory.gaussian import relu_moment
from tests import naive_dual, naive_gaussian
from tests.strategies import cosines

NAMES = tuple(ACTIVATIONS)
POINTWISE = tuple(name for name in NAMES if ACTIVATIONS[name].function is not None)
ANALYTIC = ("sigmoid", "tanh", "quick_gelu")
variances = st.floats(1e-3, 30)


def close(value, exact, scale, tolerance=1e-12):
    return abs(float(mp.mpf(float(value)) - exact)) <= tolerance * float(scale)


def scale(name, var_u, var_v):
    return np.sqrt(second_moment(name, var_u) * second_moment(name, var_v))


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("var", [1e-4, 30.0])
def test_second_moment_against_mpmath(name, var):
    exact = naive_dual.dual_activation(name, 1, var, var)
    assert close(second_moment(name, var), exact, exact)


@pytest.mark.parametrize("name", ANALYTIC)
@pytest.mark.parametrize(("rho", "var"), [(-0.7, (1.0, 1.0)), (0.4, (0.3, 1.5)), (1 - 1e-9, (1.0, 0.5))])
def test_analytic_dual_against_mpmath(name, rho, var):
    phi = naive_gaussian.FUNCTIONS[name]
    exact = naive_gaussian.trapezoid_mean(lambda u, v: phi(u) * phi(v), rho, *var, step=0.25, digits=18)
    assert close(dual_activation(name, rho, var_u=var[0], var_v=var[1]), exact, scale(name, *var))


@pytest.mark.parametrize("name", POINTWISE)
@settings(max_examples=8)
@given(rho=cosines, var_u=variances, var_v=variances)
def test_a_user_function_agrees_with_its_name(name, rho, var_u, var_v):
    """The closed forms against the quadrature, whatever the correlation and the variances."""
    ours = dual_activation(activation_function(name), rho, var_u=var_u, var_v=var_v)
    assert abs(ours - dual_activation(name, rho, var_u=var_u, var_v=var_v)) < 1e-12 * scale(name, var_u, var_v)


@pytest.mark.parametrize("name", NAMES)
@given(rho=cosines, var_u=variances, var_v=variances)
@settings(max_examples=8)
def test_symmetric_and_bounded(name, rho, var_u, var_v):
    value = dual_activation(name, rho, var_u=var_u, var_v=var_v)
    assert abs(value) <= scale(name, var_u, var_v) * (1 + 1e-12)
    swapped = dual_activation(name, rho, var_u=var_v, var_v=var_u)
    assert abs(value - swapped) < 1e-12 * scale(name, var_u, var_v)


@pytest.mark.parametrize("name", NAMES)
def test_equal_points_give_the_second_moment(name):
    var = np.array([1e-3, 1.0, 20.0])
    assert_allclose(dual_activation(name, 1.0, var_u=var, var_v=var), second_moment(name, var), rtol=1e-12)


@pytest.mark.parametrize("name", POINTWISE)
def test_independent_points_factor(name):
    phi = naive_dual.FUNCTIONS[name]
    mean = mp.quad(lambda z: phi(z) * mp.exp(-z * z / 2), [-15, 0, 15]) / mp.sqrt(2 * mp.pi)
    assert close(dual_activation(name, 0.0), mean**2, second_moment(name, 1.0))


@given(cosines)
def test_relu_dual_is_j11(rho):
    assert_allclose(dual_activation("relu", rho), relu_moment(1, 1, np.arccos(rho)), rtol=0, atol=5e-16)


@pytest.mark.parametrize("gap", [2.0**-10, 2.0**-30, 2.0**-50])
def test_relu_dual_keeps_its_digits_near_minus_one(gap):
    """E phi(u) phi(v) = (C-map)/2 falls like gap^1.5 there."""
    with mp.workdps(60):
        psi = mp.acos(1 - mp.mpf(gap))
        exact = (mp.sin(psi) - psi * mp.cos(psi)) / (2 * mp.pi)
    assert close(dual_activation("relu", gap - 1), exact, exact, 2e-15)


def test_known_values():
    assert_allclose(dual_activation("relu", [-1, 0, 1]), [0, 1 / (2 * np.pi), 0.5], rtol=1e-15, atol=0)
    assert_allclose(dual_activation("leaky_relu", [-1, 1]), [-0.01, (1 + 1e-4) / 2], rtol=1e-14)
    assert_allclose(dual_activation("gelu", 0.0), 1 / (4 * np.pi), rtol=1e-15)
    assert dual_activation("linear", 0.5, var_u=4.0, var_v=9.0) == 3.0
    assert dual_activation("sigmoid", 0.5, var_u=0.0, var_v=0.0) == 0.25


@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_monte_carlo(name):
    n, rho = 200_000, 0.6
    rng = np.random.default_rng(5)
    x, noise = rng.standard_normal((2, n))
    phi = activation_function(name)
    draws = phi(x) * phi(2 * (rho * x + np.sqrt(1 - rho**2) * noise))
    assert abs(draws.mean() - dual_activation(name, rho, var_v=4.0)) < 4.5 * draws.std() / np.sqrt(n)


@pytest.mark.parametrize("function", [np.sign, lambda x: (x > 0) * (1 + x)])
@given(rho=cosines)
@settings(max_examples=20)
def test_a_jump_at_zero_is_no_obstacle(function, rho):
    value = dual_activation(lambda x: function(x), rho)
    theta = np.arccos(rho)
    quadrant = (np.pi - theta) / (2 * np.pi)
    if function is np.sign:
        exact = 2 * np.arcsin(rho) / np.pi
    else:
        exact = quadrant + (1 + rho) / np.sqrt(2 * np.pi) + relu_moment(1, 1, theta)
    assert abs(value - exact) < 1e-13


def test_error_estimate():
    assert_array_equal(quadrature_error("gelu", [0.1, 0.9]), [0.0, 0.0])
    for name in ("sigmoid", "tanh", "quick_gelu", "elu"):
        assert np.all(quadrature_error(name, [-0.9, 0.1, 0.999]) <= 1e-13 * second_moment(name, 1.0))


@pytest.mark.parametrize(
    "function", [lambda x: np.abs(x - 1), lambda x: np.clip(x, -1, 1), lambda x: np.exp(0.3 * x**2)]
)
def test_what_the_rule_cannot_integrate_is_an_error(function):
    with (
        np.errstate(over="ignore"),
        pytest.raises(ConvergenceError, match=r"the function has a kink or a jump") as info,
    ):
        dual_activation(function, 0.5)
    assert info.value.error > 0
    assert np.isfinite(info.value.value)


@given(eps=st.floats(1e-14, 2))
def test_homogeneous_complement_keeps_every_digit(eps):
    for name, slope in [("relu", 0.0), ("leaky_relu", 0.01)]:
        exact = naive_gaussian.relu_complement(eps, slope)
        assert close(c_map_complement(name, eps), exact, exact, 2e-15)
    assert c_map_complement("linear", eps) == eps


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("var", [0.2, 3.0])
def test_complement_is_one_minus_the_c_map(name, var):
    eps = np.array([1e-3, 0.5, 1.0, 1.7, 2.0])
    c_map = dual_activation(name, 1 - eps, var_u=var, var_v=var) / second_moment(name, var)
    rounding = 1e-12  # of the quadrature; a difference of 1 - eps from its float moves a C-map by less
    assert_allclose(c_map_complement(name, eps, var=var), 1 - c_map, rtol=0, atol=rounding)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("eps", [2.0**-30, 2.0**-60])
def test_complement_by_quadrature_near_one(name, eps):
    phi = naive_gaussian.FUNCTIONS[name]
    with mp.workdps(30):
        rho = 1 - mp.mpf(eps)
    exact = naive_gaussian.trapezoid_mean(lambda u, v: (phi(u) - phi(v)) ** 2, rho, 1, 1, step=0.25)
    exact /= 2 * naive_gaussian.second_moment(name, 1)
    value = c_map_complement(name, eps)
    assert close(value, exact, exact, 1e-12 + 1e-15 / np.sqrt(value))


def test_shapes_and_dtypes():
    rho = np.linspace(-1, 1, 6).reshape(2, 3)
    for name in ("relu", "tanh"):
        assert dual_activation(name, rho, var_u=[1.0, 2.0, 3.0]).shape == (2, 3)
        assert isinstance(dual_activation(name, 0.5), np.float64)
        assert isinstance(second_moment(name, 1.0), np.float64)
        assert isinstance(c_map_complement(name, 0.5), np.float64)
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    for name in POINTWISE:
        assert activation_function(name)(x).dtype == np.float32
        exact = [float(naive_dual.FUNCTIONS[name](mp.mpf(float(t)))) for t in x]
        assert_allclose(activation_function(name)(x.astype(np.float64)), exact, rtol=1e-14)


def test_an_activation_object_is_accepted():
    square = Activation(name="square", function=np.square)
    assert_allclose(dual_activation(square, 0.5), 1 + 2 * 0.5**2, rtol=1e-13)


@pytest.mark.parametrize(
    ("activation", "error", "message"),
    [
        ("swish", ValueError, "`activation` must be a function or one of linear, relu"),
        (3, TypeError, "[`']activation[`']"),
        (np.sum, ValueError, "`activation` must keep the shape"),
        (lambda x: np.where(x > 0, np.nan, x), ValueError, r"`activation\(x\)` must be finite"),
        (lambda x: x * 1j, TypeError, r"`activation\(x\)` must hold real numbers"),
    ],
)
def test_rejects_bad_activations(activation, error, message):
    with pytest.raises(error, match=message):
        dual_activation(activation, 0.5)


def test_maxout_is_no_function_of_one_preactivation():
    with pytest.raises(ValueError, match="`activation` must be a function of one pre-activation, got 'maxout2'"):
        activation_function("maxout2")
    assert dual_activation("maxout2", 1.0) == 1.0


def test_rejects_bad_numbers():
    for rho in (1.5, np.nan):
        with pytest.raises(ValueError, match="`rho`"):
            dual_activation("relu", rho)
    with pytest.raises(ValueError, match="`var_u`"):
        dual_activation("tanh", 0.5, var_u=-1.0)
    with pytest.raises(ValueError, match="`var` must be positive"):
        c_map_complement("tanh", 0.5, var=0.0)
    with pytest.raises(ValueError, match=r"`complement` must lie in \[0, 2\], got 2.5"):
        c_map_complement("relu", 2.5)
    with pytest.raises(ValueError, match="must not vanish"):
        c_map_complement(np.zeros_like, 0.5)


@pytest.mark.parametrize(("function", "name"), [(lambda x: np.exp(-x * x), "gaussian"), (lambda x: np.cos(x), "cos")])
@pytest.mark.parametrize("var", [1e-10, 1e-8, 1e-6, 1e-4])
def test_derivative_of_a_nearly_constant_function(function, name, var):
    """Its differences drown in rounding: 1e-15 of sqrt(E phi^2/(s E phi'^2)), without a ConvergenceError."""
    exact = float(dual_derivative(name, 1.0, var_u=var, var_v=var))
    allowed = 1e-13 + 1e-15 / np.sqrt(exact)
    for rho in (np.array([-0.9, 0.5, 1.0]), np.linspace(-1, 1, 40)):  # 40: interpolated
        found = dual_derivative(function, rho, var_u=var, var_v=var)
        assert_allclose(found, dual_derivative(name, rho, var_u=var, var_v=var), rtol=0, atol=allowed * exact)


def test_derivative_of_a_constant():
    assert_array_equal(dual_derivative(np.ones_like, [-0.5, 1.0]), [0.0, 0.0])


def test_slopes_near_a_flat_top():
    """chi_1 at k = 1e-12, where cos is 1 but for its last four bits."""
    assert_allclose(chi_1(lambda x: np.cos(x), 0.0), chi_1("cos", 0.0), rtol=1e-3)
