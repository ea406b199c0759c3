import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

import claims.decide
from claims.decide import LEVEL, compare, decide
from claims.ledger import Plant
from claims.measure import Bounded, Computed, FromData, Joint, Mean, PerCell, Reading, Tally
from tests.claims.toys import claim, coin, normal

numbers = st.floats(-10, 10)
widths = st.floats(0, 2)
relations = st.sampled_from(["equal", "at_least", "at_most"])


# --- compare ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relation", "interval", "outcome"),
    [  # predicted 1, tolerance 0.1, resolution 0.2: [0.9, 1.1] is allowed, [0.7, 1.3] is as good as allowed
        ("equal", (0.75, 1.25), "supported"),
        ("equal", (0.65, 1.0), "undecided"),
        ("equal", (1.0, 1.35), "undecided"),
        ("equal", (0.65, 1.35), "undecided"),
        ("equal", (0.5, 0.89), "refuted"),
        ("equal", (0.5, 0.91), "undecided"),
        ("equal", (1.11, 1.5), "refuted"),
        ("equal", (1.09, 1.5), "undecided"),
        ("equal", (1.15, 1.2), "refuted"),  # closer than the resolution, and yet seen
        ("at_least", (0.75, 9.0), "supported"),
        ("at_least", (0.65, 9.0), "undecided"),
        ("at_least", (0.0, 0.89), "refuted"),
        ("at_least", (0.0, 0.91), "undecided"),
        ("at_least", (5.0, 6.0), "supported"),
        ("at_most", (-9.0, 1.25), "supported"),
        ("at_most", (-9.0, 1.35), "undecided"),
        ("at_most", (1.11, 9.0), "refuted"),
        ("at_most", (1.09, 9.0), "undecided"),
        ("equal", (-math.inf, math.inf), "undecided"),
        ("equal", (math.nan, math.nan), "undecided"),
        ("at_least", (math.nan, math.nan), "undecided"),
    ],
)
def test_truth_table(relation, interval, outcome):
    assert compare(interval, 1.0, relation=relation, tolerance=0.1, resolution=0.2) == outcome


@given(numbers, widths, numbers, widths, st.floats(1e-3, 2))
def test_at_most_is_the_mirror_of_at_least(low, width, predicted, tolerance, resolution):
    slack = {"tolerance": tolerance, "resolution": resolution}
    assert compare((low, low + width), predicted, relation="at_most", **slack) == compare(
        (-(low + width), -low), -predicted, relation="at_least", **slack
    )


@given(numbers, widths, numbers, widths, st.floats(1e-3, 2))
def test_equal_is_both_inequalities(low, width, predicted, tolerance, resolution):
    interval, slack = (low, low + width), {"tolerance": tolerance, "resolution": resolution}
    both = {compare(interval, predicted, relation=relation, **slack) for relation in ("at_least", "at_most")}
    expected = "refuted" if "refuted" in both else "supported" if both == {"supported"} else "undecided"
    assert compare(interval, predicted, relation="equal", **slack) == expected


@given(numbers, widths, numbers, widths, st.floats(1e-3, 2), relations, st.floats(0, 1), st.floats(0, 1))
def test_more_data_do_not_take_back_a_refutation(low, width, predicted, tolerance, resolution, relation, a, b):
    slack = {"relation": relation, "tolerance": tolerance, "resolution": resolution}
    inner = tuple(low + width * share for share in sorted((a, b)))
    if compare((low, low + width), predicted, **slack) == "refuted":
        assert compare(inner, predicted, **slack) == "refuted"


@given(numbers, st.floats(0, 1), st.floats(0, 1), widths, st.floats(1e-3, 2), st.sampled_from([-1, 1]))
def test_what_supports_a_value_refutes_one_further_off_than_the_resolution(
    predicted, a, b, tolerance, resolution, side
):
    reach = tolerance + resolution
    interval = tuple(predicted + 0.999 * reach * (2 * share - 1) for share in sorted((a, b)))
    slack = {"relation": "equal", "tolerance": tolerance, "resolution": resolution}
    assert compare(interval, predicted, **slack) in ("supported", "refuted")
    assert compare(interval, predicted + side * 2 * reach, **slack) == "refuted"


# --- looks that are paid for -----------------------------------------------------------------------------------------

_SEEDS = 400
_LOOKED_AT = {
    "normal": {"predict": lambda: 0.0, "measure": normal(4, 4 << 8)},
    "coin": {"predict": lambda: 0.3, "measure": coin(8, 8 << 8, heads=0.3)},
    "cells": {"predict": lambda: [0.0] * 3, "measure": normal(4, 4 << 6), "grid": [{"cell": i} for i in range(3)]},
    "joint": {
        "predict": lambda: [0.0] * 3,
        "measure": Joint(
            rule=Mean(), first=4, quick=4 << 6, full=1, draw=lambda rng, n: Tally.of(rng.normal(size=(n, 3)))
        ),
        "grid": [{"cell": i} for i in range(3)],
    },
}


