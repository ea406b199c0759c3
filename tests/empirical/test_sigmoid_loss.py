"""The chunked sigmoid loss against the float64 reference of conetheory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conetheory.sigmoid_loss import sigmoid_floor, sigmoid_gradient
from tests.strategies import seeds

torch = pytest.importorskip("torch", reason="the loss is torch's: pip install 'conetheory[empirical]'")

from empirical.sigmoid_loss import sigmoid_loss  # noqa: E402
from tests.empirical.torch_pairs import LargestTensor, leaves, pairs, unit_rows  # noqa: E402


def check_parity(x, y, scale, bias, *, tolerance, chunk=None):
    expected = sigmoid_gradient(x.double().numpy(), y.double().numpy(), scale, bias)
    at = x, y, t, b = leaves(x, y, *(torch.tensor(value, dtype=x.dtype) for value in (scale, bias)))
    loss = sigmoid_loss(*at, chunk=chunk)
    loss.backward()
    np.testing.assert_allclose(loss.item(), expected.loss, rtol=tolerance)
    for found, exact in ((x.grad, expected.gradient_x), (y.grad, expected.gradient_y)):
        np.testing.assert_allclose(found.double().numpy(), exact, rtol=0, atol=tolerance * np.abs(exact).max())
    size = tolerance * (abs(expected.scale_slope) + abs(expected.bias_slope) + expected.loss)
    np.testing.assert_allclose(scale * t.grad.item(), expected.scale_slope, rtol=0, atol=size)
    np.testing.assert_allclose(b.grad.item(), expected.bias_slope, rtol=0, atol=size)


@settings(max_examples=20)
@given(
    seed=seeds,
    n=st.integers(1, 15),
    scale=st.floats(0.5, 100),
    bias=st.floats(-20, 5),
    chunk=st.one_of(st.none(), st.integers(1, 20)),
)
def test_value_and_gradient_are_those_of_conetheory(seed, n, scale, bias, chunk):
    check_parity(unit_rows(n, 5, seed), unit_rows(n, 5, seed + 1), scale, bias, chunk=chunk, tolerance=1e-11)


def test_parity_to_twelve_digits_and_in_float32():
    x, y = pairs(50, 16, 3)
    check_parity(x, y, 10.0, -10.0, chunk=7, tolerance=1e-12)
    check_parity(x.float(), y.float(), 10.0, -10.0, chunk=7, tolerance=1e-5)


@pytest.mark.parametrize("bias", [-5.0, -3.0])
def test_the_floor_is_attained_and_not_passed(bias):
    """Two opposed parallel simplices, one simplex at the first bias: see `conetheory.sigmoid_loss`."""
    n = 6
    corners = torch.nn.functional.normalize(torch.eye(n, dtype=torch.float64) - 1 / n, dim=1)
    floor = sigmoid_floor(n, 10.0, bias)
    assert (floor.gap == 0.0) == (bias == -5.0)
    apart = floor.delta**0.5 * torch.ones(n, dtype=torch.float64) / n**0.5
    x, y = ((1 - floor.delta) ** 0.5 * corners + sign * apart for sign in (1, -1))
    assert sigmoid_loss(x, y, 10.0, bias).item() == pytest.approx(floor.loss, rel=1e-10)
    for seed in range(5):
        assert sigmoid_loss(*pairs(n, n, seed), 10.0, bias).item() > floor.loss


def test_order_and_rotation_do_not_matter():
    x, y = pairs(20, 5, 4)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    rotation = torch.linalg.qr(unit_rows(5, 5, 10)).Q
    plain = sigmoid_loss(x, y, 10.0, -8.0, chunk=6)
    torch.testing.assert_close(sigmoid_loss(x[order], y[order], 10.0, -8.0), plain, rtol=1e-13, atol=0)
    torch.testing.assert_close(sigmoid_loss(x @ rotation, y @ rotation, 10.0, -8.0), plain, rtol=1e-13, atol=0)


def test_nothing_of_all_pairs_is_held_and_the_value_alone_needs_no_graph():
    x, y = pairs(128, 4, 5, dtype=torch.float32)
    at = leaves(x, y)
    with LargestTensor() as largest:
        loss = sigmoid_loss(*at, 10.0, -10.0, chunk=16)
        loss.backward()
    assert largest.entries <= 128 * 16
    with torch.no_grad():
        torch.testing.assert_close(sigmoid_loss(*at, 10.0, -10.0), loss.detach(), rtol=1e-6, atol=0)


def test_bad_input_is_named():
    x = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"`bias` must be one number, got shape \(2,\)"):
        sigmoid_loss(x, x, 1.0, torch.ones(2))
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        sigmoid_loss(x, x[:2], 1.0, 0.0)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(sigmoid_loss(x.requires_grad_(), x, 1.0, 0.0), x, create_graph=True)
