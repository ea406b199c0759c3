"""Code that prints a digest, run here and compiled for other processors: the bits must be the same."""

import contextlib
import io
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

__all__ = ["assert_same_bits", "on_every_processor", "printed_with"]

_NEAR = pytest.param("x86-64-v3", "+avx2,+fma", marks=pytest.mark.slow)  # what most machines compile for anyway
_TARGETS = pytest.mark.parametrize(("name", "features"), [("x86-64", "+sse2"), _NEAR])
_X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86 targets")


def on_every_processor(test: Any) -> Any:
    """Run a test with the `name` and the `features` of each target that numba can compile for here."""
    return _X86(_TARGETS(test))


def printed_with(code: str, **variables: str) -> str:
    """Return what `code` prints in a process of its own with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def assert_same_bits(code: str, name: str, features: str, cache: Path) -> dict[str, Any]:
    """Assert that `code` prints the same digest here and compiled for a target; return its names."""
    here: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, here)
    assert len(printed.getvalue().strip()) == 64  # SHA-256
    target = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(cache)}
    assert printed_with(code, **target) == printed.getvalue().strip()
    return here
