"""What is in a procedural scene: its attributes and their words, drawn by index.

A scene is either a group of one to four like objects somewhere in the image, or, *related*, one object beside or above
another of a different colour. Which shapes come in which colours can be restricted: an unseen combination is one that
no row to train on shows.
"""

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped

from ._streams import uniforms

__all__ = [
    "ATTRIBUTES",
    "BACKGROUNDS",
    "COLOURS",
    "RECORD",
    "SAID",
    "VALUES",
    "draw_records",
    "rgb",
    "shows",
    "unseen_table",
]

COLOURS = {
    "red": (220, 30, 40),
    "green": (40, 170, 60),
    "blue": (40, 70, 220),
    "yellow": (240, 220, 50),
    "orange": (245, 140, 20),
    "purple": (140, 50, 180),
    "cyan": (50, 205, 220),
    "pink": (250, 130, 190),
}
"""Colours of objects, RGB."""
BACKGROUNDS = {"white": (255, 255, 255), "grey": (150, 150, 150), "black": (0, 0, 0), "navy": (15, 20, 60)}
"""Colours behind them, RGB."""
VALUES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "diamond", "hexagon", "star", "cross", "ring"),
    "colour": tuple(COLOURS),
    "count": ("one", "two", "three", "four"),
    "relation": ("left of", "right of", "above", "below"),
    "size": ("small", "medium", "large"),
    "position": (
        *("at the top left", "at the top", "at the top right", "at the left", "in the centre", "at the right"),
        *("at the bottom left", "at the bottom", "at the bottom right"),
    ),
    "texture": ("solid", "striped", "dotted", "checkered"),
    "background": tuple(BACKGROUNDS),
}
"""The values of each attribute, in words; a record holds their places in here."""
ATTRIBUTES = tuple(VALUES)
"""The attributes, in the order in which captions become complete."""
_OTHER = ("shape", "colour", "size", "texture")  # what a second object has of its own
SAID = (*ATTRIBUTES, *(f"other_{name}" for name in _OTHER))
"""The fields of a record that captions can say; -1 where the scene has no such thing."""
_NUISANCE = {"place": 4, "turn": 2, "shade": 2}  # what no caption says: numbers of each
RECORD = np.dtype([(name, "i1") for name in SAID] + [(name, "f4", (n,)) for name, n in _NUISANCE.items()])
"""One scene: the value of each attribute (-1: it has none) of the object or the group, of the other object, and numbers
in [0, 1) that no caption tells: places (x, y of the first, x, y of the other), turns and shades (first, other)."""
_STREAM = 0x7363  # purpose of the streams that draw scenes


def draw_records(seed: int, indices: Int64[np.ndarray, " m"], *, related: float) -> Shaped[np.ndarray, " m"]:
    """Return the scenes of these rows, every attribute uniform and independent.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    indices : ndarray of int64, shape (m,)
        Rows; a row's scene depends on nothing but the seed, the row and `related`.
    related : float
        Probability of a scene with two objects in a relation; those have neither count above one nor a position.

    Returns
    -------
    ndarray of `RECORD`, shape (m,)
    """
    draws = uniforms(seed, _STREAM, indices, 1 + len(SAID) + sum(_NUISANCE.values()))
    records = np.empty(len(indices), dtype=RECORD)
    column = iter(draws.T)
    is_related = next(column) < related
    for name in ATTRIBUTES:
        records[name] = _value(next(column), len(VALUES[name]))
    for name in _OTHER:
        records[f"other_{name}"] = _value(next(column), len(VALUES[name]) - (name == "colour"))
    records["other_colour"] += 1 + records["colour"]  # another colour: it tells the two apart
    records["other_colour"] %= len(COLOURS)
    for name, n in _NUISANCE.items():
        records[name] = np.stack([next(column) for _ in range(n)], axis=1)
    records["count"][is_related], records["position"][is_related] = 0, -1
    for name in ("relation", *(f"other_{name}" for name in _OTHER)):
        records[name][~is_related] = -1
    return records


def _value(uniform: np.ndarray, n: int) -> np.ndarray:
    return (uniform * n).astype(np.int8)


def unseen_table(n: int, seed: int) -> Bool[np.ndarray, "shapes colours"]:
    """Return which combinations of shape and colour are unseen: `n` of them, spread evenly over shapes and colours."""
    shapes, colours = len(VALUES["shape"]), len(COLOURS)
    rng = np.random.default_rng([seed, _STREAM])
    shape_order, colour_order = rng.permutation(shapes), rng.permutation(colours)
    table = np.zeros((shapes, colours), dtype=bool)
    place = np.arange(n)
    table[shape_order[place % shapes], colour_order[(place % shapes + place // shapes) % colours]] = True
    return table


def shows(records: Shaped[np.ndarray, " m"], table: Bool[np.ndarray, "shapes colours"]) -> Bool[np.ndarray, " m"]:
    """Return which scenes have an object whose shape and colour are in `table`."""
    other = records["other_shape"] >= 0
    return table[records["shape"], records["colour"]] | (table[records["other_shape"], records["other_colour"]] & other)


def rgb(palette: dict[str, tuple[int, int, int]]) -> Float32[np.ndarray, "colours 3"]:
    """Return a palette as an array."""
    return np.array(list(palette.values()), dtype=np.float32)
