"""Images of a source kept on disk, so that rendering or decoding is paid for once: 10^6 of 32 x 32 pixels take 3 GB.

A folder holds one subfolder a set of images, named by what they are made from: the source's description, the code of
this package's data rooms and the libraries' versions. Another description, or other code, is another subfolder; nothing
old is ever taken for new. Shards are arrays in ``.npy``, memory-mapped; each is written beside its place and renamed.
"""

import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from jaxtyping import UInt8
from numpy.typing import ArrayLike

from conetheory._arrays import as_count
from conetheory._files import write_atomically

from ._images import Unreadable
from ._items import ItemSource
from .pairs import PairSource

__all__ = ["CachedImages", "cached"]


def cached(source: PairSource, folder: str | Path, *, rows: int = 4096, workers: int = 1) -> "CachedImages":
    """Return the source with its images in shards below `folder`; those that are missing or damaged are made now.

    Parameters
    ----------
    source : PairSource
        Its captions are not stored: change them (`mismatch`) after this, not before, and the images serve again.
    folder : path
        Made if it is missing. Several processes may fill it at once.
    rows : int
        Images a shard.
    workers : int
        Threads that make shards.

    Raises
    ------
    OSError
        If the disk is full or may not be written; what is whole stays, and nothing half-written.
    ValueError
        If no image of the source can be read.
    """
    return CachedImages(source, Path(folder), as_count("rows", rows), as_count("workers", workers))


class CachedImages(ItemSource):
    """A source whose images come from shards; labels, captions and all else are the source's.

    Attributes
    ----------
    source : PairSource
        Where the images came from.
    folder : Path
        The subfolder with the shards.
    """

    def __init__(self, source: PairSource, folder: Path, rows: int, workers: int) -> None:
        self.source, self._shard_rows = source, rows
        self._maps: dict[int, np.ndarray] = {}
        description = {**_code(), "rows": rows, "source": source.describe()}
        digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = folder / f"{source.describe()['kind']}-{digest}"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "description.json", json.dumps(description, indent=1))
        size = source.batch([0]).images.shape[-1]
        super().__init__(source.name, len(source), size, Counter())
        missing = [number for number in range(-(-len(source) // rows)) if not self._is_whole(number)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self._make, missing))
        for path in sorted(self.folder.glob("unreadable-*.json")):
            self.unreadable |= {int(row): reason for row, reason in json.loads(path.read_text()).items()}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "source":  # not there yet while it is unpickled
            raise AttributeError(name)
        return getattr(self.source, name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}  # a map would be pickled with all its images

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows, from the source."""
        return self.source.captions(indices)

    def describe(self) -> dict[str, Any]:
        """Return the source's description: the images are the same."""
        return self.source.describe()

    @property
    def skipped(self) -> int:
        """As the source says, and the rows whose images could not be kept."""
        return len(self.unreadable) + self.source.skipped - len(getattr(self.source, "unreadable", ()))

    def _image(self, row: int) -> UInt8[np.ndarray, "3 size size"]:
        number, place = divmod(row, self._shard_rows)
        try:
            images = self._maps[number] if number in self._maps else self._maps.setdefault(number, self._open(number))
        except (OSError, ValueError, EOFError):
            raise Unreadable("shard cannot be read") from None
        return images[place]

    def _path(self, number: int, kind: str = "images", suffix: str = ".npy") -> Path:
        return self.folder / f"{kind}-{number:06d}{suffix}"

    def _open(self, number: int) -> np.ndarray:
        return np.load(self._path(number), mmap_mode="r", allow_pickle=False)

    def _is_whole(self, number: int) -> bool:
        """Return whether the shard is there, with all its images."""
        n = min(self._shard_rows, len(self) - number * self._shard_rows)
        try:
            images = self._open(number)
        except (OSError, ValueError, EOFError):  # missing, or cut off
            return False
        return images.dtype == np.uint8 and images.shape == (n, 3, self.size, self.size)

    def _make(self, number: int) -> None:
        """Write the shard, the list of rows that could not be read before it."""
        start = number * self._shard_rows
        rows = np.arange(start, min(start + self._shard_rows, len(self)))
        batch = self.source.batch(rows)
        bad = rows[batch.indices != rows].tolist()
        if bad:
            reasons = {row: getattr(self.source, "unreadable", {}).get(row, "unreadable") for row in bad}
            write_atomically(self._path(number, "unreadable", ".json"), json.dumps(reasons))
        write_atomically(self._path(number), lambda file: np.save(file, batch.images, allow_pickle=False))


def _code() -> dict[str, str]:
    """Return what else the pixels depend on."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return {"code": digest.hexdigest(), "numpy": np.__version__, "pillow": PIL.__version__}
