import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from conetheory.contrastive import clip_loss
from conetheory.contrastive_gradient import contrastive_gradient
from conetheory.errors import ConvergenceError
from conetheory.gap import gap_norm, uniformity
from conetheory.gap_equilibria import fixed_rest, resting_scale
from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import matrix_profile, simplex_profile
from conetheory.temperature_laws import (
    exponential_law,
    fixed_law,
    linear_law,
    linear_schedule,
    scheduled_law,
    softplus_law,
)
from sims import _flow_gather, _flow_motion
from sims import _flow_gradient as flow_gradient
from sims.flow_starts import cone_start, parallel_start, partial_shuffle, uniform_start
from sims.gradient_flow import gradient_flow
from tests.naive_flow import naive_flow, naive_gradient, naive_loss, ring_flow, ring_rows, simplex_corners, simplex_flow
from tests.processors import assert_same_bits, on_every_processor, printed_with

SLOPES = {
    "exp": (exponential_law(), lambda b: b),
    "half": (exponential_law(2.0), lambda b: b / 2),
    "linear": (linear_law(), lambda b: 1.0),
    "softplus": (softplus_law(), lambda b: 1 - np.exp(-b)),
    "fixed": (fixed_law(), lambda b: 0.0),
}


def gradient(x, y, beta, precision="double", workers=1):
    with flow_gradient.in_order(workers) as gather:
        return flow_gradient.clip_gradient(x, y, beta, single=precision == "single", gather=gather)


def pairs(n, dim, noise, seed=0):
    start = uniform_start(n, dim, rng=seed)
    y = start.y if noise is None else start.x + noise * start.y
    return start.x, y / np.linalg.norm(y, axis=1, keepdims=True)


# --- loss and gradient ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "dim", "beta", "noise"), [(2, 2, 1.0, None), (7, 3, 14.3, None), (33, 8, 14.3, 0.5)])
def test_loss_and_gradient_are_those_of_the_definition(n, dim, beta, noise):
    x, y = pairs(n, dim, noise)
    found = gradient(x, y, beta)
    grad_x, grad_y, slope = naive_gradient(x, y, beta)
    assert found.loss == pytest.approx(naive_loss(x, y, beta), rel=1e-13)
    assert_allclose(found.x / (2 * n), grad_x, rtol=0, atol=1e-13)
    assert_allclose(found.y / (2 * n), grad_y, rtol=0, atol=1e-13)
    assert found.slope == pytest.approx(slope, rel=1e-11)


@pytest.mark.parametrize(
    ("n", "dim", "beta", "noise"),
    [(600, 16, 100.0, None), (700, 64, 100.0, 0.05), (64, 64, 100.0, 1e-3), (1030, 8, 0.5, None), (20, 2, 600.0, None)],
)
@pytest.mark.parametrize(("precision", "eps"), [("double", 1e-15), ("single", 6e-8)])
def test_both_precisions_agree_with_the_theory_however_small_the_loss(n, dim, beta, noise, precision, eps):
    x, y = pairs(n, dim, noise)
    exact, found = contrastive_gradient(x, y, 1 / beta), gradient(x, y, beta, precision)
    allowed = 20 * (1 + beta) * eps
    assert found.loss == pytest.approx(exact.loss, rel=allowed)
    for mine, theirs in ((found.x, exact.gradient_x), (found.y, exact.gradient_y)):
        assert np.max(np.abs(mine / (2 * n) - theirs)) < allowed * np.max(np.abs(theirs))
    assert found.slope * beta == pytest.approx(exact.scale_slope, rel=allowed)


