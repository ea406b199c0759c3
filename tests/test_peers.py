"""Agreement with PyTorch, where it is installed: the contrastive loss, and the default initialisation of a layer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.contrastive import clip_loss
from sims import deep_mlp

torch = pytest.importorskip("torch", reason="the peer is torch: pip install 'conetheory[empirical]'")


@pytest.mark.parametrize(("direction", "weights"), [("x-to-y", (1, 0)), ("y-to-x", (0, 1)), ("symmetric", (0.5, 0.5))])
def test_clip_loss_is_torch_cross_entropy(direction, weights):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30, 12))
    u, v = (torch.nn.functional.normalize(torch.from_numpy(rows), dim=1) for rows in (x, y))
    logits, labels = u @ v.T / 0.07, torch.arange(30)
    losses = [torch.nn.functional.cross_entropy(side, labels) for side in (logits, logits.T)]
    expected = sum(weight * float(loss) for weight, loss in zip(weights, losses, strict=True))
    assert_allclose(clip_loss(x, y, 0.07, direction=direction), expected, rtol=1e-13)


def test_default_bias_is_that_of_torch():
    width = 64
    torch.manual_seed(0)
    theirs = torch.cat([torch.nn.Linear(width, width).bias.detach() for _ in range(200)]).numpy()
    ours = deep_mlp._add_uniform_bias(np.zeros((200, width)), "torch_default", np.random.default_rng(0))[0]
    for sample in (theirs, ours):
        assert np.max(np.abs(sample)) <= 1 / np.sqrt(width)
    sd_of_square = 2 / np.sqrt(45) / width  # of a uniform variable on ±1/√width
    assert abs(np.mean(theirs**2) - 1 / (3 * width)) <= 4.5 * sd_of_square / np.sqrt(theirs.size)
    assert abs(np.mean(ours**2) - 1 / (3 * width)) <= 4.5 * sd_of_square / np.sqrt(ours.size)
