"""Modality swapping: what stays, what is exchanged, how often."""

import math

import pytest

torch = pytest.importorskip("torch", reason="the swap is torch's: pip install 'conetheory[empirical]'")

from empirical.modality_swap import KINDS, swap  # noqa: E402
from tests.empirical.torch_pairs import leaves, pairs  # noqa: E402


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_keep_their_sum_and_the_seed_decides(kind):
    x, y = pairs(40, 10, 1)
    new_x, new_y = swap(x, y, kind, 1.0, generator(3))
    torch.testing.assert_close(new_x + new_y, x + y, rtol=0, atol=1e-15)
    again = swap(x, y, kind, 1.0, generator(3))
    assert torch.equal(again[0], new_x)
    assert not torch.equal(swap(x, y, kind, 1.0, generator(4))[0], new_x)


def test_kinds_exchange_entries_shares_or_rows():
    x, y = pairs(300, 20, 2)
    z = 4.5 * 0.5 / math.sqrt(x.numel())  # of a share of fair coins
    hard, _ = swap(x, y, "hard", 1.0, generator(1))
    assert torch.all((hard == x) | (hard == y))
    assert abs((hard == y).double().mean() - 0.5) < z
    soft, _ = swap(x, y, "soft", 1.0, generator(1))
    part = (soft - x) / (y - x)
    assert part.min() >= -1e-9
    assert part.max() <= 1 + 1e-9
    assert abs(part.mean() - 0.5) < z / math.sqrt(3)
    assert part.var() == pytest.approx(1 / 12, rel=4.5 * math.sqrt(0.8 / x.numel()))
    row, _ = swap(x, y, "row", 1.0, generator(1))
    whole = (row == y).all(dim=1)
    assert torch.all(whole | (row == x).all(dim=1))
    assert abs(whole.double().mean() - 0.5) < 4.5 * 0.5 / math.sqrt(300)


def test_a_part_of_the_steps_is_swapped():
    x, y = pairs(3, 4, 3)
    source, n, p = generator(5), 1500, 0.1
    swapped = sum(not torch.equal(swap(x, y, "soft", p, source)[0], x) for _ in range(n))
    assert abs(swapped / n - p) < 4.5 * math.sqrt(p * (1 - p) / n)
    assert all(torch.equal(swap(x, y, "hard", 0.0, source)[0], x) for _ in range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_goes_where_the_entries_went(kind):
    x, y = leaves(*pairs(6, 4, 4))
    new_x, _ = swap(x, y, kind, 1.0, generator(1))
    new_x.sum().backward()
    torch.testing.assert_close(x.grad + y.grad, torch.ones_like(x))
    if kind != "soft":
        assert torch.equal(x.grad == 1, new_x == x)


def test_bad_input_is_named():
    x = torch.ones(2, 2)
    with pytest.raises(ValueError, match=r"`kind` must be one of hard, soft, row, got 'all'"):
        swap(x, x, "all", 0.5, generator(0))
    with pytest.raises(ValueError, match=r"`p` must lie in \[0, 1\], got 1.5"):
        swap(x, x, "hard", 1.5, generator(0))
    with pytest.raises(ValueError, match=r"`y` must have the shape of `x`"):
        swap(x, x[:1], "hard", 0.5, generator(0))
