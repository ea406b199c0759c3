"""The command line called in this process, and modules with claims of a user."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from claims import cli


@pytest.fixture
def conetheory(monkeypatch, capsys):
    """Return a function that runs the command with the words it is given: exit code, standard output and error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["conetheory", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Return a function that writes a module with `source` where it can be imported, and returns its name."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = []

    def write(source, name="claims_of_a_user"):
        name = f"{name}_{abs(hash(tmp_path))}"
        Path(folder / f"{name}.py").write_text(source)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)
