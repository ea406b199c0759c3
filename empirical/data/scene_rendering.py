r"""Images of procedural scenes, many at once, in NumPy: signed distances give edges that are smooth at every size.

An object is drawn on a square patch in coordinates of its own, in which it lies inside the unit circle: (u, v) is the
pixel's offset turned and divided by the radius, v upwards. A pixel is covered by the share :math:`1/2 - d r`, cut to
[0, 1], where d is the distance from the outline (negative inside) and r the radius in pixels; so is the dark part of a
texture. Distances are those from the lines and circles that bound a shape, exact but near its corners.

Layout, in units of the image's side: radius 0.10, 0.14 or 0.18; the objects of a group 2.16 radii apart, the group in
the left, middle or right part of where it fits, and likewise up and down; the two of a relation in opposite halves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped, UInt8
from numpy.lib.stride_tricks import sliding_window_view

from .scene_attributes import BACKGROUNDS, COLOURS, VALUES, rgb

__all__ = ["DARK", "RADII", "Objects", "arrange", "render_scenes"]

RADII = (0.10, 0.14, 0.18)
"""Radius of a small, medium and large object, in units of the image's side."""
DARK = 0.5
"""Brightness of the dark parts of a texture."""
_APART = 1.08  # half the distance between objects of a group, in radii
_OFFSETS = np.zeros((4, 4, 2), dtype=np.float32)  # count, slot, (x, y downwards)
_OFFSETS[1, :2] = [(-_APART, 0), (_APART, 0)]
_OFFSETS[2, :3] = [(-_APART, 0.94), (_APART, 0.94), (0, -0.94)]
_OFFSETS[3, :4] = [(-_APART, -_APART), (_APART, -_APART), (-_APART, _APART), (_APART, _APART)]
_DIRECTIONS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], dtype=np.float32)  # of the first object from the middle
_TURN = 0.2  # radians, at most
_BYTES = 1 << 22  # of the images of a chunk, about: what stays in a cache beside the patches

