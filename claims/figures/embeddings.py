"""The two clouds of paired embeddings in the plane, as in Fig. 1 of Liang et al."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.figures.canvas import styled
from conetheory._arrays import as_choice
from empirical.embeddings import load_pairs, unit_sample

__all__ = ["VIEWS", "plane", "plot_embeddings", "view_figure"]

VIEWS = ("pca", "svd", "umap")
_SHOWN = 2000  # pairs drawn at most


def plane(rows: np.ndarray, *, view: str, rng: int | None = None) -> np.ndarray:
    """Return `rows`, shape (n, d), in two dimensions: ``pca`` (centred), ``svd`` (not centred) or ``umap`` (defaults).

    Raises
    ------
    ValueError
        If `view` is none of these.
    ImportError
        If umap-learn is missing.
    """
    as_choice("view", view, VIEWS)
    if view == "umap":
        try:
            from umap import UMAP
        except ImportError:
            raise ImportError("`view` umap needs umap-learn: pip install 'conetheory[figures]'.") from None
        return np.asarray(UMAP(n_components=2, random_state=rng).fit_transform(rows))
    moved = rows - rows.mean(axis=0) if view == "pca" else rows
    left, values, _ = np.linalg.svd(moved, full_matrices=False)
    return left[:, :2] * values[:2]


def plot_embeddings(points: np.ndarray, *, names: tuple[str, str], ax: Axes) -> Axes:
    """Draw both modalities of `points`, shape (2n, 2), first all of the one and then all of the other, a line
    between the two of each pair.
    """
    n = len(points) // 2
    ax.plot(
        np.stack([points[:n, 0], points[n:, 0]]),
        np.stack([points[:n, 1], points[n:, 1]]),
        color="0.5",
        lw=0.4,
        alpha=0.1,
    )
    for name, part, colour in zip(names, (points[:n], points[n:]), ("C0", "C1"), strict=True):
        ax.plot(part[:, 0], part[:, 1], "x", ms=3, alpha=0.5, color=colour, label=name)
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(loc="best")
    return ax


def view_figure(paths: Sequence[Path], *, view: str = "pca", rng: int | None = None) -> Figure:
    """Return the figure of the paired embeddings in `paths`; of more than 2000 pairs, a random part."""
    as_choice("view", view, VIEWS)
    pairs = load_pairs(paths)
    rows = np.arange(pairs.n)
    if pairs.n > _SHOWN:
        rows = np.sort(np.random.default_rng(rng).choice(pairs.n, _SHOWN, replace=False))
    x, y = unit_sample(pairs, rows)
    with styled():
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        points = plane(np.concatenate([x, y]), view=view, rng=rng)
        ax = plot_embeddings(
            points, names=(Path(pairs.names[0]).name, Path(pairs.names[1]).name), ax=figure.add_subplot()
        )
        ax.set_xlabel(f"first coordinate ({view})")
        ax.set_ylabel("second coordinate")
        ax.set_title(f"{len(rows)} pairs of dimension {pairs.dim}")
    return figure
