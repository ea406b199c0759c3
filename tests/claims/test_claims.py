"""The ledger itself: every claim ends as expected, every planted falsehood is refuted."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from latex2mathml.converter import convert

from claims.ledger import all_claims
from claims.verify import plan, run
from tests.conftest import DATA

CLAIMS = all_claims()
PLANTED = {false.id: false for claim in CLAIMS.values() for false in claim.planted()}
FOLDER = DATA if (DATA / "mind_the_gap" / "features_clip.npy").exists() else None

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def verdicts():
    return {verdict["id"]: verdict for verdict in run(plan(data=FOLDER), jobs=2)}


@pytest.fixture(scope="module")
def planted():
    return {verdict["id"]: verdict for verdict in run(plan(data=FOLDER, planted=True), jobs=2)}


def found(verdicts, name, *, needs_data):
    if needs_data and FOLDER is None:
        pytest.skip(
            f"{DATA}/mind_the_gap/features_clip.npy is missing: set CONETHEORY_DATA to the folder that holds it"
        )
    return verdicts[name]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_ends_as_expected(verdicts, name):
    verdict = found(verdicts, name, needs_data=CLAIMS[name].needs_data)
    assert verdict["verdict"] == CLAIMS[name].expected, {key: verdict[key] for key in ("at", "predicted", "interval")}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_falsehood_is_refuted(planted, name):
    verdict = found(planted, name, needs_data=PLANTED[name].needs_data)
    assert verdict["verdict"] == "refuted", {key: verdict[key] for key in ("at", "predicted", "interval")}


def test_there_are_at_least_sixty_claims():
    assert len(CLAIMS) >= 60
    assert {claim.kind for claim in CLAIMS.values()} == {"identity", "inequality", "rate", "value", "qualitative"}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_can_be_read(claim):
    for text in (claim.statement, claim.paper, claim.section):
        assert text == " ".join(text.split()) != ""
    assert re.fullmatch(r"[A-Z0-9].*\.", claim.statement)
    assert not re.search(r"[a-zα-ω)]\. [A-Z]", claim.statement), "one sentence"
    assert claim.note == "" or claim.note.endswith(".")
    assert claim.expected == "supported" or claim.note, "an erratum says what is right"


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_formula_has_mathml(claim):
    tree = ElementTree.fromstring(convert(claim.formula))
    assert "\\" not in "".join(tree.itertext())


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_prediction_is_a_finite_number_for_each_cell(claim):
    predicted = np.asarray(claim.predict(), dtype=float)
    assert predicted.size == len(claim.grid)
    assert np.isfinite(predicted).all()
    assert len({tuple(at.items()) for at in claim.grid}) == len(claim.grid)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_has_planted_falsehoods_with_a_name_and_a_sentence(claim):
    assert claim.plants
    for plant in claim.plants:
        assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", plant.name)
        assert plant.statement.endswith((".", "…"))
        assert plant.statement != claim.statement
