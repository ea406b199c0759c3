"""Bad input: exit code 2, one line that names what and shows the value, no traceback, nothing written."""

import errno
import json
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

ROWS = np.random.default_rng(0).normal(size=(6, 4))
PAIRS = np.stack([ROWS, ROWS + 1])


@pytest.fixture
def refused(conetheory, tmp_path, monkeypatch):
    """Return a function that runs the command in an empty folder and finds it refused with a line that has `names`."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("CONETHEORY_DATA", raising=False)

    def check(*words, names):
        before = sorted(here.rglob("*"))
        done = conetheory(*words)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        assert line.startswith("conetheory: ")
        assert "Traceback" not in line
        for name in names:
            assert name in line
        assert sorted(here.rglob("*")) == before

    return check


@pytest.mark.parametrize(
    ("command", "names"),
    [
        # conetheory
        ("nothing", ["command", "'nothing'"]),
        ("--nothing", ["option", "--nothing"]),
        # verify
        ("verify --nothing", ["option", "--nothing"]),
        ("verify --out", ["--out"]),
        ("verify liang.theorem1.probabilty --out out", ["'liang.theorem1.probabilty'", "'liang.theorem1.probability'"]),
        ("verify --level slow --out out", ["level", "'slow'", "quick, full"]),
        ("verify --seed x --out out", ["--seed", "'x'"]),
        ("verify --seed 1.5 --out out", ["--seed", "'1.5'"]),
        ("verify --seed -1 --out out", ["--seed", "-1"]),
        ("verify --jobs 0 --out out", ["--jobs", "0"]),
        ("verify --jobs -2 --out out", ["--jobs", "-2"]),
        ("verify --jobs two --out out", ["--jobs", "'two'"]),
        ("verify --data nowhere --out out", ["--data", "'nowhere'"]),
        (f"verify --data {__file__} --out out", ["--data", __file__]),
        ("verify --module nowhere_to_be_found --out out", ["--module", "'nowhere_to_be_found'"]),
        ("verify --module nowhere.to_be_found --out out", ["--module", "'nowhere.to_be_found'"]),
        ("verify --module ..relative --out out", ["--module", "'..relative'"]),
        ("verify --module json --out out", ["json", "CLAIMS"]),
        ("verify liang.fig1.gap --out out", ["liang.fig1.gap", "--data"]),
        # claims, figures
        ("claims liang.caps.2d.printd", ["'liang.caps.2d.printd'", "'liang.caps.2d.printed'"]),
        ("claims --module nowhere_to_be_found", ["--module", "'nowhere_to_be_found'"]),
        ("figures --results nowhere --out out", ["--results", "nowhere"]),
        # simulate
        ("simulate nothing", ["command", "'nothing'"]),
        ("simulate sphere --temperature 0", ["temperature", "0"]),
        ("simulate sphere --temperature 0.1 --temperature -0.5", ["temperature", "-0.5"]),
        ("simulate sphere --temperature nan", ["temperature", "nan"]),
        ("simulate sphere --temperature inf", ["temperature", "inf"]),
        ("simulate sphere --temperature 1/0", ["--temperature", "'1/0'"]),
        ("simulate sphere --temperature hot", ["--temperature", "'hot'"]),
        ("simulate sphere --pairs 1", ["--pairs", "1"]),
        ("simulate sphere --pairs 2.5", ["--pairs", "'2.5'"]),
        ("simulate sphere --swap 0,6", ["--swap", "'0,6'"]),
        ("simulate sphere --swap 0", ["--swap", "'0'"]),
        ("simulate sphere --swap 0,-1", ["--swap", "'0,-1'"]),
        ("simulate sphere --step-deg 0", ["--step-deg", "0"]),
        ("simulate sphere --step-deg nan", ["--step-deg", "nan"]),
        ("simulate sphere --spacing-deg 0", ["--spacing-deg", "0"]),
        ("simulate sphere --spacing-deg inf", ["--spacing-deg", "inf"]),
        ("simulate sphere --swap 1,1", ["--swap", "'1,1'"]),
        ("simulate sphere --dim 1", ["--dim", "1"]),
        ("simulate sphere --dim many", ["--dim", "'many'"]),
        ("simulate sphere --fraction-mismatched 2", ["--fraction-mismatched", "2.0"]),
        ("simulate sphere --fraction-mismatched nan", ["--fraction-mismatched", "nan"]),
        ("simulate sphere --fraction-mismatched 0.2", ["--fraction-mismatched", "0.2"]),
        ("simulate sphere --family spin", ["--family", "latitude, lift", "'spin'"]),
        ("simulate sphere --seed -1", ["--seed", "-1"]),
        ("simulate shift --temperature 0.001", ["--temperature", "0.001"]),
        ("simulate shift --temperature hot", ["--temperature", "'hot'"]),
        ("simulate shift --dim 1", ["--dim", "1"]),
        ("simulate shift --dim 10000", ["--dim", "10000", "underflows"]),
        ("simulate shift --matched-cosine 1", ["--matched-cosine", "1.0"]),
        ("simulate shift --matched-cosine nan", ["--matched-cosine", "nan"]),
        ("simulate shift --matched-cosine 0.99999", ["--matched-cosine", "0.99999", "beyond"]),
        ("simulate shift --gap 2", ["--gap", "2.0"]),
        ("simulate shift --gap 0", ["--gap", "0.0"]),
        ("simulate shift --batch 1", ["--batch", "1"]),
        ("simulate shift --batches 0", ["--batches", "0"]),
        ("simulate shift --clouds 1", ["--clouds", "1"]),
        ("simulate shift --points 1", ["--points", "1"]),
        ("simulate shift --seed -1", ["--seed", "-1"]),
        ("simulate layer --cosine 1.5", ["cosine", "1.5"]),
        ("simulate layer --cosine -1.0000001", ["cosine", "-1.0000001"]),
        ("simulate layer --cosine nan", ["cosine", "nan"]),
        ("simulate layer --norm-u 0", ["norm_u", "0"]),
        ("simulate layer --norm-v -1", ["norm_v", "-1"]),
        ("simulate layer --norm-v inf", ["norm_v", "inf"]),
        ("simulate layer --width 0", ["--width", "0"]),
        ("simulate layer --width 1.5", ["--width", "'1.5'"]),
        ("simulate layer --trials 0", ["--trials", "0"]),
        ("simulate layer --sigma-w2 -1", ["sigma_w2", "-1"]),
        ("simulate layer --sigma-b2 -0.5", ["sigma_b2", "-0.5"]),
        ("simulate layer --sigma-w2 0 --sigma-b2 0", ["sigma_w2", "sigma_b2", "0"]),
        ("simulate layer --seed -1", ["--seed", "-1"]),
        ("simulate failure --cosine 1.5", ["cosine", "1.5"]),
        ("simulate failure --norm-v 0", ["norm_v", "0"]),
        ("simulate failure --width 0", ["--width", "0"]),
        ("simulate failure --trials 0", ["--trials", "0"]),
        ("certify chebychev_at_unit_norms", ["'chebychev_at_unit_norms'", "'chebyshev_at_unit_norms'"]),
        ("simulate mlp --activation softplus", ["activation", "'softplus'"]),
        ("simulate mlp --bias some", ["bias", "'some'"]),
        ("simulate mlp --width 0", ["--width", "0"]),
        ("simulate mlp --depth 0", ["--depth", "0"]),
        ("simulate mlp --inputs 1", ["--inputs", "1"]),
        ("simulate mlp --networks 0", ["--networks", "0"]),
        ("simulate flow --seeds 0", ["--seeds", "0"]),
        ("simulate flow --mismatched 2", ["--mismatched", "2.0"]),
        ("simulate flow --frozen 99", ["--frozen", "99"]),
        ("simulate flow --law cosine", ["--law", "alternating", "'cosine'"]),
        ("simulate flow --law straight --horizon 0", ["--horizon", "0.0"]),
        ("simulate flow --embeddings nowhere.npy", ["nowhere.npy"]),
        ("simulate flow --embeddings nowhere.npy --dim 8", ["--dim", "--embeddings", "8"]),
        ("simulate flow --temperature 1e9 --law linear --pairs 4 --times 1", ["scale", "0"]),
        ("simulate flow --temperature 1e-9 --pairs 4 --times 1", ["scale", "underflow"]),
        ("simulate descent --seeds 1", ["--seeds", "1"]),
        ("simulate descent --batch 3", ["--batch", "--pairs", "3"]),
        ("simulate descent --temperature 0.001", ["--temperature", "1/300", "0.001"]),
        ("simulate descent --swap all", ["--swap", "'all'"]),
        ("simulate descent --temperature-rate 1e9 --epochs 20 --pairs 4 --batch 2", ["--temperature-rate", "300"]),
        # gap, shift
        ("gap", ["files"]),
        ("gap nowhere.npy", ["nowhere.npy"]),
        ("shift nowhere.npy", ["nowhere.npy"]),
    ],
)
def test_words(refused, command, names):
    refused(*command.split(), names=names)


# --- files with embeddings -------------------------------------------------------------------------------------------


def with_value(value):
    rows = PAIRS.copy()
    rows[1, 2, 3] = value
    return rows


def with_zero_row():
    rows = PAIRS.copy()
    rows[0, 4] = 0.0
    return rows


BAD_ARRAYS = {
    "nan": (with_value(np.nan), ["nan"]),
    "inf": (with_value(np.inf), ["inf"]),
    "zero row": (with_zero_row(), ["zero", "row 4"]),
    "one pair": (PAIRS[:, :1], ["1"]),
    "three modalities": (np.zeros((3, 6, 4)), ["(3, 6, 4)"]),
    "one modality": (ROWS, ["(6, 4)"]),
    "integers": (np.ones((2, 6, 4), dtype=int), ["int64"]),
    "complex": (PAIRS.astype(complex), ["complex128"]),
}


@pytest.mark.parametrize("command", ["gap", "shift"])
@pytest.mark.parametrize(("array", "names"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays(refused, tmp_path, command, array, names):
    np.save(tmp_path / "pairs.npy", array)
    words = ("--batch", "full") if command == "shift" else ()
    refused(command, tmp_path / "pairs.npy", *words, names=names)


@pytest.mark.parametrize("command", ["gap", "shift"])
@pytest.mark.parametrize(
    ("second", "names"), [(ROWS[:5], ["6", "5"]), (ROWS[:, :3], ["4", "3"])], ids=["number", "dimension"]
)
def test_two_files_that_differ(refused, tmp_path, command, second, names):
    np.save(tmp_path / "x.npy", ROWS)
    np.save(tmp_path / "y.npy", second)
    refused(command, tmp_path / "x.npy", tmp_path / "y.npy", names=names)


class Trap:
    """Leaves a file when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


