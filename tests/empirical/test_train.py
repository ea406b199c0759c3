"""Training tiny towers: what is logged, what a run that was killed becomes, two processes, and what ends a run.

transformers takes seconds to import, so whatever needs it is here, and processes that are to be killed are forks of
this one.
"""

import json
import math
import os
import signal
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

from empirical import train as engine  # noqa: E402
from empirical.checkpoints import pack, restore  # noqa: E402
from empirical.config import OptimiserConfig  # noqa: E402
from empirical.embeddings import load_pairs  # noqa: E402
from empirical.model import build_model, make_tokens  # noqa: E402
from empirical.optimiser import make_optimiser, set_learning_rate  # noqa: E402
from empirical.run_folder import RunFolder, last_checkpoint  # noqa: E402
from empirical.run_pairs import open_pairs  # noqa: E402
from empirical.train import TrainingError, train  # noqa: E402
from tests.empirical.small_runs import fork, forks, lines, one_thread, small, weights  # noqa: E402, F401


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted, and what it reported."""
    reports = []
    result = train(small(), tmp_path_factory.mktemp("whole"), on_step=reports.append)
    return result, reports


def test_a_run_logs_the_gap_from_step_0(whole):
    result, reports = whole
    found = lines(result.folder)
    assert [line["step"] for line in found] == [0, 2, 4, 6, 8]
    assert {"gap_norm", "gap_angle", "mean_cosine_x", "mean_cosine_y", "tau", "recall_x_to_y@5"} <= found[0].keys()
    assert {"train_loss", "gradient_norm_x", "gradient_norm_y", "learning_rate"} <= found[1].keys()
    assert found[0]["tau"] == pytest.approx(0.07)
    assert found[-1]["epoch"] == 8 / ((1797 - 40) // 16)
    assert [report.step for report in reports] == list(range(9))
    assert reports[-1].gap == found[-1]["gap_norm"] == result.metrics["gap_norm"]
    assert (result.steps, result.resumed_from, result.repeats) == (8, 0, "bits")
    assert json.loads((result.folder / "result.json").read_text())["metrics"]["loss"] == found[-1]["loss"]
    run = json.loads((result.folder / "environment.json").read_text())["runs"][0]
    assert (run["device"], run["threads"], run["from_step"]) == ("cpu", 1, 0)


def test_the_gap_command_reads_the_embeddings(whole):
    folder = whole[0].folder
    for step in (0, 8):
        found = load_pairs(folder / "embeddings" / f"step-{step:08}.npy")
        x, y = (rows[:] / np.linalg.norm(rows[:], axis=1, keepdims=True) for rows in (found.x, found.y))
        line = next(line for line in lines(folder) if line["step"] == step)
        assert np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)) == pytest.approx(line["gap_norm"], abs=1e-5)


def test_a_complete_run_is_not_done_again(whole):
    before = {path: path.read_bytes() for path in whole[0].folder.glob("*/step-*")}
    again = train(small(), whole[0].folder, resume=True)
    assert (again.resumed_from, again.steps) == (8, 8)
    assert again.metrics == whole[0].metrics
    assert before == {path: path.read_bytes() for path in whole[0].folder.glob("*/step-*")}


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def killed_after(step):
    def watch(report):
        if report.step == step:
            kill()

    return lambda folder: train(small(), folder, on_step=watch)


def killed_while_it_writes(folder):
    """Killed when the checkpoint of step 6 is on the disk under its temporary name, cut in half."""

    whole = Path.replace

    def half(self, target):
        if target.name.startswith("step-00000006"):
            os.truncate(self, self.stat().st_size // 2)
            kill()
        return whole(self, target)

    Path.replace = half
    train(small(), folder)


def killed_between_line_and_checkpoint(folder):
    RunFolder.save = lambda self, step, tensors: kill()
    train(small(), folder)


MOMENTS = {
    "before any checkpoint": (killed_after(2), 0),
    "between two checkpoints": (killed_after(5), 3),
    "while a checkpoint is written": (killed_while_it_writes, 3),
    "after a line, before its checkpoint": (killed_between_line_and_checkpoint, 0),
}


@forks
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_ends_with_the_same_bits(tmp_path, whole, moment):
    work, step = MOMENTS[moment]
    assert os.WTERMSIG(fork(lambda: work(tmp_path))) == signal.SIGKILL
    result = train(small(), tmp_path, resume=True)
    assert result.resumed_from == step
    assert lines(tmp_path) == lines(whole[0].folder)
    expected, found = weights(whole[0].folder), weights(tmp_path)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    name = "embeddings/step-00000008.npy"
    assert (tmp_path / name).read_bytes() == (whole[0].folder / name).read_bytes()


def test_an_interrupt_ends_a_run_at_its_last_checkpoint(tmp_path):
    def stop(report):
        if report.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small(), tmp_path, on_step=stop)
    assert last_checkpoint(tmp_path).name == "step-00000003.safetensors"
    assert train(small(), tmp_path, resume=True).resumed_from == 3  # the folder is free again


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (0, "step 2: the loss or its gradient is not finite; there is no checkpoint yet"),
        (4, "step 6: the loss or its gradient is not finite; the checkpoint of step 3 is kept"),
        (5, "step 6: the norm of the weights is not finite; the checkpoint of step 3 is kept"),
    ],
)
def test_numbers_that_are_not_finite_end_the_run(tmp_path, monkeypatch, bad, message):
    right = engine.learning_rate
    monkeypatch.setattr(engine, "learning_rate", lambda step, *rest: math.nan if step == bad else right(step, *rest))
    with pytest.raises(TrainingError, match=message):
        train(small("log_every=7"), tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoints/*")] == ["step-00000003.safetensors"][: bad // 3]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_readers_and_what_is_kept_change_no_bit_and_may_change_on_resume(tmp_path, whole):
    def stop(report):
        if report.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small("data.workers=2"), tmp_path, on_step=stop)
    with pytest.raises(ValueError, match="another run: steps 8 instead of 9"):
        train(small("steps=9"), tmp_path, resume=True)
    changes = ("data.workers=1", "keep=1", "log_every=8", "checkpoint_every=8", "device=cpu")
    result = train(small(*changes), tmp_path, resume=True)
    assert (result.resumed_from, result.repeats) == (3, "bits")
    expected, found = weights(whole[0].folder), weights(tmp_path)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert [line["step"] for line in lines(tmp_path)] == [0, 2, 8]
    assert lines(tmp_path)[-1] == lines(whole[0].folder)[-1]
    assert [path.name for path in tmp_path.glob("checkpoints/*")] == ["step-00000008.safetensors"]


def test_other_data_are_not_gone_on_with(tmp_path):
    train(small("steps=2"), tmp_path)
    (tmp_path / "tokens.json").unlink()  # which follows from the data
    train(small("steps=2"), tmp_path, resume=True)
    pairs = json.loads((tmp_path / "pairs.json").read_text())
    (tmp_path / "pairs.json").write_text(json.dumps(pairs | {"n": 1796}))
    with pytest.raises(ValueError, match=r"begun with other data, as pairs\.json says"):
        train(small("steps=2"), tmp_path, resume=True)


def test_a_disk_that_is_full_ends_the_run(tmp_path):
    resource = pytest.importorskip("resource", reason="the size of files is limited by the system")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(report):
        if report.step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))

    try:
        with pytest.raises(TrainingError, match=r"step 6: .*step-00000006.*the checkpoint of step 3 is kept"):
            train(small(), tmp_path, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert last_checkpoint(tmp_path).name == "step-00000003.safetensors"
    assert not list(tmp_path.rglob("*.tmp"))


STABLE = ("steps=3", "optimiser.epsilon=1e-2", "loss.swap=hard", "loss.swap_fraction=1.0", "optimiser.clip=0.5")


def two_processes(rank, folder):
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    meeting, patience = f"file://{folder}/meeting", timedelta(seconds=240)
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=patience)
    try:
        train(small(*STABLE), Path(folder) / "run")
    finally:
        torch.distributed.destroy_process_group()


@forks
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_train_as_one(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.multiprocessing.start_processes(two_processes, (str(tmp_path),), nprocs=2, start_method="fork")
    train(small(*STABLE), tmp_path / "one")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "run")
    start = build_model(small().model, image_size=8, tokens=make_tokens(small().model, vocabulary()), seed=0)
    for name, tensor in one.items():
        if name.startswith("model/"):
            assert (tensor - two[name]).abs().max() <= 1e-6, name
    moved = one["model/x_tower.projection.weight"] - start.state_dict()["x_tower.projection.weight"]
    assert moved.abs().max() > 1e-4


def vocabulary():
    source, rows, _ = open_pairs(small())
    return source.captions(rows)


def test_gradient_caching_is_the_same_run(tmp_path):
    exact = ("steps=3", "optimiser.epsilon=1e-2")
    train(small(*exact), tmp_path / "plain")
    train(small(*exact, "microbatch=6"), tmp_path / "cached")
    plain, cached = weights(tmp_path / "plain"), weights(tmp_path / "cached")
    assert all((plain[name] - cached[name]).abs().max() <= 1e-6 for name in plain if name.startswith("model/"))


VARIANTS = {
    "siglip": ("loss.kind=siglip", "temperature.start=0.1"),
    "cuaxu": ("loss.kind=regularised", "loss.cross=1.0", "optimiser.kind=adam"),
    "one direction, rows swapped": ("loss.direction=x-to-y", "loss.swap=row", "loss.swap_fraction=0.5"),
    "schedule, mismatch": ("temperature.law=A0", "data.mismatch=0.3", "data.corruption=drop", "data.corrupted=0.2"),
    "resnet": ("model.kind=resnet", "model.depths=[1,1,1,1]", "model.widths=[8,8,16,16]"),
    "softplus": ("temperature.law=softplus", "temperature.rate=0.1", "optimiser.decay_all=true"),
    "two image towers": ("model.kind=image_image",),
    "shared, bytes": ("model.kind=shared", "model.tokens=bytes", "model.length=40", "data.workers=2"),
    "bfloat16, checkpointing": ("precision=bfloat16", "model.gradient_checkpointing=true", "tensorboard=true"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_run_trains_and_goes_on(tmp_path, variant):
    config = small("steps=4", "checkpoint_every=2", *VARIANTS[variant])

    def stop(report):
        if report.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, on_step=stop)
    result = train(config, tmp_path, resume=True)
    assert result.resumed_from == 2
    found = lines(tmp_path)
    assert [line["step"] for line in found] == [0, 2, 4]
    assert all(math.isfinite(line["loss"]) for line in found)
    assert found[0]["gap_norm"] != found[-1]["gap_norm"]
    assert bool(list(tmp_path.glob("tensorboard/*"))) == config.tensorboard


@pytest.mark.parametrize("translation", [0.0, 0.5])
def test_an_amended_run_starts_with_the_gap_that_was_asked_for(tmp_path, whole, translation):
    config = small("model.initialisation=amended", f"model.translation={translation}", "steps=2", "checkpoint_every=1")
    train(config, tmp_path)
    start, plain = lines(tmp_path)[0], lines(whole[0].folder)[0]
    assert start["gap_norm"] < 0.2 * plain["gap_norm"] if translation == 0 else start["gap_norm"] > 0.1
    whole = weights(tmp_path)
    last_checkpoint(tmp_path).unlink()
    assert train(config, tmp_path, resume=True).resumed_from == 1
    assert all(torch.equal(tensor, whole[name]) for name, tensor in weights(tmp_path).items())
    rotation = whole["model/rotation.rotation"].double()
    assert (rotation.T @ rotation - torch.eye(16)).abs().max() < 1e-5
    assert start["mean_cosine_y"] == pytest.approx(plain["mean_cosine_y"], abs=1e-5)  # a rotation moves no cone apart


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("batch=2000", "`batch` must be"),
        ("device=tpu", "`device` must be auto"),
        ("model.patch=3", "`patch` must divide"),
        ("data.kind=digit", "nearest is 'digits'"),
        ("temperature.start=0.001", "reciprocal"),
    ],
)
def test_what_does_not_fit_is_said_before_a_step(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        train(small(change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("decay_all", "gain", "own"), [(False, 1.0, 1.0), (True, 0.95, 0.995)])
def test_matrices_decay_and_gains_only_where_all_does(decay_all, gain, own):
    """Without a gradient decay alone moves a parameter, and the objective's at a rate of its own."""
    model, objective = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2)), torch.nn.PReLU(init=1.0)
    for parameter in [*model.parameters(), *objective.parameters()]:
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    config = OptimiserConfig(rate=1.0, decay=0.5, decay_all=decay_all)
    optimiser = make_optimiser(model, objective, config, temperature_rate=0.1)
    set_learning_rate(optimiser, 0.1)
    optimiser.step()
    found = [parameter.detach().mean().item() for parameter in [*model.parameters(), *objective.parameters()]]
    assert found == pytest.approx([0.95, gain, gain, gain, own])


