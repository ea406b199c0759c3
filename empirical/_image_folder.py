"""A folder of images as batches for a vision tower. Private."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["image_batches"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def image_batches(
    folder: Path, size: int, batch_size: int
) -> Iterator[dict[str, Float[np.ndarray, "n 3 height width"]]]:
    """Yield the images of `folder`, in the order of their names, as `empirical.data` and `empirical.model` have them:
    the shorter side `size`, the middle square, channels first, normalised as CLIP's.
    """
    try:
        import PIL  # noqa: F401  # of the data rooms' decoder
    except ImportError:
        raise ImportError("images need Pillow: pip install pillow.") from None
    from .model import DEVIATION, MEAN

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"`inputs` must hold images ({', '.join(_SUFFIXES)}), {folder} has none.")
    mean, deviation = (np.array(values, dtype=np.float32)[:, None, None] for values in (MEAN, DEVIATION))
    for start in range(0, len(paths), batch_size):
        images = np.stack([_decoded(path, size) for path in paths[start : start + batch_size]])
        yield {"pixel_values": (images / np.float32(255) - mean) / deviation}


def _decoded(path: Path, size: int) -> UInt8[np.ndarray, "3 size size"]:
    from .data._images import Unreadable, decode_image, read_file

    try:
        return decode_image(read_file(path), size)
    except Unreadable as reason:
        raise ValueError(f"{path} cannot be used: {reason}.") from None
