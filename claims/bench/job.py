"""A job that several routes do, and its measurement: in turn, in processor time, the accuracy of each beside it."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Job", "Limit", "Route", "Row", "measure"]

_SHORTEST = 2e-3  # seconds: a shorter call is repeated, so that the clock's own time is nothing


def _unknown(result: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The least time that a call could take on this machine, as it is now.

    Attributes
    ----------
    seconds : float
        Of one call.
    of : str
        What sets it, in words.
    """

    seconds: float
    of: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """One way to do a job.

    Attributes
    ----------
    call : callable
        Does it, in this process and one thread.
    work : float
        How many of the job's units one call does.
    accuracy : callable
        From what `call` returns to ``error`` with ``error_of`` (what it is of, in words), or to ``z``.
    limit : callable, optional
        Returns the `Limit` of one call; measured in each repetition, as what a core can do depends on its neighbour.
    seconds : callable, optional
        Does one call elsewhere and returns the seconds it took there; `call` itself is timed by default.
    """

    call: Callable[[], Any]
    work: float = 1.0
    accuracy: Callable[[Any], Mapping[str, Any]] = _unknown
    limit: Callable[[], Limit] | None = None
    seconds: Callable[[], float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What is to be done, and by which routes.

    Attributes
    ----------
    name, unit : str
        In words; what its amount is counted in.
    methods : tuple of str
        Names of the routes, ``ours`` first.
    routes : callable
        Builds them, with their inputs, when the job is measured; a library that is missing has no route.
    """

    name: str
    unit: str
    methods: tuple[str, ...]
    routes: Callable[[], dict[str, Route]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured route: seconds of one call, in each repetition; the median `Limit` where one is argued."""

    job: str
    unit: str
    method: str
    work: float
    seconds: tuple[float, ...]
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    limit: Limit | None = None

    @property
    def median(self) -> float:
        """Median seconds of one call."""
        return statistics.median(self.seconds)


class _Timed:
    """A warmed route and how often it is called in one repetition."""

    def __init__(self, route: Route) -> None:
        self._seconds = route.seconds or self._own_seconds
        self._call, self._loops = route.call, 1
        self.accuracy = dict(route.accuracy(route.call()))
        if route.seconds is None:
            self._loops = max(1, math.ceil(_SHORTEST / max(self._own_seconds(), 1e-7)))
        else:
            route.seconds()

    def _own_seconds(self) -> float:
        start = time.process_time()
        for _ in range(self._loops):
            self._call()
        return (time.process_time() - start) / self._loops

    def once(self) -> float:
        return self._seconds()


def _middle(limits: list[Limit]) -> Limit | None:
    """Return the median of `limits`, the lower one of two."""
    return sorted(limits, key=lambda limit: limit.seconds)[(len(limits) - 1) // 2] if limits else None


def measure(job: Job, *, repeats: int = 7, methods: Sequence[str] = ()) -> list[Row]:
    """Measure the routes of `job` in turn, `repeats` times; those named in `methods`, all by default.

    In turn, so that what else the machine does meets all alike; in processor time, so that waiting does not count. Each
    route has been called before, so nothing is compiled while it is timed.
    """
    routes = {name: route for name, route in job.routes().items() if not methods or name in methods}
    timed = {name: _Timed(route) for name, route in routes.items()}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    limits: dict[str, list[Limit]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, ready in timed.items():
            seconds[name].append(ready.once())
            if limit := routes[name].limit:
                limits[name].append(limit())
    return [
        Row(
            job=job.name,
            unit=job.unit,
            method=name,
            work=route.work,
            seconds=tuple(seconds[name]),
            accuracy=timed[name].accuracy,
            limit=_middle(limits[name]),
        )
        for name, route in routes.items()
    ]
