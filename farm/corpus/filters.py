"""Which notes of a piece are music to learn from, and which pieces are: the numbers of `filters:` in corpora.yaml.

Conventions
-----------
Notes are columns by name, the pieces of a batch one after the other, ordered by onset and pitch; `owner` is the number
of the piece that each belongs to, ascending.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from farm.config import Filters

LAST_PIANO_PROGRAM = 7


def unwanted(notes: Mapping[str, np.ndarray], owner: np.ndarray, filters: Filters) -> dict[str, np.ndarray]:
    """Return which notes the filters leave out, by reason; a note has one reason at most."""
    found: dict[str, np.ndarray] = {}
    wanted = np.ones(len(owner), bool)
    if filters.drums == "drop":
        found["drums"] = notes["is_drum"]
        wanted &= ~found["drums"]
    if filters.tracks == "piano":
        found["other-instrument"] = wanted & ~notes["is_drum"] & (notes["program"] > LAST_PIANO_PROGRAM)
    elif filters.tracks == "melody":
        pitched = np.flatnonzero(wanted & ~notes["is_drum"])
        found["not-melody"] = np.zeros(len(owner), bool)
        found["not-melody"][pitched] = ~_melody({name: notes[name][pitched] for name in notes}, owner[pitched])
    return found


def _melody(notes: Mapping[str, np.ndarray], owner: np.ndarray) -> np.ndarray:
    """Return which notes are the line on top: the highest of an onset, unless a higher note still sounds."""
    line = np.zeros(len(owner), bool)
    onset = notes["onset_beat"]
    ends = onset + notes["duration_beat"]
    last_of_onset = np.append((np.diff(onset) != 0) | (np.diff(owner) != 0), True)
    tops = np.flatnonzero(last_of_onset)
    columns = (tops, owner[tops], onset[tops], ends[tops], notes["pitch"][tops])
    piece, high, until = -1, -1, 0.0
    for row, number, start, end, pitch in zip(*(column.tolist() for column in columns), strict=True):
        if number != piece or pitch >= high or start >= until:
            line[row] = True
            piece, high, until = number, pitch, end
    return line


def reasons_to_skip(facts: Mapping[str, np.ndarray], filters: Filters) -> list[str]:
    """Return for every piece why the filters leave it out, 'word: detail'; empty where they do not.

    Parameters
    ----------
    facts
        `pitched_notes`, `duration_seconds` and `silence_seconds`, shape (n_pieces,) each.
    """
    seconds, notes = facts["duration_seconds"], facts["pitched_notes"]
    density = notes / np.where(seconds > 0, seconds, np.nan)
    silence = facts["silence_seconds"]
    reasons = [""] * len(notes)
    checks: list[tuple[str, np.ndarray, str, float | None, bool]] = [
        ("too-short", notes, "notes", filters.min_notes, False),
        ("too-few-seconds", seconds, "seconds", filters.min_seconds, False),
        ("too-many-seconds", seconds, "seconds", filters.max_seconds, True),
        ("too-sparse", density, "notes a second", filters.min_notes_per_second, False),
        ("too-dense", density, "notes a second", filters.max_notes_per_second, True),
        ("too-silent", silence, "seconds with nothing sounding", filters.max_silence_seconds, True),
    ]
    for word, values, unit, limit, is_upper in checks:
        if limit is None:
            continue
        side = "at most" if is_upper else "at least"
        for piece in np.flatnonzero((values > limit) if is_upper else (values < limit)):
            reasons[piece] = reasons[piece] or f"{word}: {values[piece]:.4g} {unit}, {side} {limit:.4g} are wanted"
    return reasons


def note_settings(filters: Filters) -> Any:
    """Return what of the filters decides which notes a piece has."""
    return [filters.tracks, filters.drums]
