"""What was copied, how much of it, and from where: a search of the whole training corpus.

The longest match with the corpus and the share of notes inside matches are those of originality reports (Yin, Reuben,
Stepney and Collins, "Measuring When a Music Generation Algorithm Copies Too Much", SN Computer Science 3:340, 2022):
they mean something only beside the same measures of people's pieces that the network never saw.

Conventions
-----------
Tokens are those of `farm.selection.tokens`, so a transposed copy is a copy. Lengths are in notes: k matching tokens
are k + 1 notes. Bars count from 0, as in the notes table. Matches never cross pieces. A measure of a piece is the
higher one of the two views.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.selection.figures import Figures
from farm.selection.tokens import VIEWS, bars, tokens, view

LENGTHS = (8, 12, 16)
ELSEWHERE = "the base"
_DEPTH = 256  # tokens; longer matches are told as this long
_PARTS = ("alphabet", "codes", "suffixes", "starts", "bars")
_END = 0  # the code between pieces; no query holds it


@dataclass(frozen=True)
class Index:
    """The training corpus of a style, searchable; one suffix array per view.

    Memory is about 24 bytes a note and view.

    Attributes
    ----------
    beside
        Other corpora that are searched too, such as what the base heard; no two pieces share an id.
    figures
        Of a corpus that is not at hand, or None. A match with it counts in the shares of copied notes, and as the
        longest copy, with `ELSEWHERE` as its piece, where nothing at hand matches as long.
    """

    pieces: tuple[str, ...]
    views: Mapping[str, "View"]
    beside: tuple["Index", ...] = ()
    figures: Figures | None = None

    @classmethod
    def build(cls, pieces: Mapping[str, np.ndarray]) -> "Index":
        """Return the index of a corpus: note arrays by piece id. An empty corpus matches nothing."""
        names = tuple(sorted(pieces))
        return cls(names, {name: View.build([pieces[piece] for piece in names], name) for name in VIEWS})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` needs, without what is beside it."""
        arrays = {"pieces": np.array(self.pieces, np.str_)}
        for name, corpus in self.views.items():
            arrays |= {f"{name}.{part}": getattr(corpus, part) for part in _PARTS}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Index":
        views = {name: View(*(arrays[f"{name}.{part}"] for part in _PARTS)) for name in VIEWS}
        return cls(tuple(arrays["pieces"].tolist()), views)

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
        known3: share of runs of two and three tokens of the merged stream that stand in the corpus; longest: {notes,
        piece, bar, view, sample_start} of the longest match, the piece None and notes 0 without any. `bar` is where
        it begins in that piece, `sample_start` the index of its first note in the view.
        """
        banned = frozenset(exclude)
        found: dict[str, Any] = {f"cov{length}": 0.0 for length in LENGTHS}
        longest: dict[str, Any] = {"notes": 0, "piece": None, "bar": None, "view": None, "sample_start": None}
        afar = longest
        known = {"known2": 0.0, "known3": 0.0}
        for name in self.views:
            query = tokens(notes, name)
            lengths = np.zeros(len(query), np.int64)
            for corpus in (self, *self.beside):
                skipped = np.array([piece in banned for piece in corpus.pieces], bool) if banned else None
                own, ranges = corpus.views[name].match(query, skipped)
                lengths = np.maximum(lengths, own)
                if own.max(initial=0) > 0 and own.max() + 1 > longest["notes"]:
                    at = int(np.argmax(own))
                    piece, bar = corpus.views[name].place(int(ranges[at, 0]), int(ranges[at, 1]), skipped)
                    longest = {"notes": int(own[at]) + 1, "piece": corpus.pieces[piece], "bar": bar, "view": name}
                    longest["sample_start"] = at
            if self.figures is not None:
                own = self.figures.match(query, name)
                lengths = np.maximum(lengths, own)
                if own.max(initial=0) > 0 and own.max() + 1 > afar["notes"]:
                    at = int(np.argmax(own))
                    afar = {"notes": int(own[at]) + 1, "piece": ELSEWHERE, "bar": None, "view": name}
                    afar["sample_start"] = at
            for length in LENGTHS:
                found[f"cov{length}"] = max(found[f"cov{length}"], _covered(lengths, length))
            if name == "merged" and len(lengths) > 3:
                known = {f"known{n}": float(np.mean(lengths[: 1 - n] >= n)) for n in (2, 3)}
        longest = afar if afar["notes"] > longest["notes"] else longest
        return {**found, "lcs": float(longest["notes"]), **known, "longest": longest}


@dataclass(frozen=True)
class View:
    """One view of the corpus: codes of all pieces one after the other, their order, and where they come from."""

    alphabet: np.ndarray  # the tokens, ascending; a token's code is its place plus one
    codes: np.ndarray  # int32, an `_END` after each piece
    suffixes: np.ndarray  # int32, positions in `codes` in the order of what follows them
    starts: np.ndarray  # position in `codes` at which each piece begins
    bars: np.ndarray  # int32, the bar in which a match that begins at each code begins: that of the note before

    @classmethod
    def build(cls, pieces: list[np.ndarray], name: str) -> "View":
        """Return the view `name` of a corpus, pieces in the order given."""
        streams, places = [], []
        for notes in pieces:
            found = tokens(notes, name)
            streams.append(found)
            places.append(bars(notes)[view(notes, name)][: len(found)])
        lengths = np.array([len(stream) for stream in streams], np.int64)
        starts = np.concatenate(([0], np.cumsum(lengths + 1)))[:-1] if len(lengths) else np.zeros(0, np.int64)
        joined = np.concatenate(streams) if streams else np.zeros(0, np.int64)
        alphabet, numbers = np.unique(joined, return_inverse=True)
        total = int((lengths + 1).sum())
        inside = np.ones(total, bool)
        inside[starts + lengths] = False
        codes, where = np.full(total, _END, np.int32), np.zeros(total, np.int32)
        codes[inside] = numbers + 1
        where[inside] = np.concatenate(places) if places else 0
        return cls(alphabet, codes, suffix_order(codes, _DEPTH), starts, where)

    def place(self, low: int, high: int, skipped: np.ndarray | None) -> tuple[int, int]:
        """Return the number of the piece and the bar of the earliest match among `suffixes[low:high]`."""
        found = self.suffixes[low:high].astype(np.int64)
        owners = np.searchsorted(self.starts, found, side="right") - 1
        kept = np.ones(len(found), bool) if skipped is None else ~skipped[owners]
        first = int(np.argmin(np.where(kept, found, len(self.codes))))
        return int(owners[first]), int(self.bars[found[first]])

    def match(self, query: np.ndarray, skipped: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return, for every position of a query, the longest match that begins there and where it stands.

        All positions are narrowed down together: the suffixes that begin with the first m tokens are one range, and
        token m + 1 is found in it by bisection. O(matched tokens times log corpus).

        Parameters
        ----------
        query
            Tokens, shape (n,).
        skipped
            Which pieces are not searched, shape (n_pieces,), or None.

        Returns
        -------
        Lengths in tokens, shape (n,), and ranges of `suffixes`, shape (n, 2), which mean nothing where the length is 0.
        """
        n = len(query)
        lengths = np.zeros(n, np.int64)
        low, high = np.zeros(n, np.int64), np.full(n, len(self.suffixes), np.int64)
        if n == 0 or len(self.alphabet) == 0:
            return lengths, np.stack((low, high), axis=1)
        at = np.minimum(np.searchsorted(self.alphabet, query), len(self.alphabet) - 1)
        codes = np.append(np.where(self.alphabet[at] == query, at + 1, -1), -1)
        allowed = None
        if skipped is not None:
            owner = np.searchsorted(self.starts, self.suffixes, side="right") - 1
            allowed = np.concatenate(([0], np.cumsum(~skipped[owner])))
        active = np.arange(n)
        for depth in range(min(n, _DEPTH)):
            wanted = codes[np.minimum(active + depth, n)]
            left = self._bisect(low[active], high[active], depth, wanted)
            right = self._bisect(left, high[active], depth, wanted + 1)
            hits = right - left if allowed is None else allowed[right] - allowed[left]
            going = (hits > 0) & (wanted > 0)
            active = active[going]
            if len(active) == 0:
                break
            low[active], high[active] = left[going], right[going]
            lengths[active] = depth + 1
        return lengths, np.stack((low, high), axis=1)

    def _bisect(self, low: np.ndarray, high: np.ndarray, depth: int, wanted: np.ndarray) -> np.ndarray:
        """Return the first place in each range whose token at `depth` is not below `wanted`."""
        low, high = low.copy(), high.copy()
        last = len(self.codes) - 1
        while True:
            open_ = low < high
            if not open_.any():
                return low
            middle = (low + high) // 2
            at = self.suffixes[np.minimum(middle, last)].astype(np.int64) + depth
            code = np.where(at <= last, self.codes[np.minimum(at, last)], -1)
            below = open_ & (code < wanted)
            low = np.where(below, middle + 1, low)
            high = np.where(open_ & ~below, middle, high)


