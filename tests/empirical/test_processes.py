"""Threads, dropout, batch normalisation and starts of a run, in one process and in several; and torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

from empirical import train as engine  # noqa: E402
from empirical.distributed import World, with_common_statistics  # noqa: E402
from empirical.model import build_model, make_tokens  # noqa: E402
from empirical.run_pairs import open_pairs  # noqa: E402
from empirical.train import train  # noqa: E402
from empirical.trained import open_towers  # noqa: E402
from tests.empirical.small_runs import SMALL, lines, one_thread, small, weights  # noqa: E402, F401
from tests.empirical.tiny_clip import publish  # noqa: E402

ROOT = Path(__file__).parents[2]


def test_a_run_has_the_threads_that_it_asks_for(tmp_path):
    seen = []

    def stop(report):
        seen.append(torch.get_num_threads())
        if report.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small("threads=2"), tmp_path, on_step=stop)
    assert (set(seen), torch.get_num_threads()) == ({2}, 1)
    result = train(small(), tmp_path, resume=True)
    assert (result.resumed_from, result.repeats) == (3, "distribution")  # another number of threads, other bits
    runs = json.loads((tmp_path / "environment.json").read_text())["runs"]
    assert [run["threads"] for run in runs] == [2, 1]


def tuning(folder, *changes):
    """The configuration of a tiny run that starts from a published CLIP."""
    names = (f"model.checkpoint={folder}", f"model.tokens={folder}", "model.dim=0", "model.length=6")
    return small("model.kind=checkpoint", *names, "data.options.size=16", *changes)


@pytest.fixture(scope="module")
def with_dropout(tmp_path_factory):
    """The folder of a published CLIP whose attention has dropout."""
    return publish(tmp_path_factory.mktemp("clip") / "tiny", dropout=0.3)


def test_training_normalises_images_as_the_checkpoint_it_starts_from(tmp_path, with_dropout):
    config = tuning(with_dropout, "steps=2")
    run = train(config, tmp_path).folder
    source, _, held_out = open_pairs(config)
    with open_towers(with_dropout, device="cpu") as towers:
        expected = towers.embed(source.batch(held_out))
        assert towers.model.x_tower.mean.unique().tolist() == [127.5]
    np.testing.assert_allclose(np.load(run / "embeddings" / "step-00000000.npy"), expected, rtol=0, atol=1e-6)


def test_dropout_goes_on_with_the_same_bits(tmp_path, with_dropout):
    def stop(report):
        if report.step == 4:
            raise KeyboardInterrupt

    config = tuning(with_dropout)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts", on_step=stop)
    assert train(config, tmp_path / "parts", resume=True).resumed_from == 3
    train(config, tmp_path / "whole")
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_processes_and_steps_have_masks_of_their_own(with_dropout, monkeypatch):
    run = engine._Run(tuning(with_dropout), World(), torch.device("cpu"))
    run.start(None)
    run.model.train()
    monkeypatch.setattr(run, "_loss", lambda x, y: run.objective(x, y, 0, World()))  # of one process
    inputs = run._inputs(run.source.batch(run.rows[:16]))

    def loss(rank, step):
        run.processes, run.step = World(rank), step
        return run._update(inputs, 0.0)[0].item()

    losses = [loss(rank, step) for rank in range(2) for step in range(3)]
    assert len(set(losses)) == 6
    assert [loss(rank, step) for rank in range(2) for step in range(3)] == losses
    run.model.eval()
    assert loss(0, 0) == loss(1, 1)


def test_batches_are_normalised_over_all_processes_on_gpus():
    config = small("model.kind=resnet", "model.depths=[1,1,1,1]", "model.widths=[8,8,16,16]").model

    def resnet():
        return build_model(config, image_size=8, tokens=make_tokens(config, ["a"]))

    def normalisers(model):
        return {type(module) for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)}

    two, gpu = World(0, 2), torch.device("cuda")
    assert normalisers(with_common_statistics(resnet(), two, gpu)) == {torch.nn.SyncBatchNorm}
    for processes, device in ((World(), gpu), (two, torch.device("cpu"))):
        assert normalisers(with_common_statistics(resnet(), processes, device)) == {torch.nn.BatchNorm2d}
    plain, common = resnet().state_dict(), with_common_statistics(resnet(), two, gpu).state_dict()
    assert list(plain) == list(common)  # checkpoints are those of one process
    assert all(torch.equal(plain[name], common[name]) for name in plain)


def test_amending_looks_at_a_sample_of_all_training_pairs(monkeypatch):
    monkeypatch.setattr(engine, "_AMENDED_PAIRS", 200)
    rows, asked = {}, []
    for seed in (0, 1, 0):
        run = engine._Run(small(f"seed={seed}", "model.initialisation=amended"), World(), torch.device("cpu"))
        batch = run.source.batch
        monkeypatch.setattr(run.source, "batch", lambda found, batch=batch, **_: asked.append(found) or batch(found))
        run.start(None)
        rows[seed] = run.rows
    assert np.array_equal(asked[0], asked[2])
    assert not np.array_equal(asked[0], asked[1])
    for found, seed in zip(asked, (0, 1, 0), strict=True):
        assert len(set(found)) == 200
        assert set(found) <= set(rows[seed])
        places = np.searchsorted(np.sort(rows[seed]), found) / len(rows[seed])
        assert abs(places.mean() - 0.5) < 4.5 / np.sqrt(12 * 200)


@pytest.mark.slow
def test_torchrun_trains_as_one_process_and_says_everything_once(tmp_path):
    """Real processes, each with its own imports; a warning of torch would end them."""
    exact = (*SMALL, "steps=4", "optimiser.epsilon=1e-2", "device=cpu")
    words = ["-m", "claims", "train", "digits", *(f"--set={each}" for each in exact), "--json"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    outputs = {}
    for name, start in (("one", []), ("two", launch)):
        command = [sys.executable, *start, *words, "--out", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=alone, timeout=280)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        outputs[name] = json.loads(done.stdout)  # one object: the second process prints none
    assert outputs["two"]["steps"] == 4
    assert [line["step"] for line in lines(tmp_path / "two")] == [0, 2, 4]
    runs = json.loads((tmp_path / "two" / "environment.json").read_text())["runs"]
    assert [run["processes"] for run in runs] == [2]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all((one[name] - two[name]).abs().max() <= 1e-6 for name in one if name.startswith("model/"))
