"""Digits with captions: exact pixels, templates by index, labels, MNIST's file; and sources by name."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from empirical.data.digits import TEMPLATES, WORDS, Digits
from empirical.data.mnist import Mnist
from empirical.data.pairs import LabelledSource
from empirical.data.sources import KINDS, open_source, options_of


def test_pixels_are_those_of_the_data_each_repeated():
    stored = load_digits()
    images = Digits(size=32).batch(np.arange(1797)).images
    assert images.shape == (1797, 3, 32, 32)
    for channel in range(3):
        assert_array_equal(images[:, channel, 2::4, 1::4], np.round(stored.images * 255 / 16))
    blocks = images.reshape(1797, 3, 8, 4, 8, 4)
    assert np.all(blocks == blocks[:, :, :, :1, :, :1])


def test_a_size_that_is_no_multiple_has_a_border():
    images = Digits(size=21).batch([0, 1]).images
    assert_array_equal(images[:, :, 2:18, 2:18], Digits(size=16).batch([0, 1]).images)
    assert images[:, :, [0, 1, 18, 19, 20]].sum() == images[:, :, :, [0, 1, 18, 19, 20]].sum() == 0


def test_captions_name_the_digit_by_every_template():
    digits = Digits()
    captions = digits.captions(np.arange(1797))
    assert_array_equal(digits.labels, load_digits().target)
    assert all(WORDS[label] in caption.split() for label, caption in zip(digits.labels, captions, strict=True))
    by_template = [sum(c in {t.format(word=w) for w in WORDS} for c in captions) for t in TEMPLATES]
    n = len(captions)
    assert sum(by_template) == n
    assert all(abs(count - n / 5) < 4.5 * np.sqrt(n * 0.16) for count in by_template)
    assert digits.captions([7, 3]) == (captions[7], captions[3])
    assert Digits(seed=1).captions(np.arange(1797)) != captions


def test_labels_and_prompts():
    digits = Digits()
    assert isinstance(digits, LabelledSource)
    assert_array_equal(digits.labels_of("digit", [3, 5]), digits.labels[[3, 5]])
    prompts = digits.prompts("digit")
    assert (len(prompts), len(prompts[0])) == (10, len(TEMPLATES))
    assert prompts[4][2] == "the digit four"
    with pytest.raises(ValueError, match="nearest is 'digit'"):
        digits.labels_of("digits", [0])
    with pytest.raises(ValueError, match="`size` must be at least 8"):
        Digits(size=4)
    json.dumps(digits.describe())


def test_mnist_from_its_file(data_file):
    path = data_file("mnist/mnist.npz")
    mnist = Mnist(path, part="test", size=32)
    with np.load(path, allow_pickle=False) as stored:
        assert_array_equal(mnist.labels, stored["y_test"])
        assert_array_equal(mnist.batch([0, 9999]).images[:, 1, 2:30, 2:30], stored["x_test"][[0, 9999]])
    assert len(mnist) == 10_000


def test_mnist_of_a_small_file(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (5, 28, 28), dtype=np.uint8), "y_train": np.arange(5, dtype=np.uint8)}
    np.savez(tmp_path / "m.npz", **arrays)
    mnist = open_source("mnist", path=str(tmp_path / "m.npz"), size=56)
    assert_array_equal(mnist.batch([4]).images[0, 0, ::2, 1::2], arrays["x_train"][4])
    with pytest.raises(ValueError, match="x_test"):
        Mnist(tmp_path / "m.npz", part="test")
    with pytest.raises(ValueError, match="nearest is 'train'"):
        Mnist(tmp_path / "m.npz", part="training")


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": np.zeros((2, 28, 28)), "y_train": np.arange(2)},
        {"x_train": np.zeros((2, 28, 28), np.uint8), "y_train": np.arange(3)},
        {"x_train": np.zeros((2, 28, 28), np.uint8), "y_train": np.array([0, 10])},
        {"x_train": np.zeros((2, 28, 28), np.uint8), "y_train": np.array([0.0, 1.0])},
        {"x_train": np.array([{}, None], dtype=object), "y_train": np.arange(2)},
    ],
)
def test_mnist_of_a_wrong_file_says_so(tmp_path, arrays):
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(ValueError, match=r"m\.npz"):
        Mnist(tmp_path / "m.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"text"])
def test_mnist_of_a_damaged_file_says_so(tmp_path, content):
    (tmp_path / "m.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.npz is no \.npz"):
        Mnist(tmp_path / "m.npz")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Mnist(tmp_path / "missing.npz")


def test_every_kind_of_source_has_options():
    for kind in KINDS:
        assert "size" in options_of(kind)
        assert options_of(kind)["size"].kind.name == "KEYWORD_ONLY"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("scene", {}, "`kind` must be one of scenes, digits, .* nearest is 'scenes'"),
        ("scenes", {"sise": 32}, "an option of scenes .* nearest is 'size'"),
        ("coco", {"images": "x"}, "coco needs the option 'annotations'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind, options, message):
    with pytest.raises(ValueError, match=message):
        open_source(kind, **options)
