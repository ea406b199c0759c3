r"""Inequalities over whole boxes, by adaptive subdivision in ball arithmetic.

A statement "E > 0 on a box" is evaluated with balls for the parameters. Where the ball of E lies above 0 the statement
holds on the whole box; where it lies at or below 0 it is false on the whole box, which is a witness; else the box is
halved. What is not settled when the budget ends is reported as open: nothing is proven by giving up.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from flint import arb

from conetheory._arrays import as_count
from conetheory.proofs.balls import Enclosure, Exact, ball, rational, working_precision

__all__ = ["Box", "Certificate", "Chart", "over_angle", "prove_positive"]

Box = tuple[tuple[Fraction, Fraction], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One part of a statement: an expression that should be positive on a box.

    Attributes
    ----------
    expression : callable
        Takes one `arb` a parameter, in the order of `box`, and returns an `arb` that contains all values there.
    box : mapping of str to (low, high)
        Exact ends of each parameter (`conetheory.proofs.balls.Exact`); empty for a statement about one number.
    """

    expression: Callable[..., arb]
    box: Mapping[str, tuple[Exact, Exact]] = field(default_factory=dict)


def over_angle(rest: Callable[[arb], arb], share: Exact) -> Chart:
    """Return the chart of rest(angle) > 0 for angles from 0 to `share` of a half turn.

    Examples
    --------
    >>> prove_positive("cosine", "cos > 0", "[0, pi/3]", over_angle(lambda angle: angle.cos(), "1/3")).proven
    True
    """
    return Chart(expression=lambda x: rest(arb.pi() * x), box={"x": (0, share)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What ball arithmetic has shown.

    Attributes
    ----------
    name : str
        Short name.
    statement : str
        The inequality.
    domain : str
        Where it was to be shown.
    proven : bool
        Whether it holds on all of the domain.
    subdivisions : int
        Boxes that were evaluated.
    open_share : float
        Largest share, over the charts, of the volume of the chart that is not proven: 0 if proven.
    open_boxes : tuple of Box
        Boxes on which neither the statement nor its contrary was shown; at most 16 of them are kept.
    witness : Box or None
        A box on all of which the statement is false; a box of no parameters is ``()``.
    precision_bits : int
        Working precision.
    seconds : float
        Wall time.
    values : mapping of str to Enclosure
        Numbers that the statement is about, enclosed.
    """

    name: str
    statement: str
    domain: str
    proven: bool
    subdivisions: int
    open_share: float
    open_boxes: tuple[Box, ...]
    witness: Box | None
    precision_bits: int
    seconds: float
    values: Mapping[str, Enclosure] = field(default_factory=dict)


_KEPT = 16


@dataclass(slots=True)
class _Found:
    evaluated: int = 0
    open_share: float = 0.0
    open_boxes: list[Box] = field(default_factory=list)
    witness: Box | None = None


def prove_positive(
    name: str,
    statement: str,
    domain: str,
    *charts: Chart,
    precision_bits: int = 80,
    max_boxes: int = 50_000,
    max_depth: int = 60,
    values: Mapping[str, Enclosure] | None = None,
) -> Certificate:
    """Try to prove that the expression of every chart is positive on all of its box.

    Parameters
    ----------
    name, statement, domain : str
        For people: they are copied into the certificate.
    *charts : Chart
        The parts; the statement is proven if every part is.
    precision_bits : int
        Working precision, at least 2.
    max_boxes : int
        Evaluations that each chart may cost.
    max_depth : int
        Times that a box may be halved.
    values : mapping of str to Enclosure, optional
        Copied into the certificate.

    Returns
    -------
    Certificate
        ``proven`` is true only if positive balls cover the whole domain. A chart that turns out false ends the search.

    Raises
    ------
    ValueError, TypeError
        If there is no chart, an end of a box is not exact, or a bound of the work is not a positive integer.

    Notes
    -----
    The trust base is flint's arithmetic and the expressions; ``docs/theory.md``, 20.1.

    Examples
    --------
    >>> inside = Chart(expression=lambda x: x * (1 - x), box={"x": ("0.1", "0.9")})
    >>> prove_positive("parabola", "x (1 - x) > 0", "x in [0.1, 0.9]", inside).proven
    True
    >>> outside = Chart(expression=lambda x: x * (1 - x), box={"x": (0, 2)})
    >>> prove_positive("parabola", "x (1 - x) > 0", "x in [0, 2]", outside).witness is None
    False
    """
    if not charts:
        raise ValueError("`charts` must hold at least one chart, got none.")
    max_boxes, max_depth = as_count("max_boxes", max_boxes), as_count("max_depth", max_depth, minimum=0)
    start = time.perf_counter()
    found = _Found()
    with working_precision(precision_bits):
        for chart in charts:
            _search(chart, found, max_boxes, max_depth)
            if found.witness is not None:
                break
    return Certificate(
        name=name,
        statement=statement,
        domain=domain,
        proven=found.witness is None and found.open_share == 0,
        subdivisions=found.evaluated,
        open_share=found.open_share,
        open_boxes=tuple(found.open_boxes),
        witness=found.witness,
        precision_bits=precision_bits,
        seconds=time.perf_counter() - start,
        values=dict(values or {}),
    )


def _search(chart: Chart, found: _Found, max_boxes: int, max_depth: int) -> None:
    whole: Box = tuple((rational(low), rational(high)) for low, high in chart.box.values())
    waiting = deque([(whole, 0)])  # large boxes first: a false statement shows where it is most false
    budget, closed = max_boxes, Fraction(0)
    while waiting and budget:
        box, depth = waiting.popleft()
        budget -= 1
        found.evaluated += 1
        value = chart.expression(*(ball(low, high) for low, high in box))
        if value > 0:
            closed += Fraction(1, 2**depth)
        elif value <= 0:
            found.witness = box
            found.open_share = 1.0
            return
        elif depth == max_depth or all(low == high for low, high in box):
            _keep(found, [box])
        else:
            waiting += [(half, depth + 1) for half in _halves(box, whole)]
    _keep(found, [box for box, _ in waiting])
    found.open_share = max(found.open_share, float(1 - closed))


def _keep(found: _Found, boxes: list[Box]) -> None:
    found.open_boxes += boxes[: _KEPT - len(found.open_boxes)]


def _halves(box: Box, whole: Box) -> tuple[Box, Box]:
    """Halve `box` along the parameter that is widest relative to its range in `whole`."""
    share = [
        (high - low) / (last - first) if last > first else Fraction(0)
        for (low, high), (first, last) in zip(box, whole, strict=True)
    ]
    k = share.index(max(share))
    low, high = box[k]
    middle = (low + high) / 2
    return (*box[:k], (low, middle), *box[k + 1 :]), (*box[:k], (middle, high), *box[k + 1 :])
