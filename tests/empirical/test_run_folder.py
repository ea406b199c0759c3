import errno
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="checkpoints hold torch's tensors: pip install 'conetheory[empirical]'")

from empirical import run_folder  # noqa: E402
from empirical.checkpoints import load_checkpoint, pack, read_tensors, restore  # noqa: E402
from empirical.embeddings import load_pairs  # noqa: E402
from empirical.run_folder import RunFolder, environment, last_checkpoint  # noqa: E402

CONFIG = {"steps": 4, "loss": {"kind": "clip"}}
TENSORS = {"model/weight": torch.arange(6.0).reshape(2, 3)}


def open_run(path, **options):
    return RunFolder(path, CONFIG, **{"resume": False} | options)


def test_a_folder_is_taken_up_where_its_last_checkpoint_is(tmp_path):
    run = open_run(tmp_path / "run")
    for step in range(5):
        run.log({"step": step, "loss": float("nan") if step == 1 else 1.0})
        if step in (1, 3):
            run.save(step, TENSORS)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    (tmp_path / "run" / "checkpoints" / ".step-00000004.safetensors.tmp").write_bytes(b"half of")
    run.close()
    again = open_run(tmp_path / "run", resume=True)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3]
    assert json.loads(lines[1])["loss"] is None
    assert again.step == 3
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert again.last_metrics()["step"] == 3
    again.close()


def test_what_is_not_this_run_is_refused(tmp_path):
    path = tmp_path / "run"
    run = open_run(path)
    with pytest.raises(ValueError, match="in use"):
        open_run(path, resume=True)
    run.close()
    with pytest.raises(ValueError, match="resume it, or name"):
        open_run(path)
    with pytest.raises(ValueError, match=r"loss.kind 'clip' instead of 'siglip'"):
        RunFolder(path, CONFIG | {"loss": {"kind": "siglip"}}, resume=True)
    for damaged in (b"{", b"[]", b"\xff\xfe"):
        (path / "config.json").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"config\.json that is not JSON of ours"):
            open_run(path, resume=True)
    (path / "config.json").unlink()
    with pytest.raises(ValueError, match="without a config"):
        open_run(path, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        open_run(tmp_path / "file")


def test_the_last_checkpoints_are_kept(tmp_path):
    run = open_run(tmp_path, keep=2)
    for step in (9, 10, 100):
        run.save(step, TENSORS)
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == [
        "step-00000010.safetensors",
        "step-00000100.safetensors",
    ]
    assert last_checkpoint(tmp_path).name == "step-00000100.safetensors"
    run.close()


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    run = open_run(tmp_path, keep=1)
    run.save(1, TENSORS)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folder.os, "fsync", full)
    for write in (lambda: run.save(2, TENSORS), lambda: run.log({"step": 1}), lambda: run.write("x.json", {})):
        with pytest.raises(OSError, match="No space left") as caught:
            write()
        assert str(tmp_path) in caught.value.filename
    monkeypatch.undo()
    assert last_checkpoint(tmp_path).name == "step-00000001.safetensors"
    assert torch.equal(read_tensors(last_checkpoint(tmp_path))["model/weight"], TENSORS["model/weight"])
    assert not list(tmp_path.rglob("*.tmp"))
    run.close()


def test_embeddings_are_what_the_gap_command_reads(tmp_path):
    run = open_run(tmp_path)
    pairs = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    run.save_embeddings(7, pairs)
    found = load_pairs(tmp_path / "embeddings" / "step-00000007.npy")
    assert np.array_equal(np.stack([found.x[:], found.y[:]]), pairs)
    run.close()


def test_the_environment_names_versions_and_code():
    found = environment("cpu", 1, 2)
    assert set(found) == {
        *("started", "python", "platform", "libraries", "device", "threads", "processes", "commit", "code")
    }
    assert set(found["libraries"]) == {"conetheory", "torch", "transformers", "numpy", "safetensors"}
    assert found["libraries"]["torch"]
    assert len(found["code"]) == 64
    assert (found["device"], found["threads"], found["processes"]) == ("cpu", 1, 2)


def trained(kind, seed):
    """A module with a tensor under two names, and its optimiser after two steps."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    optimiser = kind(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()
    return model, optimiser


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Adam])
def test_a_checkpoint_brings_everything_back(tmp_path, kind):
    with torch.random.fork_rng():
        model, optimiser = trained(kind, 1)
        run = open_run(tmp_path)
        path = run.save(2, pack({"model": model}, optimiser))
        run.close()
        other, its_optimiser = trained(kind, 2)
        restore(read_tensors(path), {"model": other}, its_optimiser)
    assert other[1].weight is other[0].weight
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        for name, value in optimiser.state[one].items():
            assert torch.equal(value, its_optimiser.state[two][name])
    weights = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    weights[1].weight = weights[0].weight
    load_checkpoint(path, model=weights)
    assert torch.equal(weights[0].weight, model[0].weight)


def test_a_checkpoint_of_another_model_or_a_pickle_is_refused(tmp_path):
    run = open_run(tmp_path)
    path = run.save(1, {"model/weight": torch.ones(2, 2), "model/bias": torch.ones(2)})
    run.close()
    with pytest.raises(ValueError, match=r"model/weight has shape \(2, 2\), and the model's \(2, 3\)"):
        load_checkpoint(path, model=torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"model/bias has shape \(2,\), and the model's None"):
        load_checkpoint(path, model=torch.nn.Linear(2, 2, bias=False))
    torch.save({"model/weight": torch.ones(2, 2)}, tmp_path / "pickled.safetensors")
    with pytest.raises(ValueError, match="no checkpoint of ours, or damaged"):
        read_tensors(tmp_path / "pickled.safetensors")


SAME = {"device": "cpu", "threads": 1, "processes": 1, "code": "a", "started": "now"}


@pytest.mark.parametrize(
    ("starts", "repeats"),
    [
        ([{}], "bits"),
        ([{}, {"started": "later"}], "bits"),
        ([{}, {"threads": 2}], "distribution"),
        ([{}, {"processes": 2}], "distribution"),
        ([{}, {"code": "b"}], "distribution"),
        ([{"device": "H100"}], "distribution"),
        ([{"device": "H100"}, {}], "distribution"),
    ],
)
def test_bits_repeat_on_one_kind_of_machine_alone(tmp_path, starts, repeats):
    run = open_run(tmp_path)
    for start in starts:
        run.started(SAME | start)
    assert run.repeats() == repeats
    run.close()


def test_what_follows_from_the_data_is_written_once(tmp_path):
    run = open_run(tmp_path)
    for _ in range(2):
        run.write_once("tokens.json", {"words": ("a", "b")})
    with pytest.raises(ValueError, match=r"other data, as tokens\.json says"):
        run.write_once("tokens.json", {"words": ("b", "a")})
    assert run.read("tokens.json") == {"words": ["a", "b"]}
    run.close()


def test_only_checkpoints_are_taken_for_checkpoints(tmp_path):
    run = open_run(tmp_path, keep=1)
    copy = tmp_path / "checkpoints" / "step-00000009 (copy).safetensors"
    copy.write_bytes(b"")
    run.save(7, TENSORS)
    assert last_checkpoint(tmp_path).name == "step-00000007.safetensors"
    assert copy.exists()
    run.close()
