"""Queries of attribute arithmetic: what they start from, add, and should find."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.attribute_arithmetic import attribute_arithmetic
from empirical.data.arithmetic_queries import arithmetic_queries
from empirical.data.scene_attributes import VALUES
from empirical.data.scenes import Scenes

WORDS = (*VALUES["shape"], *VALUES["colour"])


@pytest.mark.parametrize(("change", "keep"), [("colour", "shape"), ("shape", "colour"), ("count", "texture")])
def test_every_query_has_its_answers(change, keep):
    task = arithmetic_queries(Scenes(size=32), change=change, keep=keep, replicates=2)
    n = 2 * len(VALUES[change]) * len(VALUES[keep])
    assert task.images.shape == (n, 3, 32, 32)
    assert len(task.source) == n * (len(VALUES[change]) - 1)
    assert len({image.tobytes() for image in task.images}) == n
    right = task.shows[:, task.target]
    assert_array_equal(right.sum(axis=0), 2)
    assert np.all(task.removed != task.added)
    assert not right[task.source, np.arange(len(task.source))].any()


def test_captions_do_the_arithmetic_themselves():
    """Bags of words solve it: caption - removed + added is the caption of every right answer, and of nothing else."""
    task = arithmetic_queries(Scenes(size=16), replicates=2)
    for query in range(0, len(task.source), 13):
        words = task.captions[task.source[query]].split()
        words.remove(task.words[task.removed[query]].split()[0])
        words.append(task.words[task.added[query]].split()[0])
        solved = [sorted(caption.split()) == sorted(words) for caption in task.captions]
        assert_array_equal(task.shows[:, task.target[query]], solved)


def test_one_hot_embeddings_score_1():
    """The evaluation takes these queries as they are, and finds every answer where attributes are coordinates."""
    task = arithmetic_queries(Scenes(size=16), replicates=2)
    corners = np.array([[word in caption.split() for word in WORDS] for caption in task.captions], dtype=float)
    words = np.array([[word in caption.split() for word in WORDS] for caption in task.words], dtype=float)
    places = {name: getattr(task, name) for name in ("source", "removed", "added", "target", "shows")}
    assert attribute_arithmetic(corners, words, **places, lambdas=[0.0]).score[0].value == 0
    assert attribute_arithmetic(corners, words, **places, lambdas=[1 / np.sqrt(2)]).score[0].value == 1


def test_bad_attributes_are_named():
    for options, message in (
        ({"change": "color"}, "'colour'"),
        ({"keep": "colour"}, "`keep`"),
        ({"keep": "shap"}, "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            arithmetic_queries(Scenes(size=16), **options)
