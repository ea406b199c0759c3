"""``conetheory experiments``: the list, a real experiment of two tiny runs, what ends one, bad input."""

import json

import pytest

from empirical import experiment_runs

TINY = (
    *("steps=3", "batch=16", "data.options.size=8", "data.held_out=40", "data.workers=0", "model.dim=8"),
    *("model.image_width=16", "model.text_width=16", "model.image_layers=1", "model.text_layers=1", "model.length=8"),
)
SETTINGS = [word for setting in TINY for word in ("--set", setting)]


@pytest.fixture
def trained(monkeypatch):
    """Replace training by two lines of metrics; the gap grows by the seed, and has no value with seed 2."""

    def fake(config, folder):
        folder.mkdir(parents=True)
        last = None if config.seed == 2 else 0.5 + config.seed
        lines = [{"step": 0, "gap_norm": 0.5}, {"step": 3, "gap_norm": last}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    monkeypatch.setattr(experiment_runs, "_train", fake)


def test_without_a_name_all_are_listed(conetheory):
    text, rows = conetheory("experiments"), conetheory("experiments", "--json")
    assert (text.code, rows.code) == (0, 0)
    named = [json.loads(line)["name"] for line in rows.out.splitlines()]
    assert [line.split()[0] for line in text.out.splitlines()] == named
    assert {"temperature", "same_modality", "early_steps"} <= set(named)


def test_a_real_experiment_and_the_same_again(conetheory, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")
    pytest.importorskip("transformers", reason="the towers are those of transformers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    words = ("experiments", "early_steps", "--out", tmp_path, "--seeds", 2, *SETTINGS)
    first = conetheory(*words, "--json")
    again = conetheory(*words)  # nothing is trained twice
    torch.set_num_threads(threads)
    assert (first.code, again.code) == (0, 0)
    found = json.loads(first.out)
    assert found == json.loads((tmp_path / "experiment.json").read_text())
    assert (found["schema"], found["preset"], found["settings"], found["seeds"]) == (1, "digits", [*TINY], [0, 1])
    arm, other = found["arms"]
    assert 0 < abs(other["value"]) < 0.1 * abs(arm["value"])  # steps of a hundredth
    changes = []
    for seed in (0, 1):
        lines = (tmp_path / "random" / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines()
        gaps = [json.loads(line)["gap_norm"] for line in lines]
        assert len(gaps) == 4
        changes.append(gaps[-1] - gaps[0])
    assert arm["values"] == changes
    assert arm["value"] == pytest.approx(sum(changes) / 2)
    comparison, _ = found["comparisons"]
    assert comparison["verdict"] in ("as expected", "against", "undecided")
    title, columns, row, _, _, difference, _ = again.out.splitlines()
    assert "change of gap_norm since step 0, 2 seeds" in title
    assert columns.split() == ["arm", "mean", "s.e.", "least", "greatest", "published"]
    numbers = [arm["value"], arm["stderr"], min(changes), max(changes), 0.15]
    assert row.replace("±", "").split() == ["random", *(f"{number:.4f}" for number in numbers)]
    assert difference.endswith(comparison["verdict"])
    assert again.err.splitlines()[:2] == [f"random, seed {k}: change of gap_norm {changes[k]:.4g}" for k in (0, 1)]


def test_a_value_that_is_missing_is_a_dash(conetheory, tmp_path, trained):
    done = conetheory("experiments", "early_steps", "--out", tmp_path)
    assert done.code == 0
    assert done.out.splitlines()[2].split() == ["random", "–", "±", "–", "0.0000", "1.0000", "0.1500"]
    assert done.out.splitlines()[5].endswith("–: undecided")


def test_a_run_that_could_not_go_on_is_one_line(conetheory, tmp_path, monkeypatch):
    engine = pytest.importorskip("empirical.train", reason="training is torch's: pip install 'conetheory[empirical]'")

    def fail(config, folder):
        raise engine.TrainingError("step 7: No space left on device: x; the checkpoint of step 5 is kept.")

    monkeypatch.setattr(experiment_runs, "_train", fail)
    done = conetheory("experiments", "early_steps", "--out", tmp_path)
    (line,) = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert "No space left" in line
    assert "goes on" in line


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("temperatur --out {out}", ["NAME", "'temperatur'", "nearest is 'temperature'"]),
        ("temperature", ["--out"]),
        ("temperature --out {out} --set stepz=3", ["'stepz'", "nearest is 'steps'"]),
        ("temperature --out {out} --set steps", ["'steps'"]),
        ("temperature --out {out} --set temperature.start=1", ["settings", "temperature.start"]),
        ("temperature --out {out} --set seed=1", ["settings", "seed"]),
        ("temperature --out {out} --set steps=0", ["steps", "0"]),
        ("temperature --out {out} --seeds 0", ["--seeds", "0"]),
        ("temperature --out {out} --jobs two", ["--jobs", "'two'"]),
        ("temperature --out {out} --preset digit", ["'digit'", "nearest is 'digits'"]),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(conetheory, tmp_path, words, names):
    done = conetheory("experiments", *words.format(out=tmp_path / "runs").split())
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("conetheory: ")
    for name in names:
        assert name in line
    assert not (tmp_path / "runs").exists()
