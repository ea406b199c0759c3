"""The Triton kernel of the one-layer trial, run on the processor by Triton's interpreter."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from empirical import _triton_trial
from sims._layer_trials import layer_sums

pytestmark = pytest.mark.skipif(not _triton_trial.available(), reason="Triton is missing: pip install triton")
N, WIDTH, SEED = 2048, 32, (1 << 62) + 5

RUN = """
import json, sys
import numpy as np, torch
from empirical import _triton_trial
law = tuple(map(float, sys.argv[1:4]))
n, width, seed, lanes = map(int, sys.argv[4:])
counts = np.random.default_rng(0).binomial(width, law[0] / np.pi, n).astype(np.int32)
counts[:2] = 0, 1
print(json.dumps(_triton_trial.layer_sums(torch.from_numpy(counts), seed, law, lanes=lanes).tolist()))
"""


def interpreted(theta, *, seed=SEED, lanes=N):
    """Return the sums of `N` trials; the interpreter must be chosen before Triton is imported."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, *map(repr, law_of(theta)), *map(str, (N, WIDTH, seed, lanes))],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(json.loads(run.stdout))


def law_of(theta):
    return (math.pi + theta) / 2, math.cos(theta / 2), math.sin(theta / 2)


@pytest.mark.parametrize("theta", [1e-5, 1.0, 3.0])
def test_each_sum_has_the_law_of_the_kernel(theta):
    ours = interpreted(theta)
    theirs = np.hstack([layer_sums(np.random.default_rng(i), 1024, WIDTH, law_of(theta)) for i in range(16)])
    for mine, other in zip(ours[:, 2:], theirs, strict=True):
        assert stats.ks_2samp(mine, other).pvalue > 1e-5
        spread = math.hypot(mine.std() / math.sqrt(mine.size), other.std() / math.sqrt(other.size))
        assert abs(mine.mean() - other.mean()) < 4.5 * spread
    np.testing.assert_array_equal(ours[:, 0], 0)  # no active unit
    product = ours[1, 1] * ours[2, 1]  # one unit: its cosine is 1, or one vector is 0
    assert product == pytest.approx(ours[0, 1] ** 2, rel=1e-5)


def test_the_comparison_sees_a_wrong_angle():
    theirs = np.hstack([layer_sums(np.random.default_rng(i), 1024, WIDTH, law_of(1.05)) for i in range(16)])
    assert stats.ks_2samp(interpreted(1.0)[3, 2:], theirs[3]).pvalue < 1e-5


def test_sums_of_a_trial_belong_together():
    inner, norm_u, norm_v, distance, excess = interpreted(1e-3)
    np.testing.assert_allclose(norm_u - norm_v, excess, atol=4e-6 * norm_u.max())
    np.testing.assert_allclose(norm_u + norm_v - 2 * inner, distance, atol=4e-6 * norm_u.max())
    assert np.all(distance[1:] > 0)


def test_same_numbers_twice_and_for_any_number_of_lanes():
    first = interpreted(1.0)
    np.testing.assert_array_equal(interpreted(1.0), first)
    np.testing.assert_array_equal(interpreted(1.0, lanes=1024), first)
    assert np.mean(interpreted(1.0, seed=SEED + 1) == first) < 0.01
