"""The one-layer trial in torch: the reduced law on the device at hand, against weights drawn on the same device.

The limit of the Triton kernel is the rate at which a multiprocessor issues instructions: 128 lanes each clock. Its loop
has 206 instructions for two units (counted in the code that Triton 3.9 makes for compute capability 9.0: 90 of float
arithmetic, 36 integer products, 25 logical, the rest moves, conversions and comparisons, and no special function), and
the mean trial has d(π + θ)/2π units. Memory sees 24 bytes a trial, which is nothing.
"""

import math

import numpy as np
import pytest

from conetheory.contraction import limiting_cosine
from conetheory.finite_width import cosine_mean_correction
from empirical.relu_trial import sample_cosines
from sims import relu_layer

torch = pytest.importorskip("torch", reason="the rows are torch's: pip install 'conetheory[empirical]'")

WIDTH = 512
RHO = 0.5
INSTRUCTIONS = 103  # a unit
TRIALS = {"cpu": {"ours": 10_240, "peer-sims": 10_240, "naive": 100}}
TRIALS["cuda"] = {"ours": 1 << 22, "peer-sims": 10_240, "naive": 4096}


def naive(trials: int, device: str) -> np.ndarray:
    """Weights, a product, a cosine: as one writes it, in batches of eight layers."""
    inputs = torch.zeros((WIDTH, 2), device=device)
    inputs[0, 0], inputs[0, 1], inputs[1, 1] = 1.0, RHO, math.sqrt(1 - RHO * RHO)
    found = []
    for start in range(0, trials, 8):
        weights = torch.randn((min(8, trials - start), WIDTH, WIDTH), device=device)
        hidden = torch.relu(weights @ inputs)
        found.append(torch.nn.functional.cosine_similarity(hidden[..., 0], hidden[..., 1], dim=1))
    return torch.cat(found).double().cpu().numpy()


def limit_seconds(trials: int) -> float | None:
    """The least time of a call on the GPU, or None where torch does not know the clock."""
    card = torch.cuda.get_device_properties(0)
    hertz = 1e3 * getattr(card, "clock_rate", 0)
    units = trials * WIDTH * (math.pi + math.acos(RHO)) / (2 * math.pi)
    return units * INSTRUCTIONS / (card.multi_processor_count * 128 * hertz) if hertz else None


@pytest.mark.benchmark(group="one layer in torch, width 512")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("method", ["ours", "peer-sims", "naive"])
def test_torch_trial(benchmark, method, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    trials = TRIALS[device][method]
    sample = {
        "ours": lambda: sample_cosines(RHO, WIDTH, trials, device=device, rng=0),
        "peer-sims": lambda: relu_layer.sample_cosines(RHO, WIDTH, trials, rng=0),
        "naive": lambda: naive(trials, device),
    }[method]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cosines = sample()  # compiled before it is timed
        benchmark(sample)
    finally:
        torch.set_num_threads(threads)
    expected = limiting_cosine(RHO, 1.0, 1.0, sigma_b2=0.0) + cosine_mean_correction(RHO) / WIDTH
    benchmark.extra_info["work"] = trials
    benchmark.extra_info["z"] = float((cosines.mean() - expected) / (cosines.std(ddof=1) / math.sqrt(trials)))
    if method == "ours" and device == "cuda" and (least := limit_seconds(trials)):
        benchmark.extra_info["limit_seconds"] = least
        benchmark.extra_info["limit_of"] = "instructions issued, 128 lanes a clock and multiprocessor"
