import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import conetheory.contrastive_gradient as module
from conetheory.contrastive import DIRECTIONS, clip_loss
from conetheory.contrastive_gradient import contrastive_gradient, contrastive_hessian_product
from tests import naive_contrastive as naive
from tests.strategies import seeds

temperatures = st.floats(0.02, 5.0)
directions = st.sampled_from(DIRECTIONS)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def draw(seed, n=None, d=None):
    rng = np.random.default_rng(seed)
    n, d = n or int(rng.integers(1, 8)), d or int(rng.integers(2, 6))
    return unit(rng.normal(size=(2, n, d)) + rng.normal(size=(2, 1, d))), rng


def test_two_orthogonal_pairs():
    found = contrastive_gradient(np.eye(2), np.eye(2), 0.5)
    share = 1 / (1 + np.exp(2.0))
    assert found.loss == pytest.approx(np.log1p(np.exp(-2.0)), rel=1e-15, abs=0)
    assert_allclose(found.gradient_x, share * np.array([[-1.0, 1.0], [1.0, -1.0]]), rtol=1e-14)
    assert_allclose(found.tangent_y, share * np.array([[0.0, 1.0], [1.0, 0.0]]), rtol=1e-14)
    assert found.scale_slope == pytest.approx(-2 * share, rel=1e-14, abs=0)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_simplex_and_collapse_are_stationary(n):
    simplex = np.eye(n) - 1 / n
    for rows in (simplex, np.ones((n, 3))):
        found = contrastive_gradient(rows, rows, 0.2)
        assert np.abs([found.tangent_x, found.tangent_y]).max() < 1e-15
    assert contrastive_gradient(np.ones((n, 3)), np.ones((n, 3)), 0.2).loss == pytest.approx(
        np.log(n), rel=1e-15, abs=0
    )


def test_one_pair_has_no_loss():
    found = contrastive_gradient([[1.0, 2.0]], [[2.0, -1.0]], 0.1)
    assert [found.loss, found.scale_slope] == [0, 0]
    assert not np.any([found.gradient_x, found.gradient_y])


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("temperature", [0.05, 0.7])
def test_against_differences_at_seventy_digits(direction, temperature):
    (x, y), _ = draw(3, 4, 3)
    found = contrastive_gradient(x, y, temperature, direction=direction)
    mirrored = {"x-to-y": "y-to-x", "y-to-x": "x-to-y"}.get(direction, direction)
    loss, grad_x = naive.gradient_x(x, y, temperature, direction)
    _, grad_y = naive.gradient_x(y, x, temperature, mirrored)
    assert found.loss == pytest.approx(loss, rel=1e-13, abs=0)
    assert_allclose(found.gradient_x, grad_x, rtol=1e-12, atol=1e-14 * np.abs(grad_x).max())
    assert_allclose(found.gradient_y, grad_y, rtol=1e-12, atol=1e-14 * np.abs(grad_y).max())


def test_tiny_losses_keep_their_digits():
    x = np.eye(4) - 0.25 + 1e-2 * np.random.default_rng(0).normal(size=(4, 4))
    y = np.eye(4) - 0.25
    loss, grad = naive.gradient_x(x, y, 0.004, "symmetric", digits=220)
    found = contrastive_gradient(x, y, 0.004)
    assert 1e-160 < loss < 1e-120
    assert found.loss == pytest.approx(loss, rel=1e-12, abs=0)
    assert_allclose(found.gradient_x, grad, rtol=1e-11, atol=1e-12 * np.abs(grad).max())


@given(seeds, temperatures, directions)
def test_loss_is_that_of_the_loss_room(seed, temperature, direction):
    (x, y), _ = draw(seed)
    found = contrastive_gradient(x, y, temperature, direction=direction)
    assert_allclose(found.loss, clip_loss(x, y, temperature, direction=direction), rtol=1e-13)


@given(seeds, temperatures, directions)
def test_gradient_and_scale_slope_are_differences(seed, temperature, direction):
    (x, y), rng = draw(seed)
    u, v = rng.normal(size=(2, *x.shape))
    found = contrastive_gradient(x, y, temperature, direction=direction)

    def moved(step):  # along curves on the spheres
        return clip_loss(x + step * u, y + step * v, temperature, direction=direction)

    step = 1e-5 * min(temperature, 1.0)
    slope = np.vdot(found.tangent_x, u) + np.vdot(found.tangent_y, v)
    assert_allclose((moved(step) - moved(-step)) / (2 * step), slope, rtol=2e-6, atol=2e-8 / temperature)

    def scaled(log_scale):
        return clip_loss(x, y, temperature * np.exp(-log_scale), direction=direction)

    assert_allclose((scaled(1e-5) - scaled(-1e-5)) / 2e-5, found.scale_slope, rtol=2e-6, atol=2e-8 / temperature)


