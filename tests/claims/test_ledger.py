import math
from importlib.metadata import EntryPoint

import pytest

import claims.ledger
from claims.ledger import Plant, all_claims, select
from claims.measure import Computed
from tests.claims.toys import claim

TWO = Plant(name="two", statement="One is two.", predict=lambda: 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "toy"}, "`id` must be lower-case words joined by dots, got 'toy'"),
        ({"name": "Toy.one"}, "`id` .* got 'Toy.one'"),
        ({"name": "toy.one two"}, "`id` .* got 'toy.one two'"),
        ({"name": "toy..one"}, "`id` .* got 'toy..one'"),
        ({"plants": ()}, "`plants` of toy.one must hold at least one planted falsehood, got none"),
        ({"plants": (TWO, TWO)}, "`plants` of toy.one must have different names, got two, two"),
        ({"kind": "theorem"}, "`kind` of toy.one must be one of identity, .*, got 'theorem'"),
        ({"relation": "less"}, "`relation` of toy.one must be one of equal, at_least, at_most, got 'less'"),
        ({"expected": "undecided"}, "`expected` of toy.one must be supported or refuted, got 'undecided'"),
        ({"resolution": 0.0}, "`resolution` of toy.one must be positive and finite, got 0.0"),
        ({"resolution": [0.1, -0.1]}, r"`resolution` .* got \[0.1, -0.1\]"),
        ({"resolution": math.nan}, "`resolution` .* got nan"),
        ({"resolution": math.inf}, "`resolution` .* got inf"),
        ({"tolerance": -1e-9}, "`tolerance` of toy.one must be at least 0 and finite, got -1e-09"),
        ({"tolerance": math.nan}, "`tolerance` .* got nan"),
    ],
)
def test_a_claim_that_cannot_be_decided_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_planted_replaces_the_named_part_and_nothing_else():
    measure = Computed(compute=lambda: 3.0)
    plants = (
        TWO,
        Plant(name="three", statement="It is three.", measure=measure),
        Plant(name="more", statement="It is more.", relation="at_least", tolerance=0.5),
    )
    true = claim(plants=plants, note="true", expected="refuted")
    two, three, more = true.planted()
    assert [false.id for false in (two, three, more)] == ["toy.one!two", "toy.one!three", "toy.one!more"]
    assert two.predict is TWO.predict
    assert two.measure is true.measure
    assert three.measure is measure
    assert three.predict is true.predict
    assert (more.relation, more.tolerance, more.predict) == ("at_least", 0.5, true.predict)
    assert (two.relation, two.tolerance) == (true.relation, true.tolerance)
    for false, plant in zip((two, three, more), plants, strict=True):
        assert false.statement == plant.statement
        assert false.expected == "refuted"
        assert false.plants == ()
        assert "toy.one" in false.note
        assert (false.paper, false.section, false.resolution) == (true.paper, true.section, true.resolution)


def test_a_part_replaced_by_zero_is_replaced():
    (false,) = claim(tolerance=0.5, plants=(Plant(name="exact", statement="Exactly.", tolerance=0.0),)).planted()
    assert false.tolerance == 0.0


def test_a_plant_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match=r"`plants` of toy.one: 'same' changes nothing"):
        claim(plants=(Plant(name="same", statement="The same."),)).planted()


TOY = "from tests.claims.toys import claim\n"


def test_modules_add_claims_after_ours(user_module):
    name = user_module(TOY + "CLAIMS = [claim('toy.b'), claim('toy.a')]")
    found = all_claims([name])
    assert list(found)[-2:] == ["toy.b", "toy.a"]
    assert list(found)[:-2] == list(all_claims())
    assert found["toy.a"].id == "toy.a"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "must define CLAIMS, a sequence of claims, got None"),
        ("CLAIMS = 5", "must define CLAIMS, a sequence of claims, got 5"),
        (TOY + "CLAIMS = claim()", "must define CLAIMS, a sequence of claims, got Claim"),
        ("CLAIMS = [5]", "must hold claims.ledger.Claim objects, got 5"),
        (TOY + "CLAIMS = [claim(), claim()]", "`id` toy.one is used by two claims; the second is in claims_of_a_user"),
        (TOY + "CLAIMS = [claim('liang.caps.2d.printed')]", "`id` liang.caps.2d.printed is used by two claims"),
        (TOY + "CLAIMS = claim().planted()", "`id` toy.one!two of .* has a '!'"),
    ],
)
def test_a_module_that_is_not_a_list_of_new_claims_is_refused(user_module, source, message):
    name = user_module(source)
    with pytest.raises(ValueError, match=message):
        all_claims([name])


def test_installed_packages_add_claims_by_entry_point(user_module, monkeypatch):
    point = EntryPoint(name="mine", value=user_module(TOY + "CLAIMS = [claim()]"), group="conetheory.claims")
    monkeypatch.setattr(claims.ledger, "entry_points", lambda *, group: [point] if group == point.group else [])
    assert "toy.one" in all_claims()


LEDGER = {name: claim(name) for name in ("a.b.c", "a.bc", "a.b.d", "x.y.scale1", "x.y.scale10")}


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        ([], list(LEDGER)),
        (["a.bc"], ["a.bc"]),
        (["a.b"], ["a.b.c", "a.b.d"]),  # up to a dot: not a.bc
        (["a"], ["a.b.c", "a.bc", "a.b.d"]),
        (["x.y.scale1"], ["x.y.scale1"]),
        (["x.y.scale*"], ["x.y.scale1", "x.y.scale10"]),
        (["*.d", "a.b.c"], ["a.b.c", "a.b.d"]),  # the order of the ledger
        (["a.b.c", "a.b.c", "a.b"], ["a.b.c", "a.b.d"]),
        (["x.?.scale[0-9]"], ["x.y.scale1"]),
    ],
)
def test_select(patterns, ids):
    assert [chosen.id for chosen in select(LEDGER, patterns)] == ids


@pytest.mark.parametrize(("pattern", "near"), [("a.b.e", "a.b."), ("x.y.scal1", "x.y.scale1"), ("A.BC", "a.bc")])
def test_select_names_the_nearest_id(pattern, near):
    with pytest.raises(ValueError, match=f"Unknown claim id '{pattern}'; did you mean '{near}"):
        select(LEDGER, ["a.bc", pattern])


def test_select_in_an_empty_ledger_has_nothing_to_suggest():
    with pytest.raises(ValueError, match=r"^Unknown claim id 'a'\.$"):
        select({}, ["a"])
