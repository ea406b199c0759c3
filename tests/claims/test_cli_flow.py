"""`conetheory simulate flow`, as a person and as a program see it."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.temperature_laws import exponential_law, fixed_law
from sims.flow_starts import cone_start, uniform_start
from sims.gradient_flow import gradient_flow

FLOW = ("simulate", "flow", "--pairs", 12, "--dim", 5)


def test_flow_is_that_of_the_library(conetheory):
    done = conetheory(*FLOW, "--temperature", "1/20", "--times", "0,0.5,2", "--law-scale", 2, "--seed", 3, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    start = cone_start(12, 5, np.radians(20), np.radians(70), rng=3)
    flow = gradient_flow(start.x, start.y, exponential_law(2.0), [0, 0.5, 2], beta0=20.0, rtol=1e-4)
    for name in ("t", "loss", "gap_norm", "beta", "margin", "matched", "alignment", "uniformity"):
        assert_allclose(found[name], getattr(flow, name), rtol=1e-12)
    assert (found["pairs"], found["dim"]) == (12, 5)
    assert found["steps"] == len(flow.step_t) - 1
    assert found["schema"]


def test_flow_from_uniform_rows_at_a_fixed_temperature(conetheory):
    words = ("--start", "uniform", "--law", "fixed", "--times", "1", "--precision", "single")
    found = json.loads(conetheory(*FLOW, *words, "--temperature", 0.1, "--json").out)
    start = uniform_start(12, 5, rng=0)
    flow = gradient_flow(start.x, start.y, fixed_law(), [1.0], beta0=10.0, rtol=1e-4)
    assert found["beta"] == [10.0]
    assert_allclose(found["loss"], flow.loss, rtol=1e-3)


def test_a_person_sees_a_row_for_each_time(conetheory):
    lines = conetheory(*FLOW, "--times", "0,1").out.splitlines()
    assert lines[0].split()[:3] == ["t", "loss", "gap_norm"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    assert "rejected" in lines[3]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--temperature", 0), "--temperature"),
        (("--temperature", "nan"), "--temperature"),
        (("--pairs", 1), "--pairs"),
        (("--dim", "x"), "--dim"),
        (("--start", "cube"), "cube"),
        (("--law", "cubic"), "cubic"),
        (("--law-scale", -1), "--law-scale"),
        (("--times", "0,a"), "--times"),
        (("--times", "1,1"), "times"),
        (("--half-angle-deg", 100), "--half-angle-deg"),
        (("--axes-angle-deg", "inf"), "--axes-angle-deg"),
        (("--temperature-rate", -1), "temperature_rate"),
        (("--rtol", 0), "rtol"),
        (("--precision", "half"), "half"),
    ],
)
def test_bad_input_is_named(conetheory, words, named):
    done = conetheory(*FLOW, *words)
    assert done.code == 2
    assert done.out == ""
    assert named in done.err
