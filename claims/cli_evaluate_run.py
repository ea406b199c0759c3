"""``conetheory evaluate RUN``: trained towers on pairs whose content is known, as they are or after an intervention."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from claims.cli_embed import needing_torch
from claims.cli_evaluate import _classified, _measured, _Stage, _staged

__all__ = ["RunOptions", "evaluate_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What is evaluated, and how.

    Attributes
    ----------
    data, settings : str or None, dict
        Kind of the pairs and its options; None for the run's own held-out pairs.
    step, device : int or None, str
        Checkpoint of the run, and where the towers run.
    change, keep : str
        Attributes of the arithmetic on scenes.
    asked, fit_share : dict, float or None
        The intervention, and the share of the pairs that it is fitted on.
    lambdas : list of float
        Factors of the arithmetic.
    measured : dict
        Options of the report of the gap.
    seed : int
        Of all that is random.
    """

    data: str | None
    settings: dict[str, Any]
    step: int | None
    device: str
    change: str
    keep: str
    asked: dict[str, Any]
    fit_share: float | None
    lambdas: list[float]
    measured: dict[str, int]
    seed: int


def evaluate_run(model: str, how: RunOptions) -> dict[str, Any]:
    """Return gap and retrieval, and by task zero-shot accuracy, linear probe and arithmetic, where the pairs allow it;
    with an intervention also each before it.
    """
    trained, embedding = needing_torch()
    from empirical.embeddings import load_pairs
    from empirical.labelled_tasks import arithmetic_task, class_tasks

    with TemporaryDirectory() as folder, trained.open_towers(model, step=how.step, device=how.device) as towers:
        source, chosen = embedding.choose_pairs(towers, how.data, how.settings)
        made = embedding.embed_pairs(towers, source, chosen, Path(folder) / "pairs.npy")
        place = "" if towers.step is None else f", step {towers.step}"
        pairs = replace(load_pairs(made.path), source=f"{model}{place}, {source.name}")
        stage = _staged(pairs, how.asked, how.fit_share, how.seed)
        found = _measured(stage, **how.measured, seed=how.seed) | {"model": model, "step": towers.step}
        found |= {"data": source.describe(), "unreadable": len(made.unreadable)}
        found |= _on_classes(stage, class_tasks(towers, source, made.rows[stage.rows]), how.seed)
        queries = arithmetic_task(towers, source, change=how.change, keep=how.keep)
        if queries is not None:
            found["arithmetic"] = _edited(stage, queries, how)
    return found


def _on_classes(stage: _Stage, tasks: tuple[Any, ...], seed: int) -> dict[str, Any]:
    """Return zero-shot accuracy and linear probe of every task, on the pairs that have a class."""
    zero_shot, probes = {}, {}
    for task in tasks:
        place = (task.labels >= 0).nonzero()[0]
        if task.texts is not None and len(place) > 1:
            zero_shot[task.name] = _classified(_those(stage, place), task.texts, task.labels[place])
        if (probe := _probed(stage, task.labels, seed)) is not None:
            probes[task.name] = probe
    return {name: found for name, found in (("zero_shot", zero_shot), ("linear_probe", probes)) if found}


def _those(stage: _Stage, place: Any) -> _Stage:
    """Return the stage with these pairs alone."""
    from empirical.interventions import select_pairs

    before, after = (select_pairs(pairs, place) for pairs in (stage.before, stage.after))
    return replace(stage, before=before, after=after, rows=stage.rows[place])


def _probed(stage: _Stage, labels: Any, seed: int) -> dict[str, Any] | None:
    """Return the linear probe of the images whose class has another, to be held out; None with fewer than two such
    classes.
    """
    import numpy as np

    from empirical.linear_probe import linear_probe

    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    place = np.flatnonzero(np.isin(labels, names[counts > 1]))
    if np.count_nonzero(counts > 1) < 2:
        return None
    after, before = (
        linear_probe(pairs.x[place], labels[place], rng=seed).as_dict() for pairs in (stage.after, stage.before)
    )
    return after if stage.intervention is None else after | {"before": before}


def _edited(stage: _Stage, task: Any, how: RunOptions) -> dict[str, Any]:
    """Return the scores of attribute arithmetic: the images move as the first modality, the words as the second."""
    from empirical.attribute_arithmetic import attribute_arithmetic

    options = task.asked() | {"lambdas": how.lambdas}
    plain = attribute_arithmetic(task.images, task.words, **options).as_dict()
    task_is = {"change": how.change, "keep": how.keep}
    if stage.intervention is None:
        return task_is | plain
    images, words = stage.intervention.move("x", task.images), stage.texts(task.words)
    return task_is | attribute_arithmetic(images, words, **options).as_dict() | {"before": plain}
