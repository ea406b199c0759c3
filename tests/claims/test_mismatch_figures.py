import numpy as np
import pytest
from matplotlib.figure import Figure

from claims.beyond.mismatch_phases import ARC_ID, PAIRS, SHUFFLED_ID
from claims.figures.mismatch import plot_arc_phases, plot_shuffled_phases, plot_sphere_scene
from conetheory.mismatch_phases import arc_critical_scales, shuffled_scale


def verdict(name, at, measured):
    cell = {"at": at, "predicted": measured, "measured": measured, "stderr": 0.01, "interval": (0.0, 1.0)}
    return {"id": name, "relation": "equal", "cells": [cell]}


def dots(ax):
    return [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o" and len(line.get_xydata()) == 1]


def test_dots_lie_where_their_verdicts_have_them():
    found = verdict(SHUFFLED_ID, {"dim": 3.0, "fraction": 0.5}, 1.1)
    ax = plot_shuffled_phases([found], ax=Figure().subplots())
    expected = 1 / (1.1 * shuffled_scale(3, PAIRS // 2, PAIRS).mean)
    assert [tuple(dot) for dot in dots(ax)] == [(0.5, pytest.approx(expected))]
    ax = plot_arc_phases([verdict(ARC_ID, {"spacing_deg": 20.0, "swaps": 1.0}, 21.0)], ax=Figure().subplots())
    assert [tuple(dot) for dot in dots(ax)] == [(20.0, pytest.approx(1 / 21))]
    line = next(line for line in ax.lines if line.get_label().startswith("1 of"))
    expected = 1 / arc_critical_scales(6, line.get_xdata(), [1])[:, 0]
    np.testing.assert_allclose(line.get_ydata(), expected)


def test_scene_shows_six_pairs_and_marks_the_mismatched():
    ax = plot_sphere_scene([], ax=Figure().add_subplot(projection="3d"))
    names = [text.get_text() for text in ax.texts]
    assert sorted(names) == sorted([*"012345", *"012345"])
    assert len({line.get_color() for line in ax.lines if line.get_marker() == "^"}) == 2
