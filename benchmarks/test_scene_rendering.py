"""Rendering scenes: our batches of signed distances against Pillow, one scene after another.

Pillow has no smooth edges of its own: `naive` draws on a canvas four times as large and shrinks it, `peer-pillow`
leaves edges as they are.
"""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import REPLAYED, replay_row
from claims.bench.job import Job, Route, Row, measure
from empirical.data.scene_attributes import draw_records
from empirical.data.scene_rendering import render_scenes
from tests.empirical.data.naive_scenes import draw_scenes

METHODS = ("ours", "naive", "peer-pillow")
SIZES = (32, 64, 224)
SCENES = {
    "ours": {32: 2048, 64: 1024, 224: 96},
    "naive": {32: 32, 64: 32, 224: 8},
    "peer-pillow": {32: 64, 64: 64, 224: 64},
}
OVERSAMPLING = {"naive": 4, "peer-pillow": 1}  # of Pillow's canvas: smooth edges like ours, and none


def routes(size: int) -> dict[str, Route]:
    """Return the two routes, and how far each is from a canvas of sixteen times the size."""
    exact = draw_scenes(draw_records(0, np.arange(8), related=0.5), size, 16).astype(int)

    def accuracy(images: np.ndarray) -> dict[str, Any]:
        error = float(np.abs(images[:8] - exact).mean())
        return {
            "error": error,
            "error_of": "mean over pixels, in levels of 255, against Pillow at 16 x 16 points a pixel",
        }

    def route(method: str) -> Route:
        records = draw_records(0, np.arange(SCENES[method][size]), related=0.5)
        call = render_scenes if method == "ours" else partial(draw_scenes, oversampling=OVERSAMPLING[method])
        return Route(call=partial(call, records, size), work=len(records), accuracy=accuracy)

    return {method: route(method) for method in METHODS}


@cache
def rows_of(size: int) -> dict[str, Row]:
    job = Job(name=f"scenes of {size} pixels", unit="image", methods=METHODS, routes=partial(routes, size))
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES)
def test_rendering(benchmark, size, method):
    replay_row(benchmark, rows_of(size)[method])
