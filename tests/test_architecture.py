"""The house: which package may import which, how long a file may be, what must be documented."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("conetheory", "sims", "empirical", "claims")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MODULES = [path for path in FILES if path.name not in ("__init__.py", "__main__.py")]
FORBIDDEN = {
    "conetheory": {"sims", "empirical", "claims", "numba", "torch", "matplotlib", "sklearn"},
    "sims": {"empirical", "claims", "torch", "matplotlib", "sklearn"},
    "empirical": {"sims", "claims", "numba", "matplotlib"},
    "claims": {"tests"},
}
ALONE = {  # library: the only room that may import it
    "matplotlib": "claims/figures",
    "sympy": "conetheory/proofs",
    "flint": "conetheory/proofs",
}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imported(source):
    """Return the top-level names that `source` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found |= {arg.value.split(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return found


def broken_arrows(package, room, source):
    """Return what `source`, a file of `package` in `room`, imports and must not."""
    names = imported(source)
    astray = {library for library, home in ALONE.items() if library in names and not room.startswith(home)}
    return (names & FORBIDDEN[package]) | astray


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_point_down(path):
    assert broken_arrows(name_of(path).split("/")[0], name_of(path), path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("package", "room", "source", "found"),
    [
        ("conetheory", "conetheory/gap.py", "import numba", {"numba"}),
        ("conetheory", "conetheory/gap.py", "def f():\n    from sims.estimate import Estimate", {"sims"}),
        ("sims", "sims/estimate.py", "import empirical.rows as rows", {"empirical"}),
        ("empirical", "empirical/rows.py", "import importlib\nimportlib.import_module('sims.estimate')", {"sims"}),
        ("claims", "claims/report.py", "import numpy, matplotlib.pyplot as plt", {"matplotlib"}),
        ("claims", "claims/figures/cells.py", "import matplotlib.pyplot as plt", set()),
        ("claims", "claims/figures.py", "from matplotlib import pyplot", set()),
        ("conetheory", "conetheory/proofs/symbolic.py", "import sympy", set()),
        ("conetheory", "conetheory/gap.py", "import sympy", {"sympy"}),
        ("conetheory", "conetheory/gap.py", "from . import sims", set()),
    ],
)
def test_a_broken_arrow_is_seen(package, room, source, found):
    assert broken_arrows(package, room, source) == found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert path.stem.strip("_") not in {"utils", "util", "helpers", "helper", "common", "core", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_and_what_it_offers(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    offered = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(offered) == 1
    assert len(offered[0]) == len(set(offered[0]))


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).split("/")[0] != "claims"], ids=name_of)
def test_what_is_offered_is_there_and_documented(path):
    """A public function has a docstring, and one of `conetheory` an example in it."""
    module = importlib.import_module(name_of(path).removesuffix(".py").replace("/", "."))
    for name in module.__all__:
        offered = getattr(module, name)
        if not (inspect.isfunction(offered) or inspect.isclass(offered)):
            continue
        assert inspect.getdoc(offered), name
        public = module.__name__.startswith("conetheory.") and not path.stem.startswith("_")
        if public and inspect.isfunction(offered):
            assert ">>>" in inspect.getdoc(offered), name


def test_nobody_prints_but_the_command_line():
    printing = {
        name_of(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert printing <= {"claims/cli.py"}
