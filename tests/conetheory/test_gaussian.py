import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.gaussian import quadrant_probability, relu_moment
from tests import naive_gaussian

angles = st.floats(0, np.pi)
powers = st.integers(0, 6)
PI = np.pi


def test_known_values():
    assert_allclose(relu_moment(1, 1, [0, PI / 2, PI]), [0.5, 1 / (2 * PI), 0], rtol=1e-15)
    assert_allclose(relu_moment(2, 2, [0, PI / 2, PI]), [1.5, 0.25, 0], rtol=1e-15)
    assert_allclose(relu_moment(3, 1, [0, PI / 2, PI]), [1.5, 1 / PI, 0], rtol=1e-15)
    half_line = [relu_moment(a, 0, 1.0) for a in range(5)]
    assert_allclose(half_line, [1, 1 / np.sqrt(2 * PI), 0.5, np.sqrt(2 / PI), 1.5], rtol=1e-15)


@given(angles)
def test_closed_forms(theta):
    s, c, rest = np.sin(theta), np.cos(theta), PI - theta
    closed = {
        (1, 1): s + rest * c,
        (2, 1): np.sqrt(PI / 2) * (1 + c) ** 2,
        (2, 2): rest * (1 + 2 * c * c) + 3 * s * c,
        (3, 1): 3 * rest * c + 3 * s - s**3,
    }
    for (a, b), value in closed.items():
        assert_allclose(relu_moment(a, b, theta), value / (2 * PI), rtol=0, atol=2e-15)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 1), (2, 2), (3, 1), (5, 2), (8, 8), (20, 20), (1, 63)])
@pytest.mark.parametrize("theta", [0.0, 1e-9, 0.3, 1.6, 3.0, 3.1405])
def test_against_mpmath(a, b, theta):
    exact = naive_gaussian.relu_moment(a, b, theta)
    assert abs(float(relu_moment(a, b, theta) / exact - 1)) < 1e-14


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("gap", [1e-2, 1e-5, 1e-9, 4.5e-16])
def test_relative_accuracy_near_pi(a, b, gap):
    theta = PI - gap
    assert abs(float(relu_moment(a, b, theta) / naive_gaussian.relu_moment(a, b, theta) - 1)) < 1e-14


@given(powers, powers, angles)
def test_symmetric(a, b, theta):
    assert_allclose(relu_moment(a, b, theta), relu_moment(b, a, theta), rtol=1e-14)


@given(st.integers(1, 6), st.integers(1, 6), angles, angles)
def test_decreasing_in_the_angle(a, b, one, other):
    low, high = sorted((one, other))
    assert relu_moment(a, b, low) >= relu_moment(a, b, high) * (1 - 1e-14)


@given(angles)
def test_cauchy_schwarz(theta):
    assert relu_moment(2, 2, theta) <= 1.5 * (1 + 1e-14)
    assert relu_moment(1, 1, theta) <= relu_moment(2, 0, theta) * (1 + 1e-14)
    assert relu_moment(1, 1, theta) ** 2 <= relu_moment(2, 2, theta) * quadrant_probability(theta) * (1 + 1e-13)


@given(angles)
def test_opposite_quadrants_restore_the_plain_moments(theta):
    """E[GW] = 2 (J_11(theta) - J_11(pi - theta)) and E[G^2 W^2] = 2 (J_22(theta) + J_22(pi - theta))."""
    difference = relu_moment(1, 1, theta) - relu_moment(1, 1, PI - theta)
    total = relu_moment(2, 2, theta) + relu_moment(2, 2, PI - theta)
    assert_allclose(2 * difference, np.cos(theta), rtol=0, atol=1e-15)
    assert_allclose(2 * total, 1 + 2 * np.cos(theta) ** 2, rtol=2e-15)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 1), (2, 2), (3, 1), (4, 0)])
def test_monte_carlo(a, b):
    theta, n = 1.1, 200_000
    rng = np.random.default_rng(11)
    g, noise = rng.standard_normal((2, n))
    w = np.cos(theta) * g + np.sin(theta) * noise
    draws = np.maximum(g, 0) ** a * np.maximum(w, 0) ** b
    assert abs(draws.mean() - relu_moment(a, b, theta)) < 4.5 * draws.std() / np.sqrt(n)


@given(angles)
def test_quadrant_probability(theta):
    assert_allclose(quadrant_probability(theta), 0.25 + np.arcsin(np.cos(theta)) / (2 * PI), rtol=0, atol=1e-8)
    assert_allclose(quadrant_probability(theta) + quadrant_probability(PI - theta), 0.5, rtol=1e-15)


def test_shapes():
    theta = np.linspace(0, PI, 6).reshape(2, 3)
    for a, b in [(0, 0), (2, 0), (2, 1)]:
        assert relu_moment(a, b, theta).shape == (2, 3)
        assert isinstance(relu_moment(a, b, 0.5), np.float64)
    assert isinstance(quadrant_probability(0.5), np.float64)


@pytest.mark.parametrize("theta", [-0.1, 3.2, np.nan, np.inf])
@pytest.mark.parametrize(
    "function", [quadrant_probability, lambda t: relu_moment(1, 1, t), lambda t: relu_moment(0, 0, t)]
)
def test_rejects_bad_angle(function, theta):
    with pytest.raises(ValueError, match="`theta`"):
        function(theta)


def test_rejects_bad_powers():
    with pytest.raises(ValueError, match="`a` must be at least 0, got -1"):
        relu_moment(-1, 1, 0.5)
    with pytest.raises(TypeError, match=r"[`']b[`']"):
        relu_moment(1, 1.0, 0.5)
    with pytest.raises(ValueError, match="at most 64, got 60"):
        relu_moment(60, 5, 0.5)
