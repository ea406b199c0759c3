import json
from itertools import permutations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conetheory import mismatch
from conetheory.errors import ConvergenceError
from conetheory.mismatch import (
    PAIRING_MATCHED,
    PAIRING_SWAPPED,
    barrier_height,
    circle_points,
    critical_scale,
    gap_at,
    minimising_angles_deg,
    profile_curvature,
    profile_loss,
    profile_slope,
)
from tests import naive_mismatch as naive
from tests.strategies import seeds

SCALES = (1, 5, 35, 50, 100)
PAIRINGS = {"mismatched": PAIRING_SWAPPED, "matched": PAIRING_MATCHED}
REVERSED = (5, 4, 3, 2, 1, 0)
sizes = st.integers(2, 6)


def six(spacing=20.0):
    return circle_points(6, spacing, -spacing)


def random_pairs(seed, n, dim=3):
    rng = np.random.default_rng(seed)
    images, texts = rng.standard_normal((2, n, dim))
    return images, texts, rng.permutation(n)


def random_rotation(seed, dim):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def mean_matched_cosine(images, texts, pairing):
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    return np.mean(np.sum(images * texts[np.asarray(pairing)], axis=1))


@pytest.mark.parametrize("spacing", [15, 20])
@pytest.mark.parametrize("version", PAIRINGS)
def test_profile_matches_published_landscapes(data_file, spacing, version):
    reference = json.loads(data_file("mind_the_gap/reference.json").read_text())[f"sphere6_spacing{spacing}_{version}"]
    cosine = np.cos(np.deg2rad(reference["dtheta_deg"]))
    points = six(spacing)
    assert set(reference["loss"]) >= {str(scale) for scale in SCALES}
    for scale, loss in reference["loss"].items():
        assert_allclose(profile_loss(points, points, PAIRINGS[version], float(scale) * cosine), loss, rtol=0, atol=1e-9)


def test_gap_matches_published_curve(data_file):
    reference = json.loads(data_file("mind_the_gap/reference.json").read_text())["sphere6_gap_spacing20"]
    assert_allclose(gap_at(six(), six(), np.arange(91)), reference, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("dtheta", "tenth", "twentieth", "thirtieth"),
    [
        (0, 0.907236, 0.810315, 0.843459),
        (30, 0.941276, 0.818362, 0.820263),
        (60, 1.095220, 0.907236, 0.833806),
        (85, 1.574461, 1.414969, 1.296874),
    ],
)
def test_profile_at_further_scales(dtheta, tenth, twentieth, thirtieth):
    kappa = np.array([10, 20, 30]) * np.cos(np.deg2rad(dtheta))
    assert_allclose(
        profile_loss(six(), six(), PAIRING_SWAPPED, kappa), [tenth, twentieth, thirtieth], rtol=0, atol=5.1e-7
    )


@pytest.mark.parametrize(("spacing", "scale", "loss"), [(20, 21.215837, 0.8095150939), (15, 37.42934, 0.8091001)])
def test_critical_scale_of_the_swapped_pairs(spacing, scale, loss):
    critical = critical_scale(six(spacing), six(spacing), PAIRING_SWAPPED)
    assert critical.scale == pytest.approx(scale, abs=5e-6 if spacing == 15 else 5e-7)
    assert critical.loss == pytest.approx(loss, abs=5e-8 if spacing == 15 else 5e-11)


def test_critical_scale_of_the_matched_and_of_the_reversed_pairs():
    points = six()
    assert critical_scale(points, points, PAIRING_MATCHED) == critical_scale(points, points, range(6))
    assert critical_scale(points, points, PAIRING_MATCHED).scale == np.inf
    assert critical_scale(points, points, PAIRING_MATCHED).loss == 0
    reversal = critical_scale(points, points, REVERSED)
    assert (reversal.scale, reversal.loss) == (0.0, np.log(6))
    root = naive.critical_root(points, points, REVERSED, -5, 0)
    assert float(root) == pytest.approx(-2.632, abs=5e-4)
    assert abs(profile_slope(points, points, REVERSED, float(root))) < 1e-15


