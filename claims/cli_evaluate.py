"""``conetheory evaluate``: retrieval, linear probe, zero-shot classification and attribute arithmetic of any paired
embeddings, or of trained towers, as they are or after an intervention.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_embed import DataOptions, Step, data_options
from claims.cli_embeddings import Keys, _pairs
from claims.cli_options import Json, Seed, count_from, real_number

__all__ = ["evaluate"]

_COLUMNS = ("source", "removed", "added", "target")
_MEASURED = ("gap", "angle_deg", "rmg", "mean_cosine_matched", "alignment", "uniformity_x", "uniformity_y")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The pairs that are evaluated: before and after the intervention, which is None without one.

    `rows` are their numbers in the file.
    """

    before: Any
    after: Any
    intervention: Any
    rows: Any

    def texts(self, rows: Any) -> Any:
        """Return rows of the second modality, where they are after the intervention."""
        return rows if self.intervention is None else self.intervention.move("y", rows)


def _intervention(pairs: Any, asked: dict[str, Any]) -> Any:
    """Return the intervention asked for, fitted on `pairs`; None without one."""
    from empirical import interventions as fit

    fits = {
        "--shift": lambda lam: fit.fit_shift(pairs, lam),
        "--shift-x": lambda lam: fit.fit_shift(pairs, lam, moved="x"),
        "--to-gap": lambda gap: fit.fit_shift_to_gap(pairs, gap),
        "--centre": lambda _: fit.fit_centring(pairs),
        "--procrustes": lambda _: fit.fit_procrustes(pairs),
        "--procrustes-means": lambda _: fit.fit_procrustes(pairs, translate="means"),
        "--remove-top": lambda k: fit.fit_removal(pairs, k),
        "--remove-coordinates": lambda k: fit.fit_removal(pairs, k, kind="coordinates"),
    }
    chosen = [(name, value) for name, value in asked.items() if value is not None and value is not False]
    if len(chosen) > 1:
        raise ValueError(f"`{chosen[0][0]}` and `{chosen[1][0]}` exclude one another: one intervention at a time.")
    return fits[chosen[0][0]](chosen[0][1]) if chosen else None


def _staged(pairs: Any, asked: dict[str, Any], fit_share: float | None, seed: int) -> _Stage:
    """Return the pairs to evaluate, with the intervention fitted on the others if a share is given."""
    import numpy as np

    from empirical.interventions import select_pairs, split_rows

    if fit_share is None:
        intervention, shown, rows = _intervention(pairs, asked), pairs, np.arange(pairs.n)
    else:
        fitted_on, rows = split_rows(pairs, share=fit_share, rng=seed)
        intervention, shown = _intervention(select_pairs(pairs, fitted_on), asked), select_pairs(pairs, rows)
        if intervention is None:
            raise ValueError("`--fit-share` needs an intervention to fit, such as `--centre`.")
    after = shown if intervention is None else intervention.apply(shown)
    return _Stage(before=shown, after=after, intervention=intervention, rows=rows)


def _array(option: str, path: Path, *, ndim: tuple[int, ...]) -> Any:
    """Return the one array in the file `path`, of so many axes."""
    import numpy as np

    from empirical._formats import stored_arrays

    stored = stored_arrays(path)
    if len(stored) != 1 or stored[0].ndim not in ndim:
        shown = ", ".join(f"{array.ndim} axes" for array in stored)
        raise ValueError(f"`{option}` must be one array of {' or '.join(map(str, ndim))} axes, {path} holds {shown}.")
    return np.asarray(stored[0].read())


def _labels(path: Path, n: int) -> Any:
    """Return integers from .npy, or from the lines of a text: integers if all are, else names."""
    import numpy as np

    if path.suffix == ".npy":
        labels = _array("--labels", path, ndim=(1,))
    else:
        labels = np.array([line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()], dtype=str)
        if len(labels) and all(label.isdecimal() for label in labels):
            labels = labels.astype(np.int64)
    if len(labels) != n:
        raise ValueError(f"`--labels` must have one label a pair, {n}, got {len(labels)} in {path}.")
    return labels


def _zero_shot(stage: _Stage, labels: Any, path: Path) -> dict[str, Any]:
    """Return the zero-shot accuracy of x among the texts in a file."""
    from empirical.zero_shot import class_embeddings

    prompts = _array("--class-embeddings", path, ndim=(2, 3))
    texts = class_embeddings(prompts[:, None] if prompts.ndim == 2 else prompts)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"`--labels` must be numbers 0 … {len(texts) - 1} here, got {labels[0]!r}.")
    return _classified(stage, texts, labels)


def _classified(stage: _Stage, texts: Any, labels: Any) -> dict[str, Any]:
    """Return the zero-shot accuracy of x, and its change by the intervention, image by image."""
    from empirical.zero_shot import paired_change, zero_shot

    plain = zero_shot(stage.before.x, texts, labels)
    if stage.intervention is None:
        return plain.as_dict()
    after = zero_shot(stage.after.x, stage.texts(texts), labels)
    return after.as_dict() | {"before": plain.as_dict(), **paired_change(plain.rank == 0, after.rank == 0).as_dict()}


