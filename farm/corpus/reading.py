"""What a reader returns: the notes of one tune with their times in beats, seconds and bars, and what was dropped.

Conventions
-----------
As in `farm.corpus.tables`: a beat is a quarter note, everything counts from the start of the first bar, bars count
from 0. Everything here is pure numpy; no reader's library is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from farm.errors import ReadError

DEFAULT_BPM = 120.0
MAX_BEATS = 200_000  # more than a day of music; longer is a damaged clock

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


def check_length(reading: Reading) -> None:
    """Check that a tune ends within `MAX_BEATS`.

    Raises
    ------
    ReadError
        `too-long`.
    """
    end = (reading.notes["onset_beat"] + reading.notes["duration_beat"]).max(initial=0.0)
    if not end <= MAX_BEATS:
        raise ReadError("too-long", f"{end:.0f} beats, at most {MAX_BEATS} are read")