def test_gradient_is_the_slope_of_the_loss():
    x, y = pairs(9, 4, None)
    found, step = gradient(x, y, 5.0), 1e-6
    for side, grad in ((0, found.x), (1, found.y)):
        numeric = np.empty_like(grad)
        for place in np.ndindex(grad.shape):
            moved = [np.stack([x, y]) for _ in range(2)]
            for rows, sign in zip(moved, (1, -1), strict=True):
                rows[(side, *place)] += sign * step
            numeric[place] = (gradient(*moved[0], 5.0).loss - gradient(*moved[1], 5.0).loss) / (2 * step)
        assert_allclose(grad / 18, numeric, rtol=0, atol=1e-8)  # a loss of 5 is rounded to 1e-15: a slope to some 1e-9
    up, down = (gradient(x, y, 5.0 + sign * step).loss for sign in (1, -1))
    assert found.slope == pytest.approx((up - down) / (2 * step), rel=1e-7)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_exponentials_that_are_not_kept_are_computed_again(monkeypatch, precision):
    x, y = pairs(1100, 12, 0.7)
    kept = gradient(x, y, 20.0, precision)
    monkeypatch.setattr(_flow_gather, "_KEPT", 0)
    again = gradient(x, y, 20.0, precision, workers=2)
    assert kept.loss == again.loss
    assert_array_equal(kept.x, again.x)
    assert_array_equal(kept.y, again.y)


def test_single_precision_gives_way_where_it_cannot_hold_a_row():
    x, y = pairs(40, 3, None)
    x[0] = -y.mean(axis=0) / np.linalg.norm(y.mean(axis=0))
    y = y + 3 * y.mean(axis=0) / np.linalg.norm(y.mean(axis=0))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    assert_array_equal(gradient(x, y, 400.0, "single").x, gradient(x, y, 400.0).x)
    with pytest.raises(ConvergenceError, match="4000"):
        gradient(x, y, 4000.0)


def test_moves_between_gradients_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows, *velocities = rng.standard_normal((4, 7, 5))
    free, weights, lengths = np.array([1, 0, 1, 1, 0], dtype=bool), (0.5, -2.0, 1.0), rng.uniform(0.1, 2, 7)
    moved, descent = np.empty((2, 7, 5))
    _flow_motion.fill_moved(rows, weights, tuple(velocities), lengths, free, moved)
    change = sum(weight * velocity for weight, velocity in zip(weights, velocities, strict=True))
    expected = rows + change
    expected[:, free] *= (lengths / np.linalg.norm(expected[:, free], axis=1))[:, None]
    assert_allclose(moved, expected, rtol=0, atol=1e-14)
    assert _flow_motion.summed_square(weights, tuple(velocities)) == pytest.approx(np.sum(change**2), rel=1e-13)
    _flow_motion.fill_descent(rows, velocities[0], free, descent)
    part = rows * free
    along = np.sum(part * velocities[0], axis=1, keepdims=True) / np.sum(part**2, axis=1, keepdims=True)
    assert_allclose(descent, along * part - velocities[0] * free, rtol=0, atol=1e-14)
    assert_allclose(np.sum(descent * part, axis=1), 0, atol=1e-13)


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    code = (
        "import numpy as np; from sims import _flow_lanes as k; import hashlib\n"
        "r = np.random.default_rng(0); x, y = r.uniform(-0.2, 0.2, (2, 96, 16)).astype(np.float32)\n"
        "own, rows = np.empty((2, 48), np.float32); strip = np.empty((2, 48 * 48), np.float32)\n"
        "columns, (gx, gy) = np.zeros(96, np.float32), np.zeros((2, 96, 16), np.float32)\n"
        "lanes = np.ascontiguousarray(y.reshape(6, 16, 16).transpose(0, 2, 1))\n"
        "k.fill_strip(x[48:], lanes, 1, 85, 30.0, 0.1, strip, own, rows, columns)\n"
        "assert not columns[85:].any() and not rows[37:].any() and columns[:85].all() and rows[:37].all()\n"
        "k.weigh_strip(strip, 1, x[48:], y, rows, columns, -rows, gx[48:], gy)\n"
        "print(hashlib.sha256(b''.join(v.tobytes() for v in (strip, own, rows, columns, gx, gy))).hexdigest())"
    )
    assert_same_bits(code, name, features, tmp_path)


