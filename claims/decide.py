"""The decision: predicted against measured, at a fixed level, with looks that are paid for."""

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from math import inf
from pathlib import Path
from threading import Lock

import numpy as np
from threadpoolctl import threadpool_limits

from claims.ledger import Cell, Claim, Outcome, Relation, Verdict
from claims.measure import Computed, FromData, Joint, Mean, PerCell, Reading, Tally
from sims.intervals import look_level

__all__ = ["LEVEL", "LEVELS", "compare", "decide"]

LEVEL = 1e-9  # error probability of a claim: a thousand claims stay under 1e-6, and adding one changes no other
LEVELS = ("quick", "full")
_ONE_AT_A_TIME = Lock()  # the limit on threads is the whole process's: claims in threads must not lift each other's


def compare(
    interval: tuple[float, float], predicted: float, *, relation: Relation, tolerance: float, resolution: float
) -> Outcome:
    """Return the verdict on one number.

    ``equal``: refuted if the whole interval lies further than `tolerance` from `predicted`, supported if all of it
    lies within `tolerance` + `resolution`, else undecided. ``at_least``: refuted if the whole interval lies below
    `predicted` − `tolerance`, supported if all of it lies above `predicted` − `tolerance` − `resolution`.
    ``at_most``: the mirror image.

    Parameters
    ----------
    interval : tuple of float
        Where the measured number lies.
    predicted : float
        Theory.
    relation : str
        equal, at_least or at_most.
    tolerance : float
        Deviation that the statement allows.
    resolution : float
        Deviation that the measurement must see.

    Examples
    --------
    >>> compare((0.49, 0.51), 0.5, relation="equal", tolerance=0.0, resolution=0.02)
    'supported'
    >>> compare((0.40, 0.60), 0.5, relation="equal", tolerance=0.0, resolution=0.02)
    'undecided'
    >>> compare((0.52, 0.60), 0.5, relation="equal", tolerance=0.0, resolution=0.02)
    'refuted'
    """
    low, high = interval
    if relation == "at_most":
        low, high, predicted = -high, -low, -predicted
    if high < predicted - tolerance or (relation == "equal" and low > predicted + tolerance):
        return "refuted"
    reach = tolerance + resolution
    if low >= predicted - reach and (relation != "equal" or high <= predicted + reach):
        return "supported"
    return "undecided"


def _stream(seed: int, claim_id: str, look: int, cell: int) -> np.random.Generator:
    """Return the stream of one look at one cell: it depends on the seed, the claim's id, the look and the cell, and
    on nothing else.
    """
    words = np.frombuffer(sha256(claim_id.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*map(int, words), look, cell)))


def _columns(claim: Claim) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return predicted, tolerance and resolution, each of shape (cells,)."""
    cells = (len(claim.grid),)
    predicted = np.asarray(claim.predict(), dtype=np.float64)
    if predicted.size != cells[0]:
        raise ValueError(f"{claim.id} predicts {predicted.size} numbers for {cells[0]} cells.")
    tolerance, resolution = (
        np.broadcast_to(np.asarray(x, dtype=np.float64), cells) for x in (claim.tolerance, claim.resolution)
    )
    return predicted.reshape(cells), tolerance, resolution


def _totals(first: int, budget: int) -> Iterator[int]:
    """Yield the number of trials at each look: doubling from `first`, ending at `budget`."""
    total = min(first, budget)
    while total < budget:
        yield total
        total *= 2
    yield budget


class _Table:
    """The cells of a claim while it is being decided."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.predicted, self.tolerance, self.resolution = _columns(claim)
        self.cells: list[Cell | None] = [None] * len(claim.grid)

    def enter(self, index: int, measured: float, stderr: float, interval: tuple[float, float], n: int) -> None:
        predicted, tolerance, resolution = (float(x[index]) for x in (self.predicted, self.tolerance, self.resolution))
        outcome = compare(interval, predicted, relation=self.claim.relation, tolerance=tolerance, resolution=resolution)
        self.cells[index] = Cell(
            at=self.claim.grid[index],
            predicted=predicted,
            measured=float(measured),
            stderr=float(stderr),
            interval=(float(interval[0]), float(interval[1])),
            tolerance=tolerance,
            resolution=resolution,
            n=n,
            verdict=outcome,
        )

    @property
    def open(self) -> list[int]:
        """Indices of the cells that are not decided."""
        return [i for i, cell in enumerate(self.cells) if cell is None or cell.verdict == "undecided"]

    @property
    def refuted(self) -> bool:
        return any(cell is not None and cell.verdict == "refuted" for cell in self.cells)


