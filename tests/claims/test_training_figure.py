"""The course of a run and the arms of an experiment, drawn."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from claims.figures.training import experiment_figure, plot_experiment, plot_run, run_figure

METRICS = [
    {"step": step, "gap_norm": gap, "loss": loss, "tau": tau}
    for step, gap, loss, tau in ((0, 1.2, 5.0, 0.07), (10, 0.8, None, 0.06), (20, 0.5, 3.0, 0.05))
]
RESULT = {
    "question": "Does it?",
    "metric": "gap_norm",
    "change": False,
    "seeds": [0, 1],
    "arms": [
        {"name": "cold", "value": 0.5, "stderr": 0.1, "published": 0.6},
        {"name": "warm", "value": 0.2, "stderr": None, "published": None},
    ],
}


@pytest.fixture
def ax():
    return Figure().subplots()


def test_a_run_is_three_courses_on_decades(ax):
    plot_run(METRICS, ax=ax)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert_allclose(drawn["gap ‖x̄ − ȳ‖"], [[0, 1.2], [10, 0.8], [20, 0.5]])
    assert_allclose(drawn["held-out loss (nats)"], [[0, 5], [10, np.nan], [20, 3]])  # it was not finite
    assert_allclose(drawn["temperature τ"][:, 1], [0.07, 0.06, 0.05])
    assert ax.get_yscale() == "log"


def test_what_reaches_0_is_on_a_linear_axis(ax):
    plot_run([{**row, "loss": 0.0} for row in METRICS], ax=ax)
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] == 0


def test_arms_are_dots_with_errors_beside_crosses(ax):
    plot_experiment(RESULT, ax=ax)
    dots, crosses = (next(line for line in ax.lines if line.get_marker() == marker) for marker in ("o", "x"))
    assert_allclose(dots.get_xydata(), [[0, 0.5], [1, 0.2]])
    assert_allclose(crosses.get_xydata(), [[0, 0.6], [1, np.nan]])
    bars = ax.containers[0][2][0].get_segments()
    assert_allclose([np.ptp(segment[:, 1]) for segment in bars], [0.4, 0.0])  # ± 2 standard errors, none with one seed
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cold", "warm"]
    assert ax.get_ylabel() == "gap ‖x̄ − ȳ‖"


def test_a_change_is_said_and_nothing_is_published(ax):
    arms = [{**arm, "published": None, "value": -0.1} for arm in RESULT["arms"]]
    plot_experiment({**RESULT, "arms": arms, "change": True}, ax=ax)
    assert ax.get_ylabel() == "change of the gap ‖x̄ − ȳ‖"
    assert "published" not in [line.get_label() for line in ax.lines]


def test_files_become_figures(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in METRICS)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 30, "gap_n')  # a run that is writing
    (tmp_path / "experiment.json").write_text(json.dumps(RESULT))
    assert len(run_figure(tmp_path).axes[0].lines[0].get_xdata()) == len(METRICS)
    for path in (tmp_path, tmp_path / "experiment.json"):
        assert experiment_figure(path).axes[0].get_title(loc="left") == "Does it?"


@pytest.mark.parametrize(
    ("draw", "text", "said"),
    [
        (run_figure, None, "`--run` needs .*metrics.jsonl"),
        (run_figure, "", "`--run` must be a run folder"),
        (run_figure, '{"step": 3}\n', "`--run` must be a run folder"),
        (experiment_figure, None, "`--experiment` needs .*experiment.json"),
        (experiment_figure, "{", "is not JSON"),
        (experiment_figure, '{"arms": []}', "must be the result of conetheory experiments"),
    ],
)
def test_other_files_are_refused(tmp_path, draw, text, said):
    if text is not None:
        (tmp_path / ("metrics.jsonl" if draw is run_figure else "experiment.json")).write_text(text)
    with pytest.raises(ValueError, match=said):
        draw(tmp_path)
