import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from conetheory.dual import activation_function
from conetheory.variance_components import initialisation_share
from sims import init_variance
from sims.estimate import sample_mean
from sims.init_variance import between_and_total, sample_features

RHO = [0.0, 0.608998, 0.830702, 0.922774, 0.963668, 0.982570]  # mean cosine of unit-norm inputs, layer by layer
SHARES = [0.426422, 0.751650, 0.886714, 0.946704, 0.974431]  # (ρ - 1/π) / (1 - 1/π)


@pytest.fixture(scope="module")
def features():
    return sample_features(60, 64, width=128, depth=5, dim_in=128, rng=0, n_units=16)


def test_layers_follow_the_recursion(features):
    for layer in range(1, 6):
        assert abs(sample_mean(features.mean_square[layer]).zscore(1.0)) < 4.5
        estimate = sample_mean(features.mean_dot[layer])
        assert abs(estimate.value - RHO[layer]) < 4.5 * estimate.stderr + 0.01  # width 128: bias of order 1/128


def test_inputs_are_shared_points_of_the_sphere(features):
    assert np.allclose(features.mean_square[0], 1, rtol=0, atol=1e-14)
    assert np.ptp(features.mean_dot[0]) == 0
    assert abs(features.mean_dot[0, 0]) < 4.5 / math.sqrt(64 * 63 / 2 * 128)  # pairs are orthogonal on average


def test_post_is_relu_of_pre(features):
    assert np.array_equal(features.post, np.maximum(features.pre, 0))


def test_share_of_initialisation(features):
    """Between-model share of the variance of a unit, pooled over units: theory.md, section 4."""
    for layer, share in enumerate(SHARES):
        h = features.post[layer]
        within = h.var(axis=1, ddof=1).mean()
        between = h.mean(axis=1).var(axis=0, ddof=1).mean() - within / h.shape[1]
        assert between / (between + within) == pytest.approx(share, abs=0.04)


def test_preactivations_have_the_law_of_the_definition():
    """Given unit-norm inputs a first pre-activation is N(0, (σ_w² + σ_b²)/width)."""
    features = sample_features(2000, 2, width=4, depth=1, dim_in=3, rng=1, n_units=1, sigma_w2=2.0, sigma_b2=3.0)
    z = features.pre[0, :, 0, 0]
    assert stats.kstest(z, stats.norm(scale=math.sqrt(5 / 4)).cdf).pvalue > 1e-5
    second = sample_mean(z * features.pre[0, :, 1, 0])
    assert abs(second.zscore((2 * features.mean_dot[0, 0] + 3) / 4)) < 4.5


def test_means_are_those_of_all_units():
    features = sample_features(3, 5, width=7, depth=2, dim_in=4, rng=2, n_units=7)
    for layer in (1, 2):
        for model in range(3):
            gram = features.post[layer - 1, model] @ features.post[layer - 1, model].T
            assert features.mean_square[layer, model] == pytest.approx(np.trace(gram) / 5, rel=1e-13)
            assert features.mean_dot[layer, model] == pytest.approx((gram.sum() - np.trace(gram)) / 20, rel=1e-13)


@pytest.mark.parametrize(("n_inputs", "width"), [(8, 32), (9, 32), (12, 100)])
def test_wide_means_are_those_of_all_units(n_inputs, width):
    """On both routes, and where they change: the first layer has few dimensions."""
    features = sample_features(3, n_inputs, width=width, depth=3, dim_in=6, rng=2, n_units=width, activation="tanh")
    assert features.pre.dtype == np.float32
    assert_allclose(features.post, np.tanh(features.pre), rtol=1e-6)
    post = features.post.astype(np.float64)
    gram = np.einsum("lmik,lmjk->lmij", post, post)
    squares = np.einsum("lmii->lm", gram)
    assert_allclose(features.mean_square[1:], squares / n_inputs, rtol=2e-6)
    products = (gram.sum(axis=(2, 3)) - squares) / (n_inputs * (n_inputs - 1))
    assert_allclose(features.mean_dot[1:], products, rtol=2e-6, atol=2e-6)


