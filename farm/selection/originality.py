"""What was copied, how much of it, and from where: a search of the whole training corpus.

The longest match with the corpus and the share of notes inside matches are those of originality reports (Yin, Reuben,
Stepney and Collins, "Measuring When a Music Generation Algorithm Copies Too Much", SN Computer Science 3:340, 2022):
they mean something only beside the same measures of people's pieces that the network never saw.

Conventions
-----------
Two searches. The exact one is on the views of `farm.selection.tokens`; a measure of a piece is the higher one of its
two views. The other finds quotes with at most one note altered on the views of `farm.selection.traces`. A transposed
copy is a copy for both. Lengths are in notes. Bars count from 0, as in the notes table. Matches never cross pieces.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.selection import traces
from farm.selection.exact import View
from farm.selection.figures import Figures
from farm.selection.near import MOST_ALTERED, NearView
from farm.selection.quotes import covered, find_quotes
from farm.selection.tokens import VIEWS, tokens

LENGTHS = (8, 12, 16)
ELSEWHERE = "the base"
_PARTS = ("alphabet", "codes", "suffixes", "starts", "bars")
_NEAR_PARTS = ("symbols", "gaps", "bars", "starts", "hashes", "order")
_SAME_LINE = {"merged": "merged", "top": "tune"}  # the view of quotes that is most like a view of exact copies


@dataclass(frozen=True)
class Index:
    """The training corpus of a style, searchable.

    Memory is about 12 bytes a note and exact view, and 18 bytes a note (of `chords` a chord) and view of quotes.

    Attributes
    ----------
    near
        The corpus as quotes are looked for, by view.
    beside
        Other corpora that are searched too, such as what the base heard; no two pieces share an id.
    figures
        Of a corpus that is not at hand, or None. A match with it counts in the shares of copied notes, and as the
        longest copy, with `ELSEWHERE` as its piece, where nothing at hand matches as long.
    """

    pieces: tuple[str, ...]
    views: Mapping[str, View]
    near: Mapping[str, NearView]
    beside: tuple["Index", ...] = ()
    figures: Figures | None = None

    @classmethod
    def build(cls, pieces: Mapping[str, np.ndarray]) -> "Index":
        """Return the index of a corpus: note arrays by piece id. An empty corpus matches nothing."""
        names = tuple(sorted(pieces))
        views = {name: View.build([pieces[piece] for piece in names], name) for name in VIEWS}
        read = [traces.read(pieces[piece]) for piece in names]
        near = {name: NearView.build([one[name] for one in read], MOST_ALTERED[name]) for name in traces.VIEWS}
        return cls(names, views, near)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` needs, without what is beside it."""
        arrays = {"pieces": np.array(self.pieces, np.str_)}
        for name, corpus in self.views.items():
            arrays |= {f"{name}.{part}": getattr(corpus, part) for part in _PARTS}
        for name, near in self.near.items():
            arrays |= {f"near.{name}.{part}": getattr(near, part) for part in _NEAR_PARTS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Index":
        """Return an index that `to_arrays` took apart; KeyError where another version of the farm did."""
        views = {name: View(*(arrays[f"{name}.{part}"] for part in _PARTS)) for name in VIEWS}
        near = {}
        for name in traces.VIEWS:
            parts: dict[str, Any] = {part: arrays[f"near.{name}.{part}"] for part in _NEAR_PARTS}
            near[name] = NearView(**parts, most_altered=MOST_ALTERED[name])
        return cls(tuple(arrays["pieces"].tolist()), views, near)

    def measure(self, notes: np.ndarray, exclude: Collection[str] = ()) -> dict[str, Any]:
        """Return how much of a piece stands in the corpus.

        Parameters
        ----------
        notes
            Note array.
        exclude
            Piece ids that are not searched, such as the family that the notes come from.

        Returns
        -------
        cov8, cov12, cov16: share of notes inside a match of so many notes; lcs: notes of the longest match; known2,
        known3: share of runs of two and three tokens of the merged stream that stand in this corpus itself, not beside
        it, for they tell whether the music is of the style; longest: {notes, piece, bar, view, sample_start} of the
        longest match, the piece None and notes 0 without any. `bar` is where it begins in that piece, `sample_start`
        the index of its first note in the view. near8, near12, near16 and quotes: as cov and longest with at most one
        note altered, see `quotes`.
        """
        banned = frozenset(exclude)
        found: dict[str, Any] = {f"cov{length}": 0.0 for length in LENGTHS}
        longest: dict[str, Any] = {"notes": 0, "piece": None, "bar": None, "view": None, "sample_start": None}
        afar = {name: longest for name in self.views}
        known = {"known2": 0.0, "known3": 0.0}
        for name in self.views:
            query = tokens(notes, name)
            lengths = np.zeros(len(query), np.int64)
            for corpus in (self, *self.beside):
                skipped = corpus.skipped(banned)
                own, ranges = corpus.views[name].match(query, skipped)
                if name == "merged" and corpus is self and len(own) > 3:
                    known = {f"known{n}": float(np.mean(own[: 1 - n] >= n)) for n in (2, 3)}
                lengths = np.maximum(lengths, own)
                if own.max(initial=0) > 0 and own.max() + 1 > longest["notes"]:
                    at = int(np.argmax(own))
                    piece, bar = corpus.views[name].place(int(ranges[at, 0]), int(ranges[at, 1]), skipped)
                    longest = {"notes": int(own[at]) + 1, "piece": corpus.pieces[piece], "bar": bar, "view": name}
                    longest["sample_start"] = at
            if self.figures is not None:
                own = self.figures.match(query, name)
                lengths = np.maximum(lengths, own)
                if own.max(initial=0) > 0:
                    at = int(np.argmax(own))
                    afar[name] = {"notes": int(own[at]) + 1, "piece": ELSEWHERE, "bar": None, "view": name}
                    afar[name]["sample_start"] = at
            for length in LENGTHS:
                begins = np.flatnonzero(lengths >= length - 1)
                share = covered(begins, lengths[begins] + 1, len(lengths) + 1)
                found[f"cov{length}"] = max(found[f"cov{length}"], share)
        longest = max([longest, *afar.values()], key=lambda one: one["notes"])
        return {**found, "lcs": float(longest["notes"]), **known, "longest": longest, **self._near(notes, banned, afar)}

    def skipped(self, banned: frozenset[str]) -> np.ndarray | None:
        """Return which pieces are not searched, None where all are."""
        return np.array([piece in banned for piece in self.pieces], bool) if banned else None

    def _near(self, notes: np.ndarray, banned: frozenset[str], afar: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the measures with at most one note altered; a longer exact match with `figures` takes a quote's place.

        Returns
        -------
        near8, near12, near16: share of notes inside quotes of so many notes, the higher one of all notes and the
        tune. quotes: by view that has any a list, the weightiest first, of the fields of `farm.selection.quotes.Quote`.
        """
        corpora = [(corpus.pieces, corpus.near, corpus.skipped(banned)) for corpus in (self, *self.beside)]
        found = find_quotes(notes, corpora, LENGTHS)
        quotes = {name: [quote._asdict() for quote in listed] for name, listed in found.quotes.items()}
        for exact, name in _SAME_LINE.items():
            far = afar[exact]
            if far["notes"] > max((quote["notes"] for quote in quotes.get(name, [])), default=0):
                told = {"notes": far["notes"], "fresh": far["notes"], "altered": 0, "piece": ELSEWHERE, "bar": None}
                quotes[name] = [{**told, "sample_start": far["sample_start"]}, *quotes.get(name, [])]
        return {**{f"near{length}": share for length, share in found.shares.items()}, "quotes": quotes}
