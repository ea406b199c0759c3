"""Wide networks in lanes against float64 from the same random numbers, and against their definition."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.dual import ACTIVATIONS, activation_function
from sims._network_lanes import fill_piecewise_linear, fill_products, fill_quadratic_forms, fill_tanh, fill_unit_weights
from sims._normal_lanes import draw_states, fill_normals
from sims._wide_networks import GramPoints, LayerLaw, Preactivations, WeightPoints, draw_inputs, with_differences
from sims.estimate import sample_mean

ROUTES = (GramPoints, WeightPoints)
LAW = LayerLaw(width=256, weight_variance=1.5 / 256, bias_variance=1 / 256)


def preactivations(units, *, networks=3, points=5, seed=0):
    """Points of all sizes of differences, in the form of row 0 and differences."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((networks, points, units)) * 10.0 ** rng.integers(-9, 1, (networks, points, 1))
    z[:, 0] = 2 * rng.standard_normal((networks, units))
    return z.astype(np.float32)


def exact_points(name, z):
    """Row 0 and differences after an activation, without cancellation where these are small: by its mean slope."""
    z = z.astype(np.float64)
    base, step = z[:, :1], z[:, 1:]
    if name in ("tanh", "sigmoid"):
        half = 1.0 if name == "tanh" else 0.5
        first = np.tanh(half * base)
        made = half * np.tanh(half * step) * (1 - first * np.tanh(half * (base + step)))
        return np.concatenate([first if name == "tanh" else 0.5 + 0.5 * first, made], axis=1)
    phi = activation_function(name)
    same = np.signbit(base) == np.signbit(base + step)
    made = np.where(same, np.sign(base) * phi(np.sign(base)) * step, phi(base + step) - phi(base))
    return np.concatenate([phi(base), made], axis=1)


@pytest.mark.parametrize("units", [1, 15, 16, 50, 64])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "linear", "abs", "tanh", "sigmoid"])
def test_differences_keep_their_relative_accuracy(name, units):
    z = preactivations(units)
    found = Preactivations(z=z, scale=np.ones(3), delicate=np.zeros(3, bool)).activated(activation_function(name))
    expected = exact_points(name, z)
    assert np.all(np.abs(found - expected)[:, 1:] < 5e-7 * np.abs(z[:, 1:]) + 1e-30)
    assert_allclose(found[:, 0], expected[:, 0], rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "maxout2"])
@pytest.mark.parametrize("exponent", [0, 40, -40])
def test_activations_are_those_of_the_definition(name, exponent):
    phi, z = activation_function(name), preactivations(48)
    scale, delicate = np.full(3, 2.0**exponent), np.array([False, True, exponent != 0])
    made = Preactivations(z=z, scale=scale, delicate=delicate | (exponent != 0))
    rows = z.astype(np.float64) * 2.0**exponent
    rows[:, 1:] += rows[:, :1]
    assert_allclose(made.rows(), rows, rtol=1e-7, atol=1e-7 * 2.0**exponent)
    expected = with_differences(phi(rows)) / 2.0**exponent
    size = np.max(np.abs(expected))
    assert_allclose(made.activated(phi), expected, rtol=1e-5, atol=2e-6 * max(size, 2.0**-exponent))


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
def test_networks_do_not_see_what_goes_with_them(name):
    """Scales and closeness differ: each network is the same alone."""
    phi, z = activation_function(name), preactivations(48)
    scale, delicate = np.array([1.0, 2.0**40, 1.0]), np.array([False, True, True])
    together = Preactivations(z=z, scale=scale, delicate=delicate).activated(phi)
    for i in range(3):
        alone = slice(i, i + 1)
        made = Preactivations(z=z[alone].copy(), scale=scale[alone], delicate=delicate[alone]).activated(phi)
        assert_array_equal(made, together[alone])


