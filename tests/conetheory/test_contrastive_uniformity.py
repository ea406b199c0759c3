import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.contrastive import clip_loss
from conetheory.contrastive_uniformity import (
    cross_uniformity,
    cross_uniformity_gradient,
    printed_cross_uniformity,
    printed_uniformity,
    regularised_gradient,
    uniformity_gradient,
)
from conetheory.gap import alignment, uniformity
from conetheory.sphere import uniformity_floor
from tests import naive_contrastive as naive
from tests.strategies import seeds

sharpness = st.floats(0.1, 30)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def draw(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 9)), int(rng.integers(2, 6))
    return unit(rng.normal(size=(2, n, d)) + rng.normal(size=(2, 1, d))), rng


def test_known_values():
    assert cross_uniformity(np.eye(3), np.eye(3)) == pytest.approx(-4.0, rel=1e-15, abs=0)
    assert uniformity_gradient(np.eye(3), np.eye(3)).loss == pytest.approx(-4.0, rel=1e-15, abs=0)
    antipodes = [[[1.0, 0.0]] * 4, [[-1.0, 0.0]] * 4]
    assert cross_uniformity(*antipodes) == -8.0
    found = regularised_gradient(*antipodes, 0.1)
    assert (found.uniformity, found.cross_uniformity, found.alignment) == (0.0, -8.0, 4.0)
    assert found.loss == pytest.approx(np.log(4) - 4.0, rel=1e-15, abs=0)
    assert np.abs([found.tangent_x, found.tangent_y]).max() == 0


@given(seeds, sharpness)
def test_values_match_the_loops(seed, t):
    (x, y), _ = draw(seed)
    n = len(x)
    cross, within = naive.cross_potential(x, y, t), naive.cross_potential(x, x, t)
    assert_allclose(cross_uniformity(x, y, t=t), math.log(cross / (n * (n - 1))), rtol=1e-12, atol=1e-13)
    assert_allclose(printed_cross_uniformity(x, y, t=t), math.log(cross / n), rtol=1e-12, atol=1e-12)
    assert_allclose(printed_uniformity(x, t=t), math.log((n + within) / n), rtol=1e-12, atol=1e-13)
    found = uniformity_gradient(x, y, t=t)
    assert_allclose(found.loss, (uniformity(x, t=t) + uniformity(y, t=t)) / 2, rtol=1e-12, atol=1e-13)


@given(seeds, sharpness)
def test_printed_formulas_are_shifted(seed, t):
    (x, y), _ = draw(seed)
    n = len(x)
    within = uniformity(x, t=t)
    assert printed_uniformity(x, t=t) > 0
    assert_allclose(printed_uniformity(x, t=t), within + np.log(n - 1 + np.exp(-within)), rtol=1e-10, atol=1e-11)
    assert -4 * t - 1e-12 <= cross_uniformity(x, y, t=t) <= 1e-12
    same = printed_cross_uniformity(x, y, t=t) - cross_uniformity(x, y, t=t)
    assert_allclose(same, np.log(n - 1), atol=1e-12 * (1 + t))


@given(seeds, st.floats(0.05, 2.0), sharpness, st.sampled_from(["CUA", "CUAXU"]))
def test_the_sum_of_its_terms(seed, temperature, t, kind):
    (x, y), _ = draw(seed)
    found = regularised_gradient(x, y, temperature, kind=kind, t=t)
    assert_allclose(found.clip, clip_loss(x, y, temperature), rtol=1e-12)
    assert_allclose(found.alignment, alignment(x, y), rtol=1e-13)
    assert_allclose(found.cross_uniformity, cross_uniformity(x, y, t=t), rtol=1e-14)
    total = found.clip + found.uniformity + found.alignment + (kind == "CUAXU") * found.cross_uniformity
    assert_allclose(found.loss, total, rtol=1e-12, atol=1e-12)


@given(seeds, st.floats(0.05, 2.0), st.floats(0.1, 5.0), st.sampled_from(["CUA", "CUAXU", "cross", "within"]))
def test_gradients_are_differences(seed, temperature, t, kind):
    (x, y), rng = draw(seed)
    u, v = rng.normal(size=(2, *x.shape))

    def at(step):
        pair = x + step * u, y + step * v
        if kind == "cross":
            return cross_uniformity_gradient(*pair, t=t)
        if kind == "within":
            return uniformity_gradient(*pair, t=t)
        return regularised_gradient(*pair, temperature, kind=kind, t=t)

    found, step = at(0.0), 1e-6
    slope = np.vdot(u, found.tangent_x) + np.vdot(v, found.tangent_y)
    assert_allclose((at(step).loss - at(-step).loss) / (2 * step), slope, rtol=1e-5, atol=1e-6 / min(temperature, 1))
    for rows, vectors in ((x, found.tangent_x), (y, found.tangent_y)):
        assert_allclose(np.sum(rows * vectors, axis=1), 0, atol=1e-12 / min(temperature, 0.1))


@given(seeds, st.floats(0.05, 2.0), st.sampled_from(["CUA", "CUAXU"]))
def test_permuted_rotated_and_swapped(seed, temperature, kind):
    (x, y), rng = draw(seed)
    rotation, order = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], rng.permutation(len(x))
    found = regularised_gradient(x, y, temperature, kind=kind)
    moved = regularised_gradient((0.2 * x @ rotation)[order], (y @ rotation)[order], temperature, kind=kind)
    swapped = regularised_gradient(y, x, temperature, kind=kind)
    assert_allclose([moved.loss, swapped.loss], found.loss, rtol=1e-11, atol=1e-12)
    assert_allclose(moved.tangent_x, (found.tangent_x @ rotation)[order], rtol=1e-9, atol=1e-11)
    assert_allclose(swapped.gradient_x, found.gradient_y, rtol=1e-10, atol=1e-12)


@given(seeds, st.floats(0.5, 20))
def test_two_antipodal_points_beat_the_uniform_law(seed, t):
    """Uniformity and cross-uniformity together prefer the largest gap."""
    dim = np.random.default_rng(seed).integers(1, 600)
    assert 2 * uniformity_floor(int(dim), t=t) > -4 * t


def test_independent_uniform_clouds_have_the_population_value():
    rng = np.random.default_rng(3)
    potentials = []
    for _ in range(400):
        x, y = rng.normal(size=(2, 40, 3))
        potentials.append(np.exp(cross_uniformity(x, y)))
    z = (np.mean(potentials) - np.exp(uniformity_floor(3))) / (np.std(potentials) / np.sqrt(len(potentials)))
    assert abs(z) < 4.5


def test_errors_name_the_argument():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"`t` must be positive, got 0"):
        cross_uniformity(x, x, t=0.0)
    with pytest.raises(ValueError, match=r"`t` must be positive, got -1"):
        uniformity_gradient(x, x, t=-1.0)
    with pytest.raises(ValueError, match=r"`kind` must be one of CUA, CUAXU, got 'CU'"):
        regularised_gradient(x, x, 0.1, kind="CU")
    with pytest.raises(ValueError, match=r"`temperature` must be finite, got nan"):
        regularised_gradient(x, x, np.nan)
    with pytest.raises(ValueError, match=r"`x` must have at least 2 rows, got 1"):
        printed_uniformity(x[:1])
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        printed_cross_uniformity(x, x[:2])
