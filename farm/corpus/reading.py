"""What a reader returns: the notes of one tune in ticks, where its bars and tempos lie, and what was left out.

A reader says no more than what stands in the file; `farm.corpus.describing` works out all the rest, for many tunes
at once.

Conventions
-----------
As in `farm.corpus.tables`: a beat is a quarter note, everything counts from the start of the first bar, bars count
from 0. Everything here is plain data; no reader's library is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

DEFAULT_BPM = 120.0
MAX_BEATS = 200_000  # more than a day of music; later is a damaged clock
SCORE_TICKS_PER_BEAT = 10_080  # 2**5 * 3**2 * 5 * 7: the tuplets that are written, down to a 128th, end on a tick


class Sounds(NamedTuple):
    """The notes of one tune, track after track, in ticks: int32 onsets and durations, uint8 pitches and velocities."""

    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray


SOUND_TYPES: tuple[np.dtype[Any], ...] = (np.dtype("<i4"), np.dtype("<i4"), np.dtype("u1"), np.dtype("u1"))
"""Of the columns of `Sounds`, in their order."""

SILENCE = Sounds(*(np.zeros(0, dtype) for dtype in SOUND_TYPES))


@dataclass
class Reading:
    """One tune as read.

    Attributes
    ----------
    tune
        Empty, or the tune's label in a file that holds several.
    tracks
        Program, whether it is drums, and number of notes of every track, in the order of `sounds`.
    notes_in_file
        Notes as written; equals those in `sounds` plus all `drops`.
    drops
        Notes that the reader left out, by reason.
    tempos
        Beat and quarter notes a minute of every tempo change, any order; none means 120 throughout.
    bars
        Stretches of equal bars, ascending: start in beats, number of the bar there, beats of that bar that came before
        the start, beats in a bar. None means 4/4 from 0.
    repaired
        What was wrong with the file's bytes and could be mended; empty when nothing was.
    failure
        Why this tune could not be read, as `reason` or `reason: detail`; None when it was.
    sounds
        In any order within a track.
    """

    tune: str
    format: str
    tracks: list[tuple[int, bool, int]] = field(default_factory=list)
    ticks_per_beat: int = 1
    notes_in_file: int | None = None
    drops: dict[str, int] = field(default_factory=dict)
    tempos: list[tuple[float, float]] = field(default_factory=list)
    bars: list[tuple[float, int, float, float]] = field(default_factory=list)
    time_signature: str | None = None
    repaired: str = ""
    failure: str | None = None
    sounds: Sounds = SILENCE


def counted(drops: Mapping[str, int]) -> dict[str, int]:
    """Return the drops that happened, by reason in alphabetical order."""
    return {reason: int(count) for reason, count in sorted(drops.items()) if count}