# --- the flow ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SLOPES)
def test_flow_is_that_of_an_integrator_of_scipy(name):
    law, slope = SLOPES[name]
    x, y = pairs(6, 3, None)
    times = [0.05, 0.5, 2.0]
    found = gradient_flow(x, y, law, times, beta0=4.0, rtol=1e-8)
    rows, betas = naive_flow(x, y, slope, 4.0, times)
    assert_allclose(found.x, rows[-1, 0], rtol=0, atol=2e-6)
    assert_allclose(found.y, rows[-1, 1], rtol=0, atol=2e-6)
    assert_allclose(found.beta, betas, rtol=2e-6)
    for k, (u, v) in enumerate(rows):
        assert found.loss[k] == pytest.approx(clip_loss(u, v, 1 / betas[k]), rel=1e-5)
        assert found.gap_norm[k] == pytest.approx(gap_norm(u, v), abs=1e-5)
        assert found.uniformity[k] == pytest.approx((uniformity(u) + uniformity(v)) / 2, abs=1e-5)
        assert found.alignment[k] == pytest.approx(np.mean(np.sum((u - v) ** 2, axis=1)), abs=1e-5)


def test_flow_under_a_schedule_and_with_a_slow_temperature():
    x, y = pairs(6, 3, None)
    found = gradient_flow(x, y, linear_schedule(3.0, 9.0, 1.0), [0.5, 1.5], beta0=3.0, rtol=1e-8)
    rows, _ = naive_flow(x, y, lambda b: 0.0, 3.0, [0.5, 1.5], schedule=lambda t: 3 + 6 * min(t, 1.0))
    assert_array_equal(found.beta, [6.0, 9.0])
    assert_allclose(found.x, rows[-1, 0], rtol=0, atol=3e-6)
    slow = gradient_flow(x, y, exponential_law(), [1.0], beta0=4.0, rtol=1e-8, temperature_rate=0.1)
    _, betas = naive_flow(x, y, lambda b: b, 4.0, [1.0], rate=0.1)
    assert_allclose(slow.beta, betas, rtol=1e-6)


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("seed", range(3))
def test_loss_falls_at_every_step_and_rows_stay_on_the_sphere(seed, precision):
    start = cone_start(40, 10, 0.4, 1.2, rng=seed)
    found = gradient_flow(start.x, start.y, exponential_law(), [0.0, 30.0], beta0=20.0, rtol=1e-4, precision=precision)
    assert np.all(np.diff(found.step_t) > 0)
    assert np.all(np.diff(found.step_loss) < 0)
    assert found.step_loss[-1] < 0.01 * found.step_loss[0]
    assert_allclose(np.linalg.norm([found.x, found.y], axis=2), 1, rtol=1e-14)
    assert found.step_loss[-1] == found.loss[-1]


def test_precisions_and_threads():
    start = uniform_start(600, 16, rng=1)
    flows = [
        gradient_flow(start.x, start.y, exponential_law(), [0.3], beta0=10.0, rtol=1e-4, precision=p, workers=w)
        for p, w in (("double", 1), ("single", 1), ("single", 2))
    ]
    assert_array_equal(flows[1].x, flows[2].x)
    assert_array_equal(flows[1].step_loss, flows[2].step_loss)
    assert flows[1].loss[0] == pytest.approx(flows[0].loss[0], rel=1e-3)
    assert flows[1].gap_norm[0] == pytest.approx(flows[0].gap_norm[0], abs=1e-4)


def test_the_plain_kernels_do_all_of_it():
    code = (
        "from sims.gradient_flow import gradient_flow; from sims.flow_starts import uniform_start\n"
        "from conetheory.temperature_laws import fixed_law; from sims import _flow_gradient as g\n"
        "assert g._tiles is None; s = uniform_start(20, 4, rng=0)\n"
        "f = [gradient_flow(s.x, s.y, fixed_law(), [1.0], beta0=9.0, precision=p) for p in ('single', 'double')]\n"
        "print(abs(f[0].loss[0] / f[1].loss[0] - 1) < 1e-4)"
    )
    assert printed_with(code, CONETHEORY_KERNELS="plain") == "True"


