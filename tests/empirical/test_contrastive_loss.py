"""The chunked CLIP loss against the float64 reference of conetheory, and what must hold of any such loss."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conetheory.contrastive import DIRECTIONS, etf_floor
from conetheory.contrastive_gradient import contrastive_gradient
from tests.strategies import seeds

torch = pytest.importorskip("torch", reason="the loss is torch's: pip install 'conetheory[empirical]'")

from empirical._pair_blocks import checked_chunk, underflow_margin  # noqa: E402
from empirical.contrastive_loss import clip_loss  # noqa: E402
from tests.empirical.torch_pairs import LargestTensor, leaves, on_every_device, pairs, unit_rows  # noqa: E402


def check_parity(x, y, beta, *, tolerance=1e-12, device="cpu", **options):
    """Compare value and gradients with those of conetheory, which are right to a few eps times 1 + β."""
    expected = contrastive_gradient(
        x.double().numpy(), y.double().numpy(), 1 / beta, direction=options.get("direction", "symmetric")
    )
    x, y, scale = leaves(*(each.to(device) for each in (x, y, torch.tensor(beta, dtype=x.dtype))))
    loss = clip_loss(x, y, scale, **options)
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected.loss, rtol=tolerance, atol=0)
    for found, exact in ((x.grad, expected.gradient_x), (y.grad, expected.gradient_y)):
        assert found.dtype == x.dtype
        np.testing.assert_allclose(found.double().cpu().numpy(), exact, rtol=0, atol=tolerance * np.abs(exact).max())
    slope = abs(expected.scale_slope) + expected.loss
    np.testing.assert_allclose(beta * scale.grad.item(), expected.scale_slope, rtol=0, atol=tolerance * slope)


@settings(max_examples=30)
@given(
    seed=seeds,
    n=st.integers(1, 17),
    dim=st.integers(2, 9),
    beta=st.floats(0.1, 150),
    chunk=st.one_of(st.none(), st.integers(1, 20)),
    direction=st.sampled_from(DIRECTIONS),
)
def test_value_and_gradient_are_those_of_conetheory(seed, n, dim, beta, chunk, direction):
    x, y = unit_rows(n, dim, seed), unit_rows(n, dim, seed + 1)
    check_parity(x, y, beta, chunk=chunk, direction=direction, tolerance=1e-11)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("matched", "shift"), [(0.5, 0.0), (0.5, 1.0), (0.9, 0.3)])
@on_every_device
def test_parity_to_twelve_digits(device, direction, matched, shift):
    x, y = pairs(50, 16, 3, matched=matched, shift=shift)
    for beta in (1.0, 14.3, 100.0):
        check_parity(x, y, beta, device=device, direction=direction, chunk=7)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("beta", [20.0, 100.0, 1000.0])
@pytest.mark.parametrize("side", [0, 1])
def test_far_outliers_keep_their_digits(side, beta, direction):
    """Two rows, or columns, of logits near -β among logits near β: e^(-2β) is 0 in float32 at 100, in float64 at 1000.

    A shift that all share would lose their sums, and one exponential the weights of the columns. In float32 logits have
    an error of 2e-7 β; the weighted rows lie in a narrow cone and cancel, which makes it up to ten times as much.
    """
    rows = [unit_rows(40, 8, seed, shift=20.0) for seed in (1, 2)]
    rows[side][3:5] *= -1
    check_parity(*rows, beta, direction=direction, chunk=16)
    check_parity(*(at.float() for at in rows), beta, direction=direction, chunk=16, tolerance=2e-6 * (10 + beta))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradient_against_finite_differences(direction):
    """Rows of any length, as the derivative by a unit row alone would not see a wrong radial part."""
    at = leaves(*(1.3 * rows for rows in pairs(7, 3, 5)), torch.tensor(9.0, dtype=torch.float64))
    clip_loss(*at, direction=direction, chunk=3).backward()
    source, step = torch.Generator().manual_seed(1), 1e-5
    for _ in range(5):
        ways = [torch.randn(tensor.shape, generator=source, dtype=torch.float64) for tensor in at]
        ends = [
            clip_loss(*(tensor + sign * step * way for tensor, way in zip(at, ways, strict=True)), direction=direction)
            for sign in (1, -1)
        ]
        slope = sum(float((tensor.grad * way).sum()) for tensor, way in zip(at, ways, strict=True))
        assert slope == pytest.approx((ends[0] - ends[1]).item() / (2 * step), rel=1e-7)


@pytest.mark.parametrize("chunk", [1, 5, 12, 24, 25, 100])
def test_chunks_change_nothing(chunk):
    x, y = pairs(24, 6, 7)
    found = []
    for size in (None, chunk):
        at = leaves(x, y)
        loss = clip_loss(*at, 30.0, chunk=size)
        loss.backward()
        found.append([loss.detach(), *(rows.grad for rows in at)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-14)


def test_order_of_the_pairs_does_not_matter():
    x, y = pairs(30, 6, 8)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    plain, permuted = leaves(x, y), leaves(x[order], y[order])
    losses = [clip_loss(*at, 40.0, chunk=8) for at in (plain, permuted)]
    sum(losses).backward()
    torch.testing.assert_close(*losses, rtol=1e-13, atol=0)
    for one, other in zip(plain, permuted, strict=True):
        torch.testing.assert_close(one.grad[order], other.grad, rtol=1e-11, atol=1e-14)


def test_a_joint_rotation_does_not_matter():
    x, y = pairs(30, 6, 9)
    rotation = torch.linalg.qr(unit_rows(6, 6, 10)).Q
    plain, rotated = leaves(x, y), leaves(x @ rotation, y @ rotation)
    losses = [clip_loss(*at, 40.0) for at in (plain, rotated)]
    sum(losses).backward()
    torch.testing.assert_close(*losses, rtol=1e-13, atol=0)
    for one, other in zip(plain, rotated, strict=True):
        torch.testing.assert_close(one.grad @ rotation, other.grad, rtol=1e-11, atol=1e-14)


def test_length_of_the_rows_is_scale():
    x, y = pairs(20, 5, 11)
    torch.testing.assert_close(clip_loss(3 * x, 2 * y, 5.0), clip_loss(x, y, 30.0), rtol=1e-13, atol=0)


@pytest.mark.parametrize("beta", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("n", [2, 5, 32])
def test_simplex_attains_the_floor_and_is_stationary(n, beta):
    corners = torch.eye(n, dtype=torch.float64) - 1 / n
    x, y = leaves(*2 * [torch.nn.functional.normalize(corners, dim=1)])
    loss = clip_loss(x, y, beta)
    loss.backward()
    assert loss.item() == pytest.approx(float(etf_floor(n, 1 / beta)), rel=1e-12)
    for rows in (x, y):
        tangential = rows.grad - (rows.grad * rows).sum(dim=1, keepdim=True) * rows
        assert tangential.abs().max() <= 1e-12 * rows.grad.abs().max()
    for seed in range(5):
        assert clip_loss(unit_rows(n, n, seed), unit_rows(n, n, seed + 9), beta) > loss


def test_equal_rows_have_the_loss_of_chance():
    x = unit_rows(1, 4, 12).expand(9, 4)
    at = leaves(x, x)
    loss = clip_loss(*at, 100.0, chunk=2)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(9), rel=1e-14)
    for rows in at:
        assert rows.grad.abs().max() < 1e-13


def test_repeated_pairs_are_no_exception():
    x, y = pairs(10, 4, 13)
    check_parity(x.repeat(3, 1), y.repeat(3, 1), 100.0, chunk=7)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_pair_has_nothing_to_lose(direction):
    x, y, scale = leaves(*pairs(1, 4, 14), torch.tensor(100.0))
    loss = clip_loss(x, y, scale, direction=direction)
    loss.backward()
    assert loss.item() == 0.0
    assert not any(at.grad.any() for at in (x, y, scale))


def test_a_tiny_loss_keeps_its_digits():
    """Nearly orthogonal classes at β = 100: a loss of e^(-97), where r - l would round to 0 or below."""
    x = torch.eye(6, dtype=torch.float64) + 1e-2 * unit_rows(6, 6, 15)
    x = torch.nn.functional.normalize(x, dim=1)
    assert clip_loss(x, x, 100.0).item() < 1e-39
    check_parity(x, x, 100.0, tolerance=1e-11)
    check_parity(x.float(), x.float(), 40.0, tolerance=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_float32(dtype):
    x, y = pairs(60, 32, 16, dtype=dtype)
    exact = [rows.double() for rows in (x, y)]
    at, wide = leaves(x, y), leaves(*exact)
    loss, reference = clip_loss(*at, 50.0, chunk=16), clip_loss(*wide, 50.0)
    loss.backward()
    reference.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(reference.item(), rel=2e-6)
    for rows, other in zip(at, wide, strict=True):
        assert rows.grad.dtype == dtype
        error = 2e-5 + torch.finfo(dtype).eps
        assert (rows.grad.double() - other.grad).abs().max() < error * other.grad.abs().max()


def test_autocast_does_not_reach_the_loss():
    x, y = pairs(40, 32, 17, dtype=torch.float32)
    found = []
    for enabled in (False, True):
        at = leaves(x, y)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = clip_loss(*at, 50.0)
            loss.backward()
        found.append([loss.detach(), *(rows.grad for rows in at)])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_nothing_of_all_pairs_is_held():
    n, dim, chunk = 128, 4, 16
    at = leaves(*pairs(n, dim, 18, dtype=torch.float32))
    with LargestTensor() as largest:
        clip_loss(*at, 50.0, chunk=chunk).backward()
    assert n * dim <= largest.entries <= n * chunk
    with LargestTensor() as plain:
        (at[0] @ at[1].T).logsumexp(1).sum().backward()
    assert plain.entries >= n * n


def test_the_same_call_gives_the_same_bits():
    x, y = pairs(100, 16, 19, dtype=torch.float32)
    found = []
    for _ in range(2):
        at = leaves(x, y)
        clip_loss(*at, 100.0, chunk=32).backward()
        found.append([rows.grad for rows in at])
    assert all(torch.equal(*both) for both in zip(*found, strict=True))


def test_a_second_derivative_is_refused():
    x, y = leaves(*pairs(5, 3, 20))
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(clip_loss(x, y, 5.0), x, create_graph=True)


def test_nan_stays_nan():
    x, y = pairs(5, 3, 21)
    x[2, 1] = math.nan
    assert torch.isnan(clip_loss(x, y, 5.0))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((torch.ones(3, 2), torch.ones(4, 2), 1.0), {}, ValueError, r"`y` must have the shape of `x`, .* \(4, 2\)"),
        ((torch.ones(3), torch.ones(3), 1.0), {}, ValueError, r"`x` must have shape \(n, d\) .* got \(3,\)"),
        ((torch.ones(0, 2), torch.ones(0, 2), 1.0), {}, ValueError, r"`x` must have shape .* got \(0, 2\)"),
        (
            (torch.ones(3, 2).int(), torch.ones(3, 2), 1.0),
            {},
            TypeError,
            r"`x` must be a tensor of floats, got torch.int",
        ),
        ((torch.ones(3, 2), torch.ones(3, 2), torch.ones(2)), {}, ValueError, r"`scale` must be one number, .* \(2,\)"),
        ((torch.ones(3, 2), torch.ones(3, 2), 1.0), {"chunk": 0}, ValueError, r"`chunk` must be at least 1, got 0"),
        (
            (torch.ones(3, 2), torch.ones(3, 2), 1.0),
            {"direction": "up"},
            ValueError,
            r"`direction` must be .* got 'up'",
        ),
        ((torch.ones(3, 2), torch.ones(3, 2, device="meta"), 1.0), {}, ValueError, r"`y` must be on the device of `x`"),
    ],
)
def test_bad_input_is_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        clip_loss(*arguments, **options)


@pytest.mark.parametrize("real", [torch.float32, torch.float64])
def test_what_underflows_is_below_the_rounding_of_what_is_kept(real):
    """A sum that lies by the margin below its shift has lost only terms under eps² of it, and no margin is greater."""
    found = torch.finfo(real)
    assert underflow_margin(real) == pytest.approx(math.log(found.eps**2 / found.tiny))


def test_a_chunk_has_a_row_however_many_columns_there_are():
    assert checked_chunk(None, 1 << 40, torch.device("cpu")) == 1
