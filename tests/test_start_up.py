"""What is loaded before it is needed: nothing that is slow, nothing that need not be installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    "numpy",
    "scipy",
    "numba",
    "matplotlib",
    "torch",
    "sklearn",
    "jinja2",
    "rich",
    "dask",
    "distributed",
    "pyarrow",
    "submitit",
)

HELP = """
import io, json, sys
from claims.cli import main
loaded, commands = {}, json.loads(sys.argv[1])
for words in commands:
    sys.argv, sys.stdout = ["conetheory", *words, "--help"], io.StringIO()
    try:
        main()
    except SystemExit as ended:
        code, text = ended.code, sys.stdout.getvalue()
    loaded[" ".join(words)] = [code, len(text), sorted({name.split(".")[0] for name in sys.modules})]
sys.stdout = sys.__stdout__
print(json.dumps(loaded))
"""
COMMANDS = (
    [],
    *(
        [name]
        for name in (
            *("verify", "claims", "gap", "shift", "simulate", "figures", "certify", "doctor", "sweep", "bench"),
            *("train", "embed", "evaluate", "probe", "experiments"),
        )
    ),
)
COMMANDS += tuple(["simulate", name] for name in ("sphere", "layer", "failure", "mlp", "flow", "shift", "descent"))

WITHOUT_TORCH = (
    *("gap_report", "embeddings", "config", "presets", "experiments", "learning_rate", "probe", "interventions"),
    *("zero_shot", "linear_probe", "attribute_arithmetic", "data.sources", "data.scenes", "relu_trial"),
)
"""Rooms of `empirical` that a machine without torch has use for."""

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("conetheory", "sims", "empirical", "claims")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py")
]


def python(code, *words):
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def after_help():
    return python(HELP, json.dumps(COMMANDS))


@pytest.mark.parametrize("command", [" ".join(words) for words in COMMANDS])
def test_help_loads_nothing_heavy(after_help, command):
    code, length, loaded = after_help[command]
    assert code == 0
    assert length > 100
    assert "typer" in loaded
    assert not set(loaded) & set(HEAVY)


def test_theory_is_light():
    """No room of `conetheory` loads anything slow: scipy.stats alone would double the time."""
    names = [name for name in MODULES if name.startswith("conetheory.") and not name.startswith("conetheory.proofs")]
    assert len(names) > 10
    code = "import importlib, json, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    loaded = set(python(code + "; print(json.dumps(sorted(sys.modules)))", *names))
    assert "scipy.special" in loaded
    assert not loaded & {"scipy.stats", "numba", "torch", "matplotlib", "sklearn", "sympy", "sims", "claims"}


def test_the_package_itself_loads_nothing():
    assert not set(python("import conetheory, json, sys; print(json.dumps(sorted(sys.modules)))")) & {"numpy", "scipy"}


def test_what_needs_torch_is_in_empirical_alone():
    """Without torch every room is imported, but for those of `empirical` that import it first and whoever asks them."""
    code = """
import importlib, json, sys
class WithoutTorch:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name, name="torch")
sys.meta_path.insert(0, WithoutTorch)
refused = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert error.name == "torch", error
        refused.append(name)
print(json.dumps(refused))
"""
    refused = set(python(code, *MODULES))
    assert {name.split(".")[0] for name in refused} == {"empirical"}
    assert not refused & {f"empirical.{name}" for name in WITHOUT_TORCH}
