import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.init_variance import (
    initialisation_share,
    preactivation_share,
    proof_bound,
    relu_share,
    theorem4_bound,
)
from conetheory.meanfield import layer_map, relu_unit_norm_recursion
from tests.strategies import seeds

PRINTED = [0.426422, 0.751650, 0.886714, 0.946704, 0.974431, 0.987574, 0.993908, 0.996996]
betas = st.floats(0, 1)


def share_by_loops(x):
    """The three means of the definition, over every quadruple of models and inputs."""
    x = np.asarray(x, dtype=float).reshape(*np.shape(x)[:2], -1)
    m, n = x.shape[:2]
    square, same, cross = [], [], []
    for i, k in itertools.product(range(m), repeat=2):
        for j, l in itertools.product(range(n), repeat=2):  # noqa: E741
            product = x[i, j] @ x[k, l]
            if i == k and j == l:
                square.append(product)
            elif i == k:
                same.append(product)
            elif j != l:
                cross.append(product)
    return np.mean(same) - np.mean(cross), np.mean(square) - np.mean(same)


@given(st.integers(3, 5), st.integers(2, 4), st.integers(1, 3), seeds)
def test_share_against_loops(m, n, d, seed):
    x = np.random.default_rng(seed).standard_normal((m, n, d)) + 3
    result = initialisation_share(x)
    between, within = share_by_loops(x)
    assert_allclose([result.between, result.within], [between, within], rtol=0, atol=1e-12)
    assert_allclose(result.total, result.between + result.within, rtol=1e-15)
    assert_allclose(result.share, result.between / result.total, rtol=1e-14)


def test_jackknife_against_deletion():
    x = np.random.default_rng(3).standard_normal((6, 4, 2)) + np.random.default_rng(4).standard_normal((6, 1, 2))
    parts = [share_by_loops(np.delete(x, i, axis=0)) for i in range(6)]
    shares = np.array([between / (between + within) for between, within in parts])
    assert_allclose(
        initialisation_share(x).share_stderr, np.sqrt(5 / 6 * np.sum((shares - shares.mean()) ** 2)), rtol=1e-12
    )


def test_mean_squares():
    """between = (MS(models) - MS(interaction)) / n, the expected-mean-square estimator of the two-way layout."""
    m, n = 5, 7
    x = np.random.default_rng(0).standard_normal((m, n))
    rows, columns = x.mean(axis=1, keepdims=True), x.mean(axis=0, keepdims=True)
    ms_models = n * np.sum((rows - x.mean()) ** 2) / (m - 1)
    ms_interaction = np.sum((x - rows - columns + x.mean()) ** 2) / ((m - 1) * (n - 1))
    result = initialisation_share(x)
    assert_allclose(result.between, (ms_models - ms_interaction) / n, rtol=0, atol=1e-14)
    assert_allclose(result.within, np.var(x, axis=1, ddof=1).mean(), rtol=1e-13)


@given(seeds, st.floats(0.1, 10), st.floats(-100, 100))
def test_share_ignores_scale_shift_and_rotation(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4, 3, 3)) + rng.standard_normal((4, 1, 3))
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    plain, moved = initialisation_share(x), initialisation_share((scale * x + shift) @ rotation)
    assert_allclose([moved.between, moved.within], [scale**2 * plain.between, scale**2 * plain.within], atol=1e-9)


def test_extremes():
    models = np.arange(4.0)[:, None]
    inputs = np.arange(3.0)[None, :]
    only_models = initialisation_share(models + 0 * inputs)
    assert_allclose([only_models.share, only_models.within, only_models.share_stderr], [1, 0, 0], atol=1e-15)
    only_inputs = initialisation_share(0 * models + inputs)
    assert_allclose([only_inputs.share, only_inputs.between, only_inputs.share_stderr], [0, 0, 0], atol=1e-15)


@pytest.mark.parametrize("common_inputs", [True, False])
def test_unbiased_whether_or_not_the_inputs_are_shared(common_inputs):
    """Components 1 (models), 4 (inputs), 0.25 (both). One-way ANOVA misses by -4/n when the inputs are shared."""
    rng, m, n, repeats = np.random.default_rng(17), 6, 4, 3000
    a = rng.standard_normal((repeats, m, 1))
    b = 2 * rng.standard_normal((repeats, 1 if common_inputs else m, n))
    x = a + b + 0.5 * rng.standard_normal((repeats, m, n))
    results = [initialisation_share(draw) for draw in x]
    for name, exact in [("between", 1.0), ("within", 4.25)]:
        values = np.array([getattr(result, name) for result in results])
        assert abs(values.mean() - exact) < 4.5 * values.std() / np.sqrt(repeats), name
    one_way = n * x.mean(axis=2).var(axis=1, ddof=1) - x.var(axis=2, ddof=1).mean(axis=1)
    bias = -4 / n if common_inputs else 0.0
    assert abs(one_way.mean() / n - (1.0 + bias)) < 4.5 * one_way.std() / n / np.sqrt(repeats)
    assert any(result.between < 0 for result in results)  # unbiased, hence not clipped