def statistics(features):
    """One number a layer and model, of several kinds: norms, products, a unit, a product of units."""
    pre, post = features.pre.astype(np.float64), features.post.astype(np.float64)
    kinds = [features.mean_square[1:], features.mean_dot[1:], pre[..., 1, 0], post[..., 0, 1] * post[..., 2, 1]]
    return np.concatenate([*kinds, pre[..., 0, 2] * pre[..., 1, 2]])


@pytest.mark.parametrize(("n_inputs", "dim_in"), [(4, 32), (4, 5), (12, 40)])
def test_both_routes_have_the_law_of_the_definition(n_inputs, dim_in, monkeypatch):
    """Given the same inputs: models are drawn from weights in float64, or as it is cheaper."""
    settings = {"width": 32, "depth": 2, "dim_in": dim_in, "rng": 5, "activation": "sigmoid", "norm": 3.0}
    wide = sample_features(4000, n_inputs, **settings)
    monkeypatch.setattr(init_variance, "KERNELS", "plain")
    plain = sample_features(2000, n_inputs, **settings)
    assert_allclose(wide.mean_dot[0], plain.mean_dot[0, 0], rtol=1e-14)
    for x, y in zip(statistics(wide), statistics(plain), strict=True):
        assert stats.ks_2samp(x, y).pvalue > 1e-5


def test_a_function_of_the_callers_is_applied_in_float64():
    settings = {"width": 40, "depth": 2, "dim_in": 10, "rng": 6}
    named = sample_features(2, 5, activation="gelu", **settings)
    own = sample_features(2, 5, activation=lambda x: activation_function("gelu")(x), **settings)
    assert_allclose(own.post, named.post, atol=1e-6)


def test_between_and_total_are_those_of_the_shares():
    features = sample_features(5, 6, width=40, depth=3, dim_in=10, rng=7, n_units=30)
    between, total = between_and_total(features.post)
    for layer in range(3):
        share = initialisation_share(features.post[layer])
        assert between[layer] == pytest.approx(share.between, rel=1e-9)
        assert total[layer] == pytest.approx(share.total, rel=1e-9)


@pytest.mark.parametrize("width", [16, 48])
def test_a_model_has_its_own_stream(width):
    few, many = (sample_features(n, 5, width=width, depth=2, dim_in=4, rng=3) for n in (2, 4))
    assert np.array_equal(few.pre, many.pre[:, :2])
    assert not np.array_equal(many.pre[:, 0], many.pre[:, 1])


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"n_models": 0}, "n_models"),
        ({"n_inputs": 1}, "n_inputs"),
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"dim_in": 0}, "dim_in"),
        ({"n_units": 17}, "n_units"),
        ({"norm": 0.0}, "norm"),
        ({"sigma_w2": -1.0}, "sigma_w2"),
        ({"sigma_b2": math.nan}, "sigma_b2"),
    ],
)
def test_errors_name_the_argument(changed, name):
    good = {"n_models": 1, "n_inputs": 2, "width": 16, "depth": 1, "dim_in": 2, "rng": 0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        sample_features(**(good | changed))


def test_other_activations_on_larger_spheres():
    features = sample_features(
        3, 5, width=16, depth=2, dim_in=4, rng=4, n_units=16, activation="tanh", norm=3.0, sigma_b2=0.0
    )
    assert np.array_equal(features.post, np.tanh(features.pre))
    assert np.allclose(features.mean_square[0], 9, rtol=1e-14, atol=0)
    plain = sample_features(3, 5, width=16, depth=1, dim_in=4, rng=4, n_units=16, sigma_b2=0.0)
    assert np.allclose(features.pre[0], 3 * plain.pre[0], rtol=1e-13, atol=0)
