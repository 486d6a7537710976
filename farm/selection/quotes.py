"""The weightiest quotes of a piece on every view: how many notes of them are fresh, the piece and bar they stand in.

A trill of forty notes, an Alberti bass and a scale stand in everybody's music, and their length says nothing. So notes
that only repeat a figure of the same quote do not count: what is left are its *fresh* notes.

Conventions
-----------
Views are those of `farm.selection.traces`, passages those of `farm.selection.near`. A figure
is four symbols on end. `sample_start` is the index of a quote's first note in its view, or of its first chord.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from farm.selection.near import NearView, Passages
from farm.selection.traces import read

_FIGURE = 4  # symbols
_SHARES_OF = ("merged", "tune")
_MOST = 3  # quotes of a view; people's own commonplaces must not hide the others

Corpus = tuple[Sequence[str], Mapping[str, NearView], "np.ndarray | None"]
"""The names of a corpus's pieces, its views, and which pieces are not searched."""


class Quote(NamedTuple):
    """A passage that stands in the corpus; of `chords` every number of notes is one of chords."""

    notes: int
    fresh: int
    altered: int  # in how many places
    piece: str
    bar: int  # where it begins in that piece, counted from 0
    sample_start: int


class Found(NamedTuple):
    """What was quoted, the weightiest first, on views where anything is; and the share of notes inside quotes."""

    quotes: dict[str, list[Quote]]
    shares: dict[int, float]


def find_quotes(notes: np.ndarray, corpora: Sequence[Corpus], lengths: Sequence[int]) -> Found:
    """Return the weightiest quotes of a piece that do not overlap, and the share of notes inside those of such lengths.

    The share is the higher one of all notes and the tune.
    """
    quotes: dict[str, list[Quote]] = {}
    shares = dict.fromkeys(lengths, 0.0)
    for name, trace in read(notes).items():
        parts = [(names, views[name], views[name].search(trace, skipped)) for names, views, skipped in corpora]
        if name in _SHARES_OF:
            begin, spans = (
                np.concatenate([getattr(found, part) for *_, found in parts]) for part in ("begin", "notes")
            )
            for length in lengths:
                long = spans >= length
                shares[length] = max(shares[length], covered(begin[long], spans[long], len(trace.notes)))
        listed = _listed(trace.symbols, parts)
        if listed:
            quotes[name] = listed
    return Found(quotes, shares)


def _listed(symbols: np.ndarray, parts: list[tuple[Sequence[str], NearView, Passages]]) -> list[Quote]:
    """Return the weightiest quotes of a view, of all corpora together; each of notes that no other one has."""
    before, listed = _last_seen(symbols), list[Quote]()
    while len(listed) < _MOST:
        found = []
        for names, view, passages in parts:
            if len(passages.notes):
                best, fresh = _weightiest(before, passages)
                piece, bar = view.place(int(passages.at[best]))
                start, length, altered, _ = (int(part[best]) for part in passages)
                found.append(Quote(length, fresh, altered, names[piece], bar, start))
        if not found:
            break
        listed.append(max(found, key=lambda quote: (quote.fresh, quote.notes)))
        begin, end = listed[-1].sample_start, listed[-1].sample_start + listed[-1].notes
        apart = [(passages.begin >= end) | (passages.begin + passages.notes <= begin) for *_, passages in parts]
        kept = [Passages(*(part[rows] for part in one[2])) for one, rows in zip(parts, apart, strict=True)]
        parts = [(names, view, passages) for (names, view, _), passages in zip(parts, kept, strict=True)]
    return listed


def covered(begins: np.ndarray, spans: np.ndarray, n_notes: int) -> float:
    """Return the share of `n_notes` notes inside passages: their first notes, and how many notes each has."""
    if n_notes < 2:
        return 0.0
    reach = np.zeros(n_notes + 1, np.int64)
    np.add.at(reach, begins, 1)
    np.add.at(reach, begins + spans, -1)
    return float(np.mean(np.cumsum(reach[:-1]) > 0))


def _weightiest(before: np.ndarray, passages: Passages) -> tuple[int, int]:
    """Return which passage has most fresh notes, and how many; of equal ones the longest, unaltered, earliest one."""
    order = np.lexsort((passages.at, passages.altered, passages.begin, -passages.notes))
    told = np.stack((passages.notes, passages.begin))[:, order]
    distinct = np.append(True, (np.diff(told, axis=1) != 0).any(axis=0))
    best, most = int(order[0]), 0
    for at in order[distinct].tolist():
        notes, begin = int(passages.notes[at]), int(passages.begin[at])
        if notes <= most:
            break
        figures = before[begin : begin + notes - _FIGURE]
        fresh = int(np.sum(figures < begin)) + _FIGURE
        if fresh > most:
            best, most = at, fresh
    return best, most


def _last_seen(symbols: np.ndarray) -> np.ndarray:
    """Return for the figure at each place where it was last begun before, -1 where it never was."""
    if len(symbols) < _FIGURE:
        return np.zeros(0, np.int64)
    _, numbers = np.unique(np.lib.stride_tricks.sliding_window_view(symbols, _FIGURE), axis=0, return_inverse=True)
    order = np.argsort(numbers.ravel(), kind="stable")
    again = np.diff(numbers.ravel()[order]) == 0
    before = np.full(len(order), -1, np.int64)
    before[order[1:][again]] = order[:-1][again]
    return before
