"""How much a piece repeats itself: repeated notes, few distinct figures, loops.

An under-trained network falls into one note or one figure. People repeat themselves too, so every measure means
something only beside the same measure of people's pieces cut to the same length.

Conventions
-----------
Notes are arrays of dtype `farm.music.encoding.NOTE`, any order. Shares are 0 to 1. `rep_same` and `longest_run` are
measured on the top line, `distinct4` and `loop_share` on the merged stream (`farm.selection.tokens`).
"""

import numpy as np

from farm.selection.tokens import bar_beats, tokens, view

_GRAM = 4
_LOOP_BARS = 2
_LOOP_TIMES = 3
_LOOP_NOTES = 8  # shorter loops are repeated notes, which every music has


def measure(notes: np.ndarray) -> dict[str, float]:
    """Return the measures of one piece.

    Returns
    -------
    rep_same: share of the top line's notes that repeat the pitch before. longest_run: most notes in a row at one
    pitch there. distinct4: different runs of four tokens over all of them, 1 where nothing recurs. loop_share: share
    of notes inside a block of at most two bars that comes at least three times in a row, at pitch. n_pitches: number
    of different pitches. Pieces too short for a measure have 0, for distinct4 1.
    """
    pitches = notes["pitch"][view(notes, "top")]
    return {
        "rep_same": float(np.mean(np.diff(pitches) == 0)) if len(pitches) > 1 else 0.0,
        "longest_run": float(_longest_run(pitches)),
        "distinct4": distinct(tokens(notes, "merged"), _GRAM),
        "loop_share": loop_share(notes),
        "n_pitches": float(len(np.unique(notes["pitch"]))),
    }


def distinct(symbols: np.ndarray, length: int) -> float:
    """Return the number of different runs of `length` symbols over the number of runs; 1 when there is none.

    Examples
    --------
    >>> distinct(np.array([1, 2, 1, 2, 1]), 2)
    0.5
    """
    if len(symbols) < length:
        return 1.0
    grams = np.lib.stride_tricks.sliding_window_view(symbols, length)
    return len(np.unique(grams, axis=0)) / len(grams)


def loop_share(notes: np.ndarray) -> float:
    """Return the share of notes inside an immediately repeated block; none give 0.

    A block of p notes repeats where each note equals the one p before it in pitch and in the time since its
    predecessor; three times in a row are 2 p equal notes. Blocks last at most two bars, loops at least eight notes.
    """
    order = view(notes, "merged")
    n = len(order)
    if n < _LOOP_NOTES:
        return 0.0
    pitch = notes["pitch"][order].astype(np.int64)
    onset = notes["onset_beat"][order]
    gaps = np.concatenate(([0], np.rint(np.diff(onset) * 12).astype(np.int64)))
    inside = np.zeros(n, bool)
    longest_beats = _LOOP_BARS * bar_beats(notes) + 1e-6
    for period in range(1, n // _LOOP_TIMES + 1):
        lasts = onset[period:] - onset[:-period]
        if lasts.min() > longest_beats:
            break
        equal = (pitch[period:] == pitch[:-period]) & (gaps[period:] == gaps[:-period]) & (lasts <= longest_beats)
        for start, end in _runs(equal):
            # the first note of the first block comes after something else, so its time may differ
            begin = start - 1 if start and pitch[start - 1] == pitch[start - 1 + period] else start
            if end - begin >= (_LOOP_TIMES - 1) * period and end - begin + period >= _LOOP_NOTES:
                inside[begin : end + period] = True
    return float(inside.mean())


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return the half-open ranges in which `flags` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _longest_run(pitches: np.ndarray) -> int:
    if len(pitches) == 0:
        return 0
    changes = np.flatnonzero(np.diff(pitches) != 0) + 1
    return int(np.max(np.diff(np.concatenate(([0], changes, [len(pitches)])))))
