import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.attention import (
    average_pool,
    many_head_attention,
    small_logit_attention,
    two_token_attention,
    uniform_attention,
)
from conetheory.dual import dual_activation
from conetheory.transformer import mlp_kernel, normalised_kernel, token_cosines, transformer_block, transformer_curve
from sims.towers import attention_kernels, transformer_cosines
from tests.strategies import seeds


def points(seed, n=2, tokens=3, width=6):
    return np.random.default_rng(seed).standard_normal((n, tokens, width)) / np.sqrt(width)


def kernel_of(x):
    return np.einsum("asd,btd->asbt", x, x)


@given(seeds)
def test_pooling_and_uniform_attention_are_means_of_points(seed):
    x = points(seed)
    pooled = x.mean(axis=1)
    assert_allclose(average_pool(kernel_of(x)), pooled @ pooled.T, atol=1e-15)
    everywhere = np.broadcast_to(pooled[:, None], x.shape)
    assert_allclose(uniform_attention(kernel_of(x), value_w2=2.0), 2 * kernel_of(everywhere), atol=1e-15)
    causal = np.cumsum(x, axis=1) / np.arange(1, 4)[:, None]
    assert_allclose(uniform_attention(kernel_of(x), mask=np.tri(3)), kernel_of(causal), atol=1e-15)


def test_pooling_by_hand():
    """Tokens of cosine w within and b across give b T/(1 + (T - 1) w)."""
    within, between, tokens = 0.6, 0.3, 5
    kernel = np.full((2, tokens, 2, tokens), between)
    kernel[0, :, 0], kernel[1, :, 1] = ((1 - within) * np.eye(tokens) + within for _ in range(2))
    pooled = average_pool(kernel)
    assert_allclose(pooled[0, 1] / pooled[0, 0], between * tokens / (1 + (tokens - 1) * within), rtol=1e-14)


@settings(max_examples=6)
@given(seeds, st.floats(0, 1))
def test_two_tokens_against_the_gaussian_integral_itself(seed, logit_w2):
    """E[softmax K softmax'] by a product rule over the two logit differences of the two sequences' first tokens."""
    kernel = kernel_of(points(seed, tokens=2))
    exact = two_token_attention(kernel, logit_w2=logit_w2)
    contrast = kernel[0, 0, 1, 0] - kernel[0, 0, 1, 1] - kernel[0, 1, 1, 0] + kernel[0, 1, 1, 1]
    own = [kernel[a, 0, a, 0] - 2 * kernel[a, 0, a, 1] + kernel[a, 1, a, 1] for a in (0, 1)]
    var = [logit_w2 * kernel[a, 0, a, 0] * own[a] for a in (0, 1)]
    cov = logit_w2 * kernel[0, 0, 1, 0] * contrast
    x, w = np.polynomial.hermite_e.hermegauss(100)
    w = w / w.sum()
    g = np.sqrt(var[0]) * x
    along = cov / np.sqrt(var[0]) if var[0] else 0.0
    h = along * x[:, None] + np.sqrt(max(var[1] - along**2, 0.0)) * x
    first, second = 1 / (1 + np.exp(-g)), 1 / (1 + np.exp(-h))
    a, b = np.stack([first, 1 - first], axis=-1), np.stack([second, 1 - second], axis=-1)
    expected = np.einsum("p,q,pi,ij,pqj->", w, w, a, kernel[0, :, 1], b)
    # 100 Hermite nodes for tanh(x/2) at variances below about 40, with poles at distance pi / sigma
    assert_allclose(exact[0, 0, 1, 0], expected, atol=1e-4 * np.abs(kernel).max())


@pytest.mark.parametrize("logit_w2", [0.1, 1.0, 4.0])
def test_sampled_attention_against_two_tokens(logit_w2):
    kernel = kernel_of(points(1, tokens=2))
    found = many_head_attention(kernel, logit_w2=logit_w2, value_w2=2.0, n_samples=20_000, rng=5)
    exact = two_token_attention(kernel, logit_w2=logit_w2, value_w2=2.0)
    assert np.max(np.abs(found.value - exact) / found.stderr) < 4.5


def test_sampled_attention_is_reproducible_and_keeps_its_standard_error():
    kernel = kernel_of(points(2))
    one, same = (many_head_attention(kernel, n_samples=100, rng=6).value for _ in range(2))
    assert np.array_equal(one, same)
    runs = np.array([many_head_attention(kernel, n_samples=200, rng=seed).value for seed in range(60)])
    stderr = many_head_attention(kernel, n_samples=200, rng=99).stderr
    # the ratio of two estimates of a standard deviation, from 60 and from 200 draws, 36 entries
    assert np.all((runs.std(axis=0, ddof=1) / stderr > 0.5) & (runs.std(axis=0, ddof=1) / stderr < 2))


