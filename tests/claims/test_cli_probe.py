"""``conetheory probe`` on a module of the user."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

NET = """
import torch

def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 2048, bias=False), torch.nn.ReLU())

ready = make()

def words():
    return "no module"
"""


@pytest.fixture(autouse=True)
def here(user_module, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return user_module(NET)


@pytest.mark.parametrize("name", ["make", "ready"])
def test_numbers_are_those_of_the_python_call(conetheory, here, name):
    done = conetheory("probe", f"{here}:{name}", "--gaussian", 40, "--dim", 16, "--rho", "1/2", "--json")
    found = json.loads(done.out)
    assert (done.code, found["n"], found["schema"]) == (0, 40, 1)
    relu = found["blocks"][1]
    assert abs(relu["cosine"]["value"] - relu["predicted_cosine"]["value"]) < 0.02
    assert abs(found["input_cosine"]["value"] - 0.5) < 4.5 * found["input_cosine"]["stderr"] + 0.2


def test_table_names_blocks_and_where_the_prediction_starts(conetheory, here, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((9, 16)))
    done = conetheory("probe", f"{here}:make", "--inputs", tmp_path / "x.npy")
    head, columns, linear, relu = done.out.splitlines()
    assert done.code == 0
    assert head.startswith("9 inputs of mean cosine")
    assert "C-map" in columns
    assert linear.split()[:2] == ["0", "Linear"]
    assert relu.rstrip().endswith("from 0")


def test_blocks_by_class_and_by_name(conetheory, here):
    for block, names in (("ReLU", ["1"]), ("0", ["0"])):
        done = conetheory("probe", f"{here}:make", "--gaussian", 5, "--dim", 16, "--block", block, "--json")
        assert [b["name"] for b in json.loads(done.out)["blocks"]] == names


def test_equal_seeds_give_equal_output(conetheory, here):
    words = ("probe", f"{here}:make", "--gaussian", 5, "--dim", 16, "--json", "--seed")
    first, same, other = (conetheory(*words, seed).out for seed in (1, 1, 2))
    assert first == same != other


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("{net}:make", ["--inputs", "--gaussian"]),
        ("{net}:make --gaussian 5", ["--gaussian", "--dim"]),
        ("{net}:make --gaussian 5 --dim 16 --inputs x.npy", ["--inputs", "--gaussian"]),
        ("{net}:make --gaussian 1 --dim 16", ["--gaussian", "1"]),
        ("{net}:make --gaussian 5 --dim 16,0", ["--dim", "'16,0'"]),
        ("{net}:make --gaussian 5 --dim 16 --rho 2", ["--rho", "2"]),
        ("{net}:make --gaussian 5 --dim 16 --tokens last", ["tokens", "'last'"]),
        ("{net}:make --gaussian 5 --dim 16 --block 7", ["blocks", "'7'"]),
        ("{net}:make --gaussian 5 --dim 16 --dtype float33", ["dtype", "'float33'"]),
        ("{net}:make --gaussian 5 --dim 16 --device abacus", ["device", "'abacus'"]),
        ("{net}:make --gaussian 5 --dim 17", ["MODEL", "5x17 and 16x2048"]),
        ("{net}:make --inputs nowhere.npy", ["nowhere.npy"]),
        ("{net}:make --inputs x.csv", ["--inputs", "x.csv"]),
        ("{net}:words --gaussian 5 --dim 16", ["MODEL", "str"]),
        ("{net}:missing --gaussian 5 --dim 16", ["MODEL", "missing"]),
        ("nowhere_to_be_found:make --gaussian 5 --dim 16", ["MODEL", "nowhere_to_be_found"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(conetheory, here, words, names):
    done = conetheory("probe", *words.format(net=here).split())
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("conetheory: ")
    for name in names:
        assert name in line
