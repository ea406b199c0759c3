"""The figures of the report and of ``conetheory figures``: theory computed here, dots taken from verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .angle_law import plot_angle_law
from .canvas import styled
from .depth import BIASES, plot_cone, plot_initialisation
from .gap_flow import SNAPSHOTS, plot_flow_against_reduced, plot_gap_course, plot_pitchfork, plot_snapshot
from .landscapes import LANDSCAPE_SCALES, minima, plot_landscape, plot_shift, plot_sphere
from .large_deviation import plot_failure_tail
from .mismatch import plot_arc_phases, plot_shuffled_phases, plot_sphere_scene
from .mitigations import plot_gap_by_fraction, plot_gap_by_temperature, plot_treatments
from .overview import plot_overview, plot_zscores
from .phases import plot_phases
from .theorem1 import plot_contraction, plot_thresholds

__all__ = ["CAPTIONS", "showcase"]

CAPTIONS = {
    "overview": "Every claim by its headline number and interval, supported where they lie in the grey band or, for an "
    "inequality, right of it; the z-scores of all sampled equalities against the normal law.",
    "contraction": "The cosine after one random ReLU layer of infinite width, and the threshold below which it rises.",
    "theorem1": "How often one layer fails to raise the cosine of unit vectors: the probability, Chernoff's bound and "
    "Chebyshev's K/d as lines; counted and, below 1e-4, tilted trials as dots.",
    "angle": "The angle of two orthogonal inputs in networks of finite width: theory as lines, simulation as dots.",
    "phases": "Where random networks draw all inputs together (left of a line) and where they keep them apart.",
    "initialisation": "The share by layer with the bound of Theorem 4 and the sharper one of its proof.",
    "cone": "Mean cosine of two Gaussian inputs by layer: mean field as lines, the band of single networks of 512 "
    "units, and simulated ones as dots (Fig. 2b of Liang et al.).",
    "sphere": "Loss of six pairs, two of them swapped, as all texts are displaced (Fig. 3e–g of Liang et al.).",
    "scene": "The six pairs in space, with the path of the texts as they are displaced.",
    "mismatch": "Where mismatched pairs repel the modalities, for random points of the sphere and for six points of an "
    "arc: theory as lines, simulation as dots.",
    "gap_flow": "The gap of matched pairs against time under six temperature laws (Yaras et al.), with late laws "
    "and the sharp bound; where mismatched pairs keep it at a fixed temperature.",
    "free_flow": "Features that move freely down the loss, beside the reduced flow whose features are frozen; dots are "
    "means over seeds with two standard errors.",
    "snapshots": "Free features in three dimensions at three times (Fig. 1 of Yaras et al.).",
    "mitigations": "The gap that treatments leave of free features, beside trained CLIP (Table 3 of Yaras et al.): the "
    "orders agree, the sizes do not.",
    "landscape": "The loss along the embedding shift (Fig. 3b–d of Liang et al.): theory and kernel on the published "
    "pairs, and the published run.",
    "shift": "The gap at which the loss of published CLIP features is least, as they are moved along it.",
}
"""One sentence for each figure of `showcase`."""


def _axes(figure: Figure, columns: int, **changes: Any) -> list[Axes]:
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)  # room for text that other renderers draw wider
    return list(figure.subplots(1, columns, squeeze=False, **changes)[0])


def _overview(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 2.2 + 0.045 * len(verdicts)))
    left, right = _axes(figure, 2, width_ratios=(2.6, 1))
    plot_overview(verdicts, ax=left)
    plot_zscores(verdicts, ax=right)
    return figure


def _contraction(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.5))
    left, right = _axes(figure, 2)
    plot_contraction(verdicts, ax=left)
    plot_thresholds(verdicts, ax=right)
    return figure


def _cone(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2))
    axes = _axes(figure, len(BIASES), sharey=True)
    for bias, ax in zip(BIASES, axes, strict=True):
        plot_cone(verdicts, bias=bias, ax=ax)
    axes[0].set_ylabel("mean cosine of two inputs")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _gap_flow(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.6))
    left, right = _axes(figure, 2, width_ratios=(1.6, 1))
    plot_gap_course(verdicts, ax=left)
    plot_pitchfork(verdicts, ax=right)
    return figure


def _scene(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(5.2, 4.6))
    plot_sphere_scene(verdicts, ax=_axes(figure, 1, subplot_kw={"projection": "3d"})[0])  # type: ignore[arg-type]
    return figure


def _mismatch(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.8))
    left, right = _axes(figure, 2)
    plot_shuffled_phases(verdicts, ax=left)
    plot_arc_phases(verdicts, ax=right)
    return figure


def _snapshots() -> Figure:
    figure = Figure(figsize=(9.6, 3.4))
    axes = _axes(figure, len(SNAPSHOTS), subplot_kw={"projection": "3d"})
    for index, ax in enumerate(axes):
        plot_snapshot(index, ax=ax)
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, 0.04), ncols=2)
    return figure


def _mitigations() -> Figure:
    figure = Figure(figsize=(12.6, 3.8))
    left, middle, right = _axes(figure, 3, width_ratios=(1.4, 1, 1))
    plot_treatments(ax=left)
    plot_gap_by_temperature(ax=middle)
    plot_gap_by_fraction(ax=right)
    return figure


def _landscape(verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(9.6, 3.2))
    axes = _axes(figure, len(LANDSCAPE_SCALES))
    for scale, ax in zip(LANDSCAPE_SCALES, axes, strict=True):
        plot_landscape(verdicts, scale=scale, ax=ax)
    axes[0].set_ylabel("image-to-text loss (nats)")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _single(plot: Any, verdicts: Sequence[Mapping[str, Any]]) -> Figure:
    figure = Figure(figsize=(5.2, 3.3))
    plot(verdicts, ax=_axes(figure, 1)[0])
    return figure


def showcase(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Draw the figures that show the package at a glance.

    Parameters
    ----------
    verdicts : sequence of mapping
        As in ``verdicts.jsonl``; their measurements become the dots. Without any, theory is drawn alone.

    Returns
    -------
    dict of str to Figure
        Keys of `CAPTIONS`, in that order: ``overview`` only with verdicts, ``shift`` only with minima on data.
    """
    verdicts = list(verdicts)
    with styled():
        figures = {"overview": _overview(verdicts)} if verdicts else {}
        figures["contraction"] = _contraction(verdicts)
        figures["theorem1"] = _single(plot_failure_tail, verdicts)
        figures["angle"] = _single(plot_angle_law, verdicts)
        figures["phases"] = _single(plot_phases, verdicts)
        figures["initialisation"] = _single(plot_initialisation, verdicts)
        figures["cone"] = _cone(verdicts)
        figures["sphere"] = _single(plot_sphere, verdicts)
        figures["scene"] = _scene(verdicts)
        figures["mismatch"] = _mismatch(verdicts)
        figures["gap_flow"] = _gap_flow(verdicts)
        figures["free_flow"] = _single(plot_flow_against_reduced, verdicts)
        figures["snapshots"] = _snapshots()
        figures["mitigations"] = _mitigations()
        figures["landscape"] = _landscape(verdicts)
        if minima(verdicts):
            figures["shift"] = _single(plot_shift, verdicts)
        for figure in figures.values():
            if engine := figure.get_layout_engine():
                engine.execute(figure)
            figure.set_layout_engine("none")  # solved once, under this style: every copy has the same layout
    return figures
