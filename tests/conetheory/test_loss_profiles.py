import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contrastive import contrastive_loss, etf_floor
from conetheory.loss_profiles import equal_margins, exponential_profile, matrix_profile, simplex_profile
from tests import naive_gap_flow as naive
from tests.strategies import seeds

SCALES = np.array([0.0, 0.3, 2.0, 14.3, 60.0])


def random_cosines(seed, n=5):
    return np.random.default_rng(seed).uniform(-1, 1, (n, n))


@given(seeds, st.integers(2, 7), st.floats(0, 200))
def test_the_loss_is_that_of_the_logits(seed, n, a):
    z = random_cosines(seed, n)
    assert_allclose(matrix_profile(z).loss(a), contrastive_loss(a * z), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_force_to_40_digits(seed):
    z = random_cosines(seed, 4)
    profile = matrix_profile(z)
    for a in SCALES:
        assert_allclose(profile.loss(a), float(naive.mp_loss(z, a)), rtol=1e-13)
        assert_allclose(profile.force(a), float(naive.mp_force(z, a)), rtol=1e-11, atol=1e-14)


def test_a_tiny_loss_and_a_tiny_force_keep_their_digits():
    z = np.eye(3)
    profile = matrix_profile(z)
    assert_allclose(profile.loss([80.0, 600.0]), 2 * np.exp([-80.0, -600.0]), rtol=1e-13)
    assert_allclose(profile.force([80.0, 600.0]), 2 * np.exp([-80.0, -600.0]), rtol=1e-13)


@pytest.mark.parametrize(
    "profile", [simplex_profile(16), equal_margins(4, 0.3), exponential_profile(0.7), matrix_profile(random_cosines(1))]
)
def test_force_and_curvature_are_derivatives(profile):
    a, step = np.array([0.0, 0.5, 3.0, 11.0]), 1e-5
    assert_allclose((profile.loss(a + step) - profile.loss(a - step)) / (2 * step), -profile.force(a), atol=1e-9)
    assert_allclose((profile.force(a + step) - profile.force(a - step)) / (2 * step), -profile.curvature(a), atol=1e-9)


@given(seeds, st.floats(0, 50), st.floats(0.01, 50))
def test_a_profile_is_convex(seed, a, step):
    profile = matrix_profile(random_cosines(seed))
    assert profile.curvature(a) >= 0
    assert profile.force(a + step) <= profile.force(a) + 1e-15


def test_equal_margins_are_the_matrix_with_these_margins():
    n = 6
    z = np.full((n, n), -1 / (n - 1))
    np.fill_diagonal(z, 1.0)
    closed, matrix = simplex_profile(n), matrix_profile(z)
    assert closed.margin == matrix.margin == n / (n - 1)
    for function in ("loss", "force", "curvature"):
        assert_allclose(getattr(closed, function)(SCALES), getattr(matrix, function)(SCALES), rtol=1e-13)
    assert_allclose(closed.loss(SCALES[1:]), etf_floor(n, 1 / SCALES[1:]), rtol=1e-13)


def test_margins():
    z = [[1.0, 0.5], [0.2, 0.1]]  # pair 2 is beaten by .1 in its row and .4 in its column
    assert matrix_profile(z).margin == pytest.approx(-0.4)
    assert matrix_profile(np.eye(4)).margin == 1
    assert sorted(matrix_profile(z).margins.ravel().round(12)) == [-0.8, -0.5, 0.1, 0.4]


def test_the_simplified_loss():
    profile = exponential_profile()
    assert_allclose(profile.loss([0.0, 2.0]), [1, np.exp(-2)])
    assert_allclose(profile.force(2.0), profile.curvature(2.0))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: matrix_profile([[1.0, 2.0]]), "cosines"),
        (lambda: matrix_profile([[1.0]]), "cosines"),
        (lambda: matrix_profile([[1.0, np.nan], [0, 1]]), "cosines"),
        (lambda: equal_margins(1, 1.0), "n"),
        (lambda: equal_margins(4, 0.0), "margin"),
        (lambda: equal_margins(4, np.nan), "margin"),
        (lambda: exponential_profile(-1.0), "margin"),
        (lambda: simplex_profile(1), "n"),
        (lambda: simplex_profile(4).force(np.nan), "a"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`"):
        call()
