"""One image from a file or from bytes, as CLIP's preprocessing has it: RGB, shorter side to size, centre cropped.

The files may be damaged or hostile. Whatever is wrong with one becomes `Unreadable`, with a short reason; a path that
leads out of its folder is not followed.

References
----------
.. [1] A. Radford et al., CLIP, github.com/openai/CLIP, `clip.py`, `_transform`: bicubic resize, centre crop, RGB.
"""

import io
import stat
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Unreadable", "decode_image", "inside", "read_file"]

MAX_BYTES = 1 << 26  # of one stored image
MAX_PIXELS = 1 << 26  # of one decoded image
_LONGEST = 100  # times the shorter side: the longer one grows as the shorter is made to fit
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


class Unreadable(ValueError):
    """Why one entry of a data set cannot be used, in a few words that do not name it, so that they can be counted."""


def inside(folder: Path, name: str) -> Path:
    """Return the regular file `name` of `folder`, an absolute path without links; `folder` is absolute and resolved.

    Raises
    ------
    Unreadable
        If it leads out of the folder, by ``..``, as an absolute path or through a link; or is no regular file.
    """
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise Unreadable("outside the folder")
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise Unreadable("not a regular file")
    except FileNotFoundError:
        raise Unreadable("missing file") from None
    except Unreadable:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # no permission, a name too long, a zero byte, a loop of links
        raise Unreadable(f"path cannot be read ({type(error).__name__})") from None
    return path


def read_file(path: Path) -> bytes:
    """Return the content of a file of at most `MAX_BYTES`; `Unreadable` where it cannot be had."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable("missing file") from None
    except OSError as error:
        raise Unreadable(f"path cannot be read ({type(error).__name__})") from None
    if len(data) > MAX_BYTES:
        raise Unreadable("too large a file")
    return data


def decode_image(data: bytes, size: int) -> UInt8[np.ndarray, "3 size size"]:
    """Return the image in `data`, its shorter side resized to `size` (bicubic) and its centre cropped.

    Turned as its EXIF entry says. Grey, palette, alpha (dropped, as CLIP does), CMYK and 16-bit images become RGB of 8
    bits. Of an animation the first frame counts.

    Raises
    ------
    Unreadable
        If there are no bytes, no image of a known format, a damaged one, one of more than `MAX_PIXELS`, or
        one more than a hundred times as long as wide.
    """
    if not data:
        raise Unreadable("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Unreadable("too many pixels")
            image.load()
            return np.ascontiguousarray(np.moveaxis(_fitted(_rgb(_upright(image)), size), 2, 0))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("not an image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("too many pixels") from None
    except Exception as error:  # decoders of damaged files raise what they like: OSError, SyntaxError, struct.error, …
        raise Unreadable(f"damaged image ({type(error).__name__})") from None


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF entry says, or as it is where that entry is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are good: only the note about them is not
        return image


def _rgb(image: Image.Image) -> Image.Image:
    """Return the image in RGB of 8 bits."""
    if image.mode.startswith("I"):  # 16 bits, which convert() would clip instead of scale
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 0xFFFF):
            raise Unreadable("more than 16 bits a channel")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise Unreadable("an image of floats")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _fitted(image: Image.Image, size: int) -> Any:
    """Return the pixels of the resized and cropped image, shape (size, size, 3), rounded as torchvision rounds."""
    shorter = min(image.size)
    if max(image.size) > _LONGEST * shorter:
        raise Unreadable("too long and narrow")
    width, height = (size if side == shorter else int(size * side / shorter) for side in image.size)
    left, top = (round((side - size) / 2) for side in (width, height))
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
