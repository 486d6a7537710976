"""Verovio's SVG made fit for a page: small, without style and identifiers of its own, and with the places of its notes.

Conventions
-----------
Only what is known here is written again: lines, curves, dots, signs, and numbers as text. Lines of one width become one
path, and each sign is drawn once and used where it stands, which makes a score a fifth as large. Ink is `currentColor`.
Lengths are the drawing's own units.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from markupsafe import Markup

from farm.website.text import visible

_PLACE = re.compile(r"translate\((-?[\d.]+), (-?[\d.]+)\) scale\((-?[\d.]+), (-?[\d.]+)\)")
_MARGIN = re.compile(r"translate\((-?[\d.]+), (-?[\d.]+)\)")
_STROKE = re.compile(r"M-?[\d.]+ -?[\d.]+ L-?[\d.]+ -?[\d.]+")
_DRAWING = re.compile(r"[MLHVCSQTAZmlhvcsqtaz\d ,.\-]*")
_SIGN = re.compile(r"[A-Za-z0-9]+")
_NOTEHEAD_UNITS = 110  # half a note's width: where the cursor goes through it
_UNSEEN = {"tempo", "label", "placeholder"}
_SHAPES = {
    "path": ("d", "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray"),
    "polygon": ("points", "stroke-width"),
    "polyline": ("points", "stroke-width", "stroke-linecap"),
    "rect": ("x", "y", "width", "height", "rx"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}


@dataclass(frozen=True)
class Score:
    """A score for the page.

    `places` are beat, x and system of each onset, by beat; `systems` are top, bottom and right end of each.
    """

    svg: Markup
    places: tuple[tuple[float, int, int], ...]
    systems: tuple[tuple[int, int, int], ...]


@dataclass
class _Page:
    """What was found so far: lines by width, signs by name and scale, all other shapes, and where notes stand."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    signs: dict[tuple[str, str], str] = field(default_factory=dict)
    shapes: list[str] = field(default_factory=list)
    notes: dict[str, tuple[int, int]] = field(default_factory=dict)
    systems: list[list[float]] = field(default_factory=list)


def for_page(svg: str, onsets: Sequence[tuple[float, Sequence[str]]], name: str, label: str) -> Score | None:
    """Return Verovio's drawing as an element for an HTML page; None when it is not of the shape it has always had.

    Parameters
    ----------
    onsets
        Each beat at which notes begin, with their identifiers, by beat.
    name
        Begins every identifier inside; no two scores of a page may share it.
    """
    root = ElementTree.fromstring(svg)
    drawing = next((node for node in root.iter() if node.get("class") == "definition-scale"), None)
    if drawing is None:
        return None
    margin = next(iter(drawing), None)
    moved = _MARGIN.fullmatch(margin.get("transform", "")) if margin is not None else None
    box = re.fullmatch(r"0 0 (\d+) (\d+)", drawing.get("viewBox", ""))
    if margin is None or moved is None or box is None:
        return None
    page = _Page()
    _walk(margin, page, name, "")
    glyphs = {node.get("id", "").partition("-")[0]: node for node in root.iter() if _tag(node) == "g"}
    left, top = (round(float(part)) for part in moved.groups())
    places = [
        (beat, min(page.notes[note] for note in notes if note in page.notes))
        for beat, notes in onsets
        if any(note in page.notes for note in notes)
    ]
    return Score(
        svg=Markup(
            '<svg class="score" role="img" aria-label="{}" viewBox="{} {} {} {}" width="{}" height="{}">'
            "<defs>{}</defs>{}{}"
            '<line class="cursor" x1="0" x2="0" y1="0" y2="0" visibility="hidden"/></svg>'
        ).format(
            visible(label), -left, -top, *box.groups(), *(round(int(side) / 25) for side in box.groups()),
            _defined(page, glyphs), _joined_lines(page), Markup("".join(page.shapes)),
        ),
        places=tuple((round(beat, 3), x + _NOTEHEAD_UNITS, system) for beat, (system, x) in places),
        systems=tuple((round(top), round(bottom), round(right)) for top, bottom, right in page.systems),
    )  # fmt: skip


def _walk(node: ElementTree.Element, page: _Page, name: str, note: str) -> None:
    """Write an element and all in it; `note` is the identifier of the note that it belongs to."""
    tag, kinds = _tag(node), set(node.get("class", "").split())
    if kinds & _UNSEEN:
        return
    if "system" in kinds:
        page.systems.append([float("inf"), float("-inf"), 0.0])
    if "note" in kinds:
        note = node.get("id", "")
    if tag == "use":
        _use(node, page, name, note)
    elif tag == "text":
        _number(node, page)
        return
    elif tag in _SHAPES:
        _shape(node, tag, page)
    for child in node:
        _walk(child, page, name, note)


def _use(node: ElementTree.Element, page: _Page, name: str, note: str) -> None:
    place = _PLACE.fullmatch(node.get("transform", ""))
    sign = node.get("href", "").removeprefix("#").partition("-")[0]
    if place is None or not _SIGN.fullmatch(sign):
        return
    x, y, scale, _ = place.groups()
    key = page.signs.setdefault((sign, scale), f"{name}-{len(page.signs)}")
    page.shapes.append(f'<use href="#{key}" x="{x}" y="{y}"/>')
    if note and page.systems:
        page.notes.setdefault(note, (len(page.systems) - 1, round(float(x))))


def _shape(node: ElementTree.Element, tag: str, page: _Page) -> None:
    width, drawn = node.get("stroke-width", ""), node.get("d", "")
    width = width if re.fullmatch(r"[\d.]+", width) else "1"
    if tag == "path" and _STROKE.fullmatch(drawn) and not node.get("stroke-dasharray"):
        page.lines.setdefault(width, []).append(drawn.replace(" L", "L"))
        if page.systems:
            numbers = [float(part) for part in re.findall(r"-?[\d.]+", drawn)]
            top, bottom, right = page.systems[-1]
            page.systems[-1] = [min(top, *numbers[1::2]), max(bottom, *numbers[1::2]), max(right, *numbers[::2])]
        return
    attributes = ((key, node.get(key, "")) for key in _SHAPES[tag])
    told = "".join(
        f' {key}="{value}"' for key, value in attributes if value and re.fullmatch(r"[A-Za-z\d ,.\-]+", value)
    )
    page.shapes.append(f"<{tag}{told}/>")


def _number(node: ElementTree.Element, page: _Page) -> None:
    """Write the number of a bar; nothing else in a score is text."""
    text = "".join(node.itertext()).strip()
    x, y = node.get("x", "0"), node.get("y", "0")
    if re.fullmatch(r"\d+", text) and re.fullmatch(r"-?[\d.]+ -?[\d.]+", f"{x} {y}"):
        page.shapes.append(f'<text x="{x}" y="{y}">{text}</text>')


def _defined(page: _Page, glyphs: dict[str, ElementTree.Element]) -> Markup:
    """Return every sign that is used, in its size, upright."""
    found = []
    for (sign, scale), key in page.signs.items():
        path = glyphs[sign].find("{*}path") if sign in glyphs else None
        drawn = path.get("d", "") if path is not None else ""
        if _DRAWING.fullmatch(drawn):
            found.append(
                f'<path id="{key}" stroke="none" transform="scale({scale} -{scale})" d="{html.escape(drawn)}"/>'
            )
    return Markup("".join(found))


def _joined_lines(page: _Page) -> Markup:
    return Markup("").join(
        Markup('<path fill="none" stroke-width="{}" d="{}"/>').format(width, Markup("".join(lines)))
        for width, lines in page.lines.items()
    )


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]
