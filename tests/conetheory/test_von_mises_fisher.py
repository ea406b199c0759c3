import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.von_mises_fisher import (
    concentration,
    entropy,
    kl_divergence,
    log_partition,
    moments,
    uniform_divergence,
)
from tests import naive_sphere as naive

EPS = np.finfo(float).eps
dims = st.integers(2, 5000)
kappas = st.floats(-4, 5).map(lambda x: 10.0**x)


def exact(dim, kappa):
    """Return A, ln 0F1 and A' at 50 digits: A by its recurrence, the normaliser by its series of positive terms."""
    with mp.workdps(50):
        s = mp.mpf(kappa)
        ratio = mp.mpf(0)
        for k in range(int(65 / mp.asinh(mp.mpf(dim) / (2 * s))) + 5, -1, -1):
            ratio = s / (dim + 2 * k + s * ratio)
        log = mp.log(mp.hyp0f1(mp.mpf(dim) / 2, s**2 / 4, maxterms=10**6))
        return ratio, log, 1 - ratio**2 - (dim - 1) * ratio / s


@pytest.mark.parametrize("kappa", [1e-6, 0.5, 3.0, 24.0, 26.0, 1e4])
def test_in_space_everything_is_elementary(kappa):
    with mp.workdps(60):
        s = mp.mpf(kappa)
        resultant = mp.coth(s) - 1 / s
        slope = 1 / s**2 - 1 / mp.sinh(s) ** 2
        log = mp.log(mp.sinh(s) / s)
    found = moments(3, kappa)
    assert_allclose(found.resultant, float(resultant), rtol=8 * EPS)
    assert_allclose(found.deficit, float(1 - resultant), rtol=16 * EPS)
    assert_allclose(found.radial_variance, float(slope), rtol=32 * EPS)
    assert_allclose(found.tangential_variance, float(resultant / s), rtol=8 * EPS)
    assert_allclose(log_partition(3, kappa), float(log), rtol=16 * EPS)
    assert_allclose(uniform_divergence(3, kappa), float(s * resultant - log), rtol=32 * EPS)


def test_the_uniform_law():
    found = moments(64, 0.0)
    assert (found.resultant, found.deficit, found.mean_cosine) == (0.0, 1.0, 0.0)
    assert_allclose([found.radial_variance, found.tangential_variance], 1 / 64, rtol=EPS)
    assert log_partition(64, 0.0) == uniform_divergence(64, 0.0) == 0.0
    assert_allclose(entropy(2, 0.0), np.log(2 * np.pi), rtol=4 * EPS)
    assert_allclose(entropy(4, 0.0), np.log(2 * np.pi**2), rtol=4 * EPS)


@settings(max_examples=15)
@given(dims, st.floats(-4, 1.5).map(lambda x: 10.0**x))
def test_moments_and_normaliser_match_50_digits(dim, share):
    kappa = share * dim
    ratio, log, slope = exact(dim, kappa)
    found = moments(dim, kappa)
    assert_allclose(found.resultant, float(ratio), rtol=16 * EPS)
    assert_allclose(found.deficit, float(1 - ratio), rtol=16 * EPS)
    assert_allclose(found.radial_variance, float(slope), rtol=64 * EPS)
    assert_allclose(log_partition(dim, kappa), float(log), rtol=32 * EPS)
    with mp.workdps(50):
        assert_allclose(uniform_divergence(dim, kappa), float(kappa * ratio - log), rtol=64 * EPS)


@pytest.mark.parametrize(("dim", "kappa"), [(10**5, 10.0), (20_000, 4e4 - 1), (20_000, 4e4 + 1), (512, 5e3), (2, 24.9)])
def test_large_dimensions_and_both_sides_of_the_switch(dim, kappa):
    ratio, log, slope = exact(dim, kappa)
    found = moments(dim, kappa)
    assert_allclose(found.resultant, float(ratio), rtol=16 * EPS)
    assert_allclose(found.deficit, float(1 - ratio), rtol=16 * EPS)
    assert_allclose(found.radial_variance, float(slope), rtol=64 * EPS)
    assert_allclose(log_partition(dim, kappa), float(log), rtol=32 * EPS)


@pytest.mark.parametrize("dim", [2, 3, 512, 10**5])
def test_at_huge_concentrations_the_law_is_a_gaussian_on_the_tangent_plane(dim):
    kappa = 1e40
    found = moments(dim, kappa)
    assert_allclose(found.deficit * kappa, (dim - 1) / 2, rtol=4 * EPS)
    assert_allclose(found.tangential_variance * kappa, 1, rtol=4 * EPS)
    assert_allclose(found.radial_variance * kappa**2, (dim - 1) / 2, rtol=4 * EPS)
    gaussian = (dim - 1) / 2 * np.log(2 * np.pi * np.e / kappa)
    assert_allclose(entropy(dim, kappa), gaussian, rtol=1e-13)


