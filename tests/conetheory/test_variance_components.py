import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from conetheory import variance_components
from conetheory.variance_components import initialisation_share, share_interval
from tests.strategies import seeds


def effects(rng, m, n, dims, share, *, interaction=0.0):
    """Normal effects of models and inputs (and of both together); the share of the models is `share`."""
    models, inputs, both = (rng.standard_normal(shape) for shape in ((m, 1, dims), (1, n, dims), (m, n, dims)))
    rest = np.sqrt((1 - share) * (1 - interaction)) * inputs + np.sqrt((1 - share) * interaction) * both
    return np.sqrt(share) * models + rest


def deletions(x, axis):
    return np.array([initialisation_share(np.delete(x, i, axis=axis)).share for i in range(x.shape[axis])])


def jackknife(values):
    return np.sqrt((len(values) - 1) / len(values) * np.sum((values - values.mean()) ** 2))


@given(st.integers(4, 6), st.integers(3, 5), st.integers(1, 3), seeds)
@settings(max_examples=30)
def test_against_deletion(m, n, dims, seed):
    """Standard errors, degrees of freedom and ends from the shares of m + n smaller experiments."""
    x = effects(np.random.default_rng(seed), m, n, dims, 0.6)
    found = share_interval(x)
    share, parts = initialisation_share(x).share, [deletions(x, 0), deletions(x, 1)]
    assert_allclose(found.share, share, rtol=1e-12)
    assert_allclose([found.stderr_models, found.stderr_inputs], [jackknife(part) for part in parts], rtol=1e-8)
    assert_allclose(found.stderr, np.hypot(found.stderr_models, found.stderr_inputs), rtol=1e-14)
    ratios = [1 + n * part / (1 - part) for part in (np.array([share]), *parts)]
    if min(ratio.min() for ratio in ratios) > 0:
        centre, *logs = (np.log(ratio) for ratio in ratios)
        v, w = (jackknife(values) ** 2 for values in logs)
        dof = (v + w) ** 2 / (v**2 / (m - 1) + w**2 / (n - 1))
        ends = np.exp(centre + stats.t(dof).ppf([0.025, 0.975]) * np.sqrt(v + w))
        assert_allclose(found.dof, dof, rtol=1e-7)
        assert_allclose([found.low, found.high], (ends - 1) / (ends - 1 + n), rtol=1e-6, atol=1e-9)


@given(seeds, st.floats(0.1, 10), st.floats(-100, 100))
@settings(max_examples=20)
def test_scale_shift_and_rotation_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x = effects(rng, 5, 6, 3, 0.5)
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    plain, moved = share_interval(x), share_interval((scale * x + shift) @ rotation)
    assert_allclose([moved.low, moved.high, moved.dof], [plain.low, plain.high, plain.dof], rtol=1e-6, atol=1e-8)


@given(seeds, st.floats(0.5, 0.99))
@settings(max_examples=20)
def test_a_higher_level_is_wider(seed, level):
    x = effects(np.random.default_rng(seed), 5, 6, 2, 0.5)
    narrow, wide = share_interval(x, level=level), share_interval(x, level=(1 + level) / 2)
    assert wide.low < narrow.low <= narrow.share <= narrow.high < wide.high < 1


@pytest.mark.parametrize(
    ("m", "n", "dims", "share"), [(6, 12, 8, 0.2), (6, 12, 8, 0.8), (20, 5, 4, 0.5), (10, 30, 1, 0.5)]
)
def test_coverage(m, n, dims, share):
    """Nominal 95 %; simulations of 600 to 2500 experiments found 92.5 to 99 %, least for one dimension."""
    rng, trials = np.random.default_rng(4), 600
    found = [share_interval(effects(rng, m, n, dims, share)) for _ in range(trials)]
    covered = np.mean([one.low <= share <= one.high for one in found])
    assert covered > 0.95 - 0.02 - 4.5 * np.sqrt(0.05 * 0.95 / trials)
    median = np.median([one.high - one.low for one in found])
    assert median < 0.8  # an interval that says something


def test_models_alone_are_not_enough():
    rng = np.random.default_rng(5)
    found = [share_interval(effects(rng, 20, 6, 4, 0.5)) for _ in range(300)]
    given_inputs = np.mean([abs(one.share - 0.5) < stats.t(19).ppf(0.975) * one.stderr_models for one in found])
    assert given_inputs < 0.8


