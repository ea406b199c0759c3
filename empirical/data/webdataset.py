"""WebDataset shards: plain tar files in which members of one name, image and caption, are a pair.

Archives are only read, by offset: nothing is unpacked, so their names lead nowhere.
"""

import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ._images import MAX_BYTES, Unreadable, decode_image
from ._items import CaptionedItems, clean_caption

__all__ = ["WebDataset", "expand_braces"]

_IMAGES = ("jpg", "jpeg", "png", "webp")
_TEXTS = ("txt", "text", "caption")
_MAX_CAPTION = 1 << 20  # bytes
_MAX_SHARDS = 1_000_000  # that a pattern may name
_Place = tuple[int, int, int]  # shard, offset, bytes


def expand_braces(pattern: str) -> list[str]:
    """Return the names of a pattern: ``{000..127}`` counts, with leading zeros, and ``{a,b}`` lists.

    Raises
    ------
    ValueError
        If a range counts down or the pattern names more than a million.

    Examples
    --------
    >>> expand_braces("coco-{08..10}.tar")
    ['coco-08.tar', 'coco-09.tar', 'coco-10.tar']
    """
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if not match:
        return [pattern]
    if match[3] is not None:
        middles = match[3].split(",")
    else:
        first, last = int(match[1]), int(match[2])
        if not first <= last < first + _MAX_SHARDS:
            raise ValueError(f"{pattern!r} must count upwards, to a million at most.")
        middles = [str(number).zfill(len(match[1])) for number in range(first, last + 1)]
    rest = expand_braces(pattern[match.end() :])
    if len(middles) * len(rest) > _MAX_SHARDS:
        raise ValueError(f"{pattern!r} must name at most a million shards.")
    return [pattern[: match.start()] + middle + end for middle in middles for end in rest]


class WebDataset(CaptionedItems):
    """Pairs from tar files [1]_; the list of members is made once, when the archives are opened.

    Parameters
    ----------
    paths : str or sequence of str
        Tar files, not compressed; patterns as in `expand_braces`.
    size : int
        Height and width that images are resized and cropped to.

    Raises
    ------
    FileNotFoundError
        If a shard is missing.
    ValueError
        If a shard is compressed, or no pair can be used. Members that cannot be used are left out and counted: links,
        names with ``..``, images without a caption (``.txt``, or ``caption`` in ``.json``), archives from where they
        are damaged.

    References
    ----------
    .. [1] github.com/webdataset/webdataset, "The WebDataset format": the name up to its first dot is the key.
    """

    def __init__(self, paths: str | Sequence[str], *, size: int = 224) -> None:
        self.shards = [name for path in ([paths] if isinstance(paths, str) else paths) for name in expand_braces(path)]
        left_out: Counter[str] = Counter()
        self._places: list[_Place] = []
        texts: list[str] = []
        for number, shard in enumerate(self.shards):
            for place, length, text in _pairs(Path(shard), left_out):
                self._places.append((number, place, length))
                texts.append(text)
        super().__init__(", ".join([paths] if isinstance(paths, str) else paths), texts, size, left_out)

    def _image(self, row: int) -> UInt8[np.ndarray, "3 size size"]:
        shard, offset, length = self._places[row]
        try:
            with Path(self.shards[shard]).open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise Unreadable(f"shard cannot be read ({type(error).__name__})") from None
        if len(data) < length:
            raise Unreadable("truncated archive")
        return decode_image(data, self.size)

    def describe(self) -> dict[str, Any]:
        """Return the options, and the sizes of the shards."""
        sizes = [Path(shard).stat().st_size for shard in self.shards]
        return {"kind": "webdataset", "paths": self.shards, "bytes": sizes, "size": self.size, "n": len(self)}


def _pairs(path: Path, left_out: Counter[str]) -> Iterator[tuple[int, int, str]]:
    """Yield offset and length of each image that has a caption, and the caption."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for key, extension, offset, length in _members(path, left_out):
        kind = "image" if extension in _IMAGES else "text" if extension in _TEXTS else extension
        if kind not in ("image", "text", "json"):
            continue
        if kind in found.setdefault(key, {}):
            left_out["member with a name that came before"] += 1
        else:
            found[key][kind] = offset, length
    with path.open("rb") as file:
        for parts in found.values():
            if "image" not in parts:
                left_out["caption without an image"] += 1
                continue
            try:
                text = _caption(file, parts)
            except Unreadable as reason:
                left_out[str(reason)] += 1
                continue
            yield *parts["image"], text


def _members(path: Path, left_out: Counter[str]) -> Iterator[tuple[str, str, int, int]]:
    """Yield key, extension, offset and length of the regular members, as far as the archive is sound."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file.")
    with path.open("rb") as file:
        if file.read(6)[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5"):
            raise ValueError(f"{path} is compressed: unpack it to a plain tar, which can be read at any place.")
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # else tarfile keeps them all, a million perhaps
                    if reason := _unusable(member):
                        left_out[reason] += not member.isdir()
                        continue
                    name = PurePosixPath(member.name)
                    stem, _, extension = name.name.partition(".")
                    yield str(name.with_name(stem or "_")), extension.lower(), member.offset_data, member.size
                file.seek(tar.offset)
                if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # tarfile ends silently at a header that makes no sense
                    left_out["damaged archive"] += 1
        except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError):
            left_out["damaged archive"] += 1


def _unusable(member: tarfile.TarInfo) -> str:
    """Return why a member is not used, or nothing."""
    name = PurePosixPath(member.name)
    if not member.isreg() or member.issparse():
        return "not a regular file"
    if name.is_absolute() or ".." in name.parts or not name.name:
        return "outside the folder"
    return "too large a file" if not 0 <= member.size <= MAX_BYTES else ""


def _caption(file: Any, parts: dict[str, tuple[int, int]]) -> str:
    """Return the caption of a pair, from its text or else its JSON."""
    place = parts.get("text") or parts.get("json")
    if place is None:
        raise Unreadable("image without a caption")
    if place[1] > _MAX_CAPTION:
        raise Unreadable("too large a caption")
    file.seek(place[0], os.SEEK_SET)
    data = file.read(place[1])
    if len(data) < place[1]:
        raise Unreadable("truncated archive")
    text = data.decode("utf-8-sig", errors="surrogateescape")
    if "text" in parts:
        return clean_caption(text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("caption is no JSON") from None
    if not isinstance(document, dict):
        raise Unreadable("caption is not a text")
    return clean_caption(document.get("caption", document.get("text")))