def test_a_function_of_the_callers_is_called_in_float64():
    kinds = []

    def phi(x):
        kinds.append(x.dtype)
        return np.sin(x)

    z = preactivations(40)
    made = Preactivations(z=z, scale=np.ones(3), delicate=np.zeros(3, bool))
    own, named = made.activated(phi), made.activated(activation_function("sin"))
    assert set(kinds) == {np.dtype(np.float64)}
    assert_allclose(own, named, atol=1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("units", [40, 64])
def test_angles_are_those_of_the_rows(route, units):
    """Also where they are small: the mean of 1 - cos over pairs, from rows in float64."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 6, units)) * np.array([1, 1e-2, 1e-5, 1e-9])[:, None, None]
    x[:, 0] = rng.standard_normal((4, units))
    x = x.astype(np.float32)
    points, expected = route(x, np.ones(4)), []
    rows = x.astype(np.longdouble)
    rows[:, 1:] += rows[:, :1]
    for network in rows:
        unit = network / np.sqrt(np.sum(network**2, axis=1, keepdims=True))
        expected.append(np.mean([np.sum((unit[i] - unit[j]) ** 2) / 2 for i in range(6) for j in range(i)]))
    assert_allclose(points.complements()[:3], np.array(expected[:3], dtype=float), rtol=3e-6)
    assert_allclose(points.complements()[3], float(expected[3]), rtol=1e-2)  # at 1e-18, the end of longdouble
    square, product = route(x, np.full(4, 3.0)).mean_products()
    gram = 9 * np.einsum("bik,bjk->bij", rows, rows).astype(float)
    assert_allclose(square, np.einsum("bii->b", gram) / 6, rtol=1e-6)
    assert_allclose(product, (gram.sum(axis=(1, 2)) - 6 * square) / 30, rtol=1e-5, atol=1e-4)


def test_products_and_forms():
    x, rng = preactivations(50), np.random.default_rng(2)
    first, square = np.empty((2, 3, 5))
    fill_products(x, first, square)
    wide = x.astype(np.float64)
    scale = np.sqrt(np.einsum("bk,bk,bik,bik->bi", wide[:, 0], wide[:, 0], wide, wide))
    assert np.all(np.abs(first - np.einsum("bk,bik->bi", wide[:, 0], wide)) < 1e-6 * 50 * scale)
    assert_allclose(square, np.einsum("bik,bik->bi", wide, wide), rtol=1e-6)
    gram, weights, out = wide @ wide.transpose(0, 2, 1), rng.standard_normal((3, 5)), np.empty(3)
    fill_quadratic_forms(gram, weights, out)
    assert_allclose(out, np.einsum("bi,bij,bj->b", weights, gram, weights), rtol=1e-12)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("row", [0, 2])
def test_a_dead_point_has_no_angle(route, row):
    rows = np.random.default_rng(3).standard_normal((2, 4, 48)).astype(np.float32)
    rows[1, row] = 0
    alive = np.isfinite(route(with_differences(rows), np.ones(2)).complements())
    assert_array_equal(alive, [True, False])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("law", [LAW, LayerLaw(width=80, weight_variance=0.02, bias_bound=0.3)])
@pytest.mark.parametrize("scale", [1.0, 2.0**45, 2.0**-45])
def test_preactivations_have_the_covariance_of_their_weights(route, law, scale):
    """That of a layer with weights and biases: K = variance x·x' + that of the bias, for all units of all networks."""
    x = np.random.default_rng(4).standard_normal((1, 3, 64)).astype(np.float32)
    x[0, 1] *= 1e-3
    points = route(np.repeat(x, 200, axis=0), np.full(200, scale))
    z = points.preactivations(law, draw_states(np.random.default_rng(5), 200))
    assert np.all(z.delicate == (scale != 1))
    assert np.all((z.scale == 1) == (scale <= 1))  # a bias needs no scale
    wide = scale * x[0].astype(np.float64)
    covariance = law.weight_variance * wide @ wide.T
    covariance[0, 0] += law.bias_variance + law.bias_bound**2 / 3
    drawn = z.z.astype(np.float64) * z.scale[:, None, None]
    for i in range(3):
        for j in range(i + 1):
            found = sample_mean((drawn[:, i] * drawn[:, j]).mean(axis=1))
            assert abs(found.zscore(covariance[i, j])) < 4.5
    assert abs(sample_mean((drawn[:, 0, 1:] * drawn[:, 0, :-1]).mean(axis=1)).zscore(0.0)) < 4.5  # units


def exact_curve(name, route, x, states, depth):
    """1 - the mean cosine by layer, in float64, from the numbers that `route` draws in lanes; rows, no differences."""
    phi, n, width = activation_function(name), x.shape[1], x.shape[2]
    x = x[0].astype(np.longdouble)
    x[1:] += x[0]
    found = []
    for _ in range(depth):
        if route is WeightPoints:
            weights, bias = np.empty((1, width * width), np.float32), np.empty((1, width), np.float32)
            fill_normals(states, LAW.weight_variance, weights)
            fill_normals(states, LAW.bias_variance, bias)
            z = x @ weights.reshape(width, width).astype(np.longdouble) + bias[0]
        else:
            normals = np.empty((1, n * width), np.float32)
            fill_normals(states, 1.0, normals)
            steps = x - x[0]
            steps[0] = x[0]
            covariance = (LAW.weight_variance * steps @ steps.T).astype(np.float64)
            covariance[0, 0] += LAW.bias_variance
            z = np.linalg.cholesky(covariance).astype(np.longdouble) @ normals.reshape(n, width)
            z[1:] += z[0]
        x = np.array(phi(z.astype(np.float64)), dtype=np.longdouble) if name == "gelu" else phi(z)
        unit = x / np.sqrt(np.sum(x * x, axis=1, keepdims=True))
        spread = n * np.sum((unit - unit[0]) ** 2) - np.sum(np.sum(unit - unit[0], axis=0) ** 2)
        found.append(float(spread / (n * (n - 1))))
    return np.array(found)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("name", "depth"), [("relu", 64), ("leaky_relu", 64), ("tanh", 64), ("gelu", 64), ("sigmoid", 10)]
)
def test_distances_from_one_keep_their_digits_over_64_layers(route, name, depth):
    """1 - c to a relative 1e-5, from the same random numbers; those of the logistic function soon end the oracle's."""
    states = draw_states(np.random.default_rng(6), 1)
    x = draw_inputs(states, 6, LAW.width)
    expected = exact_curve(name, route, x, states.copy(), depth)
    points, found = route(x, np.ones(1)), []
    for _ in range(depth):
        z = points.preactivations(LAW, states)
        points = route(z.activated(activation_function(name)), z.scale)
        found.append(points.complements()[0])
    assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("sigma_w2", [1e-6, 1e8])
