"""Pairs from files, of which some cannot be read: those are replaced and counted, and the run goes on."""

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import ArrayLike

from conetheory._arrays import as_count

from ._images import Unreadable
from .pairs import PairBatch, as_rows

__all__ = ["CaptionedItems", "ItemSource", "clean_caption"]


def clean_caption(text: Any) -> str:
    """Return a caption with its white space made single blanks.

    Raises
    ------
    Unreadable
        If it is no text, is empty, holds zero bytes (UTF-16 read as UTF-8), or what is not UTF-8 (surrogates, to which
        damaged bytes were decoded).
    """
    if not isinstance(text, str):
        raise Unreadable("caption is not a text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unreadable("caption is not UTF-8") from None
    if "\0" in text:
        raise Unreadable("caption with zero bytes")
    if not (words := text.split()):
        raise Unreadable("empty caption")
    return " ".join(words)


class ItemSource(ABC):
    """Rows whose images are read when they are asked for, and may then turn out unreadable.

    Parameters
    ----------
    name : str
        For messages.
    n : int
        Rows.
    size : int
        Height and width of the images, in pixels.
    left_out : Counter
        Reasons why entries of the files did not become rows, and how many.

    Raises
    ------
    ValueError
        If there is no row.
    """

    def __init__(self, name: str, n: int, size: int, left_out: Counter[str]) -> None:
        self.name, self.size = name, as_count("size", size)
        self._n, self._left_out = n, left_out
        self.unreadable: dict[int, str] = {}
        """The rows found unreadable so far, and why."""
        if not n:
            raise ValueError(f"{name} holds no pair that can be used; left out: {dict(+left_out) or 'nothing'}.")

    @abstractmethod
    def _image(self, row: int) -> UInt8[np.ndarray, "3 size size"]:
        """Return the image of a row; `Unreadable` where that cannot be."""

    @abstractmethod
    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the pairs are made from, fit for JSON."""

    def __len__(self) -> int:
        return self._n

    @property
    def skipped(self) -> int:
        """Entries left out when the files were opened, and rows found unreadable since."""
        return sum(self.skip_reasons().values())

    def skip_reasons(self) -> dict[str, int]:
        """Return how many entries and rows were skipped, by reason."""
        return dict(sorted((self._left_out + Counter(self.unreadable.values())).items()))

    def batch(self, indices: ArrayLike, *, among: ArrayLike | None = None) -> PairBatch:
        """Return the pairs of these rows, with those that cannot be read replaced (see `PairSource.batch`).

        If every readable row of `among` is in the batch already, one of them is repeated.
        """
        rows = as_rows(indices, self)
        images = np.empty((len(rows), 3, self.size, self.size), dtype=np.uint8)
        missing = [place for place, row in enumerate(rows) if not self._read_into(images[place], int(row))]
        taken = set(rows.tolist())
        pool = np.arange(len(self)) if among is None or not missing else as_rows(among, self)
        for place in missing:
            rows[place] = self._replacement(images[place], int(rows[place]), pool, taken)
        return PairBatch(images=images, captions=self.captions(rows), indices=rows)

    def _read_into(self, out: UInt8[np.ndarray, "3 size size"], row: int) -> bool:
        """Write the image of `row` to `out` and return True, or note why it cannot be read and return False."""
        if row in self.unreadable:
            return False
        try:
            out[:] = self._image(row)
        except Unreadable as reason:
            self.unreadable[row] = str(reason)
            return False
        return True

    def _replacement(
        self, out: UInt8[np.ndarray, "3 size size"], row: int, pool: Int64[np.ndarray, " p"], taken: set[int]
    ) -> int:
        """Write the image of the next readable row after `row` to `out`, add the row to `taken` and return it."""
        cut = int(np.searchsorted(pool, row, side="right"))
        following = np.concatenate([pool[cut:], pool[:cut]])
        for allowed in (lambda other: other not in taken, lambda other: other in taken):
            for other in map(int, following):
                if allowed(other) and self._read_into(out, other):
                    taken.add(other)
                    return other
        raise ValueError(f"{self.name} has no image that can be read; skipped: {self.skip_reasons()}.")


class CaptionedItems(ItemSource):
    """Rows whose captions are all known from the start; `texts` has one each, the rest is as in `ItemSource`."""

    def __init__(self, name: str, texts: list[str], size: int, left_out: Counter[str]) -> None:
        super().__init__(name, len(texts), size, left_out)
        self._texts = texts

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows."""
        return tuple(self._texts[row] for row in as_rows(indices, self))
