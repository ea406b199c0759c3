import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.cones import (
    cross_tower_cosine,
    expected_gap_bounds,
    gap_squared,
    gap_squared_bias,
    initial_gap_squared,
    random_cones_gap_cdf,
    random_cones_gap_quantile,
    random_cones_mean_gap,
)
from conetheory.gap import gap_norm, mean_cosine, unmatched_cosine
from conetheory.meanfield import layer_map

EPS = np.finfo(float).eps
lengths = st.floats(0, 1)
some_lengths = st.floats(0.01, 1)
dims = st.integers(2, 2000)
angles = st.floats(0, np.pi)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@given(lengths, lengths, angles)
def test_gap_squared_is_the_distance_of_two_vectors(r, s, angle):
    vector = np.array([r - s * np.cos(angle), -s * np.sin(angle)])
    assert_allclose(gap_squared(r, s, angle=angle), vector @ vector, rtol=0, atol=8 * EPS)
    assert_allclose(gap_squared(r, r, angle=angle), (2 * r * np.sin(angle / 2)) ** 2, rtol=8 * EPS)


def test_bias_is_exact_for_atoms():
    """Two points each, all samples enumerated: no law is assumed."""
    rng = np.random.default_rng(2)
    x, y = unit(rng.standard_normal((2, 3))), unit(rng.standard_normal((3, 3)))
    gaps = [np.sum(((x[i] + x[j]) / 2 - y[k]) ** 2) for i in range(2) for j in range(2) for k in range(3)]
    r, s = np.linalg.norm(x.mean(axis=0)), np.linalg.norm(y.mean(axis=0))
    bias = gap_squared_bias(r, s, n_x=2, n_y=1)
    assert_allclose(np.mean(gaps), np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + bias, rtol=1e-14)


def test_bounds_hold_the_mean_gap():
    rng = np.random.default_rng(3)
    pull = np.array([1.0, 0.0, 0.0, 0.0])
    gaps, mean_x, mean_y = [], 0, 0
    for _ in range(4000):
        x = unit(rng.standard_normal((6, 4)) + 2 * pull)
        y = unit(rng.standard_normal((9, 4)) - pull[::-1])
        gaps.append(gap_norm(x, y))
        mean_x, mean_y = mean_x + x.mean(axis=0) / 4000, mean_y + y.mean(axis=0) / 4000
    r, s = np.linalg.norm(mean_x), np.linalg.norm(mean_y)
    found = expected_gap_bounds(r, s, angle=np.arccos(mean_x @ mean_y / (r * s)), n_x=6, n_y=9)
    assert found.low < np.mean(gaps) < found.high
    assert found.high - found.low <= gap_squared_bias(r, s, n_x=6, n_y=9) / (2 * found.low)


@given(dims, some_lengths, some_lengths)
def test_mean_gap_matches_40_digits(dim, r, s):
    with mp.workdps(40):
        a, b = mp.mpf(r), mp.mpf(s)
        z2 = (2 * a * b / (a**2 + b**2)) ** 2
        exact = mp.sqrt(a**2 + b**2) * mp.hyp2f1(mp.mpf(-1) / 4, mp.mpf(1) / 4, mp.mpf(dim) / 2, z2)
    value = random_cones_mean_gap(dim, r, s)
    assert_allclose(value, float(exact), rtol=1e-13)
    assert np.hypot(r, s) * (1 - 0.13 / dim - 1 / dim**2) <= value <= np.hypot(r, s) * (1 + 4 * EPS)


def test_mean_gap_known_values():
    assert_allclose(random_cones_mean_gap(2, 1.0, 1.0), 4 / np.pi, rtol=1e-13)  # chord of two points of a circle
    assert_allclose(random_cones_mean_gap(3, 1.0, 1.0), 4 / 3, rtol=1e-14)
    assert_allclose(random_cones_mean_gap(3, 1.0, 0.5), 1 + 0.25 / 3, rtol=1e-14)  # potential of a shell
    assert random_cones_mean_gap(5, 0.7, 0.0) == 0.7
    many = [random_cones_mean_gap(dim, 0.8, 0.8) for dim in (62, 63, 64, 65, 10**5)]  # across the switch, increasing
    assert np.all(np.diff(many) > 0)


@pytest.mark.parametrize("dim", [2, 3, 16, 300])
@pytest.mark.parametrize(("r", "s"), [(0.9, 0.9), (0.8, 0.3)])
def test_mean_and_mean_square_by_integrating_the_quantiles(dim, r, s):
    nodes, weights = np.polynomial.legendre.leggauss(200)
    t = (nodes + 1) / 2
    p, density = t * t * (3 - 2 * t), 6 * t * (1 - t) * weights / 2  # dense at both ends
    gaps = random_cones_gap_quantile(p, dim, r, s)
    assert_allclose(density @ gaps, random_cones_mean_gap(dim, r, s), rtol=1e-8)
    assert_allclose(density @ gaps**2, r * r + s * s, rtol=1e-8)
    assert_allclose(density @ (gaps**2 - r * r - s * s) ** 2, 4 * r * r * s * s / dim, rtol=1e-7)


