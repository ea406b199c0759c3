import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sims.angle_chain import sample_angle_chains, sample_chains_direct, sample_shaped_chains
from sims.relu_layer import sample_cosines
from tests.strategies import seeds

P_VALUE = 1e-5  # of each Kolmogorov-Smirnov test

BIASED = {"norm_u": 0.5, "norm_v": 2.0, "sigma_w2": 1.0, "sigma_b2": 0.7}


@pytest.mark.parametrize("options", [{}, BIASED])
def test_the_chain_is_that_of_drawn_weights(options):
    direct = sample_chains_direct(1.0, 24, 3, 4000, rng=1, **options)
    chain = sample_angle_chains(1.0, 24, 3, 20_000, rng=2, **options)
    for layer in (1, 3):
        for route in ("complement", "energy"):
            ours, theirs = getattr(chain, route)[:, layer], getattr(direct, route)[:, layer]
            for k in range(ours[0].size):
                columns = ours.reshape(len(ours), -1)[:, k], theirs.reshape(len(theirs), -1)[:, k]
                assert stats.ks_2samp(*columns).pvalue > P_VALUE
        difference = chain.energy[:, layer] @ [1, -1], direct.energy[:, layer] @ [1, -1]
        assert stats.ks_2samp(*difference).pvalue > P_VALUE


def test_the_comparison_sees_a_wrong_bias():
    direct = sample_chains_direct(1.0, 24, 2, 4000, rng=1, **BIASED)
    chain = sample_angle_chains(1.0, 24, 2, 20_000, rng=2, **{**BIASED, "sigma_b2": 0.5})
    assert stats.ks_2samp(chain.complement[:, 2], direct.complement[:, 2]).pvalue < P_VALUE


def test_one_layer_is_the_layer_of_theorem_1():
    chain = sample_angle_chains(1.2, 40, 1, 20_000, rng=3)
    assert stats.ks_2samp(chain.cosine[:, 1], sample_cosines(float(np.cos(1.2)), 40, 20_000, rng=4)).pvalue > P_VALUE


def test_slopes_of_relu_give_relu():
    shaped = sample_shaped_chains(0.3, 16, 3, 20_000, slope_plus=1.0, slope_minus=0.0, rng=5)
    relu = sample_angle_chains(np.arccos(0.3), 16, 3, 20_000, rng=6)
    finite = shaped[:, -1][np.isfinite(shaped[:, -1])], relu.cosine[:, -1][np.isfinite(relu.cosine[:, -1])]
    assert stats.ks_2samp(*finite).pvalue > P_VALUE


def test_a_shaped_layer_is_that_of_drawn_weights():
    rng, n, width = np.random.default_rng(7), 10_000, 12
    z = rng.standard_normal((2, n, width))
    z[1] = 0.4 * z[0] + np.sqrt(1 - 0.16) * z[1]
    x, y = np.where(z > 0, 1.2, -0.3) * z
    drawn = np.sum(x * y, axis=1) / np.sqrt(np.sum(x * x, axis=1) * np.sum(y * y, axis=1))
    shaped = sample_shaped_chains(0.4, width, 1, 20_000, slope_plus=1.2, slope_minus=-0.3, rng=8)[:, 1]
    assert stats.ks_2samp(shaped, drawn).pvalue > P_VALUE


@settings(max_examples=30)
@given(st.floats(0, np.pi), st.integers(1, 40), st.floats(0, 3), seeds)
def test_states_stay_in_their_range(theta0, width, sigma_b2, seed):
    chain = sample_angle_chains(theta0, width, 4, 20, sigma_b2=sigma_b2, norm_v=3.0, rng=seed)
    alive = ~np.isnan(chain.complement)
    assert np.all((chain.complement[alive] >= 0) & (chain.complement[alive] <= 2))
    assert np.all(chain.complement[:, 1:][alive[:, 1:]] <= 1 + 1e-15)
    assert np.all(chain.energy[alive] > 0)
    assert np.all(alive[:, 1:] <= alive[:, :-1])  # a dead network stays dead
    assert_allclose(1 - np.cos(chain.theta[alive]), chain.complement[alive], atol=1e-15)


def test_equal_inputs_stay_equal():
    chain = sample_angle_chains(0.0, 64, 10, 50, sigma_b2=1.0, rng=0)
    assert_array_equal(chain.complement, 0.0)
    assert_array_equal(chain.energy[..., 0], chain.energy[..., 1])


def test_small_angles_keep_their_digits():
    """Without biases the law of theta'/theta has a limit at 0, so tiny angles must fall as small ones do."""
    changes = []
    for theta0 in (1e-3, 1e-120):
        complement = sample_angle_chains(theta0, 32, 3, 20_000, rng=9).complement
        changes.append(np.log(complement[:, -1]) - np.log(complement[:, 0]))
    assert stats.ks_2samp(*changes).pvalue > P_VALUE


def test_norms_that_differ_close_the_angle_through_the_bias_only_so_far():
    """Parallel inputs of different norm: the bias turns them apart, by eta of docs/theory.md, 2.2."""
    chain = sample_angle_chains(0.0, 4096, 1, 200, norm_v=3.0, sigma_w2=1.0, sigma_b2=1.0, rng=1)
    rho = (3 + 1) / np.sqrt((1 + 1) * (9 + 1))
    theta = np.arccos(rho)
    kappa = (np.sin(theta) + (np.pi - theta) * rho) / np.pi
    sample = chain.cosine[:, 1]
    assert abs(sample.mean() - kappa) <= 4.5 * sample.std() / np.sqrt(200) + 2 / 4096


def test_the_threads_do_not_matter():
    for sample in (
        lambda workers: sample_angle_chains(0.7, 16, 3, 100, rng=2, workers=workers).complement,
        lambda workers: sample_shaped_chains(0.7, 16, 3, 100, slope_plus=1.0, slope_minus=0.5, rng=2, workers=workers),
    ):
        assert_array_equal(sample(1), sample(3))


def test_bad_input():
    for theta0 in (-0.1, 4.0):
        with pytest.raises(ValueError, match=r"`theta0` must lie in \[0, pi\]"):
            sample_angle_chains(theta0, 8, 2, 3)
    with pytest.raises(ValueError, match=r"`norm_u` must be positive, got 0.0"):
        sample_angle_chains(0.5, 8, 2, 3, norm_u=0.0)
    with pytest.raises(ValueError, match=r"`sigma_b2` must be at least 0, got -1.0"):
        sample_angle_chains(0.5, 8, 2, 3, sigma_b2=-1.0)
    with pytest.raises(ValueError, match=r"`depth` must be at least 1, got 0"):
        sample_chains_direct(0.5, 8, 0, 3)
    with pytest.raises(ValueError, match=r"`rho0` must lie in \[-1, 1\], got 1.5"):
        sample_shaped_chains(1.5, 8, 2, 3, slope_plus=1.0, slope_minus=0.5)
    with pytest.raises(ValueError, match="`slope_plus` and `slope_minus` must not both be 0"):
        sample_shaped_chains(0.5, 8, 2, 3, slope_plus=0.0, slope_minus=0.0)
