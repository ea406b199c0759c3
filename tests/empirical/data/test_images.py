"""Single images: CLIP's preprocessing, every mode, and files that are damaged or hostile."""

import os
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from empirical.data._images import MAX_BYTES, Unreadable, decode_image, inside, read_file
from tests.empirical.data.hostile_images import BAD, GOOD, encoded, picture


def clip_preprocessing(image, size):
    """Return CLIP's `_transform` up to the tensor, as torchvision's Resize and CenterCrop compute it, step by step."""
    width, height = image.size
    if width <= height:
        resized = image.resize((size, int(size * height / width)), Image.Resampling.BICUBIC)
    else:
        resized = image.resize((int(size * width / height), size), Image.Resampling.BICUBIC)
    left, top = (round((side - size) / 2.0) for side in resized.size)
    cropped = resized.crop((left, top, left + size, top + size)).convert("RGB")
    return np.moveaxis(np.asarray(cropped), 2, 0)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (32, 32), (101, 33), (33, 101), (224, 225), (7, 5)])
@pytest.mark.parametrize("size", [16, 32, 33])
def test_preprocessing_is_that_of_clip(shape, size):
    image = picture(*shape)
    assert_array_equal(decode_image(encoded(image), size), clip_preprocessing(image, size))


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_every_good_image_is_read(kind):
    image = decode_image(GOOD[kind], 24)
    assert (image.shape, image.dtype) == ((3, 24, 24), np.uint8)
    expected = clip_preprocessing(picture(), 24).astype(int)
    if kind in ("grey", "grey with alpha", "sixteen bits", "bilevel"):
        expected = np.broadcast_to(clip_preprocessing(picture().convert("L"), 24), (3, 24, 24)).astype(int)
    coarse = {"gif": 12, "palette": 12, "palette with transparency": 12, "bilevel": 60, "CMYK": 6}
    assert np.abs(image - expected).mean() < coarse.get(kind, 2)


@pytest.mark.parametrize("kind", BAD)
def test_every_bad_image_has_a_reason(kind):
    data, reason = BAD[kind]
    with pytest.raises(Unreadable) as caught:
        decode_image(data, 24)
    assert str(caught.value) == reason


def test_every_cut_of_a_file_is_read_or_has_a_reason():
    """Cuts and single wrong bytes: whatever Pillow makes of them, the loader goes on."""
    rng = np.random.default_rng(0)
    for kind in ("jpeg", "png", "gif", "webp", "bmp"):
        data = GOOD[kind]
        for _ in range(40):
            cut = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.5 else data)
            if cut:
                cut[rng.integers(len(cut))] ^= 1 << int(rng.integers(8))
            with suppress(Unreadable):
                assert decode_image(bytes(cut), 8).shape == (3, 8, 8)


def test_nothing_outside_the_folder_is_read(tmp_path):
    folder = (tmp_path / "images").resolve()
    (folder / "below").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(GOOD["png"])
    (folder / "below" / "a.png").write_bytes(GOOD["png"])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "round.png").symlink_to(folder / "round.png")
    os.mkfifo(folder / "pipe.png")
    assert inside(folder, "below/../below/a.png") == folder / "below" / "a.png"
    for name, reason in {
        "../secret.png": "outside the folder",
        "../../../../etc/passwd": "outside the folder",
        str(tmp_path / "secret.png"): "outside the folder",
        "link.png": "outside the folder",
        "missing.png": "missing file",
        "below": "not a regular file",
        "": "not a regular file",
        "pipe.png": "not a regular file",
        "a\0b": "path cannot be read (ValueError)",
        "x" * 5000: "path cannot be read (OSError)",
    }.items():
        with pytest.raises(Unreadable) as caught:
            inside(folder, name)
        assert str(caught.value) == reason, name
    with pytest.raises(Unreadable, match=r"path cannot be read|missing file"):
        inside(folder, "round.png")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(Unreadable, match="too large a file"):
        read_file(path)
    with path.open("wb") as file:
        file.truncate(100)
    assert_array_equal(list(read_file(path)), [0] * 100)