def test_standard_error_against_the_scatter_of_repeated_experiments():
    rng = np.random.default_rng(6)
    found = [share_interval(effects(rng, 12, 15, 6, 0.5, interaction=0.3)) for _ in range(400)]
    scatter = np.std([one.share for one in found])
    mean_square = np.sqrt(np.mean([one.stderr**2 for one in found]))
    assert 0.9 * scatter < mean_square < 1.25 * scatter  # counts the interaction twice, so a little too large


def test_blocks_do_not_matter(monkeypatch):
    x = effects(np.random.default_rng(7), 7, 5, 4, 0.4)
    whole = share_interval(x), initialisation_share(x)
    monkeypatch.setattr(variance_components, "_BLOCK", 45)  # two models at a time
    assert_allclose([whole[0].low, whole[0].high], [share_interval(x).low, share_interval(x).high], rtol=1e-12)
    assert_allclose(whole[1].share_stderr, initialisation_share(x).share_stderr, rtol=1e-12)


def test_float32_is_summed_in_float64():
    """A mean 10⁴ times the standard deviation, in float32: as good as the same numbers in float64."""
    x = (effects(np.random.default_rng(8), 6, 50, 3, 0.5) + 1e4).astype(np.float32)
    narrow, wide = initialisation_share(x), initialisation_share(x.astype(np.float64))
    assert_allclose([narrow.between, narrow.within], [wide.between, wide.within], rtol=1e-12)
    assert narrow.share > 0.1


def test_input_is_not_changed():
    x = effects(np.random.default_rng(9), 4, 4, 2, 0.5)
    kept = x.copy()
    share_interval(x)
    assert np.array_equal(x, kept)


def test_shares_near_zero():
    """Where F is not positive the interval is that of the share itself, symmetric."""
    rng = np.random.default_rng(10)
    plain = [share_interval(effects(rng, 3, 3, 1, 0.0, interaction=1.0)) for _ in range(200)]
    symmetric = [one for one in plain if abs(one.high + one.low - 2 * one.share) < 1e-9]
    assert 0 < len(symmetric) < 200
    assert all(one.low < one.share < one.high for one in plain)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"`level` must lie in .* got 1\.0"):
        share_interval(np.eye(4), level=1.0)
    with pytest.raises(ValueError, match=r"`features` must have shape .*inputs >= 3.* got shape \(4, 2\)"):
        share_interval(np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"`features` must vary over the inputs within models, got a variance of 0"):
        share_interval(np.arange(4.0)[:, None] + np.zeros((4, 4)))
    with pytest.raises(ValueError, match="`features` must vary over models and inputs"):
        share_interval(np.ones((4, 4)))
    with pytest.raises(ValueError, match="`features` must be finite, got nan"):
        share_interval(np.full((4, 4), np.nan))
    with pytest.raises(TypeError, match="`features` must hold real numbers"):
        share_interval(np.full((4, 4), "a"))


@pytest.mark.parametrize("seed", range(5))
def test_constant_within_models(seed):
    """All variance is between models: no share above 1, no variance below 0."""
    x = np.random.default_rng(seed).standard_normal((4, 1)) + np.zeros((4, 5))
    found = initialisation_share(x)
    assert found.share == 1
    assert 0 <= found.within <= 1e-30
    with pytest.raises(ValueError, match="`features` must vary over the inputs within models, got a variance of"):
        share_interval(x)


@pytest.mark.parametrize("exponent", [-1060, -600, 600, 1000])
def test_any_size_of_features(exponent):
    """Squares would under- or overflow; powers of 2 and small integers, so that nothing is rounded."""
    x = np.random.default_rng(0).integers(-8, 9, (4, 5)).astype(float)
    plain, scaled = share_interval(x), share_interval(np.ldexp(x, exponent))
    assert (plain.share, plain.low, plain.high) == (scaled.share, scaled.low, scaled.high)
    found, size = initialisation_share(np.ldexp(x, exponent)), initialisation_share(x)
    assert (found.share, found.share_stderr) == (size.share, size.share_stderr)
    assert (found.within, found.total) == ((0.0, 0.0) if exponent < 0 else (np.inf, np.inf))


def test_components_scale_like_squares():
    x = np.random.default_rng(1).standard_normal((4, 5, 2))
    plain, scaled = initialisation_share(x), initialisation_share(x * 2.0**100)
    assert scaled.between == plain.between * 2.0**200
    assert scaled.within == plain.within * 2.0**200
