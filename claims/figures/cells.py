"""The cells of a verdict as columns: what every figure draws from."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["Cells", "cells_at"]

_COLUMNS = ("predicted", "measured", "stderr", "low", "high", "tolerance")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The cells of a verdict as columns of shape (cells,); NaN where the verdict has no number.

    Attributes
    ----------
    id : str
        The claim's.
    at : list of mapping
        Coordinates of each cell.
    predicted, measured, stderr, low, high, tolerance : ndarray
        As in the verdict; `low` and `high` bound the confidence interval.
    relation : str
        equal, at_least or at_most.
    source : str
        ``sampled``, ``computed`` or ``data``.
    """

    id: str
    at: list[Mapping[str, Any]]
    predicted: np.ndarray
    measured: np.ndarray
    stderr: np.ndarray
    low: np.ndarray
    high: np.ndarray
    tolerance: np.ndarray
    relation: str
    source: str

    @classmethod
    def of(cls, verdict: Mapping[str, Any]) -> "Cells":
        """Return the cells of `verdict`; a verdict without cells is one cell."""
        rows = verdict.get("cells") or [verdict]

        def column(values: Sequence[float | None]) -> np.ndarray:
            return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

        intervals = [row.get("interval") or (None, None) for row in rows]
        return cls(
            id=verdict["id"],
            at=[row.get("at", {}) for row in rows],
            predicted=column([row["predicted"] for row in rows]),
            measured=column([row["measured"] for row in rows]),
            stderr=column([row["stderr"] for row in rows]),
            low=column([low for low, _ in intervals]),
            high=column([high for _, high in intervals]),
            tolerance=column([row.get("tolerance", verdict.get("tolerance", 0.0)) for row in rows]),
            relation=verdict["relation"],
            source=verdict.get("source", "sampled"),
        )

    def subset(self, chosen: np.ndarray) -> "Cells":
        """Return the cells that `chosen`, a boolean array or indices, selects."""
        at = [self.at[i] for i in np.arange(len(self.at))[chosen]]
        return replace(self, at=at, **{name: getattr(self, name)[chosen] for name in _COLUMNS})

    def varying(self) -> list[str]:
        """Names of the coordinates that are not the same in all cells."""
        names = dict.fromkeys(name for at in self.at for name in at)
        return [name for name in names if len({at.get(name) for at in self.at}) > 1]

    def coordinate(self, name: str) -> np.ndarray | None:
        """Return the coordinate `name` of each cell; None where it is not a number in every cell."""
        values = [at.get(name) for at in self.at]
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            return None
        return np.array(values, dtype=np.float64)


def cells_at(
    verdicts: Iterable[Mapping[str, Any]], prefix: str, *names: str
) -> Iterator[tuple[Cells, dict[str, np.ndarray]]]:
    """Yield the cells of each verdict whose id starts with `prefix`, with their coordinates `names`.

    Left out are verdicts of which a cell lacks one of `names`, and planted falsehoods.
    """
    for verdict in verdicts:
        if verdict["id"].startswith(prefix) and "!" not in verdict["id"]:
            cells = Cells.of(verdict)
            columns = {name: column for name in names if (column := cells.coordinate(name)) is not None}
            if len(columns) == len(names):
                yield cells, columns