@pytest.mark.parametrize("spacing", [1.0, 0.01, 1e-4, 1e-6])
def test_critical_scale_of_crowded_points(spacing):
    critical = critical_scale(six(spacing), six(spacing), PAIRING_SWAPPED)
    with mp.workdps(40):
        exact = [[f(mp.radians(mp.mpf(k) * spacing)) for f in (mp.cos, mp.sin)] for k in range(6)]
        root = naive.critical_root(exact, exact, PAIRING_SWAPPED, critical.scale / 2, critical.scale * 2)
        scaled = float(root * (1 - mp.cos(mp.radians(spacing))))
    input_rounding = np.finfo(np.float64).eps / np.deg2rad(spacing)
    assert_allclose(critical.scale, float(root), rtol=4 * input_rounding)
    assert scaled == pytest.approx(1.27028797657, abs=1e-4 * spacing**2 + 1e-11)


@given(seeds, sizes, st.integers(1, 4))
def test_critical_scale_matches_oracle(seed, n, dim):
    images, texts, pairing = random_pairs(seed, n, dim)
    critical = critical_scale(images, texts, pairing)
    assume(0 < critical.scale < np.inf)
    root = naive.critical_root(images, texts, pairing, 0.5 * critical.scale, 2 * critical.scale)
    condition = 1 / (critical.scale * profile_curvature(images, texts, pairing, critical.scale))
    assert abs(float(root) / critical.scale - 1) <= 1e-14 * (1 + condition)
    assert float(naive.profile_loss(images, texts, pairing, root)) == pytest.approx(critical.loss, abs=1e-14, rel=1e-14)


@given(seeds, sizes)
def test_critical_scale_follows_the_three_cases(seed, n):
    images, texts, pairing = random_pairs(seed, n)
    x = images / np.linalg.norm(images, axis=1, keepdims=True)
    y = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    cosines = x @ y[pairing].T
    matched = np.diag(cosines)
    best = (np.mean(np.max(cosines, axis=1)) + np.mean(np.max(cosines, axis=0))) / 2
    critical = critical_scale(images, texts, pairing)
    assert (critical.scale == np.inf) == (np.mean(matched) >= best)
    assert (critical.scale == 0) == (np.mean(matched) <= np.mean(cosines))
    if 0 < critical.scale < np.inf:
        assert critical.scale <= np.log(n) / (best - np.mean(matched))
        nearby = profile_loss(images, texts, pairing, critical.scale * np.array([0, 0.5, 0.9, 1.1, 2]))
        assert np.all(nearby > critical.loss)


def test_a_search_that_stops_early_is_an_error(monkeypatch):
    monkeypatch.setattr(mismatch, "_MAX_ITERATIONS", 2)
    with pytest.raises(ConvergenceError, match="critical scale"):
        critical_scale(six(), six(), PAIRING_SWAPPED)


def test_pairing_places_text_i_at_its_entry():
    rng = np.random.default_rng(4)
    images, texts = rng.standard_normal((2, 3, 3))
    cycle, inverse = (1, 2, 0), (2, 0, 1)
    for kappa in (0.7, 3.0):
        loss = profile_loss(images, texts, cycle, kappa)
        assert_allclose(loss, float(naive.profile_loss(images, texts, cycle, kappa)), rtol=1e-14)
        assert abs(loss - float(naive.profile_loss(images, texts, inverse, kappa))) > 0.1
    scales = {pairing: critical_scale(images, texts, pairing).scale for pairing in permutations(range(3))}
    assert scales[cycle] != scales[inverse]
    finite = [pairing for pairing, scale in scales.items() if 0 < scale < np.inf]
    assert finite
    for pairing in finite:
        root = naive.critical_root(images, texts, pairing, 0.5 * scales[pairing], 2 * scales[pairing])
        assert_allclose(scales[pairing], float(root), rtol=1e-13)


