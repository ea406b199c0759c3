import math

import numpy as np
import pytest
from scipy.special import erf

from conetheory._activation_tilt import Pair, _gap, _grid, _solve, _tilted
from conetheory.activation_rate import activation_failure_rate, activation_limiting_cosine, activation_threshold
from conetheory.contraction import limiting_cosine, preactivation_angle, sharp_threshold
from conetheory.dual import activation_function
from conetheory.errors import ConvergenceError
from conetheory.leaky_relu import leaky_relu_threshold
from tests.naive_activation_rate import leaky, log_mgf, tilted_log_weights

KNOWN = [
    ((0.1, 1.0, 1.0), 0.208990878532),
    ((0.5, 1.0, 1.0), 0.0833930106684),
    ((0.9, 1.0, 1.0), 0.0402591419619),
    ((0.99, 1.0, 1.0), 0.0315821276831),
    ((0.5, 2.0, 1.0), 0.0362803175602),
]


@pytest.mark.parametrize(("layer", "rate"), KNOWN)
def test_relu_is_reproduced(layer, rate):
    found = activation_failure_rate("relu", *layer)
    assert found.rate == pytest.approx(rate, abs=2e-12)
    assert found.gap < 1e-12
    assert found.error < 1e-10


def test_unequal_norms_of_a_homogeneous_activation_are_a_balance():
    """Scaling an output by r scales s by 1/r and leaves the rate."""
    found = activation_failure_rate("relu", 0.5, 2.0, 1.0)
    assert found.balance == pytest.approx(math.sqrt(2 / 5), rel=1e-9)


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.9])
def test_linear_without_bias_is_the_sample_correlation(cosine):
    found = activation_failure_rate("linear", cosine, 1.0, 1.0)
    rho = (1 + cosine) / 2
    assert found.rate == pytest.approx(
        math.log((1 - rho * cosine) / math.sqrt((1 - rho**2) * (1 - cosine**2))), abs=1e-12
    )


@pytest.mark.parametrize(("activation", "scales"), [("tanh", (1.4, 1.4)), ("gelu", (2.2, 1.4)), ("elu", (1.0, 1.0))])
def test_moment_generating_function_against_adaptive_quadrature(activation, scales):
    function, rho = activation_function(activation), 0.7
    grid = _grid(Pair(function, *scales, math.acos(rho)), 12.0, 2)
    found = _tilted(grid, 0.3, 0.8, 0.4)[0]
    assert found == pytest.approx(log_mgf(function, scales, rho, 0.3, 0.8, 0.4, radius=12.0), abs=1e-9)


def test_tilted_means_are_derivatives():
    grid = _grid(Pair(np.tanh, 1.4, 2.0, 0.8), 10.0, 1)
    step, t, s, c = 1e-4, 0.7, 1.2, 0.3
    means = _tilted(grid, t, s, c)[1]
    by_t = (_tilted(grid, t + step, s, c)[0] - _tilted(grid, t - step, s, c)[0]) / (2 * step)
    by_s = (_tilted(grid, t, s + step, c)[0] - _tilted(grid, t, s - step, c)[0]) / (2 * step)
    assert by_t == pytest.approx(-(means[0] - c / 2 * (s * means[1] + means[2] / s)), abs=1e-8)
    assert by_s == pytest.approx(t * c / 2 * (means[1] - means[2] / s**2), abs=1e-8)


CASES = [
    ("tanh", (0.3, 1.0, 1.0)),
    ("gelu", (0.3, 2.0, 1.0)),
    ("sigmoid", (0.9, 1.0, 1.0)),
    (erf, (0.5, 1.5, 1.0)),
    ("quick_gelu", (0.8, 1.0, 1.0)),
]


