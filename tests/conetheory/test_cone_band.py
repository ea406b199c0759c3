from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory._exchangeable import expand_layer
from conetheory._kernel_expansion import expand_kernel
from conetheory.cone_band import cone_band
from conetheory.dual import activation_function, c_map_complement, dual_activation, second_moment
from conetheory.errors import ConvergenceError
from conetheory.finite_width import cosine_mean_correction, cosine_variance
from conetheory.meanfield import cone_curve
from sims.deep_mlp import cone_curves, small_cone_curves

WIDE = 10**9  # so wide that nothing of the second order is left


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9, 0.999, 1 - 1e-8])
def test_one_relu_layer_has_the_closed_forms(rho):
    """docs/theory.md, 1b: mean and variance of the cosine of two given inputs after one layer."""
    band = cone_band("relu", 1, WIDE, 2, rho0=rho)
    assert_allclose(band.shift[1] * WIDE, cosine_mean_correction(rho), rtol=1e-6)
    assert_allclose(band.stddev[1] ** 2 * WIDE, cosine_variance(rho), rtol=1e-6)


@given(st.floats(0, 0.999))
@settings(max_examples=20)
def test_one_linear_layer_is_a_correlation_coefficient(rho):
    """An uncentred correlation of d normal pairs: mean ρ - ρ(1 - ρ²)/2d, variance (1 - ρ²)²/d (Fisher 1915)."""
    band = cone_band("linear", 1, WIDE, 2, rho0=rho)
    assert_allclose(band.shift[1] * WIDE, -rho * (1 - rho**2) / 2, rtol=1e-9, atol=1e-12)
    assert_allclose(band.stddev[1] ** 2 * WIDE, (1 - rho**2) ** 2, rtol=1e-9)


def test_random_inputs_are_a_linear_layer():
    """Iid normal coordinates: the cosine of two of n points has variance 1/d, the mean over pairs 2/(n(n-1)d)."""
    band = cone_band("tanh", 0, 7, 6, input_dim=WIDE)
    assert_allclose(band.stddev[0] ** 2 * WIDE, 2 / (6 * 5), rtol=1e-9)
    given_inputs = cone_band("linear", 1, 50, 6, rho0=0.4)
    drawn = cone_band("tanh", 0, 7, 6, rho0=0.4, input_dim=50)
    assert_allclose([drawn.stddev[0], drawn.shift[0]], [given_inputs.stddev[1], given_inputs.shift[1]], rtol=1e-12)


def test_squared_norms_of_relu_networks():
    """The variance of ln‖h‖² grows by 5/d a layer under He's variances (Hanin and Nica 2020)."""
    found = expand_kernel("relu", 4, 100, 2, q0=1.0, rho0=0.0, sigma_w2=2.0, sigma_b2=0.0, input_dim=None)
    assert_allclose(found.pair[:, 0, 0] + found.difference, 0.05 * np.arange(5), rtol=1e-9, atol=1e-15)
    assert_allclose(found.shift[:, 0], 0, atol=1e-12)  # E‖h‖² is exact at every width


@pytest.mark.parametrize(("width", "n"), [(512, 1024), (128, 16), (512, 3)])
def test_scatter_against_wishart_products(width, n):
    """Linear networks without bias: E (tr S)² and E tr S² of centred Gram matrices obey an exact linear recursion.

    What is left out is of the order of depth/width, however many the inputs.
    """
    depth, m = 20, n - 1
    found = expand_kernel("linear", depth, width, n, q0=1.0, rho0=0.0, sigma_w2=1.0, sigma_b2=0.0, input_dim=width)
    trace_squared, squared_trace = m + m * (m + 1) / width, m * m + 2 * m / width
    for layer in range(depth + 1):
        assert_allclose(found.covariance[layer, 1, 1], squared_trace / m**2 - 1, rtol=(depth + 1) / (2 * width))
        squared_trace, trace_squared = (
            squared_trace + 2 * trace_squared / width,
            (1 + 1 / width) * trace_squared + squared_trace / width,
        )


def kernel_of(activation, kernel, sigma_w2, sigma_b2):
    """E φ(z_i) φ(z_j) for z of covariance σ_w² kernel + σ_b², entry by entry."""
    k = sigma_w2 * kernel + sigma_b2
    scale = np.sqrt(np.diag(k))
    rho = np.clip(k / np.outer(scale, scale), -1, 1)
    return dual_activation(activation, rho, var_u=np.diag(k)[:, None], var_v=np.diag(k)[None, :])


def cosine_mean(kernel):
    scale = np.sqrt(np.diag(kernel))
    upper = np.triu_indices(len(kernel), 1)
    return np.mean((kernel / np.outer(scale, scale))[upper])


def symmetric(entries, n):
    kernel = np.zeros((n, n))
    for value, (i, j) in zip(entries, combinations_with_replacement(range(n), 2), strict=True):
        kernel[i, j] = kernel[j, i] = value
    return kernel


def entries_of(kernel):
    return np.array([kernel[i, j] for i, j in combinations_with_replacement(range(len(kernel)), 2)])