def suffix_order(codes: np.ndarray, depth: int) -> np.ndarray:
    """Return the positions of `codes` ordered by what follows them, int32; ties after `depth` codes in any order.

    Prefix doubling (Manber and Myers, "Suffix arrays", SIAM Journal on Computing 22, 1993): ranks by the first m codes
    give those by the first 2 m. What stands past the end counts as lower than any code.
    """
    n = len(codes)
    rank = codes.astype(np.int64) + 1
    length = 1
    while True:
        behind = np.zeros(n, np.int64)
        behind[: n - length] = rank[length:] if length < n else 0
        order = np.argsort(rank * (int(rank.max(initial=0)) + 1) + behind, kind="stable")
        if n == 0:
            return order.astype(np.int32)
        key_rank, key_behind = rank[order], behind[order]
        changed = (np.diff(key_rank) != 0) | (np.diff(key_behind) != 0)
        rank = np.empty(n, np.int64)
        rank[order] = np.concatenate(([1], 1 + np.cumsum(changed)))
        length *= 2
        if length >= depth or changed.all():
            return order.astype(np.int32)


def _covered(lengths: np.ndarray, notes: int) -> float:
    """Return the share of notes inside a match of at least `notes` notes; `lengths` are in tokens."""
    if len(lengths) == 0:
        return 0.0
    reach = np.zeros(len(lengths) + 2, np.int64)
    begins = np.flatnonzero(lengths >= notes - 1)
    np.add.at(reach, begins, 1)
    np.add.at(reach, begins + lengths[begins] + 1, -1)
    return float(np.mean(np.cumsum(reach[:-1]) > 0))
