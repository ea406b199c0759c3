"""Machine code on disk is not older than any source that was compiled into it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import caching

import sims
from sims import _kernel_cache
from sims._kernel_cache import register, source_stamp
from tests.sims.test_kernel_cost import kernels_of_sims

HOME = Path(sims.__file__).parent


@pytest.fixture
def folder(tmp_path):
    texts = {"kernel": "from here import _middle", "_middle": "import _last", "_last": "VALUE = 1", "other": "_middle"}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "seen"), [("kernel", True), ("_middle", True), ("_last", True), ("other", False), ("new", False)]
)
def test_the_stamp_is_that_of_every_file_named(folder, name, seen):
    before = source_stamp(str(folder / "kernel.py"))
    (folder / f"{name}.py").write_text("from here import _middle, _last  # longer", encoding="utf-8")
    assert (source_stamp(str(folder / "kernel.py")) != before) == seen


def test_the_stamp_is_that_of_the_text_alone(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "installed"
    shutil.copytree(folder, moved)
    os.utime(moved / "_last.py", (0, 0))
    assert source_stamp(str(moved / "kernel.py")) == source_stamp(str(folder / "kernel.py"))


def test_every_kernel_is_stamped():
    """A kernel is in a private module: what readies the cache waits for the first of them."""
    kernels = kernels_of_sims()
    assert len(kernels) > 20
    for name, kernel in kernels.items():
        file = kernel.py_func.__code__.co_filename
        assert Path(file).stem.startswith("_"), name
        assert kernel._cache._impl.locator.get_source_stamp() == source_stamp(file), name


# ---- a copy of the package, edited


PROBE = """
import numpy as np
from numba import njit
from sims._simd import floats, store

@njit(cache=True)
def probe(out):
    store(out, 0, floats(1.5) + floats(0.25))
"""
RUN = """
import numpy as np
from sims._probe import probe
out = np.empty(16, np.float32)
probe(out)
stats = probe.stats
print(out[0], sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), stats.cache_path, sep="|")
"""


@pytest.fixture
def package(tmp_path):
    home = tmp_path / "sims"
    home.mkdir()
    for name in ("__init__", "_kernel_cache", "_simd"):
        shutil.copy(HOME / f"{name}.py", home)
    (home / "_probe.py").write_text(PROBE, encoding="utf-8")
    return home


def called(package, **environment):
    """Return what the probe gives in a new process, whether it came from the cache, and the folder of that."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env=clean | {"PYTHONPATH": str(package.parent)} | environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    value, hits, misses, path = done.stdout.strip().split("|")
    assert int(hits) + int(misses) == 1
    return float(value), hits == "1", Path(path)


def test_an_edit_of_an_imported_file_compiles_anew(package):
    assert called(package) == (1.75, False, package / "__pycache__")
    assert called(package) == (1.75, True, package / "__pycache__")
    simd = (package / "_simd.py").read_text(encoding="utf-8")
    edited = simd.replace('("fadd", "fsub", "fmul", "fdiv")', '("fsub", "fsub", "fmul", "fdiv")')
    assert edited != simd
    (package / "_simd.py").write_text(edited, encoding="utf-8")
    assert called(package)[:2] == (1.25, False)
    assert called(package)[:2] == (1.25, True)


def test_the_cache_lies_where_numba_puts_it(package, tmp_path):
    chosen = {"NUMBA_CACHE_DIR": str(tmp_path / "chosen")}
    assert called(package, **chosen)[2].parent == tmp_path / "chosen"
    assert called(package, **chosen)[1]
    (package / "__pycache__").write_text("not a folder: as good as read-only", encoding="utf-8")
    users = {"XDG_CACHE_HOME": str(tmp_path / "user"), "HOME": str(tmp_path / "user")}
    first, second = called(package, **users), called(package, **users)
    assert (first[1], second[1]) == (False, True)
    assert tmp_path / "user" in second[2].parents


def test_no_other_finder_is_passed_over():
    code = "import sys, sims; seen = []; here = sys.meta_path.index(sims._BeforeKernels)\n"
    code += "class Watch:\n    find_spec = staticmethod(lambda name, path=None, target=None: seen.append(name))\n"
    code += "sys.meta_path.insert(here + 1, Watch); import sims._streams\nprint('sims._streams' in seen)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.strip() == "True"


# ---- numba's private interface


def test_registered_once_and_for_this_package_alone():
    before = list(caching.CacheImpl._locator_classes)
    register()
    assert caching.CacheImpl._locator_classes == before
    ours = [locator for locator in before if getattr(locator, "home", None) == HOME]
    assert len(ours) == 3
    assert all(
        locator.from_function(test_registered_once_and_for_this_package_alone, __file__) is None for locator in ours
    )


@pytest.mark.parametrize("lost", ["CacheImpl", "InTreeCacheLocator", "CompileResultCacheImpl"])
def test_another_interface_leaves_numba_as_it_is(monkeypatch, lost):
    rest = [locator for locator in caching.CacheImpl._locator_classes if not hasattr(locator, "home")]
    chosen = list(rest)
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", chosen)
    monkeypatch.delattr(caching, lost)
    register()
    assert chosen == rest


def test_a_locator_that_no_longer_stamps_is_withdrawn(monkeypatch):
    rest = [locator for locator in caching.CacheImpl._locator_classes if not hasattr(locator, "home")]
    chosen = list(rest)
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", chosen)
    monkeypatch.setattr(_kernel_cache, "_stamped", lambda kind, home: kind)
    register()
    assert chosen == rest