def test_preactivation_share_is_exact_at_any_width():
    """Given the inputs, both components have known means; 600 one-layer models of width 3."""
    rng = np.random.default_rng(21)
    g = rng.standard_normal((8, 5)) + 0.7
    w, b = rng.standard_normal((600, 5, 3)) * np.sqrt(2 / 3), rng.standard_normal((600, 1, 3)) * np.sqrt(0.5 / 3)
    gram = g @ g.T
    dot, square = (gram.sum() - np.trace(gram)) / 56, np.trace(gram) / 8
    estimate = initialisation_share(g @ w + b)
    exact = preactivation_share(dot, square, sigma_w2=2.0, sigma_b2=0.5)
    assert abs(estimate.share - exact) < 4.5 * estimate.share_stderr
    assert estimate.share_stderr < 0.02


def test_relu_share_of_random_networks():
    """Width 128, inputs nearly orthogonal: the limit holds to O(1/width), which the 2/d allows for."""
    rng, d = np.random.default_rng(2), 128
    u = rng.standard_normal((16, d))
    h = np.broadcast_to(u / np.linalg.norm(u, axis=1, keepdims=True), (24, 16, d))
    for share in relu_share(3):
        w, b = rng.standard_normal((24, d, d)) / np.sqrt(d), rng.standard_normal((24, 1, d)) / np.sqrt(d)
        h = np.maximum(h @ w + b, 0)
        estimate = initialisation_share(h)
        assert abs(estimate.share - share) < 4.5 * estimate.share_stderr + 2 / d
        assert estimate.share_stderr < 0.02


def test_erratum_second_moment_of_a_rectified_unit():
    """E phi(z)^2 is half of E z^2: the printed line of Theorem 4's proof lacks the factor, its conclusion does not."""
    rng, n, d = np.random.default_rng(9), 200_000, 4
    norm = rng.uniform(0, np.sqrt(3), n)  # E|g|^2 = 1, norms random
    z = rng.standard_normal(n) * np.sqrt((1 + norm**2) / d)
    rectified = np.maximum(z, 0)
    whole = (1 + 1) / d
    half_error = (rectified**2).std() / np.sqrt(n)
    assert abs((rectified**2).mean() - whole / 2) < 4.5 * half_error
    assert abs((rectified**2).mean() - whole) > 100 * half_error
    floor = whole * (np.pi - 1) / (2 * np.pi)
    assert floor < rectified.var() < whole * (2 * np.pi - 1) / (2 * np.pi)


def test_printed_shares():
    assert_allclose(relu_share(8), PRINTED, rtol=0, atol=5.1e-7)
    rho = relu_unit_norm_recursion(8)[1:]
    assert_allclose(relu_share(8), (rho - 1 / np.pi) / (1 - 1 / np.pi), rtol=0, atol=1e-15)


def test_bounds_lie_in_order_and_touch():
    beta = relu_unit_norm_recursion(40)[:-1]
    share = relu_share(40)
    assert np.all(theorem4_bound(beta) <= proof_bound(beta))
    assert np.all(proof_bound(beta) <= share + 1e-15)
    loss = (1 - share[20]) / (1 - beta[20])
    assert_allclose(loss, np.pi / (2 * (np.pi - 1)), rtol=1e-3)  # the constant is attained as beta -> 1


@given(betas)
def test_bounds_hold_for_one_wide_layer(beta):
    share = (layer_map("relu", 1.0, beta, sigma_b2=1.0).rho - 1 / np.pi) / (1 - 1 / np.pi)
    assert beta <= proof_bound(beta) + 1e-15
    assert proof_bound(beta) <= share + 1e-15


@given(betas, st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0, 10))
def test_preactivation_share_is_at_least_beta(beta, square, weight, bias):
    share = preactivation_share(beta * square, square, sigma_w2=weight, sigma_b2=bias)
    assert beta - 1e-14 <= share <= 1 + 1e-15


def test_known_bounds():
    assert_allclose(proof_bound([0, 1]), [1 - 0.733471, 1], rtol=0, atol=5e-7)
    assert theorem4_bound(0.3) == 0.3
    assert_allclose(preactivation_share(0.25, 1.0, sigma_w2=2.0, sigma_b2=0.0), 0.25)


def test_rejects_bad_arguments():
    for bound in (theorem4_bound, proof_bound):
        for beta in (-0.1, 1.1, np.nan):
            with pytest.raises(ValueError, match="`beta`"):
                bound(beta)
    with pytest.raises(ValueError, match="`mean_dot` must be at most `mean_square`"):
        preactivation_share(2.0, 1.0)
    with pytest.raises(ValueError, match="`mean_square` must be positive"):
        preactivation_share(0.0, 0.0)
    with pytest.raises(ValueError, match="`depth` must be at least 1"):
        relu_share(0)
    for shape in [(2, 5), (5, 1), (5,), (3, 3, 0)]:
        with pytest.raises(ValueError, match=r"`features` must have shape .* got shape"):
            initialisation_share(np.ones(shape))
    with pytest.raises(ValueError, match="`features` must vary"):
        initialisation_share(np.ones((3, 3)))
    with pytest.raises(ValueError, match="`features` must be finite"):
        initialisation_share([[1.0, np.nan]] * 3)
