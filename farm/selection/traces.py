"""Music as copies are looked for when not every note is the same: five views, their times told apart loosely.

A copy may be played with a player's freedom, over another accompaniment, or with another tune above it. So a piece is
read five ways. `merged`: every note by onset and pitch, with the class of its duration. `tune`: the highest note of
each moment, unless it is accompaniment. `bass`: the lowest, unless it is of an upper voice. `chords`: the pitch classes
of each moment, seen from its lowest note. `coarse`: every note by moment and pitch, whatever its duration.

Conventions
-----------
Notes that begin within a twelfth of a beat of the first of them are one *moment*, so chords that are not struck quite
together, and grace notes, are one; its time is their mean onset. A symbol belongs to its later note (of `chords`, its
later moment), so n notes have n - 1 symbols. A symbol holds the interval from the note before, so transposition
changes none, and times are held beside: a gap is the time since the note before, in 48ths of a beat.
"""

from typing import Any, NamedTuple

import numpy as np

from farm.selection.tokens import bars, duration_classes

VIEWS = ("merged", "tune", "bass", "chords", "coarse")
REST = 1 << 12
"""A symbol is its interval times this, plus the rest of what it says; intervals are moved up to be positive."""

_MOMENT_BEATS = 0.08  # less than the shortest notes there are, a twelfth; 40 ms at 120 beats a minute
_OVERLAP_SHARE = 0.25  # of a note: a note before that ends sooner after its onset is only held over a little
_FAR = 9  # semitones: a note so far inside both the line before and the line after is not of the line
_FAR_BEATS = 2.0
_MOMENTS_AROUND = 16
_GAPS_PER_BEAT = 48
_LONGEST_GAP = 1 << 14
_UP = 128


class Trace(NamedTuple):
    """One view of one piece."""

    symbols: np.ndarray  # int32, shape (n - 1,)
    gaps: np.ndarray  # int16, shape (n - 1,)
    bars: np.ndarray  # int32, shape (n - 1,): of the note before each symbol
    notes: np.ndarray  # int64, shape (n,): which notes of the piece they are; of a chord the lowest


def read(notes: np.ndarray) -> dict[str, Trace]:
    """Return all views of a piece by name; fewer than two notes have no symbols."""
    order = np.lexsort((notes["pitch"], notes["onset_beat"]))
    moment, times = _moments(notes["onset_beat"][order])
    order = order[np.lexsort((notes["pitch"][order], moment))]
    pitch = notes["pitch"][order].astype(np.int64)
    first = np.flatnonzero(np.diff(moment, prepend=-1))
    last = np.flatnonzero(np.diff(moment, append=moment[-1] + 1 if len(moment) else 0))
    where = bars(notes)[order]
    classes = duration_classes(notes["duration_beat"][order])
    sets = _sets(pitch, moment, first)
    tune, bass = _outer_line(notes[order[last]], times, 1), _outer_line(notes[order[first]], times, -1)
    every = slice(None)
    outer: dict[str, Any] = {"tune": last[tune], "bass": first[bass]}
    chosen = {"merged": every, **outer, "chords": first, "coarse": every}
    found = {}
    for name, rows in chosen.items():
        steps = np.diff(pitch[rows])
        symbols = ((steps % 12 if name == "chords" else steps) + _UP) * REST
        if name == "merged":
            symbols += classes[1:]
        if name == "chords":
            symbols += sets[1:]
        gaps = np.diff(np.rint(times[moment[rows]] * _GAPS_PER_BEAT)).clip(0, _LONGEST_GAP)
        before = where[rows][: len(symbols)].astype(np.int32)
        found[name] = Trace(symbols.astype(np.int32), gaps.astype(np.int16), before, order[rows])
    return found


def _moments(onsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of the onsets, ascending, the number of its moment, and the time of each moment."""
    after = np.searchsorted(onsets, onsets + _MOMENT_BEATS, side="right").tolist()
    begins, at = [], 0
    while at < len(onsets):
        begins.append(at)
        at = after[at]
    begun = np.zeros(len(onsets), np.int64)
    begun[begins] = 1
    moment = np.cumsum(begun) - 1
    return moment, np.bincount(moment, onsets) / np.maximum(np.bincount(moment), 1)


def _outer_line(notes: np.ndarray, times: np.ndarray, way: int) -> np.ndarray:
    """Return which of the outermost notes of each moment are a line of its own: the tune (way 1) or the bass (-1).

    Not those below a note that sounds on (above, for the bass), nor those that lie far below both what comes before and
    what comes after: an accompaniment fills the rests of a tune.
    """
    pitch, onset = way * notes["pitch"].astype(np.int64), notes["onset_beat"]
    end, least = onset + notes["duration_beat"], onset + _OVERLAP_SHARE * notes["duration_beat"]
    covered, after_far, before_far = (np.zeros(len(notes), bool) for _ in range(3))
    for apart in range(1, min(_MOMENTS_AROUND, len(notes) - 1) + 1):
        near = times[apart:] - times[:-apart] <= _FAR_BEATS
        covered[apart:] |= (pitch[:-apart] > pitch[apart:]) & (end[:-apart] > least[apart:])
        after_far[apart:] |= near & (pitch[:-apart] >= pitch[apart:] + _FAR)
        before_far[:-apart] |= near & (pitch[apart:] >= pitch[:-apart] + _FAR)
    return np.flatnonzero(~(covered | (after_far & before_far)))


def _sets(pitch: np.ndarray, moment: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the pitch classes of each moment as twelve bits, counted up from that of its lowest note."""
    found = np.zeros(len(first), np.int64)
    np.bitwise_or.at(found, moment, 1 << ((pitch - pitch[first][moment]) % 12))
    return found
