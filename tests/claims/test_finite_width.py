"""Tolerances of claims that stand for a finite width are what theory predicts, not what made a claim pass."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from claims.liang import cone, theorem2
from conetheory.cone_band import cone_band
from conetheory.mlp_shares import mlp_share_at_width


@pytest.mark.parametrize(("activation", "bias", "sd"), [("relu", 1, cone.RELU_SD), ("tanh", 1 / 3, cone.TANH_SD)])
def test_standard_deviations_of_one_network(activation, bias, sd):
    band = cone_band(activation, 25, 512, 1024, sigma_b2=bias / 512, input_dim=512)
    assert_allclose(list(sd.values()), band.stddev[list(sd)], atol=5.1e-5)  # four decimals are kept


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("bias", [1.0, 1 / 3, 0.0])
def test_tolerance_of_the_cone_curves_holds_their_shift(activation, bias):
    shift = cone_band(activation, 25, 512, 16, sigma_b2=bias / 512, input_dim=512).shift
    assert np.max(np.abs(shift)) < 0.7 * cone._FINITE_WIDTH


def test_tolerance_of_the_shares_holds_their_shift():
    share, wide = (mlp_share_at_width("relu", 8, width, sigma_b2=1.0).post for width in (theorem2._WIDTH, 10**9))
    shift = np.abs(share - wide) / (1 - wide)
    assert 0.5 * theorem2._FINITE_WIDTH < np.max(shift) < theorem2._FINITE_WIDTH
