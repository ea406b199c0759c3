"""The closed forms: values, derivatives in the correlation, complements."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory import _dual_forms
from conetheory.dual import (
    ACTIVATIONS,
    activation_function,
    c_map_complement,
    dual_activation,
    dual_derivative,
    second_moment,
)
from conetheory.gaussian import relu_moment
from tests import naive_dual
from tests.strategies import cosines

CLOSED = tuple(name for name in ACTIVATIONS if ACTIVATIONS[name].dual is not None)
POINTWISE = tuple(name for name in CLOSED if name != "maxout2")
SMOOTH = tuple(name for name in CLOSED if name != "step")
EPS = np.finfo(float).eps
variances = st.floats(1e-2, 1e2)


def error(value, exact):
    return abs(float(mp.mpf(float(value)) - exact))


def scale(name, var_u, var_v):
    return np.sqrt(second_moment(name, var_u) * second_moment(name, var_v))


def slope_scale(name, var_u, var_v):
    """The size of a derivative: sqrt(var_u var_v E phi'(u)^2 E phi'(v)^2)."""
    return np.sqrt(
        dual_derivative(name, 1.0, var_u=var_u, var_v=var_u) * dual_derivative(name, 1.0, var_u=var_v, var_v=var_v)
    )


# The exponents of sin and cos reach 100, which leaves 100 eps.
@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize(("rho", "var"), [(-0.95, (0.3, 7.0)), (1 - 1e-12, (100.0, 100.0)), (1e-12 - 1, (0.01, 100.0))])
def test_value_against_mpmath(name, rho, var):
    value = dual_activation(name, rho, var_u=var[0], var_v=var[1])
    assert error(value, naive_dual.dual_activation(name, rho, *var)) <= 100 * EPS * scale(name, *var)


@pytest.mark.parametrize("name", [name for name in POINTWISE if name != "step"])
@pytest.mark.parametrize(("rho", "var"), [(0.6, (0.3, 7.0)), (1e-12 - 1, (100.0, 50.0))])
def test_derivative_against_mpmath(name, rho, var):
    value = dual_derivative(name, rho, var_u=var[0], var_v=var[1])
    assert error(value, naive_dual.dual_derivative(name, rho, *var)) <= 100 * EPS * slope_scale(name, *var)


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize(("eps", "var"), [(1e-12, 1.0), (0.3, 30.0)])
def test_complement_against_mpmath(name, eps, var):
    """Relative, also where 1 - C-map by subtraction has four digits left."""
    exact = naive_dual.complement(name, eps, var)
    assert error(c_map_complement(name, eps, var=var), exact) <= 1e-14 * exact


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("var", [(1.0, 1.0), (0.01, 0.01), (100.0, 100.0), (0.01, 100.0), (0.3, 7.0)])
def test_everything_against_mpmath(name, var):
    for rho in (-1, 1e-12 - 1, -0.9, -0.3, 0, 0.5, 0.99, 1 - 1e-6, 1 - 1e-12, 1):
        value = dual_activation(name, rho, var_u=var[0], var_v=var[1])
        assert error(value, naive_dual.dual_activation(name, rho, *var)) <= 100 * EPS * scale(name, *var)
        if name != "step":
            value = dual_derivative(name, rho, var_u=var[0], var_v=var[1])
            assert error(value, naive_dual.dual_derivative(name, rho, *var)) <= 100 * EPS * slope_scale(name, *var)
    if var[0] == var[1]:
        for eps in (1e-12, 1e-6, 1e-2, 0.5, 1, 1.7):
            exact = naive_dual.complement(name, eps, var[0])
            assert error(c_map_complement(name, eps, var=var[0]), exact) <= 2e-14 * exact


@pytest.mark.parametrize("t", [0.0, 2.0**-60, 2.0**-20, 0.1, 0.5, 0.9, 1.0])
def test_arc_against_mpmath(t):
    """sin x - x cos x from 1 - cos x, relative to its own size."""
    with mp.workdps(80):
        x = mp.acos(1 - mp.mpf(t))
        exact = mp.sin(x) - x * (1 - mp.mpf(t))
    assert error(_dual_forms._arc(np.float64(t)), exact) <= 3 * EPS * exact


def test_known_values():
    third = 1 / np.sqrt(3)
    for name, rho, exact in [
        ("abs", 0.0, 2 / np.pi),
        ("abs", -1.0, 1.0),
        ("step", [-1.0, 0.0, 0.5, 1.0], [0.0, 1 / 4, 1 / 3, 1 / 2]),
        ("maxout2", [-1.0, 0.0, 1.0], [0.0, 1 / np.pi, 1.0]),
        ("erf", [-1.0, 0.0, 1.0], np.array([-1, 0, 1]) * 2 / np.pi * np.arcsin(2 / 3)),
        ("gaussian", [0.0, 1.0], [third**2, 1 / np.sqrt(5)]),
        ("sin", [0.0, 1.0], [0.0, (1 - np.exp(-2)) / 2]),
        ("cos", [0.0, 1.0], [np.exp(-1), (1 + np.exp(-2)) / 2]),
    ]:
        assert_allclose(dual_activation(name, rho), exact, rtol=4 * EPS, atol=0)
    assert_allclose(dual_derivative("abs", [-1.0, 0.0, 1.0]), [-1, 0, 1], rtol=2 * EPS)
    assert_allclose(dual_derivative("step", 0.0), 1 / (2 * np.pi), rtol=2 * EPS)
    assert_array_equal(dual_derivative("step", [-1.0, 1.0]), [np.inf, np.inf])
    assert_allclose(dual_derivative("gelu", 0.0), 1 / 4, rtol=2 * EPS)
    assert_allclose(c_map_complement("step", [0.0, 1.0, 2.0]), [0, 0.5, 1], rtol=2 * EPS)
    assert_allclose(c_map_complement("abs", [0.0, 1.0, 2.0]), [0, 1 - 2 / np.pi, 0], rtol=2 * EPS)


@given(rho=cosines, var_u=variances, var_v=variances)
def test_the_relu_family(rho, var_u, var_v):
    """|x| = relu(x) + relu(-x), and the greater of two is their mean and half their distance, which are independent."""
    var = {"var_u": var_u, "var_v": var_v}
    size = np.sqrt(var_u * var_v)
    relu, flipped = dual_activation("relu", rho, **var), dual_activation("relu", -rho, **var)
    assert_allclose(dual_activation("abs", rho, **var), 2 * (relu + flipped), rtol=0, atol=4 * EPS * size)
    maxout = (size * rho + dual_activation("abs", rho, **var)) / 2
    assert_allclose(dual_activation("maxout2", rho, **var), maxout, rtol=0, atol=4 * EPS * size)
    assert_allclose(relu, size * relu_moment(1, 1, np.arccos(rho)), rtol=0, atol=4 * EPS * size)
    assert_allclose(dual_derivative("relu", rho, **var), size * dual_activation("step", rho), rtol=4 * EPS)


@given(rho=cosines, var_u=variances, var_v=variances)
def test_sine_and_cosine_are_each_others_derivatives(rho, var_u, var_v):
    var = {"var_u": var_u, "var_v": var_v}
    size = np.sqrt(var_u * var_v)
    assert_allclose(dual_derivative("sin", rho, **var), size * dual_activation("cos", rho, **var), rtol=4 * EPS)
    assert_allclose(dual_derivative("cos", rho, **var), size * dual_activation("sin", rho, **var), rtol=4 * EPS)
    both = dual_activation("cos", rho, **var) + dual_activation("sin", rho, **var)
    exact = np.exp(-((np.sqrt(var_u) - np.sqrt(var_v)) ** 2) / 2 - size * (1 - rho))  # E cos(u - v)
    assert_allclose(both, exact, rtol=0, atol=1e-13 * scale("cos", var_u, var_v))


@pytest.mark.parametrize("rho", [1 - 1e-12, 1e-12 - 1, 1 - 2e-6, 1.0])
@pytest.mark.parametrize("var", [(1e6, 1e6), (1e6, 1e6 + 3e3), (1e10, 1e10), (1e3, 2.0)])
def test_sine_and_cosine_of_large_variances(rho, var):
    """The exponent |c| - (p + q)/2 is a small difference of large numbers here; E phi^2 is 1/2."""
    both = {"var_u": var[0], "var_v": var[1]}
    with mp.workdps(50):
        p, q, r = mp.mpf(var[0]), mp.mpf(var[1]), mp.mpf(rho)
        sine, cosine = (mp.exp(-(p + q) / 2) * f(mp.sqrt(p * q) * r) for f in (mp.sinh, mp.cosh))
        size = float(mp.sqrt(p * q))
    assert error(dual_activation("sin", rho, **both), sine) <= 2 * EPS / 2
    assert error(dual_activation("cos", rho, **both), cosine) <= 2 * EPS / 2
    assert error(dual_derivative("sin", rho, **both) / size, cosine) <= 3 * EPS / 2
    assert error(dual_derivative("cos", rho, **both) / size, sine) <= 3 * EPS / 2


def gelu(k, rho):
    """docs/theory.md, 1.8, at equal variances; the integrals of naive_dual do not reach large ones."""
    det = (1 + k) ** 2 - (k * rho) ** 2
    angle = mp.pi / 2 + mp.atan(k * rho / mp.sqrt(det))
    return (k * rho * angle + (k / (1 + k)) ** 2 * (det + rho**2) / mp.sqrt(det)) / (2 * mp.pi)


@pytest.mark.parametrize("var", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("eps", [1e-12, 1e-3, 0.7])
def test_gelu_complement_loses_the_root_of_the_variance(var, eps):
    with mp.workdps(50):
        one, other = (gelu(mp.mpf(var), 1 - mp.mpf(e)) for e in (0, eps))
        exact = 1 - other / one
    assert error(c_map_complement("gelu", eps, var=var), exact) <= (1e-14 + 3e-16 * np.sqrt(var)) * exact


@pytest.mark.parametrize("name", [name for name in CLOSED if ACTIVATIONS[name].degree is not None])
@given(eps=st.floats(0, 2), var=variances)
@settings(max_examples=10)
def test_homogeneous_activations_have_their_degree(name, eps, var):
    degree = ACTIVATIONS[name].degree
    assert_allclose(second_moment(name, var), var**degree * second_moment(name, 1.0), rtol=4 * EPS)
    assert c_map_complement(name, eps, var=var) == c_map_complement(name, eps)


@pytest.mark.parametrize("name", SMOOTH)
@given(rho=st.floats(-0.5, 0.5), var_u=st.floats(0.1, 3), var_v=st.floats(0.1, 3))
@settings(max_examples=20)
def test_derivative_is_that_of_the_value(name, rho, var_u, var_v):
    """By a difference of fourth order: h^4/30 times the fifth derivative, here below 1e3 scales, and eps/h."""
    h, var = 1e-3, {"var_u": var_u, "var_v": var_v}
    values = dual_activation(name, rho + h * np.array([-2.0, -1.0, 1.0, 2.0]), **var)
    difference = values @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h)
    assert abs(difference - dual_derivative(name, rho, **var)) <= 5e-11 * scale(name, var_u, var_v)


@pytest.mark.parametrize("name", CLOSED)
@given(eps=st.floats(1e-3, 2), var=variances)
@settings(max_examples=25)
def test_complement_is_one_minus_the_c_map(name, eps, var):
    c_map = dual_activation(name, 1 - eps, var_u=var, var_v=var) / second_moment(name, var)
    assert_allclose(c_map_complement(name, eps, var=var), 1 - c_map, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
@given(var=variances)
@settings(max_examples=20)
def test_complement_starts_with_the_slope(name, var):
    """1 - c(1 - eps) = chi_1 eps + O(eps^1.5)."""
    eps = 1e-14
    slope = dual_derivative(name, 1.0, var_u=var, var_v=var) / second_moment(name, var)
    assert_allclose(c_map_complement(name, eps, var=var), slope * eps, rtol=1e-6)


@pytest.mark.parametrize("name", POINTWISE)
def test_monte_carlo(name):
    n, rho, var_u, var_v = 200_000, -0.4, 0.5, 3.0
    x, noise = np.random.default_rng(11).standard_normal((2, n))
    phi = activation_function(name)
    draws = phi(np.sqrt(var_u) * x) * phi(np.sqrt(var_v) * (rho * x + np.sqrt(1 - rho**2) * noise))
    expected = dual_activation(name, rho, var_u=var_u, var_v=var_v)
    assert abs(draws.mean() - expected) < 4.5 * draws.std() / np.sqrt(n)


def test_maxout_monte_carlo():
    n, rho, var_u, var_v = 200_000, -0.4, 0.5, 3.0
    x, noise = np.random.default_rng(12).standard_normal((2, 2, n))
    y = rho * x + np.sqrt(1 - rho**2) * noise
    draws = np.sqrt(var_u * var_v) * x.max(axis=0) * y.max(axis=0)
    expected = dual_activation("maxout2", rho, var_u=var_u, var_v=var_v)
    assert abs(draws.mean() - expected) < 4.5 * draws.std() / np.sqrt(n)


@pytest.mark.parametrize("name", CLOSED)
def test_many_at_once_are_the_same(name):
    """Long arrays are evaluated a block at a time; vector loops may round differently from scalar ones."""
    rng = np.random.default_rng(3)
    rho, var = rng.uniform(-1, 1, 20_001), rng.uniform(0.1, 0.9, (3, 1))
    some = [0, 8191, 8192, 20_000]
    for function in (dual_activation, dual_derivative):
        assert_allclose(function(name, rho)[some], function(name, rho[some]), rtol=8 * EPS)
        assert function(name, rho, var_u=var).shape == (3, 20_001)
        assert_allclose(function(name, rho, var_u=var)[:, some], function(name, rho[some], var_u=var), rtol=8 * EPS)
    assert_allclose(c_map_complement(name, 1 - rho)[some], c_map_complement(name, 1 - rho[some]), rtol=8 * EPS)
    with pytest.raises(ValueError, match=r"`rho` must lie in \[-1, 1\], got 1.5"):
        dual_activation(name, np.append(rho, 1.5))


@pytest.mark.parametrize("name", CLOSED)
def test_a_variance_of_zero(name):
    at_zero = 1.0 if name in ("cos", "gaussian") else 0.0
    assert second_moment(name, 0.0) == at_zero
    assert dual_derivative(name, 1.0, var_u=0.0) == 0
    assert_array_equal(dual_activation(name, [0.3, 0.5], var_u=0.0, var_v=[[0.0], [0.0]]), np.full((2, 2), at_zero))
