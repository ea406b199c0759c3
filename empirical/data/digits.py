"""Handwritten digits with captions: scikit-learn's 1797 images of 8 x 8 pixels, real and always at hand."""

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import ArrayLike

from conetheory._arrays import as_count

from ..known_names import known
from ._streams import uniforms
from .pairs import PairBatch, as_rows, as_seed

__all__ = ["TEMPLATES", "WORDS", "CaptionedDigits", "Digits"]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPLATES = (
    "a photo of the number {word}",
    "a handwritten {word}",
    "the digit {word}",
    "an image of the digit {word}",
    "the number {word} written by hand",
)
_STREAM = 0x6469  # purpose of the streams that choose templates


class CaptionedDigits:
    """Grey images of the digits, each with the caption of a template that its row chooses.

    Parameters
    ----------
    name : str
        For messages.
    pixels : ndarray of uint8, shape (n, height, width)
        Images as stored.
    labels : ndarray of int64, shape (n,)
        Digits 0 to 9.
    size : int
        Height and width of the images given, in pixels: a pixel is repeated as often as fits, and the rest is a border
        of zeros. So every value is one of the data.
    seed : int
        Fixes the templates.

    Raises
    ------
    ValueError
        If `size` is less than what is stored.
    """

    tasks: ClassVar[dict[str, tuple[str, ...]]] = {"digit": WORDS}
    skipped = 0

    def __init__(
        self,
        name: str,
        pixels: UInt8[np.ndarray, "n height width"],
        labels: Int64[np.ndarray, " n"],
        *,
        size: int,
        seed: int,
    ) -> None:
        self.name, self._pixels, self.labels = name, pixels, labels
        self.size = as_count("size", size, minimum=max(pixels.shape[1:]))
        self.seed = as_seed("seed", seed)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: ArrayLike, *, among: ArrayLike | None = None) -> PairBatch:
        """Return the pairs of these rows; images of shape (m, 3, size, size)."""
        rows = as_rows(indices, self)
        times = self.size // max(self._pixels.shape[1:])
        grey = self._pixels[rows].repeat(times, axis=1).repeat(times, axis=2)
        spare = [self.size - side for side in grey.shape[1:]]
        grey = np.pad(grey, [(0, 0), *((total // 2, total - total // 2) for total in spare)])
        return PairBatch(images=np.repeat(grey[:, None], 3, axis=1), captions=self.captions(rows), indices=rows)

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows."""
        rows = as_rows(indices, self)
        chosen = (uniforms(self.seed, _STREAM, rows, 1)[:, 0] * len(TEMPLATES)).astype(int)
        pairs = zip(chosen, self.labels[rows], strict=True)
        return tuple(TEMPLATES[template].format(word=WORDS[digit]) for template, digit in pairs)

    def labels_of(self, task: str, indices: ArrayLike) -> Int64[np.ndarray, " m"]:
        """Return the digits of these rows; the one task is ``digit``."""
        known("`task`", task, self.tasks)
        return self.labels[as_rows(indices, self)]

    def prompts(self, task: str) -> tuple[tuple[str, ...], ...]:
        """Return for each digit every template with its word."""
        known("`task`", task, self.tasks)
        return tuple(tuple(template.format(word=word) for template in TEMPLATES) for word in WORDS)

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        return {"kind": self.name, "size": self.size, "seed": self.seed, "n": len(self)}


class Digits(CaptionedDigits):
    """scikit-learn's digits (1797 of 8 x 8 pixels and 17 levels, scaled to 0-255); parameters as `CaptionedDigits`.

    Examples
    --------
    >>> digits = Digits(size=32)
    >>> digits.batch([0]).images.shape, digits.captions([0, 1]), digits.labels[:2]
    ((1, 3, 32, 32), ('a photo of the number zero', 'the number one written by hand'), array([0, 1]))
    """

    def __init__(self, *, size: int = 32, seed: int = 0) -> None:
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        pixels = np.round(np.reshape(images, (-1, 8, 8)) * (255 / 16)).astype(np.uint8)
        super().__init__("digits", pixels, np.asarray(digits, dtype=np.int64), size=size, seed=seed)
