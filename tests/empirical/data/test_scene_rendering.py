"""The renderer against Pillow, layouts, and what the images show."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.data.scene_attributes import BACKGROUNDS, RECORD, VALUES, draw_records
from empirical.data.scene_rendering import RADII, arrange, render_scenes
from tests.empirical.data.naive_scenes import draw_scenes


def made(n, **values):
    """Return `n` scenes of one solid red medium circle in the centre on white, changed as told."""
    records = np.zeros(n, dtype=RECORD)
    for name in ("relation", "other_shape", "other_colour", "other_size", "other_texture"):
        records[name] = -1
    records["position"], records["size"] = 4, 1
    for name in ("place", "turn", "shade"):
        records[name] = 0.5
    for name, value in values.items():
        records[name] = value
    return records


@pytest.mark.parametrize(("size", "n", "mean"), [(32, 48, 0.5), (64, 16, 0.25), (224, 2, 0.1)])
def test_pillow_draws_the_same(size, n, mean):
    """Edges alone differ, so the mean falls with the size: Pillow's are pixels of a canvas sixteen times as large, ours
    shares by distance. Such a share is off by a tenth on a straight edge and by up to 0.3 where edges meet, of colours
    that differ by up to 255.
    """
    records = draw_records(1, np.arange(n), related=0.5)
    difference = np.abs(render_scenes(records, size).astype(int) - draw_scenes(records, size, 16))
    assert difference.mean() < mean
    assert difference.max() <= 0.3 * 255


@pytest.mark.parametrize("shape", range(8))
@pytest.mark.parametrize("texture", range(4))
def test_each_shape_and_texture_covers_what_pillow_covers(shape, texture):
    """Covered and dark areas: Pillow fills outlines too, half a pixel of its canvas, which is 0.0054 of the area of the
    thinnest shape, the ring (its radius is 369 of those pixels, its width half of that)."""
    records = made(1, shape=shape, texture=texture, size=2, turn=0.8)
    areas = [(255.0 - image).sum() for image in (render_scenes(records, 128), draw_scenes(records, 128, 16))]
    assert areas[0] == pytest.approx(areas[1], rel=0.0055)


def test_objects_of_a_scene_do_not_touch_and_lie_inside():
    objects = arrange(draw_records(0, np.arange(600), related=0.5))
    radius = np.array(RADII)[objects.size]
    assert np.all(objects.centre - radius[:, None] >= -1e-6)
    assert np.all(objects.centre + radius[:, None] <= 1 + 1e-6)
    same = (objects.scene[:, None] == objects.scene) & ~np.eye(len(objects.scene), dtype=bool)
    distance = np.linalg.norm(objects.centre[:, None] - objects.centre, axis=2)
    assert np.all(distance[same] > 1.05 * (radius[:, None] + radius)[same])


def test_the_count_is_what_is_seen():
    records = draw_records(0, np.arange(500), related=0.5)
    expected = np.where(records["relation"] >= 0, 2, records["count"] + 1)
    assert_array_equal(np.bincount(arrange(records).scene), expected)


@pytest.mark.parametrize(("relation", "axis", "sign"), [(0, 0, -1), (1, 0, 1), (2, 1, -1), (3, 1, 1)])
def test_a_relation_is_where_the_caption_says(relation, axis, sign):
    records = draw_records(0, np.arange(2000), related=1.0)
    objects = arrange(records[records["relation"] == relation])
    first, other = objects.centre[objects.slot == 0], objects.centre[objects.slot == 1]
    across = np.abs((first - other)[:, 1 - axis])
    assert np.all(sign * (first - other)[:, axis] > 0.39)
    assert across.max() < 0.31


@pytest.mark.parametrize("position", range(9))
def test_a_position_is_where_the_caption_says(position):
    """Where an object alone has its centre, by thirds of the room it has."""
    records = draw_records(0, np.arange(3000), related=0.0)
    chosen = records[(records["position"] == position) & (records["count"] == 0)]
    centre = arrange(chosen).centre
    for axis, words in ((0, ("left", "right")), (1, ("top", "bottom"))):
        said = [word in VALUES["position"][position].split() for word in words]
        low, high = ((0, 0.4), (0.4, 0.6), (0.6, 1))[1 + said[1] - said[0]]
        assert np.all((low <= centre[:, axis]) & (centre[:, axis] <= high))


def test_a_plain_circle_has_its_area_and_its_colour():
    image = render_scenes(made(1), 224)[0].astype(float)
    background, colour = np.array(BACKGROUNDS["white"]), image[:, 112, 112]
    covered = ((background[0] - image[1]) / (background[0] - colour[1])).sum()
    assert covered == pytest.approx(np.pi * (0.9 * RADII[1] * 224) ** 2, rel=1e-3)
    assert_array_equal(image[:, 0, 0], background)
    assert_array_equal(colour, np.floor(np.array([220, 30, 40]) * 0.925 + 0.5))


@pytest.mark.parametrize("attribute", ["shape", "colour", "count", "size", "position", "texture", "background"])
def test_every_value_of_an_attribute_looks_different(attribute):
    values = np.arange(len(VALUES[attribute]))
    images = render_scenes(made(len(values), **{attribute: values}), 32).astype(int)
    apart = np.abs(images[:, None] - images).mean(axis=(2, 3, 4))
    assert np.all(apart[~np.eye(len(values), dtype=bool)] > 0.5)


def test_an_image_does_not_depend_on_its_batch():
    records = draw_records(0, np.arange(300), related=0.5)
    together = render_scenes(records, 48)
    for row in (0, 7, 255, 299):
        assert_array_equal(render_scenes(records[row : row + 1], 48)[0], together[row])
