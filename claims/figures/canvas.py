"""The sheet a figure is drawn on: its style, its SVG without anything that changes between runs, its files."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.style import context as style_context

from conetheory._files import write_atomically

__all__ = ["INK", "MUTED", "PALETTE", "inline_svg", "save_figures", "styled"]

_STYLE = mpl.rc_params_from_file(Path(__file__).with_name("conetheory.mplstyle"), use_default_template=False)


def _hex(colour: str) -> str:
    return "#" + colour.lstrip("#")


PALETTE = tuple(_hex(entry["color"]) for entry in _STYLE["axes.prop_cycle"])
INK, MUTED, _GRID = (_hex(_STYLE[key]) for key in ("text.color", "axes.edgecolor", "grid.color"))

_METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
_FORMATS = tuple(_METADATA)
_DECIMALS = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_NUMBERS = frozenset({"d", "x", "y", "points", "transform", "width", "height"})
_VARIABLES = {
    **{colour: f"var(--series-{index}, {colour})" for index, colour in enumerate(PALETTE)},
    INK: f"var(--ink, {INK})",
    MUTED: f"var(--muted, {MUTED})",
    _GRID: f"var(--grid, {_GRID})",
}
_COLOURS = re.compile("|".join(_VARIABLES))
_SHORTHAND = re.compile(r"font:(?: (\d+))? ([\d.]+px)[^;]*")  # of older matplotlib
_FAMILY = re.compile(r"font-family:[^;]*;?")


@contextmanager
def styled(**changes: object) -> Iterator[None]:
    """Apply the package's style on top of matplotlib's defaults, whatever the user has set; undone on leaving."""
    with style_context(["default", {**_STYLE, **changes}]):
        yield


def _rendered(figure: Figure, kind: str, *, salt: str, transparent: bool) -> bytes:
    buffer = BytesIO()
    with styled(**{"svg.hashsalt": salt}):  # ids in the SVG come from the salt
        figure.savefig(buffer, format=kind, transparent=transparent, metadata=_METADATA[kind])
    return buffer.getvalue()


def save_figures(
    figures: Mapping[str, Figure], folder: str | os.PathLike[str], *, formats: Sequence[str] = _FORMATS
) -> list[Path]:
    """Write each figure as ``folder/name.format``; equal figures give equal bytes.

    Parameters
    ----------
    figures : mapping of str to Figure
        As `showcase` returns.
    folder : path
        Created if missing.
    formats : sequence of str
        Any of svg and png.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    ValueError
        For a format that is neither.
    """
    unknown = [kind for kind in formats if kind not in _FORMATS]
    if unknown:
        raise ValueError(f"`formats` must hold svg or png, got {unknown[0]!r}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        for kind in formats:
            path = folder / f"{name}.{kind}"
            write_atomically(path, _rendered(figure, kind, salt=name, transparent=False))
            paths.append(path)
    return paths


def _bare_style(style: str) -> str:
    """Return `style` without the name of the font, which the page gives, and with the palette as CSS variables."""
    style = _SHORTHAND.sub(lambda font: f"font-size: {font[2]}; font-weight: {font[1] or 400}", style)
    style = _COLOURS.sub(lambda colour: _VARIABLES[colour[0]], _FAMILY.sub("", style))
    return re.sub(r"([:;])\s+", r"\1", style).replace("text-anchor:start;", "")


def _rounded(text: str) -> str:
    return _DECIMALS.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)


def _strip(node: ElementTree.Element, used: set[str]) -> None:
    """Drop what a page does not need: namespaces, idle ids, digits beyond a hundredth of a point."""
    node.tag = node.tag.rpartition("}")[2]
    attributes = {name.rpartition("}")[2]: value for name, value in node.attrib.items()}
    node.attrib.clear()
    for name, value in attributes.items():
        if name == "style":
            value = _bare_style(value)
        elif name in _NUMBERS:
            value = " ".join(_rounded(value).split())
        upright = name == "transform" and value.startswith(("rotate(-0 ", "rotate(0 "))
        if value and not upright and not (name == "id" and value not in used):
            node.set(name, value)
    node.text, node.tail = (text if text and text.strip() else None for text in (node.text, node.tail))
    for child in list(node):
        _strip(child, used)
        idle = (child.tag == "g" and not len(child)) or child.get("style") in ("fill:none", "fill:none;opacity:0")
        if child.tag in ("metadata", "style") or idle or (child.tag == "defs" and not len(child)):
            node.remove(child)


def inline_svg(figure: Figure, *, name: str, label: str) -> str:
    """Return `figure` as an SVG element for a page that holds many.

    It has no background. Its ids come from `name`, so two figures never share one. Colours are CSS variables with the
    printed colour as fallback; the page's stylesheet sets the font, ``stroke-linejoin: round`` and
    ``stroke-linecap: butt``.

    Parameters
    ----------
    figure : Figure
        What to draw.
    name : str
        Unique on the page.
    label : str
        What a screen reader says.
    """
    root = ElementTree.fromstring(_rendered(figure, "svg", salt=name, transparent=True))
    used = set()
    for node in root.iter():
        used |= {value[1:] for key, value in node.attrib.items() if key.endswith("href")}
        used |= {found for value in node.attrib.values() for found in _REFERENCE.findall(value)}
    _strip(root, used)
    kept = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": label}
    root.attrib.clear()
    root.attrib.update(kept)
    return ElementTree.tostring(root, encoding="unicode")
