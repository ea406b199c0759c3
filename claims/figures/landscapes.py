"""Where the loss wants the gap: six mismatched pairs on the sphere (Fig. 3e–g), real features (Fig. 3b–d)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from claims.liang.published_landscape import PUBLISHED, PUBLISHED_SCALES, published_lambda
from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale, minimising_angles_deg, profile_loss

from .canvas import PALETTE
from .cells import Cells, cells_at
from .claim import log_scale, plot_measured

__all__ = ["LANDSCAPE_SCALES", "minima", "plot_landscape", "plot_shift", "plot_sphere"]

LANDSCAPE_SCALES = (100, 50, 1)
"""Inverse temperatures of the panels of Fig. 3(b-d)."""

_SCALES = (1, 5, 35, 50, 100)
_DIRECTIONS = {"symmetric": "symmetric loss", "x_to_y": "image to text"}


def plot_sphere(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the loss of six pairs, two swapped, against the displacement of the texts, and its minimisers.

    Dots: verdicts ``liang.sphere.mismatched.spacing20.scale<1/τ>``.
    """
    points = circle_points(6, 20, -20)
    critical = critical_scale(points, points, PAIRING_SWAPPED)
    degrees = np.linspace(-90, 90, 181)
    verdicts = list(verdicts)
    for scale, colour in zip(_SCALES, PALETTE, strict=False):
        loss = profile_loss(points, points, PAIRING_SWAPPED, scale * np.cos(np.radians(degrees)))
        ax.plot(degrees, loss, color=colour, label=f"τ = 1/{scale}" if scale > 1 else "τ = 1")
        least = np.asarray(minimising_angles_deg(critical.scale, 1 / scale))
        bottom = profile_loss(points, points, PAIRING_SWAPPED, scale * np.cos(np.radians(least)))
        ax.plot(least, bottom - 0.07, "^", color=colour, markersize=5, markeredgecolor="none")
        for verdict in verdicts:
            if verdict["id"] == f"liang.sphere.mismatched.spacing20.scale{scale}":
                cells = Cells.of(verdict)
                plot_measured(ax, np.array([at["dtheta_deg"] for at in cells.at]), cells, colour=colour)
    ax.xaxis.set_major_locator(MultipleLocator(30))
    ax.set_xlabel("displacement of the texts Δθ (degrees)")
    ax.set_ylabel("symmetric cross-entropy (nats)")
    ax.set_title("Six pairs, two swapped: a cold loss repels")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="▲ minimiser", alignment="left")
    return ax


def minima(verdicts: Iterable[Mapping[str, Any]]) -> list[tuple[str, Cells, np.ndarray]]:
    """Return for each direction of the loss the gap at its minimum as cells, with their logit scales, in order.

    They are the cells at ``gap`` of the verdicts ``liang.fig3.minimum.<direction>.scale<1/τ>``, the exact one last.
    """
    found: dict[str, dict[float, dict[str, Any]]] = {}
    for verdict in verdicts:
        if name := re.fullmatch(r"liang\.fig3\.minimum\.(\w+)\.scale(\d+)", verdict["id"]):
            for cell in verdict["cells"]:
                if "gap" in cell["at"]:
                    found.setdefault(name[1], {})[float(name[2])] = cell
    return [
        (
            _DIRECTIONS.get(direction, direction),
            Cells.of(
                {"id": direction, "relation": "equal", "source": "data", "cells": [cells[at] for at in sorted(cells)]}
            ),
            np.array(sorted(cells)),
        )
        for direction, cells in found.items()
    ]


def plot_shift(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the gap at which the contrastive loss of real features is least, as they are moved along it, by logit scale.

    Lines and crosses: see `minima`.
    """
    for colour, (direction, cells, scale) in zip(PALETTE, minima(verdicts), strict=False):
        ax.plot(scale, cells.predicted, color=colour, label=direction)
        plot_measured(ax, scale, cells, colour=colour)
    log_scale(ax, "x", ticks=(1, 10, 20, 30, 50, 100))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("logit scale 1/τ")
    ax.set_ylabel("gap ‖x̄ − ȳ‖ at the least loss")
    ax.set_title("Real features: a warm loss closes the gap")
    ax.legend(loc="upper left", borderaxespad=0.1)
    return ax


def plot_landscape(verdicts: Iterable[Mapping[str, Any]], *, scale: int, ax: Axes) -> Axes:
    """Draw a panel of Fig. 3(b-d): the image-to-text loss along the shift at τ = 1/`scale`, one of `LANDSCAPE_SCALES`.

    Triangles: the published run of 5,000 pairs. Line and dots: cells of the verdict ``liang.fig3.landscape.scale<1/τ>``
    on the 500 published pairs, predicted by theory at ``kernel`` 0 and measured by the kernel at 1; none without it.
    """
    losses = PUBLISHED[:, 2 + PUBLISHED_SCALES.index(scale)]
    ax.plot(published_lambda(), losses, "^", color=PALETTE[2], markersize=3.5, label="published, 5,000 pairs", zorder=1)
    for cells, at in cells_at(verdicts, f"liang.fig3.landscape.scale{scale}", "lambda", "kernel"):
        if cells.id == f"liang.fig3.landscape.scale{scale}":
            theory, kernel = at["kernel"] == 0, at["kernel"] == 1
            ax.plot(at["lambda"][theory], cells.predicted[theory], color=PALETTE[0], label="theory, 500 pairs")
            ax.plot(
                at["lambda"][kernel][::3], cells.measured[kernel][::3], "o", color=PALETTE[1], markersize=3.5,
                markeredgecolor="white", markeredgewidth=0.5, label="kernel, 500 pairs", zorder=3,
            )  # fmt: skip
    ax.axvline(0, color="0.6", linewidth=0.8, linestyle=":")
    ax.axvline(0.5, color="0.6", linewidth=0.8, linestyle="--")
    ax.xaxis.set_major_locator(MultipleLocator(1))
    ax.set_xlabel("shift λ (in gap vectors)")
    ax.set_title(f"τ = 1/{scale}" if scale > 1 else "τ = 1")
    return ax
