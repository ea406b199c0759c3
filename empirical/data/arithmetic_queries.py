"""Queries of attribute arithmetic, "red circle" - "red" + "blue", with known answers, on pairs of attributes.

This is the SIMAT test [1]_ with procedural images: to the embedding of an image (or of its caption) the difference of
two words' embeddings is added, times a factor, and the nearest image should show the same thing with the new word.

References
----------
.. [1] G. Couairon et al., "Embedding arithmetic of multimodal queries for image retrieval", 2022, arXiv:2112.03162.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from conetheory._arrays import as_count

from ..known_names import known
from .scene_attributes import VALUES
from .scene_captions import write_captions
from .scene_rendering import render_scenes
from .scenes import Scenes

__all__ = ["ArithmeticQueries", "arithmetic_queries"]

_PAIRABLE = ("shape", "colour", "size", "texture", "count", "background")  # every scene of a group has them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArithmeticQueries:
    """A database of images, and queries into it.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, 3, size, size)
        The database: `replicates` images of every combination, which differ in all else.
    captions : tuple of str, length n
        What each image shows, the two attributes alone.
    words : tuple of str
        A caption for each value of the attribute that changes ("red object").
    source : ndarray of int64, shape (q,)
        The image, or caption, that a query starts from.
    removed, added : ndarray of int64, shape (q,)
        Places in `words` of what is taken away and added; `removed` is what the image shows.
    target : ndarray of int64, shape (q,)
        The combination that is a right answer, a column of `shows`.
    shows : ndarray of bool, shape (n, combinations)
        Which image shows which combination.
    """

    images: UInt8[np.ndarray, "n 3 size size"]
    captions: tuple[str, ...]
    words: tuple[str, ...]
    source: Int64[np.ndarray, " q"]
    removed: Int64[np.ndarray, " q"]
    added: Int64[np.ndarray, " q"]
    target: Int64[np.ndarray, " q"]
    shows: Bool[np.ndarray, "n combinations"]


def arithmetic_queries(
    scenes: Scenes, *, change: str = "colour", keep: str = "shape", replicates: int = 2, seed: int = 0
) -> ArithmeticQueries:
    """Return the queries that change one attribute of an image to each of its other values and keep another.

    Parameters
    ----------
    scenes : Scenes
        Gives the size of the images; they are new ones, not among its rows, and show unseen combinations too.
    change, keep : str
        Two of shape, colour, size, texture, count and background.
    replicates : int
        Images of each combination; also how many right answers a query has.
    seed : int
        Draws what the combination leaves open.

    Raises
    ------
    ValueError
        If an attribute is unknown (the nearest is named), or both are the same.

    Examples
    --------
    >>> task = arithmetic_queries(Scenes(size=32), replicates=1)
    >>> task.captions[task.source[0]], task.words[task.removed[0]], task.words[task.added[0]]
    ('red circle', 'red object', 'green object')
    >>> [task.captions[row] for row in np.flatnonzero(task.shows[:, task.target[0]])]
    ['green circle']
    """
    known("`change`", change, _PAIRABLE)
    known("`keep`", keep, [name for name in _PAIRABLE if name != change])
    n_kept, n_changed = len(VALUES[keep]), len(VALUES[change])
    kept, changed, _ = np.indices((n_kept, n_changed, as_count("replicates", replicates))).reshape(3, -1)
    numbers = np.arange(len(kept))
    records = Scenes(seed=seed, related=0.0, n=len(kept)).records(numbers)
    records[keep], records[change] = kept, changed
    source = np.repeat(numbers, n_changed - 1)
    added = np.tile(np.arange(n_changed - 1), len(kept))
    added += added >= changed[source]  # every value but the image's own
    return ArithmeticQueries(
        images=render_scenes(records, scenes.size),
        captions=write_captions(records, (keep, change)),
        words=tuple(caption for (caption,) in scenes.prompts(change)),
        source=source,
        removed=changed[source],
        added=added,
        target=kept[source] * n_changed + added,
        shows=(kept * n_changed + changed)[:, None] == np.arange(n_kept * n_changed),
    )
