"""The command, with the training itself replaced: `tests/empirical/test_train.py` has that."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")

import typer
from typer.testing import CliRunner

from claims import SCHEMA, cli_train
from empirical import train as engine

METRICS = {"step": 300, "loss": 2.5, "gap_norm": 0.25, "gap_angle": None}

app = typer.Typer()
app.command("train")(cli_train.train)


@pytest.fixture
def asked(monkeypatch):
    """What the command asked of the engine, and what the engine does then."""
    calls = []

    def fake(config, folder, *, resume=False, on_step=None):
        calls.append((config, folder, resume))
        report = engine.StepReport(step=1, steps=3, loss=4.0, tau=0.07, gap=1.0, images_per_second=9.0)
        on_step(report)
        if config.seed == 13:
            raise engine.TrainingError("step 7: No space left on device: x; the checkpoint of step 5 is kept.")
        return engine.TrainResult(
            folder=Path(folder),
            steps=300,
            resumed_from=100,
            metrics={} if config.seed == 14 else METRICS,
            seconds=2.0,
            images_per_second=12_800.0,
            repeats="bits",
        )

    monkeypatch.setattr(engine, "train", fake)
    return calls


def invoke(*words):
    return CliRunner().invoke(app, list(words))


def test_options_reach_the_engine(asked, tmp_path):
    out = str(tmp_path / "run")
    result = invoke("digits", "--out", out, "--set", "optimiser.rate=1e-4", "--set", "loss.kind=siglip", "--resume")
    assert result.exit_code == 0
    (config, folder, resume) = asked[0]
    assert (config.optimiser.rate, config.loss.kind, folder, resume) == (1e-4, "siglip", Path(out), True)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["step", "300"],
        ["loss", "2.5"],
        ["gap_norm", "0.25"],
        ["gap_angle", "—"],
    ]
    assert "200 steps, 12800 images/s" in result.stderr


def test_json_is_one_object(asked, tmp_path):
    result = invoke("digits", "--out", str(tmp_path), "--json")
    found = json.loads(result.stdout)
    assert (found["schema"], found["metrics"], found["repeats"]) == (SCHEMA, METRICS, "bits")
    assert not asked[0][2]


def test_an_interrupt_between_a_checkpoint_and_its_report_names_the_checkpoint(monkeypatch, tmp_path):
    def fake(config, folder, *, resume=False, on_step=None):
        on_step(engine.StepReport(step=4, steps=9, loss=4.0, tau=0.07, gap=1.0, images_per_second=9.0))
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "step-00000005.safetensors").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "train", fake)
    result = invoke("digits", "--out", str(tmp_path / "run"))
    assert result.exit_code == 130
    said = "step 5 was done, and with --resume the run goes on from the checkpoint of step 5."
    assert said in " ".join(result.stderr.split())


def test_another_process_of_torchrun_says_nothing(asked, tmp_path):
    result = invoke("digits", "--out", str(tmp_path), "--set", "seed=14")
    assert (result.exit_code, result.stdout) == (0, "")


def test_what_ends_a_run_is_one_error(asked, tmp_path):
    result = invoke("digits", "--out", str(tmp_path), "--set", "seed=13")
    assert isinstance(result.exception, ValueError)
    assert "No space left" in str(result.exception)
    assert "--resume" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "nearest"), [(["digit"], "'digits'"), (["digits", "--set", "optimizer.rate=1"], "'optimiser'")]
)
def test_an_unknown_name_is_answered_with_the_nearest(asked, tmp_path, words, nearest):
    result = invoke(*words, "--out", str(tmp_path))
    assert isinstance(result.exception, ValueError)
    assert f"nearest is {nearest}" in str(result.exception)
    assert not asked


def test_the_label_shows_what_is_watched():
    report = engine.StepReport(step=1, steps=3, loss=4.0, tau=0.07, gap=1.25, images_per_second=900.0)
    assert cli_train._label(report) == "loss 4.000  τ 0.0700  gap 1.250  900 images/s"
