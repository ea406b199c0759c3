"""Shared fixtures: Hypothesis profiles, the published data (skipped where missing), the slow tier."""

import os
from pathlib import Path

import hypothesis
import pytest

import tests.typecheck  # noqa: F401 (the import hook of jaxtyping finds the checker as an attribute of `tests`)

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

DATA = Path(os.environ.get("CONETHEORY_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow tier: run with --slow"))


@pytest.fixture(scope="session")
def data_file():
    """Return a function from a name below the data folder to its path; a missing file skips the test."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{path} is missing: set CONETHEORY_DATA to the folder that holds {name}")
        return path

    return find


@pytest.fixture(scope="session")
def data_folder(data_file) -> Path:
    """The folder with the published CLIP arrays."""
    return data_file("mind_the_gap/features_clip.npy").parents[1]
