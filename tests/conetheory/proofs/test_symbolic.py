import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import erf

sympy = pytest.importorskip("sympy")

from conetheory.contraction import chebyshev_constant, preactivation_angle  # noqa: E402
from conetheory.contraction import preactivation_correlation as correlation  # noqa: E402
from conetheory.dual import ACTIVATIONS, dual_activation  # noqa: E402
from conetheory.finite_width import cosine_mean_correction, cosine_variance  # noqa: E402
from conetheory.gaussian import quadrant_probability, relu_moment  # noqa: E402
from conetheory.meanfield import layer_map  # noqa: E402
from conetheory.proofs import symbolic_duals as duals  # noqa: E402
from conetheory.proofs import symbolic_layer as layer  # noqa: E402
from conetheory.proofs import symbolic_moments as moments  # noqa: E402

THETAS = np.array([0.3, 1.0, np.pi / 2, 2.5])
THETA = moments.THETA
P, Q = duals.VARIANCES
C = duals.COVARIANCE

DERIVATIONS = {
    f"{module.__name__.rsplit('.', 1)[1]}.{name}": getattr(module, name)
    for module, names in (
        (moments, ("arc_cosine", "delta_method", "complement_moments", "chebyshev_moments")),
        (duals, [name for name in duals.__all__ if name.islower()]),
        (layer, layer.__all__),
    )
    for name in names
}
_DONE = {}


def derived(name):
    """The derivation of that name; each is done once."""
    if name not in _DONE:
        _DONE[name] = DERIVATIONS[name]()
    return _DONE[name]


def in_theta(expression, thetas=THETAS, **values):
    return sympy.lambdify((THETA, *values), expression, "numpy")(thetas, *values.values())


@pytest.mark.parametrize("name", DERIVATIONS)
def test_the_definition_gives_the_closed_form(name):
    found = derived(name)
    assert found.closed
    assert found.residuals
    assert all(residual == 0 for residual in found.residuals.values()), found.residuals


@pytest.mark.parametrize("powers", [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (4, 2)])
def test_joint_moments_are_those_of_the_package(powers):
    expression = moments.joint_moment(*powers)
    assert_allclose(in_theta(expression), relu_moment(*powers, THETAS), rtol=1e-12, atol=1e-14)


def test_small_joint_moments_are_those_of_the_theory():
    rest, sin, cos = sympy.pi - THETA, sympy.sin(THETA), sympy.cos(THETA)
    closed = {
        (1, 1): (sin + rest * cos) / (2 * sympy.pi),
        (2, 2): (rest * (1 + 2 * cos**2) + 3 * sin * cos) / (2 * sympy.pi),
        (3, 1): (3 * rest * cos + 3 * sin - sin**3) / (2 * sympy.pi),
        (2, 1): (1 + cos) ** 2 / sympy.sqrt(8 * sympy.pi),
    }
    for powers, expression in closed.items():
        assert moments.reduced(moments.joint_moment(*powers) - expression) == 0
        assert moments.reduced(moments.joint_moment(*powers) - expression * 2) != 0
    assert [moments._moment(n, 0) for n in (0, 2, 4)] == [1, sympy.Rational(1, 2), sympy.Rational(3, 2)]


def test_radial_moments():
    assert [moments.radial_moment(n) for n in (0, 2, 4, 6)] == [1, 2, 8, 48]
    assert moments.radial_moment(3) == 3 * sympy.sqrt(sympy.pi / 2)


@pytest.mark.parametrize(
    "expression", [sympy.cos(2 * THETA) - 2 * sympy.cos(THETA) ** 2 + 1, sympy.sin(3 * THETA) - 3 * sympy.sin(THETA)]
)
def test_reduction_decides_identities(expression):
    vanishes = bool(abs(expression.subs(THETA, 1).evalf()) < 1e-12)
    assert (moments.reduced(expression) == 0) == vanishes


def test_the_arc_cosine_map_is_that_of_the_package():
    closed = derived("symbolic_moments.arc_cosine").closed
    assert_allclose(in_theta(closed["kappa"]), layer_map("relu", 1.0, np.cos(THETAS)).rho, rtol=1e-12)
    assert_allclose(in_theta(closed["slope"]), 2 * quadrant_probability(THETAS), rtol=1e-12)


