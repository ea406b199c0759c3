import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.mismatch import circle_points, critical_scale
from conetheory.mismatch_phases import (
    _finite_slope,
    arc_critical_scales,
    neighbour_swaps,
    shuffled_critical_scale,
    shuffled_scale,
)
from conetheory.sphere import bessel_ratio
from conetheory.von_mises_fisher import moments


@given(st.integers(2, 300), st.floats(1e-3, 0.999))
def test_limit_solves_its_equation(dim, fraction):
    scale = shuffled_critical_scale(dim, fraction)
    assert bessel_ratio(dim, scale) == pytest.approx(1 - fraction, abs=1e-13)


@pytest.mark.parametrize(("dim", "fraction"), [(2, 0.3), (3, 0.02), (8, 0.9), (64, 0.5)])
def test_limit_matches_the_oracle(dim, fraction):
    with mp.workdps(40):
        half = mp.mpf(dim) / 2
        root = mp.findroot(
            lambda k: mp.besseli(half, k) / mp.besseli(half - 1, k) - (1 - mp.mpf(fraction)),
            shuffled_critical_scale(dim, fraction) * 1.01,
        )
    assert shuffled_critical_scale(dim, fraction) == pytest.approx(float(root), rel=1e-13)


def test_limit_at_its_ends():
    assert_array_equal(shuffled_critical_scale(5, [0.0, 1.0]), [np.inf, 0.0])
    assert shuffled_critical_scale(5, 1e-6) * 1e-6 == pytest.approx((5 - 1) / 2, rel=1e-5)
    assert shuffled_critical_scale(5, 1 - 1e-6) / 1e-6 == pytest.approx(5, rel=1e-6)
    assert shuffled_critical_scale(3, 0.02) == pytest.approx(50, rel=1e-14)  # coth 50 - 1/50


def test_a_whole_circle_of_points_has_the_limit():
    rng = np.random.default_rng(1)
    points = circle_points(40, 9.0)
    for moving in (10, 20, 30):
        pairing = np.arange(40)
        pairing[:moving] = rng.permutation(moving)
        matched = np.mean(np.sum(points * points[pairing], axis=1))
        expected = shuffled_critical_scale(2, 1 - matched)
        assert critical_scale(points, points, pairing).scale == pytest.approx(float(expected), rel=1e-9)


def test_finite_n_approaches_the_limit_at_rate_one_over_n():
    distance = []
    for n in (1000, 2000, 4000):
        law = shuffled_scale(3, n // 2, n)
        distance.append(n * (law.limit - law.mean))
        assert law.deviation * np.sqrt(n) == pytest.approx(np.sqrt(0.5 / 3) / 0.19340769, rel=1e-2)
    assert_allclose(distance, distance[-1], rtol=0.02)


@pytest.mark.parametrize(("dim", "n", "scale"), [(3, 16, 1.0), (8, 64, 4.0)])
def test_slope_of_finite_n_is_that_of_drawn_directions(dim, n, scale):
    """The mean of the slope of ln(e^s + sum_j e^(s c_j)); what the expansion leaves out is of order 1/n²."""
    drawn = np.random.default_rng(0).standard_normal((20_000, n - 1, dim))
    cosines = drawn[..., 0] / np.linalg.norm(drawn, axis=-1)
    weights = np.exp(scale * cosines)
    slopes = (np.exp(scale) + (cosines * weights).sum(axis=1)) / (np.exp(scale) + weights.sum(axis=1))
    error = slopes.std() / np.sqrt(len(slopes))
    assert abs(slopes.mean() - _finite_slope(dim, n, scale)) < 4.5 * error + 1 / (4 * n**2)


@pytest.mark.parametrize(("dim", "n", "moving"), [(3, 32, 16), (8, 32, 8), (32, 32, 16)])
def test_mean_and_deviation_against_random_points(dim, n, moving):
    rng = np.random.default_rng(dim)
    found = []
    for _ in range(150):
        points = rng.standard_normal((n, dim))
        pairing = np.arange(n)
        while np.any(pairing[:moving] == np.arange(moving)):
            pairing[:moving] = rng.permutation(moving)
        found.append(critical_scale(points, points, pairing).scale)
    law = shuffled_scale(dim, moving, n)
    assert abs(np.mean(found) - law.mean) < 4.5 * np.std(found) / np.sqrt(150) + 0.01 * law.mean
    assert abs(np.log(np.std(found) / law.deviation)) < 4.5 / np.sqrt(300) + 0.1  # measured: 10 % at this n


def test_neighbour_swaps():
    assert_array_equal(neighbour_swaps(5, 2), [1, 0, 3, 2, 4])
    assert_array_equal(neighbour_swaps(4, 0), range(4))


def test_arc_depends_on_the_number_of_swaps_alone():
    points = circle_points(6, 20)
    found = arc_critical_scales(6, [15, 20], [0, 1, 2, 3])
    assert found.shape == (2, 4)
    assert_array_equal(found[:, 0], np.inf)
    assert np.all(np.diff(found[:, 1:]) < 0)
    for pairing, swaps in (((0, 2, 1, 3, 5, 4), 2), ((0, 1, 2, 4, 3, 5), 1)):
        assert critical_scale(points, points, pairing).scale == pytest.approx(found[1, swaps], rel=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"`fraction` must lie in \[0, 1\], got 1.5"):
        shuffled_critical_scale(3, [0.5, 1.5])
    with pytest.raises(ValueError, match="`dim` must be at least 2"):
        shuffled_critical_scale(1, 0.5)
    with pytest.raises(ValueError, match="`n_shuffled` must be below `n` = 8, got 8"):
        shuffled_scale(3, 8, 8)
    with pytest.raises(ValueError, match="`n_shuffled` must be at least 2"):
        shuffled_scale(3, 1, 8)
    with pytest.raises(ValueError, match=r"`swaps` must be at most n // 2 = 3, got 4"):
        neighbour_swaps(6, 4)
    with pytest.raises(ValueError, match=r"`spacing_deg` must lie in \(0, 60.0\]"):
        arc_critical_scales(6, [61.0], [1])
    with pytest.raises(ValueError, match="`spacing_deg` must be positive"):
        arc_critical_scales(6, [0.0], [1])


def test_the_ends_of_every_argument():
    """A fraction below the spacing of floats near 1, very many dimensions, every pair but one: finite and in order."""
    for dim in (2, 3, 64, 10_000):
        few = np.array([1e-300, 1e-14, 0.99e-5, 1.01e-5])  # the last two on either side of the change of formula
        assert_allclose(moments(dim, shuffled_critical_scale(dim, few[1:])).deficit, few[1:], rtol=2e-10)
        assert shuffled_critical_scale(dim, few[0]) == pytest.approx((dim - 1) / 2e-300)
    assert_array_equal(shuffled_critical_scale(3, [0, 1]), [np.inf, 0])
    for dim, moved, n in ((10_000, 2, 1000), (10_000, 500, 1000), (512, 2, 512), (2, 2, 3), (8, 10**9 - 1, 10**9)):
        law = shuffled_scale(dim, moved, n)
        assert 0 < law.deviation <= law.mean < np.inf
    assert shuffled_scale(10_000, 500, 1000).mean == pytest.approx(np.log(1000), rel=1e-4)  # all other cosines are 0
