"""The figures take their dots from verdicts by id: every id that they name is in the ledger."""

import re
from pathlib import Path

import claims.figures
from claims.figures.depth import BIASES
from claims.ledger import all_claims

FOLDER = Path(claims.figures.__file__).parent


def test_every_claim_that_a_figure_names_exists():
    known = set(all_claims())
    text = "".join(file.read_text() for file in FOLDER.glob("*.py"))
    plain = set(re.findall(r'[^f]"((?:liang|conetheory|cho_saul)\.[a-z0-9_.]+)"', text)) - {"conetheory.mplstyle"}
    assert len(plain) >= 6
    assert plain <= known
    assert {f"liang.fig2b.relu.{bias}" for bias in BIASES} <= known
    assert {f"liang.sphere.mismatched.spacing20.scale{scale}" for scale in (1, 5, 35, 50, 100)} <= known
    assert {f"liang.fig3.minimum.{direction}.scale100" for direction in ("symmetric", "x_to_y")} <= known