@pytest.mark.parametrize("command", ["gap", "shift"])
def test_a_pickle_is_not_opened(refused, tmp_path, command):
    np.save(tmp_path / "pairs.npy", np.array([[[Trap()] * 4] * 6] * 2, dtype=object), allow_pickle=True)
    refused(command, tmp_path / "pairs.npy", names=["pairs.npy"])
    assert not list(tmp_path.rglob("sprung"))


@pytest.mark.parametrize("command", ["gap", "shift"])
@pytest.mark.parametrize("keep", [0, 5, 100, 200])
def test_a_truncated_file(refused, tmp_path, command, keep):
    path = tmp_path / "pairs.npy"
    np.save(path, PAIRS)
    path.write_bytes(path.read_bytes()[:keep])
    refused(command, path, names=["pairs.npy"])


@pytest.mark.parametrize("command", ["gap", "shift"])
@pytest.mark.parametrize(
    ("keys", "names"), [("image,txt", ["txt", "text"]), ("image", ["--keys", "'image'"]), ("a,b,c", ["--keys"])]
)
def test_wrong_keys(refused, tmp_path, command, keys, names):
    np.savez(tmp_path / "pairs.npz", image=ROWS, text=ROWS)
    refused(command, tmp_path / "pairs.npz", "--keys", keys, names=names)