def _margin(cell: Cell, relation: Relation) -> float:
    """Return how far the interval is from spoiling support, in units of tolerance plus resolution; negative where
    it is not supported.
    """
    below = (cell.interval[0] - cell.predicted) / (cell.tolerance + cell.resolution) + 1
    above = (cell.predicted - cell.interval[1]) / (cell.tolerance + cell.resolution) + 1
    return {"at_least": below, "at_most": above, "equal": min(below, above)}[relation]


def _trials(claim: Claim, measure: PerCell | Joint, seed: int, look: int, n: int) -> Callable[[int], Tally]:
    """Return a function from a cell to `n` fresh trials of it; joint trials are drawn once for all cells."""
    if isinstance(measure, Joint):
        return measure.draw(_stream(seed, claim.id, look, 0), n).cell
    return lambda cell: measure.draw(_stream(seed, claim.id, look, cell), n, claim.grid[cell])


def _sample(table: _Table, measure: PerCell | Joint, seed: int, budget: int) -> int:
    """Sample until every cell is decided, one is refuted, or the budget is spent; return the number of looks."""
    claim, cells = table.claim, len(table.cells)
    tallies: list[Tally | None] = [None] * cells
    before = look = 0
    for look, total in enumerate(_totals(measure.first, budget), start=1):
        undecided = table.open
        draw = _trials(claim, measure, seed, look, total - before)
        for i in undecided:
            fresh = draw(i)
            old = tallies[i]
            tally = tallies[i] = fresh if old is None else old.merged(fresh)
            mean, square = float(tally.mean[0]), float(tally.square[0])
            interval = measure.rule.interval(tally.n, mean, square, look_level(LEVEL / cells, look))
            table.enter(i, mean, float(tally.stderr[0]), interval, tally.n)
            if table.refuted and isinstance(
                measure, PerCell
            ):  # one false cell refutes the claim: the others need not be sampled
                return look
        before = total
        if table.refuted or not table.open:
            break
    return look


def _read(table: _Table, measure: Computed | FromData, data: Path | None) -> None:
    """Enter what was computed or read: value ± error, widened by Student's quantile where there is a standard error."""
    if isinstance(measure, Computed):
        reading = Reading.of(measure.compute(), n=0)
    elif data is None:
        raise ValueError(
            f"{table.claim.id} is about the published arrays: name their folder with --data or CONETHEORY_DATA."
        )
    else:
        reading = measure.compute(data)
    if reading.value.size != len(table.cells):
        raise ValueError(f"{table.claim.id} measures {reading.value.size} numbers for {len(table.cells)} cells.")
    error = np.broadcast_to(np.asarray(measure.error, dtype=np.float64), reading.value.shape)
    for i, (value, stderr) in enumerate(zip(reading.value, reading.stderr, strict=True)):
        if not np.isfinite(value):
            interval = (-inf, inf)
        else:
            low = high = float(value)
            if stderr != 0:  # also where it is NaN, which is then an error
                low, high = Mean().interval(
                    reading.n, value, stderr**2 * reading.n * (reading.n - 1), LEVEL / len(table.cells)
                )
            interval = (low - float(error[i]), high + float(error[i]))
        table.enter(i, value, stderr, interval, reading.n)


def decide(claim: Claim, *, seed: int = 0, level: str = "quick", data: Path | None = None) -> Verdict:
    """Return the verdict on `claim`.

    The numbers depend on the claim, `seed` and `level` alone: linear algebra runs on one thread, and every look at
    every cell has its own stream.

    Parameters
    ----------
    claim : Claim
        What to decide.
    seed : int
        Root seed.
    level : str
        ``quick`` or ``full``: which budget of trials.
    data : Path, optional
        Folder of the published arrays, for the claims about them.

    Returns
    -------
    Verdict
        With all cells.
    """
    if level not in LEVELS:
        raise ValueError(f"`level` must be one of {', '.join(LEVELS)}, got {level!r}.")
    start = time.perf_counter()
    looks = 1
    with _ONE_AT_A_TIME, threadpool_limits(limits=1):
        table = _Table(claim)
        if isinstance(claim.measure, (PerCell, Joint)):
            looks = _sample(table, claim.measure, seed, claim.measure.budget(level))
        else:
            _read(table, claim.measure, data)
    cells = tuple(cell for cell in table.cells if cell is not None)
    outcome: Outcome = "refuted" if table.refuted else "undecided" if table.open else "supported"
    worst = min((cell for cell in cells if cell.verdict == outcome), key=lambda cell: _margin(cell, claim.relation))
    seconds = time.perf_counter() - start
    return Verdict(
        claim=claim, verdict=outcome, cells=cells, worst=worst, looks=looks, seed=seed, level=LEVEL, seconds=seconds
    )
