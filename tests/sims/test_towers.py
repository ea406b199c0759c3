import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import ks_2samp

from conetheory.dual import activation_function
from sims.estimate import sample_mean
from sims.towers import _attend, _dense, _inputs, normalised_cosines, residual_cosines, transformer_cosines
from tests import naive_towers as naive


@pytest.mark.parametrize("width", [4, 6, 7, 64])
def test_inputs_have_the_cosine_and_the_norms_they_should(width):
    u, v = _inputs(0.3, 1, width)[0]
    assert_allclose([u @ u / width, v @ v / width, u @ v / width], [1, 1, 0.3], rtol=1e-13)


def test_a_dense_layer_has_the_covariance_of_its_weights():
    x = np.random.default_rng(10).standard_normal((1, 2, 6)) * [[2.0], [0.7]]
    z = _dense(np.broadcast_to(x, (20_000, 2, 6)), 1.7, np.random.default_rng(11))
    for i, j in ((0, 0), (0, 1), (1, 1)):
        found = sample_mean((z[:, i] * z[:, j]).ravel())
        assert abs(found.zscore(1.7 * float(x[0, i] @ x[0, j]) / 6)) < 4.5


@pytest.mark.parametrize(("placement", "norm"), [("pre", "layer"), ("post", "layer"), ("pre", "rms")])
def test_a_residual_block_has_the_law_of_its_weights(placement, norm):
    width, n, phi = 12, 3000, activation_function("relu")
    u, v = _inputs(0.3, 1, width)[0]
    rng = np.random.default_rng(1)
    direct = [naive.residual_cosine(u, v, phi, placement=placement, norm=norm, sigma_w2=2.0, rng=rng) for _ in range(n)]
    fast = residual_cosines(0.3, "relu", width, n, depth=1, placement=placement, norm=norm, sigma_w2=2.0, rng=2)
    assert ks_2samp(direct, fast[:, 1]).pvalue > 1e-4


def test_a_dense_layer_takes_a_point_at_the_origin():
    """Narrow ReLU layers may turn a point off."""
    x = np.stack([np.zeros((5000, 4)), np.ones((5000, 4))], axis=1)
    z = _dense(x, 2.0, np.random.default_rng(0))
    assert np.all(z[:, 0] == 0)
    assert abs(sample_mean((z[:, 1] ** 2).ravel()).zscore(2.0)) < 4.5


def test_attention_is_what_its_definition_says():
    """The same draws, head by head and token by token."""
    x = np.random.default_rng(3).standard_normal((1, 3, 4))
    fast = _attend(x, 2, 5, 1.5, 0.5, np.random.default_rng(4))[0]
    rng = np.random.default_rng(4)
    queries, keys, values = (rng.standard_normal((4, 2, 5)).transpose(1, 0, 2) / 2 for _ in range(3))
    output = rng.standard_normal((10, 4)) / np.sqrt(10)
    slow = naive.multi_head_attention(x[0], queries, keys, values, output, np.sqrt(5) / np.sqrt(1.5))
    assert_allclose(fast, slow, rtol=1e-12)


def test_samples_repeat_and_equal_inputs_stay_equal():
    one, two = (residual_cosines(0.2, "gelu", 32, 5, depth=2, rng=5) for _ in range(2))
    assert np.array_equal(one, two)
    assert_allclose(residual_cosines(1.0, "gelu", 32, 5, depth=2, rng=6), 1.0, rtol=1e-13)
    assert_allclose(normalised_cosines(1.0, "relu", 32, 5, depth=2, rng=7), 1.0, rtol=1e-13)


def test_biases_are_shared_by_the_two_points():
    """One linear layer without weights to speak of: huge biases make the points one."""
    assert_allclose(normalised_cosines(-0.5, "linear", 32, 3, sigma_b2=1e12, rng=7)[:, 1], 1.0, atol=1e-10)
    plain, unbiased = (normalised_cosines(0.2, "relu", 32, 3, rng=7, **more) for more in ({}, {"sigma_b2": 0.0}))
    assert np.array_equal(plain, unbiased)


def test_a_transformer_starts_at_its_inputs():
    x = np.random.default_rng(8).standard_normal((2, 2, 8))
    curves = transformer_cosines(x, "relu", 2, depth=1, heads=2, rng=9)
    unit = x / np.linalg.norm(x, axis=2, keepdims=True)
    assert_allclose(curves[:, 0, 0], np.mean([unit[a, 0] @ unit[a, 1] for a in (0, 1)]), rtol=1e-12)
    assert_allclose(curves[:, 0, 1], np.mean([unit[0, s] @ unit[1, t] for s in (0, 1) for t in (0, 1)]), rtol=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="`norm` must be one of layer, rms, got 'batch'"):
        normalised_cosines(0.0, "relu", 8, 1, norm="batch")
    with pytest.raises(ValueError, match="`sigma_b2` must be at least 0, got -1"):
        normalised_cosines(0.0, "relu", 8, 1, sigma_b2=-1.0)
    with pytest.raises(ValueError, match="`placement` must be one of pre, post, got 'none'"):
        residual_cosines(0.0, "relu", 8, 1, depth=1, placement="none")
    with pytest.raises(ValueError, match="`width` must be at least 4, got 2"):
        residual_cosines(0.0, "relu", 2, 1, depth=1)
