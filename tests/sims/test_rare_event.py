import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conetheory._relu_tilt import tilt as dominating_tilt
from conetheory._relu_tilt import tilted_mean
from conetheory.contraction import failure_probability_nonpositive, preactivation_angle, sharp_threshold
from conetheory.large_deviation import failure_probability
from sims._tilted_kernels import _groups, _log_failure, _log_gamma_ratio_tail, fill_unit_sums
from sims._tilted_trials import _lane_sums
from sims.estimate import Estimate
from sims.rare_event import TiltedSample, _tilted_law, sample_failure_probability, sample_tilted_failures
from sims.relu_layer import count_failures
from tests.naive_rare_event import failure_given_groups, log_mgf, tilted_log_weights
from tests.strategies import seeds


@pytest.mark.parametrize(
    ("cosine", "width", "known", "error"),
    [(0.5, 16, 0.0482, 5e-5), (0.9, 64, 0.0101, 5e-5), (0.9, 256, 2.50e-6, 3e-8), (0.9, 2048, 4.1e-38, 0.2e-38)],
)
def test_known_probabilities(cosine, width, known, error):
    estimate = sample_failure_probability(cosine, 1.0, 1.0, width, n_trials=20_000, rng=0)
    assert abs(estimate.value - known) < 4.5 * math.hypot(estimate.stderr, error)
    assert estimate.stderr / estimate.value < 0.006


@pytest.mark.parametrize(
    ("cosine", "norm", "width"),
    [(0.9, 1.0, 64), (0.9, 1.0, 2048), (0.5, 1.0, 256), (0.99, 10.0, 1024), (0.001, 1.0, 64), (1 - 1e-6, 1.0, 1024)],
)
def test_computed_probabilities(cosine, norm, width):
    """Inversion of a transform, right to 1e-4: half a per cent tells a wrong law of one kind of unit apart."""
    sample = sample_tilted_failures(cosine, norm, norm, width, n_trials=20_000, rng=7)
    computed = failure_probability(cosine, norm, norm, width).log_value
    assert sample.relative_stderr < 0.005
    assert abs(math.expm1(sample.log_value - computed)) < 4.5 * sample.relative_stderr


LAYERS = [  # cosine, norms, width, variances
    (0.5, 1.0, 1.0, 16, 1.0, 1.0),
    (0.5, 1.0, 1.0, 1, 1.0, 1.0),
    (0.9, 1.0, 1.0, 2, 1.0, 1.0),
    (0.9, 10.0, 10.0, 64, 1.0, 1.0),
    (0.9, 1.0, 1.0, 12, 1.0, 0.0),
    (0.02, 3.0, 0.5, 8, 1.0, 1.0),
    (1e-9, 1.0, 1.0, 6, 1.0, 1.0),
    (0.499, 0.0, 1.0, 10, 1.0, 2.0),
    (1 - 1e-12, 1.0, 1.0, 8, 1.0, 1.0),
    (0.95, 2.0, 1.0, 16, 1.0, 1.0),  # beyond the sharp threshold
    (-0.5, 1.0, 2.0, 5, 1.0, 1.0),
    (0.0, 1.0, 2.0, 5, 1.0, 1.0),
    (0.5, 1.0, 1.0, 6, 0.0, 1.0),  # equal pre-activations
    (0.99, 10.0, 10.0, 256, 1.0, 1.0),
]


