"""Run an experiment on trained towers: arms times seeds, each run a folder, and one table with its errors."""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from conetheory._arrays import as_choice, as_count

from .config import TrainConfig, load_config
from .estimate import Estimate, json_number
from .experiments import Arm, Experiment

__all__ = ["ArmResult", "Comparison", "ExperimentResult", "configurations", "run_experiment"]

_LEVEL = 0.05  # of all comparisons of an experiment together
_SIGNS = {"falling": -1.0, "rising": 1.0, "positive": 1.0, "none": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """The metric of one arm.

    Attributes
    ----------
    name : str
        Name of the arm.
    values : tuple of float
        One a seed.
    mean : Estimate
        Their mean, with its standard error; NaN with one seed.
    published : float, optional
        What the paper has for it.
    """

    name: str
    values: tuple[float, ...]
    mean: Estimate
    published: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two arms that are neighbours, or one arm and 0, seed by seed.

    Attributes
    ----------
    arms : tuple of str
        The later one, and the earlier one where there is one.
    difference : Estimate
        Mean difference, with its standard error and a Student interval; all intervals of an experiment hold together
        with 95 %, as far as the differences are Gaussian.
    verdict : {"as expected", "against", "undecided", "no expectation"}
        Where the interval lies.
    """

    arms: tuple[str, ...]
    difference: Estimate
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """The table of an experiment.

    Attributes
    ----------
    experiment : Experiment
        What was asked.
    seeds : tuple of int
        Seeds of each arm.
    arms : tuple of ArmResult
        In the order of the experiment.
    comparisons : tuple of Comparison
        Of neighbours.
    """

    experiment: Experiment
    seeds: tuple[int, ...]
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the table, fit for JSON."""
        asked = self.experiment
        return {
            "experiment": asked.name,
            "preset": asked.preset,
            "question": asked.question,
            "source": asked.source,
            "metric": asked.metric,
            "change": asked.change,
            "order": asked.order,
            "seeds": list(self.seeds),
            "arms": [
                {
                    "name": arm.name,
                    "values": [json_number(v) for v in arm.values],
                    **arm.mean.as_dict(),
                    "published": arm.published,
                }
                for arm in self.arms
            ],
            "comparisons": [
                {"arms": list(each.arms), **each.difference.as_dict(), "verdict": each.verdict}
                for each in self.comparisons
            ],
        }


def configurations(experiment: Experiment, arm: Arm, seed: int, settings: Sequence[str] = ()) -> TrainConfig:
    """Return the configuration of one run: the preset, the experiment's settings, `settings`, the arm's, the seed."""
    return load_config(experiment.preset, [*experiment.settings, *settings, *arm.settings, f"seed={seed}"])


def run_experiment(
    experiment: Experiment,
    out: str | Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    settings: Sequence[str] = (),
    jobs: int = 1,
    on_run: Callable[[str, int, float], None] | None = None,
) -> ExperimentResult:
    """Train every arm with every seed, and compare neighbouring arms.

    Parameters
    ----------
    experiment : Experiment
        One of `empirical.experiments.EXPERIMENTS`, or your own.
    out : str or Path
        Folder; run ``<arm>/seed-<k>`` below it. Runs that are complete are kept, others go on from their last
        checkpoint.
    seeds : sequence of int
        Distinct; at least two for standard errors.
    settings : sequence of str
        ``key=value`` of all arms, such as ``steps=1000``; no key that an arm sets, nor the seed.
    jobs : int
        Processes, of one thread each; 1 trains in this one.
    on_run : callable, optional
        Called with the name of the arm, the seed and the metric when a run is complete.

    Returns
    -------
    ExperimentResult
        The table; the runs stay in `out`.

    Raises
    ------
    ValueError
        If a setting is unknown, out of range, or what the arms differ in, seeds repeat, or a folder holds another run.
    TrainingError
        If a run could not go on.
    """
    seeds = tuple(as_count("seeds", seed, minimum=0) for seed in seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be distinct and at least one, got {list(seeds)}.")
    as_choice("order", experiment.order, tuple(_SIGNS))
    _refuse_varied(experiment, settings)
    out = Path(out)
    places = [(arm, seed, out / arm.name / f"seed-{seed}") for arm in experiment.arms for seed in seeds]
    tasks = [(configurations(experiment, arm, seed, settings), folder) for arm, seed, folder in places]
    found: dict[tuple[str, int], float] = {}
    for (arm, seed, folder), _ in zip(places, _trained(tasks, as_count("jobs", jobs)), strict=True):
        found[arm.name, seed] = _metric(folder, experiment)
        if on_run:
            on_run(arm.name, seed, found[arm.name, seed])
    values = np.array([[found[arm.name, seed] for seed in seeds] for arm in experiment.arms])
    return ExperimentResult(
        experiment=experiment, seeds=seeds, arms=_arms(experiment, values), comparisons=_compared(experiment, values)
    )


def _refuse_varied(experiment: Experiment, settings: Sequence[str]) -> None:
    """Refuse settings that the arms, or the seed, would override without a word."""
    varied = {"seed"} | {_key(setting) for arm in experiment.arms for setting in arm.settings}
    for key in map(_key, settings):
        if key in varied:
            raise ValueError(
                f"`settings` must not set what the runs differ in, {', '.join(sorted(varied))}, got {key}."
            )


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _trained(tasks: Sequence[tuple[TrainConfig, Path]], jobs: int) -> Any:
    """Yield once for every task, in order, when its run is complete."""
    if jobs == 1:
        yield from (_train(*task) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        waiting = [pool.submit(_train, *task) for task in tasks]
        try:
            for future in waiting:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _train(config: TrainConfig, folder: Path) -> None:
    from .train import train

    train(config, folder, resume=(folder / "config.json").exists())


def _metric(folder: Path, experiment: Experiment) -> float:
    """Return the metric of a complete run, or its change since step 0."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    ends = lines[-1:] if not experiment.change else [lines[-1], lines[0]]
    for line in ends:
        if experiment.metric not in line:
            known = f"metrics.jsonl at step {line['step']}, {', '.join(line)}"
            raise ValueError(f"`metric` must be a key of {known}, got {experiment.metric!r}.")
    values = [math.nan if line[experiment.metric] is None else line[experiment.metric] for line in ends]
    return values[0] - values[1] if experiment.change else values[0]


def _arms(experiment: Experiment, values: np.ndarray) -> tuple[ArmResult, ...]:
    return tuple(
        ArmResult(name=arm.name, values=tuple(map(float, row)), mean=_mean(row), published=arm.published)
        for arm, row in zip(experiment.arms, values, strict=True)
    )


def _mean(values: np.ndarray, level: float | None = None) -> Estimate:
    """Return the mean with its standard error, and a Student interval at `level`."""
    n = len(values)
    stderr = float(np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    mean = float(np.mean(values))
    if level is None or not math.isfinite(stderr):
        return Estimate(value=mean, stderr=stderr)
    half = float(student.ppf(1 - level / 2, n - 1)) * stderr
    return Estimate(value=mean, stderr=stderr, interval=(mean - half, mean + half))


def _compared(experiment: Experiment, values: np.ndarray) -> tuple[Comparison, ...]:
    names = [arm.name for arm in experiment.arms]
    if experiment.order == "positive":
        pairs = [((name,), row) for name, row in zip(names, values, strict=True)]
    else:
        pairs = [((names[k + 1], names[k]), values[k + 1] - values[k]) for k in range(len(names) - 1)]
    sign = _SIGNS[experiment.order]
    found = []
    for arms, differences in pairs:
        difference = _mean(differences, _LEVEL / len(pairs))
        found.append(Comparison(arms=arms, difference=difference, verdict=_verdict(difference.interval, sign)))
    return tuple(found)


def _verdict(interval: tuple[float, float] | None, sign: float) -> str:
    if sign == 0:
        return "no expectation"
    if interval is None:
        return "undecided"
    low, high = sorted(sign * end for end in interval)
    return "as expected" if low > 0 else "against" if high < 0 else "undecided"
