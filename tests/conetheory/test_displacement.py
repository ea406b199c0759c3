import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contrastive_gradient import contrastive_hessian_product
from conetheory.displacement import (
    displacement_derivatives,
    rotation_critical_scales,
    rotation_derivatives,
    rotation_transition,
)
from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale, profile_slope
from tests import naive_displacement as naive
from tests.strategies import seeds

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


def random_pairs(seed, n=4, dim=3):
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((2, n, dim))
    square = rng.standard_normal((dim, dim))
    return images, texts, rng.permutation(n), square - square.T


def circle(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


@settings(max_examples=12)
@given(seeds, st.floats(0.1, 30))
def test_rotation_matches_the_oracle(seed, scale):
    images, texts, pairing, generator = random_pairs(seed)
    found = rotation_derivatives(images, texts, pairing, 1 / scale, generator)
    slope, curvature = naive.derivatives(images, naive.rotated(texts[pairing], generator), scale)
    size = (1 + scale) ** 2 * (1 + np.abs(generator).max() ** 2)
    assert found.slope == pytest.approx(float(slope), abs=1e-14 * size, rel=1e-13)
    assert found.curvature == pytest.approx(float(curvature), abs=1e-13 * size, rel=1e-13)


@given(seeds, st.integers(2, 8), st.integers(1, 5), st.floats(0.1, 60))
def test_latitude_is_the_slope_of_the_profile(seed, n, dim, scale):
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((2, n, dim))
    pairing = rng.permutation(n)
    y = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    wide = [np.column_stack([rows, np.zeros(n)]) for rows in (images, texts)]
    up = np.column_stack([np.zeros((n, dim)), np.ones(n)])
    level = np.column_stack([-y, np.zeros(n)])
    found = displacement_derivatives(*wide, pairing, 1 / scale, (up, level))
    expected = -scale * profile_slope(images, texts, pairing, scale)
    assert found.slope == 0
    assert found.curvature == pytest.approx(expected, abs=1e-14 * (1 + scale) ** 2)


@given(seeds, st.floats(0.5, 30))
def test_geodesic_motion_is_the_hessian_of_the_spheres(seed, scale):
    images, texts, pairing, _ = random_pairs(seed, 5, 4)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    move = np.random.default_rng(seed + 1).standard_normal(y.shape)
    move -= np.sum(move * y, axis=1, keepdims=True) * y
    bend = -np.sum(move**2, axis=1, keepdims=True) * y
    found = displacement_derivatives(images, texts, pairing, 1 / scale, (move, bend))
    product = contrastive_hessian_product(x, y[pairing], 1 / scale, (np.zeros_like(x), move[pairing]))
    assert found.curvature == pytest.approx(float(np.vdot(move[pairing], product.y)), abs=1e-12 * (1 + scale) ** 2)


def test_rotations_of_both_sets_change_nothing():
    images, texts, pairing, generator = random_pairs(1, 6)
    turned = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    plain = rotation_derivatives(images, texts, pairing, 0.1, generator)
    other = rotation_derivatives(images @ turned.T, texts @ turned.T, pairing, 0.1, turned @ generator @ turned.T)
    assert_allclose([plain.slope, plain.curvature], [other.slope, other.curvature], rtol=1e-12)


def test_the_two_readings_of_a_permutation_differ():
    images, texts, _, generator = random_pairs(2, 3)
    cycle = np.array([1, 2, 0])
    found = rotation_derivatives(images, texts, cycle, 0.2, generator)
    placed = rotation_derivatives(images, texts[cycle], range(3), 0.2, generator)
    inverse = rotation_derivatives(images, texts, np.argsort(cycle), 0.2, generator)
    assert found == placed
    assert abs(found.curvature - inverse.curvature) > 0.1


def test_derivatives_move_the_texts_before_they_are_paired():
    images, texts, _, generator = random_pairs(3, 3)
    cycle = np.array([1, 2, 0])
    y = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    motion = (y @ generator.T, y @ generator.T @ generator.T)
    found = displacement_derivatives(images, texts, cycle, 0.2, motion)
    expected = rotation_derivatives(images, texts, cycle, 0.2, generator)
    assert_allclose([found.slope, found.curvature], [expected.slope, expected.curvature], rtol=1e-13)


def test_critical_scales_are_roots_of_the_curvature():
    points = np.column_stack([circle_points(6, 20, -20), np.zeros(6)])
    lift = np.zeros((3, 3))
    lift[2, 1], lift[1, 2] = 1.0, -1.0
    found = rotation_critical_scales(points, points, PAIRING_SWAPPED, lift)
    assert found
    for scale in found:
        assert abs(rotation_derivatives(points, points, PAIRING_SWAPPED, 1 / scale, lift).curvature) < 1e-12
    assert rotation_critical_scales(points, points, range(6), lift, bounds=(50.0, 60.0)) == ()


def test_a_lift_is_never_subcritical():
    rng = np.random.default_rng(7)
    for _ in range(6):
        images, texts = rng.standard_normal((2, 5, 2))
        wide = [np.column_stack([rows, np.zeros(5)]) for rows in (images, texts)]
        generator = np.zeros((3, 3))
        generator[2, :2] = rng.standard_normal(2)
        generator -= generator.T
        found = rotation_transition(*wide, rng.permutation(5), generator / np.linalg.norm(generator[2]))
        assert not found.subcritical


def test_a_rotation_within_the_plane_can_be():
    images, texts = circle(90, -90, 160, -160), circle(-10, 10, -100, 100)
    found = rotation_transition(images, texts, range(4), TURN)
    assert found.subcritical
    assert found.local_scale == pytest.approx(5.627798, abs=1e-6)
    assert found.global_scale == pytest.approx(1.19124, abs=1e-4)
    assert abs(found.angle_deg) == pytest.approx(114, abs=1.5)
    assert rotation_derivatives(images, texts, range(4), 0.25, TURN).slope == pytest.approx(0, abs=1e-14)
    assert not rotation_transition(circle(20, -20, 80, -80), circle(90, -90, 160, -160), range(4), TURN).subcritical


def test_matched_antipodes_never_leave():
    found = rotation_transition(circle(0, 180), circle(0, 180), (0, 1), TURN)
    assert (found.local_scale, found.global_scale, found.angle_deg) == (np.inf, np.inf, 0.0)


def test_bad_input_is_named():
    points = circle(0, 20, 40)
    still = np.zeros_like(points)
    with pytest.raises(ValueError, match=r"`generator` must have shape \(2, 2\), got \(3, 3\)"):
        rotation_derivatives(points, points, range(3), 0.1, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="`generator` must be antisymmetric"):
        rotation_derivatives(points, points, range(3), 0.1, np.eye(2))
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        rotation_derivatives(points, points, range(3), 0.0, TURN)
    with pytest.raises(ValueError, match="`pairing` must be a permutation"):
        rotation_derivatives(points, points, (0, 0, 1), 0.1, TURN)
    with pytest.raises(ValueError, match="`bounds` must be two positive scales"):
        rotation_critical_scales(points, points, range(3), TURN, bounds=(2.0, 1.0))
    with pytest.raises(ValueError, match="`motion` must keep the texts on the sphere, got row"):
        displacement_derivatives(points, points, range(3), 0.1, (points, still))
    with pytest.raises(ValueError, match="`motion` must keep the texts on the sphere"):
        displacement_derivatives(points, points, range(3), 0.1, (points @ TURN, still))
    with pytest.raises(ValueError, match="`motion` must hold two arrays of the shape of `texts`"):
        displacement_derivatives(points, points, range(3), 0.1, (still[:2], still))
    assert critical_scale(points, points, range(3)).scale == np.inf