_Plane = Float32[np.ndarray, "m p p"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """The objects of some scenes, each with its place in the image.

    Attributes
    ----------
    scene, slot, shape, texture, size : ndarray of int, shape (m,)
        Which scene it is in, and which of the scene's objects it is; places in `VALUES`.
    centre : ndarray of float32, shape (m, 2)
        x to the right and y down, in units of the image's side.
    colour : ndarray of float32, shape (m, 3)
        RGB, 0 to 255.
    turn : ndarray of float32, shape (m,)
        Anticlockwise, in radians.
    """

    scene: Int64[np.ndarray, " m"]
    slot: Int64[np.ndarray, " m"]
    shape: Int64[np.ndarray, " m"]
    texture: Int64[np.ndarray, " m"]
    size: Int64[np.ndarray, " m"]
    centre: Float32[np.ndarray, "m 2"]
    colour: Float32[np.ndarray, "m 3"]
    turn: Float32[np.ndarray, " m"]

    def take(self, places: np.ndarray) -> "Objects":
        """Return some of the objects."""
        return Objects(**{name: getattr(self, name)[places] for name in self.__slots__})


def arrange(records: Shaped[np.ndarray, " n"]) -> Objects:
    """Return the objects of the scenes: those of a group, or the two of a relation."""
    related = records["relation"] >= 0
    slots = np.where(related, 2, records["count"] + 1)
    scene = np.repeat(np.arange(len(records)), slots)
    slot = np.arange(len(scene)) - np.repeat(np.cumsum(slots) - slots, slots)
    record, other = records[scene], related[scene] & (slot == 1)
    first, both = (~other).astype(int), np.arange(len(scene))

    def own(name: str) -> Int64[np.ndarray, " m"]:
        return np.where(other, record[f"other_{name}"], record[name]).astype(np.int64)

    shade = 0.85 + 0.15 * record["shade"][both, 1 - first]
    return Objects(
        scene=scene,
        slot=slot,
        shape=own("shape"),
        texture=own("texture"),
        size=own("size"),
        centre=np.where(related[scene][:, None], _related_centres(record, other), _group_centres(record, slot)),
        colour=rgb(COLOURS)[own("colour")] * shade[:, None],
        turn=(_TURN * (2 * record["turn"][both, 1 - first] - 1)).astype(np.float32),
    )


def _group_centres(record: Shaped[np.ndarray, " m"], slot: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m 2"]:
    """Return the centres of the objects of groups: the group lies at random in a part of where it fits."""
    radius = np.array(RADII, dtype=np.float32)[record["size"]][:, None]
    half = radius * (1 + np.abs(_OFFSETS).max(axis=1)[record["count"]])
    position = np.maximum(record["position"], 0).astype(int)
    third = np.stack([position % 3, position // 3], axis=1)
    share = (2 * third + record["place"][:, :2]) / 5  # in [0, 1/5), [2/5, 3/5) or [4/5, 1) of the room
    return (half + share * (1 - 2 * half) + radius * _OFFSETS[record["count"], slot]).astype(np.float32)


def _related_centres(record: Shaped[np.ndarray, " m"], other: Bool[np.ndarray, " m"]) -> Float32[np.ndarray, "m 2"]:
    """Return the centres of two objects in opposite halves, a little off its middle line."""
    direction = _DIRECTIONS[record["relation"]] * np.where(other, -1, 1)[:, None]
    place = np.where(other[:, None], record["place"][:, 2:], record["place"][:, :2]) * 2 - 1
    along = np.abs(direction)
    return (0.5 + 0.25 * direction + place * (0.05 * along + 0.15 * (1 - along))).astype(np.float32)


def render_scenes(records: Shaped[np.ndarray, " n"], size: int) -> UInt8[np.ndarray, "n 3 size size"]:
    """Return the images of the scenes, RGB.

    Parameters
    ----------
    records : ndarray of `RECORD`, shape (n,)
        From `draw_records`, or made by hand.
    size : int
        Height and width in pixels.
    """
    images = np.empty((len(records), 3, size, size), dtype=np.uint8)
    chunk = max(1, _BYTES // (12 * size * size))
    for start in range(0, len(records), chunk):
        part = slice(start, start + chunk)
        _paint(images[part], arrange(records[part]), rgb(BACKGROUNDS)[records["background"][part]])
    return images


def _paint(
    images: UInt8[np.ndarray, "n 3 size size"], objects: Objects, backgrounds: Float32[np.ndarray, "n 3"]
) -> None:
    """Fill the images: their backgrounds, and each object on a patch just large enough for its size."""
    images[:] = backgrounds.astype(np.uint8)[:, :, None, None]
    side = images.shape[-1]
    for size, radius in enumerate(RADII):
        chosen = np.flatnonzero(objects.size == size)
        same = objects.take(chosen[np.argsort(objects.shape[chosen], kind="stable")])
        if not len(same.scene):
            continue
        patch = min(side, int(np.ceil(2 * radius * side)) + 2)
        corner = np.clip(np.ceil(same.centre * side - patch / 2), 0, side - patch)
        coverage, brightness = _drawn(same, same.centre * side - corner, patch, radius * side)
        columns, rows = corner.astype(int).T
        windows = sliding_window_view(images, (patch, patch), axis=(2, 3), writeable=True)
        for slot in range(int(same.slot.max()) + 1):  # one object of an image at a time: patches may overlap
            now = np.flatnonzero(same.slot == slot)
            place = same.scene[now], slice(None), rows[now], columns[now]
            before = windows[place].astype(np.float32)
            colour = same.colour[now][:, :, None, None] * brightness[now][:, None]
            colour -= before
            colour *= coverage[now][:, None]
            before += colour
            before += 0.5
            windows[place] = before.astype(np.uint8)


def _drawn(objects: Objects, centre: Float32[np.ndarray, "m 2"], patch: int, radius: float) -> tuple[_Plane, _Plane]:
    """Return how much of each pixel of the patches is covered, and how bright the object is there.

    `objects` are in the order of their shapes; `centre` in pixels from the corner of the patch, `radius` in pixels.
    """
    u, v = _own_coordinates(objects.turn, centre, patch, radius)
    coverage, brightness = np.empty_like(u), np.ones_like(u)
    for shape, part in _runs(objects.shape):
        distance = _OUTLINES[VALUES["shape"][shape]](u[part], v[part])
        coverage[part] = _covered(distance, radius)
    for texture, edge in enumerate(_TEXTURES):
        if edge is not None and (chosen := np.flatnonzero(objects.texture == texture)).size:
            brightness[chosen] = 1 - (1 - DARK) * _covered(edge(u[chosen], v[chosen]), radius)
    return coverage, brightness


def _own_coordinates(
    turn: Float32[np.ndarray, " m"], centre: Float32[np.ndarray, "m 2"], patch: int, radius: float
) -> tuple[_Plane, _Plane]:
    pixels = np.arange(patch, dtype=np.float32) + np.float32(0.5)
    right = (pixels - centre[:, :1]) / np.float32(radius)
    up = (centre[:, 1:] - pixels) / np.float32(radius)
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    u = (cos * right)[:, None, :] + (sin * up)[:, :, None]
    v = (cos * up)[:, :, None] - (sin * right)[:, None, :]
    return u, v


def _runs(shapes: Int64[np.ndarray, " m"]) -> Iterator[tuple[int, slice]]:
    """Yield each value of an ascending array with the places that hold it."""
    ends = np.searchsorted(shapes, np.arange(len(VALUES["shape"])), side="right")
    for shape, (start, end) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        if end > start:
            yield shape, slice(int(start), int(end))


def _covered(distance: _Plane, radius: float) -> _Plane:
    """Return the share of a pixel on the negative side of an edge; overwrites `distance`."""
    distance *= np.float32(-radius)
    distance += np.float32(0.5)
    return np.clip(distance, 0, 1, out=distance)


def _box(u: _Plane, v: _Plane, half_width: float, half_height: float) -> _Plane:
    return np.maximum(np.abs(u) - np.float32(half_width), np.abs(v) - np.float32(half_height))


def _lines(u: _Plane, v: _Plane, degrees: tuple[int, ...], apothem: float) -> _Plane:
    """Return the distance from a polygon, given the directions of its sides' normals."""
    sides = [u * np.float32(np.cos(a)) + v * np.float32(np.sin(a)) for a in np.deg2rad(degrees)]
    return np.maximum.reduce(sides) - np.float32(apothem)


def _diamond(u: _Plane, v: _Plane) -> _Plane:
    cos, sin = (np.float32(part / np.hypot(1, 0.62)) for part in (1, 0.62))
    return np.abs(u) * cos + np.abs(v) * sin - np.float32(0.62) * cos


def _star(u: _Plane, v: _Plane) -> _Plane:
    """Five points, the inner corners at 0.45: folded onto one half of one point, where the outline is a line."""
    cos, sin = np.float32(np.cos(np.pi / 5)), np.float32(np.sin(np.pi / 5))
    u = np.abs(u)
    over = np.maximum(u * cos - v * sin, 0) * 2
    u, v = u - over * cos, v + over * sin
    over = np.maximum(-u * cos - v * sin, 0) * 2
    u, v = np.abs(u + over * cos), v + over * sin
    across, down = np.float32(0.45) * sin, np.float32(0.45) * cos - 1  # from the point to the inner corner
    return (u * -down + (v - 1) * across) / np.hypot(across, down)


def _ring(u: _Plane, v: _Plane) -> _Plane:
    return np.abs(np.hypot(u, v) - np.float32(0.67)) - np.float32(0.25)


_OUTLINES: dict[str, Callable[[_Plane, _Plane], _Plane]] = {
    "circle": lambda u, v: np.hypot(u, v) - np.float32(0.9),
    "square": lambda u, v: _box(u, v, 0.7, 0.7),
    "triangle": lambda u, v: _lines(u, v, (30, 150, 270), 0.5),
    "diamond": _diamond,
    "hexagon": lambda u, v: _lines(u, v, (30, 90, 150, 210, 270, 330), 0.8),
    "star": _star,
    "cross": lambda u, v: np.minimum(_box(u, v, 0.3, 0.92), _box(u, v, 0.92, 0.3)),
    "ring": _ring,
}
"""Distance from the outline of each shape, in radii, negative inside."""


def _wave(t: _Plane, frequency: float) -> _Plane:
    """Return the distance from the nearest edge of bands half a period wide, negative in every second one."""
    t = t * np.float32(frequency)
    t -= np.floor(t)
    return (np.abs(t - np.float32(0.5)) - np.float32(0.25)) / np.float32(frequency)


def _checkers(u: _Plane, v: _Plane) -> _Plane:
    a, b = _wave(u, 1.0), _wave(v, 1.0)
    return np.maximum(np.minimum(a, b), -np.maximum(a, b))


def _dots(u: _Plane, v: _Plane) -> _Plane:
    u, v = (t * np.float32(1.25) for t in (u, v))
    return (np.hypot(u - np.round(u), v - np.round(v)) - np.float32(0.3)) / np.float32(1.25)


_TEXTURES = (None, lambda u, v: _wave(u, 1.25), _dots, _checkers)
"""Distance from the edge of the dark parts of each texture, in radii, negative in the dark."""