@pytest.fixture
def pairs(tmp_path):
    np.save(tmp_path / "pairs.npy", PAIRS)
    return tmp_path / "pairs.npy"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--temperature 0", ["temperature", "0"]),
        ("--temperature -1", ["temperature", "-1"]),
        ("--batch many", ["--batch", "'many'"]),
        ("--batch -3", ["--batch", "'-3'"]),
        ("--batch 0", ["batch", "0"]),
        ("--batch 7", ["batch", "7"]),
        ("--batch full --direction up", ["direction", "'up'"]),
        ("--batch full --points 0", ["--points", "0"]),
        ("--batch full --bootstrap 5", ["--bootstrap", "5"]),
        ("--batch full --bootstrap x", ["--bootstrap", "'x'"]),
    ],
)
def test_options_of_shift(refused, pairs, options, names):
    refused("shift", pairs, *options.split(), names=names)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--bootstrap 0", ["--bootstrap", "0"]),
        ("--bootstrap x", ["--bootstrap", "'x'"]),
        ("--queries 0", ["--queries", "0"]),
        ("--seed x", ["--seed", "'x'"]),
        ("--groups nowhere.npy", ["nowhere.npy"]),
    ],
)
def test_options_of_gap(refused, pairs, options, names):
    refused("gap", pairs, *options.split(), names=names)