def _refuted(parts, monkeypatch, level=0.1):
    """Return how often a true claim is refuted; its resolution is so fine that sampling goes on to the last look."""
    monkeypatch.setattr(claims.decide, "LEVEL", level)
    true = claim(**parts, resolution=1e-6)
    verdicts = [decide(true, seed=seed) for seed in range(_SEEDS)]
    assert max(verdict.looks for verdict in verdicts) >= 7
    assert {verdict.verdict for verdict in verdicts} <= {"undecided", "refuted"}
    return sum(verdict.verdict == "refuted" for verdict in verdicts)


@pytest.mark.parametrize("parts", _LOOKED_AT.values(), ids=_LOOKED_AT)
def test_a_true_claim_is_refuted_no_more_often_than_its_level_says(parts, monkeypatch):
    assert _refuted(parts, monkeypatch) <= stats.binom.ppf(1 - 1e-6, _SEEDS, 0.1)


@pytest.mark.parametrize("parts", _LOOKED_AT.values(), ids=_LOOKED_AT)
def test_looks_that_cost_nothing_would_refute_it_too_often(parts, monkeypatch):
    """Power of the test above."""
    monkeypatch.setattr(claims.decide, "look_level", lambda level, k: level)
    assert _refuted(parts, monkeypatch) > stats.binom.ppf(1 - 1e-6, _SEEDS, 0.1)


def test_the_level_is_shared_by_looks_and_cells():
    """The interval after two looks at one of two cells is Student's at LEVEL / 2 / (2 · 3)."""
    found = decide(claim(measure=normal(50, 100), predict=lambda: [0.0] * 2, grid=[{}, {}], resolution=1e-3))
    assert (found.verdict, found.looks, LEVEL) == ("undecided", 2, 1e-9)
    for cell in found.cells:
        radius = stats.t.isf(LEVEL / 2 / 6 / 2, 99) * cell.stderr
        np.testing.assert_allclose(cell.interval, (cell.measured - radius, cell.measured + radius), rtol=1e-9)


# --- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_true_claim_ends_supported_where_the_budget_suffices(seed):
    true = claim(predict=lambda: 0.0, measure=normal(256, 512, full=1 << 16), resolution=0.05)
    assert decide(true, seed=seed).verdict == "undecided"
    rich = decide(true, seed=seed, level="full")
    assert rich.verdict == "supported"
    assert rich.worst.n < 1 << 16  # and stops when it is decided


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("relation", ["equal", "at_most"])
def test_a_claim_false_by_twice_the_resolution_is_refuted(seed, relation):
    false = claim(predict=lambda: 0.0, measure=normal(256, 1 << 16, mean=0.1), resolution=0.05, relation=relation)
    assert decide(false, seed=seed).verdict == "refuted"


def test_a_coin_is_decided_with_the_interval_for_coins():
    parts = {"measure": coin(1 << 10, 1 << 16, heads=0.5), "resolution": 0.05}
    assert decide(claim(predict=lambda: 0.5, **parts)).verdict == "supported"
    assert decide(claim(predict=lambda: 0.6, **parts)).verdict == "refuted"


def _counting(cls, asked, **parts):
    def draw(rng, n, at=None):
        asked.append((n, None if at is None else at["mean"]))
        return Tally.of(rng.normal([0.0, 0.3] if at is None else at["mean"], 1.0, (n, 2) if at is None else n))

    return cls(rule=Mean(), draw=draw, **parts)


TWO_CELLS = ({"mean": 0.0}, {"mean": 0.3})


def test_looks_double_from_the_first_to_the_budget():
    asked = []
    measure = _counting(PerCell, asked, first=10, quick=100, full=0)
    found = decide(claim(predict=lambda: 0.0, measure=measure, grid=TWO_CELLS[:1], resolution=1e-3))
    assert [n for n, _ in asked] == [10, 10, 20, 40, 20]
    assert (found.looks, found.worst.n, found.verdict) == (5, 100, "undecided")


def test_a_budget_below_the_first_look_is_one_look():
    asked = []
    measure = _counting(PerCell, asked, first=100, quick=30, full=0)
    assert decide(claim(measure=measure, grid=TWO_CELLS[:1])).looks == 1
    assert asked == [(30, 0.0)]


def test_a_cell_of_its_own_is_sampled_until_it_is_decided():
    asked = []
    measure = _counting(PerCell, asked, first=1 << 10, quick=1 << 16, full=0)
    found = decide(claim(predict=lambda: [0.0, 0.3], measure=measure, grid=TWO_CELLS, resolution=[0.5, 0.05]))
    assert found.verdict == "supported"
    assert [n for n, mean in asked if mean == 0.0] == [1 << 10]
    assert [cell.n for cell in found.cells] == [1 << 10, sum(n for n, mean in asked if mean == 0.3)]
    assert found.cells[1].n >= 1 << 14