def test_three_cycle_on_a_common_circle_equals_its_inverse():
    cycle, inverse = (1, 2, 0, 3, 4, 5), (2, 0, 1, 3, 4, 5)
    assert critical_scale(six(), six(), cycle).scale == pytest.approx(
        critical_scale(six(), six(), inverse).scale, rel=1e-14
    )


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_profiles_of_two_pairings_differ_by_a_line(first, second):
    kappa = np.array([-3.0, 0.0, 2.0, 30.0])
    difference = profile_loss(six(), six(), first, kappa) - profile_loss(six(), six(), second, kappa)
    tilt = mean_matched_cosine(six(), six(), second) - mean_matched_cosine(six(), six(), first)
    assert_allclose(difference, kappa * tilt, rtol=0, atol=4e-14)


@pytest.mark.parametrize("k", range(5))
def test_every_adjacent_swap_has_one_critical_scale(k):
    pairing = list(range(6))
    pairing[k : k + 2] = pairing[k + 1], pairing[k]
    assert critical_scale(six(), six(), pairing).scale == pytest.approx(21.215836788345, rel=1e-13)


def test_a_tie_is_not_beaten():
    text_azimuths = np.deg2rad([0, 20, 40])
    image_azimuths = np.deg2rad([10, 20, 40])  # image 0 is as near to text 1 as to its own
    images, texts = (np.stack([np.cos(a), np.sin(a)], axis=1) for a in (image_azimuths, text_azimuths))
    for seed in range(20):
        rotation = random_rotation(seed, 2)
        critical = critical_scale(images @ rotation, texts @ rotation, (0, 1, 2))
        assert critical.scale == np.inf
        assert critical.loss == pytest.approx(np.log(2) / 6, rel=1e-15)
    loss = profile_loss(images, texts, (0, 1, 2), [10.0, 100.0, 1e4])
    assert np.all(np.diff(loss) < 0)
    assert loss[-1] == pytest.approx(critical.loss, rel=1e-15)


def test_duplicates_tie_and_keep_the_infinite_scale():
    points = np.repeat(six(), 2, axis=0)
    matched = critical_scale(points, points, range(12))
    assert matched.scale == np.inf
    assert matched.loss == pytest.approx(np.log(2), rel=1e-15)
    swapped_inside_a_class = (1, 0, *range(2, 12))
    assert critical_scale(points, points, swapped_inside_a_class) == matched


def test_duplicated_pairs_add_ln_2_and_keep_the_critical_scale():
    points = np.repeat(six(), 2, axis=0)
    pairing = np.repeat(2 * np.array(PAIRING_SWAPPED), 2) + np.tile([0, 1], 6)
    single, double = critical_scale(six(), six(), PAIRING_SWAPPED), critical_scale(points, points, pairing)
    assert double.scale == pytest.approx(single.scale, rel=1e-13)
    assert double.loss == pytest.approx(single.loss + np.log(2), rel=1e-14)


def test_coincident_points_are_all_ties():
    points = np.tile([[0.1, 0.7, -0.3]], (5, 1))
    critical = critical_scale(points, points, (1, 2, 3, 4, 0))
    assert critical.scale == np.inf
    assert critical.loss == pytest.approx(np.log(5), rel=1e-15)
    assert profile_slope(points, points, range(5), 1e6) == 0


@given(seeds, sizes)
def test_profile_ignores_rotation_lengths_and_order(seed, n):
    images, texts, pairing = random_pairs(seed, n)
    rng = np.random.default_rng(seed)
    kappa = np.array([-2.0, 0.5, 10.0])
    loss = profile_loss(images, texts, pairing, kappa)
    rotation, lengths = random_rotation(seed, 3), rng.uniform(0.1, 10, (n, 1))
    assert_allclose(
        profile_loss(images @ rotation * lengths, texts @ rotation, pairing, kappa), loss, rtol=0, atol=4e-14
    )
    order, stored = rng.permutation(n), rng.permutation(n)  # of the pairs, and of the rows that hold the texts
    relabelled = np.argsort(stored)[pairing[order]]
    assert_allclose(profile_loss(images[order], texts[stored], relabelled, kappa), loss, rtol=0, atol=4e-14)


