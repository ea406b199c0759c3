import itertools

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory.dual import dual_activation
from conetheory.initialisations import (
    EXCESS_KURTOSIS,
    failure_rate_of_atoms,
    kurtosis_correction,
    rademacher_preactivations,
    truncated_normal_moments,
)
from conetheory.orthogonal import orthogonal_failure_rate
from sims.estimate import sample_mean
from sims.initialisations import LAWS, sample_weights
from tests.strategies import seeds


def kappa(rho):
    return 2 * float(dual_activation("relu", rho))


def pair(seed, dim_in, cosine):
    frame = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim_in, 2)))[0]
    return frame[:, 0], cosine * frame[:, 0] + np.sqrt(1 - cosine**2) * frame[:, 1]


@pytest.mark.parametrize("cut", [0.5, 1.0, 2.0, 5.0])
def test_truncated_moments_against_quadrature(cut):
    with mp.workdps(30):
        mass, second, fourth = (mp.quad(lambda x, n=n: x**n * mp.npdf(x), [-cut, cut]) for n in (0, 2, 4))
        expected = second / mass, fourth * mass / second**2 - 3
    assert_allclose(truncated_normal_moments(cut), [float(x) for x in expected], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cut", [1e-5, 0.01, 0.3, 1.0, 1.999, 2.0, 3.0, 10.0, 30.0])
def test_truncated_moments_lose_no_digit(cut):
    with mp.workdps(400):
        a = mp.mpf(cut)
        edge = 2 * a * mp.npdf(a) / mp.erf(a / mp.sqrt(2))
        variance = 1 - edge
        expected = variance, (3 - (a**2 + 3) * edge) / variance**2 - 3
    assert_allclose(truncated_normal_moments(cut), [float(x) for x in expected], rtol=1e-15 * (1 + cut**2))
    assert truncated_normal_moments(1e-200)[1] == pytest.approx(-1.2, rel=1e-15)
    assert truncated_normal_moments(1e200) == (1.0, 0.0)


@pytest.mark.parametrize("law", LAWS)
def test_laws_have_the_moments_they_are_said_to_have(law):
    weights = sample_weights(law, (400_000,), rng=1)
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3 + EXCESS_KURTOSIS[law])):
        found = sample_mean(weights**power)
        assert abs(found.value - expected) <= 4.5 * found.stderr + 1e-12


@settings(max_examples=30)
@given(seeds, st.floats(-0.99, 0.99))
def test_the_correction_is_the_fourth_derivative(seed, rho):
    """(u·∂)⁴ of E φφ', from the moments of delta functions: the sum over coordinates before it is simplified."""
    u, v = pair(seed, 5, rho)
    sine = np.sqrt(1 - rho**2)
    sums = {(a, b): np.sum(u**a * v**b) for a, b in ((4, 0), (3, 1), (2, 2), (1, 3), (0, 4))}
    bracket = (rho**2 - sine**2) * (sums[4, 0] + sums[0, 4]) - 4 * rho * (sums[3, 1] + sums[1, 3]) + 6 * sums[2, 2]
    expected = -1.2 / 24 * bracket / (2 * np.pi * sine) * 2
    assert_allclose(kurtosis_correction(u, v, excess_kurtosis=-1.2), expected, rtol=1e-9, atol=1e-15)


def test_known_corrections():
    """Equal moduli: kappa_4 sin θ/(6 π d); none for equal inputs, and none in the mean over directions."""
    for dim_in, same in ((8, 4), (8, 6), (12, 3)):
        u, v = np.ones(dim_in), np.where(np.arange(dim_in) < same, 1.0, -1.0)
        rho = u @ v / dim_in
        expected = -2 * np.sqrt(1 - rho**2) / (6 * np.pi * dim_in)
        assert_allclose(kurtosis_correction(3 * u, v, excess_kurtosis=-2), expected, rtol=1e-13)
    assert kurtosis_correction(u, u, excess_kurtosis=-2) == 0
    values = [kurtosis_correction(*pair(seed, 6, 0.3), excess_kurtosis=-2) for seed in range(1500)]
    assert abs(sample_mean(values).zscore(0.0)) < 4.5


@pytest.mark.parametrize("dim_in", [4, 8])
def test_uniform_weights_against_simulation(dim_in):
    """2 φφ' has the mean of (zz' + |zz'|)/2, and zz' that of the cosine: half the modulus is sampled."""
    u, v = np.ones(dim_in) / np.sqrt(dim_in), np.where(np.arange(dim_in) < dim_in / 2, 1, -1) / np.sqrt(dim_in)
    weights = sample_weights("uniform", (1_000_000, dim_in), rng=2)
    found = sample_mean(np.abs((weights @ u) * (weights @ v)) / 2)
    correction = kurtosis_correction(u, v, excess_kurtosis=-1.2)
    # remainder of order 1/d^2: 0.04/d^2, from eight million draws at d = 4 and 8
    assert abs(found.value - kappa(0.0) - correction) <= 4.5 * found.stderr + 0.06 / dim_in**2
    assert abs(found.value - kappa(0.0)) > 6 * found.stderr


def test_signs_by_hand():
    found = rademacher_preactivations([1, 2], [1, 0])
    expected = [(w @ [1, 2] / np.sqrt(5), w[0]) for w in np.array(list(itertools.product((1, -1), repeat=2)))]
    assert_allclose(sorted(found.tolist()), sorted(np.array(expected).tolist()), atol=1e-15)