def test_rotations_commute_with_the_flow_and_no_torque_acts():
    x, y = pairs(12, 5, None)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
    one = gradient_flow(x, y, exponential_law(), [1.0], beta0=6.0, rtol=1e-9)
    other = gradient_flow(x @ turn, y @ turn, exponential_law(), [1.0], beta0=6.0, rtol=1e-9)
    assert_allclose(one.x @ turn, other.x, rtol=0, atol=1e-9)
    found = gradient(x, y, 6.0)
    torque = x.T @ found.x + y.T @ found.y
    assert_allclose(torque, torque.T, rtol=0, atol=1e-12)


# --- exact reductions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SLOPES)
def test_simplex_corners_stay_parallel_and_follow_the_reduced_flow(name):
    """Theory 23.2: the flow of two numbers with the mobility 1 - γ²."""
    law, slope = SLOPES[name]
    start, times = parallel_start(*2 * [simplex_corners(12)], 0.6), [1.0, 10.0, 200.0]
    found = gradient_flow(start.x, start.y, law, times, beta0=5.0, rtol=1e-8)
    gamma, beta = simplex_flow(12, slope, [0.6, 5.0], times)
    assert_allclose(found.gap_norm / 2, gamma, rtol=0, atol=3e-8)  # the errors of all steps: some rtol
    assert_allclose(found.beta, beta, rtol=2e-7)
    assert_allclose(found.x[:, -1], gamma[-1], rtol=0, atol=1e-7)
    if name != "fixed":
        open_ = found.gap_norm > 1e-3  # a smaller one is known to few digits: errors are absolute
        kept = np.log(found.gap_norm[open_]) + 2 * law.first_integral(found.beta[open_])
        assert np.ptp([*kept, np.log(1.2) + 2 * law.first_integral(5.0)]) < 1e-5
    printed = gap_flow(simplex_profile(12), law, 0.6, 5.0, t_end=200.0).at(times)
    assert np.max(np.abs(printed.gamma / gamma - 1)) > 0.1


def test_error_is_that_of_a_third_order():
    """A step's error is estimated to second order, so what is allowed is what accumulates: a tenth gives a tenth."""
    start = parallel_start(*2 * [simplex_corners(8)], 0.6)
    exact = simplex_flow(8, lambda b: 1.0, [0.6, 5.0], [1.0, 3.0])[0, -1]
    errors = [
        gradient_flow(start.x, start.y, linear_law(), [3.0], beta0=5.0, rtol=rtol).gap_norm[0] / 2 - exact
        for rtol in (1e-5, 1e-6, 1e-7)
    ]
    assert np.all(np.abs(errors) < [4e-5, 4e-6, 4e-7])
    assert_allclose(np.divide(errors[:2], errors[1:]), 10, rtol=0.4)


def test_small_gaps_follow_the_printed_flow():
    start, times = parallel_start(*2 * [simplex_corners(12)], 0.01), [10.0, 1000.0]
    found = gradient_flow(start.x, start.y, exponential_law(), times, beta0=5.0, rtol=1e-7)
    printed = gap_flow(simplex_profile(12), exponential_law(), 0.01, 5.0, t_end=1000.0).at(times)
    assert_allclose(found.gap_norm / 2, printed.gamma, rtol=2e-4)