# --- folders and disks -----------------------------------------------------------------------------------------------

VERIFY = ("verify", "liang.caps.2d", "--jobs", 1, "--out")


@pytest.fixture(autouse=True)
def without_report(monkeypatch):
    """Leave the report out, which takes seconds."""
    monkeypatch.setattr("claims.cli._write_report", lambda *_: None)


@pytest.mark.parametrize("other", [("--seed", 1), ("--level", "full"), ("--planted",)])
def test_the_result_folder_of_another_run(conetheory, refused, tmp_path, other):
    out = tmp_path / "out"
    assert conetheory(*VERIFY, out).code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused(*VERIFY, out, *other, names=["--out", str(out), other[0].strip("-")])
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_result_folder_of_another_version(conetheory, refused, tmp_path):
    out = tmp_path / "out"
    assert conetheory(*VERIFY, out).code == 0
    summary = json.loads((out / "summary.json").read_text()) | {"conetheory": "0.0.7"}
    (out / "summary.json").write_text(json.dumps(summary))
    refused(*VERIFY, out, names=["--out", str(out), "'0.0.7'"])


def test_a_result_folder_that_is_a_file(refused, tmp_path):
    (tmp_path / "out").write_text("a file")
    refused(*VERIFY, tmp_path / "out", names=[str(tmp_path / "out")])
    refused(*VERIFY, tmp_path / "out" / "below", names=[str(tmp_path / "out")])


@contextmanager
def as_somebody_else(folder):
    """Close `folder` to everybody; root, whom that does not stop, becomes somebody else."""
    root = os.geteuid() == 0
    folder.chmod(0)
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users of this kind")
@pytest.mark.parametrize("words", [(*VERIFY, "out"), ("gap", "pairs.npy")], ids=["write", "read"])
def test_a_folder_without_permission(conetheory, tmp_path, words):
    np.save(tmp_path / "pairs.npy", PAIRS)
    (tmp_path / "locked").mkdir()
    np.save(tmp_path / "locked" / "pairs.npy", PAIRS)
    *words, name = words
    assert conetheory(*words, tmp_path / name).code == 0  # and all is loaded that somebody else may not read
    with as_somebody_else(tmp_path / "locked"):
        done = conetheory(*words, tmp_path / "locked" / name)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("conetheory: ")
    assert "permission denied" in line.lower()
    assert str(tmp_path / "locked" / name) in line
    assert [path.name for path in (tmp_path / "locked").iterdir()] == ["pairs.npy"]


def test_a_full_disk_keeps_what_was_decided(conetheory, tmp_path, monkeypatch):
    """The second verdict finds the disk full; the run is taken up when there is space again."""
    sync, asked, out = os.fsync, [], tmp_path / "out"

    def full(file):
        lines = out / "verdicts.jsonl"
        if lines.exists() and os.path.samestat(os.fstat(file), lines.stat()):
            asked.append(file)
            if len(asked) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    done = conetheory("verify", "liang.caps", "--jobs", 1, "--out", out)
    assert done.code == 2
    assert done.err == f"conetheory: No space left on device: {out / 'verdicts.jsonl'}\n"
    (kept,) = (out / "verdicts.jsonl").read_text().splitlines()
    assert json.loads(kept)["verdict"]
    assert not (out / "report.html").exists()
    assert not list(out.glob("*.tmp"))
    again = conetheory("verify", "liang.caps", "--jobs", 1, "--out", out)
    assert again.code == 0
    lines = (out / "verdicts.jsonl").read_text().splitlines()
    assert len(lines) == len(asked) - 1
    assert lines[0] == kept


def test_a_disk_that_is_full_from_the_start(refused, tmp_path, monkeypatch):
    def full(_):  # what was to be written is in a file by then
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(*VERIFY, tmp_path / "out", names=["No space left on device", str(tmp_path / "out")])
    assert list((tmp_path / "out").iterdir()) == []
