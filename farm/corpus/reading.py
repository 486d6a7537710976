"""What a reader returns: the notes of one tune with their times in beats, seconds and bars, and what was dropped.

Conventions
-----------
As in `farm.corpus.tables`: a beat is a quarter note, everything counts from the start of the first bar, bars count
from 0. Everything here is pure numpy; no reader's library is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

DEFAULT_BPM = 120.0
MAX_BEATS = 200_000  # more than a day of music; longer is a damaged clock
TOLERANCE_BEATS = 1e-6

ROW = np.dtype(
    [
        ("track", "i2"),
        ("program", "i2"),
        ("is_drum", "?"),
        ("onset_beat", "f8"),
        ("duration_beat", "f8"),
        ("onset_second", "f8"),
        ("duration_second", "f8"),
        ("pitch", "i2"),
        ("velocity", "i2"),
        ("bar", "i4"),
        ("beat_in_bar", "f8"),
    ]
)
"""One note: the columns of `tables.NOTES` without style and piece_id."""

# Krumhansl and Kessler (1982), Tracing the dynamic changes in perceived tonal organization; ratings from the tonic up.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_MAJOR_NAMES = ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")
_MINOR_NAMES = ("c", "c#", "d", "e-", "e", "f", "f#", "g", "g#", "a", "b-", "b")


@dataclass
class Reading:
    """One tune as read.

    Attributes
    ----------
    tune
        Empty, or the tune's label in a file that holds several.
    notes
        Dtype ROW, ordered by onset and pitch.
    notes_in_file
        Notes as written; equals `len(notes)` plus all `drops`.
    drops
        Notes left out, by reason.
    failure
        Why this tune could not be read, as `reason` or `reason: detail`; None when it was.
    """

    tune: str
    format: str
    notes: np.ndarray = field(default_factory=lambda: np.zeros(0, ROW))
    notes_in_file: int | None = None
    drops: dict[str, int] = field(default_factory=dict)
    tracks: int = 0
    duration_beats: float = 0.0
    duration_seconds: float = 0.0
    tempo_bpm: float | None = None
    key: str | None = None
    time_signature: str | None = None
    failure: str | None = None


def describe(reading: Reading, tempos: Sequence[tuple[float, float]]) -> Reading:
    """Fill in what follows from the notes: seconds, durations, tempo, key, number of tracks, order of the rows.

    Parameters
    ----------
    reading
        With `notes` complete but for their seconds.
    tempos
        Beat and quarter notes a minute of every tempo change; none means 120 throughout.
    """
    notes = reading.notes
    ends = notes["onset_beat"] + notes["duration_beat"]
    notes["onset_second"] = seconds_at(notes["onset_beat"], tempos)
    notes["duration_second"] = seconds_at(ends, tempos) - notes["onset_second"]
    reading.notes = notes[np.lexsort((notes["duration_beat"], notes["track"], notes["pitch"], notes["onset_beat"]))]
    reading.tracks = len(np.unique(notes["track"]))
    reading.duration_beats = float(ends.max(initial=0.0))
    reading.duration_seconds = float(seconds_at(np.array([reading.duration_beats]), tempos)[0])
    if reading.duration_seconds > 0:
        reading.tempo_bpm = round(reading.duration_beats / reading.duration_seconds * 60, 3)
    sounding = notes[~notes["is_drum"]]
    reading.key = estimate_key(sounding["pitch"], sounding["duration_beat"])
    return reading


def seconds_at(beats: np.ndarray, tempos: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the second at which each beat falls, under tempo changes given as (beat, quarter notes a minute).

    Before the first change the tempo is 120. Of several changes on one beat the last counts; a tempo that is not a
    positive number is passed over.
    """
    valid = {float(beat): float(bpm) for beat, bpm in sorted(tempos, key=lambda change: change[0]) if 0 < bpm < 1e7}
    starts = np.array([0.0, *valid])
    bpm = np.array([DEFAULT_BPM, *valid.values()])
    elapsed = np.concatenate([[0.0], np.cumsum(np.diff(starts) * 60 / bpm[:-1])])
    at = np.clip(np.searchsorted(starts, beats, side="right") - 1, 0, None)
    return elapsed[at] + (beats - starts[at]) * 60 / bpm[at]


