"""The examples of the README and of docs/extending.md run as they stand."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from claims.ledger import all_claims

ROOT = Path(__file__).parents[1]


def python_blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def claims(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "claims", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_readme_python_gives_the_numbers_beside_it():
    code, embeddings = python_blocks("README.md")
    names: dict[str, object] = {}
    checked = 0
    for line in code.splitlines():
        statement, _, comment = line.partition("#")
        said = re.match(r"\s*(-?[\d.]+?)(\.\.\.)?[:\s]", comment)
        if said is None or statement.startswith("contraction"):
            exec(statement, names)
            continue
        value = float(eval(statement, names))
        digits = said.group(1)
        assert f"{value:.12f}".startswith(digits) if said.group(2) else value == float(digits)
        checked += 1
    assert checked == 6
    rng = np.random.default_rng(0)
    names |= {"images": rng.standard_normal((60, 8)) + 1, "texts": rng.standard_normal((60, 8)) - 1}
    exec(embeddings, names)
    assert names["report"].gap.value > 5 * names["report"].gap_null.value


@pytest.mark.timeout(600)
def test_worked_example_is_decided_and_its_falsehoods_are_caught(tmp_path):
    (code,) = python_blocks("docs/extending.md")
    (tmp_path / "my_claims.py").write_text(code)
    for more in ([], ["--planted"]):
        done = claims(tmp_path, "verify", "mine", "--module", "my_claims", "--json", *more)
        verdicts = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, done.stderr
        assert [v["verdict"] for v in verdicts] == ["refuted" if more else "supported"] * 2


def test_readme_counts_the_claims():
    ledger = all_claims().values()
    errata = sum(claim.expected == "refuted" for claim in ledger)
    said = f"{len(ledger)} claims, {len(ledger) - errata} supported, {errata} refuted"
    assert said in (ROOT / "README.md").read_text()
    assert f"{len(ledger)} claims" in (ROOT / "CHANGELOG.md").read_text()


def test_relative_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
