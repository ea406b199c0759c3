"""Files are there whole or not at all, whatever ends the writing of them."""

import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from conetheory._files import replacing, write_atomically

ROOT = Path(__file__).parents[2]
LARGE = 1 << 20


def half_written(file):
    file.write(b"half of ")
    file.flush()
    raise RuntimeError("stopped half-way")


def interrupted(file):
    file.write(b"half of ")
    raise KeyboardInterrupt


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def small_files_only():
    """Let the system refuse what makes a file larger than 64 KiB, as a full disk refuses it."""
    resource = pytest.importorskip("resource", reason="no limits of this kind")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=[None, "old and longer than what follows"], ids=["new", "old"])
def path(request, tmp_path):
    """A file that is not there yet, or one that is."""
    path = tmp_path / "file.json"
    if request.param:
        path.write_text(request.param)
    return path


@contextmanager
def nothing_changes(path):
    """The folder holds afterwards what it held before."""
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    yield
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize(
    "content", ["κ* = 21.2\n", "κ* = 21.2\n".encode(), lambda file: file.write("κ* = 21.2\n".encode())]
)
def test_the_file_is_what_it_was_given_and_alone(path, content):
    write_atomically(path, content)
    assert path.read_bytes() == "κ* = 21.2\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", b"", lambda file: None])
def test_nothing_makes_an_empty_file(path, content):
    write_atomically(path, content)
    assert path.read_bytes() == b""


def test_an_array_is_saved_through_the_open_file(path):
    array = np.arange(12.0).reshape(3, 4)
    write_atomically(path, partial(np.save, arr=array))
    assert np.array_equal(np.load(path), array)


def test_others_may_read_what_the_user_lets_them(path):
    """A temporary file of the standard library would be for the user alone."""
    path.with_name("plain").write_text("")
    write_atomically(path, "content")
    assert path.stat().st_mode == path.with_name("plain").stat().st_mode


@pytest.mark.parametrize(("fill", "error"), [(half_written, RuntimeError), (interrupted, KeyboardInterrupt)])
def test_what_stops_half_way_changes_nothing(path, fill, error):
    with nothing_changes(path), pytest.raises(error):
        write_atomically(path, fill)


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_an_interrupt_at_the_end_changes_nothing(path, monkeypatch, step):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(step, interrupt)
    with nothing_changes(path), pytest.raises(KeyboardInterrupt):
        write_atomically(path, "content")


@pytest.mark.parametrize(
    "content",
    ["x" * LARGE, b"x" * LARGE, lambda file: file.write(b"x" * LARGE), partial(np.save, arr=np.ones(LARGE))],
    ids=["str", "bytes", "callable", "array"],
)
def test_a_disk_without_space_changes_nothing_and_names_the_file(path, content):
    with nothing_changes(path), small_files_only(), pytest.raises(OSError) as failed:  # noqa: PT011 (seen below)
        write_atomically(path, content)
    assert failed.value.filename == str(path)
    assert failed.value.errno
    assert failed.value.strerror


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_an_error_at_the_end_keeps_its_number_and_names_the_file(path, monkeypatch, step):
    monkeypatch.setattr(step, full)
    with nothing_changes(path), pytest.raises(OSError, match="No space left on device") as failed:
        write_atomically(path, "content")
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, str(path))


def test_an_error_without_a_number_keeps_its_words(path):
    def cut(file):
        raise OSError("12 requested and 4 written")  # as numpy says it

    with nothing_changes(path), pytest.raises(OSError, match="12 requested and 4 written") as failed:
        write_atomically(path, cut)
    assert (failed.value.errno, failed.value.filename) == (errno.EIO, str(path))


def test_an_error_about_another_file_is_not_blamed_on_this_one(path):
    def copy(file):
        file.write(path.with_name("source").read_bytes())

    with nothing_changes(path), pytest.raises(FileNotFoundError) as failed:
        write_atomically(path, copy)
    assert Path(failed.value.filename).name == "source"


@pytest.mark.parametrize("place", ["missing/x", "file/x", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises((FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)) as failed:
        write_atomically(tmp_path / place, "content")
    assert failed.value.filename == str(tmp_path / place)
    assert failed.value.filename2 is None
    assert {file.name for file in tmp_path.rglob("*")} == {"file", "folder"}


def test_a_block_is_given_a_hidden_name_beside_the_file(path):
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.name.startswith(f".{path.name}.")
        assert temporary.suffix == ".tmp"
        assert not temporary.exists()
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(path):
    with nothing_changes(path), pytest.raises(FileNotFoundError) as failed, replacing(path):
        pass
    assert failed.value.filename == str(path)


def test_two_blocks_at_once_do_not_meet(path):
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ends last
    assert list(path.parent.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_the_name_and_the_folder_after(path, monkeypatch):
    done, sync, replace = [], os.fsync, Path.replace

    def recorded(handle):
        done.append("folder" if os.path.samestat(os.fstat(handle), path.parent.stat()) else "file")
        sync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Path, "replace", lambda old, new: (done.append("name"), replace(old, new)))
    write_atomically(path, "content")
    assert done == ["file", "name", "folder"][: 3 if hasattr(os, "O_DIRECTORY") else 2]


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders are not synchronised here")
@pytest.mark.parametrize(
    ("number", "passes"),
    [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EACCES, True), (errno.EPERM, True), (errno.EIO, False)],
)
def test_a_folder_need_not_be_synchronised_where_the_system_cannot(path, monkeypatch, number, passes):
    sync = os.fsync

    def files_only(handle):
        if os.path.samestat(os.fstat(handle), path.parent.stat()):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    if passes:
        write_atomically(path, "content")
    else:
        with pytest.raises(OSError, match=os.strerror(number)) as failed:
            write_atomically(path, "content")
        assert failed.value.filename == str(path)
    assert path.read_text() == "content"


WRITER = """
import sys
from pathlib import Path
from conetheory._files import write_atomically
path, letter, stop = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
write_atomically(path, letter * 200_000)
print("ready", flush=True)
while not stop.exists():
    write_atomically(path, letter * 200_000)
"""


def test_two_processes_at_once_leave_the_file_of_one(tmp_path):
    """Whoever reads meanwhile reads the whole file of one of them."""
    path, stop = tmp_path / "out" / "file", tmp_path / "stop"
    path.parent.mkdir()
    words = [[sys.executable, "-c", WRITER, str(path), letter, str(stop)] for letter in "ab"]
    writers = [subprocess.Popen(each, cwd=ROOT, stdout=subprocess.PIPE, text=True) for each in words]
    try:
        assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
        seen = {path.read_text() for _ in range(200)}
    finally:
        stop.touch()
        ended = [(writer.communicate(timeout=60), writer.returncode)[1] for writer in writers]
    assert ended == [0, 0]
    assert seen <= {"a" * 200_000, "b" * 200_000}
    assert list(path.parent.iterdir()) == [path]
