"""The recipes of a style side by side: how large a model each gives, how much it knows, and why one was taken.

Conventions
-----------
As in `measures`: finished texts. A style with one recipe has nothing to compare, and its page no such section.
"""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.website.evidence import records, section
from farm.website.measures import Grid
from farm.website.text import MISSING, decimals, duration, number, size, whole
from farm.website.trade_figure import Offer, trade_off


@dataclass(frozen=True)
class RecipesSection:
    """A table with a row for each recipe, and size against bits as a picture; empty where there is nothing to draw."""

    table: Grid
    figure: Markup
    chosen: str  # the sentence about the one that was taken


def recipes_section(model: dict[str, Any]) -> RecipesSection | None:
    """Return the section of a catalog entry; None for fewer than two recipes."""
    rows = records(model.get("recipes"))
    if len(rows) < 2:
        return None
    chosen = next((row for row in rows if row.get("chosen") is True), None)
    return RecipesSection(
        table=_table(rows),
        figure=trade_off([offer for row in rows if (offer := _offer(row)) is not None]),
        chosen=f"{chosen.get('recipe')}: {chosen.get('why')}" if chosen else "",
    )


def _table(rows: list[dict[str, Any]]) -> Grid:
    precisions = _precisions(rows)
    cells = tuple(
        (
            str(row.get("recipe") or MISSING),
            decimals(row.get("val_bits_per_note")),
            *(size(section(row.get("bytes")).get(precision)) for precision in precisions),
            MISSING if whole(row.get("epoch")) is None else str(whole(row.get("epoch"))),
            str(row.get("verdict") or MISSING).replace("-", " "),
            duration(row.get("seconds")),
            str(row.get("why") or MISSING),
        )
        for row in rows
    )
    heads = ("Recipe", "Bits per note, held out", *precisions, "Epoch", "Verdict", "Trained and judged in", "Why")
    return Grid(heads, cells, tuple(index for index, row in enumerate(rows) if row.get("chosen") is True))


def _precisions(rows: list[dict[str, Any]]) -> list[str]:
    """Return the precisions that any file has, the largest first."""
    largest: dict[str, float] = {}
    for row in rows:
        for name, value in section(row.get("bytes")).items():
            largest[name] = max(largest.get(name, 0.0), number(value) or 0.0)
    return sorted(largest, key=lambda name: -largest[name])


def _offer(row: dict[str, Any]) -> Offer | None:
    """Return a recipe as it is drawn, from its smallest file to its largest; None without a file or bits."""
    sizes = [found for value in section(row.get("bytes")).values() if (found := number(value)) is not None]
    bits = number(row.get("val_bits_per_note"))
    if not sizes or bits is None:
        return None
    return Offer(str(row.get("recipe")), min(sizes), max(sizes), bits, row.get("chosen") is True)
