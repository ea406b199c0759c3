"""Small claims whose truth is known, for tests of the machinery that decides."""

from claims.ledger import Claim, Plant
from claims.measure import Computed, Mean, PerCell, Proportion, Tally

__all__ = ["claim", "coin", "normal"]


def claim(name="toy.one", **changes):
    """Return a claim that says that one is one, with some of its parts changed."""
    parts = {
        "id": name,
        "paper": "Toy 2000",
        "section": "Section 1",
        "statement": "One is one.",
        "formula": "1 = 1",
        "kind": "value",
        "predict": lambda: 1.0,
        "measure": Computed(compute=lambda: 1.0),
        "plants": (Plant(name="two", statement="One is two.", predict=lambda: 2.0),),
        "resolution": 0.1,
    }
    return Claim(**parts | changes)


def normal(first, quick, *, full=None, mean=0.0):
    """Return the measurement of a normal mean, `mean` in every cell."""
    return PerCell(
        rule=Mean(),
        first=first,
        quick=quick,
        full=quick if full is None else full,
        draw=lambda rng, n, at: Tally.of(rng.normal(mean, 1.0, n)),
    )


def coin(first, quick, *, heads):
    """Return the measurement of the probability `heads`."""
    return PerCell(
        rule=Proportion(),
        first=first,
        quick=quick,
        full=quick,
        draw=lambda rng, n, at: Tally.count(int(rng.binomial(n, heads)), n),
    )