@given(seeds, sizes, st.floats(-40, 40), st.floats(-40, 40))
def test_profile_is_convex(seed, n, a, b):
    pairs = random_pairs(seed, n)
    ends, middle = profile_loss(*pairs, [a, b]), profile_loss(*pairs, (a + b) / 2)
    assert middle <= np.mean(ends) + 4e-14
    assert np.all(profile_curvature(*pairs, [a, b]) >= 0)
    low, high = profile_slope(*pairs, sorted((a, b)))
    assert low <= high + 4e-15


@given(seeds, sizes, st.floats(-20, 20))
def test_slope_and_curvature_are_derivatives(seed, n, kappa):
    pairs = random_pairs(seed, n)
    step = 1e-4
    loss = profile_loss(*pairs, kappa + step * np.array([-1, 1]))
    slope = profile_slope(*pairs, kappa + step * np.array([-1, 1]))
    assert_allclose(np.diff(loss) / (2 * step), profile_slope(*pairs, kappa), rtol=0, atol=1e-7)
    assert_allclose(np.diff(slope) / (2 * step), profile_curvature(*pairs, kappa), rtol=0, atol=1e-7)
    assert_allclose(profile_slope(*pairs, kappa), float(naive.profile_slope(*pairs, kappa)), rtol=0, atol=4e-14)


def test_profile_at_zero():
    images, texts, pairing = random_pairs(3, 5)
    assert profile_loss(images, texts, pairing, 0.0) == pytest.approx(np.log(5), rel=1e-15)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    expected = np.mean(x @ y.T) - mean_matched_cosine(images, texts, pairing)
    assert profile_slope(images, texts, pairing, 0.0) == pytest.approx(expected, rel=1e-13)


def test_profile_keeps_small_losses_and_large_scales():
    loss = profile_loss(six(), six(), PAIRING_MATCHED, [500.0, 5000.0])
    expected = [float(naive.profile_loss(six(), six(), PAIRING_MATCHED, kappa)) for kappa in (500.0, 5000.0)]
    assert expected[0] < 1e-12
    assert_allclose(loss[0], expected[0], rtol=1e-12)
    assert 0 < loss[1] < 1e-130
    assert profile_loss(six(), six(), PAIRING_SWAPPED, 1e300) == pytest.approx(
        1e300 * (1 - np.cos(np.deg2rad(20))) / 3, rel=1e-14
    )


def test_minimising_angles():
    scale = critical_scale(six(), six(), PAIRING_SWAPPED).scale
    for inverse, angle in [(35, 52.68715), (50, 64.89258), (100, 77.75113), (30, 44.993)]:
        low, high = minimising_angles_deg(scale, 1 / inverse)
        assert low == -high
        assert high == pytest.approx(angle, abs=5e-4 if inverse == 30 else 5e-6)
        assert profile_loss(six(), six(), PAIRING_SWAPPED, inverse * np.cos(np.deg2rad(high))) == pytest.approx(
            0.80951509395, abs=5e-11
        )
    assert minimising_angles_deg(scale, 1 / 20) == (0.0,)
    assert minimising_angles_deg(2.0, 0.5) == (0.0,)
    assert minimising_angles_deg(np.inf, 1e-3) == (0.0,)
    assert minimising_angles_deg(0.0, 1e3) == (-90.0, 90.0)


@pytest.mark.parametrize(("inverse", "height"), [(1, 0), (20, 0), (35, 0.077133), (50, 0.273933), (100, 1.204728)])
def test_barrier_height(inverse, height):
    assert barrier_height(six(), six(), PAIRING_SWAPPED, 1 / inverse) == pytest.approx(height, abs=5.1e-7)
    assert barrier_height(six(), six(), PAIRING_MATCHED, 1 / inverse) == 0


