"""``conetheory evaluate``: every task, every intervention, on files."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory import gap
from empirical.zero_shot import class_embeddings, zero_shot
from tests.empirical.clouds import clouds

N, CLASSES, DIM = 60, 4, 8
CHEAP = ("--bootstrap", 2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of pairs, labels, class texts, words and queries, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    centres, labels = rng.standard_normal((CLASSES, DIM)), rng.integers(CLASSES, size=N)
    x, y = clouds(N, DIM)
    x = x + 2 * centres[labels]
    np.save("pairs.npy", np.stack([x, y]))
    np.save("labels.npy", labels)
    (tmp_path / "labels.txt").write_text("\n".join(f"class {label}" for label in labels) + "\n")
    np.save("classes.npy", centres)
    np.save("prompts.npy", centres[:, None] + rng.standard_normal((CLASSES, 3, DIM)))
    np.save("words.npy", centres)
    rows = [f"{i},{labels[i]},{(labels[i] + 1) % CLASSES},{np.flatnonzero(labels == (labels[i] + 1) % CLASSES)[0]}"
            for i in range(10)]  # fmt: skip
    (tmp_path / "queries.csv").write_text("source,removed,added,target\n" + "\n".join(rows) + "\n")
    return x, y, labels, centres


@pytest.fixture
def evaluate(conetheory, folder):
    def run(*words):
        done = conetheory("evaluate", "pairs.npy", *words, *CHEAP, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


def test_plain_report_is_that_of_gap(evaluate, folder):
    found = evaluate()
    assert found["intervention"] is None
    assert "before" not in found
    assert_allclose(found["measured"]["gap"]["value"], gap.gap_norm(*folder[:2]), rtol=1e-12)
    assert_allclose(found["measured"]["recall_x_to_y"]["1"]["value"], gap.recall(*folder[:2], (1,))[0])


def test_labels_and_classes(evaluate, folder):
    x, _, labels, centres = folder
    found = evaluate("--labels", "labels.npy", "--class-embeddings", "classes.npy")
    assert found["zero_shot"] == json.loads(json.dumps(zero_shot(x, centres, labels).as_dict()))
    assert found["linear_probe"]["n_train"] + found["linear_probe"]["n_test"] == N
    prompts = evaluate("--labels", "labels.npy", "--class-embeddings", "prompts.npy")["zero_shot"]["top"]["1"]["value"]
    assert_allclose(prompts, zero_shot(x, class_embeddings(np.load("prompts.npy")), labels).top[1].value)
    names = evaluate("--labels", "labels.txt")["linear_probe"]
    assert names["n_test"] == found["linear_probe"]["n_test"]


def test_arithmetic_with_groups_as_captions(evaluate):
    found = evaluate("--queries", "queries.csv", "--words", "words.npy", "--groups", "labels.npy", "--lambda", 0,
                     "--lambda", 3)["arithmetic"]  # fmt: skip
    assert found["n_queries"] == 10
    assert [at["lambda"] for at in found["scores"]] == [0, 3]
    assert found["scores"][1]["value"] > found["scores"][0]["value"]


@pytest.mark.parametrize(
    ("words", "closes"),
    [
        (("--shift", "0.5"), True),
        (("--shift", "-1"), False),
        (("--shift-x", "1"), True),
        (("--centre",), True),
        (("--procrustes",), True),
        (("--procrustes-means",), True),
        (("--remove-top", 1), True),
        (("--remove-coordinates", 3), True),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_interventions(evaluate, words, closes):
    found = evaluate(*words, "--labels", "labels.npy", "--class-embeddings", "classes.npy")
    before, after = (found[stage]["gap"]["value"] for stage in ("before", "measured"))
    assert (after < before) == closes
    assert_allclose(found["intervention"].get("gap", before), before, rtol=1e-9)
    zero = found["zero_shot"]
    after, before = zero["top"]["1"]["value"], zero["before"]["top"]["1"]["value"]
    assert_allclose(zero["change"]["value"], after - before, atol=1e-12)
    assert 0 < zero["p_value"] <= 1


def test_target_gap(evaluate):
    assert_allclose(evaluate("--to-gap", "0.4")["measured"]["gap"]["value"], 0.4, atol=1e-8)


def test_fitted_on_one_part_shown_on_the_other(evaluate):
    found = evaluate("--centre", "--fit-share", "0.5", "--labels", "labels.npy", "--class-embeddings", "classes.npy")
    assert found["n"] == found["zero_shot"]["n"] == N // 2
    leaky = evaluate("--centre")["measured"]["gap"]["value"]
    assert found["measured"]["gap"]["value"] > leaky  # means of other pairs do not fit as well


def test_table_shows_every_task(conetheory, folder):
    done = conetheory("evaluate", "pairs.npy", "--labels", "labels.npy", "--class-embeddings", "classes.npy",
                      "--queries", "queries.csv", "--words", "words.npy", "--centre", *CHEAP)  # fmt: skip
    assert done.code == 0, done.err
    for words in ("name centring", "before: gap", "linear_probe accuracy", "zero_shot top 1", "arithmetic λ = 1", "±"):
        assert words in done.out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("pairs.npy --centre --shift 0.5", ["--shift", "--centre"]),
        ("pairs.npy --shift far", ["--shift", "'far'"]),
        ("pairs.npy --to-gap 3", ["target", "3"]),
        ("pairs.npy --remove-top 8", ["k", "8"]),
        ("pairs.npy --remove-top 0", ["--remove-top", "0"]),
        ("pairs.npy --fit-share 0.5", ["--fit-share", "intervention"]),
        ("pairs.npy --centre --fit-share 1.5", ["share", "1.5"]),
        ("pairs.npy --class-embeddings classes.npy", ["--class-embeddings", "--labels"]),
        ("pairs.npy --labels classes.npy", ["--labels", "2 axes"]),
        ("pairs.npy --labels queries.csv", ["--labels", "11"]),
        ("pairs.npy --labels nowhere.npy", ["nowhere.npy"]),
        ("pairs.npy --labels labels.txt --class-embeddings classes.npy", ["--labels", "'class"]),
        ("pairs.npy --labels labels.npy --class-embeddings labels.npy", ["--class-embeddings", "1 axes"]),
        ("pairs.npy --queries queries.csv", ["--queries", "--words"]),
        ("pairs.npy --queries labels.txt --words words.npy", ["--queries", "source, removed, added, target"]),
        ("pairs.npy --queries queries.csv --words words.npy --centre --fit-share 0.5", ["--queries", "--fit-share"]),
        ("nowhere.npy", ["nowhere.npy"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(conetheory, folder, words, names):
    done = conetheory("evaluate", *words.split())
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("conetheory: ")
    for name in names:
        assert name in line
