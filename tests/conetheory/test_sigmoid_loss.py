import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize, minimize_scalar

import conetheory.sigmoid_loss as module
from conetheory.gap import gap_norm
from conetheory.sigmoid_loss import sigmoid_floor, sigmoid_gradient
from tests import naive_contrastive as naive
from tests.strategies import seeds

scales, biases = st.floats(0.1, 20), st.floats(-15, 10)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def draw(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 8)), int(rng.integers(2, 6))
    return unit(rng.normal(size=(2, n, d)) + rng.normal(size=(2, 1, d))), rng


def opposed(n, delta):
    """Two parallel simplices at the heights ±√δ."""
    rows = np.sqrt(1 - delta) * unit(np.eye(n) - 1 / n)
    return [np.column_stack([rows, np.full(n, side * np.sqrt(delta))]) for side in (1, -1)]


def test_known_values():
    found = sigmoid_gradient(np.eye(2), np.eye(2), 1.0, 0.0)
    assert found.loss == pytest.approx(np.log1p(np.exp(-1)) + np.log(2), rel=1e-15, abs=0)
    share = 1 / (1 + np.e)
    assert_allclose(found.tangent_x, [[0, 0.25], [0.25, 0]], rtol=1e-15)
    assert_allclose([found.scale_slope, found.bias_slope], [-share, 0.5 - share], rtol=1e-14)
    assert sigmoid_gradient(np.ones((5, 2)), np.ones((5, 2)), 3.0, -3.0).loss == pytest.approx(
        5 * np.log(2), rel=1e-15, abs=0
    )


@given(seeds, scales, biases)
def test_loss_at_forty_digits(seed, scale, bias):
    (x, y), _ = draw(seed)
    with mp.workdps(40):
        expected = float(naive.sigmoid_loss(naive.unit(x), naive.unit(y), mp.mpf(scale), mp.mpf(bias)))
    assert_allclose(sigmoid_gradient(x, y, scale, bias).loss, expected, rtol=1e-13)


def test_a_tiny_loss_keeps_its_digits():
    x = np.eye(3) - 0.3
    with mp.workdps(250):
        expected = float(naive.sigmoid_loss(naive.unit(x), naive.unit(x), mp.mpf(700), mp.mpf(-200)))
    assert 0 < expected < 1e-60
    assert_allclose(sigmoid_gradient(x, x, 700.0, -200.0).loss, expected, rtol=1e-11)


@given(seeds, scales, biases)
def test_gradient_and_slopes_are_differences(seed, scale, bias):
    (x, y), rng = draw(seed)
    u, v = rng.normal(size=(2, *x.shape))
    found = sigmoid_gradient(x, y, scale, bias)
    step = 1e-5

    def difference(f):
        return (f(step) - f(-step)) / (2 * step)

    moved = difference(lambda s: sigmoid_gradient(x + s * u, y + s * v, scale, bias).loss)
    size = 1e-7 * (1 + scale**2) * len(x)
    assert_allclose(moved, np.vdot(u, found.tangent_x) + np.vdot(v, found.tangent_y), rtol=1e-5, atol=size)
    scaled = difference(lambda s: sigmoid_gradient(x, y, scale * np.exp(s), bias).loss)
    assert_allclose(scaled, found.scale_slope, rtol=1e-5, atol=size)
    shifted = difference(lambda s: sigmoid_gradient(x, y, scale, bias + s).loss)
    assert_allclose(shifted, found.bias_slope, rtol=1e-5, atol=size)
    assert_allclose(np.sum(x * found.tangent_x, axis=1), 0, atol=1e-13 * scale * len(x))


@given(seeds, scales, biases)
def test_permuted_rotated_swapped_and_blocked(seed, scale, bias):
    (x, y), rng = draw(seed)
    rotation, order = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], rng.permutation(len(x))
    found = sigmoid_gradient(x, y, scale, bias)
    moved = sigmoid_gradient((3 * x @ rotation)[order], (y @ rotation)[order], scale, bias)
    swapped = sigmoid_gradient(y, x, scale, bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 3)
        blocked = sigmoid_gradient(x, y, scale, bias)
    size = 1e-12 * (1 + scale) ** 2 * len(x)
    assert_allclose([moved.loss, swapped.loss, blocked.loss], found.loss, rtol=1e-11)
    assert_allclose(moved.tangent_x, (found.tangent_x @ rotation)[order], rtol=1e-9, atol=size)
    assert_allclose(swapped.gradient_x, found.gradient_y, rtol=1e-10, atol=size)
    assert_allclose(blocked.gradient_y, found.gradient_y, rtol=1e-10, atol=size)


