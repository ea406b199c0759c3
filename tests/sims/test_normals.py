"""The public front of the normals in lanes; the lanes themselves are tested beside the networks."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from sims.normals import standard_normals


def test_law():
    drawn = standard_normals(400, 1000, rng=0)
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn.ravel(), stats.norm.cdf).pvalue > 1e-5
    exact = np.array([0, 1, 0, 3, 0, 15])  # moments 1 to 6
    spread = np.sqrt((np.array([1, 3, 15, 105, 945, 10395]) - exact**2) / drawn.size)
    found = np.array([np.mean(drawn.astype(float) ** k) for k in range(1, 7)])
    assert np.all(np.abs(found - exact) < 4.5 * spread)


def test_neighbours_are_independent():
    drawn = standard_normals(1 << 18, rng=1).astype(float)
    for lag in (1, 15, 16, 17, 32, 64):
        for power in (1, 2):
            x = drawn**power - drawn.var() * (power == 2)
            correlation = np.mean(x[lag:] * x[:-lag]) / np.var(x)
            assert abs(correlation) < 4.5 / np.sqrt(x.size - lag)


def test_seed_and_prefix():
    long = standard_normals(33, 7, rng=3)
    for rows in (1, 10, 32):
        np.testing.assert_array_equal(standard_normals(rows, 7, rng=3), long[:rows])
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(standard_normals(5, rng=generator), long.ravel()[:5])
    assert not np.any(standard_normals(5, rng=generator) == long.ravel()[:5])


def test_plain_kernels_are_numpy():
    code = "from sims.normals import standard_normals; print(standard_normals(2, rng=0).tolist())"
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, env=os.environ | {"CONETHEORY_KERNELS": "plain"}, capture_output=True, text=True)
    assert found.stdout.strip() == str(np.random.default_rng(0).standard_normal(2, dtype=np.float32).tolist())


def test_bad_shape_is_named():
    with pytest.raises(ValueError, match=r"`shape` must be at least 1, got 0"):
        standard_normals(3, 0)
