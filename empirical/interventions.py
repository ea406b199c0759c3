r"""Interventions on paired embeddings: shift, centring, orthogonal Procrustes, removal of dimensions.

Each is fitted on some pairs and applied to others, so that nothing of the held-out pairs leaks into the fit. All move
unit rows u of either modality by an affine map and normalise again:

.. math:: u \mapsto \frac{(u - b) M + a}{\|(u - b) M + a\|}

Fitting takes a pass over the pairs, a chunk at a time; the moved pairs are a view that computes rows as they are read.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Secs. 4.2 and 4.4.
.. [2] S. Schrodi et al., "Two Effects, One Trigger", ICLR 2025, arXiv:2404.07983.
.. [3] J. Mu and P. Viswanath, "All-but-the-Top", ICLR 2018, arXiv:1702.01417.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar, root_scalar

from conetheory._arrays import as_array, as_choice, as_count, as_positive, unit_rows

from ._mapped_rows import MappedRows, SelectedRows
from .embeddings import EmbeddingPairs, iter_chunks

__all__ = [
    "Intervention",
    "SideMap",
    "fit_centring",
    "fit_procrustes",
    "fit_removal",
    "fit_shift",
    "fit_shift_to_gap",
    "select_pairs",
    "split_rows",
]

_NO_GAP = 1e-12  # a difference of means of unit rows below this is rounding: it has no direction
_SAME_GAP = 1e-9  # how well a target gap is met


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SideMap:
    """The affine map of one modality.

    Attributes
    ----------
    before, after : ndarray, shape (d,)
        b and a of u ↦ (u − b) M + a.
    matrix : ndarray of shape (d, d), or None
        M; None is the identity.
    """

    before: Float[np.ndarray, "d"]
    after: Float[np.ndarray, "d"]
    matrix: Float[np.ndarray, "d d"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervention:
    """A fitted intervention.

    Attributes
    ----------
    name : str
        Which one.
    x, y : SideMap
        The maps of the two modalities.
    fitted : dict
        What was found on the pairs it was fitted on, ready for JSON; ``gap`` is theirs before.
    """

    name: str
    x: SideMap
    y: SideMap
    fitted: dict[str, Any]

    def apply(self, pairs: EmbeddingPairs) -> EmbeddingPairs:
        """Return `pairs` moved: views in float64, computed as they are read. A row that lands on the origin is an error
        where it is read. ValueError if the dimension is another.
        """
        if pairs.dim != len(self.x.before):
            raise ValueError(f"`pairs` must have the dimension of the fit, {len(self.x.before)}, got {pairs.dim}.")
        x, y = (
            MappedRows(rows, side.before, side.matrix, side.after)
            for rows, side in ((pairs.x, self.x), (pairs.y, self.y))
        )
        return EmbeddingPairs(x=x, y=y, groups=pairs.groups, source=f"{pairs.source} ({self.name})", names=pairs.names)

    def move(self, side: str, rows: ArrayLike) -> Float[np.ndarray, "n d"]:
        """Return `rows`, shape (n, d), moved as rows of the modality `side`, x or y: texts of classes, words.

        Raises
        ------
        ValueError
            If a row is zero, before or after, or the dimension is another.
        """
        maps = {"x": self.x, "y": self.y}
        chosen = maps[as_choice("side", side, tuple(maps))]
        array = unit_rows("rows", rows)
        if array.shape[1] != len(chosen.before):
            raise ValueError(f"`rows` must have the dimension of the fit, {len(chosen.before)}, got {array.shape[1]}.")
        return unit_rows("rows, moved", MappedRows(array, chosen.before, chosen.matrix, chosen.after)[:])


def split_rows(
    pairs: EmbeddingPairs, *, share: float = 0.5, rng: np.random.Generator | int | None = None
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "k"]]:
    """Split at random into the numbers of pairs to fit on, about `share` of them, and of those to look at; groups stay
    whole. ValueError if a side would be empty.

    Examples
    --------
    >>> fit, held_out = split_rows(EmbeddingPairs(x=np.eye(10), y=np.eye(10)), rng=0)
    >>> len(fit), len(held_out)
    (5, 5)
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must lie in (0, 1), got {share}.")
    codes = np.arange(pairs.n) if pairs.groups is None else pairs.groups
    count = int(codes.max()) + 1
    fitted = round(share * count)
    if not 0 < fitted < count:
        raise ValueError(f"`share` must leave some of the {count} pairs or groups on either side, got {share}.")
    chosen = np.isin(codes, np.random.default_rng(rng).permutation(count)[:fitted])
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def select_pairs(pairs: EmbeddingPairs, index: Int[np.ndarray, "m"]) -> EmbeddingPairs:
    """Return the pairs numbered `index`, at least two, as views.

    Examples
    --------
    >>> select_pairs(EmbeddingPairs(x=np.eye(4), y=np.eye(4)), np.array([3, 0])).x[:]
    array([[0., 0., 0., 1.],
           [1., 0., 0., 0.]])
    """
    x, y = SelectedRows(pairs.x, index), SelectedRows(pairs.y, index)
    groups = None if pairs.groups is None else pairs.groups[index]
    return EmbeddingPairs(x=x, y=y, groups=groups, source=pairs.source, names=pairs.names)


