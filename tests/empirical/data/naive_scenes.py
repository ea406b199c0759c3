"""Scenes as one draws them with Pillow: polygons and ellipses on a canvas several times too large, then made small."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from empirical.data.scene_attributes import BACKGROUNDS, VALUES
from empirical.data.scene_rendering import DARK, RADII, arrange

__all__ = ["draw_scene", "draw_scenes"]


def draw_scenes(records, size, oversampling):
    """Return the images of the scenes, uint8 of shape (n, 3, size, size)."""
    return np.stack([draw_scene(records[i : i + 1], size, oversampling) for i in range(len(records))])


def draw_scene(record, size, oversampling):
    """Return one image, uint8 of shape (3, size, size)."""
    side = size * oversampling
    canvas = Image.new("RGB", (side, side), list(BACKGROUNDS.values())[record["background"][0]])
    objects = arrange(record)
    for place in range(len(objects.scene)):
        frame = Frame(objects.centre[place] * side, RADII[objects.size[place]] * side, objects.turn[place])
        mask = Image.new("L", canvas.size)
        shape = VALUES["shape"][objects.shape[place]]
        ROUND[shape](frame, mask) if shape in ROUND else frame.polygons(mask, CORNERS[shape])
        dark = Image.new("L", canvas.size)
        TEXTURES[objects.texture[place]](frame, dark)
        colour = objects.colour[place]
        canvas.paste(tuple(int(value + 0.5) for value in colour), mask=mask)
        canvas.paste(tuple(int(DARK * value + 0.5) for value in colour), mask=ImageChops.multiply(mask, dark))
    return np.moveaxis(np.asarray(canvas.reduce(oversampling)), 2, 0)


class Frame:
    """An object's own coordinates (v upwards, in radii), and drawing in them."""

    def __init__(self, centre, radius, turn):
        self.centre, self.radius, self.cos, self.sin = centre, radius, np.cos(turn), np.sin(turn)

    def pixel(self, u, v):
        """Return where a point is in the image."""
        right, up = self.cos * u - self.sin * v, self.sin * u + self.cos * v
        return self.centre[0] + self.radius * right - 0.5, self.centre[1] - self.radius * up - 0.5

    def polygons(self, mask, polygons):
        """Fill the polygons, given by their corners."""
        for corners in polygons:
            ImageDraw.Draw(mask).polygon([self.pixel(u, v) for u, v in corners], fill=255)

    def disc(self, mask, u, v, radius, fill=255):
        """Fill a disc."""
        x, y = self.pixel(u, v)
        reach = radius * self.radius
        ImageDraw.Draw(mask).ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)


def rectangle(left, bottom, right, top):
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def regular(corners, radius, first):
    angles = np.deg2rad(first + 360 / corners * np.arange(corners))
    return [(radius * np.cos(angle), radius * np.sin(angle)) for angle in angles]


def ring(frame, mask):
    frame.disc(mask, 0, 0, 0.92)
    frame.disc(mask, 0, 0, 0.42, fill=0)


def stripes(frame, mask):
    frame.polygons(mask, [rectangle(k / 1.25 - 0.2, -2, k / 1.25 + 0.2, 2) for k in np.arange(-2, 3) + 0.5])


def dots(frame, mask):
    for i in range(-2, 3):
        for j in range(-2, 3):
            frame.disc(mask, i / 1.25, j / 1.25, 0.24)


def checkers(frame, mask):
    edges = np.arange(-1.75, 1.5, 0.5)
    squares = [(u, v) for i, u in enumerate(edges) for j, v in enumerate(edges) if (i + j) % 2 == CHECKER_PARITY]
    frame.polygons(mask, [rectangle(u, v, u + 0.5, v + 0.5) for u, v in squares])


CHECKER_PARITY = 1  # the square around the centre is not dark
STAR = [point for pair in zip(regular(5, 1, 90), regular(5, 0.45, 126), strict=True) for point in pair]
CORNERS = {
    "square": [rectangle(-0.7, -0.7, 0.7, 0.7)],
    "triangle": [regular(3, 1, 90)],
    "diamond": [[(-0.62, 0), (0, -1), (0.62, 0), (0, 1)]],
    "hexagon": [regular(6, 0.8 / np.cos(np.pi / 6), 0)],
    "star": [STAR],
    "cross": [rectangle(-0.3, -0.92, 0.3, 0.92), rectangle(-0.92, -0.3, 0.92, 0.3)],
}
ROUND = {"circle": lambda frame, mask: frame.disc(mask, 0, 0, 0.9), "ring": ring}
TEXTURES = (lambda frame, mask: None, stripes, dots, checkers)
