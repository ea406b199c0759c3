from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.displacement import rotation_derivatives
from conetheory.displacement_forms import translation_form
from conetheory.mismatch import critical_scale, minimising_angles_deg
from conetheory.mismatch_phases import shuffled_scale
from sims.displaced_pairs import (
    displaced_landscape,
    latitude,
    leaving_scale,
    minimise_displacement,
    path_derivatives,
    rotation,
    translation,
)
from sims.shuffled_pairs import sample_critical_scales, shuffled_pairing
from tests.strategies import seeds


def random_rows(seed, n, dim):
    rows = np.random.default_rng(seed).standard_normal((2, n, dim))
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def loop_loss(queries, keys, scale):
    total = 0.0
    for i, query in enumerate(queries):
        logits = [scale * float(np.dot(query, key)) for key in keys]
        peak = max(logits)
        total += peak + log(sum(exp(logit - peak) for logit in logits)) - logits[i]
    return total / len(queries)


@given(seeds, st.integers(2, 7), st.integers(1, 6), st.floats(0.1, 200))
def test_landscape_matches_plain_loops(seed, n, dim, scale):
    images, texts = random_rows(seed, n, dim)
    moved = latitude(texts).at(np.array([0.0, 0.7, -1.2]))
    found = displaced_landscape(images, moved, [scale])
    padded = np.column_stack([images, np.zeros(n)])
    for k in range(3):
        assert_allclose(found.image_to_text[0, k], loop_loss(padded, moved[k], scale), rtol=0, atol=2e-15 * (9 + scale))
        assert_allclose(found.text_to_image[0, k], loop_loss(moved[k], padded, scale), rtol=0, atol=2e-15 * (9 + scale))


def test_landscape_is_the_same_in_blocks(monkeypatch):
    images, texts = random_rows(1, 9, 4)
    moved = latitude(texts).at(np.linspace(-1, 1, 7))
    whole = displaced_landscape(images, moved, [3.0, 30.0]).symmetric
    monkeypatch.setattr("sims.displaced_pairs._BLOCK", 200)
    assert np.array_equal(displaced_landscape(images, moved, [3.0, 30.0]).symmetric, whole)


@given(seeds, st.integers(2, 6))
def test_paths_stay_on_the_sphere_and_have_their_velocities(seed, dim):
    _, texts = random_rows(seed, 5, dim)
    rng = np.random.default_rng(seed)
    square = rng.standard_normal((dim + 1, dim + 1))
    t, step = np.array([-0.4, 0.0, 0.9]), 1e-6
    moved = translation(texts, 0.3 * rng.standard_normal(dim))
    for path in (latitude(texts), rotation(texts, square - square.T), moved):
        rows = path.at(t)
        assert_allclose(np.linalg.norm(rows, axis=-1), 1, rtol=1e-13)
        assert_allclose((path.at(t + step) - path.at(t - step)) / (2 * step), path.velocity(t), rtol=0, atol=1e-7)
        assert_allclose(rows[1][:, :dim], texts, rtol=0, atol=1e-15)


@settings(max_examples=20)
@given(seeds, st.floats(0.5, 20))
def test_derivatives_are_those_of_the_closed_form(seed, scale):
    images, texts = random_rows(seed, 6, 3)
    rng = np.random.default_rng(seed)
    square, v = rng.standard_normal((3, 3)), rng.standard_normal(3)
    turned = rotation_derivatives(images, texts, range(6), 1 / scale, square - square.T)
    found = path_derivatives(images, rotation(texts, square - square.T), scale, step=1e-3)
    assert_allclose(found, [turned.slope, turned.curvature], rtol=1e-5, atol=1e-4)
    form = translation_form(images, texts, range(6), 1 / scale)
    found = path_derivatives(images, translation(texts, v), scale, step=1e-3)
    assert_allclose(found, [form.slope @ v, v @ form.curvature @ v], rtol=1e-5, atol=1e-4)


@settings(max_examples=20)
@given(seeds, st.integers(3, 12), st.integers(2, 5))
def test_texts_leave_zero_at_the_critical_scale(seed, n, dim):
    images, texts = random_rows(seed, n, dim)
    predicted = critical_scale(images, texts, range(n)).scale
    if not 0.1 < predicted < 100:
        return
    path = latitude(texts)
    assert leaving_scale(images, path) == pytest.approx(predicted, rel=1e-5)
    minimum = minimise_displacement(images, path, 2 * predicted)
    assert_allclose(minimum.minimisers, np.radians(minimising_angles_deg(predicted, 0.5 / predicted)), atol=1e-9)
    assert minimise_displacement(images, path, 0.9 * predicted).barrier == pytest.approx(0, abs=1e-12)


def test_shuffled_pairing_moves_what_it_should():
    rng = np.random.default_rng(0)
    for moving in (0, 2, 3, 7):
        pairing = shuffled_pairing(7, moving, rng=rng)
        assert np.array_equal(np.flatnonzero(pairing != np.arange(7)), np.arange(moving))
        assert np.array_equal(np.sort(pairing), np.arange(7))
    cycles = [tuple(shuffled_pairing(3, 3, rng=rng)) for _ in range(2000)]
    assert set(cycles) == {(1, 2, 0), (2, 0, 1)}
    assert abs(cycles.count((1, 2, 0)) - 1000) < 4.5 * np.sqrt(500)


def test_sampled_scales_are_those_of_the_law():
    found = sample_critical_scales(8, 32, 16, 200, rng=3)
    law, scales = shuffled_scale(8, 16, 32), found.scales
    assert abs(scales.mean() - law.mean) < 4.5 * scales.std(ddof=1) / np.sqrt(200) + 0.01 * law.mean
    assert abs(np.log(scales.std(ddof=1) / law.deviation)) < 0.3  # 4.5 standard errors of a deviation, and 10 %
    assert abs(found.matched.mean() - 0.5) < 4.5 * found.matched.std(ddof=1) / np.sqrt(200)
    assert np.corrcoef(scales, found.matched)[0, 1] > 0.95  # 6.17: up to O(1/n) a function of the mean matched cosine
    assert np.array_equal(scales[:3], sample_critical_scales(8, 32, 16, 3, rng=3).scales)


def test_bad_input_is_named():
    images, texts = random_rows(0, 4, 3)
    path = latitude(texts)
    with pytest.raises(ValueError, match=r"`texts` must have shape \(n_steps, 4, m\) with m >= 3, got \(4, 3\)"):
        displaced_landscape(images, texts, [1.0])
    with pytest.raises(ValueError, match="`scales` must be positive"):
        displaced_landscape(images, path.at(np.zeros(1)), [0.0])
    with pytest.raises(ValueError, match="`generator` must have at least 3 rows, got 2"):
        rotation(texts, np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"`vector` must have shape \(3,\), got \(2,\)"):
        translation(texts, [1.0, 0.0])
    with pytest.raises(ValueError, match="`bounds` must hold one change of sign"):
        leaving_scale(images, latitude(images))
    with pytest.raises(ValueError, match="`bounds` must be an interval"):
        minimise_displacement(images, path, 1.0, bounds=(1.0, 0.0))
    same = np.tile(texts[0], (4, 1))
    with pytest.raises(ValueError, match="`path` makes the loss constant"):
        minimise_displacement(same, latitude(same), 1.0)
    with pytest.raises(ValueError, match=r"`n_shuffled` must be 0 or lie in 2\.\.4, got 1"):
        shuffled_pairing(4, 1)
