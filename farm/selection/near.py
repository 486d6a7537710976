"""Passages that stand in a corpus note for note but for one: the same place, the same intervals, one note altered.

Every passage of seven notes is looked up in the corpus and followed both ways from there. It may go on after a note of
another pitch, time or duration, or after one or two notes too many or too few, if what follows is where it would have
been. So a passage of 16 notes is found whichever one of them is altered: seven in a row are left as they were, even
where the altered note changes places with another one of its chord. The tune and the bass of a passage may differ in
more places, for over another accompaniment some notes of it stick out.

Conventions
-----------
Views, symbols, gaps and moments are those of `farm.selection.traces`. k matching symbols are k + 1 notes. Passages
never cross pieces. Two gaps are equal when they differ by at most a tenth of a beat, or a quarter of the one looked
for: a player's freedom hides nothing, and a crotchet is never a quaver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from farm.selection.traces import REST, Trace

SEED = 6  # symbols
_BLOCK = 16  # symbols compared at once
_LONGEST = 256  # symbols; longer runs are told as this long
_LEAST_GAP = 5  # 48ths of a beat
_MOST_PAIRS = 1 << 17  # followed at once; bounds memory
_COMMON = 20_000  # a figure that stands in more places is nobody's, and is not looked up
_LEAST_AFTER = 3  # symbols on the far side of an altered note: fewer agree by chance
_BRIDGES = ((1, 1), (2, 2), (3, 3), (1, 2), (2, 1), (1, 3), (3, 1))  # symbols of query and corpus that may differ
_PRIME = np.uint64(0x9E3779B97F4A7C15)
MOST_ALTERED = {"merged": 1, "tune": 4, "bass": 4, "chords": 1, "coarse": 1}
"""How many places of a passage may differ."""

_END, _OUTSIDE = -1, -2  # symbols between the pieces of a corpus and around a query


class Passages(NamedTuple):
    """Passages of a query that stand in the corpus, one entry each; `begin` and `notes` count in the view."""

    begin: np.ndarray
    notes: np.ndarray
    altered: np.ndarray  # how many places differ
    at: np.ndarray  # where it begins among the corpus's symbols


@dataclass(frozen=True)
class NearView:
    """One view of a corpus: about 18 bytes a note."""

    symbols: np.ndarray  # int32, pieces one after the other, an `_END` before, between and after
    gaps: np.ndarray  # int16
    bars: np.ndarray  # int32, the bar of the note before each symbol
    starts: np.ndarray  # position at which each piece begins
    hashes: np.ndarray  # uint32, of each run of `SEED` symbols, ascending
    order: np.ndarray  # int32, where those runs begin
    most_altered: int = 1

    @classmethod
    def build(cls, pieces: Sequence[Trace], most_altered: int = 1) -> "NearView":
        """Return one view of a corpus, pieces in the order given."""
        lengths = np.array([len(piece.symbols) for piece in pieces], np.int64)
        starts = 1 + np.concatenate(([0], np.cumsum(lengths + 1)))[:-1].astype(np.int64) if len(pieces) else lengths
        total = 1 + int((lengths + 1).sum())
        symbols, gaps, where = np.full(total, _END, np.int32), np.zeros(total, np.int16), np.zeros(total, np.int32)
        for piece, start, length in zip(pieces, starts.tolist(), lengths.tolist(), strict=True):
            symbols[start : start + length] = piece.symbols
            gaps[start : start + length] = piece.gaps
            where[start : start + length] = piece.bars
        found = _hashes(symbols)
        order = np.argsort(found).astype(np.int32)
        return cls(symbols, gaps, where, starts, found[order], order, most_altered)

    def search(self, query: Trace, skipped: np.ndarray | None = None) -> Passages:
        """Return the passages of at least `SEED` + 1 notes, each as long as it gets with at most one note altered.

        Parameters
        ----------
        skipped
            Which pieces are not searched, shape (n_pieces,), or None.
        """
        asked = _hashes(query.symbols)
        low, high = (np.searchsorted(self.hashes, asked, side) for side in ("left", "right"))
        counts = np.where(high - low <= _COMMON, high - low, 0)
        parts = [np.zeros((4, 0), np.int64)]
        pending = np.cumsum(counts)
        begin = 0
        while begin < len(counts):
            done = pending[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(pending, done + _MOST_PAIRS, side="right")))
            rows = np.arange(begin, end)
            number = counts[rows]
            places = (
                np.repeat(low[rows], number) + np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
            )
            at = self.order[places].astype(np.int64)
            i = np.repeat(rows, number)
            if skipped is not None:
                kept = ~skipped[self._owner(at)]
                i, at = i[kept], at[kept]
            parts.append(self._follow(query, i, at))
            begin = end
        return Passages(*np.concatenate(parts, axis=1))

    def place(self, at: int) -> tuple[int, int]:
        """Return the number of the piece and the bar of a position among the symbols."""
        return int(self._owner(np.array([at]))[0]), int(self.bars[at])

    def _owner(self, at: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.starts, at, side="right") - 1

    def _follow(self, query: Trace, i: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return begin, notes, altered and place of the passage around each pair of equal runs, shape (4, n)."""
        pair = _Pair(query, self)
        first = ~pair.equal(i - 1, at - 1)  # others belong to a run that begins before
        i, at = i[first], at[first]
        run = pair.run(i, at, 1)
        long = run >= SEED
        i, at, run = i[long], at[long], run[long]
        begin, end, place, after = i, i + run, at, at + run
        altered = np.zeros(len(i), np.int64)
        for _ in range(self.most_altered):
            on, back = pair.beyond(end, after, 1), pair.beyond(begin - 1, place - 1, -1)
            on_is_better = on.gained >= back.gained
            best = np.maximum(on.gained, back.gained)
            if best.max(initial=0) == 0:
                break
            end = np.where(on_is_better, end + on.ours, end)
            after = np.where(on_is_better, after + on.theirs, after)
            begin = np.where(on_is_better, begin, begin - back.ours)
            place = np.where(on_is_better, place, place - back.theirs)
            altered += best > 0
        return np.stack((begin, end - begin + 1, altered, place))


