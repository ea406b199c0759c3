import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.displacement import rotation_derivatives
from conetheory.displacement_forms import (
    lift_critical_scales,
    lift_form,
    softest_lift,
    softest_translation,
    translation_form,
)
from conetheory.matched_triple import repulsion_window, triple_curvature
from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale, profile_slope
from tests import naive_displacement as naive
from tests.strategies import seeds


def random_pairs(seed, n=5, dim=3):
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((2, n, dim))
    return images, texts, rng.permutation(n), rng.standard_normal(dim)


def lift_generator(v):
    generator = np.zeros((len(v) + 1, len(v) + 1))
    generator[-1, :-1], generator[:-1, -1] = v, -v
    return generator


@given(seeds, st.integers(2, 7), st.integers(1, 5), st.floats(0.1, 60))
def test_lift_form_is_the_curvature_of_the_rotation(seed, n, dim, scale):
    images, texts, pairing, v = random_pairs(seed, n, dim)
    v = v / np.linalg.norm(v)
    wide = [np.column_stack([rows, np.zeros(n)]) for rows in (images, texts)]
    found = rotation_derivatives(*wide, pairing, 1 / scale, lift_generator(v))
    form = lift_form(images, texts, pairing, 1 / scale)
    assert found.slope == pytest.approx(0, abs=1e-15 * scale)
    assert v @ form @ v == pytest.approx(found.curvature, abs=1e-14 * (1 + scale))
    assert np.trace(form) == pytest.approx(
        -scale * profile_slope(images, texts, pairing, scale), abs=1e-14 * (1 + scale)
    )
    assert_allclose(form, form.T, rtol=0, atol=0)


@settings(max_examples=12)
@given(seeds, st.floats(0.1, 30))
def test_translation_form_matches_the_oracle(seed, scale):
    images, texts, pairing, v = random_pairs(seed, 4)
    form = translation_form(images, texts, pairing, 1 / scale)
    slope, curvature = naive.derivatives(images, naive.translated(texts[pairing], v), scale)
    size = (1 + scale) ** 2 * (1 + v @ v)
    assert form.slope @ v == pytest.approx(float(slope), abs=1e-14 * size, rel=1e-13)
    assert v @ form.curvature @ v == pytest.approx(float(curvature), abs=1e-13 * size, rel=1e-12)


def test_translation_into_the_extra_dimension_is_the_latitude():
    images, texts, pairing, _ = random_pairs(4)
    form = translation_form(images, texts, pairing, 0.1)
    wide = translation_form(*(np.column_stack([rows, np.zeros(5)]) for rows in (images, texts)), pairing, 0.1)
    assert form.extra_curvature == pytest.approx(-10 * profile_slope(images, texts, pairing, 10.0), rel=1e-12)
    assert wide.curvature[3, 3] == pytest.approx(form.extra_curvature, rel=1e-12)
    assert_allclose(wide.curvature[3, :3], 0, atol=1e-14)
    assert wide.slope[3] == 0


@given(seeds, st.floats(0.5, 60))
def test_no_direction_is_softer(seed, scale):
    images, texts, pairing, v = random_pairs(seed)
    form = lift_form(images, texts, pairing, 1 / scale)
    found = softest_lift(images, texts, pairing, 1 / scale)
    assert found.curvature <= v @ form @ v / (v @ v) + 1e-13 * scale
    assert found.direction @ form @ found.direction == pytest.approx(found.curvature, abs=1e-13 * (1 + scale))
    assert found.curvature <= np.trace(form) / 3 + 1e-13 * scale
    moved = translation_form(images, texts, pairing, 1 / scale)
    softest = softest_translation(images, texts, pairing, 1 / scale)
    assert softest.direction.shape == (4,)
    assert softest.curvature == pytest.approx(
        min(np.linalg.eigvalsh(moved.curvature)[0], moved.extra_curvature), abs=1e-11 * (1 + scale) ** 2
    )


def test_a_lift_leaves_no_later_than_the_latitude():
    rng = np.random.default_rng(11)
    seen = 0
    for _ in range(20):
        images = rng.standard_normal((6, 3)) + 1.0
        texts, pairing = images + 0.6 * rng.standard_normal((6, 3)), range(6)
        critical = critical_scale(images, texts, pairing).scale
        if 0.2 < critical < 200 and softest_lift(images, texts, pairing, 10.0).curvature > 0:
            found = lift_critical_scales(images, texts, pairing)
            assert found
            assert found[0] <= critical
            seen += 1
    points = circle_points(6, 20, -20)
    assert lift_critical_scales(points, points, PAIRING_SWAPPED)[0] == pytest.approx(1.06619, abs=1e-6)
    assert seen >= 3


@pytest.mark.parametrize("spacing", [1.0, 10.0, 20.0, 37.0, 60.0, 89.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 7.0, 40.0, 300.0])
def test_three_matched_pairs_in_closed_form(spacing, scale):
    points = circle_points(3, spacing, -spacing)
    form = lift_form(points, points, range(3), 1 / scale)
    assert triple_curvature(spacing, scale) == pytest.approx(form[0, 0], abs=3e-16 * (1 + scale), rel=1e-12)


@given(st.floats(0.5, 37.6))
def test_window_holds_the_repelled_scales(spacing):
    window = repulsion_window(spacing)
    assert window is not None
    low, high = window
    inside, outside = np.geomspace(low, high, 12)[1:-1], [low * 0.99, high * 1.01]
    assert np.all(triple_curvature(spacing, inside) < 0)
    assert np.all(triple_curvature(spacing, outside) > 0)


def test_window_at_its_ends():
    assert repulsion_window(37.655) is not None
    assert repulsion_window(37.656) is None
    assert repulsion_window(89.0) is None
    assert repulsion_window(1e-100) == pytest.approx((1, 3.0812855e206), rel=1e-7)  # 2/δ² ln(2/δ²)
    low, high = repulsion_window(0.01) or (0, 0)
    delta2 = np.deg2rad(0.01) ** 2
    assert low == pytest.approx(1, abs=1e-6)
    assert high == pytest.approx(2 / delta2 * np.log(2 / delta2), rel=1e-6)


@pytest.mark.parametrize("spacing", [0.0, 90.0, -5.0, np.nan])
def test_spacing_must_lie_in_its_range(spacing):
    with pytest.raises(ValueError, match="`spacing_deg`"):
        triple_curvature(spacing, 1.0)
    with pytest.raises(ValueError, match="`spacing_deg`"):
        repulsion_window(spacing)


def test_bad_input_is_named():
    points = circle_points(3, 20)
    for function in (lift_form, translation_form, softest_lift, softest_translation):
        with pytest.raises(ValueError, match="`temperature` must be positive"):
            function(points, points, range(3), -1.0)
        with pytest.raises(ValueError, match="`texts` must have the shape of `images`"):
            function(points, points[:2], range(3), 1.0)
    with pytest.raises(ValueError, match="`scale` must be positive"):
        triple_curvature(20.0, 0.0)
