from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.normalisation import PairState, activate, dense, layer_norm, rms_norm
from conetheory.residual import add, branch_slope, mlp, post_norm_block, pre_norm_block, residual_curve
from sims.estimate import sample_mean
from sims.towers import residual_cosines

START = PairState(var_u=1.0, var_v=1.0, complement=1.0)
relu = partial(mlp, activation="relu")
complements = st.floats(0, 2)


def test_a_block_by_hand():
    kappa = 1 / np.pi  # of two orthogonal points
    assert_allclose(pre_norm_block(START, relu).cosine, (0 + 0.5 * kappa) / 1.5, rtol=1e-14)
    assert_allclose(post_norm_block(START, relu).cosine, (0 + 0.5 * kappa) / 1.5, rtol=1e-14)
    assert_allclose(pre_norm_block(START, relu).var_u, 1.5, rtol=1e-14)
    assert_allclose(post_norm_block(START, relu).var_u, 1.0, rtol=1e-14)


def test_post_norm_does_not_normalise_before_the_branch():
    """tanh has scales: at variance 4 its branch is E tanh(2z)², not 4 or 1 times E tanh(z)²."""
    wide = PairState(var_u=4.0, var_v=4.0, complement=1.0)
    branch = mlp(wide, "tanh", sigma_b2=0.5)
    expected = branch.var_u * branch.cosine / (4 + branch.var_u)
    assert_allclose(post_norm_block(wide, partial(mlp, activation="tanh", sigma_b2=0.5)).cosine, expected, rtol=1e-12)


def test_means_add_up_and_layer_norm_takes_them_away():
    """A branch that ends in ReLU has a mean: two of them in a row have twice the mean, LayerNorm sees none of it."""

    def one_layer(state):
        return activate(dense(state), "relu")

    once = pre_norm_block(START, one_layer)
    twice = pre_norm_block(once, one_layer)
    assert_allclose(once.mean_u, 1 / np.sqrt(2 * np.pi), rtol=1e-13)
    assert_allclose([twice.mean_u, twice.mean_v], [2 * once.mean_u, 2 * once.mean_v], rtol=1e-13)
    assert_allclose(layer_norm(twice).cosine, 1 - twice.complement, rtol=1e-14)
    assert twice.cosine > layer_norm(twice).cosine
    # with RMSNorm as well the two means of the sum, 2 m m_f, are part of its mean square
    branch, total = one_layer(rms_norm(once)), pre_norm_block(once, one_layer, norm=rms_norm)
    assert_allclose(total.q_u, once.q_u + branch.q_u + 2 * once.mean_u * branch.mean_u, rtol=1e-13)


@given(complements, complements, st.floats(0.01, 100))
def test_a_sum_lies_between_its_parts(eps, eta, size):
    total = add(
        PairState(var_u=1.0, var_v=1.0, complement=eps), PairState(var_u=size, var_v=size, complement=eta)
    ).complement
    tiny = 1e-300  # subnormal complements have fewer digits
    assert min(eps, eta) * (1 - 1e-14) - tiny <= total <= max(eps, eta) * (1 + 1e-14) + tiny
    assert_allclose(total, (eps + size * eta) / (1 + size), rtol=1e-14, atol=tiny)


def test_homogeneous_post_norm_is_the_same_as_no_norm():
    plain = [START]
    for _ in range(6):
        plain.append(add(plain[-1], relu(plain[-1])))
    assert_allclose(residual_curve(START, relu, 6, placement="post"), [s.complement for s in plain], rtol=1e-13)


def test_slope_of_a_branch():
    assert_allclose(branch_slope(relu), 1.0, atol=1e-6)
    assert_allclose(branch_slope(partial(relu, sigma_w2=2.0, sigma_b2=1.0)), 2 / 3, atol=1e-6)
    assert_allclose(branch_slope(partial(relu, sigma_b2=1.0, readout_b2=1.0)), 0.5 * 0.5, atol=1e-6)
    # smooth: k E phi'^2 / E phi^2 of tanh, by Gauss-Hermite
    x, w = np.polynomial.hermite_e.hermegauss(120)
    expected = (w @ (1 - np.tanh(x) ** 2) ** 2) / (w @ np.tanh(x) ** 2)
    assert_allclose(branch_slope(partial(mlp, activation="tanh")), expected, atol=1e-6)
    assert branch_slope(partial(mlp, activation="step")) == np.inf
    assert branch_slope(partial(mlp, activation="step", readout_b2=1.0)) == np.inf


def test_pre_norm_closes_like_a_power_of_depth():
    start = PairState(var_u=1.0, var_v=1.0, complement=1e-6)
    curve = residual_curve(start, partial(relu, sigma_b2=1.0), 400)  # slope 1/2: 1 - rho ~ C l^(-1/2)
    exponent = np.log(curve[100] / curve[400]) / np.log((400 + 1) / (100 + 1))  # q_l = 1 + l
    assert_allclose(exponent, 0.5, atol=2e-3)  # the next terms: sqrt(eps) of ReLU, and 1/l of the sum for an integral


def test_pre_norm_without_bias_closes_like_a_logarithm():
    """theta falls by theta^2/(3 pi) for every factor e in depth: 1/sqrt(eps) grows by sqrt(2)/(3 pi) for each."""
    curve = residual_curve(PairState(var_u=1.0, var_v=1.0, complement=1e-4), relu, 400)
    slope = (curve[400] ** -0.5 - curve[100] ** -0.5) / np.log((400 + 2) / (100 + 2))  # q_l = 1 + l/2
    assert_allclose(slope, np.sqrt(2) / (3 * np.pi), rtol=0.02)  # the same next terms


def test_post_norm_closes_faster():
    branch = partial(relu, sigma_b2=1.0)
    curve = residual_curve(START, branch, 100, placement="post")
    r = float(branch(START).var_u)
    assert_allclose(curve[100] / curve[99], (1 + r / 2) / (1 + r), rtol=1e-4)
    bare = residual_curve(PairState(var_u=1.0, var_v=1.0, complement=1e-4), relu, 200, placement="post")
    slope = (bare[200] ** -0.5 - bare[100] ** -0.5) / 100
    assert_allclose(slope, np.sqrt(2) / (3 * np.pi) * 0.5 / 1.5, rtol=0.01)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_blocks_against_simulation(placement, activation):
    width, depth = 256, 4
    branch = partial(mlp, activation=activation, sigma_w2=2.0)
    start = PairState(var_u=1.0, var_v=1.0, complement=0.7)
    expected = 1 - residual_curve(start, branch, depth, placement=placement)
    curves = residual_cosines(0.3, activation, width, 400, depth=depth, placement=placement, sigma_w2=2.0, rng=4)
    for block in range(1, depth + 1):
        found = sample_mean(curves[:, block])
        assert abs(found.value - expected[block]) <= 4.5 * found.stderr + block / width  # O(1/width) a block


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="`placement` must be one of pre, post, got 'middle'"):
        residual_curve(START, relu, 1, placement="middle")
    with pytest.raises(ValueError, match="`depth` must be at least 0, got -1"):
        residual_curve(START, relu, -1)
    with pytest.raises(ValueError, match="`sigma_w2` must be positive, got -1"):
        mlp(START, "relu", readout_w2=-1.0)