@pytest.mark.parametrize(("activation", "layer"), CASES)
def test_bounds_meet(activation, layer):
    """Half-spaces around the optimum bound no better: the rate is a maximum in t and in s."""
    found = activation_failure_rate(activation, *layer)
    assert abs(found.gap) < 1e-11
    cosine, norm_u, norm_v = layer
    scales = math.hypot(norm_u, 1), math.hypot(norm_v, 1)
    theta = float(preactivation_angle(*layer))
    grid = _grid(Pair(activation_function(activation), *scales, theta), 20.0, 1)
    for t_factor in (0.9, 1.0, 1.1):
        for s_factor in (0.8, 1.0, 1.25):
            other = -_tilted(grid, found.tilt * t_factor, found.balance * s_factor, cosine)[0]
            assert other <= found.rate + 1e-9
            assert (t_factor == s_factor == 1.0) == (other > found.rate - 1e-9)


@pytest.mark.parametrize(
    ("activation", "layer", "width"),
    [("tanh", (0.3, 1.5, 1.0), 100), ("gelu", (0.3, 2.0, 1.0), 100), (leaky(0.3), (0.5, 1.0, 1.0), 100)],
)
def test_probability_by_tilted_sampling(activation, layer, width):
    """P e^(dI) sqrt(d)/K = 1 + O(1/d), at probabilities of 1e-3 to 1e-4; the term in 1/d is below 20/d."""
    found = activation_failure_rate(activation, *layer)
    scales = math.hypot(layer[1], 1), math.hypot(layer[2], 1)
    theta = float(preactivation_angle(*layer))
    logs = tilted_log_weights(activation_function(activation), scales, theta, found, layer[0], width, 2_000, rng=0)
    weights = np.exp(logs + width * found.rate) * math.sqrt(width) / found.prefactor
    stderr = weights.std() / math.sqrt(weights.size)
    assert stderr < 0.05
    assert abs(weights.mean() - 1) < 4.5 * stderr + 20 / width
    assert weights.mean() < 1 + 4.5 * stderr


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_chernoff_bound_holds_by_plain_sampling(activation):
    cosine, width, n = 0.3, 16, 40_000
    found = activation_failure_rate(activation, cosine, 1.0, 1.0)
    z = np.random.default_rng(0).standard_normal((3, n, width))
    u, v = z[0], cosine * z[0] + math.sqrt(1 - cosine**2) * z[1]
    f, g = (activation_function(activation)(x + z[2]) for x in (u, v))
    failures = np.sum(f * g, axis=1) <= cosine * np.sqrt(np.sum(f * f, axis=1) * np.sum(g * g, axis=1))
    rough = found.prefactor * math.exp(-width * found.rate) / math.sqrt(width)
    assert failures.mean() <= math.exp(-width * found.rate)
    assert 0.6 * rough < failures.mean() < 1.1 * rough


def test_a_step_has_a_rate_but_no_prefactor(monkeypatch):
    """Counts lie on a lattice: P e^(dI) sqrt(d), from the multinomial law itself, does not tend to the formal K."""
    found = activation_failure_rate("step", 0.5, 1.0, 1.0)
    assert math.isnan(found.prefactor)
    theta = float(preactivation_angle(0.5, 1.0, 1.0))
    both, one = (math.pi - theta) / (2 * math.pi), theta / (2 * math.pi)

    def log_probability(width):
        terms = [
            math.lgamma(width + 1)
            - sum(math.lgamma(k + 1) for k in (n, first, second, width - n - first - second))
            + (width - first - second) * math.log(both)
            + (first + second) * math.log(one)
            for n in range(width + 1)
            for first in range(width - n + 1)
            for second in range(width - n - first + 1)
            if n <= 0.5 * math.sqrt((n + first) * (n + second))
        ]
        return np.logaddexp.reduce(terms)

    logs = [log_probability(width) for width in (30, 60)]
    assert logs[0] <= -30 * found.rate
    assert logs[1] <= -60 * found.rate
    scaled = [math.exp(log + w * found.rate) * math.sqrt(w) for log, w in zip(logs, (30, 60), strict=True)]
    monkeypatch.setattr("conetheory._activation_tilt._FEW", 0)
    formal = activation_failure_rate("step", 0.5, 1.0, 1.0).prefactor
    assert abs(scaled[1] - scaled[0]) < 0.03 * scaled[1]
    assert abs(scaled[1] / formal - 1) > 0.1


def test_a_saturating_activation_keeps_its_prefactor():
    assert activation_failure_rate("tanh", 0.1, 3.0, 3.0).prefactor > 0


