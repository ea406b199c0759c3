"""The landscape of shifted pairs: that of conetheory, whatever the data, the batches, the threads and the processor."""

import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from conetheory import shift
from conetheory.contrastive import clip_loss
from sims import _landscape_lanes as lanes
from sims import _landscape_sums as sums
from sims import _lane_functions as functions
from sims import _simd as simd
from sims.shift_landscape import shift_landscape
from tests import naive_lanes
from tests.processors import assert_same_bits, on_every_processor, printed_with

TEMPERATURES = [1.0, 0.1, 1 / 20, 1 / 30, 1 / 50, 1 / 100]
GENERIC = [1 / 7.3, 1 / 97, 0.7]
DIRECTIONS = {"loss": "symmetric", "x_to_y": "x-to-y", "y_to_x": "y-to-x"}


def cones(n, d=32, seed=0, noise=0.7):
    """Two cones of pairs that know of each other."""
    rng = np.random.default_rng(seed)
    shared, one, other = rng.standard_normal((3, n, d))
    x, y = shared + noise * one, shared + noise * other
    x[:, 0] += 6
    y[:, 1] += 6
    return x, y


def differences(x, y, lambdas, temperatures, batch):
    """Return the greatest differences from conetheory's losses, and that of the gaps."""
    found = shift_landscape(x, y, lambdas, temperatures, batch=batch)
    exact = {
        field: shift.shift_landscape(x, y, lambdas, temperatures, batch=batch, direction=direction)
        for field, direction in DIRECTIONS.items()
    }
    losses = [np.max(np.abs(getattr(found, field) - one.loss)) for field, one in exact.items()]
    return max(losses), np.max(np.abs(found.signed_gap - exact["loss"].signed_gap))


@pytest.mark.parametrize("temperatures", [TEMPERATURES, GENERIC, [0.01], 1 / 300])
@pytest.mark.parametrize(("n", "batch"), [(200, 50), (187, 50), (61, None), (6, 1), (7, 2)])
@pytest.mark.parametrize("n_lambdas", [1, 16, 37])
def test_losses_and_gap_are_those_of_the_theory(n, batch, n_lambdas, temperatures):
    x, y = cones(n)
    loss, gap = differences(x, y, np.linspace(-0.5, 1.5, n_lambdas), temperatures, batch)
    assert loss < 5e-6
    assert gap < 1e-13


def test_losses_of_one_batch_in_several_panels(monkeypatch):
    x, y = cones(150)
    lambdas = np.linspace(-1, 2, 20)
    whole = shift_landscape(x, y, lambdas, TEMPERATURES, batch=None)
    monkeypatch.setattr(sums, "_PANEL", 150 * 44)
    parts = shift_landscape(x, y, lambdas, TEMPERATURES, batch=None)
    assert_allclose(parts.x_to_y, whole.x_to_y, rtol=0, atol=1e-6)  # the products are rounded otherwise
    assert_allclose(parts.y_to_x, whole.y_to_x, rtol=0, atol=1e-6)
    monkeypatch.setattr(sums, "_PANEL", 2 * 50 * 50)
    several = shift_landscape(x, y, lambdas, TEMPERATURES, batch=50)
    assert differences(x, y, lambdas, TEMPERATURES, 50)[0] < 5e-6
    assert_array_equal(several.loss, shift_landscape(x, y, lambdas, TEMPERATURES, batch=50).loss)


def test_result_is_read_as_that_of_the_theory():
    x, y = cones(30)
    found = shift_landscape(x, y, [0.0, 0.4], [0.1, 0.5], batch=None)
    assert isinstance(found, shift.ShiftLandscape)
    assert_allclose(found.loss, (found.x_to_y + found.y_to_x) / 2, rtol=1e-15)
    assert_array_equal(found.gap, np.abs(found.signed_gap))
    assert found.loss[1, 0] == pytest.approx(clip_loss(x, y, 0.5), abs=1e-6)
    backwards = shift_landscape(x, y, [0.4, 0.0], [0.5, 0.1], batch=None)
    assert_allclose(backwards.loss[::-1, ::-1], found.loss, rtol=0, atol=1e-7)


def left_out(monkeypatch):
    """Count what is done in float64."""
    rows = []
    plain = sums._plain_sums

    def spy(pairs, direction, part, *rest):
        rows.append(len(part))
        return plain(pairs, direction, part, *rest)

    monkeypatch.setattr(sums, "_plain_sums", spy)
    return rows


def test_rows_far_below_the_common_level_are_done_in_float64(monkeypatch):
    """A few pairs that match nothing: their own exponentials, and all others of their rows, underflow."""
    x, y = cones(200, noise=0.02)
    x[[3, 77]] *= -1
    x[5] = -y.mean(axis=0)
    rows = left_out(monkeypatch)
    loss, _ = differences(x, y, np.linspace(-0.2, 0.7, 20), [1 / 100, 1 / 250, 1.0], None)
    assert 0 < sum(rows) < 200
    assert loss < 5e-6


