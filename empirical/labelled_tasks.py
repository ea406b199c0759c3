"""What trained towers can be asked about pairs whose content is known: classes in words, and edited captions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from .data.arithmetic_queries import ArithmeticQueries, arithmetic_queries
from .data.pairs import LabelledSource, PairSource
from .data.scenes import Scenes
from .trained import TrainedTowers
from .zero_shot import class_embeddings

__all__ = ["ArithmeticTask", "ClassTask", "arithmetic_task", "class_tasks"]

_AT_ONCE = 256  # images or captions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTask:
    """Classes of images.

    Attributes
    ----------
    name : str
        Of the task, such as ``colour``.
    labels : ndarray of int64, shape (n,)
        Class of each pair; -1 for none.
    texts : ndarray of shape (classes, d), or None
        One embedding a class, from its prompts; None where neither tower reads captions.
    """

    name: str
    labels: Int64[np.ndarray, "n"]
    texts: Float[np.ndarray, "classes d"] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArithmeticTask:
    """Queries of attribute arithmetic, and what towers make of their images and words.

    Attributes
    ----------
    queries : ArithmeticQueries
        With the right answers.
    images, words : ndarray of shape (n, d) and (words, d)
        Embeddings, as projected.
    """

    queries: ArithmeticQueries
    images: Float[np.ndarray, "n d"]
    words: Float[np.ndarray, "words d"]

    def asked(self) -> dict[str, Any]:
        """Return the queries as the arguments of `empirical.attribute_arithmetic.attribute_arithmetic`."""
        return {name: getattr(self.queries, name) for name in ("source", "removed", "added", "target", "shows")}


def class_tasks(towers: TrainedTowers, source: PairSource, rows: Int64[np.ndarray, "n"]) -> tuple[ClassTask, ...]:
    """Return the tasks of a source that knows what its images show; none of another.

    Parameters
    ----------
    towers : TrainedTowers
        Embed the prompts of the classes.
    source : PairSource
        Where the pairs come from.
    rows : ndarray of int64, shape (n,)
        Which pairs.
    """
    if not isinstance(source, LabelledSource):
        return ()
    return tuple(
        ClassTask(
            name=task,
            labels=source.labels_of(task, rows),
            texts=_class_texts(towers, source.prompts(task)) if towers.reads_text else None,
        )
        for task in source.tasks
    )


def _class_texts(towers: TrainedTowers, prompts: tuple[tuple[str, ...], ...]) -> Float[np.ndarray, "classes d"]:
    return np.concatenate([class_embeddings(towers.embed_texts(said)[None]) for said in prompts])


def arithmetic_task(
    towers: TrainedTowers, source: PairSource, *, change: str = "colour", keep: str = "shape"
) -> ArithmeticTask | None:
    """Return the queries that change one attribute of a scene and keep another; None where there are no scenes, or
    neither tower reads captions.

    Parameters
    ----------
    towers : TrainedTowers
        Embed the images, which are new ones, and the words.
    source : PairSource
        `Scenes`, with captions as they are or spoilt.
    change, keep : str
        See `empirical.data.arithmetic_queries.arithmetic_queries`.

    Raises
    ------
    ValueError
        If an attribute is unknown.
    """
    scenes: Any = source
    while not isinstance(scenes, Scenes) and hasattr(scenes, "source"):
        scenes = scenes.source
    if not isinstance(scenes, Scenes) or not towers.reads_text:
        return None
    queries = arithmetic_queries(scenes, change=change, keep=keep)
    starts = range(0, len(queries.images), _AT_ONCE)
    images = [towers.embed_images(queries.images[start : start + _AT_ONCE]) for start in starts]
    return ArithmeticTask(queries=queries, images=np.concatenate(images), words=towers.embed_texts(queries.words))
