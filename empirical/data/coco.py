"""MSCOCO captions: a JSON of images and annotations, and a folder of images; one row an image."""

import json
from pathlib import Path
from typing import Any

from ._captioned_folder import CaptionedFolder, CaptionsByImage

__all__ = ["CocoCaptions"]


class CocoCaptions(CaptionedFolder):
    """Images with captions in COCO's format [1]_; any data set with such a JSON.

    Parameters
    ----------
    images : path
        Folder that the ``file_name`` entries are relative to; nothing outside it is read.
    annotations : path
        JSON object with ``images`` (``id``, ``file_name``) and ``annotations`` (``id``, ``image_id``, ``caption``).
    caption : str
        Which caption of an image counts: ``first``, ``last`` (in the order of the file) or ``random``.
    size : int
        Height and width that images are resized and cropped to.
    seed : int
        Fixes the choice ``random``.

    Raises
    ------
    FileNotFoundError
        If the folder or the JSON is missing.
    ValueError
        If the JSON cannot be parsed, or has no image with a caption. Single entries that cannot be used are left out
        and counted; of an id that comes twice the first counts.

    References
    ----------
    .. [1] T.-Y. Lin et al., cocodataset.org, "Data format", 4: image captioning.
    """

    kind = "coco"

    def __init__(
        self, images: str | Path, annotations: str | Path, *, caption: str = "first", size: int = 224, seed: int = 0
    ) -> None:
        self.annotations = Path(annotations)
        found = _collect(_parsed(self.annotations))
        super().__init__(str(annotations), images, found, caption=caption, size=size, seed=seed)

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        return {**super().describe(), "annotations": str(self.annotations)}


def _parsed(path: Path) -> dict[str, Any]:
    """Return the two lists of the JSON; bytes that are not UTF-8 become surrogates, and spoil one caption alone."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig", errors="surrogateescape"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}.") from None
    for key in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise ValueError(f"{path} must be an object with the lists `images` and `annotations`.")
    return document


def _collect(document: dict[str, Any]) -> CaptionsByImage:
    """Return the captions by the names of their images."""
    found = CaptionsByImage()
    names: dict[Any, str] = {}
    for entry in _with_own_id(document["images"], "id", "image", found):
        if not isinstance(entry.get("file_name"), str):
            found.left_out["image without a file name"] += 1
            continue
        names[entry["id"]] = entry["file_name"]
        found.texts.setdefault(entry["file_name"], [])
    for entry in _with_own_id(document["annotations"], "id", "annotation", found):
        key = entry.get("image_id")
        if not isinstance(key, (int, str)) or key not in names:
            found.left_out["caption of no listed image"] += 1
            continue
        found.add(names[key], entry.get("caption"))
    return found


def _with_own_id(entries: list[Any], key: str, what: str, found: CaptionsByImage) -> list[dict[str, Any]]:
    """Return the entries that are objects with an id that no earlier one had (an annotation may have none)."""
    kept: list[dict[str, Any]] = []
    seen: set[Any] = set()
    for entry in entries:
        number = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not (
            isinstance(number, (int, str)) or (what == "annotation" and number is None)
        ):
            found.left_out[f"{what} that is no object with an id"] += 1
        elif number is not None and number in seen:
            found.left_out[f"{what} with an id that came before"] += 1
        else:
            seen.add(number)
            kept.append(entry)
    return kept
