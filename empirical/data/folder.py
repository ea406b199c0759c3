"""A folder of images and a table of captions, as Flickr8k has them: rows ``image,caption``, images repeated."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._captioned_folder import CaptionedFolder, CaptionsByImage

__all__ = ["ImageFolder"]

_IMAGE_WORDS = {"image", "image_name", "image_id", "filename", "file_name", "file", "filepath", "path"}
_CAPTION_WORDS = {"caption", "captions", "text", "title", "comment", "description", "sentence"}


class ImageFolder(CaptionedFolder):
    """Images with captions from a table; the rows of one image make one pair.

    Parameters
    ----------
    images : path
        Folder that the table's names are relative to; nothing outside it is read.
    captions : path
        The table. Its columns are separated by tabs if the first line has one, else by ``|`` (Flickr30k) if that has
        one, else by commas. If the first line names an image and a caption column they are taken; else there is no
        header, the first column is the image and the rest the caption. ``#0`` to ``#9`` after a name (Flickr8k) is cut
        off.
    caption, size, seed
        As for `CocoCaptions`.

    Raises
    ------
    FileNotFoundError
        If the folder or the table is missing.
    ValueError
        If the table has no usable row. Single rows that cannot be used are left out and counted.
    """

    kind = "folder"

    def __init__(
        self, images: str | Path, captions: str | Path, *, caption: str = "first", size: int = 224, seed: int = 0
    ) -> None:
        self.table = Path(captions)
        try:
            text = self.table.read_bytes().decode("utf-8-sig", errors="surrogateescape")
        except (FileNotFoundError, IsADirectoryError):
            raise FileNotFoundError(f"{captions} is no file.") from None
        super().__init__(str(captions), images, _collect(text), caption=caption, size=size, seed=seed)

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        return {**super().describe(), "captions": str(self.table)}


def _collect(text: str) -> CaptionsByImage:
    """Return the captions by the names of their images."""
    found = CaptionsByImage()
    first_line = text.split("\n", 1)[0]
    delimiter = next((mark for mark in "\t|" if mark in first_line), ",")
    image, caption = 0, slice(1, None)
    for number, row in enumerate(_rows(text, delimiter, found)):
        if number == 0 and (header := _header(row)):
            image, caption = header
            continue
        name = row[image].strip() if image < len(row) else ""
        stem, mark, end = name.rpartition("#")
        found.add(stem if mark and len(end) == 1 and end.isdigit() else name, delimiter.join(row[caption]))
    return found


def _rows(text: str, delimiter: str, found: CaptionsByImage) -> Iterator[list[str]]:
    """Yield the rows that have two cells or more; a line that begins none is left out alone and the next are read.

    A quote that is never closed would take the rest of the table with it: its line is counted, and the first one named.
    """
    lines = io.StringIO(text, newline="").readlines()
    start, unclosed = 0, []
    while start < len(lines):
        row, end = _row(lines, start, delimiter)
        if row is None and lines[start].count('"') % 2:
            unclosed.append(start + 1)
        elif row is None:
            found.left_out["malformed row"] += 1
        elif len(row) > 1:
            yield row
        elif row:
            found.left_out["row of one cell"] += 1
        start = end
    if unclosed:
        found.left_out[f"quote that is not closed, first in line {unclosed[0]}"] = len(unclosed)


def _row(lines: list[str], start: int, delimiter: str) -> tuple[list[str] | None, int]:
    """Return the row that begins in a line, and where the next one begins; None if it is malformed.

    Cells in quotes may go on in the next lines. Quotes within a cell need not be doubled if they pair up in one line.
    """
    for strict, end in ((True, len(lines)), (False, start + 1)):
        if not strict and lines[start].count('"') % 2:
            break
        table = csv.reader((lines[place] for place in range(start, end)), delimiter=delimiter, strict=strict)
        try:
            return next(table), start + table.line_num
        except csv.Error:
            continue
    return None, start + 1


def _header(row: list[str]) -> tuple[int, slice] | None:
    """Return where image and caption are, if this row names the two columns.

    A caption in the last column may hold unquoted delimiters: it goes on to the end of its row.
    """
    words = [cell.strip().lower() for cell in row]
    image = next((place for place, word in enumerate(words) if word in _IMAGE_WORDS), None)
    caption = next((place for place, word in enumerate(words) if word in _CAPTION_WORDS), None)
    if image is None or caption is None:
        return None
    return image, slice(caption, None if caption == len(row) - 1 else caption + 1)