@settings(max_examples=15)
@given(seeds, st.floats(0.05, 0.6))
def test_the_rate_is_a_supremum(seed, cosine):
    """Against a grid of (t, s): never above the rate, and near it somewhere."""
    atoms = rademacher_preactivations(*pair(seed, 5, cosine))
    rate = failure_rate_of_atoms(atoms, cosine)
    first, second = np.maximum(atoms, 0).T
    if np.isinf(rate):
        return
    t, s = np.meshgrid(np.geomspace(0.02, 50, 60), np.geomspace(0.2, 5, 61))
    x = (first * second)[:, None, None] - cosine / 2 * (
        np.multiply.outer(first**2, s) + np.multiply.outer(second**2, 1 / s)
    )
    grid = -np.log(np.mean(np.exp(np.minimum(-t * x, 600)), axis=0))
    assert grid.max() <= rate + 1e-9
    assert grid.max() >= rate * 0.98 - 2e-3  # the grid is coarse, and rates above that of t = 50 are cut


def test_the_scales_of_the_inputs_do_not_matter():
    atoms = rademacher_preactivations(*pair(7, 5, 0.3))
    expected = failure_rate_of_atoms(atoms, 0.3)
    for scales in ([1.0, 30.0], [1e-150, 1e-150], [1e100, 1e100], [1e-200, 1e150]):
        assert_allclose(failure_rate_of_atoms(atoms * scales, 0.3), expected, rtol=1e-9)


@settings(max_examples=50)
@given(seeds, st.floats(-0.99, 0.99))
def test_the_correction_has_its_bound(seed, rho):
    u, v = pair(seed, 4, rho)
    bound = 2 * np.sqrt(1 - rho**2) / (3 * np.pi) * max(np.max(u**2), np.max(v**2))
    assert abs(kurtosis_correction(u, v, excess_kurtosis=-2)) <= bound


def test_gaussian_atoms_give_the_gaussian_rate():
    """The nodes of a polar rule as atoms: rate without bias, from `conetheory.orthogonal` at aspect 0."""
    cosine = 0.4
    theta = np.arccos(cosine)
    kinks = np.array([-np.pi / 2, theta - np.pi / 2, np.pi / 2, theta + np.pi / 2, 3 * np.pi / 2])
    x, w = np.polynomial.legendre.leggauss(40)
    alpha = (kinks[:-1, None] + np.diff(kinks)[:, None] * (x + 1) / 2).ravel()
    angular = (np.diff(kinks)[:, None] * w).ravel()
    r, radial = np.polynomial.laguerre.laggauss(60)  # R²/2 is exponential
    radius = np.sqrt(2 * r)
    atoms = np.stack([np.outer(radius, np.cos(alpha)).ravel(), np.outer(radius, np.cos(alpha - theta)).ravel()], axis=1)
    rate = failure_rate_of_atoms(atoms, cosine, probabilities=np.outer(radial, angular).ravel() + 1e-300)
    assert_allclose(rate, orthogonal_failure_rate(cosine, aspect=0), rtol=1e-6)


def test_the_rate_tends_to_the_gaussian_one():
    rates = [
        np.mean([failure_rate_of_atoms(rademacher_preactivations(*pair(s, d, 0.1)), 0.1) for s in range(4)])
        for d in (2, 12)
    ]
    gaussian = float(orthogonal_failure_rate(0.1, aspect=0))
    assert abs(rates[0] - gaussian) > 0.5 * gaussian
    assert abs(rates[1] - gaussian) < abs(rates[0] - gaussian) / 5  # like 1/d_in: a factor 6


def test_edges_of_the_rate():
    four = rademacher_preactivations(np.ones(4), [1, 1, 1, -1])
    assert failure_rate_of_atoms(four, 0.5) == 0.0  # the limit of the cosine is 1/2 itself
    assert failure_rate_of_atoms([[1.0, 1.0]], 0.5) == np.inf  # every layer has cosine 1
    assert_allclose(failure_rate_of_atoms([[1.0, 1.0], [-1.0, -1.0]], 0.5), np.log(2), rtol=1e-14)  # all units off


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: truncated_normal_moments(0.0), "`cut` must be positive, got 0"),
        (lambda: kurtosis_correction([1, 0], [0, 0], excess_kurtosis=0), "`v` must not be zero"),
        (lambda: kurtosis_correction([1, 0], [1], excess_kurtosis=0), r"`u` and `v` must have one shape \(d_in,\)"),
        (
            lambda: kurtosis_correction([1, 0], [0, 1], excess_kurtosis=-3),
            "`excess_kurtosis` must be at least -2, got -3",
        ),
        (lambda: rademacher_preactivations(np.ones(17), np.ones(17)), "`u` must have at most 16 coordinates, got 17"),
        (lambda: failure_rate_of_atoms([[1.0]], 0.5), r"`preactivations` must have shape \(m, 2\), got"),
        (lambda: failure_rate_of_atoms([[1.0, 1.0]], 1.0), r"`cosine` must lie in \(0, 1\), got 1.0"),
        (
            lambda: failure_rate_of_atoms([[1.0, 1.0]], 0.5, probabilities=[0.0]),
            "`probabilities` must be positive, got 0",
        ),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
