"""What pieces say, as sets of numbers that can be compared: hashed n-grams of intervals, many pieces at a time.

Each piece is looked at in four views: the line on top (a chorale's tune, whatever lies under it), the whole stream of
notes (another edition, another performance), and the line on top as it stands at every quarter and at every dotted
quarter (the same tune with other ornaments, in even or in threefold time). Key, tempo and loudness do not matter, nor
does rhythm in the first two views.

Conventions
-----------
The notes of many pieces stand one after another; piece number i is `notes[bounds[i]:bounds[i + 1]]`, without drums.
What a piece says depends on its own notes only, never on its neighbours in the batch nor on the order of its notes.
Times are whole ticks, `_TICKS` a beat, so that sums over a batch are exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from farm.music.encoding import NOTE, Notes

LINE_INTERVALS = 6
STREAM_INTERVALS = 8
CHORD_BEATS = 0.1
LEGATO_BEATS = 0.45
LOOK_BACK = 16
MOST_NOTES = 10_000_000
SPARED = 2
_BLOCK_NOTES = 50_000
_TICKS = 960
_BEATS = 960, 1440  # ticks: a quarter and a dotted one
_BAR = 2880  # ticks: a multiple of both
_LATE = 20  # ticks that a note may come after its beat
_PRIMES = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class View:
    """One view of many pieces: piece number i says `grams[bounds[i]:bounds[i + 1]]`.

    Attributes
    ----------
    grams
        Hashed n-grams, uint32, ascending and without repeats within a piece. Of many millions two different ones have
        the same hash now and then; kinship asks for a large share, which chance does not give.
    bounds
        int64, shape (n_pieces + 1,).
    thin
        One in so many n-grams is kept, the same ones in every piece.
    """

    grams: np.ndarray
    bounds: np.ndarray
    thin: int


Fingerprints = tuple[View, ...]
"""What many pieces say, in the views: line, stream, quarters, dotted quarters."""


def fingerprints(notes: Notes, bounds: np.ndarray, thin: int = 1) -> Fingerprints:
    """Return what each of these pieces says; in a view with too few notes it says nothing.

    Notes less than `CHORD_BEATS` after the one before belong to its chord: hands do not strike together.

    Parameters
    ----------
    notes
        `onset_beat`, `duration_beat` and `pitch`, shape (n_notes,) each; quickest where each piece's notes are ordered
        by onset.
    bounds
        Where each piece begins and the last one ends, shape (n_pieces + 1,).
    thin
        For corpora too large for memory, see `thinning`: one in so many n-grams of the stream is kept, and one in
        `thin // SPARED` of the other views, which hold fewer and find more.
    """
    bounds = np.asarray(bounds, np.int64)
    # Blocks that stay in the processor's cache are quicker than one pass over everything, and need little memory.
    cuts = np.searchsorted(bounds, np.arange(bounds[0], bounds[-1], _BLOCK_NOTES)[1:])
    edges = [0, *np.unique(cuts).tolist(), len(bounds) - 1]
    return join(_block(notes, bounds[start : stop + 1], thin) for start, stop in pairwise(edges))


def join(parts: Iterable[Fingerprints]) -> Fingerprints:
    """Return the fingerprints of several batches, thinned alike, as those of one; no parts are of no pieces."""
    listed = list(parts) or [_block(np.zeros(0, NOTE), np.zeros(1, np.int64), 1)]
    return tuple(_joined(views) for views in zip(*listed, strict=True))


def thinning(n_notes: int) -> int:
    """Return the `thin` with which the stream of this many notes is no longer than that of `MOST_NOTES` unthinned."""
    thin = 1
    while n_notes > MOST_NOTES * thin:
        thin *= 2
    return thin


def _block(notes: Notes, bounds: np.ndarray, thin: int) -> Fingerprints:
    n_pieces = len(bounds) - 1
    piece = np.repeat(np.arange(n_pieces, dtype=np.int32), np.diff(bounds))
    onset, end, pitch = _on_one_clock(notes, slice(bounds[0], bounds[-1]), bounds - bounds[0])
    begins = np.diff(onset, prepend=-_BAR) > CHORD_BEATS * _TICKS
    first = np.flatnonzero(begins)
    chord = np.cumsum(begins) - 1
    stream = (np.sort(chord << 7 | pitch) & 127).astype(np.int16)
    top = stream[np.append(first[1:], len(onset))[: len(first)] - 1]
    held = np.where(pitch == top[chord], end, 0)
    line = _on_top(onset[first], np.maximum.reduceat(held, first) if len(first) else held, top)
    at, line, whose = onset[first[line]], top[line], piece[first[line]]
    few = max(thin // SPARED, 1)
    views = [_view(line, whose, n_pieces, LINE_INTERVALS, few), _view(stream, piece, n_pieces, STREAM_INTERVALS, thin)]
    for beat in _BEATS:
        times = _beats_of_each(at, whose, beat)
        views.append(_view(np.repeat(line, times), np.repeat(whose, times), n_pieces, LINE_INTERVALS, few))
    return tuple(views)


def _on_one_clock(notes: Notes, rows: slice, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return onsets and ends in ticks and pitches, int64, ordered by onset, each piece after the end of all before."""
    onset = np.rint(notes["onset_beat"][rows] * _TICKS).astype(np.int64)
    end = onset + np.rint(notes["duration_beat"][rows] * _TICKS).astype(np.int64)
    pitch = notes["pitch"][rows].astype(np.int64)
    filled = np.flatnonzero(np.diff(bounds))
    if len(filled) == 0:
        return onset, end, pitch
    earliest = np.minimum.reduceat(onset, bounds[filled])
    room = np.maximum.reduceat(end, bounds[filled]) - earliest + 3 * _BAR
    # Whole bars, so that a beat stays a beat, and one to spare, so that no chord reaches into the next piece.
    shift = np.append(0, np.cumsum(room // _BAR * _BAR)[:-1]) - earliest // _BAR * _BAR
    shift = np.repeat(shift, np.diff(bounds)[filled])
    onset += shift
    end += shift
    if (onset[1:] < onset[:-1]).any():
        order = np.argsort(onset, kind="stable")
        onset, end, pitch = onset[order], end[order], pitch[order]
    return onset, end, pitch


def _on_top(onset: np.ndarray, end: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Return which chord tops are the line on top: those over which no higher one of the chords before sounds on.

    Fingers let go late, and a legato must not hide the note that it leads to: a note sounds on over another when it
    lasts for half of it, or for `LEGATO_BEATS`. It hides the tops of at most `LOOK_BACK` chords, so that a pedal point
    does not silence a piece.
    """
    hidden = np.zeros(len(onset), bool)
    late = onset + np.minimum((end - onset) // 2, round(LEGATO_BEATS * _TICKS))
    reach = np.maximum.accumulate(end)
    below = np.arange(len(onset))
    for distance in range(1, LOOK_BACK + 1):
        below = below[np.searchsorted(below, distance) :]
        below = below[reach[below - distance] > late[below]]
        hides = (end[below - distance] > late[below]) & (pitch[below - distance] > pitch[below])
        hidden[below[hides]] = True
        below = below[~hides]
    return np.flatnonzero(~hidden)


def _beats_of_each(onset: np.ndarray, piece: np.ndarray, beat: int) -> np.ndarray:
    """Return on how many beats each note of a line is the latest to have begun; the last of a piece has its own only.

    No more than fill an n-gram are counted: longer rests say nothing more.
    """
    until = np.append(onset[1:], 0)
    last = np.diff(piece, append=-1) != 0
    until[last] = onset[last] + 1
    beats = (until + beat - 1 - _LATE) // beat - (onset + beat - 1 - _LATE) // beat
    return np.minimum(beats, LINE_INTERVALS + 1)


def _view(pitch: np.ndarray, piece: np.ndarray, n_pieces: int, length: int, thin: int) -> View:
    """Return the hashed n-grams of intervals within each piece; `length` intervals each, 4 to 8.

    One of fewer than three different intervals (a scale, a repeated note, a trill) says nothing and is left out.
    """
    windows = len(pitch) - length
    if windows <= 0:
        return View(np.zeros(0, np.uint32), np.zeros(n_pieces + 1, np.int64), thin)
    step = (pitch[1:] - pitch[:-1]).astype(np.uint8)  # two of 128 pitches are at most 127 apart
    columns = [step[column : column + windows] for column in range(length)]
    low, high = columns[0].copy(), columns[0].copy()
    for column in columns:
        np.minimum(low, column, out=low)
        np.maximum(high, column, out=high)
    telling = np.zeros(windows, bool)
    for column in columns:
        telling |= (column != low) & (column != high)
    at = np.flatnonzero(telling & (piece[:windows] == piece[length:]))
    two = step[:-1].astype(np.uint16) << np.uint16(8) | step[1:]
    four = two[:-2].astype(np.uint32) << np.uint32(16) | two[2:]
    gram = four[at].astype(np.uint64) << _HALF | four[at + (length - 4)]
    return _set_of_each(_mixed(gram), piece[at], n_pieces, thin)


def _mixed(grams: np.ndarray) -> np.ndarray:
    """Return numbers spread evenly over 64 bits, different ones for different n-grams."""
    grams *= _PRIMES[0]  # wraps round, as it is meant to
    grams ^= grams >> _HALF
    grams *= _PRIMES[1]
    return grams


def _set_of_each(mixed: np.ndarray, piece: np.ndarray, n_pieces: int, thin: int) -> View:
    if thin > 1:
        kept = (mixed >> np.uint64(8)) % np.uint64(thin) == 0
        mixed, piece = mixed[kept], piece[kept]
    mixed >>= _HALF
    mixed |= piece.astype(np.uint64) << _HALF
    mixed.sort()
    new = np.ones(len(mixed), bool)
    np.not_equal(mixed[1:], mixed[:-1], out=new[1:])
    keys = mixed[new]
    bounds = np.searchsorted(keys, np.arange(n_pieces + 1, dtype=np.uint64) << _HALF)
    return View(keys.astype(np.uint32), bounds.astype(np.int64), thin)


def _joined(views: Sequence[View]) -> View:
    sizes = np.concatenate([np.diff(view.bounds) for view in views])
    return View(np.concatenate([view.grams for view in views]), np.append(0, np.cumsum(sizes)), views[0].thin)
