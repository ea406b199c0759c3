import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from conetheory import shift_temperature
from conetheory.contrastive import DIRECTIONS, clip_loss
from conetheory.gap import center
from conetheory.shift import shift_landscape, shift_pairs, shift_separately, shift_slope
from tests import naive_pairs as naive
from tests.conetheory.test_shift import lambdas, pairs, survives

directions = st.sampled_from(DIRECTIONS)


@pytest.fixture(scope="module")
def clip(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy", allow_pickle=False)
    return x.astype(np.float64), y.astype(np.float64)


def two_pairs(cosine_gap):
    """Two pairs whose matched cosine exceeds the other by `cosine_gap`: the loss is ln(1 + e^(−β gap))."""
    angle = np.arccos(1 - cosine_gap)
    rows = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    return rows, rows


def test_slope_of_two_pairs_is_known():
    """L = ln(1 + e^(−β g)) has the slope −g/(1 + e^(β g)), and falls all the way."""
    x, y = two_pairs(0.3)
    x = np.column_stack([0.9 * x, np.full(2, np.sqrt(1 - 0.81))])
    y = np.column_stack([0.9 * y, np.full(2, -np.sqrt(1 - 0.81))])
    margin = 0.81 * 0.3
    for beta in (1.0, 30.0):
        slope = shift_temperature.scale_slope(x, y, 0.0, 1 / beta, batch=None)
        assert_allclose(slope, -margin / (1 + np.exp(beta * margin)), rtol=1e-12)
    best = shift_temperature.best_temperature(x, y, batch=None)
    assert best.at_bound
    assert best.temperature == pytest.approx(1 / 300, rel=1e-15)


@given(pairs(), lambdas, st.floats(0.05, 10), directions, st.integers(1, 9))
def test_slope_matches_finite_differences(data, lam, temperature, direction, batch):
    x, y = data
    assume(survives(x, y, lam))
    options = {"batch": min(batch, len(x)), "direction": direction}
    beta, h = 1 / temperature, 1e-3
    slope = shift_temperature.scale_slope(x, y, lam, temperature, **options)[0, 0]
    loss = shift_landscape(x, y, lam, 1 / (beta + h * np.array([-2, -1, 1, 2])), **options).loss[:, 0]
    assert_allclose(slope, [1, -8, 8, -1] @ loss / (12 * h), atol=1e-9)  # h⁴ L⁽⁵⁾/30 with cosines in [−1, 1]


@settings(max_examples=25)
@given(pairs(min_n=4), st.lists(st.floats(-1, 1), min_size=1, max_size=3), directions)
def test_best_temperature_is_the_least_of_a_search(data, shifts, direction):
    x, y = data
    assume(all(survives(x, y, lam) for lam in shifts))
    found = shift_temperature.best_shift_temperatures(x, y, shifts, batch=None, direction=direction)
    for lam, temperature, loss in zip(shifts, found.temperatures, found.loss, strict=True):
        moved = naive.shifted(x, y, lam)

        def log_scale_loss(log_beta, moved=moved):
            return clip_loss(*moved, float(np.exp(-log_beta)), direction=direction)

        search = minimize_scalar(log_scale_loss, bounds=np.log([0.01, 300]), method="bounded", options={"xatol": 1e-9})
        assert loss <= search.fun + 1e-10
        assert_allclose(loss, clip_loss(*moved, temperature, direction=direction), rtol=1e-9, atol=1e-11)


@given(pairs(min_n=3), lambdas, directions)
def test_slope_vanishes_inside_and_points_out_at_an_end(data, lam, direction):
    x, y = data
    assume(survives(x, y, lam))
    found = shift_temperature.best_shift_temperatures(x, y, lam, batch=None, direction=direction)
    slope = shift_temperature.scale_slope(x, y, lam, found.temperatures, batch=None, direction=direction)[0, 0]
    if found.at_bound[0]:
        assert slope * (1 if found.temperatures[0] > 1 else -1) >= -1e-12
    else:
        assert abs(slope) < 1e-11


@given(pairs(), st.floats(0.01, 5), st.floats(0.01, 5), lambdas)
def test_slope_increases_with_the_scale(data, one, other, lam):
    x, y = data
    assume(survives(x, y, lam))
    slope = shift_temperature.scale_slope(x, y, lam, [max(one, other), min(one, other)], batch=None)[:, 0]
    assert slope[1] >= slope[0] - 1e-12


def test_the_curve_has_the_slope_of_the_envelope(clip):
    """d/dλ L(λ, τ*(λ)) is ∂L/∂λ, as the other derivative vanishes."""
    lam, h = 0.2, 1e-4
    curve = shift_temperature.best_shift_temperatures(*clip, lam + h * np.array([-2, -1, 0, 1, 2]))
    difference = np.array([1, -8, 0, 8, -1]) @ curve.loss / (12 * h)
    assert_allclose(shift_slope(*clip, lam, curve.temperatures[2])[0, 0], difference, rtol=1e-8)


def test_published_best_temperatures(clip):
    """Grid values of mind_the_gap.md §5 are 85, 64.6, 44.7 and 36.3; the roots differ, their losses do not."""
    curve = shift_temperature.best_shift_temperatures(*clip, [0.0, 0.25, 0.5])
    assert_allclose(1 / curve.temperatures, [84.1591, 64.6228, 44.5675], atol=5.1e-5)
    assert_allclose(curve.loss, [0.5555, 0.6964, 1.1279], atol=5.1e-5)
    best = shift_temperature.best_temperature(*clip)
    assert_allclose([1 / best.temperature, best.loss], [1 / curve.temperatures[0], curve.loss[0]], rtol=1e-9)
    moved = center(*clip)
    best = shift_temperature.best_temperature(moved.x, moved.y)
    assert_allclose([1 / best.temperature, best.loss], [36.2651, 0.5792], atol=5.1e-5)


def test_one_modality_moves_alone(clip):
    x, y = (rows[:20] for rows in clip)
    both = shift_separately(x, y, 0.3, 0.3)
    assert_allclose(both.x, shift_pairs(x, y, 0.3).x, atol=1e-15)
    images = shift_separately(x, y, 0.3, 0.0)
    texts = shift_separately(x, y, 0.0, 0.3)
    assert_allclose(images.x, both.x, atol=1e-15)
    assert_allclose(texts.y, both.y, atol=1e-15)
    assert_allclose(images.y, np.array(naive.unit(y)), atol=1e-15)
    assert_allclose(texts.x, np.array(naive.unit(x)), atol=1e-15)


def test_errors_name_the_argument():
    x, y = np.random.default_rng(3).normal(size=(2, 4, 3)) + 1
    with pytest.raises(ValueError, match=r"`bounds` must be increasing"):
        shift_temperature.best_temperature(x, y, batch=None, bounds=(1.0, 0.5))
    with pytest.raises(ValueError, match=r"`bounds` must be at least 1/300"):
        shift_temperature.best_shift_temperatures(x, y, 0.0, batch=None, bounds=(1e-3, 0.5))
    with pytest.raises(ValueError, match=r"`direction` must be one of"):
        shift_temperature.best_temperature(x, y, batch=None, direction="both")
    with pytest.raises(ValueError, match=r"`batch` must be at most the number of pairs, 4, got 50"):
        shift_temperature.best_temperature(x, y)
    with pytest.raises(ValueError, match=r"`lam_y` must be finite"):
        shift_separately(x, y, 0.0, np.nan)
    with pytest.raises(ValueError, match=r"`y` has a row shifted onto the origin: row 0 at lambda 0.5"):
        shift_separately([[1.0, 0.0]], [[-1.0, 0.0]], 0.0, 0.5)
