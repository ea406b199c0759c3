"""Machine code is never older than its source: what numba's cache on disk takes for the source of a kernel.

numba looks at the file that defines a kernel alone, but constants and functions of other files are compiled into it.
Here the source is that file and every other one of the package that it names, directly or through others: after an edit
of any of them the kernel is compiled anew. Any occurrence of the letters counts as naming, so that no way to import can
be missed; a mere mention costs a compilation that was not needed.

Where the machine code lies is numba's choice as ever: ``NUMBA_CACHE_DIR``, ``__pycache__``, the user's folder where
that is read-only.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["register", "source_stamp"]


def register() -> None:
    """Let numba's cache take `source_stamp` for the kernels of this package, and for no others; once is enough.

    numba has no public interface for this. Where its private one has changed its own rule stays in force.
    """
    home = Path(__file__).parent
    try:
        from numba.core import caching

        chosen: list[Any] = caching.CacheImpl._locator_classes
        if any(getattr(locator, "home", None) == home for locator in chosen):
            return
        kinds = caching.UserProvidedCacheLocator, caching.InTreeCacheLocator, caching.UserWideCacheLocator
        ours = [_stamped(kind, home) for kind in kinds]
        chosen[:0] = ours
        try:
            found = caching.CompileResultCacheImpl(source_stamp).locator  # a trial, with a function of this file
            if found.get_source_stamp() != source_stamp(__file__):
                raise TypeError(f"{found} does not stamp.")
        except Exception:
            del chosen[: len(ours)]
    except (ImportError, AttributeError, TypeError):
        return


def _stamped(kind: Any, home: Path) -> Any:
    """Return the numba locator `kind`, for functions of files in `home` and with their stamp."""

    class Stamped(kind):
        """Locator of numba that asks `source_stamp`."""

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            if Path(py_file).parent != home:
                return None
            found = super().from_function(py_func, py_file)
            if found is not None:
                found.source = py_file
            return found

        def get_source_stamp(self) -> str:
            return source_stamp(self.source)

    Stamped.home = home
    return Stamped


def source_stamp(file: str) -> str:
    """Return a digest of the text of `file` and of all modules in its folder that it names, directly or not."""
    folder = Path(file).parent
    names = _modules(folder, folder.stat().st_mtime_ns)
    stems, reached = [Path(file).stem], {}
    while stems:
        stem = stems.pop()
        if stem not in reached:
            path = folder / f"{stem}.py"
            status = path.stat()
            reached[stem], named = _read(path, status.st_mtime_ns, status.st_size, names)
            stems += named
    return hashlib.sha256(repr(sorted(reached.items())).encode()).hexdigest()


@lru_cache(maxsize=16)
def _modules(folder: Path, changed: int) -> frozenset[str]:
    """Return the names of the modules in a folder, listed again after it has changed."""
    return frozenset(path.stem for path in folder.glob("*.py"))


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int, names: frozenset[str]) -> tuple[str, list[str]]:
    """Return a digest of a file, and which of `names` it holds; it is read again after an edit."""
    text = path.read_bytes()
    return hashlib.sha256(text).hexdigest(), [name for name in names if name.encode() in text]