class _Beyond(NamedTuple):
    """How far passages go on after an altered note: equal symbols gained, and symbols passed in both; all 0 if not."""

    gained: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray


class _Pair:
    """A query against a corpus, symbol by symbol; positions outside are unlike everything."""

    def __init__(self, query: Trace, corpus: NearView) -> None:
        self.ours = np.concatenate(([_OUTSIDE], query.symbols, [_OUTSIDE])).astype(np.int32)
        gaps = np.concatenate(([0], query.gaps, [0])).astype(np.int32)
        self.gaps, self.tolerance = gaps, np.maximum(_LEAST_GAP, gaps // 4)
        self.corpus = corpus

    def equal(self, i: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Tell whether symbols and gaps are equal; i counts from the query's first symbol."""
        i, symbols, gaps = i + 1, self.corpus.symbols, self.corpus.gaps
        apart = np.abs(_taken(self.gaps, i) - _taken(gaps, at))
        return (_taken(self.ours, i) == _taken(symbols, at)) & (apart <= _taken(self.tolerance, i))

    def run(self, i: np.ndarray, at: np.ndarray, way: int) -> np.ndarray:
        """Return how many symbols are equal on end from each pair of positions, onwards (way 1) or back (-1)."""
        lengths = np.zeros(len(i), np.int64)
        active = np.arange(len(i))
        ahead = way * np.arange(_BLOCK)
        for _ in range(_LONGEST // _BLOCK):
            if len(active) == 0:
                break
            done = way * lengths[active]
            same = self.equal((i[active] + done)[:, None] + ahead, (at[active] + done)[:, None] + ahead)
            count = np.where(same.all(axis=1), _BLOCK, np.argmin(same, axis=1))
            lengths[active] += count
            active = active[count == _BLOCK]
        return lengths

    def beyond(self, i: np.ndarray, at: np.ndarray, way: int) -> _Beyond:
        """Return how far it goes on from each pair of positions that differ, past what is altered."""
        best = _Beyond(*(np.zeros(len(i), np.int64) for _ in range(3)))
        for ours, theirs in _BRIDGES:
            first_i, first_at = (i, at) if way > 0 else (i - ours + 1, at - theirs + 1)
            open_ = np.flatnonzero(self.same_sum(first_i, ours, first_at, theirs))
            gained = np.zeros(len(i), np.int64)
            gained[open_] = self.run(i[open_] + way * ours, at[open_] + way * theirs, way)
            better = (gained >= _LEAST_AFTER) & (gained > best.gained)
            found = (gained, ours + gained, theirs + gained)
            best = _Beyond(*(np.where(better, new, old) for new, old in zip(found, best, strict=True)))
        return best

    def same_sum(self, i: np.ndarray, ours: int, at: np.ndarray, theirs: int) -> np.ndarray:
        """Tell whether so many symbols of query and corpus lead from equal notes to equal notes at equal times."""
        interval, time, inside = np.zeros(len(i), np.int64), np.zeros(len(i), np.int64), np.ones(len(i), bool)
        allowed = np.full(len(i), _LEAST_GAP)
        for step in range(ours):
            where = i + step + 1
            symbols = _taken(self.ours, where)
            inside &= symbols >= 0
            interval += symbols // REST - 128
            time += _taken(self.gaps, where)
            allowed = np.maximum(allowed, _taken(self.tolerance, where))
        for step in range(theirs):
            symbols = _taken(self.corpus.symbols, at + step)
            inside &= symbols >= 0
            interval -= symbols // REST - 128
            time -= _taken(self.corpus.gaps, at + step)
        return inside & (interval == 0) & (np.abs(time) <= allowed)


def _taken(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the values at some positions; one outside is that of the nearer end."""
    return values.take(at, mode="clip")


def _hashes(symbols: np.ndarray) -> np.ndarray:
    """Return a hash of each run of `SEED` symbols, uint32; equal hashes of other runs are sorted out later."""
    count = max(0, len(symbols) - SEED + 1)
    mixed = np.zeros(count, np.uint64)
    for step in range(SEED if count else 0):  # wraps around, as hashes do
        mixed = (mixed ^ symbols[step : step + count].astype(np.int64).view(np.uint64)) * _PRIME
        mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(32)).astype(np.uint32)
