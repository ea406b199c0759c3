import json
from math import exp, log

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.mismatch import barrier_height, circle_points, critical_scale, gap_at, minimising_angles_deg
from sims.mismatched_sphere import (
    directional_landscape,
    gap_curve,
    landscape,
    minimise_landscape,
    sphere_points,
)
from tests.strategies import seeds

AZIMUTHS = np.arange(6) * 20.0 - 20.0
SWAPPED = AZIMUTHS[[1, 0, 2, 3, 4, 5]]


def loop_loss(queries, keys, scale):
    total = 0.0
    for i, query in enumerate(queries):
        logits = [scale * float(np.dot(query, key)) for key in keys]
        peak = max(logits)
        total += peak + log(sum(exp(logit - peak) for logit in logits)) - logits[i]
    return total / len(queries)


@pytest.mark.parametrize("spacing", [15, 20])
@pytest.mark.parametrize("version", ["mismatched", "matched"])
def test_landscape_matches_published_curves(data_file, spacing, version):
    reference = json.loads(data_file("mind_the_gap/reference.json").read_text())[f"sphere6_spacing{spacing}_{version}"]
    images = (np.arange(6) - 1.0) * spacing
    texts = images[[1, 0, 2, 3, 4, 5]] if version == "mismatched" else images
    scales = [float(scale) for scale in reference["loss"]]
    loss = landscape(images, texts, reference["dtheta_deg"], scales)
    assert_allclose(loss, list(reference["loss"].values()), rtol=0, atol=1e-9)


def test_gap_matches_published_curve(data_file):
    reference = json.loads(data_file("mind_the_gap/reference.json").read_text())["sphere6_gap_spacing20"]
    assert_allclose(gap_curve(AZIMUTHS, SWAPPED, np.arange(91)), reference, rtol=0, atol=1e-9)


@given(seeds, st.integers(2, 6), st.floats(-180, 180), st.floats(0.1, 200))
def test_directions_match_plain_loops(seed, n, dtheta, scale):
    images_deg, texts_deg = np.random.default_rng(seed).uniform(-180, 180, (2, n))
    curves = directional_landscape(images_deg, texts_deg, [dtheta], [scale])
    images, texts = sphere_points(images_deg, 90), sphere_points(texts_deg, 90 + dtheta)
    assert_allclose(curves.image_to_text[0, 0], loop_loss(images, texts, scale), rtol=0, atol=2e-15 * (5 + scale))
    assert_allclose(curves.text_to_image[0, 0], loop_loss(texts, images, scale), rtol=0, atol=2e-15 * (5 + scale))


@given(seeds, st.integers(2, 6), st.floats(0.1, 100))
def test_directions_are_equal_for_any_pairing_of_one_set(seed, n, scale):
    rng = np.random.default_rng(seed)
    azimuths = rng.uniform(-180, 180, n)
    curves = directional_landscape(azimuths, rng.permutation(azimuths), np.linspace(-90, 90, 7), [scale])
    assert_allclose(curves.image_to_text, curves.text_to_image, rtol=0, atol=2e-15 * (5 + scale))


def test_directions_differ_for_two_sets():
    curves = directional_landscape([0.0, 10.0, 50.0], [5.0, 60.0, 20.0], [0.0], [20.0])
    assert abs(curves.image_to_text - curves.text_to_image) > 0.01


def test_landscape_is_even_and_constant_at_the_poles():
    steps = np.arange(-90.0, 91.0)
    loss = landscape(AZIMUTHS, SWAPPED, steps, [1, 5, 35, 50, 100])
    assert_allclose(loss, loss[:, ::-1], rtol=0, atol=2e-13)
    assert_allclose(loss[:, [0, -1]], np.log(6), rtol=0, atol=1e-13)
    assert_allclose(np.abs(steps[np.argmin(loss, axis=1)]), [0, 0, 53, 65, 78])


@pytest.mark.parametrize(
    ("scale", "angle", "gap", "barrier"),
    [(35, 52.68715, 0.860072, 0.077133), (50, 64.89258, 1.024172, 0.273933), (100, 77.75113, 1.176363, 1.204728)],
)
def test_minimum_of_the_swapped_pairs(scale, angle, gap, barrier):
    minimum = minimise_landscape(AZIMUTHS, SWAPPED, scale)
    assert_allclose(minimum.minimisers_deg, [-angle, angle], rtol=0, atol=5e-6)
    assert minimum.loss == pytest.approx(0.8095150939, abs=1e-10)
    assert minimum.barrier == pytest.approx(barrier, abs=5.1e-7)
    assert_allclose(gap_curve(AZIMUTHS, SWAPPED, minimum.minimisers_deg), gap, rtol=0, atol=5.1e-7)


