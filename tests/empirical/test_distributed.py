"""Two processes with half of the pairs each against one process with all of them."""

import warnings
from datetime import timedelta

import pytest

torch = pytest.importorskip("torch", reason="the collectives are torch's: pip install 'conetheory[empirical]'")

import torch.distributed as dist  # noqa: E402

from empirical.contrastive_loss import clip_loss  # noqa: E402
from empirical.distributed import World, average_gradients, gather_rows, world  # noqa: E402
from empirical.sigmoid_loss import sigmoid_loss  # noqa: E402
from empirical.uniformity_loss import regularised_loss  # noqa: E402
from tests.empirical.torch_pairs import pairs  # noqa: E402

ROWS = 10
COLD = 40.0  # times the logit scale of the other losses, 12
LOSSES = {
    "clip": lambda x, y, beta, bias, at: clip_loss(x, y, beta, chunk=3, processes=at),
    "clip-x-to-y": lambda x, y, beta, bias, at: clip_loss(x, y, beta, direction="x-to-y", processes=at),
    "clip-y-to-x": lambda x, y, beta, bias, at: clip_loss(x, y, beta, direction="y-to-x", processes=at),
    "clip-cold": lambda x, y, beta, bias, at: clip_loss(x, y, COLD * beta, chunk=4, processes=at),
    "siglip": lambda x, y, beta, bias, at: sigmoid_loss(x, y, beta, bias, chunk=3, processes=at),
    "cua": lambda x, y, beta, bias, at: regularised_loss(x, y, beta, processes=at),
    "cuaxu": lambda x, y, beta, bias, at: regularised_loss(x, y, beta, cross=1.0, chunk=4, processes=at),
    "gathered": lambda x, y, beta, bias, at: clip_loss(gather_rows(x, at), gather_rows(y, at), beta),
}


class Towers(torch.nn.Module):
    """Two linear towers, a logit scale and a bias; one tower has a parameter that no loss uses."""

    def __init__(self, dtype):
        super().__init__()
        source = torch.Generator().manual_seed(5)
        for name in ("left", "right", "unused"):
            start = torch.randn((6, 4), generator=source, dtype=torch.float64).to(dtype)
            self.register_parameter(name, torch.nn.Parameter(start))
        self.beta = torch.nn.Parameter(torch.tensor(12.0, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.tensor(-3.0, dtype=dtype))

    def forward(self, x, y):
        return (torch.nn.functional.normalize(rows @ w, dim=1) for rows, w in ((x, self.left), (y, self.right)))


def outcome(name, dtype, processes):
    """Loss and averaged gradients of a process that has its share of the pairs; two y are outliers."""
    x, y = pairs(ROWS, 6, 3, shift=1.0, dtype=dtype)
    y[2:4] *= -1
    towers = Towers(dtype)
    share = slice(processes.rank * ROWS // processes.size, (processes.rank + 1) * ROWS // processes.size)
    loss = LOSSES[name](*towers(x[share], y[share]), towers.beta, towers.bias, processes)
    (3 * loss).backward()
    average_gradients(towers.parameters(), processes)
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in towers.parameters()]
    return [loss.detach(), *grads]


def work(rank, folder):
    warnings.simplefilter("error")  # as in the process of the tests
    torch.set_num_threads(1)
    at, patience = f"file://{folder}/meeting", timedelta(seconds=120)
    dist.init_process_group("gloo", init_method=at, rank=rank, world_size=2, timeout=patience)
    try:
        assert (world().rank, world().size) == (rank, 2)
        found = {
            (name, dtype): outcome(name, dtype, world()) for name in LOSSES for dtype in (torch.float64, torch.float32)
        }
        torch.save(found, f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_two_processes_equal_one(both, name, dtype, tolerance):
    """To 1e-6 in float32, but for logits of 480: those have an error of a few times 480 eps, and so have weights."""
    if name == "clip-cold":
        tolerance = max(tolerance, COLD * 12.0 * torch.finfo(dtype).eps)
    exact = outcome(name, dtype, World())
    for found in both:
        for one, other in zip(found[name, dtype], exact, strict=True):
            assert (one - other).abs().max() <= tolerance * max(1.0, other.abs().max().item())
    for one, other in zip(both[0][name, dtype], both[1][name, dtype], strict=True):
        assert torch.equal(one, other)
    assert exact[1].abs().max() > 1e-3


def test_one_process_is_a_world():
    assert world() == World(0, 1)
    x = torch.ones(3, 2, requires_grad=True)
    gathered = gather_rows(x)
    (2 * gathered).sum().backward()
    assert torch.equal(gathered, x)
    assert torch.equal(x.grad, torch.full((3, 2), 2.0))
    assert World().logsumexp(torch.tensor(-torch.inf)) == -torch.inf