@pytest.mark.parametrize(("cosine", "norm_u", "norm_v", "width", "sigma_w2", "sigma_b2"), LAYERS)
def test_agrees_with_plain_sampling(cosine, norm_u, norm_v, width, sigma_w2, sigma_b2):
    n, layer = 100_000, {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    plain = count_failures(cosine, norm_u, norm_v, width, n_trials=n, rng=width, **layer) / n
    assert plain > 1e-3
    tilted = sample_failure_probability(cosine, norm_u, norm_v, width, n_trials=20_000, rng=1, **layer)
    assert abs(tilted.value - plain) < 4.5 * math.hypot(tilted.stderr, math.sqrt(plain * (1 - plain) / n))


@pytest.mark.parametrize(
    ("cosine", "norms", "width"), [(0.9, (1.0, 1.0), 300), (0.3, (2.0, 1.0), 200), (0.999, (1.0, 1.0), 400)]
)
def test_agrees_with_a_plain_tilted_sampler(cosine, norms, width):
    theta = float(preactivation_angle(cosine, *norms))
    t = dominating_tilt(cosine, theta).t
    plain = np.exp(tilted_log_weights(cosine, theta, width, t, 4_000, rng=0))
    tilted = sample_failure_probability(cosine, *norms, width, n_trials=4_000, rng=0)
    assert tilted.value < 1e-5
    assert abs(tilted.value - plain.mean()) < 4.5 * math.hypot(tilted.stderr, plain.std() / math.sqrt(plain.size))


@pytest.mark.parametrize("width", [256, 1024, 4096])
def test_relative_error_does_not_grow_with_the_width(width):
    sample = sample_tilted_failures(0.9, 1.0, 1.0, width, n_trials=2_000, rng=width)
    assert sample.relative_stderr * math.sqrt(sample.n) < 0.7


def test_one_in_1e40_to_two_per_cent():
    """The task that plain sampling cannot do: few trials, and two seeds agree."""
    first, second = (sample_failure_probability(0.9, 1.0, 1.0, 2176, n_trials=2_000, rng=seed) for seed in (1, 2))
    assert 1e-41 < first.value < 1e-39
    assert first.stderr < 0.02 * first.value
    assert abs(first.value - second.value) < 4.5 * math.hypot(first.stderr, second.stderr)


@pytest.mark.parametrize("factor", [0.3, 0.6, 1.0, 1.3, 2.0, 3.0])
def test_interval_covers_at_any_tilt(factor):
    best = dominating_tilt(0.9, float(preactivation_angle(0.9, 1.0, 1.0))).t
    sample = sample_tilted_failures(0.9, 1.0, 1.0, 2048, n_trials=2_000, rng=0, tilt=factor * best)
    found, logs = sample.interval(1e-6), sample.log_interval(1e-6)
    assert found.low < 4.29e-38 < found.high
    assert logs.low <= math.log(4.29e-38) <= logs.high
    if factor in (0.3, 3.0):
        assert found.low == 0
        assert found.high > 1e10 * 4.29e-38


def test_a_wrong_tilt_alone_would_mislead():
    """Why the interval is there: at three times the tilt the estimate is far off, and its standard error blind."""
    best = dominating_tilt(0.9, float(preactivation_angle(0.9, 1.0, 1.0))).t
    sample = sample_tilted_failures(0.9, 1.0, 1.0, 2048, n_trials=2_000, rng=0, tilt=3 * best)
    assert sample.log_value < math.log(1e-100)


@settings(max_examples=15)
@given(st.floats(0.05, 0.95), st.floats(0.0, 0.95), st.integers(1, 40), seeds)
def test_every_tilt_is_unbiased(cosine, share, width, seed):
    """Two tilts, one law: each interval holds at 1e-9, so they overlap."""
    theta = float(preactivation_angle(cosine, 1.0, 1.0))
    limit = share / (cosine * math.sin(theta) ** 2)
    some = sample_tilted_failures(cosine, 1.0, 1.0, width, n_trials=2_000, rng=seed, tilt=limit).interval(1e-9)
    best = sample_tilted_failures(cosine, 1.0, 1.0, width, n_trials=2_000, rng=seed + 1).interval(1e-9)
    assert some.low <= best.high
    assert best.low <= some.high


@pytest.mark.parametrize("cosine", [0.0, -0.3, -1.0])
@pytest.mark.parametrize("norms", [(1.0, 1.0), (3.0, 0.5)])
def test_nonpositive_cosines_against_the_exact_law(cosine, norms):
    estimate = sample_failure_probability(cosine, *norms, 9, n_trials=20_000, rng=0)
    exact = float(failure_probability_nonpositive(cosine, *norms, 9))
    if cosine == 0:
        assert estimate.value == pytest.approx(exact, rel=1e-14)
        assert estimate.stderr == 0
    else:
        assert abs(estimate.value - exact) < 4.5 * estimate.stderr + 1e-15 * exact


@pytest.mark.parametrize("tilt", [None, 0.0, 5.0])
def test_equal_preactivations_fail_together_only(tilt):
    sample = sample_tilted_failures(0.5, 1.0, 1.0, 6, n_trials=4_000, rng=0, sigma_w2=0.0, tilt=tilt)
    assert abs(math.expm1(sample.log_value + 6 * math.log(2))) <= 4.5 * sample.relative_stderr + 1e-12


def test_certain_failure_and_beyond_the_threshold():
    assert sample_failure_probability(1.0, 2.0, 1.0, 8, n_trials=100, rng=0) == Estimate(value=1.0, stderr=0.0, n=100)
    beyond = float(sharp_threshold(2.0, 1.0)) + 0.05
    assert sample_tilted_failures(beyond, 2.0, 1.0, 64, n_trials=100, rng=0).tilt == 0
    assert sample_failure_probability(beyond, 2.0, 1.0, 2048, n_trials=500, rng=0).value > 0.99


def test_below_the_least_double_the_logarithm_is_kept():
    sample = sample_tilted_failures(0.9, 1.0, 1.0, 40_000, n_trials=300, rng=0)
    doubled = sample_tilted_failures(0.9, 1.0, 1.0, 80_000, n_trials=300, rng=0)
    rate = dominating_tilt(0.9, float(preactivation_angle(0.9, 1.0, 1.0))).rate
    expected = 40_000 * rate + math.log(2) / 2  # the prefactor falls like the root of the width
    assert sample.log_value - doubled.log_value == pytest.approx(expected, abs=0.4)
    assert sample.interval(1e-3).high == math.ulp(0.0)  # an upper end is never 0
    with pytest.raises(ValueError, match=r"`log_value` must be at least -690.8.*, got -1615"):
        sample.estimate()
    with pytest.raises(ValueError, match="`log_value`"):
        sample_failure_probability(0.9, 1.0, 1.0, 40_000, n_trials=300, rng=0)


def test_no_failing_trial_has_an_interval_and_no_standard_error():
    sample = TiltedSample(log_value=-math.inf, relative_stderr=math.inf, log_bound=-5.0, tilt=1.0, n=1000)
    with pytest.raises(ValueError, match="`log_value` must be finite to have a standard error, got -inf"):
        sample.estimate()
    found = sample.interval(1e-3)
    assert found.low == 0
    assert 0 < found.high < math.exp(-5)


def test_level_is_the_chance_of_missing():
    sample = sample_tilted_failures(0.9, 1.0, 1.0, 256, n_trials=500, rng=0)
    rare, common = sample.interval(1e-6), sample.interval(0.1)
    assert rare.low < common.low < common.high < rare.high


def test_same_numbers_for_any_number_of_workers():
    samples = [
        sample_tilted_failures(0.9, 1.0, 1.0, 128, n_trials=1_000, rng=5, workers=workers) for workers in (1, 2, 5)
    ]
    assert samples[0] == samples[1] == samples[2]
    assert samples[0] != sample_tilted_failures(0.9, 1.0, 1.0, 128, n_trials=1_000, rng=6)


# ---- the parts


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 40), (700, 500), (2, 100_000)])
@pytest.mark.parametrize("ratio", [1e-6, 0.05, 0.7, 1.0, 1.4, 30.0])
def test_tail_of_a_ratio_of_gammas(n, m, ratio):
    """Integer shapes count Poisson arrivals: P(G > r H) is the binomial sum of n terms, here to 40 digits."""
    with mp.workdps(40):
        p = 1 / (1 + mp.mpf(ratio))
        exact = mp.log(mp.fsum(mp.binomial(n + m - 1, k) * p**k * (1 - p) ** (n + m - 1 - k) for k in range(m, n + m)))
    assert _log_gamma_ratio_tail(n, m, ratio) == pytest.approx(float(exact), rel=1e-13, abs=1e-15 * (n + m) ** 1.1)


