"""Layers in sixteen lanes against exact laws, at 10⁸ draws: what is wrong by one part in ten thousand is seen.

All of them take some six minutes of one processor.
"""

import math

import numpy as np
import pytest
from scipy import stats

from conetheory.contraction import preactivation_angle
from conetheory.finite_width import cosine_expansion
from conetheory.large_deviation import failure_probability
from sims import _lane_kernels as lanes
from sims import _layer_trials
from sims.angle_chain import sample_angle_chains
from sims.relu_layer import count_failures, sample_cosines
from tests.sims.test_lane_kernels import transformed

N = 10**8
AT_ONCE = 1 << 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def chunks(n):
    """Yield seeds and how many draws to make of each."""
    for seed in range(-(-n // AT_ONCE)):
        yield seed, min(AT_ONCE, n - seed * AT_ONCE)


def check_counts(seen, chance):
    """Check that the numbers in bins have these probabilities, bins of less than ten draws put together."""
    n = seen.sum()
    rare = n * chance < 10
    seen, chance = np.append(seen[~rare], seen[rare].sum()), np.append(chance[~rare], chance[rare].sum())
    used = n * chance > 1
    assert stats.chisquare(seen[used], n * chance[used] / chance[used].sum() * seen[used].sum() / n).pvalue > 1e-5


def test_exponential_variates():
    edges = stats.expon.ppf(np.linspace(0, 1, 1001)[:-1])
    seen, total, squares = np.zeros(1000, dtype=np.int64), 0.0, 0.0
    rng = np.random.default_rng(1)
    for _, n in chunks(N):
        energy = transformed(rng.integers(0, 1 << 32, n & -16, dtype=np.uint32))[1].astype(np.float64)
        seen += np.bincount(np.searchsorted(edges, energy, side="right") - 1, minlength=1000)
        total, squares = total + energy.sum(), squares + (energy * energy).sum()
    n = seen.sum()
    check_counts(seen, np.full(1000, 1e-3))
    assert abs(total / n - 1) < 4.5 / math.sqrt(n)
    assert abs(squares / n - 2) < 4.5 * math.sqrt(20 / n)


@pytest.mark.parametrize("theta", [0.2, 1.2, 2.9])
def test_squared_norms_are_chi_squared_of_a_binomial_number(theta):
    """2ΣEcos² over the units that one input activates is chi-squared of as many degrees of freedom, for any angle."""
    width, law = 40, ((math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2))
    active, p = np.arange(1, width + 1), stats.binom(width, 0.5)
    edges = np.concatenate([[0.0], np.linspace(2, 60, 300), [np.inf]])
    chance = np.diff(stats.chi2.cdf(edges[:, None], active) @ p.pmf(active))
    chance[0] += p.pmf(0)
    seen = np.zeros((2, len(chance)), dtype=np.int64)
    for seed, n in chunks(N):
        sums = _layer_trials._lane_sums(np.random.default_rng(seed), n, width, law)
        for k in (0, 1):
            seen[k] += np.bincount(np.searchsorted(edges, 2 * sums[1 + k], side="right") - 1, minlength=len(chance))
    for counts in seen:
        check_counts(counts, chance)


@pytest.mark.parametrize("theta", [1e-9, 0.3, 2.0])
def test_means_of_the_sums_are_exact(theta):
    """The five sums have known means, and second moments to go with them, as 2Ecos² is the square of a normal."""
    width, law, draws = 64, ((math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2)), N // 4
    inner = width * (math.sin(theta) + (math.pi - theta) * math.cos(theta)) / (4 * math.pi)
    distance = width / 2 - 2 * inner if theta > 1e-6 else width * theta**2 / 4  # its limit where it cancels
    expected = np.array([inner, width / 4, width / 4, distance, 0.0])
    total, squares = np.zeros(5), np.zeros(5)
    for seed, n in chunks(draws):
        sums = _layer_trials._lane_sums(np.random.default_rng(seed), n, width, law)
        total, squares = total + sums.sum(axis=1), squares + (sums * sums).sum(axis=1)
    mean = total / draws
    assert np.all(np.abs(mean - expected) < 4.5 * np.sqrt((squares / draws - mean**2) / draws) + 1e-7 * expected)


@pytest.mark.parametrize(("cosine", "norm", "width"), [(0.5, 1.0, 64), (0.9, 10.0, 64), (0.99, 10.0, 128)])
def test_failures_are_as_many_as_the_exact_law_says(cosine, norm, width):
    found = count_failures(cosine, norm, norm, width, n_trials=N, rng=2) / N
    exact = failure_probability(cosine, norm, norm, width)
    assert float(preactivation_angle(cosine, norm, norm)) > 0.1
    slack = 4.5 * math.sqrt(exact.value * (1 - exact.value) / N)
    assert abs(found - exact.value) < slack + exact.error * exact.value
    assert exact.error * exact.value < slack


@pytest.mark.parametrize("rho", [-0.5, 0.5, 0.95])
def test_moments_of_the_cosine_are_those_of_the_expansion(rho):
    expected, moments = cosine_expansion(rho).at(512), np.zeros(3)
    for seed, n in chunks(N):
        deviation = sample_cosines(rho, 512, n, rng=seed) - expected.mean
        square = deviation * deviation
        moments += deviation.sum(), square.sum(), square @ square
    mean, variance, fourth = moments / N
    assert abs(mean) < 4.5 * math.sqrt(variance / N) + 512.0**-4  # of the order of what the expansion leaves
    assert abs(variance - expected.variance) < 4.5 * math.sqrt((fourth - variance**2) / N) + 512.0**-4


def test_chains_move_on_as_layers_do():
    """After a layer the next is one of Theorem 1 for the cosine there: the mean of what it adds is known."""
    depth, width, gain = 3, 512, np.zeros((2, 3))
    for seed, n in chunks(1 << 22):
        cosine = sample_angle_chains(1.2, width, depth, n, rng=seed).cosine
        for layer in range(1, depth + 1):
            grid = np.linspace(cosine[:, layer - 1].min() - 1e-9, min(cosine[:, layer - 1].max() + 1e-9, 1 - 1e-9), 65)
            known = np.polynomial.Polynomial.fit(grid, [cosine_expansion(x).at(width).mean for x in grid], 8)
            surprise = cosine[:, layer] - known(cosine[:, layer - 1])
            gain[:, layer - 1] += surprise.sum(), (surprise**2).sum()
    assert np.all(np.abs(gain[0]) < 4.5 * np.sqrt(gain[1]))


def test_the_lanes_are_what_was_tested():
    assert _layer_trials.KERNELS == "16 lanes"
    assert lanes.LANES == 16
