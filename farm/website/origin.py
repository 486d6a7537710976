"""What a model was made from and what it is made of: its sources, files, recipe and lineage.

Conventions
-----------
As in `index_page`: finished texts. A link is None unless it is safe to follow.
"""

from dataclasses import dataclass
from typing import Any

from farm.website.evidence import Evidence
from farm.website.text import MISSING, file_link, size, web_link


@dataclass(frozen=True)
class FileView:
    """One published file."""

    name: str
    link: str | None
    role: str
    precision: str
    size: str
    sha256: str


@dataclass(frozen=True)
class SourceView:
    """Where music came from; `link` only when it is a plain web address, `heard` when only the base heard it."""

    name: str
    link: str | None
    licence: str
    heard: str


def source_view(source: dict[str, Any]) -> SourceView:
    link = web_link(source.get("url"))
    name = str(source.get("attribution") or source.get("source") or source.get("url") or "a source without a name")
    style = f", in the style {source['style']}" if source.get("style") else ""
    heard = f"heard by the base{style}" if source.get("from") == "base" else ""
    return SourceView(name, link, str(source.get("licence") or "unknown"), heard)


def file_view(file: dict[str, Any], up: int) -> FileView:
    key = str(file.get("path") or "")
    role, precision = str(file.get("role") or MISSING), str(file.get("precision") or MISSING)
    name = key.rpartition("/")[2] or "a file without a name"
    return FileView(
        name, file_link(key, up), role, precision, size(file.get("bytes")), str(file.get("sha256") or MISSING)
    )


def lineage_pairs(style: Evidence) -> tuple[tuple[str, str], ...]:
    """Return recipe and lineage as dotted names with their values."""
    named = {"network": style.model.get("network"), "lineage": style.model.get("lineage"), "recipe": style.recipe}
    return tuple(pair for name, value in named.items() if value for pair in flatten(value, name))


def flatten(value: Any, name: str) -> list[tuple[str, str]]:
    """Return nested objects as pairs of dotted name and text; short lists on one line, long ones as their length."""
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in flatten(part, f"{name}.{key}")]
    if isinstance(value, list):
        return [(name, ", ".join(str(part) for part in value) if len(value) <= 16 else f"{len(value)} values")]
    return [(name, MISSING if value is None else str(value))]
