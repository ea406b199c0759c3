"""Paired unit rows for the tests of losses, and an eye on the size of what torch allocates."""

import pytest
import torch
from torch.overrides import TorchFunctionMode


def unit_rows(n, dim, seed, *, dtype=torch.float64, shift=0.0):
    """Random unit rows; with `shift`, in a cone about the first axis."""
    rows = torch.randn((n, dim), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows[:, 0] += shift
    return torch.nn.functional.normalize(rows, dim=1).to(dtype)


def pairs(n, dim, seed, *, matched=0.5, shift=0.0, dtype=torch.float64):
    """Pairs in two cones, with a cosine of about `matched` squared where there are no cones."""
    shared, x, y = (torch.nn.functional.normalize(unit_rows(n, dim, seed + i), dim=1) for i in range(3))
    x, y = matched * shared + (1 - matched) * x, matched * shared + (1 - matched) * y
    x[:, 0] += shift
    y[:, -1] += shift
    return tuple(torch.nn.functional.normalize(rows, dim=1).to(dtype) for rows in (x, y))


def leaves(*tensors):
    """Copies that collect a gradient."""
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
on_every_device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=_GPU)])
"""Run a test on the processor, and on a GPU where there is one."""


class LargestTensor(TorchFunctionMode):
    """While it is entered, `entries` grows to those of the largest tensor that a call of torch returns."""

    entries = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for leaf in found if isinstance(found, tuple) else (found,):
            if isinstance(leaf, torch.Tensor):
                self.entries = max(self.entries, leaf.numel())
        return found
