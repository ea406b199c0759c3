r"""The cone of a network, block by block: what torch measures beside what infinite width predicts.

After every block, with :math:`h_i` the output for input i and D its units: the mean pairwise cosine of the
:math:`h_i`, the mean square :math:`\|h_i\|^2/D`, the angle of the cone. Beside them stands the C-map of the block
(`conetheory.normalisation`, `conetheory.residual`) with the variances of its own weights, where it has one: dense
layers, activations behind them, LayerNorm, RMSNorm, residual sums, and what is made of these. It starts from the
measured inputs, pair by pair, and runs on from block to block; after a block that has none it starts again from what
was measured.

References
----------
.. [1] B. Poole, S. Lahiri, M. Raghu, J. Sohl-Dickstein and S. Ganguli, "Exponential Expressivity in Deep Neural
   Networks through Transient Chaos", NIPS 2016, arXiv:1606.05340.
.. [2] V. W. Liang, Y. Zhang, Y. Kwon, S. Yeung and J. Zou, "Mind the Gap", NeurIPS 2022, arXiv:2203.02053, Fig. 2.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conetheory._arrays import as_choice, as_count
from conetheory.normalisation import PairState

from ._capture import batches_of, evaluating, has_points, named_blocks, placed, points_of, watching
from ._pair_maps import NoPrediction, PairFlow, predict
from ._pair_sums import PairSums
from .estimate import Estimate, json_number

__all__ = ["BlockReport", "ProbeReport", "load_checkpoint", "probe"]

_LOST = 1e-24  # a share of the mean square that rounding alone leaves to the variance
_ANOTHER = itertools.count(-1, -1)
TOKENS = ("mean", "first", "each")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReport:
    """What leaves one block.

    Attributes
    ----------
    name, kind : str
        Name of the module and of its class; a second call in one forward pass is named ``name (call 2)``.
    dim : int
        Units D of a point: the last axis, the channels of a feature map.
    cosine : Estimate
        Mean cosine of different inputs; standard error by a jackknife over the inputs, the weights as they are,
        conservative by √2 at a cosine of 0.
    mean_square : Estimate
        Mean square of a unit, ‖h‖²/D.
    cone_angle_deg : Estimate
        arccos √cosine in degrees, the angle of a point to the axis of the cone; 90 where the cosine is not positive.
    within : Estimate or None
        Mean cosine of different tokens of one input, with ``tokens="each"``.
    undefined : int
        Points that are zero; their cosines count as 0.
    predicted_cosine : Estimate or None
        The C-map's, on the first inputs; its standard error is 0 where these are all inputs, else by the inputs left
        out. A network of width n is off by O(1/√n) besides.
    predicted_mean_square : float or None
        The Q-map's.
    start : str or None
        The block before which the prediction starts.
    reason : str or None
        Why there is no prediction.
    """

    name: str
    kind: str
    dim: int
    cosine: Estimate
    mean_square: Estimate
    cone_angle_deg: Estimate
    within: Estimate | None
    undefined: int
    predicted_cosine: Estimate | None
    predicted_mean_square: float | None
    start: str | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        square = self.predicted_mean_square
        return {
            "name": self.name,
            "kind": self.kind,
            "dim": self.dim,
            "cosine": self.cosine.as_dict(),
            "mean_square": self.mean_square.as_dict(),
            "cone_angle_deg": self.cone_angle_deg.as_dict(),
            "within": None if self.within is None else self.within.as_dict(),
            "undefined": self.undefined,
            "predicted_cosine": None if self.predicted_cosine is None else self.predicted_cosine.as_dict(),
            "predicted_mean_square": None if square is None else json_number(square),
            "start": self.start,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """The blocks of a network in the order in which they ran.

    Attributes
    ----------
    n, n_reference : int
        Inputs, and how many of them the prediction starts from.
    tokens : str
        What a point is: ``mean``, ``first`` or ``each``.
    device, dtype : str
        Where and in what the model ran.
    input_cosine : Estimate or None
        Mean cosine of what enters the first block; None if that is no vectors, as before an ``nn.Embedding``.
    blocks : tuple of BlockReport
        What leaves each block.
    not_run : tuple of str
        Blocks that these inputs do not pass, such as those of the other tower.
    """

    n: int
    n_reference: int
    tokens: str
    device: str
    dtype: str
    input_cosine: Estimate | None
    blocks: tuple[BlockReport, ...]
    not_run: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        head = {name: getattr(self, name) for name in ("n", "n_reference", "tokens", "device", "dtype")}
        cosine = None if self.input_cosine is None else self.input_cosine.as_dict()
        entries = {"input_cosine": cosine, "blocks": [block.as_dict() for block in self.blocks]}
        return head | entries | {"not_run": list(self.not_run)}


def load_checkpoint(name: str | Path) -> Any:
    """Return a published model through transformers' ``AutoModel``: a folder, or a name on the hub.

    Only safetensors are read: no pickle is ever loaded, and no code of the checkpoint runs.

    Raises
    ------
    ImportError, OSError, ValueError
        If transformers is missing; if there is no such checkpoint, or it has no safetensors.
    """
    try:
        from transformers import AutoModel
    except ImportError:
        raise ImportError("a checkpoint needs transformers: pip install transformers.") from None
    return AutoModel.from_pretrained(str(name), use_safetensors=True)


def probe(
    model: Any,
    inputs: Any,
    *,
    blocks: Any = None,
    tokens: str = "mean",
    batch_size: int = 64,
    device: Any = None,
    dtype: Any = None,
    max_reference: int = 128,
) -> ProbeReport:
    """Measure mean cosine, mean square and cone angle after every block of a torch module, beside the C-map.

    Parameters
    ----------
    model : torch.nn.Module
        Runs in evaluation mode and without gradients, on copies of the inputs; its modes are restored and no hook
        stays, whatever happens.
    inputs : tensor, ndarray, mapping of tensors, or iterable of these
        First axis: inputs. A mapping is passed as keyword arguments (``pixel_values``, ``input_ids``). Batches of an
        iterable, such as a ``DataLoader`` that gives tensors or mappings, are read one at a time. Inputs are taken to
        be independent draws.
    blocks : names, patterns or types of modules, optional
        What to look at, by ``model.named_modules()``. Default: the members of the outermost ``nn.Sequential`` and
        ``nn.ModuleList``, the layers of a ViT, a text transformer, a ResNet; the model itself if there are none.
    tokens : {"mean", "first", "each"}
        What a point is where a block gives (n, tokens, D), or a feature map (n, D, height, width): the mean, the first
        token (CLS), or each, of which those of different inputs are compared. Padding counts as tokens. The C-map sees
        means only through linear maps.
    batch_size : int
        Inputs at a time: memory does not grow with their number.
    device, dtype : optional
        Where, and in which floating-point type, the model runs: a copy of it, if that is not where it is.
    max_reference : int
        The prediction follows all pairs of at most so many points among the first inputs, two inputs at least.

    Returns
    -------
    ProbeReport
        Ready for `as_dict` (JSON).

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, a name is unknown, a block gives what are not points or not finite or runs on
        some inputs only, or there are fewer than two inputs.

    Notes
    -----
    Sums are in float64. Variances are read off the weights: the law of a network at initialisation, whatever its
    recipe, but not of a trained one, whose weights depend on the inputs; there the difference is the finding.

    Examples
    --------
    >>> import torch
    >>> layers = torch.nn.Sequential(torch.nn.Linear(64, 2048, bias=False), torch.nn.ReLU())
    >>> found = probe(layers, torch.randn(32, 64)).blocks[-1]
    >>> abs(found.cosine.value - found.predicted_cosine.value) < 0.02
    True
    """
    as_choice("tokens", tokens, TOKENS)
    batch_size, limit = as_count("batch_size", batch_size), as_count("max_reference", max_reference, minimum=2)
    model, device, dtype = placed(model, device, dtype)
    watched = named_blocks(model, blocks)
    trace = _Trace(tokens=tokens, limit=limit)
    with evaluating(model), watching(watched, trace.enter, trace.leave):
        for size, batch in batches_of(inputs, batch_size, device, dtype):
            trace.start_batch(size)
            model(**batch) if isinstance(batch, dict) else model(batch)
    if trace.n < 2:
        raise ValueError(f"`inputs` must hold at least two inputs, got {trace.n}.")
    if not trace.visits:
        raise ValueError(f"`blocks`: none of {', '.join(list(watched)[:4])} runs on these inputs.")
    for key, visit in trace.visits.items():
        if visit.n != trace.n:
            raise ValueError(f"`blocks`: {key} runs on {visit.n} of the {trace.n} inputs; name others.")
    ran = {visit.module for visit in trace.visits.values()}
    return ProbeReport(
        n=trace.n,
        n_reference=min(next(iter(trace.visits.values())).n_reference, trace.n),
        tokens=tokens,
        device=str(device),
        dtype="as given" if dtype is None else str(dtype).removeprefix("torch."),
        input_cosine=None if trace.entering is None else trace.entering.cosine(),
        blocks=tuple(_reports(trace, watched)),
        not_run=tuple(name for name in watched if name not in ran),
    )


@dataclass(slots=True, kw_only=True, eq=False)
class _Visit:
    """A block at its place in the forward pass: what entered and left it so far, of `n` inputs."""

    module: str
    previous: str | None
    pooled: bool = False
    n_reference: int = 2
    n: int = 0
    dim: int = 0
    leaving: PairSums | None = None
    rows: list[np.ndarray] = field(default_factory=list)
    strange: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Trace:
    """All visits, in the order of the forward pass, and where the present batch stands.

    `open` has the visits that each module is in, the innermost last; `last` the visit that ended last, with what it
    gave and the version of that, which counts changes in place.
    """

    tokens: str
    limit: int
    visits: dict[str, _Visit] = field(default_factory=dict)
    entering: PairSums | None = None
    n: int = 0
    first: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    open: dict[str, list[str]] = field(default_factory=dict)
    last: tuple[str, Any, int] = ("", None, 0)

    def start_batch(self, size: int) -> None:
        self.first, self.n = self.n, self.n + size
        self.calls, self.open, self.last = {}, {}, ("", None, 0)

    def enter(self, name: str, tensor: Any) -> None:
        call = self.calls[name] = self.calls.get(name, 0) + 1
        key = name if call == 1 else f"{name} (call {call})"
        self.open.setdefault(name, []).append(key)
        size = self.n - self.first
        points = points_of(name, tensor, size, self.tokens) if has_points(tensor, size) else None
        is_first = key not in self.visits
        if is_first:
            feeds = self.last[1] is tensor and self.last[2] == _version(tensor)
            self.visits[key] = _Visit(module=name, previous=self.last[0] if feeds else None)
        visit = self.visits[key]
        if points is None or tensor.ndim > 3:
            visit.strange = "no vectors" if points is None else "a feature map"
        elif is_first:
            visit.pooled = self.tokens == "mean" and tensor.ndim > 2 and tensor[0].numel() > points.shape[2]
            visit.n_reference = max(2, self.limit // points.shape[1])
        if points is not None and key == next(iter(self.visits)):
            self.entering = self.entering or PairSums(points.shape[2])
            self.entering.add(self.first, _of_dim(key, points, self.entering.dim))
        if visit.strange is None and points is not None:
            visit.rows.append(points[: max(0, visit.n_reference - visit.n)])

    def leave(self, name: str, tensor: Any) -> None:
        visit = self.visits[key := self.open[name].pop()]
        points = points_of(name, tensor, self.n - self.first, self.tokens)
        visit.leaving = visit.leaving or PairSums(points.shape[2])
        visit.dim = visit.leaving.dim
        visit.leaving.add(self.first, _of_dim(key, points, visit.dim))
        visit.n += len(points)
        self.last = (key, tensor, _version(tensor))


def _version(tensor: Any) -> int:
    """Return how often a tensor was changed in place; of an inference tensor, which does not count, always another."""
    return next(_ANOTHER) if tensor is None or tensor.is_inference() else tensor._version


def _of_dim(name: str, points: np.ndarray, dim: int) -> np.ndarray:
    if points.shape[2] != dim:
        raise ValueError(f"`blocks`: {name} must have one number of units, got {dim} and {points.shape[2]}.")
    return points


def _reports(trace: _Trace, watched: dict[str, Any]) -> list[BlockReport]:
    """Return a report of each visit, with the prediction carried from block to block."""
    flows: dict[str, tuple[PairFlow, str]] = {}
    reports = []
    for key, visit in trace.visits.items():
        module, reason = watched[visit.module], None
        try:
            if visit.strange:
                raise NoPrediction(f"{type(module).__name__} takes {visit.strange}")
            if visit.previous not in flows and key != visit.module and next(module.parameters(), None) is not None:
                raise NoPrediction("a weight is used twice: the layers are not independent")
            flow, start = flows.get(visit.previous or "") or (PairFlow(state=_measured_pairs(visit.rows)), key)
            flows[key] = predict(module, flow, pooled=visit.pooled), start
        except NoPrediction as none:
            reason = str(none)
        sums = visit.leaving
        if sums is None:  # a model that catches an exception of its own
            raise ValueError(f"`blocks`: {key} was entered and never left.")
        state = flows[key][0].state if key in flows else None
        reports.append(
            BlockReport(
                name=key,
                kind=type(module).__name__,
                dim=visit.dim,
                cosine=sums.cosine(),
                mean_square=sums.mean_square(),
                cone_angle_deg=sums.cone_angle_deg(),
                within=sums.within() if trace.tokens == "each" else None,
                undefined=sums.undefined,
                predicted_cosine=None if state is None else _mean_over_pairs(state, visit, trace.n),
                predicted_mean_square=None if state is None else float(np.mean((state.q_u + state.q_v) / 2)),
                start=flows[key][1] if key in flows else None,
                reason=reason,
            )
        )
    return reports


def _measured_pairs(rows: list[np.ndarray]) -> PairState:
    """Return the pairs of points of different inputs, token by token, shape (pairs, tokens, tokens)."""
    if len({len(point) for batch in rows for point in batch[:1]}) > 1:
        raise NoPrediction("inputs differ in their number of tokens")
    points = np.concatenate(rows)
    mean = points.mean(axis=2)
    centred = points - mean[:, :, None]
    var = np.mean(centred**2, axis=2)
    if not np.all(var > _LOST * mean**2):
        raise NoPrediction("a point has units that are all equal")
    unit = centred / np.sqrt(var * points.shape[2])[:, :, None]
    a, b = np.triu_indices(len(points), 1)
    gram = np.einsum("atd,bsd->abts", unit, unit, optimize=True)[a, b]
    shape = gram.shape
    return PairState(
        var_u=np.broadcast_to(var[a][:, :, None], shape),
        var_v=np.broadcast_to(var[b][:, None, :], shape),
        complement=np.clip(1 - gram, 0.0, 2.0),  # outside by rounding only
        mean_u=np.broadcast_to(mean[a][:, :, None], shape),
        mean_v=np.broadcast_to(mean[b][:, None, :], shape),
    )


def _mean_over_pairs(state: PairState, visit: _Visit, n: int) -> Estimate:
    """Return the mean cosine of the pairs, with the error of taking `n_reference` inputs for all."""
    m = min(visit.n_reference, n)
    a, b = np.triu_indices(m, 1)
    cosine = np.asarray(state.cosine).reshape(len(a), -1).mean(axis=1)
    if m == n or m < 3:
        return Estimate(value=float(cosine.mean()), stderr=0.0 if m == n else float("nan"))
    mine = (np.bincount(a, cosine, m) + np.bincount(b, cosine, m)) / (m - 1)
    return Estimate(value=float(cosine.mean()), stderr=float(2 * np.std(mine, ddof=1) / np.sqrt(m)))
