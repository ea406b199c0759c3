"""Zero-shot classification, and the paired comparison of two of them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest

from empirical.zero_shot import class_embeddings, paired_change, zero_shot


def toy(n=60, classes=6, dim=8, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    texts = rng.standard_normal((classes, dim))
    labels = rng.integers(classes, size=n)
    return texts[labels] + noise * rng.standard_normal((n, dim)), texts, labels


def naive_top(images, texts, labels, k):
    hits = 0
    for image, label in zip(images, labels, strict=True):
        cosines = [image @ text / np.linalg.norm(image) / np.linalg.norm(text) for text in texts]
        hits += label in np.argsort(cosines)[::-1][:k]
    return hits / len(images)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5))
def test_accuracies_are_those_of_the_obvious_loop(seed, noise):
    images, texts, labels = toy(seed=seed, noise=noise)
    found = zero_shot(images, texts, labels, ks=(1, 3, 5))
    for k in (1, 3, 5):
        assert_allclose(found.top[k].value, naive_top(images, texts, labels, k))
    for label, at in enumerate(found.per_class):
        mine = labels == label
        if at is None:
            assert not mine.any()
        else:
            assert_allclose(at.value, naive_top(images[mine], texts, labels[mine], 1))


def test_intervals_are_exact():
    found = zero_shot(*toy())
    hits = int(np.count_nonzero(found.rank == 0))
    exact = binomtest(hits, 60).proportion_ci(method="exact")
    assert_allclose(found.top[1].interval, [exact.low, exact.high], rtol=1e-9)
    assert_array_equal(found.predicted[found.rank == 0], toy()[2][found.rank == 0])
    json.dumps(found.as_dict(), allow_nan=False)


def test_mean_per_class_does_not_weigh_by_images():
    images = np.eye(3)[[0, 0, 0, 0, 1, 1]]
    found = zero_shot(images, np.eye(3), [0, 0, 0, 0, 1, 0])
    assert_allclose([found.mean_per_class.value, found.top[1].value], [0.9, 5 / 6])
    assert_allclose(found.mean_per_class.stderr, np.sqrt(0.8 * 0.2 / 4 + 0.1**2) / 2)
    assert found.per_class[2] is None


@pytest.mark.parametrize(("sizes", "conservative"), [((2, 2, 3), False), ((1, 1, 1, 1, 1, 1, 2), True)])
def test_error_of_the_mean_per_class_is_the_spread_over_images(sizes, conservative):
    """Classes of fixed sizes, right with chances from 0.2 to 0.8: mean variance against the variance of the means, of
    which 600 Gaussian ones have the relative error √(2/600).
    """
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.linspace(0.2, 0.8, len(sizes))[labels]
    found = []
    for hits in rng.random((600, len(labels))) < chance:
        images = np.eye(len(sizes))[np.where(hits, labels, (labels + 1) % len(sizes))]
        found.append(zero_shot(images, np.eye(len(sizes)), labels).mean_per_class)
    ratio = np.mean([at.stderr**2 for at in found]) / np.var([at.value for at in found])
    if conservative:
        assert 1 < ratio < 2
    else:
        assert abs(ratio - 1) < 4.5 * np.sqrt(2 / 600)


def test_classes_that_cannot_be_told_apart_score_nothing():
    found = zero_shot(np.ones((10, 4)), np.ones((3, 4)), np.zeros(10, dtype=int), ks=(1, 3, 5))
    assert (found.top[1].value, found.top[3].value) == (0, 1)
    assert set(found.top) == {1, 3}


def test_memory_maps_are_read_in_blocks(tmp_path, monkeypatch):
    images, texts, labels = toy()
    np.save(tmp_path / "images.npy", images)
    whole = zero_shot(images, texts, labels)
    monkeypatch.setattr("empirical.zero_shot._BLOCK", 7)
    assert_array_equal(zero_shot(np.load(tmp_path / "images.npy", mmap_mode="r"), texts, labels).rank, whole.rank)


def test_templates_are_averaged_as_unit_rows():
    prompts = np.array([[[10.0, 0, 0], [0, 0.1, 0]], [[0, 0, 3.0], [0, 0, 1.0]]])
    assert_allclose(class_embeddings(prompts), [[np.sqrt(0.5), np.sqrt(0.5), 0], [0, 0, 1]], atol=1e-15)


def test_templates_help_where_they_differ_by_noise():
    rng = np.random.default_rng(0)
    classes = rng.standard_normal((20, 16))
    labels = rng.integers(20, size=2000)
    images = classes[labels] + 1.5 * rng.standard_normal((2000, 16))
    prompts = classes[:, None] + 1.5 * rng.standard_normal((20, 30, 16))
    one, many = (zero_shot(images, class_embeddings(prompts[:, :t]), labels) for t in (1, 30))
    change = paired_change(one.rank == 0, many.rank == 0)
    assert change.change.value > 4.5 * change.change.stderr


# ---- paired change ----


@pytest.mark.parametrize(("gained", "lost", "same"), [(7, 2, 5), (0, 6, 3), (3, 3, 1), (0, 0, 4)])
def test_mcnemar_is_a_binomial_test_of_the_changes(gained, lost, same):
    before = np.repeat([False, True, True], [gained, lost, same])
    after = np.repeat([True, False, True], [gained, lost, same])
    found = paired_change(before, after)
    assert (found.gained, found.lost) == (gained, lost)
    assert_allclose(found.change.value, (gained - lost) / (gained + lost + same))
    assert_allclose(found.p_value, binomtest(gained, gained + lost).pvalue if gained + lost else 1.0)


def test_paired_error_is_smaller_than_that_of_two_samples():
    images, texts, labels = toy(n=4000)
    a = zero_shot(images, texts, labels)
    b = zero_shot(images + 0.01, texts, labels)
    found = paired_change(a.rank == 0, b.rank == 0)
    assert found.change.stderr < 0.3 * np.hypot(a.top[1].stderr, b.top[1].stderr)
    assert_allclose(found.change.value, b.top[1].value - a.top[1].value, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"labels": [0, 1, 9]}, ValueError, r"labels.*9"),
        ({"labels": [0, 1]}, ValueError, r"labels.*\(3,\)"),
        ({"labels": [0.0, 1.0, 2.0]}, TypeError, "labels.*float64"),
        ({"images": np.eye(4)}, ValueError, r"images.*\(4, 4\)"),
        ({"images": np.diag([1.0, 0, 1])}, ValueError, "images.*zero row"),
        ({"classes": np.eye(3)[:1]}, ValueError, "classes"),
        ({"ks": (0,)}, ValueError, "ks"),
    ],
)
def test_bad_input_is_named(change, error, words):
    given_ = {"images": np.eye(3), "classes": np.eye(3), "labels": [0, 1, 2]} | change
    with pytest.raises(error, match=words):
        zero_shot(**given_)


def test_ranks_are_no_hits():
    with pytest.raises(TypeError, match="boolean"):
        paired_change(np.array([0, 3, 2]), np.array([1, 0, 0]))
    with pytest.raises(ValueError, match="one length"):
        paired_change(np.array([True, False]), np.array([True, False, True]))


def test_prompts_that_cancel_are_refused():
    with pytest.raises(ValueError, match="prompts, averaged"):
        class_embeddings([[[1.0, 0.0], [-1.0, 0.0]]])
    with pytest.raises(ValueError, match=r"prompts.*\(2, 2\)"):
        class_embeddings(np.eye(2))