def test_a_row_of_which_all_but_its_own_exponential_underflow(monkeypatch):
    """Its exponentials, cut at their least, would count beside its own, which is not much larger: 2^-121."""
    own = np.full(30, 0.9)
    own[4] = 0.62
    x = np.hstack([np.eye(30), np.zeros((30, 30))])
    y = np.hstack([np.diag(own), np.diag(np.sqrt(1 - own**2))])
    rows = left_out(monkeypatch)
    loss, _ = differences(x, y, [0.0], [1 / 300], None)
    assert rows == [1, 1]
    assert loss < 1e-9


@pytest.mark.parametrize("sign", [1, -1])
def test_ratios_beyond_the_range_of_float32(sign, monkeypatch):
    """Each row matches every column but its own, or its own alone: by up to 600 nats."""
    rng = np.random.default_rng(1)
    y = np.eye(12) + 0.02 * rng.standard_normal((12, 12)) + 0.1
    x = y if sign == 1 else np.roll(y, 1, axis=0) - 0.9 * y
    x = x + 0.3 * np.eye(12)[0]
    rows = left_out(monkeypatch)
    loss, _ = differences(x, y, np.linspace(-0.5, 0.5, 16), [1 / 300, 0.1], None)
    assert (sum(rows) > 0) == (sign == -1)
    assert loss < 5e-6


def test_shifts_that_bring_a_row_near_the_origin_are_done_in_float64(monkeypatch):
    x, y = cones(40)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    delta = x.mean(axis=0) - y.mean(axis=0)
    for _ in range(50):
        x[0] = delta / np.linalg.norm(delta)  # shifted onto the origin at 1 / |gap|
        delta = x.mean(axis=0) - y.mean(axis=0)
    lost = float(1 / np.linalg.norm(delta))
    lambdas = np.linspace(0, lost - 1e-3, 40)
    rows = left_out(monkeypatch)
    loss, gap = differences(x, y, lambdas, [0.01, 0.1], None)
    assert rows.count(40) == 2  # both directions of the shifts near the end
    assert loss < 5e-6
    assert gap < 1e-11
    with pytest.raises(ValueError, match="`x` has a row shifted onto the origin: row 0 at lambda"):
        shift_landscape(x, y, [0.0, lost], 0.1, batch=None)
    with pytest.raises(ValueError, match="`y` has a row shifted onto the origin: row 0 at lambda"):
        shift_landscape(y, x, [0.0, lost], 0.1, batch=None)


@pytest.mark.parametrize("temperature", [1e6, 1e29, 1e40])
def test_hot_pairs_know_nothing_of_each_other(temperature):
    x, y = cones(20)
    found = shift_landscape(x, y, [0.0, 0.5], [temperature, 0.1], batch=None)
    assert_allclose(found.loss[0], np.log(20), rtol=0, atol=1e-6)


def test_rows_of_extreme_norms():
    x, y = cones(30)
    plain = shift_landscape(x, y, [0.3], 0.1, batch=10)
    scaled = shift_landscape(x * np.geomspace(1e-200, 1e200, 30)[:, None], y, [0.3], 0.1, batch=10)
    assert_allclose(scaled.loss, plain.loss, rtol=0, atol=1e-6)


def test_threads_change_no_bit():
    x, y = cones(130)
    x[7] = -y.mean(axis=0)
    for batch in (50, None):
        one = shift_landscape(x, y, np.linspace(-1, 1, 40), [0.01, 1 / 250], batch=batch)
        two = shift_landscape(x, y, np.linspace(-1, 1, 40), [0.01, 1 / 250], batch=batch, workers=2)
        assert_array_equal(one.x_to_y, two.x_to_y)
        assert_array_equal(one.y_to_x, two.y_to_x)


def test_plan_multiplies_where_inverse_temperatures_add_up():
    plan, floors = sums.product_plan(np.sort(1 / np.array(TEMPERATURES)))
    assert plan.tolist() == [[-1, -1], [-1, -1], [1, 1], [1, 2], [2, 3], [4, 4]]
    assert_allclose(floors[3], 2.0 ** (-125 * np.array([1, 2]) / 3), rtol=1e-6)
    assert np.all(sums.product_plan(np.array([1.0, 2.5, 3.6]))[0] == -1)


@njit
def powers(x, factor, out):
    for i in range(0, x.size, 16):
        simd.store(out, i, functions.power_of_two(simd.load(x, i), simd.floats(factor)))


def check_powers(x, factor):
    found = np.empty(x.size, np.float32)
    powers(x, np.float32(factor), found)
    assert np.max(np.abs(found / np.exp2(x.astype(np.float64) * np.float64(np.float32(factor))) - 1)) < 1e-7


