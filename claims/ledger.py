"""The ledger: what a claim is, what a verdict is, and where all claims are found.

A claim states one sentence of a paper (or one of ours), predicts a number for each of its cells by theory and
measures the same number by another route. `claims.decide` compares the two; `Claim.planted` gives the false variants
that the same comparison must refute.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from claims.measure import Measure

__all__ = ["Cell", "Claim", "Plant", "Verdict", "all_claims", "select"]

Kind = Literal["identity", "inequality", "rate", "value", "qualitative"]
Relation = Literal["equal", "at_least", "at_most"]
Outcome = Literal["supported", "refuted", "undecided"]

_KINDS = ("identity", "inequality", "rate", "value", "qualitative")
_RELATIONS = ("equal", "at_least", "at_most")
_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_ENTRY_POINTS = "conetheory.claims"
_MODULES = (
    "claims.liang.theorem1",
    "claims.liang.theorem1_sharp",
    "claims.liang.finite_width",
    "claims.liang.theorem2",
    "claims.liang.cone",
    "claims.liang.caps",
    "claims.liang.sphere",
    "claims.liang.identities",
    "claims.liang.arithmetic",
    "claims.liang.features",
    "claims.liang.landscape",
    "claims.liang.published_shift",
    "claims.liang.shift_numbers",
    "claims.yaras.conservation",
    "claims.yaras.closing",
    "claims.yaras.course",
    "claims.yaras.equilibria",
    "claims.yaras.enlargement",
    "claims.yaras.free_features",
    "claims.yaras.figure1",
    "claims.yaras.published_flow",
    "claims.yaras.mitigations",
    "claims.fahim.uniformity",
    "claims.fahim.free_features",
    "claims.fahim.stages",
    "claims.beyond.duals",
    "claims.beyond.towers",
    "claims.beyond.weight_laws",
    "claims.beyond.phases",
    "claims.beyond.large_deviation",
    "claims.beyond.rare_events",
    "claims.beyond.activation_rates",
    "claims.beyond.depth",
    "claims.beyond.shaped",
    "claims.beyond.cone_band",
    "claims.beyond.init_shares",
    "claims.beyond.spheres",
    "claims.beyond.shift_limits",
    "claims.beyond.mismatch",
    "claims.beyond.mismatch_phases",
    "claims.beyond.mismatch_features",
    "claims.beyond.contrastive_floors",
    "claims.beyond.contrastive_derivatives",
    "claims.beyond.certificates",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A planted falsehood: the claim with one part replaced so that it is wrong, which the ledger must refute.

    Attributes
    ----------
    name : str
        What is wrong, in a few words joined by underscores; the id of the false claim is ``<claim id>!<name>``.
    statement : str
        The false sentence.
    predict, measure, relation, tolerance : optional
        What replaces the part of that name; the others stay as they are.
    """

    name: str
    statement: str
    predict: Callable[[], ArrayLike] | None = None
    measure: Measure | None = None
    relation: Relation | None = None
    tolerance: ArrayLike | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claim:
    """One statement that can be checked.

    Attributes
    ----------
    id : str
        Stable name, such as ``liang.theorem1.probability``; the random stream comes from it.
    paper, section : str
        Source; ``conetheory`` where the statement is ours.
    statement : str
        The claim in one sentence.
    formula : str
        LaTeX of what is compared.
    kind : str
        identity, inequality, rate, value or qualitative.
    predict : callable
        Theory: returns one number for each cell.
    measure : Measure
        Another route to the same numbers: see `claims.measure`.
    plants : sequence of Plant
        Planted falsehoods, at least one.
    resolution : float or array_like, shape (cells,)
        The smallest deviation from the prediction that the measurement must be able to see.
    relation : str
        How measured stands to predicted: ``equal``, ``at_least`` or ``at_most``.
    tolerance : float or array_like, shape (cells,)
        The deviation that the statement itself allows: digits printed, a remainder bounded by theory.
    grid : sequence of mapping
        Coordinates of each cell, such as ``{"cosine": 0.5, "width": 64}``.
    expected : str
        ``supported``, or ``refuted`` for an erratum.
    note : str
        What a reader should know; for an erratum, what is right.
    """

    id: str
    paper: str
    section: str
    statement: str
    formula: str
    kind: Kind
    predict: Callable[[], ArrayLike]
    measure: Measure
    plants: Sequence[Plant]
    resolution: ArrayLike
    relation: Relation = "equal"
    tolerance: ArrayLike = 0.0
    grid: Sequence[Mapping[str, float]] = ({},)
    expected: Literal["supported", "refuted"] = "supported"
    note: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id.split("!")[0]):
            raise ValueError(f"`id` must be lower-case words joined by dots, got {self.id!r}.")
        for name, value, allowed in (("kind", self.kind, _KINDS), ("relation", self.relation, _RELATIONS)):
            if value not in allowed:
                raise ValueError(f"`{name}` of {self.id} must be one of {', '.join(allowed)}, got {value!r}.")
        if self.expected not in ("supported", "refuted"):
            raise ValueError(f"`expected` of {self.id} must be supported or refuted, got {self.expected!r}.")
        if not self.plants and "!" not in self.id:
            raise ValueError(f"`plants` of {self.id} must hold at least one planted falsehood, got none.")
        names = [plant.name for plant in self.plants]
        if len(set(names)) < len(names):
            raise ValueError(f"`plants` of {self.id} must have different names, got {', '.join(names)}.")
        resolution, tolerance = np.asarray(self.resolution), np.asarray(self.tolerance)
        if not np.all((resolution > 0) & (resolution < np.inf)):
            raise ValueError(f"`resolution` of {self.id} must be positive and finite, got {self.resolution}.")
        if not np.all((tolerance >= 0) & (tolerance < np.inf)):
            raise ValueError(f"`tolerance` of {self.id} must be at least 0 and finite, got {self.tolerance}.")

    @property
    def needs_data(self) -> bool:
        """Whether the claim is about the published arrays."""
        return self.measure.needs_data

    def planted(self) -> "tuple[Claim, ...]":
        """Return the false variants of this claim; each is expected to be refuted."""
        return tuple(self._falsified(plant) for plant in self.plants)

    def _falsified(self, plant: Plant) -> "Claim":
        changed = {
            part: value
            for part in ("predict", "measure", "relation", "tolerance")
            if (value := getattr(plant, part)) is not None
        }
        if not changed:
            raise ValueError(f"`plants` of {self.id}: {plant.name!r} changes nothing.")
        return replace(
            self,
            id=f"{self.id}!{plant.name}",
            statement=plant.statement,
            expected="refuted",
            plants=(),
            note=f"Planted falsehood of {self.id}.",
            **changed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Predicted against measured in one cell of a claim; `interval` covers at the claim's level divided by the
    number of cells.
    """

    at: Mapping[str, float]
    predicted: float
    measured: float
    stderr: float
    interval: tuple[float, float]
    tolerance: float
    resolution: float
    n: int
    verdict: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about a claim.

    Attributes
    ----------
    claim : Claim
        The claim.
    verdict : str
        ``refuted`` if any cell is, ``supported`` if all are, else ``undecided``.
    cells : tuple of Cell
        One for each cell.
    worst : Cell
        The cell with the least margin: the headline numbers.
    looks : int
        How often the data were looked at before the decision.
    seed : int
        Root seed.
    level : float
        Error probability of the whole claim.
    seconds : float
        Wall time.
    """

    claim: Claim
    verdict: Outcome
    cells: tuple[Cell, ...]
    worst: Cell
    looks: int
    seed: int
    level: float
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that the claim expects."""
        return self.verdict == self.claim.expected


def _loaded(module: str) -> Sequence[Claim]:
    claims = getattr(importlib.import_module(module), "CLAIMS", None)
    if not isinstance(claims, Sequence):
        raise ValueError(f"`module` {module} must define CLAIMS, a sequence of claims, got {claims!r}.")
    return claims


def all_claims(modules: Sequence[str] = ()) -> dict[str, Claim]:
    """Return every claim by id: ours, those of installed packages, those of `modules`.

    A package adds claims by an entry point in the group ``conetheory.claims`` that names a module; `modules` are
    importable names. Either defines ``CLAIMS``, a sequence of `Claim`.

    Raises
    ------
    ValueError
        If a module has no ``CLAIMS``, holds something else, or two claims share an id.

    Examples
    --------
    >>> "liang.theorem1.probability" in all_claims()
    True
    """
    found: dict[str, Claim] = {}
    installed = [point.module for point in entry_points(group=_ENTRY_POINTS)]
    for module in (*_MODULES, *installed, *modules):
        for claim in _loaded(module):
            if not isinstance(claim, Claim):
                raise ValueError(f"`CLAIMS` of {module} must hold claims.ledger.Claim objects, got {claim!r}.")
            if "!" in claim.id:
                raise ValueError(f"`id` {claim.id} of {module} has a '!', which is kept for planted falsehoods.")
            if claim.id in found:
                raise ValueError(f"`id` {claim.id} is used by two claims; the second is in {module}.")
            found[claim.id] = claim
    return found


def select(claims: Mapping[str, Claim], patterns: Sequence[str]) -> list[Claim]:
    """Return the claims whose id matches one of `patterns`, in the order of the ledger; all of them for no pattern.

    A pattern is an id, the beginning of ids up to a dot (``liang.theorem1``), or a shell pattern (``liang.fig2b.*``).

    Raises
    ------
    ValueError
        If a pattern matches nothing; the nearest id is named.

    Examples
    --------
    >>> [claim.id for claim in select(all_claims(), ["liang.caps.2d.printed"])]
    ['liang.caps.2d.printed']
    """
    if not patterns:
        return list(claims.values())
    chosen: set[str] = set()
    for pattern in patterns:
        hits = {
            name for name in claims if name == pattern or name.startswith(pattern + ".") or fnmatchcase(name, pattern)
        }
        if not hits:
            near = get_close_matches(pattern, claims, n=1, cutoff=0.0)
            raise ValueError(
                f"Unknown claim id {pattern!r}; did you mean {near[0]!r}?" if near else f"Unknown claim id {pattern!r}."
            )
        chosen |= hits
    return [claim for name, claim in claims.items() if name in chosen]