def test_a_checkpoint_that_lacks_a_tensor_is_refused():
    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.SGD(model.parameters())
    tensors = pack({"model": model}, optimiser)
    del tensors["model/bias"]
    with pytest.raises(ValueError, match=r"the checkpoint's model/bias has shape None, and the model's \(2,\)"):
        restore(tensors, {"model": model}, optimiser)


def test_a_temperature_that_leaps_out_of_its_range_is_brought_back(tmp_path):
    changes = ("steps=2", "temperature.law=linear", "temperature.rate=1e6", "temperature.clamp=50")
    found = train(small(*changes), tmp_path).metrics["tau"]
    assert any(found == pytest.approx(bound, rel=1e-6) for bound in (1 / 50, 1 / 0.01))


def test_every_epoch_has_an_order_of_its_own(tmp_path, monkeypatch):
    asked, read = [], engine.batches

    def seen(*words, start, **options):
        asked.append((words[-1], start))
        return read(*words, start=start, **options)

    monkeypatch.setattr(engine, "batches", seen)
    train(small("batch=800", "steps=5", "log_every=5"), tmp_path)
    assert asked == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_on_a_gpu_repeats_in_distribution(whole, tmp_path, precision):
    found = train(small("device=cuda", f"precision={precision}"), tmp_path)
    assert found.repeats == "distribution"
    assert found.metrics["loss"] == pytest.approx(whole[0].metrics["loss"], rel=0.05)
