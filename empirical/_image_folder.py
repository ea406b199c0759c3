"""A folder of images as batches for a vision tower. Private."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["image_batches"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, of RGB in [0, 1]


def image_batches(
    folder: Path, size: int, batch_size: int
) -> Iterator[dict[str, Float[np.ndarray, "n 3 height width"]]]:
    """Yield the images of `folder`, in the order of their names: the shorter side `size`, the middle square, channels
    first, normalised as CLIP's.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("images need Pillow: pip install pillow.") from None
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ValueError(f"`inputs` must hold images ({', '.join(_SUFFIXES)}), {folder} has none.")
    for start in range(0, len(paths), batch_size):
        images = [_square(Image, path, size) for path in paths[start : start + batch_size]]
        yield {"pixel_values": ((np.stack(images) - _MEAN) / _STD).transpose(0, 3, 1, 2).astype(np.float32)}


def _square(reader: Any, path: Path, size: int) -> np.ndarray:
    """Return one image in [0, 1], shape (size, size, 3)."""
    try:
        with reader.open(path) as image:
            image = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is not an image, or is damaged: {str(error)[:80]}.") from None
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    image = image.resize((width, height), reader.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    return np.asarray(image, dtype=np.float64) / 255
