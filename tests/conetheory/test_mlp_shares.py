import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats
from scipy.special import gammaln

from conetheory._unit_moments import mean_terms
from conetheory.dual import activation_function, dual_activation
from conetheory.init_variance import preactivation_share, proof_bound, relu_share
from conetheory.meanfield import cone_curve
from conetheory.mlp_shares import mlp_share, mlp_share_at_width, share_bound
from conetheory.variance_components import initialisation_share

NAMES = ["elu", "gelu", "leaky_relu", "linear", "quick_gelu", "relu", "sigmoid", "tanh"]


def gaussian_mean(function, k):
    """Adaptive quadrature on both sides of 0, where kinks are."""
    sides = [
        integrate.quad(lambda z: function(np.sqrt(k) * z) * stats.norm.pdf(z), *ends, epsabs=1e-13, limit=200)[0]
        for ends in ((-10, 0), (0, 10))
    ]
    return sum(sides)


def test_relu_with_unit_norms():
    found = mlp_share("relu", 12, sigma_b2=1.0)
    assert_allclose(found.post, relu_share(12), rtol=0, atol=1e-15)
    rho = cone_curve("relu", 11, sigma_b2=1.0).rho
    assert_allclose(found.pre, preactivation_share(rho, 1.0), rtol=0, atol=1e-15)


def test_linear_layers():
    """φ(z) = z changes nothing: after and before the activation the share is that of the sum, (l s)/(1 + l s)."""
    found = mlp_share("linear", 5, sigma_b2=0.3)
    steps = 0.3 * np.arange(1, 6)
    assert_allclose(found.post, steps / (1 + steps), rtol=1e-13)
    assert_allclose(found.pre, found.post, rtol=1e-13)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "elu"])
