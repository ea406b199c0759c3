"""Images kept on disk: the same as the source's, reused, remade where damaged, by any number of workers."""

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from empirical.data import shards
from empirical.data.loader import batches
from empirical.data.mismatch import with_mismatch
from empirical.data.pairs import LabelledSource
from empirical.data.scenes import Scenes
from empirical.data.shards import cached
from tests.empirical.data.faulty import Numbered, Wrong


class Counting(Scenes):
    """Scenes that count how often they are rendered."""

    rendered = 0

    def batch(self, indices, *, among=None):
        self.rendered += len(indices)
        return super().batch(indices, among=among)


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}


@pytest.mark.parametrize("workers", [1, 3])
def test_images_and_all_else_are_those_of_the_source(tmp_path, workers):
    source = Scenes(n=50, size=16)
    kept = cached(source, tmp_path, rows=16, workers=workers)
    batch = kept.batch([49, 0, 15, 16])
    assert_array_equal(batch.images, source.batch([49, 0, 15, 16]).images)
    assert batch.captions == source.captions([49, 0, 15, 16])
    assert_array_equal(kept.labels_of("colour", [3]), source.labels_of("colour", [3]))
    assert isinstance(kept, LabelledSource)
    assert len(files(tmp_path)) == 4
    assert not [path for path in kept.folder.iterdir() if path.name.startswith(".")]


def test_shards_are_reused_and_rendered_once(tmp_path):
    source = Counting(n=40, size=16)
    cached(source, tmp_path, rows=16)
    written = files(tmp_path)
    assert source.rendered == 40 + 1  # one row tells the size
    again = Counting(n=40, size=16)
    cached(again, tmp_path, rows=16).batch(np.arange(40))
    assert again.rendered == 1
    assert files(tmp_path) == written


@pytest.mark.parametrize("options", [{"n": 41}, {"seed": 1}, {"size": 17}, {"related": 0.0}])
def test_another_description_is_another_set(tmp_path, options):
    cached(Scenes(n=40, size=16), tmp_path)
    source = Scenes(**({"n": 40, "size": 16} | options))
    kept = cached(source, tmp_path)
    assert_array_equal(kept.batch([5]).images, source.batch([5]).images)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("spoil", [lambda images: images.astype(np.float32) / 255, lambda images: images[:-1]])
def test_a_shard_of_another_type_or_with_fewer_images_is_made_anew(tmp_path, spoil):
    source = Scenes(n=20, size=16)
    folder = cached(source, tmp_path, rows=16).folder
    path = min(folder.glob("*.npy"))
    np.save(path, spoil(np.load(path)))
    batch = cached(source, tmp_path, rows=16).batch(np.arange(20))
    assert_array_equal(batch.images, source.batch(np.arange(20)).images)
    assert np.load(path).dtype == np.uint8


def test_other_code_is_another_set(tmp_path, monkeypatch):
    cached(Scenes(n=4, size=16), tmp_path)
    monkeypatch.setattr(shards, "_code", lambda: {"code": "changed"})
    cached(Scenes(n=4, size=16), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "pickle", "missing", "other"])
def test_a_damaged_shard_is_made_again(tmp_path, damage):
    source = Scenes(n=40, size=16)
    path = cached(source, tmp_path, rows=16).folder / "images-000001.npy"
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "pickle":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    elif damage == "other":
        np.save(path, np.zeros((16, 3, 8, 8), np.uint8))
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    assert_array_equal(cached(source, tmp_path, rows=16).batch([20]).images, source.batch([20]).images)
    assert path.read_bytes() == data


def test_rows_that_cannot_be_read_stay_so(tmp_path):
    for _ in range(2):  # made, and reused
        kept = cached(Numbered(20, [3, 4, 17]), tmp_path, rows=8)
        assert kept.batch([3, 5]).indices.tolist() == [6, 5]
        assert kept.skip_reasons() == {"bad 0": 1, "bad 1": 2}
        assert kept.skipped == 3


def test_a_full_disk_ends_clearly_and_keeps_what_is_whole(tmp_path, monkeypatch):
    save, written = np.save, []

    def until_full(file, images, **options):
        if len(written) == 2:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(images)
        save(file, images, **options)

    monkeypatch.setattr(np, "save", until_full)
    with pytest.raises(OSError, match=r"No space left on device: .*images-00000\d\.npy"):
        cached(Scenes(n=64, size=16), tmp_path, rows=16)
    assert len(files(tmp_path)) == 2
    assert not list(tmp_path.rglob(".images*"))
    monkeypatch.undo()
    source = Scenes(n=64, size=16)
    assert_array_equal(cached(source, tmp_path, rows=16).batch([63]).images, source.batch([63]).images)


def test_an_error_of_the_source_is_passed_on(tmp_path):
    with pytest.raises(ZeroDivisionError, match="row 13"):
        cached(Wrong(20), tmp_path, rows=8)
    assert "images-000001.npy" not in files(tmp_path)


def test_a_copy_for_another_process_is_small(tmp_path):
    kept = cached(Scenes(n=200, size=32), tmp_path)
    kept.batch([0])
    assert len(pickle.dumps(kept)) < 2000
    assert_array_equal(pickle.loads(pickle.dumps(kept)).batch([7]).images, kept.batch([7]).images)


def test_captions_change_on_top(tmp_path):
    kept = cached(Scenes(n=30, size=16), tmp_path)
    mixed = with_mismatch(kept, 1.0)
    found = list(batches(mixed, np.arange(30), 10, 0, 0, workers=2))
    assert_array_equal(found[0].images, kept.batch(found[0].indices).images)
    assert found[0].captions != kept.captions(found[0].indices)
    assert Path(kept.folder).is_dir()
