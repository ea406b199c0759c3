"""Captions of other images, and captions with words spoilt."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.data.digits import Digits
from empirical.data.mismatch import CORRUPTIONS, corrupted, with_mismatch
from empirical.data.pairs import LabelledSource, held_out_split
from empirical.data.scene_attributes import shows
from empirical.data.scenes import Scenes
from tests.empirical.data.faulty import Numbered


@pytest.mark.parametrize(("fraction", "moved"), [(0, 0), (0.02, 2), (0.06, 3), (0.5, 25), (1, 50)])
def test_the_share_is_exact_and_captions_are_only_exchanged(fraction, moved):
    source = Numbered(50)
    mixed = with_mismatch(source, fraction, seed=1)
    rows = np.arange(50)
    captions = mixed.captions(rows)
    own = source.captions(rows)
    assert sum(one != other for one, other in zip(captions, own, strict=True)) == moved
    assert sorted(captions) == sorted(own)


def test_images_stay_and_a_row_keeps_its_wrong_caption():
    source = Digits(size=8)
    mixed = with_mismatch(source, 0.4, seed=3)
    batch = mixed.batch([5, 900, 2])
    assert_array_equal(batch.images, source.batch([5, 900, 2]).images)
    assert batch.captions == mixed.captions([5, 900, 2]) == with_mismatch(source, 0.4, seed=3).captions([5, 900, 2])
    assert with_mismatch(source, 0.4, seed=4).captions(np.arange(99)) != mixed.captions(np.arange(99))
    assert_array_equal(mixed.labels, source.labels)
    assert isinstance(mixed, LabelledSource)
    assert pickle.loads(pickle.dumps(mixed)).captions([5]) == mixed.captions([5])


def test_held_out_rows_stay_clean():
    source = Numbered(60)
    train, held_out = held_out_split(source, 20, 0)
    mixed = with_mismatch(source, 1.0, rows=train)
    assert mixed.captions(held_out) == source.captions(held_out)
    assert sorted(mixed.captions(train)) == sorted(source.captions(train))
    assert not set(mixed.captions(train)) & set(source.captions(held_out))


def test_captions_of_unseen_combinations_do_not_reach_training():
    scenes = Scenes(n=3000, unseen_combinations=8, size=16)
    mixed = with_mismatch(scenes, 1.0)
    train, _ = held_out_split(mixed, 10, 0)
    assert not shows(scenes.records(mixed.partner[train]), scenes.unseen).any()


def test_a_replaced_row_brings_its_own_wrong_caption():
    source = Numbered(10, [4])
    mixed = with_mismatch(source, 1.0)
    batch = mixed.batch([4])
    assert batch.indices.tolist() == [5]
    assert batch.captions == mixed.captions([5])
    assert mixed.skipped == 1


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_no_corruption_at_0_and_always_a_word_left(corruption):
    source = Scenes(n=300)
    rows = np.arange(300)
    assert corrupted(source, corruption, 0.0).captions(rows) == source.captions(rows)
    assert all(corrupted(source, corruption, 1.0).captions(rows))
    half = corrupted(source, corruption, 0.5, seed=2)
    assert half.captions([250, 3]) == tuple(half.captions(rows)[row] for row in (250, 3))
    if corruption != "truncate":
        assert half.captions(rows) != corrupted(source, corruption, 0.5, seed=3).captions(rows)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_words_are_dropped_at_their_rate(fraction):
    source = Scenes(n=1500)
    own, spoilt = (s.captions(np.arange(1500)) for s in (source, corrupted(source, "drop", fraction)))
    lengths = np.array([len(caption.split()) for caption in own])
    kept = np.array([len(caption.split()) for caption in spoilt])
    expected = lengths * (1 - fraction) + fraction**lengths  # one word stays where all would go
    variance = (lengths * fraction * (1 - fraction)).sum()
    assert abs((kept - expected).sum()) < 4.5 * np.sqrt(variance)
    for before, after in zip(own[:200], spoilt, strict=False):
        words = iter(before.split())
        assert all(word in words for word in after.split())  # in order


def test_words_are_replaced_at_their_rate_by_words_of_other_captions():
    source = Numbered(500)
    spoilt = corrupted(source, "replace", 0.3, seed=1).captions(np.arange(500))
    numbers = [caption.split()[1] for caption in spoilt]
    changed = sum(number != str(row) for row, number in enumerate(numbers))
    expected = 500 * 0.3 * (1 - 1 / 1000)
    assert abs(changed - expected) < 4.5 * np.sqrt(500 * 0.3 * 0.7)
    assert {word for caption in spoilt for word in caption.split()} <= {"number", *map(str, range(500))}


def test_truncated_captions_are_beginnings():
    source = Scenes(n=50)
    for before, after in zip(
        source.captions(np.arange(50)), corrupted(source, "truncate", 0.5).captions(np.arange(50)), strict=True
    ):
        words = before.split()
        assert after.split() == words[: (len(words) + 1) // 2]


def test_shuffled_captions_have_the_same_words():
    source = Scenes(n=400)
    own, spoilt = (s.captions(np.arange(400)) for s in (source, corrupted(source, "shuffle", 0.5)))
    assert all(sorted(a.split()) == sorted(b.split()) for a, b in zip(own, spoilt, strict=True))
    changed = sum(a != b for a, b in zip(own, spoilt, strict=True))
    assert abs(changed - 200) < 4.5 * 10 + 1


def test_changes_are_described_in_order():
    described = corrupted(with_mismatch(Digits(), 0.25), "drop", 0.5).describe()
    assert [next(iter(change)) for change in described["captions_changed"]] == ["mismatch", "corruption"]
    assert described["kind"] == "digits"


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), True])
def test_a_share_is_a_share(fraction):
    for change in (lambda: with_mismatch(Digits(), fraction), lambda: corrupted(Digits(), "drop", fraction)):
        with pytest.raises(ValueError, match=r"`fraction` must be a number in \[0, 1\]"):
            change()


def test_an_unknown_corruption_names_the_nearest():
    with pytest.raises(ValueError, match="nearest is 'shuffle'"):
        corrupted(Digits(), "shufle", 0.5)