def test_the_delta_method_is_that_of_the_package():
    closed = derived("symbolic_moments.delta_method").closed
    assert_allclose(in_theta(closed["m"]), cosine_mean_correction(np.cos(THETAS)), rtol=1e-10, atol=1e-13)
    assert_allclose(in_theta(closed["v"]), cosine_variance(np.cos(THETAS)), rtol=1e-10, atol=1e-13)


def test_the_chebyshev_constant_is_that_of_the_package():
    closed = derived("symbolic_moments.chebyshev_moments").closed
    theta = preactivation_angle(0.5, 2.0, 1.0)
    c0 = sympy.Symbol("c_0", positive=True)
    mean, square = (float(closed[name].subs({THETA: theta, c0: 0.5})) for name in ("mean", "square"))
    assert_allclose(square / mean**2 - 1, chebyshev_constant(0.5, 2.0, 1.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("absolute_value", np.abs),
        ("step", lambda x: np.where(x > 0, 1.0, 0.0)),
        ("leaky_relu", ACTIVATIONS["leaky_relu"]),
    ],
)
def test_homogeneous_duals_agree_with_quadrature(name, function):
    closed = derived(f"symbolic_duals.{name}").closed["dual"]
    values = {"lambda": 0.01} if name == "leaky_relu" else {}
    symbol = {sympy.Symbol("lambda", real=True): value for value in values.values()}
    assert_allclose(in_theta(closed.subs(symbol)), dual_activation(function, np.cos(THETAS)), rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gaussian", lambda x: np.exp(-(x**2))),
        ("sine", np.sin),
        ("cosine", np.cos),
        ("erf", erf),
        ("gelu", ACTIVATIONS["gelu"]),
    ],
)
def test_other_duals_agree_with_quadrature(name, function):
    closed = derived(f"symbolic_duals.{name}").closed["dual"]
    p, q, rho = 0.7, 1.9, np.array([-0.8, 0.1, 0.95])
    values = sympy.lambdify((P, Q, C), closed, "numpy")(p, q, rho * np.sqrt(p * q))
    assert_allclose(values, dual_activation(function, rho, var_u=p, var_v=q), rtol=1e-9, atol=1e-12)


def test_the_dual_of_maxout_agrees_with_sampling():
    closed = derived("symbolic_duals.maxout2").closed["dual"]
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 2, 400_000))
    other = np.cos(1.0) * first + np.sin(1.0) * second
    products = first.max(axis=0) * other.max(axis=0)
    stderr = products.std() / np.sqrt(products.size)
    assert abs(products.mean() - in_theta(closed, 1.0)) <= 4.5 * stderr


def test_the_correlation_is_that_of_the_package():
    closed = derived("symbolic_layer.preactivation_correlation").closed["correlation"]
    names = {"a": 2.0, "b": 0.5, "sigma_w": 1.5, "sigma_b": 0.7}
    values = {sympy.Symbol(name, positive=True): value for name, value in names.items()}
    value = float(closed.subs(values | {sympy.Symbol("c_0", real=True): -0.3}))
    assert_allclose(value, correlation(-0.3, 2.0, 0.5, sigma_w2=2.25, sigma_b2=0.49), rtol=1e-13)


def test_one_layer_of_he_initialisation_has_the_expansion():
    closed = derived("symbolic_layer.he_initialisation").closed
    theta = 0.02
    after = np.arccos(layer_map("relu", 1.0, np.cos(theta), sigma_w2=2.0).rho)
    assert abs(after - (theta + float(closed["c_2"]) * theta**2 + float(closed["c_3"]) * theta**3)) < theta**4


def test_bad_powers_are_rejected():
    with pytest.raises(ValueError, match=r"`a` must be at least 1, got 0\."):
        moments.joint_moment(0, 1)
    with pytest.raises(TypeError, match=r"`n` must be an integer, got 1\.5\.|parameter 'n'"):  # or a checked type
        moments.radial_moment(1.5)
