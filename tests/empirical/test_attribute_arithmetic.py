"""Attribute arithmetic: SIMAT's definition, worlds where it must work and where it cannot, the published words."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from empirical.attribute_arithmetic import attribute_arithmetic


def world(copies=4, noise=0.0, dim=40, seed=0):
    """Images of 4 colours × 5 shapes, each the sum of the embeddings of its words; every colour edit of every image."""
    rng = np.random.default_rng(seed)
    words = np.linalg.qr(rng.standard_normal((dim, 9)))[0].T
    caption = np.repeat(np.arange(20), copies)
    colour, shape = caption // 5, caption % 5
    images = words[colour] + words[4 + shape] + noise * rng.standard_normal((len(caption), dim))
    source, added = (grid.ravel() for grid in np.meshgrid(np.arange(len(caption)), np.arange(4), indexing="ij"))
    edits = colour[source] != added
    source, added = source[edits], added[edits]
    places = {"source": source, "removed": colour[source], "added": added, "target": 5 * added + shape[source]}
    return images, words, places | {"shows": caption[:, None] == np.arange(20)}


def naive_score(images, words, places, lam, weights):
    """Return SIMAT's score as its published code forms it, query by query."""
    images = [row / np.linalg.norm(row) for row in images]
    words = [row / np.linalg.norm(row) for row in words]
    hits = []
    for source, a, b, target in zip(*(places[k] for k in ("source", "removed", "added", "target")), strict=True):
        edited = images[source] + lam * (words[b] - words[a])
        ranking = np.argsort([-(edited @ image) for image in images])
        found = ranking[0] if ranking[0] != source else ranking[1]
        hits.append(places["shows"][found, target])
    return np.average(hits, weights=weights)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_score_is_simats(seed, lam):
    images, words, places = world(copies=2, noise=0.3, seed=seed)
    weights = np.random.default_rng(seed).random(len(places["source"]))
    found = attribute_arithmetic(images, words, **places, lambdas=[lam], weights=weights)
    assert_allclose(found.score[0].value, naive_score(images, words, places, lam, weights))


def test_equal_weights_change_nothing_but_the_interval():
    images, words, places = world(noise=0.3)
    plain = attribute_arithmetic(images, words, **places).score[0]
    weighted = attribute_arithmetic(images, words, **places, weights=np.full(len(places["source"]), 7.0)).score[0]
    assert_allclose([weighted.value, weighted.stderr], [plain.value, plain.stderr], rtol=1e-12)
    assert plain.interval is not None
    assert weighted.interval is None


def test_sums_of_words_are_edited_without_error_from_half_on():
    images, words, places = world()
    found = attribute_arithmetic(images, words, **places, lambdas=[0.0, 1.0, 2.0])
    assert [at.value for at in found.score] == [0, 1, 1]
    json.dumps(found.as_dict(), allow_nan=False)


def test_without_common_directions_only_chance_is_left():
    images, words, places = world(copies=10)
    images = np.random.default_rng(0).standard_normal(images.shape)
    score = attribute_arithmetic(images, words, **places).score[0]
    assert abs(score.value - 1 / 20) < 4.5 * score.stderr


def test_error_is_that_of_source_images_drawn_again():
    """The standard error against the spread over worlds."""
    scores = [attribute_arithmetic(*(w := world(noise=0.45, seed=seed))[:2], **w[2]).score[0] for seed in range(40)]
    spread = np.std([at.value for at in scores], ddof=1)
    assert 0.5 < np.mean([at.stderr for at in scores]) / spread < 2  # images are searched as well, which it leaves out


def test_the_published_words_move_to_the_word_that_is_added(data_file):
    """Number is a direction of bare CLIP words: rock − pole + poles is rocks. Sex is not: boy − man + woman is nearer
    to woman than to girl, and so for all four analogies.
    """
    with np.load(data_file("simat_words/simat_words_clip.npz"), allow_pickle=False) as stored:
        words, rows = [str(word) for word in stored["words"]], stored["emb"].astype(np.float64)
    queries = [
        ("rock", "pole", "poles", "rocks"),
        ("rocks", "poles", "pole", "rock"),
        ("man", "boy", "girl", "woman"),
        ("woman", "girl", "boy", "man"),
        ("boy", "man", "woman", "girl"),
        ("girl", "woman", "man", "boy"),
    ]
    columns = np.array([[words.index(word) for word in query] for query in queries]).T
    places = dict(zip(("source", "removed", "added", "target"), columns, strict=True))
    found = attribute_arithmetic(rows, rows, **places, shows=np.eye(len(words), dtype=bool))
    assert [words[i] for i in found.found[0]] == ["rocks", "rock", *(query[2] for query in queries[2:])]
    assert_allclose(found.score[0].value, 2 / 6)


def test_the_source_is_never_found():
    images, words, places = world()
    found = attribute_arithmetic(images, words, **places, lambdas=[0.0]).found[0]
    assert not np.any(found == places["source"])
    assert_array_equal(places["shows"][found].argmax(axis=1), places["shows"][places["source"]].argmax(axis=1))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"added": [4]}, ValueError, "added.*4"),
        ({"source": [-1]}, ValueError, "source.*-1"),
        ({"target": [0, 1]}, ValueError, "target"),
        ({"shows": np.eye(4)}, ValueError, "shows"),
        ({"lambdas": [np.inf]}, ValueError, "lambdas"),
        ({"lambdas": []}, ValueError, "lambdas"),
        ({"weights": [-1.0]}, ValueError, "weights"),
        ({"weights": [0.0]}, ValueError, "weights"),
        ({"removed": [0.5]}, TypeError, "removed"),
    ],
)
def test_bad_input_is_named(change, error, words):
    places = {"source": [0], "removed": [0], "added": [1], "target": [2], "shows": np.eye(4, dtype=bool)}
    with pytest.raises(error, match=words):
        attribute_arithmetic(np.eye(4), np.eye(4), **places | change)


def test_queries_in_blocks_are_those_at_once(monkeypatch):
    images, words, places = world(noise=0.3)
    whole = attribute_arithmetic(images, words, **places, lambdas=[0.0, 1.0]).found
    monkeypatch.setattr("empirical.attribute_arithmetic._BLOCK", 7)
    assert_array_equal(attribute_arithmetic(images, words, **places, lambdas=[0.0, 1.0]).found, whole)
