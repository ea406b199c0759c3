"""What compiled code costs: nothing in a second process, no lock on Python's threads, no memory that grows with n."""

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import sims
from sims import _kernels, _lane_functions, _tilted_lanes, relu_layer
from sims.rare_event import sample_tilted_failures

HOME = Path(sims.__file__).parent


def modules_of_sims():
    """Return the modules of `sims`, by the name of the file."""
    stems = sorted(path.stem for path in HOME.glob("*.py") if path.stem != "__init__")
    return {stem: importlib.import_module(f"sims.{stem}") for stem in stems}


def kernels_of_sims():
    """Return all compiled functions that the files of `sims` define, by file and name."""
    return {
        f"{stem}.{name}": value
        for stem, module in modules_of_sims().items()
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__
    }


def called_from_python():
    """Return the compiled functions that functions which are not compiled mention."""
    found = []
    for module in modules_of_sims().values():
        for node in ast.parse(inspect.getsource(module)).body:
            compiled = isinstance(node, ast.FunctionDef) and isinstance(vars(module)[node.name], Dispatcher)
            for part in () if compiled else ast.walk(node):
                if isinstance(part, ast.Name):
                    found.append(vars(module).get(part.id))
                elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    found.append(getattr(vars(module).get(part.value.id), part.attr, None))
    return {value for value in found if isinstance(value, Dispatcher)}


def test_kernels_are_kept_and_release_the_lock():
    """Those that compiled code alone calls run under the options of their callers."""
    outer = called_from_python()
    assert _kernels.fill_layer_sums in outer
    assert _tilted_lanes.fill_unit_sums in outer
    assert _lane_functions.minus_log not in outer
    for name, kernel in kernels_of_sims().items():
        assert type(kernel._cache).__name__ == "FunctionCache", name  # cache=True
        assert not kernel.targetoptions.get("fastmath"), name
        if kernel in outer:
            assert kernel.targetoptions["nogil"], name
            assert kernel.targetoptions["error_model"] == "numpy", name


def test_python_runs_while_a_kernel_does():
    """A thread that counts gets ahead during one long call; with the lock held it would not start before the end."""
    out, started, counted = np.empty((5, 1)), threading.Event(), []
    _kernels.fill_layer_sums(np.random.default_rng(0), out, 8, 2.0, 0.8, 0.6)

    def sample():
        started.set()
        _kernels.fill_layer_sums(np.random.default_rng(0), out, 20_000_000, 2.0, 0.8, 0.6)

    thread = threading.Thread(target=sample)
    thread.start()
    started.wait()
    while thread.is_alive():
        counted.append(1)
        thread.join(0.001)
    assert len(counted) > 20  # of some 500 ms; one where the lock is held


RUNS = """
import json, sys
from numba.core.dispatcher import Dispatcher
from sims import angle_chain, initialisations, mismatched_sphere, rare_event, relu_layer
relu_layer.sample_cosines(0.5, 64, 100, rng=0)
relu_layer.sample_cosines(0.5, 8, 100, rng=0)
relu_layer.count_failures(0.5, 1.0, 1.0, 64, n_trials=100, rng=0)
rare_event.sample_tilted_failures(0.9, 1.0, 1.0, 64, n_trials=100, rng=0)
rare_event.sample_tilted_failures(0.9, 1.0, 1.0, 8, n_trials=100, rng=0)
angle_chain.sample_angle_chains(0.5, 8, 3, 100, rng=0)
angle_chain.sample_shaped_chains(0.5, 8, 3, 100, slope_plus=1.0, slope_minus=0.5, rng=0)
initialisations.sample_orthogonal_cosines(0.5, 8, 100, rng=0)
mismatched_sphere.landscape([0.0, 90.0], [0.0, 90.0], [0.0, 45.0], [1.0])
kernels = {}
for name, module in list(sys.modules.items()):
    if name.startswith("sims."):
        for value in vars(module).values():
            if isinstance(value, Dispatcher):
                hits, misses = (sum(found.values()) for found in (value.stats.cache_hits, value.stats.cache_misses))
                kernels[value.__module__ + "." + value.__name__] = [hits, misses]
print(json.dumps(kernels))
"""


def test_a_second_process_compiles_nothing():
    first, second = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", RUNS], env=os.environ, capture_output=True, text=True, timeout=280, check=True
            ).stdout
        )
        for _ in range(2)
    )
    assert first.keys() == second.keys()
    assert sum(misses for _, misses in second.values()) == 0
    assert sum(hits > 0 for hits, _ in second.values()) >= 12


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("count", [relu_layer.count_failures, sample_tilted_failures])
def test_memory_does_not_grow_with_the_trials(count, width):
    """Blocks hold their generators and their results, and not the numbers of each trial."""

    def peak(n):
        tracemalloc.start()
        count(0.9, 1.0, 1.0, width, n_trials=n, rng=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2_000)
    few, many = peak(10_000), peak(200_000)
    assert many - few < 190_000 * 4  # half of a double a trial
