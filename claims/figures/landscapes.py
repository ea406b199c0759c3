"""Where the loss wants the gap: six mismatched pairs on the sphere (Fig. 3e–g), real features (Fig. 3b–d)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from conetheory.mismatch import PAIRING_SWAPPED, circle_points, critical_scale, minimising_angles_deg, profile_loss

from .canvas import PALETTE
from .cells import Cells
from .claim import log_scale, plot_measured

__all__ = ["minima", "plot_shift", "plot_sphere"]

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
