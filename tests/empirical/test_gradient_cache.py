"""Gradient caching against one backward pass through everything."""

import pytest

torch = pytest.importorskip("torch", reason="the cache is torch's: pip install 'conetheory[empirical]'")

from empirical.contrastive_loss import clip_loss  # noqa: E402
from empirical.gradient_cache import cached_step  # noqa: E402


class Towers(torch.nn.Module):
    """Two towers with dropout and a trained logit scale."""

    def __init__(self, dtype):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [torch.nn.Linear(6, 16), torch.nn.GELU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 4)]
            self.left = torch.nn.Sequential(*layers)
            self.right = torch.nn.Linear(5, 4)
            self.nu = torch.nn.Parameter(torch.tensor(1.5))
        self.to(dtype)

    def encode(self, chunk):
        return tuple(
            torch.nn.functional.normalize(tower(rows), dim=1)
            for tower, rows in zip((self.left, self.right), chunk, strict=True)
        )

    def loss(self, x, y):
        return clip_loss(x, y, self.nu.exp())


def chunks(dtype, sizes=(5, 5, 2)):
    source = torch.Generator().manual_seed(1)
    return [tuple(torch.randn((n, d), generator=source, dtype=dtype) for d in (6, 5)) for n in sizes]


def gradients(dtype, step):
    towers = Towers(dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        loss = step(towers, chunks(dtype))
        after = torch.rand(3)
    return loss.detach(), [parameter.grad for parameter in towers.parameters()], after


def plain(towers, parts):
    loss = towers.loss(*(torch.cat(rows) for rows in zip(*map(towers.encode, parts), strict=True)))
    loss.backward()
    return loss


def cached(towers, parts):
    return cached_step(towers.encode, parts, towers.loss)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_it_equals_the_plain_backward_with_dropout(dtype, tolerance):
    (loss, grads, after), (expected, exact, then) = (gradients(dtype, step) for step in (cached, plain))
    assert torch.equal(loss, expected)
    assert not loss.requires_grad
    for found, plainly in zip(grads, exact, strict=True):
        torch.testing.assert_close(found, plainly, rtol=0, atol=tolerance * plainly.abs().max().item())
    assert torch.equal(after, then)  # the generator is where one pass leaves it


def test_a_loss_may_draw_random_numbers_of_its_own():
    """They come after those of all chunks, and what follows does not draw them again."""

    def noisy(step):
        def taken(towers, parts):
            exact = towers.loss
            towers.loss = lambda x, y: exact(x, y) * torch.rand((), dtype=x.dtype)
            return step(towers, parts)

        return gradients(torch.float64, taken)

    (loss, _, after), (expected, _, then) = noisy(cached), noisy(plain)
    assert torch.equal(loss, expected)
    assert torch.equal(after, then)


def test_the_random_numbers_matter():
    """Without their restoration dropout would differ between the passes, and this is what would be seen."""

    def careless(towers, parts):
        x, y = (torch.cat(rows).detach().requires_grad_() for rows in zip(*map(towers.encode, parts), strict=True))
        loss = towers.loss(x, y)
        loss.backward()
        torch.autograd.backward(
            [torch.cat(rows) for rows in zip(*map(towers.encode, parts), strict=True)], [x.grad, y.grad]
        )
        return loss

    (_, grads, _), (_, exact, _) = (gradients(torch.float64, step) for step in (careless, plain))
    assert max((a - b).abs().max() / b.abs().max() for a, b in zip(grads, exact, strict=True)) > 1e-2


def test_gradients_add_up_and_a_frozen_tower_stays():
    towers = Towers(torch.float64).eval()
    towers.right.requires_grad_(False)
    for _ in range(2):
        cached_step(towers.encode, chunks(torch.float64), towers.loss)
    twice = towers.left[0].weight.grad.clone()
    towers.zero_grad()
    plain(towers, chunks(torch.float64))
    torch.testing.assert_close(twice, 2 * towers.left[0].weight.grad, rtol=1e-12, atol=1e-15)
    assert towers.right.weight.grad is None


def test_rows_that_the_loss_does_not_read_have_no_slope():
    towers, expected = Towers(torch.float64).eval(), Towers(torch.float64).eval()
    cached_step(towers.encode, chunks(torch.float64), lambda x, y: x.square().sum() + x[:, 0].sum())
    rows = torch.cat([expected.encode(chunk)[0] for chunk in chunks(torch.float64)])
    (rows.square().sum() + rows[:, 0].sum()).backward()
    for found, exact in zip(towers.left.parameters(), expected.left.parameters(), strict=True):
        torch.testing.assert_close(found.grad, exact.grad, rtol=1e-12, atol=1e-15)
    assert not towers.right.weight.grad.any()
    assert towers.nu.grad is None


def test_activations_of_one_chunk_are_held():
    """While a chunk is encoded for its gradient, the graph of the chunk before is gone."""
    alive = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows):
            alive.append(1)
            ctx.save_for_backward(rows)
            return rows.clone()

        @staticmethod
        def backward(ctx, grad):
            alive.pop()
            return grad

    towers, counts = Towers(torch.float64), []

    def encode(chunk):
        x, y = towers.encode(chunk)
        if torch.is_grad_enabled():
            x = Watched.apply(x)
            counts.append(len(alive))
        return x, y

    cached_step(encode, chunks(torch.float64), towers.loss)
    assert counts == [1, 1, 1]
    assert alive == []


def test_no_chunk_is_named():
    with pytest.raises(ValueError, match=r"`inputs_chunks` must hold at least one chunk, got none"):
        cached_step(lambda chunk: chunk, [], lambda x, y: x.sum())
