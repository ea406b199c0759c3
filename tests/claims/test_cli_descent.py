"""`conetheory simulate descent`: the library's numbers, and bad input by its option's name."""

import inspect
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from claims.cli_descent import descent
from conetheory.temperature_laws import softplus_law
from sims.feature_descent import DescentPlan, sample_descents
from sims.flow_starts import cone_start

SMALL = {"pairs": 8, "dim": 5, "batch": 4, "epochs": 8, "learning_rate": 0.01, "seeds": 3, "as_json": True}


def test_it_is_that_of_the_library(capsys):
    descent(**SMALL, law="softplus", temperature=0.1, swap="hard", swap_fraction=0.5, cross=0.5, seed=2, jobs=2)
    found = json.loads(capsys.readouterr().out)
    plan = DescentPlan(
        law=softplus_law(), beta0=10.0, batch=4, learning_rate=0.01, swap="hard", swap_fraction=0.5, cross=0.5
    )
    sample = sample_descents(lambda rng: cone_start(8, 5, 0.3, 1.2, rng=rng), plan, [0, 2, 4, 6, 8], 3, rng=2)
    assert found["epoch"] == [0, 2, 4, 6, 8]
    for name in ("loss", "gap_norm", "beta", "matched", "alignment", "uniformity"):
        assert_allclose(found[name], getattr(sample, name).mean(axis=0), rtol=1e-12)
    assert_allclose(found["stderr"]["gap_norm"], np.std(sample.gap_norm, axis=0, ddof=1) / 3**0.5, rtol=1e-9)


@pytest.mark.parametrize("law", ["exp", "linear", "fixed", "straight", "alternating"])
def test_every_law_is_a_table_for_people(capsys, law):
    descent(**{**SMALL, "as_json": False}, law=law, temperature=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["epoch", "0", "2", "4", "6", "8"]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"batch": 3}, "--batch"),
        ({"law": "cosine"}, "--law"),
        ({"law_scale": 0.0}, "--law-scale"),
        ({"temperature": 0.0}, "--temperature"),
        ({"temperature": 0.001}, "--temperature"),
        ({"law": "straight", "end_temperature": -1.0}, "--end-temperature"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"temperature_rate": -1.0}, "--temperature-rate"),
        ({"swap": "all"}, "--swap"),
        ({"swap_fraction": 2.0}, "--swap-fraction"),
        ({"uniformity": -1.0}, "--uniformity"),
        ({"alignment": -1.0}, "--alignment"),
        ({"cross": -1.0}, "--cross"),
    ],
)
def test_bad_input_names_the_option(change, option):
    with pytest.raises(ValueError, match=f"`{option}`"):
        descent(**{**SMALL, **change})


def test_every_option_has_help():
    for name, parameter in inspect.signature(descent).parameters.items():
        assert parameter.annotation.__metadata__[0].help, name
