import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conetheory.contraction import limiting_cosine
from sims import deep_mlp
from sims.deep_mlp import cone_curves, mean_offdiagonal_cosine, small_cone_curves
from sims.estimate import sample_mean
from tests.processors import printed_with

ROUTES = ("gram", "weights")


@given(st.integers(2, 12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_mean_offdiagonal_cosine_is_the_mean_of_the_pairs(n, dim, seed):
    x = np.random.default_rng(seed).standard_normal((n, dim))
    pairs = [x[i] @ x[j] / math.sqrt((x[i] @ x[i]) * (x[j] @ x[j])) for i in range(n) for j in range(n) if i != j]
    assert mean_offdiagonal_cosine(x) == pytest.approx(np.mean(pairs), abs=1e-14)


def test_a_zero_row_has_no_cosine():
    assert math.isnan(mean_offdiagonal_cosine(np.array([[1.0, 0.0], [0.0, 0.0]])))


def assert_same_law(left, right):
    """Compare the curves of two samples layer by layer: their laws, and their means."""
    for x, y in zip(left.T, right.T, strict=True):
        x, y = x[~np.isnan(x)], y[~np.isnan(y)]
        assert stats.ks_2samp(x, y).pvalue > 1e-5
        means = sample_mean(x), sample_mean(y)
        assert abs(means[0].value - means[1].value) < 4.5 * math.hypot(means[0].stderr, means[1].stderr)


@pytest.fixture
def plain(monkeypatch):
    """Draw curves in float64, one network after the other."""

    def draw(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(deep_mlp, "KERNELS", "plain")
            return cone_curves(*args, **kwargs)

    return draw


@pytest.mark.parametrize(
    ("activation", "bias", "n_inputs"),
    [
        ("relu", "normal", 2),
        ("tanh", "none", 4),
        ("sigmoid", "torch_default", 8),
        ("gelu", "normal", 9),
        ("relu", "none", 32),
        ("linear", "torch_default", 40),
        (np.cos, "normal", 3),
    ],
)
def test_every_route_samples_the_law_of_the_definition(activation, bias, n_inputs, plain):
    """Weights in float64 define it; inputs from fewer than a quarter of the units to more than these."""
    settings = {"width": 32, "n_inputs": n_inputs, "depth": 3, "bias": bias, "sigma_w2": 2.0}
    defined = plain(activation, 600, rng=0, route="weights", **settings)
    for seed, route in enumerate(("weights", "gram") if n_inputs <= 32 else ("weights",), start=1):
        assert_same_law(cone_curves(activation, 3000, rng=seed, route=route, **settings), defined)


@pytest.mark.parametrize(("activation", "bias"), [("relu", "none"), ("tanh", "normal"), ("sigmoid", "torch_default")])
def test_both_plain_routes_sample_the_same_law(activation, bias):
    """Narrow networks: the law is broad, and inputs number as many as half of the units."""
    settings = {"width": 8, "n_inputs": 4, "depth": 3, "bias": bias, "sigma_w2": 2.0}
    assert_same_law(*(cone_curves(activation, 1000, rng=i, route=route, **settings) for i, route in enumerate(ROUTES)))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_distance_to_one_has_the_law_of_the_definition(activation, plain):
    """At depth: 1 - c over ten layers, where the law is broad."""
    settings = {"width": 48, "n_inputs": 12, "depth": 10}
    defined = np.log1p(-plain(activation, 400, rng=0, route="weights", **settings))
    for seed, route in enumerate(ROUTES, start=1):
        assert_same_law(np.log1p(-cone_curves(activation, 2000, rng=seed, route=route, **settings)), defined)


def test_auto_is_the_gram_route_up_to_a_quarter_of_the_width():
    for n_inputs, route in ((16, "gram"), (17, "weights"), (80, "weights")):
        settings = {"width": 64, "n_inputs": n_inputs, "depth": 2, "rng": 5}
        assert np.array_equal(cone_curves("relu", 2, **settings), cone_curves("relu", 2, route=route, **settings))


@pytest.mark.parametrize("width", [8, 64])
def test_numbers_depend_on_neither_threads_nor_how_many_follow(width):
    settings = {"width": width, "n_inputs": 4, "depth": 3, "rng": 6}
    many = cone_curves("relu", 1100, **settings)
    assert np.array_equal(many, cone_curves("relu", 1100, workers=2, **settings), equal_nan=True)
    for n in (1, 3, 512, 513):
        assert np.array_equal(cone_curves("relu", n, **settings), many[:n], equal_nan=True)


def test_plain_kernels_serve_where_they_are_asked_for(plain):
    code = "from sims.deep_mlp import cone_curves; from sims.init_variance import sample_features\n"
    code += "print(cone_curves('relu', 2, width=64, n_inputs=4, depth=2, rng=0)[1, 2])\n"
    code += "print(sample_features(2, 3, width=64, depth=1, dim_in=4, rng=0).pre.dtype)"
    cosine, kind = printed_with(code, CONETHEORY_KERNELS="plain").split()
    assert float(cosine) == pytest.approx(plain("relu", 2, width=64, n_inputs=4, depth=2, rng=0)[1, 2], rel=1e-12)
    assert kind == "float64"


def test_the_comparison_of_laws_sees_a_missing_bias():
    settings = {"width": 32, "n_inputs": 4, "depth": 3}
    gram = cone_curves("relu", 1500, bias="torch_default", rng=0, **settings)
    weights = cone_curves("relu", 1500, bias="normal", rng=1, route="weights", **settings)
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


@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize("route", ROUTES)
def test_cosines_do_not_see_the_scale_of_the_weights(route, width):
    """Without biases ReLU networks are homogeneous, also where the squares of activations are no doubles."""
    settings = {"width": width, "n_inputs": 4, "depth": 60, "bias": "none", "rng": 1, "route": route}
    curves = [cone_curves("relu", 2, sigma_w2=variance, **settings) for variance in (2.0, 1e-6, 1e6)]
    small_curves = [
        small_cone_curves("relu", 2, width=width, n_inputs=4, depth=60, sigma_w2=variance, sigma_b2=0.0, rng=1)
        for variance in (2.0, 1e-6, 1e6)
    ]
    for reference, *others in (curves, small_curves):
        assert np.isfinite(reference[0]).all()
        for other in others:
            assert 1 - other == pytest.approx(1 - reference, rel=1e-4, nan_ok=True)


@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("sigma_w2", [1e20, 1e60])
def test_saturated_units_do_not_see_the_scale_of_the_weights(route, width, sigma_w2):
    """tanh is the sign of such pre-activations: the first layer is that of the sign, which has no scale."""
    settings = {"width": width, "n_inputs": 4, "depth": 3, "bias": "none", "rng": 2, "route": route}
    expected = cone_curves(np.sign, 5, **settings)
    assert cone_curves("tanh", 5, sigma_w2=sigma_w2, **settings) == pytest.approx(expected, abs=2e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize("route", ROUTES)
def test_activations_that_outgrow_doubles_are_refused(route, width):
    with pytest.raises(ValueError, match="`sigma_w2` must keep pre-activations in the range of doubles, got"):
        cone_curves("relu", 1, width=width, n_inputs=2, depth=60, sigma_w2=1e20, bias="none", route=route, rng=0)


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
        ({"n_inputs": 17, "route": "gram"}, "n_inputs"),
        ({"depth": 0}, "depth"),
        ({"bias": "uniform"}, "bias"),
        ({"route": "exact"}, "route"),
        ({"sigma_w2": 0.0}, "sigma_w2"),
        ({"workers": 0}, "workers"),
        ({"activation": "relo"}, "activation"),
    ],
)
def test_errors_name_the_argument(changed, name):
    good = {"activation": "relu", "n_networks": 1, "width": 16, "n_inputs": 16, "depth": 1, "rng": 0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        cone_curves(**(good | changed))


@pytest.mark.parametrize(("activation", "width"), [("relu", 8), ("tanh", 8), ("relu", 32)])
def test_many_small_networks_have_the_law_of_single_ones(activation, width, monkeypatch):
    settings = {"width": width, "n_inputs": 3, "depth": 3}
    many = small_cone_curves(activation, 2000, rng=1, **settings)
    single = cone_curves(activation, 2000, rng=2, **settings)
    assert_same_law(many, single)
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
