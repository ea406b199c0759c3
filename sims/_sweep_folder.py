"""The folder of a sweep: a description, and blocks in partitioned parquet, each once; readable at every moment."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conetheory._files import write_atomically
from conetheory._provenance import provenance
from sims._sweep_points import Point, point_digest, point_json
from sims._sweep_tasks import Block, Task

__all__ = ["Rows", "SweepFolder", "read_description", "read_rows"]

SCHEMA = 1
FLUSH_BLOCKS = 4096  # blocks that wait for the next flush, at most
_SAME = ("schema", "sampler", "seed", "block_trials")
_COLUMNS = ("block", "quantity", "n", "total", "spread")

Rows = dict[str, np.ndarray]


def parquet() -> tuple[Any, Any]:
    """Return pyarrow and its parquet module, or say how to get them."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "a sweep is stored as parquet, which needs pyarrow: pip install 'conetheory[cluster]'"
        ) from error
    return pyarrow, pyarrow.parquet


def read_description(path: Path) -> dict[str, Any]:
    """Return ``sweep.json`` of a folder; ValueError if it is missing or not ours."""
    file = path / "sweep.json"
    if not file.exists():
        raise ValueError(f"`out` {path} holds no sweep: {file} is missing.")
    found: Any = None
    try:
        found = json.loads(file.read_text())
        whole = found["schema"] == SCHEMA and all(isinstance(point, dict) for point in found["points"])
        whole = whole and {*_SAME, "n_blocks", "code"} <= set(found)
    except (json.JSONDecodeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ValueError(
            f"`out` {path} holds a sweep.json that is not ours, or of another version; name an empty folder."
        )
    return found


def _partition(path: Path, point: Point) -> Path:
    return path / "blocks" / f"point={point_digest(point)}"


def read_rows(path: Path, point: Point) -> Rows:
    """Return the rows of all blocks of `point`, one a block and quantity, in the order of the blocks.

    A row that is there twice is returned once; two that differ are an error, as is a file that cannot be read.
    """
    pyarrow, pq = parquet()
    tables = []
    for file in sorted(_partition(path, point).glob("part-*.parquet")):
        try:
            tables.append(pq.ParquetFile(file).read(columns=list(_COLUMNS)))
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"`out` {file} cannot be read ({error}); without it its blocks are done anew.") from error
    if not tables:
        return {name: np.empty(0, dtype=dtype) for name, dtype in zip(_COLUMNS, "qUqdd", strict=True)}
    whole = pyarrow.concat_tables(tables)
    rows = {name: whole.column(name).to_numpy() for name in _COLUMNS if name != "quantity"}
    rows["quantity"] = whole.column("quantity").to_numpy().astype(str)
    return _each_once(rows, path, point)


def _each_once(rows: Rows, path: Path, point: Point) -> Rows:
    order = np.argsort(rows["block"], kind="stable")
    block, quantity = rows["block"][order], rows["quantity"][order]
    names, code = np.unique(quantity, return_inverse=True)
    first, inverse = np.unique(block * len(names) + code, return_index=True, return_inverse=True)[1:]
    rows = {name: column[order] for name, column in rows.items()}
    if len(first) == len(order):
        return rows
    for name in ("n", "total", "spread"):
        if not np.array_equal(rows[name], rows[name][first][inverse]):
            raise ValueError(
                f"`out` {path} holds a block of the point {point_json(point)} twice, with different {name}."
            )
    return {name: column[np.sort(first)] for name, column in rows.items()}


def _lock(path: Path) -> Any:
    """Return an open file that no other process holds; the system gives it free however this process ends."""
    file = (path / ".lock").open("w")
    try:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
    except OSError as error:
        file.close()
        raise ValueError(f"`out` {path} is in use by another process that runs a sweep there.") from error
    return file


def _environment() -> dict[str, Any]:
    found = provenance(("numpy", "numba"))
    return found.pop("libraries") | found


