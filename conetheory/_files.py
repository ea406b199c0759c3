"""Files that are there whole or not at all: written under another name beside their place, synchronised, renamed."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing", "write_atomically"]

_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)
"""What a system answers that cannot synchronise this folder, or a folder that may be written and not read."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name of a file to be written beside `path`; once that is done and on the disk, it takes the place of
    `path`.

    Whatever ends it before, an interrupt too, leaves `path` as it was and nothing beside it. The name is hidden, ends
    in ``.tmp`` and is drawn at random, so that threads, processes and machines may write the same file at once: the
    last one stays.

    Parameters
    ----------
    path : Path
        A file, there or not, in a folder that is there.

    Raises
    ------
    OSError
        With `path` as its filename, where this file cannot be written; one about another file passes as it is.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "rows.npy") as partial:
    ...         n_written = partial.write_bytes(b"rows")
    ...         while_written = [file.suffix for file in Path(folder).iterdir()]
    ...     while_written, [file.name for file in Path(folder).iterdir()]
    (['.tmp'], ['rows.npy'])
    """
    partial = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _synchronise(path.parent)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(partial):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):  # it is gone, or was never there, or the error is already on its way
            partial.unlink()


def _synchronise(folder: Path) -> None:
    """Let the new name survive a loss of power, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise


def write_atomically(path: Path, content: str | bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all, see `replacing`.

    Parameters
    ----------
    path : Path
        A file, there or not, in a folder that is there.
    content : str, bytes or callable
        Text is written in UTF-8; a callable is given the open file and fills it.

    Raises
    ------
    OSError
        With `path` as its filename, where it cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "kappa.txt", "κ* = 21.2")
    ...     (Path(folder) / "kappa.txt").read_text(encoding="utf-8")
    'κ* = 21.2'
    """
    with replacing(path) as partial, partial.open("xb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)
