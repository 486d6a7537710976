"""Passages that stand in a corpus note for note, found for every place of a piece at once: a suffix array.

Conventions
-----------
Tokens are those of `farm.selection.tokens`. Lengths are in tokens unless said otherwise; k matching tokens are k + 1
notes. Matches never cross pieces.
"""

from dataclasses import dataclass

import numpy as np

from farm.selection.tokens import bars, tokens, view

_DEPTH = 256  # tokens; longer matches are told as this long
_END = 0  # the code between pieces; no query holds it


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
