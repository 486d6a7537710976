"""From readings to notes in order and facts about every tune: seconds, bars, key, length, time base, what was dropped.

Everything is worked out for all tunes of a batch at once, because most tunes are so short that asking numpy about
each costs more than reading it.

Conventions
-----------
As in `farm.corpus.tables`. The notes of a batch are columns, tune after tune; tune i has rows `bounds[i]` to
`bounds[i + 1]`. What is said about a tune is said about the notes that were kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.config import Filters
from farm.corpus import clock
from farm.corpus.filters import unwanted
from farm.corpus.reading import MAX_BEATS, Reading, Sounds, counted
from farm.corpus.timebase import time_bases
from farm.corpus.tonality import keys

_COLUMNS = (
    *("track", "program", "is_drum", "onset_beat", "duration_beat", "onset_second", "duration_second"),
    *("pitch", "velocity", "bar", "beat_in_bar"),
)
_PITCH_BITS = 7
_OWNER_BITS = _PITCH_BITS + 31  # onsets are below 2**31 ticks
_LONGEST_SECONDS = float(1 << 24)  # half a year; keeps the ends of all tunes apart on one line


@dataclass(frozen=True)
class Described:
    """The tunes of a batch.

    Attributes
    ----------
    notes
        Column arrays by name: those of `tables.NOTES` but for style and piece_id.
    bounds
        Where each tune's rows begin, and where the last one's end, shape (n_tunes + 1,).
    facts
        Lists by name, one value a tune: `failure` (None where there is music), `notes`, `pitched_notes`,
        `notes_dropped` (reason to count), `tracks`, `duration_beats`, `duration_seconds`, `silence_seconds`,
        `tempo_bpm`, `key`, `time_base`, `grid_share`, `pitch_low`, `pitch_high`.
    """

    notes: dict[str, np.ndarray]
    bounds: np.ndarray
    facts: dict[str, list[Any]]

    def pitched(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the notes without drums, and their bounds."""
        drums = self.notes["is_drum"]
        if not drums.any():
            return self.notes, self.bounds
        before = np.concatenate([[0], np.cumsum(~drums)])
        return {name: column[~drums] for name, column in self.notes.items()}, before[self.bounds]


def describe(readings: Sequence[Reading], filters: Filters) -> Described:
    """Return the notes and facts of readings; a reading without notes has a length of 0 and no key."""
    if not readings:
        return Described({name: np.zeros(0) for name in _COLUMNS}, np.zeros(1, np.int64), {})
    drops = [dict(reading.drops) for reading in readings]
    notes, owner = _in_beats(readings, drops)
    notes, owner = _without(unwanted(notes, owner, filters), notes, owner, drops)
    bounds = np.searchsorted(owner, np.arange(len(readings) + 1))
    tempos = [reading.tempos for reading in readings]
    ends = notes["onset_beat"] + notes["duration_beat"]
    notes["onset_second"] = clock.seconds(notes["onset_beat"], owner, tempos)
    notes["duration_second"] = clock.seconds(ends, owner, tempos) - notes["onset_second"]
    notes["bar"], notes["beat_in_bar"] = clock.bars(notes["onset_beat"], owner, [reading.bars for reading in readings])
    lasting = _largest(ends, bounds, 0.0)
    lasting_seconds = clock.seconds(lasting, np.arange(len(readings)), tempos)
    described = Described({name: notes[name] for name in _COLUMNS}, bounds, {})
    facts = described.facts
    facts |= _facts(described, owner, lasting, lasting_seconds)
    facts["notes_dropped"] = [counted(dropped) for dropped in drops]
    told = zip(readings, facts["notes"], facts["pitched_notes"], facts["notes_dropped"], strict=True)
    facts["failure"] = [reading.failure or _failure(reading, *counts) for reading, *counts in told]
    return described