@pytest.mark.parametrize(("latitude", "shift"), [(0.2, 2.0), (0.6, 0.9), (0.1, -2.9)])
def test_a_ring_follows_the_flow_of_three_numbers(latitude, shift):
    """Theory 23.3: mismatch, gap and temperature alone; the gap rises first and falls once pairs are matched."""
    n, times = 9, [0.02, 0.2, 1.0]
    x, y = ring_rows(n, latitude, shift)
    found = gradient_flow(x, y, exponential_law(), times, beta0=4.0, rtol=1e-8)
    state = ring_flow(n, lambda b: b, [latitude, shift, 4.0], times)
    assert_allclose(found.gap_norm, 2 * np.abs(np.sin(state[0])), rtol=0, atol=1e-7)
    assert_allclose(found.beta, state[2], rtol=1e-7)  # near a shift of π, a saddle, errors grow severalfold
    u, v = ring_rows(n, *state[:2, -1])
    assert_allclose(found.x @ found.y.T, u @ v.T, rtol=0, atol=1e-7)


def test_speed_of_the_common_coordinate_of_any_parallel_rows():
    """Theory 23.2: on average over the rows it is that of the reduced flow times 1 - γ²."""
    h, k = pairs(30, 6, None)
    for gamma in (0.1, 0.5, 0.9):
        start = parallel_start(h, k, gamma)
        found = gradient(start.x, start.y, 7.0)
        along = [
            -(g[:, -1] - np.sum(g * p, axis=1) * p[:, -1]).mean() for g, p in ((found.x, start.x), (found.y, start.y))
        ]
        force = float(matrix_profile(h @ k.T).force(7.0 * (1 - gamma**2)))
        assert (along[0] - along[1]) / 2 == pytest.approx(-14 * gamma * (1 - gamma**2) * force, rel=1e-11)


# --- what happens -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_figure_1_gap_rises_while_mismatched_and_then_falls_slowly(seed):
    start = parallel_start(*pairs(64, 16, None, seed), 0.2)
    times = np.append(0.0, np.geomspace(0.005, 1e5, 60))
    found = gradient_flow(start.x, start.y, exponential_law(), times, beta0=10.0, rtol=1e-4)
    top, first = int(np.argmax(found.gap_norm)), int(np.argmax(found.matched == 1))
    assert 0 < top < first
    assert found.matched[0] < 0.2
    assert np.all(found.matched[first:] == 1)
    assert np.all(found.margin[first:] > 0)
    assert np.all(np.diff(found.gap_norm[first:]) < 0)
    assert found.gap_norm[-1] > 0.03
    late = times > 10
    falls = np.polyfit(np.log(times[late]), np.log(found.gap_norm[late]), 1)[0]
    assert -0.2 < falls < -0.1  # far slower than any exponential, as 1/ln² t looks over these decades


def test_mismatch_does_not_last_at_a_fixed_temperature():
    """With frozen features the gap would settle at the pitchfork's 1.4; free ones mend their pairs."""
    h, _ = pairs(32, 16, None)
    k = h[partial_shuffle(32, 0.25, rng=0)]
    rest = 2 * fixed_rest(resting_scale(matrix_profile(h @ k.T)), 10.0)
    start = parallel_start(h, k, 0.3)
    found = gradient_flow(start.x, start.y, fixed_law(), [0.0, 0.05, 1000.0], beta0=10.0, rtol=1e-4)
    assert rest > 1.3
    assert found.gap_norm[1] > found.gap_norm[0]
    assert found.gap_norm[2] < 1e-3
    assert_array_equal(found.matched, [0.75, found.matched[1], 1.0])