@given(dims, kappas)
def test_the_variances_add_up(dim, kappa):
    found = moments(dim, kappa)
    total = found.radial_variance + (dim - 1) * found.tangential_variance
    assert_allclose(total, found.deficit * (1 + found.resultant), rtol=64 * EPS)
    assert found.radial_variance <= found.tangential_variance * (1 + 8 * EPS)


@given(dims, st.floats(-4, 12).map(lambda x: 10.0**x))
def test_concentration_inverts_the_resultant(dim, kappa):
    found = moments(dim, kappa)
    assert_allclose(concentration(dim, found.resultant), kappa, rtol=32 * EPS * (1 + 1 / found.deficit))


def test_concentration_known_values():
    assert concentration(7, 0.0) == 0.0
    assert_allclose(concentration(3, [1e-9, 0.313035285499]), [3e-9, 1.0], rtol=1e-11)
    assert concentration(5, [[0.1, 0.2]]).shape == (1, 2)


@given(dims, kappas)
def test_the_normaliser_is_the_integral_of_the_resultant(dim, kappa):
    step = 1e-3 * kappa
    difference = (log_partition(dim, kappa + step) - log_partition(dim, kappa - step)) / (2 * step)
    assert_allclose(difference, moments(dim, kappa).resultant, rtol=1e-6)
    slope = (moments(dim, kappa + step).resultant - moments(dim, kappa - step).resultant) / (2 * step)
    assert_allclose(slope, moments(dim, kappa).radial_variance, rtol=1e-5, atol=1e-10 / kappa)


@given(dims, kappas, kappas, st.floats(0, np.pi))
def test_divergence_is_the_textbook_formula_where_that_keeps_its_digits(dim, kappa, other, angle):
    resultant = moments(dim, kappa).resultant
    plain = (
        log_partition(dim, other) - log_partition(dim, kappa) + kappa * resultant - other * resultant * np.cos(angle)
    )
    scale = log_partition(dim, other) + log_partition(dim, kappa) + (kappa + other) * resultant
    value = kl_divergence(dim, kappa, other, angle=angle)
    assert_allclose(value, plain, rtol=1e-13, atol=32 * EPS * scale)
    assert value >= 0


@example(2, 0.9999999999999994, 1e-9)  # a range across a power of 2, where nodes are rounded to two spacings
@given(dims, kappas, st.floats(-12, -5).map(lambda x: 10.0**x))
def test_the_divergence_of_near_equal_laws_is_half_the_information_metric(dim, kappa, share):
    other = kappa * (1 + share)
    expected = 0.5 * (other - kappa) ** 2 * moments(dim, kappa).radial_variance
    assert_allclose(kl_divergence(dim, kappa, other), expected, rtol=1e-12 + 10 * share)


def test_divergence_from_the_uniform_law():
    for kappa in (0.1, 20.0, 1e5):
        assert_allclose(kl_divergence(64, kappa, 0.0), uniform_divergence(64, kappa), rtol=64 * EPS)
    assert kl_divergence(64, 3.0, 3.0) == 0.0


def test_moments_agree_with_simulation():
    """Rejection from the uniform law, in five dimensions."""
    rng, kappa = np.random.default_rng(4), 2.0
    x = rng.standard_normal((400_000, 5))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = x[rng.random(len(x)) < np.exp(kappa * (x[:, 0] - 1))]
    found = moments(5, kappa)
    for sample, expected in (
        (x[:, 0], found.resultant),
        ((x[:, 0] - found.resultant) ** 2, found.radial_variance),
        (x[:, 3] ** 2, found.tangential_variance),
        (np.sum(x[::2][:20000] * x[1::2][:20000], axis=1), found.mean_cosine),
    ):
        assert abs(sample.mean() - expected) <= 4.5 * sample.std() / np.sqrt(len(sample))


def test_the_oracles_agree():
    assert_allclose(float(exact(64, 40.0)[0]), float(naive.bessel_ratio(64, 40.0)), rtol=EPS)


def test_bad_arguments_are_rejected():
    for function in (log_partition, moments, uniform_divergence, entropy):
        with pytest.raises(ValueError, match="`kappa` must be at least 0"):
            function(3, -1.0)
        with pytest.raises(ValueError, match="`kappa` must be finite"):
            function(3, np.nan)
        with pytest.raises(ValueError, match="`dim` must be at least"):
            function(0, 1.0)
    for resultant in (1.0, -0.1):
        with pytest.raises(ValueError, match=rf"`resultant` must lie in \[0, 1\), got {resultant}"):
            concentration(3, resultant)
    with pytest.raises(ValueError, match=r"`angle` must lie in \[0, pi\], got 4.0"):
        kl_divergence(3, 1.0, 1.0, angle=4.0)
    with pytest.raises(ValueError, match="`other`"):
        kl_divergence(3, 1.0, -1.0)
