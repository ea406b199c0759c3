import json
import math
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from claims import verify
from claims.decide import decide
from claims.ledger import all_claims
from claims.measure import Computed, FromData, Reading
from claims.verify import as_json, describe, plan, run
from tests.claims.toys import claim, normal

# Sampled, sampled until it is refuted, computed: all cheap.
CHEAP = ("liang.caps", "conetheory.theorem1.zero_cosine", "liang.distance")
KEYS = {  # those that the README promises
    "id", "paper", "section", "statement", "kind", "expected", "verdict", "predicted", "measured", "stderr", "interval",
    "n", "seed", "seconds",
}  # fmt: skip


def timeless(verdicts):
    """Return `verdicts` by id, without the times."""
    return {verdict["id"]: {key: value for key, value in verdict.items() if key != "seconds"} for verdict in verdicts}


@pytest.fixture(scope="module")
def cheap():
    return plan(CHEAP)


@pytest.fixture(scope="module")
def alone(cheap):
    """The verdicts of one process."""
    return timeless(run(cheap, jobs=1))


def test_every_number_of_workers_finds_the_same(cheap, alone):
    assert set(alone) == set(cheap.ids)
    assert any(verdict["n"] for verdict in alone.values())
    assert timeless(run(cheap, jobs=2)) == alone


def test_any_executor_finds_the_same(cheap, alone):
    with ThreadPoolExecutor(2) as pool:
        assert timeless(run(cheap, executor=pool)) == alone


@pytest.mark.filterwarnings("default")  # of the cluster's own libraries
def test_a_dask_cluster_finds_the_same(cheap, alone):
    distributed = pytest.importorskip("distributed", reason="dask is missing: install conetheory[cluster]")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        assert timeless(run(cheap, executor=client.get_executor())) == alone


def test_the_company_does_not_matter(alone):
    name = "conetheory.theorem1.zero_cosine"
    assert timeless(run(plan([name]), jobs=1)) == {name: alone[name]}


def test_another_seed_finds_other_numbers(alone):
    name = "conetheory.theorem1.zero_cosine"
    (other,) = timeless(run(plan([name], seed=1), jobs=1)).values()
    assert other["measured"] != alone[name]["measured"]
    assert other["seed"] == 1


def test_what_is_decided_is_not_decided_again(cheap):
    done = cheap.ids[::2]
    assert [verdict["id"] for verdict in run(cheap, jobs=1, done=done)] == list(cheap.ids[1::2])
    assert list(run(cheap, jobs=2, done=cheap.ids)) == []


def test_one_process_goes_in_the_order_of_the_ledger(cheap, alone):
    assert list(alone) == list(cheap.ids)
    assert list(cheap.ids) == [name for name in all_claims() if name in set(cheap.ids)]


def test_the_report_on_a_claim_is_json_for_every_parser(alone):
    for verdict in alone.values():
        assert {*verdict, "seconds"} >= KEYS
        assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict


def test_numbers_that_are_not_finite_are_null():
    odd = claim(predict=lambda: math.inf, measure=Computed(compute=lambda: math.nan))
    found = as_json(decide(odd), level="quick")
    assert (found["predicted"], found["measured"], found["interval"]) == (None, None, [None, None])
    assert found["verdict"] == "undecided"
    json.dumps(found, allow_nan=False)


def test_the_headline_is_the_worst_cell_and_counts_all_trials():
    two = claim(
        predict=lambda: [0.0, 0.0], measure=normal(8, 64), grid=({"cell": 0}, {"cell": 1}), resolution=[1e3, 1e-3]
    )
    found = as_json(decide(two, seed=3, level="full"), level="full")
    assert (found["at"], found["n"], found["seed"], found["looks"]) == ({"cell": 1}, 72, 3, 4)
    assert (found["level"], found["alpha"], found["resolution"]) == ("full", 1e-9, 1e-3)
    assert [cell["n"] for cell in found["cells"]] == [8, 64]
    assert [cell["verdict"] for cell in found["cells"]] == ["supported", "undecided"]
    assert found["measured"] == found["cells"][1]["measured"]
    assert found["seconds"] >= 0
    assert not found["as_expected"]


@pytest.mark.parametrize(
    ("measure", "source"),
    [
        (normal(1, 2), "sampled"),
        (Computed(compute=lambda: 1.0), "computed"),
        (FromData(compute=lambda folder: Reading.of(1.0, n=1)), "data"),
    ],
)
def test_describe_says_where_the_numbers_come_from(measure, source):
    found = describe(claim(measure=measure))
    assert found["source"] == source
    assert found["plants"] == ["two"]
    assert found["schema"] == verify.SCHEMA


# --- what is to be run -----------------------------------------------------------------------------------------------


def test_claims_about_the_published_arrays_are_left_out_where_those_are_missing(tmp_path):
    without, with_data = plan(), plan(data=tmp_path)
    assert without.skipped
    assert all(all_claims()[name].needs_data for name in without.skipped)
    assert not any(all_claims()[name].needs_data for name in without.ids)
    assert set(without.ids) | set(without.skipped) == set(with_data.ids) == set(all_claims())
    assert with_data.skipped == ()


def test_naming_only_claims_about_missing_arrays_is_an_error():
    name = plan().skipped[0]
    with pytest.raises(ValueError, match=f"{name} is about the published arrays: name their folder with --data"):
        plan([name])


def test_a_plan_of_planted_falsehoods_holds_each_of_them():
    chosen = plan(["liang.caps"], planted=True)
    assert list(chosen.ids) == [
        f"{claim.id}!{plant.name}"
        for claim in all_claims().values()
        if claim.id.startswith("liang.caps.")
        for plant in claim.plants
    ]


def test_the_plan_of_a_users_module(user_module):
    name = user_module("from tests.claims.toys import claim\nCLAIMS = [claim()]")
    mine = plan(["toy"], modules=[name])
    assert (mine.ids, mine.modules) == (("toy.one",), (name,))
    (verdict,) = run(mine, jobs=1)
    assert verdict["verdict"] == "supported"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"seed": 1.5}, TypeError, "`seed` must be an integer, got 1.5"),
        ({"level": "slow"}, ValueError, "`level` must be one of quick, full, got 'slow'"),
        ({"patterns": ["liang.tabel5"]}, ValueError, "Unknown claim id 'liang.tabel5'; did you mean 'liang.table5"),
        ({"modules": ["nowhere.to_be_found"]}, ModuleNotFoundError, "nowhere"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        plan(**options)


@pytest.mark.parametrize(("jobs", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_a_number_of_processes_that_is_none_is_refused(cheap, jobs, error):
    with pytest.raises(error, match="`jobs` must be"):
        list(run(cheap, jobs=jobs))


def test_as_many_processes_as_processors_by_default(cheap, monkeypatch):
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers, **_):
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(verify, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert len(list(run(cheap, done=cheap.ids[4:]))) == 4
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert len(list(run(cheap, done=cheap.ids[2:]))) == 2
    assert asked == [3, 2]


def test_an_error_in_a_worker_stops_the_run(user_module):
    source = """
from claims.measure import Computed
from tests.claims.toys import claim

def fail():
    raise ValueError("`width` must be at least 1, got 0.")

CLAIMS = [claim("toy.wrong", measure=Computed(compute=fail)), *(claim(f"toy.right{i}") for i in range(50))]
"""
    mine = plan(["toy"], modules=[user_module(source)])
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="`width` must be at least 1, got 0"):
        list(run(mine, executor=pool))
