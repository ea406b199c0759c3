"""The report: one page that holds every verdict with its formula and figure, and needs nothing else to be read."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from latex2mathml.converter import convert
from markupsafe import Markup, escape

from claims.figures import CAPTIONS, claim_svg, inline_svg
from claims.figures.numerals import numeral, with_error
from conetheory._files import write_atomically

__all__ = ["formula_html", "write_report"]

_MATHML = "http://www.w3.org/1998/Math/MathML"
_TEXT = re.compile(r"(\\(?:text|mathrm|operatorname)\{)([^{}]*)\}")
_ARG = re.compile(r"\\arg(?![A-Za-z])")
_RELATIONS = {"equal": "=", "at_least": "≥", "at_most": "≤"}
_FACETS = ("paper", "kind", "verdict", "expected")


@cache
def formula_html(formula: str) -> Markup:
    """Return LaTeX as a MathML element, or as code where it has no MathML.

    Examples
    --------
    >>> "<mo>&#x0003C;</mo>" in formula_html(r"a < b"), formula_html("a_")
    (True, Markup('<code>a_</code>'))
    """
    known = _ARG.sub(r"\\operatorname{arg}", formula)  # a function that the converter does not know
    plain = _TEXT.sub(lambda found: f"{found[1]}{escape(found[2])}}}", known)  # what is inside, it passes on as it is
    try:
        mathml = convert(plain, display="block")
        tree = ElementTree.fromstring(mathml)
    except Exception:  # one of a dozen without a common class; whatever a formula says, the page must come out
        return Markup("<code>{}</code>").format(formula)
    foreign = any(not node.tag.startswith(f"{{{_MATHML}}}m") or "\\" in (node.text or "") for node in tree.iter())
    return Markup("<code>{}</code>").format(formula) if foreign else Markup(mathml)


def _flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Return `values` as text, one line each; what is missing is left out."""

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {text(item)}" for name, item in value.items() if item is not None)
        return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    return {name.replace("_", " "): text(value) for name, value in values.items() if value not in (None, [], {}, "")}


def _interval(bounds: Sequence[float | None] | None) -> str:
    low, high = bounds or (None, None)
    return f"[{numeral(low)}, {numeral(high)}]" if low is not None and high is not None else numeral(None)


def _count(number: int) -> str:
    """Return `number` in groups of three digits, held together by narrow no-break spaces."""
    return f"{number:,}".replace(",", "\u202f")


def _breakable(name: str) -> Markup:
    """Return the id `name` with places where a narrow column may break it."""
    return Markup(re.sub(r"([._!])", r"\1<wbr/>", str(escape(name))))


def _coordinates(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all coordinates of `cells`, in order of appearance."""
    return list(dict.fromkeys(name for cell in cells for name in cell["at"]))


def _coordinate(value: Any) -> str:
    return "" if value is None else numeral(value) if isinstance(value, (int, float)) else str(value)


@cache
def _template() -> Template:
    page = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {
        "numeral": numeral,
        "formula": formula_html,
        "interval": _interval,
        "count": _count,
        "breakable": _breakable,
        "coordinates": _coordinates,
        "coordinate": _coordinate,
    }
    page.globals |= {"with_error": with_error, "relations": _RELATIONS}
    return page.get_template("report.html.jinja")


def write_report(
    verdicts: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    figures: Mapping[str, Any],
    environment: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> None:
    """Write the page: counts, figures, errata, and a table of all claims that filters, sorts and opens.

    The page is one file without any reference to another; equal arguments give equal bytes. It replaces `path` when
    it is complete.

    Parameters
    ----------
    verdicts : sequence of mapping
        As in ``verdicts.jsonl``.
    path : path
        The file to write.
    figures : mapping of str to Figure
        As `showcase` returns; they stay as they are.
    environment, summary : mapping
        As in ``environment.json`` and ``summary.json``.
    """
    content = _template().render(
        verdicts=verdicts,
        summary=summary,
        environment=_flat(environment),
        counts=Counter(verdict["verdict"] for verdict in verdicts),
        surprising=[verdict["id"] for verdict in verdicts if verdict["verdict"] != verdict["expected"]],
        errata=[verdict for verdict in verdicts if verdict["expected"] == "refuted" and "!" not in verdict["id"]],
        facets={name: sorted({verdict[name] for verdict in verdicts}) for name in _FACETS},
        figures={name: Markup(inline_svg(figure, name=name, label=CAPTIONS[name])) for name, figure in figures.items()},
        captions=CAPTIONS,
        drawings={verdict["id"]: Markup(claim_svg(verdict)) for verdict in verdicts},
    )
    write_atomically(Path(path), content)