def test_vanishing_logits_leave_no_standard_error():
    kernel = kernel_of(points(2))
    found = many_head_attention(kernel, logit_w2=0.0, n_samples=100, rng=6)
    assert_allclose(found.value, uniform_attention(kernel), atol=1e-15)
    assert found.stderr.max() < 1e-16
    small, smaller = (many_head_attention(kernel, logit_w2=w, n_samples=100, rng=6).stderr for w in (1e-8, 1e-10))
    assert_allclose(small, 100 * smaller, rtol=1e-3)  # mirror images leave the first order of the variance


def test_a_mask_of_numbers_is_one_of_booleans():
    kernel = kernel_of(points(5))
    assert np.array_equal(uniform_attention(kernel, mask=np.tri(3)), uniform_attention(kernel, mask=np.tri(3) > 0))


def test_small_logits_are_the_first_order():
    """The remainder is of second order: a tenth of the variance leaves a hundredth of it."""
    kernel = kernel_of(points(3, tokens=2))
    rest = [
        np.abs(two_token_attention(kernel, logit_w2=w) - small_logit_attention(kernel, logit_w2=w)).max()
        for w in (1e-2, 1e-3)
    ]
    assert 80 < rest[0] / rest[1] < 120
    more = kernel_of(points(4, tokens=4))
    found = many_head_attention(more, logit_w2=0.02, n_samples=40_000, rng=7)
    # 4 tokens use all four terms; the second order is about (logit variance)^2 = 4e-4 of the kernel
    assert np.all(np.abs(found.value - small_logit_attention(more, logit_w2=0.02)) < 4.5 * found.stderr + 4e-4)
    assert np.abs(found.value - uniform_attention(more)).max() > 10 * found.stderr.max()


def test_attention_with_a_causal_mask():
    kernel = kernel_of(points(5))
    found = many_head_attention(kernel, mask=np.tri(3), n_samples=2000, rng=8)
    assert_allclose(found.value[:, 0, :, 0], kernel[:, 0, :, 0], rtol=1e-12)  # the first token sees itself alone
    first_two = many_head_attention(kernel[:, :2, :, :2], mask=np.tri(2), n_samples=2000, rng=9)
    spread = np.hypot(found.stderr[:, :2, :, :2], first_two.stderr)
    assert np.all(np.abs(found.value[:, :2, :, :2] - first_two.value) <= 4.5 * spread + 1e-12)


def test_sampled_attention_against_weights():
    """Multi-head attention of width 64: unbiased but for the logits' distance from Gaussian, O(1/head width)."""
    x = points(6, width=64) * np.sqrt(64)
    kernel, head_width = kernel_of(x) / 64, 32
    layers = attention_kernels(x, 8, head_width, 600, rng=10)
    expected = many_head_attention(kernel, n_samples=20_000, rng=11)
    spread = np.hypot(layers.std(axis=0) / np.sqrt(600), expected.stderr)
    assert np.all(np.abs(layers.mean(axis=0) - expected.value) <= 4.5 * spread + 0.3 / head_width)
    assert np.abs(layers.mean(axis=0) - uniform_attention(kernel)).max() > 0.1


def test_attention_with_logits_over_the_head_width_averages():
    x = points(7, width=64) * np.sqrt(64)
    gaps = [
        np.abs(
            attention_kernels(x, 2, width, 500, logit_power=1.0, rng=12).mean(axis=0)
            - uniform_attention(kernel_of(x) / 64)
        )
        for width in (4, 64)
    ]
    assert gaps[1].max() < 0.06  # 4.5 standard errors of 500 kernels, and logits of variance 1/64
    assert gaps[0].max() > 2 * gaps[1].max()


def test_the_mlp_of_a_kernel_is_the_dual_activation():
    kernel = kernel_of(points(8))
    after = mlp_kernel(kernel, "gelu", sigma_w2=2.0, sigma_b2=0.3, readout_w2=0.5)
    var = 2 * kernel[0, 1, 0, 1] + 0.3, 2 * kernel[1, 2, 1, 2] + 0.3
    rho = (2 * kernel[0, 1, 1, 2] + 0.3) / np.sqrt(var[0] * var[1])
    assert_allclose(after[0, 1, 1, 2], 0.5 * dual_activation("gelu", rho, var_u=var[0], var_v=var[1]), rtol=1e-14)
    assert_allclose(after, after.transpose(2, 3, 0, 1), rtol=0, atol=0)


