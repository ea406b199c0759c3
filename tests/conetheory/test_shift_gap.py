import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.gap import gap_norm
from conetheory.shift import shift_landscape, shift_separately
from conetheory.shift_gap import equal_projection_gap

lambdas = st.floats(-3, 3)


def parallel(height, lift, rng):
    """Rows of opposite heights ±γ and a common direction: every projection on the gap vector is ±2γ²."""
    h = rng.normal(size=(2, 6, 4))
    h = np.concatenate([h, -h], axis=1)
    h /= np.linalg.norm(h, axis=-1, keepdims=True)
    ring = np.sqrt(1 - height**2 - lift**2)
    return [
        np.column_stack([ring * rows, np.full(12, side), np.full(12, lift)])
        for rows, side in zip(h, (height, -height), strict=True)
    ]


@given(st.floats(0.05, 0.6), st.floats(0, 0.6), lambdas, lambdas, st.integers(0, 99))
def test_exact_for_equal_projections(height, lift, lam_x, lam_y, seed):
    x, y = parallel(height, lift, np.random.default_rng(seed))
    resultant = np.hypot(height, lift)
    moved = shift_separately(x, y, lam_x, lam_y)
    assert_allclose(
        equal_projection_gap(2 * height, resultant, resultant, lam_x, lam_y), gap_norm(moved.x, moved.y), atol=1e-7
    )


@given(st.floats(0.3, 0.9), st.floats(0.3, 0.9))
def test_known_values(r, s):
    gap = np.hypot(r, s)  # orthogonal means
    assert_allclose(equal_projection_gap(gap, r, s, 0.0, 0.0), gap, rtol=1e-14)
    assert_allclose(equal_projection_gap(2 * r, r, r, 0.5, 0.5), 0, atol=1e-12)  # opposite means of one length
    far = equal_projection_gap(gap, r, s, 1e8, 1e8)
    assert_allclose(far, 2, atol=1e-6)


def test_it_is_near_for_published_pairs(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy").astype(np.float64)
    lam = np.linspace(-0.6, 0.6, 13)
    exact = shift_landscape(x, y, lam, 0.1).gap
    found = equal_projection_gap(0.851352, 0.729671, 0.718445, lam, lam)
    assert np.max(np.abs(found - exact)) < 0.012


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="`gap`, `resultant_x` and `resultant_y` must be the sides of a triangle"):
        equal_projection_gap(1.5, 0.6, 0.6, 0.0, 0.0)
    with pytest.raises(ValueError, match="`resultant_y` must be positive"):
        equal_projection_gap(0.5, 0.6, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="must not shift a row onto the origin"):
        equal_projection_gap(2.0, 1.0, 1.0, 0.5, 0.0)