@given(seeds, temperatures, directions)
def test_hessian_product_in_space_is_the_difference_of_gradients(seed, temperature, direction):
    """The gradient off the spheres comes from the 70-digit loop's formula, in complex floats: steps of 1e-30."""
    (x, y), rng = draw(seed)
    u, v = rng.normal(size=(2, *x.shape))
    found = contrastive_hessian_product(x, y, temperature, (u, v), direction=direction, space="euclidean")
    grad_x, grad_y = complex_gradient(x + 1e-30j * u, y + 1e-30j * v, temperature, direction)
    scale = 1e-12 / temperature**2
    assert_allclose(found.x, grad_x.imag / 1e-30, rtol=1e-10, atol=scale)
    assert_allclose(found.y, grad_y.imag / 1e-30, rtol=1e-10, atol=scale)


def complex_gradient(x, y, temperature, direction):
    def one_way(a, b):
        logits = a @ b.T / temperature
        weights = np.exp(logits - logits.real.max(axis=1, keepdims=True))
        weights = (weights / weights.sum(axis=1, keepdims=True) - np.eye(len(a))) / (len(a) * temperature)
        return weights @ b, weights.T @ a

    forward, backward = one_way(x, y), one_way(y, x)[::-1]
    pairs = {"x-to-y": [forward], "y-to-x": [backward], "symmetric": [forward, backward]}[direction]
    return [sum(parts) / len(pairs) for parts in zip(*pairs, strict=True)]


@given(seeds, temperatures, directions)
def test_hessian_product_on_the_spheres_is_the_second_derivative_along_great_circles(seed, temperature, direction):
    (x, y), rng = draw(seed)
    raw = rng.normal(size=(2, *x.shape))
    found = contrastive_hessian_product(x, y, temperature, tuple(raw), direction=direction)
    u, v = (w - np.sum(w * rows, axis=1, keepdims=True) * rows for w, rows in zip(raw, (x, y), strict=True))
    quadratic = np.vdot(u, found.x) + np.vdot(v, found.y)
    assert_allclose([np.sum(found.x * x, axis=1), np.sum(found.y * y, axis=1)], 0, atol=1e-12 / temperature**2)

    def slope(step):
        at = []
        for rows, w in ((x, u), (y, v)):
            speed = np.linalg.norm(w, axis=1, keepdims=True)
            w = w / np.maximum(speed, 1e-300)
            cos, sin = np.cos(step * speed), np.sin(step * speed)
            at.append((cos * rows + sin * w, speed * (cos * w - sin * rows)))
        (xs, dx), (ys, dy) = at
        gradient = contrastive_gradient(xs, ys, temperature, direction=direction)
        return np.vdot(gradient.gradient_x, dx) + np.vdot(gradient.gradient_y, dy)

    step = 1e-5 * min(temperature, 1.0)
    size = (np.vdot(u, u) + np.vdot(v, v)) / temperature**2
    assert_allclose((slope(step) - slope(-step)) / (2 * step), quadratic, rtol=1e-5, atol=1e-7 * size)


@given(seeds, temperatures, directions)
def test_hessian_product_is_symmetric_and_linear(seed, temperature, direction):
    (x, y), rng = draw(seed)
    first, second = rng.normal(size=(2, 2, *x.shape))
    for space in ("sphere", "euclidean"):
        a, b, both = (
            contrastive_hessian_product(x, y, temperature, tuple(w), direction=direction, space=space)
            for w in (first, second, first - 2 * second)
        )
        size = 1e-11 / temperature**2
        assert_allclose(
            np.vdot(second, [a.x, a.y]) if space == "euclidean" else tangent_dot(second, a, x, y),
            np.vdot(first, [b.x, b.y]) if space == "euclidean" else tangent_dot(first, b, x, y),
            rtol=1e-9,
            atol=size,
        )
        assert_allclose(both.x, a.x - 2 * b.x, rtol=1e-9, atol=size)