def test_powers_at_a_million_inputs_and_the_ends():
    check_powers(np.linspace(-125, 125, 1 << 20, dtype=np.float32), 1.0)
    check_powers(np.linspace(-1.25, 1.25, 1 << 16, dtype=np.float32), 99.9)
    check_powers(np.resize(np.array([0, -0.0, 0.5, -0.5, 1e-30, -1e-42, 124.5, -124.5], np.float32), 16), 1.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_powers_at_every_input():
    end = int(np.float32(125).view(np.uint32)) // 16 * 16
    for start in range(0, end, 1 << 22):
        bits = np.arange(start, min(start + (1 << 22), end), dtype=np.uint32)
        check_powers(bits.view(np.float32), 1.0)
        check_powers(-bits.view(np.float32), 1.0)


def test_coefficients_are_the_minimax_fit():
    found, error = naive_lanes.minimax(np.exp2, -0.5, 0.5, 6)
    assert error < 2e-9
    assert_allclose([float(getattr(functions, f"_E{i}")) for i in range(7)], found, rtol=2e-5)


CODE = """
import hashlib, numpy as np
from sims import _landscape_lanes as lanes
f = np.float32
values = ((np.arange(6000, dtype=np.uint64) * 2654435761 % 4093) / 4093).astype(f)
products, p, q = values[:1000].reshape(2, 20, 25)[:, :, :20].copy(), values[:40] / 4, values[40:80] / 4
shift = np.concatenate([np.linspace(-1, 1, 16), np.linspace(1.1, 1.2, 16), np.full(16, .1), np.full(16, -.4)]).astype(f)
plan, floors = np.array([[-1, -1], [0, 0]]), np.full((2, 2), 2.0**-62, f)
columns, sums = np.empty((3, 320), f), np.empty(640, f)
mantissa, exponent, bad = np.ones((2, 32), f), np.zeros((2, 32), np.uint32), np.zeros((2, 40), np.uint8)
lanes.add_panel(
    products, 0, p, q, shift, plan, np.array([20, 40], f), floors, f(1e-30), columns, sums, mantissa, exponent, bad
)
digest = hashlib.sha256(b"".join(part.tobytes() for part in (sums, mantissa, exponent, bad))).hexdigest()
print(digest)
"""


@on_every_processor
def test_the_bits_are_the_same_on_every_processor(name, features, tmp_path):
    here = assert_same_bits(CODE, name, features, tmp_path)
    assert np.all(here["mantissa"] != 1)


def test_plain_kernels_serve_where_they_are_asked_for():
    code = "import numpy as np; from sims._landscape_sums import KERNELS\n"
    code += "from sims.shift_landscape import shift_landscape\n"
    code += "x = np.random.default_rng(0).standard_normal((2, 60, 8)) + np.eye(8)[:2, None]\n"
    code += "found = shift_landscape(*x, [0, .3], [1.0, .1], batch=25)\nprint(KERNELS, *found.loss.ravel().tolist())"
    kernels, *losses = printed_with(code, CONETHEORY_KERNELS="plain").split()
    x = np.random.default_rng(0).standard_normal((2, 60, 8)) + np.eye(8)[:2, None]
    exact = shift.shift_landscape(x[0], x[1], [0, 0.3], [1.0, 0.1], batch=25)
    assert kernels == "plain"
    assert lanes.LANES == 16
    assert_allclose(np.array(losses, dtype=float), exact.loss.ravel(), rtol=1e-13)


@pytest.mark.parametrize(
    ("change", "error", "names"),
    [
        ({"x": np.ones((3, 2, 2))}, ValueError, r"`x` must have shape \(n, d\)"),
        ({"y": np.ones((4, 2))}, ValueError, r"`y` must have the shape of `x`, got \(3, 2\) and \(4, 2\)"),
        ({"x": [[0.0, 0.0], [1, 0], [1, 1]]}, ValueError, "`x` has a zero row, which has no direction: row 0"),
        ({"x": [[np.nan, 0.0], [1, 0], [1, 1]]}, ValueError, "`x` must be finite, got nan"),
        ({"y": [[1.0, 0.0], [1, 1], [0, 1]]}, ValueError, "`x` and `y` must have different means"),
        ({"lambdas": [np.inf]}, ValueError, "`lambdas` must be finite, got inf"),
        ({"lambdas": []}, ValueError, "`lambdas` must be a scalar or a non-empty vector"),
        ({"temperatures": [0.1, 0.003]}, ValueError, "`temperatures` must be at least 1/300, got 0.003"),
        ({"batch": 4}, ValueError, "`batch` must be at most the number of pairs, 3, got 4"),
        ({"batch": 1.5}, Exception, "`batch` must be an integer|parameter 'batch'"),
        ({"workers": 0}, ValueError, "`workers` must be at least 1, got 0"),
    ],
)
def test_bad_input(change, error, names):
    good = {"x": [[1.0, 0], [1, 1], [0, 1]], "y": [[1.0, 2], [3, 1], [4, 1]], "lambdas": 0.0, "temperatures": 0.1}
    good |= {"batch": None} | change
    with pytest.raises(error, match=names):
        shift_landscape(**good)  # pyright: ignore[reportArgumentType]
