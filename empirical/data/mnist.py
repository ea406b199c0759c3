"""MNIST with captions, from an ``.npz`` with x_train, y_train, x_test and y_test."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..known_names import known
from .digits import CaptionedDigits

__all__ = ["Mnist"]


class Mnist(CaptionedDigits):
    """Digits of 28 x 28 pixels with captions; `size` and `seed` as in `CaptionedDigits`.

    Parameters
    ----------
    path : path
        An ``.npz`` (as Keras has it) with ``x_<part>``, uint8 of shape (n, 28, 28), and ``y_<part>``, integers.
    part : str
        ``train`` or ``test``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it does not hold these arrays; pickles are refused, never loaded.
    """

    def __init__(self, path: str | Path, *, part: str = "train", size: int = 32, seed: int = 0) -> None:
        self.path, self.part = Path(path), known("`part`", part, ("train", "test"))
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                pixels, labels = stored[f"x_{part}"], stored[f"y_{part}"]
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path} does not exist.") from None
        except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(f"{self.path} is no .npz with x_{part} and y_{part}: {error}.") from None
        shapes = pixels.ndim == 3 and labels.shape == (len(pixels),) and pixels.size
        if not shapes or pixels.dtype != np.uint8 or labels.dtype.kind not in "iu":
            found = f"{pixels.dtype} {pixels.shape} and {labels.dtype} {labels.shape}"
            raise ValueError(f"{self.path} must hold uint8 (n, height, width) and integers (n,), got {found}.")
        if labels.min() < 0 or labels.max() > 9:
            raise ValueError(f"{self.path} must have labels 0 to 9, got {labels.min()} to {labels.max()}.")
        super().__init__("mnist", pixels, labels.astype(np.int64), size=size, seed=seed)

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        return {**super().describe(), "path": str(self.path), "part": self.part}