@pytest.mark.parametrize("route", ROUTES)
def test_activations_of_any_size_are_held(route, sigma_w2):
    """Without biases ReLU networks are homogeneous: the cosines do not see the weights' variance, but float32 would."""
    curves = []
    for variance in (1.0, sigma_w2):
        states = draw_states(np.random.default_rng(7), 2)
        points, curve = route(draw_inputs(states, 4, 48), np.ones(2)), []
        for _ in range(30):
            z = points.preactivations(LayerLaw(width=48, weight_variance=variance / 48), states)
            points = route(z.activated(activation_function("relu")), z.scale)
            curve.append(points.complements())
        curves.append(curve)
        assert np.all(np.isfinite(curve))
        logarithm = np.log(points.scale**2 * points.first[:, 0] / 48)
        assert np.all(np.abs(logarithm - 30 * math.log(variance / 2)) < 20)
    assert_allclose(curves[0], curves[1], rtol=1e-4)


def test_unit_weights_sum_the_unit_vectors():
    rows = np.random.default_rng(8).standard_normal((1, 5, 7))
    x = with_differences(rows)
    first, square = np.einsum("bk,bik->bi", x[:, 0], x), np.einsum("bik,bik->bi", x, x)
    weights, total = np.empty((1, 5)), np.empty(1)
    fill_unit_weights(first, square, weights, total)
    unit = rows[0] / np.linalg.norm(rows[0], axis=1, keepdims=True)
    assert_allclose(weights[0] @ x[0], np.sum(unit - unit[0], axis=0), atol=1e-13)
    assert total[0] == pytest.approx(np.sum((unit - unit[0]) ** 2), rel=1e-13)


def test_kernels_take_rows_that_are_no_whole_number_of_lanes():
    z = preactivations(37)
    padded = np.zeros((3, 5, 48), np.float32)
    padded[..., :37] = z
    for fill, law in ((fill_tanh, (1.0, 0.0)), (fill_tanh, (0.5, 0.5)), (fill_piecewise_linear, (0.01,))):
        out, wide = np.empty_like(z), np.empty_like(padded)
        fill(z, *law, out)
        fill(padded, *law, wide)
        assert_array_equal(out, wide[..., :37])
