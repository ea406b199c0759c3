import os
import re
from xml.etree import ElementTree

import pytest

from claims.figures import showcase
from claims.report import formula_html, write_report
from tests.claims.synthetic import ENVIRONMENT, cell, many_verdicts, summary_of, verdict

VERDICTS = many_verdicts(40)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    figures = showcase(VERDICTS)
    write_report(VERDICTS, path, figures=figures, environment=ENVIRONMENT, summary=summary_of(VERDICTS))
    return path


@pytest.fixture(scope="module")
def page(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(page):
    """The page without the bodies of style and script: it is written so that XML's stricter rules hold too."""
    plain = re.sub(r"(<(style|script)>).*?(</\2>)", r"\1\3", page, flags=re.DOTALL)
    return ElementTree.fromstring(plain.removeprefix("<!DOCTYPE html>"))


def text_of(node):
    return " ".join("".join(node.itertext()).split())


def by_id(tree, name):
    return next(node for node in tree.iter() if node.get("id") == name)


def test_page_is_well_formed_and_every_id_is_its_own(tree):
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert all(" " not in name for name in ids)
    targets = [node.get("href")[1:] for node in tree.iter() if (node.get("href") or "").startswith("#")]
    targets += [node.get("aria-controls") for node in tree.iter() if node.get("aria-controls")]
    targets += [node.get("aria-labelledby") for node in tree.iter() if node.get("aria-labelledby")]
    assert set(targets) <= set(ids)


def test_page_needs_nothing_else(page, tree):
    addresses = set(re.findall(r"https?://[^\"'\s<>]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    links = [node.get(name) for node in tree.iter() for name in ("src", "href") if node.get(name)]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_what_a_claim_says_is_text(page, tree):
    row = by_id(tree, "liang.caps.3d.printed")
    assert "where x < y & y > z." in text_of(row)
    assert "<b>not bold</b> & 'quoted' \"twice\"" in text_of(row)
    assert "<b>not bold" not in page
    assert "a & b" in text_of(by_id(tree, "environment"))


def test_counts(tree):
    tiles = {
        text_of(tile[0]): text_of(tile[1]) for tile in next(n for n in tree.iter("dl") if n.get("class") == "tiles")
    }
    surprising = [found for found in VERDICTS if found["verdict"] != found["expected"]]
    assert tiles["not as expected"] == str(len(surprising)) == "2"
    assert tiles["as expected"] == str(len(VERDICTS) - 2)
    for outcome in ("supported", "refuted", "undecided"):
        assert tiles[outcome] == str(sum(found["verdict"] == outcome for found in VERDICTS))
    header = text_of(next(tree.iter("header")))
    assert "liang.edge.surprise" in header
    assert "not complete: 40 of 41" in header


def test_errata_are_the_claims_expected_to_be_refuted(tree):
    errata = by_id(tree, "errata")
    links = [node.get("href") for node in errata.iter("a")]
    assert links == ["#liang.caps.3d.printed"]  # a planted falsehood is no erratum
    assert "stated 0.0334, measured 0.0584" in text_of(errata)


def test_every_claim_has_its_row_figure_and_cells(tree):
    rows = [node for node in tree.iter("tbody") if node.get("class") == "claim"]
    assert [row.get("id") for row in rows] == [found["id"] for found in VERDICTS]
    for row, found in zip(rows, VERDICTS, strict=True):
        assert len([node for node in row.iter() if node.tag.endswith("svg")]) == 1
        table = list(row.iter("tbody"))[1:]
        assert len(table) == (len(found["cells"]) > 1)
        if table:
            assert len(table[0]) == len(found["cells"])


def test_missing_numbers_are_dashes(tree):
    row = by_id(tree, "liang.edge.missing")
    assert [cell.get("data-value") for cell in row.iter("td") if cell.get("data-label") == "Measured"] == [""]
    assert "nan" not in text_of(row).lower()
    assert "None" not in text_of(row)


def test_cells_with_different_coordinates_share_a_table(tree):
    table = next(by_id(tree, "liang.edge.mixed").iter("table"))
    assert [text_of(head) for head in table[0][0]][:2] == ["lambda", "gap"]
    assert [[text_of(cell) for cell in row][:2] for row in table[1]] == [["0.1", ""], ["", "0.7"]]


def test_equal_arguments_give_equal_bytes(tmp_path):
    found = VERDICTS[18:26]
    for name in ("a.html", "b.html"):
        write_report(found, tmp_path / name, figures={}, environment=ENVIRONMENT, summary=summary_of(found))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_page_is_light(page, tmp_path):
    """400 claims stay below 7 MB, and no drawing weighs more than a photograph."""
    write_report(VERDICTS, tmp_path / "plain.html", figures={}, environment=ENVIRONMENT, summary=summary_of(VERDICTS))
    assert (tmp_path / "plain.html").stat().st_size < 16_000 * len(VERDICTS)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) > len(VERDICTS)
    assert max(map(len, drawings)) < 150_000


def test_report_without_surprises_errata_or_claims(tmp_path):
    for found in ([], [verdict("a.b", [cell({}, 0.5, 0.5, 0.01)])]):
        summary = {**summary_of(found), "complete": True, "skipped": []}
        write_report(found, tmp_path / "r.html", figures={}, environment={}, summary=summary)
        page = (tmp_path / "r.html").read_text(encoding="utf-8")
        assert f"All {len(found)} claims are as expected." in page
        assert 'id="errata"' not in page


def test_planted_falsehoods_are_called_so(tmp_path):
    found = [verdict("a.b!wrong", [cell({}, 0.5, 0.7, 0.01, outcome="refuted")], expected="refuted", verdict="refuted")]
    write_report(found, tmp_path / "r.html", figures={}, environment={}, summary={**summary_of(found), "planted": True})
    assert "All 1 planted falsehoods are as expected." in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_failure_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_report(VERDICTS[:1], path, figures={}, environment={}, summary=summary_of(VERDICTS[:1]))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("formula", [r"\frac{a", r"x^{", r"\unknown{x}", r"a_", "", r"\begin{matrix} a"])
def test_bad_formula_is_shown_as_it_is(formula):
    shown = formula_html(formula)
    assert shown.startswith(("<code>", "<math"))
    ElementTree.fromstring(shown)


@pytest.mark.parametrize(
    "formula",
    [r"\text{<b>x</b> & y}", r"a < b \& c > d", r"\text{<script>alert(1)</script>}", r"<img src=x onerror=y>"],
)
def test_formula_cannot_smuggle_markup(formula):
    tags = {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(formula_html(formula)).iter()}
    assert all(tag.startswith("m") or tag == "code" for tag in tags)


def test_text_in_a_formula_may_hold_any_sign():
    assert "<mtext>a&#x000A0;&amp;&#x000A0;b</mtext>" in formula_html(r"\text{a & b}")


def test_arg_min_is_mathml():
    assert "<mo>arg</mo>" in formula_html(r"\arg\min_\lambda L(\lambda; \tau)")


def test_formula_is_mathml():
    shown = formula_html(r"\kappa(\rho) = \frac{\sin\theta + (\pi - \theta)\cos\theta}{\pi}")
    assert shown.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')
    assert "mfrac" in shown
