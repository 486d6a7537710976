"""What would ship, as a style's page shows it: sizes and losses per precision, and how it stands to what shipped.

Conventions
-----------
As in `measures`: finished texts. Bits a note are on the music held out; fewer are better.
"""

from collections.abc import Mapping
from typing import Any

from farm.website.evidence import section
from farm.website.measures import Grid
from farm.website.text import MISSING, decimals, number, size, whole
from farm.website.wording import Mark

_OUTCOMES = {
    "better": Mark("better than shipped", "good", 0),
    "same": Mark("as good as shipped", "", 1),
    "worse": Mark("worse than shipped", "bad", 2),
    "not comparable": Mark("not comparable with shipped", "warn", 3),
}


def precision_table(losses: Any) -> Grid | None:
    """Return what each precision weighs and costs, the largest first; None when nothing was measured."""
    rows = {str(name): section(row) for name, row in section(losses).items()}
    if not rows:
        return None
    order = sorted(rows, key=lambda name: (-(number(rows[name].get("bytes")) or 0.0), name))
    cells = tuple(
        (name, size(rows[name].get("bytes")), decimals(rows[name].get("val_bits_per_note"), 3), _lost(rows[name]))
        for name in order
    )
    return Grid(("Weights", "Size", "Bits per note, held out", "Lost by it"), cells)


def _lost(row: Mapping[str, Any]) -> str:
    delta = number(row.get("delta"))
    if delta is None:
        return MISSING
    return "nothing" if abs(delta) < 5e-4 else f"{abs(delta):.3f} bits{' gained' if delta < 0 else ''}"


def outcome_mark(model: Mapping[str, Any]) -> Mark | None:
    """Return how a model stands to the version that shipped, in a word; None where nothing was compared."""
    compared = section(model.get("compared"))
    outcome = str(compared.get("outcome") or "")
    return _OUTCOMES.get(outcome, Mark(outcome, "warn", 4)) if outcome else None


def against_shipped(model: Mapping[str, Any]) -> str:
    """Return how a model stands to the version that shipped, in the catalog's words or else from its numbers.

    Empty where the catalog does not say.
    """
    if "compared" not in model:
        return ""
    compared = section(model["compared"])
    if not compared:
        return "No version of this style has shipped, so there is nothing to compare with."
    if why := str(compared.get("why") or "").strip():
        return why
    version = whole(compared.get("version"))
    shipped = "the version that shipped" if version is None else f"version {version}, which shipped"
    delta, bits = number(compared.get("delta_bits")), number(compared.get("val_bits_per_note"))
    told = f"Against {shipped}: {compared.get('outcome') or 'not compared'}"
    if delta is not None and compared.get("comparable") is not False:
        way = "more" if delta > 0 else "fewer"
        told += f", {abs(delta):.3f} bits a note {way}" if abs(delta) >= 5e-4 else ", the same bits a note"
        told += f" than its {bits:.3f}" if bits is not None and abs(delta) >= 5e-4 else ""
    return f"{told}."
