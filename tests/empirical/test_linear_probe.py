"""The linear probe: scikit-learn's accuracy, honest splits, chance where there is nothing to learn."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from empirical.linear_probe import linear_probe


def toy(n=300, classes=3, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    return rng.standard_normal((classes, dim))[labels] + rng.standard_normal((n, dim)), labels


def test_accuracy_is_that_of_scikit_learn():
    x, labels = toy()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    model = LogisticRegression(C=3.0, max_iter=1000).fit(unit[:200], labels[:200])
    found = linear_probe(x[:200], labels[:200], test=(x[200:], labels[200:]), regularisation=3.0)
    assert_allclose(found.accuracy.value, model.score(unit[200:], labels[200:]))
    assert (found.n_train, found.n_test, found.n_classes, found.converged) == (200, 100, 3, True)
    json.dumps(found.as_dict())


def test_real_digits_are_told_apart():
    digits = load_digits()
    found = linear_probe(digits.data, digits.target, regularisation=100.0, rng=0)
    assert found.accuracy.interval is not None
    assert found.accuracy.interval[0] > 0.9
    assert 0.05 < found.chance < 0.15


def test_labels_without_a_pattern_are_left_to_chance():
    rng = np.random.default_rng(0)
    found = linear_probe(rng.standard_normal((2000, 5)), rng.integers(2, size=2000), rng=1)
    assert abs(found.accuracy.value - 0.5) < 4.5 * found.accuracy.stderr


def test_every_class_is_held_out_in_part():
    labels = np.array(["a"] * 50 + ["b"] * 2)
    found = linear_probe(np.random.default_rng(0).standard_normal((52, 4)), labels, rng=0)
    assert (found.n_train, found.n_test) == (41, 11)
    assert_allclose(found.chance, 10 / 11)


def test_a_class_met_only_in_the_test_counts_as_wrong():
    found = linear_probe(np.eye(4)[:2], [0, 1], test=(np.eye(4)[[0, 1, 2]], [0, 1, 2]))
    assert found.accuracy.value <= 2 / 3


def test_an_early_end_is_told():
    x, labels = toy()
    assert not linear_probe(x, labels, regularisation=1e4, max_iterations=2, rng=0).converged


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros(4, dtype=int)}, "two classes"),
        ({"labels": [0, 1, 1, 1]}, "two rows"),
        ({"labels": [0, 1]}, r"shape \(4,\)"),
        ({"test_share": 0.0}, "test_share"),
        ({"regularisation": -1.0}, "regularisation"),
        ({"test": (np.eye(3), [0])}, "test"),
        ({"test": (np.eye(3), [0, 0, 1])}, "test.*dimension"),
    ],
)
def test_bad_input_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        linear_probe(**{"features": np.eye(4), "labels": [0, 0, 1, 1]} | change)


def test_labels_of_two_types_are_never_compared():
    with pytest.raises(TypeError, match=r"`test`.*int64.*U1"):
        linear_probe(np.eye(4), [0, 0, 1, 1], test=(np.eye(4), ["0", "0", "1", "1"]))


def test_chance_is_the_share_of_the_commonest_class_wherever_its_name_stands():
    labels = np.array(["a"] * 10 + ["b"] * 30)
    assert linear_probe(np.random.default_rng(0).standard_normal((40, 4)), labels, rng=0).chance == 0.75


def test_a_class_of_two_rows_keeps_one_to_train_on():
    found = linear_probe(np.eye(4), [0, 0, 1, 1], test_share=0.9, rng=0)
    assert (found.n_train, found.n_test, found.n_classes) == (2, 2, 2)