def test_one_layer_against_its_definition(name):
    """Cov(φ(z), φ(z')) over Var φ(z), by the dual activation and adaptive quadrature."""
    phi, k, rho1 = activation_function(name), 1.3 * 0.8 + 0.4, (1.3 * 0.8 * 0.25 + 0.4) / (1.3 * 0.8 + 0.4)
    mean = gaussian_mean(phi, k)
    square = gaussian_mean(lambda x: phi(x) ** 2, k)
    share = (dual_activation(name, rho1, var_u=k, var_v=k) - mean**2) / (square - mean**2)
    found = mlp_share(name, 1, q0=0.8, rho0=0.25, sigma_w2=1.3, sigma_b2=0.4)
    assert_allclose(found.post[0], share, rtol=1e-10)
    assert_allclose(found.pre[0], rho1, rtol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_a_unit(name):
    phi, k = activation_function(name), 1.7
    found, step = mean_terms(phi, k), 1e-3
    below, at, above = (gaussian_mean(phi, k + shift) for shift in (-step, 0, step))
    assert_allclose(found.mean, at, atol=1e-11)
    assert_allclose(found.mean_k, k * (above - below) / (2 * step), atol=1e-6)
    assert_allclose(found.mean_kk, k * k * (above - 2 * at + below) / step**2, atol=1e-5)
    assert_allclose(found.variance, gaussian_mean(lambda x: (phi(x) - at) ** 2, k), rtol=1e-10)


def test_the_constant_of_tanh():
    """Var φ and E φ'² by adaptive quadrature."""
    q, bias = 0.8, 0.3
    slope = gaussian_mean(lambda x: (1 - np.tanh(x) ** 2) ** 2, q + bias)
    constant = q * slope / gaussian_mean(lambda x: np.tanh(x) ** 2, q + bias)
    assert_allclose(
        share_bound([0.0, 0.25], "tanh", q=q, sigma_b2=bias), [1 - constant, 1 - 0.75 * constant], rtol=1e-9
    )


@given(st.sampled_from(NAMES), st.floats(0.05, 5), st.floats(0, 0.95), st.floats(0, 2), st.floats(0.3, 3))
@settings(max_examples=25)
def test_the_share_lies_between_its_bounds(name, q, rho, bias, weight):
    """1 - C (1 - β) <= post <= pre = ρ₁, and without bias pre = β: Theorem 4's bound is lost."""
    settings_ = {"sigma_w2": weight, "sigma_b2": bias}
    found = mlp_share(name, 1, q0=q, rho0=rho, **settings_)
    assert found.post[0] <= found.pre[0] + 1e-12
    assert found.post[0] >= share_bound(rho, name, q=q, **settings_) - 1e-9
    assert_allclose(found.pre + found.pre_complement, 1, rtol=1e-15)
    assert_allclose(found.post + found.post_complement, 1, rtol=1e-15)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_the_constant_of_the_bound_is_attained(name):
    q, rho, bias = 0.7, 1 - 1e-7, 0.3
    loss = mlp_share(name, 1, q0=q, rho0=rho, sigma_b2=bias).post_complement[0]
    assert_allclose(loss / (1 - rho), 1 - share_bound(0.0, name, q=q, sigma_b2=bias), rtol=3e-4)  # a kink leaves √(1-ρ)


def test_bounds_of_relu():
    beta = np.linspace(0, 1, 5)
    assert_allclose(share_bound(beta, "relu", sigma_b2=1.0), proof_bound(beta), rtol=1e-13)
    least = 1 / (np.pi - 1)  # the bias from which on Theorem 4's bound holds for ReLU
    assert_allclose(share_bound(0.0, "relu", sigma_b2=least), 0, atol=1e-13)
    close = 1 - 1e-4
    assert mlp_share("relu", 1, rho0=close, sigma_b2=0.9 * least).post[0] < close
    assert mlp_share("relu", 1, rho0=close, sigma_b2=least).post[0] > close
    assert_allclose(share_bound(beta, "linear"), beta, atol=1e-13)


def test_infinite_width():
    """At width 10⁹ the correction is gone; it falls like 1/width; and E h² of a linear layer needs none."""
    for name in ("relu", "tanh", "sigmoid"):
        limit = mlp_share(name, 3, sigma_b2=0.2)
        wide, narrow, half = (
            mlp_share_at_width(name, 3, width, sigma_b2=0.2, input_dim=width) for width in (10**9, 1000, 2000)
        )
        assert_allclose(wide.post, limit.post, rtol=0, atol=1e-8)
        assert_allclose(2 * (half.post - limit.post), narrow.post - limit.post, rtol=5e-3, atol=1e-7)
        assert_allclose(2 * (half.pre - limit.pre), narrow.pre - limit.pre, rtol=5e-3, atol=1e-7)
    linear = mlp_share_at_width("linear", 3, 8, sigma_b2=0.2, input_dim=8)
    assert_allclose(linear.post, mlp_share("linear", 3, sigma_b2=0.2).post, rtol=1e-9)  # exact at every width


@pytest.mark.parametrize(("name", "bias"), [("relu", 1.0), ("tanh", 0.2)])
def test_shares_of_networks(name, bias):
    """Width 16, 600 crossed experiments: ratio of means, its error by linearisation."""
    width, depth, m, n = 16, 3, 6, 6
    phi, rng = activation_function(name), np.random.default_rng(8)
    components = []
    for _ in range(600):
        h, found = np.broadcast_to(rng.standard_normal((n, width)), (m, n, width)), []
        for _ in range(depth):
            w = rng.standard_normal((m, width, width)) / np.sqrt(width)
            z = h @ w + rng.standard_normal((m, 1, width)) * np.sqrt(bias)
            h = phi(z)
            found += [initialisation_share(z), initialisation_share(h)]
        components.append([(share.between, share.total) for share in found])
    between, total = np.moveaxis(np.array(components), 2, 0)
    share = between.mean(axis=0) / total.mean(axis=0)
    stderr = (between - share * total).std(axis=0) / total.mean(axis=0) / np.sqrt(600)
    exact = mlp_share_at_width(name, depth, width, sigma_b2=bias, input_dim=width)
    expected = np.stack([exact.pre, exact.post], axis=1).ravel()
    assert np.all(np.abs(share - expected) < 4.5 * stderr + 1 / width**2)
    assert np.all(stderr < 0.02)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="`depth` must be at least 1, got 0"):
        mlp_share("relu", 0)
    with pytest.raises(ValueError, match=r"`q0`.* got 0"):
        mlp_share("relu", 1, q0=0.0)
    with pytest.raises(ValueError, match=r"`width`.* got 0"):
        mlp_share_at_width("relu", 1, 0)
    with pytest.raises(ValueError, match=r"`rho0` must lie in \[0, 1\), got -0.5"):
        mlp_share_at_width("relu", 1, 8, rho0=-0.5)
    with pytest.raises(ValueError, match="`activation` must not be constant"):
        share_bound(0.5, lambda x: 0 * x + 1)
    with pytest.raises(ValueError, match="`activation` must be continuous"):
        share_bound(0.5, np.sign)
    for argument, value in (("q", -1.0), ("sigma_w2", 0.0), ("sigma_b2", np.nan)):
        with pytest.raises(ValueError, match=f"`{argument}`"):
            share_bound(0.5, "relu", **{argument: value})
    with pytest.raises(ValueError, match=r"`beta`.* got 1\.5"):
        share_bound(1.5, "relu")


def test_order_one_over_width_of_one_relu_layer():
    """No bias, normal inputs: norms and angle of two inputs are independent, and both averages are exact."""
    d = 1000
    norm2 = 2 * np.exp(2 * (gammaln((d + 1) / 2) - gammaln(d / 2))) / d  # (E‖x‖)² / d
    angle = integrate.quad(
        lambda t: (np.sin(t) + (np.pi - t) * np.cos(t)) / np.pi * np.sin(t) ** (d - 2), 0, np.pi, points=[np.pi / 2]
    )
    weight = integrate.quad(lambda t: np.sin(t) ** (d - 2), 0, np.pi, points=[np.pi / 2])
    mean2 = norm2 / (2 * np.pi)
    share = (norm2 * angle[0] / weight[0] / 2 - mean2) / (0.5 - mean2)
    limit = mlp_share("relu", 1).post[0]
    found = mlp_share_at_width("relu", 1, d, input_dim=d).post[0]
    assert limit == pytest.approx(0, abs=1e-15)
    assert_allclose(found, share, rtol=5 / d)