def derivatives(function, x, step):
    """Gradient and Hessian of a vector function by central differences; the Hessian for two inputs only, for time."""
    unit = step * np.eye(len(x))
    gradient = np.array([(function(x + e) - function(x - e)) / (2 * step) for e in unit])
    if len(x) > 3:
        return gradient, np.zeros((len(x), *gradient.shape))
    hessian = np.array(
        [
            [
                (function(x + e + f) - function(x + e - f) - function(x - e + f) + function(x - e - f)) / (4 * step**2)
                for f in unit
            ]
            for e in unit
        ]
    )
    return gradient, hessian


def unit_covariance(activation, k, n):
    """Covariance over one unit of all products φ(z_i) φ(z_j), by a product rule in n + 1 dimensions."""
    phi = activation_function(activation)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / np.sqrt(2 * np.pi)
    grid = np.meshgrid(*[nodes] * (n + 1), indexing="ij")
    weight = np.prod(np.meshgrid(*[weights] * (n + 1), indexing="ij"), axis=0)
    y = [phi(np.sqrt(k[0, 1]) * grid[0] + np.sqrt(k[0, 0] - k[0, 1]) * own) for own in grid[1:]]
    products = np.array([(y[i] * y[j]).ravel() for i, j in combinations_with_replacement(range(n), 2)])
    mean = products @ weight.ravel()
    return (products * weight.ravel()) @ products.T - np.outer(mean, mean)


@pytest.mark.parametrize(("n", "activation", "rho0"), [(3, "tanh", 0.2), (2, "tanh", 0.6), (2, "sigmoid", 0.05)])
def test_two_layers_against_the_whole_kernel(n, activation, rho0):
    """Every entry of the kernel, numerical derivatives of the dual activation, four-point moments by brute force."""
    q0, sigma_w2, sigma_b2 = 1.2, 1.3, 0.1
    x = entries_of(q0 * (rho0 + (1 - rho0) * np.eye(n)))
    covariance, shift = np.zeros((len(x), len(x))), np.zeros(len(x))

    def layer(entries):
        return entries_of(kernel_of(activation, symmetric(entries, n), sigma_w2, sigma_b2))

    for _ in range(2):
        slope, bend = derivatives(layer, x, 1e-3)
        shift = shift @ slope + np.einsum("ij,ijk->k", covariance, bend) / 2
        noise = unit_covariance(activation, sigma_w2 * symmetric(x, n) + sigma_b2, n)
        covariance = slope.T @ covariance @ slope + noise
        x = layer(x)
    slope, bend = derivatives(lambda entries: np.atleast_1d(cosine_mean(symmetric(entries, n))), x, 1e-3 * x[0])
    variance = (slope[:, 0] @ covariance @ slope[:, 0]).item()
    mean = (shift @ slope[:, 0] + np.sum(covariance * bend[:, :, 0]) / 2).item()
    band = cone_band(activation, 2, WIDE, n, q0=q0, rho0=rho0, sigma_w2=sigma_w2, sigma_b2=sigma_b2)
    assert_allclose(band.stddev[2] ** 2 * WIDE, variance, rtol=1e-4)  # of the differences
    if n == 2:  # the shift is that of one pair
        assert_allclose(band.shift[2] * WIDE, mean, rtol=1e-3)


@pytest.mark.parametrize(("k", "v"), [(1.3, 0.9), (1.3, 0.2), (0.4, 0.01)])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "leaky_relu"])
def test_derivatives_against_differences(activation, k, v):
    """Those of f(k) = E φ² and h(k, v) = f (1 - c_k(1 - v/k)), which the mean-field modules compute."""

    def f(k):
        return float(second_moment(activation, k))

    def h(k, v):
        return f(k) * float(c_map_complement(activation, v / k, var=k))

    found = expand_layer(activation_function(activation), k, v, activation)
    a, b, scale = 1e-3 * k, 1e-3 * v, h(k, v)
    assert_allclose(found.square_k, k * (f(k + a) - f(k - a)) / (2 * a) / f(k), atol=1e-5)
    assert_allclose(found.square_kk, k * k * (f(k + a) - 2 * f(k) + f(k - a)) / a**2 / f(k), atol=1e-4)
    assert_allclose(found.spread_k, k * (h(k + a, v) - h(k - a, v)) / (2 * a) / scale, atol=1e-5)
    assert_allclose(found.spread_v, v * (h(k, v + b) - h(k, v - b)) / (2 * b) / scale, atol=1e-5)
    assert_allclose(found.spread_kk, k * k * (h(k + a, v) - 2 * scale + h(k - a, v)) / a**2 / scale, atol=1e-4)
    assert_allclose(found.spread_vv, v * v * (h(k, v + b) - 2 * scale + h(k, v - b)) / b**2 / scale, atol=1e-4)
    mixed = h(k + a, v + b) - h(k + a, v - b) - h(k - a, v + b) + h(k - a, v - b)
    assert_allclose(found.spread_kv, k * v * mixed / (4 * a * b) / scale, atol=1e-4)


