"""Mismatched pairs: the phase diagrams of their repulsion, and the six pairs of the paper in space."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.axes3d import Axes3D

from claims.beyond.mismatch_phases import ARC_ID, PAIRS, SHUFFLED_ID
from conetheory.mismatch import PAIRING_SWAPPED, circle_points
from conetheory.mismatch_phases import arc_critical_scales, shuffled_critical_scale, shuffled_scale

from .canvas import INK, MUTED, PALETTE
from .cells import cells_at
from .claim import log_scale

__all__ = ["plot_arc_phases", "plot_shuffled_phases", "plot_sphere_scene"]

_DIMS = (3, 8)
_FRACTIONS = np.linspace(0.02, 0.98, 97)
_SPACINGS = np.geomspace(4.0, 60.0, 40)


def plot_shuffled_phases(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the critical temperature of random points on the sphere against the fraction of pairs that is shuffled.

    Solid lines: the finite number of pairs of the claim; dashed: infinitely many. Dots: its verdict, with two standard
    errors either side. Below a line the texts are repelled.
    """
    verdicts, counts = list(verdicts), np.arange(4, PAIRS - 3, 4)
    for dim, colour in zip(_DIMS, PALETTE, strict=False):
        scales = np.array([shuffled_scale(dim, int(count), PAIRS).mean for count in counts])
        ax.plot(counts / PAIRS, 1 / scales, color=colour, label=f"d = {dim}, {PAIRS} pairs")
        limit = 1 / np.asarray(shuffled_critical_scale(dim, _FRACTIONS))
        ax.plot(_FRACTIONS, limit, color=colour, linestyle="--", label=f"d = {dim}, many pairs")
        for cells, at in cells_at(verdicts, SHUFFLED_ID, "dim", "fraction"):
            chosen = at["dim"] == dim
            fractions = at["fraction"][chosen]
            mean = np.array([shuffled_scale(dim, round(f * PAIRS), PAIRS).mean for f in fractions])
            value, error = cells.measured[chosen] * mean, cells.stderr[chosen] * mean
            ax.errorbar(fractions, 1 / value, 2 * error / value**2, fmt="o", color=colour, markersize=4, zorder=3)
    log_scale(ax, "y")
    ax.set_xlim(0, 1)
    ax.set_ylim(0.03, 3)
    ax.text(0.6, 0.045, "repelled", color=INK, fontsize="small")
    ax.text(0.05, 1.7, "zero gap is best", color=INK, fontsize="small")
    ax.set_xlabel("fraction of pairs that is mismatched")
    ax.set_ylabel("temperature τ")
    ax.set_title("Random points: where mismatch repels")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1), fontsize="small")
    return ax


def plot_arc_phases(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes) -> Axes:
    """Draw the critical temperature of six points of an arc against their spacing, for one to three swaps.

    Dots: verdict ``conetheory.mismatch.arc``, found by moving the texts. Below a line the texts are repelled.
    """
    verdicts = list(verdicts)
    scales = arc_critical_scales(6, _SPACINGS, (1, 2, 3))
    for swaps, colour in zip((1, 2, 3), PALETTE, strict=False):
        label = f"{swaps} of 3 neighbours swapped"
        ax.plot(_SPACINGS, 1 / scales[:, swaps - 1], color=colour, label=label)
        for cells, at in cells_at(verdicts, ARC_ID, "spacing_deg", "swaps"):
            chosen = at["swaps"] == swaps
            ax.plot(at["spacing_deg"][chosen], 1 / cells.measured[chosen], "o", color=colour, markersize=4, zorder=3)
    log_scale(ax, "x", ticks=(5, 10, 20, 40, 60))
    log_scale(ax, "y")
    ax.text(22, 0.003, "repelled", color=INK, fontsize="small")
    ax.set_xlabel("spacing of neighbours Δφ (degrees)")
    ax.set_ylabel("temperature τ")
    ax.set_title("Six points of an arc")
    ax.legend(loc="upper left")
    return ax


def plot_sphere_scene(verdicts: Iterable[Mapping[str, Any]], *, ax: Axes3D) -> Axes3D:
    """Draw the six pairs on the sphere, the first two swapped, their texts displaced by 30 degrees, and their paths.

    `verdicts` is not used: the scene is the set-up of the others.
    """
    grid = np.radians(np.arange(0, 361, 15))
    around, up = np.meshgrid(grid, grid[:13])
    sphere = np.cos(around) * np.sin(up), np.sin(around) * np.sin(up), np.cos(up)
    ax.plot_wireframe(*sphere, color=MUTED, linewidth=0.3, alpha=0.35)
    images = np.column_stack([circle_points(6, 20, -20), np.zeros(6)])
    texts = images[list(PAIRING_SWAPPED)]
    ax.plot(*np.stack([np.cos(grid), np.sin(grid), 0 * grid]), color=MUTED, linewidth=0.6)
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        colour = PALETTE[1] if PAIRING_SWAPPED[i] != i else PALETTE[0]
        latitudes = np.radians(np.linspace(-30, 30, 31))[:, None]
        path = np.cos(latitudes) * text + np.sin(latitudes) * [0, 0, 1]
        ax.plot(*path.T, color=colour, linewidth=0.8, linestyle=":")
        moved = path[-1]
        pair = np.stack([image, moved]).T
        ax.plot(*pair, color=colour, linewidth=1.4)
        for point, marker in ((image, "o"), (moved, "^")):
            ax.plot(*point[:, None], marker, color=colour, markersize=5)
        for x, y, z in (1.12 * image - [0, 0, 0.14], 1.12 * moved + [0, 0, 0.1]):
            ax.text(x, y, z, str(i), color=INK, fontsize="small", ha="center", va="center")
    ax.view_init(elev=14, azim=32)
    ax.set_box_aspect((1, 1, 1), zoom=1.45)  # pyright: ignore[reportArgumentType]
    ax.set_axis_off()
    ax.set_title("Six pairs, texts displaced by 30°")
    shapes = [("o", INK, "image"), ("^", INK, "text"), ("_", PALETTE[0], "matched"), ("_", PALETTE[1], "mismatched")]
    handles = [Line2D([], [], marker=m, color=c, linestyle="none", markersize=6, label=t) for m, c, t in shapes]
    ax.legend(handles=handles, loc="lower center", ncols=4, fontsize="small", bbox_to_anchor=(0.5, -0.05))
    return ax
