import json
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import t as student

from empirical import experiment_runs
from empirical.config import TrainConfig
from empirical.experiment_runs import configurations, run_experiment
from empirical.experiments import EXPERIMENTS, Arm, Experiment


def experiment(order, *, change=False, arms=("a", "b", "c")):
    made = tuple(Arm(name=name, settings=(f"batch={8 + k}",), published=0.5) for k, name in enumerate(arms))
    return Experiment(name="toy", question="?", source="none", arms=made, order=order, change=change)


@pytest.fixture
def trained(monkeypatch):
    """Replace training by a table: the gap at the end is 10 times the batch plus noise of the seed, 1 at step 0."""
    seen = []

    def fake(config, folder):
        seen.append((config.batch, config.seed))
        folder.mkdir(parents=True)
        noise = float(np.random.default_rng(config.seed + 100 * config.batch).normal())
        lines = [{"step": 0, "gap_norm": 1.0}, {"step": 5, "gap_norm": 10.0 * config.batch + noise}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    monkeypatch.setattr(experiment_runs, "_train", fake)
    return seen


def test_means_and_differences_are_those_of_the_seeds(trained, tmp_path):
    found = run_experiment(experiment("rising"), tmp_path, seeds=range(4))
    assert sorted(trained) == [(batch, seed) for batch in (8, 9, 10) for seed in range(4)]
    values = np.array([arm.values for arm in found.arms])
    assert_allclose([arm.mean.value for arm in found.arms], values.mean(axis=1))
    assert_allclose([arm.mean.stderr for arm in found.arms], values.std(axis=1, ddof=1) / 2)
    for k, each in enumerate(found.comparisons):
        differences = values[k + 1] - values[k]
        half = student.ppf(1 - 0.05 / 2 / 2, 3) * differences.std(ddof=1) / 2
        assert_allclose(each.difference.interval, (differences.mean() - half, differences.mean() + half))


@pytest.mark.parametrize(
    ("order", "verdict"),
    [("rising", "as expected"), ("falling", "against"), ("none", "no expectation"), ("positive", "as expected")],
)
def test_the_verdict_says_where_the_interval_lies(trained, tmp_path, order, verdict):
    found = run_experiment(experiment(order), tmp_path, seeds=range(5))
    assert {each.verdict for each in found.comparisons} == {verdict}
    assert len(found.comparisons) == (3 if order == "positive" else 2)


def test_arms_that_do_not_differ_are_undecided(trained, tmp_path):
    arms = tuple(Arm(name=name, settings=("batch=8",)) for name in "ab")
    same = Experiment(name="toy", question="?", source="none", arms=arms, order="rising")
    (each,) = run_experiment(same, tmp_path, seeds=range(3)).comparisons
    assert (each.verdict, each.difference.value) == ("undecided", 0.0)


def test_one_seed_decides_nothing(trained, tmp_path):
    found = run_experiment(experiment("rising"), tmp_path, seeds=[7])
    assert {each.verdict for each in found.comparisons} == {"undecided"}
    assert math.isnan(found.arms[0].mean.stderr)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["arms"][0]["stderr"] is None


def test_a_change_is_since_step_0(trained, tmp_path):
    plain = run_experiment(experiment("rising"), tmp_path / "plain", seeds=[0])
    change = run_experiment(experiment("rising", change=True), tmp_path / "change", seeds=[0])
    assert_allclose(np.array(change.arms[1].values) + 1.0, plain.arms[1].values)


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_must_be_distinct(tmp_path, seeds):
    with pytest.raises(ValueError, match="`seeds` must be distinct"):
        run_experiment(experiment("rising"), tmp_path, seeds=seeds)


def test_an_unknown_metric_is_named(trained, tmp_path):
    wrong = Experiment(name="toy", question="?", source="none", arms=(Arm(name="a"),), order="none", metric="gap")
    with pytest.raises(ValueError, match=r"`metric` must be a key of metrics\.jsonl, step, gap_norm, got 'gap'"):
        run_experiment(wrong, tmp_path, seeds=[0])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_arm_is_a_configuration_of_its_own(name):
    asked = EXPERIMENTS[name]
    made = [configurations(asked, arm, 3, ["steps=20"]) for arm in asked.arms]
    assert all(isinstance(config, TrainConfig) and config.seed == 3 for config in made)
    tables = [json.dumps(config.as_dict(), sort_keys=True) for config in made]
    assert len(set(tables)) == len(tables)
    assert len({arm.name for arm in asked.arms}) == len(asked.arms)
    assert asked.order in ("falling", "rising", "none", "positive")


def test_published_values_have_the_order_that_the_source_claims():
    for asked in EXPERIMENTS.values():
        published = [arm.published for arm in asked.arms if arm.published is not None]
        if asked.order in ("falling", "rising"):
            assert published == sorted(published, reverse=asked.order == "falling"), asked.name
