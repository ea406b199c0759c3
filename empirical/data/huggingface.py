"""Data sets that the library `datasets` saved to disk: a column of images and one of captions."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ..known_names import known
from ._images import Unreadable, decode_image, inside, read_file
from ._items import CaptionedItems, clean_caption

__all__ = ["HuggingFaceDataset"]

_CHUNK = 10_000  # captions read at a time


class HuggingFaceDataset(CaptionedItems):
    """Pairs from a folder written by ``save_to_disk``; nothing is fetched.

    Parameters
    ----------
    path : path
        The folder.
    image : str
        Column of images (`datasets.Image`, or encoded bytes). An image stored as a path is read only inside the folder.
    caption : str
        Column of captions; of a list the first counts.
    split : str, optional
        Which part, if the folder holds several.
    size : int
        Height and width that images are resized and cropped to.

    Raises
    ------
    ModuleNotFoundError
        If `datasets` is not installed.
    FileNotFoundError
        If the folder is missing.
    ValueError
        If it is no such folder, or a name is unknown (the nearest is given).
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image: str = "image",
        caption: str = "caption",
        split: str | None = None,
        size: int = 224,
    ) -> None:
        if not Path(path).is_dir():
            raise FileNotFoundError(f"{path} is no folder.")
        self.folder, self.columns, self.split = Path(path).resolve(), (image, caption), split
        table = _table(self.folder, split)
        for column in (image, caption):
            known(f"a column of {path}", column, table.column_names)
        left_out: Counter[str] = Counter()
        self._rows, texts = _captions(table, caption, left_out)
        self._images = _undecoded(table, image)
        super().__init__(str(path), texts, size, left_out)

    def _image(self, row: int) -> UInt8[np.ndarray, "3 size size"]:
        value = self._images[self._rows[row]][self.columns[0]]
        if isinstance(value, dict):
            named = value.get("path")
            value = value.get("bytes")
            if value is None and isinstance(named, str):
                value = read_file(inside(self.folder, named))
        if not isinstance(value, bytes):
            raise Unreadable("no image stored")
        return decode_image(value, self.size)

    def describe(self) -> dict[str, Any]:
        """Return the options, and the fingerprint that `datasets` gives the table."""
        options = {"path": str(self.folder), "image": self.columns[0], "caption": self.columns[1], "split": self.split}
        return {"kind": "huggingface", **options, "fingerprint": self._images._fingerprint, "size": self.size}


def _table(folder: Path, split: str | None) -> Any:
    """Return the saved table, or its part `split`."""
    try:
        import datasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError("Data sets of Hugging Face need `pip install 'conetheory[datasets]'`.") from None
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # files of another kind make it raise what Arrow or JSON raise
        raise ValueError(f"{folder} cannot be read as a saved data set: {error}") from None
    if isinstance(loaded, datasets.DatasetDict):
        return loaded[known("`split`", split, [str(name) for name in loaded])].with_format(None)
    if split is not None:
        raise ValueError(f"`split` is {split!r}, and {folder} has no parts.")
    return loaded.with_format(None)


def _undecoded(table: Any, column: str) -> Any:
    """Return the table of that column alone, its images as they are stored."""
    import datasets

    table = table.select_columns([column])
    if isinstance(table.features[column], datasets.Image):
        return table.cast_column(column, datasets.Image(decode=False))
    return table


def _captions(table: Any, column: str, left_out: Counter[str]) -> tuple[list[int], list[str]]:
    """Return the rows with a usable caption, and the captions."""
    rows, texts = [], []
    column_alone = table.select_columns([column])
    for start in range(0, len(table), _CHUNK):
        for row, value in enumerate(column_alone[start : start + _CHUNK][column], start):
            try:
                texts.append(clean_caption(value[0] if isinstance(value, list) and value else value))
            except Unreadable as reason:
                left_out[str(reason)] += 1
            else:
                rows.append(row)
    return rows, texts
