"""How far samples quote beyond what people do: every view against people's own level, and all views together.

A bass line recurs from piece to piece much more than a whole texture does. So a quote counts as a multiple of what is
usual on its view, and the *excess* of a piece is its largest such multiple. People's own excess says where copying
begins: five views together raise no more alarms than one.

Conventions
-----------
Quotes are those of `farm.selection.quotes`; their weight is their fresh notes. The level of a view is people's 95th
percentile, but never below the rule's floor; a view whose level reaches the rule's ceiling is no evidence and is not
looked at, unless all do. The line is people's 97th percentile of the excess, at least 1: with as few pieces as most
styles have, levels taken from some keep the alarms on the others below 5 % only then. A percentile is the value that
one more draw exceeds that rarely.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from farm.config import Selection

FIXED = {"merged": 14.0, "tune": 12.0, "bass": 12.0, "chords": 12.0, "coarse": 16.0}
"""The 95th percentile of fresh notes over the pieces of 25 styles, at least the floor: the levels where a style's own
people are too few. Measured by `bench/copies.py`."""

FIXED_LINE = 1.25
"""The 95th percentile of those pieces' excess over `FIXED`."""

LEAST_WINDOWS, LEAST_PIECES = 19, 4  # with fewer no percentile is known
_LEVEL_SHARE = 0.95
_LINE_SHARE = 0.97


@dataclass(frozen=True)
class CopyLevels:
    """What quotes are held against.

    Attributes
    ----------
    views
        The level in notes by view, of those the corpus supports.
    line
        A larger excess is copying.
    by_people
        The levels are those of the style's own people, not the fixed ones.
    """

    views: Mapping[str, float]
    line: float
    by_people: bool

    def moved(self, factor: float) -> "CopyLevels":
        return replace(self, line=self.line * factor)


Quotes = Mapping[str, Sequence[Mapping[str, Any]]]
"""A piece's quotes by view, the weightiest first."""


def weights(quotes: Quotes) -> dict[str, int]:
    """Return the fresh notes of a piece's weightiest quote on every view; 0 where it quotes nothing."""
    return {name: int(quotes[name][0]["fresh"]) if quotes.get(name) else 0 for name in FIXED}


def copy_levels(people: Mapping[str, Any] | None, rule: Selection) -> CopyLevels | None:
    """Return the levels of a style.

    Parameters
    ----------
    people
        pieces, and by view the `weights` of people's windows: the `quotes` of `farm.selection.measures`. None, as in
        runs that were judged without, gives None.
    """
    if people is None:
        return None
    rows = np.array([people["weights"][name] for name in FIXED], float)  # (views, windows)
    enough = rows.shape[1] >= LEAST_WINDOWS and people["pieces"] >= LEAST_PIECES
    usual = {name: _share(row, _LEVEL_SHARE) for name, row in zip(FIXED, rows, strict=True)} if enough else FIXED
    floor, ceiling = float(rule.copy_floor_notes), float(rule.copy_ceiling_notes)
    views = {name: max(level, floor) for name, level in usual.items() if level < ceiling}
    if not views:  # people quote without end: then only what the rule calls copying always
        return CopyLevels(dict.fromkeys(FIXED, ceiling), 1.0, False)
    if not enough:
        return CopyLevels(views, FIXED_LINE, False)
    multiples = [row / views[name] for name, row in zip(FIXED, rows, strict=True) if name in views]
    return CopyLevels(views, max(1.0, _share(np.max(multiples, axis=0), _LINE_SHARE)), True)


def excess(found: Mapping[str, int], against: CopyLevels) -> tuple[float, str | None]:
    """Return the largest multiple of a level, and its view; 0 and None where nothing is quoted."""
    multiples = {name: found[name] / level for name, level in against.views.items() if found[name]}
    if not multiples:
        return 0.0, None
    view = max(multiples, key=lambda name: multiples[name])
    return multiples[view], view


def worst_quote(samples: Sequence[Quotes], against: CopyLevels) -> dict[str, Any] | None:
    """Return the quote of the largest excess of all samples: as it was found, with view, sample and excess."""
    found = [excess(weights(quotes), against) for quotes in samples]
    sample = max(range(len(found)), key=lambda index: found[index][0], default=0)
    if not found or found[sample][1] is None:
        return None
    multiple, view = found[sample]
    return {**samples[sample][str(view)][0], "view": view, "sample": sample, "excess": round(multiple, 3)}


def _share(values: np.ndarray, share: float) -> float:
    """Return the value that a new draw exceeds with a chance of at most 1 - share; the largest where there are few."""
    ordered = np.sort(values)
    return float(ordered[min(len(ordered), math.ceil(share * (len(ordered) + 1))) - 1])
