"""Scenes: the same by index, the law of their attributes, captions as complete as told, combinations held back."""

import itertools
import json
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.data.pairs import LabelledSource, held_out_split
from empirical.data.scene_attributes import ATTRIBUTES, SAID, VALUES, draw_records, shows, unseen_table
from empirical.data.scene_captions import mentions_of
from empirical.data.scenes import Scenes


def test_a_row_is_the_same_in_every_batch_and_order():
    scenes = Scenes(size=32)
    many = scenes.batch(np.arange(100))
    few = Scenes(size=32).batch([99, 3])
    assert_array_equal(few.images, many.images[[99, 3]])
    assert few.captions == (many.captions[99], many.captions[3])
    assert few.captions == scenes.captions([99, 3])
    assert not np.array_equal(Scenes(size=32, seed=1).batch([3]).images, many.images[3:4])
    assert isinstance(scenes, LabelledSource)


def test_attributes_are_uniform_and_independent():
    """Chi-square of each attribute and of each pair; z of a chi-square is (x - k)/sqrt(2k)."""
    records = draw_records(0, np.arange(40_000), related=0.5)
    related = records["relation"] >= 0
    assert abs(related.mean() - 0.5) < 4.5 * np.sqrt(0.25 / len(records))
    for rows, names in (
        (related, [name for name in SAID if name not in ("count", "position")]),
        (~related, ATTRIBUTES),
    ):
        names = [name for name in names if name != "relation" or rows is related]
        for i, first in enumerate(names):
            for second in names[i:]:
                if {first, second} == {"colour", "other_colour"}:
                    continue  # differ by design
                sizes = [len(VALUES[name.removeprefix("other_")]) for name in (first, second)]
                codes = records[first][rows].astype(int) * sizes[1] + records[second][rows]
                cells = sizes[0] * sizes[1]
                found = np.bincount(codes, minlength=cells)[:: sizes[1] + 1] if first == second else np.bincount(codes)
                expected = rows.sum() / (sizes[0] if first == second else cells)
                degrees = len(found) - 1
                assert len(found) == (sizes[0] if first == second else cells)
                assert abs(((found - expected) ** 2 / expected).sum() - degrees) < 5 * np.sqrt(2 * degrees), (
                    first,
                    second,
                )


def test_the_second_colour_is_another_one_uniformly():
    records = draw_records(0, np.arange(40_000), related=1.0)
    steps = (records["other_colour"].astype(int) - records["colour"]) % 8
    found = np.bincount(steps, minlength=8)
    assert found[0] == 0
    assert np.all(np.abs(found[1:] - len(steps) / 7) < 4.5 * np.sqrt(len(steps) / 7))


def test_captions_say_every_attribute_that_the_scene_has_and_no_other():
    scenes = Scenes(n=400)
    records = scenes.records(np.arange(400))
    for number, mentioned in enumerate([ATTRIBUTES, *[(name,) for name in ATTRIBUTES]]):
        captions = Scenes(n=400, mentions=mentioned).captions(np.arange(400))
        for record, caption in zip(records, captions, strict=True):
            for name in ATTRIBUTES:
                words = VALUES[name][record[name]]
                said = re.search(rf"\b{words}(e?s)?\b", caption) is not None
                if name in mentioned and record[name] >= 0:
                    assert said, (caption, name)
                elif number and name not in ("relation", "position") and record["relation"] < 0:
                    assert not said, (caption, name)


@pytest.mark.parametrize(
    ("mentions", "caption"),
    [
        (("shape", "colour"), "orange diamond"),
        (("colour", "shape"), "orange diamond"),
        (("colour",), "orange object"),
        (("count",), "two objects"),
        (("count", "shape"), "two diamonds"),
        (("background",), "object on grey background"),
        (ATTRIBUTES, "two medium checkered orange diamonds at the top right on grey background"),
    ],
)
def test_grammar_of_a_group(mentions, caption):
    assert Scenes(mentions=mentions).captions([12]) == (caption,)


