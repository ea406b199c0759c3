"""What a result depends on besides its arguments: the versions of libraries, the machine, the commit."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["commit_of", "provenance"]


def provenance(libraries: Sequence[str]) -> dict[str, Any]:
    """Return ``python``, ``platform``, ``libraries`` and ``started``, ready for JSON.

    Parameters
    ----------
    libraries : sequence of str
        As they are called where they are installed from; None is the version of one that is not installed.

    Examples
    --------
    >>> found = provenance(["numpy", "no-such-library"])
    >>> sorted(found), found["libraries"]["no-such-library"]
    (['libraries', 'platform', 'python', 'started'], None)
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _installed(name) for name in libraries},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def commit_of(root: Path) -> str | None:
    """Return the commit of the checkout in `root`, with ``+`` if a file of it was changed; None for any other folder.

    Examples
    --------
    >>> commit_of(Path("no checkout")) is None
    True
    """
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