def _in_beats(readings: Sequence[Reading], drops: list[dict[str, int]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the notes that a piece can have, by tune, onset and pitch, and their owners; the others are dropped."""
    sounds = {name: np.concatenate([getattr(reading.sounds, name) for reading in readings]) for name in Sounds._fields}
    tracks = [track for reading in readings for track in reading.tracks]
    program, is_drum, counts = np.array(tracks, np.int64).reshape(-1, 3).T
    number = np.array([place for reading in readings for place in range(len(reading.tracks))], np.int16)
    sounds["track"] = np.repeat(np.arange(len(tracks), dtype=np.int32), counts)
    owner = np.repeat(np.arange(len(readings)), [len(reading.sounds.pitch) for reading in readings])
    per_beat = np.array([reading.ticks_per_beat for reading in readings], np.int64)
    sounds, owner = _without(impossible(sounds, MAX_BEATS * per_beat[owner]), sounds, owner, drops)
    # One number that sorts by tune, onset and pitch; notes that agree in all three stay as their reader had them.
    place = owner << _OWNER_BITS | sounds["onset"].astype(np.int64) << _PITCH_BITS | sounds["pitch"]
    order = np.argsort(place, kind="stable")
    sounds = {name: column[order] for name, column in sounds.items()}
    ticks = per_beat[owner]
    notes = {
        "onset_beat": sounds["onset"] / ticks,
        "duration_beat": sounds["duration"] / ticks,
        "pitch": sounds["pitch"].astype(np.int16),
        "velocity": sounds["velocity"].astype(np.int16),
        "track": number[sounds["track"]],
        "program": program.astype(np.int16)[sounds["track"]],
        "is_drum": is_drum.astype(bool)[sounds["track"]],
    }
    return notes, owner


def impossible(sounds: Mapping[str, np.ndarray], latest_ticks: np.ndarray | int) -> dict[str, np.ndarray]:
    """Return which notes no piece can have, by reason."""
    zero = sounds["duration"] <= 0
    outside = ~zero & ((sounds["velocity"] == 0) | (sounds["onset"] < 0) | (sounds["pitch"] > 127))
    late = ~(zero | outside) & (sounds["onset"].astype(np.int64) + sounds["duration"] > latest_ticks)
    return {"zero-length": zero, "out-of-range": outside, "beyond-limit": late}


def _without(
    left_out: Mapping[str, np.ndarray], notes: dict[str, np.ndarray], owner: np.ndarray, drops: list[dict[str, int]]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the notes that stay and their owners; those left out are added to the drops of their tunes."""
    gone = np.zeros(len(owner), bool)
    for reason, mask in left_out.items():
        if mask.any():
            gone |= mask
            counts = np.bincount(owner[mask], minlength=len(drops))
            for number in np.flatnonzero(counts):
                drops[number][reason] = drops[number].get(reason, 0) + int(counts[number])
    if not gone.any():
        return notes, owner
    return {name: column[~gone] for name, column in notes.items()}, owner[~gone]


def _facts(
    described: Described, owner: np.ndarray, lasting: np.ndarray, lasting_seconds: np.ndarray
) -> dict[str, list[Any]]:
    notes, bounds = described.notes, described.bounds
    pitched, pitched_bounds = described.pitched()
    n_tunes = len(lasting)
    playing = np.zeros((n_tunes, int(notes["track"].max(initial=0)) + 1), bool)
    playing[owner, notes["track"]] = True
    bases, grid_share = time_bases(pitched["onset_beat"], pitched_bounds)
    n_pitched = np.diff(pitched_bounds)
    some = n_pitched > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        bpm = np.round(lasting / lasting_seconds * 60, 3)
    return {
        "notes": np.diff(bounds).tolist(),
        "pitched_notes": n_pitched.tolist(),
        "tracks": playing.sum(axis=1).tolist(),
        "duration_beats": lasting.tolist(),
        "duration_seconds": lasting_seconds.tolist(),
        "silence_seconds": _silence(notes, owner, bounds),
        "tempo_bpm": [value if value > 0 else None for value in np.where(np.isfinite(bpm), bpm, 0.0).tolist()],
        "key": keys(pitched["pitch"], pitched["duration_beat"], pitched_bounds),
        "time_base": _where(some, bases),
        "grid_share": _where(~np.isnan(grid_share), grid_share),
        "pitch_low": _where(some, -_largest(-pitched["pitch"], pitched_bounds, 0)),
        "pitch_high": _where(some, _largest(pitched["pitch"], pitched_bounds, 0)),
    }


def _failure(reading: Reading, n_notes: int, n_pitched: int, dropped: Mapping[str, int]) -> str | None:
    """Return why there is no music in a tune that was read, as `word` or `word: detail`; None where there is."""
    if reading.notes_in_file != n_notes + sum(dropped.values()):
        return f"note-loss: {reading.notes_in_file} notes in the file, {n_notes} read, dropped {dict(dropped)}"
    if n_pitched > 0:
        return None
    if "beyond-limit" in dropped:
        return f"too-long: every note lies beyond {MAX_BEATS:,} beats"
    if "other-instrument" in dropped:
        return "no-piano"
    return "drums-only" if n_notes or "drums" in dropped else "no-notes"


def _silence(notes: Mapping[str, np.ndarray], owner: np.ndarray, bounds: np.ndarray) -> list[float]:
    """Return for every tune its longest stretch in seconds between two notes with nothing sounding."""
    start = notes["onset_second"]
    line = owner * _LONGEST_SECONDS
    sounded = np.maximum.accumulate(line + np.minimum(start + notes["duration_second"], _LONGEST_SECONDS)) - line
    gaps = np.zeros(len(owner))
    gaps[1:] = np.where(owner[1:] == owner[:-1], start[1:] - sounded[:-1], 0.0)
    return np.round(_largest(gaps, bounds, 0.0), 3).tolist()


def _largest(values: np.ndarray, bounds: np.ndarray, empty: float) -> np.ndarray:
    """Return the largest value of every tune, `empty` for one without notes."""
    largest = np.full(len(bounds) - 1, empty, values.dtype)
    some = np.diff(bounds) > 0
    if some.any():
        largest[some] = np.maximum.reduceat(values, bounds[:-1][some])
    return largest


def _where(known: np.ndarray, values: np.ndarray) -> list[Any]:
    return [value if is_known else None for is_known, value in zip(known.tolist(), values.tolist(), strict=True)]