def _means(pairs: EmbeddingPairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of the unit rows."""
    x, y = np.zeros(pairs.dim), np.zeros(pairs.dim)
    for _, rows_x, rows_y in iter_chunks(pairs):
        x += rows_x.sum(axis=0)
        y += rows_y.sum(axis=0)
    return x / pairs.n, y / pairs.n


def _gap(pairs: EmbeddingPairs) -> np.ndarray:
    x, y = _means(pairs)
    if not np.linalg.norm(x - y) > _NO_GAP:
        raise ValueError(f"`pairs` must have a gap for a direction to exist, got {np.linalg.norm(x - y):.3g}.")
    return x - y


def _moved(name: str, x: np.ndarray, y: np.ndarray, **fitted: Any) -> Intervention:
    """Return the translation u ↦ u − `x` and u ↦ u − `y`."""
    zero = np.zeros_like(x)
    return Intervention(
        name=name, x=SideMap(before=x, after=zero), y=SideMap(before=y, after=zero), fitted={"name": name, **fitted}
    )


def fit_shift(pairs: EmbeddingPairs, lam: float, *, moved: str = "both") -> Intervention:
    """Shift by λ along the gap vector Δ of `pairs`, x − λΔ and y + λΔ ([1]_, Sec. 4.2; `conetheory.shift`).

    Parameters
    ----------
    pairs : EmbeddingPairs
        Where Δ comes from.
    lam : float
        λ: ½ superposes the means before normalisation; negative widens the gap.
    moved : {"both", "x", "y"}
        Which modality moves; with one alone, as in the fairness table of [1]_, λ = 1 superposes the means.

    Raises
    ------
    ValueError
        If the gap is zero.

    Examples
    --------
    >>> pairs = EmbeddingPairs(x=np.eye(2)[[0, 0]], y=np.eye(2)[[1, 1]])
    >>> fit_shift(pairs, 0.5).apply(pairs).x[:1]
    array([[0.5, 0.5]])
    """
    lam = float(as_array("lam", lam))
    as_choice("moved", moved, ("both", "x", "y"))
    delta = _gap(pairs)
    move = {"x": lam * delta, "y": -lam * delta}
    x, y = (side if moved in ("both", name) else 0 * side for name, side in move.items())
    return _moved("shift", x, y, lam=lam, moved=moved, gap=float(np.linalg.norm(delta)))


def fit_shift_to_gap(pairs: EmbeddingPairs, target: float) -> Intervention:
    """Shift both modalities until the gap of `pairs`, of the rows normalised again, is `target`.

    Parameters
    ----------
    pairs : EmbeddingPairs
        Where λ and Δ come from.
    target : float
        Gap wanted, positive and below 2.

    Returns
    -------
    Intervention
        ``fitted`` holds λ, on the side of the least gap where the gap keeps its direction, and the gap reached.

    Raises
    ------
    ValueError
        If `target` is out of range or below the least gap that a shift reaches: rows differ in length after the shift,
        so that normalising leaves a rest.

    Notes
    -----
    The component along Δ falls strictly with λ, from 2 to −2, because every row's does; the least gap is
    searched in [0, 1]. Each evaluation is a pass over the pairs, some 50 in all.

    Examples
    --------
    >>> pairs = EmbeddingPairs(x=np.eye(2)[[0, 0]], y=np.eye(2)[[1, 1]])
    >>> round(fit_shift_to_gap(pairs, 1.0).fitted["gap_reached"], 9)
    1.0
    """
    target = float(as_positive("target", target))
    if not target < 2:
        raise ValueError(f"`target` must be below 2, the greatest distance of two means, got {target}.")
    delta = _gap(pairs)

    def reached(lam: float) -> float:
        move = lam * delta
        moved = _moved("shift", move, -move).apply(pairs)
        return float(np.linalg.norm(np.subtract(*_means(moved))))

    found = minimize_scalar(reached, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-6})
    turn = float(found.x)  # pyright: ignore[reportAttributeAccessIssue]
    least = reached(turn)
    if target < least:
        raise ValueError(f"`target` must be at least {least:.6g}, the least gap that a shift reaches, got {target}.")
    low = -1.0
    while reached(low) < target:
        low *= 2
        if low < -1e9:
            raise ValueError(f"`target` must be within reach of a shift: λ = {low:.3g} still falls short of {target}.")
    lam = float(root_scalar(lambda lam: reached(lam) - target, bracket=(low, turn), xtol=1e-13, rtol=1e-13).root)
    gap = reached(lam)
    if not abs(gap - target) <= _SAME_GAP:
        raise ValueError(f"`target` must be met to {_SAME_GAP:g}, got {gap} for {target}.")
    facts = {"lam": lam, "gap": float(np.linalg.norm(delta)), "target": target, "gap_reached": gap}
    return _moved("shift to gap", lam * delta, -lam * delta, **facts)


def fit_centring(pairs: EmbeddingPairs) -> Intervention:
    """Subtract the mean of each modality of `pairs` (`conetheory.gap.center`; GR-CLIP, arXiv:2507.19054).

    Examples
    --------
    >>> pairs = EmbeddingPairs(x=np.eye(2), y=-np.eye(2))
    >>> fit_centring(pairs).apply(pairs).x[:]
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    x, y = _means(pairs)
    return _moved("centring", x, y, gap=float(np.linalg.norm(x - y)))


def fit_procrustes(pairs: EmbeddingPairs, *, translate: str = "none") -> Intervention:
    r"""Carry x onto y by the best orthogonal map, :math:`Q = UV^\top` with :math:`X^\top Y = U\Sigma V^\top` ([1]_,
    Sec. 4.4; `conetheory.spectrum.procrustes_rotation`).

    Parameters
    ----------
    pairs : EmbeddingPairs
        Where Q comes from.
    translate : {"none", "means"}
        ``means`` first brings the means together: Q is that of the centred rows, and x ↦ (x − x̄) Q + ȳ.

    Returns
    -------
    Intervention
        y stays; ``fitted`` holds the mean squared distance of the pairs before (``alignment``) and after, the latter
        before normalisation (``residual``), the ``determinant`` of Q, −1 where it reflects, and the ``rank`` of
        :math:`X^\top Y`.

    Notes
    -----
    Below rank d, as with fewer pairs than dimensions, the pairs leave open what Q does to directions that they do not
    have: of all best Q it is the nearest to the identity, so that rows which are not part of the fit are not turned at
    random.
    """
    as_choice("translate", translate, ("none", "means"))
    mean_x, mean_y = _means(pairs)
    if translate == "none":
        mean_x, mean_y = np.zeros_like(mean_x), np.zeros_like(mean_y)
    cross, squares, matched = np.zeros((pairs.dim, pairs.dim)), 0.0, 0.0
    for _, x, y in iter_chunks(pairs):
        matched += float(np.vdot(x, y))
        x, y = x - mean_x, y - mean_y
        cross += x.T @ y
        squares += float(np.vdot(x, x) + np.vdot(y, y))
    matrix, values, rank = _nearest_rotation(cross)
    before, after = 2 - 2 * matched / pairs.n, (squares - 2 * float(values.sum())) / pairs.n
    zero = np.zeros(pairs.dim)
    return Intervention(
        name="procrustes",
        x=SideMap(before=mean_x, matrix=matrix, after=mean_y),
        y=SideMap(before=zero, after=zero),
        fitted={
            "name": "procrustes",
            "translate": translate,
            "alignment": before,
            "residual": max(after, 0.0),
            "determinant": round(float(np.linalg.det(matrix))),
            "rank": rank,
        },
    )


def _nearest_rotation(cross: Float[np.ndarray, "d d"]) -> tuple[np.ndarray, np.ndarray, int]:
    r"""Return the orthogonal Q of greatest :math:`\operatorname{tr} Q^\top C`, the singular values of C, and its rank.

    On the null spaces :math:`U_0, V_0` of C any orthogonal :math:`U_0 R V_0^\top` will do; R maximises the trace of Q.
    """
    left, values, right = np.linalg.svd(cross)
    rank = int(np.count_nonzero(values > len(values) * np.finfo(float).eps * values[0]))
    turn, _, back = np.linalg.svd(left[:, rank:].T @ right[rank:].T)
    return left[:, :rank] @ right[:rank] + left[:, rank:] @ turn @ back @ right[rank:], values, rank


def fit_removal(pairs: EmbeddingPairs, k: int, *, kind: str = "components") -> Intervention:
    """Remove k dimensions from both modalities.

    ValueError if there is no gap, or fewer than k principal components that the rows vary along.

    Parameters
    ----------
    pairs : EmbeddingPairs
        Where the dimensions come from.
    k : int
        How many, below d.
    kind : {"components", "coordinates"}
        ``components``: the first principal components of all rows together, mean removed ([3]_); the first is all but
        the gap vector where the gap dominates. ``coordinates``: those in which the gap vector is largest ([2]_).

    Returns
    -------
    Intervention
        ``fitted`` holds the share of ‖Δ‖² that lies in the removed dimensions, and the coordinates.

    Examples
    --------
    >>> pairs = EmbeddingPairs(x=np.eye(3)[[0, 0]], y=np.eye(3)[[1, 2]])
    >>> fit_removal(pairs, 1, kind="coordinates").fitted["coordinates"]
    [0]
    """
    as_choice("kind", kind, ("components", "coordinates"))
    k = as_count("k", k)
    if not k < pairs.dim:
        raise ValueError(f"`k` must be below the dimension, {pairs.dim}, got {k}.")
    delta = _gap(pairs)
    facts: dict[str, Any] = {"name": "removal", "kind": kind, "k": k, "gap": float(np.linalg.norm(delta))}
    if kind == "components":
        basis = _principal_components(pairs, k)
    else:
        order = np.sort(np.argsort(-np.abs(delta), kind="stable")[:k])
        basis = np.eye(pairs.dim)[order]
        facts["coordinates"] = order.tolist()
    facts["gap_share"] = float(np.sum((basis @ delta) ** 2) / (delta @ delta))
    zero = np.zeros(pairs.dim)
    side = SideMap(before=zero, after=zero, matrix=np.eye(pairs.dim) - basis.T @ basis)
    return Intervention(name="removal", x=side, y=side, fitted=facts)


def _principal_components(pairs: EmbeddingPairs, k: int) -> Float[np.ndarray, "k d"]:
    """Return the first `k` principal directions of the rows of both modalities together."""
    second, total = np.zeros((pairs.dim, pairs.dim)), np.zeros(pairs.dim)
    for _, x, y in iter_chunks(pairs):
        second += x.T @ x + y.T @ y
        total += x.sum(axis=0) + y.sum(axis=0)
    mean = total / (2 * pairs.n)
    values, vectors = np.linalg.eigh(second / (2 * pairs.n) - np.outer(mean, mean))
    rank = int(np.count_nonzero(values > pairs.dim * np.finfo(float).eps * values[-1]))
    if k > rank:
        raise ValueError(f"`k` must be at most {rank}, the number of components the rows vary along, got {k}.")
    return vectors[:, ::-1][:, :k].T