def test_one_false_cell_refutes_the_claim_and_ends_the_sampling():
    asked = []
    measure = _counting(PerCell, asked, first=1 << 12, quick=1 << 16, full=0)
    found = decide(claim(predict=lambda: [1.0, 0.3], measure=measure, grid=TWO_CELLS, resolution=0.05))
    assert (found.verdict, found.worst.predicted) == ("refuted", 1.0)
    assert asked == [(1 << 12, 0.0)]


def test_joint_trials_measure_all_cells_at_once():
    asked = []
    measure = _counting(Joint, asked, first=1 << 10, quick=1 << 16, full=0)
    found = decide(claim(predict=lambda: [0.0, 0.3], measure=measure, grid=TWO_CELLS, resolution=[0.5, 0.05]))
    assert found.verdict == "supported"
    assert sum(n for n, _ in asked) == found.cells[1].n
    assert found.cells[0].n == 1 << 10  # a decided cell keeps the interval that decided it
    assert [round(cell.measured, 1) for cell in found.cells] == [0.0, 0.3]


def test_joint_trials_are_shared_and_trials_of_a_cell_are_its_own():
    draw = {"rule": Mean(), "first": 8, "quick": 8, "full": 8}
    joint = Joint(draw=lambda rng, n: Tally.of(np.repeat(rng.normal(size=(n, 1)), 2, axis=1)), **draw)
    own = PerCell(draw=lambda rng, n, at: Tally.of(rng.normal(size=n)), **draw)
    first, second = decide(claim(measure=joint, predict=lambda: [0.0] * 2, grid=TWO_CELLS)).cells
    assert first.measured == second.measured
    first, second = decide(claim(measure=own, predict=lambda: [0.0] * 2, grid=TWO_CELLS)).cells
    assert first.measured != second.measured


# --- the numbers depend on the seed and the id alone ------------------------------------------------------------------


def _measured(name="toy.one", seed=0, **changes):
    return decide(claim(name, measure=normal(8, 64), resolution=1e-6, **changes), seed=seed).worst.measured


def test_the_numbers_depend_on_seed_and_id_alone():
    number = _measured()
    np.random.default_rng(1).normal(size=10)
    _measured("toy.other")
    assert _measured() == number
    assert _measured(statement="Another sentence.", note="and a note") == number
    assert _measured(seed=1) != number
    assert _measured("toy.two") != number
    assert _measured("toy.one2") != number


def test_each_look_has_new_trials():
    seen = []

    def draw(rng, n, at):
        seen.append(rng.normal(size=n))
        return Tally.of(seen[-1])

    decide(claim(measure=PerCell(rule=Mean(), first=4, quick=32, full=1, draw=draw), resolution=1e-6))
    trials = np.concatenate(seen)
    assert len(trials) == len(set(trials)) == 32


def test_the_first_looks_are_the_same_whatever_the_budget():
    cells = [
        decide(claim(measure=normal(8, 16, full=64), resolution=1e-6), level=level).cells[0]
        for level in ("quick", "full")
    ]
    assert cells[0].n == 16
    assert cells[1].n == 64
    again = decide(claim(measure=normal(8, 64), resolution=1e-6)).cells[0]
    assert dataclasses.replace(again, at={}) == dataclasses.replace(cells[1], at={})


