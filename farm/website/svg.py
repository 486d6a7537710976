"""Matplotlib's SVG made fit for a page with a strict content policy and colours of its own."""

import html
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup

from farm.website.text import visible


def for_page(svg: bytes, name: str, label: str, colours: Mapping[str, str]) -> Markup:
    """Return matplotlib's SVG as an element for an HTML page.

    Style attributes and style elements, which a strict content policy refuses, become plain attributes; metadata
    and namespaces go; identifiers begin with `fig-` and `name`, so that they never meet the page's own or another
    figure's. Colours are replaced as `colours` says, so that the page's style can choose them.
    """
    root = ElementTree.fromstring(svg)
    inside = "".join(_element(child, f"fig-{name}-", colours) for child in root)
    return Markup(
        '<svg role="img" aria-label="{}" viewBox="{}" stroke-linejoin="round" stroke-linecap="butt">{}</svg>'
    ).format(visible(label), root.get("viewBox", ""), Markup(inside))


def _element(node: ElementTree.Element, prefix: str, colours: Mapping[str, str]) -> str:
    name = node.tag.rpartition("}")[2]
    if name in ("metadata", "style"):
        return ""
    attributes = {key.rpartition("}")[2]: value for key, value in node.attrib.items()}
    attributes |= _plain_style(attributes.pop("style", ""))
    if "id" in attributes:
        attributes["id"] = f"{prefix}{attributes['id']}"
    if attributes.get("href", "").startswith("#"):
        attributes["href"] = f"#{prefix}{attributes['href'][1:]}"
    written = "".join(
        f' {key}="{html.escape(colours.get(value, value.replace("url(#", f"url(#{prefix}")))}"'
        for key, value in attributes.items()
    )
    body = html.escape((node.text or "").strip()) + "".join(_element(child, prefix, colours) for child in node)
    return f"<{name}{written}>{body}</{name}>" if body else f"<{name}{written}/>"


def _plain_style(style: str) -> dict[str, str]:
    """Return the declarations of a style attribute as attributes; the font's family is left to the page."""
    declared = dict(part.strip().split(": ", 1) for part in style.split(";") if ": " in part)
    font = declared.pop("font", "")
    if size := re.search(r"([0-9.]+)px", font):
        declared["font-size"] = size[1]
    if "bold" in font or font.startswith("700"):
        declared["font-weight"] = "bold"
    declared.pop("font-family", None)
    return declared
