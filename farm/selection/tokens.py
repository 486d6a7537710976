"""Notes as tokens that stay the same when music is transposed: what copies and loops are looked for in.

Two views. `merged`: every note, ordered by onset and pitch; a token is the interval from the note before, the time
since it, and the note's duration. `top`: the highest note of each onset; a token is interval and time. A melody
quoted over other chords shows on the top line only; an accompaniment figure in the merged stream only.

Conventions
-----------
Times are in beats (a quarter note). A token belongs to its later note, so n notes have n - 1 tokens, and a run of
k tokens is k + 1 notes. Times and durations are taken to the nearest twelfth of a beat and then to half-octave
classes (2 log2 of the steps): a performer's freedom does not hide a copy, a crotchet is never a quaver.
"""

import numpy as np

VIEWS = ("merged", "top")
_STEPS_PER_BEAT = 12  # coarse enough that a player's touch hides no copy
_N_CLASSES = 32  # of time and of duration; 2 ** 15 steps is the longest told apart
_CHORD = _N_CLASSES - 1  # the time class of a note that begins with the one before


def view(notes: np.ndarray, name: str) -> np.ndarray:
    """Return the indices of the notes of a view, in its order: `merged` all, `top` the highest of each onset.

    Onsets count as one when they fall on the same twelfth of a beat. No notes give no indices.
    """
    steps = _steps(notes["onset_beat"])
    order = np.lexsort((notes["pitch"], steps))
    if name == "merged" or len(order) == 0:
        return order
    last = np.append(np.diff(steps[order]) != 0, True)
    return order[last]


def tokens(notes: np.ndarray, name: str) -> np.ndarray:
    """Return the tokens of a view, int64, shape (n - 1,) for the n notes of the view; fewer than two give none."""
    chosen = notes[view(notes, name)]
    if len(chosen) < 2:
        return np.zeros(0, np.int64)
    interval = np.diff(chosen["pitch"].astype(np.int64)) + 128
    times = _classes(np.diff(_steps(chosen["onset_beat"])))
    durations = _classes(_steps(chosen["duration_beat"][1:])) if name == "merged" else 0
    return (interval * _N_CLASSES + times) * _N_CLASSES + durations


def bars(notes: np.ndarray) -> np.ndarray:
    """Return the bar of each note, counted from 0 as in the notes table; bars without an onset are counted too.

    A bar's length is taken as the most common distance between bars in which something begins.
    """
    if len(notes) == 0:
        return np.zeros(0, np.int64)
    starts = _steps(notes["onset_beat"] - notes["beat_in_bar"])
    begun, where = np.unique(starts, return_inverse=True)
    if len(begun) < 2:
        length = max(1, int(_steps(notes["beat_in_bar"]).max()) + 1)
        return np.full(len(notes), max(0, int(begun[0])) // length, np.int64)
    gaps = np.diff(begun)
    values, counts = np.unique(gaps, return_counts=True)
    length = int(values[np.argmax(counts)])
    passed = np.maximum(1, np.rint(gaps / length).astype(np.int64))
    return (max(0, round(int(begun[0]) / length)) + np.concatenate(([0], np.cumsum(passed))))[where]


def duration_classes(beats: np.ndarray) -> np.ndarray:
    """Return the class of each duration, as it is part of a token."""
    return _classes(_steps(beats))


def bar_beats(notes: np.ndarray) -> float:
    """Return the most common bar length in beats; 4 when there is only one bar."""
    begun = np.unique(_steps(notes["onset_beat"] - notes["beat_in_bar"]))
    if len(begun) < 2:
        return 4.0
    values, counts = np.unique(np.diff(begun), return_counts=True)
    return float(values[np.argmax(counts)]) / _STEPS_PER_BEAT


def _steps(beats: np.ndarray) -> np.ndarray:
    return np.rint(beats * _STEPS_PER_BEAT).astype(np.int64)


def _classes(steps: np.ndarray) -> np.ndarray:
    """Return the half-octave class of each number of steps; 0 steps are a class of their own."""
    found = np.rint(2 * np.log2(np.maximum(steps, 1))).astype(np.int64)
    return np.where(steps > 0, np.minimum(found, _CHORD - 1), _CHORD)