@given(st.floats(0.001, 0.999), dims, some_lengths, some_lengths)
def test_quantiles_invert_the_law(p, dim, r, s):
    gap = random_cones_gap_quantile(p, dim, r, s)
    assert abs(r - s) - 4 * EPS <= gap <= (r + s) * (1 + 4 * EPS)
    # the density of the gap is at most about sqrt(dim) (r + s)/(r s) in size: that times its rounding
    slack = 64 * EPS * np.sqrt(dim) * (r + s) ** 2 / (r * s) + 1e-12
    assert abs(random_cones_gap_cdf(gap, dim, r, s) - p) <= slack


def test_law_outside_its_range_and_against_simulation():
    assert random_cones_gap_cdf(0.1, 7, 0.9, 0.5) == 0.0
    assert random_cones_gap_cdf(1.5, 7, 0.9, 0.5) == 1.0
    rng, n = np.random.default_rng(9), 100_000
    x, y = unit(rng.standard_normal((2, n, 7)))
    share = np.mean(np.linalg.norm(0.9 * x - 0.5 * y, axis=1) <= 1.0)
    expected = random_cones_gap_cdf(1.0, 7, 0.9, 0.5)
    assert abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)


def test_cross_tower_cosine():
    assert_allclose(cross_tower_cosine("relu", var_x=0.3, var_y=7.0), 1 / np.pi, rtol=4 * EPS)
    assert_allclose(cross_tower_cosine("tanh"), 0, atol=1e-14)
    assert_allclose(cross_tower_cosine("gelu", var_x=2.0, var_y=2.0), layer_map("gelu", 2.0, 0.0).rho, rtol=1e-12)
    z = np.random.default_rng(1).standard_normal((2, 400_000))
    sigmoid = 1 / (1 + np.exp(-z * np.sqrt([[0.5], [4.0]])))
    means, squares = sigmoid.mean(axis=1), np.mean(sigmoid**2, axis=1)
    assert_allclose(
        cross_tower_cosine("sigmoid", var_x=0.5, var_y=4.0), np.prod(means) / np.sqrt(np.prod(squares)), rtol=5e-3
    )


def test_initial_gap_is_the_identity_of_the_gap_in_expectation():
    """With the sample's own cosines, matched like unmatched, it is the gap itself (docs/theory.md, 5b.2)."""
    rng = np.random.default_rng(5)
    x, y = unit(rng.standard_normal((40, 9)) + 1.0), unit(rng.standard_normal((40, 9)))
    cross = unmatched_cosine(x, y)
    matched = np.mean(np.sum(x * y, axis=1))
    value = initial_gap_squared(mean_cosine(x), mean_cosine(y), n=40, cross_cosine=cross)
    assert_allclose(value - 2 * (matched - cross) / 40, gap_norm(x, y) ** 2, rtol=1e-12)
    assert initial_gap_squared(1.0, 1.0, n=3) == 2.0


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match=r"`resultant_x` must lie in \[0, 1\], got 1.1"):
        gap_squared(1.1, 0.5, angle=1.0)
    with pytest.raises(ValueError, match="`resultant_y`"):
        gap_squared_bias(0.5, np.nan, n_x=1, n_y=1)
    with pytest.raises(ValueError, match=r"`angle` must lie in \[0, pi\], got -1.0"):
        expected_gap_bounds(0.5, 0.5, angle=-1.0, n_x=1, n_y=1)
    with pytest.raises(ValueError, match="`n_y` must be at least 1, got 0"):
        gap_squared_bias(0.5, 0.5, n_x=1, n_y=0)
    with pytest.raises(ValueError, match="`resultant_x` and `resultant_y` must not both be 0"):
        random_cones_mean_gap(3, 0.0, 0.0)
    with pytest.raises(ValueError, match="`resultant_y` must be positive"):
        random_cones_gap_cdf(1.0, 3, 0.5, 0.0)
    with pytest.raises(ValueError, match=r"`probability` must lie in \[0, 1\], got 2.0"):
        random_cones_gap_quantile(2.0, 3, 0.5, 0.5)
    with pytest.raises(ValueError, match="`cone_x`"):
        initial_gap_squared(1.5, 0.5, n=3)
    with pytest.raises(ValueError, match="`var_x` must be positive"):
        cross_tower_cosine("relu", var_x=0.0)
