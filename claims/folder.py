"""The result folder of a verification run: readable at every moment, resumable, never half-written."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import conetheory
from claims import SCHEMA
from claims.verify import Plan
from conetheory._files import write_atomically
from conetheory._provenance import commit_of, provenance

__all__ = ["ResultFolder", "environment", "summarise"]

_LIBRARIES = ("numpy", "scipy", "numba", "scikit-learn", "matplotlib", "python-flint", "mpmath", "torch")


def environment() -> dict[str, Any]:
    """Return what a run depends on: versions, machine, code."""
    return {
        "conetheory": conetheory.__version__,
        "commit": commit_of(Path(__file__).parents[1]),
        **provenance(_LIBRARIES),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def summarise(run_plan: Plan, verdicts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a run: what it was asked, and how many verdicts of each kind there are."""
    surprising = [verdict["id"] for verdict in verdicts if not verdict["as_expected"]]
    return {
        "schema": SCHEMA,
        "conetheory": conetheory.__version__,
        "seed": run_plan.seed,
        "level": run_plan.level,
        "planted": run_plan.planted,
        "claims": len(run_plan.ids),
        "decided": len(verdicts),
        "complete": len(verdicts) == len(run_plan.ids),
        "as_expected": len(verdicts) - len(surprising),
        "not_as_expected": surprising,
        "skipped": list(run_plan.skipped),
        **{
            outcome: sum(v["verdict"] == outcome for v in verdicts) for outcome in ("supported", "refuted", "undecided")
        },
    }


_SAME = ("schema", "conetheory", "seed", "level", "planted")


class ResultFolder:
    """A folder with ``verdicts.jsonl``, ``summary.json`` and ``environment.json``.

    Opening a folder that holds a run takes up that run; one that holds a run of another version, seed or level is
    refused.

    Parameters
    ----------
    path : Path
        The folder; it is made where it is missing.
    run_plan : Plan
        What is to be decided.

    Raises
    ------
    ValueError
        If the folder holds another kind of run, or is not one of ours.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, run_plan: Plan) -> None:
        self.path, self._plan = path, run_plan
        self._order = {name: i for i, name in enumerate(run_plan.ids)}
        path.mkdir(parents=True, exist_ok=True)
        self._check()
        self.verdicts = self._read()
        self._lines = path / "verdicts.jsonl"
        self._rewrite()
        self._summary()
        if not (path / "environment.json").exists():
            write_atomically(path / "environment.json", json.dumps(environment(), indent=2) + "\n")

    def _check(self) -> None:
        """Refuse a folder whose summary disagrees with the plan."""
        file = self.path / "summary.json"
        if not file.exists():
            if (self.path / "verdicts.jsonl").exists():
                raise ValueError(f"`--out` {self.path} holds verdicts without a summary.json; name an empty folder.")
            return
        try:
            old = json.loads(file.read_text())
            found = {key: old.get(key) for key in _SAME}
        except (json.JSONDecodeError, AttributeError):
            raise ValueError(
                f"`--out` {self.path} holds a summary.json that is not ours; name an empty folder."
            ) from None
        new = summarise(self._plan, [])
        different = [f"{key} {found[key]!r} instead of {new[key]!r}" for key in _SAME if found[key] != new[key]]
        if different:
            raise ValueError(f"`--out` {self.path} holds another run: {', '.join(different)}; name an empty folder.")

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the verdicts that are there; a last line cut off by a crash is dropped."""
        file = self.path / "verdicts.jsonl"
        found: dict[str, dict[str, Any]] = {}
        lines = file.read_text().splitlines() if file.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                verdict = json.loads(line)
                found[verdict["id"]] = verdict
            except (json.JSONDecodeError, KeyError, TypeError):
                if number < len(lines):
                    raise ValueError(f"`--out` {file} line {number} is not a verdict: {line[:60]!r}.") from None
        return found

    def _mine(self) -> list[dict[str, Any]]:
        """Return this plan's verdicts in the order of the ledger."""
        return [self.verdicts[name] for name in self._order if name in self.verdicts]

    def _rewrite(self) -> None:
        others = [verdict for name, verdict in self.verdicts.items() if name not in self._order]
        write_atomically(self._lines, "".join(json.dumps(verdict) + "\n" for verdict in [*self._mine(), *others]))

    def _summary(self) -> None:
        write_atomically(self.path / "summary.json", json.dumps(summarise(self._plan, self._mine()), indent=2) + "\n")

    def add(self, verdict: dict[str, Any]) -> None:
        """Append `verdict` to ``verdicts.jsonl``; where that fails, the file is left as it was."""
        size = self._lines.stat().st_size
        try:
            with self._lines.open("a") as file:
                file.write(json.dumps(verdict) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            os.truncate(self._lines, size)
            if isinstance(error, OSError):
                error.filename = str(self._lines)
            raise
        self.verdicts[verdict["id"]] = verdict
        self._summary()

    def close(self) -> dict[str, Any]:
        """Put the verdicts in the order of the ledger, whatever the order in which they came; return the summary."""
        self._rewrite()
        self._summary()
        return summarise(self._plan, self._mine())
