"""Weights of uniformity, alignment and cross-uniformity against the gradients of the losses, and the simplex."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.contrastive_uniformity import regularised_gradient
from conetheory.loss_profiles import simplex_profile
from conetheory.regularised_gap import critical_regularisation, regularised_gap_speed

RNG = np.random.default_rng(0)
H, K = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in RNG.normal(size=(2, 7, 9)))


@pytest.mark.parametrize(("cross", "kind"), [(0.0, "CUA"), (1.0, "CUAXU")])
@pytest.mark.parametrize("gamma", [-0.7, 0.1, 0.4])
def test_speed_is_that_of_the_gradient(cross, kind, gamma):
    root = np.sqrt(1 - gamma**2)
    x, y = (np.hstack([root * rows, np.full((7, 1), side)]) for rows, side in ((H, gamma), (K, -gamma)))
    found = regularised_gradient(x, y, 1 / 12, kind=kind)
    speed = -7 * float(np.mean(found.tangent_x[:, -1] - found.tangent_y[:, -1]))
    assert_allclose(regularised_gap_speed(H, K, gamma, 12.0, cross=cross), speed, rtol=1e-11)


def test_simplex():
    n, gamma, beta = 5, 0.3, 4.0
    h, alpha = np.eye(n) - 1 / n, n / (n - 1)
    pull = beta * simplex_profile(n).force(beta * 0.91) + 4 * alpha * 0.2 + 4 * 0.3 - 4 * (2 - alpha) * 0.4
    found = regularised_gap_speed(h, h, gamma, beta, uniformity=0.2, alignment=0.3, cross=0.4)
    assert_allclose(found, -2 * gamma * 0.91 * pull, rtol=1e-12)
    assert critical_regularisation(h, h, beta) == 0.0


def test_at_the_critical_weight_a_small_gap_rests():
    for cross in (0.0, 1.0):
        weight = critical_regularisation(H, K, 30.0, cross=cross)
        assert weight > 0
        speeds = [
            regularised_gap_speed(H, K, 1e-5, 30.0, uniformity=w, alignment=w, cross=cross) / 1e-5
            for w in (0.9 * weight, weight, 1.1 * weight)
        ]
        assert speeds[0] > 0 > speeds[2]
        assert abs(speeds[1]) < 1e-6 * speeds[0]


def test_bad_arguments_are_named():
    for change in ({"uniformity": -1.0}, {"alignment": np.nan}, {"cross": -0.1}):
        with pytest.raises(ValueError, match=f"`{next(iter(change))}`"):
            regularised_gap_speed(H, K, 0.1, 1.0, **change)
    with pytest.raises(ValueError, match="`gamma`"):
        regularised_gap_speed(H, K, 1.0, 1.0)
    with pytest.raises(ValueError, match="`beta`"):
        critical_regularisation(H, K, 0.0)
