import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from claims.decide import decide
from claims.figures.gap_flow import (
    SNAPSHOTS,
    plot_flow_against_reduced,
    plot_gap_course,
    plot_pitchfork,
    plot_snapshot,
)
from claims.yaras.course import CLAIMS, LAWS
from claims.yaras.equilibria import CLAIMS as RESTS
from claims.yaras.equilibria import REST_ID
from claims.yaras.figure1 import CLAIMS as FIGURE_1
from claims.yaras.figure1 import COURSE_ID, COURSE_TIMES


def as_line(claim):
    verdict = decide(claim)
    cells = [
        {"at": dict(c.at), "predicted": c.predicted, "measured": c.measured, "stderr": c.stderr, "tolerance": 0.0}
        for c in verdict.cells
    ]
    return {"id": claim.id, "relation": claim.relation, "source": "computed", "cells": cells}


def axes():
    return Figure().subplots()


def lines_and_dots(ax):
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    return [line for line in ax.get_lines() if line.get_marker() != "o"], dots


@pytest.fixture(scope="module")
def verdicts():
    return [as_line(claim) for claim in (*CLAIMS, *(claim for claim in RESTS if claim.id == REST_ID))]


def test_dots_lie_on_the_lines_of_their_law(verdicts):
    lines, dots = lines_and_dots(plot_gap_course(verdicts, ax=axes()))
    assert len(lines) == len(LAWS) + 3  # and two late laws, and the bound
    assert len(dots) == len(LAWS)
    for line, points in zip(lines, dots, strict=False):
        assert line.get_color() == points.get_color()
        t, gap = line.get_data()
        inside = points.get_xdata() <= t[-1]
        on_line = np.exp(np.interp(np.log(points.get_xdata()[inside]), np.log(t), np.log(gap)))
        assert_allclose(points.get_ydata()[inside], on_line, rtol=0.05)


def test_the_bound_lies_below_its_law():
    lines, dots = lines_and_dots(plot_gap_course([], ax=axes()))
    assert not dots
    (t, gap), (when, bound) = lines[0].get_data(), lines[-1].get_data()
    assert np.all(np.interp(np.log(when[1:-1]), np.log(t), gap) >= bound[1:-1] * (1 - 1e-3))


def test_the_pitchfork(verdicts):
    lines, (dots,) = lines_and_dots(plot_pitchfork(verdicts, ax=axes()))
    assert len(lines) == 4
    ratio, rest = lines[1].get_data()
    assert_allclose(np.interp(1.5, ratio, rest), 2 * 0.57735, atol=1e-3)
    assert_allclose(dots.get_ydata(), [0, 2 * 0.57735, 2 * 0.86603], atol=1e-4)


def test_free_features_leave_the_reduced_flow_where_they_are_matched():
    (claim,) = (claim for claim in FIGURE_1 if claim.id == COURSE_ID)
    ax = plot_flow_against_reduced([as_line(claim)], ax=axes())
    reduced, upright = (line for line in ax.get_lines() if line.get_linestyle() in ("-", ":"))
    matched = upright.get_xdata()[0]
    assert 0.01 < matched < 0.1
    small, claimed = (container.lines[0].get_data() for container in ax.containers)
    line = np.interp(small[0], *reduced.get_data())
    assert_allclose(small[1][small[0] < 0.003], line[small[0] < 0.003], atol=0.01)
    assert np.all(small[1][small[0] > matched] < line[small[0] > matched] - 0.1)
    assert_allclose(claimed[0], COURSE_TIMES)
    assert_allclose(claimed[1], np.interp(claimed[0], *small), atol=0.03)


def test_snapshots_show_the_gap_rise_and_fall():
    figure, titles = Figure(), []
    for index in range(len(SNAPSHOTS)):
        ax = plot_snapshot(index, ax=figure.add_subplot(1, 3, index + 1, projection="3d"))
        images, texts = ax.collections[:2]
        x, y = (np.stack(cloud._offsets3d, axis=1) for cloud in (images, texts))
        assert_allclose(np.linalg.norm([x, y], axis=2), 1, rtol=1e-9)
        assert f"gap {np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)):.2f}" in ax.get_title()
        titles.append(ax.get_title())
    gaps = [float(title.split("gap ")[1].split(",")[0]) for title in titles]
    assert gaps[0] < gaps[1] > gaps[2]
    assert [title.split("matched ")[1] for title in titles][::2] == ["0 %", "100 %"]
