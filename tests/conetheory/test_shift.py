import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from conetheory import shift
from conetheory.contrastive import DIRECTIONS, clip_loss
from conetheory.gap import gap_norm, gap_vector
from tests import naive_pairs as naive

SCALES = np.array([100, 50, 30, 20, 10, 1])  # 1/τ of the notebooks


@st.composite
def pairs(draw, min_n=2):
    n, d = draw(st.integers(min_n, 9)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(2, n, d)) + 2 * rng.normal(size=(2, 1, d))


def survives(x, y, lam):
    """Whether every row stays clear of the origin, where the direction of the shifted row is lost."""
    delta = gap_vector(x, y)
    rows = [*(row - lam * delta for row in naive.unit(x)), *(row + lam * delta for row in naive.unit(y))]
    return min(np.linalg.norm(rows, axis=1)) > 0.05


lambdas = st.floats(-3, 3)
temperatures = st.floats(0.01, 10)
directions = st.sampled_from(DIRECTIONS)


@pytest.fixture(scope="module")
def clip(data_folder):
    x, y = np.load(data_folder / "mind_the_gap/features_clip.npy", allow_pickle=False)
    return x.astype(np.float64), y.astype(np.float64)


@given(pairs(), lambdas, temperatures, directions, st.integers(1, 9))
def test_landscape_matches_the_definition(data, lam, temperature, direction, batch):
    x, y = data
    assume(survives(x, y, lam))
    batch = min(batch, len(x))
    moved = naive.shifted(x, y, lam)
    result = shift.shift_landscape(x, y, [0.0, lam], [1.0, temperature], batch=batch, direction=direction)
    expected = naive.clip_loss(*moved, temperature, direction, batch)
    assert_allclose(result.loss[1, 1], expected, rtol=1e-9, atol=1e-11)
    assert_allclose(result.gap, [gap_norm(x, y), gap_norm(*moved)], atol=1e-13)
    assert np.sign(result.signed_gap[1]) == np.sign(gap_vector(*moved) @ gap_vector(x, y))


@given(pairs(), lambdas)
def test_shift_pairs_matches_the_definition(data, lam):
    x, y = data
    assume(survives(x, y, lam))
    result = shift.shift_pairs(x, y, lam)
    expected = naive.shifted(x, y, lam)
    assert_allclose(result.x, expected[0], atol=1e-13)
    assert_allclose(result.y, expected[1], atol=1e-13)


@given(pairs(), lambdas, st.floats(0.05, 10), directions, st.integers(1, 9))
def test_slope_matches_finite_differences(data, lam, temperature, direction, batch):
    x, y = data
    batch, h = min(batch, len(x)), 1e-3
    points = lam + h * np.array([-2, -1, 1, 2])
    assume(all(survives(x, y, point) for point in points))
    slope = shift.shift_slope(x, y, lam, temperature, batch=batch, direction=direction)[0, 0]
    loss = shift.shift_landscape(x, y, points, temperature, batch=batch, direction=direction).loss[0]
    # five-point rule: truncation h⁴ L⁽⁵⁾/30, where a row 0.05 from the origin and τ = .05 make L⁽⁵⁾ as large as 1e9
    assert_allclose(slope, loss @ [1, -8, 8, -1] / (12 * h), rtol=2e-3, atol=1e-8)


def test_slope_matches_finite_differences_on_published_pairs(clip):
    h, points = 1e-4, np.array([-0.3, 0.0, 0.25, 0.5, 1.2])
    for direction in DIRECTIONS:
        slope = shift.shift_slope(*clip, points, 1 / SCALES, direction=direction)
        losses = [
            shift.shift_landscape(*clip, points + k * h, 1 / SCALES, direction=direction).loss for k in (-2, -1, 1, 2)
        ]
        differences = np.tensordot([1, -8, 8, -1], losses, axes=1) / (12 * h)
        assert_allclose(slope, differences, rtol=1e-8, atol=1e-9)


@given(pairs(), st.integers(0, 2**32 - 1))
def test_landscape_ignores_rotation_scale_and_order(data, seed):
    x, y = data
    assume(survives(x, y, 0.4))
    rng = np.random.default_rng(seed)
    rotation, order = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0], rng.permutation(len(x))
    first = shift.shift_landscape(x, y, [0.0, 0.4], 0.2, batch=None)
    second = shift.shift_landscape(5 * (x @ rotation)[order], (y @ rotation)[order], [0.0, 0.4], 0.2, batch=None)
    assert_allclose(second.loss, first.loss, rtol=1e-10, atol=1e-12)
    assert_allclose(second.signed_gap, first.signed_gap, atol=1e-12)


@given(pairs(), temperatures)
def test_exchanging_the_modalities_exchanges_the_directions(data, temperature):
    x, y = data
    assume(survives(x, y, 0.3))
    forward = shift.shift_landscape(x, y, 0.3, temperature, batch=None, direction="x-to-y").loss
    assert_allclose(
        shift.shift_landscape(y, x, 0.3, temperature, batch=None, direction="y-to-x").loss, forward, rtol=1e-11
    )