def bars_by_signature(onsets: np.ndarray, changes: Sequence[tuple[float, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return bar and beat in bar of each onset, where only time signatures are known, as in MIDI.

    Parameters
    ----------
    onsets
        Beats, any order, shape (n,).
    changes
        Beat and time signature of every change; 4/4 before the first. A change in the middle of a bar starts a bar.

    Returns
    -------
    int32 and float64 arrays of shape (n,).
    """
    kept = _signature_spans(changes)
    starts = np.array([beat for beat, _ in kept])
    lengths = np.array([bar_beats(signature) for _, signature in kept])
    counts = np.ceil(np.diff(starts) / lengths[:-1] - TOLERANCE_BEATS)
    first_bars = np.concatenate([[0], np.cumsum(counts)])
    at = np.clip(np.searchsorted(starts, onsets + TOLERANCE_BEATS, side="right") - 1, 0, None)
    since = onsets - starts[at]
    within = np.floor(since / lengths[at] + TOLERANCE_BEATS)
    return (first_bars[at] + within).astype(np.int32), np.maximum(since - within * lengths[at], 0.0)


def predominant_signature(changes: Sequence[tuple[float, str]], end_beat: float) -> str:
    """Return the time signature that holds for most of the beats; the earlier one when two hold as long."""
    kept = [*_signature_spans(changes), (end_beat, "")]
    lasting: dict[str, float] = {}
    for (beat, signature), (until, _) in zip(kept, kept[1:], strict=False):
        lasting[signature] = lasting.get(signature, 0.0) + max(min(until, end_beat) - beat, 0.0)
    return max(lasting, key=lasting.__getitem__)


def bar_beats(signature: str) -> float:
    """Return the length of a bar in beats.

    >>> bar_beats("6/8")
    3.0
    """
    count, unit = (int(part) for part in signature.split("/"))
    return count * 4 / unit


def is_signature(count: int, unit: int) -> bool:
    """Tell whether a time signature can be meant: damaged files hold bars of no beats."""
    return 0 < count <= 64 and unit in (1, 2, 4, 8, 16, 32, 64)


def estimate_key(pitches: np.ndarray, durations: np.ndarray) -> str | None:
    """Return the key whose profile correlates best with the sounding time of each pitch class.

    Major keys are written large ('G major'), minor keys small ('e minor'), flats as '-'. None without notes.

    References
    ----------
    Krumhansl (1990), Cognitive Foundations of Musical Pitch, chapter 4.
    """
    weights = np.bincount(pitches % 12, weights=durations, minlength=12)
    if weights.sum() <= 0 or np.ptp(weights) == 0:
        return None
    profiles = np.array([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])
    profiles = (profiles - profiles.mean(1, keepdims=True)) / profiles.std(1, keepdims=True)
    best = int(np.argmax(profiles @ (weights - weights.mean())))
    return f"{_MAJOR_NAMES[best]} major" if best < 12 else f"{_MINOR_NAMES[best - 12]} minor"


def check_sum(reading: Reading) -> bool:
    """Tell whether every note of the file is either among the rows or among the drops."""
    return reading.notes_in_file == len(reading.notes) + sum(reading.drops.values())


def counted(drops: Mapping[str, int]) -> dict[str, int]:
    """Return the drops that happened, by reason in alphabetical order."""
    return {reason: int(count) for reason, count in sorted(drops.items()) if count}


def _signature_spans(changes: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the changes by beat, one a beat, with 4/4 at 0 unless another is given there."""
    spans = {0.0: "4/4"}
    for beat, signature in sorted(changes, key=lambda change: change[0]):
        spans[max(float(beat), 0.0)] = signature
    return list(spans.items())