def test_gap_across_frozen_coordinates_stays():
    start = uniform_start(20, 8, rng=0)
    x, y = start.x + 0.3 * np.eye(8)[6], start.y - 0.3 * np.eye(8)[6]
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    found = gradient_flow(x, y, exponential_law(), [2.0], beta0=10.0, rtol=1e-3, frozen=[6, 7])
    assert_allclose(found.x[:, 6:], x[:, 6:], rtol=0, atol=1e-15)
    assert_allclose(found.y[:, 6:], y[:, 6:], rtol=0, atol=1e-15)
    assert_allclose(np.linalg.norm(found.x, axis=1), 1, rtol=1e-13)
    assert np.all(np.diff(found.step_loss) < 0)
    still = np.linalg.norm(x[:, 6:].mean(axis=0) - y[:, 6:].mean(axis=0))
    assert found.gap_norm[0] > still > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_two_cones_close_in_three_dimensions_and_stay_apart_in_64(seed):
    for dim in (3, 64):
        start = cone_start(64, dim, 0.3, np.pi / 2, rng=seed)
        found = gradient_flow(start.x, start.y, fixed_law(), [0.0, 10.0], beta0=100.0, rtol=1e-3)
        assert found.matched[-1] == 1
        if dim == 3:
            assert found.gap_norm[1] < 0.01
        else:
            assert found.gap_norm[1] > 0.9 * found.gap_norm[0]


# --- starts -----------------------------------------------------------------------------------------------------------


def test_starts():
    start = cone_start(50, 7, 0.3, 1.1, rng=0)
    assert_allclose(start.x[:, 0], np.cos(0.3), rtol=1e-14)
    axis = np.append([np.cos(1.1), np.sin(1.1)], np.zeros(5))
    assert_allclose(start.y @ axis, np.cos(0.3), rtol=1e-14)
    assert_allclose(np.linalg.norm([start.x, start.y], axis=2), 1, rtol=1e-14)
    assert_array_equal(uniform_start(5, 3, rng=4).x, uniform_start(5, 3, rng=4).x)
    for fraction, wrong in ((0.0, 0), (0.01, 0), (0.05, 2), (0.3, 6), (1.0, 20)):
        pairing = partial_shuffle(20, fraction, rng=0)
        assert_array_equal(np.sort(pairing), np.arange(20))
        assert np.sum(pairing != np.arange(20)) == wrong
    parallel = parallel_start([[3.0, 0.0]], [[0.0, 2.0]], -0.6)
    assert_allclose(parallel.x, [[0.8, 0, -0.6]], rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cone_start(5, 3, 2.0, 1.0), r"`half_angle` .*2\.0"),
        (lambda: cone_start(5, 3, 0.1, -1.0), r"`axes_angle` .*-1\.0"),
        (lambda: cone_start(5, 1, 0.1, 1.0), r"`dim` .*1"),
        (lambda: uniform_start(1, 3), r"`n` .*1"),
        (lambda: partial_shuffle(5, 1.5), r"`fraction` .*1\.5"),
        (lambda: parallel_start([[1.0]], [[1.0]], 1.0), r"`gamma` .*1\.0"),
    ],
)
def test_bad_starts_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beta0": 0.0}, r"`beta0` .*0\.0"),
        ({"beta0": np.nan}, r"`beta0` .*nan"),
        ({"rtol": 1e-13}, r"`rtol` .*1e-13"),
        ({"temperature_rate": -1.0}, r"`temperature_rate` .*-1\.0"),
        ({"frozen": [4]}, r"`frozen` .*4"),
        ({"frozen": [0, 1, 2, 3]}, r"`x` .*row 0"),
        ({"times": [1.0, 1.0]}, r"`times` .*1\.0"),
        ({"times": [-1.0]}, r"`times` .*-1\.0"),
        ({"law": scheduled_law(lambda t: 2.0)}, r"`beta0` .*2\.0"),
        ({"workers": 0}, r"`workers` .*0"),
        ({"y": np.eye(3)}, r"`y` .*\(3, 3\)"),
    ],
)
def test_bad_input_is_named(changed, message):
    arguments = {"x": np.eye(4), "y": np.eye(4), "law": fixed_law(), "times": [1.0], "beta0": 5.0} | changed
    with pytest.raises(ValueError, match=message):
        gradient_flow(**arguments)


def test_precision_is_named():
    with pytest.raises(Exception, match=r"`precision`|parameter 'precision'"):
        gradient_flow(np.eye(4), np.eye(4), fixed_law(), [1.0], beta0=5.0, precision="half")
