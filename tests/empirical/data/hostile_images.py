"""Images as they are found: good ones of every mode, and bad ones of every kind."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

__all__ = ["BAD", "GOOD", "encoded", "picture"]


def picture(width=40, height=30, seed=0):
    """Return a smooth RGB image."""
    waves = np.random.default_rng(seed).uniform(0, 6, (3, 3))
    y, x = np.mgrid[:height, :width]
    planes = [127 + 120 * np.sin(a + b * x / width + c * y / height) for a, b, c in waves]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def encoded(image, kind="PNG", **options):
    """Return the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(side):
    """Return a small PNG that says it is `side` pixels wide and high, all zeros."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(min((side // 8 + 1) * side, 1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    return encoded(picture().rotate(90, expand=True), "JPEG", exif=exif, quality=95)


def sixteen_bits():
    grey = np.asarray(picture().convert("L")).astype(np.uint16) * 257
    return encoded(Image.fromarray(grey))


def palette_with_transparency():
    image = picture().quantize(16)
    return encoded(image, transparency=bytes(range(0, 160, 10)))


JPEG = encoded(picture(), "JPEG", quality=95)
GOOD = {
    "jpeg": JPEG,
    "png": encoded(picture()),
    "webp": encoded(picture(), "WEBP", lossless=True),
    "bmp": encoded(picture(), "BMP"),
    "gif": encoded(picture(), "GIF"),
    "grey": encoded(picture().convert("L")),
    "grey with alpha": encoded(picture().convert("LA")),
    "bilevel": encoded(picture().convert("1")),
    "alpha": encoded(picture().convert("RGBA")),
    "palette": encoded(picture().quantize(16)),
    "palette with transparency": palette_with_transparency(),
    "sixteen bits": sixteen_bits(),
    "CMYK": encoded(picture().convert("CMYK"), "JPEG", quality=95),
    "turned by EXIF": rotated(),
    "damaged EXIF": JPEG[:2] + b"\xff\xe1\x00\x12Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00\x01" + JPEG[2:],
}
BAD = {
    "zero bytes": (b"", "empty file"),
    "text": (b"<html>404</html>", "not an image"),
    "half a JPEG": (JPEG[: len(JPEG) // 2], "damaged image (OSError)"),
    "half a PNG": (encoded(picture())[:200], "damaged image (OSError)"),
    "JPEG header alone": (JPEG[:20], "not an image"),
    "bad checksum": (encoded(picture()).replace(b"IDAT", b"IDAU"), "not an image"),
    "bomb": (bomb(8200), "too many pixels"),
    "a line": (encoded(picture(4000, 3)), "too long and narrow"),
    "larger bomb": (bomb(12_000), "too many pixels"),
    "largest bomb": (bomb(60_000), "too many pixels"),
    "floats": (encoded(picture().convert("F"), "TIFF"), "an image of floats"),
    "a script": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image"),
}