class SweepFolder:
    """A folder open for writing by this process alone.

    A block is there after the flush that writes it: after `FLUSH_BLOCKS` blocks, after `flush_seconds`, and at the end.

    Parameters
    ----------
    path : Path
        The folder; made where it is missing, taken up where it holds the same sweep, perhaps of fewer points or blocks.
    description : dict
        What ``sweep.json`` is to hold: sampler, seed, block_trials, n_blocks, points, code.
    flush_seconds : float
        Seconds between flushes, at most.
    """

    def __init__(self, path: Path, description: dict[str, Any], *, flush_seconds: float) -> None:
        parquet()
        self.path, self._points, self._patience = path, description["points"], flush_seconds
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(f"`out` must be a folder, and {error.filename} is a file.") from error
        self._lock = _lock(path)
        try:
            self._open(description)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, new: dict[str, Any]) -> None:
        merged = dict(new) | {"schema": SCHEMA, "runs": [_environment()]}
        if (self.path / "sweep.json").exists():
            old = read_description(self.path)
            self._refuse_another(old, merged)
            known = {point_digest(point) for point in self._points}
            others = [point for point in old["points"] if point_digest(point) not in known]
            merged["points"] = [*self._points, *others]
            merged["n_blocks"] = max(old["n_blocks"], new["n_blocks"])
            merged["runs"] = [*old.get("runs", []), *merged["runs"]]
        elif (self.path / "blocks").exists():
            raise ValueError(f"`out` {self.path} holds blocks without a sweep.json; name an empty folder.")
        for left in self.path.glob("blocks/*/.part-*.tmp"):  # a process was killed while it wrote it
            left.unlink()
        self._write_description(merged)
        self._done = [np.zeros(merged["n_blocks"], dtype=bool) for _ in self._points]
        for done, point in zip(self._done, self._points, strict=True):
            done[read_rows(self.path, point)["block"]] = True
        self.n_kept = sum(int(done[: new["n_blocks"]].sum()) for done in self._done)
        self._waiting: dict[int, list[tuple[int, Block]]] = {}
        self._n_waiting, self._due = 0, time.monotonic() + self._patience

    def _refuse_another(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        found, asked = ({**{key: d[key] for key in _SAME}, **d["code"]} for d in (old, new))
        different = [
            f"{key} {found.get(key)!r} instead of {value!r}" for key, value in asked.items() if found.get(key) != value
        ]
        if different:
            raise ValueError(f"`out` {self.path} holds another sweep: {', '.join(different)}; name an empty folder.")

    def _write_description(self, description: dict[str, Any]) -> None:
        content = json.dumps(description, indent=1) + "\n"
        write_atomically(self.path / "sweep.json", content)

    def missing(self, n_blocks: int) -> Iterator[Task]:
        """Yield what is to be done, point by point."""
        for point, done in enumerate(self._done):
            for block in range(n_blocks):
                if not done[block]:
                    yield Task(point, block)

    def add(self, task: Task, block: Block) -> bool:
        """Take a block for the next flush; False if it is there already."""
        if self._done[task.point][task.block]:
            return False
        self._done[task.point][task.block] = True
        self._waiting.setdefault(task.point, []).append((task.block, block))
        self._n_waiting += 1
        if self._n_waiting >= FLUSH_BLOCKS:
            self.flush()
        return True

    def flush_if_due(self) -> float:
        """Flush if it is time; return the seconds until the next."""
        if time.monotonic() >= self._due:
            self.flush()
        return max(self._due - time.monotonic(), 0.0)

    def flush(self) -> None:
        """Write what waits: one new file for each point that has some."""
        while self._waiting:
            point, blocks = next(iter(self._waiting.items()))
            self._write_part(point, sorted(blocks))
            del self._waiting[point]
            self._n_waiting -= len(blocks)
        self._due = time.monotonic() + self._patience

    def _write_part(self, point: int, blocks: Sequence[tuple[int, Block]]) -> None:
        pyarrow, pq = parquet()
        rows = [(number, *row) for number, block in blocks for row in block.rows]
        columns = dict(zip(_COLUMNS, zip(*rows, strict=True), strict=True))
        parameters = {
            name: [float(value) if isinstance(value, int) and not isinstance(value, bool) else value] * len(rows)
            for name, value in self._points[point].items()
        }  # numbers are doubles, so that every file has the same columns
        folder = _partition(self.path, self._points[point])
        folder.mkdir(parents=True, exist_ok=True)
        number = max((int(file.stem[5:]) for file in folder.glob("part-*.parquet")), default=-1) + 1
        table = pyarrow.table({**parameters, **columns})
        write_atomically(folder / f"part-{number:06}.parquet", lambda file: pq.write_table(table, file))

    def close(self) -> None:
        """Flush, and let others have the folder."""
        try:
            self.flush()
        finally:
            self._lock.close()
