import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import kstest

from conetheory.sphere import cap_fraction
from conetheory.von_mises_fisher import moments
from sims.cones import sample_cone, sample_directions


@pytest.mark.parametrize(("dim", "kappa"), [(2, 0.0), (2, 3.0), (3, 1e3), (64, 10.0), (512, 2e3)])
def test_first_coordinate_has_the_moments_of_the_law(dim, kappa):
    n, found = 20_000, moments(dim, kappa)
    x = sample_cone(dim, kappa, n, rng=1)
    assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-14)
    for sample, expected in (
        (x[:, 0], found.resultant),
        ((x[:, 0] - found.resultant) ** 2, found.radial_variance),
        (x[:, 1], 0.0),
        (x[:, 1] ** 2, found.tangential_variance),
    ):
        assert abs(sample.mean() - expected) <= 4.5 * sample.std() / np.sqrt(n)


def test_without_concentration_the_law_is_uniform():
    angles = np.arccos(sample_cone(6, 0.0, 5000, rng=2)[:, 0])
    assert kstest(angles, lambda angle: cap_fraction(angle, 6)).pvalue > 1e-5
    angles = np.arccos(sample_directions(6, 5000, rng=2)[:, 3])
    assert kstest(angles, lambda angle: cap_fraction(angle, 6)).pvalue > 1e-5


def test_in_space_the_whole_law_is_right():
    kappa = 4.0
    x = sample_cone(3, kappa, 5000, rng=3)[:, 0]
    law = lambda t: (np.exp(kappa * t) - np.exp(-kappa)) / (2 * np.sinh(kappa))  # noqa: E731
    assert kstest(x, law).pvalue > 1e-5


def test_same_seed_same_points():
    assert np.array_equal(sample_cone(5, 2.0, 10, rng=7), sample_cone(5, 2.0, 10, rng=7))


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match="`dim` must be at least 2, got 1"):
        sample_cone(1, 1.0, 3)
    with pytest.raises(ValueError, match="`kappa` must be at least 0"):
        sample_cone(3, -1.0, 3)
    with pytest.raises(ValueError, match="`n`"):
        sample_directions(3, 0)