def test_bounds_that_cross_are_an_error(monkeypatch):
    """A quadrature off by 1e-3 beyond the dominating tilt: the gap is returned as it is, and this one is refused."""
    grid = _grid(Pair(np.tanh, 1.4, 1.4, 0.7), 10.0, 1)
    t, s = _solve(grid, 0.3, 0.9, 1.0)
    assert abs(_gap(grid, t, s, 0.3)) < 1e-12

    def biased(grid, tilt, s, cosine):
        log_mgf, means, rim = _tilted(grid, tilt, s, cosine)
        return log_mgf + (1e-3 if tilt > t else 0.0), means, rim

    monkeypatch.setattr("conetheory._activation_tilt._tilted", biased)
    with pytest.raises(ConvergenceError, match=r"The bounds of the rate cross by 1\.0e-03"):
        _gap(grid, t, s, 0.3)


@pytest.mark.parametrize(("activation", "norm"), [("tanh", 1e-3), ("gelu", 1e-3), ("tanh", 1e3)])
def test_outside_the_range_of_norms_is_a_named_error(activation, norm):
    with pytest.raises(ConvergenceError):
        activation_failure_rate(activation, 0.3, norm, norm, sigma_b2=1.0 if norm < 1 else 1e6)


# ---- limit and threshold


def test_limit_of_relu():
    cosines = np.linspace(-1, 1, 9)
    found = activation_limiting_cosine("relu", cosines, 2.0, 0.5, sigma_w2=1.5, sigma_b2=0.7)
    assert found == pytest.approx(limiting_cosine(cosines, 2.0, 0.5, sigma_w2=1.5, sigma_b2=0.7), abs=1e-14)


@pytest.mark.parametrize("norms", [(2.0, 1.0), (1.0, 0.1), (1.0, 1.0)])
def test_threshold_of_homogeneous_activations(norms):
    assert activation_threshold("relu", *norms) == pytest.approx(float(sharp_threshold(*norms)), abs=1e-12)
    for slope in (-1.0, 0.4):
        found = activation_threshold(leaky(slope), *norms)
        assert found == pytest.approx(float(leaky_relu_threshold(*norms, slope=slope)), abs=1e-11)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sigmoid"])
def test_threshold_is_where_the_limit_crosses(activation):
    threshold = activation_threshold(activation, 2.0, 1.0)
    around = np.array([threshold - 1e-6, threshold, threshold + 1e-6])
    excess = activation_limiting_cosine(activation, around, 2.0, 1.0) - around
    assert excess[0] > 0 > excess[2]
    assert abs(excess[1]) < 1e-12


def test_thresholds_that_relu_does_not_have():
    assert activation_threshold("tanh", 1.0, 1.0, sigma_b2=0.0) == pytest.approx(0, abs=1e-12)  # odd and concave
    assert activation_threshold("gelu", 1.0, 1.0, sigma_b2=0.0) == pytest.approx(0.7604019, abs=1e-6)
    assert activation_threshold("linear", 1.0, 1.0, sigma_b2=0.0) == -1
    assert activation_threshold("gelu", 1.0, 1.0) == 1


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cosine": -0.1}, r"`cosine` must lie in \[0, .*, got -0.1"),
        ({"cosine": 0.95, "norm_u": 2.0}, r"`cosine` must lie in \[0, .*, got 0.95"),
        ({"cosine": math.nan}, "`cosine` must be finite, got nan"),
        ({"norm_u": 0.0}, "`norm_u` must be positive, got 0.0"),
        ({"sigma_w2": 0.0}, "`cosine` must leave the pre-activations different"),
        ({"activation": "swish"}, "`activation` must be a function or one of .*, got 'swish'"),
    ],
)
def test_bad_input(change, message):
    arguments = {"activation": "tanh", "cosine": 0.3, "norm_u": 1.0, "norm_v": 1.0} | change
    with pytest.raises(ValueError, match=message):
        activation_failure_rate(**arguments)


def test_a_tilt_that_does_not_exist_is_an_error():
    with pytest.raises(ConvergenceError, match="X may never be negative"):
        activation_failure_rate("relu", 0.0, 1.0, 1.0)
