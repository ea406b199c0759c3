import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contrastive import clip_loss, etf_floor
from conetheory.contrastive_floors import bessel_floor, matched_floor, welch_bound
from conetheory.sphere import bessel_ratio, uniformity_floor
from tests import naive_contrastive as naive
from tests.strategies import seeds

ICOSAHEDRON = np.array([[0, 1, s] for s in (1.618033988749895, -1.618033988749895)])
AXES = np.concatenate([np.roll(ICOSAHEDRON, k, axis=1) for k in range(3)])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def coherence(rows):
    cosines = np.abs(unit(rows) @ unit(rows).T)
    np.fill_diagonal(cosines, 0)
    return cosines.max()


def test_reference_values_of_the_bessel_floor():
    known = {(3, 0.1): "-2.9957", (128, 0.07): "-13.493", (128, 0.01): "-68.01", (512, 0.07): "-14.09"}
    for (dim, temperature), digits in known.items():
        assert f"{bessel_floor(dim, temperature):.{len(digits.split('.')[1])}f}" == digits
    assert_allclose(bessel_floor(3, 0.1), np.log(np.sinh(10) / 10) - 10, rtol=1e-14)
    assert_allclose(bessel_floor(1, [0.1, 2.0]), np.log(np.cosh([10, 0.5])) - [10, 0.5], rtol=1e-13)


@pytest.mark.parametrize(
    ("dim", "floor"), [(3, -2.0798), (16, -3.5130), (32, -3.7518), (64, -3.8752), (128, -3.9375), (512, -3.9844)]
)
def test_the_uniformity_floor_is_a_bessel_floor(dim, floor):
    assert bessel_floor(dim, 0.25) == pytest.approx(floor, abs=5e-5)
    assert bessel_floor(dim, 0.25) == pytest.approx(uniformity_floor(dim), rel=1e-15, abs=0)


@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.07, 1.0, 100.0])
@pytest.mark.parametrize("dim", [1, 2, 3, 128, 4096, 100_000])
def test_bessel_floor_against_the_series_at_fifty_digits(dim, temperature):
    assert bessel_floor(dim, temperature) == pytest.approx(naive.bessel_floor(dim, temperature), rel=1e-13, abs=0)


@given(st.integers(1, 2000), st.floats(1e-3, 10))
def test_slope_of_the_bessel_floor(dim, temperature):
    beta, step = 1 / temperature, 1e-5
    slope = (bessel_floor(dim, 1 / (beta * (1 + step))) - bessel_floor(dim, 1 / (beta * (1 - step)))) / (2 * step)
    expected = -beta * (1 - bessel_ratio(dim, beta))
    assert_allclose(slope, expected, rtol=1e-7, atol=1e-9 * abs(bessel_floor(dim, temperature)))


@given(st.integers(1, 500), st.floats(1e-3, 10))
def test_floors_fall_with_the_dimension_and_the_scale(dim, temperature):
    assert bessel_floor(dim + 1, temperature) < bessel_floor(dim, temperature) < 0
    assert bessel_floor(dim, temperature) < bessel_floor(dim, 1.1 * temperature)
    assert bessel_floor(dim, temperature) > -1 / temperature


@pytest.mark.parametrize(("dim", "beta"), [(3, 2.0), (3, 10.0), (64, 14.3)])
def test_mean_potential_of_sampled_directions(dim, beta):
    rng = np.random.default_rng(8)
    x, y = unit(rng.normal(size=(2, 200_000, dim)))
    potential = np.exp(beta * (np.sum(x * y, axis=1) - 1))
    z = (potential.mean() - np.exp(bessel_floor(dim, 1 / beta))) / (potential.std() / np.sqrt(len(potential)))
    assert abs(z) < 4.5


@given(seeds, st.integers(2, 40), st.integers(2, 5), st.floats(0.05, 3))
def test_coinciding_pairs_stay_above_their_floor(seed, n, dim, temperature):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim)) + rng.normal(size=dim)
    for direction in ("x-to-y", "symmetric"):
        loss = clip_loss(x, x, temperature, direction=direction)
        assert loss >= matched_floor(n, dim, temperature) * (1 - 1e-12) - 1e-13


@given(st.integers(1, 30), st.integers(2, 60), st.floats(0.02, 3))
def test_up_to_a_simplex_the_simplex_rules(dim, n, temperature):
    crowded, simplex = np.log(n) + bessel_floor(dim, temperature), etf_floor(n, temperature)
    assert matched_floor(n, dim, temperature) == max(crowded, simplex)
    if n <= dim + 1:
        assert crowded <= simplex + 1e-13 / temperature


@pytest.mark.parametrize("n", [30, 60])
def test_a_regular_polygon_nearly_attains_it(n):
    angle = 2 * np.pi * np.arange(n) / n
    polygon = np.column_stack([np.cos(angle), np.sin(angle)])
    excess = clip_loss(polygon, polygon, 0.1) - matched_floor(n, 2, 0.1)
    assert -1e-14 < excess < 1e-12  # the trapezoidal rule of a smooth periodic function


def test_welch_known_values():
    assert welch_bound(6, 3) == pytest.approx(coherence(AXES), rel=1e-14, abs=0)
    assert [welch_bound(n, n - 1) for n in (2, 3, 9)] == pytest.approx([1.0, 0.5, 0.125], rel=1e-15, abs=0)
    assert welch_bound(4, 4) == welch_bound(3, 7) == 0.0
    assert welch_bound(5, 1) == 1.0


@given(seeds, st.integers(2, 30), st.integers(1, 8))
def test_no_rows_beat_welch(seed, n, dim):
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    assert coherence(rows) >= welch_bound(n, dim) * (1 - 1e-13)
    cosines = unit(rows) @ unit(rows).T
    rms = np.sqrt((np.sum(cosines**2) - n) / (n * (n - 1)))
    assert rms >= welch_bound(n, dim) * (1 - 1e-12) - 1e-8


@given(st.integers(1, 200), st.integers(2, 1000))
def test_welch_grows_with_the_crowd(dim, n):
    assert welch_bound(n, dim) <= welch_bound(n + 1, dim) <= 1
    assert welch_bound(n, dim + 1) <= welch_bound(n, dim)
    more = (welch_bound(n + 1, dim) ** 2 - welch_bound(n, dim) ** 2) * n * (n - 1)
    assert_allclose(more, (dim - 1) / dim if n >= dim else 0, atol=1e-9 * n)  # d(bound²)/dn, as a difference


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"`temperature` must be positive, got -1"):
        bessel_floor(3, -1.0)
    with pytest.raises(ValueError, match=r"`temperature` must be finite, got nan"):
        matched_floor(5, 3, np.nan)
    with pytest.raises(ValueError, match=r"`dim` must be at least 1, got 0"):
        bessel_floor(0, 1.0)
    with pytest.raises(ValueError, match=r"`n` must be at least 2, got 1"):
        welch_bound(1, 3)
    with pytest.raises(TypeError, match=r"[`']n[`']"):
        matched_floor(2.5, 3, 1.0)
