"""Procedurally rendered image-caption pairs, as many as wanted, with the truth about every image.

Row i is drawn from the seed and i alone and nothing is stored, so a million pairs cost nothing until they are rendered.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Int64, Shaped
from numpy.typing import ArrayLike

from conetheory._arrays import as_count

from ..known_names import known
from .pairs import PairBatch, as_rows, as_seed
from .scene_attributes import ATTRIBUTES, VALUES, draw_records, shows, unseen_table
from .scene_captions import mentions_of, write_captions
from .scene_rendering import render_scenes

__all__ = ["Scenes"]

_ROWS = 1 << 16  # drawn at a time where all are gone through
_SIZES = (16, 512)  # pixels; at 16 a small object is three wide


class Scenes:
    """Scenes of coloured shapes with captions that say a set part of what is seen.

    Parameters
    ----------
    n : int
        Rows.
    size : int
        Height and width of the images in pixels, 16 to 512; textures are told apart from 32 on.
    seed : int
        Fixes everything.
    completeness : float
        Share of the attributes that captions mention, in (0, 1], in the order of `scene_attributes.ATTRIBUTES`: shape,
        colour, count, relation, size, position, texture, background. Below 1 the image knows more than its caption.
    mentions : sequence of str, optional
        The attributes that captions mention, instead of `completeness`.
    related : float
        Share of the scenes that have two objects in a relation, in [0, 1].
    unseen_combinations : int
        Of the 64 combinations of shape and colour, how many no row to train on shows; `held_out_split` holds out rows
        that do.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range; an unknown attribute is answered with the nearest.

    Examples
    --------
    >>> scenes = Scenes(n=10, size=32, completeness=0.5)
    >>> scenes.captions([3, 4])
    ('two purple rings', 'one orange square')
    >>> scenes.batch([3, 4]).images.shape, scenes.labels_of("count", [3, 4])
    ((2, 3, 32, 32), array([1, 0]))
    """

    name = "scenes"
    skipped = 0
    tasks: ClassVar[dict[str, tuple[str, ...]]] = VALUES

    def __init__(
        self,
        *,
        n: int = 1_000_000,
        size: int = 32,
        seed: int = 0,
        completeness: float = 1.0,
        mentions: Sequence[str] | None = None,
        related: float = 0.5,
        unseen_combinations: int = 0,
    ) -> None:
        self.n, self.size, self.seed = as_count("n", n), as_count("size", size), as_seed("seed", seed)
        if not _SIZES[0] <= size <= _SIZES[1]:
            raise ValueError(f"`size` must be in {_SIZES[0]} to {_SIZES[1]} pixels, got {size}.")
        if mentions is not None and completeness != 1:
            raise ValueError("`mentions` says what captions mention: leave out `completeness`.")
        said = mentions_of(completeness) if mentions is None else [mentions] if isinstance(mentions, str) else mentions
        self.mentions = tuple(known("`mentions`", name, ATTRIBUTES) for name in said)
        if isinstance(related, bool) or not isinstance(related, (int, float)) or not 0 <= related <= 1:
            raise ValueError(f"`related` must be a number in [0, 1], got {related!r}.")
        self.related = float(related)
        self.unseen_combinations = as_count("unseen_combinations", unseen_combinations, minimum=0)
        if unseen_combinations > 32:
            raise ValueError(f"`unseen_combinations` must be at most 32, half of all, got {unseen_combinations}.")

    def __len__(self) -> int:
        return self.n

    def records(self, indices: ArrayLike) -> Shaped[np.ndarray, " m"]:
        """Return the truth about these rows, an array of `scene_attributes.RECORD`, shape (m,)."""
        return draw_records(self.seed, as_rows(indices, self), related=self.related)

    def batch(self, indices: ArrayLike, *, among: ArrayLike | None = None) -> PairBatch:
        """Return the pairs of these rows; images of shape (m, 3, size, size)."""
        records = self.records(indices)
        captions = write_captions(records, self.mentions)
        return PairBatch(images=render_scenes(records, self.size), captions=captions, indices=as_rows(indices, self))

    def captions(self, indices: ArrayLike) -> tuple[str, ...]:
        """Return the captions of these rows."""
        return write_captions(self.records(indices), self.mentions)

    def labels_of(self, task: str, indices: ArrayLike) -> Int64[np.ndarray, " m"]:
        """Return the value of the attribute `task` in these rows, its place in ``tasks[task]``; -1 where it has none.

        Of a relation, the attributes of the object that comes first in the caption.
        """
        return self.records(indices)[known("`task`", task, ATTRIBUTES)].astype(np.int64)

    def prompts(self, task: str) -> tuple[tuple[str, ...], ...]:
        """Return for each value of the attribute `task` one caption that mentions nothing else."""
        values = VALUES[known("`task`", task, ATTRIBUTES)]
        records = np.zeros(len(values), dtype=draw_records(0, np.zeros(1, np.int64), related=0).dtype)
        records[task] = np.arange(len(values))
        if task != "relation":
            records["relation"] = -1
        return tuple((caption,) for caption in write_captions(records, (task,)))

    @cached_property
    def unseen(self) -> Bool[np.ndarray, "shapes colours"]:
        """Which combinations are not to be trained on, shape (shapes, colours)."""
        return unseen_table(self.unseen_combinations, self.seed)

    def unseen_rows(self) -> Int64[np.ndarray, " m"]:
        """Return the rows that show an unseen combination, ascending; none where `unseen_combinations` is 0."""
        if not self.unseen_combinations:
            return np.empty(0, dtype=np.int64)
        parts = [np.arange(start, min(start + _ROWS, self.n)) for start in range(0, self.n, _ROWS)]
        return np.concatenate([rows[shows(self.records(rows), self.unseen)] for rows in parts])

    def describe(self) -> dict[str, Any]:
        """Return the options."""
        options = ("n", "size", "seed", "related", "unseen_combinations")
        return {"kind": self.name, **{name: getattr(self, name) for name in options}, "mentions": list(self.mentions)}
