"""What every source of files must do."""

import json
import pickle

import numpy as np
from numpy.testing import assert_array_equal

from empirical.data._images import decode_image
from empirical.data.pairs import PairSource
from tests.empirical.data.hostile_images import encoded, picture

__all__ = ["assert_serves"]


def assert_serves(source, rows, seeds):
    """Check that the source gives those pictures, also from another process's copy."""
    assert isinstance(source, PairSource)
    json.dumps(source.describe())
    for copy in (source, pickle.loads(pickle.dumps(source))):
        batch = copy.batch(rows)
        expected = [decode_image(encoded(picture(seed=seed)), source.size) for seed in seeds]
        assert_array_equal(batch.images, np.stack(expected))
        assert_array_equal(batch.indices, rows)