@settings(max_examples=60)
@given(st.floats(0.02, 0.98), st.integers(1, 5), st.integers(1, 5), seeds)
def test_failure_given_the_directions(cosine, n_above, n_below, seed):
    """Against beta quantiles on a grid; groups need not be split by the sign of X for the formula to hold."""
    rng = np.random.default_rng(seed)
    groups = []
    for n in (n_above, n_below):
        group = rng.random((n, 2)) ** 2 + np.array([0.0, 0.2])
        groups.append(group / math.sqrt(np.sum(group**2)))
    sums = [sums_of(group) for group in groups]
    if sums[0][1] - sums[0][3] <= cosine * math.sqrt(np.prod(np.sum(groups[0] ** 2, axis=0))):
        return  # `above` must not fail by itself
    found = math.exp(_log_failure(sums[0], sums[1], cosine))
    assert found == pytest.approx(failure_given_groups(*groups, cosine), abs=6e-5)


def sums_of(group):
    even, odd = (group[:, 0] + group[:, 1]) / 2, (group[:, 1] - group[:, 0]) / 2
    return len(group), np.sum(even**2), np.sum(even * odd), np.sum(odd**2), 1.0, 1.0


def plain_sums(stream, n, width, law):
    counts, sums = np.empty((2, n), np.uint32), np.empty((10, n))
    fill_unit_sums(stream, counts, sums, width, law)
    return counts, sums


