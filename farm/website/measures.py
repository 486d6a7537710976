"""What was measured, as tables: the curve, the snapshots that could have been picked, the samples against people.

Conventions
-----------
Every table is a `Grid` of finished texts: the first column names the row. An empty table is None, and its part of
the page is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farm.website.evidence import History
from farm.website.text import MISSING, decimals, number, plural, share, whole
from farm.website.wording import human

# What verdict.json calls its measures, and what a reader is shown, in this order; others keep their name and follow.
_MEASURES = {
    "loss": "loss",
    "val_loss": "held-out loss",
    "accuracy": "accuracy",
    "rep_same": "repeats the pitch",
    "longest_run": "longest run of one pitch",
    "distinct4": "different 4-grams",
    "loop_share": "notes in loops",
    "n_pitches": "pitches",
    "cov8": "copied, 8 notes on",
    "cov12": "copied, 12 notes on",
    "cov16": "copied, 16 notes on",
    "near8": "quoted, 8 notes on, one altered",
    "near12": "quoted, 12 notes on, one altered",
    "near16": "quoted, 16 notes on, one altered",
    "excess_mean": "quotes, times people’s, mean",
    "excess_max": "quotes, times people’s",
    "known2": "2-grams of the corpus",
    "known3": "3-grams of the corpus",
    "ngram_bits": "bits a note, by n-gram",
    "lcs_mean": "longest copy, mean",
    "lcs_max": "longest copy",
    "greedy_rep": "likeliest notes: repeats",
    "greedy_run": "likeliest notes: longest run",
    "greedy_distinct4": "likeliest notes: different 4-grams",
}
_FAULTS = {"looping": "loops", "copying": "copies", "too_random": "too random"}


@dataclass(frozen=True)
class Fact:
    """One key number."""

    name: str
    value: str
    under: str


@dataclass(frozen=True)
class Grid:
    """A table; `marked` are the rows that stand out."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: tuple[int, ...] = ()


def epochs_table(history: History, sampled: Sequence[int], pick: int | None) -> Grid:
    """Return the curve as a table, a row for each epoch; the figure's text alternative."""
    heads = ("Epoch", "Bits, training", "Bits, held out", "Right pitch, training", "Right pitch, held out", "Snapshot")
    columns = zip(
        history.epochs, history.bits, history.heldout_bits, history.accuracy, history.heldout_accuracy, strict=True
    )  # fmt: skip
    rows = tuple(
        (
            str(epoch),
            decimals(bits, 3),
            decimals(held, 3),
            share(right),
            share(right_held),
            "composed" if epoch in sampled else "",
        )
        for epoch, bits, held, right, right_held in columns
    )
    return Grid(heads, rows, tuple(index for index, epoch in enumerate(history.epochs) if epoch == pick))


def candidates_table(candidates: list[dict[str, Any]], pick: int | None) -> Grid | None:
    """Return every snapshot with what was thought of it, and a column for each number that any of them has."""
    numbered = [row for row in candidates if whole(row.get("epoch")) is not None]
    if not numbered:
        return None
    known = dict.fromkeys([*_MEASURES, *(name for row in numbered for name in row if name != "epoch")])
    names = [name for name in known if any(number(row.get(name)) is not None for row in numbered)]
    rows = tuple(
        (str(whole(row["epoch"])), judged(row), *(_measure(row.get(name)) for name in names)) for row in numbered
    )
    marked = tuple(index for index, row in enumerate(numbered) if whole(row["epoch"]) == pick)
    return Grid(("epoch", "judged", *(_MEASURES.get(name, name.replace("_", " ")) for name in names)), rows, marked)


def judged(row: dict[str, Any]) -> str:
    """Return what the verdict says of a snapshot; nothing when it was not judged."""
    faults = [word for name, word in _FAULTS.items() if row.get(name) is True]
    faults += ["too near to where training broke"] if row.get("safe") is False else []
    return ", ".join(faults) or ("good" if row.get("passes") is True else MISSING)


def _measure(value: Any) -> str:
    found = number(value)
    return MISSING if found is None else f"{found:.0f}" if found == round(found) else f"{found:.3g}"


def quality_table(quality: dict[str, Any]) -> Grid | None:
    """Return the picked model's measures beside those of people; None when nothing was measured."""
    if not any(
        number(quality.get(name)) is not None for name in ("val_bits_per_note", "copied", "repetition", "validity")
    ):
        return None
    bits, ngram = number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note"))
    better = MISSING
    if bits is not None and ngram:
        better = f"{share((ngram - bits) / ngram)} better" if bits < ngram else "no better than plain statistics"
    rows = [
        ("Bits per note, held out", decimals(bits), f"n-gram {decimals(ngram)}", better),
        _against("Copied", quality.get("copied"), quality.get("copied_human")),
        _against("Repetition", quality.get("repetition"), quality.get("repetition_human")),
        ("Valid samples", share(quality.get("validity")), MISSING, "readable, in range, with an end"),
    ]
    return Grid(("Measure", "This model", "Compare with", "In words"), tuple(rows))


def _against(name: str, value: Any, level: Any) -> tuple[str, str, str, str]:
    """Return a row that sets a share against people's; up to a quarter more, or 2 %, still counts as theirs."""
    ours, theirs = number(value), human(level)
    words = MISSING
    if ours is not None and theirs is not None:
        words = "as people do" if ours <= max(1.25 * theirs, theirs + 0.02) else "more than people do"
    return name, share(ours), f"people {share(theirs)}", words


def longest_copy(longest: dict[str, Any], path: str) -> str:
    """Return the sentence about the longest quotation; empty when nothing was copied. `path` names the piece."""
    notes = whole(longest.get("notes"))
    if not notes:
        return ""
    view = longest.get("view")
    where_in = {"tune": " of the tune", "bass": " of the bass"}.get(str(view), "")
    what = plural(notes, "chord" if view == "chords" else "note") + where_in
    altered = whole(longest.get("altered")) or 0
    what += ("", ", one of them altered", f", altered in {altered} places")[min(altered, 2)]
    where = path or str(longest.get("piece") or "")
    bar = whole(longest.get("bar"))
    place = (f" as in {where}" if where else "") + ("" if bar is None else f", bar {bar}")
    return f"The longest passage that also stands in the corpus: {what}{place}."


def decisions_table(decisions: list[dict[str, Any]]) -> Grid | None:
    """Return the decision log, oldest first as the catalog holds it."""
    if not decisions:
        return None
    rows = tuple(
        (
            str(decision.get("time") or MISSING),
            str(decision.get("status") or MISSING),
            _measure(decision.get("epoch")),
            str(decision.get("why") or MISSING),
        )
        for decision in decisions
    )
    return Grid(("When", "Decision", "Epoch", "Why"), rows)
