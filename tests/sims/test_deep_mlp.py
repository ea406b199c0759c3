import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conetheory.contraction import limiting_cosine
from sims.deep_mlp import cone_curves, mean_offdiagonal_cosine, small_cone_curves
from sims.estimate import sample_mean

BIASES = ("normal", "none", "torch_default")


@given(st.integers(2, 12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_mean_offdiagonal_cosine_is_the_mean_of_the_pairs(n, dim, seed):
    x = np.random.default_rng(seed).standard_normal((n, dim))
    pairs = [x[i] @ x[j] / math.sqrt((x[i] @ x[i]) * (x[j] @ x[j])) for i in range(n) for j in range(n) if i != j]
    assert mean_offdiagonal_cosine(x) == pytest.approx(np.mean(pairs), abs=1e-14)


def test_a_zero_row_has_no_cosine():
    assert math.isnan(mean_offdiagonal_cosine(np.array([[1.0, 0.0], [0.0, 0.0]])))


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_both_routes_sample_the_same_law(activation, bias):
    """Narrow networks: the law is broad, and inputs number as many as units."""
    sampled = [
        cone_curves(activation, 1500, width=8, n_inputs=4, depth=3, bias=bias, sigma_w2=2.0, rng=seed, route=route)
        for seed, route in enumerate(("gram", "weights"))
    ]
    for layer in range(4):
        gram, weights = (curves[:, layer][~np.isnan(curves[:, layer])] for curves in sampled)
        assert stats.ks_2samp(gram, weights).pvalue > 1e-5
        means = sample_mean(gram), sample_mean(weights)
        assert abs(means[0].value - means[1].value) < 4.5 * math.hypot(means[0].stderr, means[1].stderr)


def test_the_comparison_of_laws_sees_a_missing_bias():
    gram = cone_curves("relu", 1500, width=8, n_inputs=4, depth=3, bias="torch_default", rng=0)
    weights = cone_curves("relu", 1500, width=8, n_inputs=4, depth=3, bias="normal", rng=1, route="weights")
    assert stats.ks_2samp(gram[:, 3], weights[:, 3], nan_policy="omit").pvalue < 1e-5


def test_reference_of_figure_2b():
    """Mind the gap, 20 networks of width 512 with 1024 inputs, mean ± sd with the diagonal."""
    reference = {
        "relu": {1: (0.3207, 0.0009), 2: (0.4993, 0.0105), 3: (0.6097, 0.0130), 5: (0.7432, 0.0186)},
        "tanh": {1: (0.0028, 0.0002), 2: (0.0074, 0.0005), 3: (0.0152, 0.0009), 5: (0.0407, 0.0029)},
        "sigmoid": {1: (0.8528, 0.0004), 2: (0.9911, 0.0002), 3: (0.9995, 5e-5)},
    }
    for activation, rows in reference.items():
        curves = cone_curves(activation, 20, n_inputs=64, depth=5, rng=0)
        for layer, (mean, sd) in rows.items():
            estimate = sample_mean(curves[:, layer] * (1 - 1 / 1024) + 1 / 1024)
            spread = math.hypot(estimate.stderr, sd / math.sqrt(20))
            assert abs(estimate.value - mean) < 4.5 * spread + 5e-5  # the reference is rounded


def test_first_relu_layer_is_the_arc_cosine_of_the_first_cosines():
    """Without bias, at infinite width, orthogonal inputs leave with cosine 1/π."""
    curves = cone_curves("relu", 20, width=2048, n_inputs=32, depth=1, bias="none", rng=1)
    estimate = sample_mean(curves[:, 1])
    assert abs(estimate.value - limiting_cosine(0.0, 1.0, 1.0, sigma_b2=0.0)) < 4.5 * estimate.stderr + 1e-3


def test_linear_networks_without_bias_keep_the_mean_cosine_of_independent_inputs():
    curves = cone_curves("linear", 300, width=64, n_inputs=16, depth=5, bias="none", rng=2)
    for layer in range(6):
        assert abs(sample_mean(curves[:, layer]).zscore(0.0)) < 4.5


def test_linear_bias_is_the_only_drift():
    """Infinite width, per-unit variances: ρ_l = l s / (1 + l s) with s the bias variance."""
    for bias, variance in (("normal", 1 / 512), ("torch_default", 1 / 1536)):
        estimate = sample_mean(cone_curves("linear", 40, n_inputs=64, depth=4, bias=bias, rng=3)[:, 4])
        assert abs(estimate.value - 4 * variance / (1 + 4 * variance)) < 4.5 * estimate.stderr + 2e-5


@pytest.mark.parametrize("route", ["gram", "weights"])
def test_saturated_cones_survive(route):
    """Sigmoid: differences between inputs fall below float64; as many inputs as units are the worst case."""
    curves = cone_curves("sigmoid", 1, width=96, n_inputs=96, depth=40, rng=4, route=route)
    assert curves[0, -1] == pytest.approx(1.0, abs=2e-15)


def test_both_routes_reach_the_same_distance_to_one():
    """The diagonal of the covariance is raised; 1 - cos must not see it."""
    gram, weights = (
        1 - cone_curves("gelu", 30, width=128, n_inputs=32, depth=12, rng=5, route=route)[:, -1]
        for route in ("gram", "weights")
    )
    assert np.median(gram) < 1e-4
    assert stats.ks_2samp(gram, weights).pvalue > 1e-5


def test_a_curve_is_nan_from_the_first_dead_layer():
    curves = cone_curves("relu", 200, width=2, n_inputs=2, depth=6, bias="none", rng=6)
    dead = np.isnan(curves)
    assert dead[:, -1].any()
    assert not dead[:, 0].any()
    assert np.array_equal(dead, np.maximum.accumulate(dead, axis=1))


def test_a_network_has_its_own_stream():
    few, many = (cone_curves(np.tanh, n, width=32, n_inputs=8, depth=3, rng=7) for n in (2, 5))
    assert np.array_equal(few, many[:2])
    assert len(np.unique(many)) == many.size


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"n_networks": 0}, "n_networks"),
        ({"width": 0}, "width"),
        ({"n_inputs": 1}, "n_inputs"),
        ({"n_inputs": 17}, "n_inputs"),
        ({"depth": 0}, "depth"),
        ({"bias": "uniform"}, "bias"),
        ({"route": "exact"}, "route"),
        ({"sigma_w2": 0.0}, "sigma_w2"),
        ({"activation": "relo"}, "activation"),
    ],
)
def test_errors_name_the_argument(changed, name):
    good = {"activation": "relu", "n_networks": 1, "width": 16, "n_inputs": 16, "depth": 1, "rng": 0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        cone_curves(**(good | changed))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_many_small_networks_have_the_law_of_single_ones(activation):
    settings = {"width": 8, "n_inputs": 3, "depth": 3}
    many = small_cone_curves(activation, 2000, rng=1, **settings)
    single = cone_curves(activation, 2000, rng=2, **settings)
    for layer in range(4):
        left, right = (curves[np.isfinite(curves[:, layer]), layer] for curves in (many, single))
        assert stats.ks_2samp(left, right).pvalue > 1e-5
    without = small_cone_curves(activation, 2000, rng=3, sigma_b2=0.0, **settings)
    finite = without[np.isfinite(without[:, 3]), 3]
    assert stats.ks_2samp(finite, single[np.isfinite(single[:, 3]), 3]).pvalue < 1e-5


def test_small_networks_repeat_and_die():
    settings = {"width": 2, "n_inputs": 2, "depth": 6, "sigma_b2": 0.0}
    curves = small_cone_curves("relu", 50, rng=4, **settings)
    assert np.array_equal(curves, small_cone_curves("relu", 50, rng=4, **settings), equal_nan=True)
    dead = np.isnan(curves)
    assert np.any(dead)
    assert np.all(dead[:, 1:] >= dead[:, :-1])  # once dead, always dead


@pytest.mark.parametrize(
    ("changed", "name"),
    [({"n_networks": 0}, "n_networks"), ({"n_inputs": 1}, "n_inputs"), ({"sigma_b2": -1.0}, "sigma_b2")],
)
def test_small_networks_name_the_argument(changed, name):
    good = {"activation": "relu", "n_networks": 1, "width": 4, "n_inputs": 2, "depth": 1, "rng": 0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        small_cone_curves(**(good | changed))