def test_far_shifts_collapse_and_cost_ln_of_the_batch():
    x, y = np.random.default_rng(0).normal(size=(2, 6, 4)) + np.array([[[2.0, 0, 0, 0]], [[0, 2.0, 0, 0]]])
    far = shift.shift_landscape(x, y, [-1e6, 1e6], 0.1, batch=3)
    assert_allclose(far.loss, np.log(3), atol=1e-4)
    assert_allclose(far.signed_gap, [2, -2], atol=1e-5)


def test_delta_to_lambda():
    assert_allclose(
        shift.delta_to_lambda([-5.0, 0.0, 0.8221026, 4.75], 0.8221026), [-3.041, 0, 0.5, 2.889], atol=5.1e-4
    )


def parallel(h, gamma):
    """Rows √(1 − γ²) h_i with a common offset ±γ: the shift only scales the offset, and λ = ½ closes the gap."""
    h = np.array(naive.unit(h))
    return [np.column_stack([np.sqrt(1 - gamma**2) * h, np.full(len(h), side)]) for side in (gamma, -gamma)]


def test_parallel_modalities_have_their_minimum_at_one_half():
    """A matched set: the loss falls with the offset, so the minimum is λ = ½ exactly, a point of the grid."""
    x, y = parallel(np.concatenate([np.eye(4), -np.eye(4)]), 0.6)
    for temperature in (0.05, 0.3, 2.0):
        minimum = shift.minimise_shift(x, y, temperature, batch=None)
        assert not minimum.at_bound
        assert_allclose([minimum.lam, minimum.signed_gap], [0.5, 0], atol=1e-8)
        assert_allclose(minimum.loss, clip_loss(np.array(x)[:, :4], np.array(x)[:, :4], temperature), rtol=1e-12)


@given(pairs(), st.floats(0.05, 2), st.floats(0.1, 0.9), lambdas)
def test_parallel_modalities_only_change_the_temperature(data, temperature, gamma, lam):
    """Theory §8.7: the shift multiplies the scale by (1 − γ²)/(1 − γ² + γ²(1 − 2λ)²)."""
    h, other = (np.concatenate([rows, -rows]) for rows in data)  # both means are 0
    x, y = parallel(h, gamma)[0], parallel(other, gamma)[1]
    factor = (1 - gamma**2) / (1 - gamma**2 + gamma**2 * (1 - 2 * lam) ** 2)
    loss = shift.shift_landscape(x, y, lam, temperature, batch=None).loss[0, 0]
    assert_allclose(loss, clip_loss(h, other, temperature / factor), rtol=1e-10)


@settings(max_examples=15)
@given(pairs(min_n=4), st.floats(0.05, 2), directions)
def test_minimum_is_below_a_fine_grid(data, temperature, direction):
    x, y = data
    fine = np.linspace(-0.5, 1.5, 2001)
    assume(all(survives(x, y, lam) for lam in fine[::20]))
    minima = shift.local_minima(x, y, temperature, batch=None, direction=direction)
    best = shift.minimise_shift(x, y, temperature, batch=None, direction=direction)
    assert best.loss == min(minimum.loss for minimum in minima)
    loss = shift.shift_landscape(x, y, fine, temperature, batch=None, direction=direction).loss[0]
    assert best.loss <= loss.min() + 1e-12
    dips = (loss[1:-1] < loss[:-2] - 1e-12) & (loss[1:-1] < loss[2:] - 1e-12)
    assert dips.sum() <= sum(not minimum.at_bound for minimum in minima)
    for minimum in minima:
        slope = shift.shift_slope(x, y, minimum.lam, temperature, batch=None, direction=direction)[0, 0]
        assert minimum.at_bound or abs(slope) < 1e-9


def test_critical_temperature_changes_the_sign_of_the_slope(clip):
    for direction, scale in (("symmetric", 92.213), ("y-to-x", 65.222)):
        critical = shift.critical_temperature(*clip, direction=direction)
        assert_allclose(1 / critical, scale, atol=5.1e-4)
        above, below = shift.shift_slope(*clip, 0.0, critical * np.array([1.001, 0.999]), direction=direction)[:, 0]
        assert above < 0 < below
    with pytest.raises(ValueError, match=r"got 0 between"):  # the direction of Fig. 3 b-d: closing pays at every τ
        shift.critical_temperature(*clip, direction="x-to-y")
    minimum = shift.minimise_shift(*clip, 0.01, direction="x-to-y")
    assert_allclose([minimum.lam, minimum.gap, minimum.loss], [0.03834, 0.79699, 0.518926], atol=5.1e-6)


def test_published_landscape_at_both_ends_of_the_closing_shift(clip):
    landscape = shift.shift_landscape(*clip, [0.0, 0.5], 1 / SCALES)
    assert_allclose(landscape.gap, [0.8513519, 0.0078], atol=5.1e-5)
    assert_allclose(landscape.loss[:, 0], [0.5660, 0.6697, 1.0892, 1.6437, 2.5960, 3.7676], atol=5.1e-5)
    assert_allclose(landscape.loss[:, 1], [1.58647, 1.13729, 1.24406, 1.59618, 2.43501, 3.73697], atol=5.1e-6)


