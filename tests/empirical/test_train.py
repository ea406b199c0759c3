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

from empirical.checkpoints import read_tensors  # noqa: E402
from empirical.config import load_config  # noqa: E402
from empirical.embeddings import load_pairs  # noqa: E402
from empirical.model import Inputs, build_model, make_tokens  # noqa: E402
from empirical.run_folder import RunFolder, last_checkpoint  # noqa: E402
from empirical.run_pairs import open_pairs  # noqa: E402
from empirical.tokens import ByteTokens  # noqa: E402
from empirical.train import TrainingError, train  # noqa: E402

SMALL = (
    *("steps=8", "batch=16", "log_every=2", "checkpoint_every=3", "keep=0", "data.options.size=8", "data.held_out=40"),
    *("data.workers=0", "model.dim=16", "model.image_width=32", "model.text_width=32", "model.length=8"),
    *("model.patch=4", "optimiser.warmup=2"),
)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is a fork")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(*changes):
    return load_config("digits", [*SMALL, *changes])


def lines(folder):
    """The metrics, without what depends on the clock."""
    found = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in found]


def weights(folder):
    return read_tensors(last_checkpoint(Path(folder)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted, and what it reported."""
    reports = []
    result = train(small(), tmp_path_factory.mktemp("whole"), on_step=reports.append)
    return result, reports


def inputs(config, tokens, captions, seed=0):
    found = tokens.encode(captions)
    images = np.random.default_rng(seed).integers(0, 256, (len(captions), 3, 8, 8), dtype=np.uint8)
    return Inputs(images=torch.from_numpy(images), ids=torch.from_numpy(found.ids), mask=torch.from_numpy(found.mask))


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


def fork(work):
    """Run `work` in a fork of this process; return how it ended, as of `os.waitpid`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: other threads are not in the fork
        child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


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


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    with pytest.raises(TrainingError, match=r"step [0-9]+: the loss or its gradient is not finite.*step 1 is kept"):
        train(small("optimiser.rate=1e30", "optimiser.decay=0", "checkpoint_every=1"), tmp_path)
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


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
    warnings.simplefilter("default")  # as in any process but that of the tests
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
    rotation = weights(tmp_path)["model/rotation.rotation"].double()
    assert (rotation.T @ rotation - torch.eye(16)).abs().max() < 1e-5
    assert start["mean_cosine_y"] == pytest.approx(plain["mean_cosine_y"], abs=1e-5)  # a rotation moves no cone apart


@torch.no_grad()
def test_padding_changes_no_caption():
    config = small().model
    captions = ["the digit one", "a"]
    short, long = ByteTokens(20), ByteTokens(40)
    model = build_model(config, image_size=8, tokens=long, seed=0).eval()
    one, two = (model.encode_y(inputs(config, tokens, captions)) for tokens in (short, long))
    assert (one - two).abs().max() < 1e-6
    alone = model.encode_y(inputs(config, short, captions[1:]))
    assert (alone - one[1:]).abs().max() < 1e-6
    other = model.encode_y(inputs(config, short, ["the digit two"]))
    assert (other - one[:1]).abs().max() > 1e-3
    assert (one[0] - one[1]).abs().max() > 1e-3


@torch.no_grad()
def test_the_towers_are_those_of_a_published_checkpoint(tmp_path):
    from dataclasses import replace

    from transformers import CLIPConfig, CLIPModel

    tokens = ByteTokens(12)
    text = {"vocab_size": tokens.size, "hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 12}
    vision = {"hidden_size": 32, "intermediate_size": 64, "image_size": 8, "patch_size": 4}
    both = {"num_hidden_layers": 2, "num_attention_heads": 2}
    whole = CLIPModel(
        CLIPConfig(text_config=text | both | tokens.special, vision_config=vision | both, projection_dim=16)
    ).eval()
    whole.save_pretrained(tmp_path / "published", safe_serialization=True)
    config = replace(small().model, kind="checkpoint", checkpoint=str(tmp_path / "published"), dim=0)
    model = build_model(config, image_size=8, tokens=tokens).eval()
    batch = inputs(config, tokens, ["one", "two"])
    pixels = (batch.images - model.x_tower.mean) / model.x_tower.deviation
    direct = whole(input_ids=batch.ids, attention_mask=batch.mask, pixel_values=pixels)
    for rows, expected in zip(model(batch), (direct.image_embeds, direct.text_embeds), strict=True):
        assert torch.allclose(torch.nn.functional.normalize(rows, dim=1), expected, atol=1e-6)
    anew = build_model(replace(config, dim=5), image_size=8, tokens=tokens)
    assert [rows.shape for rows in anew(batch)] == [(2, 5), (2, 5)]
    with pytest.raises(ValueError, match="images of 8 pixels, got 16"):
        build_model(config, image_size=16, tokens=tokens)
    with pytest.raises(ValueError, match="at most length 12"):
        build_model(config, image_size=8, tokens=ByteTokens(13))
    for file in (tmp_path / "published").glob("*.safetensors"):
        torch.save(whole.state_dict(), file.with_name("pytorch_model.bin"))
        file.unlink()
    with pytest.raises(OSError, match="safetensors"):
        build_model(config, image_size=8, tokens=tokens)


def test_the_same_seed_is_the_same_model_and_torch_draws_on_as_if_nothing_was():
    config, tokens = small().model, ByteTokens(8)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (build_model(config, image_size=8, tokens=tokens, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one.x_tower.projection.weight, same.x_tower.projection.weight)
    assert not torch.equal(one.x_tower.projection.weight, other.x_tower.projection.weight)
    assert one.x_tower.body.config._attn_implementation == "sdpa"


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