@given(st.integers(2, 50), st.floats(0.01, 100), st.sampled_from(["relu", "tanh", "sigmoid", "linear"]))
@settings(max_examples=15)
def test_properties(n, scale, activation):
    band = cone_band(activation, 3, 400, n, sigma_b2=0.01, input_dim=400)
    wider = cone_band(activation, 3, 1600, n, sigma_b2=0.01, input_dim=1600)
    more = cone_band(activation, 3, 400, n + 1, sigma_b2=0.01, input_dim=400)
    curve = cone_curve(activation, 3, sigma_b2=0.01)
    assert_allclose(band.rho, curve.rho, rtol=0, atol=0)
    assert_allclose(band.complement, curve.complement, rtol=0, atol=0)
    assert_allclose(wider.shift * 4, band.shift, rtol=1e-12, atol=1e-15)
    assert_allclose(wider.stddev * 2, band.stddev, rtol=(1 + n) * 3 / 400)  # but for the term of the second order
    assert_allclose(more.shift, band.shift, rtol=1e-12, atol=1e-15)  # a mean over pairs has the mean of one pair
    assert np.all(more.stddev <= band.stddev * (1 + 3 / 400))
    assert np.all((band.low < band.mean) & (band.mean < band.high) & (band.high < 1))
    if activation == "relu":  # homogeneous
        scaled = cone_band(activation, 3, 400, n, q0=scale, sigma_b2=0.01 * scale, input_dim=400)
        assert_allclose(scaled.stddev, band.stddev, rtol=1e-6)
        assert_allclose(scaled.shift, band.shift, rtol=1e-5, atol=1e-9)


def test_given_inputs_have_no_band():
    band = cone_band("relu", 1, 64, 4, rho0=0.3)
    assert [band.stddev[0], band.shift[0], band.low[0], band.high[0]] == pytest.approx([0, 0, 0.3, 0.3], abs=1e-15)


def test_the_band_survives_where_the_cosine_is_one_in_float64():
    """Sigmoid networks: 1 - ρ is 1e-30 after 24 layers, its relative scatter grows on as before."""
    relative = cone_band("sigmoid", 40, 512, 8, input_dim=512).relative_stddev
    growth = np.diff(relative[3:] ** 2)
    assert np.all(growth > 0)
    assert growth[-1] < 2 * growth[0]


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu", "tanh", "sigmoid"])
def test_networks(activation):
    """Width 32: the second order, about depth/width of the variance, is allowed for."""
    width, depth, n = 32, 3, 6000
    curves = small_cone_curves(activation, n, width=width, n_inputs=4, depth=depth, rng=11)
    band = cone_band(activation, depth, width, 4, sigma_b2=1 / width, input_dim=width)
    stderr = curves.std(axis=0) / np.sqrt(n)
    assert np.all(np.abs(curves.mean(axis=0) - band.mean) < 4.5 * stderr + 2 * depth / width**2)
    ratio = ((curves - band.mean) / band.stddev) ** 2
    assert np.all(np.abs(ratio.mean(axis=0) - 1) < 4.5 * ratio.std(axis=0) / np.sqrt(n) + 2 * depth / width)
    inside = ((band.low < curves) & (curves < band.high)).mean(axis=0)
    assert np.all(np.abs(inside - 0.95) < 4.5 * np.sqrt(0.95 * 0.05 / n) + 0.01)


def test_deep_networks():
    """25 layers of width 128, the relative standard deviation up to .6: coverage 92 to 97 %."""
    curves = cone_curves("relu", 300, width=128, n_inputs=8, depth=25, rng=3)
    band = cone_band("relu", 25, 128, 8, sigma_b2=1 / 128, input_dim=128)
    inside = ((band.low < curves) & (curves < band.high)).mean(axis=0)
    assert np.all((inside > 0.95 - 0.03 - 4.5 * np.sqrt(0.05 / 300)) & (inside <= 1))
    assert 0.5 < band.relative_stddev[-1] < 0.7


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"depth": -1}, "depth"),
        ({"width": 0}, "width"),
        ({"n_inputs": 1}, "n_inputs"),
        ({"q0": 0.0}, "q0"),
        ({"rho0": 1.0}, "rho0"),
        ({"rho0": -0.1}, "rho0"),
        ({"sigma_w2": 0.0}, "sigma_w2"),
        ({"sigma_b2": np.nan}, "sigma_b2"),
        ({"input_dim": 0}, "input_dim"),
        ({"level": 1.0}, "level"),
    ],
)
def test_errors_name_the_argument(changed, name):
    good = {"activation": "relu", "depth": 1, "width": 8, "n_inputs": 2}
    with pytest.raises(ValueError, match=f"`{name}`.* got "):
        cone_band(**(good | changed))


def test_a_jump_away_from_zero_is_an_error():
    with pytest.raises(ConvergenceError, match="kink or a jump"):
        expand_layer(lambda x: np.sign(x - 0.37), 1.0, 0.4, "a step")
