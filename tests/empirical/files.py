"""Small files of paired embeddings, and what every test of them asserts."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

N, D = 7, 4


def make_clouds():
    """Return seven pairs of dimension four, shape (2, 7, 4)."""
    return np.random.default_rng(0).standard_normal((2, N, D)).astype(np.float32)


def assert_holds(pairs, clouds):
    assert (pairs.n, pairs.dim) == clouds.shape[1:]
    assert_array_equal(pairs.x[:], clouds[0])
    assert_array_equal(pairs.y[0 : pairs.n], clouds[1])
    assert_array_equal(pairs.x[np.array([5, 0, 2])], clouds[0][[5, 0, 2]])
    assert_array_equal(np.asarray(pairs.y), clouds[1])


def assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    for part in parts:
        assert str(part) in message


def write(path, clouds):
    """Write `clouds` in the format of the suffix of `path`."""
    if path.suffix == ".npy":
        np.save(path, clouds)
    elif path.suffix == ".npz":
        np.savez(path, x=clouds[0], y=clouds[1])
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"x": clouds[0], "y": clouds[1]}, path)
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"x": clouds[0].tolist(), "y": clouds[1].tolist()}), path)