@given(seeds, scales, biases)
def test_nothing_beats_the_floor(seed, scale, bias):
    (x, y), rng = draw(seed)
    if len(x) > 1:
        floor = sigmoid_floor(len(x), scale, bias)
        assert sigmoid_gradient(x, y, scale, bias).loss >= floor.loss * (1 - 1e-13)
        near = opposed(len(x), rng.uniform())
        assert sigmoid_gradient(*near, scale, bias).loss >= floor.loss * (1 - 1e-13)


@given(st.integers(2, 12), scales, biases)
def test_its_member_attains_it(n, scale, bias):
    floor = sigmoid_floor(n, scale, bias)
    x, y = opposed(n, floor.delta)
    found = sigmoid_gradient(x, y, scale, bias)
    assert_allclose(found.loss, floor.loss, rtol=1e-12)
    assert_allclose(gap_norm(x, y), floor.gap, atol=1e-12)
    if 0 < floor.delta < 1:  # at the ends the sphere's gradient vanishes by symmetry
        assert np.abs([found.tangent_x, found.tangent_y]).max() < 1e-10 * scale * n


@pytest.mark.parametrize(("n", "scale", "bias"), [(4, 5.0, 2.0), (6, 4.0, 2.0), (6, 1.0, 3.0), (5, 5.0, -5.0)])
def test_a_search_finds_it(n, scale, bias):
    def objective(v):
        w = v.reshape(2, n, n)
        found = sigmoid_gradient(*w, scale, bias)
        lengths = np.linalg.norm(w, axis=-1, keepdims=True)
        return found.loss, (np.stack([found.tangent_x, found.tangent_y]) / lengths).ravel()

    starts = np.random.default_rng(4).normal(size=(6, 2 * n * n))
    best = min(
        (minimize(objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9}) for start in starts),
        key=lambda found: found.fun,
    )
    floor = sigmoid_floor(n, scale, bias)
    assert_allclose(best.fun, floor.loss, rtol=1e-7)
    assert best.fun >= floor.loss * (1 - 1e-13)
    assert_allclose(gap_norm(*best.x.reshape(2, n, n)), floor.gap, atol=2e-3)


@given(st.integers(3, 4000), scales, biases)
def test_the_threshold_of_the_gap(n, scale, bias):
    pair, negative = 1 / (1 + np.exp(scale + bias)), 1 / (1 + np.exp(scale / (n - 1) - bias))
    margin = 2 * pair / ((n - 2) * negative)
    if abs(margin - 1) > 1e-9:
        assert (sigmoid_floor(n, scale, bias).delta == 0) == (margin > 1)


@settings(max_examples=25)
@given(st.integers(2, 100_000), st.floats(0.5, 30))
def test_the_best_bias_closes_the_gap(n, scale):
    best = minimize_scalar(
        lambda b: sigmoid_floor(n, scale, b).loss,
        bounds=(-2 * scale - 20, 30),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert sigmoid_floor(n, scale, float(best.x)).delta == 0


def test_siglip_at_its_initial_scale_and_bias():
    assert sigmoid_floor(1024, 10.0, -10.0).gap == 0
    assert sigmoid_floor(22039, 10.0, -10.0).gap == 0  # n - 2 against 1 + exp(10 + 10/(n - 1)) = 22037.46
    assert sigmoid_floor(22040, 10.0, -10.0).gap > 0
    assert sigmoid_floor(2, 10.0, 5.0).delta == 0  # two pairs never part
    assert sigmoid_floor(10, 1.0, 5.0).delta == 1


def test_mean_loss_of_sampled_directions():
    """With independent rows the loss is a sum of one-dimensional means over the law of a cosine, in space uniform."""
    rng = np.random.default_rng(2)
    losses = [sigmoid_gradient(*rng.normal(size=(2, 5, 3)), 4.0, -1.0).loss for _ in range(1500)]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    logits = 4 * nodes - 1
    expected = 0.5 * weights @ (np.logaddexp(0, -logits) + 4 * np.logaddexp(0, logits))
    assert abs(np.mean(losses) - expected) < 4.5 * np.std(losses) / np.sqrt(len(losses))


def test_errors_name_the_argument():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"`scale` must be positive, got 0"):
        sigmoid_gradient(x, x, 0.0, 0.0)
    with pytest.raises(ValueError, match=r"`bias` must be finite, got nan"):
        sigmoid_floor(3, 1.0, np.nan)
    with pytest.raises(ValueError, match=r"`n` must be at least 2, got 1"):
        sigmoid_floor(1, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        sigmoid_gradient(x, x[:2], 1.0, 0.0)
