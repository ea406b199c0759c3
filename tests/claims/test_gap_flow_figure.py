import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from claims.decide import decide
from claims.figures.gap_flow import plot_gap_course, plot_pitchfork
from claims.yaras.course import CLAIMS, LAWS
from claims.yaras.equilibria import CLAIMS as RESTS
from claims.yaras.equilibria import REST_ID


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