def _arithmetic(stage: _Stage, queries: Path, words: Path, lambdas: list[float]) -> dict[str, Any]:
    """Return the scores of the queries; an image shows what the target does if it is of its group."""
    import numpy as np

    from empirical.attribute_arithmetic import attribute_arithmetic

    columns = _query_columns(queries)
    groups = np.arange(stage.after.n) if stage.after.groups is None else stage.after.groups
    target = columns["target"]
    if np.any((target < 0) | (target >= len(groups))):
        raise ValueError(f"`--queries` must have targets in 0 … {len(groups) - 1}, {queries} has others.")
    wanted, target = np.unique(groups[target], return_inverse=True)
    return attribute_arithmetic(
        np.asarray(stage.after.x),
        stage.texts(_array("--words", words, ndim=(2,))),
        **{name: columns[name] for name in _COLUMNS[:3]},
        target=target,
        shows=groups[:, None] == wanted,
        lambdas=lambdas,
        weights=columns.get("weight"),
    ).as_dict()


def _query_columns(path: Path) -> dict[str, Any]:
    """Return the columns of the .csv of queries as arrays."""
    import numpy as np

    with path.open(encoding="utf-8-sig", newline="") as handle:
        table = list(csv.DictReader(handle))
    if not table or not set(_COLUMNS) <= set(table[0]):
        raise ValueError(f"`--queries` must be a .csv with the columns {', '.join(_COLUMNS)} and rows, see {path}.")
    try:
        columns = {name: np.array([int(row[name]) for row in table]) for name in _COLUMNS}
        weights = {"weight": np.array([float(row["weight"]) for row in table])} if "weight" in table[0] else {}
    except (TypeError, ValueError) as error:
        raise ValueError(f"`--queries` must hold numbers, {path}: {error}.") from None
    return columns | weights


