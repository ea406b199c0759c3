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


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_an_interval_that_straddles_0_decides_nothing(monkeypatch, tmp_path, order):
    def fake(config, folder):
        folder.mkdir(parents=True)
        gap = (config.batch - 8) * (1.0 if config.seed % 2 else -0.9)
        (folder / "metrics.jsonl").write_text(json.dumps({"step": 5, "gap_norm": gap}) + "\n")

    monkeypatch.setattr(experiment_runs, "_train", fake)
    (each,) = run_experiment(experiment(order, arms=("a", "b")), tmp_path, seeds=range(4)).comparisons
    assert each.difference.interval is not None
    assert each.difference.interval[0] < 0 < each.difference.interval[1]
    assert each.verdict == "undecided"


def test_one_seed_decides_nothing(trained, tmp_path):
    found = run_experiment(experiment("rising"), tmp_path, seeds=[7])
    assert {each.verdict for each in found.comparisons} == {"undecided"}
    assert math.isnan(found.arms[0].mean.stderr)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["arms"][0]["stderr"] is None


def test_a_change_is_since_step_0(trained, tmp_path):
    plain = run_experiment(experiment("rising"), tmp_path / "plain", seeds=[0])
    change = run_experiment(experiment("rising", change=True), tmp_path / "change", seeds=[0])
    assert_allclose(np.array(change.arms[1].values) + 1.0, plain.arms[1].values)


def test_a_metric_without_a_value_at_step_0_has_an_end_and_no_change(monkeypatch, tmp_path):
    def fake(config, folder):
        folder.mkdir(parents=True)
        last = None if config.seed else 2.5
        (folder / "metrics.jsonl").write_text('{"step": 0}\n' + json.dumps({"step": 5, "train_loss": last}) + "\n")

    monkeypatch.setattr(experiment_runs, "_train", fake)
    made = {"name": "toy", "question": "?", "source": "none", "order": "rising", "metric": "train_loss"}
    asked = Experiment(arms=(Arm(name="a"), Arm(name="b", settings=("batch=9",))), **made)
    found = run_experiment(asked, tmp_path / "end", seeds=range(2))
    assert found.arms[0].values[0] == 2.5
    assert math.isnan(found.arms[0].values[1])
    assert math.isnan(found.arms[0].mean.value)
    assert found.comparisons[0].verdict == "undecided"
    json.dumps(found.as_dict(), allow_nan=False)
    with pytest.raises(ValueError, match=r"`metric` must be a key of metrics\.jsonl at step 0, step, got 'train_loss'"):
        run_experiment(Experiment(arms=(Arm(name="a"),), change=True, **made), tmp_path / "change", seeds=[0])


@pytest.mark.parametrize("setting", ["batch=4", "seed=1", " batch = 4"])
def test_settings_that_an_arm_would_override_are_refused(trained, tmp_path, setting):
    with pytest.raises(ValueError, match=r"`settings` must not set what the runs differ in, batch, seed, got \w+\."):
        run_experiment(experiment("rising"), tmp_path, settings=[setting])
    assert not trained


def test_an_order_is_refused_before_training(trained, tmp_path):
    with pytest.raises(ValueError, match=r"`order`.*'upwards'"):
        run_experiment(experiment("upwards"), tmp_path)
    assert not trained


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_must_be_distinct(tmp_path, seeds):
    with pytest.raises(ValueError, match="`seeds` must be distinct"):
        run_experiment(experiment("rising"), tmp_path, seeds=seeds)


def test_an_unknown_metric_is_named(trained, tmp_path):
    wrong = Experiment(name="toy", question="?", source="none", arms=(Arm(name="a"),), order="none", metric="gap")
    with pytest.raises(ValueError, match=r"`metric` must be a key of .* at step 5, step, gap_norm, got 'gap'"):
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