def test_linear_algebra_runs_on_one_thread_and_gets_its_threads_back():
    inside = []

    def compute():
        inside.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return 1.0

    with threadpool_limits(limits=2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        assert decide(claim(measure=Computed(compute=compute))).verdict == "supported"
        assert [pool["num_threads"] for pool in threadpool_info()] == before
    assert set(inside) == {1}


# --- numbers that are computed or read -------------------------------------------------------------------------------


def test_a_computed_number_is_right_to_within_its_error():
    cell = decide(claim(measure=Computed(compute=lambda: 1.05, error=0.01))).worst
    np.testing.assert_allclose(cell.interval, (1.04, 1.06), rtol=1e-15)
    assert (cell.n, cell.stderr) == (0, 0.0)


@pytest.mark.parametrize(("value", "outcome"), [(1.0, "supported"), (1.2, "refuted"), (math.nan, "undecided")])
def test_a_computed_number_decides(value, outcome):
    assert decide(claim(measure=Computed(compute=lambda: value))).verdict == outcome


def test_an_error_as_wide_as_the_resolution_leaves_it_undecided():
    assert decide(claim(measure=Computed(compute=lambda: 1.0, error=0.2))).verdict == "undecided"


def test_errors_of_their_own():
    measure = Computed(compute=lambda: [1.0, 1.0], error=[0.2, 0.0])
    found = decide(claim(predict=lambda: [1.0, 1.0], measure=measure, grid=({}, {})))
    assert [cell.verdict for cell in found.cells] == ["undecided", "supported"]
    assert found.verdict == "undecided"
    assert found.worst is found.cells[0]


def test_a_reading_with_a_standard_error_gets_students_interval(tmp_path):
    measure = FromData(compute=lambda folder: Reading.of(1.0, n=20, stderr=0.001), error=0.01)
    cell = decide(claim(measure=measure), data=tmp_path).worst
    radius = stats.t.isf(LEVEL / 2, 19) * 0.001 + 0.01
    np.testing.assert_allclose(cell.interval, (1 - radius, 1 + radius), rtol=1e-12)
    assert (cell.stderr, cell.n) == (0.001, 20)


def test_a_reading_whose_standard_error_is_not_a_number_is_an_error(tmp_path):
    measure = FromData(compute=lambda folder: Reading.of(1.0, n=20, stderr=math.nan))
    with pytest.raises(ValueError, match="nan"):
        decide(claim(measure=measure), data=tmp_path)


def test_the_folder_with_the_data_is_handed_on(tmp_path):
    (tmp_path / "number").write_text("1.0")
    measure = FromData(compute=lambda folder: Reading.of(float((folder / "number").read_text()), n=1))
    assert decide(claim(measure=measure), data=tmp_path).verdict == "supported"


def test_a_claim_about_data_that_are_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"toy.one is about the published arrays: name their folder with --data"):
        decide(claim(measure=FromData(compute=lambda folder: Reading.of(1.0, n=1))))


# --- errors and headlines --------------------------------------------------------------------------------------------


def test_numbers_that_do_not_fit_the_cells_are_errors():
    with pytest.raises(ValueError, match=r"toy.one predicts 2 numbers for 1 cells"):
        decide(claim(predict=lambda: [1.0, 1.0]))
    with pytest.raises(ValueError, match=r"toy.one measures 3 numbers for 1 cells"):
        decide(claim(measure=Computed(compute=lambda: [1.0] * 3)))


def test_an_unknown_level_is_an_error():
    with pytest.raises(ValueError, match="`level` must be one of quick, full, got 'slow'"):
        decide(claim(), level="slow")


@pytest.mark.parametrize(
    ("relation", "measured", "worst"),
    [
        ("equal", [1.01, 0.95, 1.02], 1),
        ("at_least", [1.3, 0.99, 1.01], 1),
        ("at_most", [0.2, 0.5, 1.02], 2),
    ],
)
def test_the_headline_is_the_cell_with_the_least_margin(relation, measured, worst):
    found = decide(
        claim(
            predict=lambda: [1.0] * 3,
            grid=({},) * 3,
            relation=relation,
            tolerance=0.06,
            measure=Computed(compute=lambda: measured),
        )
    )
    assert found.verdict == "supported"
    assert found.worst is found.cells[worst]


def test_the_headline_of_a_refuted_claim_is_a_refuted_cell():
    """Also where an undecided one is further from support."""
    measure = Computed(compute=lambda: [1.0, 1.05], error=[0.5, 0.001])
    found = decide(claim(predict=lambda: [1.0, 1.0], grid=({}, {}), measure=measure))
    assert [cell.verdict for cell in found.cells] == ["undecided", "refuted"]
    assert found.worst is found.cells[1]
    assert found.verdict == "refuted"
    assert not found.as_expected


def test_a_planted_falsehood_is_decided_by_the_same_machinery():
    true = claim(
        predict=lambda: 0.0,
        measure=normal(256, 1 << 14),
        resolution=0.1,
        plants=(
            Plant(name="shifted", statement="It is 1/4.", predict=lambda: 0.25),
            Plant(name="other_measure", statement="It has mean 0.", measure=normal(256, 1 << 14, mean=0.25)),
            Plant(name="reversed", statement="It is at least 1/4.", relation="at_least", predict=lambda: 0.25),
        ),
    )
    assert decide(true).as_expected
    for false in true.planted():
        found = decide(false)
        assert found.verdict == "refuted"
        assert found.as_expected


def test_bounded_trials_are_decided_with_the_interval_for_bounded_trials():
    draw = PerCell(
        rule=Bounded(0.0, 1.0), first=1 << 10, quick=1 << 16, full=1, draw=lambda rng, n, at: Tally.of(rng.random(n))
    )
    assert decide(claim(predict=lambda: 0.5, measure=draw, resolution=0.03)).verdict == "supported"
    assert decide(claim(predict=lambda: 0.6, measure=draw, resolution=0.03)).verdict == "refuted"