def test_token_cosines_of_points():
    x = points(9)
    unit = (x / np.linalg.norm(x, axis=2, keepdims=True)).reshape(6, -1)
    cosines = unit @ unit.T
    sequence = np.repeat([0, 1], 3)
    same = sequence[:, None] == sequence
    within, between = token_cosines(kernel_of(x))
    assert_allclose(within, cosines[same & ~np.eye(6, dtype=bool)].mean(), rtol=1e-13)
    assert_allclose(between, cosines[~same].mean(), rtol=1e-13)
    assert np.isnan(token_cosines(np.ones((1, 1, 1, 1)))).all()
    assert_allclose(normalised_kernel(kernel_of(x)).reshape(6, 6), cosines, atol=1e-15)


def test_a_transformer_against_simulation():
    width, depth, n = 128, 3, 24
    x = np.random.default_rng(13).standard_normal((2, 4, width))
    curve = transformer_curve(kernel_of(x) / width, "gelu", depth, n_samples=512, rng=14)
    networks = transformer_cosines(x, "gelu", n, depth=depth, heads=8, rng=15)
    mean, stderr = networks.mean(axis=0), networks.std(axis=0, ddof=1) / np.sqrt(n)
    for column, (value, error) in enumerate(
        ((curve.within, curve.within_stderr), (curve.between, curve.between_stderr))
    ):
        spread = np.hypot(stderr[:, column], error)
        # 8 heads of width 16, width 128: O(1/16) in the logits' kurtosis, O(1/8) in the kernel's curvature
        assert np.all(np.abs(mean[:, column] - value) <= 4.5 * spread + 0.02)
    assert curve.within[0] == pytest.approx(mean[0, 0], abs=1e-12)


def test_blocks_make_a_curve():
    kernel = kernel_of(points(16))
    block = transformer_block(kernel, "relu", n_samples=4000, rng=17)
    curve = transformer_curve(kernel, "relu", 1, n_samples=500, rng=18)
    assert_allclose(curve.within[1], token_cosines(block)[0], atol=0.01)  # both sampled


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: average_pool(np.eye(2)), r"`kernel` must have shape \(n, T, n, T\), got shape \(2, 2\)"),
        (lambda: average_pool(np.arange(16.0).reshape(2, 2, 2, 2)), "`kernel` must be symmetric"),
        (lambda: uniform_attention(np.ones((1, 2, 1, 2)), mask=np.ones(2)), r"`mask` must have shape \(2, 2\), got"),
        (lambda: uniform_attention(np.ones((1, 2, 1, 2)), mask=[[1, 1], [0, 0]]), "`mask` must allow .* token 1"),
        (
            lambda: uniform_attention(np.ones((1, 2, 1, 2)), mask=[[1, np.nan], [0, 1]]),
            "`mask` must be finite, got nan",
        ),
        (
            lambda: normalised_kernel(np.array([[1.0, 5.0], [5.0, 1.0]]).reshape(1, 2, 1, 2)),
            "`kernel` must be positive semidefinite, got two tokens of cosine 5",
        ),
        (
            lambda: mlp_kernel(np.array([[1.0, -1.1], [-1.1, 1.0]]).reshape(1, 2, 1, 2), "relu"),
            "`kernel` must be positive semidefinite, got two tokens of cosine -1.1",
        ),
        (lambda: mlp_kernel(np.arange(1.0, 17).reshape(2, 2, 2, 2), "relu"), "`kernel` must be symmetric"),
        (lambda: many_head_attention(-np.eye(4).reshape(2, 2, 2, 2)), "`kernel` must be positive semidefinite"),
        (lambda: many_head_attention(np.ones((1, 2, 1, 2)), logit_w2=-1), "`logit_w2` must be at least 0, got -1"),
        (lambda: two_token_attention(np.ones((1, 3, 1, 3))), "`kernel` must have two tokens, got 3"),
        (lambda: normalised_kernel(np.zeros((1, 1, 1, 1))), r"`kernel \(its diagonal\)` must be positive, got 0"),
        (lambda: transformer_curve(np.ones((1, 1, 1, 1)), "relu", -1), "`depth` must be at least 0, got -1"),
        (lambda: attention_kernels(np.ones((2, 2)), 1, 1, 1), r"`x` must have shape \(sequences, T, d\), got"),
        (
            lambda: transformer_cosines(np.ones((2, 2, 3)), "relu", 1, depth=1, heads=2),
            "`heads` must divide the width 3",
        ),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