@pytest.mark.parametrize(("scale", "angle"), [(50, 41.53), (100, 68.02)])
def test_minimum_at_fifteen_degrees(scale, angle):
    images = AZIMUTHS * 0.75
    assert_allclose(minimise_landscape(images, images[[1, 0, 2, 3, 4, 5]], scale).minimisers_deg[-1], angle, atol=5e-3)
    assert_allclose(minimise_landscape(images, images[[1, 0, 2, 3, 4, 5]], 35).minimisers_deg, [0], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0, 1e3, 1e6])
def test_matched_pairs_are_best_undisplaced(scale):
    minimum = minimise_landscape(AZIMUTHS, AZIMUTHS, scale)
    assert_allclose(minimum.minimisers_deg, [0], rtol=0, atol=1e-12)
    assert minimum.barrier == 0


def test_reversed_pairs_are_best_at_the_poles():
    minimum = minimise_landscape(AZIMUTHS, AZIMUTHS[::-1], 50)
    assert minimum.minimisers_deg == (-90.0, 90.0)
    assert minimum.loss == pytest.approx(np.log(6), rel=1e-14)


@settings(max_examples=40)
@given(seeds, st.integers(2, 8), st.floats(1, 60), st.floats(0.5, 200))
def test_minimum_is_where_the_reduction_puts_it(seed, n, spacing, scale):
    pairing = np.random.default_rng(seed).permutation(n)
    azimuths = spacing * np.arange(n)
    points = circle_points(n, spacing)
    predicted = critical_scale(points, points, pairing).scale
    assume(abs(predicted / scale - 1) > 1e-4)  # nearer, the two minimisers share a cell of the grid
    minimum = minimise_landscape(azimuths, azimuths[pairing], scale)
    assert_allclose(minimum.minimisers_deg, minimising_angles_deg(predicted, 1 / scale), rtol=0, atol=1e-8)
    height = barrier_height(points, points, pairing, 1 / scale)
    assert minimum.barrier == pytest.approx(height, abs=1e-14 * (5 + scale))


@given(seeds, st.integers(2, 6), st.floats(-90, 90))
def test_gap_is_the_predicted_one(seed, n, dtheta):
    images_deg, texts_deg = np.random.default_rng(seed).uniform(-180, 180, (2, n))
    images, texts = sphere_points(images_deg, 90)[:, :2], sphere_points(texts_deg, 90)[:, :2]
    assert_allclose(gap_curve(images_deg, texts_deg, [dtheta]), gap_at(images, texts, [dtheta]), rtol=0, atol=4e-16 * n)


def test_sphere_points():
    points = sphere_points([[0.0], [90.0]], [90.0, 60.0, 0.0])
    half = np.sqrt(3) / 2
    expected = [[[1, 0, 0], [half, 0, 0.5], [0, 0, 1]], [[0, 1, 0], [0, half, 0.5], [0, 0, 1]]]
    assert_allclose(points, expected, rtol=0, atol=4e-16)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="`azimuth_images_deg` must hold at least 2"):
        landscape([0], [0], [0], [1])
    with pytest.raises(ValueError, match="`azimuth_texts_deg` must hold one azimuth an image, 2, got 3"):
        landscape([0, 1], [0, 1, 2], [0], [1])
    with pytest.raises(ValueError, match="`dtheta_deg` must be one-dimensional"):
        landscape([0, 1], [0, 1], 0.0, [1])
    with pytest.raises(ValueError, match="`scales` must be positive"):
        landscape([0, 1], [0, 1], [0], [1, 0])
    with pytest.raises(ValueError, match="`azimuth_images_deg` must be finite"):
        landscape([0, np.nan], [0, 1], [0], [1])
    with pytest.raises(ValueError, match="`scale` must be one number"):
        minimise_landscape([0, 1], [0, 1], [1.0, 2.0])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="makes the loss constant"):
        minimise_landscape([0, 0], [-20, 20], 50)
