"""Images of one folder, each with one or more captions of which one counts."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ..known_names import known
from ._images import Unreadable, decode_image, inside, read_file
from ._items import CaptionedItems, clean_caption
from ._streams import uniforms
from .pairs import as_seed

__all__ = ["CHOICES", "CaptionedFolder", "CaptionsByImage"]

CHOICES = ("first", "last", "random")
"""Which of an image's captions counts; first and last as in the file."""
_STREAM = 0x6368  # purpose of the streams that choose captions


class CaptionsByImage:
    """Captions collected by the image that they belong to, and why some were left out.

    Attributes
    ----------
    texts : dict of str to list of str
        By the name of the image, in the order in which images came.
    left_out : Counter
        Reasons.
    """

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.left_out: Counter[str] = Counter()

    def add(self, image: Any, caption: Any) -> None:
        """Take a caption, or count why not."""
        if not isinstance(image, str) or not image:
            self.left_out["no image named"] += 1
            return
        try:
            self.texts.setdefault(image, []).append(clean_caption(caption))
        except Unreadable as reason:
            self.left_out[str(reason)] += 1


class CaptionedFolder(CaptionedItems):
    """One row an image that has a caption.

    `kind` is the name that `open_source` knows the class by.

    Parameters
    ----------
    name : str
        For messages.
    folder : path
        Nothing outside it is read, whatever the names say.
    found : CaptionsByImage
        Names relative to the folder, and captions.
    caption : str
        One of `CHOICES`.
    size : int
        Height and width that images are resized and cropped to.
    seed : int
        Fixes the choice ``random``.

    Raises
    ------
    FileNotFoundError
        If the folder is missing.
    ValueError
        If an option is out of range, or no image has a caption.
    """

    kind: str

    def __init__(
        self, name: str, folder: str | Path, found: CaptionsByImage, *, caption: str, size: int, seed: int
    ) -> None:
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"{folder} is no folder.")
        self.folder = Path(folder).resolve()
        self.caption, self.seed = known("`caption`", caption, CHOICES), as_seed("seed", seed)
        groups = {image: texts for image, texts in found.texts.items() if texts}
        found.left_out["image without a caption"] += len(found.texts) - len(groups)
        self._files = list(groups)
        texts = self._chosen(list(groups.values()))
        super().__init__(name, texts, size, found.left_out)

    def _chosen(self, groups: list[list[str]]) -> list[str]:
        if self.caption != "random":
            return [texts[0 if self.caption == "first" else -1] for texts in groups]
        draws = uniforms(self.seed, _STREAM, np.arange(len(groups)), 1)[:, 0]
        return [texts[int(draw * len(texts))] for texts, draw in zip(groups, draws, strict=True)]

    def _image(self, row: int) -> UInt8[np.ndarray, "3 size size"]:
        return decode_image(read_file(inside(self.folder, self._files[row])), self.size)

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        options = {"caption": self.caption, "size": self.size, "seed": self.seed, "n": len(self)}
        return {"kind": self.kind, "images": str(self.folder), **options}
