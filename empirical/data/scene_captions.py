"""Captions of procedural scenes, which say as many of their attributes as they are told to.

Schrodi et al. vary the number of attributes that a caption mentions, and with it how much less the caption knows than
the image; ``mentions`` is that set. ``red circle`` mentions shape and colour, ``two small red circles at the top`` also
count, size and position; an attribute that is not mentioned cannot be inferred from the wording.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Shaped

from .scene_attributes import ATTRIBUTES, SAID, VALUES

__all__ = ["mentions_of", "write_captions"]


def mentions_of(completeness: float) -> tuple[str, ...]:
    """Return the attributes that captions of this completeness mention: the first of `ATTRIBUTES`, a share rounded up.

    Raises
    ------
    ValueError
        If `completeness` is not in (0, 1].

    Examples
    --------
    >>> mentions_of(0.25)
    ('shape', 'colour')
    """
    if isinstance(completeness, bool) or not isinstance(completeness, (int, float)) or not 0 < completeness <= 1:
        raise ValueError(f"`completeness` must be a number in (0, 1], got {completeness!r}.")
    return ATTRIBUTES[: -int(-completeness * len(ATTRIBUTES) // 1)]


def write_captions(records: Shaped[np.ndarray, " n"], mentions: Collection[str]) -> tuple[str, ...]:
    """Return a caption for each scene, which says the attributes in `mentions` that the scene has.

    A second object is spoken of only with ``relation``, and then by the mentioned ones of its shape, colour, size and
    texture.
    """
    columns = {name: records[name].tolist() for name in SAID}
    return tuple(
        _caption(dict(zip(columns, row, strict=True)), mentions) for row in zip(*columns.values(), strict=True)
    )


def _caption(scene: dict[str, int], mentions: Collection[str]) -> str:
    parts = []
    if "count" in mentions:
        parts.append(VALUES["count"][scene["count"]])
    noun_phrase = _noun_phrase(scene, "", mentions)
    several = "count" in mentions and scene["count"] > 0
    parts.append(noun_phrase + ("es" if noun_phrase.endswith("s") else "s") * several)
    if "relation" in mentions and scene["relation"] >= 0:
        parts += [VALUES["relation"][scene["relation"]], _noun_phrase(scene, "other_", mentions)]
    if "position" in mentions and scene["position"] >= 0:
        parts.append(VALUES["position"][scene["position"]])
    if "background" in mentions:
        parts.append(f"on {VALUES['background'][scene['background']]} background")
    return " ".join(parts)


def _noun_phrase(scene: dict[str, int], prefix: str, mentions: Collection[str]) -> str:
    """Return size, texture, colour and shape of an object, as far as mentioned."""
    said = [VALUES[name][scene[prefix + name]] for name in ("size", "texture", "colour", "shape") if name in mentions]
    return " ".join(said if "shape" in mentions else [*said, "object"])
