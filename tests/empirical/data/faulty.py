"""Sources that misbehave, importable by the loader's worker processes."""

import os
from collections import Counter

import numpy as np

from empirical.data._images import Unreadable
from empirical.data._items import CaptionedItems


class Numbered(CaptionedItems):
    """Image i is all i; the rows in `bad` cannot be read."""

    def __init__(self, n, bad=()):
        super().__init__("numbered", [f"number {row}" for row in range(n)], 2, Counter())
        self.bad = frozenset(bad)

    def _image(self, row):
        if row in self.bad:
            raise Unreadable(f"bad {row % 2}")
        return np.full((3, 2, 2), row, dtype=np.uint8)

    def describe(self):
        return {"kind": "numbered", "n": len(self), "bad": sorted(self.bad)}


class Deadly(Numbered):
    """Reading row 13 ends the process, as the kernel does when memory is short."""

    def _image(self, row):
        if row == 13:
            os._exit(9)
        return super()._image(row)


class Wrong(Numbered):
    """Reading row 13 is an error that no file excuses."""

    def _image(self, row):
        if row == 13:
            raise ZeroDivisionError("row 13")
        return super()._image(row)
