"""Where notes lie in seconds and in bars: beats looked up in the tempos and bars of many tunes at once.

Conventions
-----------
Beats count from 0 and end before `REACH_BEATS`. The notes of all tunes stand one after the other; `owner` is the
number of the tune that each belongs to, ascending.
"""

from collections.abc import Sequence

import numpy as np

from farm.corpus.bars import TOLERANCE_BEATS
from farm.corpus.reading import DEFAULT_BPM, MAX_BEATS

REACH_BEATS = float(1 << MAX_BEATS.bit_length())
"""So far apart do tunes lie when all are looked up on one line; a power of two keeps equal beats equal there."""

_MOST_BPM = 1e7


def seconds(beats: np.ndarray, owner: np.ndarray, tempos: Sequence[Sequence[tuple[float, float]]]) -> np.ndarray:
    """Return the second at which each beat falls.

    Parameters
    ----------
    beats, owner
        Shape (n,).
    tempos
        For every tune beat and quarter notes a minute of its tempo changes. Before the first it is 120. Of several
        changes on one beat the last counts; a tempo that is not a positive number is passed over.
    """
    maps = [_tempo_map(changes) for changes in tempos]
    start, elapsed, per_beat = np.array([row for tune in maps for row in tune], float).reshape(-1, 3).T
    at = _stretches(beats, owner, start, [len(tune) for tune in maps])
    return elapsed[at] + (beats - start[at]) * per_beat[at]


def _tempo_map(changes: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Return beat, second and seconds a beat of every stretch of one tempo, from beat 0."""
    tempos = {0.0: DEFAULT_BPM}
    for beat, bpm in sorted(changes, key=lambda change: change[0]):
        if 0 < bpm < _MOST_BPM and 0 <= beat < REACH_BEATS:
            tempos[float(beat)] = bpm
    stretches, elapsed, per_beat, before = [], 0.0, 0.0, 0.0
    for beat, bpm in tempos.items():
        elapsed += (beat - before) * per_beat
        before, per_beat = beat, 60 / bpm
        stretches.append((beat, elapsed, per_beat))
    return stretches


def bars(
    beats: np.ndarray, owner: np.ndarray, stretches: Sequence[Sequence[tuple[float, int, float, float]]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bar in which each beat falls, and where in it.

    Parameters
    ----------
    beats, owner
        Shape (n,).
    stretches
        For every tune its bars as in `Reading.bars`; what lies before the first stretch counts on from its start.

    Returns
    -------
    int32 and float64 arrays of shape (n,); a beat that is a hair before a bar line belongs to the bar after it.
    """
    known = [tune or [(0.0, 0, 0.0, 4.0)] for tune in stretches]
    start, bar, offset, length = np.array([row for tune in known for row in tune], float).reshape(-1, 4).T
    at = _stretches(beats + TOLERANCE_BEATS, owner, start, [len(tune) for tune in known])
    since = beats - start[at] + offset[at]
    within = np.floor(since / length[at] + TOLERANCE_BEATS)
    return (bar[at] + within).astype(np.int32), np.maximum(since - within * length[at], 0.0)


def _stretches(beats: np.ndarray, owner: np.ndarray, start: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Return in which stretch each beat falls: the last of its tune that has begun, else its first.

    Parameters
    ----------
    start
        Beats at which the stretches begin, tune after tune; `counts` says how many each tune has, at least one.
    """
    number = np.asarray(counts)
    first = np.cumsum(number) - number
    at = first[owner]
    several = np.flatnonzero((number > 1)[owner])  # most tunes have one tempo and one metre: nothing to look up
    if len(several):
        line = np.repeat(np.arange(len(number)) * REACH_BEATS, number) + start
        found = np.searchsorted(line, owner[several] * REACH_BEATS + beats[several], side="right") - 1
        at[several] = np.maximum(found, at[several])
    return at
