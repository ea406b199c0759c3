"""The folder of a training run: readable at every moment, resumable, never half-written.

=============================  ========================================================================
``config.json``                the configuration, whole
``environment.json``           versions, machine, code; one entry for each time that the run was started
``tokens.json``                how captions become ids
``pairs.json``                 the pairs, as their source describes them
``metrics.jsonl``              a line for each measurement
``checkpoints/step-*``         safetensors: model, objective, optimiser
``embeddings/step-*.npy``      held-out pairs, shape (2, n, d), at the start and at the end
``result.json``                there once the run is complete
=============================  ========================================================================
"""

import errno
import hashlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from conetheory._files import replacing, write_atomically
from conetheory._provenance import commit_of, provenance

from .checkpoints import Tensors, checkpoint_step

__all__ = ["RunFolder", "environment", "json_line", "last_checkpoint"]

_LIBRARIES = ("conetheory", "torch", "transformers", "numpy", "safetensors")
_FREE = ("device", "threads", "log_every", "checkpoint_every", "keep", "tensorboard", "data.workers", "data.loader")
_BITS = ("python", "platform", "libraries", "device", "threads", "processes", "code")
_CHECKPOINT = re.compile(r"step-\d{8,}\.safetensors")


def json_line(values: dict[str, Any], *, indent: int | None = None) -> str:
    """Return JSON, with null where a number is not finite.

    Examples
    --------
    >>> json_line({"gap_angle": float("nan"), "loss": 1.5})
    '{"gap_angle": null, "loss": 1.5}'
    """
    return json.dumps(_finite(values), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def environment(device: str, threads: int, processes: int) -> dict[str, Any]:
    """Return what a run depends on besides its configuration: versions, machine, commit, and a hash of the code."""
    root = Path(__file__).parents[1]
    code = hashlib.sha256()
    for file in sorted(file for name in ("conetheory", "empirical") for file in (root / name).rglob("*.py")):
        code.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return {
        **provenance(_LIBRARIES),
        "device": device,
        "threads": threads,
        "processes": processes,
        "commit": commit_of(root),
        "code": code.hexdigest(),
    }


def last_checkpoint(path: Path) -> Path | None:
    """Return the checkpoint of the highest step in a run folder, or None."""
    return (_checkpoints(path) or [None])[-1]


def _checkpoints(path: Path) -> list[Path]:
    """Return the checkpoints of a run folder, in the order of their steps."""
    found = (path / "checkpoints").glob("step-*.safetensors")
    return sorted((each for each in found if _CHECKPOINT.fullmatch(each.name)), key=checkpoint_step)


class RunFolder:
    """A folder open for writing by this process alone.

    Parameters
    ----------
    path : Path
        Made where it is missing.
    config : dict
        What ``config.json`` holds.
    resume : bool
        Go on with the run that is there; without one, start it. The configuration must be the same, but for the device,
        how pairs are read, and how often what is measured and kept; more steps are another run, with other schedules.
    keep : int
        Checkpoints kept, the last ones; 0 for all.

    Raises
    ------
    ValueError
        If the folder holds a run and `resume` is false, or another run, or is in use.
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool, keep: int = 0) -> None:
        self.path, self._keep = path, keep
        if path.exists() and not path.is_dir():
            raise ValueError(f"`folder` must be a folder, and {path} is a file.")
        path.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        try:
            self._take_up(config, resume)
        except BaseException:
            self._lock.close()
            raise

    def _locked(self) -> Any:
        """Return an open file that no other process has locked; the system frees it however this process ends."""
        file = (self.path / ".lock").open("w")
        try:
            import fcntl
        except ImportError:  # a system without: then two runs in one folder go unnoticed
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise ValueError(f"`folder` {self.path} is in use by another process that trains there.") from None
        return file

    def _take_up(self, config: dict[str, Any], resume: bool) -> None:
        there = self.path / "config.json"
        if there.exists():
            if not resume:
                raise ValueError(f"`folder` {self.path} holds a run: resume it, or name an empty folder.")
            self._refuse_another(config, self.read("config.json"))
        elif (self.path / "metrics.jsonl").exists() or last_checkpoint(self.path):
            raise ValueError(f"`folder` {self.path} holds a run without a config.json; name an empty folder.")
        for name in ("checkpoints", "embeddings"):
            (self.path / name).mkdir(exist_ok=True)
        for left in (*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")):  # of a process that was killed
            left.unlink()
        last = last_checkpoint(self.path)
        self.step = checkpoint_step(last) if last else 0
        self._keep_metrics(self.step if last else -1)
        self.write("config.json", config)

    def _refuse_another(self, asked: dict[str, Any], found: dict[str, Any]) -> None:
        there, wanted = _flat(found), _flat(asked)
        names = [n for n in {**wanted, **there} if n not in _FREE and there.get(n) != wanted.get(n)]
        other = [f"{name} {there.get(name)!r} instead of {wanted.get(name)!r}" for name in names]
        if other:
            raise ValueError(f"`folder` {self.path} holds another run: {', '.join(other)}; name an empty folder.")

    def _keep_metrics(self, step: int) -> None:
        """Drop the lines after `step`, which will be measured again, and one that was cut."""
        file = self.path / "metrics.jsonl"
        kept = []
        for line in file.read_text(errors="replace").splitlines() if file.exists() else []:
            try:
                if json.loads(line)["step"] > step:
                    break
            except (json.JSONDecodeError, KeyError, TypeError):
                break
            kept.append(line + "\n")
        write_atomically(file, "".join(kept))

    def read(self, name: str) -> dict[str, Any]:
        """Return an object from a JSON file of the folder; ValueError if there is none in it."""
        try:
            found = json.loads((self.path / name).read_text())
        except (json.JSONDecodeError, UnicodeDecodeError):
            found = None
        if not isinstance(found, dict):
            raise ValueError(f"`folder` {self.path} holds a {name} that is not JSON of ours; name an empty folder.")
        return found

    def write(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file of the folder."""
        write_atomically(self.path / name, json_line(values, indent=1) + "\n")

    def write_once(self, name: str, values: dict[str, Any]) -> None:
        """Write a JSON file of the folder; ValueError if it is there and says something else."""
        if (self.path / name).exists() and self.read(name) != json.loads(json_line(values)):
            raise ValueError(f"`folder` {self.path} was begun with other data, as {name} says; name an empty folder.")
        self.write(name, values)

    def started(self, found: dict[str, Any]) -> None:
        """Add an entry to ``environment.json``."""
        known = (self.path / "environment.json").exists()
        before = self.read("environment.json").get("runs", []) if known else []
        self.write("environment.json", {"runs": [*before, {**found, "from_step": self.step}]})

    def repeats(self) -> str:
        """Return ``bits`` if every start was on a processor, and the same in all that sums depend on."""
        runs = [{name: run.get(name) for name in _BITS} for run in self.read("environment.json")["runs"]]
        return "bits" if all(run == runs[0] and run["device"] == "cpu" for run in runs) else "distribution"

    def log(self, values: dict[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``; it is on the disk afterwards."""
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a") as file:
                file.write(json_line(values) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = str(path)
            raise

    def last_metrics(self) -> dict[str, Any]:
        """Return the last line of ``metrics.jsonl``."""
        lines = (self.path / "metrics.jsonl").read_text().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def save(self, step: int, tensors: Tensors) -> Path:
        """Write a checkpoint, and only then remove those that are no longer to be kept."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self.path / "checkpoints" / f"step-{step:08}.safetensors"
        with replacing(path) as partial:
            try:
                save_file(tensors, partial, metadata={"step": str(step)})
            except SafetensorError as error:
                raise OSError(errno.EIO, str(error)) from error
        self.step = step
        for each in _checkpoints(self.path)[: -self._keep] if self._keep else []:
            each.unlink()
        return path

    def save_embeddings(self, step: int, pairs: Float[np.ndarray, "2 n d"]) -> None:
        """Write held-out embeddings as ``conetheory gap`` reads them."""
        path = self.path / "embeddings" / f"step-{step:08}.npy"
        write_atomically(path, lambda file: np.save(file, pairs, allow_pickle=False))

    def close(self) -> None:
        """Let others have the folder."""
        self._lock.close()


def _flat(table: dict[str, Any], start: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        inner = _flat(value, f"{start}{name}.") if isinstance(value, dict) else {start + name: value}
        found |= inner
    return found
