"""What verdict.json lists of a snapshot and of people, and the way back to what was measured.

Conventions
-----------
Plain data: numbers that are none are null. In a row the columns of the curve come first, then the measures of the
samples under their own names, `quotes` with the weightiest of every view; then, as truth values, how the rule judged
them, and `quote`, the one furthest beyond what people do.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farm.selection.candidates import MADE_OF_QUOTES, Candidate, Onsets, passes
from farm.selection.curve import Curve

_COLUMNS = ("loss", "accuracy", "val_loss")
_NO_NUMBERS = ("longest", "quotes")


def row(candidate: Candidate, curve: Curve, onsets: Onsets) -> dict[str, Any]:
    """Return one snapshot as verdict.json lists it: curve, measures, and how it was judged."""
    metrics = curve.metrics
    found = np.flatnonzero(metrics.epochs == candidate.epoch)
    at = int(found[0]) if len(found) else None
    columns = zip(_COLUMNS, (metrics.loss, metrics.accuracy, metrics.heldout), strict=True)
    return {
        "epoch": candidate.epoch,
        **{name: None if at is None or values is None else float(values[at]) for name, values in columns},
        **{name: value for name, value in candidate.measures.items() if name not in _COLUMNS},
        **{name: value for name in _NO_NUMBERS if (value := getattr(candidate, name)) is not None},
        "safe": candidate.safe,
        "looping": bool(candidate.looping_greedy if onsets.by_greedy else candidate.looping),
        "copying": candidate.copying,
        "one_copies": candidate.one_copies,
        **({} if candidate.quote is None else {"quote": candidate.quote}),
        "too_random": candidate.loose,
        "passes": candidate.safe and passes(candidate, onsets),
    }


def measures_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the epoch and the measures of a row, as the rule was given them."""
    left = (*_COLUMNS, *MADE_OF_QUOTES)
    return {name: value for name, value in row.items() if name not in left and not isinstance(value, bool)}


def without_seen(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict without what is large and only serves to judge again: the table, all quotes but the worst."""
    kept = {name: value for name, value in verdict.items() if name != "metrics"}
    human = verdict["human"] and {name: value for name, value in verdict["human"].items() if name != "quotes"}
    rows = [{name: value for name, value in row.items() if name != "quotes"} for row in verdict["candidates"]]
    return {**kept, "human": human, "candidates": rows}


def plain(value: Any) -> Any:
    """Return people's level as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