def _lines(found: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a line for every estimate in `found`, however deep."""
    for name, entry in found.items():
        if isinstance(entry, dict) and "stderr" in entry and entry["value"] is not None:
            error = "" if entry["stderr"] is None else f" ± {entry['stderr']:.2g}"
            low, high = entry.get("interval") or (None, None)
            interval = "" if low is None else f"   95 % interval {low:.4f} to {high:.4f}"
            yield f"{prefix + name:44} {entry['value']:.6g}{error}{interval}"
        elif isinstance(entry, dict):
            yield from _lines(entry, f"{prefix}{name} ")
        elif name == "scores":
            yield from _lines({f"λ = {at['lambda']:g}": at for at in entry}, prefix)


def _shown(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table: what was fitted, the gap and its companions, then the tasks."""
    yield f"{found['source']}: {found['n']} pairs"
    if found["intervention"] is not None:
        yield "  ".join(f"{name} {value}" for name, value in found["intervention"].items())
    for stage in ("before", "measured"):
        if found.get(stage):
            chosen = {name: at for name, at in found[stage].items() if name in _MEASURED or name.startswith("recall")}
            yield from _lines(chosen, "before: " if stage == "before" else "")
    yield from _lines({name: found[name] for name in ("linear_probe", "zero_shot", "arithmetic") if name in found})


def evaluate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="Embeddings as of conetheory gap; or trained towers: a run folder or, with --data, a published CLIP.",
        ),
    ],
    keys: Keys = None,
    groups: Annotated[
        Path | None, typer.Option(help="Group of each pair (.npy, or one id a line), as in conetheory gap.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Class of each x: .npy of integers, or a text with one label a line.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            "--class-embeddings",
            help="Texts of the classes, .npy of shape (classes, D), or (classes, templates, D) to be averaged.",
        ),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Attribute arithmetic: .csv with the columns source, removed, added, target (rows of x, of the words, "
            "of the words, of x) and, if wanted, weight."
        ),
    ] = None,
    words: Annotated[Path | None, typer.Option(help="The words of --queries, .npy of shape (words, D).")] = None,
    lam: Annotated[
        list[float], typer.Option("--lambda", parser=real_number, help="λ of x + λ(added − removed); may be repeated.")
    ] = [1.0],  # noqa: B006 (typer copies it)
    shift: Annotated[
        float | None, typer.Option(parser=real_number, help="Shift by λ along the gap Δ: x − λΔ, y + λΔ.")
    ] = None,
    shift_x: Annotated[float | None, typer.Option(parser=real_number, help="Shift x alone: x − λΔ.")] = None,
    to_gap: Annotated[float | None, typer.Option(parser=real_number, help="Shift until the gap is this.")] = None,
    centre: Annotated[bool, typer.Option("--centre", help="Subtract the mean of each modality.")] = False,
    procrustes: Annotated[bool, typer.Option("--procrustes", help="Carry x onto y by an orthogonal map.")] = False,
    procrustes_means: Annotated[
        bool, typer.Option("--procrustes-means", help="The same after the means were brought together.")
    ] = False,
    remove_top: Annotated[
        int | None, typer.Option(parser=count_from(1), help="Remove so many principal components of all rows.")
    ] = None,
    remove_coordinates: Annotated[
        int | None, typer.Option(parser=count_from(1), help="Remove the coordinates in which the gap is largest.")
    ] = None,
    fit_share: Annotated[
        float | None,
        typer.Option(parser=real_number, help="Fit the intervention on this share of the pairs, evaluate the others."),
    ] = None,
    bootstrap: Annotated[int, typer.Option(parser=count_from(2), help="Replicates, as in conetheory gap.")] = 200,
    max_queries: Annotated[int, typer.Option(parser=count_from(2), help="Queries of retrieval, at most.")] = 5000,
    data: Annotated[
        str | None, typer.Option(help="Kind of the pairs that towers are shown, as in conetheory embed.")
    ] = None,
    settings: DataOptions = None,
    step: Step = None,
    device: Annotated[str | None, typer.Option(help="Of the towers: auto (default), cpu, cuda or cuda:1.")] = None,
    change: Annotated[
        str | None, typer.Option(help="Arithmetic of towers on scenes: the attribute that changes; colour by default.")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="And the one that stays; shape by default.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Evaluate paired embeddings: gap and retrieval; with --labels a linear probe of x, with --class-embeddings
    zero-shot classification, with --queries attribute arithmetic. An intervention comes first, if one is named.
    Towers are asked all of it, as far as the labels and prompts of their pairs go.
    """
    asked = {"--shift": shift, "--shift-x": shift_x, "--to-gap": to_gap, "--centre": centre}
    asked |= {"--procrustes": procrustes, "--procrustes-means": procrustes_means}
    asked |= {"--remove-top": remove_top, "--remove-coordinates": remove_coordinates}
    limits = {"bootstrap": bootstrap, "max_queries": max_queries}
    of_files = {"--keys": keys, "--groups": groups, "--labels": labels, "--class-embeddings": classes}
    of_files |= {"--queries": queries, "--words": words}
    if data is not None or _is_run(files):
        _refuse(of_files, "belongs to files of embeddings: towers bring their own")
        from claims.cli_evaluate_run import RunOptions, evaluate_run

        if len(files) > 1:
            raise ValueError(f"`FILES` must be one run or model, got {len(files)}.")
        how = RunOptions(
            data=data,
            settings=data_options(settings),
            step=step,
            device=device or "auto",
            change=change or "colour",
            keep=keep or "shape",
            asked=asked,
            fit_share=fit_share,
            lambdas=lam,
            measured=limits,
            seed=seed,
        )
        _say(evaluate_run(str(files[0]), how), as_json)
        return
    of_towers = {"--set": settings, "--step": step, "--device": device, "--change": change, "--keep": keep}
    _refuse(of_towers, "belongs to trained towers, and these are files of embeddings")
    if classes is not None and labels is None:
        raise ValueError("`--class-embeddings` needs `--labels`, the class of each x.")
    if (queries is None) != (words is None):
        raise ValueError("`--queries` and `--words` need one another.")
    if queries is not None and fit_share is not None:
        raise ValueError("`--queries` and `--fit-share` exclude one another: queries name rows of the whole file.")
    pairs = _pairs(files, keys, groups)
    names = None if labels is None else _labels(labels, pairs.n)
    stage = _staged(pairs, asked, fit_share, seed)
    found = _measured(stage, **limits, seed=seed)
    if names is not None:
        found |= _with_labels(stage, names[stage.rows], classes, seed)
    if queries is not None and words is not None:
        found["arithmetic"] = _arithmetic(stage, queries, words, lam)
    _say(found, as_json)


def _is_run(files: list[Path]) -> bool:
    """Whether the one thing named is a folder with a configuration; a folder of clip-retrieval has none."""
    return len(files) == 1 and (files[0] / "config.json").is_file()


def _refuse(options: dict[str, Any], why: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"`{name}` {why}; got {str(value)!r}.")


def _say(found: dict[str, Any], as_json: bool) -> None:
    for line in [json.dumps(found)] if as_json else _shown(found):
        typer.echo(line)


def _measured(stage: _Stage, *, bootstrap: int, max_queries: int, seed: int) -> dict[str, Any]:
    """Return what was fitted and the report of ``conetheory gap``, after the intervention and before it."""
    from claims.console import Progress
    from empirical.gap_report import measure_gap

    fitted = None if stage.intervention is None else stage.intervention.fitted
    found = {"schema": SCHEMA, "source": stage.before.source, "n": stage.before.n, "intervention": fitted}
    with Progress(1) as progress:
        how = {"rng": seed, "n_bootstrap": bootstrap, "max_queries": max_queries, "progress": progress.stage}
        if fitted is not None:
            found["before"] = measure_gap(stage.before, **how).as_dict()
        return found | {"measured": measure_gap(stage.after, **how).as_dict()}


def _with_labels(stage: _Stage, labels: Any, classes: Path | None, seed: int) -> dict[str, Any]:
    """Return the linear probe of x and, with texts of the classes, zero-shot classification."""
    import numpy as np

    from empirical.linear_probe import linear_probe

    found: dict[str, Any] = {"linear_probe": linear_probe(np.asarray(stage.after.x), labels, rng=seed).as_dict()}
    if classes is not None:
        found["zero_shot"] = _zero_shot(stage, labels, classes)
    return found