def tangent_dot(w, product, x, y):
    parts = (w[0] - np.sum(w[0] * x, axis=1, keepdims=True) * x, w[1] - np.sum(w[1] * y, axis=1, keepdims=True) * y)
    return np.vdot(parts[0], product.x) + np.vdot(parts[1], product.y)


@given(seeds, temperatures, st.floats(0.01, 100))
def test_permuted_rotated_and_scaled_pairs(seed, temperature, scale):
    (x, y), rng = draw(seed)
    rotation, order = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], rng.permutation(len(x))
    found = contrastive_gradient(x, y, temperature)
    moved = contrastive_gradient((scale * x @ rotation)[order], (y @ rotation)[order], temperature)
    size = 1e-12 / temperature**2
    assert_allclose(moved.loss, found.loss, rtol=1e-11, atol=1e-13)
    assert_allclose(moved.tangent_x, (found.tangent_x @ rotation)[order], rtol=1e-9, atol=size)
    assert_allclose(moved.gradient_y, (found.gradient_y @ rotation)[order], rtol=1e-9, atol=size)
    # a rotation of everything leaves the loss: sum of x gᵀ is symmetric over both modalities
    turn = x.T @ found.gradient_x + y.T @ found.gradient_y
    assert_allclose(turn, turn.T, rtol=1e-9, atol=size)
    assert_allclose(np.vdot(x, found.gradient_x), found.scale_slope, rtol=1e-9, atol=size)


@settings(max_examples=20)
@given(seeds, temperatures, directions, st.integers(1, 20))
def test_blocks_do_not_matter(seed, temperature, direction, block):
    (x, y), rng = draw(seed)
    vectors = tuple(rng.normal(size=(2, *x.shape)))

    def results():
        found = contrastive_gradient(x, y, temperature, direction=direction)
        product = contrastive_hessian_product(x, y, temperature, vectors, direction=direction)
        return [found.gradient_x, found.gradient_y, product.x, product.y]

    whole = results()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        assert_allclose(results(), whole, rtol=1e-10, atol=1e-13 / temperature**2)


def test_mean_gradient_of_sampled_batches():
    """Rows of two independent uniform clouds pull at each other with a mean force that a plain loop gives too."""
    rng = np.random.default_rng(11)
    sampled, direct = [], []
    for _ in range(400):
        x, y = unit(rng.normal(size=(2, 6, 3)))
        found = contrastive_gradient(x, y, 0.5)
        sampled.append(np.vdot(found.tangent_x, y))
        x, y = unit(rng.normal(size=(2, 6, 3)))
        turned = unit(x + 1e-4 * y), unit(x - 1e-4 * y)
        direct.append((clip_loss(turned[0], y, 0.5) - clip_loss(turned[1], y, 0.5)) / 2e-4)
    spread = np.sqrt((np.var(sampled) + np.var(direct)) / 400)
    assert abs(np.mean(sampled) - np.mean(direct)) < 4.5 * spread
    assert np.mean(sampled) < -4.5 * spread  # partners attract


def test_errors_name_the_argument():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"`temperature` must be positive, got 0"):
        contrastive_gradient(x, x, 0.0)
    with pytest.raises(ValueError, match=r"`temperature` must be finite, got nan"):
        contrastive_hessian_product(x, x, np.nan, (x, x))
    with pytest.raises(ValueError, match=r"`direction` must be one of symmetric, x-to-y, y-to-x, got 'both'"):
        contrastive_gradient(x, x, 1.0, direction="both")
    with pytest.raises(ValueError, match=r"`space` must be one of sphere, euclidean, got 'torus'"):
        contrastive_hessian_product(x, x, 1.0, (x, x), space="torus")
    with pytest.raises(
        ValueError, match=r"`vectors` must both have the shape of `x`, \(3, 3\), got \(3, 3\) and \(2, 3\)"
    ):
        contrastive_hessian_product(x, x, 1.0, (x, x[:2]))
    with pytest.raises(ValueError, match=r"`vectors` must be finite, got nan"):
        contrastive_hessian_product(x, x, 1.0, (x, np.nan * x))
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        contrastive_gradient(x, x[:2], 1.0)


def test_oracle_has_the_value_of_two_orthogonal_pairs():
    with mp.workdps(30):
        rows = naive.unit(np.eye(2))
        assert abs(naive.loss(rows, rows, mp.mpf(2), "symmetric") - mp.log(1 + mp.exp(-2))) < mp.mpf(10) ** -28
