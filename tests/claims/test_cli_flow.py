"""`conetheory simulate flow`, as a person and as a program see it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from conetheory.gap_flow import gap_flow
from conetheory.loss_profiles import matrix_profile
from conetheory.temperature_laws import exponential_law, fixed_law
from sims.flow_seeds import sample_flows
from sims.flow_starts import cone_start, parallel_parts, partial_shuffle, uniform_start
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


def test_several_seeds_give_means_and_standard_errors(conetheory):
    words = (*FLOW, "--seeds", 4, "--mismatched", 0.5, "--seed", 2, "--times", "0,1", "--rtol", 0.01)
    found = json.loads(conetheory(*words, "--jobs", 2, "--against-reduced", "--json").out)
    rng = np.random.default_rng(2)
    drawn = [cone_start(12, 5, np.radians(20), np.radians(70), rng=rng) for _ in range(4)]
    starts = [replace(start, y=start.y[partial_shuffle(12, 0.5, rng=rng)]) for start in drawn]
    sample = sample_flows(starts, exponential_law(), [0.0, 1.0], beta0=1 / 0.07, rtol=0.01)
    assert_allclose(found["gap_norm"], sample.gap_norm.mean(axis=0), rtol=1e-12)
    assert_allclose(found["stderr"]["gap_norm"], sample.gap_norm.std(axis=0, ddof=1) / 2, rtol=1e-9)
    assert found["matched"][0] < 0.5
    assert found["steps"] == sample.steps.sum()
    assert_allclose(found["reduced_gap"][0], found["gap_norm"][0], rtol=1e-12)
    lines = conetheory(*words).out.splitlines()
    assert all("±" in line for line in lines[1:3])
    assert "4 seeds" in lines[3]


def test_the_reduced_model_stands_beside_the_flow(conetheory):
    words = ("--law", "fixed", "--temperature", 0.1, "--times", "0,0.5,2", "--against-reduced", "--json")
    found = json.loads(conetheory(*FLOW, *words).out)
    start = cone_start(12, 5, np.radians(20), np.radians(70), rng=0)
    parts = parallel_parts(start.x, start.y)
    flow = gap_flow(matrix_profile(parts.h @ parts.k.T), fixed_law(), parts.gamma, 10.0, t_end=2.0, rtol=1e-8)
    assert_allclose(found["reduced_gap"], 2 * flow.at([min(t, flow.t_last) for t in (0, 0.5, 2)]).gamma, rtol=1e-9)


@pytest.mark.parametrize(
    ("law", "beta"), [("straight", [20.0, 10.0, 20 / 3, 20 / 3]), ("alternating", [20.0, 10.0, 20 / 3, 10.0])]
)
def test_schedules_move_the_temperature(conetheory, law, beta):
    words = ("--temperature", 0.05, "--end-temperature", 0.15, "--law", law, "--rtol", 0.01, "--json")
    horizon = 1.0 if law == "straight" else 2.0
    found = json.loads(conetheory(*FLOW, *words, "--horizon", horizon, "--times", "0,0.5,1,1.5").out)
    assert_allclose(found["beta"], beta, rtol=1e-12)


def test_flow_from_a_file_with_frozen_coordinates(conetheory, tmp_path):
    start = uniform_start(9, 4, rng=5)
    np.save(tmp_path / "pairs.npy", np.stack([3 * start.x, start.y]))
    words = ("--embeddings", tmp_path / "pairs.npy", "--frozen", "0,3", "--times", "2", "--json")
    found = json.loads(conetheory("simulate", "flow", *words).out)
    flow = gradient_flow(start.x, start.y, exponential_law(), [2.0], beta0=1 / 0.07, rtol=1e-4, frozen=[0, 3])
    assert_allclose(found["gap_norm"], flow.gap_norm, rtol=1e-12)
    assert (found["pairs"], found["dim"]) == (9, 4)


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
        (("--times", "1,1"), "--times"),
        (("--half-angle-deg", 100), "--half-angle-deg"),
        (("--axes-angle-deg", "inf"), "--axes-angle-deg"),
        (("--temperature-rate", -1), "--temperature-rate"),
        (("--rtol", 0), "--rtol"),
        (("--frozen", "1;2"), "--frozen"),
        (("--frozen", "5"), "--frozen"),
        (("--mismatched", 1.5), "--mismatched"),
        (("--mismatched", "nan"), "--mismatched"),
        (("--law", "straight", "--end-temperature", 0), "--end-temperature"),
        (("--law", "alternating", "--horizon", -1), "--horizon"),
        (("--seeds", 0), "--seeds"),
        (("--jobs", 0), "--jobs"),
        (("--precision", "half"), "half"),
    ],
)
def test_bad_input_is_named(conetheory, words, named):
    done = conetheory(*FLOW, *words)
    assert done.code == 2
    assert done.out == ""
    assert named in done.err
