"""Measured rows as a table of ratios: ours against every other route, per unit of work, with the share of the limit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from claims.bench.job import Row

__all__ = ["COLUMNS", "Line", "as_records", "lines_of", "markdown", "table_cells"]

COLUMNS = ("job", "ours", "accuracy", "times as fast as", "of the limit")
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One job.

    Attributes
    ----------
    job, unit : str
        What is done; what its amount is counted in.
    seconds : float
        Ours, for one unit.
    ratios : dict of str to float
        By route: its seconds for one unit over ours.
    accuracy : dict of str to str
        By route, ours among them.
    share : float or None
        The limit's time over ours, and `limit_of` what the limit is.
    """

    job: str
    unit: str
    seconds: float
    ratios: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, str] = field(default_factory=dict)
    share: float | None = None
    limit_of: str = ""


def as_records(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return `rows` ready for JSON: one object a row, with the keys that `lines_of` reads."""
    return [
        {
            "job": row.job,
            "unit": row.unit,
            "method": row.method,
            "work": row.work,
            "seconds": row.median,
            "rounds": len(row.seconds),
            **row.accuracy,
            **({"limit_seconds": row.limit.seconds, "limit_of": row.limit.of} if row.limit else {}),
        }
        for row in rows
    ]


def _accuracy(record: dict[str, Any]) -> str:
    if record.get("error") is not None:
        return f"{record['error']:.1e}"
    return f"z {record['z']:+.1f}" if record.get("z") is not None else ""


def lines_of(records: Iterable[dict[str, Any]]) -> list[Line]:
    """Return one line a job that has a row ``ours``, in the order of the records; others stand alone and have none."""
    jobs: dict[str, dict[str, dict[str, Any]]] = {}
    for record in records:
        jobs.setdefault(record["job"], {})[record["method"]] = record
    lines = []
    for job, rows in jobs.items():
        if "ours" not in rows:
            continue
        each = {method: row["seconds"] / row["work"] for method, row in rows.items()}
        ours = rows["ours"]
        lines.append(
            Line(
                job=job,
                unit=ours["unit"],
                seconds=each["ours"],
                ratios={method: seconds / each["ours"] for method, seconds in each.items() if method != "ours"},
                accuracy={method: shown for method, row in rows.items() if (shown := _accuracy(row))},
                share=ours["limit_seconds"] / ours["seconds"] if ours.get("limit_seconds") else None,
                limit_of=ours.get("limit_of", ""),
            )
        )
    return lines


def _duration(seconds: float) -> str:
    size, name = next(((size, name) for size, name in _UNITS if seconds >= size), _UNITS[-1])
    return f"{seconds / size:.3g} {name}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def table_cells(line: Line) -> tuple[str, ...]:
    """Return the text of `line` in the order of `COLUMNS`."""
    others = sorted(line.ratios.items(), key=lambda found: -found[1])
    beside = ", ".join(
        f"{method} {_times(ratio)}" + (f" ({line.accuracy[method]})" if method in line.accuracy else "")
        for method, ratio in others
    )
    return (
        line.job,
        f"{_duration(line.seconds)} / {line.unit}",
        line.accuracy.get("ours", ""),
        beside,
        "" if line.share is None else f"{line.share:.0%}",
    )


def markdown(lines: Sequence[Line]) -> str:
    """Return `lines` as a table in Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(table_cells, lines)]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
