"""Files of paired embeddings that are hostile or broken: one line that names the file and shows the value."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from empirical.embeddings import EmbeddingPairs, iter_chunks, load_pairs
from tests.empirical.files import D, N, assert_holds, assert_one_line, make_clouds, write


@pytest.fixture
def clouds():
    return make_clouds()


def saved(tmp_path, array, name="bad.npy", **options):
    np.save(tmp_path / name, array, **options)
    return tmp_path / name


@pytest.mark.parametrize(
    ("array", "kind", "shown"),
    [
        (np.ones((3, N, D)), ValueError, "(3, 7, 4)"),
        (np.ones((N, D)), ValueError, "(7, 4)"),
        (np.ones(5), ValueError, "(5,)"),
        (np.ones((2, 1, D)), ValueError, "at least two pairs, got 1"),
        (np.ones((2, 0, D)), ValueError, "at least two pairs, got 0"),
        (np.ones((2, N, 0)), ValueError, "(7, 0)"),
        (np.ones((2, N, D), dtype=np.int32), TypeError, "int32"),
        (np.ones((2, N, D), dtype=bool), TypeError, "bool"),
        (np.ones((2, N, D), dtype=complex), TypeError, "complex128"),
        (np.ones((2, N, D), dtype="U3"), TypeError, "str96"),
        (np.ones((2, N, D), dtype=np.longdouble), TypeError, "longdouble"),
    ],
)
def test_npy_of_the_wrong_shape_or_type(tmp_path, array, kind, shown):
    if shown == "longdouble":
        shown = array.dtype.name
    path = saved(tmp_path, array)
    with pytest.raises(kind) as error:
        load_pairs(path)
    assert_one_line(error, path, shown)


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.mkdir, (self.marker,))


@pytest.mark.parametrize("name", ["trap.npy", "pickle.npy", "trap.npz", "trap.safetensors", "trap.parquet"])
@pytest.mark.parametrize("as_groups", [False, True])
def test_nothing_is_ever_unpickled(tmp_path, clouds, name, as_groups):
    marker, path = tmp_path / "sprung", tmp_path / name
    array = np.empty(2, dtype=object)
    array[:] = [Trap(marker), Trap(marker)]
    if name == "trap.npy":
        np.save(path, array, allow_pickle=True)
    elif name == "trap.npz":
        np.savez(path, allow_pickle=True, x=array, y=array)
    else:
        path.write_bytes(pickle.dumps(array))
    np.save(tmp_path / "good.npy", clouds)
    with pytest.raises((ValueError, TypeError)) as error:
        load_pairs(tmp_path / "good.npy", groups=path) if as_groups else load_pairs(path)
    assert_one_line(error, path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Trap(marker)))  # the trap works
    assert marker.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_truncated_anywhere_is_an_error_of_one_line(tmp_path, clouds, suffix):
    path = tmp_path / f"cut{suffix}"
    write(path, clouds)
    whole = path.read_bytes()
    for length in {0, 1, 5, 7, 8, 9, 20, 100, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError) as error:  # noqa: PT011 (asserted below)
            load_pairs(path)
        assert_one_line(error, path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet"])
def test_a_flipped_byte_never_raises_anything_else(tmp_path, clouds, suffix):
    path = tmp_path / f"flipped{suffix}"
    write(path, clouds)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.permutation(len(whole))[:150]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        fault = None
        try:
            list(iter_chunks(load_pairs(path)))
        except (ValueError, TypeError) as error:
            fault = str(error)
        assert fault is None or (str(path) in fault and "\n" not in fault)


def test_npz_whose_member_is_damaged(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, x=np.ones((1000, 100)), y=np.ones((1000, 100)))
    data = bytearray(path.read_bytes())
    data[data.find(b"\x93NUMPY") + 500_000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged") as error:
        load_pairs(path)
    assert_one_line(error, f"{path}[x]")


def test_npz_that_promises_too_much_is_not_allocated(tmp_path, clouds):
    path = tmp_path / "huge.npz"
    np.save(tmp_path / "x.npy", clouds[0])
    huge = (tmp_path / "x.npy").read_bytes().replace(b"(7, 4), }            ", b"(9999999999999, 4), }")
    assert b"(9999999999999, 4)" in huge
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", huge)
        archive.writestr("y.npy", huge)
    with pytest.raises(ValueError, match="needs 159999999999984 bytes, got 112") as error:
        load_pairs(path)
    assert_one_line(error, f"{path}[x]")


def test_wrong_key_shows_the_nearest(tmp_path, clouds):
    path = tmp_path / "pairs.npz"
    np.savez(path, image_emb=clouds[0], text_emb=clouds[1])
    with pytest.raises(ValueError, match="'img_emb', the nearest is 'image_emb'") as error:
        load_pairs(path, keys=("img_emb", "text_emb"))
    assert_one_line(error, path, "text_emb (2-D float32)")


def test_too_many_or_too_few_arrays_ask_for_keys(tmp_path, clouds):
    path = tmp_path / "pairs.npz"
    np.savez(path, a=clouds[0], b=clouds[1], c=clouds[1])
    with pytest.raises(ValueError, match="needs `keys`") as error:
        load_pairs(path)
    assert_one_line(error, path, "a (2-D float32), b (2-D float32), c (2-D float32)")
    np.savez(path, a=clouds[0], labels=np.arange(N))
    with pytest.raises(ValueError, match=r"labels \(1-D int64\)"):
        load_pairs(path)
    np.savez(path)
    with pytest.raises(ValueError, match="got no array"):
        load_pairs(path)
    np.savez(path, a=clouds[0], b=clouds[1], c=clouds[1])
    assert_holds(load_pairs(path, keys=("a", "c")), clouds)


def test_keys_of_integers_are_refused(tmp_path, clouds):
    path = tmp_path / "pairs.npz"
    np.savez(path, a=clouds[0], ids=np.ones((N, D), dtype=int))
    with pytest.raises(TypeError, match="int64") as error:
        load_pairs(path, keys=("a", "ids"))
    assert_one_line(error, f"{path}[ids]")


@pytest.mark.parametrize(
    ("keys", "shown"), [(("a",), "('a',)"), (["a", "b", "c"], "['a', 'b', 'c']"), (("a", "b"), "('a', 'b')")]
)
def test_keys_that_make_no_sense(tmp_path, clouds, keys, shown):
    with pytest.raises(ValueError, match="`keys`") as error:
        load_pairs(saved(tmp_path, clouds), keys=keys)
    assert_one_line(error, shown)


@pytest.mark.parametrize(
    ("cut", "what"), [((slice(5), slice(None)), "rows N"), ((slice(None), slice(3)), "dimension D")]
)
def test_two_files_that_do_not_match(tmp_path, clouds, cut, what):
    a, b = saved(tmp_path, clouds[0], "a.npy"), saved(tmp_path, clouds[1][cut], "b.npy")
    with pytest.raises(ValueError, match=what) as error:
        load_pairs([a, b])
    assert_one_line(error, a, b, "(7, 4)", clouds[1][cut].shape)


@pytest.mark.parametrize("paths", [[], ["a", "b", "c"]])
def test_number_of_paths(paths):
    with pytest.raises(ValueError, match=f"got {len(paths)}"):
        load_pairs(paths)


@pytest.mark.parametrize("name", ["missing.npy", "missing.npz", "missing.safetensors", "missing.parquet", "missing"])
def test_missing_files(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="does not exist") as error:
        load_pairs(tmp_path / name)
    assert_one_line(error, tmp_path / name)


def test_unknown_suffix_and_misplaced_folder(tmp_path, clouds):
    (tmp_path / "pairs.pt").touch()
    with pytest.raises(ValueError, match=r"'\.pt': expected \.npy"):
        load_pairs(tmp_path / "pairs.pt")
    with pytest.raises(ValueError, match="is a folder"):
        load_pairs([saved(tmp_path, clouds[0]), tmp_path])


@pytest.mark.parametrize(
    ("damage", "shown"),
    [
        (
            lambda folder: (folder / "text_emb_1.npy").unlink(),
            "img_emb_1.npy has no text_emb part of the same number, 1",
        ),
        (
            lambda folder: (folder / "img_emb_0.npy").unlink(),
            "text_emb_0.npy has no img_emb part of the same number, 0",
        ),
        (lambda folder: np.save(folder / "text_emb_1.npy", np.ones((2, D))), "got 4 and 2"),
        (
            lambda folder: [np.save(folder / f"{k}_1.npy", np.ones((4, 3))) for k in ("img_emb", "text_emb")],
            "got 3 and 4",
        ),
        (lambda folder: np.save(folder / "img_emb_1.npy", np.ones((4, D), int)), "int64"),
        (lambda folder: np.save(folder / "img_emb_1.npy", np.ones(4)), "(4,)"),
        (lambda folder: (folder / "img_emb_1.npy").write_bytes(b"\x93NUMPY"), "img_emb_1.npy"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "has no img_emb_*.npy"),
        (lambda folder: np.save(folder / "img_emb_01.npy", np.ones((4, D))), "have the same number, 1"),
    ],
)
def test_broken_clip_retrieval_folders(tmp_path, clouds, damage, shown):
    for kind, cloud in zip(("img_emb", "text_emb"), clouds, strict=True):
        np.save(tmp_path / f"{kind}_0.npy", cloud[:3])
        np.save(tmp_path / f"{kind}_1.npy", cloud[3:])
    damage(tmp_path)
    with pytest.raises((ValueError, TypeError)) as error:
        load_pairs(tmp_path)
    assert_one_line(error, tmp_path, shown)


def test_folder_without_permission(tmp_path, monkeypatch):
    if os.geteuid() == 0:  # root reads everything: let the operating system say no
        monkeypatch.setattr(Path, "iterdir", _denied)
    else:
        tmp_path.chmod(0)
    with pytest.raises(PermissionError, match="permission denied") as error:
        load_pairs(tmp_path)
    tmp_path.chmod(0o700)
    assert_one_line(error, tmp_path)


def test_file_without_permission(tmp_path, clouds, monkeypatch):
    path = saved(tmp_path, clouds)
    if os.geteuid() == 0:
        monkeypatch.setattr(Path, "open", _denied)
    else:
        path.chmod(0)
    with pytest.raises(PermissionError, match="permission denied") as error:
        load_pairs(path)
    assert_one_line(error, path)


def _denied(path, *args):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("groups.txt", "1\n2\n3\n", "one line a pair, 7, got 3"),
        ("groups.txt", "1\n\n3\n4\n5\n6\n7\n", "got '' in line 2"),
        ("groups.csv", "1,a\n" * 7, "got '1,a' in line 1"),
        ("groups.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("groups.json", "[]", "'.json'"),
        ("groups.txt", "same\n" * 7, "at least two groups, got 1"),
        ("groups.npy", np.arange(8), "(8,)"),
        ("groups.npy", np.arange(7.0), "float64"),
        ("groups.npy", np.ones((7, 1), dtype=int), "(7, 1)"),
    ],
)
def test_bad_groups(tmp_path, clouds, name, content, shown):
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((ValueError, TypeError)) as error:
        load_pairs(saved(tmp_path, clouds), groups=path)
    assert_one_line(error, path, shown)


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ([[1.0, 2.0], [3.0]], "lists of 2 numbers, got 1 numbers in row 1"),
        ([[1.0, 2.0], None], "got null in row 1"),
        ([None, [1.0, 2.0]], "got null in row 0"),
        ([[1.0, 2.0], [None, 1.0]], "nulls, got one in row 1"),
        ([[], []], "(2, 0)"),
    ],
)
def test_parquet_with_odd_lists(tmp_path, column, shown):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    floats = pa.list_(pa.float64())
    path = tmp_path / "odd.parquet"
    pq.write_table(pa.table({"x": pa.array(column, floats), "y": pa.array([[1.0, 2.0]] * 2, floats)}), path)
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_pairs(path)
    assert_one_line(error, f"{path}[x]", shown)


def test_parquet_of_integers_or_without_pyarrow(tmp_path, monkeypatch):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "ints.parquet"
    pq.write_table(pa.table({"x": [[1, 2], [3, 4]], "y": [[1.0, 2.0]] * 2}), path)
    with pytest.raises(TypeError, match="list<element: int64>"):
        load_pairs(path, keys=("x", "y"))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        load_pairs(path)


def test_arrays_are_checked_too(clouds):
    with pytest.raises(TypeError, match=r"\bx\b"):
        EmbeddingPairs(x=[[1.0]], y=clouds[1])
    with pytest.raises(ValueError, match="`groups` must have shape"):
        EmbeddingPairs(x=clouds[0], y=clouds[1], groups=np.array([0, 1]))