def test_barrier_of_the_reversed_pairs_reaches_the_pole():
    expected = profile_loss(six(), six(), REVERSED, 50.0) - np.log(6)
    assert barrier_height(six(), six(), REVERSED, 1 / 50) == pytest.approx(expected, rel=1e-15)


@given(seeds, sizes, st.floats(-180, 180))
def test_gap_is_the_distance_of_the_means(seed, n, dtheta):
    images, texts, _ = random_pairs(seed, n)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    angle = np.deg2rad(dtheta)
    lifted = np.column_stack([np.cos(angle) * y, np.full(n, np.sin(angle))])
    level = np.column_stack([x, np.zeros(n)])
    expected = np.linalg.norm(np.mean(level, axis=0) - np.mean(lifted, axis=0))
    assert gap_at(images, texts, dtheta) == pytest.approx(expected, abs=1e-15)
    assert gap_at(images, texts, -dtheta) == gap_at(images, texts, dtheta)


def test_gap_of_a_common_centroid():
    radius = np.sin(np.deg2rad(60)) / (6 * np.sin(np.deg2rad(10)))
    assert radius == pytest.approx(0.831206922, abs=5e-10)
    angle = np.deg2rad(np.arange(-90, 91))
    expected = np.sqrt(np.sin(angle) ** 2 + (radius * (1 - np.cos(angle))) ** 2)
    assert_allclose(gap_at(six(), six(), np.arange(-90, 91)), expected, rtol=0, atol=4e-16)
    assert gap_at(six(), six(), 1e-9) == pytest.approx(np.deg2rad(1e-9), rel=1e-15)


def test_circle_points():
    points = circle_points(4, 90, 45)
    assert_allclose(points, np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) / np.sqrt(2), rtol=0, atol=4e-16)
    assert_array_equal(circle_points(1, 20), [[1.0, 0.0]])


@pytest.mark.parametrize("pairing", [(0, 1), (0, 1, 1), (0, 1, 3), (-1, 0, 1), ((0, 1, 2),)])
def test_pairing_must_be_a_permutation(pairing):
    points = circle_points(3, 20)
    with pytest.raises(ValueError, match=r"`pairing` must be a permutation of 0\.\.2"):
        critical_scale(points, points, pairing)


def test_bad_input_is_named():
    points = circle_points(3, 20)
    with pytest.raises(TypeError, match="`pairing` must hold integers"):
        critical_scale(points, points, (0.0, 1.0, 2.0))
    with pytest.raises(ValueError, match=r"`texts` must have the shape of `images`, \(3, 2\), got \(4, 2\)"):
        critical_scale(points, circle_points(4, 20), range(3))
    with pytest.raises(ValueError, match="`images` must have at least 2 rows"):
        critical_scale(points[:1], points[:1], (0,))
    with pytest.raises(ValueError, match="`texts` has a zero row"):
        critical_scale(points, points * [[1], [0], [1]], range(3))
    with pytest.raises(ValueError, match="`images` must be finite"):
        critical_scale(points * np.nan, points, range(3))
    with pytest.raises(ValueError, match="`kappa` must be finite"):
        profile_loss(points, points, range(3), np.nan)
    with pytest.raises(ValueError, match="`dtheta_deg` must be finite"):
        gap_at(points, points, np.inf)
    with pytest.raises((TypeError, ValueError), match="spacing_deg"):
        circle_points(3, [20, 30])
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        circle_points(0, 20)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match="`temperature`"):
        minimising_angles_deg(2.0, temperature)
    with pytest.raises(ValueError, match="`temperature`"):
        barrier_height(six(), six(), PAIRING_SWAPPED, temperature)


@pytest.mark.parametrize("scale", [-1.0, np.nan])
def test_scale_must_not_be_negative(scale):
    with pytest.raises(ValueError, match="`scale` must be at least 0"):
        minimising_angles_deg(scale, 1.0)