def test_grammar_of_a_relation():
    assert Scenes(mentions=("relation", "colour")).captions([0]) == ("purple object right of yellow object",)
    assert Scenes(mentions=("colour",)).captions([0]) == ("purple object",)
    several = Scenes(mentions=("count", "shape"), related=0.0).captions(np.arange(200))
    assert {"four crosses", "two stars", "one ring"} <= set(several)


def test_more_complete_captions_distinguish_more_scenes():
    rows = np.arange(500)
    distinct = [len(set(Scenes(completeness=k / 8).captions(rows))) for k in range(1, 9)]
    assert distinct[0] == 8
    assert all(low < high for low, high in itertools.pairwise(distinct))
    assert distinct[-1] > 490


@pytest.mark.parametrize(("completeness", "n"), [(1, 8), (0.5, 4), (0.51, 5), (0.125, 1), (1e-9, 1)])
def test_completeness_is_a_share_rounded_up(completeness, n):
    assert mentions_of(completeness) == ATTRIBUTES[:n]


def test_prompts_say_one_value_each_and_labels_are_their_places():
    scenes = Scenes()
    for task, values in scenes.tasks.items():
        prompts = scenes.prompts(task)
        assert len(prompts) == len(values) == len(set(prompts))
        assert all(value in prompt for value, (prompt,) in zip(values, prompts, strict=True))
    assert scenes.prompts("colour")[0] == ("red object",)
    assert scenes.prompts("count")[2] == ("three objects",)
    assert_array_equal(scenes.labels_of("colour", [12]), [4])
    assert_array_equal(scenes.labels_of("position", [0]), [-1])


def test_unseen_combinations_are_never_trained_on():
    scenes = Scenes(n=5000, size=16, unseen_combinations=8)
    train, held_out = held_out_split(scenes, 200, 0)
    assert not shows(scenes.records(train), scenes.unseen).any()
    assert shows(scenes.records(held_out), scenes.unseen).all()
    assert len(held_out) == 200
    assert len(train) + len(scenes.unseen_rows()) == 5000
    for shape, colour in np.argwhere(scenes.unseen):  # of the second object of a relation, too
        words = f"{VALUES['colour'][colour]} {VALUES['shape'][shape]}"
        assert not any(words in caption for caption in scenes.captions(train))
        assert any(words in caption for caption in scenes.captions(scenes.unseen_rows()))
    seen = scenes.records(train)
    assert set(seen["shape"]) == set(range(8))
    assert set(seen["colour"]) == set(range(8))
    with pytest.raises(ValueError, match="too few to hold out 4000"):
        held_out_split(scenes, 4000, 0)


@pytest.mark.parametrize("n", range(33))
def test_unseen_combinations_are_spread_evenly(n):
    table = unseen_table(n, 3)
    assert table.sum() == n
    for axis in (0, 1):
        counts = table.sum(axis=axis)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "`size` must be in 16 to 512"),
        ({"completeness": 0}, "`completeness`"),
        ({"completeness": float("nan")}, "`completeness`"),
        ({"mentions": ("color",)}, "nearest is 'colour'"),
        ({"mentions": ("colour",), "completeness": 0.5}, "leave out `completeness`"),
        ({"related": 1.5}, "`related`"),
        ({"unseen_combinations": 33}, "at most 32"),
        ({"seed": -1}, "`seed`"),
        ({"seed": 1 << 64}, "`seed`"),
        ({"n": 0}, "`n`"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Scenes(**options)


def test_rows_out_of_range_are_named():
    with pytest.raises(ValueError, match="rows of scenes, 0 to 9, got 10"):
        Scenes(n=10).batch([3, 10])
    with pytest.raises(ValueError, match="nearest is 'colour'"):
        Scenes().labels_of("colours", [0])


def test_the_description_is_json_and_tells_options_apart():
    found = {json.dumps(Scenes(**options).describe()) for options in ({}, {"seed": 1}, {"size": 64}, {"related": 0.0})}
    assert len(found) == 4