def test_published_minima(clip):
    grid = np.arange(-50, 151) / 100
    landscape = shift.shift_landscape(*clip, grid, 1 / SCALES)
    least = landscape.loss.argmin(axis=1)
    assert_allclose(grid[least], [-0.01, 0.08, 0.19, 0.27, 0.39, 0.49])
    assert_allclose(landscape.gap[least], [0.865, 0.7354, 0.5612, 0.4248, 0.2085, 0.0230], atol=5.1e-4)
    expected = [0.56593, 0.65493, 1.00982, 1.49315, 2.41901, 3.73696]
    assert_allclose(landscape.loss.min(axis=1), expected, atol=5.1e-6)
    for temperature, lam, loss in zip(1 / SCALES, grid[least], landscape.loss.min(axis=1), strict=True):
        minimum = shift.minimise_shift(*clip, temperature)
        assert abs(minimum.lam - lam) < 0.01
        assert minimum.loss <= loss


def test_published_back_to_back_minima(clip):
    deltas = np.arange(-20, 20) / 4
    grid = shift.delta_to_lambda(deltas, gap_norm(*clip))
    far = np.flatnonzero(deltas > 2)
    rows = {}
    for direction in ("symmetric", "x-to-y"):
        landscape = shift.shift_landscape(*clip, grid, [0.01, 0.02], direction=direction)
        rows[direction] = landscape.loss
        assert deltas[far[landscape.loss[:, far].argmin(axis=1)]].tolist() == [3.75, 2.75]
    at = {delta: int(np.flatnonzero(deltas == delta)[0]) for delta in (1.75, 2.75, 3.75)}
    gaps = [landscape.signed_gap[at[delta]] for delta in (3.75, 2.75, 1.75)]
    assert_allclose(gaps, [-1.6973, -1.4482, -0.8876], atol=5.1e-5)
    assert_allclose(rows["symmetric"][0, at[3.75]], 1.4515, atol=5.1e-5)
    assert_allclose(rows["x-to-y"][0, at[3.75]], 1.4845, atol=5.1e-5)
    assert_allclose(rows["symmetric"][1, at[2.75]], 1.7580, atol=5.1e-5)
    assert_allclose(rows["symmetric"][0, at[1.75]], 2.8470, atol=5.1e-5)  # the barrier between
    inner, outer = shift.local_minima(*clip, 0.01, bounds=(-1.0, 3.0))
    assert abs(inner.lam) < 0.01
    assert abs(outer.lam - shift.delta_to_lambda(3.75, gap_norm(*clip))) < 0.1
    assert outer.signed_gap < 0 < inner.signed_gap


def test_published_minima_in_one_batch_of_all(clip):
    grid = np.arange(-5, 55) / 100
    loss = shift.shift_landscape(*clip, grid, 1 / SCALES[::2], batch=None).loss
    assert_allclose(grid[loss.argmin(axis=1)], [-0.01, 0.20, 0.39])
    assert_allclose(loss[0].min(), 1.80081, atol=5.1e-6)


def test_errors_name_the_argument():
    x, y = np.random.default_rng(3).normal(size=(2, 4, 3)) + 1
    with pytest.raises(ValueError, match=r"`x` and `y` must have different means"):
        shift.shift_landscape(x, x, 0.0, 1.0, batch=None)
    with pytest.raises(ValueError, match=r"`temperatures` must be at least 1/300, got 0.001"):
        shift.shift_landscape(x, y, 0.0, [1.0, 0.001], batch=None)
    with pytest.raises(ValueError, match=r"`temperature` must be at least 1/300, got -1"):
        shift.minimise_shift(x, y, -1.0, batch=None)
    with pytest.raises(ValueError, match=r"`lambdas` must be finite"):
        shift.shift_slope(x, y, np.nan, 1.0, batch=None)
    with pytest.raises(ValueError, match=r"`lambdas` must be a scalar or a non-empty vector"):
        shift.shift_slope(x, y, [[0.0]], 1.0, batch=None)
    with pytest.raises(ValueError, match=r"`batch` must be at most the number of pairs, 4, got 50"):
        shift.shift_slope(x, y, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"`direction` must be one of"):
        shift.shift_slope(x, y, 0.0, 1.0, batch=None, direction="both")
    with pytest.raises(ValueError, match=r"`bounds` must be increasing, got \(1.0, 0.0\)"):
        shift.local_minima(x, y, 1.0, batch=None, bounds=(1.0, 0.0))
    with pytest.raises(ValueError, match=r"`gap` must be positive"):
        shift.delta_to_lambda(1.0, 0.0)
    with pytest.raises(ValueError, match=r"`x` has a row shifted onto the origin: row 0 at lambda 0.5"):
        shift.shift_pairs([[1.0, 0.0]], [[-1.0, 0.0]], 0.5)