@pytest.mark.parametrize("draw", [plain_sums, _lane_sums], ids=["plain", "lanes"])
@pytest.mark.parametrize(("cosine", "share"), [(0.5, 0.0), (0.5, 0.6), (0.9, 0.4), (0.9, 0.9), (0.99, 0.5), (0.1, 0.3)])
def test_units_have_the_tilted_law(draw, cosine, share):
    """The mean of X and of R²/2 under the tilt: derivatives of M in t and in the precision."""
    theta = float(preactivation_angle(cosine, 1.0, 1.0))
    t = share / (cosine * math.sin(theta) ** 2)
    law, mgf = _tilted_law(cosine, theta, t)
    assert math.log(mgf) == pytest.approx(log_mgf(t, cosine, theta), abs=1e-11)
    width, streams = 50, np.random.default_rng(0).spawn(4)
    means = []
    for stream in streams:
        counts, sums = draw(stream, 1024, width, law)
        for i in range(counts.shape[1]):
            above, below = _groups(tuple(counts[:, i].tolist()), tuple(sums[:, i].tolist()), law)
            assert above[0] + below[0] == counts[:, i].sum() <= width
            inner = sum(p - m for _, p, _, m, _, _ in (above, below))
            norms = sum(p + m for _, p, _, m, _, _ in (above, below))
            assert above[1] - above[3] >= cosine * (above[1] + above[3]) * (1 - 1e-6)  # X > 0 there
            drawn = 2 * (inner - cosine * norms)
            scale = sum(ray - energy for *_, ray, energy in (above, below))
            means.append((drawn, scale))
    means = np.array(means) / width
    errors = np.abs(means.mean(axis=0) - expected_means(t, cosine, theta))
    assert np.all(errors < 4.5 * means.std(axis=0) / math.sqrt(len(means)) + 1e-15)  # without tilt R²/2 is E


def expected_means(t, cosine, theta):
    """E X under the tilt, and E(R²/2 - D R²/2) = -t E X: D - 1 is 2th."""
    mean = float(tilted_mean(t, cosine, theta))
    return np.array([mean, -t * mean])


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cosine": 1.5}, r"`cosine` must lie in \[-1, 1\], got 1.5"),
        ({"cosine": math.nan}, "`cosine` must be finite, got nan"),
        ({"norm_u": -1.0}, "`norm_u` must be at least 0, got -1.0"),
        (
            {"cosine": 1e-300, "norm_u": 1e-6, "norm_v": 1e-6},
            "`cosine` must be at most 0 or at least 1e-100, got 1e-300",
        ),
        ({"cosine": 1e-300, "tilt": 1.0}, "`cosine` must be at most 0 or at least 1e-100, got 1e-300"),
        ({"width": 0}, "`width` must be at least 1, got 0"),
        ({"n_trials": 1}, "`n_trials` must be at least 2, got 1"),
        ({"workers": 0}, "`workers` must be at least 1, got 0"),
        ({"tilt": -0.1}, r"`tilt` must lie in \[0, .*, got -0.1"),
        ({"tilt": 1e3}, r"`tilt` must lie in \[0, 1/\(c sin\^2\)\) = \[0, 4.57143\) here, got 1000.0"),
        ({"tilt": math.nan}, "`tilt` must be finite, got nan"),
        ({"tilt": 1.0, "cosine": -0.2}, r"`tilt` is for a `cosine` in \(0, 1\)"),
        ({"tilt": 0.0, "cosine": 1.0}, r"`tilt` is for a `cosine` in \(0, 1\)"),
        ({"sigma_w2": 0.0, "sigma_b2": 0.0}, "`sigma_w2` and `sigma_b2`"),
    ],
)
def test_bad_input(change, message):
    arguments = {"cosine": 0.5, "norm_u": 1.0, "norm_v": 1.0, "width": 8, "n_trials": 10, "rng": 0} | change
    with pytest.raises(ValueError, match=message):
        sample_failure_probability(**arguments)
